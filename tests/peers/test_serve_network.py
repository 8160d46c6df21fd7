"""The fallback to what `mirror_url` is by default, over the internet."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.peers.serving import get, pip, release, serving, target, uv
from tests.peers.tools import Tools, done, wheel

pytestmark = [pytest.mark.peers, pytest.mark.network]

ROADS = ("http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
"""What a machine says about how the internet is reached from it."""


def reach() -> None:
    """Skip the test where the public index cannot be connected to, directly or by the machine's proxy."""
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    parts = urlsplit(proxy or PYPI_SIMPLE_ENDPOINT)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=5).close()
    except OSError as error:
        pytest.skip(f"the public index cannot be reached: {error}")


def test_a_small_package_of_the_public_index_installs_beside_one_of_ours(tools: Tools, tmp_path: Path) -> None:
    reach()
    repository = tmp_path / "packages"
    done(tools.run("gitindex", "init", repository, "--user", "emilie", "--url", "https://packages.example.org/"))
    assert "mirror_url" not in (repository / "indexes/root/pypi/index.toml").read_text()
    release(tools, repository, "emilie/prod", [wheel("demo", "1.0", requires=["iniconfig<3"])], "2026-01-01")
    roads = {name: value for road in ROADS for name in (road, road.upper()) if (value := os.environ.get(name))}
    abroad = tools.with_environment(**{"http_proxy": "", "https_proxy": "", **roads})
    with serving(abroad, repository) as running:
        url = running.simple("emilie/prod")
        done(uv(tools, url, "demo"))
        assert set(target(tools)) == {"demo", "iniconfig"}
        again = Tools(tools.home / "again")
        again.home.mkdir()
        done(pip(again, url, "demo"))
        assert set(target(again)) == {"demo", "iniconfig"}
        assert running.status()["upstreams"]["root/pypi"]["failures"] == 0
        assert get(f"{url}no-such-project-of-anybodys-at-all-2026/").status == 404
