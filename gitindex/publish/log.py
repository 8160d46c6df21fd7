"""The log at a target: one document for each publish, numbered. To write the next one is to have the target.

A document is created where there is none, which every store does in one step, so of two publishers one gets it. What
it says is trusted until it expires; its holder says it anew while it works. Whoever comes after a holder that is gone
creates the next one, and finds in the last what may have been done.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from gitindex import media
from gitindex.errors import CannotRunError
from gitindex.objects import LONGEST, Headers, Objects
from gitindex.publish.planning import Known
from gitindex.publish.record import (
    DATA,
    LOG,
    MAX_DATA,
    MAX_DOCUMENT,
    BadRecordError,
    Entry,
    Generation,
    Step,
    data_name,
    data_path,
    document_bytes,
    log_number,
    log_path,
    name_for,
    number_of,
    read_document,
    read_shard,
    read_steps,
    shard_bytes,
    split,
    steps_bytes,
)

HEADERS = Headers(media.PLAIN_JSON, media.NO_CACHE)
LEASE = LONGEST + timedelta(minutes=2)
"""How long others wait for a publish that says nothing any more: no write of it is on its way after that."""
_RENEWAL = timedelta(seconds=20)
_PARTING = timedelta(seconds=15)
_JOBS = 16


class HeldError(CannotRunError):
    """Another publish is under way."""


class Log:
    """The log at a target."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def newest(self) -> tuple[Generation | None, Generation | None]:
        """Return the last publish that did anything, and the one that has the target, if it is another.

        Raises:
            BadRecordError: what is there is not what gitindex writes.
            CannotRunError: the store does not give it.

        """
        numbers = self.numbers()
        if not numbers:
            return None, None
        last = self.read(numbers[-1])
        if last.state != "begun":
            return last, None
        for number in reversed(numbers[:-1]):
            earlier = self.read(number)
            if earlier.state != "begun":
                return earlier, last
        return None, last

    def numbers(self) -> list[int]:
        found = (log_number(path) for path in self._objects.names(LOG))
        return sorted(number for number in found if number is not None)

    def read(self, number: int) -> Generation:
        data = self._objects.read(log_path(number), MAX_DOCUMENT)
        if data is None:
            raise HeldError("another publish has just ended", help="run it again")
        return read_document(number, data)

    def shard(self, name: str) -> dict[str, Entry]:
        """Return a part of a record; an empty one has no name."""
        return read_shard(data_path(name), self._data(name)) if name else {}

    def known(self, generation: Generation) -> Known:
        """Return all that is known of the target from its last publish, which may have been broken off."""
        files: dict[str, Entry] = {}
        with ThreadPoolExecutor(_JOBS) as threads:
            for shard in threads.map(self.shard, generation.shards):
                files.update(shard)
        steps = read_steps(data_path(generation.steps), self._data(generation.steps)) if generation.steps else []
        for path, entry in steps[: generation.reached]:
            if entry is None:
                files.pop(path, None)
            else:
                files[path] = entry
        return Known(files, frozenset(step.path for step in steps[generation.reached :]))

    def _data(self, name: str) -> bytes:
        path = data_path(name)
        data = self._objects.read(path, MAX_DATA)
        if data is None:
            raise BadRecordError(path, "it is missing")
        return data

    def begin(self, last: Generation | None, held: Generation | None, holder: str, revision: str) -> Lease:
        """Take the target for a publish after *last*, and after *held*, which is given up.

        Raises:
            HeldError: another one was faster.

        """
        before = max((g.number for g in (last, held) if g is not None), default=0)
        number = before + 1
        mine = Generation(number, "begun", holder, datetime.now(UTC) + LEASE, revision)
        lease = Lease(self, self._objects, mine)
        path = log_path(number)
        if not self._objects.create(path, document_bytes(mine), HEADERS):
            there = self._objects.read(path, MAX_DOCUMENT)
            if there is None or read_document(number, there).holder != holder:
                raise HeldError("another publish has just begun", help="run it again when it has ended")
        # Whoever looked long ago may find the number free again; and who is taken for dead may just have ended.
        if self.numbers()[-1:] != [number] or (last is not None and self.read(last.number) != last):
            self._objects.delete([path])
            raise HeldError("another publish has just been here", help="run it again")
        return lease


