"""Reads and writes objects at a place: the one module that knows obstore.

Each write is whole or not at all. What the store has against a request becomes one line (:mod:`.trouble`).
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gitindex import atomic
from gitindex.errors import CannotRunError
from gitindex.objects.location import Location
from gitindex.objects.trouble import trouble

if TYPE_CHECKING:
    from obstore.store import ObjectStore

R = TypeVar("R")

_PIECE = 1 << 20
_RETRIES = 4
_PATIENCE = timedelta(seconds=60)
"""How long a request is tried again and again."""
_TIMEOUT = timedelta(seconds=120)
"""How long one request may take; a large file goes in parts, and each is one."""
LONGEST = _PATIENCE + _TIMEOUT
"""How long a small write may be on its way at most."""
_STAGED = re.compile(r"#\d+")
"""What a broken-off write to a folder leaves behind, after the name."""


_VARIABLES = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}


class Headers(NamedTuple):
    """What a store answers with beside an object; a folder keeps none."""

    content_type: str
    cache_control: str


class Objects:
    """The objects at a place; safe to share between threads, and useless in a fork."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._opened: ObjectStore | None = None

    def read(self, path: str, most: int) -> bytes | None:
        """Return a small object; ``None`` where it is not there.

        Raises:
            CannotRunError: it has more than *most* bytes, or the store does not give it.

        """
        stream = self.stream(path)
        if stream is None:
            return None
        read = bytearray()
        for piece in stream:
            read += piece
            if len(read) > most:
                raise CannotRunError(f"{self.location}/{path}: has more than {most:,} bytes", help="see what wrote it")
        return bytes(read)

    def stream(self, path: str) -> Iterator[bytes] | None:
        """Return an object in pieces; ``None`` where it is not there.

        Raises:
            CannotRunError: the store does not give it, at once or on the way.

        """
        import obstore

        found = self._unless_missing(path, lambda: obstore.get(self._store, path))
        return None if found is None else self._pieces(path, found)

    def _pieces(self, path: str, found: Any) -> Iterator[bytes]:
        pieces = iter(found.stream(min_chunk_size=_PIECE))
        while (piece := self._asked(path, lambda: next(pieces, None))) is not None:
            yield bytes(piece)

    def size(self, path: str) -> int | None:
        """Return the size of an object in bytes; ``None`` where it is not there."""
        import obstore

        found = self._unless_missing(path, lambda: obstore.head(self._store, path))
        return None if found is None else found["size"]

    def put(self, path: str, source: bytes | Path, headers: Headers) -> None:
        """Write an object, in the place of what is there.

        Raises:
            CannotRunError: the store does not take it.

        """
        import obstore

        self._make_folder()
        self._asked(path, lambda: obstore.put(self._store, path, source, attributes=self._attributes(headers)))

    def create(self, path: str, source: bytes | Path, headers: Headers) -> bool:
        """Write an object where there is none, and tell whether that was so.

        It may be told of an object that this very call wrote, where the answer was lost and it was tried again: who
        asks has to know its own.

        Raises:
            CannotRunError: the store does not take it.

        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def create() -> bool:
            try:
                obstore.put(self._store, path, source, attributes=self._attributes(headers), mode="create")
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

        self._make_folder()
        return self._asked(path, create)

    def delete(self, paths: Sequence[str]) -> None:
        """Remove objects; those that are not there are no matter."""
        import obstore

        def delete(some: str | list[str]) -> None:
            obstore.delete(self._store, some)

        try:
            self._asked(next(iter(paths), ""), lambda: delete(list(paths)))
        except _MissingError:  # of some; it says nothing of the others
            for path in paths:
                self._unless_missing(path, partial(delete, path))

    def names(self, folder: str) -> list[str]:
        """Return the paths of all objects in a folder and below it, sorted.

        Raises:
            CannotRunError: there is no such bucket, or it cannot be listed.

        """
        import obstore

        def names() -> list[str]:
            listed = obstore.list(self._store, folder or None)
            return sorted(found["path"] for some in listed for found in some)

        return self._asked("", names)

    def top(self) -> set[str]:
        """Return the names of what is at the top: folders and objects."""
        import obstore

        found = self._asked("", lambda: obstore.list_with_delimiter(self._store))
        return {path.partition("/")[0] for path in found["common_prefixes"]} | {o["path"] for o in found["objects"]}

    def sweep(self, paths: Sequence[str]) -> None:
        """Remove what writes of these *paths* left behind that were broken off; only a folder keeps such.

        A path that ends in ``/`` stands for all in that folder.
        """
        folder = self.location.folder
        if folder is None:
            return
        wanted: defaultdict[str, set[str]] = defaultdict(set)
        for path in paths:
            parent, _, name = path.rpartition("/")
            wanted[parent].add(name)
        for parent, names in wanted.items():
            place = folder / parent
            for found in list(place.iterdir()) if place.is_dir() else ():
                name, mark, number = found.name.rpartition("#")
                if (name in names or "" in names) and _STAGED.fullmatch(mark + number):
                    found.unlink(missing_ok=True)

    @property
    def exists(self) -> bool:
        """Whether there is a place at all: a folder need not be there yet."""
        return self.location.folder is None or self.location.folder.is_dir()

    def _make_folder(self) -> None:
        """Make the folder that the place is, for the first write: to read from one that is not there makes none."""
        if (folder := self.location.folder) is not None and self._opened is None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise atomic.cannot_write(folder, error) from None

    @property
    def _store(self) -> ObjectStore:
        if self._opened is None:
            self._opened = _open(self.location)
        return self._opened

    def _attributes(self, headers: Headers) -> dict[str, str] | None:
        if self.location.scheme == "file":
            return None
        return {"Content-Type": headers.content_type, "Cache-Control": headers.cache_control}

    def _unless_missing(self, path: str, ask: Callable[[], R]) -> R | None:
        try:
            return self._asked(path, ask)
        except _MissingError:
            return None

    def _asked(self, path: str, ask: Callable[[], R]) -> R:
        try:
            return ask()
        except CannotRunError:
            raise
        except FileNotFoundError as error:
            said = trouble(self.location, path, error)
            if path and "no such" not in said.message:
                raise _MissingError(said.message, help=said.help) from None
            raise said from None
        except Exception as error:  # noqa: BLE001 - obstore has errors of its own, of the system, and of values
            raise trouble(self.location, path, error) from None


class _MissingError(CannotRunError):
    """What was asked for is not there."""


def _open(location: Location) -> ObjectStore:
    from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

    retry: Any = {"max_retries": _RETRIES, "retry_timeout": _PATIENCE}
    # What the environment says of clients does not count beside options of ours.
    allow_http = os.environ.get(f"{_VARIABLES.get(location.scheme)}_ALLOW_HTTP", "").lower() in {"1", "true"}
    client: Any = {"timeout": _TIMEOUT, "connect_timeout": timedelta(seconds=10), "allow_http": allow_http}
    prefix = location.prefix or None
    try:
        match location.scheme:
            case "file":
                return LocalStore(location.prefix, automatic_cleanup=True)
            case "s3":
                return S3Store(location.bucket, prefix=prefix, client_options=client, retry_config=retry)
            case "gs":
                return GCSStore(location.bucket, prefix=prefix, client_options=client, retry_config=retry)
            case _:
                return AzureStore(location.bucket, prefix=prefix, client_options=client, retry_config=retry)
    except Exception as error:  # noqa: BLE001 - as above
        raise trouble(location, "", error) from None
