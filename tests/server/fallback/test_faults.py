"""Points 64 and 65: upstreams that do all that upstreams do wrong, and a real server between them and its clients."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from gitindex.server.filecache import HELD_BACK
from tests import hosts
from tests.hosts import Answer, Host
from tests.repositories import make_repository
from tests.server.client import JSON
from tests.server.fallback.mirrored import ASKS_JSON, Theirs, blob, offer, their_wheel, world
from tests.server.fallback.process import Got, Running, eventually, running
from tests.upstream.pages import anchors, page, sent

SIZE = 300_000
SMALL = 1000


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as started:
        yield started


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults") / "cache"


@pytest.fixture(scope="module")
def server(host: Host, cache: Path) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        for who, what in product(("AUTHOR", "COMMITTER"), ("NAME", "EMAIL")):
            patch.setenv(f"GIT_{who}_{what}", "emilie@example.org")
        repository = make_repository(cache.with_name("packages"), world(host))
    with running(repository, cache, is_impatient=True) as started:
        yield started


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return a project that no other test asks for."""
    return f"p{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"


def simple(name: str) -> str:
    return f"/emilie/prod/simple/{name}/"


def kept(cache: Path, file: Theirs) -> list[bytes]:
    """Return what the cache has under a file's name."""
    return [path.read_bytes() for path in (cache / "files").rglob(file.filename)]


def no_parts(cache: Path) -> bool:
    return not [path for path in (cache / "files" / ".parts").iterdir() if path.is_file()]


def other(data: bytes) -> bytes:
    """Return bytes that differ from others in the last one alone."""
    return data[:-1] + bytes([data[-1] ^ 1])


def wrong_answers(data: bytes) -> dict[str, Answer]:
    """Return what is not the file, by what is wrong with it."""
    size = len(data)
    half = data[: size // 2]
    return {
        "hash": hosts.content(other(data)),
        "hash in chunks": hosts.chunked(other(data)),
        "short": hosts.content(data[:-1]),
        "long": hosts.content(data + b"x"),
        "short in chunks": hosts.chunked(data[:-1]),
        "long in chunks": hosts.chunked(data + b"x"),
        "empty": hosts.content(b""),
        "cut off": hosts.truncated(half, size),
        "cut off at the end": hosts.truncated(data[:-1], size),
        "reset": hosts.reset(half, size),
        "stalled": hosts.stalled(half, size),
        "another length and cut off": hosts.truncated(data, size + 1),
        "endless": hosts.endless,
        "500 page": hosts.status(500),
        "page as a wheel": hosts.content(b"<html>Internal Server Error</html>".ljust(size), Content_Type="text/html"),
        "compressed": hosts.content(gzip.compress(data), Content_Encoding="gzip"),
        "bomb": hosts.content(gzip.compress(bytes(1 << 24)), Content_Encoding="gzip"),
        "silent": hosts.silent,
        "slow": hosts.dripping,
        "slow head": hosts.dripping_head,
        "hung up": hosts.hang_up,
        "gone": hosts.status(404),
        "refused": hosts.status(403),
        "part": hosts.status(206),
        "elsewhere": hosts.redirect("ftp://files.example.org/"),
        "around": hosts.redirect(""),
    }


def check_broken(answer: Got, data: bytes) -> None:
    """Make sure that no client takes an answer for the file."""
    if answer.status == 200:
        assert not answer.is_whole
        assert len(answer.body) <= len(data) - HELD_BACK
        # Whatever was sent before is what upstream sent: a client that hashes finds out, one that counts too.
        assert int(answer.headers.get("content-length", len(data))) == len(data)
    else:
        assert answer.status in {502, 503}
        assert answer.is_whole
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.body.decode().splitlines()) == 1


