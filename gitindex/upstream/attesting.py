"""Provenance documents (PEP 740) of files that come: each is read before it is believed, and stays as it was written.

Whether its signatures hold is for `verify` to say, and for the rules where an index requires them: it takes an extra.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gitindex import atomic
from gitindex.attestations import MAX_SIZE, ProvenanceError, read_provenance
from gitindex.download import Memory, Sink
from gitindex.names import Sha256
from gitindex.storage import Store

Fetch = Callable[[Sink], None]


def document_of(source: Path | Fetch, filename: str, sha256: Sha256, place: Path) -> bytes:
    """Return the provenance document of a file; what is fetched is kept at *place*, and not asked for again.

    Raises:
        ProvenanceError: it is none, or is of another file.
        DeliveryError: it did not come.
        CannotRunError: the disk fails.

    """
    if isinstance(source, Path):
        return _checked(read_document(source), filename, sha256)
    if place.is_file():
        return _checked(read_document(place), filename, sha256)
    sink = Memory()
    source(sink)
    document = _checked(bytes(sink.data), filename, sha256)
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise atomic.cannot_write(place, error) from None
    atomic.write(place, [document])
    return document


def document_in(store: Store, path: str) -> bytes | None:
    """Return the provenance document that a store has at a path, and no more of it than tells that it is too large."""
    if not store.has(path):
        return None
    with store.open(path, "") as stream:
        return stream.read(MAX_SIZE + 1)


def document_here(document: bytes, filename: str, sha256: Sha256) -> bytes:
    """Return the document that lies beside the stored file already: another index may name it, so it stays.

    Raises:
        ProvenanceError: it is none, or is of another file.

    """
    try:
        return _checked(document, filename, sha256)
    except ProvenanceError as error:
        raise ProvenanceError(f"what lies beside the file here already {error}") from None


def read_document(place: Path) -> bytes:
    """Return what is in a file, and no more of it than tells that it is too large.

    Raises:
        ProvenanceError: it cannot be read.

    """
    try:
        with place.open("rb") as stream:
            return stream.read(MAX_SIZE + 1)
    except OSError as error:
        raise ProvenanceError(f"cannot be read: {error.strerror or error}") from None


def _checked(document: bytes, filename: str, sha256: Sha256) -> bytes:
    read_provenance(document, filename, sha256)
    return document
