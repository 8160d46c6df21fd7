"""One commit as it is served: what its targets give, and what each is made of. Bytes are the renderer's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitindex import __version__, layout
from gitindex.differences import differing
from gitindex.model import Mirror, Stage
from gitindex.names import IndexName, ProjectName, is_project_name, parse_filename
from gitindex.pages import Links, ProjectList, ProjectPage, project_page, status_of
from gitindex.render import machine
from gitindex.resolve import Step, project_names, resolved_releases, walk
from gitindex.served import ServedIndex, is_known, open_index
from gitindex.server.negotiation import Format
from gitindex.storage import EmbeddedStore
from gitindex.upstream.mirror import Upstream, asked

if TYPE_CHECKING:
    from gitindex.snapshot import Snapshot
    from gitindex.tree import Folder, ObjectId

MayRead = Callable[[IndexName], bool]


class Made(NamedTuple):
    """A page, with what it is made of."""

    body: bytes
    identity: str
    """Equal ones mean equal bodies of one URL in one serialisation: made from the ids of Git's objects."""
    lacks_files: bool = False
    """Whether a stored file that comes later changes the page, although no manifest does."""


class Outside(NamedTuple):
    """What mirrors have to be asked for."""

    ours: ProjectPage | None
    """What the stages have, ``None`` where they have nothing."""
    identity: str
    upstreams: tuple[Upstream, ...]
    """In the order in which they are asked."""
    merges: bool
    """Whether all of them answer, not the first alone."""


