"""The simple API's pages, read by other people's parsers; points of the checklist are named in the tests."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

import html5lib
import pypi_simple
import pytest
from hypothesis import given

from gitindex.names import IndexName, ProjectName, Sha256, UserName, normalize
from gitindex.pages import FilePage, ProjectList, ProjectPage, Status
from gitindex.render import machine
from gitindex.render.text import carried, escaped, is_link, is_secure
from tests.strategies import HOSTILE, MARKERS, checked, hostile_pages, hostile_texts, project_lists, project_pages

URL = "https://packages.example.org/prefix/emilie/dev/simple/demo/"
SHA = Sha256("a" * 64)
METADATA = Sha256("b" * 64)
NAMES = ProjectList((ProjectName("demo"), ProjectName("zope-interface")))


def a_file(**facts: Any) -> FilePage:
    filename = facts.get("filename", "demo-1.0-py3-none-any.whl")
    given: dict[str, Any] = {
        "filename": filename,
        "version": "1.0",
        "index": IndexName(UserName("emilie"), "dev"),
        "url": f"../../../../files/{SHA[:2]}/{SHA[2:]}/{filename}",
        "sha256": SHA,
        "size": 1482,
    }
    return FilePage(**given | facts)


def a_page(*files: FilePage, status: Status | None = None) -> ProjectPage:
    versions = tuple(dict.fromkeys(file.version for file in files))
    return ProjectPage(ProjectName("demo"), versions, files, status)


def parsed(html: bytes) -> Element:
    """Return the tree that a browser would build, or fail on any parse error of the HTML standard."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree = parser.parse(html)
    assert isinstance(tree, Element)
    return tree


def anchors(html: bytes) -> list[Element]:
    return list(parsed(html).iter("a"))


def metas(html: bytes) -> dict[str, str]:
    return {meta.get("name", ""): meta.get("content", "") for meta in parsed(html).iter("meta") if meta.get("name")}


def one_anchor(**facts: Any) -> Element:
    (anchor,) = anchors(machine.project_html(a_page(a_file(**facts))))
    return anchor


def one_file(**facts: Any) -> dict[str, Any]:
    (file,) = json.loads(machine.project_json(a_page(a_file(**facts))))["files"]
    assert isinstance(file, dict)
    return file


def facts_in_html(html: bytes) -> dict[str, Any]:
    """Return what a page says, in the words of the JSON page."""
    named = metas(html)
    facts: dict[str, Any] = {"meta": {"api-version": named["pypi:repository-version"]}, "files": []}
    if "pypi:project-status" in named:
        facts["project-status"] = {"status": named["pypi:project-status"]}
        if "pypi:project-status-reason" in named:
            facts["project-status"]["reason"] = named["pypi:project-status-reason"]
    for anchor in anchors(html):
        url, _, sha256 = anchor.attrib["href"].rpartition("#sha256=")
        file: dict[str, Any] = {"filename": anchor.text or "", "url": url, "hashes": {"sha256": sha256}}
        file["size"] = int(anchor.attrib["data-size"])
        for key in ("upload-time", "requires-python", "provenance"):
            if f"data-{key}" in anchor.attrib:
                file[key] = anchor.attrib[f"data-{key}"]
        if "data-core-metadata" in anchor.attrib:
            name, _, digest = anchor.attrib["data-core-metadata"].partition("=")
            file["core-metadata"] = {name: digest}
        if "data-yanked" in anchor.attrib:
            file["yanked"] = anchor.attrib["data-yanked"] or True
        facts["files"].append(file)
    return facts


def facts_in_json(page: ProjectPage) -> dict[str, Any]:
    facts = json.loads(machine.project_json(page))
    assert isinstance(facts, dict)
    return facts


@checked
@given(project_pages())
def test_point_01_project_page_is_valid_html(page: ProjectPage) -> None:
    html = machine.project_html(page)
    assert html.startswith(b"<!DOCTYPE html>\n")
    parsed(html)


@checked
@given(project_lists)
def test_points_01_02_03_and_17_project_list_links_each_project_once_and_relatively(projects: ProjectList) -> None:
    html = machine.list_html(projects)
    assert html.startswith(b"<!DOCTYPE html>\n")
    links = anchors(html)
    assert [link.text for link in links] == list(projects.projects)
    assert [link.attrib["href"] for link in links] == [f"{name}/" for name in projects.projects]
    listed = json.loads(machine.list_json(projects))
    assert listed == {"meta": {"api-version": "1.4"}, "projects": [{"name": name} for name in projects.projects]}
    read = pypi_simple.IndexPage.from_html(html).projects
    assert [normalize(name) for name in read] == list(projects.projects)
    assert pypi_simple.IndexPage.from_json_data(listed).projects == list(projects.projects)


