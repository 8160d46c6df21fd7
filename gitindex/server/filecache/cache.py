"""The cache as a server uses it: opens files, and decides what is downloaded when."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from pathlib import Path
from typing import NamedTuple

from gitindex.errors import DeliveryError
from gitindex.server.filecache.download import Download, Setting, closed_error
from gitindex.server.filecache.intake import Fetch, Wanted
from gitindex.server.filecache.part import Bytes, Spare
from gitindex.server.filecache.reading import KeptSource, OpenFile
from gitindex.server.filecache.store import FileStore

_GRACE = 2.0
"""Seconds that closing waits for threads."""


class BusyError(DeliveryError):
    """More downloads wait for their turn than may."""


class CacheStatistics(NamedTuple):
    """How a cache does. The files are those of all processes that share it; what was done is of this process."""

    files: int
    bytes: int
    is_counted: bool
    """Whether the files that were there when the folder was first used are in these numbers yet."""
    hits: int
    misses: int
    """How often a file was not kept yet: it was downloaded, or was on its way."""
    evicted: int
    downloads: int
    """Under way, or waiting for their turn."""
    problem: str | None
    """What the disk refused last; what it does not take is sent all the same, and not kept."""


class FileCache:
    """A cache in *folder*, which other processes may share; for the tasks of one event loop.

    *limit* is what the kept files may have together, *largest* what one may have, and *spare* what downloads may take
    of the memory where the disk takes no more; all in bytes. Besides the kept files there are on the disk those that
    are on their way. So many *downloads* go on at once, a thread each, and so many others may be *waiting*.

    Raises:
        CannotRunError: the folder cannot be made, or not be written to. A disk that is full is no reason.

    """

    def __init__(
        self,
        folder: Path,
        *,
        limit: int,
        largest: int,
        downloads: int = 16,
        waiting: int = 1024,
        spare: int = 1 << 26,
    ) -> None:
        self._stopped = threading.Event()
        self._store = FileStore(folder, limit, self._stopped)
        self._spare = Spare(spare)
        self._setting = Setting(self._store, self._spare, min(largest, limit), self._stopped, self._note)
        self._most_running = downloads
        self._most_queued = waiting
        self._downloads: dict[Wanted, Download] = {}
        self._queue: deque[Download] = deque()
        self._running: set[Download] = set()
        self._idle = asyncio.Event()
        self._hits = self._misses = 0
        self._problem: str | None = None
        self._counting: threading.Thread | None = None
        if not self._store.totals().is_counted:
            self._counting = threading.Thread(target=self._store.count, name="count the file cache", daemon=True)
            self._counting.start()

    async def open(self, wanted: Wanted, fetch: Fetch) -> OpenFile:
        """Open a file: from the cache, or as it comes from *fetch*, which is called where nobody else has called it.

        It is there once its first bytes may be sent, which may be when all of it is proven. The caller closes it.

        Raises:
            ValueError: the key is no path of plain names.
            WrongFileError: what comes is not what is wanted, or is too large.
            BusyError: too many downloads wait.
            CannotRunError: disk and memory are full, or the cache is closed.
            Exception: whatever *fetch* raises before the first byte could be sent.

        """
        path = self._store.path(wanted.key)
        if self._stopped.is_set():
            raise closed_error()
        if (kept := self._store.open(path, wanted.size)) is not None:
            self._hits += 1
            return OpenFile(KeptSource(Bytes(kept.descriptor, self._spare, kept.size)))
        download = self._downloads.get(wanted)
        if download is None or download.is_over or download.stage.error is not None:
            download = self._enqueue(wanted, fetch)
        if download.stage.is_proven:
            self._hits += 1
            self._store.touch(path)
        else:
            self._misses += 1
        download.enter()
        try:
            while not (download.stage.error or download.stage.is_proven or download.stage.released):
                await download.changed()
        except BaseException:  # above all, that the client's task is cancelled
            self._leave(download)
            raise
        if (error := download.stage.error) is not None:
            self._leave(download)
            raise error
        return OpenFile(download)

    def find(self, key: tuple[str, ...]) -> Path | None:
        """Return the path of a kept file, which may be evicted at any moment.

        Raises:
            ValueError: the key is no path of plain names.

        """
        path = self._store.path(key)
        return path if self._store.find(path) else None

    def statistics(self) -> CacheStatistics:
        """Return how the cache does; it reads one line from the disk."""
        return CacheStatistics(
            *self._store.totals(),
            hits=self._hits,
            misses=self._misses,
            evicted=self._store.evicted,
            downloads=len(self._downloads),
            problem=self._problem,
        )

    async def close(self) -> None:
        """End what is under way, and leave no part file of it. Files that are open and proven stay readable."""
        self._stopped.set()
        for download in list(self._downloads.values()):
            download.abandon(closed_error())
        if self._running:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await self._idle.wait()
        if self._counting is not None:
            await asyncio.to_thread(self._counting.join, _GRACE)

    def _enqueue(self, wanted: Wanted, fetch: Fetch) -> Download:
        if len(self._running) >= self._most_running and len(self._queue) >= self._most_queued:
            raise BusyError(f"{len(self._queue):,} downloads wait for their turn already")
        download = Download(wanted, fetch, self._setting, self._forget)
        self._downloads[wanted] = download
        self._queue.append(download)
        self._start_next()
        return download

    def _start_next(self) -> None:
        while self._queue and len(self._running) < self._most_running and not self._stopped.is_set():
            download = self._queue.popleft()
            thread = threading.Thread(target=download.run, name="download", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                download.abandon(BusyError(f"no thread can be started: {error}"))
            else:
                download.is_started = True
                self._running.add(download)

    def _leave(self, download: Download) -> None:
        """Leave a download, which does not start if nobody waits for it any more."""
        download.leave()
        if not download.is_started and not download.is_over and not download.is_wanted:
            self._queue.remove(download)
            download.abandon(closed_error())

    def _forget(self, download: Download) -> None:
        """Take note that a download is over."""
        self._running.discard(download)
        if self._downloads.get(download.wanted) is download:
            del self._downloads[download.wanted]
        with contextlib.suppress(ValueError):
            self._queue.remove(download)
        if not self._running:
            self._idle.set()
        self._start_next()

    def _note(self, error: OSError) -> None:
        self._problem = f"the disk of the file cache refuses: {error.strerror or type(error).__name__}"
