"""Points 55 to 57 of the checklist: prefixes, paths that are tricks, and methods. None of them is a 500."""

from __future__ import annotations

import inspect
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest
from html5lib import HTMLParser
from hypothesis import given, settings, strategies as st

from gitindex.cli.serve import serve
from tests.repositories import IndexRepository
from tests.server.client import HTML, JSON, PIP, Served

PREFIX = "/tools/pypi"
PAGE = "/emilie/prod/simple/foo-bar/"


def links_of(page: bytes) -> list[str]:
    parser = HTMLParser(strict=False, namespaceHTMLElements=False)
    root = parser.parse(page, transport_encoding="utf-8")
    found = [element.attrib.get("href") for element in root.iter() if isinstance(element.tag, str)]
    return [link for link in found if link]


def test_point_55_all_pages_and_files_are_reached_by_links_below_a_prefix(
    shop: IndexRepository, tmp_path: Path
) -> None:
    origin = "https://packages.example.org"
    with Served(shop, tmp_path / "cache", base_path=PREFIX) as served:
        todo, seen = [f"{origin}{PREFIX}/"], {""}
        while todo:
            url = todo.pop().partition("#")[0]
            if url in seen or not url.startswith(origin):
                continue
            seen.add(url)
            assert url.startswith(f"{origin}{PREFIX}/")
            response = served.get(url.removeprefix(origin), {"Accept": HTML})
            assert response.status == 200, url
            if response.content_type.startswith("text/html"):
                todo += [urljoin(url, link) for link in links_of(response.body)]
            if url.endswith("/index.json") and "files" in response.json:
                todo += [urljoin(url, file["url"]) for file in response.json["files"]]
        names = {url.removeprefix(f"{origin}{PREFIX}") for url in seen}
        assert {"/", "/emilie/dev/", "/emilie/dev/feed.xml", "/emilie/dev/simple/", PAGE, "/+site/style.css"} <= names
        assert sum(name.endswith(".whl") for name in names) > 40


def test_point_55_nothing_is_outside_of_the_prefix(shop: IndexRepository, tmp_path: Path) -> None:
    with Served(shop, tmp_path / "cache", base_path=PREFIX) as served:
        for path in (
            "/",
            PAGE,
            "/tools/",
            "/tools/pypi",
            "/tools/pypix/",
            f"/TOOLS/PYPI{PAGE}",
            "/+status",
            f"/x{PREFIX}/",
        ):
            answer = served.get(path)
            assert (answer.status, b"/tools/pypi/" in answer.body) == (404, True), path
        assert served.get(f"{PREFIX}/").status == 200


def test_point_55_host_and_forwarding_headers_change_no_page(served: Served) -> None:
    for path in (PAGE, "/", "/emilie/dev/simple", "/emilie/dev/feed.xml"):
        plain = served.get(path)
        odd = {"Host": "evil.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example.org"}
        assert served.get(path, odd | {"Forwarded": "host=evil.example.org;proto=https"}) == plain


