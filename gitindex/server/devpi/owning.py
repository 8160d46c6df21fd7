"""Users and indexes: created, changed and deleted, each as a commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gitindex.devpi import index_config, user_config
from gitindex.edits import owners
from gitindex.edits.plan import Plan
from gitindex.errors import ConflictError, NotThereError, UsageError
from gitindex.server.answers import Answer
from gitindex.server.body import BodyError
from gitindex.server.devpi.call import document, forbidden, read_json, said
from gitindex.server.devpi.making import write
from gitindex.server.devpi.targets import Index, Misnamed, User

if TYPE_CHECKING:
    from gitindex.server.devpi.call import Call
    from gitindex.snapshot import Snapshot

_OF_USERS = ("email", "title")
_PASSWORDS = frozenset({"password", "pwhash"})
_UNTRUE = frozenset({"false", "no"})
_NAMES = "use lower-case letters and digits, with single `.`, `_` or `-` between them, at most 64 characters"


def misnamed(target: Misnamed) -> Answer:
    """Return why nothing of such a name can be made."""
    what = "index" if "/" in target.text else "user"
    name = target.text.rpartition("/")[2]
    return said(HTTPStatus.BAD_REQUEST, f"{what}name {name!r} contains characters that aren't allowed: {_NAMES}")


async def user(call: Call, target: User) -> Answer:
    """Create, change or delete a user."""
    reader, name = call.reader, target.name
    if reader is None or not reader.may_define_user(name):
        return forbidden(f"define the user {name}: see gitindex token create --define '{name}/*'")
    match call.method:
        case "PUT":
            values = _user_values(await read_json(call))

            def create(snapshot: Snapshot) -> Plan:
                if snapshot.user(name) is not None:
                    raise ConflictError("user already exists")
                return owners.create_user(snapshot, name, email=values.get("email", ""), title=values.get("title", ""))

            # There are no passwords; devpi's client cannot create a user without sending one.
            return await _written(call, create, f"create user {name}", lambda: _show_user(call, name))
        case "PATCH":
            sent = await read_json(call)
            values = _user_values(sent)
            if isinstance(sent, dict) and _PASSWORDS & sent.keys():
                raise UsageError(
                    "there are no passwords here: who logs in sends a token",
                    help="see: gitindex token create, gitindex token revoke",
                )

            def modify(snapshot: Snapshot) -> Plan:
                return owners.modify_user(snapshot, name, [f"{key}={value}" for key, value in values.items()])

            return await _written(
                call, modify if values else None, f"modify user {name}", lambda: _said(HTTPStatus.OK, "user updated")
            )
        case _:
            return await _written(
                call,
                lambda snapshot: owners.delete_user(snapshot, name),
                f"delete user {name}",
                lambda: _said(HTTPStatus.OK, f"user {name!r} deleted"),
            )


def _user_values(sent: Any) -> dict[str, str]:
    if not isinstance(sent, dict):
        raise BodyError(HTTPStatus.BAD_REQUEST, "Bad request: wanted an object")
    if unknown := sorted(sent.keys() - {*_OF_USERS, *_PASSWORDS, "username", "indexes"}):
        raise BodyError(HTTPStatus.BAD_REQUEST, f"Unknown keys in user config: {', '.join(unknown)}")
    values = {key: "" if sent[key] is None else sent[key] for key in _OF_USERS if key in sent}
    for key, value in values.items():
        if not isinstance(value, str):
            raise BodyError(HTTPStatus.BAD_REQUEST, f"{key} must be a text")
    return values


async def _show_user(call: Call, name: str) -> Answer:
    snapshot = call.state.reading.current.snapshot
    config = await call.state.read(lambda: user_config(snapshot, name))
    return document("userconfig", config, status=HTTPStatus.CREATED)


async def index(call: Call, target: Index) -> Answer:
    """Create, change or delete an index."""
    reader, name = call.reader, target.name
    if reader is None or not reader.may_define(name):
        return forbidden(f"define the index {name}: see gitindex token create --define {name}")
    match call.method:
        case "PUT":
            values = _index_values(await read_json(call))
            kind = values.pop("type", "stage")
            if kind not in {"stage", "mirror"}:
                raise UsageError(f"unknown index type {kind!r}", help="there are stage and mirror")
            if kind == "mirror" and values.get("volatile", "").lower() in _UNTRUE:
                del values["volatile"]  # so it is anyway
            settings = [f"{key}={value}" for key, value in values.items()]

            def create(snapshot: Snapshot) -> Plan:
                if snapshot.user(name.user) is None:
                    raise NotThereError(f"no user {name.user!r}")
                if snapshot.index(name) is not None:
                    raise ConflictError(f"index {str(name)!r} exists")
                return owners.create_index(snapshot, name, {"type": kind}, settings)

            return await _written(call, create, f"create index {name}", lambda: _show_index(call, target))
        case "PATCH":
            settings = _settings(await read_json(call))

            def modify(snapshot: Snapshot) -> Plan:
                opened = snapshot.index(name)
                if opened is None:
                    raise NotThereError(f"The stage {name} could not be found.")
                kept = [setting for setting in settings if not _says_what_is(index_config(opened), setting)]
                if not kept and "error_on_noop" in call.query:
                    raise UsageError("The requested modifications resulted in no changes")
                return owners.modify_index(snapshot, name, kept) if kept else Plan()

            return await _written(call, modify, f"modify index {name}", lambda: _show_index(call, target))
        case _:
            return await _written(
                call,
                lambda snapshot: owners.delete_index(snapshot, name),
                f"delete index {name}",
                lambda: _said(HTTPStatus.CREATED, f"index {name} deleted"),
            )


async def _show_index(call: Call, target: Index) -> Answer:
    snapshot = call.state.reading.current.snapshot
    opened = await call.state.read(lambda: snapshot.index(target.name))
    config = {} if opened is None else await call.state.read(lambda: index_config(opened, projects=False))
    return document("indexconfig", config)


def _index_values(sent: Any) -> dict[str, str]:
    """Return settings as they are written on a command line."""
    if not isinstance(sent, dict):
        raise BodyError(HTTPStatus.BAD_REQUEST, "Bad request: wanted an object")
    return {str(key): _written_as(str(key), value) for key, value in sent.items() if key != "projects"}


def _written_as(key: str, value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case None:
            return ""
        case str() | int():
            return _cleaned(key, str(value).split(",")) if key == "bases" else str(value)
        case list() if all(isinstance(item, str) for item in value):
            return _cleaned(key, value)
        case _:
            raise BodyError(
                HTTPStatus.BAD_REQUEST, f"{key} must be a text, a number, true or false, or a list of texts"
            )


def _cleaned(key: str, items: Sequence[str]) -> str:
    """Return a list as it is written; devpi takes bases with slashes around them."""
    return ",".join(item.strip().strip("/") if key == "bases" else item for item in items)


def _settings(sent: Any) -> list[str]:
    """Return the changes of an index: those of devpi's client, or all of its settings with some changed."""
    if isinstance(sent, list):
        if not all(isinstance(item, str) for item in sent):
            raise BodyError(
                HTTPStatus.BAD_REQUEST, "Bad request: wanted a list of key=value, key+=value and key-=value"
            )
        return [_cleaned_setting(item) for item in sent]
    return [f"{key}={value}" for key, value in _index_values(sent).items()]


def _cleaned_setting(setting: str) -> str:
    left, equals, value = setting.partition("=")
    if equals and left.rstrip("+-") == "bases":
        return f"{left}={_cleaned('bases', value.split(','))}"
    return setting


def _says_what_is(config: Mapping[str, Any], setting: str) -> bool:
    """Tell whether a setting is the one that there is: who sends all of them changes only some."""
    key, equals, value = setting.partition("=")
    if not equals or key[-1:] in {"+", "-"}:
        return False
    if key == "type":
        if value != config.get("type"):
            raise UsageError("the 'type' of an index can't be changed")
        return True
    if isinstance(config.get(key), bool):
        return value.lower() in (_UNTRUE if config[key] is False else {"true", "yes"})
    return key in config and value == _written_as(key, config[key])


async def _written(call: Call, change: Callable[[Snapshot], Plan] | None, name: str, then: Callable[[], Any]) -> Answer:
    """Make a change, and answer as *then* says."""
    if change is not None:
        written = await write(call, change, name, is_kept=call.method != "PUT")
        if isinstance(written, Answer):
            return written
    answer: Answer = await then()
    return answer


async def _said(status: HTTPStatus, message: str) -> Answer:
    return said(status, message)
