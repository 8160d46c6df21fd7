"""The pages for people and the feed, as a browser and a feed reader would take them in."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given, strategies as st

from gitindex.names import IndexName, ProjectName, Sha256, UserName
from gitindex.pages import FilePage, ProjectPage, Status
from gitindex.render import feed, people
from gitindex.render.text import carried, is_link
from gitindex.views import (
    FeedEntry,
    FeedView,
    IndexCard,
    IndexView,
    LandingView,
    ProjectRow,
    ProjectView,
)
from tests.strategies import HOSTILE, checked, feed_views, index_views, landing_views, project_rows, project_views

ATOM = "{http://www.w3.org/2005/Atom}"
SITE = "https://packages.example.org/prefix/"
SIMPLE = f"{SITE}emilie/dev/simple/"
DEV, PROD, PYPI = (
    IndexName(UserName("emilie"), "dev"),
    IndexName(UserName("emilie"), "prod"),
    IndexName(UserName("root"), "pypi"),
)
DEMO = ProjectName("demo")

LANDING = LandingView(
    "Example packages",
    (
        (
            "emilie",
            "Emilie",
            (
                IndexCard(DEV, "stage", "Work in progress", volatile=True, projects=2),
                IndexCard(PROD, "stage", "", volatile=False, projects=1),
            ),
        ),
        ("root", "", (IndexCard(PYPI, "mirror", "", volatile=False, projects=None),)),
        ("zoe", "Zoe", ()),
    ),
)
INDEX = IndexView(
    site_title="Example packages",
    name=DEV,
    kind="stage",
    title="Work in progress",
    description="One line.\nAnother.",
    volatile=True,
    bases=(PROD,),
    order=(DEV, PROD, PYPI),
    uploaders=("emilie", ":release-team"),
    mirror_url="",
    projects=2,
    newest=(FeedEntry(DEMO, "2.0", DEV, "2026-11-22T07:25:00Z", "project/demo/#2.0"),),
    index_url=SIMPLE,
)
ROWS = (ProjectRow(DEMO, "2.0", "", DEV), ProjectRow(ProjectName("old"), "", "archived", None))
MIRROR = replace(
    INDEX,
    name=PYPI,
    kind="mirror",
    bases=(),
    order=(PYPI,),
    mirror_url="https://up.example.org/simple/",
    projects=0,
    newest=(),
)


def index_page(view: IndexView) -> bytes:
    """Return the page of an index with the rows that it counts: none, or those of the example."""
    return people.index(view, {row.name: people.project_row(row) for row in ROWS[: view.projects]})


def a_file(filename: str, version: str, sha256: str, yanked: str | None = None) -> FilePage:
    return FilePage(
        filename=filename,
        version=version,
        index=DEV if version == "2.0" else PROD,
        url=f"../../../../files/{sha256[:2]}/{sha256[2:]}/{filename}",
        sha256=Sha256(sha256),
        size=1482,
        upload_time="2026-11-22T07:25:00Z",
        requires_python=">=3.9,<4",
        yanked=yanked,
        provenance="https://packages.example.org/p" if version == "2.0" else None,
    )


FILES = (
    a_file("demo-1.0-py3-none-any.whl", "1.0", "1" * 64, yanked="broken"),
    a_file("demo-1.0.tar.gz", "1.0", "2" * 64, yanked="broken"),
    a_file("demo-2.0-py3-none-any.whl", "2.0", "3" * 64),
    a_file("demo-2.0.tar.gz", "2.0", "4" * 64, yanked="only the sdist"),
)
PROJECT = ProjectView(
    site_title="Example packages",
    index=DEV,
    page=ProjectPage(DEMO, ("0.9", "1.0", "2.0"), FILES, Status("deprecated", "use other")),
    display_name="Demo",
    latest="2.0",
    index_url=SIMPLE,
)
PAGES = [
    ("", people.landing(LANDING)),
    ("", people.landing(LandingView("Empty", ()))),
    ("emilie/dev/", index_page(INDEX)),
    ("root/pypi/", index_page(MIRROR)),
    ("emilie/dev/project/demo/", people.project(PROJECT)),
]
every_page = pytest.mark.parametrize(("path", "html"), PAGES, ids=["landing", "empty", "index", "mirror", "project"])


def parsed(html: bytes) -> Element:
    """Return the tree that a browser would build, or fail on any parse error of the HTML standard."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    assert isinstance(tree, Element)
    return tree


