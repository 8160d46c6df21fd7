"""The HTML of a whole site, judged by the checker that w3.org runs (vnu)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.peers.server import SiteServer
from tests.sites import example_site, index_of_many, node_file, program
from tests.test_render_people import INDEX


@pytest.fixture(scope="module")
def checker() -> list[str]:
    java = program("java", "apt install default-jre-headless")
    return [
        java,
        "-Dnu.validator.servlet.allow-forbidden-hosts=true",
        "-jar",
        str(node_file("vnu-jar/build/dist/vnu.jar")),
    ]


def findings(checker: list[str], *urls: str) -> list[dict[str, Any]]:
    command = [*checker, "--also-check-css", "--also-check-svg", "--stdout", "--exit-zero-always", "--format", "json"]
    done = subprocess.run([*command, *urls], capture_output=True, text=True, timeout=240, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)["messages"]
    return found


def test_every_page_of_the_example_is_valid(checker: list[str], tmp_path: Path) -> None:
    site = example_site(tmp_path / "site")
    (site / "many").mkdir()
    (site / "many/index.html").write_bytes(index_of_many(INDEX, 60).replace(b"../../+site", b"../+site"))
    paths = [path.relative_to(site).as_posix() for path in site.rglob("*") if path.suffix in {".html", ".css"}]
    assert len(paths) > 30
    with SiteServer(site, negotiates=False) as server:
        urls = [f"{server.url}/{path}" for path in sorted(paths)]
        # A drawing is a page only to itself, so it is read where it lies.
        assert findings(checker, *urls, str(site / "+site/icon.svg")) == []


def test_the_checker_finds_what_is_wrong(checker: list[str], tmp_path: Path) -> None:
    page = index_of_many(INDEX, 1).replace(b"<h2 ", b"<p><h7 ", 1)
    (tmp_path / "wrong.html").write_bytes(page)
    with SiteServer(tmp_path, negotiates=False) as server:
        found = [message["message"] for message in findings(checker, f"{server.url}/wrong.html")]
    assert any("h7" in message for message in found)
