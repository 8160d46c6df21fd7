"""Points 34 to 41 of the checklist: which serialisation of a page a client gets, and how caches are told (PEP 691)."""

from __future__ import annotations

import tracemalloc
from itertools import product

import pytest

from gitindex.server.answers import takes_gzip
from gitindex.server.negotiation import negotiate
from tests.server.client import HTML, JSON, PIP, UV, VENDOR_HTML, Served

PAGE = "/emilie/prod/simple/foo-bar/"
LIST = "/emilie/prod/simple/"
LATEST_JSON, LATEST_HTML = (f"application/vnd.pypi.simple.latest+{kind}" for kind in ("json", "html"))
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,*/*;q=0.8"
SAFARI = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
POETRY = "application/vnd.pypi.simple.v1+json, */*;q=0.1"
OLD_PIP = "text/html"

TYPES = {JSON: JSON, VENDOR_HTML: f"{VENDOR_HTML}; charset=utf-8", HTML: "text/html; charset=utf-8"}

REFUSED = None
TABLE: list[tuple[str, str | None]] = [
    # Tools
    (PIP, JSON),
    (UV, JSON),
    (POETRY, JSON),
    (OLD_PIP, HTML),
    (BROWSER, HTML),
    (SAFARI, HTML),
    # Single types
    (JSON, JSON),
    (VENDOR_HTML, VENDOR_HTML),
    (HTML, HTML),
    (LATEST_JSON, JSON),
    (LATEST_HTML, VENDOR_HTML),
    (JSON.upper(), JSON),
    (f"  {JSON}  ", JSON),
    (f"{HTML};charset=utf-8", HTML),
    (f"{JSON}; profile=x; q=0.5", JSON),
    # Ranges
    ("*/*", HTML),
    ("text/*", HTML),
    ("application/*", JSON),
    ("", HTML),
    (" ", HTML),
    # Weights
    (f"{JSON};q=0.1, {HTML};q=0.9", HTML),
    (f"{JSON} ; q = 0.9 , {HTML} ; q = 0.1", JSON),
    (f"{JSON}; q=0.1 ,{HTML}; q = 0.9", HTML),
    (f"{HTML}, {JSON}", JSON),
    (f"{VENDOR_HTML}, {HTML}", VENDOR_HTML),
    (f"{HTML};q=1.000, {JSON};q=0.999", HTML),
    (f"{JSON};Q=0.2, {HTML};q=0.3", HTML),
    (f"{JSON};q=0, {HTML}", HTML),
    (f"{JSON};q=0.000, {HTML};q=0.001", HTML),
    (f"{JSON};q=0, */*", HTML),
    (f"{HTML};q=0, */*", VENDOR_HTML),
    (f"{HTML};q=0, {VENDOR_HTML};q=0, */*", JSON),
    (f"text/*;q=0.2, {JSON};q=0.1", HTML),
    (f"application/*;q=0.1, {HTML};q=0.5", HTML),
    (f"*/*;q=0.5, {JSON};q=0.1", HTML),
    (f"{LATEST_JSON};q=0, {JSON}", JSON),
    ("application/xml;q=0.9, */*;q=0.1", HTML),
    # Several of which none is ours but one
    (f"application/json, {VENDOR_HTML};q=0.1", VENDOR_HTML),
    # None of them
    ("application/json", REFUSED),
    ("text/plain", REFUSED),
    ("image/*", REFUSED),
    ("application/vnd.pypi.simple.v2+json", REFUSED),
    ("nonsense", REFUSED),
    (f"{JSON};q=0", REFUSED),
    ("*/*;q=0", REFUSED),
    (f"{JSON}x", REFUSED),
]


@pytest.fixture(params=[PAGE, LIST])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_point_34_every_kind_of_answer_states_its_type_in_lower_case(served: Served) -> None:
    wheel = served.get(PAGE, {"Accept": JSON}).json["files"][0]["url"]
    for path, wanted in (
        (PAGE, "text/html; charset=utf-8"),
        ("/", "text/html; charset=utf-8"),
        ("/emilie/dev/", "text/html; charset=utf-8"),
        ("/emilie/dev/project/many/", "text/html; charset=utf-8"),
        ("/emilie/dev/feed.xml", "application/atom+xml; charset=utf-8"),
        ("/+site/style.css", "text/css; charset=utf-8"),
        ("/+site/script.js", "text/javascript; charset=utf-8"),
        ("/+site/icon.svg", "image/svg+xml"),
        ("/+status", "application/json"),
        ("/+api", "application/json"),
        ("/+changelog", "application/json"),
        ("/" + wheel.lstrip("./"), "application/octet-stream"),
        ("/" + wheel.lstrip("./") + ".metadata", "text/plain; charset=utf-8"),
        ("/emilie/dev", "text/plain; charset=utf-8"),
        ("/emilie/nothing/", "text/html; charset=utf-8"),
        ("/emilie/nothing/simple/", "text/plain; charset=utf-8"),
        ("/%", "text/plain; charset=utf-8"),
    ):
        assert served.get(path).content_type == wanted, path
    assert served.get("/+metrics").content_type.startswith("text/plain; version=0.0.4")
    assert served.request("POST", PAGE).content_type == "text/plain; charset=utf-8"
    assert served.get(PAGE, {"Accept": "text/plain"}).content_type == "text/plain; charset=utf-8"


