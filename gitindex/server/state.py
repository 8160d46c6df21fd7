"""What a running server holds: the revision that it serves, its threads, its caches, its numbers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gitindex.errors import CannotRunError, GitindexError
from gitindex.server.access import Access
from gitindex.server.answers import AnswerCache
from gitindex.server.counters import Counters
from gitindex.server.lag import Lag
from gitindex.server.live import Live, Refused, Source
from gitindex.server.outcomes import TooBusyError
from gitindex.server.pulling import Pulled, Pulling
from gitindex.server.reading import Reading
from gitindex.server.stored import CheckedFiles
from gitindex.server.turn import Turn

if TYPE_CHECKING:
    from gitindex.download import Patience as FilePatience
    from gitindex.git.history import Ahead
    from gitindex.server.fallback import Mirrors
    from gitindex.server.filecache import FileCache
    from gitindex.server.people import People
    from gitindex.server.writing import Writer
    from gitindex.upstream.health import Patience

T = TypeVar("T")

_MOST_WAITING = 1000
"""Requests that wait for the thread that reads; more are told to come again."""
_SOON, _TALLY = 0.5, 1.0
"""Seconds: after the start, and between two looks at what is counted elsewhere."""
_THREADS = 4
"""Of those who send, and of those who wait for other servers."""
_REMOVE_EVERY = 3600.0
"""Seconds between two looks for what was left behind."""
_STALE = 24 * 3600.0
"""Seconds after which nobody sends anything any more."""
_CATCH_UP = 2.0
"""Seconds for which an answer waits for what another worker has written."""
LOG = logging.getLogger("gitindex.server")

AccessLog = Callable[[dict[str, Any], int, int, str], None]
"""Takes the scope of a request, the status, the bytes of the body and the reader's name."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve."""

    source: Source
    cache: Path
    """The folder for what comes from upstreams, and for what Git stores large."""
    reference: str = "HEAD"
    base_path: str = ""
    """What comes before all paths, with a slash before and none behind; empty for nothing."""
    page_cache: int = 16 << 20
    """Bytes of memory for pages."""
    file_cache: int = 10 << 30
    """Bytes of disk for files."""
    largest_file: int = 4 << 30
    """Bytes of a file of an upstream."""
    tokens: Path | None = None
    public: tuple[str, ...] = ()
    pull_every: float | None = None
    """Seconds."""
    hook_secret: bytes | None = field(default=None, repr=False)
    """What a forge proves to know that says that there is something to pull; ``None``: none is heard."""
    is_afresh: bool = False
    """Whether the last good commit is forgotten that an earlier run remembered."""
    workers: int = 1
    is_writable: bool = False
    is_pushed: bool = False
    """Whether what is written goes to the remote first."""
    is_proposed: bool = False
    """Whether what is written goes to a branch of its own, with a pull request."""
    push_to: tuple[str, ...] = ()
    """The upload URLs of other indexes to which releases may be pushed."""
    largest_upload: int = 4 << 30
    """Bytes of a file that somebody uploads."""
    run: str = field(default_factory=lambda: os.urandom(8).hex())
    """Tells this run from others that have the same cache; all its workers have the same."""
    patience: Patience | None = None
    """How long an upstream is waited for that has a page; ``None``: as long as clients wait for us."""
    file_patience: FilePatience | None = None
    """The same for files."""


class Standing(NamedTuple):
    """How what is served stands to what is known of its branch, here and at the remote."""

    served: str
    failing: list[str]
    """What keeps newer commits from being served: ``fetch``, ``validation``."""
    refused: Refused | None
    pulled: Pulled | None
    """What came of the last fetch; ``None`` where nothing is pulled."""
    ahead: Ahead | None
    """What is known and not served; ``None`` where that cannot be told."""


