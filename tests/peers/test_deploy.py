"""The configuration of docs/how-to/deploy.md does with a real nginx what the page says."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.builders import make_wheel
from tests.peers.nginx import TEXT, Proxy, nginx
from tests.peers.server import SiteServer
from tests.peers.serving import (
    Got,
    Serving,
    commit,
    define,
    eventually,
    make,
    pip,
    release,
    serving,
    target,
    uv,
)
from tests.peers.tools import Tools, done, wheel

pytestmark = pytest.mark.peers

JSON = "application/vnd.pypi.simple.v1+json"
BIG = random.Random(4).randbytes(5 << 20)  # noqa: S311 - no secret
"""Nothing makes it smaller, so a wheel of it is more than a slice of the configuration."""
BIG_NAME, BIG_WHEEL = make_wheel("big", "1.0", files={"big.bin": BIG})


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bare repository, and a clone beside it to push from."""
    tools = Tools(tmp_path_factory.mktemp("home"))
    clone = make(tools, tools.home / "clone")
    define(clone, "emilie/prod", bases=[])
    files = [wheel("demo", "1.0", requires=["helper"]), wheel("helper", "1.0"), (BIG_NAME, BIG_WHEEL)]
    release(tools, clone, "emilie/prod", files, "2026-01-01")
    bare = tools.home / "packages.git"
    done(tools.run("git", "clone", "--quiet", "--bare", clone, bare))
    done(tools.run("git", "-C", clone, "remote", "add", "origin", bare))
    return bare


@pytest.fixture(scope="module")
def shared(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Serving]]:
    """Run a server, and nginx in front of it, for the tests that leave both alone."""
    tools = Tools(repository.parent)
    with serving(tools, repository) as server, nginx(tmp_path_factory.mktemp("run") / "nginx", server.url) as proxy:
        yield proxy, server


@pytest.fixture
def proxy(shared: tuple[Proxy, Serving]) -> Proxy:
    return shared[0]


@pytest.fixture
def server(shared: tuple[Proxy, Serving]) -> Serving:
    """Return the server with an empty access log."""
    shared[1].forget()
    return shared[1]


def how(got: Got) -> str | None:
    """Return what nginx says of how it came by an answer; nothing where it has no cache for that."""
    return got.headers.get("x-cache-status")


def url_of(server: Serving, project: str, version: str = "1.0") -> str:
    """Return the path of a wheel."""
    (found,) = [
        file["url"]
        for file in json.loads(server.get(f"/emilie/prod/simple/{project}/", Accept=JSON).body)["files"]
        if f"-{version}-" in file["filename"]
    ]
    assert found.startswith("../../../../")
    return "/" + str(found).removeprefix("../../../../")


@pytest.mark.parametrize("install", [pip, uv])
def test_pip_and_uv_install_through_nginx(proxy: Proxy, tmp_path: Path, install: Any) -> None:
    tools = proxy.tools(tmp_path / "home")
    done(install(tools, proxy.simple("emilie/prod"), "demo", "big"))
    assert target(tools) == {"demo": "1.0", "helper": "1.0", "big": "1.0"}
    assert (tools.home / "target/big.bin").read_bytes() == BIG


def test_the_second_request_is_answered_by_nginx(proxy: Proxy, server: Serving) -> None:
    path = "/emilie/prod/simple/helper/"
    first = proxy.get(path, Accept=JSON)
    second = proxy.get(path, Accept=JSON)
    assert (first.status, second.status) == (200, 200)
    assert how(second) in {"HIT", "REVALIDATED"}
    assert first.body == second.body == server.get(path, Accept=JSON).body
    assert first.headers["etag"] == second.headers["etag"]
    file = url_of(server, "helper")
    assert how(proxy.get(file)) in {"MISS", "HIT"}
    server.forget()
    again = proxy.get(file, Accept_Encoding="gzip")
    assert how(again) == "HIT"
    assert "content-encoding" not in again.headers
    assert again.headers["etag"].startswith('"')
    assert server.lines() == []


