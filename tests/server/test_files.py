"""Points 48 to 53 of the checklist: files, their parts, and what lies beside them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import zipfile
from functools import cache
from pathlib import Path
from urllib.parse import urljoin

import pytest

from gitindex import layout, media
from gitindex.errors import CannotRunError
from gitindex.server.stored import CheckedFiles
from tests.repositories import Content, IndexRepository, bare_clone, make_repository
from tests.server.client import JSON, PIP, Headers, Response, Served
from tests.server.conftest import shop_content

PAGE = "/emilie/prod/simple/foo-bar/"
FOR_EVER = "max-age=365000000, immutable"
SIZES = {"small": 100, "medium": 300_000, "large": 3_000_000}
"""Of the three ways in which a blob is sent: from memory with the pages, read whole, and by way of a file."""


def sized_content() -> Content:
    return Content(_sized_content())


@cache
def _sized_content() -> Content:
    found = shop_content()
    for name, size in SIZES.items():
        text = hashlib.shake_256(name.encode()).hexdigest(size // 2)
        found.release("emilie/prod", name, "1.0", kind="sdist", text=f"# {text}")
    return found


@pytest.fixture(scope="module", params=["working tree", "bare"])
def sized(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, who: None) -> Served:
    """Return the server of a repository with files of all sizes, in a working tree and in Git's objects alone."""
    del who
    folder = tmp_path_factory.mktemp("sized")
    repository = make_repository(folder / "packages", sized_content())
    served = Served(
        repository if request.param == "working tree" else bare_clone(repository, folder / "bare.git"), folder / "cache"
    )
    request.addfinalizer(lambda: served.__exit__(None, None, None))  # noqa: PT021 - a generator would say no more
    return served.__enter__()


class File:
    """A stored file, at its URL."""

    def __init__(self, served: Served, project: str) -> None:
        page = f"/emilie/prod/simple/{project}/"
        self.facts = served.get(page, {"Accept": JSON}).json["files"][0]
        self.url = urljoin(page, self.facts["url"])
        self.data = sized_content()[self.url.lstrip("/")]
        self._served = served

    def get(self, headers: Headers | None = None, method: str = "GET") -> Response:
        return self._served.request(method, self.url, headers)


@pytest.fixture(params=SIZES)
def file(request: pytest.FixtureRequest, sized: Served) -> File:
    return File(sized, str(request.param))


def test_point_48_file_is_kept_for_ever_and_has_a_tag_and_a_length(file: File) -> None:
    for _ in range(2):
        response = file.get()
        assert response.status == 200
        assert response.body == file.data
        assert response.cache_control == FOR_EVER
        assert response.etag == f'"{file.facts["hashes"]["sha256"]}"'
        assert response.accept_ranges == "bytes"
        assert int(response.content_length) == len(file.data) == file.facts["size"]
        assert response.get("content-disposition") is None


def test_point_49_parts_are_right(file: File) -> None:
    size = len(file.data)
    for header, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=10-49", 10, 50),
        (f"bytes={size - 1}-", size - 1, size),
        ("bytes=50-", 50, size),
        ("bytes=0-", 0, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=-{size * 2}", 0, size),
        (f"bytes=5-{size * 10}", 5, size),
        ("bytes = 3 - 4 ", 3, 5),
        ("BYTES=3-4", 3, 5),
    ):
        response = file.get({"Range": header})
        assert response.status == 206, header
        assert response.body == file.data[start:stop]
        assert response.content_range == f"bytes {start}-{stop - 1}/{size}"
        assert int(response.content_length) == stop - start
        assert response.etag == f'"{file.facts["hashes"]["sha256"]}"'


def test_point_49_part_behind_the_end_is_416_and_says_how_long_the_file_is(file: File) -> None:
    size = len(file.data)
    for header in (f"bytes={size}-", f"bytes={size * 3}-{size * 4}", "bytes=-0"):
        response = file.get({"Range": header})
        assert response.status == 416, header
        assert response.content_range == f"bytes */{size}"
        assert response.get("etag") is None