def text_of(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def links_of(html: bytes) -> list[str]:
    return [anchor.attrib["href"] for anchor in parsed(html).iter("a")]


def one(html: bytes, path: str) -> Element:
    (element,) = parsed(html).findall(path)
    return element


@every_page
def test_page_has_one_heading_landmarks_a_title_and_a_language(path: str, html: bytes) -> None:
    tree = parsed(html)
    assert html.startswith(b"<!DOCTYPE html>\n")
    assert tree.attrib["lang"] == "en"
    for landmark in ("h1", "header", "main", "footer", "title"):
        assert len(list(tree.iter(landmark))) == 1, landmark
    assert len(list(tree.iter("nav"))) == (1 if path else 0)
    levels = [int(element.tag[1]) for element in tree.iter() if element.tag in {"h1", "h2", "h3"}]
    assert all(after - before <= 1 for before, after in pairwise(levels))


@every_page
def test_page_runs_nothing_and_loads_its_own_stylesheet_only(path: str, html: bytes) -> None:
    tree = parsed(html)
    assert not [element.tag for element in tree.iter() if element.tag in {"script", "img", "iframe", "form", "style"}]
    sheets = [link.attrib["href"] for link in tree.iter("link") if link.attrib["rel"] == "stylesheet"]
    assert [urljoin(SITE + path, sheet) for sheet in sheets] == [f"{SITE}+site/style.css"]
    policy = one(html, ".//meta[@http-equiv='Content-Security-Policy']").attrib["content"]
    assert policy == "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"


@every_page
def test_links_stay_in_the_site_and_name_pages_of_it(path: str, html: bytes) -> None:
    targets = {urlsplit(urljoin(SITE + path, link))._replace(fragment="").geturl() for link in links_of(html)}
    elsewhere = {"https://packages.example.org/p", "https://up.example.org/simple/"}
    pages = {
        "", "emilie/dev/", "emilie/prod/", "root/pypi/", "emilie/dev/feed.xml",
        "emilie/dev/simple/", "emilie/dev/simple/index.json", "emilie/dev/project/demo/", "emilie/dev/project/old/",
        "emilie/dev/simple/demo/", "emilie/dev/simple/demo/index.json",
    }  # fmt: skip
    files = {f"files/{sha[:2]}/{sha[2:]}/{file.filename}" for file in FILES if (sha := file.sha256)}
    assert targets <= elsewhere | {SITE + page for page in pages | files}


@every_page
def test_fragments_lead_to_something(path: str, html: bytes) -> None:
    assert isinstance(path, str)
    tree = parsed(html)
    ids = [element.attrib["id"] for element in tree.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    named = {link[1:] for link in links_of(html) if link.startswith("#")}
    named |= {element.attrib["aria-labelledby"] for element in tree.iter() if "aria-labelledby" in element.attrib}
    assert named <= set(ids)


@every_page
def test_tables_have_captions_and_scopes(path: str, html: bytes) -> None:
    for table in parsed(html).iter("table"):
        assert table.find("caption") is not None, path
        assert {heading.attrib["scope"] for heading in table.iter("th")} <= {"col", "row", "rowgroup"}
        width = len(table.findall("./thead/tr/th"))
        for row in table.iter("tr"):
            assert sum(int(cell.attrib.get("colspan", "1")) for cell in row) == width


def test_landing_shows_users_and_what_their_indexes_promise() -> None:
    html = people.landing(LANDING)
    cards = [text_of(card) for card in parsed(html).iter("li")]
    assert cards == [
        "emilie/dev volatile Work in progress 2 projects",
        "emilie/prod non-volatile 1 project",
        "root/pypi mirror Shows another index",
    ]
    assert [text_of(heading) for heading in parsed(html).iter("h2")] == ["emilie Emilie", "root", "zoe Zoe"]


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (INDEX, "Releases may be replaced or removed."),
        (replace(INDEX, volatile=False), "Nothing that was released here is ever removed or changed."),
        (MIRROR, "This mirror shows another index; nobody uploads to it."),
    ],
)
def test_index_page_states_its_promise_in_words(view: IndexView, words: str) -> None:
    facts = text_of(one(index_page(view), ".//dl"))
    assert f"Promise {words}" in facts


