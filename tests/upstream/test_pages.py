"""Pages asked of a real upstream on the loopback interface, which answers well, badly and with malice."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

import pytest

from gitindex.names import ProjectName
from gitindex.upstream.pages import UpstreamError
from tests import hosts
from tests.hosts import Answer, Host
from tests.upstream.conftest import Open
from tests.upstream.pages import (
    DEMO,
    JSON,
    ONE,
    PATH,
    TWO,
    Clock,
    anchors,
    ask,
    mirror_of,
    page,
    projects,
    sent,
    versions,
)


def test_a_page_is_asked_once_and_again_when_its_time_is_over_whatever_the_upstream_says(
    host: Host, clock: Clock, open_upstreams: Open
) -> None:
    host.on(PATH, sent(ONE, Cache_Control="max-age=999999, immutable"), sent(TWO, Cache_Control="no-store"))
    upstreams = open_upstreams()
    first = ask(upstreams, host, mirror_cache_expiry=600)
    assert first is not None
    assert (versions(first), first.is_stale, first.fresh_for) == (["1.0"], False, 600)
    clock.pass_by(599)
    again = ask(upstreams, host, mirror_cache_expiry=600)
    assert again is not None
    assert (again.files, again.identity, again.fresh_for) == (first.files, first.identity, 1)
    assert len(host.paths) == 1
    clock.pass_by(1)
    second = ask(upstreams, host, mirror_cache_expiry=600)
    assert second is not None
    assert (versions(second), second.fresh_for) == (["1.0", "2.0"], 600)
    assert second.identity != first.identity
    assert host.paths == [PATH, PATH]


def test_point_66_a_page_is_asked_for_with_its_validator_and_not_sent_again(
    host: Host, clock: Clock, open_upstreams: Open
) -> None:
    host.on(PATH, hosts.validated(ONE, '"one"', Content_Type=JSON, Vary="Accept"))
    upstreams = open_upstreams()
    first = ask(upstreams, host)
    for _ in range(3):
        clock.pass_by(1800)
        again = ask(upstreams, host)
        assert again == first
    assert [request.headers.get("If-None-Match") for request in host.requests] == [None, '"one"', '"one"', '"one"']
    # Another process has no page in memory.
    clock.pass_by(1800)
    assert ask(open_upstreams(), host) == first
    assert host.requests[-1].headers["If-None-Match"] == '"one"'


@pytest.mark.parametrize(("age", "is_asked_by_it"), [(0, False), (3, True), (3600, True)])
def test_a_time_of_modification_is_a_validator_once_its_second_is_over(
    host: Host, clock: Clock, open_upstreams: Open, age: int, *, is_asked_by_it: bool
) -> None:
    # A page that is asked for as it is made anew would else be the last one that is seen: both have the same time.
    told = []

    def modified(data: bytes) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            told.append(formatdate(time.time() - age, usegmt=True))
            sent(data, Last_Modified=told[-1])(handler)

        return answer

    host.on(PATH, modified(ONE), modified(TWO))
    upstreams = open_upstreams()
    ask(upstreams, host)
    clock.pass_by(1800)
    again = ask(upstreams, host)
    assert again is not None
    assert versions(again) == ["1.0", "2.0"]
    asked = [request.headers.get("If-Modified-Since") for request in host.requests]
    assert asked == [None, told[0] if is_asked_by_it else None]


@pytest.mark.parametrize("modified", ["", "yesterday", "Thu, 99 Foo 2024 99:99:99 GMT", "9" * 500])
def test_a_time_of_modification_that_is_none_is_no_validator(
    host: Host, clock: Clock, open_upstreams: Open, modified: str
) -> None:
    host.on(PATH, sent(ONE, Last_Modified=modified))
    upstreams = open_upstreams()
    for _ in range(2):
        assert ask(upstreams, host) is not None
        clock.pass_by(1800)
    assert [request.headers.get("If-Modified-Since") for request in host.requests] == [None, None]


def test_what_is_not_modified_is_fresh_again(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, hosts.validated(ONE, '"one"', Content_Type=JSON))
    ask(open_upstreams(), host)
    clock.pass_by(1800)
    ask(open_upstreams(), host)
    clock.pass_by(1799)
    assert versions(ask(open_upstreams(), host)) == ["1.0"]
    assert len(host.paths) == 2


def test_a_validator_is_for_the_page_that_had_it_and_not_for_where_it_leads_now(
    host: Host, clock: Clock, open_upstreams: Open
) -> None:
    host.on(PATH, hosts.validated(ONE, '"one"', Content_Type=JSON), hosts.redirect("/moved/"))
    host.on("/moved/", hosts.validated(TWO, '"one"', Content_Type=JSON))
    upstreams = open_upstreams()
    ask(upstreams, host)
    for _ in range(2):
        clock.pass_by(1800)
        assert versions(ask(upstreams, host)) == ["1.0", "2.0"]


def test_the_validator_of_where_a_redirect_led_is_not_for_the_page_itself(
    host: Host, clock: Clock, open_upstreams: Open
) -> None:
    host.on("/moved/", hosts.validated(ONE, '"one"', Content_Type=JSON))
    host.on(PATH, hosts.redirect("/moved/"), hosts.validated(TWO, '"one"', Content_Type=JSON))
    upstreams = open_upstreams()
    assert versions(ask(upstreams, host)) == ["1.0"]
    clock.pass_by(1800)
    assert versions(ask(upstreams, host)) == ["1.0", "2.0"]


def test_pages_survive_a_restart(host: Host, open_upstreams: Open) -> None:
    host.on(PATH, sent(ONE))
    first = ask(open_upstreams(), host)
    assert ask(open_upstreams(), host) == first
    assert len(host.paths) == 1
    assert open_upstreams().usage().pages == 1


def test_for_one_run_pages_are_kept_in_memory(host: Host, open_upstreams: Open) -> None:
    host.on(PATH, sent(ONE))
    upstreams = open_upstreams(None)
    assert versions(ask(upstreams, host)) == versions(ask(upstreams, host)) == ["1.0"]
    assert ask(open_upstreams(None), host) is not None
    assert len(host.paths) == 2


@pytest.mark.parametrize("code", [404, 410])
def test_point_44_that_there_is_no_such_project_is_believed_for_a_short_time(
    host: Host, clock: Clock, open_upstreams: Open, code: int
) -> None:
    host.on(PATH, hosts.status(code, ETag='"none"'), sent(ONE))
    upstreams = open_upstreams()
    assert ask(upstreams, host) is None
    clock.pass_by(299)
    assert ask(upstreams, host) is None
    assert ask(open_upstreams(), host) is None
    assert len(host.paths) == 1
    clock.pass_by(1)
    assert versions(ask(upstreams, host)) == ["1.0"]


def test_a_project_that_is_gone_replaces_its_page(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, sent(ONE), hosts.status(404))
    upstreams = open_upstreams()
    ask(upstreams, host)
    clock.pass_by(1800)
    assert ask(upstreams, host) is None
    assert ask(open_upstreams(), host) is None


def test_without_an_expiry_a_page_is_asked_for_each_time_and_stands_in_all_the_same(
    host: Host, open_upstreams: Open
) -> None:
    host.on(PATH, sent(ONE), sent(TWO), hosts.status(500))
    upstreams = open_upstreams()
    made = [ask(upstreams, host, mirror_cache_expiry=0) for _ in range(3)]
    assert [versions(each) for each in made] == [["1.0"], ["1.0", "2.0"], ["1.0", "2.0"]]
    assert [each and each.is_stale for each in made] == [False, False, True]


def test_an_expiry_without_measure_is_one(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, sent(ONE))
    clock.pass_by(-1_000_000)
    assert versions(ask(open_upstreams(), host, mirror_cache_expiry=10**30)) == ["1.0"]


def test_a_clock_that_is_put_back_keeps_no_page_and_no_pause(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, sent(ONE), hosts.hang_up, hosts.hang_up, sent(TWO))
    upstreams = open_upstreams()
    ask(upstreams, host)
    clock.pass_by(1800)
    assert versions(ask(upstreams, host)) == ["1.0"]
    clock.pass_by(-(10**8))
    assert versions(ask(upstreams, host)) == ["1.0", "2.0"]
    clock.pass_by(-(10**8))
    assert versions(ask(open_upstreams(), host)) == ["1.0", "2.0"]
    assert len(host.paths) == 5


def test_point_65_many_who_wait_cause_one_request(host: Host, open_upstreams: Open) -> None:
    may_answer = threading.Event()
    host.on(PATH, hosts.held(may_answer, sent(ONE)))
    upstreams = open_upstreams()
    waiting = threading.Barrier(33, timeout=30)

    def run(_: int) -> list[str | None] | None:
        waiting.wait()
        return versions(ask(upstreams, host))

    with ThreadPoolExecutor(32) as pool:
        answers = [pool.submit(run, number) for number in range(32)]
        waiting.wait()
        may_answer.set()
        assert [answer.result(30) for answer in answers] == [["1.0"]] * 32
    assert len(host.paths) == 1


def test_two_projects_do_not_wait_for_each_other(host: Host, open_upstreams: Open) -> None:
    may_answer = threading.Event()
    host.on("/simple/other/", hosts.held(may_answer, sent(page(name="other"))))
    host.on(PATH, sent(ONE))
    upstreams = open_upstreams()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ask, upstreams, host, ProjectName("other"))
        assert versions(ask(upstreams, host)) == ["1.0"]
        may_answer.set()
        assert versions(other.result(30)) == []


def compressed(data: bytes, encoding: str) -> hosts.Answer:
    body = gzip.compress(data) if encoding == "gzip" else zlib.compress(data)
    return sent(body, Content_Encoding=encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_page_is_read(host: Host, open_upstreams: Open, encoding: str) -> None:
    host.on(PATH, compressed(ONE, encoding))
    assert versions(ask(open_upstreams(), host)) == ["1.0"]
    assert host.requests[0].headers["Accept-Encoding"] == "gzip, deflate"


def test_point_61_links_are_resolved_against_where_redirects_lead(host: Host, open_upstreams: Open) -> None:
    link = f'<a href="../files/demo-1.0.tar.gz#sha256={"a" * 64}">demo-1.0.tar.gz</a>'
    with Host() as other:
        host.on(PATH, hosts.redirect(f"{other.url}/elsewhere/demo/", 301))
        other.on("/elsewhere/demo/", hosts.redirect("../demo"))
        other.on("/elsewhere/demo", sent(anchors(link), "text/html; charset=utf-8"))
        made = ask(open_upstreams(), host)
        assert made is not None
        assert made.files[0].url == f"{other.url}/files/demo-1.0.tar.gz"
        again = ask(open_upstreams(), host)
        assert again is not None
        assert again.files == made.files
        assert len(other.paths) == 2


def test_a_redirect_with_an_endless_body_is_followed_at_once(host: Host, open_upstreams: Open) -> None:
    host.on(PATH, hosts.redirect_without_end("/x/"))
    host.on("/x/", sent(ONE))
    assert versions(ask(open_upstreams(), host)) == ["1.0"]


def test_an_upstream_that_knows_html_alone_is_read(host: Host, open_upstreams: Open) -> None:
    host.on(PATH, sent(anchors('<a href="demo-1.0.tar.gz">demo-1.0.tar.gz</a>'), "text/html"))
    made = ask(open_upstreams(), host)
    assert made is not None
    (file,) = made.files
    assert (file.version, file.sha256, file.size) == ("1.0", None, None)
    assert host.requests[0].headers["Accept"].startswith(f"{JSON}, ")


def test_cookies_are_not_kept(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, sent(ONE, Set_Cookie="spy=1"))
    upstreams = open_upstreams()
    ask(upstreams, host)
    clock.pass_by(1800)
    ask(upstreams, host)
    assert all("Cookie" not in request.headers for request in host.requests)


def test_a_proxy_is_not_asked_for_the_loopback_interface(
    host: Host, open_upstreams: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.delenv("no_proxy", raising=False)
    host.on(PATH, sent(ONE))
    assert versions(ask(open_upstreams(), host)) == ["1.0"]


def test_two_mirrors_of_one_upstream_share_nothing(host: Host, open_upstreams: Open) -> None:
    host.on(PATH, sent(ONE), sent(TWO))
    mirror = mirror_of(f"{host.url}/simple/")
    upstreams = open_upstreams()
    assert versions(upstreams.page(mirror, DEMO)) == ["1.0"]
    other = replace(mirror, name=mirror.name._replace(name="other"))
    assert versions(upstreams.page(other, DEMO)) == ["1.0", "2.0"]


def test_lists_of_projects_are_filtered_cached_and_bounded(host: Host, clock: Clock, open_upstreams: Open) -> None:
    body = projects("demo", "Zope.Demo", "other", "demo")
    host.on("/simple/", sent(body), hosts.status(500))
    upstreams = open_upstreams(largest_page=10)
    mirror = mirror_of(f"{host.url}/simple")
    assert upstreams.projects(mirror) == ("demo", "other", "zope-demo")
    assert upstreams.projects(mirror_of(f"{host.url}/simple", deny=["other", "demo<2"])) == ("demo", "zope-demo")
    assert upstreams.projects(mirror_of(f"{host.url}/simple", allow=["b", "a", "demo"], deny=["b"])) == ("a", "demo")
    assert len(host.paths) == 1
    clock.pass_by(1800)
    assert upstreams.projects(mirror) == ("demo", "other", "zope-demo")
    with pytest.raises(UpstreamError, match=r"with the list of its projects \(answers 500\)"):
        open_upstreams(None).projects(mirror)
    host.on("/simple/", sent(body))
    with pytest.raises(UpstreamError, match="more than 20 bytes"):
        open_upstreams(None, largest_list=20).projects(mirror)
    host.on("/simple/", hosts.status(404))
    assert open_upstreams(None).projects(mirror) == ()