@checked
@given(project_pages())
def test_points_04_05_and_28_each_file_is_linked_once_by_its_name_and_hash(page: ProjectPage) -> None:
    offered = machine.offered(page)
    links = anchors(machine.project_html(page))
    assert [link.text for link in links] == [file.filename for file in offered]
    assert [link.attrib["href"] for link in links] == [f"{file.url}#sha256={file.sha256}" for file in offered]
    for link in links:
        assert unquote(urlsplit(link.attrib["href"]).path).rpartition("/")[2] == link.text
        assert re.fullmatch("sha256=[0-9a-f]{64}", urlsplit(link.attrib["href"]).fragment)
    for file in facts_in_json(page)["files"]:
        split = urlsplit(file["url"])
        assert unquote(split.path).endswith(f"/{file['filename']}")
        assert not split.query
        assert not split.fragment


def test_point_06_both_pages_state_version_1_4() -> None:
    for html in (machine.project_html(a_page(a_file())), machine.list_html(NAMES)):
        head = parsed(html).find("head")
        assert head is not None
        versions = [meta for meta in head.iter("meta") if meta.get("name") == "pypi:repository-version"]
        assert [meta.get("content") for meta in versions] == ["1.4"]


@pytest.mark.parametrize("specifiers", [">=3.8", ">=3.9,<4,!=3.9.1", "===\"3\" & 'x'"])
def test_point_07_requires_python_is_escaped_and_comes_back(specifiers: str) -> None:
    page = a_page(a_file(requires_python=specifiers))
    html = machine.project_html(page)
    value = re.search(rb'data-requires-python="([^"]*)"', html)
    assert value is not None
    assert not set(value[1]) & set(b"<>'")
    assert read_by_pip(html)[0].requires_python == specifiers
    assert pypi_simple.ProjectPage.from_html("demo", html).packages[0].requires_python == specifiers
    assert facts_in_json(page)["files"][0]["requires-python"] == specifiers


def read_by_pip(html: bytes) -> list[Any]:
    collector = import_module("pip._internal.index.collector")
    content = collector.IndexContent(html, "text/html", "utf-8", url=URL, cache_link_parsing=False)
    return list(collector.parse_links(content))


def test_point_08_yank_without_a_reason_is_an_empty_attribute_and_no_yank_is_none() -> None:
    html = machine.project_html(a_page(a_file(yanked="")))
    assert b' data-yanked=""' in html
    assert [link.is_yanked for link in read_by_pip(html)] == [True]
    assert "data-yanked" not in one_anchor().attrib
    assert "yanked" not in one_file()


@pytest.mark.parametrize("reason", ["\"quoted\" & 'so'", "a < b > c", "two\nlines", "naïve 日本語 😀", " ", "false"])
def test_point_09_yank_reason_comes_back_from_both_pages(reason: str) -> None:
    page = a_page(a_file(yanked=reason))
    html = machine.project_html(page)
    assert read_by_pip(html)[0].yanked_reason == reason
    assert pypi_simple.ProjectPage.from_html("demo", html).packages[0].yanked_reason == reason
    assert one_anchor(yanked=reason).attrib["data-yanked"] == reason
    assert facts_in_json(page)["files"][0]["yanked"] == reason


def test_points_10_and_26_core_metadata_is_stated_where_there_is_some_and_never_under_the_old_name() -> None:
    stated, silent = one_anchor(core_metadata=METADATA).attrib, one_anchor().attrib
    assert stated["data-core-metadata"] == f"sha256={METADATA}"
    assert "data-core-metadata" not in silent
    assert not {"data-dist-info-metadata"} & (set(stated) | set(silent))
    assert one_file(core_metadata=METADATA)["core-metadata"] == {"sha256": METADATA}
    assert "core-metadata" not in one_file()
    assert "dist-info-metadata" not in one_file(core_metadata=METADATA)


