"""The server as it is run: workers, signals, what it says where it cannot start."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitindex import layout
from tests.peers.serving import WAIT, Serving, eventually, get, serving
from tests.peers.tools import Tools
from tests.repositories import IndexRepository, make_repository
from tests.server.conftest import shop_content
from tests.server.test_live import release

PAGE = "/emilie/dev/simple/many/"
SIZE = 48 << 20
DATA = bytes(SIZE)
SHA256 = hashlib.sha256(DATA).hexdigest()
BIG = "/" + layout.stored_path(SHA256, "big-1.0.tar.gz")


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    home = tmp_path / "home"
    home.mkdir()
    return Tools(home)


@pytest.fixture
def big(tmp_path: Path) -> IndexRepository:
    """Return a repository with a file that fits into no buffer."""
    store = tmp_path / "store"
    content = shop_content().settings(storage={"url": f"file://{store}"})
    facts = {"filename": "big-1.0.tar.gz", "hashes": {"sha256": SHA256}, "size": SIZE}
    content.add_file("emilie/dev", "big", "1.0", facts)
    path = store / BIG.removeprefix("/files/")
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    return make_repository(tmp_path / "packages", content)


def workers_of(running: Serving) -> set[int]:
    process = running.process.pid
    return set(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


@contextlib.contextmanager
def download(running: Serving) -> Iterator[socket.socket]:
    """Begin the download of a large file, and take none of it but the head."""
    host, port = running.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(WAIT)
        client.connect((host, int(port)))
        client.sendall(f"GET {BIG} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        assert head.startswith(b"HTTP/1.1 200 ")
        yield client


def rest_of(client: socket.socket) -> int:
    received = 0
    while piece := client.recv(1 << 16):
        received += len(piece)
    return received


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["alone", "two workers"])
def test_signal_ends_it_in_order_and_a_download_under_way_gets_its_end(
    big: IndexRepository, tools: Tools, options: tuple[str, ...]
) -> None:
    with serving(tools, big.path, *options) as running, download(running) as client:
        running.process.send_signal(signal.SIGTERM)
        address = running.url.removeprefix("http://").split(":")

        def is_refused() -> bool:
            with contextlib.suppress(OSError), socket.create_connection((address[0], int(address[1])), 1):
                return False
            return True

        eventually(is_refused, "new connections are still taken")
        assert running.process.poll() is None
        assert rest_of(client) == SIZE
        assert running.process.wait(WAIT) == 0
        assert not [line for line in running.said if not line.startswith("Serving ")]


def test_interrupt_ends_it_in_order_too(shop: IndexRepository, tools: Tools) -> None:
    with serving(tools, shop.path, "--workers", "2") as running:
        assert running.get(PAGE).status == 200
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(WAIT) in {0, 130}


def test_workers_answer_together_and_their_counters_add_up(shop: IndexRepository, tools: Tools) -> None:
    with serving(tools, shop.path, "--workers", "2") as running:
        assert len(workers_of(running)) == 2
        before = running.status()["counters"]
        asked = 60

        def ask(path: str, wanted: int) -> None:
            for _ in range(asked // 4):
                assert running.get(path).status == wanted

        paths = ((PAGE, 200), (PAGE, 200), ("/unknown", 404), ("/unknown", 404))
        threads = [threading.Thread(target=ask, args=arguments) for arguments in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        status = running.status()
        after = status["counters"]
        assert status["workers"] == 2
        assert after["status_200"] - before["status_200"] == asked // 2 + 1  # and the status before
        assert after["status_404"] - before["status_404"] == asked // 2
        assert after["page_hits"] + after["page_misses"] == asked // 2
        # A line is written when its answer has been sent.
        eventually(lambda: len(running.lines()) == asked + 2, "a line is missing in the log")


def test_killed_worker_is_replaced_and_what_it_counted_stays(shop: IndexRepository, tools: Tools) -> None:
    with serving(tools, shop.path, "--workers", "2") as running:
        for _ in range(20):
            assert running.get(PAGE).status == 200
        before, counted = workers_of(running), running.status()["counters"]["status_200"]
        killed = min(before)
        os.kill(killed, signal.SIGKILL)  # a process of this test
        eventually(lambda: len(workers_of(running) - {killed}) == 2, "no other worker took its place")
        for _ in range(20):
            assert running.get(PAGE).status == 200
        assert running.status()["counters"]["status_200"] >= counted + 20
        assert [line for line in running.said if f"worker {killed} ended" in line]
        assert min(before - {killed}) in workers_of(running)


def test_workers_end_with_their_parent_however_that_ends(shop: IndexRepository, tools: Tools) -> None:
    with pytest.raises(AssertionError), serving(tools, shop.path, "--workers", "2") as running:  # noqa: PT012
        workers = workers_of(running)
        running.process.kill()
        assert running.process.wait(WAIT) == -signal.SIGKILL
        eventually(lambda: not any(map(is_running, workers)), "a worker has outlived its parent")


def is_running(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_all_workers_follow_the_branch(shop: IndexRepository, tools: Tools) -> None:
    with serving(tools, shop.path, "--workers", "2") as running:
        commit = release(shop, "100.0")

        def is_everywhere() -> bool:
            return all(running.status()["revision"] == commit for _ in range(12))

        eventually(is_everywhere, "some worker serves an old commit")
        for _ in range(12):
            assert b"100.0" in running.get(PAGE).body


def test_it_is_served_below_a_prefix_that_is_written_in_any_way(shop: IndexRepository, tools: Tools) -> None:
    with serving(tools, shop.path, "--base-path", "tools/pypi/") as running:
        assert running.url.endswith("/tools/pypi")
        assert running.get(PAGE).status == 200
        assert get(running.url.removesuffix("/tools/pypi") + PAGE).status == 404


def refused(tools: Tools, repository: Path, *options: str) -> str:
    """Start what cannot be started, and return the line that it says."""
    command = [sys.executable, "-m", "gitindex", "-C", str(repository), "serve", "--port", "0", *options]
    done = subprocess.run(
        command, env=tools.environment_of_commands(), capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert done.returncode == 3, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_cannot_be_served_is_told_in_one_line(tmp_path: Path, tools: Tools, workers: str) -> None:
    empty = make_repository(tmp_path / "empty")
    shop = make_repository(tmp_path / "shop", shop_content())
    assert "has no commit to serve" in refused(tools, empty.path, "--workers", workers)
    assert "there is no branch 'nothing'" in refused(tools, shop.path, "--branch", "nothing", "--workers", workers)
    assert "not in a Git repository" in refused(tools, tmp_path, "--workers", workers)
    assert "no such file of tokens" in refused(tools, shop.path, "--tokens", str(tmp_path / "none.json"))
    (tmp_path / "file").write_text("")
    assert "file" in refused(tools, shop.path, "--cache", str(tmp_path / "file"), "--workers", workers)
    assert "cannot be written" in refused(tools, shop.path, "--access-log", str(tmp_path / "no/where"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        told = refused(tools, shop.path, "--port", port, "--workers", workers)
        assert f"127.0.0.1:{port} cannot be listened on" in told
    assert "cannot be listened on" in refused(tools, shop.path, "--host", "192.0.2.1", "--workers", workers)