WAITS = {"silent", "slow", "slow head", "stalled"}
"""What takes as long as a server is waited for; then one size is enough."""
CASES = [
    (fault, size)
    for fault in sorted(wrong_answers(b"12"))
    for size in (SIZE, SMALL)
    if fault not in WAITS or size == (SIZE if fault == "stalled" else SMALL)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_point_64_what_is_not_the_file_is_never_sent_to_its_end_nor_kept_and_asked_for_again(
    host: Host, server: Running, cache: Path, name: str, case: tuple[str, int]
) -> None:
    fault, size = case
    file = blob(name, size)
    offer(host, name, file)
    wrong = wrong_answers(file.data)[fault]
    # A download that fails in a way that may pass is tried once more.
    host.on(file.path, wrong, wrong)
    answer = server.get(file.url(name))
    check_broken(answer, file.data)
    if size == SMALL:
        assert answer.status != 200
    # The second attempt goes on, though nobody can be given the first one's bytes any more.
    eventually(lambda: server.status()["file_cache"]["downloads"] == 0, "it is over")
    assert kept(cache, file) == []
    assert no_parts(cache)
    host.on(file.path, file.data)
    again = server.get(file.url(name))
    assert (again.status, again.is_whole, again.body == file.data) == (200, True, True)
    assert kept(cache, file) == [file.data]


@pytest.mark.parametrize("fault", ["short in chunks", "cut off", "reset", "hash", "page as a wheel"])
def test_point_65_a_second_attempt_that_succeeds_leaves_the_right_file_in_the_cache(
    host: Host, server: Running, cache: Path, name: str, fault: str
) -> None:
    file = blob(name, SIZE)
    offer(host, name, file)
    host.on(file.path, wrong_answers(file.data)[fault], hosts.content(file.data))
    first = server.get(file.url(name))
    assert first.body == file.data or first.status != 200 or not first.is_whole
    for _ in range(2):
        second = server.get(file.url(name))
        assert (second.status, second.is_whole, second.body == file.data) == (200, True, True)
    assert kept(cache, file) == [file.data]
    assert host.paths.count(file.path) == 2


@pytest.mark.parametrize("fault", ["cut off", "reset", "cut off at the end"])
def test_point_65_without_a_size_and_a_digest_on_the_page_what_the_server_announces_counts(
    host: Host, server: Running, name: str, fault: str
) -> None:
    file = blob(name, SIZE)
    host.on(f"/simple/{name}/", sent(anchors(f'<a href="/files/{file.filename}">x</a>'), "text/html"))
    wrong = wrong_answers(file.data)[fault]
    host.on(file.path, wrong, wrong)
    url = file.url(name).replace(file.sha256, "-")
    check_broken(server.get(url), file.data)
    # The second attempt goes on, and whoever joins it is broken off as well.
    eventually(lambda: server.status()["file_cache"]["downloads"] == 0, "it is over")
    host.on(file.path, file.data)
    again = server.get(url)
    assert (again.status, again.is_whole, again.body == file.data) == (200, True, True)


def test_an_upstream_that_refuses_connections_is_503_for_pages_and_files(
    host: Host, server: Running, name: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        file = blob(name, SMALL)
        host.on(f"/simple/{name}/", sent(page(file.entry(url=f"http://127.0.0.1:{port}/{file.filename}"), name=name)))
        check_broken(server.get(file.url(name)), file.data)
        host.on(f"/simple/{name}-x/", hosts.redirect(f"http://127.0.0.1:{port}/"))
        answer = server.get(simple(f"{name}-x"), ASKS_JSON)
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert server.get(simple("ours"), ASKS_JSON).status == 200


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def bombs() -> dict[str, Answer]:
    """Return pages that are larger than any may be."""
    start, blank = page(name="demo")[:-1], b" " * (50 << 20)
    whole = start + blank + b"}"
    packed = gzip.compress(whole, 1)
    twice = gzip.compress(gzip.compress(bytes(100 << 20), 9), 9)
    return {
        "50 MB": sent(whole),
        "50 MB in chunks": hosts.endless,
        "gzip": sent(packed, JSON, Content_Encoding="gzip"),
        "gzip in gzip": sent(twice, JSON, Content_Encoding="gzip, gzip"),
        "deflate": sent(zlib.compress(whole, 1), JSON, Content_Encoding="deflate"),
        "raw deflate": sent(deflated(whole), JSON, Content_Encoding="deflate"),
        "unknown": sent(packed, JSON, Content_Encoding="br"),
        "deep": sent(b'{"meta":' + b"[" * 1_000_000),
        "deep HTML": sent(b"<div>" * 100_000, "text/html"),
    }


def test_a_page_of_50_mb_and_bombs_are_refused_in_bounded_memory(host: Host, server: Running, name: str) -> None:
    for kind, answer in bombs().items():
        host.on(f"/simple/{name}/", answer)
        got = server.get(simple(name), ASKS_JSON)
        assert got.status == (200 if kind == "deep HTML" else 503), kind
        assert server.get(simple("ours"), ASKS_JSON).status == 200
    assert server.memory() < 180 << 20  # what came of one is not kept until the next


def test_a_list_without_end_is_refused(host: Host, server: Running) -> None:
    host.on("/simple/", hosts.endless)
    assert server.get("/root/world/simple/", ASKS_JSON).status == 503
    assert server.memory() < 400 << 20


def test_points_49_and_50_a_range_of_a_file_of_a_mirror(host: Host, server: Running, name: str) -> None:
    file = blob(name, SIZE)
    offer(host, name, file)
    url, tag = file.url(name), f'"{file.sha256}"'
    for is_kept in (False, True):
        for range_, condition, status, body in (
            ("bytes=10-19", None, 206, file.data[10:20]),
            ("bytes=-10", None, 206, file.data[-10:]),
            (f"bytes={SIZE - 5}-", None, 206, file.data[-5:]),
            ("bytes=0-9", tag, 206, file.data[:10]),
            ("bytes=0-9", '"another"', 200, file.data),
            (f"bytes={SIZE}-", None, 416, None),
            ("bytes=0-1,5-6", None, 200, file.data),
        ):
            headers = {"Range": range_, **({"If-Range": condition} if condition else {})}
            got = server.get(url, headers)
            assert (got.status, got.is_whole) == (status, True), (is_kept, range_)
            assert body is None or got.body == body, (is_kept, range_)
    assert host.paths.count(file.path) == 1


def test_point_52_head_downloads_nothing(host: Host, server: Running, name: str) -> None:
    file, unsized = their_wheel(name, "1.0"), their_wheel(name, "2.0")
    offer(host, name, file, core_metadata=True)
    host.on(f"{file.path}.metadata", file.core_metadata or b"")
    got = server.get(file.url(name), method="HEAD")
    assert (got.status, got.headers["content-length"], got.body) == (200, str(len(file.data)), b"")
    assert got.headers["etag"] == f'"{file.sha256}"'
    assert server.get(file.url(name, suffix=".metadata"), method="HEAD").status == 200
    line = f'<a href="/files/{unsized.filename}#sha256={unsized.sha256}">x</a>'
    host.on(f"/simple/{name}-x/", sent(anchors(line), "text/html"))
    host.on(unsized.path, unsized.data)
    url = unsized.url(f"{name}-x")
    got = server.get(url, method="HEAD")
    assert (got.status, "content-length" in got.headers) == (200, False)
    assert not [path for path in host.paths if path.startswith((file.path, unsized.path))]
    assert server.get(url).body == unsized.data
    assert server.get(url, method="HEAD").headers["content-length"] == str(len(unsized.data))


def test_status_tells_of_files_and_of_what_was_broken_off(host: Host, server: Running, name: str) -> None:
    file, go = blob(name, SIZE), threading.Event()
    offer(host, name, file)
    # The answer begins with the first half, and nothing else can be said by it from then on.
    wrong = hosts.in_two(other(file.data), SIZE // 2, go)
    host.on(file.path, wrong, wrong)
    with server.asking(file.url(name)) as answer:
        assert answer.status == 200
        go.set()
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    eventually(lambda: server.status()["file_cache"]["downloads"] == 0, "all downloads have ended")
    told = server.status()
    assert told["counters"]["broken_off"] > 0
    assert told["file_cache"]["problem"] is None
    assert json.dumps(told)


def test_part_of_a_file_that_is_not_proven_yet_is_kept_by_nobody(host: Host, server: Running, name: str) -> None:
    file, go = blob(name, SIZE), threading.Event()
    offer(host, name, file)
    wrong = file.data[: SIZE // 2] + b"x" * (SIZE - SIZE // 2)
    host.on(file.path, hosts.in_two(wrong, SIZE // 2, go), hosts.content(file.data))
    try:
        early = server.get(file.url(name), {"Range": "bytes=0-999"})
    finally:
        go.set()
    assert (early.status, early.headers["cache-control"]) == (206, "no-store")
    eventually(lambda: server.status()["file_cache"]["downloads"] == 0, "it is over")
    assert server.get(file.url(name)).body == file.data
    late = server.get(file.url(name), {"Range": "bytes=0-999"})
    assert (late.status, late.body) == (206, file.data[:1000])
    assert "immutable" in late.headers["cache-control"]
