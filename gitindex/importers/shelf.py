"""Files on their way into a repository: fetched into its own cache folder, each checked and read whole.

What is on the shelf is whole, and is not asked for again by the next run; what has arrived is taken from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from gitindex import atomic, layout
from gitindex.attestations import ProvenanceError
from gitindex.errors import CannotRunError, DeliveryError, DistributionError
from gitindex.facts import Distribution, read_archive
from gitindex.importers.report import Kind
from gitindex.importers.source import Fetch, SourceFile
from gitindex.names import DistributionName, Sha256, normalize, version_key
from gitindex.threads import spread
from gitindex.upstream.attesting import document_here, document_of
from gitindex.upstream.copying import Advance, Copy
from gitindex.waiting import turn

_PIECE = 1 << 20


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have the folder of a shelf for this import alone: the first to end would clear what another one still reads."""
    with contextlib.suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with turn(folder.with_name(f"{folder.name}.lock"), "Waits for another import into this repository."):
        yield


class Wanted(NamedTuple):
    """A file to bring, and what its name says."""

    file: SourceFile
    named: DistributionName


class Arrived(NamedTuple):
    """A file that is here, and what it says of itself."""

    dist: Distribution
    place: Path
    provenance: bytes | None = None
    """The provenance document (PEP 740) that the source has of it."""
    unattested: str = ""
    """Why that one does not come along; empty where it does, or the source has none."""


class Failed(NamedTuple):
    """Why a file is not here."""

    kind: Kind
    why: str


class Here(Protocol):
    """What the repository has already, for any thread."""

    def held(self, file: SourceFile) -> Path | None:
        """Return the bytes of a file, where they are there already, for whatever index."""

    def provenance(self, path: str) -> bytes | None:
        """Return what is at the path of a stored provenance document, where there is one, for whatever index.

        Raises:
            ProvenanceError: it cannot be read.

        """


class _Stated(NamedTuple):
    """What the other side says of a file, in the words of :class:`~gitindex.upstream.copying.Copy`."""

    filename: str
    index: str  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    sha256: Sha256 | None
    size: int | None


