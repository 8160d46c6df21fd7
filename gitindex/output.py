"""The folder that a site is written to: files replaced in one step, and what is no longer produced removed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from gitindex import atomic
from gitindex.errors import CannotRunError
from gitindex.storage import Store

MARKER = ".gitindex-site"
"""The file that says that a folder was made by gitindex, and remembers from what."""
HOST = ".host"
"""The folder of what is for the operator of a web server: configurations. It is not served."""


def _is_kept(path: str) -> bool:
    """Tell whether a path is a host's or Git's business: `.git`, `.nojekyll`, `.well-known`, `CNAME` at the top."""
    return path == "CNAME" or (
        path.startswith(".") and "/" not in path and path != HOST and not path.startswith(atomic.TEMPORARY_PREFIX)
    )


class OutputFolder:
    """The folder of a site. Nothing outside of it is touched, through links neither.

    Paths are strings below it, with ``/``: a site has so many that pathlib would cost more than writing them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._prefix = f"{path}{os.sep}"
        self.produced: set[str] = set()
        self.folders: set[str] = {""}
        self._new: set[str] = set()
        self.written = 0
        self.unchanged = 0

    def has_page(self, folder: str) -> bool:
        """Tell whether the page of a *folder*, which ends in ``/``, was produced."""
        return f"{folder}index.html" in self.produced

    def begin(self) -> None:
        """Make the folder, or take the one that an earlier rendering made.

        Raises:
            CannotRunError: it is something else, or cannot be written to.

        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            found = os.listdir(self._path)  # noqa: PTH208 - one level, as the kernel gives it
        except FileExistsError:
            raise CannotRunError(f"{self._path}: is not a folder", help="choose another one with --out") from None
        except OSError as error:
            raise atomic.cannot_write(self._path, error) from None
        names = [name for name in found if name != ".git"]
        if names and MARKER not in names:
            raise CannotRunError(
                f"{self._path}: has files and was not made by gitindex", help="choose an empty folder with --out"
            )

    def remove_others(self, below: str = "") -> int:
        """Remove what is below a folder and was not produced this time; return how many files were removed.

        *below* is empty for all of it, or ends in ``/``.
        """
        try:
            return self._remove_others(f"{self._prefix}{below}", below)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise atomic.cannot_write(self._path, error) from None

    def remove(self, path: str) -> int:
        """Remove a file, and the folders that are empty then; return how many files were removed."""
        try:
            os.unlink(self._prefix + path)  # noqa: PTH108
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError as error:
            raise atomic.cannot_write(self._prefix + path, error) from None
        self._remove_empty(path.rpartition("/")[0])
        return 1

    def remove_folder(self, path: str) -> int:
        """Remove a folder with all that is in it; return how many files were removed."""
        target = self._prefix + path
        if os.path.islink(target) or not os.path.isdir(target):  # noqa: PTH112, PTH114
            return self.remove(path)
        removed = sum(len(files) for _, _, files in os.walk(target))
        _remove_tree(target)
        self._remove_empty(path.rpartition("/")[0])
        return removed

    def _remove_empty(self, path: str) -> None:
        while path:
            try:
                os.rmdir(self._prefix + path)  # noqa: PTH106
            except OSError:
                return
            path = path.rpartition("/")[0]

    def read(self, path: str) -> bytes:
        """Return a file that is there; empty where there is none."""
        try:
            descriptor = os.open(self._prefix + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        with open(descriptor, "rb") as file:  # noqa: PTH123 - opened just above
            return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""

    def write(self, path: str, data: bytes) -> None:
        """Put a file there, unless it is there with these very bytes."""
        target = self._target(path)
        if path.rpartition("/")[0] not in self._new and _holds(target, data):
            self.unchanged += 1
        else:
            self._replace(target, lambda: ([data], None))

    def copy(self, path: str, sha256: str, store: Store) -> None:
        """Put a stored file there. One of that size that is there was checked when it came, and is left alone."""
        if path in self.produced:
            return
        size = store.size(path)
        target = self._target(path)
        if _size(target) == size:
            self.unchanged += 1
            return
        self._replace(target, lambda: store.read(path, sha256))

    def place(self, path: str) -> str:
        """Make the folders of a file that somebody else writes, and return where it belongs; it is kept."""
        return self._target(path)

    def write_checked(self, path: str, store: Store) -> None:
        """Put a stored document there whose digest the page does not carry."""
        with store.open(path, "") as stream:
            self.write(path, stream.read())

    def _replace(self, target: str, read: Callable[[], tuple[Iterable[bytes], Callable[[], None] | None]]) -> None:
        try:
            atomic.write(target, *read())
        except CannotRunError:
            if not os.path.isdir(target) or os.path.islink(target):  # noqa: PTH112, PTH114
                raise
            _remove_tree(target)  # a folder where a file belongs
            atomic.write(target, *read())
        self.written += 1

    def _target(self, path: str) -> str:
        self.produced.add(path)
        folder = path.rpartition("/")[0]
        if folder not in self.folders:
            self._make_folder(folder)
        return self._prefix + path

    def _make_folder(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent not in self.folders:
            self._make_folder(parent)
        target = self._prefix + path
        try:
            try:
                os.mkdir(target)  # noqa: PTH102
                self._new.add(path)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(target).st_mode):
                    os.unlink(target)  # noqa: PTH108 - a link or a file where a folder belongs: never followed
                    os.mkdir(target)  # noqa: PTH102
        except OSError as error:
            raise atomic.cannot_write(target, error) from None
        self.folders.add(path)

    def _remove_others(self, folder: str, relative: str) -> int:
        """Remove what is below *folder* and was not produced; links are removed, and not followed."""
        removed = 0
        with os.scandir(folder) as scanned:
            entries = list(scanned)
        for entry in entries:
            path = f"{relative}{entry.name}"
            if _is_kept(path):
                continue
            if entry.is_dir(follow_symlinks=False):
                removed += self._remove_others(entry.path, f"{path}/")
                if path not in self.folders:
                    os.rmdir(entry.path)  # noqa: PTH106
            elif path not in self.produced:
                os.unlink(entry.path)  # noqa: PTH108
                removed += 1
        return removed


def _holds(path: str, data: bytes) -> bool:
    """Tell whether a plain file is there with these very bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        size = len(data)
        return os.fstat(descriptor).st_size == size and os.read(descriptor, size + 1) == data
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _remove_tree(path: str) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise atomic.cannot_write(path, error) from None


def _size(path: str) -> int | None:
    """Return the size in bytes of a plain file, ``None`` where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
