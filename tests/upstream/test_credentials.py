"""Who is asked with which name and password: the server that they are for, and nobody else."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest

from gitindex.download import DeadLinkError, Patience as FilePatience, UnreachableError
from gitindex.names import IndexName, UserName
from gitindex.upstream.credentials import variable
from gitindex.upstream.pages import UpstreamError
from tests import hosts
from tests.hosts import Host, Request
from tests.upstream.conftest import Open
from tests.upstream.pages import DEMO, Clock, mirror_of, page, sent, wheel

SECRET = "s3cr3t"
PATH = "/simple/demo/"
FILE = b"bytes of a wheel" * 100


class Kept:
    """A sink that keeps what comes."""

    def __init__(self) -> None:
        self.data = b""
        self.sizes: list[int | None] = []

    def begin(self, size: int | None) -> None:
        self.data = b""
        self.sizes.append(size)

    def add(self, piece: bytes) -> None:
        self.data += piece


def said(request: Request) -> str:
    """Return with what name and password was asked."""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    return base64.b64decode(encoded).decode() if kind == "Basic" else ""


@pytest.fixture
def environment(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITINDEX_MIRROR_ROOT_WORLD_URL", f"{host.url}/")
    monkeypatch.setenv("GITINDEX_MIRROR_ROOT_WORLD_USERNAME", "emilie")
    monkeypatch.setenv("GITINDEX_MIRROR_ROOT_WORLD_PASSWORD", SECRET)


@pytest.fixture
def netrc() -> None:
    path = Path("~/.netrc").expanduser()
    path.write_text("machine 127.0.0.1 login bob password netrc\n")
    path.chmod(0o600)


def test_the_variables_of_a_mirror_are_named_after_it() -> None:
    assert variable(IndexName(UserName("acme-1.x"), "py_pi")) == "GITINDEX_MIRROR_ACME_1_X_PY_PI_"


@pytest.mark.usefixtures("environment")
def test_point_68_a_password_is_for_the_mirrors_server_and_for_no_other(host: Host, open_upstreams: Open) -> None:
    with Host() as other:
        host.on(PATH, hosts.redirect("/near/"))
        host.on("/near/", hosts.redirect(f"{other.url}/far/"))
        other.on("/far/", hosts.redirect(f"{host.url}/back/"))
        host.on("/back/", sent(page(wheel("1.0"))))
        assert open_upstreams().page(mirror_of(f"{host.url}/simple/"), DEMO) is not None
        assert [said(request) for request in host.requests] == [f"emilie:{SECRET}"] * 3
        assert [said(request) for request in other.requests] == [""]


@pytest.mark.usefixtures("environment")
def test_a_mirror_that_moved_does_not_take_the_password_along(host: Host, open_upstreams: Open) -> None:
    with Host() as other:
        other.on(PATH, sent(page()))
        open_upstreams().page(mirror_of(f"{other.url}/simple/"), DEMO)
        assert said(other.requests[0]) == ""
    assert host.requests == []


def test_a_password_without_the_server_that_it_is_for_is_not_sent(
    host: Host, open_upstreams: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITINDEX_MIRROR_ROOT_WORLD_PASSWORD", SECRET)
    host.on(PATH, sent(page()))
    for url in ("", "https://[", "https://world.example.org/"):
        monkeypatch.setenv("GITINDEX_MIRROR_ROOT_WORLD_URL", url)
        open_upstreams(None).page(mirror_of(f"{host.url}/simple/"), DEMO)
    assert [said(request) for request in host.requests] == ["", "", ""]


@pytest.mark.usefixtures("netrc")
def test_netrc_has_the_rest(host: Host, open_upstreams: Open) -> None:
    host.on(PATH, sent(page()))
    open_upstreams().page(mirror_of(f"{host.url}/simple/"), DEMO)
    assert said(host.requests[0]) == "bob:netrc"


@pytest.mark.usefixtures("environment")
def test_no_secret_is_kept_or_told(host: Host, tmp_path: Path, clock: Clock, open_upstreams: Open) -> None:
    host.on(PATH, sent(page(wheel("1.0")), ETag='"1"'), hosts.status(401))
    upstreams = open_upstreams()
    mirror = mirror_of(f"{host.url}/simple/")
    made = upstreams.page(mirror, DEMO)
    clock.pass_by(1800)
    upstreams.page(mirror, DEMO)
    with pytest.raises(UpstreamError) as raised:
        open_upstreams(None).page(mirror, DEMO)
    encoded = base64.b64encode(f"emilie:{SECRET}".encode()).decode()
    assert (tmp_path / "pages").stat().st_mode & 0o077 == 0
    kept = b"".join(path.read_bytes() for path in (tmp_path / "pages").rglob("*") if path.is_file()).decode()
    for text in (kept, str(raised.value), repr(made), repr(upstreams.health(mirror.name))):
        assert SECRET not in text
        assert encoded not in text


@pytest.mark.usefixtures("environment", "netrc")
def test_a_file_is_asked_for_with_the_mirrors_password_at_its_server_alone(host: Host, open_upstreams: Open) -> None:
    upstreams = open_upstreams()
    mirror = mirror_of(f"{host.url}/simple/")
    with Host() as other:
        other.on("/b.whl", FILE)
        host.on("/a.whl", FILE)
        host.on("/b.whl", hosts.redirect(f"{other.url}/b.whl"))
        for url in (f"{host.url}/a.whl", f"{host.url}/b.whl", f"{other.url}/b.whl"):
            kept = Kept()
            upstreams.fetcher(mirror, url, len(FILE))(kept)
            assert (kept.data, kept.sizes) == (FILE, [len(FILE)])
        assert [said(request) for request in host.requests] == [f"emilie:{SECRET}"] * 2
        # Not even netrc's, which has a password for that host: a page must not choose whom it is sent to.
        assert [said(request) for request in other.requests] == ["", ""]


@pytest.mark.usefixtures("environment", "netrc")
def test_a_provenance_document_is_asked_for_as_its_file_is(host: Host, open_upstreams: Open) -> None:
    upstreams = open_upstreams()
    mirror = mirror_of(f"{host.url}/simple/")
    with Host() as other:
        other.on("/b", FILE)
        host.on("/a", FILE)
        host.on("/b", hosts.redirect(f"{other.url}/b"))
        for url in (f"{host.url}/a", f"{host.url}/b", f"{other.url}/b"):
            kept = Kept()
            upstreams.provenance_fetcher(mirror, url, f"{host.url}/a.whl", 3)(kept)
            assert kept.data == FILE[:3]
        assert [said(request) for request in host.requests] == [f"emilie:{SECRET}"] * 2
        assert [said(request) for request in other.requests] == ["", ""]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://192.0.2.7/x", "x", ""])
def test_a_page_elsewhere_leads_to_no_document_here(open_upstreams: Open, url: str) -> None:
    fetch = open_upstreams().provenance_fetcher(
        mirror_of("https://world.example.org/simple/"), url, "https://world.example.org/a.whl", 9
    )
    with pytest.raises(DeadLinkError, match=r"its link leads to .*, which is not https"):
        fetch(Kept())


@pytest.mark.parametrize(("gives_up_after", "asked"), [(10, 10), (None, 12)])
def test_a_host_that_delivers_no_documents_is_given_up_where_that_is_wanted(
    host: Host, open_upstreams: Open, gives_up_after: int | None, asked: int
) -> None:
    upstreams = open_upstreams(file_patience=FilePatience(retries=0), gives_up_after=gives_up_after)
    mirror = mirror_of(f"{host.url}/simple/")
    url = host.on("/a.whl.provenance", hosts.hang_up)
    for _ in range(12):
        with pytest.raises(UnreachableError):
            upstreams.provenance_fetcher(mirror, url, f"{host.url}/a.whl", 9)(Kept())
    assert host.paths.count("/a.whl.provenance") == asked
    host.on("/a.whl", FILE)
    upstreams.fetcher(mirror, f"{host.url}/a.whl", len(FILE))(Kept())


def test_a_file_is_asked_for_again_once_and_no_more_of_it_than_there_should_be(
    host: Host, open_upstreams: Open
) -> None:
    upstreams = open_upstreams()
    mirror = mirror_of(f"{host.url}/simple/")
    kept = Kept()
    upstreams.fetcher(mirror, host.on("/a.whl", hosts.truncated(FILE[:9], 100), hosts.content(FILE)), len(FILE))(kept)
    assert (kept.data, kept.sizes) == (FILE, [100, len(FILE)])
    upstreams.fetcher(mirror, host.on("/endless.whl", hosts.endless), 5000)(kept)
    assert len(kept.data) == 5001
    upstreams.fetcher(mirror, host.url + "/endless.whl", None, 70_000)(kept)
    assert len(kept.data) == 70_000
    with pytest.raises(UnreachableError):
        upstreams.fetcher(mirror, host.on("/b.whl", hosts.status(500)), 1)(kept)
    with pytest.raises(DeadLinkError):
        upstreams.fetcher(mirror, host.url + "/none.whl", 1)(kept)
    with pytest.raises(DeadLinkError, match="not https"):
        upstreams.fetcher(mirror, "http://files.example.org/a.whl", 1)(kept)
    assert host.paths.count("/a.whl") == host.paths.count("/b.whl") == 2


def test_a_host_whose_files_failed_is_asked_for_others_all_the_same(host: Host, open_upstreams: Open) -> None:
    upstreams = open_upstreams()
    mirror = mirror_of(f"{host.url}/simple/")
    url = host.on("/b.whl", hosts.status(403))
    for _ in range(12):
        with pytest.raises(UnreachableError, match="answers 403"):
            upstreams.fetcher(mirror, url, 1)(Kept())


def test_point_60_metadata_lies_beside_the_file(host: Host, open_upstreams: Open) -> None:
    host.on("/a.whl.metadata?key=1", FILE)
    kept = Kept()
    open_upstreams().metadata_fetcher(mirror_of(f"{host.url}/simple/"), f"{host.url}/a.whl?key=1", 1 << 20)(kept)
    assert kept.data == FILE


def test_what_a_sink_raises_ends_the_download(host: Host, open_upstreams: Open) -> None:
    class Full(Kept):
        def add(self, piece: bytes) -> None:
            super().add(piece)
            raise OSError(28, "No space left on device")

    fetch = open_upstreams().fetcher(mirror_of(f"{host.url}/simple/"), host.on("/a.whl", FILE), len(FILE))
    with pytest.raises(OSError, match="No space left"):
        fetch(Full())
    assert len(host.paths) == 1


def test_threads_may_download_at_once(host: Host, open_upstreams: Open) -> None:
    upstreams = open_upstreams()
    fetch = upstreams.fetcher(mirror_of(f"{host.url}/simple/"), host.on("/a.whl", FILE), len(FILE))
    sinks = [Kept() for _ in range(8)]
    threads = [threading.Thread(target=fetch, args=(sink,), daemon=True) for sink in sinks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [sink.data for sink in sinks] == [FILE] * 8
