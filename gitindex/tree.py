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
        self._entries: dict[str, Entry] | None = None

    def entries(self) -> Mapping[str, Entry]:
        if self._entries is None:
            entries = dict(self._below.entries())
            for name, change in self._leaves.items():
                if change is None:
                    entries.pop(name, None)
                else:
                    entries[name] = Entry(change.kind, change.id)
            for name in self._deeper:
                if self._changed_folder(name).entries():
                    entries[name] = Entry("folder", None)
                elif name in entries and entries[name].kind == "folder":
                    del entries[name]
            self._entries = entries
        return self._entries

    def differing(self, other: Folder) -> set[str] | None:  # noqa: ARG002
        return None

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
