"""Patterns of paths, as waivers have them: `*`, `?` and `[…]` within a segment, `**` for any number of segments.

Patterns may come from a contributor: matching takes time that grows with their length, whatever they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NewType

from gitindex.tree import Folder

_Places = NewType("_Places", frozenset[int])
"""How far into a pattern's segments a path may have led."""


def matches(pattern: str, path: str) -> bool:
    """Tell whether the whole of *path* has the form of the pattern."""
    segments = _segments(pattern)
    places = _start(segments)
    for name in path.split("/"):
        places = _next(segments, places, name)
        if not places:
            return False
    return len(segments) in places


def without_match(patterns: Iterable[str], top: str, folder: Folder | None, *, deepest: int) -> set[str]:
    """Return those of the patterns that match no path at or below *top*, which is where the folder is.

    Each folder is opened once, for all of them, and none that lies more than *deepest* folders below.
    """
    missing = set(patterns)
    starts = {pattern: _start(_segments(pattern)) for pattern in missing}
    if folder is not None and (reached := _reached(starts, top, missing)):
        _look_into(folder, reached, missing, deepest)
    return missing


def _look_into(folder: Folder, places: Mapping[str, _Places], missing: set[str], deepest: int) -> None:
    entries = folder.entries()
    wanted = {_segments(pattern)[at] for pattern, reached in places.items() for at in reached}
    for name in entries if any(map(_is_glob, wanted)) else sorted(wanted):
        entry = entries.get(name)
        below = _reached(places, name, missing) if entry is not None else {}
        if entry is not None and entry.kind == "folder" and below and deepest:
            _look_into(folder.folder(name), below, missing, deepest - 1)


def _reached(places: Mapping[str, _Places], name: str, missing: set[str]) -> dict[str, _Places]:
    """Step into *name*: return where the patterns lead that still miss a match, and drop those that have one now."""
    found = {}
    for pattern in places.keys() & missing:
        segments = _segments(pattern)
        reached = _next(segments, places[pattern], name)
        if len(segments) in reached:
            missing.discard(pattern)
        elif reached:
            found[pattern] = reached
    return found


@lru_cache(maxsize=256)
def _segments(pattern: str) -> tuple[str, ...]:
    found: list[str] = []
    for segment in pattern.split("/"):
        if segment != "**" or found[-1:] != ["**"]:
            found.append(segment)
    return tuple(found)


def _is_glob(segment: str) -> bool:
    return not {"*", "?", "["}.isdisjoint(segment)


def _start(segments: tuple[str, ...]) -> _Places:
    return _Places(frozenset((0, 1) if segments[0] == "**" else (0,)))


def _next(segments: tuple[str, ...], places: _Places, name: str) -> _Places:
    reached: set[int] = set()
    for place in places:
        if place == len(segments):
            continue
        segment = segments[place]
        if segment == "**":
            reached.update((place, place + 1))
        elif segment == name or (_is_glob(segment) and fnmatchcase(name, segment)):
            reached.add(place + 1)
            if segments[place + 1 : place + 2] == ("**",):
                reached.add(place + 2)
    return _Places(frozenset(reached))
