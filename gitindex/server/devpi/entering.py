"""`+api` and `+login`: where things are, and who asks."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gitindex.model import Mirror
from gitindex.server.answers import Answer
from gitindex.server.devpi.call import document, no_index, read_json, said
from gitindex.server.devpi.targets import Api

if TYPE_CHECKING:
    from gitindex.server.devpi.call import Call
    from gitindex.snapshot import Snapshot

FEATURES = ("push-no-docs", "push-register-project", "server-keyvalue-parsing")
"""What devpi's client asks about before it uses it; `push-only-docs` is not among them, as there are no docs."""

NOBODY = "__token__"
"""Who logs in with a token that only reads, and so stands for no user."""
_LARGEST_LOGIN = 1 << 14
"""Bytes: anybody may send them, as often as there are connections."""
_FOR_EVER = 10 * 365 * 86400
"""Seconds; devpi's client wants a number."""
_HOW = "the password is a token; see: gitindex token create --help"


async def api(call: Call, target: Api) -> Answer:
    """Return where things are: to all, so that devpi's client learns where to log in.

    Of an index that may not be read it says the same whether or not it is there.
    """

    def read() -> tuple[str, list[Any], bool, bool]:
        snapshot = call.state.reading.current.snapshot
        opened = snapshot.index(target.index) if target.index is not None else None
        is_mirror = opened is not None and isinstance(opened.definition, Mirror)
        return call.root(snapshot), _status(call, snapshot), opened is not None, is_mirror

    root, status, is_there, is_mirror = await call.state.read(read)
    result: dict[str, Any] = {"login": f"{root}/+login", "authstatus": status, "features": list(FEATURES)}
    if target.index is not None:
        is_told = call.reader is not None and call.reader.may_read(target.index)
        if is_told and not is_there:
            return no_index(target.index)
        index = f"{root}/{target.index}"
        result |= {"index": index, "simpleindex": f"{index}/+simple/"}
        if not (is_told and is_mirror):
            result["pypisubmit"] = f"{index}/"
    return document("apiconfig", result)


def _status(call: Call, snapshot: Snapshot) -> list[Any]:
    reader = call.reader
    if reader is None:  # devpi's client then forgets what it has sent
        return ["expired", "", []]
    if not reader.name:
        return ["noauth", "", []]
    groups = [name for name, members in snapshot.settings.groups.items() if reader.user in members]
    return ["ok", reader.user or NOBODY, groups]


async def login(call: Call) -> Answer:
    """Return the token that was sent as a password, and for how long it is valid: there is no other session.

    Raises:
        BodyError: nothing of the kind was sent.
        GoneError: the client has gone.

    """
    sent = await read_json(call, _LARGEST_LOGIN)
    user, password = (sent.get("user"), sent.get("password")) if isinstance(sent, dict) else (None, None)
    if not isinstance(user, str) or not isinstance(password, str):
        return said(HTTPStatus.BAD_REQUEST, "Bad request: no user/password specified")
    access = call.state.access
    authorization = b"Basic " + base64.b64encode(f"{user}:{password}".encode())
    reader = access.of_new(authorization)
    if reader is None or not reader.name or (reader.user or NOBODY) != user:
        whose = f"that token is for {reader.user or NOBODY}" if reader is not None and reader.name else _HOW
        return said(HTTPStatus.UNAUTHORIZED, f"user {user!r} could not be authenticated: {whose}")
    left = access.seconds_left(authorization)
    result = {"password": password, "expiration": _FOR_EVER if left is None else int(left)}
    return document("proxyauth", result, message="login successful")
