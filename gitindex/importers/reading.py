"""JSON that a stranger wrote, and what may be taken out of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from gitindex.errors import CannotRunError
from gitindex.names import Sha256, is_sha256
from gitindex.report.text import clipped

LARGEST = 64 << 20
"""Bytes of one answer."""
_MAX_VALUES = 8_000_000
"""Each takes many times the memory that its bytes do."""
_LONGEST_TEXT = 10_000
_MOMENT = 6
"""Numbers that devpi makes a time of: year, month, day, hour, minute, second."""


def read_json(data: bytes | bytearray, where: str) -> dict[str, Any]:
    """Return the object that *data* is.

    Raises:
        CannotRunError: it is none, or has too much in it.

    """
    if sum(map(data.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise CannotRunError(f"{where}: has more than {_MAX_VALUES:,} values")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise CannotRunError(f"{where}: is no JSON that can be read") from None
    if not isinstance(value, dict):
        raise CannotRunError(f"{where}: is not a JSON object")
    return value


def a_mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def a_list(value: object) -> list[Any]:
    """Return a list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def a_text(value: object) -> str:
    """Return a text of one line, an empty one for anything else."""
    # JSON can bring half of a character, which no file can hold.
    text = value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
    return clipped(" ".join(text.split()), _LONGEST_TEXT)


def texts(value: object) -> list[str]:
    """Return the texts of a list; devpi takes text with commas for one."""
    listed: Iterable[Any] = value.split(",") if isinstance(value, str) else a_list(value)
    return [item.strip() for item in listed if isinstance(item, str) and item.strip()]


def a_sha256(link: Mapping[str, Any]) -> Sha256 | None:
    """Return the sha256 that a link states, in its old way or its new one."""
    stated = a_mapping(link.get("hashes")).get("sha256")
    kind, _, digest = str(link.get("hash_spec") or "").partition("=")
    found = str(stated or (digest if kind == "sha256" else "")).lower()
    return Sha256(found) if is_sha256(found) else None


def a_moment(value: object) -> str | None:
    """Return the time that devpi states as six numbers, and devpi 7 in ISO's form, as a manifest has it."""
    if isinstance(value, str):
        return _iso(value)
    numbers = a_list(value)
    if len(numbers) != _MOMENT or not all(isinstance(number, int) for number in numbers):
        return None
    try:
        year, month, day, hour, minute, second = numbers
        return as_stated(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    except (TypeError, ValueError, OverflowError):
        return None


def _iso(text: str) -> str | None:
    try:
        time = datetime.fromisoformat(text)
        return as_stated(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def as_stated(time: datetime) -> str:
    """Return a time as a manifest has it."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
