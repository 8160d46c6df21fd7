"""The facts of a released file as resolution and pages take them, whichever way its manifest was read."""

from __future__ import annotations

from typing import NamedTuple

from gitindex.model import File, Manifest
from gitindex.names import is_safe_filename, is_sha256


class ReleasedFile(NamedTuple):
    """One file of a release."""

    filename: str
    sha256: str
    size: int
    upload_time: str | None
    requires_python: str | None
    core_metadata: str | None
    """sha256 of the core metadata (PEP 658)."""
    url: str | None = None
    """Where it is hosted; ``None``: in the storage."""
    provenance: str | None = None
    """sha256 of the provenance document (PEP 740)."""


def files_of(manifest: Manifest) -> tuple[ReleasedFile, ...]:
    """Return the files of a manifest."""
    return tuple(map(released, manifest.files))


def released(file: File) -> ReleasedFile:
    """Return a file of a manifest as a file of a release."""
    return ReleasedFile(
        file.filename,
        file.hashes.sha256,
        file.size,
        file.upload_time,
        file.requires_python,
        None if file.core_metadata is None else file.core_metadata.sha256,
        file.url,
        file.provenance,
    )


def is_fit(file: ReleasedFile) -> bool:
    """Tell whether a file can stand on a page: a digest, a size, and a name that is safe in a path and a URL."""
    return is_sha256(file.sha256) and is_safe_filename(file.filename) and file.size > 0
