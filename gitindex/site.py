"""Writes the site of a revision to a folder: each file replaced in one step, and what is no longer produced removed.

The order is files, project pages, lists, removals, so that a reader never sees a link to what is not there yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.errors import CannotRunError, NotThereError
from gitindex.model import Mirror, Stage, User
from gitindex.names import (
    IndexName,
    ProjectName,
    is_owner_name,
    is_project_name,
    is_user_name,
    normalize,
    parse_version,
)
from gitindex.output import OutputFolder
from gitindex.pages import Links, ProjectList, ProjectPage, project_page
from gitindex.parallel import in_shares, shares_for
from gitindex.render import feed, machine, people
from gitindex.resolve import display_name, project_names, resolution_order, walk
from gitindex.snapshot import Index, Snapshot
from gitindex.storage import EmbeddedStore, paths_of
from gitindex.views import FeedEntry, FeedView, IndexCard, IndexView, LandingView, ProjectRow, ProjectView


class Report(NamedTuple):
    """What a rendering did: numbers of files."""

    written: int
    unchanged: int
    removed: int
    projects: int


_FEED_LENGTH = feed.MAX_ENTRIES


@dataclass
class _Gathered:
    """What is gathered for the list, the page and the feed of an index while its projects are written."""

    listed: list[ProjectName] = field(default_factory=list)
    rows: list[ProjectRow] = field(default_factory=list)
    entries: list[FeedEntry] = field(default_factory=list)
    oldest: str = ""
    """What is older than that is not among the newest."""

    def add(self, other: _Gathered) -> None:
        """Add what another process has gathered."""
        self.listed = sorted([*self.listed, *other.listed])
        self.rows = sorted([*self.rows, *other.rows], key=attrgetter("name"))
        self.entries += other.entries
        self.keep_newest()

    def keep_newest(self) -> None:
        """Put the entries in an order that does not depend on who gathered them; forget what no feed will show."""
        self.entries.sort(key=lambda entry: (_moment(entry.updated), entry.project, entry.version), reverse=True)
        del self.entries[_FEED_LENGTH:]
        if len(self.entries) == _FEED_LENGTH:
            self.oldest = _moment(self.entries[-1].updated)


def _moment(time: str | None) -> str:
    """Return a time such that later ones sort later: with the Z, a fraction of a second would sort before its whole."""
    return (time or "").removesuffix("Z")


@dataclass
class _IndexPages:
    """An index whose pages are written."""

    index: Index
    order: tuple[Index, ...]
    names: frozenset[ProjectName]
    gathered: _Gathered


class _Done(NamedTuple):
    """What a process has done of the work."""

    gathered: list[_Gathered]
    produced: set[str]
    folders: set[str]
    written: int
    unchanged: int

    def put_into(self, stages: list[_IndexPages], folder: OutputFolder) -> None:
        """Add it to what is known of the whole."""
        if self.produced is folder.produced:
            return  # it was this process
        for pages, gathered in zip(stages, self.gathered, strict=True):
            pages.gathered.add(gathered)
        folder.produced |= self.produced
        folder.folders |= self.folders
        folder.written += self.written
        folder.unchanged += self.unchanged


def render(
    snapshot: Snapshot,
    out: Path,
    *,
    indexes: Collection[IndexName] = (),
    lfs_objects: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Write the site of *snapshot* to the folder *out*.

    With *indexes*, only these are in it. *progress* is told how many projects are done, and how many there are.

    Raises:
        CannotRunError: *out* was not made by gitindex, the content cannot be shown, or the disk fails.
        NotThereError: an index is not there.

    """
    settings = snapshot.settings
    links = Links(snapshot)
    stages, mirrors = _open_indexes(snapshot, indexes)
    folder = OutputFolder(out)
    folder.begin()
    store = EmbeddedStore(snapshot.root, lfs_objects) if settings.storage.is_embedded else None
    names = sorted({name for pages in stages for name in pages.names})

    def write_share(share: int, shares: int) -> _Done:
        mine = names[share::shares]
        for done, name in enumerate(mine):
            if progress is not None and share == 0:
                progress(min(done * shares, len(names)), len(names))
            for pages in stages:
                if name in pages.names:
                    _write_project(snapshot, pages, name, links, folder, store=store)
        return _Done(
            [pages.gathered for pages in stages], folder.produced, folder.folders, folder.written, folder.unchanged
        )

    for done in in_shares(write_share, shares_for(len(names))):
        done.put_into(stages, folder)
    for pages in stages:
        _write_lists(snapshot, pages, folder)
    for mirror in mirrors:
        folder.write(f"{mirror.name}/index.html", people.index(_index_view(snapshot, mirror, (mirror,), ())))
    folder.write("index.html", people.landing(_landing(snapshot, stages, mirrors)))
    folder.write("+site/style.css", people.stylesheet())
    removed = folder.finish(snapshot.name)
    return Report(folder.written, folder.unchanged, removed, len(names))


