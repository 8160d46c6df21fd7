"""What differs between two revisions, as far as a page shows it: users, definitions, projects, stored files.

Equal folders are not opened, so the cost follows what differs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.differences import differing, differs_at, folder_of, stored_differences
from gitindex.names import IndexName, ProjectName, UserName, parse_filename
from gitindex.snapshot import Stray

if TYPE_CHECKING:
    from gitindex.snapshot import Snapshot
    from gitindex.tree import Folder


@dataclass
class Touched:
    """What differs between two revisions."""

    users: bool = False
    """Whether a user came, went, or is described in other words."""
    definitions: set[IndexName] = field(default_factory=set)
    """Indexes that came, went, or are defined otherwise."""
    projects: defaultdict[IndexName, set[ProjectName]] = field(default_factory=lambda: defaultdict(set))
    """Projects whose folders differ, by index."""
    stored: set[ProjectName] = field(default_factory=set)
    """Projects of which a stored file, or what lies beside it, came, went or differs."""
    moved: set[ProjectName] = field(default_factory=set)
    """Projects that came into an index, or went."""


def touched(old: Snapshot, new: Snapshot) -> Touched:
    """Return what differs; equal folders are not opened."""
    found = Touched()
    for user in differing(old.indexes_folder, new.indexes_folder):
        before, after = old.user_folder(user), new.user_folder(user)
        found.users = found.users or before is None or after is None or differs_at(before, after, layout.USER)
        for name in differing(before, after):
            if name == layout.USER:
                continue
            index = IndexName(UserName(user), name)
            _add_index(found, index, folder_of(old.index_folder(index)), folder_of(new.index_folder(index)))
    for stored in stored_differences(old.files_folder, new.files_folder):
        if not isinstance(stored, Stray) and (project := project_of(stored.filename)):
            found.stored.add(project)
    return found


def _add_index(found: Touched, name: IndexName, before: Folder | None, after: Folder | None) -> None:
    if differs_at(before, after, layout.INDEX):
        found.definitions.add(name)
    names = [ProjectName(entry) for entry in differing(before, after) if entry != layout.INDEX]
    found.projects[name].update(names)
    found.moved.update(entry for entry in names if _has(before, entry) != _has(after, entry))


def _has(index: Folder | None, name: str) -> bool:
    entry = index.entries().get(name) if index is not None else None
    return entry is not None and entry.kind == "folder"


def project_of(filename: str) -> ProjectName | None:
    """Return the project of a stored file, or of what lies beside one; ``None`` where its name says none."""
    for suffix in (layout.METADATA_SUFFIX, layout.PROVENANCE_SUFFIX):
        filename = filename.removesuffix(suffix)
    parsed = parse_filename(filename)
    return parsed.project if parsed else None
