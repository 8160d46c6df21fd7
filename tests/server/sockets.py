"""The server on a socket, in the loop of the test, and clients that send bytes of their own choice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from gitindex.server.connection import Patience
from gitindex.server.live import Source
from gitindex.server.run import Server, bind, configured
from gitindex.server.state import Options, State

WAIT = 30.0
"""Seconds in which what has to happen happens, however slow the machine is."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    head: bytes
    body: bytes


_OPEN: list[Line] = []
"""What a test has opened, and may have left open."""


class Line:
    """A connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, *, limit: int = 1 << 16) -> Self:
        """Connect; so many bytes, twice, are read before anybody asks for them."""
        line = cls(*await asyncio.open_connection("127.0.0.1", port, limit=limit))
        _OPEN.append(line)
        return line

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, path: str, *headers: str, method: str = "GET") -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def head(self) -> bytes:
        async with asyncio.timeout(WAIT):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> Answer:
        """Read an answer whose length is stated."""
        head = await self.head()
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        async with asyncio.timeout(WAIT):
            body = await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
        return Answer(int(head.split(b" ", 2)[1]), head, body)

    async def is_closed(self) -> bytes:
        """Wait until the server closes the connection, and return what came before."""
        found = bytearray()
        async with asyncio.timeout(WAIT):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(1 << 16):
                    found += piece
        return bytes(found)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Running(NamedTuple):
    """A server that runs."""

    port: int
    state: State
    server: Server

    async def lets_go(self) -> None:
        """Wait until it has no connection."""
        for _ in range(int(WAIT / 0.02)):
            if not self.server.server_state.connections:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(self.server.server_state.connections)


@asynccontextmanager
async def running(place: Path, cache: Path, patience: Patience, **options: Any) -> AsyncIterator[Running]:
    """Serve on a free port, and stop in order."""
    listening = bind("127.0.0.1", 0)
    state = State(Options(Source(place, None), cache, **options))
    server = Server(configured(state, patience))
    await state.start()
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield Running(listening.getsockname()[1], state, server)
    finally:
        server.should_exit = True
        async with asyncio.timeout(WAIT):
            await task
        await state.close()


def run(
    place: Path, cache: Path, patience: Patience, check: Callable[[Running], Awaitable[None]], **options: Any
) -> None:
    """Run a check against a server, in the very loop that servers have."""
    import uvloop

    async def main() -> None:
        async with running(place, cache, patience, **options) as found:
            try:
                async with asyncio.timeout(4 * WAIT):
                    await check(found)
            finally:
                while _OPEN:
                    line = _OPEN.pop()
                    line.writer.transport.abort()
                    await line.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def get(port: int, path: str, *headers: str) -> Answer:
    """Ask for something on a connection of its own."""
    line = await Line.open(port)
    try:
        await line.ask(path, *headers, "Connection: close")
        return await line.answer()
    finally:
        await line.close()