def _open_indexes(snapshot: Snapshot, wanted: Collection[IndexName]) -> tuple[list[_IndexPages], list[Index]]:
    for name in wanted:
        if snapshot.index(name) is None:
            raise NotThereError(f"{name}: no such index", help="see: gitindex index list")
    stages, mirrors = [], []
    for name in snapshot.index_names():
        index = snapshot.index(name)
        if index is None or (wanted and name not in wanted):
            continue
        if not is_user_name(name.user) or not is_owner_name(name.name):
            raise CannotRunError(f"{str(name)!r} is no name of an index", help="see: gitindex validate --all")
        if isinstance(index.definition, Unreadable):
            raise CannotRunError(
                f"{index.path}: {index.definition.problems[0].message}", help="see: gitindex validate --all"
            )
        if index.is_mirror:
            mirrors.append(index)
            continue
        order = resolution_order(snapshot, index)
        reserved = filter(is_project_name, map(normalize, snapshot.settings.names.reserved))  # patterns are no names
        stages.append(_IndexPages(index, order, frozenset((*project_names(order), *reserved)), _Gathered()))
    return stages, mirrors


def _write_project(
    snapshot: Snapshot,
    pages: _IndexPages,
    name: ProjectName,
    links: Links,
    folder: OutputFolder,
    *,
    store: EmbeddedStore | None,
) -> None:
    steps = tuple(walk(snapshot, pages.order, name))
    page = project_page(name, steps, links)
    if store is not None:
        _write_files(page, folder, store)
    base = f"{pages.index.name}/simple/{name}"
    folder.write(f"{base}/index.html", machine.project_html(page))
    folder.write(f"{base}/index.json", machine.project_json(page))
    if not any(step.project for step in steps):
        return  # a reserved name: its page is there, and empty, so that no fallback is asked
    latest = _latest(page)
    view = ProjectView(
        snapshot.settings.site.title,
        pages.index.name,
        page,
        display_name(steps, name, page.versions[-1] if page.versions else None),
        latest if any(file.yanked is None for file in page.files) else "",
        _index_url(snapshot, pages.index),
    )
    folder.write(f"{pages.index.name}/project/{name}/index.html", people.project(view))
    status = page.status.status if page.status and page.status.status != "active" else ""
    gathered = pages.gathered
    if status != "quarantined":
        gathered.listed.append(name)
    origin = next((file.index for file in reversed(page.files) if file.version == latest), None)
    gathered.rows.append(ProjectRow(name, latest, status, origin))
    gathered.entries.extend(_feed_entries(pages.index.name, page, gathered.oldest))
    if len(gathered.entries) > 10 * _FEED_LENGTH:
        gathered.keep_newest()


def _write_files(page: ProjectPage, folder: OutputFolder, store: EmbeddedStore) -> None:
    for file in page.files:
        digest, metadata = file.sha256, file.core_metadata
        # Only what an upstream says may lack a digest, and nothing of an upstream is stored.
        if file.url.startswith("../") and digest is not None and metadata is not True:
            for path, sha256 in paths_of(digest, file.filename, metadata, None):
                folder.copy(path, sha256, store)
            provenance = layout.stored_path(digest, file.filename) + layout.PROVENANCE_SUFFIX
            if file.provenance is not None and store.has(provenance):
                folder.write_checked(provenance, store)