class Lease:
    """A target that is ours; safe to share between threads."""

    def __init__(self, log: Log, objects: Objects, generation: Generation) -> None:
        self._log = log
        self._objects = objects
        self._generation = generation
        self._lock = threading.Lock()
        self._said = time.monotonic()
        self.reached = 0
        """How many steps are done for certain."""

    def keep(self) -> None:
        """Say that the work goes on, where that was not said lately; to be called before each write.

        Raises:
            HeldError: another publish has taken over.

        """
        with self._lock:
            if time.monotonic() - self._said > _RENEWAL.total_seconds():
                self._say(reached=self.reached)

    def start(
        self,
        known: Mapping[str, Entry],
        old: Sequence[str] | None,
        steps: Sequence[Step],
        shards: int,
        lasting: Iterable[str],
    ) -> None:
        """Write down what was there, *known*, and what will be done, before any of it is.

        *old* are the names of the parts of the record where these say it already. *lasting* are the non-volatile
        indexes of before and after: whoever comes after a publish that was broken off still has to ask for theirs.
        """
        names = old if old is not None else self._put([shard_bytes(shard) for shard in split(known, shards)], ())
        (listed,) = self._put([steps_bytes(steps)], ())
        with self._lock:
            said = tuple(sorted(lasting))
            self._say(state="writing", shards=tuple(names), steps=listed, reached=0, lasting=said)

    def finish(self, shards: Sequence[bytes], lasting: Sequence[str]) -> None:
        """Write down that all is done, and remove what nothing needs any more of earlier records."""
        old = self._generation.shards
        names = self._put(shards, old)
        with self._lock:
            self._say(state="published", shards=tuple(names), steps="", reached=0, lasting=tuple(sorted(lasting)))
        self._clean(frozenset(names))

    def let_go(self) -> None:
        """Say that nothing more is coming, as far as the store can be told; what is on its way has a moment more."""
        with contextlib.suppress(CannotRunError), self._lock:
            self._say(reached=self.reached, lease=_PARTING)

    def _put(self, parts: Sequence[bytes], old: Sequence[str]) -> list[str]:
        """Write parts of a record that are not among the *old* ones, and return the names of all."""
        known = {name[11:]: name for name in old if name}
        empty = shard_bytes({})
        names = []
        missing = {}
        for data in parts:
            name = name_for(self._generation.number, data)
            found = "" if data == empty else known.get(name[11:], name)
            names.append(found)
            if found == name:
                missing[name] = data

        def put(name: str) -> None:
            self.keep()
            self._objects.put(data_path(name), missing[name], HEADERS)

        with ThreadPoolExecutor(_JOBS) as threads:
            list(threads.map(put, missing))
        return names

    def _say(self, lease: timedelta = LEASE, **values: object) -> None:
        mine = self._generation
        if self._log.numbers()[-1:] != [mine.number]:
            raise HeldError("another publish has taken over", help="what it publishes counts; see whether it is yours")
        said = time.monotonic()
        mine = mine._replace(expires=datetime.now(UTC) + lease, **values)  # type: ignore[arg-type]
        self._objects.put(log_path(mine.number), document_bytes(mine), HEADERS)
        self._generation, self._said = mine, said

    def _clean(self, needed: frozenset[str]) -> None:
        mine = self._generation.number
        parts = [path for path in self._objects.names(DATA) if (name := data_name(path)) and name not in needed]
        numbers = self._log.numbers()  # after the parts: who comes now writes parts that were not listed
        if numbers[-1:] != [mine]:
            return
        self._objects.delete([path for path in parts if number_of(path[len(DATA) + 1 :]) <= mine])
        self._objects.delete([log_path(number) for number in numbers if number < mine])
        self._objects.sweep([f"{LOG}/", f"{DATA}/"])
