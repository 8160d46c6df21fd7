"""Requests that change something: who may ask for what, and who does it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from gitindex.model import Mirror, Stage
from gitindex.names import IndexName
from gitindex.rights import Rights
from gitindex.server.access import CHALLENGE, NO_TOKEN, WRONG_TOKEN, Reader
from gitindex.server.answers import Answer
from gitindex.server.body import BodyError
from gitindex.server.delivery import Exchange
from gitindex.server.failures import Failure, told
from gitindex.server.targets import PeoplesPage, parse

if TYPE_CHECKING:
    from gitindex.server.state import State
    from gitindex.snapshot import Snapshot

_READS = (b"allow", b"GET, HEAD")


def check_known(state: State, exchange: Exchange) -> None:
    """Make sure that who began to send something long is still known.

    Raises:
        BodyError: their token was revoked meanwhile, or has expired.

    """
    if state.access.of(exchange.authorization) is None:
        raise BodyError(HTTPStatus.FORBIDDEN, "the token was revoked or has expired while this was sent")


def may_not_release(snapshot: Snapshot, index: IndexName, reader: Reader) -> Failure | None:
    """Return why a user can release nothing to an index, whatever it is; the rules judge what is released."""
    opened = snapshot.index(index)
    definition = opened.definition if opened else None
    if definition is None:
        return Failure(HTTPStatus.NOT_FOUND, (f"there is no index {index}",))
    if isinstance(definition, Mirror):
        return Failure(HTTPStatus.FORBIDDEN, (f"{index} is a mirror: nobody can upload to it",))
    rights = Rights(snapshot)
    actor = rights.actor(reader.user or "")
    if isinstance(definition, Stage) and not rights.may_release(actor, index):
        return Failure(HTTPStatus.FORBIDDEN, (f"{actor} may not release to {index}: see acl_upload of that index",))
    return None


async def change(state: State, exchange: Exchange, raw_path: bytes, reader: Reader | None) -> Answer:
    """Answer a request that is no GET or HEAD; *reader* is who asks, ``None`` for a token that is wrong.

    Raises:
        GoneError: the client has gone.

    """
    if not state.options.is_writable:
        text = "only GET and HEAD are answered here: the server is not started with --writable"
        return told(exchange, Failure(HTTPStatus.METHOD_NOT_ALLOWED, (text,)), _READS)
    if reader is None or not reader.is_known:
        text = WRONG_TOKEN if reader is None else NO_TOKEN
        return told(exchange, Failure(HTTPStatus.UNAUTHORIZED, (text,)), (b"www-authenticate", CHALLENGE))
    asked = parse(raw_path if raw_path.endswith(b"/") else raw_path + b"/")
    match exchange.scope["method"], asked.target:
        case "POST", PeoplesPage(index=index, project=None, is_feed=False) if index and asked.revision is None:
            if not reader.may_upload(index):
                return told(exchange, Failure(HTTPStatus.FORBIDDEN, (f"this token may not upload to {index}",)))
            from gitindex.server.uploads import upload  # noqa: PLC0415 - most servers only read

            return await upload(state, exchange, index, reader)
        case _:
            text = "only GET and HEAD are answered here; uploads go to /USER/INDEX/"
            return told(exchange, Failure(HTTPStatus.METHOD_NOT_ALLOWED, (text,)), _READS)
