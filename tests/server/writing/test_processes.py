"""Uploads to a server as it is run: several processes, many clients, and a kill at any moment."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitindex import tokens
from gitindex.server.counters import Counters
from tests.builders import make_wheel
from tests.peers.serving import WAIT, Serving, get, serving
from tests.peers.tools import Tools, done
from tests.repositories import IndexRepository, bare_clone, make_repository
from tests.server import client
from tests.server.client import JSON, basic
from tests.server.writing.form import BOUNDARY, team_content, upload_form

Wheel = tuple[str, bytes]
FIELDS = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    home = tmp_path / "home"
    home.mkdir()
    return Tools(home)


@pytest.fixture
def bare(tmp_path: Path) -> IndexRepository:
    return IndexRepository(bare_clone(make_repository(tmp_path / "packages", team_content()), tmp_path / "bare.git"))


@pytest.fixture
def headers(store: Path) -> dict[str, str]:
    token = tokens.create(store, "e", ["upload:*"], expires=None, now=datetime.now(UTC), user="emilie").text
    return {**FIELDS, **basic(token)}


def options(store: Path, *more: str) -> tuple[str | Path, ...]:
    return ("--writable", "--tokens", store, "--public", "*", *more)


def post(running: Serving, wheel: Wheel, headers: dict[str, str], index: str = "emilie/prod") -> int:
    """Upload a wheel, and return the status."""
    return get(f"{running.url}/{index}/", "POST", None, None, upload_form(*wheel), **headers).status


def listed(running: Serving, project: str, index: str = "emilie/prod") -> dict[str, str]:
    """Return the hashes of the files of a project by name; none where it is not there."""
    got = running.get(f"/{index}/simple/{project}/", Accept=JSON)
    files = json.loads(got.body)["files"] if got.status == 200 else []
    return {file["filename"]: file["hashes"]["sha256"] for file in files}


def hashes(wheels: Iterable[Wheel]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in wheels}


def check(tools: Tools, repository: IndexRepository) -> None:
    """Make sure that Git, the rules and the history find a repository in order, and its history one line."""
    repository.git("fsck", "--no-dangling", "--strict")
    done(tools.gitindex(repository.path, "validate", "--head", "HEAD", "--all"))
    done(tools.gitindex(repository.path, "audit"))
    assert repository.git("rev-list", "--count", "--merges", "main") == "0"


@pytest.mark.parametrize("workers", ["1", "3"])
def test_uploads_of_many_clients_all_land(
    tools: Tools, bare: IndexRepository, store: Path, headers: dict[str, str], workers: str
) -> None:
    wheels = [make_wheel(f"demo-{number % 5}", f"{number}.0") for number in range(40)]
    more = options(store, "--workers", workers)
    with serving(tools, bare.path, *more) as running, ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda wheel: post(running, wheel, headers), wheels)) == {200}
        # The same ones again, and others of the same names, at the same time.
        others = [make_wheel(f"demo-{number % 5}", f"{number}.0", requires_python=">=3.9") for number in range(5)]
        answers = list(pool.map(lambda wheel: post(running, wheel, headers), [*wheels[:5], *others]))
        assert answers == [200] * 5 + [409] * 5
    check(tools, bare)
    assert bare.git("rev-list", "--count", "main") == "41"
    with serving(tools, bare.path) as running:
        for number in range(5):
            mine = [wheel for place, wheel in enumerate(wheels) if place % 5 == number]
            assert listed(running, f"demo-{number}") == hashes(mine)


@pytest.mark.parametrize("workers", ["1", "3"])
def test_what_was_uploaded_is_there_for_who_asks_then(
    tools: Tools, bare: IndexRepository, store: Path, headers: dict[str, str], workers: str
) -> None:
    with serving(tools, bare.path, *options(store, "--workers", workers)) as running:
        for number in range(10):
            wheel = make_wheel("demo", f"{number}.0")
            assert post(running, wheel, headers) == 200
            assert all(wheel[0] in listed(running, "demo") for _ in range(6))  # whichever worker is asked


def test_what_other_workers_wrote_is_waited_for_no_longer_than_a_while(
    team: IndexRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer comes, whatever becomes of the look at the branch, and one that hangs is waited for once."""
    monkeypatch.setattr("gitindex.server.state._CATCH_UP", 0.2)
    counters, over, looks = Counters(2), threading.Event(), []

    def fail() -> None:
        looks.append("fails")
        raise OSError("no such disk")

    def hang() -> None:
        looks.append("hangs")
        over.wait(WAIT)

    async def check() -> None:
        async with client.serving(team, tmp_path / "cache") as asking:
            state = asking.state
            state.live.stop()  # who follows the branch looks at it too
            state.counters = counters
            for look in (fail, hang):
                monkeypatch.setattr(state.live, "look", look)
                counters.use_row(1)
                counters.add("writes")
                counters.use_row(0)
                assert state.is_behind
                assert (await asking.get("/emilie/dev/simple/", {"Accept": JSON})).status == 200
                assert not state.is_behind
            over.set()
        assert looks == ["fails", "hangs"]

    asyncio.run(check())


def test_pushes_and_uploads_at_once_all_land(
    tools: Tools, bare: IndexRepository, store: Path, headers: dict[str, str]
) -> None:
    clone = IndexRepository(store.with_name("clone"))
    subprocess.run(["git", "clone", "--quiet", bare.path, clone.path], check=True)
    wheels = [make_wheel("demo", f"{number}.0") for number in range(12)]
    with serving(tools, bare.path, *options(store)) as running, ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda wheel: post(running, wheel, headers), wheels)
        for number in range(4):
            clone.write("notes.txt", f"{number}")
            clone.commit(f"By hand {number}")
            for _ in range(50):
                clone.git("pull", "--quiet", "--rebase", "origin", "main")
                pushed = subprocess.run(
                    ["git", "push", "--quiet", "origin", "main"], cwd=clone.path, capture_output=True, check=False
                )
                if pushed.returncode == 0:
                    break
            else:
                pytest.fail("the push never came through")
        assert set(answers) == {200}
        assert listed(running, "demo") == hashes(wheels)
    check(tools, bare)
    assert bare.git("rev-list", "--count", "main") == "17"


def test_a_server_that_is_killed_leaves_each_upload_whole_or_absent(
    tools: Tools, bare: IndexRepository, store: Path, headers: dict[str, str]
) -> None:
    chance = random.Random(7)  # noqa: S311
    numbers = itertools.count()
    sent: dict[str, str] = {}
    answered: set[str] = set()
    for _ in range(6):
        with serving(tools, bare.path, *options(store)) as running:
            stopped = threading.Event()

            def upload(running: Serving, stopped: threading.Event) -> None:
                while not stopped.is_set():
                    wheel = make_wheel("demo", f"{next(numbers)}.0")
                    sent.update(hashes([wheel]))
                    try:
                        if post(running, wheel, headers) == 200:
                            answered.add(wheel[0])
                    except (OSError, http.client.HTTPException):
                        return

            clients = [threading.Thread(target=upload, args=(running, stopped)) for _ in range(4)]
            for client in clients:
                client.start()
            time.sleep(chance.uniform(0.1, 0.8))
            os.kill(running.process.pid, signal.SIGKILL)
            running.process.wait()
            stopped.set()
            for client in clients:
                client.join()
            running.process.returncode = 0  # that is what was wanted
        check(tools, bare)
    with serving(tools, bare.path) as running:
        found = listed(running, "demo")
    assert answered <= set(found)
    assert found.items() <= sent.items()
    assert len(found) == int(bare.git("rev-list", "--count", "main")) - 1
    assert answered
