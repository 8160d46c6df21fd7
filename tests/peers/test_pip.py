"""pip installs from rendered pages: HTML, JSON and a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.peers.conftest import YANK_REASON, Site
from tests.peers.server import HTML, JSON, SiteServer
from tests.peers.tools import Done, Tools, done, installed, origin, wheel

pytestmark = pytest.mark.peers


class Served(NamedTuple):
    """A way to the site."""

    url: str
    content_type: str
    server: SiteServer | None


@pytest.fixture(params=["http.server", "negotiating", "file"])
def served(request: pytest.FixtureRequest, shop: Site) -> Iterator[Served]:
    if request.param == "file":
        yield Served(shop.folder.as_uri(), HTML, None)
        return
    negotiates = request.param == "negotiating"
    with SiteServer(shop.folder, negotiates=negotiates) as server:
        yield Served(server.url, JSON if negotiates else HTML, server)


def pip_install(tools: Tools, url: str, *arguments: str | Path, index: str = "emilie/prod") -> Done:
    return tools.pip("install", "--target", tools.home / "target", "--index-url", f"{url}/{index}/simple/", *arguments)


def target(tools: Tools) -> dict[str, str]:
    return installed(tools.home / "target")


def test_points_34_and_36_and_90_pip_installs_the_same_however_the_site_is_served(tools: Tools, served: Served) -> None:
    done(pip_install(tools, served.url, "demo", "Dotted.Name", "epochal", "localized", "needs.new", "withdrawn"))
    assert target(tools) == {
        "demo": "2.0",
        "helper": "1.0",
        "Dotted.Name": "1.0",
        "epochal": "2!0.5",
        "localized": "1.0+local.1",
        "needs-new": "1.0",  # 2.0 is for another Python (checklist 7)
        "withdrawn": "1.0",  # 1.1 is yanked (checklist 8)
    }
    if served.server is not None:
        pages = served.server.pages()
        assert pages == dict.fromkeys(
            ["demo", "helper", "dotted-name", "epochal", "localized", "needs-new", "withdrawn"], served.content_type
        )


def test_points_10_and_53_pip_download_resolves_by_core_metadata_and_fetches_what_it_keeps_alone(
    tools: Tools, server: SiteServer
) -> None:
    folder = tools.home / "downloads"
    done(tools.pip("download", "--dest", folder, "--index-url", f"{server.url}/emilie/prod/simple/", "chooser"))
    kept = {"chooser-1.0-py3-none-any.whl", "helper-1.0-py3-none-any.whl"}
    assert {path.name for path in folder.iterdir()} == kept
    # chooser 2.0 was looked at, since it is newer, and needs what is not there.
    assert server.files() == {*kept, *(f"{name}.metadata" for name in kept), "chooser-2.0-py3-none-any.whl.metadata"}


def test_point_09_pip_takes_a_yanked_release_only_where_it_is_pinned_and_says_why(
    tools: Tools, server: SiteServer
) -> None:
    result = pip_install(tools, server.url, "withdrawn==1.1")
    assert done(result)
    assert target(tools) == {"withdrawn": "1.1"}
    assert f"Reason for being yanked: {YANK_REASON}" in result.stderr


def test_point_30_pip_finds_nothing_of_a_quarantined_project(tools: Tools, server: SiteServer) -> None:
    result = pip_install(tools, server.url, "contained==1.0")
    assert result.returncode == 1
    assert "No matching distribution found for contained==1.0" in result.stderr


def test_pip_gets_the_file_of_the_index_above_where_its_base_has_the_same_filename(
    tools: Tools, server: SiteServer
) -> None:
    done(pip_install(tools, server.url, "demo", "helper", index="emilie/dev"))
    assert target(tools) == {"demo": "2.0", "helper": "1.0"}
    assert origin(tools.home / "target", "demo") == "dev"


def test_point_05_pip_requires_the_hashes_that_the_page_states(tools: Tools, server: SiteServer) -> None:
    sha256 = hashlib.sha256(wheel("helper", "1.0")[1]).hexdigest()
    requirements = tools.home / "requirements.txt"
    requirements.write_text(f"helper==1.0 --hash=sha256:{sha256}\n")
    done(pip_install(tools, server.url, "--require-hashes", "-r", requirements))
    assert target(tools) == {"helper": "1.0"}

    requirements.write_text(f"helper==1.0 --hash=sha256:{'0' * 64}\n")
    result = pip_install(tools, server.url, "--require-hashes", "-r", requirements, "--upgrade")
    assert result.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in result.stderr


def test_point_90_pip_index_versions_lists_what_can_be_had(tools: Tools, server: SiteServer) -> None:
    url = f"{server.url}/emilie/prod/simple/"

    def versions(project: str) -> list[str]:
        listed = json.loads(done(tools.pip("index", "versions", project, "--json", "--index-url", url)))
        return list(listed["versions"])

    assert versions("demo") == ["2.0", "1.0"]
    assert versions("withdrawn") == ["1.0"]


def test_point_91_pip_uploaded_prior_to_takes_the_older_release(tools: Tools, server: SiteServer) -> None:
    done(pip_install(tools, server.url, "--uploaded-prior-to", "2024-06-01T00:00:00Z", "demo"))
    assert target(tools) == {"demo": "1.0", "helper": "1.0"}


def test_point_90_pip_lock_names_the_sha256_of_each_file(tools: Tools, server: SiteServer) -> None:
    lock = tools.home / "pylock.toml"
    done(tools.pip("lock", "-o", lock, "--index-url", f"{server.url}/emilie/prod/simple/", "demo"))
    for file in (wheel("demo", "2.0", requires=["helper"]), wheel("helper", "1.0")):
        assert f'sha256 = "{hashlib.sha256(file[1]).hexdigest()}"' in lock.read_text()
