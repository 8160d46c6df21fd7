"""Keeps worker processes running: forks that share a socket, each with a loop and threads of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from gitindex.errors import GitindexError
from gitindex.server.state import LOG

_SOON = 1.0
"""Seconds: a worker that ends sooner is started again after as long a pause."""


class Supervisor:
    """The parent of the workers; it answers nothing itself."""

    def __init__(self, work: Callable[[int], None], stopping: Callable[[], object]) -> None:
        """Prepare to run *work*; *stopping* is called once no more of it is to be taken on."""
        self._work = work
        self._stopping = stopping
        self._workers: dict[int, tuple[int, float]] = {}
        self._is_stopping = False
        self._alive, self._life = os.pipe()
        """The writing end is this process's alone: where it is closed, the parent is gone."""

    def run(self, number: int, started: Callable[[], object]) -> None:
        """Run *work*, which is given its row, in so many processes, until a signal says to stop."""
        for signal_ in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_, lambda *_: self._stop())
        for row in range(number):
            self._start(row)
        started()
        while self._workers:
            process, _ = os.wait()
            row, since = self._workers.pop(process, (-1, 0.0))
            if row >= 0 and not self._is_stopping:
                LOG.error("worker %d ended; another one takes its place", process)
                if time.monotonic() - since < _SOON:
                    time.sleep(_SOON)
                if not self._is_stopping:
                    self._start(row)

    def _stop(self) -> None:
        self._is_stopping = True
        self._stopping()
        for process in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)

    def _start(self, row: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process:
            self._workers[process] = row, time.monotonic()
            if self._is_stopping:
                self._stop()
            return
        code = 1
        try:
            for signal_ in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signal_, signal.SIG_DFL)
            os.close(self._life)
            threading.Thread(target=self._end_with_parent, daemon=True).start()
            self._work(row)
            code = 0
        except GitindexError as error:
            LOG.error("%s", error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _end_with_parent(self) -> None:
        """Stop where the parent was killed: nobody would end this process, and its socket would stay taken."""
        os.read(self._alive, 1)
        os.kill(os.getpid(), signal.SIGTERM)
