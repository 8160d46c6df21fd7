"""Pages of upstreams, from the cache or from the upstream itself; one request for all who want the same page."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gitindex import layout
from gitindex.download import CredentialsFor, DeadLinkError, Downloader, Patience as FilePatience, Sink
from gitindex.names import IndexName, ProjectName
from gitindex.upstream.credentials import Keyring
from gitindex.upstream.health import Health, Limits, Patience
from gitindex.upstream.mirror import Upstream
from gitindex.upstream.pages import UpstreamPage
from gitindex.web import Credentials, UnfitURLError, check_target, origin, split

if TYPE_CHECKING:
    from gitindex.upstream.asking import Asker
    from gitindex.upstream.cache import Store, Usage
    from gitindex.upstream.reading import Answer

_MIB = 1 << 20
_DAY = 86400.0
_FOR_EVER = 10 * 365 * _DAY
_IN_MEMORY = 64 * _MIB
_JUST_NOW = 1.0
"""Seconds in which nobody makes us ask an upstream twice."""
_NAMES_PER_FILE = 8
"""Names of a list that take about the memory of one file of a page."""
FOR_FILES = FilePatience(silence=10.0, whole=30.0, rate=1 << 15, retries=1, backoff=0.2, longest_pause=2.0)
"""A client waits for the file."""

Fetch = Callable[[Sink], None]
Read = Callable[["Answer"], UpstreamPage | tuple[ProjectName, ...]]


@dataclass(frozen=True, slots=True)
class _Held:
    """What an upstream said, and when it was asked."""

    content: UpstreamPage | tuple[ProjectName, ...] | None
    identity: str
    checked: float

    @property
    def weight(self) -> int:
        """What it takes of the memory, in files."""
        if isinstance(self.content, UpstreamPage):
            return 1 + len(self.content.files) + len(self.content.refused)
        return 1 + len(self.content or ()) // _NAMES_PER_FILE


class Upstreams:
    """Other indexes over HTTP; safe to share between threads, which wait while an upstream is asked.

    Pages are kept in *folder*, which several processes may share, or in memory where there is none.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        clock: Callable[[], float] = time.time,
        patience: Patience | None = None,
        file_patience: FilePatience = FOR_FILES,
        largest_page: int = 32 * _MIB,
        largest_list: int = 128 * _MIB,
        largest_cache: int = 1024 * _MIB,
        stale_for: float = 30 * _DAY,
        files_in_memory: int = 20_000,
        tells_refused: bool = False,
        gives_up_after: int | None = None,
    ) -> None:
        """Make the cache of pages.

        Args:
            folder: where pages are kept; made where it is not there.
            clock: says the time, in seconds since the epoch.
            patience: how long an upstream is waited for.
            file_patience: how long one is waited for that has a file.
            largest_page: bytes of a project page, decoded.
            largest_list: bytes of a list of projects, decoded.
            largest_cache: bytes on the disk, about; in memory it is 64 MiB at most.
            stale_for: seconds that a page is shown although its upstream cannot be asked again.
            files_in_memory: how many files the pages have that are kept read, in memory.
            tells_refused: whether pages tell what of them cannot be taken, which takes memory too.
            gives_up_after: how often in a row a host may fail to deliver a provenance document until it is asked for
                no other one; by default that has no end, since a server may run for long.

        """
        self._folder = folder
        self._clock = clock
        self._patience = patience or Patience()
        self._limits = Limits(largest_page, largest_list, stale_for)
        self._largest_cache = largest_cache
        self._tells_refused = tells_refused
        self._keyring = Keyring()
        self._lock = threading.Lock()
        self._askers: dict[tuple[IndexName, str], Asker] = {}
        self._memory = _Memory(files_in_memory)
        self._turns = _Turns()
        self._downloader = Downloader(file_patience, gives_up_after=None)
        self._of_documents = Downloader(file_patience, gives_up_after=gives_up_after)

    def page(self, upstream: Upstream, name: ProjectName) -> UpstreamPage | None:
        """Return what an upstream says of a project, ``None`` where it says that it has none.

        Whether the mirror shows it is not asked here: see :class:`~gitindex.upstream.filters.Filters`.

        Raises:
            UpstreamError: the upstream does not say so, and the cache has nothing that is not too old.

        """
        held, fresh_for, is_stale = self._get(upstream, f"{upstream.url}{name}/", self._reader(name))
        page = held.content
        return replace(page, is_stale=is_stale, fresh_for=fresh_for) if isinstance(page, UpstreamPage) else None

    def refresh(self, upstream: Upstream, name: ProjectName) -> None:
        """Ask an upstream again for a page, however fresh; not where it was asked a moment ago.

        Raises:
            UpstreamError: as :meth:`page`.

        """
        url = f"{upstream.url}{name}/"
        held = self._memory.get((upstream.name, url))
        if held is None or self._clock() - held.checked > _JUST_NOW:
            self._get(upstream, url, self._reader(name), expiry=0.0)

    def _reader(self, name: ProjectName) -> Read:
        from gitindex.upstream.reading import read_page  # noqa: PLC0415 - a heavy import, once something is asked

        return partial(read_page, name, tells_refused=self._tells_refused)

    def held(self, upstream: Upstream, name: ProjectName) -> tuple[UpstreamPage | None] | None:
        """Return what :meth:`page` would without waiting for anything, ``None`` where it would have to wait."""
        key = (upstream.name, f"{upstream.url}{name}/")
        held = self._memory.get(key)
        left = self._fresh_for(upstream, held) if held is not None else 0.0
        if held is None or left <= 0:
            return None
        page = held.content
        return (replace(page, is_stale=False, fresh_for=left) if isinstance(page, UpstreamPage) else None,)

    def projects(self, upstream: Upstream) -> tuple[ProjectName, ...]:
        """Return the projects that a mirror shows, sorted; where `allow` names them, the upstream is not asked.

        An upstream without a list (404) has none.

        Raises:
            UpstreamError: as :meth:`page`.

        """
        from gitindex.upstream.reading import read_list  # noqa: PLC0415

        filters = upstream.filters
        if (allowed := filters.allowed()) is not None:
            return allowed
        held, _, _ = self._get(upstream, upstream.url, read_list)
        return filters.leave(held.content) if isinstance(held.content, tuple) else ()

    def fetcher(self, upstream: Upstream, url: str, size: int | None, limit: int | None = None) -> Fetch:
        """Return what downloads a file of an upstream's page into a sink, once.

        *size* is what the page says, in bytes, and *limit* is where the download is cut where it says none. One byte
        more than the size may come: that there are more is the sink's to find.

        The result raises :class:`~gitindex.download.DeadLinkError` and
        :class:`~gitindex.download.UnreachableError`, and what the sink raises.
        """
        most = size + 1 if size is not None else limit if limit is not None else 1 << 40
        return lambda sink: self._downloader.fetch(url, sink, most, self._credentials_for(upstream))

    def _credentials_for(self, upstream: Upstream) -> CredentialsFor:
        """Return what says with what name and password a server is asked: the upstream's own with its, no other."""
        own = origin(split(upstream.url))

        def credentials(asked: str) -> Credentials | None:
            is_own = origin(split(asked)) == own
            return self._keyring.credentials(upstream.name, upstream.url) if is_own else None

        return credentials

    def metadata_fetcher(self, upstream: Upstream, url: str, limit: int) -> Fetch:
        """Return what downloads the metadata of a wheel (PEP 658), which lies beside it, up to so many bytes."""
        return self.fetcher(upstream, metadata_url(url), None, limit)

    def provenance_fetcher(self, upstream: Upstream, url: str, file_url: str, limit: int) -> Fetch:
        """Return what downloads the provenance document of a file (PEP 740), up to so many bytes.

        Beyond what :meth:`fetcher` says, the result raises DeadLinkError where it lies where the file itself could not.
        """

        def fetch(sink: Sink) -> None:
            try:
                check_target(split(url), split(file_url))
            except UnfitURLError as error:
                raise DeadLinkError(f"its link {error}") from None
            self._of_documents.fetch(url, sink, limit, self._credentials_for(upstream))

        return fetch

    def health(self, name: IndexName) -> Health:
        """Return what is known of the upstream of a mirror; with several (it has moved), of the last one."""
        with self._lock:
            askers = [asker for (mirror, _), asker in self._askers.items() if mirror == name]
        return askers[-1].breaker.health() if askers else Health()

    def all_health(self) -> dict[IndexName, Health]:
        """Return what is known of the upstreams of all mirrors that were asked."""
        with self._lock:
            names = {mirror for mirror, _ in self._askers}
        return {name: self.health(name) for name in names}

    def usage(self) -> Usage:
        """Return how many pages are kept, and in how many bytes."""
        return self._store.usage()

    def close(self) -> None:
        """End the connections, and let no download wait to be tried again."""
        with self._lock:
            askers = list(self._askers.values())
        for asker in askers:
            asker.close()
        self._downloader.stop()
        self._of_documents.stop()

    def _get(
        self, upstream: Upstream, url: str, read: Read, *, expiry: float | None = None
    ) -> tuple[_Held, float, bool]:
        """Return what is at a URL of an upstream, for how many seconds it is fresh, and whether it is stale.

        What was said longer than *expiry* seconds ago is asked for again; by default the mirror says how many.
        """
        from gitindex.upstream.reading import NotAPageError, identity  # noqa: PLC0415

        key, fresh_for = (upstream.name, url), partial(self._fresh_for, upstream)
        held = self._memory.get(key)
        if expiry is None and held is not None and (left := fresh_for(held)) > 0:
            return held, left, False
        with self._turns.of(key):
            # Whoever had the turn before may have got it.
            held = self._memory.get(key)
            if expiry is None and held is not None and (left := fresh_for(held)) > 0:
                return held, left, False
            asker = self._asker(upstream)
            got = asker.get(url, _expiry(upstream) if expiry is None else expiry, read)
            if got.answer is None:
                new = _Held(None, "", got.checked)
            else:
                digest, content = identity(got.answer), got.result
                if content is None and held is not None and held.identity == digest:
                    content = held.content
                try:
                    new = _Held(read(got.answer) if content is None else content, digest, got.checked)
                except NotAPageError as error:  # what another version of this program kept
                    raise asker.error(url, str(error)) from None
            self._memory.put(key, new)
        if got.is_stale:
            paused = asker.breaker.left(url)
            return new, paused[0] if paused else 0.0, True
        return new, max(fresh_for(new), 0.0), False

    def _fresh_for(self, upstream: Upstream, held: _Held) -> float:
        from gitindex.upstream.cache import lifetime, time_left  # noqa: PLC0415

        life = lifetime(_expiry(upstream), is_missing=held.content is None)
        return time_left(held.checked, life, self._clock())

    def _asker(self, upstream: Upstream) -> Asker:
        from gitindex.upstream.asking import Asker  # noqa: PLC0415

        name, url = upstream.name, upstream.url
        store = self._store
        with self._lock:
            asker = self._askers.get((name, url))
            if asker is None:
                asker = self._askers[name, url] = Asker(
                    name,
                    url,
                    credentials=lambda: self._keyring.credentials(name, url),
                    store=store,
                    limits=self._limits,
                    patience=self._patience,
                    clock=self._clock,
                )
            return asker

    @cached_property
    def _store(self) -> Store:
        from gitindex.upstream.cache import FolderStore, MemoryStore  # noqa: PLC0415

        if self._folder is None:
            return MemoryStore(self._clock, min(self._largest_cache, _IN_MEMORY))
        return FolderStore(self._folder, self._clock, self._largest_cache)


