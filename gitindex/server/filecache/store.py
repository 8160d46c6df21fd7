"""The whole files of a cache: a folder with a limit that several processes share, least recently used goes first.

A file's time of modification is when it was last asked for, so that this outlives the processes. A file that its
owner may not write to is known to be on the disk; another may be torn where the power went, and is looked at again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import heapq
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gitindex.errors import CannotRunError
from gitindex.server.filecache.ledger import Ledger, Totals
from gitindex.server.filecache.part import is_held, remove_leftovers

PARTS = ".parts"
_LEDGER = ".ledger"
_SWEEPING = ".sweeping"
_MODE_SETTLED = 0o400
_PIECE = 1 << 20
_COUNTED_WITHIN = 10.0
"""Seconds for which making room on a full disk waits for the count that a start begins with."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_MAX_SEGMENT = 255


class Kept(NamedTuple):
    """A file that is open."""

    descriptor: int
    size: int


class _Entry(NamedTuple):
    used: int
    size: int
    path: str


class FileStore:
    """Keeps whole files below *folder*, of *limit* bytes together; safe to share between threads and processes.

    Raises:
        CannotRunError: the folder cannot be made, or not be written to.

    """

    def __init__(self, folder: Path, limit: int, stopped: threading.Event) -> None:
        self._root = os.fspath(folder)
        self._limit = limit
        self._stopped = stopped
        self.parts = folder / PARTS
        self._ledger = Ledger(folder / _LEDGER)
        self._sweep = folder / _SWEEPING
        self._settling: set[Path] = set()
        self._counting = threading.Lock()
        self.evicted = 0
        """Files that this process removed because the limit, or the disk, demanded it."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.parts.mkdir(mode=0o700, exist_ok=True)
            remove_leftovers(self.parts)
            self._sweep.touch(mode=0o600)  # while there is room for it
            self._ledger.change(lambda totals: totals)
        except OSError as error:
            if error.errno not in FULL:
                raise CannotRunError(
                    f"{folder}: the file cache cannot be written to: {error.strerror or error}",
                    help="name a folder that the server may write to",
                ) from None

    def path(self, key: tuple[str, ...]) -> Path:
        """Return where the file with this key is kept.

        Raises:
            ValueError: a segment of the key is no plain name of a file.

        """
        for segment in key:
            if (
                not segment
                or segment.startswith(".")
                or "/" in segment
                or "\0" in segment
                or len(os.fsencode(segment)) > _MAX_SEGMENT
            ):
                raise ValueError(f"{segment[:100]!a} cannot be part of a key of the file cache")
        if not key:
            raise ValueError("a key of the file cache has at least one segment")
        return Path(self._root, *key)

    def open(self, path: Path, size: int | None) -> Kept | None:
        """Open a kept file which is known to be whole, and note that it was asked for; *size* is what it must be."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            found = os.fstat(descriptor)
            if _is_settled(found) and size in {None, found.st_size}:
                self.touch(descriptor)
                return Kept(descriptor, found.st_size)
        except OSError:
            pass
        os.close(descriptor)
        return None

    def touch(self, file: int | Path) -> None:
        """Note that a file was asked for."""
        now = time.time_ns()  # the kernel's own stamps are coarser
        with contextlib.suppress(OSError):
            os.utime(file, ns=(now, now))

    def find(self, path: Path) -> bool:
        """Return whether a whole file is kept at *path*."""
        try:
            found = path.lstat()
        except OSError:
            return False
        return _is_settled(found) or (stat.S_ISREG(found.st_mode) and path in self._settling)

    def examine(self, path: Path, size: int | None, sha256: str | None) -> Kept | None:
        """Open the file kept at *path*, and read it first where nobody knows whether all of it reached the disk.

        One that is not what it must be is removed. Not for an event loop: it waits for the disk.
        """
        if (kept := self.open(path, size)) is not None:
            return kept
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode) and size in {None, found.st_size}:
                if is_held(descriptor):  # by who proved it a moment ago, and waits for the disk
                    return Kept(descriptor, found.st_size)
                is_known = size is not None or sha256 is not None
                if _is_settled(os.fstat(descriptor)) or (
                    is_known and (sha256 is None or _sha256(descriptor) == sha256)
                ):
                    self.settle(path, descriptor)
                    return Kept(descriptor, found.st_size)
        except OSError:
            pass
        os.close(descriptor)
        self._remove(path)
        return None

    def keep(self, part: Path, path: Path, descriptor: int) -> None:
        """Move a part file, which is proven, to where it is kept. :meth:`settle` is to follow.

        Raises:
            OSError: the disk refuses.

        """
        size = os.fstat(descriptor).st_size
        self.touch(descriptor)
        try:
            before = path.lstat().st_size
        except OSError:
            before = None
        # First, since a process may die between the two: a sweep makes good what the ledger has too much.
        self._ledger.add(1 if before is None else 0, size - (before or 0))
        self._settling.add(path)
        try:
            while True:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # a sweep removed the empty folder in this moment
                    part.rename(path)
                    return
                part.lstat()
        except OSError:
            self._settling.discard(path)
            self._ledger.add(-1 if before is None else 0, (before or 0) - size)
            raise

    def settle(self, path: Path, descriptor: int) -> None:
        """Wait until the disk has the file, and mark it so.

        Raises:
            OSError: the disk refuses.

        """
        try:
            os.fsync(descriptor)
            os.fchmod(descriptor, _MODE_SETTLED)
        finally:
            self._settling.discard(path)

    def totals(self) -> Totals:
        """Return what is kept, by all processes together."""
        return self._ledger.read()

    def count(self) -> None:
        """Count what is there, where nobody has; it takes a while where there are many files."""
        with self._counting:
            if not self.totals().is_counted:
                with contextlib.suppress(OSError), self._sweeping() as is_ours:
                    if is_ours:
                        self._recount()

    def trim(self, room: int = 0) -> None:
        """Remove what is over the limit, or at least *room* bytes, of the files that were asked for longest ago.

        A tenth of the limit is made free with it, so that this walk is not needed for the very next file.
        """
        if room and self._counting.acquire(timeout=_COUNTED_WITHIN):
            self._counting.release()  # a count under way would look like a sweep that makes room
        with contextlib.suppress(OSError):
            while not self._stopped.is_set() and (room or self.totals().bytes > self._limit):
                with self._sweeping() as is_ours:
                    if not is_ours:  # another process does it
                        return
                    total = self._recount().bytes
                    over = max(total - self._limit, 0)
                    slack = self._limit // 10 if over else 0
                    if not (over or room) or not self._remove_oldest(max(over, room), max(over + slack, room)):
                        return
                room = 0

    def _recount(self) -> Totals:
        """Put right what the ledger says."""
        before = self.totals()
        files = total = 0
        for entry in self._walk():
            files += 1
            total += entry.size
        if self._stopped.is_set():
            return before

        def put_right(now: Totals) -> Totals:
            # What came during the walk may be in both: too much, which the next sweep makes good.
            return Totals(files + now.files - before.files, total + now.bytes - before.bytes, is_counted=True)

        try:
            return self._ledger.change(put_right)
        except OSError:
            return put_right(before)

    def _remove_oldest(self, least: int, most: int) -> int:
        """Remove the files that were used longest ago; return how many.

        So many that *least* bytes are free, and more while not more than *most* become free.
        """
        oldest: list[tuple[int, int, str]] = []  # a heap, the one used last first
        held = 0
        for entry in self._walk():
            heapq.heappush(oldest, (-entry.used, entry.size, entry.path))
            held += entry.size
            while held - oldest[0][1] >= most:
                held -= heapq.heappop(oldest)[1]
        removed = free = 0
        for used, size, name in sorted(oldest, reverse=True):
            if free >= least and free + size > most:
                break
            path = Path(name)
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime_ns == -used and self._remove(path):  # not asked for meanwhile
                    removed += 1
                    free += size
        self.evicted += removed
        return removed

    def _remove(self, path: Path) -> bool:
        try:
            size = path.lstat().st_size
            path.unlink()
        except OSError:
            return False
        self._ledger.add(-1, -size)
        with contextlib.suppress(OSError):  # until one is not empty
            for folder in path.parents:
                if os.fspath(folder) == self._root:
                    break
                folder.rmdir()
        return True

    def _walk(self) -> Iterator[_Entry]:
        """Yield the files that are kept; what comes and goes meanwhile is there or not."""
        folders = [self._root]
        while folders:
            with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if self._stopped.is_set():
                        return
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        with contextlib.suppress(FileNotFoundError):
                            found = entry.stat(follow_symlinks=False)
                            yield _Entry(found.st_mtime_ns, found.st_size, entry.path)

    @contextlib.contextmanager
    def _sweeping(self) -> Iterator[bool]:
        """Be the one process that walks through the folder, or be told that another does."""
        descriptor = os.open(self._sweep, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


def _is_settled(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and not found.st_mode & stat.S_IWUSR


def _sha256(descriptor: int) -> str:
    digest, offset = hashlib.sha256(), 0
    while piece := os.pread(descriptor, _PIECE, offset):
        digest.update(piece)
        offset += len(piece)
    return digest.hexdigest()