def test_point_41_serialisations_and_encodings_are_kept_apart(proxy: Proxy) -> None:
    path = "/emilie/prod/simple/demo/"
    html, machine, packed = (
        partial(proxy.get, path, Accept="text/html"),
        partial(proxy.get, path, Accept=JSON),
        partial(proxy.get, path, Accept="text/html", Accept_Encoding="gzip"),
    )
    for _ in range(2):
        assert html().headers["content-type"] == "text/html; charset=utf-8"
        assert html().body.startswith(b"<!DOCTYPE html>")
        assert machine().headers["content-type"] == JSON
        assert "content-encoding" not in html().headers
        assert packed().headers.get("content-encoding") == "gzip"
    got = html()
    assert proxy.get(path, Accept="text/html", If_None_Match=got.headers["etag"]).status == 304
    assert proxy.get(path, Accept="image/png").status == 406


def test_point_49_parts_of_a_file_are_right_before_and_after_the_whole(server: Serving, proxy: Proxy) -> None:
    data = BIG_WHEEL
    file = url_of(server, "big")
    middle = (4 << 20) - 10
    for _ in range(2):
        for asked, part in [
            (f"bytes={middle}-{middle + 19}", data[middle : middle + 20]),
            ("bytes=-100", data[-100:]),
            (f"bytes={len(data) - 7}-", data[-7:]),
            ("bytes=0-0", data[:1]),
        ]:
            got = proxy.get(file, Range=asked)
            assert (got.status, got.body) == (206, part)
        assert proxy.get(file, Range=f"bytes={len(data)}-").status == 416
        head = proxy.get(file, "HEAD")
        assert (head.status, head.headers["content-length"], head.body) == (200, str(len(data)), b"")
        assert proxy.get(file).body == data


def test_status_and_metrics_are_for_the_machine_itself(proxy: Proxy) -> None:
    # A neighbour: of all the addresses of the loopback interface the page lets one in.
    for path in ("/+metrics", "/+status", "/%2Bmetrics", "//+metrics", "/emilie/..%2F+metrics", "/+metrics?x=1"):
        assert proxy.get(path, source="127.0.0.2").status == 403
    assert proxy.get("/emilie/prod/simple/", source="127.0.0.2").status == 200
    got = proxy.get("/+metrics", source="127.0.0.1")
    assert got.status == 200
    assert "x-cache-status" not in got.headers
    names = {family.name for family in text_string_to_metric_families(got.body.decode())}
    assert names >= {"gitindex_requests", "gitindex_revision_refused", "gitindex_upstream_paused"}
    assert all(name in TEXT for name in ("gitindex_requests_total", "gitindex_revision_refused"))


def test_point_56_tricks_with_paths_are_answered_as_without_nginx(proxy: Proxy, server: Serving) -> None:
    for path in ("/emilie%2Fprod/simple/", "/emilie/prod/simple/%2e%2e/", "/emilie//prod/simple/", "/files/aa/../bb/x"):
        assert proxy.get(path).status == server.get(path).status == 404
    assert proxy.get("/emilie/prod/simple/%00/").status == 400
    assert proxy.get("/emilie/prod/simple/demo/", "POST").status == 405
    assert proxy.get("/emilie/prod/simple/demo/", "POST", body=b"x" * 2000).status == 413
    moved = proxy.get("/emilie/prod/simple/Demo")
    assert (moved.status, moved.headers["location"]) == (301, "demo/")


def test_a_commit_is_on_the_pages_two_seconds_after_it_is_served(
    tools: Tools, repository: Path, proxy: Proxy, server: Serving
) -> None:
    path = "/emilie/prod/simple/demo/"
    clone = repository.with_name("clone")
    assert b"demo-2.0-" not in proxy.get(path, Accept=JSON).body
    release(tools, clone, "emilie/prod", [wheel("demo", "2.0", requires=["helper"])], "2026-02-01")
    done(tools.run("git", "-C", clone, "push", "--quiet", "origin", "main"))
    pushed = done(tools.run("git", "-C", clone, "rev-parse", "HEAD")).strip()
    asked = 0

    def is_served() -> bool:
        nonlocal asked
        asked += 1
        proxy.get(path, Accept=JSON)  # so that the old page is kept as late as it can be
        return bool(server.status()["revision"] == pushed)

    eventually(is_served, "the pushed commit is not served")
    assert "two seconds after the server serves it" in TEXT
    time.sleep(2)
    assert b"demo-2.0-" in proxy.get(path, Accept=JSON).body


