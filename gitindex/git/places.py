"""Where in a Git repository the index repository lies, when nobody says so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pygit2

from gitindex import layout


def way_up(top: Path, start: Path) -> Iterator[str]:
    """Yield the paths, below *top*, of *start* and the folders above it."""
    for folder in (start, *start.parents):
        if not folder.is_relative_to(top):
            break
        yield relative(folder, top)


def nearest(repository: pygit2.Repository, way: Sequence[str]) -> str:
    """Return the first folder on the *way* with settings, on the disk or in the last commit; else the first."""
    top = Path(repository.workdir)
    head = None if repository.head_is_unborn else repository.head.peel(pygit2.Tree)
    for folder in way:
        path = settings_in(folder)
        if os.path.lexists(top / path) or (head is not None and path in head):
            return folder
    return next(iter(way), "")


def settings_in(folder: str) -> str:
    """Return the path of the settings of an index repository in *folder*."""
    return f"{folder}/{layout.SETTINGS}".lstrip("/")


def relative(folder: Path, top: Path) -> str:
    """Return the path of *folder* below *top*, empty for *top* itself."""
    return "/".join(folder.relative_to(top).parts)