class Revision:
    """The indexes of a snapshot as they are served; for one thread at a time."""

    def __init__(self, snapshot: Snapshot, *, until: datetime | None = None, lfs_objects: Path | None = None) -> None:
        self.snapshot = snapshot
        is_embedded = snapshot.settings.storage.is_embedded
        self.store = EmbeddedStore(snapshot.root, lfs_objects) if is_embedded else None
        """Its stored files, ``None`` where they are elsewhere."""
        self.until = until
        """Where the revision is asked for by a date: mirrors show what there was until then."""
        self.commit = str(snapshot.name)
        self.links = Links(snapshot, can_serve=True)
        """Where its files are downloaded from."""
        self._settings_id = _id_of(snapshot.root, layout.SETTINGS)
        self._served: dict[IndexName, ServedIndex | None] = {}

    def index(self, name: IndexName) -> ServedIndex | None:
        """Open an index; ``None`` where there is none."""
        if name not in self._served:
            found = open_index(self.snapshot, name)
            if found is None:
                return None  # not kept: names that nobody has are without number
            self._served[name] = found
        return self._served[name]

    def indexes(self, may_read: MayRead) -> Iterator[ServedIndex]:
        """Yield the indexes that a client may read, sorted by name."""
        for name in self.snapshot.index_names():
            found = self.index(name) if may_read(name) else None
            if found is not None:
                yield found

    def has_project(self, served: ServedIndex, name: ProjectName) -> bool:
        """Tell whether the stages of an index have a project."""
        return is_project_name(name) and is_known(tuple(walk(self.snapshot, served.order, name)))

    def project_identity(self, served: ServedIndex, name: ProjectName) -> str:
        """Return what the page of a project is made of, as far as manifests and settings say it."""
        parts: list[ObjectId | None] = []
        for index in served.order:
            parts += [str(index.name), _id_of(index.folder, layout.INDEX), _id_of(index.folder, name)]
        return self._digest("project", parts)

    def list_identity(self, served: ServedIndex) -> str:
        """Return what the lists of an index are made of."""
        parts: list[ObjectId | None] = []
        for index in served.order:
            parts += [str(index.name), index.folder.id]
        return self._digest("list", parts)

    def landing_identity(self) -> str:
        """Return what the landing page is made of."""
        return self._digest("landing", [_id_of(self.snapshot.root, layout.INDEXES)])

    def _digest(self, kind: str, parts: list[ObjectId | None]) -> str:
        made_of = [__version__, kind, self._settings_id, *parts]
        return hashlib.blake2b(repr(made_of).encode(), digest_size=16).hexdigest()

    def project(self, served: ServedIndex, name: ProjectName, format_: Format) -> Made | Outside | None:
        """Return the simple page of a project, or which mirrors have to be asked; ``None`` where nobody has it.

        Raises:
            CannotRunError: it cannot be made: a manifest cannot be read, or an object is missing.

        """
        steps = tuple(walk(self.snapshot, served.order, name))
        # A reserved name has a page, and an empty one, so that no client asks elsewhere; of a mirror it is no project.
        is_ours = is_known(steps) or (not served.index.is_mirror and self.snapshot.is_reserved(name))
        page = project_page(name, steps, self.links) if is_ours else None
        identity = self.project_identity(served, name)
        upstreams = tuple(asked(steps))
        if upstreams:
            definition = served.index.definition
            return Outside(page, identity, upstreams, isinstance(definition, Stage) and definition.merge_mirrors)
        if page is None:
            return None
        body = machine.project_json(page) if format_ is Format.JSON else machine.project_html(page)
        return self.made(body, identity, page, steps)

    def made(self, body: bytes, identity: str, page: ProjectPage, steps: tuple[Step, ...]) -> Made:
        """Return the body of a project's page with what it is made of, promised metadata that is not there included."""
        promised = sum(_promised_metadata(steps))
        shown = [file.filename for file in page.files if file.core_metadata is not None]
        if promised == len(shown):
            return Made(body, identity)
        identity = hashlib.blake2b(f"{identity} {shown}".encode(), digest_size=16).hexdigest()
        return Made(body, identity, lacks_files=True)

    def project_list(self, served: ServedIndex, format_: Format) -> Made:
        """Return the list of the projects that the stages of an index have; no manifest is read for it."""
        listed = []
        for name in project_names(served.order):
            status = status_of(tuple(walk(self.snapshot, served.order, name)))
            if status is None or status.status != "quarantined":
                listed.append(name)
        projects = ProjectList(tuple(listed))
        body = machine.list_json(projects) if format_ is Format.JSON else machine.list_html(projects)
        return Made(body, self.list_identity(served))

    def offers(self, sha256: str, filename: str, may_read: MayRead) -> bool:
        """Tell whether an index that a client may read shows a stored file: others are not handed out."""
        name = parse_filename(filename)
        if name is None:
            return False
        return any(self._shows(served, name.project, sha256, filename) for served in self.indexes(may_read))

    def _shows(self, served: ServedIndex, project: ProjectName, sha256: str, filename: str) -> bool:
        if not any(index.has_project(project) for index in served.order if not index.is_mirror):
            return False
        steps = tuple(walk(self.snapshot, served.order, project))
        status = status_of(steps)
        if status is not None and status.status == "quarantined":
            return False
        page = project_page(project, steps, self.links)
        return any(file.filename == filename and file.sha256 == sha256 for file in page.files)

    def mirror(self, name: IndexName) -> Upstream | None:
        """Return a mirror; ``None`` where there is none of that name."""
        served = self.index(name)
        definition = served.index.definition if served else None
        return Upstream(name, definition) if isinstance(definition, Mirror) else None

    def reaches(self, mirror: IndexName, may_read: MayRead) -> bool:
        """Tell whether a client may read an index that shows a mirror."""
        if may_read(mirror):
            return True
        return any(any(index.name == mirror for index in served.order) for served in self.indexes(may_read))

    def hides(self, mirror: Upstream, name: ProjectName) -> bool:
        """Tell whether a mirror shows nothing of a project: it is reserved, or `allow` and `deny` refuse it."""
        served = self.index(mirror.name)
        return served is None or not any(asked(tuple(walk(self.snapshot, served.order, name))))


def _id_of(folder: Folder, name: str) -> ObjectId | None:
    entry = folder.entries().get(name)
    return entry.id if entry is not None else None


def _promised_metadata(steps: tuple[Step, ...]) -> Iterator[int]:
    """Yield, for each release that is shown, how many of its files a manifest promises the metadata of."""
    for release in resolved_releases(steps):
        yield sum(file.core_metadata is not None for file in release.files)


class StoreChange(NamedTuple):
    """What became of the stored files from one revision to the next."""

    added: bool
    lost: bool
    """Whether any were removed, or something beside them was changed."""


def changed_store(old: Folder | None, new: Folder | None) -> StoreChange:
    """Return what became of the stored files; only what differs is looked at."""
    added = lost = False
    for start in differing(old, new):
        before, after = _folder(old, start), _folder(new, start)
        for digest in differing(before, after):
            was, now = _folder(before, digest) is not None, _folder(after, digest) is not None
            added, lost = added or not was, lost or was or not now
    return StoreChange(added, lost)


def _folder(folder: Folder | None, name: str) -> Folder | None:
    entry = folder.entries().get(name) if folder is not None else None
    return folder.folder(name) if folder is not None and entry is not None and entry.kind == "folder" else None
