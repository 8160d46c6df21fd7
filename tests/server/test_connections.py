"""Clients that are slow, silent, greedy or malformed: they do not starve others, and are let go of in the end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitindex import layout
from gitindex.server.connection import LARGEST_HEAD, MOST_WAITING, Patience
from tests.repositories import IndexRepository, make_repository
from tests.server.conftest import shop_content
from tests.server.sockets import WAIT, Line, Running, get, run

PAGE = "/emilie/dev/simple/many/"
QUICK = Patience(head=1.0, idle=1, stalled=1.0, end=5)
PATIENT = Patience()
SIZE = 48 << 20
DATA = b"".join(number.to_bytes(4, "big") * (1 << 18) for number in range(SIZE >> 20))
SHA256 = hashlib.sha256(DATA).hexdigest()
BIG = "/" + layout.stored_path(SHA256, "big-1.0.tar.gz")


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Return a repository whose storage is a folder, with a file that fits into no buffer."""
    store = tmp_path / "store"
    content = shop_content().settings(storage={"url": f"file://{store}"})
    facts = {"filename": "big-1.0.tar.gz", "hashes": {"sha256": SHA256}, "size": SIZE}
    content.add_file("emilie/dev", "big", "1.0", facts)
    path = store / BIG.removeprefix("/files/")
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    return make_repository(tmp_path / "packages", content).path


