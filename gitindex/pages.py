"""The simple API as values (PEP 503, 691, 700): HTML and JSON are two views of what is made here.

Nothing here knows bytes, HTML or the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.errors import CannotRunError
from gitindex.model import ProjectStatements
from gitindex.names import (
    IndexName,
    ProjectName,
    Sha256,
    is_project_name,
    is_safe_filename,
    is_sha256,
    parse_version,
)
from gitindex.resolve import Step, files_of
from gitindex.tree import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version

    from gitindex.model import File
    from gitindex.resolve import ResolvedFile
    from gitindex.snapshot import Project, Snapshot

API_VERSION = "1.4"
"""PEP 833 freezes HTML there; PEP 708 was rejected and PEP 752 (1.5) is not implemented, so neither is claimed."""


@dataclass(frozen=True, slots=True)
class FilePage:
    """One file as a project page shows it."""

    filename: str
    version: str
    """The canonical version of the release that the file belongs to."""
    index: IndexName
    """The index that the file comes from."""
    url: str
    """Relative to a project page (``/<user>/<index>/simple/<project>/``) or absolute; no fragment, no query."""
    sha256: Sha256
    size: int | None
    """Bytes; ``None`` only for a file of an upstream that does not say it, and then no JSON page may carry it."""
    upload_time: str | None = None
    """PEP 700: UTC with ``Z``; ``None`` where it is not known (then it is on no page)."""
    requires_python: str | None = None
    core_metadata: Sha256 | None = None
    """PEP 658/714: sha256 of the ``.metadata`` file, ``None`` where there is none."""
    yanked: str | None = None
    """PEP 592: the reason (may be empty), ``None`` where the file is not yanked."""
    provenance: str | None = None
    """PEP 740: absolute URL of the provenance document, https (or loopback)."""


@dataclass(frozen=True, slots=True)
class Status:
    """A project status marker (PEP 792)."""

    status: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """What an index shows of one project; files in the order of (version, filename)."""

    name: ProjectName
    versions: tuple[str, ...]
    files: tuple[FilePage, ...]
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class ProjectList:
    """The projects of an index, sorted."""

    projects: tuple[ProjectName, ...]


class Links:
    """Where the files of a snapshot are downloaded from."""

    def __init__(self, snapshot: Snapshot) -> None:
        settings = snapshot.settings
        self._root = snapshot.root
        self._is_embedded = settings.storage.is_embedded
        public = settings.storage.public_url
        self._public = public if public.endswith("/") or not public else public + "/"
        if not self._is_embedded and not public:
            raise CannotRunError(
                f"{layout.SETTINGS}: storage.url is {settings.storage.url!r}, and storage.public_url does not say where"
                " its files are downloaded from",
                help="set public_url",
            )
        site = settings.site.url
        self._site = site if site.endswith("/") or not site else site + "/"

    def file_url(self, file: File) -> str:
        """Return the URL of a file: its own, the storage's, or one relative to a project page."""
        return file.url or self._stored(file, self._public or "../../../../files/")

    def _stored(self, file: File, prefix: str) -> str:
        sha256 = file.hashes.sha256
        return f"{prefix}{sha256[:2]}/{sha256[2:]}/{_quote(file.filename)}"

    def metadata(self, file: File) -> Sha256 | None:
        """Return the sha256 of the `.metadata` file, ``None`` where it is not known to be there."""
        if file.core_metadata is None:
            return None
        if self._is_embedded and file.url is None:
            path = layout.stored_path(file.hashes.sha256, file.filename) + layout.METADATA_SUFFIX
            if find(self._root, path) is None:
                return None
        return Sha256(file.core_metadata.sha256)

    def provenance(self, file: File) -> str | None:
        """Return the absolute URL of the provenance document, ``None`` where there is none that may be stated (PEP 740)."""
        if file.provenance is None or file.url is not None:
            return None
        prefix = self._public or (self._site and self._site + "files/")
        parts = urlsplit(prefix)
        is_secure = parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
        return self._stored(file, prefix) + layout.PROVENANCE_SUFFIX if is_secure else None


def _quote(filename: str) -> str:
    # Object stores read a bare `+` as a blank, so all but the unreserved characters are encoded.
    return (
        filename
        if filename.replace("-", "a").replace("_", "a").replace(".", "a").isalnum()
        else quote(filename, safe="")
    )


def project_page(name: ProjectName, steps: Sequence[Step], links: Links) -> ProjectPage:
    """Return the page of a project from what the indexes on the way have of it (:func:`gitindex.resolve.walk`).

    What only a mirror has is not on it: that is the fallback's.

    Raises:
        CannotRunError: a manifest cannot be read, or states what no page may carry; `validate` says more.

    """
    _check(name, steps)
    status = _status(steps)
    if status is not None and status.status == "quarantined":
        return ProjectPage(name, (), (), status)
    spellings: dict[Version, str] = {}
    files: list[tuple[Version, FilePage]] = []
    for found in files_of(steps):
        version = parse_version(found.version)
        if version is None:
            raise _unfit(name, found, "its version is none")
        # Two indexes may spell one version differently; a page lists no two that are equal.
        spelling = spellings.setdefault(version, found.version)
        if found.shadowed_by is None:
            files.append((version, _file_page(name, found, spelling, links)))
    files.sort(key=lambda pair: (pair[0], pair[1].filename))
    versions = tuple(spellings[version] for version in sorted(spellings))
    return ProjectPage(name, versions, tuple(page for _, page in files), status)


def _file_page(name: ProjectName, found: ResolvedFile, version: str, links: Links) -> FilePage:
    file = found.file
    if not is_sha256(file.hashes.sha256) or not is_safe_filename(file.filename) or file.size <= 0:
        raise _unfit(name, found, "its facts are malformed")
    return FilePage(
        file.filename,
        version,
        found.index,
        links.file_url(file),
        Sha256(file.hashes.sha256),
        file.size,
        file.upload_time,
        file.requires_python,
        links.metadata(file),
        found.yanked,
        links.provenance(file),
    )


def _status(steps: Sequence[Step]) -> Status | None:
    """Return the status that the first index in the order states."""
    for step in steps:
        statements = step.project.statements if step.project else None
        if isinstance(statements, ProjectStatements) and statements.status is not None:
            return Status(statements.status, statements.status_reason or None)
    return None


def _check(name: ProjectName, steps: Sequence[Step]) -> None:
    if not is_project_name(name):
        raise CannotRunError(f"{name!r} is no project name in normal form", help=_HELP)
    for step in steps:
        if step.project is not None:
            _check_project(step.project)


def _check_project(project: Project) -> None:
    documents = [project.statements, *(project.release(version) for version in project.versions())]
    for document in documents:
        if isinstance(document, Unreadable):
            raise CannotRunError(f"{document.path}: {document.problems[0].message}", help=_HELP)


def _unfit(name: ProjectName, found: ResolvedFile, problem: str) -> CannotRunError:
    return CannotRunError(
        f"{layout.manifest_path(found.index, name, found.version)}: {found.file.filename!r} cannot be shown: {problem}",
        help=_HELP,
    )


_HELP = "see: gitindex validate --all"
