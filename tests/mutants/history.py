"""Commits of real Git repositories, made of files as values; each knows its files and its parents."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from copy import copy
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pygit2

from tests.trees import PLAIN, Files, Node, Writer, read_tree

MAIN = "refs/heads/main"
_AUTHOR = "Emilie <emilie@example.org>"


class Commit(NamedTuple):
    """A commit, with what is in it."""

    id: str
    files: Files
    parents: tuple[Commit, ...]

    def first_parents(self) -> Iterator[Commit]:
        """Yield the commit, its first parent, and so on."""
        commit: Commit | None = self
        while commit is not None:
            yield commit
            commit = commit.parents[0] if commit.parents else None

    def has(self, other: Commit) -> bool:
        """Tell whether *other* is this commit, or one that it comes after."""
        return self.id == other.id or any(parent.has(other) for parent in self.parents)


class Objects:
    """A store of objects that the repositories of many histories share."""

    def __init__(self, path: Path, *, folder: str = "") -> None:
        self.path = path
        self.git = pygit2.init_repository(str(path), bare=True)
        self.folder = folder
        """The folder of the Git repository that the files are in, empty for the top."""
        self._writer = Writer(self.git)
        self._times = count(1795332300)

    def commit(self, files: Files, *parents: Commit, message: str = "Change") -> Commit:
        """Write a commit; no two have the same id."""
        stamp = f"{_AUTHOR} {next(self._times)} +0000"
        lines = [f"tree {self._tree(files).hex()}", *(f"parent {parent.id}" for parent in parents)]
        data = "\n".join([*lines, f"author {stamp}", f"committer {stamp}", "", message, ""]).encode()
        return Commit(self._writer.write(pygit2.enums.ObjectType.COMMIT, data).hex(), Files(files), parents)

    def _tree(self, files: Files) -> bytes:
        if not self.folder:
            return self._writer.tree(files)
        prefix = self.folder.encode() + b"/"
        outside = Files({b"README": Node(PLAIN, b"What is not in the folder is not ours.\n")})
        return self._writer.tree(Files({prefix + path: node for path, node in files.items()} | outside))

    def merge(self, ours: Commit, theirs: Commit) -> Commit | None:
        """Write the merge that Git makes of two commits, ``None`` where it has conflicts."""
        words = ["git", "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours.id, theirs.id]
        done = subprocess.run(words, cwd=self.path, capture_output=True, check=False)
        if done.returncode:
            return None
        tree = self.git[done.stdout.rstrip(b"\0\n").decode()].peel(pygit2.Tree)
        files = read_tree(self.git, tree)
        if self.folder:
            files = files.remove(self.folder.encode())
            files = Files({path.removeprefix(b"/"): node for path, node in files.items()})
        return self.commit(files, ours, theirs, message="Merge")

    def within(self, folder: str) -> Objects:
        """Return the same store, whose commits have the files in a folder."""
        found = copy(self)
        found.folder = folder
        return found

    def repository(self, path: Path, tip: Commit) -> Path:
        """Make a bare repository that has these objects, with main at *tip*."""
        for folder in ("objects/info", "refs/heads"):
            (path / folder).mkdir(parents=True)
        (path / "HEAD").write_text(f"ref: {MAIN}\n")
        (path / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
        (path / "objects/info/alternates").write_text(f"{self.path}/objects\n")
        publish(path, tip)
        return path


def publish(repository: Path, tip: Commit) -> None:
    """Let main be at *tip*."""
    (repository / MAIN).write_text(f"{tip.id}\n")


def in_a_row(objects: Objects, base: Commit, states: Sequence[Files]) -> Commit:
    """Commit states one after the other."""
    for files in states:
        base = objects.commit(files, base)
    return base
