"""Brings the files of a release to a folder, and unpacks its sdist there."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from gitindex import layout
from gitindex.download import DeadLinkError, Downloader, Patience, UnreachableError
from gitindex.errors import CannotRunError, DistributionError, UsageError

if TYPE_CHECKING:
    from gitindex.model import File
    from gitindex.storage import Store

_SDIST = ".tar.gz"
_MOST = 200_000
"""Members of an sdist."""
_LARGEST = 4 << 30
"""Bytes of an sdist, unpacked."""


class Sources(NamedTuple):
    """What is tested."""

    folder: Path
    """Where the sdist is unpacked."""
    files: dict[Path, str]
    """The distributions of the release, each with its sha256; the sdist first."""


def fetch(files: Sequence[File], store: Store | None, place: Path) -> Sources:
    """Bring the sdist and the pure wheels of a release to the folder *place*, and unpack the sdist there.

    Raises:
        UsageError: the release has no sdist.
        CannotRunError: a file is not to be had, or is not what its manifest says.
        DistributionError: the sdist cannot be unpacked.

    """
    sdists = [file for file in files if file.filename.endswith(_SDIST)]
    if not sdists:
        raise UsageError("the release has no sdist, and tests come in one", help="upload the sdist too")
    wheels = [file for file in files if file.filename.endswith("-none-any.whl")]
    brought = {}
    for file in (*sdists[:1], *wheels):
        target = place / "dist" / file.filename
        target.parent.mkdir(exist_ok=True)
        with target.open("wb") as stream:
            _bring(file, store, stream)
        brought[target] = file.hashes.sha256
    return Sources(_unpacked(next(iter(brought)), place / "source"), brought)


def _bring(file: File, store: Store | None, target: BinaryIO) -> None:
    if file.url is not None:
        _download(file, target)
        return
    if store is None:
        raise CannotRunError(f"{file.filename}: the storage cannot be read", help="see [storage] in gitindex.toml")
    pieces, check = store.read(layout.stored_path(file.hashes.sha256, file.filename), file.hashes.sha256)
    target.writelines(pieces)
    check()


def _download(file: File, target: BinaryIO) -> None:
    sink = _Sink(target)
    downloader = Downloader(Patience())
    try:
        downloader.fetch(str(file.url), sink, file.size + 1)
    except (DeadLinkError, UnreachableError) as error:
        raise CannotRunError(f"{file.url}: {error.problem}", help="try again later; see: gitindex verify") from None
    finally:
        downloader.stop()
    if sink.digest.hexdigest() != file.hashes.sha256:
        raise CannotRunError(f"{file.url}: has other bytes than its manifest says", help="see: gitindex verify")


class _Sink:
    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.digest = hashlib.sha256()

    def begin(self, size: int | None) -> None:  # noqa: ARG002 - the digest tells
        self._target.seek(0)
        self._target.truncate()
        self.digest = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self._target.write(piece)
        self.digest.update(piece)


def _check(sdist: Path) -> None:
    """Refuse what is no sound sdist: the tar module, for one, takes any header into memory, however long."""
    from gitindex.facts import read_archive  # noqa: PLC0415 - a heavy import, and only for this

    try:
        with sdist.open("rb") as stream:
            read_archive(sdist.name, stream)
    except DistributionError as error:
        raise DistributionError(sdist.name, f"cannot be unpacked: {error.problem}", help=error.help) from None


def _unpacked(sdist: Path, target: Path) -> Path:
    """Unpack an sdist, and return its one folder; what an archive must not do to a disk is refused (PEP 721)."""
    _check(sdist)
    target.mkdir()
    total = 0
    try:
        with tarfile.open(sdist, "r:gz") as archive:
            for count, member in enumerate(archive, 1):
                total += member.size
                if count > _MOST or total > _LARGEST:
                    raise DistributionError(sdist.name, "is larger than any sdist, unpacked")
                archive.extract(member, target, filter="data")
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise DistributionError(sdist.name, f"cannot be unpacked: {error}") from None
    folders = [path for path in target.iterdir() if path.is_dir()]
    if len(folders) != 1:
        raise DistributionError(sdist.name, "has not one folder at its top")
    return folders[0]