def test_index_page_shows_order_uploaders_and_projects() -> None:
    html = index_page(INDEX)
    facts = text_of(one(html, ".//dl"))
    assert "Bases emilie/prod" in facts
    assert "emilie, group release-team" in facts
    order = [text_of(step) for step in parsed(html).findall(".//ol[@class='order']/li")]
    assert order == ["emilie/dev", "emilie/prod", "root/pypi"]
    rows = [[text_of(cell) for cell in row] for row in parsed(html).findall(".//tbody/tr")]
    assert rows == [["demo", "2.0", "", "emilie/dev"], ["old", "", "archived", ""]]
    assert "Nothing has been released here yet." in text_of(parsed(index_page(replace(INDEX, projects=0, newest=()))))
    assert "May upload nobody" in text_of(parsed(index_page(replace(INDEX, uploaders=(), bases=()))))


def test_lines_to_copy_make_the_index_the_only_one() -> None:
    html = index_page(INDEX)
    pip, uv = (code.text for code in parsed(html).findall(".//pre/code"))
    assert pip == f"pip install --index-url {SIMPLE} NAME"
    assert uv == f'[[tool.uv.index]]\nname = "emilie-dev"\nurl = "{SIMPLE}"\ndefault = true'
    assert one(people.project(PROJECT), ".//pre/code").text == f"pip install --index-url {SIMPLE} demo"
    assert all(b"extra-index" not in page for _, page in PAGES)


def test_lines_to_copy_are_quoted_for_the_shell_and_for_toml() -> None:
    url = "https://packages.example.org/a b/'\"$(id)\\/"
    pip, uv = (code.text for code in parsed(index_page(replace(INDEX, index_url=url))).findall(".//pre/code"))
    assert pip == """pip install --index-url 'https://packages.example.org/a b/'"'"'"$(id)\\/' NAME"""
    assert uv is not None
    assert 'url = "https://packages.example.org/a b/\'\\"$(id)\\\\/"' in uv.splitlines()


def test_lines_to_copy_of_a_site_without_url_say_what_to_fill_in() -> None:
    html = index_page(replace(INDEX, index_url=""))
    assert "URL stands for the address of this page followed by simple/." in text_of(parsed(html))
    assert parsed(html).findall(".//pre/code")[0].text == "pip install --index-url URL NAME"
    assert "URL stands for" in text_of(parsed(people.project(replace(PROJECT, index_url=""))))


def test_mirror_page_links_to_what_is_served_only() -> None:
    assert not [link for link in links_of(index_page(MIRROR)) if link.startswith(("simple", "feed"))]
    served = links_of(index_page(replace(MIRROR, serves_mirror=True)))
    assert {"simple/", "simple/index.json", "feed.xml"} <= set(served)


def test_project_page_lists_releases_newest_first_with_all_facts_of_their_files() -> None:
    groups = parsed(people.project(PROJECT)).findall(".//tbody")
    assert [group.attrib["id"] for group in groups] == ["2.0", "1.0", "0.9"]
    newest, older, empty = ([text_of(row) for row in group] for group in groups)
    assert newest == [
        "2.0 latest from emilie/dev",
        f"demo-2.0-py3-none-any.whl provenance{'3' * 64}1.5 kB2026-11-22>=3.9, <4",
        f"demo-2.0.tar.gz provenanceyanked only the sdist{'4' * 64}1.5 kB2026-11-22>=3.9, <4",
    ]
    assert older[0] == "1.0 from emilie/prodyanked broken"
    assert "yanked" not in "".join(older[1:])
    assert empty == ["0.9 no files"]


def test_project_page_says_where_each_file_of_a_mixed_release_comes_from() -> None:
    mixed = (FILES[2], FILES[3]._replace(index=PROD))
    page = ProjectPage(DEMO, ("2.0",), mixed)
    tree = parsed(people.project(replace(PROJECT, page=page)))
    heading, first, second = (text_of(row) for row in tree.findall(".//tbody/tr"))
    assert "from" not in heading
    assert "from emilie/dev" in first
    assert "from emilie/prod" in second


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status("archived"), "Archived. No further releases are to be expected."),
        (Status("deprecated", "use other"), "Deprecated. Its owners advise against using it. use other"),
        (
            Status("quarantined", "malware"),
            "Quarantined. It is considered unsafe, so its files are not offered. malware",
        ),
    ],
)
def test_status_stands_in_a_banner(status: Status, words: str) -> None:
    page = replace(PROJECT.page, status=status)
    html = people.project(replace(PROJECT, page=page))
    assert text_of(one(html, ".//div[@role='note']")) == words
    shows_files = b"demo-2.0.tar.gz" in html
    assert shows_files == (status.status != "quarantined")


