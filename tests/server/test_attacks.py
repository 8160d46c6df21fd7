"""What connections do that no client of good faith does: to real sockets of a server that has little patience."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from gitindex import tokens
from tests.repositories import Content, IndexRepository, make_repository
from tests.server.client import basic
from tests.server.fallback.process import eventually

WAIT = 30.0
"""Seconds in which what has to happen happens, however slow the machine is."""
_READY = re.compile(r"http://127\.0\.0\.1:(\d+)/")
_IMPATIENT = """
import sys
from pathlib import Path
from gitindex.server import run
from gitindex.server.live import Source
from gitindex.server.state import Options
run.MOST_CONNECTIONS = 40
patience = run.Patience(head=1.0, idle=1.0, stalled=1.0)
tokens = Path(sys.argv[3]) if sys.argv[3] else None
options = Options(Source(Path(sys.argv[1]), None), Path(sys.argv[2]), tokens=tokens)
run.serve(options, run.bind("127.0.0.1", 0), None, lambda url: sys.stderr.write(f"Serving at {url}\\n"), patience)
"""
_GET = b"GET /+api HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire:
    """A connection, byte by byte."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(WAIT)
        self._socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def flood(self, piece: bytes, most: int) -> bool:
        """Send a piece again and again, up to so many bytes; return whether the server had enough before."""
        with suppress(ConnectionError):
            for _ in range(most // len(piece)):
                self._socket.sendall(piece)
            return False
        return True

    def wait(self) -> None:
        """Wait until something of an answer is there."""
        assert select.select([self._socket], [], [], WAIT)[0]

    def head(self) -> bytes:
        """Read up to the end of a head of an answer without content behind it that matters."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self._socket.recv(4096)
            assert piece, data
            data += piece
        return data

    def rest(self) -> bytes:
        """Read until the server closes the connection."""
        data = b""
        with suppress(ConnectionError):
            while piece := self._socket.recv(1 << 16):
                data += piece
        return data


class Attacked(NamedTuple):
    """A server that runs."""

    port: int
    process: int


@contextmanager
def impatient(repository: IndexRepository, cache: Path, store: Path | None = None) -> Iterator[Attacked]:
    """Serve a repository; return the port. It stops well, whatever was done to it."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _IMPATIENT, str(repository.root), str(cache), str(store or "")]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            ready = _READY.search(process.stderr.readline())
            assert ready
            said: list[str] = []
            listening = threading.Thread(target=said.extend, args=(process.stderr,))
            listening.start()
            yield Attacked(int(ready[1]), process.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT) == 0
            listening.join(WAIT)
            assert said == []
        finally:
            process.kill()


def content() -> Content:
    found = Content().settings().user("emilie", email="emilie@example.org").stage("emilie/prod")
    for version in range(1500):
        entry = {"filename": f"many-{version}.tar.gz", "hashes": {"sha256": f"{version:064x}"}, "size": 1}
        found.add_file("emilie/prod", "many", f"{version}", entry | {"url": "https://example.org/" + "x" * 3000})
    found.release("emilie/prod", "large", "1.0", kind="sdist", text="# " + os.urandom(6 << 20).hex())
    return found


@pytest.fixture(scope="module")
def files() -> Content:
    return content()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, who: None, files: Content) -> Iterator[Attacked]:
    del who
    folder = tmp_path_factory.mktemp("attacked")
    with impatient(make_repository(folder / "packages", files), folder / "cache") as attacked:
        yield attacked


@pytest.fixture
def port(attacked: Attacked) -> int:
    return attacked.port


def large(files: Content, version: str = "1.1") -> bytes:
    """Return the request for a file that fills all buffers on the way."""
    return f"GET /{files.stored('emilie/prod', 'large', '1.0')} HTTP/{version}\r\nHost: x\r\n\r\n".encode()


