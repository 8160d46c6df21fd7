"""Whether an upstream answers: what failed is not asked again for a while, and what is known of it can be told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

_MOST_PAGES = 1000
"""Pages that are remembered as failed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an upstream is waited for, and how long it is left alone; times in seconds."""

    connect: float = 5.0
    silence: float = 10.0
    """Between two pieces of an answer."""
    whole: float = 30.0
    """For a page with all its redirects."""
    pause: float = 15.0
    """After a failure."""
    longest_pause: float = 300.0
    """An upstream that asks to wait longer (Retry-After) is asked again then."""
    failures: int = 3
    """Answers in a row that are none (5xx, 429), after which the upstream itself is left alone, not the pages alone."""


class Limits(NamedTuple):
    """How much an answer may have, in bytes once it is decoded, and how old one may be that replaces none."""

    page: int
    list: int
    stale_for: float


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of an upstream; messages have no secrets in them."""

    last_success: datetime | None = None
    last_failure: datetime | None = None
    problem: str = ""
    """What failed last."""
    is_paused: bool = False
    """Whether nothing is asked of it for a while."""
    requests: int = 0
    failures: int = 0


class Breaker:
    """Remembers failures; safe to share between threads.

    One page that fails does not stop the others: a client must not be able to do that by asking for a broken one.
    """

    def __init__(self, patience: Patience, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._pages: dict[str, tuple[float, str]] = {}
        self._all: tuple[float, str] = (0.0, "")
        self._in_a_row = 0
        self._requests = 0
        self._failures = 0
        self._success: float | None = None
        self._failure: float | None = None
        self._problem = ""

    def left(self, url: str) -> tuple[float, str] | None:
        """Return for how many seconds a page is not asked for, and what failed; ``None`` where it is."""
        with self._lock:
            return self._left(url)

    def refusal(self, url: str) -> str | None:
        """Return what failed where a page must not be asked for now; ``None`` where the caller may do so.

        After a pause one page is asked for, and the others wait for what comes of it.
        """
        with self._lock:
            if (left := self._left(url)) is not None:
                return left[1]
            until, problem = self._all
            if until:
                self._all = (self._clock() + self._patience.whole, problem)
            return None

    def _left(self, url: str) -> tuple[float, str] | None:
        until, problem = max(self._all, self._pages.get(url, (0.0, "")))
        left = until - self._clock()
        # What is longer than a pause can be is left of a clock that was put back.
        return (left, problem) if 0 < left <= max(self._patience.longest_pause, self._patience.whole) else None

    def request(self) -> None:
        """Count a request."""
        with self._lock:
            self._requests += 1

    def succeeded(self, url: str) -> None:
        """Note that there was an answer."""
        with self._lock:
            self._pages.pop(url, None)
            self._all = (0.0, "")
            self._in_a_row = 0
            self._success = self._clock()

    def failed(self, url: str, problem: str, *, is_silent: bool, is_answer: bool, pause: float | None) -> None:
        """Note that there was no answer; *is_silent*: none at all; *is_answer*: one that concerns this page alone."""
        with self._lock:
            now = self._clock()
            until = now + min(max(self._patience.pause, pause or 0.0), self._patience.longest_pause)
            self._failures += 1
            self._failure, self._problem = now, problem
            while len(self._pages) >= _MOST_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[url] = (until, problem)
            self._in_a_row = 0 if is_answer else self._in_a_row + 1
            if is_answer:
                self._all = (0.0, "")
            elif is_silent or self._all[0] or self._in_a_row >= self._patience.failures:
                self._all = (until, problem)

    def health(self) -> Health:
        """Return what is known."""
        with self._lock:
            return Health(
                _moment(self._success),
                _moment(self._failure),
                self._problem,
                self._all[0] > self._clock(),
                self._requests,
                self._failures,
            )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
