"""Downloads from servers that are slow, broken or hostile: real ones, on the loopback interface."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gitindex.download import GIVES_UP_AFTER, DeadLinkError, Downloader, Patience, UnreachableError
from tests import hosts
from tests.hosts import Host

DATA = bytes(range(256)) * 20
HURRIED = Patience(connect=2, silence=2, whole=1, rate=1 << 30, retries=2, backoff=0, longest_pause=1)


class Kept:
    """A sink that keeps what comes."""

    def __init__(self) -> None:
        self.data = b""
        self.attempts = 0
        self.sizes: list[int | None] = []

    def begin(self, size: int | None) -> None:
        self.data = b""
        self.attempts += 1
        self.sizes.append(size)

    def add(self, piece: bytes) -> None:
        self.data += piece


def stating(length: str | None) -> hosts.Answer:
    """Send the data after a Content-Length in such words, or none; end with the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", length)
        handler.end_headers()
        handler.wfile.write(DATA)
        handler.close_connection = True

    return answer


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as started:
        yield started


def fetch(url: str, limit: int = len(DATA) + 1, patience: Patience = HURRIED) -> bytes:
    """Download, and return what came."""
    kept = Kept()
    downloader = Downloader(patience)
    try:
        downloader.fetch(url, kept, limit)
    finally:
        downloader.close()
    return kept.data


@pytest.mark.parametrize(
    "answers",
    [
        [hosts.content(DATA)],
        [hosts.chunked(DATA)],
        [hosts.content(DATA, Content_Encoding="identity")],
        [hosts.status(500), hosts.content(DATA)],
        [hosts.status(503, Retry_After="0"), hosts.status(429, Retry_After="1"), hosts.content(DATA)],
        [hosts.status(503, Retry_After="soon"), hosts.content(DATA)],
        [hosts.hang_up, hosts.content(DATA)],
        [hosts.truncated(DATA[:100], len(DATA)), hosts.content(DATA)],
    ],
    ids=["plain", "chunked", "identity", "500", "retry-after", "odd-retry-after", "hang-up", "truncated"],
)
def test_a_file_comes_whole_at_last(host: Host, answers: list[hosts.Answer]) -> None:
    assert fetch(host.on("/a.whl", *answers)) == DATA
    assert len(host.paths) == len(answers)


@pytest.mark.parametrize(
    ("answers", "sizes"),
    [
        ([hosts.content(DATA)], [len(DATA)]),
        ([hosts.chunked(DATA)], [None]),
        ([hosts.truncated(DATA[:100], len(DATA)), hosts.chunked(DATA)], [len(DATA), None]),
        ([stating(f"+{len(DATA)}")], [None]),
        ([stating("1" * 30)], [None]),
        ([stating(None)], [None]),
    ],
    ids=["stated", "chunked", "again", "signed", "absurd", "unstated"],
)
def test_the_sink_is_told_the_length_that_the_server_states(
    host: Host, answers: list[hosts.Answer], sizes: list[int | None]
) -> None:
    kept = Kept()
    downloader = Downloader(HURRIED)
    with contextlib.suppress(UnreachableError), contextlib.closing(downloader):
        downloader.fetch(host.on("/a.whl", *answers), kept, len(DATA))
    assert kept.sizes[: len(sizes)] == sizes


@pytest.mark.parametrize("code", [404, 410, 451])
def test_what_is_gone_is_a_dead_link_and_asked_for_once(host: Host, code: int) -> None:
    with pytest.raises(DeadLinkError, match=f"answers {code}"):
        fetch(host.on("/a.whl", hosts.status(code)))
    assert len(host.paths) == 1


@pytest.mark.parametrize(
    ("answer", "words", "requests"),
    [
        (hosts.status(500), "answers 500", 3),
        (hosts.status(401), "access is refused", 1),
        (hosts.status(403), "access is refused", 1),
        (hosts.status(400), "answers 400", 1),
        (hosts.status(206), "answers 206", 1),
        (hosts.status(304), "answers 304", 1),
        (hosts.status(503, Retry_After="3600"), "asks to wait for 3,600 seconds", 1),
        (hosts.truncated(DATA[:100], len(DATA)), "breaks off", 3),
        (hosts.hang_up, "ConnectionError", 3),
    ],
    ids=["500", "401", "403", "400", "206", "304", "long-wait", "truncated", "hang-up"],
)
def test_what_says_nothing_of_the_file_is_no_verdict(
    host: Host, answer: hosts.Answer, words: str, requests: int
) -> None:
    with pytest.raises(UnreachableError) as raised:
        fetch(host.on("/a.whl", answer))
    assert words in raised.value.problem
    assert host.netloc in raised.value.problem
    assert len(host.paths) == requests


def test_a_server_that_drips_or_is_silent_is_left_in_time(host: Host) -> None:
    patience = Patience(connect=1, silence=0.3, whole=0.5, rate=1 << 30, retries=0)
    with pytest.raises(UnreachableError, match="too slow"):
        fetch(host.on("/drip.whl", hosts.dripping), 1 << 20, patience)
    with pytest.raises(UnreachableError, match="does not answer"):
        fetch(host.on("/silent.whl", hosts.silent), 1 << 20, patience)


def test_a_drip_is_cut_off_whatever_size_is_stated_or_allowed(host: Host) -> None:
    patience = Patience(connect=1, silence=0.3, whole=0.5, rate=1000, retries=0)
    with pytest.raises(UnreachableError, match="too slow"):
        fetch(host.on("/drip.whl", hosts.dripping), 1 << 34, patience)


def test_no_more_is_read_than_is_asked_for(host: Host) -> None:
    assert fetch(host.on("/a.whl", hosts.endless), 5000) == bytes(5000)


