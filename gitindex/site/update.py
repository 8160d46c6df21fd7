"""What a site needs when its revision changes: which pages of which stages, found by what differs between two trees.

A change of a base concerns every stage that inherits it. Where an update could not give what a full rendering gives,
there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.differences import differing, differs_at, folder_of, stored_differences
from gitindex.errors import CannotRunError
from gitindex.names import IndexName, ProjectName, UserName, parse_filename
from gitindex.pages import Links, project_page
from gitindex.resolve import walk
from gitindex.served import ServedIndex, open_index
from gitindex.site.memory import Listed
from gitindex.site.stage import StageWork, gathering, stored_paths, whole
from gitindex.snapshot import Snapshot, Stray
from gitindex.storage import Store

if TYPE_CHECKING:
    from gitindex.tree import Folder


@dataclass
class Differences:
    """What differs between two revisions, as far as a site shows it."""

    users: bool = False
    """Whether a user came, went, or is described in other words."""
    definitions: set[IndexName] = field(default_factory=set)
    """Indexes that came, went, or are defined otherwise."""
    projects: defaultdict[IndexName, set[ProjectName]] = field(default_factory=lambda: defaultdict(set))
    """Projects whose folders differ, by index."""
    stored: set[ProjectName] = field(default_factory=set)
    """Projects of which a stored file, or what lies beside it, came, went or differs."""


def differences(old: Snapshot, new: Snapshot) -> Differences:
    """Return what differs; equal folders are not opened."""
    found = Differences()
    for user in differing(old.indexes_folder, new.indexes_folder):
        before, after = old.user_folder(user), new.user_folder(user)
        found.users = found.users or before is None or after is None or differs_at(before, after, layout.USER)
        for name in differing(before, after):
            if name == layout.USER:
                continue
            index = IndexName(UserName(user), name)
            _add_index(found, index, folder_of(old.index_folder(index)), folder_of(new.index_folder(index)))
    for stored in stored_differences(old.files_folder, new.files_folder):
        if not isinstance(stored, Stray) and (project := _project_of(stored.filename)):
            found.stored.add(project)
    return found


def _add_index(found: Differences, name: IndexName, before: Folder | None, after: Folder | None) -> None:
    if differs_at(before, after, layout.INDEX):
        found.definitions.add(name)
    found.projects[name].update(ProjectName(entry) for entry in differing(before, after) if entry != layout.INDEX)


def _project_of(filename: str) -> ProjectName | None:
    for suffix in (layout.METADATA_SUFFIX, layout.PROVENANCE_SUFFIX):
        filename = filename.removesuffix(suffix)
    parsed = parse_filename(filename)
    return parsed.project if parsed else None


def stage_work(
    old: Snapshot,
    new: Snapshot,
    stages: Iterable[ServedIndex],
    found: Differences,
    known: Mapping[IndexName, Listed],
) -> Iterator[StageWork]:
    """Yield the stages that differ, with the projects that are looked at anew in each."""
    for served in stages:
        before = open_index(old, served.name)
        places = {index.name for index in served.order}
        if before is None or served.name not in known or found.definitions & places or _order(before) != _order(served):
            yield whole(new, served)
            continue
        touched = {name for place in places for name in found.projects.get(place, ())}
        touched |= {name for name in found.stored if any(index.has_project(name) for index in served.order)}
        if touched:
            listed = known[served.name]
            names = frozenset(touched)
            yield StageWork(served, names, is_whole=False, known=listed, gathered=gathering(listed))


def _order(served: ServedIndex) -> list[IndexName]:
    return [index.name for index in served.order]


class StoredFiles:
    """Which stored files the pages of a snapshot's stages link to."""

    def __init__(self, snapshot: Snapshot, stages: Sequence[ServedIndex], store: Store, links: Links) -> None:
        self._snapshot = snapshot
        self._stages = stages
        self._store = store
        self._links = links

    def of(self, name: ProjectName) -> set[str]:
        """Return the paths of those of a project.

        Raises:
            CannotRunError: it cannot be shown, or shows a file of another project, which may be shown there too.

        """
        paths: set[str] = set()
        for served in self._stages:
            steps = tuple(walk(self._snapshot, served.order, name))
            if any(step.outcome == "shown" for step in steps):
                page = project_page(name, steps, self._links)
                if any(_project_of(file.filename) != name for file in page.files):
                    raise CannotRunError(f"{name}: has a file of another project")
                paths.update(path for path, _ in stored_paths(page, self._store))
        return paths
