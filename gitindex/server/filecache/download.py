"""One download of a file that any number of clients follow, in this process and in others."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from gitindex.errors import CannotRunError
from gitindex.server.filecache.intake import Fetch, Intake, Wanted
from gitindex.server.filecache.part import Bytes, PartFile, Spare
from gitindex.server.filecache.store import FULL, FileStore

HELD_BACK = 1 << 16
"""Bytes at the end of a file that nobody gets before all of it is proven right."""
_LOOK = 0.05
"""Seconds between two looks at what another process downloads."""


class Stage(NamedTuple):
    """How far a download is."""

    attempt: int
    """Changes when the bytes start anew."""
    data: Bytes | None
    size: int | None
    """Bytes of the whole, where known."""
    available: int = 0
    """Bytes that came."""
    is_proven: bool = False
    error: BaseException | None = None

    @property
    def released(self) -> int:
        """How many bytes clients may have."""
        if self.is_proven:
            return self.available
        return max(0, min(self.available, (self.available if self.size is None else self.size) - HELD_BACK))


class Setting(NamedTuple):
    """What the downloads of a cache share."""

    store: FileStore
    spare: Spare
    largest: int
    stopped: threading.Event
    note: Callable[[OSError], None]
    """Is told what the disk refuses."""


class Download:
    """A download: :meth:`run` is for one thread, all else for the tasks of the event loop that made it.

    Its state is one value, :attr:`stage`; who waits for the next one is woken.
    """

    def __init__(self, wanted: Wanted, fetch: Fetch, setting: Setting, when_over: Callable[[Download], None]) -> None:
        self.wanted = wanted
        self.stage = Stage(0, None, wanted.size)
        self.is_started = False
        self.is_over = False
        """Whether nothing will change any more."""
        self._fetch = fetch
        self._setting = setting
        self._when_over = when_over
        self._path = setting.store.path(wanted.key)
        name = hashlib.sha256(repr(tuple(wanted)).encode("utf-8", "surrogateescape")).hexdigest()
        self._part_path = setting.store.parts / name
        self._part: PartFile | None = None
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._leases = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._retired: list[Bytes] = []
        self._is_signalled = self._is_told = self._is_disk_full = False

    # For the event loop

    def enter(self) -> None:
        """Keep the bytes readable until :meth:`leave`."""
        self._leases += 1

    def leave(self) -> None:
        self._leases -= 1
        self._tidy()

    @property
    def is_wanted(self) -> bool:
        return self._leases > 0

    async def changed(self) -> None:
        """Wait for another stage than the one that is there now."""
        future = self._loop.create_future()
        self._waiting.append(future)
        await future

    def abandon(self, error: BaseException) -> None:
        """End it for everybody, unless it is proven, though its thread may still wait for an answer."""
        with self._lock:
            if self.stage.is_proven or self.stage.error is not None:
                return
            self.stage = self.stage._replace(error=error)
        if not self.is_started:
            self.is_over = True
        elif self._part is not None:
            self._part.discard()
        self._notify()

    def _notify(self) -> None:
        """Wake those who wait."""
        self._is_signalled = False
        with self._lock:
            retired, self._retired = self._retired, []
        for data in retired:
            data.close()
        if self.is_over and not self._is_told:
            self._is_told = True
            self._when_over(self)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        self._tidy()

    def _tidy(self) -> None:
        if self._is_told and not self._leases and self.stage.data is not None:
            self.stage.data.close()

    # For the thread

    def run(self) -> None:
        """Download, or follow another process that does; or find that the file is kept by now."""
        problem: BaseException | None = None
        try:
            self._obtain()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            problem = error
        if self._part is not None:
            self._part.discard()  # first, since who hears of the error may ask again at once
        if problem is not None:
            self._publish(error=problem)
        if self._is_disk_full:
            self._setting.store.trim(self.stage.size or self.stage.available)
        self.is_over = True
        self._signal()

    def _obtain(self) -> None:
        setting = self._setting
        while True:
            self.check_going_on()
            try:
                part = PartFile.claim(self._part_path)
            except OSError as error:
                self._leave_disk(error)
                self._start_anew(Bytes(None, setting.spare), self.wanted.size)
                break
            self._part = part
            self._start_anew(Bytes(part.descriptor, setting.spare), self.wanted.size)
            if part.is_ours:
                kept = setting.store.examine(self._path, self.wanted.size, self.wanted.sha256)
                if kept is not None:
                    part.discard()
                    self._start_anew(Bytes(kept.descriptor, setting.spare, kept.size), kept.size)
                    self._publish(available=kept.size, is_proven=True)
                    return
                break
            if self._follow(part):
                return
        intake = Intake(self, self.wanted, setting.largest)
        self._fetch(intake)
        self._keep(intake.check())

    def _follow(self, part: PartFile) -> bool:
        """Follow another process to the end; return whether the file is whole, or has to be asked for again."""
        data = self.stage.data
        assert data is not None  # noqa: S101 - it was made for this part file
        while True:
            seen = part.look(self._path)
            if seen.state == "gone":
                return False
            data.grew(seen.size)
            if seen.state == "kept":
                self._publish(size=seen.size, available=seen.size, is_proven=True)
                return True
            if seen.size != self.stage.available:
                self._publish(available=seen.size)
            self._setting.stopped.wait(_LOOK)
            self.check_going_on()

    def check_going_on(self) -> None:
        """Raise the error with which this download was ended."""
        if self._setting.stopped.is_set():
            raise self.stage.error or closed_error()

    def begin(self, size: int | None) -> None:
        """Take note that the bytes start, perhaps once more; *size* is what they will be, where known."""
        data = self.stage.data
        if data is None or not data.size:
            self._publish(size=size)
            return
        fresh = Bytes(None, self._setting.spare)
        if data.is_on_disk and self._part is not None:
            try:
                self._part.renew()
            except OSError as error:
                self._leave_disk(error)
            else:
                fresh = Bytes(self._part.descriptor, self._setting.spare)
        self._start_anew(fresh, size)

    def add(self, piece: bytes) -> None:
        """Take the next bytes; those that the disk refuses are kept in memory until all clients have them."""
        data = self.stage.data
        assert data is not None  # noqa: S101 - made before the fetch began
        was_on_disk = data.is_on_disk
        try:
            data.append(piece)
        finally:
            if was_on_disk and data.refusal is not None:
                self._leave_disk(data.refusal)
        self._publish(available=data.size)

    def _leave_disk(self, refusal: OSError) -> None:
        self._setting.note(refusal)
        self._is_disk_full = refusal.errno in FULL
        if self._part is not None:
            self._part.discard()  # so that no other process waits for what does not come

    def _keep(self, size: int) -> None:
        """Keep what is proven, so that whoever gets the whole file finds it kept; only then wait for the disk."""
        store, part, data = self._setting.store, self._part, self.stage.data
        is_kept = False
        if part is not None and data is not None and data.is_on_disk:
            try:
                is_kept = part.keep(lambda path, descriptor: store.keep(path, self._path, descriptor))
            except OSError as error:
                self._leave_disk(error)
        self._publish(size=size, available=size, is_proven=True)
        if is_kept and part is not None:
            try:
                store.settle(self._path, part.descriptor)
            except OSError as error:
                self._setting.note(error)
            store.trim()

    def _start_anew(self, data: Bytes, size: int | None) -> None:
        with self._lock:
            if self.stage.data is not None:
                self._retired.append(self.stage.data)
            self.stage = Stage(self.stage.attempt + 1, data, size, error=self.stage.error)
        self._signal()

    def _publish(self, **changes: Any) -> None:
        with self._lock:
            if self.stage.error is None and not self.stage.is_proven:
                self.stage = self.stage._replace(**changes)
        self._signal()

    def _signal(self) -> None:
        if not self._is_signalled:
            self._is_signalled = True
            try:
                self._loop.call_soon_threadsafe(self._notify)
            except RuntimeError:  # the loop is closed, and nobody reads
                if self.is_over:
                    for data in (*self._retired, self.stage.data):
                        if data is not None:
                            data.close()


def closed_error() -> CannotRunError:
    """Return the error of a cache that was closed."""
    return CannotRunError("the file cache is closed: the server stops", help="try again later")
