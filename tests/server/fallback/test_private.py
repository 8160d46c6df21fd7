"""Point 67: names of ours stay ours, and no upstream ever hears of them; and which of several mirrors answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import hosts
from tests.hosts import Host
from tests.repositories import Content, make_repository
from tests.server.client import Served, serving
from tests.server.fallback.mirrored import (
    ASKS_HTML,
    ASKS_JSON,
    PROD,
    Serve,
    Theirs,
    files_of,
    offer,
    their_wheel,
    world,
)


@pytest.fixture
def other() -> Iterator[Host]:
    with Host() as started:
        yield started


def ask_everything(server: Served, name: str, index: str, file: Theirs) -> list[int]:
    """Ask for all that might be asked of an upstream; return the statuses."""
    paths = [f"/{index}/simple/{name}/", f"/{index}/simple/{name}", f"/{index}/+simple/{name.upper()}/"]
    paths += [
        file.url(name, index),
        file.url(name, index, ".metadata"),
        file.url(name, index).replace(file.sha256, "-"),
    ]
    paths += [f"/@main{path}" for path in paths] + [f"/@2038-01-01{path}" for path in paths]
    methods = ("GET", "HEAD")
    return [server.request(method, path, accept).status for path in paths for method in methods for accept in FORMS]


FORMS = (ASKS_JSON, ASKS_HTML)


@pytest.mark.parametrize("name", ["acme-tools", "billing"])
def test_point_67_a_reserved_name_is_never_sent_upstream(host: Host, serve: Serve, name: str) -> None:
    evil = their_wheel(name, "99.0")
    offer(host, name, evil, core_metadata=True)
    server = serve(world(host))
    for index in ("emilie/dev", "emilie/prod", "root/world"):
        assert set(ask_everything(server, name, index, evil)) <= {200, 301, 404}
    for index in ("emilie/dev", "emilie/prod"):
        answer = server.get(f"/{index}/simple/{name}/", ASKS_JSON)
        assert (answer.status, answer.json["files"]) == (200, [])
    assert server.get(f"/root/world/simple/{name}/", ASKS_JSON).status == 404
    assert server.get(evil.url(name)).status == 404
    assert host.paths == []


def test_point_67_a_name_of_a_stage_is_never_sent_upstream(host: Host, serve: Serve) -> None:
    evil = their_wheel("ours", "99.0")
    offer(host, "ours", evil, core_metadata=True)
    server = serve(world(host))
    for index in ("emilie/dev", "emilie/prod"):
        assert set(ask_everything(server, "ours", index, evil)) <= {200, 301, 404}
        assert set(files_of(server, f"/{index}/simple/ours/")) == {"ours-1.0-py3-none-any.whl"}
    assert host.paths == []


def test_point_67_a_name_of_a_stage_is_not_asked_for_as_a_file_of_the_mirror_behind_it(
    host: Host, serve: Serve
) -> None:
    evil = their_wheel("ours", "99.0")
    server = serve(world(host))
    assert server.get(evil.url("ours")).status == 404
    assert host.paths in ([], ["/simple/ours/"])


def test_point_67_a_name_that_a_commit_makes_ours_is_asked_for_no_more(host: Host, serve: Serve) -> None:
    theirs = their_wheel("demo", "9.0")
    offer(host, "demo", theirs)
    content = world(host)
    assert set(files_of(serve(content))) == {theirs.filename}
    filename = content.release("emilie/prod", "demo", "1.0")
    asked = len(host.paths)
    later = serve(content)
    assert set(files_of(later)) == {filename}
    assert len(host.paths) == asked


def test_point_67_an_upstream_that_is_down_takes_nothing_of_ours(host: Host, serve: Serve) -> None:
    host.on("/simple/whatever/", hosts.silent)
    server = serve(world(host))
    assert server.get("/emilie/prod/simple/whatever/").status == 503
    assert server.get("/emilie/prod/simple/ours/", ASKS_JSON).status == 200
    assert server.get("/emilie/prod/simple/", ASKS_JSON).json["projects"] == [{"name": "ours"}]
    assert server.get("/emilie/prod/simple/acme-x/", ASKS_JSON).json["files"] == []


def with_whitelist(host: Host, names: list[str]) -> Content:
    content = world(host)
    content.release("emilie/prod", "shared", "1.0", text="ours")
    return content.stage("emilie/prod", volatile=False, bases=["root/world"], mirror_whitelist=names)


@pytest.mark.parametrize("names", [["shared"], ["*"]])
def test_a_whitelisted_name_shows_both_and_ours_wins_where_the_filename_is_the_same(
    host: Host, serve: Serve, names: list[str]
) -> None:
    same, newer = their_wheel("shared", "1.0"), their_wheel("shared", "2.0")
    offer(host, "shared", same, newer, yanked="theirs")
    server = serve(with_whitelist(host, names))
    path = "/emilie/prod/simple/shared/"
    files = files_of(server, path)
    assert set(files) == {same.filename, newer.filename}
    ours = files[same.filename]
    assert "/files/" in ours["url"]
    assert "root/world" not in ours["url"]
    assert "yanked" not in ours
    assert files[newer.filename]["yanked"] == "theirs"
    assert server.get(path, ASKS_JSON).json["versions"] == ["1.0", "2.0"]


def test_a_whitelisted_name_shows_ours_alone_while_the_upstream_is_down(host: Host, serve: Serve) -> None:
    host.on("/simple/shared/", hosts.status(503))
    server = serve(with_whitelist(host, ["shared"]))
    path = "/emilie/prod/simple/shared/"
    assert set(files_of(server, path)) == {"shared-1.0-py3-none-any.whl"}
    newer = their_wheel("shared", "2.0")
    offer(host, "shared", newer)
    assert set(files_of(server, path)) == {"shared-1.0-py3-none-any.whl", newer.filename}


def two_mirrors(first: Host, second: Host, **settings: object) -> Content:
    content = world(first)
    content.mirror("root/second", mirror_url=f"{second.url}/simple/", mirror_cache_expiry=0)
    return content.stage("emilie/prod", volatile=False, bases=["root/world", "root/second"], **settings)


def test_the_first_mirror_that_has_a_project_answers_alone(host: Host, other: Host, serve: Serve) -> None:
    wheels = {version: their_wheel("demo", version) for version in ("1.0", "2.0")}
    offer(host, "demo", wheels["1.0"])
    offer(other, "demo", wheels["2.0"])
    alone = their_wheel("alone")
    offer(other, "alone", alone)
    server = serve(two_mirrors(host, other))
    assert set(files_of(server)) == {wheels["1.0"].filename}
    assert other.paths == []
    files = files_of(server, "/emilie/prod/simple/alone/")
    assert "/root/second/files/" in files[alone.filename]["url"]
    assert host.paths.count("/simple/alone/") == 1
    assert server.get("/emilie/prod/simple/nowhere/").status == 404


@pytest.mark.parametrize(
    "answer",
    [hosts.status(500), hosts.status(401), hosts.hang_up, hosts.silent, hosts.content(b"x", Content_Type="a/b")],
)
def test_the_second_mirror_is_not_asked_while_the_first_is_down(
    host: Host, other: Host, serve: Serve, answer: hosts.Answer
) -> None:
    host.on("/simple/demo/", answer)
    offer(other, "demo", their_wheel("demo", "99.0"))
    server = serve(two_mirrors(host, other))
    answered = server.get("/emilie/prod/simple/demo/", ASKS_JSON)
    assert answered.status == 503
    assert answered.retry_after
    assert other.paths == []


def test_the_second_mirror_is_not_asked_either_for_what_is_ours_as_well(host: Host, other: Host, serve: Serve) -> None:
    host.on("/simple/ours/", hosts.status(500))
    offer(other, "ours", their_wheel("ours", "99.0"))
    server = serve(two_mirrors(host, other, mirror_whitelist=["ours"]))
    assert set(files_of(server, "/emilie/prod/simple/ours/")) == {"ours-1.0-py3-none-any.whl"}
    assert other.paths == []


def test_merged_mirrors_all_answer_and_of_one_filename_the_first_counts(host: Host, other: Host, serve: Serve) -> None:
    both, first, second = their_wheel("demo", "1.0"), their_wheel("demo", "2.0"), their_wheel("demo", "3.0")
    offer(host, "demo", both, first)
    offer(other, "demo", both, second)
    server = serve(two_mirrors(host, other, merge_mirrors=True))
    files = files_of(server)
    origins = {name: file["url"].split("/")[5] for name, file in files.items()}
    assert origins == {both.filename: "world", first.filename: "world", second.filename: "second"}


@pytest.mark.parametrize("is_first", [True, False])
def test_merged_mirrors_give_no_half_of_a_page_while_one_is_down(
    host: Host, other: Host, serve: Serve, *, is_first: bool
) -> None:
    up, down = (other, host) if is_first else (host, other)
    down.on("/simple/demo/", hosts.status(500))
    offer(up, "demo", their_wheel("demo", "1.0"))
    server = serve(two_mirrors(host, other, merge_mirrors=True))
    assert server.get("/emilie/prod/simple/demo/", ASKS_JSON).status == 503


def test_point_67_who_comes_after_a_commit_does_not_wait_for_what_was_begun_before_it(
    host: Host, tmp_path: Path
) -> None:
    theirs, go = their_wheel("demo", "9.0"), threading.Event()
    offer(host, "demo", theirs)
    host.on("/simple/demo/", hosts.held(go, hosts.status(404)))
    content = world(host)
    repository = make_repository(tmp_path / "packages", content)

    async def check() -> None:
        async with serving(repository, tmp_path / "cache") as client:
            client.state.live.stop()  # the step is taken by hand
            under_way = asyncio.create_task(client.get(PROD, ASKS_JSON))
            await asyncio.to_thread(host.has_request.wait, 30)
            filename = content.release("emilie/prod", "demo", "1.0")
            repository.put(content)
            await client.state._advance(repository.commit())
            async with asyncio.timeout(30):
                answer = await client.get(PROD, ASKS_JSON)
            assert [file["filename"] for file in answer.json["files"]] == [filename]
            go.set()
            await under_way
            again = await client.get(PROD, ASKS_JSON)
            assert again.body == answer.body

    try:
        asyncio.run(check())
    finally:
        go.set()
