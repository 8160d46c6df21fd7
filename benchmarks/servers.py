"""Servers that are measured: started on a free port of the loopback, counted by the kernel, stopped by their handles.

Knows nothing of gitindex. Each server leads a session of its own, and all processes of that session are the server.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from measure import DROPPED, ROOT, processes_of

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")
START_WITHIN = 120.0
"""Seconds; devpi derives a key at each start, which takes long where others compute."""
STOP_WITHIN = 15.0
POLL = 0.001


class Plan(NamedTuple):
    """A server that can be started."""

    name: str
    argv: Callable[[int], Sequence[str]]
    """Its command line on a port."""
    environment: Mapping[str, str] = {}


class Answer(NamedTuple):
    """What was answered to one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswerError(SystemExit):
    """A server does not run, or answers something else: its figures would mean nothing."""


class Server:
    """A server that runs."""

    def __init__(self, plan: Plan) -> None:
        self.name = plan.name
        self.port = free_port()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server
        kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            plan.argv(self.port),
            cwd=ROOT,
            env=kept | dict(plan.environment),
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask once, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())

    def await_answer(self, path: str, headers: Mapping[str, str] | None = None) -> float:
        """Ask until there is a first 200; return the seconds from the start of the process until then."""
        last = "nothing"
        while time.perf_counter() - self.started < START_WITHIN:
            try:
                answer = self.ask(path, headers)
            except (OSError, http.client.HTTPException) as error:
                last = str(error)
            else:
                if answer.status == 200:
                    return time.perf_counter() - self.started
                last = str(answer.status)
            if self._process.poll() is not None:
                break
            time.sleep(POLL)
        raise NoAnswerError(f"{self.name}: {path}: no 200, the last was {last}\n{self._last_words()}")

    def cpu(self) -> float:
        """Return the CPU seconds, user + system, of all its processes and of those of them that have ended."""
        return sum(sum(map(int, fields[11:15])) for _, fields in processes_of(self._process.pid)) / TICKS

    def rss(self) -> int:
        """Return the resident bytes of all its processes; what they share is counted for each of them."""
        found = 0
        for process, _ in processes_of(self._process.pid):
            with contextlib.suppress(OSError):
                found += int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * PAGE
        return found

    def settled_rss(self, within: float = 10.0) -> int:
        """Return the resident bytes once the processes that only help the start have ended."""
        until = time.perf_counter() + within
        before, now = -1, len(list(processes_of(self._process.pid)))
        while before != now and time.perf_counter() < until:
            time.sleep(1)
            before, now = now, len(list(processes_of(self._process.pid)))
        return self.rss()

    def stop(self) -> None:
        """End it, and whatever is left of its session."""
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._errors.close()

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-600:].decode(errors="replace").strip()


@contextlib.contextmanager
def running(plan: Plan) -> Iterator[Server]:
    """Run a server for as long as the block lasts."""
    server = Server(plan)
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
