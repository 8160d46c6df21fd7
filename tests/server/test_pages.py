"""Points 42 to 47 of the checklist: redirects, what is not there, and how pages are kept by caches."""

from __future__ import annotations

import gzip
import re
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urljoin

import pytest

from gitindex.render import people, policy
from gitindex.server import answers
from tests.hosts import Host, content, status
from tests.repositories import IndexRepository, make_repository, small_content
from tests.server.client import HTML, JSON, PIP, Served

PAGE = "/emilie/prod/simple/foo-bar/"
PEOPLE = ("/", "/emilie/dev/", "/emilie/dev/project/many/", "/emilie/dev/feed.xml")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/emilie/prod", "/emilie/prod/"),
        ("/emilie/prod/simple", "/emilie/prod/simple/"),
        ("/emilie/prod/+simple", "/emilie/prod/+simple/"),
        ("/emilie/prod/simple/foo-bar", PAGE),
        ("/emilie/prod/project/foo-bar", "/emilie/prod/project/foo-bar/"),
        ("/@main/emilie/prod/simple", "/@main/emilie/prod/simple/"),
        ("/@a%2Fb/emilie/prod/simple", "/@a%2Fb/emilie/prod/simple/"),
    ],
)
@pytest.mark.parametrize("query", ["", "?format=text/html", "?a=%20b&c"])
def test_point_42_missing_slash_is_a_relative_redirect_that_keeps_the_query(
    served: Served, path: str, wanted: str, query: str
) -> None:
    for method in ("GET", "HEAD"):
        response = served.request(method, path + query)
        assert response.status == 301
        assert "//" not in response.location
        assert urljoin(path, response.location) == wanted + query


@pytest.mark.parametrize("path", ["/emilie/prod/simple", "/emilie/prod/simple/Foo.Bar/", "/emilie/prod/simple/Foo_Bar"])
def test_point_42_redirects_hold_below_a_prefix_of_a_proxy(shop: IndexRepository, tmp_path: Path, path: str) -> None:
    with Served(shop, tmp_path / "cache", base_path="/tools/pypi") as served:
        response = served.get(f"/tools/pypi{path}?x=1")
        target = urljoin(f"https://packages.example.org/tools/pypi{path}", response.location)
        assert target.startswith("https://packages.example.org/tools/pypi/emilie/prod/simple/")
        assert served.get(target.removeprefix("https://packages.example.org")).status == 200


@pytest.mark.parametrize("name", ["Foo.Bar", "foo_bar", "FOO--BAR", "foo.-_bar", "Foo-Bar"])
def test_point_43_other_spelling_of_a_project_leads_to_the_normal_one(served: Served, name: str) -> None:
    for prefix, slash in (("simple", "/"), ("simple", ""), ("+simple", "/"), ("project", "/"), ("project", "")):
        path = f"/emilie/prod/{prefix}/{name}{slash}"
        response = served.get(path + "?q=1")
        assert response.status == 301
        assert urljoin(path, response.location) == f"/emilie/prod/{prefix}/foo-bar/?q=1"


@pytest.mark.parametrize(
    "path",
    [
        "/emilie/prod/simple/unknown/",
        "/emilie/prod/simple/other/",
        "/emilie/nothing/simple/",
        "/emilie/nothing/simple/foo-bar/",
        "/nobody/dev/simple/foo-bar/",
        "/emilie/prod/project/unknown/",
        "/emilie/nothing/",
        "/emilie/nothing/feed.xml",
        "/emilie/",
        "/emilie",
        "/favicon.ico",
        "/robots.txt",
        "/simple/",
        "/emilie/prod/simple/foo-bar/1.0/",
        "/emilie/prod/simple/x" + "y" * 250 + "/",
    ],
)
def test_point_44_what_is_not_there_is_404_in_one_line(served: Served, path: str) -> None:
    is_for_people = not path.endswith("feed.xml") and "/simple/" not in path
    for accept in (PIP, "*/*", HTML):
        response = served.get(path, {"Accept": accept})
        assert response.status == 404
        assert response.cache_control == "no-store"
        if is_for_people and (accept == HTML or response.content_type.startswith("text/html")):
            assert response.body == people.missing("Shop", "../" * (path.count("/") - 1) or "./")
            assert dict(response.fields)["content-security-policy"] == policy.IN_HEADER
        else:
            assert response.body.count(b"\n") == 1


@pytest.mark.parametrize("path", ["/emilie", "/emilie/nothing/", "/emilie/prod/project/unknown/"])
def test_the_page_of_what_is_not_there_links_to_the_root_wherever_it_is_shown(served: Served, path: str) -> None:
    page = served.get(path, {"Accept": HTML}).body.decode()
    links = re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert {urljoin(path, link) for link in links} == {"/"} | {f"/{name}" for name in answers.STATICS}


def test_point_44_reserved_name_is_ours_and_its_page_is_empty(served: Served) -> None:
    for name in ("billing", "acme-thing"):
        response = served.get(f"/emilie/prod/simple/{name}/", {"Accept": JSON})
        assert (response.status, response.json["files"]) == (200, [])


def test_point_44_reserved_pattern_makes_no_project_of_what_is_no_name(served: Served) -> None:
    assert served.get("/emilie/prod/simple/acme-" + "y" * 300 + "/").status == 404


def test_point_44_project_that_the_upstream_does_not_have_is_404(tmp_path: Path) -> None:
    with Host() as upstream:
        upstream.on("/simple/unknown/", status(404))
        with Served(_behind(tmp_path, f"{upstream.url}/simple/"), tmp_path / "cache") as served:
            assert served.get("/emilie/dev/simple/unknown/").status == 404
        assert upstream.paths == ["/simple/unknown/"]


