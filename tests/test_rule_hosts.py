"""Hosts that cannot run here: what falls through by their rules, evaluated as their documentation has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitindex.hosts import HOSTS, host_site
from gitindex.site import render
from tests import rulehosts
from tests.conftest import Run
from tests.peers.test_hosts import HTML, JSON, PIP, UV, ours, spellings
from tests.repositories import Content, files_below, make_repository
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
        assert (browser.file, "Content-Type" in browser.headers) == (f"emilie/prod/simple/{page}index.html", False)
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
        assert len(json.loads((tmp_path / "site/vercel.json").read_text())["routes"]) < 40
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
