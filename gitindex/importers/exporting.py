"""Writes the releases of indexes out as plain files, each checked while it is copied: a folder for each index."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gitindex import atomic, layout
from gitindex.documents import Unreadable
from gitindex.edits.opened import cannot_read, open_index
from gitindex.errors import ConflictError, UsageError
from gitindex.git import Repository
from gitindex.importers.report import Kind, Report
from gitindex.model import File, Manifest
from gitindex.names import IndexName
from gitindex.report.text import count
from gitindex.snapshot import Index, Project, Snapshot
from gitindex.storage import Store

_ANOTHER = "export to a folder that is not there yet"


class Exported(NamedTuple):
    """What was written of an index."""

    name: str
    files: int

    def __str__(self) -> str:
        return f"{self.name}: {count(self.files, 'file')}"


class Export(NamedTuple):
    """An export: of what, where to, and how."""

    snapshot: Snapshot
    out: Path
    copier: Copier
    report: Report


def export_files(export: Export, names: Iterable[IndexName]) -> Iterator[Exported]:
    """Write the files of indexes, each into a folder of its own; what is there already stays.

    The provenance document of a file (PEP 740) is written beside it, as it lies beside the stored one.

    Raises:
        ConflictError: a file of that name with other bytes is there.
        CannotRunError: a file cannot be read or written, or does not have the bytes that its manifest says.

    """
    snapshot, out, copier, report = export
    for name in names:
        index = open_index(snapshot, name)
        if index.is_mirror:
            report.note(name, "", "is a mirror: it has no files of its own")
            continue
        files = 0
        _note_statements(index, report)
        for _, manifest in manifests(index):
            for file in stored(name, manifest, report):
                place = out / name.user / name.name / file.filename
                copier.copy(file, place)
                copier.copy_provenance(file, place)
                files += 1
        yield Exported(str(name), files)


def _note_statements(index: Index, report: Report) -> None:
    """Tell of what is stated of projects: a plain file says nothing of it."""
    for project in filter(None, map(index.project, index.project_names())):
        tested = len([*project.tested_versions()])
        if tested:
            why = f"the results of testing {count(tested, 'release')} are not there: gitindex export devpi writes them"
            report.note(index.name, project.name, why)
        stated = project.statements
        if isinstance(stated, Unreadable):
            raise cannot_read(stated)
        if stated is None:
            continue
        if stated.status not in {None, "active"}:
            report.note(index.name, project.name, f"is {stated.status}, and plain files do not say so")
        for yanked in stated.yanked:
            report.note(index.name, f"{project.name} {yanked}", "is yanked, and plain files do not say so")


def check_place(repository: Repository, folder: Path) -> None:
    """Refuse a folder to export to that holds the index repository's own data, or Git's.

    Raises:
        UsageError: it is one.

    """
    place = folder.resolve()
    own = [repository.git_directory]
    if not repository.is_bare:
        own += [repository.root / layout.FILES, repository.root / layout.INDEXES]
    if any(place.is_relative_to(each.resolve()) for each in own):
        raise UsageError(f"{folder}: belongs to the repository itself", help=_ANOTHER)


def manifests(index: Index) -> Iterator[tuple[Project, Manifest]]:
    """Yield the releases of an index.

    Raises:
        CannotRunError: a manifest cannot be read.

    """
    for project in index.project_names():
        opened = index.project(project)
        assert opened is not None  # noqa: S101 - it was listed just now
        for version in opened.versions():
            manifest = opened.release(version)
            if isinstance(manifest, Unreadable):
                raise cannot_read(manifest)
            if manifest is not None:
                yield opened, manifest


def stored(index: IndexName, manifest: Manifest, report: Report) -> Iterator[File]:
    """Yield the files of a release that are here; those that lie elsewhere are told to the report."""
    for file in manifest.files:
        if file.url is None:
            yield file
        else:
            report.add(Kind.LEFT_OUT, index, file.filename, f"lies elsewhere: {file.url}")


class Copier:
    """Copies stored files, each checked on the way; *advance* is told of the bytes."""

    def __init__(self, store: Store, advance: Callable[[int], None]) -> None:
        self._store = store
        self._advance = advance

    def copy(self, file: File, place: Path) -> None:
        """Copy a stored file to a place; the same bytes may be there already.

        Raises:
            ConflictError: other bytes are there.
            CannotRunError: it cannot be read or written, or does not have the bytes that its manifest says.

        """
        sha256 = file.hashes.sha256
        self._copy(layout.stored_path(sha256, file.filename), sha256, place)
        self._advance(file.size)

    def copy_provenance(self, file: File, place: Path) -> None:
        """Copy the provenance document of a stored file, where it has one, beside the place of that file.

        Raises:
            ConflictError, CannotRunError: as :meth:`copy`.

        """
        if file.provenance is not None:
            path = layout.stored_path(file.hashes.sha256, file.filename) + layout.PROVENANCE_SUFFIX
            self._copy(path, file.provenance, place.with_name(place.name + layout.PROVENANCE_SUFFIX))

    def _copy(self, path: str, sha256: str, place: Path) -> None:
        try:
            if place.exists():
                if not place.is_file():
                    raise ConflictError(f"{place}: something else is there", help=_ANOTHER)
                with place.open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                        raise ConflictError(f"{place}: something else is there", help=_ANOTHER)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                pieces, check = self._store.read(path, sha256)
                atomic.write(place, pieces, check)
        except OSError as error:
            raise atomic.cannot_write(place, error) from None
