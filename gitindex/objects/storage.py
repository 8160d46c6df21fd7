"""The files of releases that are kept outside of the repository: `[storage] url` names where, each is written once."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from gitindex import layout, media
from gitindex.errors import CannotRunError, UsageError
from gitindex.objects.location import Location, read_location
from gitindex.objects.store import Headers, Objects
from gitindex.snapshot import Snapshot
from gitindex.storage import EmbeddedStore, Store

_IN_MEMORY = 1 << 20
_HEADERS = {
    layout.METADATA_SUFFIX: Headers(media.TEXT, media.FILES_CACHE),
    # Publishers may be added to it, while all else is named by what is in it.
    layout.PROVENANCE_SUFFIX: Headers(media.PROVENANCE, media.PAGES_CACHE),
}


def stored_headers(path: str) -> Headers:
    """Return what a stored file, or what lies beside it, is served with."""
    found = (headers for suffix, headers in _HEADERS.items() if path.endswith(suffix))
    return next(found, Headers(media.BYTES, media.FILES_CACHE))


def store_of(snapshot: Snapshot, git_directory: Path) -> Store:
    """Return what has the bytes of the stored files of a snapshot; *git_directory* is where Git LFS keeps some."""
    storage = snapshot.settings.storage
    if storage.is_embedded:
        return EmbeddedStore(snapshot.root, git_directory / "lfs" / "objects")
    return StoredObjects(storage.url)


class StoredObjects:
    """The stored files at a place. Paths are those of :func:`gitindex.layout.stored_path`, and what lies beside it."""

    def __init__(self, url: str) -> None:
        try:
            location = read_location(url)
        except UsageError as error:
            raise CannotRunError(f"{layout.SETTINGS}: url in [storage]: {error.message}", help=error.help) from None
        self._objects = Objects(location)

    def __str__(self) -> str:
        return str(self._objects.location)

    @property
    def location(self) -> Location:
        """Where it is."""
        return self._objects.location

    @property
    def folder(self) -> Path | None:
        """The folder of this machine that it is."""
        return self._objects.location.folder

    def has(self, path: str) -> bool:
        """Tell whether there is a file at *path*."""
        return self._objects.exists and self._objects.size(layout.path_in_storage(path)) is not None

    def size(self, path: str) -> int:
        """Return the size in bytes of the file at *path*.

        Raises:
            CannotRunError: it is not there, or the store does not say.

        """
        found = self._objects.size(layout.path_in_storage(path)) if self._objects.exists else None
        if found is None:
            raise self._missing(path)
        return found

    def stream(self, path: str) -> Iterator[bytes] | None:
        """Return the file at *path* in pieces; ``None`` where it is not there."""
        return self._objects.stream(layout.path_in_storage(path)) if self._objects.exists else None

    def open(self, path: str, sha256: str) -> BinaryIO:  # noqa: ARG002 - as stores in a repository are opened
        """Return a copy of the file at *path*, open for reading; its bytes are not checked.

        Raises:
            CannotRunError: it is not there, or the store does not give it.

        """
        # Without a name: nothing stays behind, whatever happens to this process.
        copy = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - the caller closes it
        for piece in self._must_stream(path):
            copy.write(piece)
        copy.seek(0)
        return copy

    def read(self, path: str, sha256: str) -> tuple[Iterator[bytes], Callable[[], None]]:
        """Return the content in pieces, and a check to call when all of it has been taken.

        The check raises CannotRunError where the bytes do not have the *sha256*: a wrong file is never passed on.
        """
        digest = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            for piece in self._must_stream(path):
                digest.update(piece)
                yield piece

        def check() -> None:
            if digest.hexdigest() != sha256:
                raise CannotRunError(
                    f"{self}/{layout.path_in_storage(path)}: the bytes have the sha256 {digest.hexdigest()}, and not "
                    f"{sha256}",
                    help="see: gitindex verify",
                )

        return pieces(), check

    def keep(self, files: Mapping[str, bytes | Path]) -> None:
        """Write files, by path, where they are not there yet; nothing that is there is ever replaced.

        Raises:
            CannotRunError: another file is there, or the store does not take it.

        """
        for path, source in files.items():
            below = layout.path_in_storage(path)
            if not self._objects.create(below, source, stored_headers(path)):
                self._check_same(path, source)

    def _check_same(self, path: str, source: bytes | Path) -> None:
        pieces, check = self.read(path, _digest(source))
        for _ in pieces:
            pass
        check()

    def paths(self) -> Iterator[str]:
        """Yield the paths of all files."""
        if self._objects.exists:
            yield from (f"{layout.FILES}/{name}" for name in self._objects.names(""))

    def _must_stream(self, path: str) -> Iterator[bytes]:
        found = self.stream(path)
        if found is None:
            raise self._missing(path)
        return found

    def _missing(self, path: str) -> CannotRunError:
        place = f"{self}/{layout.path_in_storage(path)}"
        return CannotRunError(f"{place}: the stored file is missing", help="see: gitindex verify")


def _digest(source: bytes | Path) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
