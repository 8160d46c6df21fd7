"""The Worker for Cloudflare, run by Node with a folder in the place of Cloudflare's store of assets."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gitindex.hosts import HOSTS, host_site
from gitindex.site import render
from tests.hosts import Host
from tests.peers.nginx import tool
from tests.peers.serving import target
from tests.peers.test_hosts import (
    BROWSER,
    HTML,
    INSTALLERS,
    JSON,
    PIP,
    UV,
    VENDOR_HTML,
    Web,
    fill,
    ours,
    spellings,
)
from tests.peers.tools import Tools, done, origin
from tests.peers.webservers import open_folder

pytestmark = pytest.mark.peers
RUNNER = Path(__file__).parent / "worker.mjs"


@contextmanager
def running(worker: Path, folder: Path) -> Iterator[str]:
    """Run a Worker, and give the address of its server, without a slash at its end."""
    command = [tool("node"), str(RUNNER), str(worker), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        stop = threading.Timer(300, process.kill)
        stop.start()
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            stop.cancel()
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module", params=["/", "/py/packages/"])
def served(request: pytest.FixtureRequest) -> Iterator[Web]:
    with Host() as upstream, open_folder() as folder:
        fill(upstream)
        site = folder / "site"
        url = f"https://packages.example.org{request.param}"
        snapshot = ours(f"{upstream.url}/simple/", site={"url": url}).snapshot()
        render(snapshot, site, extras=HOSTS["cloudflare"].files(host_site(snapshot)))
        (site / "404.html").write_text("<!DOCTYPE html><title>Nothing here</title>")
        worker = folder / "worker.mjs"  # Node takes a module by its name; wrangler takes worker.js
        worker.write_bytes((site / ".host/cloudflare/worker.js").read_bytes())
        with running(worker, site) as address:
            yield Web(f"{address}{request.param}", upstream, is_proxy=False, folder=site)


@INSTALLERS
def test_ours_and_what_falls_through_are_installed(served: Web, tools: Tools, install: Callable[..., Any]) -> None:
    done(install(tools, served.simple, "demo"))
    assert target(tools) == {"demo": "1.0", "popular": "9.0"}
    assert origin(tools.home / "target", "demo") == "ours"
    assert origin(tools.home / "target", "popular") == "world"


@INSTALLERS
@pytest.mark.parametrize("name", ["acme-secret", "billing", "denied", "secret"])
def test_what_must_not_fall_through_is_not_installed(
    served: Web, tools: Tools, install: Callable[..., Any], name: str
) -> None:
    before = len(served.upstream.requests)
    assert install(tools, served.simple, name).returncode != 0
    assert served.upstream.paths[before:] == []


@pytest.mark.parametrize("name", ["acme-secret", "billing", "demo", "zope-interface", "denied", "secret"])
def test_a_name_of_ours_falls_through_in_no_spelling(served: Web, name: str) -> None:
    through = [path for path in spellings(name) if _is_other(served, f"emilie/prod/simple/{path}")]
    assert through == []


def _is_other(served: Web, path: str) -> bool:
    """Tell whether a path leads to the upstream, and to another project than the one that may be asked for."""
    location = served.get(path, Accept=PIP).headers.get("location", "")
    return served.upstream.netloc in location and location != f"{served.upstream.url}/simple/popular/"


@pytest.mark.parametrize(
    "path",
    [
        *(f"emilie/prod/simple/{name}" for name in ("Popular/", "popular_/", "pop%00ular/", "popular/x/", "-popular/")),
        "emilie/prod/simple/popular/index.html",
        "emilie/nothing/simple/popular/",
        "emilie/alone/simple/popular/",
        "root/pypi/simple/popular/",
        "simple/popular/",
    ],
)
def test_what_is_no_project_in_normal_form_does_not_fall_through(served: Web, path: str) -> None:
    assert not served.falls_through(path)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PIP, JSON),
        (UV, JSON),
        (BROWSER, f"{HTML}; charset=utf-8"),
        (None, f"{HTML}; charset=utf-8"),
        ("*/*", f"{HTML}; charset=utf-8"),
        (VENDOR_HTML, f"{VENDOR_HTML}; charset=utf-8"),
        ("application/vnd.pypi.simple.latest+json", JSON),
        (f"{JSON};q=0.001, {HTML};q=0.002", f"{HTML}; charset=utf-8"),
        (f"{JSON};q=0, {HTML};q=0.1", f"{HTML}; charset=utf-8"),
        (f"{HTML.upper()};Q=0.5, {JSON.upper()}; q=0.9", JSON),
        (f"{JSON};q=nonsense", JSON),
    ],
)
@pytest.mark.parametrize("page", ["", "demo/"])
def test_the_form_that_is_wanted_most_is_sent(served: Web, accept: str | None, content_type: str, page: str) -> None:
    got = served.get(f"emilie/prod/simple/{page}", **({} if accept is None else {"Accept": accept}))
    assert (got.status, got.headers["content-type"], got.headers["vary"]) == (200, content_type, "Accept")
    name = "index.json" if content_type == JSON else "index.html"
    assert got.body == (served.folder / "emilie/prod/simple" / page / name).read_bytes()
    again = served.get(f"emilie/prod/simple/{page}", Accept=accept or "*/*", If_None_Match=got.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_files_pages_and_what_is_missing_have_their_headers(served: Web) -> None:
    stored = next(path for path in (served.folder / "files").rglob("demo-*.whl"))
    path = stored.relative_to(served.folder).as_posix()
    got = served.get(path)
    assert hashlib.sha256(got.body).hexdigest() == "".join(path.split("/")[1:3])
    assert got.headers["content-type"] == "application/octet-stream"
    assert "immutable" in got.headers["cache-control"]
    assert served.get(f"{path}.metadata").headers["content-type"] == "text/plain; charset=utf-8"
    page = served.get("emilie/prod/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    missing = served.get("emilie/prod/simple/Nothing/")
    assert (missing.status, b"Nothing here" in missing.body) == (404, True)
    assert served.get(".host/cloudflare/worker.js").status == 404
    assert served.get(".gitindex-site").status == 404
    moved = served.get("emilie/prod/simple/demo?x=y")
    assert (moved.status, moved.headers["location"].endswith("/emilie/prod/simple/demo/?x=y")) == (301, True)
    assert served.get("emilie/prod/simple/demo/", method="POST").status == 405
    assert served.get("emilie/prod/simple/demo/", method="HEAD").body == b""


def test_a_failure_of_the_store_is_no_absence(served: Web) -> None:
    folder = served.folder / "emilie/prod/simple/broken"
    folder.mkdir(exist_ok=True)
    for name in ("index.html", "index.json"):
        (folder / name).write_text("cannot be read")
    got = served.get("emilie/prod/simple/broken/", Accept=PIP)
    assert got.status == 500
    assert "location" not in got.headers


def test_reserved_patterns_are_read_as_gitindex_reads_them(tmp_path: Path) -> None:
    patterns = ["acme-*", "*-secret", "a*b*c", "x?y", "**z"]
    snapshot = ours("https://up.example.org/simple/").settings(names={"reserved": patterns}).snapshot()
    site = host_site(snapshot)
    worker = tmp_path / "worker.mjs"
    worker.write_bytes(HOSTS["cloudflare"].files(site)[".host/cloudflare/worker.js"] + b"\nexport { fits };\n")
    names = [
        "acme-",
        "acme-x",
        "acme",
        "my-secret",
        "secret",
        "abc",
        "a1b2c",
        "acb",
        "ac",
        "xay",
        "xy",
        "xaay",
        "z",
        "az",
    ]
    code = f"import {{ fits }} from {json.dumps(worker.as_uri())};\nconst names = {json.dumps(names)};\n"
    code += f"console.log(JSON.stringify(names.map((n) => {json.dumps(patterns)}.some((p) => fits(p, n)))));"
    printed = subprocess.run(
        [tool("node"), "--input-type=module", "-e", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    expected = [site.upstream(site.stages[-1], snapshot_name) is None for snapshot_name in map(_name, names)]
    assert json.loads(printed) == expected


def _name(text: str) -> Any:
    return text
