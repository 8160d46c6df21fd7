"""A real devpi-server, and ours, each a process of its own on a free port."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.devpi.client import PEERS
from tests.pages import free_port

WAIT = 60.0
"""Seconds in which a server starts, however slow the machine is."""
_QUICK = ("--argon2-memory-cost=64", "--argon2-time-cost=1", "--argon2-parallelism=1")
"""Its key is derived at each start, at the cost of seconds: not in tests."""


@contextmanager
def devpi_server(folder: Path, password: str) -> Iterator[str]:
    """Start a devpi-server that has `root` with a password, and no index; yield its URL."""
    home = {"HOME": str(folder.parent), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    command = [PEERS / "bin" / "devpi-init", "--serverdir", folder, "--no-root-pypi", "--root-passwd", password]
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(list(map(str, command)), env=home, check=True, capture_output=True, timeout=WAIT)
    port = free_port()
    command = [PEERS / "bin" / "devpi-server", "--serverdir", folder, "--host", "127.0.0.1", "--port", str(port)]
    log = folder.with_suffix(".log").open("wb")
    with log, subprocess.Popen([*map(str, command), *_QUICK], env=home, stdout=log, stderr=log) as process:
        try:
            _wait(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(WAIT)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        assert process.poll() is None, "devpi-server has ended"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/+api", headers={"Accept": "application/json"})
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise AssertionError("devpi-server does not answer")
