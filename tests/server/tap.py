"""An upstream that does what a test, or another process's input, tells it to, step by step.

Run as a program, it opens one file of a cache, and reads it to the end; each line of its input is a step of the fetch.
Its words: the folder, the bytes of spare memory, the most bytes of a file that it can write, and whether it reads late.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, closing
from pathlib import Path
from queue import SimpleQueue

from gitindex.download import Sink, UnreachableError
from gitindex.server.filecache import BrokenFileError, Fetch, FileCache, OpenFile, Wanted

DATA = random.Random(4).randbytes(500_000)  # noqa: S311
SHA256 = hashlib.sha256(DATA).hexdigest()
WANTED = Wanted(("pypi", "a", "a-1.whl"), SHA256, len(DATA))
BOUND = 60
"""Seconds after which a test has failed."""

Step = Callable[[Sink], object]


class EndError(Exception):
    """Ends the fetch."""


class Tap:
    """A fetch that waits for each of its steps."""

    def __init__(self) -> None:
        self.asked = 0
        self._steps: SimpleQueue[Step] = SimpleQueue()

    def __call__(self, sink: Sink) -> None:
        self.asked += 1
        try:
            while True:
                self._steps.get(timeout=BOUND)(sink)
        except EndError:
            return

    def begin(self, size: int | None = None) -> None:
        self._steps.put(lambda sink: sink.begin(size))

    def add(self, piece: bytes) -> None:
        self._steps.put(lambda sink: sink.add(piece))

    def fail(self, error: Exception) -> None:
        def step(_: Sink) -> None:
            raise error

        self._steps.put(step)

    def end(self) -> None:
        self.fail(EndError())


def sending(data: bytes, size: int | None = None, piece: int = 50_000) -> Fetch:
    """Return a fetch that sends all at once."""

    def fetch(sink: Sink) -> None:
        sink.begin(size)
        for start in range(0, len(data), piece):
            sink.add(data[start : start + piece])

    return fetch


def no_fetch(_: Sink) -> None:
    raise AssertionError("upstream is asked, though the file is kept")


async def read(file: OpenFile, start: int = 0, stop: int | None = None) -> bytes:
    """Return the bytes, and close the file."""
    with closing(file):
        return b"".join([piece async for piece in file.pieces(start, stop)])


async def get(cache: FileCache, wanted: Wanted, fetch: Fetch) -> bytes:
    """Open and read a file."""
    async with asyncio.timeout(BOUND):
        return await read(await cache.open(wanted, fetch))


async def take(pieces: AsyncIterator[bytes], size: int) -> bytes:
    """Return the next bytes, *size* or a few more."""
    taken = b""
    async with asyncio.timeout(BOUND):
        while len(taken) < size:
            taken += await anext(pieces)
    return taken


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # one call: two threads speak


def _obey(sink: Sink) -> None:
    _say("asked")
    for line in sys.stdin:
        match line.split():
            case ["begin"]:
                sink.begin(len(DATA))
            case ["add", start, stop]:
                sink.add(DATA[int(start) : int(stop)])
            case ["fail"]:
                raise UnreachableError("the network is down")
            case ["end"]:
                return
        _say("did", line.strip())


async def _until_idle(cache: FileCache) -> None:
    while cache.statistics().downloads:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def _main(folder: str, spare: str, *, is_late: bool) -> None:
    cache = FileCache(Path(folder), limit=1 << 30, largest=1 << 30, spare=int(spare))
    try:
        file = await cache.open(WANTED, _obey)
        _say("opened", file.size)
        if is_late:
            await _until_idle(cache)
        digest = hashlib.sha256()
        with closing(file):
            async with aclosing(file.pieces()) as pieces:
                async for piece in pieces:
                    digest.update(piece)
                    _say("received", len(piece))
        _say("whole" if digest.hexdigest() == SHA256 else "wrong", cache.find(WANTED.key) is not None)
    except BrokenFileError as error:
        _say("broken", error)
    except Exception as error:  # noqa: BLE001
        _say("failed", type(error).__name__, error)
    await _until_idle(cache)
    _say("problem", cache.statistics().problem)
    await cache.close()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
    asyncio.run(_main(sys.argv[1], sys.argv[2], is_late=sys.argv[4:] == ["late"]))
