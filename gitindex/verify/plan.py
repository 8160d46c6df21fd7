"""What there is to verify: each file that manifests name once, with all that is said of it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.model import Settings
from gitindex.names import IndexName, ProjectName
from gitindex.released import ReleasedFile, is_fit, released
from gitindex.rules.stored import naming

if TYPE_CHECKING:
    from gitindex.compare import Change
    from gitindex.documents import KeyPath
    from gitindex.snapshot import Index, Snapshot

Kind = Literal["file", "metadata", "provenance"]

_SUFFIXES: dict[Kind, str] = {
    "file": "",
    "metadata": layout.METADATA_SUFFIX,
    "provenance": layout.PROVENANCE_SUFFIX,
}
MAX_SIDECAR = 16 << 20
"""Bytes; no manifest says how large the metadata and the provenance beside a file are."""
_SEE = "see: gitindex validate --all"


class Claim(NamedTuple):
    """What one manifest says of a file."""

    stage: IndexName
    project: ProjectName
    version: str
    place: int
    """Which of the manifest's files it is."""
    file: ReleasedFile

    @property
    def path(self) -> str:
        """The path of the manifest."""
        return layout.manifest_path(self.stage, self.project, self.version)

    def keys(self, kind: Kind) -> KeyPath:
        """Return where in the manifest the digest of the file, or of what lies beside it, stands."""
        digest: dict[Kind, KeyPath] = {
            "file": ("hashes", "sha256"),
            "metadata": ("core-metadata", "sha256"),
            "provenance": ("provenance",),
        }
        return ("files", self.place, *digest[kind])


class Subject(NamedTuple):
    """Bytes that are read once: a distribution, or the metadata or provenance beside it."""

    kind: Kind
    location: str
    """A path in the storage (:func:`gitindex.layout.stored_path`), or the URL of a file that is hosted elsewhere."""
    sha256: str
    claims: tuple[Claim, ...]
    """All that the manifests which were looked at say of it; never empty."""

    @property
    def file(self) -> ReleasedFile:
        """The file, as the first manifest that names it has it."""
        return self.claims[0].file

    @property
    def is_hosted(self) -> bool:
        """Whether it is hosted elsewhere, not in the storage."""
        return self.file.url is not None

    @property
    def suffix(self) -> str:
        """What comes after the name of the distribution."""
        return _SUFFIXES[self.kind]

    @property
    def name(self) -> str:
        """Its filename."""
        return self.file.filename + self.suffix

    @property
    def size(self) -> int:
        """How many bytes it may have at most."""
        return max(claim.file.size for claim in self.claims) if self.kind == "file" else MAX_SIDECAR


class Unchecked(NamedTuple):
    """What could not be checked, and why."""

    path: str
    """Of the manifest."""
    keys: KeyPath
    name: str
    """A filename; empty where not even that is known."""
    problem: str
    help: str


def everything(snapshot: Snapshot, wanted: Container[IndexName] | None) -> Iterator[Subject | Unchecked]:
    """Yield what the stages of a snapshot (of them, the *wanted* ones) have released, project by project."""
    stages: dict[ProjectName, list[Index]] = {}
    for name in snapshot.index_names():
        index = snapshot.index(name) if wanted is None or name in wanted else None
        for project in index.project_names() if index is not None and not index.is_mirror else ():
            stages.setdefault(project, []).append(index)  # type: ignore[arg-type] # not None, or there is no project
    for project in sorted(stages):
        claims: list[Claim] = []
        for index in stages[project]:
            opened = index.project(project)
            for release in opened.released if opened else ():
                if isinstance(release.files, Unreadable):
                    yield _unreadable(release.files)
                    continue
                claims += (
                    Claim(index.name, project, release.version, place, file) for place, file in enumerate(release.files)
                )
        yield from _subjects(claims)


def changed(change: Change, wanted: Container[IndexName] | None) -> Iterator[Subject | Unchecked]:
    """Yield what differs: files that are new or have other facts, and what came, went or changed in the store."""
    if _storage(change.base) != _storage(change.head):
        yield from everything(change.head, wanted)  # all of it has come to another place
        return
    claims: dict[Claim, None] = {}
    for claim in chain(_in_manifests(change), _in_store(change)):
        if isinstance(claim, Unreadable):
            yield _unreadable(claim)
        elif wanted is not None and claim.stage not in wanted:
            continue
        elif is_fit(claim.file):
            claims[claim] = None
        else:
            yield Unchecked(claim.path, ("files", claim.place), claim.file.filename, "its facts are malformed", _SEE)
    yield from _subjects(claims)


def _in_manifests(change: Change) -> Iterator[Claim | Unreadable]:
    for project in change.projects():
        index = change.head.index(project.index)
        for release in project.releases if index is not None and not index.is_mirror else ():
            if isinstance(release.after, Unreadable):
                yield release.after
                continue
            for place, file in release.new_files():
                yield Claim(project.index, project.name, release.version, place, released(file))


def _in_store(change: Change) -> Iterator[Claim]:
    for stored in change.stored:
        for project, version, place, file in naming(change.head, stored):
            yield Claim(project.index, project.name, version, place, released(file))


def _storage(snapshot: Snapshot) -> object:
    settings = snapshot.settings_or_problem
    return settings.storage if isinstance(settings, Settings) else settings


def _unreadable(document: Unreadable) -> Unchecked:
    problem = document.problems[0]
    return Unchecked(document.path, problem.keys, "", f"the manifest cannot be read: {problem.message}", _SEE)


def _subjects(claims: Iterable[Claim]) -> Iterator[Subject]:
    """Yield each file once, with all the claims on it."""
    found: dict[tuple[Kind, str, str], list[Claim]] = {}
    for claim in claims:
        file = claim.file
        location = layout.stored_path(file.sha256, file.filename) if file.url is None else file.url
        digests: dict[Kind, str | None] = {
            "file": file.sha256,
            "metadata": file.core_metadata,
            # No page can name the provenance of a file that is hosted elsewhere.
            "provenance": file.provenance if file.url is None else None,
        }
        for kind, digest in digests.items():
            if digest is not None:
                found.setdefault((kind, location + _SUFFIXES[kind], digest), []).append(claim)
    for (kind, location, digest), listed in found.items():
        yield Subject(kind, location, digest, tuple(listed))
