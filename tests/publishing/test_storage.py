"""Files of releases that are kept outside of the repository: uploaded, read, checked, served and installed."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.media import BYTES, FILE_TYPES, FILES_CACHE, PAGES_CACHE
from gitindex.objects import Headers, Objects, StoredObjects, read_location, stored_headers
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.publishing.stores import KEYS, crawl, getter
from tests.repositories import IndexRepository, make_repository, small_content
from tests.server.client import Served

WHEEL, WHEEL_DATA = make_wheel("demo", "1.0+local.1", requires_python=">=3.11")
SDIST, SDIST_DATA = make_sdist("demo", "1.0")


@pytest.fixture
def repo(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> IndexRepository:
    """A repository whose files are kept at the target."""
    made = make_repository(tmp_path / "packages", small_content(storage={"url": target.replace(" ", "%20")}))
    monkeypatch.chdir(made.root)
    return made


def upload(run: Run, folder: Path, *, index: str = "emilie/dev") -> None:
    for name, data in ((WHEEL, WHEEL_DATA), (SDIST, SDIST_DATA)):
        (folder / name).write_bytes(data)
        done = run("upload", folder / name, "--index", index, "--commit")
        assert done.code == 0, done.err


def keys(target: str) -> list[str]:
    return Objects(read_location(target)).names("")


def key_of(data: bytes, name: str) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    return f"{sha256[:2]}/{sha256[2:]}/{name}"


def test_upload_puts_files_into_the_storage_and_manifests_into_the_repository(
    repo: IndexRepository, run: Run, target: str, tmp_path: Path
) -> None:
    upload(run, tmp_path)
    wheel = key_of(WHEEL_DATA, WHEEL)
    assert keys(target) == sorted([wheel, f"{wheel}.metadata", key_of(SDIST_DATA, SDIST)])
    assert not (repo.root / "files").exists()
    assert repo.git("status", "--porcelain") == ""
    assert run("validate", "--all").code == 0
    verified = run("verify")
    assert (verified.code, verified.out.splitlines()[-1][:8]) == (0, "3 files,")


def test_nothing_in_the_storage_is_ever_replaced(repo: IndexRepository, run: Run, target: str, tmp_path: Path) -> None:
    wheel = key_of(WHEEL_DATA, WHEEL)
    Objects(read_location(target)).put(wheel, b"other", Headers("text/plain", "no-store"))
    (tmp_path / WHEEL).write_bytes(WHEEL_DATA)
    refused = run("upload", tmp_path / WHEEL, "--index", "emilie/dev")
    assert refused.code == 3
    assert "the bytes have the sha256" in refused.err
    assert Objects(read_location(target)).read(wheel, 100) == b"other"
    assert repo.git("status", "--porcelain") == ""  # no manifest names what is not there
    Objects(read_location(target)).put(wheel, WHEEL_DATA, Headers("text/plain", "no-store"))
    assert run("upload", tmp_path / WHEEL, "--index", "emilie/dev").code == 0


def test_refused_upload_puts_nothing_into_the_storage(
    repo: IndexRepository, run: Run, target: str, tmp_path: Path
) -> None:
    upload(run, tmp_path, index="emilie/prod")
    repo.publish()
    before = keys(target)
    name, data = make_wheel("demo", "1.0+local.1", files={"demo.py": b"other"}, requires_python=">=3.11")
    (tmp_path / name).write_bytes(data)
    refused = run("upload", tmp_path / name, "--index", "emilie/prod")
    assert (refused.code, "GI205" in refused.err + refused.out) == (1, True)
    assert keys(target) == before


@pytest.mark.usefixtures("repo")
def test_verify_finds_what_is_wrong_missing_or_of_no_release(run: Run, target: str, tmp_path: Path) -> None:
    upload(run, tmp_path)
    objects = Objects(read_location(target))
    wheel, sdist = key_of(WHEEL_DATA, WHEEL), key_of(SDIST_DATA, SDIST)
    objects.put("00/left.whl", b"1", Headers("text/plain", "no-store"))
    assert "1 stored file of no release" in run("verify").err
    objects.put(wheel, WHEEL_DATA + b"more", Headers("text/plain", "no-store"))
    objects.delete([sdist])
    found = run("verify")
    assert found.code == 1
    assert "is missing" in found.out
    assert found.out.count("GI011") == 2


@pytest.mark.usefixtures("repo")
def test_site_without_a_public_url_has_the_files_itself(run: Run, tmp_path: Path) -> None:
    upload(run, tmp_path)
    out = tmp_path / "out"
    assert run("render", "--out", out, "--rev", "HEAD").code == 0
    assert (out / "files" / key_of(WHEEL_DATA, WHEEL)).read_bytes() == WHEEL_DATA
    assert crawl(getter(f"file://{out}"))[1] == []
    (tmp_path / "more.txt").write_text("")
    name, data = make_wheel("demo", "2.0")
    (tmp_path / name).write_bytes(data)
    assert run("upload", tmp_path / name, "--index", "emilie/dev", "--commit").code == 0
    assert "since" in run("render", "--out", out, "--rev", "HEAD").out
    assert (out / "files" / key_of(data, name)).read_bytes() == data


def test_wrong_file_of_a_storage_is_not_put_into_the_site(
    repo: IndexRepository, run: Run, target: str, tmp_path: Path
) -> None:
    upload(run, tmp_path)
    del repo
    Objects(read_location(target)).put(key_of(WHEEL_DATA, WHEEL), b"evil", Headers("text/plain", "no-store"))
    refused = run("render", "--out", tmp_path / "out")
    assert refused.code == 3
    assert "the bytes have the sha256" in refused.err
    assert not (tmp_path / "out" / "files" / key_of(WHEEL_DATA, WHEEL)).exists()


@pytest.mark.usefixtures("repo")
def test_server_reads_the_storage_where_there_is_no_public_url(
    repo: IndexRepository, run: Run, target: str, tmp_path: Path
) -> None:
    upload(run, tmp_path)
    path = "/files/" + key_of(WHEEL_DATA, WHEEL).replace("+", "%2B")
    with Served(repo, tmp_path / "cache") as served:
        assert served.get(path).body == WHEEL_DATA
        assert served.get(path, {"Range": "bytes=2-5"}).body == WHEEL_DATA[2:6]
        assert b"Name: demo" in served.get(f"{path}.metadata").body
        sdist = key_of(SDIST_DATA, SDIST)
        Objects(read_location(target)).put(sdist, SDIST_DATA[:-1] + b"x", Headers("text/plain", "no-store"))
        assert served.get(f"/files/{sdist}").status in {502, 503}
        Objects(read_location(target)).delete([key_of(WHEEL_DATA, WHEEL)])
        if target.startswith("s3:"):
            assert served.get(path).body == WHEEL_DATA  # it was kept


@pytest.mark.peers
@pytest.mark.usefixtures("repo")
def test_pip_installs_from_the_storage(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(run, tmp_path)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    words = [
        "--index",
        "emilie/dev",
        "--python",
        sys.executable,
        "--",
        "--target",
        tmp_path / "here",
        "demo==1.0+local.1",
    ]
    done = run("install", *words)
    assert done.code == 0, done.err
    assert (tmp_path / "here" / "demo-1.0+local.1.dist-info").is_dir()


def test_storage_that_names_no_place_is_one_line(tmp_path: Path, run: Run) -> None:
    made = make_repository(tmp_path / "packages", small_content(storage={"url": "s3://key:hush-hush@bucket"}))
    (tmp_path / WHEEL).write_bytes(WHEEL_DATA)
    refused = run("-C", made.root, "upload", tmp_path / WHEEL, "--index", "emilie/dev")
    assert refused.code == 3
    assert refused.err.startswith("gitindex: gitindex.toml: url in [storage]:")
    assert "hush" not in refused.err


def test_folder_that_is_not_mounted_is_not_made_by_reading(tmp_path: Path) -> None:
    storage = StoredObjects(f"file://{tmp_path}/none")
    assert not storage.has("files/00/11/a.whl")
    assert list(storage.paths()) == []
    with pytest.raises(CannotRunError, match="is missing"):
        storage.size("files/00/11/a.whl")
    assert not (tmp_path / "none").exists()


def test_stored_files_are_served_as_sites_serve_them() -> None:
    assert KEYS
    assert stored_headers("a.whl") == Headers(BYTES, FILES_CACHE)
    assert stored_headers("a.whl" + layout.METADATA_SUFFIX) == Headers(FILE_TYPES["metadata"], FILES_CACHE)
    assert stored_headers("a.whl" + layout.PROVENANCE_SUFFIX) == Headers(FILE_TYPES["provenance"], PAGES_CACHE)


def test_a_storage_in_the_place_of_a_site_loses_nothing(run: Run, target: str, tmp_path: Path) -> None:
    place = target.replace(" ", "%20")
    made = make_repository(tmp_path / "packages", small_content(storage={"url": f"{place}/files"}))
    command = ("-C", made.root, "publish", "--to", place, "--max-delete", "100")
    for name, data in ((WHEEL, WHEEL_DATA), (SDIST, SDIST_DATA)):
        (tmp_path / name).write_bytes(data)
        assert run("-C", made.root, "upload", tmp_path / name, "--index", "emilie/dev", "--commit").code == 0
    stored = {f"files/{key_of(data, name)}" for name, data in ((WHEEL, WHEEL_DATA), (SDIST, SDIST_DATA))}
    done = run(*command)
    assert done.code == 0, done.err
    assert stored < set(keys(target))
    made.git("rm", "-r", "-q", "indexes/emilie/dev/demo")
    made.git("commit", "-q", "-m", "Remove demo")
    done = run(*command)
    assert done.code == 0, done.err
    assert "emilie/dev/simple/demo/index.html" not in keys(target)
    assert stored < set(keys(target))
    assert run("-C", made.root, "publish", "--to", place, "--full").code == 0
    assert stored < set(keys(target))


@pytest.mark.parametrize("public_url", ["", "https://files.example.org/"])
def test_a_site_is_not_rendered_around_the_storage(run: Run, tmp_path: Path, public_url: str) -> None:
    storage = {"url": f"file://{tmp_path}/www/files", "public_url": public_url}
    made = make_repository(tmp_path / "packages", small_content(storage=storage))
    (tmp_path / "other").symlink_to("www")
    for command in (("render", "--out"), ("publish", "--to", f"file://{tmp_path}/target", "--site")):
        for folder in (tmp_path / "www", tmp_path / "other", tmp_path / "www/files"):
            refused = run("-C", made.root, *command, folder)
            assert (refused.code, "has the storage of gitindex.toml in it" in refused.err) == (2, True), refused.err
    assert not (tmp_path / "www").exists()


def test_a_site_is_not_rendered_around_its_target_or_its_repository(run: Run, tmp_path: Path) -> None:
    made = make_repository(tmp_path / "www/packages", small_content())
    refused = run("-C", made.root, "render", "--out", tmp_path / "www")
    assert (refused.code, "has the repository in it" in refused.err) == (2, True), refused.err
    for folder in ("a", "a/b", "a/b/c"):
        refused = run("-C", made.root, "publish", "--to", f"file://{tmp_path}/a/b", "--site", tmp_path / folder)
        assert (refused.code, "lie in one another" in refused.err) == (2, True), refused.err
