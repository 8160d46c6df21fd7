"""The bytes of tree objects: all entries of a small one, and of a large one no more than is asked for.

A folder may have 30,000 entries, of which a change touches one. Readers of a tree that is malformed, not in order, or
names something twice disagree about its content, so such a tree is refused; and Git puts an entry whose name has a `/`
where that path leads.
"""

from __future__ import annotations

import operator
import re
from functools import cached_property
from itertools import islice

from gitindex.tree import Kind

KINDS: dict[bytes, Kind] = {
    b"40000": "folder",
    b"040000": "folder",  # what some old writers of trees put
    b"100644": "file",
    b"100664": "file",  # what old versions of Git wrote
    b"100755": "executable",
    b"120000": "symlink",
    b"160000": "submodule",
}

_FOLDERS = frozenset(mode for mode, kind in KINDS.items() if kind == "folder")
_ENTRY = re.compile(rb"([0-7]+) ([^/\0]+)\0(.{20})", re.DOTALL)
"""An entry: mode, name and the bytes of the id, each entry right after the one before."""
_ENTRIES = re.compile(rb"([0-7]+ [^/\0]+\0.{20})*+", re.DOTALL)
_LARGE = 1 << 16
"""Bytes from which on a tree is not read whole for a single name."""
_MAX_LOOKUPS = 8
"""Names that are looked for one by one: each time costs a tenth of reading the whole tree."""

_MOST_KEPT = 4
_MOST_DIFFERING = 1 << 16
"""Bytes between the first and the last difference of two trees up to which they are not read whole."""

Place = tuple[bytes, bytes]
"""Mode and id of an entry."""


class MalformedTreeError(ValueError):
    """Bytes that are no well-formed tree object."""

    def __init__(self) -> None:
        super().__init__("not a well-formed tree")


class Tree:
    """A tree object.

    Raises:
        MalformedTreeError: its form is wrong; in a large one, whether entries are in order is seen where they are read.

    """

    def __init__(self, data: bytes) -> None:
        if not _ENTRIES.fullmatch(data):
            raise MalformedTreeError
        self._data = data
        self._found: dict[bytes, Place | None] = {}
        self.is_large = len(data) >= _LARGE
        if not self.is_large:
            _ = self.places

    @cached_property
    def places(self) -> dict[bytes, Place]:
        """All entries, by their names.

        Raises:
            MalformedTreeError: they are not in order, or a name stands there twice.

        """
        found = _ENTRY.findall(self._data)
        places = {name: (mode, object_id) for mode, name, object_id in found}
        if len(places) < len(found) or not _are_in_order(found):
            raise MalformedTreeError
        return places

    def place(self, name: bytes) -> Place | None:
        """Return mode and id of one entry, ``None`` where there is none of the name.

        Raises:
            MalformedTreeError: the name stands there twice.

        """
        if "places" in self.__dict__ or (name not in self._found and len(self._found) == _MAX_LOOKUPS):
            return self.places.get(name)
        if name not in self._found:
            self._found[name] = self._look_for(name)
        return self._found[name]

    def _look_for(self, name: bytes) -> Place | None:
        found: list[Place] = []
        at = self._data.find(b" %s\0" % name)
        while at != -1:
            # The same bytes may stand in an id: an entry starts where the ones before it end.
            entry = _ENTRY.match(self._data, _end_of_entries(self._data, at))
            if entry and entry.start(2) == at + 1:
                found.append((entry[1], entry[3]))
            at = self._data.find(b" %s\0" % name, at + 1)
        if len(found) > 1:
            raise MalformedTreeError
        return found[0] if found else None

    def differing(self, other: Tree) -> set[bytes]:
        """Return the names whose entries are not equal to *other*'s.

        Raises:
            MalformedTreeError: one of the two is not in order where they differ.

        """
        if "places" not in self.__dict__ and "places" not in other.__dict__:
            pieces = _differing_pieces(self._data, other._data)
            if pieces is not None:
                ours, theirs = (_ENTRY.findall(piece) for piece in pieces)
                return {name for _, name, _ in set(ours) ^ set(theirs)}
        return {name for name, _ in self.places.items() ^ other.places.items()}


class LargeTrees:
    """The large trees that were read last: what is staged, or the next commit, mostly has the same ones."""

    def __init__(self) -> None:
        self._trees: dict[bytes, Tree] = {}

    def get(self, tree_id: bytes) -> Tree | None:
        """Return a tree that was kept."""
        return self._trees.get(tree_id)

    def keep(self, tree_id: bytes, tree: Tree) -> None:
        """Keep a tree, where it is a large one."""
        if tree.is_large:
            if len(self._trees) == _MOST_KEPT:
                del self._trees[next(iter(self._trees))]
            self._trees[tree_id] = tree


def _are_in_order(entries: list[tuple[bytes, bytes, bytes]]) -> bool:
    """Tell whether entries are in Git's order: that of their names, with a slash behind those of folders."""
    keys = [name + b"/" if mode in _FOLDERS else name for mode, name, _ in entries]
    return all(map(operator.lt, keys, islice(keys, 1, None)))


def _end_of_entries(data: bytes, until: int) -> int:
    """Return where the last entry ends that is whole before *until*."""
    found = _ENTRIES.match(data, 0, until)
    assert found is not None  # noqa: S101 - it matches nothing, too
    return found.end()


def _differing_pieces(one: bytes, other: bytes) -> tuple[bytes, bytes] | None:
    """Return a piece of each of two trees outside of which they are equal: whole entries.

    ``None`` where that is so much that it is no shorter way.

    Raises:
        MalformedTreeError: a piece does not fit in order between what is before and behind it.

    """
    start = _end_of_entries(one, _common_start(one, other))
    most = max(len(one), len(other)) - start
    equal_from_end = _common_end(one, other, min(len(one), len(other)) - start)
    if most - equal_from_end > _MOST_DIFFERING:
        return None
    ends = _common_entry_end(one, other, start, equal_from_end)
    for data, end in zip((one, other), ends, strict=True):
        before = _ENTRIES.match(data, 0, start)
        behind = _ENTRY.match(data, end)
        around = (before[1] if before and before[1] else b"") + data[start:end] + (behind[0] if behind else b"")
        if not _are_in_order(_ENTRY.findall(around)):
            raise MalformedTreeError
    return one[start : ends[0]], other[start : ends[1]]


def _common_entry_end(one: bytes, other: bytes, start: int, equal_from_end: int) -> tuple[int, int]:
    """Return, for each of two trees, the first end of an entry behind which all entries are equal."""
    ends = [start, start]
    trees = one, other
    while True:
        left = [len(tree) - end for tree, end in zip(trees, ends, strict=True)]
        if left[0] == left[1] <= equal_from_end:
            return ends[0], ends[1]
        longer = 0 if left[0] >= left[1] else 1
        if left[0] == left[1]:
            ends[1] = _next_entry(other, ends[1])
        ends[longer] = _next_entry(trees[longer], ends[longer])


def _next_entry(data: bytes, start: int) -> int:
    entry = _ENTRY.match(data, start)
    assert entry is not None  # noqa: S101 - the form of both was checked
    return entry.end()


def _common_start(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts have in common at their start."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(one: bytes, other: bytes, most: int) -> int:
    """Return how many bytes, *most* at most, two texts have in common at their end."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low
