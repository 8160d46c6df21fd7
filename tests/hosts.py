"""A web server on the loopback interface that does to its clients what servers do: well, badly and with malice."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

Answer = Callable[[BaseHTTPRequestHandler], None]


class Request(NamedTuple):
    """What was asked for."""

    path: str
    headers: Mapping[str, str]


class Host:
    """Answers each path as it is told, and remembers what it was asked for; other paths are 404."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self._answers: dict[str, list[Answer]] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.host = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.netloc = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.netloc}"
        self.is_over = threading.Event()
        self.has_request = threading.Event()

    def on(self, path: str, *answers: Answer | bytes) -> str:
        """Answer *path* with one after the other, and then with the last for ever; return its URL."""
        self._answers[path] = [content(answer) if isinstance(answer, bytes) else answer for answer in answers]
        return self.url + path

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [request.path for request in self.requests]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.is_over.is_set():  # a connection that was kept open
            handler.close_connection = True
            return
        self.requests.append(Request(handler.path, dict(handler.headers)))
        self.has_request.set()
        waiting = self._answers.get(handler.path) or [status(404)]
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class CalmHTTPServer(ThreadingHTTPServer):
    """Says nothing of clients who hang up: what a test looks at may be written to the same place."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # what came in


class _Server(CalmHTTPServer):
    host: Host


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):  # the client has had enough
            self.server.host.answer(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the output of the tests clean."""


def _head(handler: BaseHTTPRequestHandler, code: int, length: int | None, headers: Mapping[str, str]) -> None:
    handler.send_response(code)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def content(data: bytes, **headers: str) -> Answer:
    """Send *data*; in names of headers, ``_`` stands for ``-``."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, len(data), {name.replace("_", "-"): value for name, value in headers.items()})
        handler.wfile.write(data)

    return answer


def chunked(data: bytes) -> Answer:
    """Send *data* in chunks, and do not say how much it is."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, None, {"Transfer-Encoding": "chunked"})
        for start in range(0, len(data), 100):
            piece = data[start : start + 100]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def validated(data: bytes, etag: str, **headers: str) -> Answer:
    """Send *data* with a validator, or that it has not been modified to who has it."""
    send = content(data, ETag=etag, **headers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("If-None-Match") == etag:
            _head(handler, 304, None, {"ETag": etag})
        else:
            send(handler)

    return answer


def held(until: threading.Event, then: Answer) -> Answer:
    """Answer once something has happened."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        until.wait(60)
        then(handler)

    return answer


def status(code: int, **headers: str) -> Answer:
    """Send a status and a few words."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, code, 5, {name.replace("_", "-"): value for name, value in headers.items()})
        handler.wfile.write(b"sorry")

    return answer


def truncated(data: bytes, length: int) -> Answer:
    """Promise *length* bytes, send *data*, and hang up."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, length, {})
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def reset(data: bytes, length: int) -> Answer:
    """Promise *length* bytes, send *data*, and tear the connection down without the usual farewell."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, length, {})
        handler.wfile.write(data)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True

    return answer


def stalled(data: bytes, length: int) -> Answer:
    """Promise *length* bytes, send *data*, and nothing more."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, length, {})
        handler.wfile.write(data)
        silent(handler)

    return answer


def in_two(data: bytes, first: int, go: threading.Event) -> Answer:
    """Send the first so many bytes of *data*, and the rest once something has happened."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, len(data), {})
        handler.wfile.write(data[:first])
        go.wait(60)
        handler.wfile.write(data[first:])

    return answer


def redirect(url: str, code: int = 302) -> Answer:
    return status(code, Location=url)


def redirect_without_end(url: str) -> Answer:
    """Redirect, with a body that does not end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 302, None, {"Location": url})
        _write_for_ever(handler, bytes(1 << 16), 0)

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Send zeros without end."""
    _head(handler, 200, None, {})
    _write_for_ever(handler, bytes(1 << 16), 0)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, without end."""
    _head(handler, 200, None, {})
    _write_for_ever(handler, b"x", 0.05)


def dripping_head(handler: BaseHTTPRequestHandler) -> None:
    """Never come to the end of the headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    _write_for_ever(handler, b"x", 0.05)


def silent(handler: BaseHTTPRequestHandler) -> None:
    """Never answer."""
    host = handler.server
    assert isinstance(host, _Server)
    host.host.is_over.wait(60)
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def _write_for_ever(handler: BaseHTTPRequestHandler, piece: bytes, pause: float) -> None:
    handler.close_connection = True
    server = handler.server
    assert isinstance(server, _Server)
    while not server.host.is_over.is_set():
        handler.wfile.write(piece)
        handler.wfile.flush()
        time.sleep(pause)