def _write_lists(snapshot: Snapshot, pages: _IndexPages, folder: OutputFolder) -> None:
    name = pages.index.name
    projects = ProjectList(tuple(pages.gathered.listed))
    folder.write(f"{name}/simple/index.html", machine.list_html(projects))
    folder.write(f"{name}/simple/index.json", machine.list_json(projects))
    folder.write(
        f"{name}/index.html", people.index(_index_view(snapshot, pages.index, pages.order, tuple(pages.gathered.rows)))
    )
    definition = pages.index.definition
    title = definition.title if isinstance(definition, Stage) else ""
    pages.gathered.keep_newest()
    view = FeedView(name, title, snapshot.settings.site.url, tuple(pages.gathered.entries))
    folder.write(f"{name}/feed.xml", feed.feed(view))


def _latest(page: ProjectPage) -> str:
    """Return the newest version: final before pre-release, not yanked before yanked; empty where there is no file."""
    best: tuple[bool, bool] | None = None
    latest = ""
    for file in reversed(page.files):
        version = parse_version(file.version)
        rank = (file.yanked is None, version is not None and not version.is_prerelease)
        if best is None or rank > best:
            best, latest = rank, file.version
        if best == (True, True):
            break
    return latest


def _feed_entries(index: IndexName, page: ProjectPage, oldest: str) -> Iterator[FeedEntry]:
    """Yield the releases that the index itself has, less those that are older than *oldest*.

    What it inherits is in the feeds of its bases.
    """
    recent = {file.version for file in page.files if file.index == index and _moment(file.upload_time) >= oldest}
    own = (file for file in page.files if file.index == index and file.version in recent) if recent else ()
    for version, its_files in groupby(own, key=attrgetter("version")):
        files = list(its_files)
        updated = max((file.upload_time for file in files if file.upload_time), default=None)
        yanked = tuple(dict.fromkeys(file.yanked for file in files if file.yanked is not None))
        yield FeedEntry(page.name, version, index, updated, f"project/{page.name}/#{version}", yanked)


def _index_url(snapshot: Snapshot, index: Index) -> str:
    site = snapshot.settings.site.url
    return f"{site.rstrip('/')}/{index.name}/simple/" if site else ""


def _index_view(snapshot: Snapshot, index: Index, order: tuple[Index, ...], rows: tuple[ProjectRow, ...]) -> IndexView:
    definition = index.definition
    assert not isinstance(definition, Unreadable)  # noqa: S101 - refused when it was opened
    assert definition is not None  # noqa: S101
    is_stage = isinstance(definition, Stage)
    acl = definition.acl_upload if isinstance(definition, Stage) else ()
    return IndexView(
        snapshot.settings.site.title,
        index.name,
        definition.type,
        definition.title,
        definition.description,
        definition.volatile if isinstance(definition, Stage) else False,
        index.bases,
        tuple(step.name for step in order),
        tuple(acl if acl is not None else (index.name.user,)) if is_stage else (),
        definition.mirror_url or "" if isinstance(definition, Mirror) else "",
        rows,
        _index_url(snapshot, index),
    )


def _landing(snapshot: Snapshot, stages: Iterable[_IndexPages], mirrors: Iterable[Index]) -> LandingView:
    cards: dict[str, list[IndexCard]] = defaultdict(list)
    counts = {pages.index.name: len(pages.gathered.rows) for pages in stages}
    for index in sorted([*(pages.index for pages in stages), *mirrors], key=lambda index: index.name):
        title = index.definition.title if isinstance(index.definition, (Stage, Mirror)) else ""
        kind = "mirror" if index.is_mirror else "stage"
        cards[index.name.user].append(IndexCard(index.name, kind, title, index.is_volatile, counts.get(index.name)))
    users = []
    for name, its_cards in sorted(cards.items()):
        user = snapshot.user(name)
        users.append((name, user.title if isinstance(user, User) else "", tuple(its_cards)))
    return LandingView(snapshot.settings.site.title, tuple(users))
