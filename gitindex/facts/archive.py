"""What wheels and sdists have in common: limits, names of members, and the error that both raise.

Nothing here knows the name of the file that is read; the caller puts it in front.
"""

from __future__ import annotations

import re
from typing import NamedTuple

CHUNK = 1 << 18
MAX_METADATA = 2 << 20
"""METADATA, PKG-INFO, WHEEL and entry_points.txt are read whole, so they are at most this large."""
MAX_MEMBERS = 100_000
BOMB_SIZE = 64 << 20
BOMB_RATIO = 50
"""An archive that unpacks to more than ``BOMB_SIZE`` may not be packed more tightly than this."""

_MAX_MEMBER_NAME = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")


class UnsoundError(Exception):
    """Why a file is no sound distribution; the caller adds the file's name."""

    def __init__(self, problem: str, *, help: str = "build the file again") -> None:  # noqa: A002
        super().__init__(problem)
        self.problem = problem
        self.help = help


class Contents(NamedTuple):
    """What a whole, checked archive holds."""

    metadata: bytes
    names: frozenset[str]
    """The files in it."""


def show(name: str) -> str:
    """Return the name of a member as one short line, whatever is in it."""
    return ascii(name if len(name) <= 200 else f"{name[:200]}…")  # noqa: PLR2004 - a line on a terminal


def is_safe_path(path: str) -> bool:
    """Tell whether *path* stays, on every system, inside the folder that it is unpacked to."""
    return (
        len(path) <= _MAX_MEMBER_NAME
        and "\\" not in path
        and not _CONTROL.search(path)
        and not _DRIVE.match(path)
        and {"", ".", ".."}.isdisjoint(path.split("/"))
    )


def check_member_count(count: int) -> None:
    """Raise :exc:`UnsoundError` for more members than any real distribution has."""
    if count > MAX_MEMBERS:
        raise UnsoundError(f"has more than {MAX_MEMBERS:,} members")


def largest_unpacked(size: int) -> int:
    """Return how much an archive of *size* bytes may unpack to."""
    return max(BOMB_SIZE, BOMB_RATIO * size)


def check_metadata_size(name: str, size: int) -> None:
    """Raise :exc:`UnsoundError` where a file that is read whole is too large for it."""
    if not 0 <= size <= MAX_METADATA:
        raise UnsoundError(f"has a {show(name)} of {size:,} bytes, and at most {MAX_METADATA:,} are read")
