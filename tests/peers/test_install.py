"""`gitindex install`: pip and uv against a repository, with mirrors for what is not ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.peers.conftest import Define, Site
from tests.peers.server import SiteServer
from tests.peers.tools import NOWHERE, Done, Tools, done, installed, origin

pytestmark = pytest.mark.peers

Install = Callable[..., Done]


@pytest.fixture(params=["pip", "uv"])
def install(request: pytest.FixtureRequest, tools: Tools, stages: Path) -> Install:
    """Return a function that runs `gitindex install` with pip, and with uv."""
    return partial(run, tools, stages, *(["--uv"] if request.param == "uv" else []))


@pytest.fixture
def install_by_uv(tools: Tools, stages: Path) -> Install:
    """Return a function that runs `gitindex install` with uv, for what no installer decides."""
    return partial(run, tools, stages, "--uv")


def run(tools: Tools, repository: Path, *arguments: str, **environment: str) -> Done:
    installing = tools.with_environment(**environment)
    return installing.gitindex(repository, "install", *arguments, "--target", str(tools.home / "target"))


def target(tools: Tools) -> dict[str, str]:
    return installed(tools.home / "target")


def asked(upstream: SiteServer) -> set[str]:
    return set(upstream.pages())


def test_point_67_a_project_of_ours_stays_ours_and_others_come_from_the_mirror(
    install: Install, tools: Tools, upstream: SiteServer, define: Define
) -> None:
    top = define({"mirror_url": f"{upstream.url}/world/dev/simple/"})
    done(install("--index", top, "--", "demo", "popular"))
    assert target(tools) == {"demo": "2.0", "helper": "1.0", "popular": "2.0", "popular-base": "1.0"}
    assert origin(tools.home / "target", "demo") == "ours"
    assert origin(tools.home / "target", "popular") == "world"
    assert asked(upstream) == {"popular", "popular-base"}


def test_point_67_indexes_of_the_environment_are_not_used(
    install: Install, tools: Tools, upstream: SiteServer, define: Define
) -> None:
    world = f"{upstream.url}/world/dev/simple/"
    names = ["PIP_EXTRA_INDEX_URL", "pip_extra_index_url", "PIP_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"]
    environment = dict.fromkeys([*names, "PIP_FIND_LINKS", "UV_FIND_LINKS"], world)
    environment |= {"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"}
    done(install("--index", define(), "--", "demo", **environment))
    assert target(tools)["demo"] == "2.0"
    assert upstream.log == []


def test_modules_of_the_folder_where_it_is_run_are_not(tools: Tools, stages: Path, define: Define) -> None:
    """That is a clone, often, with what anybody proposed in it, and pip is looked for as a module."""
    trace = tools.home / "run"
    for name in ("pip", "runpy", "json", "encodings"):
        (tools.home / f"{name}.py").write_text(f"open({str(trace)!r}, 'a').write({name!r})\n")
    program = Path(sys.executable).parent / "gitindex"
    words = ["install", "--index", define(), "--python", sys.executable, "--", "demo"]
    done(tools.run(program, "-C", stages, *words, "--target", tools.home / "target"))
    assert target(tools)["demo"] == "2.0"
    assert not trace.exists()


def test_point_67_a_reserved_name_is_not_asked_upstream(
    install_by_uv: Install, upstream: SiteServer, define: Define
) -> None:
    assert (
        install_by_uv(
            "--index", define({"mirror_url": f"{upstream.url}/world/dev/simple/"}), "--", "acme-secret"
        ).returncode
        == 1
    )
    assert upstream.log == []


def test_a_whitelisted_project_takes_the_newest_of_both(
    install_by_uv: Install, tools: Tools, upstream: SiteServer, define: Define
) -> None:
    world = {"mirror_url": f"{upstream.url}/world/dev/simple/"}
    done(install_by_uv("--index", define(world, mirror_whitelist=["demo"]), "--", "demo"))
    assert target(tools)["demo"] == "9.0"
    assert origin(tools.home / "target", "demo") == "world"


def test_a_mirror_gives_what_deny_and_mirror_min_age_leave(
    install_by_uv: Install, tools: Tools, upstream: SiteServer, define: Define
) -> None:
    mirror = {"mirror_url": f"{upstream.url}/world/dev/simple/", "deny": ["popular>=2"], "mirror_min_age": "7d"}
    done(install_by_uv("--index", define(mirror), "--", "popular", "fresh"))
    assert target(tools) == {"popular": "1.0", "popular-base": "1.0", "fresh": "1.0"}


def test_a_project_that_a_curated_mirror_does_not_allow_is_not_installed(
    install_by_uv: Install, tools: Tools, upstream: SiteServer, define: Define
) -> None:
    top = define({"mirror_url": f"{upstream.url}/world/dev/simple/", "allow": ["popular"]})
    assert install_by_uv("--index", top, "--", "popular").returncode == 1  # for its dependency is not allowed
    assert asked(upstream) == {"popular"}
    assert target(tools) == {}


def test_points_45_and_70_ours_installs_with_the_upstream_down_and_the_rest_fails_with_a_reason(
    install: Install, tools: Tools, define: Define
) -> None:
    top = define({"mirror_url": f"{NOWHERE}/simple/", "mirror_min_age": "7d"})
    done(install("--index", top, "--", "demo"))
    assert target(tools) == {"demo": "2.0", "helper": "1.0"}
    result = install("--index", top, "--", "popular")
    assert result.returncode == 1
    assert f"gitindex: root/m1: {NOWHERE}/simple/ does not answer for popular" in result.stderr


def test_a_proxy_of_the_environment_is_not_asked_for_our_own_interface(
    install: Install, tools: Tools, define: Define
) -> None:
    done(install("--index", define(), "--", "demo", no_proxy="", http_proxy=NOWHERE))
    assert target(tools) == {"demo": "2.0", "helper": "1.0"}


def test_uv_keeps_nothing_under_an_address_that_is_never_used_again(
    install_by_uv: Install, tools: Tools, define: Define
) -> None:
    done(install_by_uv("--index", define(), "--", "demo"))
    assert not (tools.home / "uv-cache").exists()


def test_a_revision_is_installed_as_it_was(tools: Tools, shop: Site) -> None:
    arguments = ["--index", "emilie/prod", "--rev", "HEAD", "--uv", "--", "--target", "target", "demo"]
    result = tools.gitindex(shop.repository, "install", *arguments)
    assert result.returncode == 1  # nothing had been released in the first commit
    assert target(tools) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--index", "emilie/nope"],
            "gitindex: emilie/nope: no such index; did you mean emilie/dev? see: gitindex index list",
        ),
        (
            ["--index", "nope"],
            "gitindex: 'nope' is no name of an index; write it as user/name in lower case, such as emilie/prod",
        ),
        (
            ["--index", "emilie/prod", "--python", "/nonexistent/python"],
            "gitindex: /nonexistent/python: cannot be started: No such file or directory",
        ),
        (
            ["--index", "emilie/prod", "--python", "/bin/false"],
            "gitindex: /bin/false has no pip; use --uv, or: python -m ensurepip",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tools: Tools, shop: Site, arguments: list[str], message: str) -> None:
    result = tools.gitindex(shop.repository, "install", *arguments, "--", "demo")
    assert (result.stdout, result.stderr) == ("", message + "\n")
    assert result.returncode in {1, 2, 3}


def test_without_uv_the_message_says_what_to_do(tools: Tools, shop: Site) -> None:
    bare = tools.with_environment(PATH="/nonexistent")
    result = bare.run(
        sys.executable, "-m", "gitindex", "-C", shop.repository, "install", "--index", "emilie/prod", "--uv", "demo"
    )
    assert (result.returncode, result.stderr) == (3, "gitindex: uv is not installed; install it, or leave out --uv\n")