def clients(attacked: Attacked) -> int:
    """Return how many connections with a client the server holds."""
    own = set()
    for descriptor in Path(f"/proc/{attacked.process}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed in this moment
            own.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    here = f"0100007F:{attacked.port:04X}"
    return sum(row[1] == here and row[2] != "00000000:0000" and row[9] in own for row in rows)


def test_client_that_takes_nothing_is_given_up_although_it_asks_for_more(attacked: Attacked, files: Content) -> None:
    eventually(lambda: not clients(attacked), "earlier connections are closed")
    with Wire(attacked.port) as wire:
        wire.send(large(files))
        wire.wait()
        wire.send(_GET)
        assert clients(attacked) == 1
        eventually(lambda: not clients(attacked), "it is closed")


def test_client_that_takes_nothing_is_given_up_although_its_connection_is_to_be_closed(attacked: Attacked) -> None:
    eventually(lambda: not clients(attacked), "earlier connections are closed")
    with Wire(attacked.port) as wire:
        wire.send(b"GET /emilie/prod/simple/many/ HTTP/1.0\r\n\r\n")
        wire.wait()
        assert clients(attacked) == 1
        eventually(lambda: not clients(attacked), "it is closed")


def test_connections_are_bounded_although_they_ask_for_nothing(attacked: Attacked) -> None:
    eventually(lambda: not clients(attacked), "earlier connections are closed")
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(Wire(attacked.port))
        assert clients(attacked) <= 100
    with Wire(attacked.port) as wire:
        eventually(lambda: clients(attacked) <= 1, "they are closed")
        wire.send(_GET)
        wire.rest()


@pytest.mark.parametrize(
    "rest",
    [b"", b"\r\n", b"\r\n" * 100, b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"],
    ids=["nothing", "line", "lines", "letter", "head"],
)
def test_connection_without_a_request_is_closed_whatever_was_sent_on_it(port: int, rest: bytes) -> None:
    with Wire(port) as wire:
        wire.send(_GET)
        assert b"200 OK" in wire.head()
        wire.send(rest)
        wire.rest()


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("length", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
def test_connection_with_a_body_that_never_ends_is_closed(port: int, method: bytes, length: bytes) -> None:
    with Wire(port) as wire:
        wire.send(method + b" /+api HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n")
        assert b"HTTP/1.1 " in wire.head()
        wire.send(b"5\r\nhello\r\n")
        wire.rest()


@pytest.mark.parametrize("what", ["value", "fields", "extension"])
def test_trailer_without_an_end_is_not_read(port: int, what: str) -> None:
    start, piece = {
        "value": (b"0\r\nx: ", b"y" * 4096),
        "fields": (b"0\r\n", b"x: y\r\n" * 700),
        "extension": (b"5;", b"y" * 4096),
    }[what]
    with Wire(port) as wire:
        wire.send(b"GET /+api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + start)
        assert wire.flood(piece, 64 << 20)


def test_requests_that_wait_on_one_connection_are_bounded(port: int, files: Content) -> None:
    with Wire(port) as wire:
        wire.send(_GET * 50)
        assert wire.rest().count(b"200 OK") == 50
    with Wire(port) as wire:
        wire.send(large(files) + _GET * 2000)
        assert wire.rest().count(b"200 OK") <= 1


def test_body_is_dropped_and_the_next_request_is_answered(port: int) -> None:
    with Wire(port) as wire:
        for length, body in (
            (b"Content-Length: 200000", b"x" * 200_000),
            (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n" * 1000 + b"0\r\nx: y\r\n\r\n"),
            (b"Expect: 100-continue\r\nContent-Length: 5", b"hello"),
        ):
            wire.send(b"POST /+api HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n" + body)
            assert b" 405 only GET and HEAD" in wire.head()
        wire.send(_GET)
        assert b"200 OK" in wire.head()


def test_trailer_is_no_header(tmp_path: Path) -> None:
    store = tmp_path / "tokens.json"
    token = basic(tokens.create(store, "ci", ["read:*"], expires=None, now=datetime.now(UTC)).text)["Authorization"]
    with impatient(make_repository(tmp_path / "packages", content()), tmp_path / "cache", store) as attacked:
        for field in (b"", b"Authorization: " + token.encode() + b"\r\n"):
            with Wire(attacked.port) as wire:
                wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + field + b"\r\n")
                assert b"401 Unauthorized" in wire.head()


@pytest.mark.parametrize(
    "request_",
    [
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\r\n folded\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\nHost: x\n\n",
    ],
)
def test_what_is_no_request_is_refused_or_answered_as_one_and_the_server_goes_on(port: int, request_: bytes) -> None:
    with Wire(port) as wire:
        wire.send(request_)
        answer = wire.rest()
        assert answer.count(b"HTTP/1.1 ") <= 1
        assert answer[:13] in {b"", b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 ", b"HTTP/1.1 200 "}, answer
    with Wire(port) as wire:
        wire.send(_GET)
        assert b"200 OK" in wire.head()


@pytest.mark.parametrize("wanted", [b"websocket", b"h2c"])
def test_upgrade_is_passed_over(port: int, wanted: bytes) -> None:
    with Wire(port) as wire:
        wire.send(
            b"GET /+api HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + wanted + b"\r\n\r\n"
        )
        assert b"200 OK" in wire.head()
