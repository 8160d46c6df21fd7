"""Work in threads, a bounded number of pieces ahead; whoever has had enough can leave at once.

The standard library's pool is no choice here: a program that ends waits for its threads, and so for a server's silence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_TICK = 0.5
"""Seconds between two looks at what takes too long."""


class _Task(Generic[T, R]):
    """One piece of work, on its way."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.result: R | None = None
        self.error: BaseException | None = None
        self.started: float | None = None


def spread(
    items: Iterable[T], work: Callable[[T], R], jobs: int, limit: Callable[[T], float | None]
) -> Iterator[tuple[T, R | None]]:
    """Yield each item with what *work* makes of it in one of so many threads, as they are done.

    The result is ``None`` where it took more than *limit* seconds. What *work* raises is raised here.
    """
    todo: SimpleQueue[_Task[T, R] | None] = SimpleQueue()
    done: SimpleQueue[_Task[T, R]] = SimpleQueue()
    pending: set[_Task[T, R]] = set()
    threads = 0

    def run() -> None:
        while (task := todo.get()) is not None:
            task.started = time.monotonic()
            try:
                task.result = work(task.item)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                task.error = error
            done.put(task)

    rest = iter(items)
    is_more = True
    try:
        while is_more or pending:
            while is_more and len(pending) < 2 * jobs:
                item = next(rest, None)
                is_more = item is not None
                if item is not None:
                    task: _Task[T, R] = _Task(item)
                    pending.add(task)
                    todo.put(task)
                    if threads < min(jobs, len(pending)):
                        threads += _start(run)
            for task in _next(done, pending, limit):
                pending.discard(task)
                if task.error is not None:
                    raise task.error
                if task.result is None:
                    threads += _start(run)  # in place of the one that hangs
                yield task.item, task.result
    finally:
        for _ in range(threads):
            todo.put(None)


def _start(run: Callable[[], None]) -> int:
    threading.Thread(target=run, daemon=True).start()
    return 1


def _next(
    done: SimpleQueue[_Task[T, R]], pending: set[_Task[T, R]], limit: Callable[[T], float | None]
) -> list[_Task[T, R]]:
    """Return the next task that is done, or those that take too long."""
    if not pending:
        return []
    try:
        task = done.get(timeout=_TICK)
    except Empty:
        now = time.monotonic()
        return [
            task
            for task in pending
            if task.started is not None and (most := limit(task.item)) is not None and now - task.started > most
        ]
    return [task] if task in pending else []  # what was given up may come all the same
