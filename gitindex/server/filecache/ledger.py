"""How many files a cache keeps, and how large they are together: one line in a file that several processes share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Totals(NamedTuple):
    """What the files are together."""

    files: int
    bytes: int
    is_counted: bool
    """Whether the files that were there before the first count are in it."""


class Ledger:
    """The line; safe to share between threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Totals:
        """Return what is kept; nothing that is counted where the disk does not say."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return _NOTHING
        try:
            return _parse(os.pread(descriptor, _LONGEST, 0))
        except OSError:
            return _NOTHING
        finally:
            os.close(descriptor)

    def add(self, files: int, size: int) -> None:
        """Add files of *size* bytes together, or take them off; a later count makes good what the disk refuses."""
        with contextlib.suppress(OSError):
            self.change(lambda now: Totals(max(now.files + files, 0), max(now.bytes + size, 0), now.is_counted))

    def change(self, change: Callable[[Totals], Totals]) -> Totals:
        """Put what *change* makes of the line in its place, and return it; no other change comes between.

        Raises:
            OSError: the disk refuses.

        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            totals = change(_parse(os.pread(descriptor, _LONGEST, 0)))
            sign = "=" if totals.is_counted else "~"
            os.pwrite(descriptor, f"{sign}{totals.files:020} {totals.bytes:020}\n".encode(), 0)
            return totals
        finally:
            os.close(descriptor)


_NOTHING = Totals(0, 0, is_counted=False)
_LINE = re.compile(rb"([=~])([0-9]{20}) ([0-9]{20})\n")
_LONGEST = 100


def _parse(line: bytes) -> Totals:
    """Read the line; one that was torn says that nothing was counted."""
    if (found := _LINE.fullmatch(line)) is None:
        return _NOTHING
    return Totals(int(found[2]), int(found[3]), is_counted=found[1] == b"=")