TRICKS = [
    "/../etc/passwd",
    "/..",
    "/.",
    "/%2e%2e/",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/emilie/prod/simple/../../../etc/passwd",
    "/emilie/prod/simple/%2e%2e/",
    "/emilie/prod/simple/%2E./",
    "/emilie/prod/simple/..%2f..%2f/",
    "/emilie/prod/simple/%252e%252e/",
    "/emilie/prod/simple/foo-bar%252f/",
    "/emilie/prod/simple/foo%2Fbar/",
    "/emilie%2Fprod/simple/foo-bar/",
    "/emilie/prod/simple/foo-bar%00/",
    "/emilie/prod/simple/%00/",
    "/emilie/prod/simple/foo-bar/%00",
    "/emilie/prod%00/simple/foo-bar/",
    "/emilie/prod/simple/foo-bar%0a/",
    "/emilie/prod/simple/foo-bar%0d%0aX-Evil:%20yes/",
    "/emilie/prod/simple/foo-bar\\..\\/",
    "/emilie/prod/simple/foo-bar%5c/",
    "//",
    "///",
    "//emilie/prod/",
    "/emilie//prod/",
    "/emilie/prod//simple/",
    "/emilie/prod/simple//foo-bar/",
    "/emilie/prod/simple/foo-bar//",
    "//evil.example.org/emilie/prod/simple",
    "/%2f%2fevil.example.org/simple",
    "/emilie/prod/simple/fo%C3%B3/",
    "/emilie/prod/simple/%E2%84%AA/",
    "/emilie/prod/simple/%EF%BC%8E%EF%BC%8E/",
    "/emilie/prod/simple/%C2%AD/",
    "/emilie/prod/simple/%F0%9F%98%80/",
    "/emilie/prod/simple/%ff%fe/",
    "/emilie/prod/simple/%c0%ae%c0%ae/",
    "/emilie/prod/simple/%ed%a0%80/",
    "/emilie/prod/simple/%/",
    "/emilie/prod/simple/%zz/",
    "/emilie/prod/simple/%1/",
    "/emilie/prod/simple/%u0041/",
    "/emilie/prod/simple/foo bar/",
    "/emilie/prod/simple/foo+bar/",
    "/emilie/prod/simple/foo-bar;x=1/",
    "/emilie/prod/simple/-foo/",
    "/emilie/prod/simple/foo-/",
    "/Emilie/Prod/simple/foo-bar/",
    "/emilie/prod/Simple/foo-bar/",
    "/emilie/prod/simple/" + "a" * 100_000 + "/",
    "/" + "a/" * 5000,
    "/" + "%41" * 3000,
    "/" + "../" * 500,
    "",
    "*",
    "emilie/prod/",
    "http://evil.example.org/emilie/prod/",
    "/@",
    "/@/",
    "/@/emilie/prod/simple/",
    "/@%00/emilie/prod/simple/",
    "/@../emilie/prod/simple/",
    "/@main:files/emilie/prod/simple/",
    "/@HEAD~1/emilie/prod/simple/",
    "/@main@%7B1%7D/emilie/prod/simple/",
    "/@:/fix/emilie/prod/simple/",
    "/@%5E%7B/x%7D/emilie/prod/simple/",
    "/@-c/emilie/prod/simple/",
    "/@--help/emilie/prod/simple/",
    "/@%ff/emilie/prod/simple/",
    "/@9999-99-99/emilie/prod/simple/",
    "/@9999-12-31T23:59:59-23:59/emilie/prod/simple/foo-bar/..",
    "/@0001-01-01/emilie/prod/simple/",
    "/@2026-11-22T99:99/emilie/prod/simple/",
    "/@" + "a" * 2000 + "/emilie/prod/simple/",
    "/+status/",
    "/+site/",
    "/+site/../+status",
    "/+site/base.html",
    "/%2Bstatus/x",
    "/files/..%2f..%2fgitindex.toml",
    "/files/aa/%2e%2e/x",
    "/files/aa/" + "b" * 62 + "/%2e%2e%2fx.whl",
    "/emilie/prod/files/foo-bar/-/x.whl",
]


@pytest.mark.parametrize("path", TRICKS, ids=lambda path: path[:60] or "empty")
def test_point_56_trick_is_400_or_404_and_tells_nothing(served: Served, path: str) -> None:
    raw = path.encode("latin-1")
    for accept in (PIP, HTML):
        for method in ("GET", "HEAD"):
            response = served.request(method, raw, {"Accept": accept})
            assert response.status in {400, 404}
            assert len(response.body) < 400
            assert b"/home" not in response.body
            assert b"Traceback" not in response.body
            assert "location" not in dict(response.fields)


@pytest.mark.parametrize("byte", [b"\0", b"\n", b"\r", b"\xff", b"\xc3\xbc", b"\x7f", b" ", b"\\", b"<script>", b'"'])
def test_point_56_byte_that_no_path_has_is_400_or_404(served: Served, byte: bytes) -> None:
    for raw in (
        b"/" + byte,
        PAGE.encode() + byte,
        b"/emilie/prod/simple/foo" + byte + b"bar/",
        b"/@" + byte + b"/x/y/",
    ):
        response = served.get(raw)
        assert response.status in {400, 404}
        assert response.content_type == "text/plain; charset=utf-8"
        assert byte not in {b"\0", b"\xff"} or byte not in response.body


