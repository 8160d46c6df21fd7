"""The server as a process of its own, asked over real connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.repositories import IndexRepository

WAIT = 30.0
"""Seconds in which what has to happen happens, however slow the machine is."""
_READY = re.compile(r"Serving .* at http://127\.0\.0\.1:(\d+)/ .*\n")
_IMPATIENT = """
import os, resource, sys
from pathlib import Path
from gitindex.server.live import Source
from gitindex.server.run import bind, serve
from gitindex.server.state import Options
from tests.server.fallback.mirrored import IMPATIENT
if sys.argv[3]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
options = Options(Source(Path(sys.argv[1]), None), Path(sys.argv[2]), **{**IMPATIENT, "page_cache": 1 << 20})
serve(options, bind("127.0.0.1", 0), None, lambda url: sys.stderr.write(f"Serving it at {url} (now)\\n"))
"""


class Got(NamedTuple):
    """An answer, as far as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool


class Running:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.port = 0
        self.said: list[str] = []
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self._is_up.wait(WAIT)
        assert self.port, self.said

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if match := _READY.fullmatch(line):
                self.port = int(match[1])
                self._is_up.set()
        self._is_up.set()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)

    @contextlib.contextmanager
    def asking(self, path: str, headers: dict[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
        """Ask, and let the answer be read as it comes; the connection is closed behind it."""
        connection = self.connect()
        try:
            connection.request("GET", path, headers=headers or {})
            yield connection.getresponse()
        finally:
            connection.close()

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Got:
        connection = self.connect()
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            body, is_whole = read(answer)
            return Got(answer.status, fields, body, is_whole)
        finally:
            connection.close()

    def status(self) -> Any:
        return json.loads(self.get("/+status").body)["result"]

    def workers(self) -> list[int]:
        """Return the processes that answer."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(text) for text in found] or [self.process.pid]

    def memory(self, what: str = "VmHWM") -> int:
        """Return the most memory that any of its processes had so far, in bytes."""
        found: list[str] = []
        for process in {self.process.pid, *self.workers()}:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a validation ended in this moment
                found += re.findall(rf"{what}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return max(int(number) << 10 for number in found)

    def stop(self) -> None:
        """End it as a service manager does; it has to end well."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(WAIT) == 0, self.said
        self._thread.join(WAIT)
        assert not [line for line in self.said if "Traceback" in line or "unexpected" in line], self.said

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT)


def read(answer: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """Return what came of a body, and whether that is all of it."""
    body = bytearray()
    try:
        while piece := answer.read1(1 << 16):
            body += piece
    except (http.client.HTTPException, ConnectionError):
        return bytes(body), False
    # Where the connection ends before its time, `read1` says nothing of it.
    return bytes(body), not answer.length


@contextlib.contextmanager
def running(
    repository: IndexRepository,
    cache: Path,
    *options: str,
    is_impatient: bool = False,
    largest_write: int | None = None,
) -> Iterator[Running]:
    """Serve a repository on a free port; no file that is written has more than *largest_write* bytes."""
    place = str(repository.root)
    command = [sys.executable, "-m", "gitindex", "-C", place, "serve", "--port", "0", "--cache", str(cache), *options]
    if is_impatient:
        command = [sys.executable, "-c", _IMPATIENT, place, str(cache), str(largest_write or "")]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.PIPE, text=True) as process:
        try:
            server = Running(process)
            yield server
            if process.poll() is None:
                server.stop()
        finally:
            process.kill()


def eventually(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + WAIT
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.02)