class Shelf:
    """A folder of files by their sha256; safe to share between threads."""

    def __init__(self, folder: Path, told: str, *, jobs: int, is_believed: bool) -> None:
        """Open a shelf.

        Args:
            folder: where the files are; made when the first one comes.
            told: what the source is called in messages.
            jobs: how many files are fetched and read at a time.
            is_believed: whether a file comes too of which the source states no digest.

        """
        self._folder = folder
        self._told = told
        self._jobs = jobs
        self._is_believed = is_believed
        self.is_begun = False
        """Whether any file was asked for."""
        self._unknown: list[Path] = []
        """Where files are of which no digest is known: nobody finds them there again."""

    def bring(
        self, wanted: Sequence[Wanted], here: Here, advance: Advance
    ) -> Iterator[tuple[Wanted, Arrived | Failed]]:
        """Yield each file as it has arrived; what is *here* already is not fetched.

        Raises:
            CannotRunError: the disk fails.

        """
        stopped = threading.Event()
        self.is_begun = self.is_begun or bool(wanted)

        def bring(item: Wanted) -> Arrived | Failed:
            return self._bring(item, here, advance, stopped)

        try:
            for item, result in spread(wanted, bring, self._jobs, _no_limit):
                assert result is not None  # noqa: S101 - nothing takes too long
                yield item, result
        finally:
            stopped.set()

    def _bring(self, wanted: Wanted, here: Here, advance: Advance, stopped: threading.Event) -> Arrived | Failed:
        file = wanted.file
        try:
            held = here.held(file)
            place = held if held is not None else self._fetched(wanted, advance, stopped)
            dist = _read(wanted, place)
        except DeliveryError as error:
            return Failed(Kind.LEFT_OUT if error.is_wrong else Kind.MISSING, error.problem)
        except DistributionError as error:
            return Failed(Kind.LEFT_OUT, "; ".join(filter(None, (error.problem, error.help))))
        if file.sha256 is not None and dist.sha256 != file.sha256:
            return Failed(Kind.LEFT_OUT, f"has the sha256 {dist.sha256}, and not {file.sha256}")
        if file.provenance is None:
            return Arrived(dist, place)
        try:
            return Arrived(dist, place, self._provenance(file.provenance, dist, here))
        except ProvenanceError as error:
            return Arrived(dist, place, unattested=str(error))
        except DeliveryError as error:
            if error.is_wrong:
                return Arrived(dist, place, unattested=error.problem)
            # Without them it would stay so: what is released keeps what is said of it.
            why = f"its attestations did not come ({error.problem}), and it waits for them: --without-attestations"
            return Failed(Kind.MISSING, f"{why} takes it as it is")

    def _provenance(self, source: Path | Fetch, dist: Distribution, here: Here) -> bytes:
        path = layout.stored_path(dist.sha256, dist.filename) + layout.PROVENANCE_SUFFIX
        if (document := here.provenance(path)) is not None:
            return document_here(document, dist.filename, dist.sha256)
        place = self._folder / dist.sha256 / (dist.filename + layout.PROVENANCE_SUFFIX)
        return document_of(source, dist.filename, dist.sha256, place)

    def _fetched(self, wanted: Wanted, advance: Advance, stopped: threading.Event) -> Path:
        file = wanted.file
        if isinstance(file.content, Path):
            return file.content
        if file.sha256 is None and not self._is_believed:
            raise _WrongError("no sha256 is stated of it, so nobody can check what comes: --without-digests takes it")
        place = self._place(file)
        if file.sha256 is not None and _has(place, file.sha256):
            advance(place.stat().st_size)
            return place
        self._make_room(place)
        try:
            with Copy(place, _Stated(file.filename, self._told, file.sha256, file.size), stopped, advance) as copy:
                file.content(copy)
                copy.check(is_believed=self._is_believed)
        except CannotRunError as error:
            raise _WrongError(error.message.removeprefix(f"{file.filename}: {self._told}: ")) from None
        except OSError as error:
            raise atomic.cannot_write(place, error) from None
        return place

    def _place(self, file: SourceFile) -> Path:
        """Return where a file belongs; its name has been checked."""
        if file.sha256 is not None:
            return self._folder / file.sha256 / file.filename
        place = self._folder / f"of-unknown-digest-{os.urandom(8).hex()}" / file.filename
        self._unknown.append(place)
        return place

    def keep(self, file: SourceFile, pieces: Iterator[bytes], check: Callable[[], None]) -> Path:
        """Put a file on the shelf that somebody else has; *check* says at the end whether it is right."""
        place = self._place(file)
        if file.sha256 is None or not _has(place, file.sha256):
            self._make_room(place)
            atomic.write(place, pieces, check)
        return place

    @staticmethod
    def _make_room(place: Path) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise atomic.cannot_write(place, error) from None

    def take(self, places: Sequence[Path]) -> None:
        """Remove files that are where they belong now; those that never were on the shelf stay where they are."""
        for place in places:
            if place.is_relative_to(self._folder):
                with contextlib.suppress(OSError):
                    place.unlink(missing_ok=True)
                    place.with_name(place.name + layout.PROVENANCE_SUFFIX).unlink(missing_ok=True)
                    place.parent.rmdir()

    def forget(self) -> None:
        """Remove, at the end of a run, what no other one can know again."""
        self.take(self._unknown)

    def clear(self) -> None:
        """Remove what is left, of files that did not arrive."""
        for folder in [*self._folder.iterdir()] if self._folder.is_dir() else ():
            self.take([*folder.iterdir()])
        with contextlib.suppress(OSError):
            self._folder.rmdir()


class _WrongError(DeliveryError):
    """What came is not what was said."""

    is_wrong = True


def _no_limit(_: Wanted) -> None:
    """Say that what is fetched takes as long as the patience with its server allows."""


def _has(place: Path, sha256: str) -> bool:
    try:
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _read(wanted: Wanted, place: Path) -> Distribution:
    """Read a file whole, and refuse one that is not what its name says.

    Releases are older than rules: how its name is spelled, and whether today's specification takes its metadata, is no
    question of the bytes.
    """
    filename, named = wanted.file.filename, wanted.named
    try:
        with place.open("rb") as stream:
            facts = read_archive(filename, stream)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CannotRunError(f"{place}: cannot be read: {error.strerror or error}") from None
    if normalize(facts.name) != named.project:
        raise DistributionError(filename, f"has metadata that names the project {facts.name!a}")
    if version_key(facts.version) != named.key:
        raise DistributionError(filename, f"has metadata with version {facts.version!a}")
    return Distribution(
        filename=filename,
        kind=named.kind,
        project=named.project,
        name=facts.name,
        version=named.canonical,
        requires_python=facts.requires_python,
        metadata=facts.metadata,
        sha256=Sha256(sha256),
        size=size,
    )
