"""What the core needs of Git: folders that are opened one at a time, and an overlay of writes on top of one."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import BinaryIO, Literal, NamedTuple, Protocol

Kind = Literal["file", "executable", "symlink", "submodule", "folder"]
ObjectId = Hashable


class Entry(NamedTuple):
    """One name in a folder."""

    kind: Kind
    id: ObjectId | None
    """Equal ids of two entries mean equal content; ``None`` says nothing."""


class Folder(Protocol):
    """A directory of a revision, of the staged index or of the working tree."""

    @property
    def id(self) -> ObjectId | None:
        """Equal ids of two folders mean equal content; ``None`` says nothing."""

    def entries(self) -> Mapping[str, Entry]:
        """Return the names in it. Names that are not UTF-8 carry surrogate escapes."""

    def differing(self, other: Folder) -> set[str] | None:
        """Return the names whose entries are not equal to *other*'s.

        ``None`` where this folder has no quicker way to tell than to compare the entries.
        """

    def folder(self, name: str) -> Folder:
        """Open a folder in it; *name* must be one of kind ``folder``."""

    def size(self, name: str) -> int:
        """Return the size in bytes of a file in it."""

    def read(self, name: str) -> bytes:
        """Return the content of a file in it (of a symlink: its target)."""

    def open(self, name: str) -> BinaryIO:
        """Open a file in it for reading in pieces."""

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each plain file in it."""


class EmptyFolder:
    """A folder with nothing in it."""

    id = None

    def entries(self) -> Mapping[str, Entry]:
        return MappingProxyType({})

    def differing(self, other: Folder) -> set[str] | None:  # noqa: ARG002
        return None

    def folder(self, name: str) -> Folder:
        raise KeyError(name)

    def size(self, name: str) -> int:
        raise KeyError(name)

    def read(self, name: str) -> bytes:
        raise KeyError(name)

    def open(self, name: str) -> BinaryIO:
        raise KeyError(name)

    def files(self) -> Iterator[tuple[str, bytes]]:
        return iter(())


EMPTY: Folder = EmptyFolder()


class Leaf(NamedTuple):
    """A file that stands in for what lies below: its kind and a way to read it."""

    kind: Kind
    read: Callable[[], bytes]
    id: ObjectId | None = None
    size: Callable[[], int] | None = None
    open: Callable[[], BinaryIO] | None = None


def leaf(data: bytes, kind: Kind = "file") -> Leaf:
    """Return a leaf that holds *data* in memory."""
    return Leaf(kind, lambda: data, None, lambda: len(data), lambda: io.BytesIO(data))


class Overlay:
    """A folder with some paths below it added, replaced (a leaf) or removed (``None``).

    What no change touches keeps the ids of the folder below, so comparisons stay as cheap as the change.
    """

    id = None

    def __init__(self, below: Folder, changes: Mapping[str, Leaf | None]) -> None:
        self._below = below
        self._leaves: dict[str, Leaf | None] = {}
        self._deeper: dict[str, dict[str, Leaf | None]] = {}
        for path, change in changes.items():
            head, _, rest = path.partition("/")
            if rest:
                self._deeper.setdefault(head, {})[rest] = change
            else:
                self._leaves[head] = change
        self._folders: dict[str, Folder] = {}
        self._changed: dict[str, Entry | None] | None = None

    def entries(self) -> Mapping[str, Entry]:
        return _OverlaidEntries(self._below.entries(), self._changed_entries())

    def _changed_entries(self) -> Mapping[str, Entry | None]:
        """Return the entries that are not those of the folder below, ``None`` for one that is not there any more."""
        if self._changed is None:
            self._changed = {
                name: None if change is None else Entry(change.kind, change.id) for name, change in self._leaves.items()
            }
            for name, inside in self._deeper.items():
                if any(change is not None for change in inside.values()):
                    self._changed[name] = Entry("folder", None)  # what it has besides need not be opened
                    continue
                below = self._changed.get(name) if name in self._changed else self._below.entries().get(name)
                if self._changed_folder(name).entries():
                    self._changed[name] = Entry("folder", None)
                elif below is not None and below.kind == "folder":
                    self._changed[name] = None
        return self._changed

    def differing(self, other: Folder) -> set[str] | None:
        if other is self._below or (other.id is not None and other.id == self._below.id):
            below = set[str]()
        elif (found := self._below.differing(other)) is not None:
            below = found
        else:
            return None
        changed, entries = self._changed_entries(), other.entries()
        # Where ids say nothing, equal entries are not known to be equal.
        differing = {n for n, now in changed.items() if now != entries.get(n) or (now is not None and now.id is None)}
        return differing | {name for name in below if name not in changed}

    def _changed_folder(self, name: str) -> Folder:
        if name not in self._folders:
            below = self._below.entries().get(name)
            opened = self._below.folder(name) if below and below.kind == "folder" else EMPTY
            self._folders[name] = Overlay(opened, self._deeper[name])
        return self._folders[name]

    def folder(self, name: str) -> Folder:
        if name in self._deeper:
            return self._changed_folder(name)
        return self._below.folder(name)

    def _leaf(self, name: str) -> Leaf | None:
        return self._leaves.get(name)

    def size(self, name: str) -> int:
        change = self._leaf(name)
        if change is None:
            return self._below.size(name)
        return change.size() if change.size else len(change.read())

    def read(self, name: str) -> bytes:
        change = self._leaf(name)
        return change.read() if change else self._below.read(name)

    def open(self, name: str) -> BinaryIO:
        change = self._leaf(name)
        if change is None:
            return self._below.open(name)
        return change.open() if change.open else io.BytesIO(change.read())

    def files(self) -> Iterator[tuple[str, bytes]]:
        return ((name, self.read(name)) for name, entry in self.entries().items() if entry.kind == "file")


class _OverlaidEntries(Mapping[str, "Entry"]):
    """The entries of a folder, some of them changed: of a large one, no more are read than are looked at."""

    def __init__(self, below: Mapping[str, Entry], changed: Mapping[str, Entry | None]) -> None:
        self._below = below
        self._changed = changed

    def __getitem__(self, name: str) -> Entry:
        if name not in self._changed:
            return self._below[name]
        entry = self._changed[name]
        if entry is None:
            raise KeyError(name)
        return entry

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._below if self._changed.get(name, _UNCHANGED) is not None)
        for name, entry in self._changed.items():
            if entry is not None and name not in self._below:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return any(entry is not None for entry in self._changed.values()) or next(iter(self), None) is not None


_UNCHANGED = Entry("file", None)


def leaf_at(root: Folder, path: str) -> Leaf | None:
    """Return the file at a path as a leaf, ``None`` where there is none."""
    found = find(root, path)
    entry = found[0].entries()[found[1]] if found else None
    if found is None or entry is None or entry.kind == "folder":
        return None
    folder, name = found
    return Leaf(entry.kind, lambda: folder.read(name), entry.id, lambda: folder.size(name))


def find(root: Folder, path: str) -> tuple[Folder, str] | None:
    """Return the folder that holds *path* and the name in it, or ``None`` where there is no such file."""
    *parents, name = path.split("/")
    folder = root
    for parent in parents:
        entry = folder.entries().get(parent)
        if entry is None or entry.kind != "folder":
            return None
        folder = folder.folder(parent)
    return (folder, name) if name in folder.entries() else None
