"""Lets the processes of a machine wait for each other: one at a time has a file's lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_HELD = "GITINDEX_HELD"
"""The environment variable that names what this process has, for the hooks of Git that run in its turn."""


@contextlib.contextmanager
def turn(path: Path, told: str = "") -> Iterator[None]:
    """Have the lock of the file at *path*, which is made; who has to wait for it is *told* so, once, if anything.

    The kernel lets go of it when the process ends, however it does. Where the folder cannot be written to, or its file
    system knows no locks, nobody waits.
    """
    held = os.environ.get(_HELD, "")
    name = os.path.realpath(path)
    lock = None if name in held.split("\n") else _opened(path)
    if lock is None:
        yield
        return
    try:
        _lock(lock, told)
        os.environ[_HELD] = f"{held}\n{name}"
        yield
    finally:
        if held:
            os.environ[_HELD] = held
        else:
            os.environ.pop(_HELD, None)
        os.close(lock)


def _opened(path: Path) -> int | None:
    # A file of somebody else's that is read-only can be locked too, but for file systems of the network.
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    return None


def _lock(descriptor: int, told: str) -> None:
    with contextlib.suppress(OSError):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if told:
                sys.stderr.write(f"{told}\n")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