@pytest.mark.parametrize(
    "header",
    [
        *("bytes=0-1,3-4", "bytes=9-3", "bytes=", "bytes=-", "bytes=a-b", "chars=0-1", "0-1", "bytes=1", "bytes=--1"),
        *("", "bytes=0-0," * 2000, f"bytes={'9' * 5000}-", "bytes=0x1-0x2", "bytes=1-2-3", "bytes=\xb2-\xb3"),
    ],
)
def test_point_49_what_is_no_single_part_gets_the_whole_file(sized: Served, header: str) -> None:
    file = File(sized, "medium")
    response = file.get({"Range": header})
    assert (response.status, response.body) == (200, file.data)


def test_point_50_part_of_another_file_is_the_whole_of_this_one(file: File) -> None:
    tag = file.get().etag
    for condition, wanted in (
        (tag, 206),
        (f" {tag} ", 206),
        ('"other"', 200),
        (f"W/{tag}", 200),
        (tag.strip('"'), 200),
        ("Sun, 22 Nov 2026 07:25:00 GMT", 200),
        ("", 200),
        (f'"other", {tag}', 200),
    ):
        response = file.get({"Range": "bytes=10-19", "If-Range": condition})
        assert response.status == wanted, condition
        assert response.body == (file.data[10:20] if wanted == 206 else file.data)
        # What is behind the end of this file may lie within the other.
        response = file.get({"Range": f"bytes={len(file.data)}-", "If-Range": condition})
        assert response.status == (416 if wanted == 206 else 200)


def test_point_51_files_are_never_compressed(file: File) -> None:
    for encoding in ("gzip, deflate, br", "zstd,gzip,deflate", "identity;q=0, *", "*"):
        response = file.get({"Accept-Encoding": encoding})
        assert (response.get("content-encoding"), response.body) == (None, file.data)
        assert response.get("vary") is None


def test_point_52_head_has_the_headers_of_get(sized: Served) -> None:
    files = [File(sized, name).url for name in SIZES]
    pages = ["/", PAGE, "/emilie/dev/simple/", "/emilie/dev/", "/emilie/dev/feed.xml", "/+site/style.css"]
    others = ["/emilie/dev/simple/unknown/", "/emilie/dev", "/%", "/+api"]
    for path in (*files, files[0] + ".metadata", *pages, *others):
        for headers in ({}, {"Accept": PIP, "Accept-Encoding": "gzip"}, {"If-None-Match": "*"}):
            get, head = (sized.request(method, path, headers) for method in ("GET", "HEAD"))
            assert (head.status, head.fields) == (get.status, get.fields), path
            get, head = (sized.request(method, path, headers) for method in ("GET", "HEAD"))
            assert (head.status, head.fields) == (get.status, get.fields), path


def test_point_52_head_knows_no_ranges(file: File) -> None:
    """RFC 9110, section 14.2: of the methods, GET alone has them."""
    whole = file.get()
    for header in ("bytes=3-9", f"bytes={len(file.data)}-"):
        head = file.get({"Range": header}, "HEAD")
        assert (head.status, head.fields, head.body) == (whole.status, whole.fields, b"")


def test_file_that_the_client_has_is_not_sent_again(file: File) -> None:
    tag = file.get().etag
    for condition in (tag, f'"other", W/{tag}', "*"):
        response = file.get({"If-None-Match": condition, "Range": "bytes=0-1"})
        assert (response.status, response.etag, response.cache_control) == (304, tag, FOR_EVER)
    assert file.get({"If-None-Match": '"other"'}).body == file.data


