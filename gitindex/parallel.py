"""Splits long work over processes: one fork for each processor, results in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from gitindex.errors import CannotRunError, GitindexError

T = TypeVar("T")

WORTH_IT = 200
"""Pieces of work below which a second process costs more than it saves."""


def shares_for(pieces: int) -> int:
    """Return into how many shares to split so many *pieces* of work: one where a second would not pay, or cannot be."""
    if pieces < WORTH_IT or not hasattr(os, "fork"):
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, 4, pieces // (WORTH_IT // 2)))


def in_shares(work: Callable[[int, int], T], shares: int) -> list[T]:
    """Return what ``work(share, shares)`` returns for each share; the first runs here, each other one in a fork.

    What *work* returns must be picklable. A fork sees what was there when it started, and nothing that it changes is
    seen outside of it but files.

    Raises:
        GitindexError: what stopped a share.

    """
    children = [_start(work, share, shares) for share in range(1, shares)]
    try:
        results = [work(0, shares)]
        for _, pipe in children:
            results.append(_receive(pipe))
    finally:
        for process, pipe in children:
            pipe.close()  # a child that still writes ends by this
            os.waitpid(process, 0)
    return results


def _start(work: Callable[[int, int], T], share: int, shares: int) -> tuple[int, BinaryIO]:
    import pickle  # noqa: PLC0415 - nearly all runs have one share

    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, open(reading, "rb")  # noqa: PTH123 - closed by the caller
    status = 1
    try:
        os.close(reading)
        with open(writing, "wb") as pipe:  # noqa: PTH123
            pickle.dump(_result_or_error(work, share, shares), pipe)
        status = 0
    finally:
        os._exit(status)  # neither the parent's exit handlers nor its buffers are this process's


def _result_or_error(work: Callable[[int, int], T], share: int, shares: int) -> tuple[T | None, tuple[str, str] | None]:
    try:
        return work(share, shares), None
    except GitindexError as error:
        return None, (error.message, error.help)
    except Exception as error:  # noqa: BLE001 - it is told by the parent, which has the terminal
        return None, (f"unexpected {type(error).__name__}: {error}", "")


def _receive(pipe: BinaryIO) -> T:  # type: ignore[type-var]
    import pickle  # noqa: PLC0415

    try:
        result, error = pickle.load(pipe)  # noqa: S301 - written by our own fork
    except (EOFError, pickle.UnpicklingError):
        raise CannotRunError("a process that did part of the work ended before it was done") from None
    if error is not None:
        raise CannotRunError(error[0], help=error[1])
    return result  # type: ignore[no-any-return]