def test_encoded_content_is_refused_and_never_decoded(host: Host) -> None:
    bomb = gzip.compress(bytes(1 << 20))
    with pytest.raises(DeadLinkError, match="Content-Encoding 'gzip'"):
        fetch(host.on("/a.tar.gz", hosts.content(bomb, Content_Encoding="gzip")))
    assert host.requests[0].headers["Accept-Encoding"] == "identity"


def test_redirects_are_followed_a_few_times(host: Host) -> None:
    host.on("/4", DATA)
    for step in range(4):
        host.on(f"/{step}", hosts.redirect(f"/{step + 1}", 301 + step % 2))
    assert fetch(host.url + "/0") == DATA


def test_a_redirect_loop_is_a_dead_link(host: Host) -> None:
    with pytest.raises(DeadLinkError, match="redirects more than 5 times"):
        fetch(host.on("/a.whl", hosts.redirect("/a.whl")))
    assert len(host.paths) == 6


def test_a_redirect_with_an_endless_body_is_followed_at_once(host: Host) -> None:
    host.on("/b.whl", DATA)
    assert fetch(host.on("/a.whl", hosts.redirect_without_end("/b.whl"))) == DATA


@pytest.mark.parametrize(
    "target",
    ["http://files.example.org/a.whl", "ftp://127.0.0.1/a.whl", "file:///etc/hostname", "https://e@127.0.0.1/a.whl"],
)
def test_a_redirect_to_what_is_not_https_is_a_dead_link(host: Host, target: str) -> None:
    with pytest.raises(DeadLinkError, match=r"which is not https|has credentials"):
        fetch(host.on("/a.whl", hosts.redirect(target)))


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.org/a.whl",
        "file:///etc/hostname",
        "a.whl",
        "https:///a.whl",
        "https://[::1/a.whl",
        "https://a..b/",
        "https://a b/",
        "https://.a/",
    ],
)
def test_only_https_is_asked(url: str) -> None:
    with pytest.raises(DeadLinkError):
        fetch(url)


def test_a_certificate_that_is_none_is_no_verdict(host: Host) -> None:
    with pytest.raises(UnreachableError, match="cannot be trusted"):
        fetch(f"https://{host.netloc}/a.whl")


def test_no_server_is_no_verdict() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnreachableError, match="does not answer"):
            fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/a.whl")


def test_a_host_that_fails_again_and_again_is_given_up(host: Host) -> None:
    patience = Patience(retries=0)
    downloader = Downloader(patience)
    url = host.on("/a.whl", hosts.status(503))
    for _ in range(GIVES_UP_AFTER + 5):
        with pytest.raises(UnreachableError):
            downloader.fetch(url, Kept(), 10)
    downloader.close()
    assert len(host.paths) == GIVES_UP_AFTER


def test_one_answer_that_is_one_clears_a_host(host: Host) -> None:
    downloader = Downloader(Patience(retries=0))
    url = host.on("/a.whl", hosts.status(503))
    for _ in range(3):
        for _ in range(GIVES_UP_AFTER - 1):
            with pytest.raises(UnreachableError):
                downloader.fetch(url, Kept(), 10)
        with pytest.raises(DeadLinkError):
            downloader.fetch(host.url + "/gone.whl", Kept(), 10)
    downloader.close()
    assert len(host.paths) == 3 * GIVES_UP_AFTER


def test_stopping_ends_a_pause_at_once(host: Host) -> None:
    downloader = Downloader(Patience(retries=3, longest_pause=600))
    url = host.on("/a.whl", hosts.status(503, Retry_After="500"))
    errors: list[str] = []

    def run() -> None:
        try:
            downloader.fetch(url, Kept(), 10)
        except UnreachableError as error:
            errors.append(error.problem)
        downloader.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not host.paths:
        time.sleep(0.01)
    downloader.stop()
    thread.join(30)
    assert errors == [f"{host.netloc} answers 503"]


def netrc(text: str) -> None:
    path = Path("~/.netrc").expanduser()
    path.write_text(text)
    path.chmod(0o600)


def test_credentials_go_to_the_host_that_the_url_names_and_to_no_other(host: Host) -> None:
    netrc("machine 127.0.0.1 login emilie password secret\n")
    with Host() as other:
        other.on("/b.whl", DATA)
        host.on("/near.whl", hosts.redirect("/a.whl"))
        host.on("/a.whl", hosts.redirect(f"http://localhost:{other.netloc.partition(':')[2]}/b.whl"))
        assert fetch(host.url + "/near.whl") == DATA
        assert [request.headers.get("Authorization", "")[:6] for request in host.requests] == ["Basic ", "Basic "]
        assert [request.headers.get("Authorization") for request in other.requests] == [None]
        # Another port is another server.
        host.on("/a.whl", hosts.redirect(other.url + "/b.whl"))
        assert fetch(host.url + "/a.whl") == DATA
        assert other.requests[1].headers.get("Authorization") is None


@pytest.mark.parametrize("text", ["default login emilie password secret\n", "machine"], ids=["default", "broken"])
def test_nobody_gets_the_password_of_nobody_in_particular(host: Host, text: str) -> None:
    netrc(text)
    assert fetch(host.on("/a.whl", DATA)) == DATA
    assert "Authorization" not in host.requests[0].headers


def test_cookies_are_not_kept(host: Host) -> None:
    host.on("/a.whl", hosts.status(500, Set_Cookie="spy=1"), hosts.content(DATA))
    assert fetch(host.url + "/a.whl") == DATA
    assert all("Cookie" not in request.headers for request in host.requests)


def test_a_proxy_is_not_asked_for_the_loopback_interface(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.delenv("no_proxy", raising=False)
    assert fetch(host.on("/a.whl", DATA)) == DATA
