"""Writes a file whole or not at all: to a temporary name beside it, then renamed over it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from gitindex.errors import CannotRunError

TEMPORARY_PREFIX = ".gitindex-new-"


def write(path: Path, pieces: Iterable[bytes], check: Callable[[], None] | None = None) -> None:
    """Put the *pieces* into the file at *path*, whose folder is there; what was there is replaced in one step.

    *check* runs when all is written and before it takes the place; what it raises leaves everything as it was.

    Raises:
        CannotRunError: the folder cannot be written to, or the disk is full; nothing is changed.

    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}"[:255])
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - opened just above
                for piece in pieces:
                    file.write(piece)
            if check is not None:
                check()
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> CannotRunError:
    """Return the error that says why *path* cannot be written."""
    return CannotRunError(f"{path}: cannot be written: {error.strerror or error}", help="nothing there was changed")
