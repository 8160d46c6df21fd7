"""Other people's parsers read every page of a rendered site."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, DistributionPackage, PyPISimple

from tests.peers.conftest import YANK_REASON, Site
from tests.peers.server import SiteServer

pytestmark = pytest.mark.peers

INDEXES = ["emilie/prod", "emilie/dev"]


def facts(package: DistributionPackage) -> dict[str, Any]:
    """Return what both HTML and JSON say of a file."""
    return {
        "filename": package.filename,
        "url": package.url,
        "digests": package.digests,
        "requires_python": package.requires_python,
        "yanked": package.yanked_reason if package.is_yanked else None,
        "metadata": package.metadata_digests,
        "project": package.project,
        "version": package.version,
    }


@pytest.mark.parametrize("index", INDEXES)
def test_points_32_and_89_pypi_simple_reads_the_same_from_every_page_as_html_and_as_json(
    server: SiteServer, index: str
) -> None:
    with PyPISimple(f"{server.url}/{index}/simple/") as client:
        listed = client.get_index_page(accept=ACCEPT_JSON_ONLY)
        as_html = client.get_index_page(accept=ACCEPT_HTML_ONLY)
        assert listed.projects == as_html.projects
        assert {listed.repository_version, as_html.repository_version} == {"1.4"}
        assert "demo" in listed.projects
        assert "contained" not in listed.projects  # it is quarantined
        for name in [*listed.projects, "contained"]:
            json_page = client.get_project_page(name, accept=ACCEPT_JSON_ONLY)
            html_page = client.get_project_page(name, accept=ACCEPT_HTML_ONLY)
            assert list(map(facts, json_page.packages)) == list(map(facts, html_page.packages))
            assert (json_page.status, json_page.status_reason) == (html_page.status, html_page.status_reason)
            assert {package.version for package in json_page.packages} <= set(json_page.versions or ())
            assert all(package.size and package.upload_time for package in json_page.packages)


def test_points_09_and_89_pypi_simple_gets_the_reason_of_a_yank_as_it_was_given(server: SiteServer) -> None:
    with PyPISimple(f"{server.url}/emilie/prod/simple/") as client:
        page = client.get_project_page("withdrawn")
    assert {package.version: package.yanked_reason for package in page.packages} == {"1.0": None, "1.1": YANK_REASON}


def test_points_01_and_89_html5lib_reads_every_page_of_the_site_without_an_error(shop: Site) -> None:
    pages = sorted(shop.folder.rglob("index.html"))
    assert len(pages) > len(INDEXES) * 10
    for path in pages:
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        tree = parser.parse(path.read_bytes())
        assert isinstance(tree, Element), path
        assert path.read_bytes().lower().startswith(b"<!doctype html>")


def test_points_53_and_55_every_link_leads_to_a_file_with_the_stated_digest(server: SiteServer, tmp_path: Path) -> None:
    with PyPISimple(f"{server.url}/emilie/dev/simple/") as client:
        for name in client.get_index_page().projects:
            for package in client.get_project_page(name).packages:
                client.download_package(package, tmp_path / package.filename)
                assert package.has_metadata is True or package.package_type == "sdist"
                if package.has_metadata:
                    client.get_package_metadata_bytes(package)
