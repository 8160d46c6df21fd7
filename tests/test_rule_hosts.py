"""Hosts that cannot run here: what falls through by their rules, evaluated as their documentation has them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitindex.errors import CannotRunError
from gitindex.hosts import HOSTS, host_site
from gitindex.hosts.rules import Fallback, HostSite
from gitindex.names import ProjectName
from gitindex.server.negotiation import negotiate
from gitindex.site import render
from tests import rulehosts
from tests.conftest import Run
from tests.peers.test_hosts import HTML, JSON, PIP, UV, VENDOR_HTML, ours, spellings
from tests.repositories import PROD, Content, files_below, make_repository, small_content
from tests.rulehosts import Reply, readings

UPSTREAM = "https://upstream.example.org/simple/"
NAMED = ("popular", "billing", "demo", "acme-secret", "zope-interface", "secret", "denied", "twice")
Ask = Callable[[Mapping[str, bytes], str], Reply]
EVALUATED: dict[str, Ask] = {
    "gitlab-pages": rulehosts.redirects,
    "netlify": rulehosts.redirects,
    "s3": rulehosts.s3,
    "vercel": rulehosts.vercel,
}
OF_ONE_NAME = ("gitlab-pages", "netlify", "s3")
"""Hosts whose rules know no patterns."""


def written(tmp_path: Path, host: str, content: Content) -> dict[str, bytes]:
    site = host_site(content.snapshot())
    render(content.snapshot(), tmp_path / "site", extras=HOSTS[host].files(site))
    return files_below(tmp_path / "site")


def listed(**more: Any) -> Content:
    content = ours(UPSTREAM)
    mirror = {"mirror_url": UPSTREAM, "deny": ["denied"], **more}
    return content.mirror("root/pypi", **mirror)


def through(ask: Ask, site: Mapping[str, bytes], path: str) -> list[Reply]:
    """Return the answers that lead to the upstream, however the host reads the path."""
    answers = [ask(site, reading) for reading in readings(f"/{path}")]
    return [answer for answer in answers if "upstream.example.org" in answer.location]


@pytest.mark.parametrize("host", EVALUATED)
@pytest.mark.parametrize("name", ["acme-secret", "billing", "demo", "zope-interface", "denied", "secret"])
def test_a_name_of_ours_falls_through_in_no_spelling(tmp_path: Path, host: str, name: str) -> None:
    site, ask = written(tmp_path, host, listed(allow=list(NAMED))), EVALUATED[host]
    found = {path: got for path in spellings(name) if (got := through(ask, site, f"emilie/prod/simple/{path}"))}
    # What is resolved to the page of a project that may be asked for is that project.
    assert {path: got for path, got in found.items() if any(not _is_popular(each) for each in got)} == {}


@pytest.mark.parametrize("host", ["gitlab-pages", "netlify"])
@pytest.mark.parametrize("name", ["acme-secret", "billing", "demo", "zope-interface", "denied", "secret"])
def test_a_host_may_read_a_path_for_files_in_another_way_than_for_rules(tmp_path: Path, host: str, name: str) -> None:
    site = written(tmp_path, host, listed(allow=list(NAMED)))
    for spelling in spellings(name):
        ways = list(readings(f"/emilie/prod/simple/{spelling}"))
        for rule, file in itertools.product([*ways, *map(str.lower, ways)], ways):
            got = rulehosts.redirects(site, rule, file)
            assert not got.location or _is_popular(got), (spelling, got)


def _is_popular(reply: Reply) -> bool:
    return reply.location.removeprefix(f"{UPSTREAM}popular/") in ("", "/")


@pytest.mark.parametrize("host", EVALUATED)
def test_a_name_that_the_mirror_lists_falls_through(tmp_path: Path, host: str) -> None:
    site, ask = written(tmp_path, host, listed(allow=list(NAMED))), EVALUATED[host]
    got = ask(site, "/emilie/prod/simple/popular/")
    assert (got.status, got.location) == (302, f"{UPSTREAM}popular/")
    assert ask(site, "/emilie/dev/simple/twice/").location == f"{UPSTREAM}twice/"
    assert ask(site, "/emilie/prod/simple/demo/") == ask(site, "/emilie/prod/simple/demo/")._replace(location="")
    assert ask(site, "/emilie/alone/simple/popular/").status == 404
    assert ask(site, "/emilie/prod/simple/other/").status == 404


@pytest.mark.parametrize("host", EVALUATED)
def test_a_mirror_of_everything_falls_through_where_rules_know_patterns(tmp_path: Path, host: str) -> None:
    site, ask = written(tmp_path, host, listed()), EVALUATED[host]
    got = ask(site, "/emilie/prod/simple/popular/")
    if host in OF_ONE_NAME:
        assert got.status == 404
        assert "does not fall through" in " ".join(HOSTS[host].notes(host_site(listed().snapshot())))
        return
    assert (got.status, got.location) == (302, f"{UPSTREAM}popular/")
    for name in ("acme-secret", "billing", "demo", "zope-interface", "denied", "secret"):
        for path in spellings(name):
            found = through(ask, site, f"emilie/prod/simple/{path}")
            assert all(map(_is_popular, found)), (path, found)
    for path in ("Popular/", "popular_/", "-popular/", "popular/x/", "pop%00ular/"):
        assert through(ask, site, f"emilie/prod/simple/{path}") == []


@pytest.mark.parametrize("accept", [PIP, UV])
def test_vercel_answers_installers_in_json_and_browsers_in_html(tmp_path: Path, accept: str) -> None:
    site = written(tmp_path, "vercel", listed())
    for page in ("", "demo/"):
        got = rulehosts.vercel(site, f"/emilie/prod/simple/{page}", accept)
        assert (got.file, got.headers["Content-Type"]) == (f"emilie/prod/simple/{page}index.json", JSON)
        assert got.headers["Vary"] == "Accept"
        browser = rulehosts.vercel(site, f"/emilie/prod/simple/{page}", f"{HTML},*/*;q=0.8")
        assert browser.file == f"emilie/prod/simple/{page}index.html"
        assert browser.headers["Vary"] == "Accept"
    assert rulehosts.vercel(site, "/emilie/prod/simple/popular/", accept).location == f"{UPSTREAM}popular/"
    assert rulehosts.vercel(site, "/emilie/prod/simple/demo") == Reply(
        301, "/emilie/prod/simple/demo/", "", rulehosts.vercel(site, "/emilie/prod/simple/demo").headers
    )
    assert rulehosts.vercel(site, "/.host/x").status == rulehosts.vercel(site, "/.gitindex-site").status == 404
    stored = next(path for path in site if path.endswith(".whl"))
    got = rulehosts.vercel(site, f"/{stored}")
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert "immutable" in got.headers["Cache-Control"]
    assert rulehosts.vercel(site, f"/{stored}.metadata").headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "accept",
    [
        *(PIP, UV, HTML, JSON, f"{HTML}, {JSON}", f"{HTML}, {JSON};q=0.9", f"{JSON};q=0.05", f"image/png, {HTML}"),
        *(VENDOR_HTML, f"{VENDOR_HTML};q=0.9, {JSON};q=0.8", "application/vnd.pypi.simple.latest+json"),
    ],
)
def test_vercel_gives_the_form_that_is_asked_for(tmp_path: Path, accept: str) -> None:
    site = written(tmp_path, "vercel", listed())
    chosen = negotiate(accept.encode())
    assert chosen is not None
    got = rulehosts.vercel(site, "/emilie/prod/simple/demo/", accept)
    assert got.headers["Content-Type"] == chosen.content_type.decode()
    assert got.file == f"emilie/prod/simple/demo/index.{'json' if chosen.value == JSON else 'html'}"
    assert got.headers["Cache-Control"] == "max-age=0, must-revalidate"


@pytest.mark.parametrize("accept", ["", "*/*", f"x{JSON}", f"{JSON}x", f"{JSON};q=0"])
def test_vercel_gives_html_where_nothing_else_is_wanted(tmp_path: Path, accept: str) -> None:
    site = written(tmp_path, "vercel", listed())
    assert rulehosts.vercel(site, "/emilie/prod/simple/demo/", accept).file.endswith("demo/index.html")


def test_vercel_adds_slashes_and_shows_nothing_else(tmp_path: Path) -> None:
    site = written(tmp_path, "vercel", listed())
    for path in ("/emilie/prod", "/emilie/prod/simple", "/emilie/prod/simple/demo", "/emilie/prod/project/demo"):
        got = rulehosts.vercel(site, path)
        assert (got.status, got.location) == (301, f"{path}/")
    for path in ("/.gitindex-site", "/vercel.json", "/emilie/.x", "/emilie/prod/simple/acme-x/", "/x\r\ny/"):
        got = rulehosts.vercel(site, path)
        assert (got.status, got.file) == (404, "/404.html")
    assert rulehosts.vercel(site, "/emilie/prod/feed.xml").headers["Content-Type"].startswith("application/atom+xml")


def test_routes_of_vercel_are_short_enough_and_not_too_many() -> None:
    content = small_content(names={"reserved": [f"pattern-{number}-*" for number in range(2000)]})
    content.mirror("root/pypi", mirror_url=UPSTREAM, allow=[f"allowed-{number}" for number in range(2000)])
    site = host_site(content.snapshot())
    routes = json.loads(HOSTS["vercel"].files(site)["vercel.json"])["routes"]
    assert max(len(route.get("src", "")) for route in routes) <= 4096
    with pytest.raises(CannotRunError, match="Vercel takes 1,024"):
        HOSTS["vercel"].files(replace(site, reserved=tuple(f"{'x' * 1400}{number}-*" for number in range(1024))))


def test_netlify_says_types_and_how_long_files_may_be_kept(tmp_path: Path) -> None:
    site = written(tmp_path, "netlify", listed())
    stored = next(path for path in site if path.endswith(".whl"))
    headers = rulehosts.netlify_headers(site, f"/{stored}")
    assert headers["Cache-Control"] == "max-age=365000000, immutable"
    assert headers["Content-Type"] == "application/octet-stream"
    assert rulehosts.netlify_headers(site, f"/{stored}.metadata")["Content-Type"] == "text/plain; charset=utf-8"
    page = rulehosts.netlify_headers(site, "/emilie/prod/simple/demo/index.json")
    assert page["Content-Type"] == JSON
    assert page["X-Content-Type-Options"] == "nosniff"
    feed = rulehosts.netlify_headers(site, "/emilie/prod/feed.xml")
    assert feed["Content-Type"] == "application/atom+xml; charset=utf-8"


def test_netlify_is_made_for_ten_thousand_redirects() -> None:
    named = {ProjectName(f"project-{number}"): UPSTREAM for number in range(10_001)}
    with pytest.raises(CannotRunError, match="needs 10,001 redirects, and Netlify is made for 10,000"):
        HOSTS["netlify"].files(HostSite("/", (PROD,), (Fallback(PROD, None, named),), ()))


@pytest.mark.parametrize(
    ("host", "number", "message"),
    [("s3", 60, "S3 takes 50 rules"), ("gitlab-pages", 600, "GitLab takes 1,000"), ("vercel", 0, "")],
)
def test_more_rules_than_the_host_takes_are_an_error(
    tmp_path: Path, run: Run, host: str, number: int, message: str
) -> None:
    content = listed(allow=[f"name-{each}" for each in range(number or 1000)])
    repository = make_repository(tmp_path / "repository", content)
    result = run("-C", str(repository.path), "render", "--out", str(tmp_path / "site"), "--host", host)
    if not message:
        assert result.code == 0, result
        assert len(json.loads((tmp_path / "site/vercel.json").read_text())["routes"]) < 60
        return
    assert (result.code, message in result.err, "--carry" in result.err) == (3, True, True)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("host", ["netlify", "vercel"])
def test_a_site_below_a_path_is_refused_where_the_host_knows_none(host: str) -> None:
    with pytest.raises(Exception, match="serves a site at the top"):
        HOSTS[host].files(host_site(ours(UPSTREAM, site={"url": "https://www.example.org/packages/"}).snapshot()))


def test_rules_begin_with_the_path_of_the_site() -> None:
    content = ours(UPSTREAM, site={"url": "https://group.example.org/packages/"})
    content.mirror("root/pypi", mirror_url=UPSTREAM, allow=["popular"])
    site = host_site(content.snapshot())
    lines = HOSTS["gitlab-pages"].files(site)["_redirects"].decode().splitlines()
    assert f"/packages/emilie/prod/simple/popular/ {UPSTREAM}popular/ 302" in lines
    website = json.loads(HOSTS["s3"].files(site)[".host/s3/website.json"])
    prefixes = [rule["Condition"]["KeyPrefixEquals"] for rule in website["RoutingRules"]]
    assert "packages/emilie/prod/simple/popular/" in prefixes
    assert website["ErrorDocument"] == {"Key": "packages/404.html"}


def test_what_the_host_will_not_take_is_told(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from gitindex.hosts.rules import Limits

    repository = make_repository(tmp_path / "repository", listed())
    host = HOSTS["cloudflare"]._replace(limits=Limits(files=5, largest=100, whole=1000))
    monkeypatch.setattr("gitindex.hosts.HOSTS", {"cloudflare": host})
    result = run("-C", str(repository.path), "render", "--out", str(tmp_path / "site"), "--host", "cloudflare")
    assert result.code == 0
    for message in ("files, and cloudflare takes 5", "bytes, and cloudflare takes 1,000", "takes files of 100"):
        assert message in result.out
