"""`gitindex verify`: real repositories, real servers, and files that are right, wrong, gone and hostile."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gitindex import layout
from gitindex.compare import Change
from gitindex.errors import CannotRunError
from gitindex.threads import spread
from gitindex.verify import Journal, Patience, Report, verify
from tests import hosts
from tests.builders import file_info, make_provenance, make_sdist, make_tar_gz, make_wheel, make_zip, metadata, zip_info
from tests.conftest import Result, Run
from tests.hosts import Host
from tests.repositories import UPLOAD_TIME, Content, IndexRepository, bare_clone, make_repository, small_content

HURRIED = Patience(connect=2, silence=2, whole=2, rate=1 << 30, retries=1, backoff=0, longest_pause=1)
DEV, PROD = "emilie/dev", "emilie/prod"


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as started:
        yield started


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def add(content: Content, filename: str, data: bytes, version: str = "1.0", index: str = PROD, **facts: Any) -> str:
    """Release *data* as it is, and return the path of the stored file (not there where a `url` is given)."""
    digest = sha256(data)
    entry = {"filename": filename, "hashes": {"sha256": digest}, "size": len(data), "upload-time": UPLOAD_TIME}
    content.add_file(index, filename.split("-", maxsplit=1)[0].replace("_", "-"), version, entry | facts)
    stored = layout.stored_path(digest, filename)
    if "url" not in facts:
        content[stored] = data
    return stored


def hosted(content: Content, host: Host, *answers: hosts.Answer, name: str = "there", index: str = PROD) -> str:
    """Release a wheel that is hosted elsewhere; without answers, well. Return its filename."""
    filename, data = make_wheel(name, "1.0")
    path = f"/files/{filename}"
    host.on(path, *(answers or [hosts.content(data)]))
    add(content, filename, data, index=index, url=host.url + path)
    return filename


def run_verify(
    repository: IndexRepository, *, jobs: int | None = None, patience: Patience = HURRIED, since: str | None = None
) -> Report:
    """Verify the working tree in this process."""
    opened = repository.open()
    snapshot = opened.worktree()
    change = None if since is None else Change(opened.at(since), snapshot)
    lfs = opened.git_directory / "lfs" / "objects"
    return verify(snapshot, opened.blobs, change=change, jobs=jobs, patience=patience, lfs_objects=lfs)


def told(report: Report) -> list[tuple[str, str]]:
    """Return code and path of each finding."""
    return [(finding.code, finding.path) for finding in report.findings]


def lines(report: Report, repository: IndexRepository) -> list[str]:
    """Return the lines of the manifests that the findings point at."""
    found = []
    for finding in report.findings:
        assert finding.line is not None
        found.append((repository.root / finding.path).read_text().splitlines()[finding.line - 1].strip().rstrip(","))
    return found


def last(result: Result) -> str:
    return result.out.splitlines()[-1]


@pytest.fixture
def content() -> Content:
    """Two sound releases, of which one is in two indexes."""
    content = small_content()
    content.release(PROD, "Alpha", "1.0", requires_python=">=3.8")
    content.release(PROD, "beta", "2.0", kind="sdist")
    content.release(DEV, "beta", "2.0", kind="sdist")
    return content


def test_sound_files_are_read_once_however_many_manifests_name_them(content: Content, run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", content)
    result = run("-C", repository.root, "verify")
    size = sum(len(data) for path, data in content.items() if path.startswith("files/"))
    assert result == Result(0, f"3 files, {size:,} bytes: none wrong.\n", "")


def test_the_answer_for_programs(content: Content, run: Run, tmp_path: Path) -> None:
    del content[content.stored(PROD, "Alpha", "1.0")]
    content["files/" + "ab/" + "0" * 62 + "/stray.txt"] = b"?"
    repository = make_repository(tmp_path / "r", content)
    result = run("-C", repository.root, "verify", "--json", "--rev", "HEAD")
    answer = json.loads(result.out)
    (finding,) = answer.pop("findings")
    read = [content.stored(PROD, "beta", "2.0"), content.stored(PROD, "Alpha", "1.0") + ".metadata"]
    assert (result.code, answer) == (
        1,
        {
            "revision": repository.git("rev-parse", "HEAD"),
            "files": 3,
            "resumed": 0,
            "bytes": sum(len(content[path]) for path in read),
            "wrong": 1,
            "unchecked": [],
            "unnamed": 1,
        },
    )
    assert finding["code"] == "GI011"
    assert finding["severity"] == "error"
    assert finding["path"] == "indexes/emilie/prod/alpha/1.0.json"
    assert finding["line"] == 5
    assert finding["message"].endswith("alpha-1.0-py3-none-any.whl is missing")
    assert "git log --all -- files/" in finding["help"]


def test_an_empty_repository_has_nothing_wrong(repository: IndexRepository, run: Run) -> None:
    assert run("-C", repository.root, "verify") == Result(0, "0 files, 0 bytes: none wrong.\n", "")


def test_a_revision_a_bare_repository_and_the_working_tree_each_have_their_own_files(
    content: Content, run: Run, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path / "r", content)
    sound = repository.git("rev-parse", "HEAD")
    stored = content.stored(PROD, "Alpha", "1.0")
    bare = bare_clone(repository, tmp_path / "bare.git")
    repository.write(stored, b"other bytes")
    assert run("-C", repository.root, "verify").code == 1
    assert run("-C", repository.root, "verify", "--rev", sound).code == 0
    assert run("-C", bare, "verify").code == 0
    repository.commit("Break it")
    repository.git("push", "--quiet", str(bare), "main")
    assert run("-C", bare, "verify").code == 1
    assert run("-C", bare, "verify", "--rev", sound).code == 0
    assert run("-C", bare, "verify", "--rev", "nope").code == 1


def test_only_the_files_of_the_named_indexes_are_read(content: Content, run: Run, tmp_path: Path) -> None:
    del content[content.stored(PROD, "Alpha", "1.0")]
    repository = make_repository(tmp_path / "r", content)
    assert run("-C", repository.root, "verify", "--index", DEV).code == 0
    assert run("-C", repository.root, "verify", "--index", DEV, "--index", PROD).code == 1
    assert run("-C", repository.root, "verify", "--index", "root/pypi").code == 2
    assert run("-C", repository.root, "verify", "--index", "emilie/nope").code == 1
    assert run("-C", repository.root, "verify", "--jobs", "0").code == 2


def test_each_manifest_is_held_to_its_own_facts(content: Content, tmp_path: Path) -> None:
    entry = content.entry(PROD, "beta", "2.0")
    del content["indexes/emilie/dev/beta/2.0.json"]
    content.add_file(DEV, "beta", "2.0", entry | {"size": entry["size"] + 1, "requires-python": ">=3"})
    repository = make_repository(tmp_path / "r", content)
    report = run_verify(repository)
    path = "indexes/emilie/dev/beta/2.0.json"
    assert told(report) == [("GI012", path), ("GI011", path), ("GI009", path)]
    assert lines(report, repository)[1:] == [f'"size": {entry["size"] + 1}', '"requires-python": ">=3"']
    assert report.files == 3
    assert report.wrong == 1
    assert all("gitindex remove beta==2.0 --index emilie/dev" in finding.help for finding in report.findings)


@pytest.mark.parametrize("change", ["other", "longer", "shorter", "empty"])
def test_other_bytes_in_the_store_are_found(content: Content, tmp_path: Path, change: str) -> None:
    stored = content.stored(PROD, "Alpha", "1.0")
    data = content[stored]
    content[stored] = {
        "other": data[:-1] + bytes([data[-1] ^ 1]),
        "longer": data + b"\0",
        "shorter": data[:-1],
        "empty": b"",
    }[change]
    repository = make_repository(tmp_path / "r", content)
    report = run_verify(repository)
    assert told(report) == [("GI011", "indexes/emilie/prod/alpha/1.0.json")]
    assert lines(report, repository) == [f'"sha256": "{sha256(data)}"']


@pytest.mark.parametrize("suffix", [".metadata", ".provenance"])
@pytest.mark.parametrize("kind", ["other", "missing"])
def test_what_lies_beside_a_file_is_checked_too(content: Content, tmp_path: Path, suffix: str, kind: str) -> None:
    filename, data = make_wheel("gamma", "1.0")
    provenance = make_provenance(filename, sha256(data))
    digests: dict[str, Any] = {
        "core-metadata": {"sha256": sha256(metadata("gamma", "1.0"))},
        "provenance": sha256(provenance),
    }
    stored = add(content, filename, data, **digests)
    content |= {stored + ".metadata": metadata("gamma", "1.0"), stored + ".provenance": provenance}
    repository = make_repository(tmp_path / "r", content)
    assert run_verify(repository).findings == ()
    if kind == "other":
        repository.write(stored + suffix, b"[]")
    else:
        (repository.root / (stored + suffix)).unlink()
    report = run_verify(repository)
    assert told(report) == [("GI011", "indexes/emilie/prod/gamma/1.0.json")]
    assert suffix in report.findings[0].message


def _stored(wheel: bytes) -> bytes:
    """Return the same wheel with nothing compressed."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return make_zip((zip_info(name, method=zipfile.ZIP_STORED), archive.read(name)) for name in archive.namelist())