@pytest.mark.parametrize("status", [None, Status("active", "fine"), Status("on fire")])
def test_no_banner_where_there_is_nothing_to_say(status: Status | None) -> None:
    html = people.project(replace(PROJECT, page=replace(PROJECT.page, status=status)))
    assert not parsed(html).findall(".//div[@role='note']")


def test_project_without_releases_has_a_page() -> None:
    html = people.project(replace(PROJECT, page=ProjectPage(DEMO, (), ()), latest=""))
    assert "No release is offered here." in text_of(parsed(html))
    assert not list(parsed(html).iter("pre"))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1, "1 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
        (12_345_678, "12.3 MB"), (10**9, "1.0 GB"), (10**13, "10.0 TB"), (None, ""),
    ],
)  # fmt: skip
def test_sizes_are_for_people(size: int | None, words: str) -> None:
    page = ProjectPage(DEMO, ("2.0",), (FILES[2]._replace(size=size),))
    html = people.project(replace(PROJECT, page=page))
    assert text_of(parsed(html).findall(".//tbody/tr[2]/td")[0]) == words


def assert_harmless(html: bytes) -> None:
    tree = parsed(html)
    known = {
        "html", "head", "meta", "title", "link", "body", "a", "header", "nav", "ol", "ul", "li", "main", "section",
        "h1", "h2", "h3", "p", "span", "div", "dl", "dt", "dd", "pre", "code", "strong", "table", "caption", "thead",
        "tbody", "tr", "th", "td", "time", "footer",
    }  # fmt: skip
    attributes = {
        "lang", "charset", "http-equiv", "content", "name", "rel", "href", "type", "title", "class", "id", "role",
        "tabindex", "scope", "colspan", "datetime", "aria-label", "aria-labelledby", "aria-current",
    }  # fmt: skip
    for element in tree.iter():
        assert element.tag in known
        assert set(element.attrib) <= attributes
        if "href" in element.attrib:
            assert is_link(element.attrib["href"])


@checked
@given(landing_views)
def test_hostile_text_does_nothing_on_the_landing_page(view: LandingView) -> None:
    assert_harmless(people.landing(view))


@checked
@given(index_views, st.lists(project_rows, max_size=3))
def test_hostile_text_does_nothing_on_an_index_page(view: IndexView, rows: list[ProjectRow]) -> None:
    assert_harmless(people.index(view, {row.name: people.project_row(row) for row in rows}))


@checked
@given(project_views)
def test_hostile_text_does_nothing_on_a_project_page(view: ProjectView) -> None:
    assert_harmless(people.project(view))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(text: str) -> None:
    file = FILES[0]._replace(filename=text, url=text, yanked=text, requires_python=text, upload_time=text)
    page = ProjectPage(DEMO, ("1.0",), (file,), Status("archived", text))
    project = people.project(replace(PROJECT, page=page, display_name=text))
    index = index_page(replace(INDEX, title=text, description=text, uploaders=(text,)))
    landing = people.landing(
        LandingView(text, ((text, text, (IndexCard(DEV, "stage", text, volatile=True, projects=0),)),))
    )
    for html in (project, index, landing):
        assert_harmless(html)
        assert " ".join(carried(text).split()) in text_of(parsed(html))


def test_file_of_another_scheme_is_named_and_not_linked() -> None:
    page = ProjectPage(DEMO, ("2.0",), (FILES[2]._replace(url="javascript:alert(1)"),))
    html = people.project(replace(PROJECT, page=page))
    assert not [link for link in links_of(html) if "javascript" in link]
    assert b"demo-2.0-py3-none-any.whl" in html
    mirror = index_page(replace(MIRROR, mirror_url="javascript:alert(1)"))
    assert not [link for link in links_of(mirror) if "javascript" in link]


def test_files_of_an_upstream_without_version_or_digest_come_last() -> None:
    odd = FILES[2]._replace(filename="setup.exe", version="", sha256=None, core_metadata=True, size=None)
    html = people.project(replace(PROJECT, page=ProjectPage(DEMO, ("2.0",), (odd, FILES[2]))))
    rows = [text_of(row) for row in parsed(html).findall(".//tbody/tr")]
    assert [row.split()[0] for row in rows] == ["2.0", "demo-2.0-py3-none-any.whl", "Other", "setup.exe"]
    assert b"None" not in html


