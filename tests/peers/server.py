"""A small web server for rendered sites: plain as `http.server`, or negotiating HTML and JSON as a good host does."""

from __future__ import annotations

import contextlib
import socket
import threading
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tests.hosts import CalmHTTPServer

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"


class Request(NamedTuple):
    """What was asked for and what was answered."""

    path: str
    status: int
    content_type: str


class SiteServer:
    """Serves a folder on a free port of the loopback interface, and remembers what it was asked for."""

    def __init__(self, folder: Path, *, negotiates: bool = True) -> None:
        self.log: list[Request] = []
        handler = _Negotiating if negotiates else _Plain
        self._server = _Server(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        self._server.log = self.log
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def connections(self) -> int:
        """How many connections were made to it."""
        return self._server.connections

    def pages(self) -> dict[str, str]:
        """Return the simple pages that were delivered, by the last part of their path, with their content types."""
        return {
            request.path.rstrip("/").rpartition("/")[2]: request.content_type
            for request in self.log
            if "/simple/" in request.path and request.status == HTTPStatus.OK
        }

    def files(self) -> set[str]:
        """Return the names of the files that were asked for."""
        return {request.path.rpartition("/")[2] for request in self.log if request.path.startswith("/files/")}


class _Server(CalmHTTPServer):
    log: list[Request]

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        self.connections = 0
        super().__init__(*arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        self.connections += 1
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close what clients keep open too: who is stopped answers nobody."""
        super().server_close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Plain(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _content_type = ""

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.lower() == "content-type":
            self._content_type = value
        super().send_header(keyword, value)

    def send_response(self, code: int, message: str | None = None) -> None:
        self._content_type = ""
        self._status = int(code)
        super().send_response(code, message)

    def end_headers(self) -> None:
        self.server.log.append(Request(urlsplit(self.path).path, self._status, self._content_type))
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the output of the tests clean."""


class _Negotiating(_Plain):
    def do_GET(self) -> None:
        page = Path(self.translate_path(self.path), "index.json")
        if not (self.path.endswith("/") and page.is_file() and JSON in self.headers.get("Accept", "")):
            super().do_GET()
            return
        body = page.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=0")
        self.send_header("Vary", "Accept")
        self.end_headers()
        self.wfile.write(body)
