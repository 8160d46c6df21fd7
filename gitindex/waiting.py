"""Lets the processes of a machine wait for each other: one at a time has a file's lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from gitindex.errors import CannotRunError

_HELD = "GITINDEX_HELD"
"""The environment variable that names what this process has, for the hooks of Git that run in its turn."""
_LOOK_EVERY = 0.01
"""Seconds between two looks at a lock that is not waited for without end."""
_QUIET = 1.0
"""Seconds until who waits for such a lock is told so: most have it long before."""


@contextlib.contextmanager
def turn(path: Path, told: str, within: float | None = None) -> Iterator[None]:
    """Have the lock of the file at *path*, which is made; who has to wait for it is *told* so, once.

    The kernel lets go of it when the process ends, however it does. Where the folder cannot be written to, or its file
    system knows no locks, nobody waits.

    Raises:
        CannotRunError: somebody else had it for more than *within* seconds.

    """
    held = os.environ.get(_HELD, "")
    name = os.path.realpath(path)
    lock = None if name in held.split("\n") else _opened(path)
    if lock is None:
        yield
        return
    try:
        _lock(lock, told, within)
        os.environ[_HELD] = f"{held}\n{name}"
        yield
    finally:
        if held:
            os.environ[_HELD] = held
        else:
            os.environ.pop(_HELD, None)
        os.close(lock)


@contextlib.contextmanager
def turn_of_thread(path: Path, within: float) -> Iterator[None]:
    """Have the same lock for one thread of many: the others, and what they start, do not have it too.

    Raises:
        CannotRunError: somebody else had it for more than *within* seconds.

    """
    lock = _opened(path)
    try:
        if lock is not None:
            _lock(lock, "", within)
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _opened(path: Path) -> int | None:
    # A file of somebody else's that is read-only can be locked too, but for file systems of the network.
    for flags in (os.O_RDWR, os.O_RDONLY, os.O_RDWR | os.O_CREAT):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            if flags & os.O_CREAT:
                # Whoever can use the folder has to get at it, whoever was the first and whatever their umask.
                with contextlib.suppress(OSError):
                    os.fchmod(descriptor, stat.S_IMODE(path.parent.stat().st_mode) & 0o666)
            return descriptor
    return None


def _lock(descriptor: int, told: str, within: float | None) -> None:
    with contextlib.suppress(OSError):
        if not _is_busy(descriptor):
            return
        if within is None:
            sys.stderr.write(f"{told}\n")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return
        begin = time.monotonic()
        while _is_busy(descriptor):
            waited = time.monotonic() - begin
            if waited > within:
                raise CannotRunError(
                    f"somebody else has been writing to this repository for {within:,.0f} seconds",
                    help="nothing was written; try again when that has ended, or see whether a hook of Git waits",
                )
            if told and waited > _QUIET:
                sys.stderr.write(f"{told}\n")
                told = ""
            time.sleep(_LOOK_EVERY)


def _is_busy(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