def _bad_files() -> dict[str, tuple[str, bytes]]:
    wheel_name, wheel = make_wheel("bad", "1.0")
    sdist_name, sdist = make_sdist("bad", "1.0")
    record = b"bad/__init__.py,sha256=AAAA,0\nbad-1.0.dist-info/METADATA,,\n"
    return {
        "no zip": (wheel_name, b"not a zip"),
        "zip cut off": (wheel_name, wheel[:-30]),
        "zip with a tail": (wheel_name, wheel + b"tail"),
        "wrong checksum": (wheel_name, _stored(wheel).replace(b"Generator", b"generator", 1)),
        "RECORD with another hash": make_wheel("bad", "1.0", dist_info={"RECORD": record}),
        "no METADATA": make_wheel("bad", "1.0", dist_info={"METADATA": None}),
        "no .dist-info": (wheel_name, make_zip([("bad.py", b"")])),
        "no member": (sdist_name, gzip.compress(bytes(10240))),
        "no PKG-INFO": (sdist_name, make_tar_gz([(file_info("bad-1.0/bad.py"), b"")])),
        "another version": (wheel_name, make_wheel("bad", "2.0")[1]),
        "another project": (wheel_name, make_wheel("good", "1.0")[1]),
        "tar.gz cut off": (sdist_name, sdist[:-10]),
        "tar cut off": (sdist_name, gzip.compress(gzip.decompress(sdist)[:1500])),
        "tar.gz with a tail": (sdist_name, sdist + b"tail"),
        "tar with a tail": (sdist_name, gzip.compress(gzip.decompress(sdist) + b"tail")),
        "gzip with a wrong checksum": (sdist_name, sdist[:-8] + bytes(4) + sdist[-4:]),
        "gzip bomb": (sdist_name, gzip.compress(gzip.decompress(sdist) + bytes(70 << 20), 9)),
        "another version in the sdist": (sdist_name, make_sdist("bad", "2.0")[1]),
        "no distribution": ("bad-1.0.exe", b"MZ"),
    }


