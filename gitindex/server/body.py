"""Reads the body of a request: no more of it than is wanted, in no more time than it may take."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING

from gitindex.errors import GitindexError
from gitindex.server.delivery import GoneError

if TYPE_CHECKING:
    from gitindex.server.delivery import Exchange


STALLED = 60.0
"""Seconds in which a client has to send something of a body."""


class BodyError(GitindexError):
    """A body that is not taken: with which status, and why."""

    def __init__(self, status: HTTPStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


async def body_pieces(exchange: Exchange, most: int, seconds: float = math.inf) -> AsyncGenerator[bytes, None]:
    """Yield the body of a request as it comes, up to *most* bytes, all of it within so many seconds.

    It must not stand still for longer than :data:`STALLED`. A piece has no more than a connection holds (see
    `connection`): who keeps none of them needs little memory.

    Raises:
        BodyError: it is larger, takes longer, or stands still.
        GoneError: the client has gone before its end.

    """
    stated = next((value for name, value in exchange.scope["headers"] if name == b"content-length"), b"")
    if stated.isdigit() and int(stated[:_MOST_DIGITS]) > most:
        raise _too_large(most)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    size = 0
    while True:
        try:
            async with asyncio.timeout_at(min(end, loop.time() + STALLED)):
                message = await exchange.receive()
        except TimeoutError:
            is_late = loop.time() >= end
            problem = f"did not come to its end in {seconds:g} seconds" if is_late else "stood still for too long"
            raise BodyError(HTTPStatus.REQUEST_TIMEOUT, f"the body {problem}") from None
        if message["type"] == "http.disconnect":
            raise GoneError
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise _too_large(most)
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


async def read_body(exchange: Exchange, most: int, seconds: float) -> bytes:
    """Return the body of a request, of *most* bytes at the most, all of it read within so many seconds.

    Raises:
        BodyError: it is larger, or takes longer.
        GoneError: the client has gone before its end.

    """
    found = bytearray()
    async with aclosing(body_pieces(exchange, most, seconds)) as pieces:
        async for piece in pieces:
            found += piece
    return bytes(found)


def _too_large(most: int) -> BodyError:
    return BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {most:,} bytes")


_MOST_DIGITS = 20
"""Of a number of bytes; more of them make it larger than anything."""