@pytest.mark.parametrize(
    ("url", "is_stated"),
    [
        ("https://example.org/p?a=1&b=2", True),
        ("http://127.0.0.1:3141/p", True),
        ("http://localhost/p", True),
        ("http://[::1]:80/p", True),
        ("http://example.org/p", False),
        ("http://127.0.0.1.example.org/p", False),
        ("http://localhost.example.org/p", False),
        ("../provenance", False),
        ("//example.org/p", False),
        ("https://", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_point_11_provenance_is_absolute_and_of_a_secure_origin(url: str, *, is_stated: bool) -> None:
    assert is_secure(url) == is_stated
    assert one_anchor(provenance=url).get("data-provenance") == (url if is_stated else None)
    assert one_file(provenance=url).get("provenance") == (url if is_stated else None)


@pytest.mark.parametrize("marker", MARKERS)
def test_points_12_and_29_status_is_a_marker_with_its_reason(marker: str) -> None:
    page = a_page(status=Status(marker, "because"))
    stated = metas(machine.project_html(page))
    assert stated["pypi:project-status"] == marker
    assert stated["pypi:project-status-reason"] == "because"
    facts = facts_in_json(page)
    assert facts["project-status"] == {"status": marker, "reason": "because"}
    assert set(facts["meta"]) == {"api-version"}
    assert "pypi:project-status-reason" not in metas(machine.project_html(a_page(status=Status(marker))))
    assert facts_in_json(a_page(status=Status(marker)))["project-status"] == {"status": marker}


@pytest.mark.parametrize("status", [None, Status("on fire", "because"), Status("", "because")])
def test_point_12_no_marker_no_status_and_no_reason(status: Status | None) -> None:
    page = a_page(a_file(), status=status)
    assert not [name for name in metas(machine.project_html(page)) if name.startswith("pypi:project-status")]
    assert "project-status" not in facts_in_json(page)


def test_point_13_no_base_and_size_and_time_stand_beside_the_standard_attributes() -> None:
    html = machine.project_html(a_page(a_file(upload_time="2026-11-22T07:25:00Z")))
    assert not list(parsed(html).iter("base"))
    (anchor,) = anchors(html)
    assert anchor.attrib["data-size"] == "1482"
    assert anchor.attrib["data-upload-time"] == "2026-11-22T07:25:00Z"
    assert "data-upload-time" not in one_anchor().attrib


def test_point_14_pages_declare_utf_8_and_are() -> None:
    html = machine.project_html(a_page(a_file(yanked="日本語"), status=Status("archived", "naïve")))
    assert b'<meta charset="utf-8">' in html[:1024]
    assert "日本語" in html.decode("utf-8")
    assert b'<meta charset="utf-8">' in machine.list_html(NAMES)[:1024]


@checked
@given(project_pages())
def test_points_15_16_18_and_31_json_page_has_the_keys_of_1_4_and_no_others(page: ProjectPage) -> None:
    facts = facts_in_json(page)
    assert facts["meta"] == {"api-version": "1.4"}
    assert facts["name"] == page.name == normalize(page.name)
    assert set(facts) - {"project-status"} == {"meta", "name", "versions", "files"}
    known = {"filename", "url", "hashes", "size", "upload-time", "requires-python", "core-metadata", "yanked"}
    for file in facts["files"]:
        assert {"filename", "url", "hashes", "size"} <= set(file) <= known | {"provenance"}


@checked
@given(project_pages())
def test_point_19_versions_are_unique_and_those_of_all_files(page: ProjectPage) -> None:
    listed = facts_in_json(page)["versions"]
    assert listed == list(page.versions)
    assert len(set(listed)) == len(listed)
    assert {file.version for file in page.files} <= set(listed)


@checked
@given(project_pages())
def test_points_21_to_27_facts_of_a_file_have_their_types(page: ProjectPage) -> None:
    for file in facts_in_json(page)["files"]:
        assert isinstance(file["filename"], str)
        assert isinstance(file["url"], str)
        assert set(file["hashes"]) == {"sha256"}
        assert re.fullmatch("[0-9a-f]{64}", file["hashes"]["sha256"])
        assert type(file["size"]) is int
        assert None not in file.values()
        if "upload-time" in file:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", file["upload-time"])
        assert file.get("yanked", True) is True or (isinstance(file["yanked"], str) and file["yanked"])
        assert set(file.get("core-metadata", {"sha256": 0})) == {"sha256"}


def test_point_22_file_of_unknown_size_is_on_no_json_page() -> None:
    page = a_page(a_file(size=None))
    assert "data-size" not in one_anchor(size=None).attrib
    assert not machine.has_json(page)
    with pytest.raises(ValueError, match="demo: a JSON page states the size of every file"):
        machine.project_json(page)
    assert machine.has_json(a_page(a_file()))


def test_points_23_and_25_what_is_not_known_is_left_out_and_an_empty_reason_is_true() -> None:
    assert one_file() == {
        "filename": "demo-1.0-py3-none-any.whl",
        "url": f"../../../../files/{SHA[:2]}/{SHA[2:]}/demo-1.0-py3-none-any.whl",
        "hashes": {"sha256": SHA},
        "size": 1482,
    }
    assert one_file(yanked="")["yanked"] is True
    assert "requires-python" not in one_file(requires_python="")


def test_point_30_quarantined_project_offers_no_file() -> None:
    page = a_page(a_file(), status=Status("quarantined", "malware"))
    assert not anchors(machine.project_html(page))
    assert facts_in_json(page)["files"] == []


@checked
@given(project_pages())
def test_point_32_html_and_json_carry_the_same_facts(page: ProjectPage) -> None:
    facts = facts_in_json(page)
    assert {**facts_in_html(machine.project_html(page)), "name": page.name, "versions": list(page.versions)} == facts


@checked
@given(hostile_pages)
def test_point_32_html_and_json_carry_the_same_facts_of_hostile_text(page: ProjectPage) -> None:
    html = machine.project_html(page)
    facts = facts_in_json(page)
    read = facts_in_html(html)
    assert (read["files"], read.get("project-status")) == (facts["files"], facts.get("project-status"))
    assert {element.tag for element in parsed(html).iter()} <= {
        "html", "head", "meta", "title", "body", "h1", "a", "br",
    }  # fmt: skip
    for anchor in anchors(html):
        assert is_link(anchor.attrib["href"])
        assert not [name for name in anchor.attrib if name != "href" and not name.startswith("data-")]


@checked
@given(project_pages())
def test_pypi_simple_reads_the_same_from_both_pages(page: ProjectPage) -> None:
    from_html = pypi_simple.ProjectPage.from_html(page.name, machine.project_html(page), base_url=URL)
    from_json = pypi_simple.ProjectPage.from_json_data(facts_in_json(page), base_url=URL)
    assert from_html.repository_version == from_json.repository_version == "1.4"
    assert from_html.status == from_json.status
    assert from_html.status_reason == from_json.status_reason
    for one, other in zip(from_html.packages, from_json.packages, strict=True):
        for fact in ("filename", "url", "digests", "requires_python", "is_yanked", "has_metadata", "provenance_url"):
            assert getattr(one, fact) == getattr(other, fact), fact
        assert (one.yanked_reason or None) == other.yanked_reason
        assert one.metadata_digests == other.metadata_digests
        assert normalize(one.project or "") == page.name


def test_bytes_are_these_and_stay_these() -> None:
    page = a_page(
        a_file(requires_python=">=3.8", core_metadata=METADATA, upload_time="2026-11-22T07:25:00Z"),
        a_file(filename="demo-1.0.tar.gz", yanked='a "b"', provenance="https://example.org/p"),
        status=Status("archived", "done"),
    )
    folder = f"../../../../files/aa/{'a' * 62}"
    assert machine.project_html(page).decode() == (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.4">\n'
        '<meta name="pypi:project-status" content="archived">\n'
        '<meta name="pypi:project-status-reason" content="done">\n'
        "<title>Links for demo</title>\n</head>\n<body>\n<h1>Links for demo</h1>\n"
        f'<a href="{folder}/demo-1.0-py3-none-any.whl#sha256={SHA}" data-requires-python="&gt;=3.8"'
        f' data-core-metadata="sha256={METADATA}" data-size="1482" data-upload-time="2026-11-22T07:25:00Z">'
        "demo-1.0-py3-none-any.whl</a><br>\n"
        f'<a href="{folder}/demo-1.0.tar.gz#sha256={SHA}" data-yanked="a &#34;b&#34;"'
        ' data-provenance="https://example.org/p" data-size="1482">demo-1.0.tar.gz</a><br>\n</body>\n</html>\n'
    )
    assert machine.project_json(page).decode() == (
        '{"meta":{"api-version":"1.4"},"name":"demo","project-status":{"status":"archived","reason":"done"},'
        f'"versions":["1.0"],"files":[{{"filename":"demo-1.0-py3-none-any.whl","url":"{folder}/'
        f'demo-1.0-py3-none-any.whl","hashes":{{"sha256":"{SHA}"}},"size":1482,'
        '"upload-time":"2026-11-22T07:25:00Z","requires-python":">=3.8",'
        f'"core-metadata":{{"sha256":"{METADATA}"}}}},{{"filename":"demo-1.0.tar.gz","url":"{folder}/demo-1.0.tar.gz",'
        f'"hashes":{{"sha256":"{SHA}"}},"size":1482,"yanked":"a \\"b\\"","provenance":"https://example.org/p"}}]}}\n'
    )


def test_json_is_utf_8_and_not_escaped_to_ascii() -> None:
    assert "日本語".encode() in machine.project_json(a_page(a_file(yanked="日本語")))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_reason_is_the_same_text_in_both_pages(text: str) -> None:
    page = a_page(a_file(yanked=text), status=Status("archived", text))
    expected = carried(text)
    assert facts_in_json(page)["files"][0]["yanked"] == (expected or True)
    assert one_anchor(yanked=text).attrib["data-yanked"] == expected
    assert metas(machine.project_html(page)).get("pypi:project-status-reason", "") == expected


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("fact", ["filename", "url", "upload_time"])
def test_a_hostile_fact_of_one_file_is_text_in_both_pages_and_leaves_the_others_as_they_are(
    fact: str, text: str
) -> None:
    sound = a_file(upload_time="2026-11-22T07:25:00Z")
    alone = a_page(sound)
    for files in (sound, a_file(**{fact: text})), (a_file(**{fact: text}), sound):
        page = a_page(*files)
        html, facts = machine.project_html(page), facts_in_json(page)
        at = files.index(sound)
        assert facts["files"][at] == facts_in_json(alone)["files"][0]
        assert anchors(html)[at].attrib == anchors(machine.project_html(alone))[0].attrib
        assert facts_in_html(html)["files"] == facts["files"]
        written = facts["files"][1 - at][fact.replace("_", "-")]
        assert written == (carried(text) if fact != "url" or is_link(text) else f"./{carried(text)}")
    assert alone.is_plain
    assert not a_page(sound, a_file(**{fact: '"'})).is_plain


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "files/x", "http://example.org/x"])
def test_page_with_an_address_that_needs_a_look_is_not_plain(url: str) -> None:
    assert not a_page(a_file(), a_file(url=url)).is_plain


@checked
@given(hostile_texts)
def test_escaped_text_reads_as_carried_text_in_content_and_in_an_attribute(text: str) -> None:
    page = (
        f'<!DOCTYPE html><meta charset="utf-8"><title>x</title><p title="{escaped(text)}">{escaped(text)}</p>'.encode()
    )
    (paragraph,) = parsed(page).iter("p")
    assert (paragraph.text or "") == paragraph.attrib["title"] == carried(text)
    assert carried(carried(text)) == carried(text)


def test_text_that_pages_cannot_carry_is_replaced_and_line_ends_are_newlines() -> None:
    assert carried("a\0b\x1b\x7f\x85\ud800\ufffe\U0010ffff") == "a" + "\ufffd" + "b" + "\ufffd" * 6
    assert carried("a\r\nb\rc\n\td\f") == "a\nb\nc\n\td\ufffd"
    assert carried("naïve 日本語 😀 \u2028") == "naïve 日本語 😀 \u2028"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("../x", True), ("x/y:z", True), ("/x", True), ("", True), ("?a:b", True), ("#a:b", True),
        ("./javascript:x", True),
        ("https://example.org/", True), ("HTTP://example.org/", True), ("//example.org/x", True),
        ("javascript:alert(1)", False), (" javascript:alert(1)", False), ("java\nscript:alert(1)", False),
        ("\x01javascript:alert(1)", False), ("data:text/html,x", False), ("vbscript:x", False), ("file:///x", False),
        ("https:javascript", False), ("x:", False),
    ],
)  # fmt: skip
def test_only_relative_and_web_addresses_become_links(url: str, *, expected: bool) -> None:
    assert is_link(url) == expected


def test_what_an_upstream_does_not_state_is_stated_in_neither_page() -> None:
    anchor = one_anchor(sha256=None, core_metadata=True, version="")
    assert anchor.attrib["href"] == f"../../../../files/{SHA[:2]}/{SHA[2:]}/demo-1.0-py3-none-any.whl"
    assert anchor.attrib["data-core-metadata"] == "true"
    file = one_file(sha256=None, core_metadata=True)
    assert (file["hashes"], file["core-metadata"]) == ({}, True)
    read = pypi_simple.DistributionPackage.from_json_data(file, "demo")
    assert (read.digests, read.has_metadata, read.metadata_digests) == ({}, True, {})


def test_file_of_another_scheme_leads_nowhere_in_both_pages() -> None:
    assert one_anchor(url="javascript:alert(1)").attrib["href"].startswith("./javascript:alert(1)#")
    assert one_file(url="javascript:alert(1)")["url"] == "./javascript:alert(1)"