def test_point_35_no_accept_and_any_accept_get_a_page(served: Served, url: str) -> None:
    for headers in ({}, {"Accept": "*/*"}, {"Accept": ""}):
        response = served.get(url, headers)
        assert (response.status, response.content_type) == (200, TYPES[HTML])


@pytest.mark.parametrize("accept", [PIP, UV])
def test_point_36_pip_and_uv_get_json(served: Served, url: str, accept: str) -> None:
    response = served.get(url, {"Accept": accept})
    assert (response.status, response.content_type) == (200, JSON)
    assert response.json["meta"]["api-version"] == "1.4"


@pytest.mark.parametrize("accept", [HTML, VENDOR_HTML])
def test_point_37_either_type_of_html_is_answered_with_itself(served: Served, url: str, accept: str) -> None:
    response = served.get(url, {"Accept": accept})
    assert (response.status, response.content_type) == (200, TYPES[accept])
    assert response.body.startswith(b"<!DOCTYPE html>")


def test_point_38_weights_rank_and_zero_excludes(served: Served) -> None:
    for accept, wanted in TABLE:
        response = served.get(PAGE, {"Accept": accept})
        assert (response.status, response.content_type) == (
            (200, TYPES[wanted]) if wanted else (406, "text/plain; charset=utf-8")
        ), accept


@pytest.mark.parametrize("weight", ["2", "1.001", "0.1234", "-1", "nan", "inf", "0,5", "1e0", "", "0x1", "\u0660"])
def test_point_38_what_is_no_weight_does_not_choose_a_type(served: Served, weight: str) -> None:
    as_sent = f"{JSON};q={weight}".encode().decode("latin-1")
    assert served.get(PAGE, {"Accept": f"{as_sent}, {HTML};q=0.1"}).content_type == TYPES[HTML]


def test_point_38_several_headers_are_one_list(served: Served) -> None:
    several = [("Accept", f"{JSON};q=0.2"), ("Accept", f"{HTML};q=0.1"), ("Accept", "text/plain")]
    assert served.get(PAGE, several).content_type == JSON


def test_point_39_latest_is_answered_with_the_type_of_the_version(served: Served, url: str) -> None:
    assert served.get(url, {"Accept": LATEST_JSON}).content_type == JSON
    assert served.get(url, {"Accept": LATEST_HTML}).content_type == TYPES[VENDOR_HTML]


def test_point_40_what_is_none_of_ours_is_not_acceptable_and_the_answer_names_ours(served: Served, url: str) -> None:
    response = served.get(url, {"Accept": "application/json"})
    assert response.status == 406
    assert all(kind in response.body.decode() for kind in TYPES)
    assert response.vary == "Accept"
    assert response.cache_control == "no-store"


@pytest.mark.parametrize("wanted", [JSON, VENDOR_HTML, HTML, LATEST_JSON])
def test_query_for_a_format_goes_before_the_header(served: Served, url: str, wanted: str) -> None:
    kind = TYPES[JSON if wanted == LATEST_JSON else wanted]
    for text, accept in product((wanted, wanted.replace("+", "%2B").replace("/", "%2F")), (HTML, PIP, "text/plain")):
        response = served.get(f"{url}?format={text}", {"Accept": accept})
        assert (response.status, response.content_type) == (200, kind)


def test_query_for_a_format_that_is_none_is_not_acceptable_and_other_queries_say_nothing(served: Served) -> None:
    for query, wanted in (
        ("format=application/json", 406),
        ("format=nonsense", 406),
        ("format=", 200),
        ("x=y", 200),
        ("format", 200),
        ("&&&=&", 200),
        ("%zz=%00", 200),
        ("&".join(["a=b"] * 1000), 200),
        ("format=" + "x" * 5000, 200),
    ):
        response = served.get(f"{PAGE}?{query}", {"Accept": PIP})
        assert response.status == wanted, query
        assert wanted != 200 or response.content_type == JSON


def test_point_41_pages_vary_and_the_tag_tells_serialisation_and_encoding_apart(served: Served, url: str) -> None:
    tags, bodies = {}, {}
    for accept, encoding in product((JSON, VENDOR_HTML, HTML), ("identity", "gzip")):
        response = served.get(url, {"Accept": accept, "Accept-Encoding": encoding})
        assert {part.strip() for part in response.vary.split(",")} == {"Accept", "Accept-Encoding"}
        assert response.etag.startswith('"')
        assert response.etag.endswith('"')
        bodies[accept, encoding], tags[accept, encoding] = response.body, response.etag
    for one, other in product(tags, tags):
        # The two types of HTML are one body, and may have one tag or two; other bytes never have the same.
        assert bodies[one] == bodies[other] or tags[one] != tags[other]


def test_point_41_a_header_that_nobody_sends_in_earnest_is_answered_too(served: Served) -> None:
    for accept in (
        ",",
        ";",
        ";;q=;,",
        "q=1",
        "/",
        "*",
        "*/html",
        "text/html;q",
        "a" * 100_000,
        ",".join([HTML] * 3000),
    ):
        assert served.get(PAGE, {"Accept": accept}).status in {200, 406}, accept[:50]


def test_point_41_long_headers_are_not_kept(served: Served) -> None:
    del served
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(600):
            header = b"%d" % number + b"x" * 60_000
            negotiate(header)
            takes_gzip(header)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2_000_000
