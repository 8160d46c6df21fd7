"""Many clients, clients that go, processes that die and disks that are full, in the midst of a download."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from gitindex.server.filecache import HELD_BACK
from tests import hosts
from tests.hosts import Host
from tests.repositories import IndexRepository, make_repository
from tests.server.fallback.mirrored import ASKS_HTML, ASKS_JSON, Theirs, blob, offer, their_wheel, world
from tests.server.fallback.process import WAIT, Running, eventually, read, running
from tests.upstream.pages import page, sent

BIG = 20_000_000
SIZE = 1_000_000
CLIENTS = 200
MEMORY = 150 << 20


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as started:
        yield started


@pytest.fixture(scope="module")
def repository(host: Host, tmp_path_factory: pytest.TempPathFactory) -> IndexRepository:
    with pytest.MonkeyPatch.context() as patch:
        for who, what in product(("AUTHOR", "COMMITTER"), ("NAME", "EMAIL")):
            patch.setenv(f"GIT_{who}_{what}", "emilie@example.org")
        return make_repository(tmp_path_factory.mktemp("downloads") / "packages", world(host))


@pytest.fixture(scope="module")
def server(repository: IndexRepository) -> Iterator[Running]:
    with running(repository, repository.path.with_name("shared-cache")) as started:
        yield started


def take_at_once(server: Running, path: str, data: bytes, clients: int, go: threading.Event) -> list[int]:
    """Return how many right bytes each of so many clients got that ask for a file at the same time.

    *go* is set when an answer has begun for each of them.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    positions: list[int] = []
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number in range(clients):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), WAIT))
            positions.append(-1)
            selector.register(client, selectors.EVENT_READ, (number, bytearray()))
        for key in list(selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.sendall(request)
        while selector.get_map():
            ready = selector.select(WAIT)
            assert ready, positions
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                number, head = key.data
                piece = key.fileobj.recv(1 << 18)
                if not piece:
                    selector.unregister(key.fileobj)
                elif positions[number] < 0:
                    head += piece
                    before, end, after = bytes(head).partition(b"\r\n\r\n")
                    if end:
                        assert before.startswith(b"HTTP/1.1 200 "), before
                        positions[number], piece = 0, after
                if positions[number] >= 0:
                    assert data.startswith(piece, positions[number]), f"client {number}: wrong bytes"
                    positions[number] += len(piece)
            if min(positions) >= 0:
                go.set()
    return positions


@pytest.mark.parametrize("workers", [1, 2])
def test_200_clients_that_ask_at_once_for_one_cold_file_of_20_mb_cause_one_download_in_bounded_memory(
    host: Host, repository: IndexRepository, tmp_path: Path, workers: int
) -> None:
    file, go = blob(f"big-{workers}", BIG), threading.Event()
    offer(host, f"big-{workers}", file)
    host.on(file.path, hosts.in_two(file.data, BIG // 2, go))
    with running(repository, tmp_path / "cache", "--workers", str(workers)) as server:
        try:
            # The second half comes once all of them have begun to get the first.
            got = take_at_once(server, file.url(f"big-{workers}"), file.data, CLIENTS, go)
        finally:
            go.set()
        assert got == [BIG] * CLIENTS
        assert host.paths.count(file.path) == 1
        assert server.memory() < MEMORY
        # It is kept: neither worker asks again.
        for _ in range(4):
            assert server.get(file.url(f"big-{workers}")).body == file.data
    assert host.paths.count(file.path) == 1


def test_points_49_and_50_ranges_of_a_file_while_it_is_downloaded(host: Host, server: Running) -> None:
    file, go = blob("ranges", SIZE), threading.Event()
    offer(host, "ranges", file)
    host.on(file.path, hosts.in_two(file.data, SIZE // 2, go))
    url, tag = file.url("ranges"), f'"{file.sha256}"'
    try:
        for headers in ({"Range": "bytes=0-99"}, {"Range": "bytes=0-99", "If-Range": tag}):
            got = server.get(url, headers)
            assert (got.status, got.body) == (206, file.data[:100])
            assert got.headers["content-range"] == f"bytes 0-99/{SIZE}"
        middle = server.get(url, {"Range": "bytes=1000-400000"})
        assert (middle.status, middle.body == file.data[1000:400_001]) == (206, True)
        assert server.get(url, {"Range": f"bytes={SIZE}-"}).status == 416
        assert server.get(url, method="HEAD").headers["content-length"] == str(SIZE)
        with ThreadPoolExecutor(3) as pool:
            # These wait for what has not come yet.
            last = pool.submit(server.get, url, {"Range": "bytes=-100"})
            across = pool.submit(server.get, url, {"Range": f"bytes={SIZE // 2 - 10}-{SIZE // 2 + 9}"})
            other = pool.submit(server.get, url, {"Range": "bytes=0-99", "If-Range": '"another"'})
            with server.asking(url) as answer:
                first = answer.read(SIZE // 4)
                assert first == file.data[: SIZE // 4]
                assert not any(future.done() for future in (last, across, other))
                go.set()
                rest, is_whole = read(answer)
                assert (first + rest == file.data, is_whole) == (True, True)
            assert (last.result().status, last.result().body) == (206, file.data[-100:])
            assert (across.result().status, across.result().body) == (206, file.data[SIZE // 2 - 10 : SIZE // 2 + 10])
            assert (other.result().status, other.result().body == file.data) == (200, True)
    finally:
        go.set()
    assert host.paths.count(file.path) == 1


def test_the_end_of_a_file_is_held_back_until_all_of_it_is_proven(host: Host, server: Running) -> None:
    file, go = blob("held", SIZE), threading.Event()
    offer(host, "held", file)
    host.on(file.path, hosts.in_two(file.data, SIZE - 1, go))
    try:
        with server.asking(file.url("held")) as answer:
            got = answer.read(SIZE - HELD_BACK)
            assert got == file.data[: SIZE - HELD_BACK]
            last = server.status()["file_cache"]
            assert last["downloads"] == 1
            go.set()
            rest, is_whole = read(answer)
            assert (got + rest == file.data, is_whole) == (True, True)
    finally:
        go.set()


def test_clients_that_go_away_in_mid_download_leave_the_others_unharmed(host: Host, server: Running) -> None:
    file, go = blob("gone", SIZE), threading.Event()
    offer(host, "gone", file)
    host.on(file.path, hosts.in_two(file.data, SIZE // 2, go))
    url = file.url("gone")
    try:
        with server.asking(url) as staying:
            head = staying.read(1000)
            for is_rude in (False, True):
                for _ in range(10):
                    leaving = server.connect()
                    leaving.request("GET", url)
                    answer = leaving.getresponse()
                    assert answer.read(1000) == file.data[:1000]
                    if is_rude:
                        leaving.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    leaving.close()
                    answer.close()
            go.set()
            rest, is_whole = read(staying)
            assert (head + rest == file.data, is_whole) == (True, True)
    finally:
        go.set()
    again = server.get(url)
    assert (again.status, again.body == file.data) == (200, True)
    assert host.paths.count(file.path) == 1


def test_a_download_goes_on_when_all_clients_have_gone(host: Host, server: Running) -> None:
    file, go = blob("alone", SIZE), threading.Event()
    offer(host, "alone", file)
    host.on(file.path, hosts.in_two(file.data, SIZE // 2, go))
    try:
        with server.asking(file.url("alone")) as leaving:
            assert leaving.read(1000) == file.data[:1000]
    finally:
        go.set()
    assert server.get(file.url("alone")).body == file.data
    assert host.paths.count(file.path) == 1


def torn(cache: Path, file: Theirs) -> list[Path]:
    """Return what of a file the cache has that is not all of it."""
    found = (cache / "files").rglob("*")
    parts = {path for path in found if path.is_file() and ".parts" in path.parts}
    return [*parts, *(path for path in (cache / "files").rglob(file.filename) if path.read_bytes() != file.data)]


def test_point_65_after_a_kill_in_mid_download_no_torn_file_is_served(
    host: Host, repository: IndexRepository, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    whole, file, go = blob("whole", SIZE), blob("killed", SIZE), threading.Event()
    offer(host, "whole", whole)
    offer(host, "killed", file)
    host.on(file.path, hosts.in_two(file.data, SIZE // 2, go), hosts.content(file.data))
    url = file.url("killed")
    try:
        with running(repository, cache) as first:
            assert first.get(whole.url("whole")).body == whole.data
            with first.asking(url) as answer:
                got = answer.read(SIZE // 4)
                assert torn(cache, file)
                first.kill()
                rest, is_whole = read(answer)
                assert not is_whole
                assert len(got + rest) <= SIZE - HELD_BACK
        assert torn(cache, file)
        with running(repository, cache) as second:
            eventually(lambda: not torn(cache, file), "what was torn is gone")
            for _ in range(2):
                answered = second.get(url)
                assert (answered.status, answered.is_whole, answered.body == file.data) == (200, True, True)
            assert second.get(whole.url("whole")).body == whole.data
            assert not torn(cache, file)
    finally:
        go.set()
    assert host.paths.count(file.path) == 2
    assert host.paths.count(whole.path) == 1


def test_point_65_a_worker_that_is_killed_in_mid_download_takes_nothing_torn_along(
    host: Host, repository: IndexRepository, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    file, go = blob("worker", SIZE), threading.Event()
    offer(host, "worker", file)
    host.on(file.path, hosts.in_two(file.data, SIZE // 2, go), hosts.content(file.data))
    url = file.url("worker")
    try:
        with running(repository, cache, "--workers", "2") as server:
            before = server.workers()
            assert len(before) == 2
            with server.asking(url) as answer:
                answer.read(SIZE // 4)
                for worker in before:
                    os.kill(worker, signal.SIGKILL)
                _, is_whole = read(answer)
                assert not is_whole
            eventually(lambda: len(set(server.workers()) - set(before)) == 2, "others take their places")
            answered = server.get(url)
            assert (answered.status, answered.is_whole, answered.body == file.data) == (200, True, True)
            assert not torn(cache, file)
    finally:
        go.set()


def test_a_full_disk_stops_no_answer_and_keeps_nothing_torn(
    host: Host, repository: IndexRepository, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    large, small = blob("large", SIZE), blob("small", 10_000)
    offer(host, "large", large)
    offer(host, "small", small)
    files = [their_wheel("many", f"{number}.0").entry() for number in range(300)]
    host.on("/simple/many/", sent(page(*files, name="many")))
    with running(repository, cache, is_impatient=True, largest_write=50_000) as server:
        for count in (1, 2):
            answered = server.get(large.url("large"))
            assert (answered.status, answered.is_whole, answered.body == large.data) == (200, True, True)
            assert server.get(large.url("large"), {"Range": "bytes=-10"}).body == large.data[-10:]
            assert host.paths.count(large.path) == 2 * count  # it is not kept
            assert not torn(cache, large)
        assert "refuses" in server.status()["file_cache"]["problem"]
        for accept in (ASKS_JSON, ASKS_HTML):
            for _ in range(2):
                got = server.get("/emilie/prod/simple/many/", accept)
                assert (got.status, len(got.body) > 50_000) == (200, True)
        assert not [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size >= 50_000]
        for _ in range(2):
            assert server.get(small.url("small")).body == small.data
        assert host.paths.count(small.path) == 1


def test_where_disk_and_memory_take_no_more_the_answer_breaks_off_and_others_go_on(
    host: Host, repository: IndexRepository, tmp_path: Path
) -> None:
    huge, small = blob("huge", (64 << 20) + 200_000), blob("tiny", 10_000)
    offer(host, "huge", huge)
    offer(host, "tiny", small)
    with running(repository, tmp_path / "cache", is_impatient=True, largest_write=50_000) as server:
        got = server.get(huge.url("huge"))
        assert (got.status, got.is_whole) == (200, False)
        assert huge.data.startswith(got.body)
        assert server.get(small.url("tiny")).body == small.data
        assert not torn(tmp_path / "cache", huge)


@pytest.mark.parametrize("is_down", [True, False])
def test_a_flood_of_names_that_nobody_has_stays_bounded(
    host: Host, repository: IndexRepository, tmp_path: Path, *, is_down: bool
) -> None:
    count, clients = 1500, 30
    prefix = f"flood-{is_down}".lower()
    if is_down:
        for number in range(count):
            host.on(f"/simple/{prefix}-{number}/", hosts.hang_up)

    def flood(running_: Running, first: int) -> set[int]:
        connection, statuses = running_.connect(), set()
        for number in range(first, count, clients):
            connection.request("GET", f"/emilie/prod/simple/{prefix}-{number}/")
            answer = connection.getresponse()
            answer.read()
            statuses.add(answer.status)
        connection.close()
        return statuses

    with running(repository, tmp_path / "cache") as server:
        server.get(f"/emilie/prod/simple/{prefix}/")
        before, asked = server.memory("VmRSS"), len(host.requests)
        with ThreadPoolExecutor(clients) as pool:
            statuses = set().union(*pool.map(partial(flood, server), range(clients)))
        assert statuses == ({503} if is_down else {404})
        assert server.memory("VmRSS") < before + (40 << 20)
        # What is down is left alone for a while.
        assert len(host.requests) - asked <= (100 if is_down else count)
        assert server.get("/emilie/prod/simple/ours/", ASKS_JSON).status == 200