@pytest.mark.parametrize("kind", list(_bad_files()))
def test_a_released_file_that_is_broken_or_says_something_else_is_found(tmp_path: Path, kind: str) -> None:
    content = small_content()
    filename, data = _bad_files()[kind]
    add(content, filename, data)
    report = run_verify(make_repository(tmp_path / "r", content))
    assert told(report) == [("GI012", "indexes/emilie/prod/bad/1.0.json")]
    assert 'yank the release (gitindex yank bad==1.0 --index emilie/prod --reason "…")' in report.findings[0].help


def test_requires_python_and_core_metadata_are_those_of_the_file(tmp_path: Path) -> None:
    content = small_content()
    filename, data = make_wheel("bad", "1.0", requires_python=">=3.9")
    facts: dict[str, Any] = {"requires-python": ">=3.8", "core-metadata": {"sha256": sha256(b"x")}}
    stored = add(content, filename, data, **facts)
    content[stored + ".metadata"] = b"x"
    report = run_verify(make_repository(tmp_path / "r", content))
    path = "indexes/emilie/prod/bad/1.0.json"
    assert told(report) == [("GI012", path), ("GI009", path)]
    assert "requires-python '>=3.9', other core metadata" in report.findings[0].message


def test_old_spellings_are_no_fault_of_the_bytes(tmp_path: Path) -> None:
    content = small_content()
    extra = "Classifier: Nonsense\n"
    _, wheel = make_wheel("old", "1.0", metadata_extra=extra, metadata_version="1.0")
    add(content, "Old-1.0-py2-none-any.whl", wheel)
    _, sdist = make_sdist("old", "1.0", metadata_extra=extra)
    add(content, "Old-1.0.tar.gz", sdist)
    zipped = make_zip([("old-1.0/PKG-INFO", metadata("old", "1.0")), ("old-1.0/old.py", b"")])
    add(content, "old-1.0.zip", zipped)
    repository = make_repository(tmp_path / "r", content)
    assert run_verify(repository).findings == ()
    repository.write(add(content, "old-1.1.zip", zipped[:-1] + b"x", "1.1"), zipped[:-1] + b"x")
    repository.put(content)
    assert told(run_verify(repository)) == [("GI012", "indexes/emilie/prod/old/1.1.json")]


def test_stored_files_of_no_release_are_counted(content: Content, run: Run, tmp_path: Path) -> None:
    stored = content.stored(PROD, "Alpha", "1.0")
    content |= {stored + ".provenance": b"{}", layout.stored_path("0" * 64, "left-1.0.tar.gz"): b"left"}
    repository = make_repository(tmp_path / "r", content)
    result = run("-C", repository.root, "verify")
    assert (result.code, result.err) == (0, "2 stored files of no release: no manifest of any index names them.\n")
    assert run("-C", repository.root, "verify", "--index", PROD).err == ""


@pytest.mark.parametrize("words", [[], ["--changed-since", "HEAD~1"]], ids=["all", "changed"])
def test_what_cannot_be_read_is_no_verdict(content: Content, run: Run, tmp_path: Path, words: list[str]) -> None:
    repository = make_repository(tmp_path / "r", small_content())
    content["indexes/emilie/prod/alpha/1.1.json"] = b"{"
    content.add_file(PROD, "alpha", "1.2", {"filename": "../x.whl", "hashes": {"sha256": "0" * 64}, "size": 1})
    repository.put(content)
    repository.commit()
    result = run("-C", repository.root, "verify", *words)
    assert result.code == 3
    assert "indexes/emilie/prod/alpha/1.1.json:1: could not be checked: the manifest cannot be read" in result.out
    assert "indexes/emilie/prod/alpha/1.2.json" in result.out
    assert last(result).startswith("3 files, ")
    assert last(result).endswith(": none wrong, 2 could not be checked.")


def pointer(data: bytes) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(data)}\nsize {len(data)}\n".encode()


