"""A file that is on its way: on disk, where other processes see it grow, or in memory where the disk takes no more.

The process that downloads holds a lock on the part file (``flock``), which the kernel lets go of when that process
dies, however it dies. Only who holds the lock on the file at a path may rename or remove what is at that path.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Self

from gitindex.errors import CannotRunError

_NEW = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Spare:
    """The memory that all downloads together may use for what the disk does not take."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes, or none where there are not so many."""
        with self._lock:
            if is_enough := size <= self._left:
                self._left -= size
            return is_enough

    def give(self, size: int) -> None:
        """Give so many bytes back."""
        with self._lock:
            self._left += size


class Bytes:
    """The bytes of one file as they come: one thread appends, the tasks of one event loop read and close."""

    def __init__(self, descriptor: int | None, spare: Spare, on_disk: int = 0) -> None:
        self._descriptor = descriptor
        self._spare = spare
        self._on_disk = on_disk
        self._rest = bytearray()
        self.is_on_disk = descriptor is not None
        """Whether the disk took all of it."""
        self.refusal: OSError | None = None
        """Why it did not."""
        self.is_closed = False

    @property
    def size(self) -> int:
        return self._on_disk + len(self._rest)

    def grew(self, on_disk: int) -> None:
        """Take note that another process has written so many bytes in all."""
        self._on_disk = on_disk

    def append(self, piece: bytes) -> None:
        """Add a piece: to the disk, or to memory once the disk refused.

        Raises:
            CannotRunError: there is no memory left either.

        """
        left = memoryview(piece)
        if self.is_on_disk and self._descriptor is not None:
            try:
                while left:
                    written = os.pwrite(self._descriptor, left, self._on_disk)
                    self._on_disk += written
                    left = left[written:]
            except OSError as error:
                self.is_on_disk = False
                self.refusal = error
        if left:
            if not self._spare.take(len(left)):
                raise CannotRunError(
                    "the disk of the file cache takes no more, and the memory kept for that is used up",
                    help="make room on that disk",
                )
            self._rest += left

    async def read(self, offset: int, size: int) -> bytes:
        """Return at most *size* bytes from *offset* on; a thread waits for the disk where the system has not got them.

        Raises:
            OSError: the disk fails.

        """
        if offset >= self._on_disk or self._descriptor is None:
            start = offset - self._on_disk
            return bytes(self._rest[start : start + size])
        size = min(size, self._on_disk - offset)
        try:
            return _read_at_once(self._descriptor, size, offset)
        except BlockingIOError:
            # It may be closed meanwhile, and its number given to another file: who asked looks at `is_closed` again.
            return await asyncio.to_thread(os.pread, self._descriptor, size, offset)

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._spare.give(len(self._rest))
            self._rest = bytearray()
            if self._descriptor is not None:
                os.close(self._descriptor)


def _read_at_once(descriptor: int, size: int, offset: int) -> bytes:
    """Read what is in memory already (``preadv2(2)``), or raise BlockingIOError, where the system can tell."""
    if hasattr(os, "RWF_NOWAIT"):
        buffer = bytearray(size)
        try:
            return bytes(memoryview(buffer)[: os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)])
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}:
                raise
    return os.pread(descriptor, size, offset)


class Seen(NamedTuple):
    """What another process has made of its part file."""

    state: Literal["growing", "kept", "gone"]
    size: int


class PartFile:
    """A part file, of this process or of another that is being followed."""

    def __init__(self, path: Path, descriptor: int, *, is_ours: bool) -> None:
        self.path = path
        self.descriptor = descriptor
        self.is_ours = is_ours
        self._lock = threading.Lock()
        self._is_over = not is_ours

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Make the part file at *path* this process's own, empty; or open it where another process holds it.

        Raises:
            OSError: the disk refuses.

        """
        while True:
            try:
                descriptor = os.open(path, _NEW, 0o600)
            except FileNotFoundError:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                continue
            with _closing_on_error(descriptor):
                if not _lock(descriptor):
                    return cls(path, descriptor, is_ours=False)
                if _is_at(path, descriptor):
                    if not os.fstat(descriptor).st_size:
                        return cls(path, descriptor, is_ours=True)
                    path.unlink()  # of a process that died; others may have followed it, so that it is not used again
            os.close(descriptor)

    def renew(self) -> None:
        """Put an empty file in the place of what came; who follows that sees that it is gone.

        The old descriptor stays open, and is the caller's to close.

        Raises:
            OSError: the disk refuses; nothing has changed.

        """
        fresh = self.path.with_name(f"{self.path.name}-{os.urandom(8).hex()}")
        descriptor = os.open(fresh, _NEW | os.O_EXCL, 0o600)
        try:
            with _closing_on_error(descriptor), self._lock:
                if self._is_over or not _lock(descriptor):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                fresh.rename(self.path)
                self.descriptor = descriptor
        except OSError:
            fresh.unlink(missing_ok=True)
            raise

    def keep(self, move: Callable[[Path, int], None]) -> bool:
        """Have the file moved to where it is kept, unless it was discarded before; return whether it is there.

        Raises:
            OSError: the disk refuses.

        """
        with self._lock:
            if self._is_over:
                return False
            move(self.path, self.descriptor)
            self._is_over = True
            return True

    def discard(self) -> None:
        """Remove the file, unless it is kept, or another's."""
        with self._lock:
            if not self._is_over:
                self._is_over = True
                with contextlib.suppress(OSError):
                    if _is_at(self.path, self.descriptor):
                        self.path.unlink()

    def look(self, kept: Path) -> Seen:
        """Return what another process has made of this file so far; it moves it to *kept* once it is proven right.

        Raises:
            OSError: the disk refuses.

        """
        # Before all else: who held the lock when we asked may have done all that follows since.
        is_left = _lock(self.descriptor)
        size = os.fstat(self.descriptor).st_size
        if _is_at(kept, self.descriptor):
            return Seen("kept", size)
        if not is_left and os.fstat(self.descriptor).st_nlink:
            return Seen("growing", size)
        if is_left and _is_at(self.path, self.descriptor):
            self.path.unlink(missing_ok=True)
        return Seen("gone", size)


def remove_leftovers(folder: Path) -> None:
    """Remove the part files in *folder* that no living process holds.

    Raises:
        OSError: the disk refuses.

    """
    with os.scandir(folder) as entries:
        paths = [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if _lock(descriptor) and _is_at(path, descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


def is_held(descriptor: int) -> bool:
    """Return whether a living process holds the lock on the file, as the one that downloaded it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: who else asks this holds nothing
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def _closing_on_error(descriptor: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(descriptor)
        raise


def _lock(descriptor: int) -> bool:
    """Lock the file, or return that another holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether the open file is the one at *path*."""
    try:
        there = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return os.path.samestat(there, os.fstat(descriptor))
