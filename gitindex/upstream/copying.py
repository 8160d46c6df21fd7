"""Downloads files that pages of upstreams name, each into its place, and none that is not what the page says."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, Self

from gitindex import atomic
from gitindex.errors import CannotRunError, DeliveryError
from gitindex.names import IndexName, Sha256
from gitindex.pages import FilePage
from gitindex.upstream.client import Upstreams
from gitindex.upstream.mirror import Upstream

_AT_ONCE = 8
_LARGEST = 16 << 30
"""Bytes of a file of which the page states no size."""

Advance = Callable[[int], None]
"""Is told, by any thread, that so many bytes more have come."""


def copy_files(
    files: Mapping[str, FilePage],
    places: Mapping[str, Path],
    mirrors: Mapping[IndexName, Upstream],
    upstreams: Upstreams,
    *,
    help_: str,
    progress: Callable[[int, int], None] | None = None,
    advance: Advance | None = None,
) -> None:
    """Download files, of each of which the sha256 is known, into their places; *help_* says what to do if one fails.

    Raises:
        CannotRunError: a file is not delivered, or is not what the page says, or the disk fails. What was copied until
            then is whole.

    """
    stopped = threading.Event()

    def copy(path: str) -> None:
        file = files[path]
        upstream = mirrors[file.index]
        try:
            with Copy(places[path], file, stopped, advance) as copied:
                upstreams.fetcher(upstream, file.url, file.size, _LARGEST)(copied)
                copied.check()
        except DeliveryError as error:
            raise CannotRunError(f"{file.filename}: {upstream.name}: {error.problem}", help=help_) from None
        except OSError as error:
            raise atomic.cannot_write(places[path], error) from None

    with ThreadPoolExecutor(_AT_ONCE, "copy") as threads:
        waiting = [threads.submit(copy, path) for path in files]
        try:
            for done, future in enumerate(waiting):
                if progress is not None:
                    progress(done, len(waiting))
                future.result()
        except BaseException:
            stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


class Stated(Protocol):
    """What is said of a file before it comes."""

    @property
    def filename(self) -> str:
        """What it is called."""

    @property
    def index(self) -> object:
        """Who says it."""

    @property
    def sha256(self) -> Sha256 | None:
        """``None`` where nobody says it."""

    @property
    def size(self) -> int | None:
        """Bytes; ``None`` where nobody says it."""


class Copy:
    """Takes the bytes of one file under another name, and gives it its own once they have been checked."""

    def __init__(self, place: Path, file: Stated, stopped: threading.Event, advance: Advance | None) -> None:
        self._place = place
        self._file = file
        self._stopped = stopped
        self._advance = advance
        self._temporary = place.with_name(f"{atomic.TEMPORARY_PREFIX}{os.urandom(8).hex()}")
        self._digest = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        self._stream = self._temporary.open("xb")
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        with contextlib.suppress(FileNotFoundError):
            self._temporary.unlink()

    def begin(self, size: int | None) -> None:
        del size  # what the page says counts
        self._tell(-self._size)
        self._stream.seek(0)
        self._stream.truncate()
        self._digest, self._size = hashlib.sha256(), 0

    def add(self, piece: bytes) -> None:
        if self._stopped.is_set():
            raise DeliveryError("is not copied any more")
        self._stream.write(piece)
        self._digest.update(piece)
        self._size += len(piece)
        self._tell(len(piece))

    def _tell(self, size: int) -> None:
        if self._advance is not None:
            self._advance(size)

    def check(self, *, is_believed: bool = False) -> None:
        """Give the file its name; raises :class:`CannotRunError` where it is not what the page says.

        Where that says no digest, the file is refused unless it *is_believed*.
        """
        file = self._file
        what = None
        if file.size is not None and self._size != file.size:
            comparison = "more" if self._size > file.size else "fewer"
            what = f"has {comparison} bytes than the {file.size:,} that the page states"
        elif self._digest.hexdigest() != file.sha256 and not (is_believed and file.sha256 is None):
            what = f"has the sha256 {self._digest.hexdigest()}, and the page states {file.sha256}"
        if what is not None:
            raise CannotRunError(f"{file.filename}: {file.index}: {what}", help="tell whoever runs that index")
        self._stream.close()
        self._temporary.replace(self._place)
