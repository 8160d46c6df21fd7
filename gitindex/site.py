"""Writes the site of a revision to a folder: each file replaced in one step, and what is no longer produced removed.

The order is files, project pages, lists, removals, so that a reader never sees a link to what is not there yet.
"""

from __future__ import annotations

import json
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gitindex import __version__, atomic, layout
from gitindex.documents import Unreadable
from gitindex.errors import CannotRunError, NotThereError
from gitindex.model import Mirror, Stage, User
from gitindex.names import IndexName, ProjectName, is_owner_name, is_user_name, parse_version
from gitindex.pages import Links, ProjectList, ProjectPage, project_page
from gitindex.render import feed, machine, people
from gitindex.resolve import Step, display_name, project_names, resolution_order, walk
from gitindex.snapshot import Index, Snapshot
from gitindex.storage import EmbeddedStore, paths_of
from gitindex.views import FeedEntry, FeedView, IndexCard, IndexView, LandingView, ProjectRow, ProjectView

MARKER = ".gitindex-site"
"""The file that says that a folder was made by gitindex, and from what."""
_KEPT = frozenset({".git"})


class Report(NamedTuple):
    """What a rendering did: numbers of files."""

    written: int
    unchanged: int
    removed: int
    projects: int


@dataclass
class _IndexPages:
    """What is gathered for the list, the page and the feed of an index while its projects are written."""

    index: Index
    order: tuple[Index, ...]
    names: frozenset[ProjectName]
    listed: list[ProjectName] = field(default_factory=list)
    rows: list[ProjectRow] = field(default_factory=list)
    entries: list[FeedEntry] = field(default_factory=list)


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
    for done, name in enumerate(names):
        if progress is not None:
            progress(done, len(names))
        for pages in stages:
            if name in pages.names:
                _write_project(snapshot, pages, name, links, folder, store)
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
        reserved = [
            ProjectName(name) for name in snapshot.settings.names.reserved if "*" not in name and "?" not in name
        ]
        stages.append(_IndexPages(index, order, frozenset((*project_names(order), *reserved))))
    return stages, mirrors


def _write_project(
    snapshot: Snapshot,
    pages: _IndexPages,
    name: ProjectName,
    links: Links,
    folder: OutputFolder,
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
        display_name(steps, name),
        latest,
        _index_url(snapshot, pages.index),
    )
    folder.write(f"{pages.index.name}/project/{name}/index.html", people.project(view))
    status = page.status.status if page.status and page.status.status != "active" else ""
    if status != "quarantined":
        pages.listed.append(name)
    origin = next((file.index for file in reversed(page.files) if file.version == latest), None)
    pages.rows.append(ProjectRow(name, latest, status, origin))
    pages.entries.extend(_feed_entries(pages.index.name, page))


def _write_files(page: ProjectPage, folder: OutputFolder, store: EmbeddedStore) -> None:
    for file in page.files:
        if file.url.startswith("../"):
            for path, sha256 in paths_of(file.sha256, file.filename, file.core_metadata, None):
                folder.copy(path, sha256, store)
            provenance = layout.stored_path(file.sha256, file.filename) + layout.PROVENANCE_SUFFIX
            if file.provenance is not None and store.has(provenance):
                folder.write_checked(provenance, store)


def _write_lists(snapshot: Snapshot, pages: _IndexPages, folder: OutputFolder) -> None:
    name = pages.index.name
    projects = ProjectList(tuple(pages.listed))
    folder.write(f"{name}/simple/index.html", machine.list_html(projects))
    folder.write(f"{name}/simple/index.json", machine.list_json(projects))
    folder.write(f"{name}/index.html", people.index(_index_view(snapshot, pages.index, pages.order, tuple(pages.rows))))
    definition = pages.index.definition
    title = definition.title if isinstance(definition, Stage) else ""
    view = FeedView(name, title, snapshot.settings.site.url, tuple(pages.entries))
    folder.write(f"{name}/feed.xml", feed.feed(view))


def _latest(page: ProjectPage) -> str:
    """Return the newest version: final before pre-release, not yanked before yanked; empty where there is no file."""
    ranked = []
    for file in page.files:
        version = parse_version(file.version)
        if version is not None:
            ranked.append((file.yanked is None, not version.is_prerelease, version, file.version))
    return max(ranked)[3] if ranked else ""


def _feed_entries(index: IndexName, page: ProjectPage) -> Iterator[FeedEntry]:
    """Yield the releases that the index itself has; what it inherits is in the feeds of its bases."""
    for version in page.versions:
        files = [file for file in page.files if file.version == version and file.index == index]
        if files:
            updated = max((file.upload_time for file in files if file.upload_time), default=None)
            yanked = tuple(dict.fromkeys(file.yanked for file in files if file.yanked is not None))
            yield FeedEntry(page.name, version, index, updated, f"project/{page.name}/#{version}", yanked)


