"""Gives each request of devpi's protocol to whoever answers it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from gitindex.errors import GitindexError
from gitindex.server import targets as own
from gitindex.server.answers import Answer
from gitindex.server.devpi import entering, getting, refreshing
from gitindex.server.devpi.call import failed, no_index, no_user, not_writable, refused
from gitindex.server.devpi.targets import (
    Api,
    File,
    Index,
    Login,
    Misnamed,
    Project,
    Refresh,
    Result,
    Root,
    Target,
    User,
    Version,
    parse,
)
from gitindex.server.negotiation import Format
from gitindex.server.outcomes import TooBusyError

if TYPE_CHECKING:
    from gitindex.server.devpi.call import Call
    from gitindex.server.targets import StoredFile

_OURS = (own.ProjectList, own.SimpleProject, own.StoredFile, own.MirroredFile, own.Own)
"""What keeps its meaning whatever devpi would have at such a path."""


async def answer(call: Call) -> Answer | StoredFile | None:
    """Return the answer, the stored file that is asked for, or ``None`` where it is no request of devpi's protocol."""
    target = parse(call.raw_path)
    if target is None or (call.is_reading and not isinstance(target, Api) and _is_ours(call.raw_path)):
        return None
    try:
        return await (_read(call, target) if call.is_reading else _write(call, target))
    except TooBusyError:
        raise
    except GitindexError as error:
        return failed(error)


def _is_ours(raw_path: bytes) -> bool:
    asked = own.parse(raw_path)
    return asked.revision is not None or isinstance(asked.target, _OURS)


async def _read(call: Call, target: Target) -> Answer | StoredFile | None:
    match target:
        case Api():
            return await entering.api(call, target)
        case File() | Result():
            # Another index than the one that has it may show it: that is asked of the file.
            if (no := refused(call, None)) is not None:
                return no
            return await (getting.file(call, target) if isinstance(target, File) else getting.result(call, target))
        case Login() | Refresh():
            return None
    if call.format is not Format.DEVPI:
        return None
    match target:
        case Root():
            return refused(call, None) or await getting.users(call)
        case User(name):
            return refused(call, None) or await getting.user(call, name)
        case Misnamed():
            return refused(call, None) or _unknown(target)
        case Index(name):
            # Devpi's client goes on after a 403, to the login, and after no 401.
            return refused(call, name, stranger=HTTPStatus.FORBIDDEN) or await getting.index(call, target)
        case Project():
            return refused(call, target.index) or await getting.project(call, target)
        case Version():
            return refused(call, target.index) or await getting.version(call, target)


def _unknown(target: Misnamed) -> Answer:
    return no_index(target.text) if "/" in target.text else no_user(target.text)


async def _write(call: Call, target: Target) -> Answer | None:
    """Answer what changes something; ``None`` for what is no request of devpi's, and for uploads, which are PyPI's."""
    match call.method, target:
        case "POST", Login():
            return await entering.login(call)
        case "POST", Refresh():
            return refused(call, target.index) or await refreshing.refresh(call, target)
        case "POST", Index() if not call.header(b"content-type").startswith("application/json"):
            return None
        case _ if not _is_known(call.method, target):
            return None
    if (no := not_writable(call)) is not None:
        return no
    from gitindex.server.devpi import owning, releasing  # noqa: PLC0415 - most servers only read

    match target:
        case Misnamed():
            return _unknown(target) if call.method == "DELETE" else owning.misnamed(target)
        case User():
            return await owning.user(call, target)
        case Index() if call.method == "POST":
            return refused(call, target.name) or await releasing.push(call, target.name)
        case Index():
            return await owning.index(call, target)
        case File() if call.method == "POST":
            return await releasing.record(call, target)
        case Project() | Version() | File():
            return await releasing.remove(call, target)
        case _:
            return None


def _is_known(method: str, target: Target) -> bool:
    """Tell whether devpi's protocol has a method for a target."""
    match target:
        case User():
            return method in {"PUT", "PATCH", "DELETE"}
        case Index():
            return method in {"PUT", "PATCH", "DELETE", "POST"}
        case Misnamed():
            return method in {"PUT", "PATCH", "DELETE"}
        case File():
            return method in {"POST", "DELETE"}
        case Project() | Version():
            return method == "DELETE"
        case _:
            return False
