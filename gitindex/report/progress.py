"""A bar on a terminal's standard error while long work is done, and nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_of(unit: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give a function to tell how much of the work is done, and how much there is; ``None`` where nobody would see.

    *unit* is what is counted, in the plural.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # it would watch from a thread, and long work is split by forks
    with tqdm(unit=f" {unit}", leave=False, dynamic_ncols=True, ascii=_is_plain()) as bar:

        def show(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        yield show


@contextmanager
def progress_in_bytes(total: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """Give a function, for any thread, to tell that so many bytes more are done; *total* is asked for a bar alone."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from threading import Lock

    from tqdm import tqdm

    tqdm.monitor_interval = 0
    lock = Lock()
    with tqdm(total=total(), unit="B", unit_scale=True, leave=False, dynamic_ncols=True, ascii=_is_plain()) as bar:

        def advance(size: int) -> None:
            with lock:
                bar.update(size)

        yield advance


def _is_plain() -> bool:
    return (sys.stderr.encoding or "").lower().replace("-", "") != "utf8"
