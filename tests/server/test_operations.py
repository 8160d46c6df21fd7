"""What a server does for those who run it, and to itself: logs, threads, and how it ends."""

from __future__ import annotations

import threading
from pathlib import Path

from gitindex.server.live import Source
from gitindex.server.state import Options, State
from tests.repositories import IndexRepository
from tests.server.fallback.process import running


def test_log_that_cannot_be_written_costs_no_answer_and_is_told_once(shop: IndexRepository, tmp_path: Path) -> None:
    with running(shop, tmp_path / "cache", "--access-log", "/dev/full") as server:
        connection = server.connect()
        for _ in range(3):
            for path in ("/+api", "/emilie/prod/simple/"):
                connection.request("GET", path)
                answer = connection.getresponse()
                assert (answer.status, answer.will_close) == (200, False)
                assert answer.read()
        assert connection.sock is not None  # it was kept open
        connection.close()
    assert [line for line in server.said if "Serving" not in line] == [
        "gitindex: the access log cannot be written: No space left on device\n"
    ]


def test_nothing_goes_on_of_a_server_that_was_never_started(shop: IndexRepository, tmp_path: Path) -> None:
    """It is forked: a lock that one of its threads holds would be held by all workers, for ever."""
    for number in range(3000):
        file = tmp_path / "cache" / "files" / f"{number % 100}" / f"{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
        file.chmod(0o400)
    before = threading.active_count()
    State(Options(Source(shop.root, None), tmp_path / "cache")).discard()
    assert threading.active_count() == before