def put_lfs(repository: IndexRepository, digest: str, data: bytes) -> None:
    path = repository.path / ".git/lfs/objects" / digest[:2] / digest[2:4] / digest
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def test_content_that_git_lfs_keeps_is_read_where_it_is(content: Content, run: Run, tmp_path: Path) -> None:
    stored = content.stored(PROD, "Alpha", "1.0")
    data, content[stored] = content[stored], pointer(content[stored])
    repository = make_repository(tmp_path / "r", content)
    absent = run("-C", repository.root, "verify")
    assert (absent.code, last(absent).partition(": ")[2]) == (3, "none wrong, 1 could not be checked.")
    assert "alpha-1.0-py3-none-any.whl could not be checked: only the Git LFS pointer is here" in absent.out
    assert "    fetch the content: git lfs pull\n" in absent.out
    put_lfs(repository, sha256(data), data)
    assert run("-C", repository.root, "verify").code == 0
    assert run("-C", bare_clone(repository, tmp_path / "bare.git"), "verify").code == 3


def test_wrong_content_of_git_lfs_is_found(content: Content, tmp_path: Path) -> None:
    alpha, beta = content.stored(PROD, "Alpha", "1.0"), content.stored(PROD, "beta", "2.0")
    data = content[alpha]
    content |= {alpha: pointer(data), beta: pointer(b"other")}
    repository = make_repository(tmp_path / "r", content)
    put_lfs(repository, sha256(data), data[:-1] + b"x")
    paths = [
        "indexes/emilie/dev/beta/2.0.json",
        "indexes/emilie/prod/alpha/1.0.json",
        "indexes/emilie/prod/beta/2.0.json",
    ]
    assert told(run_verify(repository)) == [("GI011", path) for path in paths]
    repository.write(beta, content[alpha])  # not committed: read from the disk
    assert told(run_verify(repository)) == [("GI011", path) for path in paths]


def test_a_storage_that_is_a_folder_is_read(content: Content, run: Run, tmp_path: Path) -> None:
    store = tmp_path / "the store"
    content.settings(storage={"url": f"file://{str(store).replace(' ', '%20')}"})
    stored = {path: content.pop(path) for path in list(content) if path.startswith("files/")}
    repository = make_repository(tmp_path / "r", content)
    assert run("-C", repository.root, "verify").code == 3  # not mounted
    for path, data in stored.items():
        place = store / layout.path_in_storage(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (store / "left").write_bytes(b"")
    sound = run("-C", repository.root, "verify")
    assert (sound.code, sound.err) == (0, "1 stored file of no release: no manifest of any index names them.\n")
    alpha = store / layout.path_in_storage(content.stored(PROD, "Alpha", "1.0"))
    alpha.unlink()
    assert run("-C", repository.root, "verify").code == 1
    os.mkfifo(alpha)
    blocked = run("-C", repository.root, "verify")
    assert (blocked.code, "is no file" in blocked.out) == (3, True)
    alpha.unlink()
    alpha.symlink_to(alpha)
    assert run("-C", repository.root, "verify").code == 3
    shutil.rmtree(alpha.parent.parent)
    alpha.parent.parent.symlink_to(alpha.parent.parent)
    assert run("-C", repository.root, "verify").code == 3


@pytest.mark.parametrize("url", ["file://elsewhere.example.org/x/", "file:///x/?y"])
def test_a_storage_that_is_no_folder_here_cannot_be_read(content: Content, run: Run, tmp_path: Path, url: str) -> None:
    content.settings(storage={"url": url})
    result = run("-C", make_repository(tmp_path / "r", content).root, "verify")
    assert (result.code, "names no folder here" in result.err) == (3, True)


def test_an_object_store_is_read_where_its_files_are_downloaded_from(
    content: Content, run: Run, tmp_path: Path, host: Host
) -> None:
    content.release(PROD, "local", "1.0+here")
    repository = make_repository(tmp_path / "r", content)
    for path, data in content.items():
        if path.startswith("files/"):
            host.on("/cdn/" + path.removeprefix("files/").replace("+", "%2B"), data)
    content.settings(storage={"url": "s3://bucket/", "public_url": host.url + "/cdn"})
    repository.put(content)
    result = run("-C", repository.root, "verify")
    assert (result.code, last(result)[:8]) == (0, "5 files,")
    assert any("1.0%2Bhere" in path for path in host.paths)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([hosts.status(404)], "dead link"),
        ([hosts.status(410)], "dead link"),
        ([hosts.redirect("http://files.example.org/")], "is not https"),
        ([hosts.redirect("/files/there-1.0-py3-none-any.whl")], "redirects more than 5 times"),
        ([hosts.content(b"other bytes")], "drifted"),
        ([hosts.content(bytes(1 << 20))], "bytes or more, and should have"),
        ([hosts.endless], "bytes or more, and should have"),
        ([hosts.content(gzip.compress(b"x"), Content_Encoding="gzip")], "Content-Encoding"),
    ],
    ids=["404", "410", "scheme", "loop", "other", "larger", "endless", "gzip"],
)
def test_a_hosted_file_that_is_gone_or_another_is_found(
    tmp_path: Path, host: Host, answers: list[hosts.Answer], words: str
) -> None:
    content = small_content()
    filename = hosted(content, host, *answers)
    hosted(content, host, name="sound")
    report = run_verify(make_repository(tmp_path / "r", content))
    assert (told(report), report.unchecked) == ([("GI011", "indexes/emilie/prod/there/1.0.json")], ())
    assert words in report.findings[0].message
    assert filename in report.findings[0].message
    assert "the manifest stays as it is" in report.findings[0].help


