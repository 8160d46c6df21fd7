"""Where answers of upstreams are kept, for requests-cache: a file for each, written whole, or memory.

Files, and not its SQLite: that waits for ever where a disk is full or cannot be written to. What cannot be read, or was
torn by a crash, is not there; what cannot be written is not kept. Several processes share a folder: a file is replaced
in one step, and the least recently used go first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from requests.structures import CaseInsensitiveDict
from requests_cache.backends.base import BaseCache, BaseStorage
from requests_cache.models.request import CachedRequest
from requests_cache.models.response import CachedResponse

from gitindex import atomic
from gitindex.errors import CannotRunError

MISSING = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""What says that there is no such project."""
LONGEST_MISSING = 300.0
"""Seconds that an upstream's word is taken that it has no such project."""
_FORMAT = 1
_BLOCK = 4096
_HEADERS = ("Content-Type", "ETag", "Last-Modified")
_LEFT_BEHIND = 3600.0
"""Seconds after which a file that was never renamed is that of a run that is dead."""


class Usage(NamedTuple):
    """What a cache holds."""

    pages: int
    bytes: int


class Store(BaseStorage[str, CachedResponse]):
    """Keeps answers as bytes; safe to share between threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(serializer=None)
        self._clock = clock

    def read(self, key: str) -> bytes | None:
        raise NotImplementedError

    def write(self, key: str, data: bytes) -> None:
        raise NotImplementedError

    def usage(self) -> Usage:
        """Return what is kept."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> CachedResponse:
        data = self.read(key)
        response = _unpacked(data) if data is not None else None
        if response is None:
            raise KeyError(key)
        response.cache_key = key
        return response

    def __setitem__(self, key: str, response: CachedResponse) -> None:
        # An answer is kept when the upstream has just said so, in full or with "not modified".
        self.write(key, _packed(response, self._clock()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class MemoryStore(Store):
    """Keeps answers for one run, up to so many bytes."""

    def __init__(self, clock: Callable[[], float], limit: int) -> None:
        super().__init__(clock)
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: dict[str, bytes] = {}
        self._size = 0

    def read(self, key: str) -> bytes | None:
        with self._lock:
            data = self._kept.pop(key, None)
            if data is not None:
                self._kept[key] = data  # the last used is the last to go
            return data

    def write(self, key: str, data: bytes) -> None:
        with self._lock:
            self._drop(key)
            self._kept[key] = data
            self._size += len(data)
            while self._size > self._limit:
                self._drop(next(iter(self._kept)))

    def usage(self) -> Usage:
        with self._lock:
            return Usage(len(self._kept), self._size)

    def _drop(self, key: str) -> None:
        self._size -= len(self._kept.pop(key, b""))

    def __delitem__(self, key: str) -> None:
        with self._lock:
            self._drop(key)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._kept))


