"""What a Git repository holds, as folders: tree objects, staged blobs, files on disk."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import ItemsView, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import pygit2

from gitindex.errors import CannotRunError
from gitindex.git.trees import KINDS, LargeTrees, MalformedTreeError, Place, Tree
from gitindex.tree import Entry, Folder, Kind, Leaf

# Objects are hashed when they come into the repository, and by git fsck. Git itself does not hash them again at each
# read, and to do so costs a quarter of reading.
pygit2.settings.enable_strict_hash_verification(False)


class BrokenObjectError(CannotRunError):
    """A Git object that cannot be read."""

    def __init__(self, object_id: object, problem: str) -> None:
        super().__init__(
            f"the Git object {object_id} is missing or broken ({problem})",
            help="fetch it again (a partial clone lacks files: git fetch --refetch --no-filter), or run: git fsck",
        )


class GitFolder:
    """A tree object. Its entries are read from its bytes: as objects of pygit2 they would cost five times as much."""

    def __init__(self, repository: pygit2.Repository, tree_id: bytes, large: LargeTrees | None = None) -> None:
        self._repository = repository
        self.id = tree_id
        self._large = LargeTrees() if large is None else large
        self._tree: Tree | None = None
        self._differing: tuple[bytes, set[str]] | None = None

    def entries(self) -> Mapping[str, Entry]:
        return _TreeEntries(self)

    @property
    def tree(self) -> Tree:
        """The tree object itself.

        Raises:
            CannotRunError: it is missing or malformed.

        """
        if self._tree is None:
            self._tree = self._large.get(self.id)
        if self._tree is None:
            kind, data = _read_object(self._repository, self.id)
            if kind != pygit2.GIT_OBJECT_TREE:
                raise BrokenObjectError(self.id.hex(), "not a tree")
            try:
                self._tree = Tree(data)
            except MalformedTreeError as error:
                raise BrokenObjectError(self.id.hex(), str(error)) from None
            self._large.keep(self.id, self._tree)
        return self._tree

    def differing(self, other: Folder) -> set[str] | None:
        if not isinstance(other, GitFolder):
            return None
        if self._differing is None or self._differing[0] != other.id:  # several rules ask for the same two
            try:
                self._differing = other.id, set(map(_decoded, self.tree.differing(other.tree)))
            except MalformedTreeError as error:
                raise BrokenObjectError(other.id.hex(), str(error)) from None
        return self._differing[1]

    def folder(self, name: str) -> Folder:
        return GitFolder(self._repository, self._id(name), self._large)

    def place(self, name: str) -> Place:
        """Return mode and id of an entry.

        Raises:
            KeyError: there is none of this name.
            CannotRunError: the tree is malformed.

        """
        try:
            found = self.tree.place(_encoded(name))
        except MalformedTreeError as error:
            raise BrokenObjectError(self.id.hex(), str(error)) from None
        if found is None:
            raise KeyError(name)
        return found

    def places(self) -> dict[bytes, Place]:
        """Return mode and id of all entries.

        Raises:
            CannotRunError: the tree is malformed.

        """
        try:
            return self.tree.places
        except MalformedTreeError as error:
            raise BrokenObjectError(self.id.hex(), str(error)) from None

    def _id(self, name: str) -> bytes:
        return self.place(name)[1]

    def size(self, name: str) -> int:
        return _object_size(self._repository, self._id(name))

    def read(self, name: str) -> bytes:
        return _read_object(self._repository, self._id(name))[1]

    def open(self, name: str) -> BinaryIO:
        # libgit2 has no seekable stream of a packed object; one file at a time is held in memory.
        return io.BytesIO(self.read(name))

    def files(self) -> Iterator[tuple[str, bytes]]:
        repository, new_id = self._repository, pygit2.Oid
        for name, (mode, object_id) in self.places().items():
            if KINDS.get(mode) == "file":
                try:
                    # `read_raw` and the object database take half as long again as a copy of its buffer.
                    blob = memoryview(repository[new_id(object_id)])  # type: ignore[arg-type] # else a TypeError
                    data = blob.tobytes()
                except (KeyError, ValueError, TypeError, pygit2.GitError) as error:
                    raise BrokenObjectError(object_id.hex(), reason(error)) from None
                yield _decoded(name), data


class _TreeEntries(Mapping[str, Entry]):
    """The entries of a tree object, each made when it is looked at."""

    def __init__(self, folder: GitFolder) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Entry:
        mode, object_id = self._folder.place(name)
        return Entry(KINDS.get(mode, "submodule"), object_id)

    def __iter__(self) -> Iterator[str]:
        return map(_decoded, self._folder.places())

    def __len__(self) -> int:
        return len(self._folder.places())

    def items(self) -> ItemsView[str, Entry]:
        kinds = KINDS
        return {
            _decoded(n): Entry(kinds.get(mode, "submodule"), i) for n, (mode, i) in self._folder.places().items()
        }.items()


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _read_object(repository: pygit2.Repository, object_id: bytes) -> tuple[int, bytes]:
    try:
        return repository.odb.read(pygit2.Oid(raw=object_id))
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise BrokenObjectError(object_id.hex(), reason(error)) from None


def _object_size(repository: pygit2.Repository, object_id: bytes) -> int:
    try:
        return repository.odb.read_header(pygit2.Oid(raw=object_id))[1]
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise BrokenObjectError(object_id.hex(), reason(error)) from None


def is_gone(flags: int) -> bool:
    status = pygit2.enums.FileStatus
    return bool(flags & status.WT_DELETED or (flags & status.INDEX_DELETED and not flags & status.WT_NEW))


def blob_leaf(repository: pygit2.Repository, raw: bytes, mode: int) -> Leaf:
    def read() -> bytes:
        return _read_object(repository, raw)[1]

    return Leaf(KINDS.get(b"%o" % mode, "submodule"), read, raw, lambda: _object_size(repository, raw))


def disk_leaf(path: Path, *, keeps_modes: bool) -> Leaf | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise CannotRunError(f"{path.name}: cannot be read: {reason(error)}") from None
    mode = found.st_mode
    if stat.S_ISLNK(mode):
        return Leaf("symlink", lambda: os.fsencode(path.readlink()))
    if stat.S_ISDIR(mode):
        return Leaf("submodule", lambda: b"")  # a repository in the repository: Git would add it as a submodule
    if not stat.S_ISREG(mode):
        return Leaf("submodule", lambda: b"")

    def read() -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise CannotRunError(f"{path.name}: cannot be read: {reason(error)}") from None

    kind: Kind = "executable" if keeps_modes and mode & stat.S_IXUSR else "file"
    return Leaf(kind, read, None, lambda: found.st_size, lambda: path.open("rb"))


def reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[0]) if error.args else type(error).__name__
