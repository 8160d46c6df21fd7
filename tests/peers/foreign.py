"""Other people's indexes and installers, run by path from a virtual environment of their own: `make peers`."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.utils import parse_wheel_filename

from tests.pages import free_port
from tests.peers.doors import ROOT
from tests.peers.server import SiteServer
from tests.peers.serving import eventually
from tests.peers.tools import NOWHERE

Command = list[str | int | Path]
_BIN = ROOT / ".venv-peers/bin"


def peer(name: str) -> Path:
    """Return the path of a tool, or skip the test; on a build machine it has to be there."""
    path = _BIN / name
    if not path.exists():
        assert "CI" not in os.environ, f"{path} is missing; see: make peers"
        pytest.skip(f"{name} is not there; it comes with: make peers")
    return path


class Foreign(NamedTuple):
    """An index that others wrote, and that runs."""

    simple: str
    """The URL of its simple index."""
    log: Callable[[], str]
    """Returns what it was asked for, in a form of its own."""


@contextmanager
def pypiserver(folder: Path, files: Mapping[str, bytes]) -> Iterator[Foreign]:
    """Serve wheels by pypiserver: HTML with hashes, and no metadata."""
    packages = _written(folder / "packages", files)
    port = free_port()
    command: Command = [peer("pypi-server"), "run", "-i", "127.0.0.1", "-p", port, "-v", "--disable-fallback"]
    command += ["--hash-algo", "sha256", "-a", ".", "-P", ".", "--server", "wsgiref", packages]
    with _running(command, folder, port) as log:
        yield Foreign(f"http://127.0.0.1:{port}/simple/", log)


@contextmanager
def dumb_pypi(folder: Path, files: Mapping[str, bytes]) -> Iterator[Foreign]:
    """Serve wheels by a site of dumb-pypi behind the plainest web server: HTML with hashes."""
    site = folder / "site"
    _written(site / "packages", files)
    listed = folder / "packages.json"
    listed.write_text(
        "".join(
            json.dumps({"filename": name, "hash": f"sha256={hashlib.sha256(data).hexdigest()}"}) + "\n"
            for name, data in files.items()
        )
    )
    command: Command = [
        peer("dumb-pypi"),
        "--package-list-json",
        listed,
        "--packages-url",
        "../../packages",
        "--output-dir",
    ]
    subprocess.run([*map(str, command), site], check=True, capture_output=True, timeout=60)
    with SiteServer(site, negotiates=False) as server:
        yield Foreign(f"{server.url}/simple/", lambda: "\n".join(request.path for request in server.log))


@contextmanager
def simple_repository(folder: Path, files: Mapping[str, bytes]) -> Iterator[Foreign]:
    """Serve wheels by simple-repository-server: JSON without hashes, with metadata that it reads from the wheels."""
    for name, data in files.items():
        _written(folder / "packages" / parse_wheel_filename(name)[0], {name: data})
    with simple_repository_of(folder, str(folder / "packages")) as running:
        yield running


@contextmanager
def simple_repository_of(folder: Path, source: str) -> Iterator[Foreign]:
    """Serve a folder, or another simple index, by simple-repository-server."""
    port = free_port()
    command: Command = [peer("simple-repository-server"), "--host", "127.0.0.1", "--port", port, source]
    with _running(command, folder, port) as log:
        yield Foreign(f"http://127.0.0.1:{port}/simple/", log)


@contextmanager
def proxpi_of(folder: Path, source: str) -> Iterator[Foreign]:
    """Serve another simple index by proxpi: HTML or JSON, with hashes."""
    port = free_port()
    command: Command = [peer("gunicorn"), "--bind", f"127.0.0.1:{port}", "--threads", "4", "--no-control-socket"]
    command += ["--access-logfile", "-", "proxpi.server:app"]
    with _running(command, folder, port, PROXPI_INDEX_URL=source, PROXPI_CACHE_DIR=str(folder / "cache")) as log:
        yield Foreign(f"http://127.0.0.1:{port}/index/", log)


def _written(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@contextmanager
def _running(command: Command, folder: Path, port: int, **environment: str) -> Iterator[Callable[[], str]]:
    """Run a server until the end, and yield what returns its log."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "log"
    own = {"HOME": str(folder), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    own |= {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": "127.0.0.1", **environment}
    with path.open("wb") as log:
        process = subprocess.Popen(
            list(map(str, command)), env=own, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        eventually(lambda: process.poll() is not None or listens(port), f"{command[0]} does not start")
        assert process.poll() is None, path.read_text()
        yield lambda: path.read_text(errors="replace")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    """Tell whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
