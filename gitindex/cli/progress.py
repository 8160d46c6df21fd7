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


def _is_plain() -> bool:
    return (sys.stderr.encoding or "").lower().replace("-", "") != "utf8"
