"""The site of the documentation in a browser: its links, what fits a phone, and what is copied of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.browser.conftest import Open
from tests.pages import build_site, pages
from tests.peers.server import SiteServer

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
_LINKS = """Array.from(document.querySelectorAll("a[href]"), link => link.href)"""
_IDS = """Array.from(document.querySelectorAll("[id], a[name]"), each => each.id || each.name)"""
_TOO_WIDE = """document.documentElement.scrollWidth - window.innerWidth"""
_CUT_TABLES = """Array.from(document.querySelectorAll("article table"))
    .filter(table => table.parentElement.scrollWidth > table.parentElement.clientWidth + 1)
    .map(table => table.innerText.split("\\n")[0])"""


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where the documentation is served, with a slash at the end."""
    with SiteServer(build_site(tmp_path_factory.mktemp("docs"))) as server:
        yield f"{server.url}/"


def place(page: str) -> str:
    """Return where a page is, below the site."""
    path = Path(page).with_suffix("").as_posix()
    return "" if path == "index" else f"{path}/"


def test_every_link_leads_to_something_and_no_page_complains(docs: str, opened: Open, errors: list[str]) -> None:
    page = opened(viewport=DESK).new_page()
    linked: dict[str, set[str]] = {}
    anchors: dict[str, set[str]] = {}
    titles = []
    for name in pages():
        url = f"{docs}{place(name)}"
        answer = page.goto(url)
        assert answer is not None
        assert answer.ok, url
        titles.append(page.title())
        assert page.locator("article h1").count() == 1, url
        anchors[url] = set(page.evaluate(_IDS))
        linked[url] = {link for link in page.evaluate(_LINKS) if link.startswith(docs)}
    assert len(set(titles)) == len(titles)
    dead = []
    for url, links in linked.items():
        for link in links:
            to, anchor = urldefrag(link)
            if to not in anchors or (anchor and unquote(anchor) not in anchors[to]):
                dead.append(f"{urlsplit(url).path}: {link}")
    assert dead == []
    assert sum(map(len, linked.values())) > 500
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_in_light_and_dark(docs: str, opened: Open, errors: list[str], scheme: str) -> None:
    page = opened(viewport=PHONE, color_scheme=scheme).new_page()
    grounds = set()
    for name in pages():
        page.goto(f"{docs}{place(name)}")
        assert page.evaluate(_TOO_WIDE) <= 0, name
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 1
    assert (sum(map(int, grounds.pop().strip("rgb()").split(","))) > 3 * 128) == (scheme == "light")
    assert errors == []


def test_the_tables_that_a_reader_begins_with_fit_a_phone(docs: str, opened: Open) -> None:
    page = opened(viewport=PHONE).new_page()
    for name in ("index.md", "reference/rules.md", "reference/formats.md"):
        page.goto(f"{docs}{place(name)}")
        assert page.locator("article table").count() > 0
        assert page.evaluate(_CUT_TABLES) == [], name


def test_what_is_copied_of_a_session_are_its_commands(docs: str, opened: Open) -> None:
    context = opened(viewport=DESK, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{docs}tutorial/")
    session = page.locator(".language-console", has_text="gitindex init packages")
    session.locator("button").first.click()
    page.wait_for_function("navigator.clipboard.readText().then(text => text.includes('gitindex init'))")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert [line for line in copied.splitlines() if line] == ["gitindex init packages --user emilie", "cd packages"]
