"""Reads a file to its end: its digest, its size, and whether the archive is sound. In pieces, never whole in memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import LifoQueue
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self, assert_never, cast

from gitindex import layout
from gitindex.attestations import ProvenanceError, verified_publishers
from gitindex.download import PIECE, DeadLinkError, Downloader, UnreachableError
from gitindex.errors import CannotRunError, DistributionError
from gitindex.storage import FETCH_LFS, NO_LFS_CONTENT, lfs_path
from gitindex.stored import MAX_POINTER, Digest, read_pointer
from gitindex.verify.sources import AtUrl, InGit, InStorage, Missing, Nowhere, OnDisk, Source

if TYPE_CHECKING:
    from gitindex.facts import CoreFacts
    from gitindex.git.blobs import Blobs
    from gitindex.verify.plan import Subject

Advance = Callable[[int], None]
"""Is told, from any thread, how many bytes of a distribution were read (negative: they will be read again)."""


class Content(NamedTuple):
    """What was read."""

    size: int
    """Bytes; at least so many where there is no digest."""
    sha256: str | None
    """``None`` where there are more bytes than there may be: the rest was not read."""
    own: CoreFacts | DistributionError | ProvenanceError | None = None
    """What a distribution says of itself, or why it (or a provenance document) is none; ``None`` where there is nothing
    to say."""


class Dead(NamedTuple):
    """The file is not to be had."""

    problem: str


class Unread(NamedTuple):
    """Nothing can be said of the file."""

    problem: str
    help: str


Outcome = Content | Dead | Unread


class Reader:
    """Reads files from wherever they are; safe to share between threads."""

    def __init__(
        self,
        downloader: Downloader,
        open_blobs: Callable[[], Blobs],
        lfs_objects: Path | None,
        *,
        disk_jobs: int,
        advance: Advance,
    ) -> None:
        self._downloader = downloader
        self._lfs_objects = lfs_objects
        self._advance = advance
        self._all_blobs = [open_blobs() for _ in range(disk_jobs)]
        self._blobs: LifoQueue[Blobs] = LifoQueue()
        for blobs in self._all_blobs:
            self._blobs.put(blobs)

    def read(self, subject: Subject, source: Source) -> Outcome:
        """Read a file, and look into it where it has the right digest."""
        try:
            match source:
                case InGit():
                    with self._disk() as blobs:
                        return self._from_git(subject, source, blobs)
                case OnDisk():
                    with self._disk(), source.open() as stream:
                        return self._from_disk(subject, stream)
                case AtUrl():
                    return self._from_url(subject, source)
                case InStorage():
                    return self._from_storage(subject, source)
                case Missing():
                    return Dead(f"the stored file {subject.location} is missing")
                case Nowhere():
                    return Unread(source.problem, source.help)
                case _:
                    assert_never(source)
        except CannotRunError as error:
            return Unread(error.message, error.help)
        except OSError as error:
            return Unread(f"it cannot be read: {error.strerror or type(error).__name__}", "see the disk, and TMPDIR")

    @contextlib.contextmanager
    def _disk(self) -> Iterator[Blobs]:
        """Wait for one of the places from which files are read at the same time."""
        blobs = self._blobs.get()
        try:
            yield blobs
        finally:
            self._blobs.put(blobs)

    def close(self) -> None:
        """End the processes that read from Git."""
        for blobs in self._all_blobs:
            blobs.close()

    def _from_git(self, subject: Subject, source: InGit, blobs: Blobs) -> Outcome:
        with blobs.open(source.object_id) as blob, _Intake(subject, self._advance) as intake:
            first = blob.read(MAX_POINTER + 1)
            if blob.size <= MAX_POINTER and (pointer := read_pointer(first)):
                return self._from_lfs(subject, pointer)
            if blob.size > subject.size:
                return Content(blob.size, None)
            intake.add(first)
            while piece := blob.read(PIECE):
                intake.add(piece)
            return intake.content()

    def _from_disk(self, subject: Subject, stream: BinaryIO) -> Outcome:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if size <= MAX_POINTER and (pointer := read_pointer(stream.read(MAX_POINTER))):
            return self._from_lfs(subject, pointer)
        return self._from_stream(subject, stream, size)

    def _from_lfs(self, subject: Subject, pointer: Digest) -> Outcome:
        if pointer.sha256 != subject.sha256:
            return Content(pointer.size, pointer.sha256)
        if self._lfs_objects is not None:
            with contextlib.suppress(FileNotFoundError), lfs_path(self._lfs_objects, pointer.sha256).open("rb") as kept:
                return self._from_stream(subject, kept, os.fstat(kept.fileno()).st_size)
        return Unread(NO_LFS_CONTENT, FETCH_LFS)

    def _from_stream(self, subject: Subject, stream: BinaryIO, size: int) -> Outcome:
        """Read what can be read twice, and needs no copy."""
        if size > subject.size:
            return Content(size, None)
        stream.seek(0)
        digest, received = hashlib.sha256(), 0
        while piece := stream.read(PIECE):
            digest.update(piece)
            received += len(piece)
            _tell(self._advance, subject, len(piece))
        return _look_into(subject, stream, received, digest.hexdigest())

    def _from_url(self, subject: Subject, source: AtUrl) -> Outcome:
        with _Intake(subject, self._advance) as intake:
            try:
                # One byte more than there may be is enough to know that there are too many.
                self._downloader.fetch(source.url, intake, subject.size + 1)
            except DeadLinkError as error:
                return Dead(f"{source.url} {error.problem}")
            except UnreachableError as error:
                return Unread(error.problem, error.help)
            return intake.content()

    def _from_storage(self, subject: Subject, source: InStorage) -> Outcome:
        pieces = source.storage.stream(source.path)
        if pieces is None:
            return Dead(f"the stored file {source.storage}/{layout.path_in_storage(source.path)} is missing")
        with _Intake(subject, self._advance) as intake:
            for piece in pieces:
                intake.add(piece)
                if intake.is_too_large:
                    break
            return intake.content()


class _Intake:
    """Takes a file in pieces, and keeps it in a temporary file: an archive is read from its end."""

    def __init__(self, subject: Subject, advance: Advance) -> None:
        self._subject = subject
        self._advance = advance
        self._digest = hashlib.sha256()
        self._size = 0
        # Without a name: nothing stays behind, whatever happens to this process.
        kept = tempfile.SpooledTemporaryFile(max_size=PIECE)  # noqa: SIM115 - closed by our own context
        self._file = cast("BinaryIO", kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def begin(self, size: int | None) -> None:  # noqa: ARG002 - the bytes are counted as they come
        _tell(self._advance, self._subject, -self._size)
        self._digest, self._size = hashlib.sha256(), 0
        self._file.seek(0)
        self._file.truncate()

    def add(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._size += len(piece)
        if self._subject.kind != "metadata":
            self._file.write(piece)
        _tell(self._advance, self._subject, len(piece))

    @property
    def is_too_large(self) -> bool:
        """Whether more came than there may be: the rest says nothing more."""
        return self._size > self._subject.size

    def content(self) -> Content:
        """Return what came."""
        if self.is_too_large:
            return Content(self._size, None)
        return _look_into(self._subject, self._file, self._size, self._digest.hexdigest())


def _tell(advance: Advance, subject: Subject, size: int) -> None:
    if subject.kind == "file" and size:
        advance(size)


def _look_into(subject: Subject, stream: BinaryIO, size: int, sha256: str) -> Content:
    from gitindex.facts import read_archive  # noqa: PLC0415 - with zipfile, tarfile and what they need

    if subject.kind == "metadata" or sha256 != subject.sha256:
        return Content(size, sha256)
    if subject.kind == "provenance":
        stream.seek(0)
        return Content(size, sha256, _attested(subject, stream.read()))
    try:
        return Content(size, sha256, read_archive(subject.file.filename, stream))
    except DistributionError as error:
        return Content(size, sha256, error)


def _attested(subject: Subject, document: bytes) -> ProvenanceError | None:
    """Check a provenance document; return what is wrong with it.

    Raises:
        CannotRunError: what checks signatures is not installed.

    """
    try:
        verified_publishers(document, subject.file.filename, subject.file.sha256)
    except ProvenanceError as error:
        return error
    return None
