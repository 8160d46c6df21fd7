"""Points 44, 45, 65, 66, 69 and 70: what the server remembers of an upstream, and what it answers without one."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from gitindex.upstream.health import Patience
from tests import hosts
from tests.hosts import Host
from tests.repositories import make_repository
from tests.server.client import Response, serving
from tests.server.fallback.mirrored import (
    ASKS_HTML,
    ASKS_JSON,
    DEMO,
    PROD,
    Serve,
    files_of,
    offer,
    their_wheel,
    world,
)
from tests.upstream.pages import page, projects, sent

FAILURES = [
    hosts.status(500),
    hosts.status(403),
    hosts.status(429),
    hosts.hang_up,
    sent(b"<html>Sign in to the hotel's network", "application/json"),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_point_45_an_outage_is_503_and_never_404_and_is_over_when_it_is_over(
    host: Host, serve: Serve, failure: hosts.Answer
) -> None:
    wheel = their_wheel("demo")
    server = serve(world(host))
    host.on("/simple/demo/", failure)
    for path in (PROD, DEMO, wheel.url("demo"), wheel.url("demo", suffix=".metadata")):
        for method in ("GET", "HEAD"):
            answer = server.request(method, path)
            assert answer.status == 503, path
            assert int(answer.retry_after) > 0
            assert answer.cache_control == "no-store"
    host.on("/simple/", failure)
    assert server.get("/root/world/simple/").status == 503
    offer(host, "demo", wheel)
    assert set(files_of(server)) == {wheel.filename}
    assert server.get(wheel.url("demo")).body == wheel.data


@pytest.mark.parametrize("failure", [hosts.silent, hosts.dripping, hosts.dripping_head])
def test_point_45_an_upstream_that_hangs_is_given_up_in_time(host: Host, serve: Serve, failure: hosts.Answer) -> None:
    wheel = their_wheel("demo")
    offer(host, "demo", wheel)
    server = serve(world(host), patience=Patience(connect=1, silence=0.3, whole=0.5, pause=0))
    assert set(files_of(server)) == {wheel.filename}
    host.on("/simple/demo/", failure)
    host.on("/simple/other/", failure)
    assert set(files_of(server)) == {wheel.filename}
    answer = server.get(PROD.replace("demo", "other"))
    assert answer.status == 503
    assert answer.retry_after


@pytest.mark.parametrize("failure", FAILURES)
def test_points_66_and_70_a_page_that_was_seen_outlives_an_outage_and_a_restart(
    host: Host, serve: Serve, failure: hosts.Answer
) -> None:
    wheel = their_wheel("demo")
    offer(host, "demo", wheel)
    server = serve(world(host))
    before = server.get(PROD, ASKS_JSON)
    host.on("/simple/demo/", failure)
    for running in (server, serve(world(host))):
        assert running.get(PROD, ASKS_JSON) == before
        assert running.get(DEMO, ASKS_HTML).status == 200
        assert running.get(wheel.url("demo")).body == wheel.data


def test_point_70_without_an_upstream_what_was_fetched_is_served(serve: Serve) -> None:
    wheel, missing = their_wheel("demo"), their_wheel("demo", "2.0")
    with Host() as leaving:
        offer(leaving, "demo", wheel, missing, core_metadata=True)
        leaving.on("/simple/", sent(projects("demo")))
        server = serve(world(leaving))
        paths = (PROD, wheel.url("demo"), wheel.url("demo", suffix=".metadata"), "/root/world/simple/")
        before = [server.get(path, ASKS_JSON) for path in paths]
        assert [answer.status for answer in before] == [200] * len(paths)
    for running in (server, serve(world(leaving))):
        assert [running.get(path, ASKS_JSON) for path in paths] == before
        assert running.get(missing.url("demo")).status == 503
        assert running.get(PROD.replace("demo", "other")).status == 503


def test_a_restart_keeps_pages_and_files_and_asks_nothing(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    offer(host, "demo", wheel)
    content = world(host, mirror_cache_expiry=3600)
    for _ in range(3):
        server = serve(content)
        assert set(files_of(server)) == {wheel.filename}
        assert server.get(wheel.url("demo")).body == wheel.data
    assert host.paths == ["/simple/demo/", wheel.path]


def test_point_66_a_page_is_asked_for_again_with_its_validator(host: Host, serve: Serve) -> None:
    body = page(their_wheel("demo").entry())
    host.on("/simple/demo/", hosts.validated(body, '"one"', Content_Type=ASKS_JSON["accept"]))
    server = serve(world(host))
    first, second = server.get(PROD, ASKS_JSON), server.get(PROD, ASKS_JSON)
    assert first == second
    assert [request.headers.get("If-None-Match") for request in host.requests] == [None, '"one"']
    assert server.get(PROD, {**ASKS_JSON, "if-none-match": first.etag}).status == 304


def test_point_44_that_a_project_is_not_there_is_believed_for_a_while(host: Host, serve: Serve) -> None:
    server = serve(world(host, mirror_cache_expiry=3600))
    for path in (PROD, DEMO, "/emilie/dev/simple/demo/", their_wheel("demo").url("demo")):
        for accept in (ASKS_JSON, ASKS_HTML):
            assert server.get(path, accept).status == 404
    assert host.paths == ["/simple/demo/"]
    assert serve(world(host, mirror_cache_expiry=3600)).get(PROD).status == 404
    assert host.paths == ["/simple/demo/"]


def test_a_project_that_is_gone_upstream_is_gone_and_its_kept_files_are_not(host: Host, serve: Serve) -> None:
    kept, other = their_wheel("demo", "1.0"), their_wheel("demo", "2.0")
    offer(host, "demo", kept, other)
    server = serve(world(host))
    assert server.get(kept.url("demo")).body == kept.data
    host.on("/simple/demo/", hosts.status(404))
    assert server.get(PROD).status == 404
    assert server.get(kept.url("demo")).body == kept.data
    assert server.get(other.url("demo")).status == 404


def test_point_69_a_file_that_the_upstream_has_taken_back_stays_downloadable_and_is_on_no_page(
    host: Host, serve: Serve
) -> None:
    kept, other = their_wheel("demo", "1.0"), their_wheel("demo", "2.0")
    offer(host, "demo", kept, other, core_metadata=True)
    server = serve(world(host))
    for suffix in ("", ".metadata"):
        assert server.get(kept.url("demo", suffix=suffix)).status == 200
    offer(host, "demo", other)
    host.on(kept.path, hosts.status(404))
    for running in (server, serve(world(host))):
        assert set(files_of(running)) == {other.filename}
        answer = running.get(kept.url("demo"))
        assert (answer.status, answer.body) == (200, kept.data)
        assert running.get(kept.url("demo"), {"range": "bytes=0-9"}).body == kept.data[:10]
        assert running.get(kept.url("demo", suffix=".metadata")).body == kept.core_metadata


@pytest.mark.parametrize("is_there", [True, False])
def test_point_65_many_who_wait_for_a_page_cause_one_request(host: Host, tmp_path: Path, *, is_there: bool) -> None:
    go, wheel = threading.Event(), their_wheel("demo")
    answer = sent(page(wheel.entry())) if is_there else hosts.status(404)
    host.on("/simple/demo/", hosts.held(go, answer))
    host.on(wheel.path, wheel.data)
    repository = make_repository(tmp_path / "packages", world(host, mirror_cache_expiry=60))

    async def ask() -> list[Response]:
        async with serving(repository, tmp_path / "cache") as client:
            paths = [PROD, DEMO, "/emilie/dev/simple/demo/", wheel.url("demo")] * 25
            tasks = [asyncio.create_task(client.get(path, form)) for path in paths for form in (ASKS_JSON, ASKS_HTML)]
            assert await asyncio.to_thread(host.has_request.wait, 30)
            go.set()
            return await asyncio.gather(*tasks)

    answers = asyncio.run(ask())
    assert {answer.status for answer in answers} == {200 if is_there else 404}
    assert host.paths.count("/simple/demo/") == 1


def test_point_65_a_client_that_goes_away_does_not_take_the_page_from_the_others(host: Host, tmp_path: Path) -> None:
    go, wheel = threading.Event(), their_wheel("demo")
    host.on("/simple/demo/", hosts.held(go, sent(page(wheel.entry()))))
    repository = make_repository(tmp_path / "packages", world(host, mirror_cache_expiry=60))

    async def ask() -> list[Response]:
        async with serving(repository, tmp_path / "cache") as client:
            first = asyncio.create_task(client.get(PROD, ASKS_JSON))
            assert await asyncio.to_thread(host.has_request.wait, 30)
            others = [asyncio.create_task(client.get(path, ASKS_JSON)) for path in (PROD, DEMO)]
            await asyncio.sleep(0)
            first.cancel()
            go.set()
            return await asyncio.gather(*others)

    assert [answer.status for answer in asyncio.run(ask())] == [200, 200]
    assert host.paths.count("/simple/demo/") == 1


def test_an_upstream_that_hangs_keeps_no_page_of_another_from_being_answered(host: Host, tmp_path: Path) -> None:
    wheel, cold = their_wheel("demo"), their_wheel("cold")
    with Host() as hanging:
        offer(host, "demo", wheel)
        offer(host, "cold", cold)
        content = world(host, mirror_cache_expiry=3600)
        content.mirror("root/hanging", mirror_url=f"{hanging.url}/simple/")
        for number in range(60):
            hanging.on(f"/simple/name-{number}/", hosts.silent)
        repository = make_repository(tmp_path / "packages", content)

        async def ask() -> list[Response]:
            async with serving(repository, tmp_path / "cache", page_cache=0) as client:
                await client.get(DEMO)
                paths = [f"/root/hanging/simple/name-{number}/" for number in range(60)]
                waiting = [asyncio.create_task(client.get(path)) for path in paths]
                assert await asyncio.to_thread(hanging.has_request.wait, 30)
                await asyncio.sleep(0)
                known = [await client.get(path, form) for path in (DEMO, PROD) for form in (ASKS_JSON, ASKS_HTML)]
                new = await client.get(PROD.replace("demo", "cold"))
                downloaded = await client.get(cold.url("cold"))
                assert not any(task.done() for task in waiting)
                hanging.__exit__(None, None, None)
                assert {answer.status for answer in await asyncio.gather(*waiting)} == {503}
                return [*known, new, downloaded]

        answers = asyncio.run(ask())
    assert [answer.status for answer in answers] == [200] * 6


def test_status_and_metrics_tell_of_an_upstream_that_fails(host: Host, serve: Serve) -> None:
    host.on("/simple/demo/", hosts.status(500))
    server = serve(world(host))
    assert server.get("/+status").json["result"]["upstreams"] == {}
    server.get(PROD)
    told = server.get("/+status").json["result"]["upstreams"]["root/world"]
    assert (told["problem"], told["failures"], told["requests"]) == ("answers 500", 1, 1)
    assert told["last_failure"] is not None
    offer(host, "demo", their_wheel("demo"))
    server.get(PROD)
    told = server.get("/+status").json["result"]["upstreams"]["root/world"]
    assert told["last_success"] is not None
    assert "gitindex_upstream_failures_total 1.0" in server.get("/+metrics").body.decode()


def test_a_page_in_memory_is_asked_for_again_when_its_time_is_over(host: Host, serve: Serve) -> None:
    one, two = their_wheel("demo", "1.0"), their_wheel("demo", "2.0")
    offer(host, "demo", one)
    server = serve(world(host), page_cache=1 << 20)
    assert set(files_of(server)) == {one.filename}
    offer(host, "demo", one, two)
    # Who asks again within a second gets the same; what the mirror says of its time comes from there on.
    for answer in server.client.state.cache._answers.values():
        answer.expires = 0.0
    assert set(files_of(server)) == {one.filename, two.filename}