def test_point_53_metadata_is_that_of_the_wheel(sized: Served) -> None:
    for facts in sized.get(PAGE, {"Accept": JSON}).json["files"]:
        if not facts["filename"].endswith(".whl"):
            continue
        url = urljoin(PAGE, facts["url"])
        with zipfile.ZipFile(io.BytesIO(sized.get(url).body)) as wheel:
            (path,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
            inside = wheel.read(path)
        for encoding in ("identity", "zstd,gzip,deflate"):
            response = sized.get(f"{url}.metadata", {"Accept-Encoding": encoding})
            assert (response.status, response.body, response.get("content-encoding")) == (200, inside, None)
            assert response.cache_control == FOR_EVER
        assert hashlib.sha256(inside).hexdigest() == facts["core-metadata"]["sha256"]
        assert sized.get(f"{url}.metadata", {"Range": "bytes=0-7"}).body == inside[:8]
        assert response.etag != sized.get(url).etag


def test_file_is_only_there_by_its_own_name_and_digest(sized: Served) -> None:
    file = File(sized, "small")
    folder, _, filename = file.url.rpartition("/")
    digest = file.facts["hashes"]["sha256"]
    for path in (
        f"{folder}/other-1.0.tar.gz",
        f"{folder}/",
        folder,
        f"{folder}/{filename}/",
        f"{folder}/{filename}.metadata",  # an sdist's is not stored
        f"{folder}/{filename}.provenance",
        f"{folder}/{filename}.metadata.metadata",
        f"{folder}/.metadata",
        f"/files/{digest[:3]}/{digest[3:]}/{filename}",
        f"/files/{digest}/{filename}",
        f"/files/{digest[:2].upper()}/{digest[2:].upper()}/{filename}",
        f"/files/00/{'0' * 62}/{filename}",
        f"/emilie/prod/files/small/{digest}/{filename}",
        f"/files/{digest[:2]}/{digest[2:]}/..%2F{filename}",
        "/files/",
        "/files",
        "/gitindex.toml",
        "/.git/HEAD",
        "/indexes/emilie/user.toml",
    ):
        assert sized.get(path).status in {404, 301}, path
    assert sized.get(file.url.replace("small-", "sm%61ll-")).status == 200


def test_plus_in_a_name_may_be_escaped_or_not(sized: Served) -> None:
    (facts,) = [facts for facts in sized.get(PAGE, {"Accept": JSON}).json["files"] if "+local" in facts["filename"]]
    url = urljoin(PAGE, facts["url"])
    assert "%2B" in url
    assert sized.get(url).body == sized.get(url.replace("%2B", "+")).body
    assert sized.get(url).status == sized.get(f"{url}.metadata").status == 200


def test_copy_in_the_working_tree_that_somebody_changed_is_not_sent(shop: IndexRepository, tmp_path: Path) -> None:
    shop.put(sized_content())
    shop.commit()
    with Served(shop, tmp_path / "cache") as served:
        for name in SIZES:
            file = File(served, name)
            copy = shop.path / file.url.lstrip("/")
            copy.write_bytes(b"x" * len(file.data))
            assert file.get().body == file.data
            copy.unlink()
            assert file.get().body == file.data
            assert file.get({"Range": "bytes=5-9"}).body == file.data[5:10]
            copy.symlink_to("/etc/hostname")
            assert file.get().body == file.data


def test_files_of_a_folder_storage_are_served_from_there(tmp_path: Path) -> None:
    files = sized_content().settings(storage={"url": f"file://{tmp_path}/store"}, site={"title": "Shop"})
    repository = make_repository(tmp_path / "packages", {path: files[path] for path in files if path[:6] != "files/"})
    with Served(repository, tmp_path / "cache") as served:
        sha256 = files.entry("emilie/prod", "large", "1.0")["hashes"]["sha256"]
        path = layout.stored_path(sha256, "large-1.0.tar.gz")
        assert served.get(f"/{path}").status == 404
        stored = tmp_path / "store" / path.removeprefix("files/")
        stored.parent.mkdir(parents=True)
        stored.write_bytes(files[path])
        assert served.get(f"/{path}").body == files[path]
        assert served.get(f"/{path}", {"Range": "bytes=-9"}).body == files[path][-9:]


def test_files_of_a_storage_elsewhere_are_redirected_to_its_public_url(tmp_path: Path) -> None:
    storage = {"url": "s3://packages/files", "public_url": "https://files.example.org/x"}
    files = shop_content().settings(storage=storage)
    repository = make_repository(tmp_path / "packages", {path: files[path] for path in files if path[:6] != "files/"})
    with Served(repository, tmp_path / "cache") as served:
        path = files.stored("emilie/prod", "foo-bar", "1.0")
        response = served.get(f"/{path}")
        wanted = f"https://files.example.org/x/{path.removeprefix('files/')}"
        assert (response.status, response.location) == (302, wanted)
        facts = served.get(PAGE, {"Accept": JSON}).json["files"][0]
        assert facts["url"] == wanted


def test_file_of_a_folder_storage_that_is_not_the_one_that_was_released_is_not_sent(tmp_path: Path) -> None:
    files = sized_content().settings(storage={"url": f"file://{tmp_path}/store"})
    repository = make_repository(tmp_path / "packages", {path: files[path] for path in files if path[:6] != "files/"})
    with Served(repository, tmp_path / "cache") as served:
        for name in SIZES:
            path = files.stored("emilie/prod", name, "1.0")
            stored = tmp_path / "store" / path.removeprefix("files/")
            stored.parent.mkdir(parents=True)
            for data in (files[path][:-1], files[path][:-1] + b"x", b""):
                stored.write_bytes(data)
                for headers in ({}, {"Range": "bytes=0-0"}):
                    assert served.get(f"/{path}", headers).status in {416, 503}
            stored.write_bytes(files[path])
            assert served.get(f"/{path}").body == files[path]


def test_tag_of_what_lies_beside_a_file_changes_with_it(tmp_path: Path) -> None:
    files = sized_content().settings(storage={"url": f"file://{tmp_path}/store"})
    files.release("emilie/prod", "small", "2.0", provenance="0" * 64)
    repository = make_repository(tmp_path / "packages", {path: files[path] for path in files if path[:6] != "files/"})
    with Served(repository, tmp_path / "cache") as served:
        path = files.stored("emilie/prod", "small", "2.0") + ".provenance"
        stored = tmp_path / "store" / path.removeprefix("files/")
        stored.parent.mkdir(parents=True)
        stored.write_bytes(b"{}")
        first = served.get(f"/{path}")
        assert first.status == 200, first.body
        assert first.content_type == media.PROVENANCE
        stored.write_bytes(b"[]")
        second = served.get(f"/{path}", {"If-None-Match": first.etag})
        assert (first.body, second.status, second.body) == (b"{}", 200, b"[]")


def test_revision_that_nobody_published_does_not_say_which_folder_is_served(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", shop_content())
    files = sized_content().settings(storage={"url": f"file://{tmp_path}/store"})
    repository.git("switch", "--quiet", "--create", "evil")
    repository.put({path: files[path] for path in files if path[:6] != "files/"})
    evil = repository.commit()
    repository.git("switch", "--quiet", "main")
    path = files.stored("emilie/prod", "large", "1.0")
    stored = tmp_path / "store" / path.removeprefix("files/")
    stored.parent.mkdir(parents=True)
    stored.write_bytes(files[path])
    with Served(repository, tmp_path / "cache") as served:
        for revision in ("evil", evil):
            assert served.get(f"/@{revision}/{path}").status == 404


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_file_that_is_written_to_while_it_is_sent_is_not_sent_to_its_end(tmp_path: Path, size: int) -> None:
    async def check() -> None:
        data = bytes(size)
        path = tmp_path / "file"
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files = CheckedFiles()
        for is_touched in (False, True, False):
            source = files.open(path, digest, size)
            assert source is not None
            if is_touched:
                with path.open("r+b") as file:
                    file.write(b"x")
                    os.fsync(file.fileno())
            sent = 0
            try:
                async for piece in source.pieces(0, None):
                    sent += len(piece)
            except CannotRunError:
                assert is_touched
                assert sent < size
                path.write_bytes(data)
            else:
                assert not is_touched
                assert sent == size
            finally:
                source.close()

    asyncio.run(check())
