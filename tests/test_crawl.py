"""A crawler on the site of the example repository: each link leads somewhere, and each page is reached."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import deque
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from xml.etree import ElementTree as ET

import html5lib
import pytest

from tests.peers.server import SiteServer
from tests.sites import example_site, index_of_many, pages_of
from tests.test_render_people import INDEX

ATOM = "{http://www.w3.org/2005/Atom}"
PUBLIC = "https://packages.example.org/"
"""Where the settings of the example say that it is served."""


class Got(NamedTuple):
    """What came of a URL."""

    status: int
    content_type: str
    links: tuple[str, ...]
    """As they stand, made absolute."""
    ids: frozenset[str]


class Crawler:
    """Follows each link of a site, once."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.got: dict[str, Got] = {}
        self.broken: set[tuple[str, str]] = set()
        """Pages, with the links of theirs that lead nowhere."""

    def run(self) -> None:
        """Crawl; fragments are looked at once all pages are there."""
        waiting = deque([self.root])
        while waiting:
            url = waiting.popleft()
            if url in self.got:
                continue
            self.got[url] = self._get(url)
            waiting.extend(urldefrag(link).url for link in self.got[url].links if link.startswith(self.root))
        for url, got in self.got.items():
            for link in got.links:
                target, fragment = urldefrag(link)
                found = self.got.get(target)
                if found is not None and found.status != 200:
                    self.broken.add((url, link))
                is_page = found is not None and found.content_type == "text/html"
                if is_page and fragment and found and not {fragment, unquote(fragment)} & found.ids:
                    self.broken.add((url, link))

    def _get(self, url: str) -> Got:
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                status, kind, body = answer.status, answer.headers.get_content_type(), answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            return Got(error.code, "", (), frozenset())
        links, ids = _read(kind, body)
        absolute = (urljoin(url, link).replace(PUBLIC, self.root) for link in links)
        return Got(status, kind, tuple(dict.fromkeys(absolute)), frozenset(ids))


def _read(kind: str, body: bytes) -> tuple[list[str], list[str]]:
    """Return the links of a page, and the ids in it."""
    if kind == "text/html":
        tree = html5lib.parse(body, namespaceHTMLElements=False)
        values = {name: [e.attrib[name] for e in tree.iter() if name in e.attrib] for name in ("href", "src", "id")}
        links = [link for link in values["href"] + values["src"] if not link.startswith(("mailto:", "url("))]
        return links, values["id"]
    if kind == "application/json":
        return [file["url"] for file in json.loads(body).get("files", ())], []
    if kind in {"text/xml", "application/xml"}:
        return [link.attrib["href"] for link in ET.fromstring(body).iter(f"{ATOM}link")], []  # noqa: S314 - ours
    return [], []


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return example_site(tmp_path / "site")


def crawled(site: Path) -> Crawler:
    with SiteServer(site, negotiates=False) as server:
        crawler = Crawler(f"{server.url}/")
        crawler.run()
    return crawler


def test_no_link_is_broken_and_each_page_and_file_is_reached(site: Path) -> None:
    crawler = crawled(site)
    assert crawler.broken == set()
    reached = {unquote(urlsplit(url).path).lstrip("/") for url in crawler.got}
    assert set(pages_of(site)) - {"404.html"} <= reached
    files = {path.relative_to(site).as_posix() for path in site.joinpath("files").rglob("*") if path.is_file()}
    assert {path for path in files if not path.endswith((".metadata", ".provenance"))} <= reached
    assert {"+site/style.css", "+site/script.js", "+site/icon.svg", "emilie/prod/feed.xml"} <= reached
    assert any(path.endswith("simple/index.json") for path in reached)


def test_the_page_of_what_is_not_there_leads_back_from_any_path(site: Path) -> None:
    deep = site / "what/is/not/there"
    deep.mkdir(parents=True)
    (deep / "index.html").write_bytes((site / "404.html").read_bytes())
    with SiteServer(site, negotiates=False) as server:
        crawler = Crawler(f"{server.url}/what/is/not/there/")
        crawler.root = f"{server.url}/"
        crawler.got[crawler.root] = crawler._get(f"{server.url}/what/is/not/there/")
        links = {urldefrag(link).url for link in crawler.got[crawler.root].links}
        assert {f"{server.url}/", f"{server.url}/+site/style.css"} <= links
        assert {crawler._get(link).status for link in links} == {200}


def test_letters_of_a_long_list_lead_to_their_projects(site: Path) -> None:
    (site / "emilie/prod/index.html").write_bytes(index_of_many(INDEX, 60))
    crawler = crawled(site)
    links = {link for _, link in crawler.broken}
    assert links
    assert not [link for link in links if "#letter" in link]
    assert not [link for link in links if "project/" not in link]


def test_the_crawler_finds_what_is_broken(site: Path) -> None:
    page = site / "emilie/prod/project/slug-tools/index.html"
    page.write_bytes(page.read_bytes().replace(b"</main>", b'<a href="#nowhere">x</a><a href="../gone/">y</a></main>'))
    assert {urlsplit(link).path + "#" + urlsplit(link).fragment for _, link in crawled(site).broken} == {
        "/emilie/prod/project/slug-tools/#nowhere",
        "/emilie/prod/project/gone/#",
    }
