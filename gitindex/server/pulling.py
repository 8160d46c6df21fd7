"""Brings the branch from its remote: every so often, and when a hook says that there is something new.

Of several workers the one that wakes up first fetches, and all of them follow the branch that it moved. What came of it
lies in a file, from which each worker says how it goes, and the next run what was known last.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gitindex import atomic
from gitindex.errors import CannotRunError, GitindexError
from gitindex.git import Repository
from gitindex.names import is_commit_id
from gitindex.report.text import printable
from gitindex.server.live import Source

AGAIN = 10.0
"""Seconds until a fetch that failed is tried again, or less where it is done more often anyway."""
PAUSE = 1.0
"""Seconds between the beginnings of two fetches that hooks ask for, however many they are."""
FETCH_WITHIN = 300.0
COMMANDS_WITHIN = 20.0
"""Seconds that a server waits for a command in its working tree: it may hang at a question, or at a hook."""
_LOG = logging.getLogger("gitindex.server")
_CREDENTIALS = re.compile(r"://[^/@\s]*@")
"""Git names the URL of a remote as it was configured."""
_LATEST = 1e11
"""Seconds since 1970 that can be told as a date."""


@contextlib.contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Let other workers that have the same cache *folder* wait: two that fetch at once get into each other's way."""
    with (folder / "pulling").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Pulled(NamedTuple):
    """What came of the last fetch."""

    started: float = 0.0
    """When it began: in seconds since 1970, as all of these, since workers and runs compare them."""
    succeeded: float | None = None
    """When the last one that went well ended."""
    tip: str | None = None
    """Where the remote had the branch, when it was last seen."""
    problem: str = ""
    """Why it failed, in this run."""
    run: str = ""
    """Tells runs of the server from each other."""


class Pulling:
    """Pulls a branch, in a thread of its own."""

    def __init__(self, source: Source, reference: str, folder: Path, every: float | None, run: str) -> None:
        """Prepare to pull *every* so many seconds, or only when it is woken up.

        *folder* is the server's cache; what workers share the name of a *run*, they do once for all of them.
        """
        self._every = every
        self._name = run
        self._source = source
        self._reference = reference
        self._memory = folder / "pulled.json"
        self._folder = folder
        self._last = Pulled()
        self._asked = 0.0
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)

    def check(self, repository: Repository) -> None:
        """Make sure that there is something to pull.

        Raises:
            CannotRunError: it is no branch, or there is no remote.

        """
        repository.origin.branch_to_pull(self._reference)

    def start(self) -> None:
        """Pull at once, and from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Pull no longer."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def wake(self) -> None:
        """Pull soon: once for all who ask until that begins, and once more for those who ask from then on."""
        self._asked = time.time()
        self._woken.set()

    @property
    def last(self) -> Pulled:
        """What came of the last fetch, whichever worker did it."""
        kept = self._recall()
        return kept if kept is not None and kept.started >= self._last.started else self._last

    def _recall(self) -> Pulled | None:
        try:
            kept = json.loads(self._memory.read_bytes())[self._key]
            return _read(kept, self._name)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def _key(self) -> str:
        return f"{self._reference} {self._source.directory}"

    def _remember(self, pulled: Pulled) -> None:
        self._last = pulled
        with contextlib.suppress(CannotRunError):  # on a full disk, this worker alone knows
            atomic.write(self._memory, [json.dumps({self._key: pulled._asdict()}).encode()])

    def _run(self) -> None:
        asked = 0.0
        while not self._stopped.is_set():
            try:
                with turn(self._folder):
                    last = self.last
                    if last.run != self._name or not asked <= last.started <= time.time():
                        last = self._pull(last)
            except Exception as error:  # noqa: BLE001 - a bug here must not end the pulling, unnoticed
                last = self._failed(self.last, time.time(), f"unexpected {type(error).__name__}: {error}")
            asked = self._wait(last)

    def _wait(self, last: Pulled) -> float:
        """Wait until it is to be pulled again, and return since when a fetch that began would have done."""
        pause = self._every
        if last.problem:
            pause = AGAIN if pause is None else min(pause, AGAIN)
        # A clock that was put back must not stop it for long.
        left = None if pause is None else min(max(last.started + pause - time.time(), 0.0), pause)
        if not self._woken.wait(left):
            return time.time() - (pause or 0.0)
        self._stopped.wait(min(max(self.last.started + PAUSE - time.time(), 0), PAUSE))
        self._woken.clear()
        return self._asked

    def _pull(self, last: Pulled) -> Pulled:
        started = time.time()
        try:
            repository = self._source.open()
            branch = repository.origin.branch_to_pull(self._reference)
            try:
                moving = repository.moved_by_server(COMMANDS_WITHIN)
                repository.origin.pull(self._reference, timeout=FETCH_WITHIN, moving=moving)
            finally:
                last = last._replace(tip=repository.origin.fetched(branch) or last.tip)
        except (GitindexError, OSError) as error:
            return self._failed(last, started, str(error))
        if last.problem:
            _LOG.warning("the branch is pulled again")
        found = Pulled(started, time.time(), last.tip, run=self._name)
        self._remember(found)
        return found

    def _failed(self, last: Pulled, started: float, text: str) -> Pulled:
        problem = printable(_CREDENTIALS.sub("://", " ".join(text.split())))
        if problem != last.problem:
            _LOG.warning("the branch cannot be pulled: %s", problem)
        found = Pulled(started, last.succeeded, last.tip, problem, self._name)
        self._remember(found)
        return found


def _read(kept: Any, run: str) -> Pulled:
    """Read what was remembered; whoever can write there could have written anything.

    Raises:
        ValueError, TypeError, KeyError: it is no such thing.

    """
    succeeded, tip, is_of_this_run = kept["succeeded"], kept["tip"], kept["run"] == run
    pulled = Pulled(
        float(kept["started"]),
        None if succeeded is None else float(succeeded),
        None if tip is None else str(tip),
        str(kept["problem"]) if is_of_this_run else "",
        str(kept["run"]),
    )
    if not (pulled.tip is None or is_commit_id(pulled.tip)) or not 0 <= (pulled.succeeded or 0) < _LATEST:
        raise ValueError(kept)
    return pulled