class FolderStore(Store):
    """Keeps answers in a folder, up to about so many bytes on the disk."""

    def __init__(self, folder: Path, clock: Callable[[], float], limit: int) -> None:
        super().__init__(clock)
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._until_trim = 0
        """Bytes that may be written before it is looked at again whether the folder has become too large."""
        with contextlib.suppress(OSError):
            # What an upstream shows to who has its password is for nobody else on this machine.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, key: str) -> str:
        return f"{self._folder}/{key[:2]}/{key[2:]}"

    def read(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - a path of ours, read often
                data = file.read()
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the last used is the last to go
        return data

    def write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        if len(data) > self._limit // 2:
            return
        with contextlib.suppress(OSError, CannotRunError):
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            atomic.write(path, (data,))
        with self._lock:
            self._until_trim -= _on_disk(len(data))
            is_due = self._until_trim <= 0
            if is_due:
                self._until_trim = self._limit // 16
        if is_due:
            self._trim()

    def usage(self) -> Usage:
        sizes = [size for _, size, _ in self._files()]
        return Usage(len(sizes), sum(sizes))

    def _trim(self) -> None:
        """Remove the least recently used until there is room again, and what a killed run left behind."""
        files = sorted(self._files(is_all=True))
        size = sum(size for _, size, _ in files)
        now = max((used for used, _, _ in files), default=0.0)
        for used, on_disk, path in files:
            is_left_behind = atomic.TEMPORARY_PREFIX in path and used < now - _LEFT_BEHIND
            if size > self._limit * 7 // 8 or is_left_behind:
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108
                size -= on_disk

    def _files(self, *, is_all: bool = False) -> Iterator[tuple[float, int, str]]:
        """Yield when each file was used last, its bytes on the disk, and its path."""
        with contextlib.suppress(OSError), os.scandir(self._folder) as folders:
            for folder in folders:
                with contextlib.suppress(OSError), os.scandir(folder.path) as files:
                    for file in files:
                        if is_all or not file.name.startswith(atomic.TEMPORARY_PREFIX):
                            with contextlib.suppress(OSError):
                                status = file.stat(follow_symlinks=False)
                                yield status.st_mtime, _on_disk(status.st_size), file.path

    def __delitem__(self, key: str) -> None:
        try:
            os.unlink(self._path(key))  # noqa: PTH108
        except OSError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        for _, _, path in self._files():
            folder, _, name = path.rpartition("/")
            yield folder.rpartition("/")[2] + name


class PageCache(BaseCache):
    """The answers of one mirror: they are fresh for the time that the mirror says, whatever the upstream says."""

    def __init__(self, store: Store, clock: Callable[[], float], lifetime: float) -> None:
        super().__init__()
        self.responses = store
        self._clock = clock
        self._lifetime = lifetime

    def get_response(self, key: str, default: CachedResponse | None = None) -> CachedResponse | None:
        """Return what is kept; that there is no such project is nothing that outlives its time."""
        response = self.responses.get(key)
        if response is None:
            return default
        left = self.fresh_for(response)
        if response.status_code in MISSING and left <= 0:
            return default
        # The library compares with the time of day; what counts here is the clock of this cache.
        response.expires = datetime.now(UTC) + timedelta(seconds=left)
        return response

    def fresh_for(self, response: CachedResponse) -> float:
        """Return the seconds until an answer has to be asked for again; not positive where it has to be."""
        life = lifetime(self._lifetime, is_missing=response.status_code in MISSING)
        return time_left(response.created_at.timestamp(), life, self._clock())


def lifetime(expiry: float, *, is_missing: bool) -> float:
    """Return the seconds for which an answer is fresh, where a mirror's pages are for *expiry* seconds."""
    return min(expiry, LONGEST_MISSING) if is_missing else expiry


def time_left(checked: float, life: float, now: float) -> float:
    """Return the seconds of its life that an answer has left; none where the clock was put back since."""
    return checked + life - now if checked <= now else 0.0


def _on_disk(size: int) -> int:
    return -(-max(size, 1) // _BLOCK) * _BLOCK


def _packed(response: CachedResponse, checked: float) -> bytes:
    """Return an answer as it is kept: a line that says what it is, and the body. No request, and no secret in it."""
    body = response.content or b""
    head = {
        "format": _FORMAT,
        "url": response.url,
        "status": response.status_code,
        "headers": {name: response.headers[name] for name in _HEADERS if name in response.headers},
        "checked": checked,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return json.dumps(head).encode() + b"\n" + body


def _unpacked(data: bytes) -> CachedResponse | None:
    """Return what was kept, ``None`` where it is not whole."""
    line, newline, body = data.partition(b"\n")
    try:
        head: Any = json.loads(line)
        if not newline or head["format"] != _FORMAT or hashlib.sha256(body).hexdigest() != head["sha256"]:
            return None
        url, headers = str(head["url"]), dict(head["headers"])
        return CachedResponse(
            content=body,
            created_at=datetime.fromtimestamp(head["checked"], UTC),
            headers=CaseInsensitiveDict(headers),
            request=CachedRequest(method="GET", url=url),
            status_code=int(head["status"]),
            url=url,
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return None