def _index_url(snapshot: Snapshot, index: Index) -> str:
    site = snapshot.settings.site.url or "https://packages.example.org/"
    return f"{site.rstrip('/')}/{index.name}/simple/"


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
    counts = {pages.index.name: len(pages.rows) for pages in stages}
    for index in sorted([*(pages.index for pages in stages), *mirrors], key=lambda index: index.name):
        title = index.definition.title if isinstance(index.definition, (Stage, Mirror)) else ""
        kind = "mirror" if index.is_mirror else "stage"
        cards[index.name.user].append(IndexCard(index.name, kind, title, index.is_volatile, counts.get(index.name)))
    users = []
    for name, its_cards in sorted(cards.items()):
        user = snapshot.user(name)
        users.append((name, user.title if isinstance(user, User) else "", tuple(its_cards)))
    return LandingView(snapshot.settings.site.title, tuple(users))


class OutputFolder:
    """The folder that a site is written to. Nothing outside of it is touched, through links neither."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._produced: set[str] = set()
        self._folders: set[str] = set()
        self.written = 0
        self.unchanged = 0

    def begin(self) -> None:
        """Make the folder, or take the one that an earlier rendering made.

        Raises:
            CannotRunError: it is something else, or cannot be written to.

        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            names = set(os.listdir(self._path)) - _KEPT  # noqa: PTH208 - one level, as the kernel gives it
        except FileExistsError:
            raise CannotRunError(f"{self._path}: is not a folder", help="choose another one with --out") from None
        except OSError as error:
            raise atomic.cannot_write(self._path, error) from None
        if names and MARKER not in names:
            raise CannotRunError(
                f"{self._path}: has files and was not made by gitindex", help="choose an empty folder with --out"
            )
        if not names:
            self._write_marker(None)

    def finish(self, revision: str | None) -> int:
        """Remove what was not produced this time, say what was, and return how many files were removed."""
        removed = self._remove_others()
        self._write_marker(revision)
        return removed

    def _write_marker(self, revision: str | None) -> None:
        made = {"renderer": f"gitindex {__version__}", "revision": revision}
        atomic.write(self._path / MARKER, [json.dumps(made).encode() + b"\n"])

    def write(self, path: str, data: bytes) -> None:
        """Put a file there, unless it is there with these very bytes."""
        target = self._target(path)
        try:
            with open(os.open(target, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:  # noqa: PTH123
                is_same = os.fstat(file.fileno()).st_size == len(data) and file.read() == data
        except OSError:
            is_same = False
        if is_same:
            self.unchanged += 1
        else:
            self._replace(target, [data])

    def copy(self, path: str, sha256: str, store: EmbeddedStore) -> None:
        """Put a stored file there. One that is there already was checked when it came, and is left alone."""
        if path in self._produced:
            return
        target = self._target(path)
        if _is_plain_file(target):
            self.unchanged += 1
            return
        pieces, check = store.read(path, sha256)
        self._replace(target, pieces, check)

    def write_checked(self, path: str, store: EmbeddedStore) -> None:
        """Put a stored document there whose digest the page does not carry."""
        with store.open(path, "") as stream:
            self.write(path, stream.read())

    def _replace(self, target: Path, pieces: Iterable[bytes], check: Callable[[], None] | None = None) -> None:
        if target.is_dir() and not target.is_symlink():
            _remove_tree(target)
        atomic.write(target, pieces, check)
        self.written += 1

    def _target(self, path: str) -> Path:
        self._produced.add(path)
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self._make_folder(folder)
        return self._path / path

    def _make_folder(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent and parent not in self._folders:
            self._make_folder(parent)
        target = self._path / path
        try:
            try:
                target.mkdir()
            except FileExistsError:
                if not stat.S_ISDIR(target.lstat().st_mode):
                    target.unlink()  # a link or a file where a folder belongs: never followed
                    target.mkdir()
        except OSError as error:
            raise atomic.cannot_write(target, error) from None
        self._folders.add(path)

    def _remove_others(self) -> int:
        removed = 0
        try:
            for folder, folders, files in os.walk(self._path, topdown=False):
                relative = Path(folder).relative_to(self._path).as_posix().removeprefix(".")
                if relative.split("/")[0] in _KEPT:
                    continue
                links = [name for name in folders if Path(folder, name).is_symlink()]
                for name in (*files, *links):
                    path = f"{relative}/{name}" if relative else name
                    if path not in self._produced and path != MARKER:
                        Path(folder, name).unlink()
                        removed += 1
                if relative and relative not in self._folders:
                    Path(folder).rmdir()
        except OSError as error:
            raise atomic.cannot_write(self._path, error) from None
        return removed


def _is_plain_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _remove_tree(path: Path) -> None:
    import shutil  # noqa: PLC0415

    try:
        shutil.rmtree(path)
    except OSError as error:
        raise atomic.cannot_write(path, error) from None
