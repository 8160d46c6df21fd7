"""Upstreams that others wrote, and our own rendered site: what they serve is read, and can be downloaded."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from gitindex.model import Mirror
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.upstream.client import Upstreams
from gitindex.upstream.mirror import Upstream
from gitindex.upstream.pages import UpstreamPage
from tests.builders import make_sdist
from tests.peers.conftest import Site
from tests.peers.server import SiteServer
from tests.peers.tools import wheel

pytestmark = pytest.mark.peers


class Kept:
    """A sink that keeps what comes."""

    def __init__(self) -> None:
        self.data = b""

    def begin(self, size: int | None) -> None:
        assert size is not None
        self.data = b""

    def add(self, piece: bytes) -> None:
        self.data += piece


def mirror_of(url: str) -> Upstream:
    return Upstream(IndexName(UserName("root"), "world"), Mirror(type="mirror", mirror_url=url))


def page_of(upstreams: Upstreams, url: str, name: str) -> UpstreamPage:
    page = upstreams.page(mirror_of(url), ProjectName(name))
    assert page is not None
    return page


def download(upstreams: Upstreams, url: str, file_url: str, size: int | None) -> bytes:
    kept = Kept()
    upstreams.fetcher(mirror_of(url), file_url, size)(kept)
    return kept.data


@pytest.fixture
def upstreams(tmp_path: Path) -> Iterator[Upstreams]:
    opened = Upstreams(tmp_path / "cache")
    yield opened
    opened.close()


@contextlib.contextmanager
def pypiserver(folder: Path) -> Iterator[str]:
    """Run pypiserver on a free port, and yield the address of its simple index."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port), "--disable-fallback"]
    with subprocess.Popen([*words, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}/simple/"
            for _ in range(600):
                with contextlib.suppress(requests.ConnectionError):
                    requests.get(url, timeout=10)
                    break
                assert process.poll() is None
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def test_point_62_pypiserver_is_an_upstream(tmp_path: Path, upstreams: Upstreams) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    files = dict([wheel("demo", "1.0"), make_sdist("demo", "1.0"), wheel("demo", "2.0"), wheel("Other.Name", "1.0")])
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with pypiserver(folder) as url:
        page = page_of(upstreams, url, "demo")
        assert {(file.filename, file.version) for file in page.files} == {
            ("demo-1.0-py3-none-any.whl", "1.0"),
            ("demo-1.0.tar.gz", "1.0"),
            ("demo-2.0-py3-none-any.whl", "2.0"),
        }
        for file in page.files:
            assert download(upstreams, url, file.url, file.size) == files[file.filename]
        assert upstreams.page(mirror_of(url), ProjectName("nowhere")) is None
        assert upstreams.projects(mirror_of(url)) == ("demo", "other-name")


@pytest.mark.parametrize("negotiates", [True, False])
def test_our_own_site_is_an_upstream(world: Site, upstreams: Upstreams, negotiates: bool) -> None:  # noqa: FBT001
    with SiteServer(world.folder, negotiates=negotiates) as server:
        url = f"{server.url}/world/dev/simple/"
        page = page_of(upstreams, url, "popular")
        assert [file.version for file in page.files] == ["1.0", "2.0"]
        for file in page.files:
            data = download(upstreams, url, file.url, file.size)
            assert hashlib.sha256(data).hexdigest() == file.sha256
            metadata = Kept()
            upstreams.metadata_fetcher(mirror_of(url), file.url, 1 << 20)(metadata)
            assert hashlib.sha256(metadata.data).hexdigest() == file.core_metadata
        # HTML says it beside the standard: so a page of ours keeps its sizes and times, whatever the host negotiates.
        assert [file.size is not None and file.upload_time is not None for file in page.files] == [True, True]
        assert "popular" in upstreams.projects(mirror_of(url))
