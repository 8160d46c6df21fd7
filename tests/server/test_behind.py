"""How far a server says that it is behind, and whether fetching or validation is to blame."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gitindex.git.command import run_git
from tests.repositories import IndexRepository, bare_clone
from tests.server.client import Client, serving
from tests.server.test_live import MANY, broken, release
from tests.server.watching import commit_is, status_when


@pytest.fixture
def bare(shop: IndexRepository, tmp_path: Path) -> Path:
    """Return a bare clone, whose remote is the shop."""
    return bare_clone(shop, tmp_path / "bare.git")


async def metrics(client: Client) -> dict[str, float]:
    lines = (await client.get("/+metrics")).body.decode().splitlines()
    return {name: float(number) for name, _, number in (line.rpartition(" ") for line in lines if line[0] != "#")}


def broken_at(repository: IndexRepository, moment: datetime) -> None:
    """Commit what does not validate, as if at another time; nobody sees it with any other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", moment.isoformat())
        broken(repository)


def test_server_that_serves_the_newest_commit_is_not_behind(shop: IndexRepository, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            found = await status_when(client, lambda _: True)
            assert found["behind"] == {"commits": 0, "seconds": 0}
            assert (found["state"], found["failing"], found["remote"]) == ("serving", [], None)
            told = await metrics(client)
            assert (told["gitindex_behind_commits"], told["gitindex_behind_seconds"]) == (0, 0)
            assert "gitindex_remote_last_success_timestamp_seconds" not in told

    asyncio.run(check())


def test_commits_that_do_not_validate_are_counted_with_the_age_of_the_oldest(
    shop: IndexRepository, bare: Path, tmp_path: Path
) -> None:
    async def check() -> None:
        async with serving(bare, tmp_path / "cache", pull_every=0.2) as client:
            await status_when(client, lambda result: result["remote"]["last_success"] is not None)
            broken_at(shop, datetime.now(UTC) - timedelta(hours=1))
            first = await status_when(client, lambda result: result["refused"] is not None)
            assert (first["state"], first["failing"]) == ("degraded", ["validation"])
            assert first["behind"]["commits"] == 1
            assert 3600 <= first["behind"]["seconds"] < 3700
            second = release(shop, "100.0")
            found = await status_when(client, lambda result: result["remote"]["tip"] == second)
            found = await status_when(client, lambda result: (result["refused"] or {}).get("commit") == second)
            assert found["behind"]["commits"] == 2
            assert 3600 <= found["behind"]["seconds"] < 3700
            assert found["remote"]["problem"] is None
            assert 0 <= found["remote"]["seconds_since_success"] < 60
            told = await metrics(client)
            assert told["gitindex_behind_commits"] == 2
            assert 3600 <= told["gitindex_behind_seconds"] < 3700
            success = told["gitindex_remote_last_success_timestamp_seconds"]
            assert abs(success - datetime.now(UTC).timestamp()) < 60
            shop.git("revert", "--no-edit", "HEAD~1")
            await commit_is(client, shop.git("rev-parse", "HEAD"))
            found = await status_when(client, lambda result: result["state"] == "serving")
            assert (found["behind"], found["failing"]) == ({"commits": 0, "seconds": 0}, [])

    asyncio.run(check())


def test_commit_of_a_time_to_come_has_no_age(shop: IndexRepository, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            broken_at(shop, datetime.now(UTC) + timedelta(days=400))
            found = await status_when(client, lambda result: result["behind"]["commits"] == 1)
            assert found["behind"]["seconds"] == 0

    asyncio.run(check())


@pytest.mark.parametrize("is_bare", [True, False])
def test_commits_of_a_rewritten_remote_are_counted(shop: IndexRepository, tmp_path: Path, *, is_bare: bool) -> None:
    release(shop, "100.0")
    place = tmp_path / "clone"
    shop.git("clone", "--quiet", *(["--bare"] if is_bare else []), str(shop.path), str(place))
    served = shop.git("rev-parse", "HEAD")
    shop.git("reset", "--quiet", "--hard", "HEAD~1")
    release(shop, "200.0")
    tip = release(shop, "201.0")

    async def check() -> None:
        async with serving(place, tmp_path / "cache", pull_every=0.2, reference="refs/heads/main") as client:
            found = await status_when(client, lambda result: result["remote"]["problem"] is not None)
            assert (found["revision"], found["remote"]["tip"], found["refused"]) == (served, tip, None)
            assert (found["state"], found["failing"]) == ("degraded", ["fetch"])
            assert found["behind"]["commits"] == 2

    asyncio.run(check())


def test_run_after_another_knows_what_was_fetched_last_and_not_what_failed_then(
    shop: IndexRepository, bare: Path, tmp_path: Path
) -> None:
    cache, moved = tmp_path / "cache", tmp_path / "moved"
    place = shop.path

    async def check() -> None:
        async with serving(bare, cache, pull_every=0.2) as client:
            bad = broken(shop)
            before = await status_when(client, lambda result: result["refused"] is not None)
            place.rename(moved)
            before = await status_when(client, lambda result: result["remote"]["problem"] is not None)
            assert before["failing"] == ["fetch", "validation"]
        assert json.loads((cache / "pulled.json").read_bytes())["HEAD " + str(bare)]["problem"]
        async with serving(bare, cache, pull_every=0.2) as client:
            found = await status_when(client, lambda result: result["failing"] == ["fetch", "validation"])
            remote = found["remote"]
            assert (remote["tip"], remote["last_success"]) == (bad, before["remote"]["last_success"])
            assert found["behind"]["commits"] == 1
        moved.rename(place)
        async with serving(bare, cache, hook_secret=b"x" * 32) as client:  # fetches at the start
            found = await status_when(client, lambda result: result["failing"] == ["validation"])
            assert found["remote"]["problem"] is None

    asyncio.run(check())


def is_fresh(result: Any) -> bool:
    age = result["remote"]["seconds_since_success"]
    return age is not None and age < 60


def test_record_that_is_damaged_or_wrong_is_no_obstacle(bare: Path, tmp_path: Path) -> None:
    key = f"HEAD {bare}"
    right = {"started": 1.0, "succeeded": 1.0, "tip": None, "problem": "", "run": ""}
    wrong: list[Any] = [None, [], {}, {key: None}, {key: []}, {key: {**right, "tip": "main"}}]
    values: list[Any] = [[1], "\x1b[2J", 1e300]
    wrong += [{key: {**right, name: value}} for name in ("started", "succeeded", "tip") for value in values]
    texts = [b"", b"{", b"\xff", b"NaN", b'{"%s": {"started": NaN}}' % key.encode()]
    (tmp_path / "cache").mkdir()

    async def check() -> None:
        for data in [*texts, *(json.dumps(document).encode() for document in wrong)]:
            (tmp_path / "cache/pulled.json").write_bytes(data)
            async with serving(bare, tmp_path / "cache", pull_every=60.0) as client:
                assert (await client.get("/+status")).status == 200, data
                found = await status_when(client, is_fresh)
                assert found["failing"] == []
                assert (await client.get(MANY)).status == 200

    asyncio.run(check())


def test_remote_commit_that_is_not_here_makes_it_unknown(bare: Path, tmp_path: Path) -> None:
    kept = {"started": 1.0, "succeeded": 1.0, "tip": "1" * 40, "problem": "", "run": ""}
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/pulled.json").write_text(json.dumps({f"HEAD {bare}": kept}))
    (bare / "config").write_text((bare / "config").read_text().replace("url = ", "url = /nowhere"))

    async def check() -> None:
        async with serving(bare, tmp_path / "cache", pull_every=60.0) as client:
            found = await status_when(client, lambda result: result["failing"] == ["fetch"])
            assert found["behind"] == {"commits": None, "seconds": None}
            assert "gitindex_behind_commits" not in await metrics(client)

    asyncio.run(check())


def test_credentials_in_the_url_of_the_remote_are_told_to_nobody(
    bare: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://emilie:hidden@127.0.0.1:{taken.getsockname()[1]}/packages.git"
        run_git(bare, "config", "remote.origin.url", url)

        async def check() -> None:
            async with serving(bare, tmp_path / "cache", pull_every=60.0) as client:
                found = await status_when(client, lambda result: result["failing"] == ["fetch"])
                assert "http://127.0.0.1:" in found["remote"]["problem"]
                assert b"hidden" not in (await client.get("/+status")).body

        asyncio.run(check())
    assert "cannot be pulled" in caplog.text
    assert "hidden" not in caplog.text
    assert b"hidden" not in (tmp_path / "cache/pulled.json").read_bytes()