def test_without_the_server_what_was_asked_for_is_still_answered(
    repository: Path, tools: Tools, tmp_path: Path
) -> None:
    with (
        serving(tools, repository, cache=tmp_path / "cache") as server,
        nginx(tmp_path / "nginx", server.url) as proxy,
    ):
        for name in ("before", "after"):
            for install in (pip, uv):
                inside = proxy.tools(tmp_path / f"{name}-{install.__name__}")
                done(install(inside, proxy.simple("emilie/prod"), "demo==1.0"))
                assert target(inside) == {"demo": "1.0", "helper": "1.0"}
            if name == "before":
                time.sleep(2)  # until nothing is fresh
                server.stop()
        assert how(proxy.get("/emilie/prod/simple/demo/", Accept_Encoding="gzip, deflate", Accept=PIP)) == "STALE"
        assert proxy.get("/emilie/prod/simple/never-asked-for/").status == 502


PIP = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"


def test_what_a_token_reads_is_not_given_to_others(repository: Path, tools: Tools, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    token = done(tools.run("gitindex", "token", "create", "ci", "--read", "emilie/prod", "--tokens", tokens)).strip()
    page = "/emilie/prod/simple/demo/"
    with (
        serving(tools, repository, "--tokens", tokens, cache=tmp_path / "cache") as server,
        nginx(tmp_path / "nginx", server.url) as proxy,
    ):
        inside = proxy.tools(tmp_path / "inside")
        done(pip(inside, proxy.simple("emilie/prod").replace("://", f"://__token__:{token}@"), "demo"))
        bearer = f"Bearer {token}"
        got = proxy.get(page, Accept=JSON, Authorization=bearer)
        file = "/" + re.findall(r'"url":"(?:\.\./)*(files/[^"]*)"', got.body.decode())[0]
        for path in (page, file, f"{file}.metadata", "/"):
            for _ in range(2):
                assert proxy.get(path, Accept=JSON).status == 401
                got = proxy.get(path, Accept=JSON, Authorization=bearer)
                assert (got.status, how(got)) == (200, "BYPASS")
                wrong = proxy.get(path, Accept=JSON, Authorization="Bearer gitindex_wrong")
                assert wrong.status == 401
        kept = [path.read_bytes() for path in proxy.cache.rglob("*") if path.is_file()]
        assert not any(b"demo" in content for content in kept)


def test_what_is_public_beside_tokens_is_kept_for_those_who_send_none(
    repository: Path, tools: Tools, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.json"
    token = done(tools.run("gitindex", "token", "create", "ci", "--read", "emilie/dev", "--tokens", tokens)).strip()
    options: list[str | Path] = ["--tokens", tokens, "--public", "emilie/prod"]
    with (
        serving(tools, repository, *options, cache=tmp_path / "cache") as server,
        nginx(tmp_path / "nginx", server.url) as proxy,
    ):
        page = "/emilie/prod/simple/demo/"
        got = proxy.get(page, Accept=JSON)
        assert (got.status, how(got)) == (200, "MISS")
        assert how(proxy.get(page, Accept=JSON)) in {"HIT", "REVALIDATED"}
        assert how(proxy.get(page, Accept=JSON, Authorization=f"Bearer {token}")) == "BYPASS"
        assert proxy.get("/emilie/dev/simple/demo/", Accept=JSON).status == 401


def test_connections_to_the_server_are_kept(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/page").write_text("a page")
    with SiteServer(tmp_path / "site", negotiates=False) as server, nginx(tmp_path / "nginx", server.url) as proxy:
        for number in range(3):
            assert proxy.get(f"/page?{number}").body == b"a page"
        assert len(server.log) == 3
        assert server.connections == 1


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[SiteServer]:
    """Serve an index that states the hash of `hashed`, and none of `plain`."""
    for project, fragment in (("hashed", f"#sha256={hashlib.sha256(BIG_WHEEL).hexdigest()}"), ("plain", "")):
        folder = tmp_path / "upstream/simple" / project
        folder.mkdir(parents=True)
        name = BIG_NAME.replace("big", project)
        (folder / name).write_bytes(BIG_WHEEL)
        (folder / "index.html").write_text(f'<!DOCTYPE html><a href="{name}{fragment}">{name}</a>\n')
    with SiteServer(tmp_path / "upstream", negotiates=False) as running:
        yield running


def test_files_of_a_mirror_come_through_whole_and_in_parts_and_are_fetched_once(
    tools: Tools, tmp_path: Path, upstream: SiteServer
) -> None:
    clone = make(tools, tmp_path / "packages")
    define(clone, "root/pypi", mirror_url=f"{upstream.url}/simple/")
    commit(tools, clone, "2026-01-02")
    with serving(tools, clone) as server, nginx(tmp_path / "nginx", server.url) as proxy:
        for project in ("hashed", "plain"):
            listed = proxy.get(f"/root/pypi/simple/{project}/", Accept="text/html").body.decode()
            (file,) = re.findall(r'href="(?:\.\./)*([^"#]*\.whl)', listed)
            assert ("/-/" in file) == (project == "plain")
            with ThreadPoolExecutor(12) as threads:
                ranges = ["bytes=-9", "bytes=4194300-4194310", "bytes=0-"] * 4
                parts = list(threads.map(lambda asked, path=file: proxy.get(f"/{path}", Range=asked), ranges))
            wanted = [BIG_WHEEL[-9:], BIG_WHEEL[4194300:4194311], BIG_WHEEL] * 4
            # Of a file of unknown size there are no parts; then the whole comes.
            assert [got.body for got in parts] == [
                BIG_WHEEL if got.status == HTTPStatus.OK else part for got, part in zip(parts, wanted, strict=True)
            ]
            again = proxy.get(f"/{file}")
            assert again.body == BIG_WHEEL
            assert how(again) == ("HIT" if project == "hashed" else None)
            if project == "hashed":
                assert [line.status for line in server.lines() if Path(file).name in line.path] == [206, 206]
            assert [request.path for request in upstream.log].count(f"/simple/{project}/{Path(file).name}") == 1


def test_files_are_asked_for_again_after_their_time(repository: Path, tools: Tools, tmp_path: Path) -> None:
    shorter = {"proxy_cache_valid 200 206 10m;": "proxy_cache_valid 200 206 1s;"}
    with (
        serving(tools, repository, cache=tmp_path / "cache") as server,
        nginx(tmp_path / "nginx", server.url, **shorter) as proxy,
    ):
        file = url_of(server, "big")
        server.forget()
        assert how(proxy.get(file)) == "MISS"
        assert [line.status for line in server.lines()] == [206, 206]  # two slices
        time.sleep(2)
        server.forget()
        got = proxy.get(file)
        assert (how(got), got.body) == ("REVALIDATED", BIG_WHEEL)
        assert {line.status for line in server.lines()} == {304}


def test_below_a_path_everything_works_as_the_page_says(repository: Path, tools: Tools, tmp_path: Path) -> None:
    ((old, new),) = [(old, new) for new, old in re.findall(r"write `(location [^`]*)` for `(location [^`]*)`", TEXT)]
    assert "`--base-path /pypi`" in TEXT
    with (
        serving(tools, repository, "--base-path", "/pypi", cache=tmp_path / "cache") as server,
        nginx(tmp_path / "nginx", server.url, **{old: new}) as proxy,
    ):
        for install in (pip, uv):
            inside = proxy.tools(tmp_path / install.__name__)
            done(install(inside, f"{proxy.url}/pypi/emilie/prod/simple/", "demo", "big"))
            assert target(inside).keys() == {"demo", "helper", "big"}
        assert proxy.get("/pypi/+metrics", source="127.0.0.2").status == 403
        assert {line.status for line in server.lines()} <= {200, 206}
