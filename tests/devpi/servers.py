"""A real devpi-server, a process of its own on a free port of the loopback interface: `make peers`."""

from __future__ import annotations

import http.client
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.pages import free_port
from tests.peers.foreign import peer
from tests.peers.serving import eventually

WAIT = 60.0
"""Seconds in which a server starts, however slow the machine is."""
_QUICK = ("--argon2-memory-cost", "8", "--argon2-time-cost", "1", "--argon2-parallelism", "1")
"""Its key is derived at each start, at the cost of seconds: not in tests."""


def run_devpi(program: str, *arguments: str | Path, home: Path | None = None) -> None:
    """Run a program of devpi-server to its end."""
    command = [str(peer(program)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=_environment(home))
    assert done.returncode == 0, done.stdout + done.stderr


def init_devpi(data: Path, password: str, *, home: Path | None = None) -> None:
    """Let a server have `root` with a password, and no index."""
    run_devpi("devpi-init", "--serverdir", data, "--no-root-pypi", "--root-passwd", password, home=home)


@contextmanager
def devpi_server(data: Path, log: Path, *, home: Path | None = None) -> Iterator[str]:
    """Run a server whose *data* are there already, and yield its URL; what it says goes to *log*."""
    port = free_port()
    command = [peer("devpi-server"), "--serverdir", data, *_QUICK, "--host", "127.0.0.1", "--port", port]
    with (
        log.open("wb") as stream,
        subprocess.Popen([*map(str, command)], stdout=stream, stderr=stream, env=_environment(home)) as process,
    ):
        try:
            eventually(lambda: _answers(port, process, log), "devpi-server does not start", WAIT)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(WAIT)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(port: int, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/+api", headers={"Accept": "application/json"})
            return connection.getresponse().status == 200
        except OSError:
            return False


def _environment(home: Path | None) -> dict[str, str]:
    return {"HOME": str(home or os.environ["HOME"]), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
