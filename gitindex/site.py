"""Writes the site of a revision to a folder: each file replaced in one step, and what is no longer produced removed.

The order is files, project pages, lists, removals, so that a reader never sees a link to what is not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gitindex import layout
from gitindex.errors import NotThereError
from gitindex.names import IndexName, ProjectName
from gitindex.output import OutputFolder
from gitindex.overview import Gathered, feed_view, index_view, landing_view, project_view
from gitindex.pages import Links, ProjectList, ProjectPage, project_page
from gitindex.parallel import in_shares, shares_for
from gitindex.render import feed, machine, people
from gitindex.resolve import project_names, walk
from gitindex.served import ServedIndex, is_known, open_index, reserved_names
from gitindex.snapshot import Snapshot
from gitindex.storage import EmbeddedStore, paths_of


class Report(NamedTuple):
    """What a rendering did: numbers of files."""

    written: int
    unchanged: int
    removed: int
    projects: int


@dataclass
class _IndexPages:
    """A stage whose pages are written."""

    served: ServedIndex
    names: frozenset[ProjectName]
    gathered: Gathered


class _Done(NamedTuple):
    """What a process has done of the work."""

    gathered: list[Gathered]
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
        folder.write(f"{mirror.name}/index.html", people.index(index_view(snapshot, mirror, ())))
    counts = {pages.served.name: len(pages.gathered.rows) for pages in stages}
    indexes_shown = [*(pages.served for pages in stages), *mirrors]
    folder.write("index.html", people.landing(landing_view(snapshot, indexes_shown, counts)))
    folder.write("+site/style.css", people.stylesheet())
    removed = folder.finish(snapshot.name)
    return Report(folder.written, folder.unchanged, removed, len(names))


def _open_indexes(snapshot: Snapshot, wanted: Collection[IndexName]) -> tuple[list[_IndexPages], list[ServedIndex]]:
    for name in wanted:
        if snapshot.index(name) is None:
            raise NotThereError(f"{name}: no such index", help="see: gitindex index list")
    stages, mirrors = [], []
    for name in snapshot.index_names():
        served = None if wanted and name not in wanted else open_index(snapshot, name)
        if served is None:
            continue
        if served.index.is_mirror:
            mirrors.append(served)
            continue
        names = frozenset((*project_names(served.order), *reserved_names(snapshot)))
        stages.append(_IndexPages(served, names, Gathered()))
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
    steps = tuple(walk(snapshot, pages.served.order, name))
    page = project_page(name, steps, links)
    if store is not None:
        _write_files(page, folder, store)
    index = pages.served.name
    folder.write(f"{index}/simple/{name}/index.html", machine.project_html(page))
    folder.write(f"{index}/simple/{name}/index.json", machine.project_json(page))
    if is_known(steps):
        view = project_view(snapshot, index, page, steps)
        folder.write(f"{index}/project/{name}/index.html", people.project(view))
        pages.gathered.add_project(name, page, index)


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
    name = pages.served.name
    projects = ProjectList(tuple(pages.gathered.listed))
    folder.write(f"{name}/simple/index.html", machine.list_html(projects))
    folder.write(f"{name}/simple/index.json", machine.list_json(projects))
    rows = tuple(pages.gathered.rows)
    folder.write(f"{name}/index.html", people.index(index_view(snapshot, pages.served, rows)))
    folder.write(f"{name}/feed.xml", feed.feed(feed_view(snapshot, pages.served.index, pages.gathered)))
