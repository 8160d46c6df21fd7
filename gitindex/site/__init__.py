"""Writes the site of a revision to a folder: each file replaced in one step, and what is no longer produced removed.

The order is files, project pages, lists, removals, so that a reader never sees a link to what is not there yet. Where
the folder remembers an earlier revision, it is updated: only what differs is opened, and what comes is what a full
rendering would give.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gitindex import layout
from gitindex.carried import NOTHING, Carried
from gitindex.differences import differs_in_content
from gitindex.errors import CannotRunError, NotThereError
from gitindex.happenings import Happening, happenings
from gitindex.names import IndexName, ProjectName, is_commit_id
from gitindex.output import MARKER, OutputFolder
from gitindex.overview import Gathered, index_view, landing_view
from gitindex.pages import Links
from gitindex.parallel import in_shares, shares_for
from gitindex.render import people
from gitindex.render.frames import Frames
from gitindex.render.people import Rows
from gitindex.resolve import project_names
from gitindex.served import ServedIndex, open_index, reserved_names
from gitindex.site.memory import Listed, SiteMemory
from gitindex.site.renderer import fingerprint
from gitindex.site.stage import (
    ProjectWriter,
    StageWork,
    digest_of,
    is_feed_right,
    made_rows,
    regather,
    whole,
    write_lists,
)
from gitindex.site.update import StoredFiles, other_carried, stage_work
from gitindex.snapshot import Snapshot
from gitindex.storage import EmbeddedStore, Store
from gitindex.touched import Touched, touched
from gitindex.views import FEED_LENGTH, HISTORY_LENGTH, HistoryEntry, ProjectEvent

if TYPE_CHECKING:
    from gitindex.site.notices import Notices


class Past(Protocol):
    """The past of a snapshot, as far as a site needs it."""

    @property
    def head(self) -> str | None:
        """The commit that the snapshot is, or stands on; ``None`` before the first one."""

    @property
    def ends(self) -> str:
        """Where a shallow clone ends; empty for a whole one."""

    def at(self, revision: str) -> Snapshot:
        """Open an earlier revision; raises :class:`NotThereError` where it is not here."""

    def step(self, commit: str) -> tuple[Snapshot, Snapshot]:
        """Open what was before a commit, and what came with it."""

    def between(self, since: str | None, head: str) -> Iterator[ProjectEvent] | None:
        """Return what happened to projects after a commit, oldest first; ``None`` where it does not lead to *head*."""


class Report(NamedTuple):
    """What a rendering did: numbers of files."""

    written: int
    unchanged: int
    removed: int
    projects: int
    """How many projects were looked at."""
    since: str | None = None
    """The commit whose site was updated; ``None`` where all was rendered."""


@dataclass
class _Plan:
    """What is to be written."""

    stages: list[StageWork]
    mirrors: list[ServedIndex]
    since: str | None = None
    old: Snapshot | None = None
    found: Touched | None = None
    old_files: Mapping[ProjectName, set[str]] = field(default_factory=dict)
    """The stored files that the site had, of the projects that are looked at."""
    old_copies: frozenset[str] = frozenset()
    """The copies of mirrors' files that the site had."""


def render(
    snapshot: Snapshot,
    out: Path,
    *,
    indexes: Collection[IndexName] = (),
    lfs_objects: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    extras: Mapping[str, bytes] = MappingProxyType({}),
    carried: Carried = NOTHING,
    past: Past | None = None,
    storage: Store | None = None,
    full: bool = False,
    notices: Notices | None = None,
) -> Report:
    """Write the site of *snapshot* to the folder *out*.

    With *indexes*, only these are in it. *extras* are files of its host, by path, and *carried* is what mirrors have
    that is to be in it. *progress* is told how many projects are done, and how many there are. *storage* has the files
    that are kept outside of the repository and have no public URL: they are copied into the site. With *full*, nothing
    is taken over from what the folder remembers. With *notices* it is a preview: the pages for people say what changes,
    and no update is made of it or upon it.

    Raises:
        CannotRunError: *out* was not made by gitindex, the content cannot be shown, or the disk fails.
        NotThereError: an index is not there.

    """
    links = Links(snapshot, can_serve=storage is not None)
    _check_wanted(snapshot, indexes)
    folder = OutputFolder(out)
    folder.begin()
    memory = SiteMemory(out / MARKER)
    try:
        rendering = _Rendering(snapshot, links, folder, memory, indexes, past, lfs_objects, storage, carried, notices)
        return rendering.run(extras, progress, full=full)
    finally:
        memory.close()


