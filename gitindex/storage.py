"""The bytes of stored files: read from the embedded store, checked against the digest that addresses them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.stored import is_pointer, read_size
from gitindex.tree import EMPTY, Folder, find

_PIECE = 1 << 20
NO_LFS_CONTENT = "only the Git LFS pointer is here"
FETCH_LFS = "fetch the content: git lfs pull"


def lfs_path(lfs_objects: Path, sha256: str) -> Path:
    """Return where Git LFS keeps the content of that digest."""
    return lfs_objects / sha256[:2] / sha256[2:4] / sha256


class Store(Protocol):
    """What has the bytes of stored files, by path (such as :func:`gitindex.layout.stored_path`)."""

    def has(self, path: str) -> bool:
        """Tell whether there is a file at *path*."""

    def size(self, path: str) -> int:
        """Return the size in bytes of the file at *path*; raises CannotRunError where it is not there."""

    def open(self, path: str, sha256: str) -> BinaryIO:
        """Open the file at *path*, whose content has that digest; raises CannotRunError where it is not there."""

    def read(self, path: str, sha256: str) -> tuple[Iterator[bytes], Callable[[], None]]:
        """Return the content in pieces, and a check to call at the end; it raises CannotRunError for other bytes."""


class EmbeddedStore:
    """The store in the repository at one revision; content that Git LFS keeps is looked up in its folder."""

    def __init__(self, root: Folder, lfs_objects: Path | None = None) -> None:
        self._root = root
        self._lfs_objects = lfs_objects
        self._folders: dict[str, Folder] = {}

    def find(self, path: str) -> tuple[Folder, str] | None:
        """Return the folder and the name in it of the file at *path*, ``None`` where there is no such file."""
        folder, _, name = path.rpartition("/")
        prefix, _, digest = folder.rpartition("/")
        if prefix not in self._folders:
            found = find(self._root, prefix)
            self._folders[prefix] = found[0].folder(found[1]) if found and _is_folder(found) else EMPTY
        opened = find(self._folders[prefix], f"{digest}/{name}")
        return opened if opened and opened[0].entries()[opened[1]].kind in ("file", "executable") else None

    def has(self, path: str) -> bool:
        """Tell whether there is a file at *path* (such as :func:`gitindex.layout.stored_path`)."""
        return self.find(path) is not None

    def size(self, path: str) -> int:
        """Return the size in bytes of the stored file at *path*, which Git LFS may keep.

        Raises:
            CannotRunError: it is not there.

        """
        return read_size(*self._must_find(path))

    def _must_find(self, path: str) -> tuple[Folder, str]:
        found = self.find(path)
        if found is None:
            raise CannotRunError(f"{path}: the stored file is missing", help="see: gitindex validate --all")
        return found

    def open(self, path: str, sha256: str) -> BinaryIO:
        """Open the stored file at *path* for reading.

        Raises:
            CannotRunError: it is not there, or only its Git LFS pointer is.

        """
        found = self._must_find(path)
        if not is_pointer(*found):
            return found[0].open(found[1])
        if self._lfs_objects is not None:
            content = lfs_path(self._lfs_objects, sha256)
            if content.is_file():
                return content.open("rb")
        raise CannotRunError(f"{path}: {NO_LFS_CONTENT}", help=FETCH_LFS)

    def read(self, path: str, sha256: str) -> tuple[Iterator[bytes], Callable[[], None]]:
        """Return the content in pieces, and a check to call when all of it has been taken.

        The check raises CannotRunError where the bytes do not have the *sha256*: a wrong file is never passed on.
        """
        digest = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            with self.open(path, sha256) as stream:
                while piece := stream.read(_PIECE):
                    digest.update(piece)
                    yield piece

        def check() -> None:
            if digest.hexdigest() != sha256:
                raise CannotRunError(
                    f"{path}: the bytes have the sha256 {digest.hexdigest()}, and not {sha256}",
                    help="restore the stored file; see: gitindex validate --all",
                )

        return pieces(), check


def _is_folder(found: tuple[Folder, str]) -> bool:
    return found[0].entries()[found[1]].kind == "folder"


def paths_of(sha256: str, filename: str, metadata: str | None, provenance: str | None) -> Iterator[tuple[str, str]]:
    """Yield path and sha256 of a stored file and of what lies beside it."""
    path = layout.stored_path(sha256, filename)
    yield path, sha256
    if metadata is not None:
        yield path + layout.METADATA_SUFFIX, metadata
    if provenance is not None:
        yield path + layout.PROVENANCE_SUFFIX, provenance
