"""Where the bytes of a stored file are: on a disk, in Git's objects, elsewhere. None of them is read here."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.objects import StoredObjects
from gitindex.server.delivery import OpenOnDisk, changed_at
from gitindex.storage import FETCH_LFS, NO_LFS_CONTENT, lfs_path
from gitindex.stored import MAX_POINTER, read_pointer

if TYPE_CHECKING:
    from gitindex.server.targets import StoredFile
    from gitindex.snapshot import Snapshot


class InGit(NamedTuple):
    """A blob."""

    object_id: bytes
    size: int
    """Bytes."""
    copy: Path | None = None
    """Where the working tree has the same, unless somebody has changed it."""


class OnDisk(NamedTuple):
    """A file of its own."""

    path: Path
    size: int
    """Bytes."""
    changed: int = 0
    """When it was written last, in nanoseconds."""
    is_unchecked: bool = False
    """Whether it may be another one, or not the whole, and has a digest in its path to tell that by."""


class AtUrl(NamedTuple):
    """What another host serves."""

    url: str


class InStorage(NamedTuple):
    """What an object store has; nobody asked it yet."""

    storage: StoredObjects


Place = InGit | OnDisk | AtUrl | InStorage


class Stores:
    """The stores of a repository: its objects, its working tree, Git LFS's folder, and the storage of a snapshot."""

    def __init__(self, lfs_objects: Path, top: Path | None) -> None:
        self._lfs_objects = lfs_objects
        self._top = top
        """The folder of the index repository in the working tree, ``None`` where there is none."""
        self._storages: dict[str, StoredObjects] = {}

    def find(self, snapshot: Snapshot, wanted: StoredFile) -> Place | None:
        """Return where the bytes of a stored file are; ``None`` where there are none.

        Raises:
            CannotRunError: only a Git LFS pointer is here, or the storage is one that cannot be read here.

        """
        storage = snapshot.settings.storage
        if not storage.is_embedded:
            return self._in_storage(storage.url, storage.public_url, wanted)
        found = snapshot.find_stored(wanted.path)
        entry = found[0].entries()[found[1]] if found else None
        if found is None or entry is None or entry.kind not in ("file", "executable"):
            return None
        size = found[0].size(found[1])
        pointer = read_pointer(found[0].read(found[1])) if size <= MAX_POINTER else None
        if pointer is not None:
            return self._large(wanted, pointer.sha256, pointer.size)
        assert isinstance(entry.id, bytes)  # noqa: S101 - a commit has ids
        # What lies beside a file has no digest in its path to check the working tree's copy by.
        return InGit(entry.id, size, self._top / wanted.path if self._top and not wanted.suffix else None)

    def _large(self, wanted: StoredFile, sha256: str, size: int) -> Place:
        """Return where the content is that Git LFS keeps: in its own folder, or in the working tree."""
        path = lfs_path(self._lfs_objects, sha256)
        if (found := _on_disk(path)) is not None and found.size == size:
            return found
        if self._top is not None and sha256 == wanted.sha256:
            found = _on_disk(self._top / wanted.path)
            if found is not None and found.size == size:
                return found._replace(is_unchecked=True)
        raise CannotRunError(f"{wanted.path}: {NO_LFS_CONTENT}", help=FETCH_LFS)

    def _in_storage(self, url: str, public_url: str, wanted: StoredFile) -> Place | None:
        below = layout.path_in_storage(wanted.path)
        parts = urlsplit(url)
        if parts.scheme == "file":
            found = _on_disk(Path(unquote(parts.path)) / below)
            # A copy of a storage may have been broken off.
            return None if found is None else found._replace(is_unchecked=not wanted.suffix)
        if public_url:
            return AtUrl(f"{public_url.rstrip('/')}/{below}")
        if url not in self._storages:
            self._storages[url] = StoredObjects(url)
        return InStorage(self._storages[url])


class CheckedFiles:
    """Files on a disk that were read once and have the right bytes; what is written to since is read again."""

    _MOST = 4096

    def __init__(self) -> None:
        self._right: dict[tuple[str, int, int, int, int], str] = {}

    def open(self, path: Path, sha256: str, size: int) -> OpenOnDisk | None:
        """Open the file at *path*, where it has that digest and *size*; a link is not followed.

        Returns ``None`` where it is not there or another one.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        changed = None
        try:
            found = os.fstat(descriptor)
            if self._digest(descriptor, path, size, found) == sha256:
                changed = changed_at(found)
        except OSError:
            pass
        finally:
            if changed is None:
                os.close(descriptor)
        return None if changed is None else OpenOnDisk(descriptor, size, changed)

    def _digest(self, descriptor: int, path: Path, size: int, found: os.stat_result) -> str:
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return ""
        key = (str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if key not in self._right:
            with open(descriptor, "rb", closefd=False) as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if changed_at(os.fstat(descriptor)) != changed_at(found):
                return ""  # it is being written
            while len(self._right) >= self._MOST:
                del self._right[next(iter(self._right))]
            self._right[key] = digest
        return self._right[key]


def _on_disk(path: Path) -> OnDisk | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return OnDisk(path, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
