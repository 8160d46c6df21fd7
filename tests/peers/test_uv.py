"""uv installs from rendered pages: HTML, JSON and a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.conftest import YANK_REASON, Site
from tests.peers.server import HTML, JSON, SiteServer
from tests.peers.tools import Done, Tools, done, installed, origin

pytestmark = pytest.mark.peers


@pytest.fixture(params=[True, False], ids=["negotiating", "http.server"])
def either(request: pytest.FixtureRequest, shop: Site) -> Iterator[tuple[SiteServer, str]]:
    """Serve the shop, as JSON or as HTML."""
    with SiteServer(shop.folder, negotiates=request.param) as running:
        yield running, JSON if request.param else HTML


def uv_install(tools: Tools, url: str, *arguments: str | Path, index: str = "emilie/prod") -> Done:
    return tools.uv(
        "pip",
        "install",
        "--python",
        sys.executable,
        "--target",
        tools.home / "target",
        "--default-index",
        f"{url}/{index}/simple/",
        *arguments,
    )


def target(tools: Tools) -> dict[str, str]:
    return installed(tools.home / "target")


EVERYTHING = ["demo", "Dotted.Name", "epochal", "localized", "needs.new", "withdrawn"]
INSTALLED = {
    "demo": "2.0",
    "helper": "1.0",
    "Dotted.Name": "1.0",
    "epochal": "2!0.5",
    "localized": "1.0+local.1",
    "needs-new": "1.0",  # 2.0 is for another Python (checklist 7)
    "withdrawn": "1.0",  # 1.1 is yanked (checklist 8)
}


def test_points_34_and_36_and_90_uv_installs_the_same_from_html_and_json(
    tools: Tools, either: tuple[SiteServer, str]
) -> None:
    server, content_type = either
    done(uv_install(tools, server.url, *EVERYTHING))
    assert target(tools) == INSTALLED
    assert server.pages() == dict.fromkeys(
        ["demo", "helper", "dotted-name", "epochal", "localized", "needs-new", "withdrawn"], content_type
    )


def test_point_90_uv_installs_the_same_from_a_folder(tools: Tools, shop: Site) -> None:
    done(uv_install(tools, shop.folder.as_uri(), *EVERYTHING))
    assert target(tools) == INSTALLED


def test_points_10_and_53_uv_resolves_by_core_metadata_and_fetches_what_it_keeps_alone(
    tools: Tools, server: SiteServer
) -> None:
    done(uv_install(tools, server.url, "chooser"))
    assert target(tools) == {"chooser": "1.0", "helper": "1.0"}
    kept = {"chooser-1.0-py3-none-any.whl", "helper-1.0-py3-none-any.whl"}
    # chooser 2.0 was looked at, since it is newer, and needs what is not there.
    assert server.files() == {*kept, *(f"{name}.metadata" for name in kept), "chooser-2.0-py3-none-any.whl.metadata"}


def test_point_09_uv_takes_a_yanked_release_only_where_it_is_pinned_and_says_why(
    tools: Tools, either: tuple[SiteServer, str]
) -> None:
    result = uv_install(tools, either[0].url, "withdrawn==1.1")
    assert done(result) == ""
    assert target(tools) == {"withdrawn": "1.1"}
    assert YANK_REASON in result.stderr


def test_point_30_uv_finds_nothing_of_a_quarantined_project(tools: Tools, server: SiteServer) -> None:
    result = uv_install(tools, server.url, "contained==1.0")
    assert result.returncode == 1
    assert "No solution found" in result.stderr


def test_uv_gets_the_file_of_the_index_above_where_its_base_has_the_same_filename(
    tools: Tools, server: SiteServer
) -> None:
    done(uv_install(tools, server.url, "demo", "helper", index="emilie/dev"))
    assert target(tools) == {"demo": "2.0", "helper": "1.0"}
    assert origin(tools.home / "target", "demo") == "dev"


def test_points_13_and_91_uv_exclude_newer_takes_the_older_release_from_html_and_json(
    tools: Tools, either: tuple[SiteServer, str]
) -> None:
    (tools.home / "requirements.in").write_text("demo\n")
    compiled = tools.uv(
        "pip",
        "compile",
        "--python",
        sys.executable,
        "--exclude-newer",
        "2024-06-01",
        "--default-index",
        f"{either[0].url}/emilie/prod/simple/",
        "--no-header",
        "--no-annotate",
        "requirements.in",
    )
    assert done(compiled) == "demo==1.0\nhelper==1.0\n"
    assert "missing an upload date" not in compiled.stderr