def _expiry(upstream: Upstream) -> float:
    return min(float(upstream.mirror.mirror_cache_expiry), _FOR_EVER)


def metadata_url(url: str) -> str:
    """Return where the metadata of a wheel lies (PEP 658): the suffix is the path's, and comes before a query."""
    parts = urlsplit(url)
    return parts._replace(path=parts.path + layout.METADATA_SUFFIX).geturl()


class _Memory:
    """The last used of what was read."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held: dict[tuple[IndexName, str], _Held] = {}
        self._weight = 0

    def get(self, key: tuple[IndexName, str]) -> _Held | None:
        with self._lock:
            held = self._held.pop(key, None)
            if held is not None:
                self._held[key] = held
            return held

    def put(self, key: tuple[IndexName, str], held: _Held) -> None:
        with self._lock:
            old = self._held.pop(key, None)
            self._weight += held.weight - (old.weight if old else 0)
            self._held[key] = held
            while self._weight > self._limit:
                self._weight -= self._held.pop(next(iter(self._held))).weight


class _Turns:
    """One at a time for each key; what nobody waits for is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[tuple[IndexName, str], tuple[threading.Lock, int]] = {}

    @contextlib.contextmanager
    def of(self, key: tuple[IndexName, str]) -> Iterator[None]:
        with self._lock:
            turn, count = self._turns.get(key, (threading.Lock(), 0))
            self._turns[key] = turn, count + 1
        try:
            with turn:
                yield
        finally:
            with self._lock:
                _, count = self._turns[key]
                if count == 1:
                    del self._turns[key]
                else:
                    self._turns[key] = turn, count - 1
