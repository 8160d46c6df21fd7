"""Writes a file whole or not at all: to a temporary name beside it, then renamed over it."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from gitindex.errors import CannotRunError, UsageError

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


def write_out(path: Path, data: bytes) -> None:
    """Write an answer to where the user says: a file is replaced as :func:`write` does it, links to it are followed.

    What is no file, such as a pipe or a terminal, gets it as it is, and so does what this process prints to.

    Raises:
        CannotRunError: it cannot be written to.

    """
    try:
        if (there := _status(path)) is None:
            write(os.path.realpath(path), [data])
            return
        stream = next((stream for stream in (1, 2) if _is_open_at(stream, there)), None)
        if stream is not None:
            sys.stdout.flush()
            _write_all(os.dup(stream), data)
        elif stat.S_ISREG(there.st_mode):
            write(os.path.realpath(path), [data])
        else:
            _write_all(os.open(path, os.O_WRONLY), data)
    except OSError as error:
        raise cannot_write(path, error) from None


def check_out(path: Path | None, option: str) -> None:
    """Make sure, before long work, that an *option* names a place for :func:`write_out`, where it is given.

    Raises:
        UsageError: there is no such folder, or the place is one.

    """
    if path is not None and path.is_dir():
        raise UsageError(f"{option} {path}: is a folder", help="name a file in it; nothing was done")
    if path is not None and not Path(os.path.realpath(path)).parent.is_dir():
        raise UsageError(f"{option} {path}: there is no such folder", help="make it first; nothing was done")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _is_open_at(descriptor: int, there: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), there)
    except OSError:
        return False


def _write_all(descriptor: int, data: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(data)


def tidy(folder: Path) -> None:
    """Remove what killed runs left half written in a folder that nobody else writes to, as far as that is possible."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY_PREFIX):
                with contextlib.suppress(OSError):
                    os.unlink(entry)  # noqa: PTH108


def cannot_write(path: Path | str, error: OSError) -> CannotRunError:
    """Return the error that says why *path* cannot be written."""
    return CannotRunError(f"{path}: cannot be written: {error.strerror or error}", help="nothing there was changed")
