"""Files with secrets: they are their owner's alone, and lie in no repository."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from gitindex.errors import CannotRunError, UsageError
from gitindex.layout import SETTINGS

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_own(path: Path, most: int, *, what: str, option: str) -> bytes:
    """Return what a plain file has, up to *most* bytes; it has to be its owner's alone.

    *what* it has, in words, and the *option* that names it are for the message of an error.

    Raises:
        CannotRunError: it is no plain file, or others than its owner can read or write it.
        OSError: it cannot be read.

    """
    # Without blocking: a named pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CannotRunError(f"{path}: is no file", help=f"name the file of the {what} with {option}")
        if status.st_mode & _OTHERS:
            raise CannotRunError(
                f"{path}: others than its owner may read or write the {what} in it",
                help=f"run: chmod 600 {shlex.quote(str(path))}",
            )
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)


def check_place(path: Path, repositories: Iterable[Path], what: str) -> None:
    """Refuse a file of such *what* that lies in one of the *repositories*, or in what looks like any other.

    Raises:
        UsageError: it does.

    """
    real = Path(os.path.realpath(path))
    for folder in (*(folder.resolve() for folder in repositories), *filter(_is_repository, real.parents)):
        if real.is_relative_to(folder):
            raise UsageError(
                f"{path} lies in the repository {folder}, where {what} never belong", help="name a file outside of it"
            )


def _is_repository(folder: Path) -> bool:
    """Tell whether a folder is an index repository, or the folder that Git has of any repository."""
    return (folder / SETTINGS).exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())
