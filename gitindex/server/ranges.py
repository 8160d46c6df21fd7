"""Which part of a file a client gets (RFC 9110, section 14)."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

_BYTES = re.compile(rb"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


class Part(NamedTuple):
    """Bytes from *start* up to, and without, *stop*."""

    start: int
    stop: int


def wanted_part(header: bytes | None, condition: bytes | None, etag: bytes, size: int) -> Part | Literal["none"] | None:
    """Return the part that ``Range`` asks for of *size* bytes; ``None``: all of it, ``"none"``: no such part (416).

    A header that is none, and one that asks for several parts, gets the whole file, as the standard allows. So does one
    under an ``If-Range`` *condition* that is not the file's strong *etag*: then the client has a part of another file.
    """
    match = _BYTES.fullmatch(header) if header is not None else None
    if match is None or (condition is not None and (not etag or condition.strip() != etag)):
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        return Part(size - length, size) if length else "none"
    start = int(first)
    if last and int(last) < start:
        return None
    return Part(start, min(int(last) + 1, size) if last else size) if start < size else "none"
