"""A file of the cache that is open: kept, or still on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Protocol

from gitindex.server.filecache.download import Stage
from gitindex.server.filecache.intake import BrokenFileError
from gitindex.server.filecache.part import Bytes

PIECE = 1 << 16
"""Bytes that are read at once, at most: a slow client holds two of these, one on its way and one that waits."""


class Source(Protocol):
    """Where an open file gets its bytes."""

    @property
    def stage(self) -> Stage: ...

    async def changed(self) -> None: ...

    def leave(self) -> None: ...


class KeptSource:
    """A file from the cache."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self.stage = Stage(0, data, data.size, data.size, is_proven=True)

    async def changed(self) -> None:
        """Return at once: there is nothing to wait for."""

    def leave(self) -> None:
        self._data.close()


class OpenFile:
    """A file that is read, kept or still on its way; whatever becomes of the cache, until it is closed."""

    def __init__(self, source: Source) -> None:
        self._source: Source = source
        self._attempt = source.stage.attempt
        self._has_sent = self._is_closed = False
        self.size = source.stage.size
        """Bytes; ``None`` where neither the page nor the server says it before the end."""

    async def is_proven(self, within: float) -> bool:
        """Tell whether all of it is here, and right; wait for that so many seconds at the most.

        Raises:
            BrokenFileError: it is not right, or does not come.

        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not self._stage().is_proven:
                    await self._source.changed()
        return self._stage().is_proven

    async def pieces(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from *start* until before *stop*, or the end, in pieces of at most 64 KiB.

        Raises:
            BrokenFileError: the rest does not come, or the bytes are not those of the file. What was yielded is not
                the whole: the last 64 KiB of a file are yielded only once all of it is proven.

        """
        position = start
        while stop is None or position < stop:
            stage = self._stage()
            end = stage.released if stop is None else min(stop, stage.released)
            if position < end and stage.data is not None:
                piece = await self._read(stage.data, position, min(PIECE, end - position))
                if piece:
                    self._has_sent = True
                    position += len(piece)
                    yield piece
            elif stage.is_proven:
                return
            else:
                await self._source.changed()

    async def _read(self, data: Bytes, position: int, size: int) -> bytes:
        """Read; return nothing where the bytes start anew meanwhile."""
        try:
            piece = await data.read(position, size)
        except OSError as error:
            raise BrokenFileError(f"the disk of the file cache fails: {error.strerror or error}") from None
        if self._stage().data is not data or data.is_closed:
            return b""
        if not piece:
            raise BrokenFileError("a file of the cache became shorter while it was read")
        return piece

    def _stage(self) -> Stage:
        stage = self._source.stage
        if self._is_closed:
            raise BrokenFileError("the file was closed while it was read")
        if stage.error is not None:
            if isinstance(stage.error, BrokenFileError):
                raise stage.error
            raise BrokenFileError(f"the download ended: {stage.error}") from stage.error
        if stage.attempt != self._attempt:
            if self._has_sent or (self.size is not None and stage.size not in {None, self.size}):
                raise BrokenFileError("the download starts anew, and what came before is not proven to be the same")
            self._attempt = stage.attempt
        return stage

    def close(self) -> None:
        """Let go of the file; its download goes on."""
        if not self._is_closed:
            self._is_closed = True
            self._source.leave()
