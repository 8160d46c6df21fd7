"""pip and uv against `gitindex serve` with a mirror of an index that `gitindex render` made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from tests.peers.conftest import YANK_REASON, Site
from tests.peers.server import SiteServer
from tests.peers.serving import Install, Serving, commit, define, make, pip, release, serving, target, uv
from tests.peers.tools import Tools, done, origin, upload, wheel

pytestmark = pytest.mark.peers

THEN = "2026-01-15"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return the site that plays everybody's index: `world/dev`."""
    tools = Tools(tmp_path_factory.mktemp("elsewhere"))
    repository = tools.home / "repository"
    done(tools.run("gitindex", "init", repository, "--user", "world", "--url", "https://packages.example.org/"))
    made = partial(wheel, origin="world")
    old = [
        made("demo", "9.0"),
        made("acme-secret", "9.0"),
        made("popular", "1.0", requires=["popular-base"]),
        made("popular", "2.0", requires=["popular-base"]),
        made("popular", "3.0"),
        made("popular-base", "1.0"),
        made("chooser", "1.0"),
        made("chooser", "2.0", requires=["popular-base>=9"]),
        made("fresh", "1.0"),
    ]
    done(upload(tools, repository, "world/dev", old))
    done(upload(tools, repository, "world/dev", [made("fresh", "2.0")], time=None))
    done(tools.gitindex(repository, "yank", "popular==3.0", "--index", "world/dev", "--reason", YANK_REASON))
    define(repository, "world/dev", bases=[])
    folder = tools.home / "site"
    done(tools.gitindex(repository, "render", "--out", folder))
    return Site(repository, folder)


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with `demo` of ours, and without mirrors."""
    tools = Tools(tmp_path_factory.mktemp("private"))
    repository = make(tools, tools.home / "packages")
    define(repository, "emilie/prod", bases=[])
    settings = repository / "gitindex.toml"
    settings.write_text(tomlkit.dumps({**tomlkit.parse(settings.read_text()), "names": {"reserved": ["acme-*"]}}))
    release(tools, repository, "emilie/prod", [wheel("demo", "1.0", requires=["popular"])], "2026-01-01")
    return repository


def mirroring(tools: Tools, private: Path, simple: str, folder: Path) -> Path:
    """Return a copy of the repository whose `emilie/prod` has mirrors of a simple index, of various kinds."""
    repository = shutil.copytree(private, folder)
    kinds: dict[str, dict[str, Any]] = {
        "world": {},
        "curated": {"allow": ["popular"]},
        "barred": {"deny": ["popular>=2"]},
        "patient": {"mirror_min_age": "7d"},
    }
    for name, settings in kinds.items():
        define(repository, f"root/{name}", type="mirror", mirror_url=simple, **settings)
    define(repository, "emilie/prod", bases=["root/world"])
    commit(tools, repository, "2026-01-02")
    release(tools, repository, "emilie/prod", [wheel("demo", "2.0", requires=["popular"])], "2026-02-01")
    return repository


@pytest.fixture(scope="module")
def shared(
    elsewhere: Site, private: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SiteServer, Serving]]:
    """Run the upstream and the server for all tests of the module that leave both alone."""
    tools = Tools(tmp_path_factory.mktemp("home"))
    with SiteServer(elsewhere.folder) as upstream:
        repository = mirroring(tools, private, f"{upstream.url}/world/dev/simple/", tools.home / "packages")
        with serving(tools, repository) as running:
            yield upstream, running


@pytest.fixture
def upstream(shared: tuple[SiteServer, Serving]) -> SiteServer:
    """Return the upstream, which has forgotten what it was asked."""
    shared[0].log.clear()
    return shared[0]


@pytest.fixture
def server(shared: tuple[SiteServer, Serving]) -> Serving:
    """Return the server with an empty access log."""
    shared[1].forget()
    return shared[1]


@pytest.fixture(params=[pip, uv], ids=["pip", "uv"])
def install(request: pytest.FixtureRequest) -> Install:
    """Return what installs from a URL: pip, and uv."""
    chosen: Install = request.param
    return chosen


def test_point_67_ours_and_theirs_install_in_one_go_and_ours_is_never_asked_upstream(
    install: Install, tools: Tools, server: Serving, upstream: SiteServer
) -> None:
    done(install(tools, server.simple("emilie/prod"), "demo", "popular", "fresh"))
    assert target(tools) == {"demo": "2.0", "popular": "2.0", "popular-base": "1.0", "fresh": "2.0"}
    assert [origin(tools.home / "target", name) for name in ("demo", "popular")] == ["ours", "world"]
    assert {line.status for line in server.lines()} == {200}
    assert not any("demo" in request.path for request in upstream.log)


def test_point_67_a_release_that_only_the_upstream_has_is_not_had_of_a_project_of_ours(
    install: Install, tools: Tools, server: Serving, upstream: SiteServer
) -> None:
    assert install(tools, server.simple("emilie/prod"), "demo==9.0").returncode == 1
    assert not any("demo" in request.path for request in upstream.log)


def test_point_67_a_reserved_name_is_never_asked_upstream(
    install: Install, tools: Tools, server: Serving, upstream: SiteServer
) -> None:
    for index in ("emilie/prod", "root/world"):
        assert install(tools, server.simple(index), "acme-secret").returncode == 1
    assert not any("acme" in request.path for request in upstream.log)


def test_points_10_and_60_the_metadata_of_mirrored_wheels_is_used(
    install: Install, tools: Tools, server: Serving
) -> None:
    done(install(tools, server.simple("emilie/prod"), "chooser"))
    assert target(tools) == {"chooser": "1.0"}
    kept = {"chooser-1.0-py3-none-any.whl"}
    # chooser 2.0 was looked at, since it is newer, and needs what is not there.
    assert server.files() == {*kept, "chooser-1.0-py3-none-any.whl.metadata", "chooser-2.0-py3-none-any.whl.metadata"}


def test_point_58_a_release_that_is_yanked_upstream_is_taken_only_where_it_is_pinned(
    install: Install, tools: Tools, server: Serving
) -> None:
    result = install(tools, server.simple("emilie/prod"), "popular==3.0")
    done(result)
    assert target(tools) == {"popular": "3.0"}
    assert YANK_REASON in result.stderr


def test_files_that_are_kept_are_not_downloaded_again(
    install: Install, tools: Tools, server: Serving, upstream: SiteServer
) -> None:
    url = server.simple("emilie/prod")
    done(install(tools, url, "popular"))
    upstream.log.clear()
    again = Tools(tools.home / "again")
    again.home.mkdir()
    done(install(again, url, "popular"))
    assert target(again) == {"popular": "2.0", "popular-base": "1.0"}
    assert upstream.log == []


@pytest.mark.parametrize(
    ("mirror", "wanted", "found"),
    [
        ("curated", ["popular==3.0"], {"popular": "3.0"}),
        ("curated", ["popular"], None),  # for its dependency is not allowed
        ("curated", ["fresh"], None),
        ("barred", ["popular", "fresh"], {"popular": "1.0", "popular-base": "1.0", "fresh": "2.0"}),
        ("barred", ["popular==2.0"], None),
        ("patient", ["popular", "fresh"], {"popular": "2.0", "popular-base": "1.0", "fresh": "1.0"}),
        ("patient", ["fresh==2.0"], None),
    ],
)
def test_a_mirror_gives_what_allow_deny_and_mirror_min_age_leave(
    tools: Tools, server: Serving, mirror: str, wanted: list[str], found: dict[str, str] | None
) -> None:
    result = uv(tools, server.simple(f"root/{mirror}"), *wanted)
    assert (target(tools) if result.returncode == 0 else None) == found, result.stderr


def test_what_a_mirror_does_not_show_is_not_had_by_the_url_of_its_file(server: Serving) -> None:
    accept = "application/vnd.pypi.simple.v1+json"
    page = json.loads(server.get("/root/world/simple/popular/", Accept=accept).body)
    urls = {file["filename"]: file["url"] for file in page["files"]}
    path = urls["popular-2.0-py3-none-any.whl"].removeprefix("../../../../root/world")
    assert server.get(f"/root/world{path}").status == 200
    assert server.get(f"/root/barred{path}").status == 404
    assert server.get(f"/root/patient{path}").status == 200


def test_a_day_gives_what_ours_and_theirs_gave(install: Install, tools: Tools, server: Serving) -> None:
    done(install(tools, server.simple("emilie/prod", at=THEN), "demo", "fresh"))
    assert target(tools) == {"demo": "1.0", "popular": "2.0", "popular-base": "1.0", "fresh": "1.0"}


@pytest.fixture
def mortal(
    elsewhere: Site, private: Path, tools: Tools, tmp_path: Path
) -> Iterator[tuple[Callable[[], None], Callable[[], AbstractContextManager[Serving]]]]:
    """Run an upstream of the test's own; return what stops it, and what starts a server before it."""
    upstream = SiteServer(elsewhere.folder)
    repository = mirroring(tools, private, f"{upstream.url}/world/dev/simple/", tmp_path / "packages")
    is_up = True

    def stop() -> None:
        nonlocal is_up
        if is_up:
            upstream.__exit__(None, None, None)
        is_up = False

    upstream.__enter__()
    try:
        yield stop, lambda: serving(tools, repository)
    finally:
        stop()


def test_points_45_and_70_what_was_fetched_installs_without_the_upstream_after_a_restart_too(
    install: Install,
    tools: Tools,
    mortal: tuple[Callable[[], None], Callable[[], AbstractContextManager[Serving]]],
) -> None:
    stop, start = mortal
    with start() as running:
        done(install(tools, running.simple("emilie/prod"), "demo"))
        stop()
        again = Tools(tools.home / "again")
        again.home.mkdir()
        done(install(again, running.simple("emilie/prod"), "demo"))
    with start() as running:
        restarted = Tools(tools.home / "restarted")
        restarted.home.mkdir()
        done(install(restarted, running.simple("emilie/prod"), "demo"))
        assert target(restarted) == target(again) == {"demo": "2.0", "popular": "2.0", "popular-base": "1.0"}
        unseen = install(restarted, running.simple("emilie/prod"), "fresh", "-vv")  # pip tells nobody else why
        assert unseen.returncode != 0
        assert ("/emilie/prod/simple/fresh/", 503) in {(line.path, line.status) for line in running.lines()}
        assert "503" in unseen.stdout + unseen.stderr
        assert running.status()["upstreams"]["root/world"]["is_paused"]
