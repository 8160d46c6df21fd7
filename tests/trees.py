"""The content of commits as values, and trees as raw as Git has them: any name and any mode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pygit2

from gitindex.git import trees
from gitindex.tree import Kind

MODES: dict[Kind, int] = {"file": 0o100644, "executable": 0o100755, "symlink": 0o120000, "submodule": 0o160000}
TREE = 0o040000
AUTHOR = pygit2.Signature("Emilie", "emilie@example.org", 1795332300, 0)
PLAIN = MODES["file"]


class Node(NamedTuple):
    """What stands at a path."""

    mode: int
    data: bytes
    """The content; of a symlink where it leads; of a submodule the 20 bytes of its commit's id."""


class Files(dict[bytes, Node]):
    """The content of a commit, by path."""

    def put(self, path: bytes, node: Node) -> None:
        """Put a file at a path, in place of what stands there, below it, or in its way."""
        parts = path.split(b"/")
        for depth in range(1, len(parts)):
            self.pop(b"/".join(parts[:depth]), None)
        self.remove(path)
        self[path] = node

    def remove(self, path: bytes) -> Files:
        """Remove a file or a folder, and return what it was, with paths below its own."""
        gone = Files()
        for known in [known for known in self if known == path or known.startswith(path + b"/")]:
            gone[known.removeprefix(path)] = self.pop(known)
        return gone

    def overlay(self, folder: Path) -> None:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(os.fsencode(file.relative_to(folder).as_posix()), Node(PLAIN, file.read_bytes()))


@contextmanager
def read_piece_by_piece(*, wanted: bool = True) -> Iterator[None]:
    """Have small trees read as large ones are: no more of them than is asked for."""
    before = trees._LARGE
    trees._LARGE = 0 if wanted else before
    try:
        yield
    finally:
        trees._LARGE = before


class Writer:
    """Writes objects into a repository; what it wrote before, it does not write again."""

    def __init__(self, git: pygit2.Repository) -> None:
        self._git = git
        self._known: dict[tuple[int, bytes], bytes] = {}

    def write(self, kind: pygit2.enums.ObjectType, data: bytes) -> bytes:
        """Write an object, and return its id."""
        found = self._known.get((kind, data))
        if found is None:
            found = self._known[kind, data] = self._git.odb.write(int(kind), data).raw
        return found

    def tree(self, files: Files) -> bytes:
        """Write the tree of *files*, with all that is below, and return its id."""
        entries: list[tuple[bytes, int, bytes]] = []
        below: dict[bytes, Files] = {}
        for path, node in files.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(name, Files())[rest] = node
            elif node.mode == MODES["submodule"]:
                entries.append((name, node.mode, node.data))
            else:
                entries.append((name, node.mode, self.write(pygit2.enums.ObjectType.BLOB, node.data)))
        entries += [(name, TREE, self.tree(inside)) for name, inside in below.items()]
        return self.entries(sorted(entries, key=lambda entry: entry[0] + b"/" * (entry[1] == TREE)))

    def entries(self, entries: list[tuple[bytes, int, bytes]]) -> bytes:
        """Write a tree of just these entries (name, mode and id) in just this order, and return its id."""
        data = b"".join(b"%o %s\0%s" % (mode, name, object_id) for name, mode, object_id in entries)
        return self.write(pygit2.enums.ObjectType.TREE, data)


def write_tree(git: pygit2.Repository, files: Files) -> pygit2.Oid:
    """Write the tree of *files* into a repository."""
    return pygit2.Oid(raw=Writer(git).tree(files))


def make_worktree(path: Path, base: Files, head: Files) -> None:
    """Make a repository whose last commit is *base*, with *head* in its working tree; nothing of it is staged."""
    git = pygit2.init_repository(str(path))
    tree = write_tree(git, base)
    git.create_commit("HEAD", AUTHOR, AUTHOR, "Base", tree, [])
    git.index.read_tree(tree)
    git.index.write()
    for name, node in head.items():
        target = path / os.fsdecode(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if node.mode == MODES["symlink"]:
            target.symlink_to(os.fsdecode(node.data))
        else:
            target.write_bytes(node.data)
            target.chmod(node.mode & 0o777)


def read_tree(git: pygit2.Repository, tree: pygit2.Tree, prefix: bytes = b"") -> Files:
    """Read all files of a tree."""
    return Files(_files_of(git, tree, prefix))


def _files_of(git: pygit2.Repository, tree: pygit2.Tree, prefix: bytes) -> Iterator[tuple[bytes, Node]]:
    for entry in tree:
        path = prefix + (entry.raw_name or b"")
        if isinstance(entry, pygit2.Tree):
            yield from _files_of(git, entry, path + b"/")
        elif entry.filemode == MODES["submodule"]:
            yield path, Node(MODES["submodule"], entry.id.raw)
        elif isinstance(entry, pygit2.Blob):
            yield path, Node(entry.filemode, entry.data)
