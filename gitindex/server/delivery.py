"""Sends files: whole or a part, in pieces, from a disk, from memory, or while they are still being downloaded."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

from gitindex.errors import CannotRunError
from gitindex.server.answers import FOR_MACHINES, SECURE, Answer, Headers, in_words
from gitindex.server.ranges import Part, wanted_part

PIECE = 1 << 16
"""Bytes: larger ones are hardly faster, and a slow client holds two of them."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


Changed = tuple[int, int]
"""Size, and when it was written to last, in nanoseconds. Git removes what it replaces, which changes neither."""


def changed_at(found: os.stat_result) -> Changed:
    """Return when an open file was changed."""
    return found.st_size, found.st_mtime_ns


class GoneError(Exception):
    """The client has gone, and takes nothing any more."""


class Exchange:
    """A request, and what is sent for it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, authorization: bytes | None = None) -> None:
        self.scope = scope
        self.authorization = authorization
        """What was sent to say who asks."""
        self.is_started = False
        """Whether the head of an answer was sent."""
        self._receive = receive
        self._send = send
        self._gone: asyncio.Task[None] | None = None

    async def receive(self) -> dict[str, Any]:
        """Take the next piece of the request's body, as ASGI has it; not together with :meth:`watch`."""
        return await self._receive()

    async def send(self, message: dict[str, Any]) -> None:
        """Send a part of the answer.

        Raises:
            GoneError: nobody takes it, where that is watched.

        """
        self.is_started = True
        if self._gone is not None and self._gone.done():
            raise GoneError
        await self._send(message)

    def watch(self) -> None:
        """Notice when the client goes: what is sent then goes nowhere, without an error."""
        self._gone = asyncio.ensure_future(self._wait())

    def forget(self) -> None:
        """Watch no longer."""
        if self._gone is not None:
            self._gone.cancel()

    async def _wait(self) -> None:
        # A body that nobody reads must not hold up the others.
        while (await self._receive())["type"] != "http.disconnect":  # noqa: ASYNC110
            await asyncio.sleep(0)


class Bytes(Protocol):
    """What has the bytes of a file."""

    size: int | None
    """``None`` where it is not known before the end."""

    async def is_proven(self, within: float) -> bool:
        """Tell whether all of it is known to be right, in so many seconds at the latest."""

    def pieces(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from *start* up to *stop*."""

    def close(self) -> None:
        """Let go of it."""


class InMemory:
    """A small file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size: int | None = len(data)

    async def is_proven(self, within: float) -> bool:
        del within
        return True

    async def pieces(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        yield self._data[start:stop]

    def close(self) -> None:
        """Nothing is held."""


class OpenOnDisk:
    """A file of its own; it stays the one that was opened, whatever becomes of its name."""

    def __init__(self, descriptor: int, size: int, changed: Changed | None = None) -> None:
        """Take an open file of *size* bytes, which is wrong if it is written to after it was last *changed*."""
        self._descriptor = descriptor
        self._changed = changed
        self.size: int | None = size

    async def is_proven(self, within: float) -> bool:
        del within
        return True

    @classmethod
    def at(cls, path: Path, size: int) -> Self:
        """Open the file at *path*.

        Raises:
            CannotRunError: it cannot be read, or has another size.

        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise CannotRunError(f"{path.name}: cannot be read: {error.strerror}") from None
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            os.close(descriptor)
            raise CannotRunError(f"{path.name}: is not the file that was released")
        return cls(descriptor, size)

    async def pieces(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        end = self.size if stop is None else stop
        loop = asyncio.get_running_loop()
        while end is not None and start < end:
            # A disk may take its time; the others do not wait for it.
            piece = await loop.run_in_executor(None, os.pread, self._descriptor, min(PIECE, end - start), start)
            if not piece:
                raise CannotRunError("the file has become shorter while it was sent")
            start += len(piece)
            if start >= end and self._changed not in {None, changed_at(os.fstat(self._descriptor))}:
                raise CannotRunError("the file was written to while it was sent")
            yield piece

    def close(self) -> None:
        os.close(self._descriptor)


class FileHead(NamedTuple):
    """What is said of a file before its bytes."""

    content_type: bytes
    etag: bytes
    """Empty where the bytes may be others next time."""
    caching: bytes
    size: int | None
    """Bytes, ``None`` where it is not known."""
    readers: Literal["all", "strangers", "known"] = "all"
    """Whom a shared cache may hand it to: everybody, those without a token, or nobody."""

    def headers(self) -> Headers:
        """Return the headers of the whole file and of any part. It is never compressed: pip hashes what it gets."""
        # A part can be asked for where it can be told of what file it is one.
        parts: Headers = ((b"accept-ranges", b"bytes"),) if self.size is not None else ()
        return (
            *self.others(),
            *parts,
            *SECURE,
            *(((b"etag", self.etag),) if self.etag else ()),
        )

    def others(self) -> Headers:
        """Return the headers that do not depend on how it is sent."""
        caching = b"private, " + self.caching if self.readers == "known" else self.caching
        varies: Headers = () if self.readers == "all" else ((b"vary", b"Authorization"),)
        return ((b"content-type", self.content_type), (b"cache-control", caching), *varies, *FOR_MACHINES)


def part_of(head: FileHead, range_: bytes | None, condition: bytes | None) -> Part | Answer | None:
    """Return the part that is wanted, ``None`` for the whole file, or the answer that there is no such part.

    *range_* is the header `Range`, *condition* the header `If-Range`.
    """
    if head.size is None or range_ is None:
        return None
    part = wanted_part(range_, condition, head.etag, head.size)
    if part == "none":
        return in_words(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"the file has {head.size} bytes",
            (b"content-range", b"bytes */%d" % head.size),
        )
    return part


def start_of(head: FileHead, part: Part | None) -> Mapping[str, Any]:
    """Return the start of the answer, as ASGI has it."""
    headers = list(head.headers())
    status = HTTPStatus.OK
    if part is not None:
        status = HTTPStatus.PARTIAL_CONTENT
        headers.append((b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, head.size or 0)))
        headers.append((b"content-length", b"%d" % (part.stop - part.start)))
    elif head.size is not None:
        headers.append((b"content-length", b"%d" % head.size))
    return {"type": "http.response.start", "status": int(status), "headers": headers}


async def deliver(send: Send, head: FileHead, part: Part | None, source: Bytes) -> int:
    """Send a file or a part of it, and return how many bytes that were.

    Raises:
        CannotRunError: the bytes cannot be had, or turn out to be wrong; then the answer is not sent to its end, and
            the connection has to be broken off, so that no client takes it for the whole.

    """
    start, stop = (part.start, part.stop) if part is not None else (0, head.size)
    pieces = source.pieces(start, stop)
    sent = 0
    started = False
    async with aclosing(pieces):
        async for piece in pieces:
            if not started:
                await send(dict(start_of(head, part)))
                started = True
            sent += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    if not started:
        await send(dict(start_of(head, part)))
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return sent
