"""Where the bytes of a file come from: Git's objects, a disk, a URL; found without reading any of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from io import UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.objects import StoredObjects
from gitindex.pages import Links
from gitindex.storage import EmbeddedStore

if TYPE_CHECKING:
    from gitindex.snapshot import Snapshot
    from gitindex.tree import Folder
    from gitindex.verify.plan import Subject


class InGit(NamedTuple):
    """A blob."""

    object_id: bytes

    def identity(self) -> str:
        return f"git:{self.object_id.hex()}"


class OnDisk(NamedTuple):
    """A file that can be opened."""

    open: Callable[[], BinaryIO]

    def identity(self) -> str | None:
        """Return what is another once the file is written to; ``None`` where nothing tells."""
        try:
            with self.open() as stream:
                found = os.fstat(stream.fileno())
        except (OSError, CannotRunError, UnsupportedOperation):
            return None
        return f"disk:{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


class AtUrl(NamedTuple):
    """What a server has."""

    url: str

    def identity(self) -> str:
        return f"url:{self.url}"


class Missing(NamedTuple):
    """Nothing is there."""


class Nowhere(NamedTuple):
    """This version cannot look there."""

    problem: str
    help: str


class InStorage(NamedTuple):
    """What an object store has."""

    storage: StoredObjects
    path: str

    def identity(self) -> str:
        return f"object:{self.storage}/{layout.path_in_storage(self.path)}"


Source = InGit | OnDisk | AtUrl | InStorage | Missing | Nowhere


class Sources:
    """Finds the files of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._storage = _storage_of(snapshot)

    def of(self, subject: Subject) -> Source:
        """Return where the bytes of a file are."""
        return AtUrl(subject.location) if subject.is_hosted else self._storage.of(subject)

    def paths(self) -> Iterator[str]:
        """Yield the path of every stored file, where the storage can be listed."""
        return self._storage.paths()


class _InRepository:
    """The embedded store."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._files = snapshot.files_folder
        self._store = EmbeddedStore(snapshot.root)

    def of(self, subject: Subject) -> Source:
        found = self._store.find(subject.location)
        if found is None:
            return Missing()
        folder, name = found
        object_id = folder.entries()[name].id
        return InGit(object_id) if isinstance(object_id, bytes) else OnDisk(lambda: folder.open(name))

    def paths(self) -> Iterator[str]:
        return _paths_below(self._files, layout.FILES) if self._files is not None else iter(())


def _paths_below(folder: Folder, path: str) -> Iterator[str]:
    for name, entry in folder.entries().items():
        if entry.kind == "folder":
            yield from _paths_below(folder.folder(name), f"{path}/{name}")
        else:
            yield f"{path}/{name}"


class _InFolder:
    """A storage that is a folder: ``file:///…``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, subject: Subject) -> Source:
        path = self._root / layout.path_in_storage(subject.location)
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return Missing()
        except OSError as error:
            return Nowhere(f"{path}: {error.strerror}", "see who may read the storage")
        return OnDisk(lambda: _open_file(path))

    def paths(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._root):
            below = (layout.FILES / Path(folder).relative_to(self._root)).as_posix()
            yield from (f"{below}/{name}" for name in names)


def _open_file(path: Path) -> BinaryIO:
    # A pipe would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CannotRunError(f"{path}: is no file", help="see what is in the storage")
    return open(descriptor, "rb")  # noqa: PTH123 - opened just above


class _AtServer:
    """An object store whose files are downloaded as installers download them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._links = Links(snapshot)

    def of(self, subject: Subject) -> Source:
        return AtUrl(self._links.stored_url(subject.file) + subject.suffix)

    def paths(self) -> Iterator[str]:
        return iter(())


class _InObjects:
    """An object store whose files nobody downloads elsewhere."""

    def __init__(self, url: str) -> None:
        self._storage = StoredObjects(url)

    def of(self, subject: Subject) -> Source:
        return InStorage(self._storage, subject.location)

    def paths(self) -> Iterator[str]:
        return self._storage.paths()


class _OutOfReach:
    """A storage that cannot be read from here."""

    def __init__(self, problem: str, help_: str) -> None:
        self._nowhere = Nowhere(problem, help_)

    def of(self, subject: Subject) -> Source:
        del subject
        return self._nowhere

    def paths(self) -> Iterator[str]:
        return iter(())


def _storage_of(snapshot: Snapshot) -> _InRepository | _InFolder | _AtServer | _InObjects | _OutOfReach:
    storage = snapshot.settings.storage
    if storage.is_embedded:
        return _InRepository(snapshot)
    if storage.url.startswith("file:"):
        return _in_folder(storage.url)
    return _AtServer(snapshot) if storage.public_url else _InObjects(storage.url)


def _in_folder(url: str) -> _InFolder | _OutOfReach:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise CannotRunError(
            f"{layout.SETTINGS}: storage.url is {url!r}, which names no folder here", help="write file:///folder/"
        )
    root = Path(unquote(parts.path))
    if not root.is_dir():
        # A disk that is not mounted has not lost its files.
        return _OutOfReach(f"{root}, where the files are kept, is no folder here", "mount it, or see storage.url")
    return _InFolder(root)