class State:
    """A running server; its methods are called in the thread of its event loop."""

    def __init__(self, options: Options, counters: Counters | None = None, log: AccessLog | None = None) -> None:
        self.options = options
        self.base_path = options.base_path
        self.started = datetime.now(UTC)
        self.counters = counters or Counters()
        self.access_log = log
        self.access = Access(options.tokens, options.public) if options.tokens else Access.open_to_all()
        self.cache = AnswerCache(options.page_cache)
        self.making: dict[Hashable, asyncio.Task[Any]] = {}
        """The pages that are being made: who asks for one meanwhile waits for it."""
        self.checked = CheckedFiles()
        self._reader = ThreadPoolExecutor(1, "read")
        # Who sends, or waits for another server, must not keep threads from those who read.
        self.uploading = ThreadPoolExecutor(_THREADS, "upload")
        """Reads what is sent here."""
        self.elsewhere = ThreadPoolExecutor(_THREADS, "elsewhere")
        """Brings releases from other servers, and sends them there."""
        self._waiting = 0
        self._written = 0
        """What of the writes of other workers is served here."""
        self._catching_up: asyncio.Task[None] | None = None
        _make(options.cache)
        memory = options.cache / "served.json"
        if options.is_afresh:
            memory.unlink(missing_ok=True)
        repository = options.source.open()
        self.git_directory = repository.own_directory
        turn = Turn(repository.git_directory)
        self.live = Live(options.source, options.reference, memory, turn, is_telling=self.counters.row == 0)
        self.pulling: Pulling | None = None
        if options.pull_every is not None or options.hook_secret is not None:
            folder, every = options.cache, options.pull_every
            self.pulling = Pulling(options.source, options.reference, folder, every, options.run)
            self.pulling.check(repository)
        self._lag = Lag(options.source)
        # Opened in this thread, and read by one other from now on.
        self.reading = Reading(options.source, self.live.begin(repository), is_confined=options.tokens is not None)
        self.generation = self.reading.generation
        self._files: FileCache | None = None
        self._tidying: asyncio.TimerHandle | None = None
        self._removed = -_REMOVE_EVERY
        self._people: People | None = None
        self._mirrors: Mirrors | None = None
        self._writer: Writer | None = None

    # What only some requests need is made, and imported, for the first of these: so the server starts at once.

    @property
    def files(self) -> FileCache:
        """The files on disk: those of mirrors, and what Git stores large."""
        if self._files is None:
            from gitindex.server.filecache import FileCache  # noqa: PLC0415

            options = self.options
            self._files = FileCache(options.cache / "files", limit=options.file_cache, largest=options.largest_file)
        return self._files

    @property
    def people(self) -> People:
        """Who reads whole indexes."""
        if self._people is None:
            from gitindex.server.people import People  # noqa: PLC0415

            self._people = People(self.options.source)
        return self._people

    @property
    def mirrors(self) -> Mirrors:
        """The upstreams."""
        if self._mirrors is None:
            from gitindex.server.fallback import Mirrors  # noqa: PLC0415
            from gitindex.upstream.client import FOR_FILES, Upstreams  # noqa: PLC0415

            options = self.options
            upstreams = Upstreams(
                options.cache / "pages",
                patience=options.patience,
                file_patience=options.file_patience or FOR_FILES,
            )
            self._mirrors = Mirrors(upstreams, self.files)
        return self._mirrors

    @property
    def asked_mirrors(self) -> Mirrors | None:
        """The upstreams, where any was asked."""
        return self._mirrors

    @property
    def writer(self) -> Writer:
        """Who makes changes."""
        if self._writer is None:
            from gitindex.server.writing import Writer  # noqa: PLC0415 - most servers only read

            options = self.options
            self._writer = Writer(
                options.source,
                self.live,
                self._serve_written,
                cache=options.cache,
                is_pushed=options.is_pushed,
                is_proposed=options.is_proposed,
            )
        return self._writer

    @cached_property
    def uploads(self) -> Path:
        """The folder for what is being sent here."""
        folder = self.options.cache / "uploads"
        _make(folder)
        return folder

    def discard(self) -> None:
        """Let go of it before it was started."""
        self._reader.shutdown()

    async def start(self) -> None:
        """Follow the branch."""
        loop = asyncio.get_running_loop()
        self.live.on_change = lambda commit: asyncio.run_coroutine_threadsafe(self._advance(commit), loop).result(60)
        self.live.start()
        if self.pulling is not None:
            self.pulling.start()
        # What an earlier run left half done is put away soon, and not before the first answer.
        self._tidying = loop.call_later(_SOON, self._tidy)

    def _tidy(self) -> None:
        try:
            _ = self.files
        except GitindexError as error:
            LOG.warning("%s", error)
        self._go_on_tallying()

    def _remove_uploads(self) -> None:
        """Remove what was half sent to a server that was stopped; another one may have the same folder."""
        self._removed = time.monotonic()
        with contextlib.suppress(OSError, GitindexError):
            for path in self.uploads.iterdir():
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < time.time() - _STALE:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _go_on_tallying(self) -> None:
        self.tally()
        if self.options.is_writable and time.monotonic() >= self._removed + _REMOVE_EVERY:
            self._remove_uploads()
        self._tidying = asyncio.get_running_loop().call_later(_TALLY, self._go_on_tallying)

    def tally(self) -> None:
        """Take what files and upstreams count into the numbers that all workers share."""
        if self._files is not None:
            files = self._files.statistics()
            self.counters.set("file_hits", files.hits)
            self.counters.set("file_misses", files.misses)
            self.counters.set("file_evictions", files.evicted)
        if self._mirrors is not None:
            found = self._mirrors.upstreams.all_health().values()
            self.counters.set("upstream_requests", sum(health.requests for health in found))
            self.counters.set("upstream_failures", sum(health.failures for health in found))

    async def close(self) -> None:
        """End all threads."""
        if self._tidying is not None:
            self._tidying.cancel()
        if self._writer is not None:
            await self._writer.close()
        for threads in (self.uploading, self.elsewhere):
            threads.shutdown(wait=False, cancel_futures=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.live.stop)
        if self.pulling is not None:
            await loop.run_in_executor(None, self.pulling.stop)
        self._reader.shutdown(wait=True, cancel_futures=True)
        if self._people is not None:
            self._people.close()
        if self._mirrors is not None:
            self._mirrors.close()
        if self._files is not None:
            await self._files.close()

    async def read(self, work: Callable[[], T]) -> T:
        """Do something in the thread that reads the repository.

        Raises:
            TooBusyError: too many wait for it.

        """
        if self._waiting >= _MOST_WAITING:
            raise TooBusyError("too many requests wait", help="try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, work)
        finally:
            self._waiting -= 1

    @property
    def is_behind(self) -> bool:
        """Whether another worker here has served what somebody wrote: they may ask for it, and here."""
        return self.counters.writes_of_others() != self._written

    async def catch_up(self) -> None:
        """Serve what other workers have written, if that is soon done."""
        if self._catching_up is None:
            self._catching_up = asyncio.create_task(self._look())
        done, _ = await asyncio.wait([self._catching_up], timeout=_CATCH_UP)
        if not done:  # something else is judged before it; nobody after waits for that
            self._written = self.counters.writes_of_others()

    async def _look(self) -> None:
        written, live = self.counters.writes_of_others(), self.live
        end = time.monotonic() + _CATCH_UP
        try:
            await asyncio.get_running_loop().run_in_executor(None, live.look)
            # What this worker has made on top of it, and is about to serve, it does not look at.
            while live.tip == live.expected != live.commit and time.monotonic() < end:  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(0.01)
        except Exception as error:  # noqa: BLE001 - what is served already is answered all the same
            LOG.error("the branch cannot be looked at: %s: %s", type(error).__name__, error)  # noqa: TRY400 - one line
        finally:
            self._written, self._catching_up = written, None

    async def _serve_written(self, commit: str) -> None:
        await self._advance(commit)
        self.counters.add("writes")

    async def _advance(self, commit: str) -> None:
        """Serve another commit: what is being answered goes on from the old one."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._reader, self.reading.advance, commit)
        except GitindexError as error:
            LOG.error("%s cannot be served: %s", commit[:12], error)  # noqa: TRY400 - one line
            raise
        self.generation = self.reading.generation

    async def standing(self) -> Standing:
        """Return what is served, and how that is compared with what is known of the branch, at one moment."""
        served, tip, refused = self.live.commit, self.live.tip, self.live.refused
        pulled = self.pulling.last if self.pulling is not None else None
        is_cut_off = pulled is not None and bool(pulled.problem)
        failing = [*(["fetch"] if is_cut_off else []), *(["validation"] if refused is not None else [])]
        ahead = await self._lag.of(served, tip, pulled.tip if pulled is not None else None)
        return Standing(served, failing, refused, pulled, ahead)

    def log(self, scope: dict[str, Any], status: int, size: int, reader: str = "") -> None:
        """Count an answer, and write it down where that is wanted."""
        self.counters.answered(status, size)
        if self.access_log is not None:
            self.access_log(scope, status, size, reader)

    def uptime(self) -> float:
        """Return for how many seconds it runs."""
        return time.time() - self.started.timestamp()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRunError(
            f"{folder}: the cache cannot be made there: {error.strerror}", help="choose another folder with --cache"
        ) from None