@pytest.fixture(autouse=True)
def nothing_unexpected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Make sure that nothing went wrong that nobody thought of."""
    yield
    assert not [record.getMessage() for record in caplog.get_records("call") if record.levelname == "ERROR"]


async def is_served(port: int) -> None:
    """Make sure that others get what they ask for."""
    answer = await get(port, PAGE)
    assert answer.status == 200
    assert answer.body.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    "begun",
    [b"", b"G", b"GET ", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: y", b"\r\n\r\n"],
)
def test_half_open_connections_are_closed_and_others_are_served(
    shop: IndexRepository, tmp_path: Path, begun: bytes
) -> None:
    async def check(at: Running) -> None:
        lines = []
        for _ in range(100):
            lines.append(await Line.open(at.port))
            await lines[-1].send(begun)
        for _ in range(5):
            await is_served(at.port)
        for line in lines:
            assert await line.is_closed() == b""
            await line.close()
        await is_served(at.port)

    run(shop.path, tmp_path / "cache", QUICK, check)


@pytest.mark.parametrize("drop", [b"x", b"x: y\r\n"])
def test_head_that_drips_is_not_waited_for(shop: IndexRepository, tmp_path: Path, drop: bytes) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        await line.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"" if b"\n" in drop else b"X: "))

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await line.send(drop)
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await line.is_closed() == b""
        dripping.cancel()
        await line.close()
        await is_served(at.port)

    run(shop.path, tmp_path / "cache", QUICK, check)


@pytest.mark.parametrize("drop", [b"\r\n", b"x"], ids=["empty lines", "a body without end"])
def test_what_begins_no_request_does_not_keep_a_connection_open(
    shop: IndexRepository, tmp_path: Path, drop: bytes
) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        if drop == b"x":
            await line.ask(PAGE, "Content-Length: 1000000", method="POST")
            assert (await line.answer()).status == 405
        else:
            await line.ask(PAGE)
            assert (await line.answer()).status == 200

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await line.send(drop)
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await line.is_closed() == b""
        dripping.cancel()
        await line.close()

    run(shop.path, tmp_path / "cache", QUICK, check)


def test_idle_connection_is_closed_and_one_that_asks_is_kept(shop: IndexRepository, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        for _ in range(50):
            await line.ask(PAGE)
            assert (await line.answer()).status == 200
        assert await line.is_closed() == b""
        await line.close()

    run(shop.path, tmp_path / "cache", QUICK, check)


@pytest.mark.parametrize("asks_again", [False, True], ids=["silent", "asks for more"])
def test_client_that_takes_nothing_is_let_go_of_and_others_are_served(
    big: Path, tmp_path: Path, *, asks_again: bool
) -> None:
    async def check(at: Running) -> None:
        lines = []
        for _ in range(20):
            line = await Line.open(at.port, limit=4096)
            await line.ask(BIG)
            assert b" 200 " in await line.head()
            if asks_again:
                await line.ask(PAGE)
            lines.append(line)
        for _ in range(5):
            await is_served(at.port)
        whole = await get(at.port, BIG)
        assert len(whole.body) == SIZE
        # Each is sent what fits into buffers, and no more, and is let go of.
        await at.lets_go()
        for line in lines:
            assert len(await line.is_closed()) < SIZE
        assert at.state.counters.totals()["bytes_sent"] < 2 * SIZE

    run(big, tmp_path / "cache", QUICK, check)


def test_client_that_is_slow_and_takes_something_gets_the_whole(big: Path, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port, limit=1 << 14)
        await line.ask(BIG)
        await line.head()
        received = bytearray()
        for _ in range(10):  # longer than a client may stand still
            received += await line.reader.readexactly(1 << 20)
            await asyncio.sleep(0.5)
        received += await line.reader.readexactly(SIZE - len(received))
        assert received == DATA
        await line.close()

    run(big, tmp_path / "cache", Patience(stalled=3.0), check)


def test_client_that_goes_away_is_not_sent_the_rest(big: Path, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        for _ in range(10):
            line = await Line.open(at.port, limit=4096)
            await line.ask(BIG)
            await line.head()
            line.writer.transport.abort()
        await is_served(at.port)
        await at.lets_go()
        for _ in range(int(WAIT / 0.02)):
            if not at.server.server_state.tasks:
                break
            await asyncio.sleep(0.02)
        assert not at.server.server_state.tasks
        assert at.state.counters.totals()["bytes_sent"] < SIZE

    run(big, tmp_path / "cache", PATIENT, check)


def test_head_that_is_too_large_is_refused(shop: IndexRepository, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        for head in (
            b"GET /" + b"a" * 2 * LARGEST_HEAD,
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2 * LARGEST_HEAD,
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * LARGEST_HEAD,
        ):
            line = await Line.open(at.port)
            with contextlib.suppress(ConnectionError):
                await line.send(head)
            came = await line.is_closed()
            assert came == b"" or came.startswith(b"HTTP/1.1 400 ")
            await line.close()
            await is_served(at.port)
        # What is just small enough is answered.
        assert (await get(at.port, PAGE, "X: " + "a" * (LARGEST_HEAD // 2))).status == 200

    run(shop.path, tmp_path / "cache", PATIENT, check)


def test_endless_headers_are_cut_off(shop: IndexRepository, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        sent = 0
        with contextlib.suppress(ConnectionError):
            await line.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
            while sent < 64 << 20:
                await line.send(b"X-Header: " + b"y" * 1000 + b"\r\n")
                sent += 1012
        assert sent < 64 << 20
        await line.close()
        await is_served(at.port)

    run(shop.path, tmp_path / "cache", PATIENT, check)


def test_many_requests_on_one_connection_are_answered_in_order(shop: IndexRepository, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        paths = [f"/emilie/dev/simple/unknown-{number}/" if number % 2 else PAGE for number in range(MOST_WAITING)]
        # All together they are larger than a head may be.
        padding = "a" * 2000
        asked = b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\nX: {padding}\r\n\r\n".encode() for path in paths)
        assert len(asked) > 2 * LARGEST_HEAD
        sending = asyncio.create_task(line.send(asked))
        for number, _path in enumerate(paths):
            assert (await line.answer()).status == (404 if number % 2 else 200)
        await sending
        await line.close()

    run(shop.path, tmp_path / "cache", PATIENT, check)


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\xff\xfe nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET\r\n\r\n",
        b"GET /\xff\xfe/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\0/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET http://example.org/emilie/nothing/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //example.org/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET ?x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n Folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_sound_request_is_refused_and_the_server_goes_on(
    shop: IndexRepository, tmp_path: Path, sent: bytes
) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        await line.send(sent)
        line.writer.write_eof()
        came = await line.is_closed()
        statuses = {part[:3] for part in came.split(b"HTTP/1.1 ")[1:]}
        assert statuses <= {b"200", b"400", b"404", b"405"}, came
        await line.close()
        await is_served(at.port)

    run(shop.path, tmp_path / "cache", QUICK, check)


def test_old_clients_get_answers_and_then_the_end(shop: IndexRepository, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        await line.send(f"GET {PAGE} HTTP/1.0\r\n\r\n".encode())
        came = await line.is_closed()
        assert came.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in came
        await line.close()

    run(shop.path, tmp_path / "cache", PATIENT, check)