@pytest.mark.parametrize(
    "answer",
    [hosts.status(500), hosts.truncated(b"x", 1 << 10), hosts.dripping, hosts.silent, hosts.dripping_head],
    ids=["500", "truncated", "dripping", "silent", "dripping head"],
)
def test_a_server_that_fails_is_no_verdict(tmp_path: Path, host: Host, answer: hosts.Answer) -> None:
    content = small_content()
    filename, data = make_wheel("there", "1.0", files={"there.py": bytes(range(256)) * 8})
    add(content, filename, data, url=host.on(f"/{filename}", answer))
    hosted(content, host, name="sound")
    patience = Patience(connect=0.2, silence=0.2, whole=0.3, rate=1 << 30, retries=1, backoff=0, longest_pause=0.1)
    report = run_verify(make_repository(tmp_path / "r", content), patience=patience)
    assert report.findings == ()
    assert [unchecked.name for unchecked in report.unchecked] == [filename]
    assert report.files == 2


def test_a_server_that_recovers_is_asked_again(tmp_path: Path, host: Host) -> None:
    content = small_content()
    filename, data = make_wheel("there", "1.0")
    hosted(content, host, hosts.truncated(data[:100], len(data)), hosts.content(data))
    report = run_verify(make_repository(tmp_path / "r", content))
    assert (report.findings, report.unchecked, report.bytes) == ((), (), len(data))
    assert host.paths == [f"/files/{filename}"] * 2


def test_without_a_network_nothing_is_called_wrong(run: Run, tmp_path: Path) -> None:
    content = small_content()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        for number in range(7):
            filename, data = make_wheel(f"p{number}", "1.0")
            add(content, filename, data, url=base + filename)
        result = run("-C", make_repository(tmp_path / "r", content).root, "verify")
    assert result.code == 3
    assert last(result) == "7 files, 0 bytes: none wrong, 7 could not be checked."
    assert result.out.splitlines()[5:7] == [
        "    and 2 more for this reason",
        "    try again later: gitindex verify --resume",
    ]


def test_metadata_beside_a_hosted_file_is_where_installers_look_for_it(tmp_path: Path, host: Host) -> None:
    content = small_content()
    filename, data = make_wheel("there", "1.0")
    core = metadata("there", "1.0")
    url = host.on(f"/{filename}", data)
    facts: dict[str, Any] = {"core-metadata": {"sha256": sha256(core)}, "provenance": sha256(b"{}")}
    add(content, filename, data, url=url, **facts)
    repository = make_repository(tmp_path / "r", content)
    report = run_verify(repository)
    assert [finding.message for finding in report.findings] == [
        f"dead link: {filename}.metadata: {url}.metadata answers 404"
    ]
    host.on(f"/{filename}.metadata", core)
    assert run_verify(repository).findings == ()


def test_findings_come_in_one_order_whatever_the_concurrency(tmp_path: Path, host: Host) -> None:
    content = small_content()
    for number in range(30):
        hosted(content, host, hosts.status(404), name=f"p{number}")
    repository = make_repository(tmp_path / "r", content)
    reports = [run_verify(repository, jobs=jobs) for jobs in (1, 3, 20)]
    assert reports[0] == reports[1] == reports[2]
    assert len(reports[0].findings) == 30


def test_only_what_changed_is_read(content: Content, tmp_path: Path, host: Host) -> None:
    hosted(content, host, name="before")
    hosted(content, host, name="facts")
    repository = make_repository(tmp_path / "r", content)
    base = repository.git("rev-parse", "HEAD")
    assert run_verify(repository, since=base).files == 0
    hosted(content, host, name="after")
    content.add_file(PROD, "facts", "1.1", content.entry(PROD, "facts", "1.0") | {"requires-python": ">=3"})
    repository.put(content)
    report = run_verify(repository, since=base)
    assert (report.files, sorted(host.paths), report.unnamed) == (
        2,
        ["/files/after-1.0-py3-none-any.whl", "/files/facts-1.0-py3-none-any.whl"],
        None,
    )
    assert [code for code, _ in told(report)] == ["GI012", "GI009"]


