"""pip and uv install from sites that carry what a mirror allows: pages alone, and pages with their files."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.peers.conftest import Define
from tests.peers.server import SiteServer
from tests.peers.serving import pip, target, uv
from tests.peers.tools import Tools, done, origin

pytestmark = pytest.mark.peers
INSTALLERS = pytest.mark.parametrize("install", [pip, uv])


class _Plain(http.server.SimpleHTTPRequestHandler):
    """A host that knows no rules, like GitHub Pages."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep the output of the tests clean."""


@contextmanager
def plain(folder: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Plain, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def locked(tools: Tools, stages: Path, define: Define, upstream: SiteServer, text: str) -> None:
    """Put a mirror below `emilie/top`, and lock it to a requirements file."""
    define({"mirror_url": f"{upstream.url}/world/dev/simple/"})
    (tools.home / "requirements.txt").write_text(text)
    done(tools.gitindex(stages, "mirror", "lock", "root/m1", "--from", tools.home / "requirements.txt"))


@INSTALLERS
def test_a_host_without_rules_gives_ours_and_what_is_locked(
    tools: Tools, stages: Path, define: Define, upstream: SiteServer, install: Callable[..., Any]
) -> None:
    locked(tools, stages, define, upstream, "popular==1.0\npopular-base\nacme-secret==9.0\ndemo==9.0\n")
    done(tools.gitindex(stages, "render", "--out", tools.home / "site", "--host", "github-pages"))
    with plain(tools.home / "site") as url:
        done(install(tools, f"{url}/emilie/top/simple/", "demo", "popular"))
        assert target(tools) == {"demo": "2.0", "helper": "1.0", "popular": "1.0", "popular-base": "1.0"}
        assert origin(tools.home / "target", "demo") == "ours"
        assert install(tools, f"{url}/emilie/top/simple/", "acme-secret").returncode != 0
        assert install(tools, f"{url}/emilie/top/simple/", "fresh").returncode != 0


@INSTALLERS
def test_a_site_with_copies_needs_no_upstream(
    tools: Tools, stages: Path, define: Define, upstream: SiteServer, install: Callable[..., Any]
) -> None:
    locked(tools, stages, define, upstream, "popular==1.0\npopular-base==1.0\n")
    site = tools.home / "site"
    done(tools.gitindex(stages, "render", "--out", site, "--vendor-files"))
    upstream.__exit__(None, None, None)  # it is gone
    wanted = {"demo": "2.0", "helper": "1.0", "popular": "1.0", "popular-base": "1.0"}
    with plain(site) as url:
        done(install(tools, f"{url}/emilie/top/simple/", "demo", "popular"))
    assert target(tools) == wanted
    shutil.rmtree(tools.home / "target")
    done(install(tools, f"{site.as_uri()}/emilie/top/simple/", "demo", "popular"))
    assert target(tools) == wanted


def test_what_uv_locks_is_what_the_mirror_allows(
    tools: Tools, stages: Path, define: Define, upstream: SiteServer
) -> None:
    define({"mirror_url": f"{upstream.url}/world/dev/simple/"})
    project = tools.home / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "ours"\nversion = "1.0"\nrequires-python = ">=3.11"\ndependencies = ["popular<2"]\n'
    )
    index = f"{upstream.url}/world/dev/simple/"
    done(tools.uv("lock", "--project", project, "--default-index", index))
    done(tools.uv("export", "--project", project, "--format", "pylock.toml", "-o", project / "pylock.toml", "--frozen"))
    definition = stages / "indexes/root/m1/index.toml"
    before = definition.read_text()
    for name in ("uv.lock", "pylock.toml"):
        definition.write_text(before)
        done(tools.gitindex(stages, "mirror", "lock", "root/m1", "--from", project / name))
        assert '"popular==1.0",\n    "popular-base==1.0",\n' in definition.read_text()