def test_point_45_upstream_that_is_down_is_no_404_and_what_is_ours_is_served(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen: a port that refuses
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/simple/"
        with Served(_behind(tmp_path, url), tmp_path / "cache") as served:
            response = served.get("/emilie/dev/simple/unknown/", {"Accept": PIP})
            assert response.status == 503
            assert int(response.retry_after) > 0
            assert served.get("/emilie/dev/simple/ours/", {"Accept": PIP}).status == 200


def test_point_45_upstream_that_fails_is_no_404(tmp_path: Path) -> None:
    with Host() as upstream:
        upstream.on("/simple/unknown/", status(500))
        upstream.on("/simple/odd/", content(b"<p>not a page", Content_Type="image/png"))
        with Served(_behind(tmp_path, f"{upstream.url}/simple/"), tmp_path / "cache") as served:
            for name in ("unknown", "odd"):
                assert served.get(f"/emilie/dev/simple/{name}/").status in {502, 503, 504}


def _behind(tmp_path: Path, url: str) -> IndexRepository:
    files = small_content().mirror("root/pypi", mirror_url=url)
    files.release("emilie/prod", "ours", "1.0")
    return make_repository(tmp_path / "behind", files)


@pytest.mark.parametrize("path", [PAGE, "/emilie/dev/simple/", *PEOPLE])
def test_point_46_pages_are_to_be_revalidated_and_304_has_no_body(served: Served, path: str) -> None:
    for headers in ({}, {"Accept": PIP}, {"Accept-Encoding": "gzip"}):
        full = served.get(path, headers)
        assert (full.status, full.cache_control) == (200, "max-age=0, must-revalidate")
        tag = full.etag
        for condition in (
            tag,
            f"W/{tag}",
            "*",
            f'"other", {tag}',
            f'W/"other" , W/{tag},"third"',
            f" {tag} ",
        ):
            for method in ("GET", "HEAD"):
                response = served.request(method, path, {**headers, "If-None-Match": condition})
                assert response.status == 304, condition
                assert response.etag == tag
                assert response.vary == full.vary
                assert response.cache_control == full.cache_control
                assert response.get("content-length") is None
        for condition in ('"other"', f'{tag[:-1]}x"', tag.strip('"'), "W/*", "", f'{tag[:-2]}"'):
            assert served.get(path, {**headers, "If-None-Match": condition}).body == full.body, condition


def test_point_46_condition_of_another_serialisation_is_not_met(served: Served) -> None:
    tag = served.get(PAGE, {"Accept": HTML}).etag
    response = served.get(PAGE, {"Accept": JSON, "If-None-Match": tag})
    assert (response.status, response.content_type) == (200, JSON)


def test_point_47_pages_have_no_time_of_their_own(served: Served) -> None:
    for path in (PAGE, "/emilie/dev/simple/", *PEOPLE):
        response = served.get(path)
        assert response.get("last-modified") is response.get("expires") is None
        assert response.cache_control
        assert response.etag


@pytest.mark.parametrize("path", [PAGE, "/emilie/dev/simple/", "/emilie/dev/simple/many/", *PEOPLE])
@pytest.mark.parametrize("accept", [HTML, JSON])
def test_gzip_is_the_same_page_and_only_for_those_who_take_it(served: Served, path: str, accept: str) -> None:
    plain = served.get(path, {"Accept": accept})
    assert plain.get("content-encoding") is None
    for encoding, is_gzip in (
        ("gzip, deflate", True),
        ("gzip, deflate, zstd", True),
        ("GZIP;q=0.5", True),
        ("x-gzip", True),
        ("*", True),
        ("identity;q=0.5, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("identity", False),
        ("br", False),
        ("", False),
    ):
        response = served.get(path, {"Accept": accept, "Accept-Encoding": encoding})
        assert response.content == plain.body
        is_long = len(plain.body) >= 256
        assert (response.get("content-encoding") == "gzip") is (is_gzip and is_long), encoding
        assert {"Accept-Encoding"} <= {part.strip() for part in response.vary.split(",")}
    packed = served.get("/emilie/dev/simple/many/", {"Accept": accept, "Accept-Encoding": "gzip"})
    assert len(gzip.decompress(packed.body)) > 3 * len(packed.body)


def test_alias_of_devpi_gives_the_same_pages(served: Served) -> None:
    for path in ("/emilie/dev/simple/", PAGE, "/emilie/dev/simple/unknown/"):
        for accept in (PIP, HTML):
            one, other = (
                served.get(path.replace("/simple/", place), {"Accept": accept}) for place in ("/simple/", "/+simple/")
            )
            assert (one.status, one.body, one.get("etag")) == (other.status, other.body, other.get("etag"))


def test_links_of_peoples_pages_to_json_lead_to_json(served: Served) -> None:
    for path, page in (
        ("/emilie/dev/simple/", "/emilie/dev/simple/index.json"),
        (PAGE, PAGE + "index.json"),
        (PAGE.replace("simple", "+simple"), PAGE.replace("simple", "+simple") + "index.json"),
    ):
        wanted = served.get(path, {"Accept": JSON})
        for accept in (HTML, "*/*", JSON, "text/plain"):
            response = served.get(page, {"Accept": accept})
            assert (response.status, response.content_type, response.body) == (200, JSON, wanted.body)
    assert served.get("/emilie/dev/simple/unknown/index.json").status == 404
