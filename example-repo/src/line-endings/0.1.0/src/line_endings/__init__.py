"""Find and change the line endings of bytes that hold text in an ASCII-compatible encoding."""

from __future__ import annotations

import re
from typing import Final

__version__ = "0.1.0"
__all__ = ["CR", "CRLF", "LF", "convert", "count"]

LF: Final = b"\n"
CRLF: Final = b"\r\n"
CR: Final = b"\r"

_ENDING = re.compile(rb"\n|\r\n|\r")


def count(data: bytes) -> dict[bytes, int]:
    """Return how often each ending occurs; endings that do not occur are left out."""
    counts: dict[bytes, int] = {}
    for ending in _ENDING.findall(data):
        counts[ending] = counts.get(ending, 0) + 1
    return counts


def convert(data: bytes, ending: bytes = LF) -> bytes:
    """Return *data* with every line ending replaced by *ending*."""
    return _ENDING.sub(lambda _: ending, data)
