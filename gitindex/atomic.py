"""Writes a file whole or not at all: to a temporary name beside it, then renamed over it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from gitindex.errors import CannotRunError

TEMPORARY_PREFIX = ".gitindex-new-"
# Random: in containers, a killed run had the same process id. Forks share it, and write to other folders.
_RUN, _COUNT = os.urandom(8).hex(), count()


def write(
    path: Path | str, pieces: Iterable[bytes], check: Callable[[], None] | None = None, *, mode: int = 0o666
) -> None:
    """Put the *pieces* into the file at *path*, whose folder is there; what was there is replaced in one step.

    *check* runs when all is written and before it takes the place; what it raises leaves everything as it was.
    *mode* says who may read and write the file, from its first byte on; the umask takes from it.

    Raises:
        CannotRunError: the folder cannot be written to, or the disk is full; nothing is changed.

    """
    folder, separator, _ = os.fspath(path).rpartition(os.sep)
    temporary = f"{folder}{separator}{TEMPORARY_PREFIX}{_RUN}-{next(_COUNT)}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - opened just above
                for piece in pieces:
                    left = memoryview(piece)
                    while left:
                        left = left[file.write(left) :]
            if check is not None:
                check()
            os.replace(temporary, path)  # noqa: PTH105
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path | str, error: OSError) -> CannotRunError:
    """Return the error that says why *path* cannot be written."""
    return CannotRunError(f"{path}: cannot be written: {error.strerror or error}", help="nothing there was changed")
