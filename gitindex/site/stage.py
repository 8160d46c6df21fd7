"""The pages of one stage: of its projects, and its lists."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from gitindex import layout
from gitindex.details import Details, read_details
from gitindex.happenings import Happening
from gitindex.names import IndexName, ProjectName
from gitindex.output import OutputFolder
from gitindex.overview import (
    Gathered,
    entry_rank,
    feed_view,
    index_view,
    needs_of,
    newest_version,
    project_view,
)
from gitindex.pages import Links, ProjectList, ProjectPage, joined, project_page
from gitindex.render import feed, machine, people, project as project_html
from gitindex.render.frames import Frames
from gitindex.resolve import Step, project_names, walk
from gitindex.served import ServedIndex, is_known, reserved_names
from gitindex.site.memory import Listed
from gitindex.snapshot import Snapshot
from gitindex.storage import EmbeddedStore, Store, paths_of
from gitindex.tree import ObjectId
from gitindex.views import FEED_LENGTH, HistoryEntry

if TYPE_CHECKING:
    from gitindex.site.notices import Notices

History = Callable[[tuple[IndexName, ...], ProjectName], tuple[HistoryEntry, ...]]
"""Gives the newest that happened to a project in some indexes."""


@dataclass
class StageWork:
    """A stage, and what of it is written."""

    served: ServedIndex
    names: frozenset[ProjectName]
    """The projects whose pages are written, or removed where they are gone."""
    is_whole: bool = True
    """Whether these are all of them."""
    known: Listed | None = None
    """What is remembered of its lists; of one that is whole it does not count."""
    gathered: Gathered = field(default_factory=Gathered)
    carried: Mapping[ProjectName, ProjectPage] = field(default_factory=dict)
    """What mirrors have that is on its pages."""

    @property
    def name(self) -> IndexName:
        """The name of the stage."""
        return self.served.name

    @property
    def concerns_quarantined(self) -> bool:
        """Whether one of its projects is quarantined, or was."""
        was = self.known.quarantined if self.known is not None else frozenset()
        return not was.isdisjoint(self.names) or any(row.status == "quarantined" for row in self.gathered.rows)

    def add_known(self) -> None:
        """Add what is remembered of projects that were not looked at."""
        if self.known is not None and not self.is_whole:
            self.gathered.entries += [entry for entry in self.known.entries if entry.project not in self.names]
        self.gathered.keep_newest()


def whole(snapshot: Snapshot, served: ServedIndex, carried: Mapping[ProjectName, ProjectPage]) -> StageWork:
    """Return the work of a stage that is written whole."""
    names = frozenset((*project_names(served.order), *reserved_names(snapshot), *carried))
    return StageWork(served, names, carried=carried)


class _Shared(NamedTuple):
    """A page that several indexes show."""

    ours: ProjectPage
    details: Details
    html: bytes
    json: bytes | None
    """``None`` where a mirror does not state what JSON must have."""


class ProjectWriter:
    """Writes the pages of projects. What is equal in several indexes is made once."""

    def __init__(
        self,
        snapshot: Snapshot,
        links: Links,
        folder: OutputFolder,
        store: Store | None,
        history: History,
        *,
        frames: Frames,
    ) -> None:
        self._snapshot = snapshot
        self._links = links
        self._folder = folder
        self._store = store
        self._history = history
        self._frames = frames
        self.notices: Notices | None = None
        """What pages say of the change that they preview, where they do."""
        self._reserved = frozenset(reserved_names(snapshot))
        self._name = ""
        self.needs: dict[ProjectName, set[ProjectName]] = {}
        """The projects that pages link to where these are there, by the project of the page."""
        self._shared: dict[tuple[int, tuple[tuple[IndexName, str, ObjectId], ...]], _Shared] = {}

    def write(self, work: StageWork, name: ProjectName) -> None:
        """Write the pages of a project in a stage, where it has any.

        Raises:
            CannotRunError: it cannot be shown, or the disk fails.

        """
        served = work.served
        steps = tuple(walk(self._snapshot, served.order, name))
        known, theirs = is_known(steps), work.carried.get(name)
        if not known and theirs is None and name not in self._reserved:
            return
        page, details, html, json = self._page(name, steps, theirs, is_ours=known or name in self._reserved)
        if self._store is not None:
            self._write_files(page, self._store)
        index = served.name
        self._folder.write(f"{index}/simple/{name}/index.html", html)
        if json is not None:
            self._folder.write(f"{index}/simple/{name}/index.json", json)
        else:
            self._folder.remove(f"{index}/simple/{name}/index.json")
        if known:
            places = tuple(step.name for step in served.order if not step.is_mirror)
            needs = set(needs_of(details))
            if needs:
                self.needs.setdefault(name, set()).update(needs)
            view = project_view(
                self._snapshot, served, page, steps, history=self._history(places, name), details=details
            )
            if self.notices is not None:
                view = replace(view, notice=self.notices.of_project(index, name))
            self._folder.write(f"{index}/project/{name}/index.html", project_html.project(view, self._frames))
            work.gathered.add_project(name, page, index)

    def _page(
        self, name: ProjectName, steps: tuple[Step, ...], theirs: ProjectPage | None, *, is_ours: bool
    ) -> _Shared:
        if name != self._name:  # several indexes ask for one project in turn
            self._name = name
            self._shared.clear()
        places = tuple((step.index.name, step.outcome, step.project.folder.id) for step in steps if step.project)
        key = (id(theirs), places)
        made = self._shared.get(key)
        if made is None or any(identity is None for _, _, identity in places):
            ours = project_page(name, steps, self._links)
            page = ours if theirs is None else joined(ours if is_ours else None, theirs)
            json = machine.project_json(page) if machine.has_json(page) else None
            embedded = self._store if isinstance(self._store, EmbeddedStore) else None
            details = read_details(ours, newest_version(ours), steps, embedded)
            made = self._shared[key] = _Shared(ours, details, machine.project_html(page), json)
        return made

    def _write_files(self, page: ProjectPage, store: Store) -> None:
        for path, sha256 in stored_paths(page, store):
            if sha256:
                self._folder.copy(path, sha256, store)
            else:
                self._folder.write_checked(path, store)


def stored_paths(page: ProjectPage, store: Store) -> Iterator[tuple[str, str]]:
    """Yield path and sha256 of the stored files of a page that are in the site; of provenance no digest is known."""
    for file in page.files:
        digest, metadata = file.sha256, file.core_metadata
        # Only what an upstream says may lack a digest, and nothing of an upstream is stored.
        if file.url.startswith("../") and digest is not None and metadata is not True:
            yield from paths_of(digest, file.filename, metadata, None)
            provenance = layout.stored_path(digest, file.filename) + layout.PROVENANCE_SUFFIX
            if file.provenance is not None and store.has(provenance):
                yield provenance, ""


def write_lists(
    snapshot: Snapshot,
    work: StageWork,
    folder: OutputFolder,
    rows: people.Rows,
    names: Collection[ProjectName] | None,
    *,
    happened: tuple[Happening, ...] = (),
    frames: Frames,
    notices: Notices | None = None,
) -> Listed:
    """Write the lists of a stage, its page for people with these *rows*, and its feed; return what they are made of.

    *names* are the projects that have a row, ``None`` where these are as before. The feed shows what *happened*, too.
    """
    name = work.name
    quarantined = frozenset(row.name for row in work.gathered.rows if row.status == "quarantined")
    if work.known is not None and not work.is_whole:
        quarantined |= work.known.quarantined - work.names
    if names is not None and _lists_others(work, names, quarantined):
        projects = ProjectList(tuple(sorted({*names, *work.carried} - quarantined)))
        folder.write(f"{name}/simple/index.html", machine.list_html(projects))
        folder.write(f"{name}/simple/index.json", machine.list_json(projects))
    entries = tuple(work.gathered.entries)
    projects_listed = len(names) if names is not None else work.known.projects if work.known else 0
    view = index_view(snapshot, work.served, projects_listed, entries)
    if notices is not None:
        view = replace(view, notice=notices.of_index(name, folder.has_page))
    page = people.index(view, rows, frames)
    folder.write(f"{name}/index.html", page)
    folder.write(f"{name}/feed.xml", feed.feed(feed_view(snapshot, work.served.index, work.gathered, happened)))
    return Listed(projects_listed, quarantined, entries, digest_of(page), happened)


def _lists_others(work: StageWork, names: Collection[ProjectName], quarantined: frozenset[ProjectName]) -> bool:
    """Tell whether the simple list has other names than it had."""
    if work.is_whole or work.known is None:
        return True
    is_other = len(names) != work.known.projects or quarantined != work.known.quarantined
    return is_other or bool(work.names.difference(names))


def made_rows(work: StageWork) -> dict[ProjectName, str]:
    """Return the rows of the page of a stage that were gathered, by project, sorted."""
    return {row.name: people.project_row(row) for row in work.gathered.rows}


def digest_of(page: bytes) -> str:
    """Return what tells a page of a stage from any other."""
    return hashlib.blake2b(page, digest_size=16).hexdigest()


def is_feed_right(work: StageWork) -> bool:
    """Tell whether the newest releases are known: what was too old for a full feed may have room in it now."""
    known = work.known
    if work.is_whole or known is None or len(known.entries) < FEED_LENGTH:
        return True
    entries = work.gathered.entries
    return len(entries) == FEED_LENGTH and entry_rank(entries[-1]) >= entry_rank(known.entries[-1])


def gathering(known: Listed) -> Gathered:
    """Return what the new entries of a stage are gathered in: what is older than its newest ones does not count."""
    oldest = entry_rank(known.entries[-1])[0] if len(known.entries) >= FEED_LENGTH else ""
    return Gathered(oldest=oldest)


def regather(snapshot: Snapshot, work: StageWork, links: Links) -> None:
    """Read all projects of a stage for its lists; nothing is written."""
    work.gathered = Gathered()
    for name in project_names(work.served.order):
        steps = tuple(walk(snapshot, work.served.order, name))
        work.gathered.add_project(name, project_page(name, steps, links), work.name)
    work.gathered.keep_newest()
