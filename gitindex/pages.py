"""The simple API as values (PEP 503, 691, 700): HTML and JSON are two views of what is made here.

Nothing here knows bytes, HTML or the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.model import ProjectStatements
from gitindex.names import (
    IndexName,
    ProjectName,
    Sha256,
    canonical_version,
    is_project_name,
    parse_version,
    version_key,
    writes_itself,
)
from gitindex.resolve import Step, resolved_releases, unreadable_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version

    from gitindex.model import Settings
    from gitindex.released import ReleasedFile
    from gitindex.resolve import ResolvedRelease
    from gitindex.snapshot import Snapshot

API_VERSION = "1.4"
"""PEP 833 freezes HTML there; PEP 708 was rejected and PEP 752 (1.5) is not implemented, so neither is claimed."""


class FilePage(NamedTuple):
    """One file as a project page shows it."""

    filename: str
    version: str
    """The canonical version of the release that the file belongs to; empty only for a file of an upstream whose name
    tells none."""
    index: IndexName  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    """The index that the file comes from."""
    url: str
    """Relative to a project page (``/<user>/<index>/simple/<project>/``) or absolute; no fragment, no query."""
    sha256: Sha256 | None
    """``None`` only for a file of an upstream that does not say it."""
    size: int | None
    """Bytes; ``None`` only for a file of an upstream that does not say it, and then no JSON page may carry it."""
    upload_time: str | None = None
    """PEP 700: UTC with ``Z``; ``None`` where it is not known (then it is on no page)."""
    requires_python: str | None = None
    core_metadata: Sha256 | Literal[True] | None = None
    """PEP 658/714: sha256 of the ``.metadata`` file, ``None`` where there is none; ``True`` only for a file of an
    upstream that has one and does not state its digest."""
    yanked: str | None = None
    """PEP 592: the reason (may be empty), ``None`` where the file is not yanked."""
    provenance: str | None = None
    """PEP 740: absolute URL of the provenance document, https (or loopback)."""


@dataclass(frozen=True, slots=True)
class Status:
    """A project status marker (PEP 792)."""

    status: str
    reason: str | None = None


@dataclass(frozen=True)
class ProjectPage:
    """What an index shows of one project; files in the order of (version, filename)."""

    name: ProjectName
    versions: tuple[str, ...]
    files: tuple[FilePage, ...]
    status: Status | None = None

    @cached_property
    def is_plain(self) -> bool:
        """Whether every view may take filenames, addresses and times of all files as they are, as of nearly all pages.

        They are written as they are, and the addresses may be links. To ask that of all at once, and once for all
        views, costs little; to ask each string in each view was a tenth of a rendering.
        """
        texts = [f"{file.filename}{file.url}{file.upload_time}" for file in self.files]
        return writes_itself("".join(texts)) and all(file.url.startswith(_LINKS) for file in self.files)


@dataclass(frozen=True, slots=True)
class ProjectList:
    """The projects of an index, sorted."""

    projects: tuple[ProjectName, ...]


_LINKS = ("../", "https://")
"""How an address begins that may be a link, whatever follows; of others the views ask more."""

SITE_FILES = f"../../../../{layout.FILES}/"
"""Where the site's own files are, as a project page links to them."""


def url_of(sha256: str, filename: str, prefix: str = SITE_FILES) -> str:
    """Return the URL of a file in a store that is at *prefix*."""
    # Object stores read a bare `+` as a blank; nothing else of a safe filename needs to be encoded.
    if "+" in filename or "!" in filename:
        filename = quote(filename, safe="")
    return f"{prefix}{sha256[:2]}/{sha256[2:]}/{filename}"


class Links:
    """Where the files of a snapshot are downloaded from.

    Whoever reads the storage, and so *can_serve* its files, needs no public URL for it. With *settings*, it is as if
    the snapshot had these.
    """

    def __init__(self, snapshot: Snapshot, *, can_serve: bool = False, settings: Settings | None = None) -> None:
        settings = settings or snapshot.settings
        self._snapshot = snapshot
        self._is_embedded = settings.storage.is_embedded
        public = settings.storage.public_url
        self._public = public if public.endswith("/") or not public else public + "/"
        if not self._is_embedded and not public and not can_serve:
            raise CannotRunError(
                f"{layout.SETTINGS}: storage.url is {settings.storage.url!r}, and storage.public_url does not say where"
                " its files are downloaded from",
                help="set public_url",
            )
        self._prefix = self._public or SITE_FILES
        site = settings.site.url
        self._site = site if site.endswith("/") or not site else site + "/"

    def stored_url(self, file: ReleasedFile, prefix: str = "") -> str:
        """Return the URL of a stored file: the storage's, or one relative to a project page."""
        return url_of(file.sha256, file.filename, prefix or self._prefix)

    def metadata(self, file: ReleasedFile) -> Sha256 | None:
        """Return the sha256 of the `.metadata` file, ``None`` where it is not known to be there."""
        digest = file.core_metadata
        if digest is None or (self._is_embedded and file.url is None and not self._has_metadata(file)):
            return None
        return Sha256(digest)

    def _has_metadata(self, file: ReleasedFile) -> bool:
        path = layout.stored_path(file.sha256, file.filename) + layout.METADATA_SUFFIX
        return self._snapshot.find_stored(path) is not None

    def provenance(self, file: ReleasedFile) -> str | None:
        """Return the absolute URL of the provenance document, ``None`` where none may be stated (PEP 740)."""
        if file.provenance is None or file.url is not None:
            return None
        prefix = self._public or (self._site and self._site + "files/")
        parts = urlsplit(prefix)
        is_secure = parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
        return self.stored_url(file, prefix) + layout.PROVENANCE_SUFFIX if is_secure else None


