"""Requests that change something: who may ask for what, and who does it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from gitindex.server.access import CHALLENGE, Reader
from gitindex.server.answers import Answer
from gitindex.server.body import BodyError
from gitindex.server.delivery import Exchange
from gitindex.server.failures import Failure, told
from gitindex.server.targets import PeoplesPage, parse

if TYPE_CHECKING:
    from gitindex.server.state import State

_READS = (b"allow", b"GET, HEAD")
_NO_TOKEN = "a token is needed: send it as the password of the user __token__"
_WRONG_TOKEN = "this token is wrong, has expired or was revoked"


def check_known(state: State, exchange: Exchange) -> None:
    """Make sure that who began to send something long is still known.

    Raises:
        BodyError: their token was revoked meanwhile, or has expired.

    """
    if state.access.of(exchange.authorization) is None:
        raise BodyError(HTTPStatus.FORBIDDEN, "the token was revoked or has expired while this was sent")


async def change(state: State, exchange: Exchange, raw_path: bytes, reader: Reader | None) -> Answer:
    """Answer a request that is no GET or HEAD; *reader* is who asks, ``None`` for a token that is wrong.

    Raises:
        GoneError: the client has gone.

    """
    if not state.options.is_writable:
        text = "only GET and HEAD are answered here: the server is not started with --writable"
        return told(exchange, Failure(HTTPStatus.METHOD_NOT_ALLOWED, (text,)), _READS)
    if reader is None or not reader.is_known:
        text = _WRONG_TOKEN if reader is None else _NO_TOKEN
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