@dataclass
class _Rendering:
    """One rendering of a site."""

    _snapshot: Snapshot
    _links: Links
    _folder: OutputFolder
    _memory: SiteMemory
    _wanted: Collection[IndexName]
    _past: Past | None
    _lfs_objects: Path | None
    _storage: Store | None
    _carried: Carried
    _notices: Notices | None
    _known: Mapping[IndexName, Listed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._frames = Frames(self._memory.frame)
        self._store = self._store_of(self._snapshot)

    def _store_of(self, snapshot: Snapshot) -> Store | None:
        is_embedded = snapshot.settings.storage.is_embedded
        return EmbeddedStore(snapshot.root, self._lfs_objects) if is_embedded else self._storage

    def _links_of(self, snapshot: Snapshot) -> Links:
        return Links(snapshot, can_serve=self._storage is not None)

    def run(self, extras: Mapping[str, bytes], progress: Callable[[int, int], None] | None, *, full: bool) -> Report:
        """Do it."""
        options = json.dumps([sorted(map(str, self._wanted)), sorted(extras), self._past.ends if self._past else None])
        renderer, revision = fingerprint(), None if self._notices else self._revision()
        made, self._known = self._memory.recall()
        earlier = json.loads(made.options)[1] if made else ()
        plan = None
        if (
            made
            and not full
            and not self._notices
            and self._past
            and (made.renderer, made.options) == (renderer, options)
        ):
            now = (self._carried.identities, self._carried.files)
            if made.revision == revision and not extras and self._memory.recall_carried() == now:
                return Report(0, 0, 0, 0, made.revision)
            plan = self._update(made.revision)
        if plan is None:
            plan = self._whole()
        for path in self._carried.files:
            self._folder.place(path)
        lists = self._write(plan, progress)
        self._write_others(plan, lists)
        for path, data in extras.items():
            self._folder.write(path, data)
        removed = self._folder.remove_others() if plan.old is None else self._remove(plan)
        # Hidden files at the top are left alone, for a host may need them; but what a rendering put there goes with it.
        removed += sum(self._folder.remove(path) for path in earlier if "/" not in path and path not in extras)
        self._memory.finish(renderer, options, revision, lists, carried=self._carried, frames=self._frames.made)
        projects = len({name for work in plan.stages for name in work.names})
        return Report(self._folder.written, self._folder.unchanged, removed, projects, plan.since)

    def _revision(self) -> str | None:
        """Return the commit that the snapshot is, where nothing in it is uncommitted."""
        name = self._snapshot.name
        if name is not None and is_commit_id(name):
            return name
        return self._past.head if self._past and self._snapshot.root.id is not None else None

    def _whole(self) -> _Plan:
        self._memory.begin(afresh=True)
        if self._past and self._past.head:
            self._memory.record(self._past.between(None, self._past.head) or (), self._past.head)
        stages, mirrors = _open_indexes(self._snapshot, self._wanted)
        works = [whole(self._snapshot, served, self._carried.of(served.name)) for served in stages]
        return _Plan(works, mirrors)

    def _update(self, since: str) -> _Plan | None:
        """Return what has to be written where the site of the commit *since* is there; ``None``: all of it."""
        past, tip = self._past, self._memory.tip
        if past is None or past.head is None or tip is None:
            return None
        try:
            old = past.at(since)
        except NotThereError:
            return None
        if differs_in_content(old.root, self._snapshot.root, layout.SETTINGS):
            return None
        events = past.between(tip, past.head)
        if events is None:
            return None
        found = touched(old, self._snapshot)
        identities, copies = self._memory.recall_carried()
        others = other_carried(identities, self._carried.identities)
        happened = list(events)
        for event in happened:
            found.projects[event.entry.index].add(event.project)
        linking = self._memory.needing(found.moved)
        stages, mirrors = _open_indexes(self._snapshot, self._wanted)
        try:
            works = list(
                stage_work(
                    old,
                    self._snapshot,
                    stages,
                    self._known,
                    found=found,
                    linking=linking,
                    carried=self._carried,
                    others=others,
                )
            )
            files = self._files_of(old, {name for work in works for name in work.names} | _gone(old, found, works))
        except CannotRunError:  # the old revision cannot be shown any more, so what it had is not known
            return None
        self._memory.begin(afresh=False)
        self._memory.record(happened, past.head)
        mirrors = [mirror for mirror in mirrors if mirror.name in found.definitions]
        return _Plan(works, mirrors, since, old, found, files, copies)

    def _files_of(self, snapshot: Snapshot, names: Collection[ProjectName]) -> dict[ProjectName, set[str]]:
        """Return the stored files that the site of a snapshot has of some projects."""
        store = self._store_of(snapshot)
        if store is None or snapshot.settings.storage.public_url:
            return {}
        stored = StoredFiles(snapshot, _open_indexes(snapshot, self._wanted)[0], store, self._links_of(snapshot))
        return {name: stored.of(name) for name in names}

    def _write(self, plan: _Plan, progress: Callable[[int, int], None] | None) -> dict[IndexName, Listed]:
        """Write the pages of projects and the lists of the stages; return what these are made of."""
        names = sorted({name for work in plan.stages for name in work.names})
        folder = self._folder

        def history(places: tuple[IndexName, ...], name: ProjectName) -> tuple[HistoryEntry, ...]:
            return self._memory.history(places, name, HISTORY_LENGTH) if self._past else ()

        def write_share(share: int, shares: int) -> _Done:
            writer = ProjectWriter(self._snapshot, self._links, folder, self._store, history, frames=self._frames)
            writer.notices = self._notices
            mine = names[share::shares]
            for done, name in enumerate(mine):
                if progress is not None and share == 0:
                    progress(min(done * shares, len(names)), len(names))
                for work in plan.stages:
                    if name in work.names:
                        writer.write(work, name)
            gathered = [work.gathered for work in plan.stages]
            counts = folder.written, folder.unchanged
            return _Done(gathered, folder.produced, folder.folders, *counts, writer.needs, self._frames.made)

        # The connections to an object store do not outlive a fork.
        shares = 1 if self._storage is not None else shares_for(len(names))
        for done in in_shares(write_share, shares):
            done.put_into(plan.stages, folder)
            self._memory.note_needs(done.needs)
            self._frames.made |= done.frames
        kept = {served.name for served in _open_indexes(self._snapshot, self._wanted)[0]} if plan.old else set()
        lists = {name: listed for name, listed in self._known.items() if name in kept}
        for work in plan.stages:
            work.add_known()
            lists[work.name] = write_lists(
                self._snapshot,
                work,
                folder,
                *self._rows(work),
                happened=self._happened(work),
                frames=self._frames,
                notices=self._notices,
            )
        return lists

    def _happened(self, work: StageWork) -> tuple[Happening, ...]:
        """Return what the feed of a stage shows of the history: what was not there before is read from its commits."""
        if self._past is None:
            return ()
        known = {(found.commit, found.project): found for found in work.known.happened} if work.known else {}
        return happenings(self._memory.of_index(work.name, FEED_LENGTH), self._past.step, known)

    def _rows(self, work: StageWork) -> tuple[Rows, Collection[ProjectName] | None]:
        """Return the rows of the page of a stage, and the projects that have one; ``None`` where these are as before.

        The rows are those that are there, and those that were made anew.
        """
        if not work.is_whole and work.known is not None:
            page = self._folder.read(f"{work.name}/index.html")
            if digest_of(page) == work.known.page and is_feed_right(work):
                return _rows_of_update(work, page)
            regather(self._snapshot, work, self._links)
        rows = made_rows(work)
        return people.rows_of(rows), rows

    def _write_others(self, plan: _Plan, lists: Mapping[IndexName, Listed]) -> None:
        snapshot, folder = self._snapshot, self._folder
        for mirror in plan.mirrors:
            shown = index_view(snapshot, mirror, 0)
            if self._notices is not None:
                shown = replace(shown, notice=self._notices.of_index(mirror.name, folder.has_page))
            folder.write(f"{mirror.name}/index.html", people.index(shown, people.rows_of({}), self._frames))
        counts = {name: listed.projects for name, listed in lists.items()}
        before = {name: listed.projects for name, listed in self._known.items()}
        if plan.found is None or plan.found.users or plan.found.definitions or counts != before:
            stages, mirrors = _open_indexes(snapshot, self._wanted)
            view = landing_view(snapshot, [*stages, *mirrors], counts)
            if self._notices is not None:
                indexes = [served.name for served in (*stages, *mirrors)]
                view = replace(view, notice=self._notices.of_all(indexes, folder.has_page))
            folder.write("index.html", people.landing(view))
        if plan.old is None:
            for name in people.STATICS:
                folder.write(f"+site/{name}", people.static(name))
            settings = snapshot.settings.site
            folder.write("404.html", people.missing(settings.title, people.root_of(settings.url)))

    def _remove(self, plan: _Plan) -> int:
        """Remove what is gone since the old revision, and return how many files were."""
        assert plan.old is not None  # noqa: S101 - asked before
        assert plan.found is not None  # noqa: S101
        folder, removed, reserved = self._folder, 0, frozenset(reserved_names(self._snapshot))
        for name in plan.found.definitions:
            if self._snapshot.index(name) is None:
                removed += folder.remove_folder(str(name))
        for mirror in plan.mirrors:  # it may have been a stage
            removed += folder.remove_others(f"{mirror.name}/")
        for work in plan.stages:
            if work.is_whole:
                removed += folder.remove_others(f"{work.name}/")
                continue
            for project in work.names:
                if not any(index.has_project(project) for index in work.served.order):
                    removed += folder.remove_folder(f"{work.name}/project/{project}")
                    if project not in reserved and project not in work.carried:
                        removed += folder.remove_folder(f"{work.name}/simple/{project}")
        return removed + self._remove_files(plan)

    def _remove_files(self, plan: _Plan) -> int:
        now = self._files_of(self._snapshot, [name for name, paths in plan.old_files.items() if paths])
        gone = {path for name, paths in now.items() for path in plan.old_files[name] - paths}
        # What is ours too is stored, and a page of ours may link to it.
        gone |= {path for path in plan.old_copies if self._store is None or not self._store.has(path)}
        gone -= self._carried.files
        return sum(self._folder.remove(path) for path in sorted(gone))


class _Done(NamedTuple):
    """What a process has done of the work."""

    gathered: list[Gathered]
    produced: set[str]
    folders: set[str]
    written: int
    unchanged: int
    needs: dict[ProjectName, set[ProjectName]]
    frames: dict[str, str]

    def put_into(self, stages: Sequence[StageWork], folder: OutputFolder) -> None:
        """Add it to what is known of the whole."""
        if self.produced is folder.produced:
            return  # it was this process
        for work, gathered in zip(stages, self.gathered, strict=True):
            work.gathered.add(gathered)
        folder.produced |= self.produced
        folder.folders |= self.folders
        folder.written += self.written
        folder.unchanged += self.unchanged


_FEW = 10
"""So many rows are put into a page without reading the others."""


def _rows_of_update(work: StageWork, page: bytes) -> tuple[Rows, Collection[ProjectName] | None]:
    new = made_rows(work)
    if len(new) == len(work.names) <= _FEW and not work.concerns_quarantined and (rows := people.with_rows(page, new)):
        return rows, None
    others = {name: row for name, row in people.read_rows(page).items() if name not in work.names}
    listed = dict(sorted({**others, **new}.items()))
    return people.rows_of(listed), listed


def _gone(old: Snapshot, found: Touched, works: Sequence[StageWork]) -> set[ProjectName]:
    """Return the projects that an index had which is gone, or is written whole."""
    names = found.definitions | {work.name for work in works if work.is_whole}
    opened = (open_index(old, name) for name in names)
    return {name for served in opened if served is not None for name in project_names(served.order)}


def _check_wanted(snapshot: Snapshot, wanted: Collection[IndexName]) -> None:
    for name in wanted:
        if snapshot.index(name) is None:
            raise NotThereError(f"{name}: no such index", help="see: gitindex index list")


def _open_indexes(snapshot: Snapshot, wanted: Collection[IndexName]) -> tuple[list[ServedIndex], list[ServedIndex]]:
    """Return the stages and the mirrors that the site has."""
    opened = [open_index(snapshot, name) for name in snapshot.index_names() if not wanted or name in wanted]
    found = [served for served in opened if served is not None]
    return [s for s in found if not s.index.is_mirror], [s for s in found if s.index.is_mirror]