def project_page(name: ProjectName, steps: Sequence[Step], links: Links) -> ProjectPage:
    """Return the page of a project from what the indexes on the way have of it (:func:`gitindex.resolve.walk`).

    What only a mirror has is not on it: that is the fallback's.

    Raises:
        CannotRunError: a manifest cannot be read, or states what no page may carry; `validate` says more.

    """
    _check(name, steps)
    status = status_of(steps)
    if status is not None and status.status == "quarantined":
        return ProjectPage(name, (), (), status)
    files: dict[str, list[FilePage]] = {}
    keys: dict[object, str] = {}
    file_url, metadata = links.stored_url, links.metadata
    for found in resolved_releases(steps):
        key = _sort_key(found.version)
        if key is None:
            raise _unfit(name, found, "its version is none")
        # Two indexes may spell one version differently; a page lists no two that are equal.
        version = keys.setdefault(key, found.version)
        listed = files.setdefault(version, [])
        index, yanked, reason = found.index, found.yanked, found.reason
        for file in found.files:
            listed.append(
                FilePage(
                    file.filename,
                    version,
                    index,
                    file.url or file_url(file),
                    Sha256(file.sha256),
                    file.size,
                    file.upload_time,
                    file.requires_python,
                    None if file.core_metadata is None else metadata(file),
                    yanked.get(file.filename, reason) if yanked else None,
                    None if file.provenance is None else links.provenance(file),
                )
            )
    # Versions of one form compare as tuples; where the forms are mixed, as packaging's versions.
    are_simple = all(type(key) is tuple for key in keys)
    order = sorted(files, key=_sort_key if are_simple else _version)
    every = [file for version in order for file in sorted(files[version], key=_filename)]
    return ProjectPage(name, tuple(order), tuple(every), status)


def is_quarantined(page: ProjectPage | None) -> bool:
    """Tell whether a project is quarantined: then nobody adds to its page."""
    return page is not None and page.status is not None and page.status.status == "quarantined"


def joined(ours: ProjectPage | None, theirs: ProjectPage) -> ProjectPage:
    """Return a page with the files of both; a filename of ours wins, and a version is listed as we spell it."""
    if ours is None:
        return theirs
    files = {file.filename: file for file in (*theirs.files, *ours.files)}
    versions = {_version(version): version for version in (*theirs.versions, *ours.versions)}
    return ProjectPage(
        ours.name,
        tuple(versions[version] for version in sorted(versions)),
        tuple(sorted(files.values(), key=_place)),
        ours.status or (None if is_quarantined(theirs) else theirs.status),
    )


def _place(file: FilePage) -> tuple[bool, Version, str]:
    """Return where a file comes on a page; those whose names tell no version go first."""
    return bool(file.version), _version(file.version or "0"), file.filename


_filename = attrgetter("filename")


def _version(text: str) -> Version:
    parsed = parse_version(text)
    assert parsed is not None  # noqa: S101 - asked before
    return parsed


@lru_cache(maxsize=8192)
def _sort_key(version: str) -> Any:
    """Return what is equal for equal versions, and compares as they do among its own kind; ``None`` for no version."""
    key = version_key(version)
    if isinstance(key, str):
        return tuple(map(int, key.split("."))) if canonical_version(version) is not None else None
    return key


def status_of(steps: Sequence[Step]) -> Status | None:
    """Return the status that the first index in the order states."""
    for step in steps:
        statements = step.project.statements if step.project else None
        if isinstance(statements, ProjectStatements) and statements.status is not None:
            return Status(statements.status, statements.status_reason or None)
    return None


def _check(name: ProjectName, steps: Sequence[Step]) -> None:
    if not is_project_name(name):
        raise CannotRunError(f"{name!r} is no project name in normal form", help=_HELP)
    if document := unreadable_in(steps):
        raise CannotRunError(f"{document.path}: {document.problems[0].message}", help=_HELP)


def _unfit(name: ProjectName, release: ResolvedRelease, problem: str) -> CannotRunError:
    path = layout.manifest_path(release.index, name, release.version)
    return CannotRunError(f"{path}: the release cannot be shown: {problem}", help=_HELP)


_HELP = "see: gitindex validate --all"