def test_point_56_escaping_what_needs_none_changes_nothing(served: Served) -> None:
    plain = served.get(PAGE, {"Accept": JSON})
    for path in (
        "/%65milie/prod/simple/foo-bar/",
        "/emilie/prod/%73imple/foo%2Dbar/",
        "/emilie/prod/%2Bsimple/foo-bar/",
        "".join(f"%{ord(character):02x}" if character != "/" else "/" for character in PAGE),
    ):
        assert served.get(path, {"Accept": JSON}).body == plain.body, path
    assert served.get("/%2Bstatus").json["type"] == "status"


_parts = st.sampled_from(
    (
        *("emilie", "prod", "dev", "simple", "+simple", "project", "foo-bar", "Foo.Bar", "feed.xml", "index.json"),
        *("..", ".", "", "%2e%2e", "%2f", "%00", "%0a", "%ff", "%25", "%c3%a9", "@main", "@2026-11-22", "@HEAD", "@"),
        *("+status", "+metrics", "+api", "+changelog", "+site", "style.css"),
        *("files", "aa", "b" * 62, "x-1.0-py3-none-any.whl"),
        *("+login", "+hooks", "push", "refresh", "+f", "abc", "0123456789abc", "1.0"),
    )
)
_texts = st.text(max_size=12).map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe=""))
_bytes = st.binary(max_size=12).map(lambda data: data.decode("latin-1"))
_paths = st.lists(_parts | _texts | _bytes, max_size=8).map("/".join)
_values = st.sampled_from([PIP, HTML, JSON, "*/*", "", "gzip", "bytes=0-", "bytes=-1", '"x"', "*"]) | _bytes
_names = st.sampled_from(
    ["Accept", "Accept-Encoding", "Range", "If-Range", "If-None-Match", "Authorization", "Host", "Content-Length"]
)


@settings(max_examples=400, deadline=None)
@given(
    path=_paths,
    query=st.text(max_size=20),
    headers=st.lists(st.tuples(_names, _values), max_size=5),
    method=st.sampled_from(["GET", "HEAD", "POST", "get", "", "BREW"]),
)
def test_point_56_whatever_is_sent_the_answer_is_sound_and_no_failure(
    served: Served, path: str, query: str, headers: list[tuple[str, str]], method: str
) -> None:
    raw = b"/" + path.encode("latin-1") + b"?" + query.encode("utf-8", "surrogatepass")
    response = served.request(method, raw, headers)
    assert response.status in {200, 206, 301, 304, 400, 404, 405, 406, 416}
    if response.status == 301:
        target = urljoin("http://127.0.0.1/a/b", response.location)
        assert target.startswith("http://127.0.0.1/")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_point_57_other_methods_are_405_and_the_answer_says_which_are_not(served: Served, method: str) -> None:
    for path in (PAGE, "/", "/emilie/prod/simple", "/+status", "/unknown", "/files/", "/%"):
        assert served.get(path)  # it may be kept, and is not sent to another method
        response = served.request(method, path)
        assert (response.status, response.allow) == (405, "GET, HEAD")
        assert response.cache_control == "no-store"


def test_point_57_listens_on_loopback_unless_told_otherwise() -> None:
    # That the option is obeyed, the tests of the real server show: they connect to where it says that it is.
    assert inspect.signature(serve).parameters["host"].default == "127.0.0.1"


def test_query_of_the_changelog_that_makes_no_sense_is_400(served: Served) -> None:
    for query in ("&".join(f"f{number}=1" for number in range(11)), "limit=x", "limit=0", "limit=٣", "after=main"):
        assert served.get(f"/+changelog?{quote(query, safe='=&')}").status == 400
