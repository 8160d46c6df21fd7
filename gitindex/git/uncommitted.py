"""What is not committed yet, as changes of the last commit: what is staged, and what lies in the working tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pygit2

from gitindex.errors import CannotRunError
from gitindex.git.command import ask_git
from gitindex.git.folders import blob_leaf, disk_leaf, is_gone, reason
from gitindex.tree import Leaf

Changes = dict[str, Leaf | None]
"""By path in the Git repository; ``None``: it is gone."""


def staged_changes(git: pygit2.Repository, *, is_first: bool) -> Changes:
    """Return what is staged otherwise than it is in the last commit; *is_first*: there is none yet.

    Raises:
        CannotRunError: there are unmerged paths.

    """
    entries = _whole_index(git) if is_first else _staged_entries(git)
    return {path: blob_leaf(git, object_id, mode) if mode else None for path, mode, object_id in entries}


def _staged_entries(git: pygit2.Repository) -> Iterator[tuple[str, int, bytes]]:
    """Yield path, mode (0: deleted) and object of what is staged otherwise than it is in the last commit.

    Git itself compares the two: it knows which folders are untouched, and libgit2 reads the whole index.
    """
    words = ("diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
    fields = iter(_ask(git, *words, "HEAD").split("\0"))
    for facts, path in zip(fields, fields, strict=False):  # what is behind the last one is empty
        _, mode, _, object_id, status = facts.split(" ")
        if status == "U":
            raise _conflict(path)
        yield path, int(mode, 8), bytes.fromhex(object_id)


def _whole_index(git: pygit2.Repository) -> Iterator[tuple[str, int, bytes]]:
    for line in _ask(git, "ls-files", "--stage", "--full-name", "-z").split("\0")[:-1]:
        facts, _, path = line.partition("\t")
        mode, object_id, stage = facts.split(" ")
        if stage != "0":
            raise _conflict(path)
        yield path, int(mode, 8), bytes.fromhex(object_id)


def _ask(git: pygit2.Repository, *words: str) -> str:
    # What a hook calls the index is relative to the top of the working tree.
    return ask_git(Path(git.path), *words, cwd=Path(git.workdir or git.path)).out


def _conflict(path: str) -> CannotRunError:
    return CannotRunError(f"{path}: has an unresolved merge conflict", help="resolve it and stage it: git add")


def worktree_changes(git: pygit2.Repository, top: Path, folder: str) -> Changes:
    """Return what lies otherwise below *folder* of the working tree at *top* than it is in the last commit.

    Untracked files that are not ignored are among it, and what a sparse checkout leaves out is not.
    """
    with_modes = keeps_modes(git)
    try:
        status = git.status(untracked_files="all", ignored=False)
    except (pygit2.GitError, KeyError, OSError) as error:
        raise CannotRunError(f"Git cannot read the repository: {reason(error)}", help="run: git status") from None
    left_out = _left_out(git) if any(map(is_gone, status.values())) else frozenset()
    changes: Changes = {}
    for path, flags in status.items():
        if flags == pygit2.enums.FileStatus.CURRENT or not _is_inside(path, folder) or path in left_out:
            continue
        # What Git calls gone is not looked for: the way to it may lead through a link that took a folder's place.
        known = path.rstrip("/")
        changes[known] = None if is_gone(flags) else disk_leaf(top / known, keeps_modes=with_modes)
    return changes


def keeps_modes(git: pygit2.Repository) -> bool:
    """Tell whether the working tree says which files are executable."""
    return _is_set(git, "core.filemode", default=True)


def is_sparse(git: pygit2.Repository) -> bool:
    """Tell whether the working tree leaves something out."""
    return _is_set(git, "core.sparseCheckout", default=False)


def _is_set(git: pygit2.Repository, key: str, *, default: bool) -> bool:
    try:
        return git.config.get_bool(key) if key in git.config else default
    except (pygit2.GitError, KeyError, OSError) as error:
        raise CannotRunError(f"Git cannot read its configuration: {reason(error)}", help="run: git config -l") from None


def _left_out(git: pygit2.Repository) -> frozenset[str]:
    """Return the paths that a sparse checkout leaves out: not on the disk, and not deleted."""
    if not is_sparse(git):
        return frozenset()
    listed = _ask(git, "ls-files", "-t", "-z").split("\0")
    return frozenset(line[2:] for line in listed if line.startswith("S "))


def _is_inside(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(folder + "/")
