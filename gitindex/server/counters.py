"""What is counted: numbers in memory that all workers of a server share, each with a row of its own."""

from __future__ import annotations

import mmap
from typing import Final

STATUSES: Final = (200, 202, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 408, 413, 416, 500, 502, 503)
NAMES: Final = (
    *(f"status_{status}" for status in STATUSES),
    "status_other",
    "page_hits",
    "page_misses",
    "bytes_sent",
    "broken_off",
    "file_hits",
    "file_misses",
    "file_evictions",
    "upstream_requests",
    "upstream_failures",
    "hooks",
    "writes",
)
_AT = {name: at for at, name in enumerate(NAMES)}
_AT_STATUS = {status: _AT[f"status_{status}"] for status in STATUSES}
_OTHER = _AT["status_other"]
_BYTES = _AT["bytes_sent"]
_HITS, _MISSES = _AT["page_hits"], _AT["page_misses"]
_WRITES = _AT["writes"]
_WIDTH = 8


class Counters:
    """The rows of all workers; one of them is this worker's to write."""

    def __init__(self, workers: int = 1) -> None:
        # Anonymous and shared: forks see what each of them counts.
        self._all = memoryview(mmap.mmap(-1, workers * len(NAMES) * _WIDTH)).cast("Q")
        self._own = self._all[: len(NAMES)]
        self.row = 0
        """This worker's, from 0."""
        self._writes = self._all[_WRITES :: len(NAMES)]

    def use_row(self, worker: int) -> None:
        """Count in the row of a worker, from 0, from now on."""
        self.row = worker
        self._own = self._all[worker * len(NAMES) : (worker + 1) * len(NAMES)]

    def answered(self, status: int, size: int) -> None:
        """Count an answer, of so many bytes."""
        own = self._own
        own[_AT_STATUS.get(status, _OTHER)] += 1
        own[_BYTES] += size

    def page(self, *, was_kept: bool) -> None:
        """Count a page that was asked for."""
        self._own[_HITS if was_kept else _MISSES] += 1

    def add(self, name: str, number: int = 1) -> None:
        """Count something by its name."""
        self._own[_AT[name]] += number

    def set(self, name: str, number: int) -> None:
        """Take over a number that something else counts in this process."""
        self._own[_AT[name]] = number

    def writes_of_others(self) -> int:
        """Return how often the other workers moved the branch and served it from there."""
        return sum(self._writes) - self._own[_WRITES]

    def totals(self) -> dict[str, int]:
        """Return the sums over all workers."""
        width = len(NAMES)
        rows = [self._all[start : start + width] for start in range(0, len(self._all), width)]
        return {name: sum(row[at] for row in rows) for name, at in _AT.items()}