def test_stylesheet_fits_both_colour_schemes_and_loads_nothing() -> None:
    sheet = people.stylesheet().decode()
    assert "prefers-color-scheme: dark" in sheet
    assert "url(" not in sheet
    assert "@import" not in sheet
    assert sheet.count("{") == sheet.count("}")


ENTRIES = (
    FeedEntry(DEMO, "1.0", PROD, "2025-01-01T00:00:00Z", "project/demo/#1.0", ("broken", "")),
    FeedEntry(DEMO, "2.0", DEV, "2026-11-22T07:25:00.5Z", "project/demo/#2.0"),
    FeedEntry(DEMO, "1.9", DEV, "2026-11-22T07:25:00Z", "project/demo/#1.9", ("",)),
    FeedEntry(DEMO, "0.9", DEV, None, "project/demo/#0.9"),
)
FEED = FeedView(DEV, "", SITE, ENTRIES)


def atom(view: FeedView) -> Element:
    tree = ET.fromstring(feed.feed(view))  # noqa: S314 - we made it
    assert tree.tag == f"{ATOM}feed"
    for element in [tree, *tree.findall(f"{ATOM}entry")]:
        for name in ("id", "title", "updated"):
            assert len(element.findall(ATOM + name)) == 1
    assert tree.findtext(f"{ATOM}author/{ATOM}name") == view.index.user
    return tree


def test_feed_lists_releases_newest_first() -> None:
    entries = atom(FEED).findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == ["demo 2.0", "demo 1.9", "demo 1.0", "demo 0.9"]
    assert [entry.findtext(f"{ATOM}summary") for entry in entries] == [
        None, "Yanked.", "From emilie/prod. Yanked: broken", None,
    ]  # fmt: skip
    assert atom(FEED).findtext(f"{ATOM}updated") == "2026-11-22T07:25:00.5Z"
    assert entries[-1].findtext(f"{ATOM}updated") == feed.NEVER


def test_feed_of_a_site_with_url_has_absolute_links() -> None:
    tree = atom(FEED)
    links = {link.attrib["rel"]: link.attrib["href"] for link in tree.findall(f"{ATOM}link")}
    assert links == {"self": f"{SITE}emilie/dev/feed.xml", "alternate": f"{SITE}emilie/dev/"}
    entry = tree.findall(f"{ATOM}entry")[0]
    assert entry.findtext(f"{ATOM}id") == f"{SITE}emilie/dev/project/demo/#2.0"
    assert [link.attrib["href"] for link in entry.iter(f"{ATOM}link")] == [f"{SITE}emilie/dev/project/demo/#2.0"]
    assert feed.feed(replace(FEED, site_url=SITE.rstrip("/"))) == feed.feed(FEED)


@pytest.mark.parametrize("site_url", ["", "javascript:alert(1)"])
def test_feed_of_a_site_without_url_has_relative_links_and_a_tag(site_url: str) -> None:
    tree = atom(replace(FEED, site_url=site_url))
    assert tree.findtext(f"{ATOM}id") == "tag:gitindex.invalid,2026:emilie/dev/"
    links = {link.attrib["rel"]: link.attrib["href"] for link in tree.findall(f"{ATOM}link")}
    assert links == {"self": "feed.xml", "alternate": "./"}
    entry = tree.findall(f"{ATOM}entry")[0]
    assert [link.attrib["href"] for link in entry.iter(f"{ATOM}link")] == ["project/demo/#2.0"]


def test_feed_holds_fifty_releases_and_each_has_its_own_id() -> None:
    many = tuple(FeedEntry(DEMO, f"1.{n}", DEV, f"2026-01-01T00:00:{n:02}Z", "./") for n in range(60))
    entries = atom(replace(FEED, entries=many)).findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == [f"demo 1.{n}" for n in range(59, 9, -1)]
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == 50


def test_feed_of_nothing_is_a_feed() -> None:
    assert atom(replace(FEED, entries=())).findtext(f"{ATOM}updated") == feed.NEVER


@checked
@given(feed_views)
def test_hostile_text_in_a_feed_is_text(view: FeedView) -> None:
    tree = atom(view)
    names = {"feed", "title", "id", "updated", "author", "name", "link", "entry", "summary"}
    assert {element.tag.removeprefix(ATOM) for element in tree.iter()} <= names
    for link in tree.iter(f"{ATOM}link"):
        assert is_link(link.attrib["href"])
    if view.title:
        assert (tree.findtext(f"{ATOM}title") or "") == carried(view.title)
    assert feed.feed(view) == feed.feed(view)
