"""Upstreams that fail, hang, lie or trickle: what is told, what stands in, and how long they are left alone."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gitindex.errors import CannotRunError
from gitindex.names import ProjectName
from gitindex.upstream.health import Patience
from gitindex.upstream.pages import UpstreamError
from tests import hosts
from tests.hosts import Host
from tests.upstream.conftest import Open
from tests.upstream.pages import (
    DEMO,
    IN_ALL,
    IN_SILENCE,
    ONE,
    PATH,
    TWO,
    Clock,
    ask,
    mirror_of,
    page,
    problem_of,
    sent,
    versions,
)


@pytest.mark.parametrize(
    "failure", [hosts.status(500), hosts.hang_up, hosts.status(403), sent(b"oops"), sent(ONE, "text/plain")]
)
def test_points_66_and_70_a_stale_page_stands_in_for_an_upstream_that_fails(
    host: Host, clock: Clock, open_upstreams: Open, failure: hosts.Answer
) -> None:
    host.on(PATH, sent(ONE), failure)
    upstreams = open_upstreams(stale_for=86400)
    fresh = ask(upstreams, host)
    assert fresh is not None
    clock.pass_by(1800)
    stale = ask(upstreams, host)
    assert stale is not None
    assert (versions(stale), stale.identity, stale.is_stale) == (["1.0"], fresh.identity, True)
    assert 0 < stale.fresh_for <= 15
    clock.pass_by(86400 - 1)
    assert versions(ask(open_upstreams(stale_for=86400), host)) == ["1.0"]
    clock.pass_by(2)
    with pytest.raises(UpstreamError):
        ask(open_upstreams(stale_for=86400), host)


def test_a_page_that_is_asked_for_again_after_a_failure_is_fresh_again(
    host: Host, clock: Clock, open_upstreams: Open
) -> None:
    host.on(PATH, sent(ONE), hosts.status(500), sent(TWO))
    upstreams = open_upstreams()
    ask(upstreams, host)
    clock.pass_by(1800)
    assert versions(ask(upstreams, host)) == ["1.0"]
    clock.pass_by(15)
    made = ask(upstreams, host)
    assert made is not None
    assert (versions(made), made.is_stale) == (["1.0", "2.0"], False)


def test_point_45_an_outage_is_no_word_on_a_project_that_was_not_there(
    host: Host, clock: Clock, open_upstreams: Open
) -> None:
    host.on(PATH, hosts.status(404), hosts.status(500))
    upstreams = open_upstreams()
    assert ask(upstreams, host) is None
    clock.pass_by(300)
    assert problem_of(upstreams, host) == "answers 500"


def test_many_who_wait_for_a_failure_cause_one_request(host: Host, open_upstreams: Open) -> None:
    may_answer = threading.Event()
    host.on(PATH, hosts.held(may_answer, hosts.status(503)))
    upstreams = open_upstreams()

    def run(_: int) -> str:
        return problem_of(upstreams, host)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(run, number) for number in range(8)]
        may_answer.set()
        assert {answer.result(30) for answer in answers} == {"answers 503"}
    assert len(host.paths) == 1


BOMB = gzip.compress(bytes(64 << 20))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (hosts.status(500), "answers 500"),
        (hosts.status(401), "answers 401: access is refused"),
        (hosts.status(403), "answers 403: access is refused"),
        (hosts.status(406), "answers 406"),
        (hosts.status(204), "answers 204"),
        (hosts.status(304), "answers 304"),
        (hosts.status(302), "answers 302"),
        (sent(b"<html>Please log in</html>"), "answers with JSON that cannot be read"),
        (sent(page(name="other")), "answers with the page of 'other'"),
        (
            sent(ONE, "application/octet-stream"),
            "answers with Content-Type 'application/octet-stream', which is no page",
        ),
        (sent(bytes(2 << 20)), "answers with more than 1,048,576 bytes"),
        (hosts.chunked(bytes(2 << 20)), "answers with more than 1,048,576 bytes"),
        (sent(BOMB, Content_Encoding="gzip"), "answers with more than 1,048,576 bytes"),
        (sent(zlib.compress(bytes(64 << 20)), Content_Encoding="deflate"), "answers with more than 1,048,576 bytes"),
        (
            sent(gzip.compress(BOMB), Content_Encoding="gzip, gzip"),
            "answers with Content-Encoding 'gzip, gzip', unasked",
        ),
        (sent(b"", Content_Encoding="br"), "answers with Content-Encoding 'br', unasked"),
        (sent(b"no gzip", Content_Encoding="gzip"), "DecodeError"),
        (hosts.endless, "answers with more than 1,048,576 bytes"),
        (hosts.truncated(ONE, len(ONE) + 1), "ProtocolError"),
        (hosts.hang_up, "ConnectionError"),
        (hosts.redirect(PATH), "redirects more than 5 times"),
        (
            hosts.redirect("http://files.example.org/"),
            "redirects: it leads to 'http://files.example.org', which is not https",
        ),
        (hosts.redirect("file:///etc/passwd"), "redirects: it leads to 'file://', which is not https"),
        (hosts.redirect("https://emilie:secret@127.0.0.1/"), "redirects: it has credentials in the URL"),
        (hosts.redirect("https://[/"), "redirects to what is no URL"),
        (hosts.dripping, "takes longer than 1 seconds"),
        (hosts.dripping_head, "takes longer than 1 seconds"),
        (hosts.silent, "ReadTimeout"),
    ],
)
def test_what_an_upstream_does_not_answer_is_told_in_one_line(
    host: Host, open_upstreams: Open, answer: hosts.Answer, problem: str
) -> None:
    host.on(PATH, answer)
    patience = IN_ALL if problem.startswith("takes") else IN_SILENCE if problem == "ReadTimeout" else None
    upstreams = open_upstreams(patience=patience, largest_page=1 << 20)
    assert problem_of(upstreams, host) == problem
    count = len(host.paths)
    assert problem_of(upstreams, host) == problem
    assert len(host.paths) == count, "it is not asked again at once"


def test_nobody_there_is_told_in_one_line(open_upstreams: Open) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        mirror = mirror_of(f"http://127.0.0.1:{taken.getsockname()[1]}/simple/")
        with pytest.raises(
            CannotRunError, match=r"^root/world: .* for demo with a page \(ConnectionError\); try again"
        ):
            open_upstreams().page(mirror, DEMO)


@pytest.mark.parametrize("url", ["http://world.example.org/simple/", "https://.a/", "https://a b/"])
def test_a_mirror_url_that_must_not_be_asked_is_told(open_upstreams: Open, url: str) -> None:
    with pytest.raises(UpstreamError, match=r"^root/world: .*cannot be asked"):
        open_upstreams().page(mirror_of(url), DEMO)


def test_an_answer_that_says_nothing_is_not_kept(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, sent(b"garbage"), sent(ONE))
    upstreams = open_upstreams()
    problem_of(upstreams, host)
    clock.pass_by(15)
    assert versions(ask(upstreams, host)) == ["1.0"]


def test_a_connection_that_was_closed_meanwhile_is_opened_again(host: Host, open_upstreams: Open) -> None:
    host.on(PATH, hosts.hang_up, sent(ONE))
    assert versions(ask(open_upstreams(), host)) == ["1.0"]


def test_an_upstream_that_is_silent_is_left_alone_for_all_pages(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, hosts.silent, sent(ONE))
    host.on("/simple/other/", sent(page(name="other")))
    upstreams = open_upstreams(patience=IN_SILENCE)
    assert problem_of(upstreams, host) == "ReadTimeout"
    assert problem_of(upstreams, host, ProjectName("other")) == "ReadTimeout"
    assert upstreams.health(mirror_of(host.url).name).is_paused
    assert host.paths == [PATH]
    clock.pass_by(15)
    assert versions(ask(upstreams, host, ProjectName("other"))) == []
    assert not upstreams.health(mirror_of(host.url).name).is_paused
    assert versions(ask(upstreams, host)) == ["1.0"]


@pytest.mark.parametrize("answer", [sent(page(name="other")), hosts.status(403), hosts.status(404)])
def test_after_a_pause_one_page_is_asked_for_and_the_others_wait_for_what_comes_of_it(
    host: Host, clock: Clock, open_upstreams: Open, answer: hosts.Answer
) -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def probed(handler: BaseHTTPRequestHandler) -> None:
        is_asked.set()
        hosts.held(may_answer, answer)(handler)

    host.on(PATH, hosts.hang_up, hosts.hang_up, sent(ONE))
    host.on("/simple/other/", probed)
    upstreams = open_upstreams()
    assert problem_of(upstreams, host) == "ConnectionError"
    clock.pass_by(15)
    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(ask, upstreams, host, ProjectName("other"))
        try:
            assert is_asked.wait(30)
            assert problem_of(upstreams, host) == "ConnectionError"
        finally:
            may_answer.set()
        probe.exception(30)
    assert versions(ask(upstreams, host)) == ["1.0"]


def test_an_upstream_that_is_still_silent_is_left_alone_again(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, hosts.hang_up)
    host.on("/simple/other/", hosts.status(500), sent(page(name="other")))
    upstreams = open_upstreams()
    problem_of(upstreams, host)
    clock.pass_by(15)
    assert problem_of(upstreams, host, ProjectName("other")) == "answers 500"
    clock.pass_by(14)
    assert problem_of(upstreams, host) == "answers 500"
    clock.pass_by(1)
    assert versions(ask(upstreams, host, ProjectName("other"))) == []


def test_a_page_that_fails_does_not_stop_the_others_and_three_of_them_do(
    host: Host, clock: Clock, open_upstreams: Open
) -> None:
    upstreams = open_upstreams()
    for name in ("a", "b", "c"):
        host.on(f"/simple/{name}/", hosts.status(500))
    host.on(PATH, sent(ONE))
    problem_of(upstreams, host, ProjectName("a"))
    problem_of(upstreams, host, ProjectName("b"))
    assert versions(ask(upstreams, host)) == ["1.0"]
    clock.pass_by(1800)
    for name in ("a", "b", "c"):
        problem_of(upstreams, host, ProjectName(name))
    stale = ask(upstreams, host)
    assert stale is not None
    assert stale.is_stale
    assert host.paths.count(PATH) == 1


def test_pages_that_are_refused_never_stop_the_others(host: Host, open_upstreams: Open) -> None:
    upstreams = open_upstreams()
    for number in range(5):
        host.on(f"/simple/p{number}/", hosts.status(403))
        problem_of(upstreams, host, ProjectName(f"p{number}"))
    host.on(PATH, sent(ONE))
    assert versions(ask(upstreams, host)) == ["1.0"]


@pytest.mark.parametrize(("header", "pause"), [("60", 60), ("5", 15), ("99999", 300), ("soon", 15), ("9" * 50, 15)])
def test_an_upstream_that_asks_to_wait_is_waited_for(
    host: Host, clock: Clock, open_upstreams: Open, header: str, pause: int
) -> None:
    host.on(PATH, hosts.status(503, Retry_After=header), sent(ONE))
    upstreams = open_upstreams()
    problem_of(upstreams, host)
    clock.pass_by(pause - 1)
    problem_of(upstreams, host)
    clock.pass_by(1)
    assert versions(ask(upstreams, host)) == ["1.0"]


def test_redirects_take_no_more_time_than_one_page_may(host: Host, open_upstreams: Open) -> None:
    slow = threading.Event()
    host.on(PATH, hosts.redirect("/x/"))
    host.on("/x/", hosts.held(slow, sent(ONE)))
    upstreams = open_upstreams(patience=Patience(silence=30, whole=0.5))
    assert problem_of(upstreams, host) == "takes longer than 0.5 seconds"
    slow.set()


def test_health_tells_what_happened(host: Host, clock: Clock, open_upstreams: Open) -> None:
    upstreams = open_upstreams()
    mirror = mirror_of(f"{host.url}/simple")
    assert upstreams.health(mirror.name).requests == 0
    host.on(PATH, sent(ONE), hosts.status(500))
    ask(upstreams, host)
    ask(upstreams, host)
    clock.pass_by(1800)
    ask(upstreams, host)
    health = upstreams.health(mirror.name)
    assert (health.requests, health.failures, health.problem, health.is_paused) == (2, 1, "answers 500", False)
    assert health.last_success is not None
    assert health.last_failure is not None
    assert (health.last_failure - health.last_success).total_seconds() == 1800


def test_nothing_is_logged_of_an_upstream_that_fails(
    host: Host, clock: Clock, open_upstreams: Open, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    host.on(PATH, sent(ONE), hosts.status(500))
    upstreams = open_upstreams()
    ask(upstreams, host)
    clock.pass_by(1800)
    ask(upstreams, host)
    assert capfd.readouterr() == ("", "")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("spoil", [lambda data: data[:-3], lambda _: b"", lambda _: b"\xff{}\n[", lambda _: b"{}\nx"])
def test_a_torn_page_of_the_cache_is_asked_for_again(
    host: Host, tmp_path: Path, open_upstreams: Open, spoil: Callable[[bytes], bytes]
) -> None:
    host.on(PATH, sent(ONE))
    ask(open_upstreams(), host)
    (kept,) = (path for path in (tmp_path / "pages").rglob("*") if path.is_file())
    kept.write_bytes(spoil(kept.read_bytes()))
    assert versions(ask(open_upstreams(), host)) == ["1.0"]
    assert versions(ask(open_upstreams(), host)) == ["1.0"]
    assert len(host.paths) == 2


def test_a_cache_that_cannot_be_written_stops_no_answer(host: Host, tmp_path: Path, open_upstreams: Open) -> None:
    (tmp_path / "pages").write_text("a file, and no folder")
    host.on(PATH, sent(ONE))
    upstreams = open_upstreams()
    assert versions(ask(upstreams, host)) == versions(ask(upstreams, host)) == ["1.0"]
    assert len(host.paths) == 1
    assert upstreams.usage() == (0, 0)