def test_only_what_changed_in_the_named_indexes_is_read(content: Content, run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", small_content())
    repository.put(content)
    result = run("-C", repository.root, "verify", "--changed-since", "HEAD", "--index", DEV)
    assert (result.code, last(result)[:7]) == (0, "1 file,")


def test_a_stored_file_that_changed_or_went_is_read_with_all_that_name_it(content: Content, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", content)
    base = repository.git("rev-parse", "HEAD")
    (repository.root / content.stored(PROD, "beta", "2.0")).unlink()
    repository.write(content.stored(PROD, "Alpha", "1.0") + ".metadata", b"other")
    report = run_verify(repository, since=base)
    assert [path for _, path in told(report)] == [
        "indexes/emilie/dev/beta/2.0.json",
        "indexes/emilie/prod/alpha/1.0.json",
        "indexes/emilie/prod/beta/2.0.json",
    ]


def test_after_a_move_of_the_storage_all_is_read(content: Content, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", content)
    base = repository.git("rev-parse", "HEAD")
    shutil.copytree(repository.root / "files", tmp_path / "store")
    repository.put(content.settings(storage={"url": f"file://{tmp_path}/store/"}))
    assert run_verify(repository, since=base).files == 3


def test_an_object_that_git_has_lost_is_no_verdict(content: Content, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", content)
    lost = repository.git("rev-parse", f"HEAD:{content.stored(PROD, 'Alpha', '1.0')}")
    (repository.path / ".git/objects" / lost[:2] / lost[2:]).unlink()
    report = run_verify(repository, jobs=1)
    assert (told(report), [unchecked.problem for unchecked in report.unchecked]) == (
        [],
        [f"the Git object {lost} is missing or broken (missing)"],
    )


def test_an_object_that_git_replaces_is_read_as_it_is(content: Content, run: Run, tmp_path: Path) -> None:
    stored = content.stored(PROD, "Alpha", "1.0")
    sound, content[stored] = content[stored], b"broken"
    repository = make_repository(tmp_path / "r", content)
    replacement = repository.git("hash-object", "-w", "--stdin", data=sound)
    repository.git("replace", repository.git("rev-parse", f"HEAD:{stored}"), replacement)
    assert run("-C", repository.root, "verify", "--rev", "HEAD").code == 1


def test_a_folder_of_a_repository_and_a_linked_working_tree_are_read(
    content: Content, run: Run, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path / "r", content, folder="packages")
    assert run("-C", repository.root, "verify").code == 0
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    (tmp_path / "linked/packages" / content.stored(PROD, "Alpha", "1.0")).unlink()
    assert run("-C", tmp_path / "linked/packages", "verify").code == 1


def test_without_git_nothing_is_called_wrong(
    content: Content, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "r", content)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("-C", repository.root, "verify")
    assert (result.code, "git cannot be started" in result.out) == (3, True)


# What is remembered.


def journal_of(repository: IndexRepository) -> Path:
    return repository.path / ".git/gitindex/verify.jsonl"


def start(repository: IndexRepository, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gitindex", "-C", repository.root, "verify", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def stuck(tmp_path: Path, host: Host) -> IndexRepository:
    """Twenty sound files, and in the midst of them one that never comes."""
    content = small_content()
    for number in range(20):
        hosted(content, host, name=f"p{number:02}")
    hosted(content, host, hosts.silent, name="p10x")
    return make_repository(tmp_path / "r", content)


def entries(repository: IndexRepository) -> int:
    path = journal_of(repository)
    return max(0, len(path.read_bytes().splitlines()) - 1) if path.exists() else 0


def test_a_killed_run_is_gone_on_with(stuck: IndexRepository, run: Run, host: Host) -> None:
    process = start(stuck)
    wait_for(lambda: entries(stuck) == 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    journal = journal_of(stuck)
    journal.write_bytes(journal.read_bytes()[:-7])  # the last line was not written to its end
    host.requests.clear()
    filename, data = make_wheel("p10x", "1.0")
    host.on(f"/files/{filename}", data)
    result = run("-C", stuck.root, "verify", "--resume")
    assert result.err == "19 files proven by an earlier run.\n"
    assert (result.code, last(result)[:32]) == (0, "21 files (19 by an earlier run),")
    assert len(host.paths) == 2
    assert not journal.exists()
    assert len(set(host.paths)) == 2
    assert run("-C", stuck.root, "verify", "--resume").code == 0
    assert len(host.paths) == 2 + 21


def test_an_interrupted_run_ends_at_once_and_says_how_to_go_on(stuck: IndexRepository) -> None:
    process = start(stuck)
    wait_for(lambda: entries(stuck) == 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err == "Interrupted: 20 files are proven; to go on, add --resume to the same command.\n"
    assert entries(stuck) == 20


def test_without_resume_all_is_read_again(stuck: IndexRepository, run: Run, host: Host) -> None:
    filename, _ = make_wheel("p10x", "1.0")
    host.on(f"/files/{filename}", hosts.status(403))
    assert run("-C", stuck.root, "verify").code == 3
    assert entries(stuck) == 20
    host.requests.clear()
    assert run("-C", stuck.root, "verify").code == 3
    assert len(host.paths) == 21


def test_what_is_wrong_is_not_remembered_as_right(stuck: IndexRepository, run: Run, host: Host) -> None:
    for name, answer in (("p10x", hosts.status(403)), ("p03", hosts.status(404))):
        host.on(f"/files/{name}-1.0-py3-none-any.whl", answer)
    assert run("-C", stuck.root, "verify").code == 1
    host.requests.clear()
    assert run("-C", stuck.root, "verify", "--resume").code == 1
    assert sorted(host.paths) == [f"/files/{name}-1.0-py3-none-any.whl" for name in ("p03", "p10x")]


def test_other_facts_are_checked_again(stuck: IndexRepository, run: Run, host: Host) -> None:
    host.on("/files/p10x-1.0-py3-none-any.whl", hosts.status(403))
    run("-C", stuck.root, "verify")
    manifest = stuck.root / "indexes/emilie/prod/p05/1.0.json"
    manifest.write_text(manifest.read_text().replace('"url"', '"requires-python": ">=3", "url"'))
    result = run("-C", stuck.root, "verify", "--resume")
    assert result.code == 1
    assert "GI009" in result.out


@pytest.mark.parametrize("kind", ["version", "malformed", "other line", "no object", "empty", "no header", "binary"])
def test_a_journal_that_is_not_ours_is_ignored(stuck: IndexRepository, run: Run, host: Host, kind: str) -> None:
    host.on("/files/p10x-1.0-py3-none-any.whl", hosts.status(403))
    run("-C", stuck.root, "verify")
    journal = journal_of(stuck)
    header, *rest = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(
        {
            "version": header.replace(b'"gitindex": "', b'"gitindex": "0.0.0.') + b"".join(rest),
            "malformed": b"".join([header, *rest[:5], b"{\n", *rest[5:]]),
            "other line": b"".join([header, *rest[:5], b'{"key": "0", "size": true}\n', *rest[5:]]),
            "no object": b"".join([header, b"[]\n", *rest]),
            "empty": b"",
            "no header": b"".join(rest),
            "binary": header + bytes(100) + b"\n",
        }[kind]
    )
    host.requests.clear()
    result = run("-C", stuck.root, "verify", "--resume")
    assert result.err == "0 files proven by an earlier run.\n"
    assert len(host.paths) == 21
    assert entries(stuck) == 20


def test_a_file_on_the_disk_that_was_written_to_since_is_read_again(content: Content, run: Run, tmp_path: Path) -> None:
    content.add_file(PROD, "lost", "1.0", {"filename": "../x", "hashes": {"sha256": "0" * 64}, "size": 1})
    repository = make_repository(tmp_path / "r", small_content())
    repository.put(content)  # nothing of it is committed
    assert run("-C", repository.root, "verify").code == 3
    again = run("-C", repository.root, "verify", "--resume")
    assert "3 files (3 by an earlier run)" in last(again)
    stored = repository.root / content.stored(PROD, "beta", "2.0")
    found = stored.stat()
    stored.write_bytes(bytes(found.st_size))
    os.utime(stored, ns=(found.st_atime_ns, found.st_mtime_ns))
    result = run("-C", repository.root, "verify", "--resume")
    assert (result.code, "3 files (2 by an earlier run)" in last(result)) == (1, True)


def test_one_run_at_a_time_keeps_the_journal(content: Content, run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", content)
    mine = Journal.open(repository.path / ".git", "", resume=False)
    assert mine is not None
    result = run("-C", repository.root, "verify")
    mine.close()
    assert (result.code, result.err.startswith("Another run works here")) == (0, True)
    assert run("-C", repository.root, "verify").err == ""
    (repository.path / ".git/gitindex").rmdir()
    (repository.path / ".git/gitindex").write_text("in the way")
    assert "keeps no journal" in run("-C", repository.root, "verify", "--resume").err


# What it costs.

_MEASURE = """
import resource, sys
from gitindex.__main__ import main
try:
    main()
finally:
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(own // 1024, children // 1024, file=sys.stderr)
"""
LARGE = 300 << 20


def write_large_wheel(path: Path) -> str:
    """Write a sound wheel with a member of 300 MB of zeros, stored, and return its sha256."""
    zeros, left = bytes(1 << 20), hashlib.sha256()
    for _ in range(LARGE >> 20):
        left.update(zeros)
    digest = base64.urlsafe_b64encode(left.digest()).rstrip(b"=").decode()
    record = f"large/data,sha256={digest},{LARGE}\n"
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(zip_info("large/data", method=zipfile.ZIP_STORED), "w") as member:
            for _ in range(LARGE >> 20):
                member.write(zeros)
        inside = {"METADATA": metadata("large", "1.0"), "WHEEL": b"Wheel-Version: 1.0\n"}
        for name, data in inside.items():
            info = zip_info(f"large-1.0.dist-info/{name}")
            archive.writestr(info, data)
            hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{info.filename},sha256={hashed},{len(data)}\n"
        archive.writestr(zip_info("large-1.0.dist-info/RECORD"), record + "large-1.0.dist-info/RECORD,,\n")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Large(NamedTuple):
    """A wheel of 300 MB on the disk."""

    path: Path
    filename: str
    sha256: str
    size: int


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    path = tmp_path_factory.mktemp("large") / "large.whl"
    digest = write_large_wheel(path)
    yield Large(path, "large-1.0-py3-none-any.whl", digest, path.stat().st_size)
    path.unlink()


@pytest.fixture
def with_large(tmp_path: Path, large: Large) -> Iterator[IndexRepository]:
    """A repository that has released it, and not committed that."""
    content = small_content()
    file = {"filename": large.filename, "hashes": {"sha256": large.sha256}, "size": large.size}
    content.add_file(PROD, "large", "1.0", file)
    repository = make_repository(tmp_path / "r", content)
    stored = repository.root / layout.stored_path(large.sha256, large.filename)
    stored.parent.mkdir(parents=True)
    stored.hardlink_to(large.path)
    yield repository
    shutil.rmtree(repository.path)


def assert_lean(repository: IndexRepository, size: int, *words: str) -> None:
    """Verify in a process of its own, which finds nothing wrong, and needs less than 150 MB, as does git."""
    # Linux counts what a process held before it became another program: here that would be the tests' own memory.
    small = ["sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*small, sys.executable, "-c", _MEASURE, "-C", repository.root, "verify", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"1 file, {size:,} bytes: none wrong.\n"
    assert all(int(megabytes) < 150 for megabytes in done.stderr.split())


def test_a_file_of_300_mb_on_the_disk_needs_no_memory_of_its_size(with_large: IndexRepository, large: Large) -> None:
    assert_lean(with_large, large.size)


def test_a_file_of_300_mb_in_git_needs_no_memory_of_its_size(with_large: IndexRepository, large: Large) -> None:
    with_large.git("-c", "core.compression=1", "-c", "core.bigFileThreshold=1m", "add", ".")
    with_large.git("commit", "--quiet", "--message", "Large")
    assert_lean(with_large, large.size, "--rev", "HEAD")


def test_without_a_url_or_a_terminal_no_network_library_and_no_bar_is_imported(
    content: Content, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path / "r", content)
    code = """
import sys
from gitindex.__main__ import main
try:
    main()
finally:
    print(sorted({"requests", "urllib3", "tqdm"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "-C", repository.root, "verify"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def on_a_terminal(repository: IndexRepository) -> str:
    """Run it with its standard error on a terminal, and return what is shown there."""
    terminal, other = pty.openpty()
    termios.tcsetwinsize(other, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-m", "gitindex", "-C", repository.root, "verify"], stdout=subprocess.PIPE, stderr=other
    )
    os.close(other)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # all its writers have gone
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"none wrong" in out
    return shown.decode()


def test_progress_is_shown_on_a_terminal_without_colour(content: Content, tmp_path: Path) -> None:
    shown = on_a_terminal(make_repository(tmp_path / "r", content))
    assert "%|" in shown
    assert "\x1b[3" not in shown


# Threads.


def test_items_are_spread_over_threads_a_few_ahead() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    results = spread(items(), lambda number: number * 2, 3, lambda _: None)
    first = next(results)
    assert first[1] == first[0] * 2
    assert len(asked) <= 7
    assert sorted([first, *results]) == [(number, number * 2) for number in range(100)]


def test_what_work_raises_is_raised_where_it_is_waited_for() -> None:
    def work(number: int) -> int:
        raise CannotRunError(str(number))

    with pytest.raises(CannotRunError):
        list(spread([1, 2, 3], work, 2, lambda _: None))


def test_work_that_hangs_is_given_up_and_the_rest_is_done() -> None:
    over = threading.Event()

    def work(number: int) -> int:
        if number < 2:
            over.wait(60)
        return number

    limit = {0: 0.1, 1: 0.1}.get
    found = dict(spread(range(6), work, 2, limit))
    over.set()
    assert found == {0: None, 1: None, 2: 2, 3: 3, 4: 4, 5: 5}


# Blobs.


def test_blobs_are_read_one_after_the_other_and_need_not_be_read_to_their_end(repository: IndexRepository) -> None:
    contents = [b"", b"small", bytes(range(256)) * 8192]
    ids = [bytes.fromhex(repository.git("hash-object", "-w", "--stdin", data=data)) for data in contents]
    blobs = repository.open().blobs()
    for object_id, data in [*zip(ids, contents, strict=True)] * 2:
        with blobs.open(object_id) as blob:
            found = b""
            while piece := blob.read(1000):
                found += piece
            assert (blob.size, found) == (len(data), data)
        with blobs.open(ids[2]) as blob:
            assert blob.read(3) == contents[2][:3]
    with pytest.raises(CannotRunError, match="missing"), blobs.open(bytes(20)):
        pass
    with blobs.open(ids[1]) as blob:
        assert blob.read(100) == b"small"
    assert blobs._process is not None
    blobs._process.kill()
    blobs._process.wait()
    with pytest.raises(CannotRunError, match="git gives no answer"), blobs.open(ids[1]):
        pass
    with blobs.open(ids[1]) as blob:
        assert blob.read(100) == b"small"
    blobs.close()


def test_a_blob_that_is_broken_is_an_error(repository: IndexRepository) -> None:
    object_id = repository.git("hash-object", "-w", "--stdin", data=os.urandom(3 << 20))
    path = repository.path / ".git/objects" / object_id[:2] / object_id[2:]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[: 2 << 20])
    blobs = repository.open().blobs()
    with pytest.raises(CannotRunError, match=object_id), blobs.open(bytes.fromhex(object_id)) as blob:
        list(iter(lambda: blob.read(1 << 20), b""))
    blobs.close()
