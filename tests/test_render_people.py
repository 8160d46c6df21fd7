"""The pages for people and the feed, as a browser and a feed reader would take them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given, strategies as st

from gitindex.facts.described import read_described
from gitindex.names import IndexName, ProjectName, Sha256, UserName
from gitindex.pages import FilePage, ProjectPage, Status
from gitindex.render import feed, people, policy
from gitindex.render.project import project
from gitindex.render.text import carried, is_link
from gitindex.views import (
    FeedEntry,
    FeedView,
    HistoryEntry,
    IndexCard,
    IndexView,
    LandingView,
    Notice,
    NoticeLine,
    ProjectRow,
    ProjectView,
    RunOfTests,
)
from tests.sites import ELEMENTS, SVG
from tests.strategies import HOSTILE, checked, feed_views, index_views, landing_views, project_rows

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
    return people.index(view, people.rows_of({row.name: people.project_row(row) for row in ROWS[: view.projects]}))


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
    ("not/there", people.missing("Example packages", "/prefix/")),
    ("emilie/dev/", index_page(INDEX)),
    ("root/pypi/", index_page(MIRROR)),
    ("emilie/dev/project/demo/", project(PROJECT)),
]
every_page = pytest.mark.parametrize(
    ("path", "html"), PAGES, ids=["landing", "empty", "missing", "index", "mirror", "project"]
)


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
    assert html.startswith(b"<!DOCTYPE html>\n"), path
    assert tree.attrib["lang"] == "en"
    for landmark in ("h1", "header", "main", "footer", "title"):
        assert len(list(tree.iter(landmark))) == 1, landmark
    names = [nav.attrib["aria-label"] for nav in tree.iter("nav")]
    assert names[0] == "Breadcrumb"
    assert len(set(names)) == len(names)
    levels = [int(element.tag[1]) for element in tree.iter() if element.tag in {"h1", "h2", "h3"}]
    assert all(after - before <= 1 for before, after in pairwise(levels))


@every_page
def test_page_loads_its_own_script_style_and_icon_only(path: str, html: bytes) -> None:
    tree = parsed(html)
    assert not [element.tag for element in tree.iter() if element.tag in {"iframe", "form", "style", "object", "embed"}]
    assert not [name for element in tree.iter() for name in element.attrib if name.startswith("on") or name == "style"]
    loaded = [element.attrib["src"] for element in tree.iter() if "src" in element.attrib]
    loaded += [link.attrib["href"] for link in tree.iter("link") if link.attrib["rel"] in {"stylesheet", "icon"}]
    assert {urljoin(SITE + path, url) for url in loaded} == {f"{SITE}+site/{name}" for name in people.STATICS}
    assert not [script for script in tree.iter("script") if script.text]
    assert one(html, ".//meta[@http-equiv='Content-Security-Policy']").attrib["content"] == policy.IN_PAGE


def test_the_policy_lets_nothing_in_that_is_inline_or_from_elsewhere() -> None:
    directives = dict(directive.split(" ", 1) for directive in policy.IN_HEADER.split("; "))
    assert policy.IN_HEADER.startswith(policy.IN_PAGE)
    assert directives.pop("require-trusted-types-for") == "'script'"
    assert directives.pop("default-src") == directives.pop("frame-ancestors") == "'none'"
    assert set(directives.values()) <= {"'self'", "'none'"}


@every_page
def test_links_stay_in_the_site_and_name_pages_of_it(path: str, html: bytes) -> None:
    targets = {urlsplit(urljoin(SITE + path, link))._replace(fragment="").geturl() for link in links_of(html)}
    elsewhere = {"https://packages.example.org/p", "https://up.example.org/simple/"}
    pages = {
        "", path, "emilie/dev/", "emilie/prod/", "root/pypi/", "emilie/dev/feed.xml",
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
    cards = [text_of(card) for card in parsed(html).findall(".//ul[@class='cards']/li")]
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
    (promise,) = (p for p in parsed(index_page(view)).iter("p") if p.attrib.get("class", "").startswith("promise"))
    assert text_of(promise) == words


def test_index_page_shows_order_uploaders_and_projects() -> None:
    html = index_page(INDEX)
    facts = text_of(one(html, ".//dl"))
    assert "May upload emilie, group release-team" in facts
    order = [text_of(step) for step in parsed(html).findall(".//ol[@class='order']/li")]
    assert order == ["emilie/dev", "emilie/prod", "root/pypi"]
    rows = [[text_of(cell) for cell in row] for row in parsed(html).findall(".//tbody/tr")]
    assert rows == [["demo", "2.0", "", "emilie/dev"], ["old", "", "archived", ""]]
    assert "Nothing has been released here yet." in text_of(parsed(index_page(replace(INDEX, projects=0, newest=()))))
    assert "May upload nobody" in text_of(parsed(index_page(replace(INDEX, uploaders=(), bases=()))))


def test_lines_to_copy_make_the_index_the_only_one() -> None:
    html = index_page(INDEX)
    pip, _, uv, *others = (code.text for code in parsed(html).findall(".//pre/code"))
    assert len(others) == 3
    assert pip == f"pip install --index-url {SIMPLE} NAME"
    assert uv == f'[[tool.uv.index]]\nname = "emilie-dev"\nurl = "{SIMPLE}"\ndefault = true'
    assert parsed(project(PROJECT)).findall(".//pre/code")[0].text == f"pip install --index-url {SIMPLE} demo"
    assert all(b"extra-index" not in page for _, page in PAGES)


def test_lines_to_copy_are_quoted_for_the_shell_and_for_toml() -> None:
    url = "https://packages.example.org/a b/'\"$(id)\\/"
    pip, _, uv, *_ = (code.text for code in parsed(index_page(replace(INDEX, index_url=url))).findall(".//pre/code"))
    assert pip == """pip install --index-url 'https://packages.example.org/a b/'"'"'"$(id)\\/' NAME"""
    assert uv is not None
    assert 'url = "https://packages.example.org/a b/\'\\"$(id)\\\\/"' in uv.splitlines()


def test_lines_to_copy_of_a_site_without_url_say_what_to_fill_in() -> None:
    html = index_page(replace(INDEX, index_url=""))
    assert "URL stands for the address of this page followed by simple/." in text_of(parsed(html))
    assert parsed(html).findall(".//pre/code")[0].text == "pip install --index-url URL NAME"
    assert "URL stands for" in text_of(parsed(project(replace(PROJECT, index_url=""))))


def test_mirror_page_links_to_what_is_served_only() -> None:
    assert not [link for link in links_of(index_page(MIRROR)) if link.startswith(("simple", "feed"))]
    served = links_of(index_page(replace(MIRROR, serves_mirror=True)))
    assert {"simple/", "simple/index.json", "feed.xml"} <= set(served)


def test_mirror_page_says_what_it_shows() -> None:
    said = text_of(parsed(index_page(replace(MIRROR, mirror_url=""))))
    assert "Shows Index PyPI" in said
    assert not any(word in said for word in ("Only", "Never", "old"))
    many = tuple(f"dependency-{number}" for number in range(22))
    filtered = replace(MIRROR, allows=many, denies=("<b>",), min_age="7d")
    said = text_of(parsed(index_page(filtered)))
    assert "Only dependency-0, dependency-1," in said
    assert "dependency-19 and 2 more Never <b> Files at least 7d old" in said
    assert "Only nothing" in text_of(parsed(index_page(replace(MIRROR, allows=()))))


def test_rows_are_laid_out_later_where_there_are_many_only() -> None:
    for number, kind in ((200, "projects"), (201, "projects many")):
        tables = parsed(index_page(replace(INDEX, projects=number))).findall(".//table[@id='projects']")
        assert [table.get("class") for table in tables] == [kind]


def assert_harmless(html: bytes) -> None:
    tree = parsed(html)
    attributes = {
        "lang", "charset", "http-equiv", "content", "name", "rel", "href", "type", "title", "class", "id", "role",
        "tabindex", "scope", "colspan", "datetime", "src", "alt", "width", "height", "hidden", "value", "checked",
        "for", "autocomplete", "spellcheck", "open", "viewBox", "refX", "refY", "markerWidth", "markerHeight",
        "orient", "d", "marker-end", "x", "y", "rx", "cx", "cy", "r",
    }  # fmt: skip
    for element in tree.iter():
        assert element.tag.removeprefix(SVG) in ELEMENTS
        assert {name for name in element.attrib if not name.startswith(("aria-", "data-"))} <= attributes
        assert element.tag != "script" or not element.text
        if "href" in element.attrib:
            assert is_link(element.attrib["href"])


@checked
@given(landing_views)
def test_hostile_text_does_nothing_on_the_landing_page(view: LandingView) -> None:
    assert_harmless(people.landing(view))


@checked
@given(index_views, st.lists(project_rows, max_size=3))
def test_hostile_text_does_nothing_on_an_index_page(view: IndexView, rows: list[ProjectRow]) -> None:
    assert_harmless(people.index(view, people.rows_of({row.name: people.project_row(row) for row in rows})))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(text: str) -> None:
    file = FILES[0]._replace(filename=text, url=text, yanked=text, requires_python=text, upload_time=text)
    page = ProjectPage(DEMO, ("1.0",), (file,), Status("archived", text))
    about = project(replace(PROJECT, page=page, display_name=text))
    index = index_page(replace(INDEX, title=text, description=text, uploaders=(text,)))
    landing = people.landing(
        LandingView(text, ((text, text, (IndexCard(DEV, "stage", text, volatile=True, projects=0),)),))
    )
    for html in (about, index, landing):
        assert_harmless(html)
        assert " ".join(carried(text).split()) in text_of(parsed(html))


TURNED = "\u202etxet"
"""A text that turns around what follows it on its line, unless it stands apart."""
INLINE = {"a", "b", "strong", "span", "code", "time", "button", "summary", "label", "input", "img", "kbd", "output"}


def paragraphs(element: Element) -> Iterator[list[tuple[str, bool]]]:
    """Yield the paragraphs of an element: their pieces of text, and whether a piece stands apart."""
    run: list[tuple[str, bool]] = []

    def walk(node: Element, *, is_apart: bool) -> Iterator[list[tuple[str, bool]]]:
        run.append((node.text or "", is_apart))
        for child in node:
            if child.tag in INLINE | {"bdi"}:
                yield from walk(child, is_apart=is_apart or child.tag == "bdi")
            else:
                yield run.copy()
                run.clear()
                yield from paragraphs(child)
            run.append((child.tail or "", is_apart))

    yield from walk(element, is_apart=False)
    yield run


def assert_turns_nothing(html: bytes) -> None:
    """Check that nothing stands behind the text on its line, or that it stands apart; and that it is on the page."""
    body = parsed(html).find("body")
    assert body is not None
    found = 0
    for paragraph in paragraphs(body):
        for number, (text, is_apart) in enumerate(paragraph):
            found += TURNED in text
            if TURNED in text and not is_apart:
                after = text.rpartition(TURNED)[2] + "".join(text for text, _ in paragraph[number + 1 :])
                assert not after.strip(), paragraph
    assert found


def test_text_that_runs_the_other_way_turns_around_nothing_beside_it() -> None:
    notice = Notice(TURNED, (NoticeLine("new", TURNED, TURNED, ((TURNED, "../"),)),))
    file = FILES[0]._replace(filename=TURNED, yanked=TURNED, requires_python=TURNED, version=TURNED)
    other = FILES[1]._replace(version=TURNED)
    page = ProjectPage(DEMO, (TURNED,), (file, other), Status("archived", TURNED))
    view = replace(PROJECT, site_title=TURNED, page=page, display_name=TURNED, latest=TURNED, notice=notice)
    runs = (RunOfTests(TURNED, "passed", 1, "2026-11-22T08:00:00Z", DEV),)
    history = (HistoryEntry("2026-11-24T10:00:00Z", TURNED, "a" * 40, DEV, (TURNED,), (TURNED,), (TURNED,), True),)
    metadata = f"Metadata-Version: 2.4\nName: demo\nVersion: 1\nKeywords: {TURNED},{TURNED}\nLicense: {TURNED}\n"
    metadata += (
        f"Author: {TURNED}\nProject-URL: {TURNED}, {TURNED}\nProvides-Extra: {TURNED}\nRequires-Dist: {TURNED}\n"
    )
    described = read_described(metadata.encode())
    assert_turns_nothing(project(replace(view, tested={TURNED: runs}, history=history, described=described)))
    index = replace(INDEX, site_title=TURNED, title=TURNED, description=TURNED, uploaders=(TURNED, ":x"), notice=notice)
    newest = (FeedEntry(DEMO, TURNED, DEV, "2026-11-22T07:25:00Z", "project/demo/"),)
    row = people.project_row(ProjectRow(DEMO, TURNED, "archived", DEV))
    assert_turns_nothing(people.index(replace(index, newest=newest), people.rows_of({DEMO: row})))
    assert_turns_nothing(index_page(replace(MIRROR, allows=(TURNED, "a"), denies=(TURNED, "b"), mirror_url=TURNED)))
    card = IndexCard(DEV, "stage", TURNED, volatile=True, projects=0)
    assert_turns_nothing(people.landing(LandingView(TURNED, ((TURNED, f"{TURNED}.", (card,)),))))


def test_file_of_another_scheme_is_named_and_not_linked() -> None:
    page = ProjectPage(DEMO, ("2.0",), (FILES[2]._replace(url="javascript:alert(1)"),))
    html = project(replace(PROJECT, page=page))
    assert not [link for link in links_of(html) if "javascript" in link]
    assert b"demo-2.0-py3-none-any.whl" in html
    mirror = index_page(replace(MIRROR, mirror_url="javascript:alert(1)"))
    assert not [link for link in links_of(mirror) if "javascript" in link]


def test_stylesheet_fits_both_colour_schemes_and_loads_nothing() -> None:
    sheet = people.static("style.css").decode()
    assert "color-scheme: light dark" in sheet
    assert "light-dark(" in sheet
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


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("", "/"),
        ("https://packages.example.org", "/"),
        ("https://packages.example.org/", "/"),
        ("https://packages.example.org/a/b", "/a/b/"),
        ("https://packages.example.org//elsewhere.example.org/", "/elsewhere.example.org/"),
    ],
)
def test_the_page_of_what_is_not_there_knows_its_root_by_the_url_of_the_site(url: str, root: str) -> None:
    assert people.root_of(url) == root
    page = people.missing("Example packages", people.root_of(url))
    assert f'href="{root}+site/style.css"'.encode() in page
    assert b'content="noindex"' in page


def test_rows_stand_under_their_letters_and_are_read_back_in_their_order() -> None:
    names = [ProjectName(name) for name in ("0x", "7zip", "alpha", "apple", "beta", "zulu")]
    rows = {name: people.project_row(ProjectRow(name, "1.0", "", DEV)) for name in names}
    few = people.index(replace(INDEX, projects=len(rows)), people.rows_of(rows))
    many = people.index(replace(INDEX, projects=1000), people.rows_of(rows))
    assert people.read_rows(few) == people.read_rows(many) == rows
    assert list(people.read_rows(many)) == names
    rows[names[1]] = people.project_row(ProjectRow(ProjectName(names[1]), "2.0", "archived", PROD))
    new = people.rows_of(rows)
    assert people.with_rows(many, {ProjectName(names[1]): rows[names[1]]}) == new
    few_rows = people.with_rows(few, {ProjectName(names[1]): rows[names[1]]})
    assert few_rows is not None
    assert people.index(replace(INDEX, projects=len(rows)), few_rows) == people.index(
        replace(INDEX, projects=len(rows)), new
    )
    assert people.with_rows(many, {ProjectName("other"): "<tr></tr>\n"}) is None
    bodies = {body.attrib["id"]: len(body) for body in parsed(many).iter("tbody")}
    assert bodies == {"letter-0": 2, "letter-a": 2, "letter-b": 1, "letter-z": 1}
    assert [link for link in links_of(many) if link.startswith("#letter")] == [f"#{anchor}" for anchor in bodies]
    assert not [link for link in links_of(few) if link.startswith("#letter")]
