"""Git's own servers, on the loopback interface: `git http-backend` behind a small web server, and `git daemon`."""

from __future__ import annotations

import base64
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tests.hosts import CalmHTTPServer


def environment_of_server() -> dict[str, str]:
    """Return the little that a server gives to what it runs: no home, no language."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    coverage = {key: value for key, value in os.environ.items() if key.startswith("COV")}
    return {"PATH": path, "GIT_CONFIG_NOSYSTEM": "1", **coverage}


class Login(NamedTuple):
    """Somebody whom the web server knows."""

    name: str
    password: str = "secret"

    @property
    def options(self) -> tuple[str, ...]:
        """Words for the command line of git, before the command."""
        text = base64.b64encode(f"{self.name}:{self.password}".encode()).decode()
        return ("-c", f"http.extraHeader=Authorization: Basic {text}")


@contextmanager
def http_server(root: Path) -> Iterator[str]:
    """Serve the repositories below *root* for fetches and pushes; yield the URL.

    Whoever says their name is believed, and is the REMOTE_USER.
    """
    server = CalmHTTPServer(("127.0.0.1", 0), partial(_Backend, root))
    with _running(server):
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def git_daemon(root: Path) -> Iterator[str]:
    """Let `git daemon` serve the repositories below *root* for fetches and pushes; yield the URL.

    Each connection has a process of its own, as under inetd, so none is left over.
    """
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), partial(_Daemon, root))
    server.daemon_threads = True
    with _running(server):
        yield f"git://127.0.0.1:{server.server_address[1]}"


def has_git_daemon() -> bool:
    """Tell whether Git has its daemon here: some systems package it apart."""
    folder = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    return (Path(folder) / "git-daemon").exists()


@contextmanager
def _running(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Daemon(socketserver.BaseRequestHandler):
    def __init__(self, root: Path, *arguments: object) -> None:
        self.root = root
        super().__init__(*arguments)  # type: ignore[arg-type] # what the server passes on

    def handle(self) -> None:
        words = ["git", "daemon", "--inetd", "--export-all", "--enable=receive-pack", f"--base-path={self.root}"]
        subprocess.run(
            words,
            stdin=self.request.fileno(),
            stdout=self.request.fileno(),
            stderr=subprocess.DEVNULL,
            env=environment_of_server(),
            timeout=60,
            check=False,
        )


class _Backend(BaseHTTPRequestHandler):
    """Runs `git http-backend` as CGI (RFC 3875) for each request."""

    protocol_version = "HTTP/1.1"

    def __init__(self, root: Path, *arguments: object) -> None:
        self.root = root
        super().__init__(*arguments)  # type: ignore[arg-type] # what the server passes on

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._answer(b"".join(self._chunks()))
        else:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, body: bytes) -> None:
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env={**environment_of_server(), **self._request(len(body))},
            capture_output=True,
            timeout=60,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.partition(": ") for line in head.decode().splitlines()]
        status = next((value for name, _, value in fields if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, _, value in fields:
            if name not in ("Status", ""):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _request(self, length: int) -> Mapping[str, str]:
        url = urlsplit(self.path)
        said = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(length),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        kind, _, secret = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            said["REMOTE_USER"] = base64.b64decode(secret).decode().partition(":")[0]
        return said

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the output of the tests clean."""
