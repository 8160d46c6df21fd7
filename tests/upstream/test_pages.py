"""Pages asked of a real upstream on the loopback interface, which answers well, badly and with malice."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gitindex.errors import CannotRunError
from gitindex.names import ProjectName
from gitindex.upstream import Patience, UpstreamError, UpstreamPage, Upstreams
from tests import hosts
from tests.hosts import Host
from tests.upstream.conftest import Open
from tests.upstream.pages import DEMO, HURRIED, JSON, Clock, anchors, mirror_of, page, projects, sent, wheel

PATH = "/simple/demo/"
ONE = page(wheel("1.0"))
TWO = page(wheel("1.0"), wheel("2.0"))


def versions(made: UpstreamPage | None) -> list[str | None] | None:
    return None if made is None else [file.version for file in made.files]


def ask(upstreams: Upstreams, host: Host, name: ProjectName = DEMO, **settings: object) -> UpstreamPage | None:
    return upstreams.page(mirror_of(f"{host.url}/simple", **settings), name)


def problem_of(upstreams: Upstreams, host: Host, name: ProjectName = DEMO) -> str:
    """Return what is said of an upstream that does not answer: one line, with the mirror's name."""
    with pytest.raises(UpstreamError) as raised:
        ask(upstreams, host, name)
    text = str(raised.value)
    assert "\n" not in text
    start = f"root/world: {host.url}/simple/ does not answer for {name} with a page ("
    assert text.startswith(start)
    return text.removeprefix(start).partition("); try again later")[0]


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


def test_point_45_an_outage_is_no_word_on_a_project_that_was_not_there(
    host: Host, clock: Clock, open_upstreams: Open
) -> None:
    host.on(PATH, hosts.status(404), hosts.status(500))
    upstreams = open_upstreams()
    assert ask(upstreams, host) is None
    clock.pass_by(300)
    assert problem_of(upstreams, host) == "answers 500"


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


def test_a_clock_that_is_put_back_does_not_keep_a_page_for_ever(host: Host, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, sent(ONE))
    upstreams = open_upstreams()
    ask(upstreams, host)
    clock.pass_by(-(10**8))
    made = ask(upstreams, host)
    assert made is not None
    assert made.fresh_for == 1800


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
    upstreams = open_upstreams(patience=HURRIED, largest_page=1 << 20)
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
    upstreams = open_upstreams(patience=HURRIED)
    assert problem_of(upstreams, host) == "ReadTimeout"
    assert problem_of(upstreams, host, ProjectName("other")) == "ReadTimeout"
    assert upstreams.health(mirror_of(host.url).name).is_paused
    clock.pass_by(15)
    assert versions(ask(upstreams, host, ProjectName("other"))) == []
    assert versions(ask(upstreams, host)) == ["1.0"]
    assert host.paths == [PATH, "/simple/other/", PATH]


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


def test_redirects_take_no_more_time_than_one_page_may(host: Host, open_upstreams: Open) -> None:
    slow = threading.Event()
    host.on(PATH, hosts.redirect("/x/"))
    host.on("/x/", hosts.held(slow, sent(ONE)))
    upstreams = open_upstreams(patience=Patience(silence=30, whole=0.5))
    assert problem_of(upstreams, host) == "takes longer than 0.5 seconds"
    slow.set()


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
