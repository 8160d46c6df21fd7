"""What is served while its repository changes: pushes, commits, pulls, bad commits, rewritten history, restarts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gitindex.git import Past
from gitindex.server import live
from gitindex.site import render
from tests.repositories import Content, IndexRepository, bare_clone, make_repository
from tests.server.client import HTML, JSON, Served, serving
from tests.server.conftest import shop_content
from tests.server.watching import asking, commit_is, shown, status_when

MANY = "/emilie/dev/simple/many/"
PROD = "/emilie/prod/simple/foo-bar/"
PATHS = (MANY, PROD, "/emilie/dev/simple/", "/", "/emilie/dev/")


def release(repository: IndexRepository, version: str, index: str = "emilie/dev", name: str = "many") -> str:
    """Commit another release, and return the commit's id."""
    content = Content()
    content.release(index, name, version)
    repository.put(content)
    return repository.commit(f"Release {name} {version}")


def broken(repository: IndexRepository) -> str:
    """Commit what takes a release of a non-volatile index away."""
    (repository.path / "indexes/emilie/prod/foo-bar/1.0.json").unlink()
    return repository.commit("Take it back")


def test_commit_in_a_working_tree_is_served_and_no_request_fails(shop: IndexRepository, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client, asking(client, *PATHS):
            for version in ("100.0", "101.0"):
                commit = await asyncio.to_thread(release, shop, version)
                await shown(client, MANY, version)
                await commit_is(client, commit)

    asyncio.run(check())


def test_history_of_a_project_has_what_was_done_and_undone(shop: IndexRepository, tmp_path: Path) -> None:
    page = "emilie/dev/project/many/"

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            before = await client.get(f"/{page}", {"Accept": HTML})
            statement = Content()
            statement.statements("emilie/dev", "many", status="deprecated")
            shop.put(statement)
            shop.commit("State it")
            (shop.path / "indexes/emilie/dev/many/project.toml").unlink()
            commit = shop.commit("Take it back")
            await commit_is(client, commit)
            after = await client.get(f"/{page}", {"Accept": HTML, "If-None-Match": before.etag})
            assert after.status == 200
            assert after.body.count(b"stated yanks or status") == before.body.count(b"stated yanks or status") + 2
            repository = shop.open()
            render(repository.at(commit), tmp_path / "site", past=Past(repository, commit))
            assert after.body == (tmp_path / "site" / page / "index.html").read_bytes()

    asyncio.run(check())


def test_push_into_a_bare_repository_is_served_and_no_request_fails(shop: IndexRepository, tmp_path: Path) -> None:
    bare = bare_clone(shop, tmp_path / "bare.git")

    async def check() -> None:
        async with serving(bare, tmp_path / "cache") as client, asking(client, *PATHS):
            commit = await asyncio.to_thread(release, shop, "100.0")
            await asyncio.to_thread(shop.git, "push", "--quiet", str(bare), "main")
            await shown(client, MANY, "100.0")
            await commit_is(client, commit)

    asyncio.run(check())


def test_branch_of_the_remote_is_pulled_and_no_request_fails(shop: IndexRepository, tmp_path: Path) -> None:
    bare = bare_clone(shop, tmp_path / "bare.git")
    shop.git("clone", "--quiet", str(shop.path), str(tmp_path / "clone"))

    async def check() -> None:
        for place in (bare, tmp_path / "clone"):
            cache = tmp_path / f"cache-{place.name}"
            async with serving(place, cache, pull_every=0.1, reference="refs/heads/main") as client:
                async with asking(client, *PATHS):
                    version = "100.0" if place == bare else "101.0"
                    commit = await asyncio.to_thread(release, shop, version)
                    await shown(client, MANY, version)
                    await commit_is(client, commit)
                found = await status_when(client, lambda result: result["remote"]["last_success"] is not None)
                assert found["remote"]["problem"] is None

    asyncio.run(check())


def test_remote_that_is_gone_is_told_and_what_is_here_is_served(shop: IndexRepository, tmp_path: Path) -> None:
    bare = bare_clone(shop, tmp_path / "bare.git")
    shop.path.rename(tmp_path / "moved")

    async def check() -> None:
        async with serving(bare, tmp_path / "cache", pull_every=0.1) as client:
            found = await status_when(client, lambda result: result["remote"]["problem"] is not None)
            assert found["remote"]["last_success"] is None
            assert (await client.get(MANY)).status == 200
            (tmp_path / "moved").rename(shop.path)
            await status_when(client, lambda result: result["remote"]["problem"] is None)

    asyncio.run(check())


def test_remote_that_was_rewritten_is_told_once_in_the_log_and_counted(
    shop: IndexRepository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release(shop, "100.0")
    bare = bare_clone(shop, tmp_path / "bare.git")
    kept = shop.git("rev-parse", "HEAD").strip()
    shop.git("commit", "--quiet", "--amend", "-m", "Another one")

    async def check() -> None:
        async with serving(bare, tmp_path / "cache", pull_every=0.1) as client:
            found = await status_when(client, lambda result: result["remote"]["problem"] is not None)
            said = "the branch main of origin does not go on from the one here: it was rewritten"
            assert found["remote"]["problem"].startswith(said)
            assert "git fetch origin +main:main" in found["remote"]["problem"]
            assert b"\ngitindex_remote_failing 1.0\n" in (await client.get("/+metrics")).body
            shop.git("reset", "--quiet", "--hard", kept)
            await status_when(client, lambda result: result["remote"]["problem"] is None)
            assert b"\ngitindex_remote_failing 0.0\n" in (await client.get("/+metrics")).body

    asyncio.run(check())
    told = [record.getMessage() for record in caplog.records if "pulled" in record.getMessage()]
    assert len(told) == 2
    assert told[0].startswith("the branch cannot be pulled: the branch main of origin does not go on")
    assert told[1] == "the branch is pulled again"


def test_commit_that_is_not_served_is_told_in_one_line_of_the_log(
    shop: IndexRepository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> str:
        async with serving(shop, tmp_path / "cache") as client:
            bad = await asyncio.to_thread(broken, shop)
            await status_when(client, lambda result: result["refused"] is not None)
            return bad

    bad = asyncio.run(check())
    told = [record.getMessage() for record in caplog.records if "not served" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith(f"{bad[:12]} is not served: indexes/emilie/prod/foo-bar")
    assert "\n" not in told[0]
    assert told[0].endswith("; see /+status")


def test_request_is_answered_from_one_revision(tmp_path: Path) -> None:
    """Every commit moves all versions on by one: a page that mixed two commits would have versions of both."""
    content = Content().settings().user("emilie", email="emilie@example.org").stage("emilie/dev")
    repository = make_repository(tmp_path / "packages", content)

    def move(number: int) -> str:
        for path in repository.path.glob("indexes/emilie/dev/*/*.json"):
            path.unlink()
        step = Content()
        for name in ("one", "two"):
            for part in range(3):
                step.release("emilie/dev", name, f"{number}.{part}")
        repository.put(step)
        return repository.commit(f"Step {number}")

    move(0)

    async def check() -> None:
        async with serving(repository, tmp_path / "cache") as client:
            pages = [f"/emilie/dev/simple/{name}/" for name in ("one", "two")]
            async with asking(client, *pages, *pages) as answers:
                for number in range(1, 6):
                    commit = await asyncio.to_thread(move, number)
                    await commit_is(client, commit)
            for answer in answers:
                assert len({version.partition(".")[0] for version in answer.json["versions"]}) == 1
                assert len(answer.json["versions"]) == 3
            seen = {answer.json["versions"][0].partition(".")[0] for answer in answers}
            assert len(seen) > 1

    asyncio.run(check())


def test_bad_commit_is_not_served_and_a_mending_one_is(shop: IndexRepository, tmp_path: Path) -> None:
    good = shop.git("rev-parse", "HEAD")

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client, asking(client, *PATHS):
            before = (await client.get(PROD, {"Accept": JSON})).body
            bad = await asyncio.to_thread(broken, shop)
            found = await status_when(client, lambda result: result["refused"] is not None)
            assert found["refused"]["commit"] == bad
            assert "GI203" in {finding["code"] for finding in found["refused"]["findings"]}
            assert (found["state"], found["revision"]) == ("degraded", good)
            assert (await client.get(PROD, {"Accept": JSON})).body == before
            metrics = (await client.get("/+metrics")).body
            assert b"\ngitindex_revision_refused 1.0\n" in metrics
            await asyncio.to_thread(shop.git, "revert", "--no-edit", "HEAD")
            mended = await asyncio.to_thread(release, shop, "100.0")
            await shown(client, MANY, "100.0")
            await commit_is(client, mended)
            found = await status_when(client, lambda result: result["state"] == "serving")
            assert b"\ngitindex_revision_refused 0.0\n" in (await client.get("/+metrics")).body

    asyncio.run(check())


def test_modules_in_the_repository_are_not_run(
    shop: IndexRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was started in a working tree has in its folder whatever a commit brings there."""
    monkeypatch.chdir(shop.path)
    trace = tmp_path / "run"

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            for name in ("gitindex", "typer", "json", "encodings"):
                shop.write(f"{name}.py", f"open({str(trace)!r}, 'a').write({name!r})\n")
            await commit_is(client, await asyncio.to_thread(release, shop, "100.0"))

    asyncio.run(check())
    assert not trace.exists()


def test_commit_that_breaks_and_is_taken_back_by_hand_is_forgotten(shop: IndexRepository, tmp_path: Path) -> None:
    good = shop.git("rev-parse", "HEAD")

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            await asyncio.to_thread(broken, shop)
            await status_when(client, lambda result: result["refused"] is not None)
            await asyncio.to_thread(shop.git, "reset", "--quiet", "--hard", good)
            await commit_is(client, good)

    asyncio.run(check())


def test_rewritten_history_is_refused_until_it_is_asked_for(shop: IndexRepository, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            first = await asyncio.to_thread(release, shop, "100.0")
            await commit_is(client, first)
            await asyncio.to_thread(shop.git, "reset", "--quiet", "--hard", "HEAD~1")
            other = await asyncio.to_thread(release, shop, "200.0")
            found = await status_when(client, lambda result: result["refused"] is not None)
            assert (found["refused"]["commit"], found["revision"]) == (other, first)
            assert {finding["code"] for finding in found["refused"]["findings"]} == {"GI210"}
        async with serving(shop, tmp_path / "cache") as client:  # remembers what was good
            await status_when(client, lambda result: result["refused"] is not None and result["revision"] == first)
            assert "100.0" in (await client.get(MANY, {"Accept": JSON})).json["versions"]
        async with serving(shop, tmp_path / "cache", is_afresh=True) as client:
            await commit_is(client, other)
            assert "200.0" in (await client.get(MANY, {"Accept": JSON})).json["versions"]

    asyncio.run(check())


def test_restart_serves_the_last_good_commit_at_once(shop: IndexRepository, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            good = await asyncio.to_thread(release, shop, "100.0")
            await commit_is(client, good)
        bad = broken(shop)
        async with serving(shop, tmp_path / "cache") as client:
            assert (await client.get(PROD, {"Accept": JSON})).json["versions"][0] == "1.0"
            found = await status_when(client, lambda result: result["refused"] is not None)
            assert (found["refused"]["commit"], found["revision"]) == (bad, good)

    asyncio.run(check())


def test_start_without_a_memory_goes_back_from_a_bad_commit(shop: IndexRepository, tmp_path: Path) -> None:
    good = release(shop, "100.0")
    bad = broken(shop)

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            found = await status_when(client, lambda result: result["revision"] == good)
            assert found["refused"]["commit"] == bad
            await shown(client, PROD, "1.0")

    asyncio.run(check())


def test_memory_that_is_damaged_or_of_another_repository_is_no_obstacle(shop: IndexRepository, tmp_path: Path) -> None:
    head = shop.git("rev-parse", "HEAD")
    for kept in (b"", b"{", b"[]", b"null", json.dumps({"HEAD .": {"commit": "0" * 40}}).encode(), b'{"HEAD .": 1}'):
        (tmp_path / "cache").mkdir(exist_ok=True)
        (tmp_path / "cache/served.json").write_bytes(kept)
        with Served(shop, tmp_path / "cache") as served:
            assert served.get("/+status").json["result"]["revision"] == head
            assert served.get(MANY).status == 200


def test_other_branch_than_the_checked_out_one_is_followed(shop: IndexRepository, tmp_path: Path) -> None:
    shop.git("branch", "stable")

    async def check() -> None:
        async with serving(shop, tmp_path / "cache", reference="refs/heads/stable") as client:
            new = await asyncio.to_thread(release, shop, "100.0")
            assert "100.0" not in (await client.get(MANY, {"Accept": JSON})).json["versions"]
            await asyncio.to_thread(shop.git, "update-ref", "refs/heads/stable", new)
            await shown(client, MANY, "100.0")

    asyncio.run(check())


def test_peoples_pages_and_the_feed_follow(shop: IndexRepository, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            paths = ("/emilie/dev/", "/emilie/dev/feed.xml", "/emilie/dev/project/fresh/", "/emilie/dev/project/many/")
            before = [(await client.get(path, {"Accept": HTML})).body for path in paths]
            release(shop, "0.5", name="fresh")
            await commit_is(client, release(shop, "0.6", name="fresh"))
            after = [await client.get(path, {"Accept": HTML}) for path in paths]
            assert [answer.status for answer in after] == [200] * 4
            assert [answer.body != old for answer, old in zip(after, before, strict=True)] == [True, True, True, False]
            assert b"fresh" in after[0].body
            assert b"0.6" in after[1].body

    asyncio.run(check())


def test_index_that_is_new_is_there_and_one_that_is_gone_is_not(tmp_path: Path) -> None:
    content = shop_content().stage("emilie/scratch")
    content.release("emilie/scratch", "short", "1.0")
    repository = make_repository(tmp_path / "packages", content)

    def swap() -> str:
        repository.git("rm", "-r", "--quiet", "indexes/emilie/scratch")
        repository.put(Content().stage("emilie/later", bases=["emilie/dev"]))
        return repository.commit()

    async def check() -> None:
        async with serving(repository, tmp_path / "cache") as client:
            for path in ("/emilie/scratch/", "/emilie/scratch/simple/", "/emilie/scratch/simple/short/"):
                assert (await client.get(path)).status == 200
            assert (await client.get("/emilie/later/simple/many/")).status == 404
            await commit_is(client, await asyncio.to_thread(swap))
            for path in ("/emilie/scratch/", "/emilie/scratch/simple/", "/emilie/scratch/simple/short/"):
                assert (await client.get(path)).status == 404
            assert (await client.get("/emilie/later/simple/many/")).status == 200

    asyncio.run(check())


def test_following_goes_on_after_a_failure_that_nobody_foresaw(
    shop: IndexRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_AGAIN", 0.1)

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            serve, failures = client.state.live.on_change, [ZeroDivisionError("once")]

            def fail_once(commit: str) -> None:
                if failures:
                    raise failures.pop()
                serve(commit)

            client.state.live.on_change = fail_once
            commit = release(shop, "100.0")
            await commit_is(client, commit)
            assert not failures

    asyncio.run(check())
