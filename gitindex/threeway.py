"""What two folders that were the same once become together, path by path. Renames do not exist here.

Git follows them when it merges, and puts what one person changes to where another one moved it. This tells what is the
doing of the two sides alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitindex.differences import differing
from gitindex.tree import EMPTY, Entry, Folder, Leaf, leaf_at


class Together(NamedTuple):
    """What two sides make of each other."""

    taken: dict[str, Leaf | None]
    """What the other side alone changed, by path, as it has it now."""
    mixed: tuple[str, ...]
    """Files that each side changed in its way: whoever merges lines may know."""
    undecided: tuple[str, ...]
    """What nobody can know: one side removed what the other one changed, for instance."""


def together(bases: Sequence[Folder], one: Folder, other: Folder) -> Together:
    """Return what *one* becomes with what *other* changed; *bases* are what the two come from, mostly a single one."""
    taken: dict[str, Leaf | None] = {}
    mixed, undecided = [], []
    for path, (*before, ours, theirs) in _paths("", [*(bases or [EMPTY]), one, other]):
        kinds = {None if entry is None else entry.kind for entry in (*before, ours, theirs)}
        if "folder" not in kinds and all(_is_equal(entry, ours) for entry in before):
            taken[path] = leaf_at(other, path)
        elif kinds <= {"file", "executable"}:
            mixed.append(path)
        else:
            undecided.append(path)
    return Together(taken, tuple(mixed), tuple(undecided))


def _paths(prefix: str, folders: Sequence[Folder]) -> Iterator[tuple[str, list[Entry | None]]]:
    """Yield the paths at which the last two folders differ, and not by the first of the two alone, with the entries."""
    for name in differing(folders[-1], folders[-2]):
        entries = [folder.entries().get(name) for folder in folders]
        if all(_is_equal(entry, entries[-1]) for entry in entries[:-2]):
            continue
        if all(entry is None or entry.kind == "folder" for entry in entries):
            opened = [folder.folder(name) if entry else EMPTY for folder, entry in zip(folders, entries, strict=True)]
            yield from _paths(f"{prefix}{name}/", opened)
        else:
            yield prefix + name, entries


def _is_equal(one: Entry | None, other: Entry | None) -> bool:
    """Tell whether two entries are known to be equal."""
    return one == other and (one is None or one.id is not None)
