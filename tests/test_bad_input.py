"""Input that is broken, hostile or incomplete, and disks that fail: a clear finding or error, and nothing is lost."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest

from gitindex.__main__ import main
from gitindex.atomic import TEMPORARY_PREFIX
from gitindex.compare import Change
from gitindex.errors import CannotRunError, GitindexError
from gitindex.output import MARKER
from gitindex.report.text import findings_text
from gitindex.site import render
from gitindex.validate import validate
from tests.builders import make_sdist, make_wheel
from tests.conftest import Result, Run
from tests.repositories import Content, IndexRepository, files_below, make_repository, small_content
from tests.sites import ELEMENTS, SVG
from tests.strategies import HOSTILE

DOCUMENTS = {
    "settings": "gitindex.toml",
    "user": "indexes/emilie/user.toml",
    "index": "indexes/emilie/prod/index.toml",
    "manifest": "indexes/emilie/prod/demo/1.0.json",
    "statements": "indexes/emilie/prod/demo/project.toml",
}
every_document = pytest.mark.parametrize("path", DOCUMENTS.values(), ids=DOCUMENTS)


def demo_content(**settings: Any) -> Content:
    content = small_content(**settings)
    content.release("emilie/prod", "demo", "1.0")
    content.release("emilie/dev", "demo", "2.0")
    content.statements("emilie/prod", "demo", yanked={"1.0": "old"})
    return content


def is_clear(result: Result) -> bool:
    """Tell whether a run that failed said so in one line that is no surprise to the program."""
    return (
        result.code in (1, 2, 3)
        and result.err.startswith("gitindex: ")
        and result.err.count("\n") == 1
        and "unexpected" not in result.err
    )


def why_not_rendered(content: Content, out: Path) -> str | None:
    """Render, and return what stopped it, if anything did."""
    try:
        render(content.snapshot(), out)
    except GitindexError as error:
        return str(error)
    return None


# Documents that cannot be read

BAD_JSON = {
    "empty": b"",
    "cut off": b'{"name": "demo", "version": "1.0", "files": [',
    "two values": b"{} {}",
    "an array": b"[]",
    "null": b"null",
    "NUL": b"\0",
    "NUL inside": b'{"name": "de\0mo"}',
    "not UTF-8": b'{"name": "d\xe4mo"}',
    "UTF-16": '{"name": "demo"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "lone surrogate": rb'{"name": "\ud800", "version": "1.0", "files": []}',
    "NaN": b'{"name": NaN}',
    "infinity": b'{"name": "demo", "version": "1.0", "files": [{"size": 1e999}]}',
    "a number without end": b'{"name": ' + b"9" * 100_000 + b"}",
    "key twice": b'{"name": "demo", "name": "demo"}',
    "deep arrays": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "two megabytes": b'{"name": "' + b"x" * 2_000_000 + b'"}',
    "comments": b'{"name": "demo" /* no */}',
    "conflict": b'<<<<<<< HEAD\n{}\n=======\n{"a": 1}\n>>>>>>> other\n',
}
BAD_TOML = {
    "cut off": b'title = "',
    "not a key": b"= 1",
    "NUL": b"\0",
    "NUL inside": b'title = "a\0b"',
    "not UTF-8": b'title = "d\xe4mo"',
    "UTF-16": 'title = "x"'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbftitle = 'x'",
    "key twice": b"title = 'x'\ntitle = 'y'",
    "table twice": b"[yanked]\n[yanked]\n",
    "a number without end": b"title = " + b"9" * 100_000,
    "deep arrays": b"title = " + b"[" * 200_000,
    "deep tables": b"title = " + b"{a=" * 100_000,
    "deep keys": b".".join([b"a"] * 100_000) + b" = 1",
    "deep header": b"[" + b".".join([b"a"] * 100_000) + b"]",
    "two megabytes": b"# " + b"x" * 2_000_000,
    "carriage return": b"title = 'x'\rvolatile = false",
    "conflict": b"<<<<<<< HEAD\ntitle = 'x'\n=======\ntitle = 'y'\n>>>>>>> other\n",
    "a date": b"title = 2026-11-22\nformat = 1\nstatus = 2026-11-22\ntype = 1979-05-27",
    "a float": b"format = nan\ntitle = inf\nstatus = 1.5\ntype = 1.0",
}


def bad_for(path: str) -> dict[str, bytes]:
    return BAD_JSON if path.endswith(".json") else BAD_TOML


CASES = [
    pytest.param(path, data, id=f"{kind}: {what}")
    for kind, path in DOCUMENTS.items()
    for what, data in bad_for(path).items()
]


@pytest.mark.parametrize(("path", "data"), CASES)
def test_a_document_that_cannot_be_read_is_a_finding_and_stops_the_rendering(
    path: str, data: bytes, tmp_path: Path
) -> None:
    content = demo_content()
    render(content.snapshot(), tmp_path)
    before = files_below(tmp_path, but=MARKER)
    base = content.snapshot()
    content[path] = data
    for change in (Change(base, content.snapshot()), Change(None, content.snapshot())):
        findings = [finding for finding in validate(change) if finding.path == path]
        assert "GI001" in {finding.code for finding in findings}
        assert all(finding.message and finding.help for finding in findings)
        assert len(findings_text(findings, colour=False)) < 5000, "a finding is short whatever it is about"
    if "user.toml" in path:
        return  # it says nothing that a page needs
    with pytest.raises(CannotRunError) as stopped:
        render(content.snapshot(), tmp_path)
    assert path in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert len(str(stopped.value)) < 1000
    assert files_below(tmp_path, but=MARKER) == before


@every_document
def test_no_command_breaks_on_a_document_that_cannot_be_read(path: str, tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    repository.write(path, b"{ broken \xff")
    name, data = make_sdist("demo", "3.0")
    (tmp_path / name).write_bytes(data)
    for arguments in (
        "validate",
        "validate --all --json",
        f"render --out {tmp_path}/site",
        "list --index emilie/dev",
        "list demo --index emilie/dev",
        "show",
        "show emilie",
        "show emilie/prod",
        "show emilie/dev demo",
        "why demo --index emilie/dev",
        "user list",
        "user show emilie",
        "user modify emilie title=x",
        "index list",
        "index show emilie/prod",
        "index modify emilie/prod title=x",
        "config pip --index emilie/prod",
        f"upload {tmp_path}/{name} --index emilie/prod",
        "push demo==2.0 emilie/dev emilie/prod",
        "push demo==1.0 emilie/prod emilie/dev",
        "yank demo==1.0 --index emilie/prod",
        "unyank demo==1.0 --index emilie/prod",
        "remove demo==2.0 --index emilie/dev",
    ):
        repository.git("checkout", "--quiet", "--force", "HEAD")
        repository.git("clean", "-fdq")
        repository.write(path, b"{ broken \xff")
        result = run("-C", repository.path, *arguments.split())
        assert result.code in (0, 1, 2, 3)
        assert "unexpected" not in result.err, arguments
        assert "Traceback" not in result.err
        assert (repository.root / path).read_bytes() == b"{ broken \xff", f"{arguments} lost what was there"


def test_a_manifest_that_was_broken_in_the_base_can_not_be_replaced_by_another(tmp_path: Path, run: Run) -> None:
    content = demo_content()
    path = DOCUMENTS["manifest"]
    good = content[path]
    content[path] = b"{ broken"
    repository = make_repository(tmp_path, content)
    repository.write(path, good)
    result = run("-C", tmp_path, "validate")
    assert result.code == 1
    assert "GI211" in result.out


@every_document
@pytest.mark.parametrize("kind", ["folder", "link", "fifo", "executable"])
def test_what_stands_in_place_of_a_document_is_no_document(path: str, kind: str, tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    target = repository.root / path
    data = target.read_bytes()
    target.unlink()
    if kind == "folder":
        (target / "below").mkdir(parents=True)
        (target / "below/x").write_bytes(data)
    elif kind == "link":
        (tmp_path / "outside").write_bytes(data)
        target.symlink_to(tmp_path / "outside")
    elif kind == "fifo":
        os.mkfifo(target)
    else:
        target.write_bytes(data)
        target.chmod(0o755)
    result = run("-C", repository.path, "validate")
    assert "unexpected" not in result.err
    assert result.code in (1, 3) or (kind == "fifo" and "project.toml" in path)
    result = run("-C", repository.path, "render", "--out", tmp_path / "site")
    assert result.code == 0 or is_clear(result)
    for file, content in files_below(tmp_path / "site").items() if (tmp_path / "site").exists() else ():
        assert b"outside" not in content, file


# Names and trees that no file system makes


def tree_of(repository: IndexRepository, entries: list[tuple[str, bytes, str]]) -> str:
    """Write a tree object as it is told, whether or not Git would; return its id."""
    data = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
    return repository.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=data)


def commit_tree(repository: IndexRepository, tree: str) -> str:
    return repository.git("commit-tree", "-m", "hostile", tree)


HOSTILE_NAMES = [
    b"..",
    b".",
    b".git",
    b"",
    b"a/b",
    b"../../escape",
    b"x\ny",
    b"\x1b[31m",
    b"\xff\xfe",
    b"A",
    b"a" * 300,
    b"*",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
@pytest.mark.parametrize("level", ["user", "index", "project", "version", "stored"])
def test_a_hostile_name_in_a_tree_is_a_finding_and_leads_nowhere(
    level: str, name: bytes, tmp_path: Path, run: Run
) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    prod = repository.git("rev-parse", "HEAD:indexes/emilie/prod")
    user = repository.git("rev-parse", "HEAD:indexes/emilie")
    demo = repository.git("rev-parse", "HEAD:indexes/emilie/prod/demo")
    manifest = repository.git("rev-parse", "HEAD:indexes/emilie/prod/demo/1.0.json")
    index_toml = repository.git("rev-parse", "HEAD:indexes/emilie/prod/index.toml")
    user_toml = repository.git("rev-parse", "HEAD:indexes/emilie/user.toml")
    settings = repository.git("rev-parse", "HEAD:gitindex.toml")
    files = repository.git("rev-parse", "HEAD:files")
    stored = [("40000", b"files", files)]
    if level == "stored":
        stored = [("40000", b"files", tree_of(repository, [("40000", name, demo)]))]
    if level == "version":
        demo = tree_of(repository, [("100644", b"1.0.json", manifest), ("100644", name + b".json", manifest)])
    if level in ("version", "project"):
        projects = [("40000", b"demo", demo)] + ([("40000", name, demo)] if level == "project" else [])
        prod = tree_of(repository, [*projects, ("100644", b"index.toml", index_toml)])
    if level in ("version", "project", "index"):
        indexes = [("40000", b"prod", prod)] + ([("40000", name, prod)] if level == "index" else [])
        user = tree_of(repository, [*indexes, ("100644", b"user.toml", user_toml)])
    users = [("40000", b"emilie", user)] + ([("40000", name, user)] if level == "user" else [])
    tree = tree_of(
        repository, [*stored, ("100644", b"gitindex.toml", settings), ("40000", b"indexes", tree_of(repository, users))]
    )
    commit = commit_tree(repository, tree)
    site = tmp_path / "a/b/c/site"
    before = files_below(tmp_path, but="a")
    for arguments in (
        ("validate", "--base", "0" * 40, "--head", commit),
        ("validate", "--base", "HEAD", "--head", commit, "--json"),
    ):
        result = run("-C", repository.path, *arguments)
        assert result.code in (1, 3), result
        assert result.code == 1 or is_clear(result)
        assert "\x1b" not in result.out + result.err
    result = run("-C", repository.path, "render", "--rev", commit, "--out", site)
    assert result.code == 0 or is_clear(result)
    assert files_below(tmp_path, but="a") == before
    assert {path.name for path in (tmp_path / "a/b").iterdir()} <= {"c"} if (tmp_path / "a").exists() else True
    if result.code == 0:
        assert level == "stored" or name in (b"", b"a/b", b"../../escape")


HOSTILE_FILENAMES = [
    "../../../escape-1.0.tar.gz",
    "/etc/demo-1.0.tar.gz",
    "..\\demo-1.0.tar.gz",
    "demo-1.0.tar.gz/../../x",
    "demo-1.0.tar.gz\0",
    "demo-1.0.tar.gz\n",
    "demo-1.0.tar.gz?x",
    "demo-1.0.tar.gz#x",
    "%2e%2e%2fdemo-1.0.tar.gz",
    ".demo-1.0.tar.gz",
    'demo-1.0-py3-none-any.whl"><script>alert(1)</script>',
    "démo-1.0.tar.gz",
    "-demo-1.0.tar.gz",
    "demo 1.0.tar.gz",
    "",
    ".",
    "..",
    "x" * 300 + "-1.0.tar.gz",
]


@pytest.mark.parametrize("filename", HOSTILE_FILENAMES, ids=ascii)
def test_a_hostile_filename_is_a_finding_and_is_not_rendered(filename: str, tmp_path: Path) -> None:
    content = demo_content()
    entry = {**content.entry("emilie/prod", "demo", "1.0"), "filename": filename}
    content.add_file("emilie/prod", "demo", "1.0", entry)
    assert "GI006" in {finding.code for finding in validate(Change(demo_content().snapshot(), content.snapshot()))}
    with pytest.raises(CannotRunError, match=r"1\.0\.json.*cannot be shown"):
        render(content.snapshot(), tmp_path / "a/b/site")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {
        MARKER,
        *(p.rpartition("/")[2] for p in content),
    }
    assert not list(tmp_path.glob("*escape*"))


@pytest.mark.parametrize(
    "sha256", ["", "../" * 20, "A" * 64, "a" * 63, "a" * 65, "a" * 63 + "\n", "/" + "a" * 63, "é" * 64]
)
def test_a_hostile_digest_is_a_finding_and_is_not_rendered(sha256: str, tmp_path: Path) -> None:
    content = demo_content()
    entry = {**content.entry("emilie/prod", "demo", "1.0"), "filename": "demo-1.0.tar.gz", "hashes": {"sha256": sha256}}
    content.add_file("emilie/prod", "demo", "1.0", entry)
    assert "GI008" in {finding.code for finding in validate(Change(demo_content().snapshot(), content.snapshot()))}
    with pytest.raises(CannotRunError, match="cannot be shown"):
        render(content.snapshot(), tmp_path / "site")


@pytest.mark.parametrize(
    "digest",
    [{"core-metadata": {"sha256": "../x"}}, {"core-metadata": {"sha256": '"><script>'}}, {"provenance": "../../x"}],
    ids=str,
)
def test_a_hostile_digest_of_what_lies_beside_a_file_is_a_finding_and_harmless(
    digest: dict[str, Any], tmp_path: Path
) -> None:
    content = demo_content(site={"url": "https://packages.example.org/"})
    content.release("emilie/prod", "other", "1.0", **digest)
    codes = {finding.code for finding in validate(Change(demo_content().snapshot(), content.snapshot()))}
    assert "GI008" in codes
    assert "\n" not in (why_not_rendered(content, tmp_path / "a/site") or "")
    assert_harmless(tmp_path / "a/site")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


HOSTILE_URLS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//https://files.example.org/x-1.0.tar.gz",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "file:///etc/passwd",
    "//files.example.org/x-1.0.tar.gz",
    "../../../../x-1.0.tar.gz",
    "x-1.0.tar.gz",
    "",
    "http://files.example.org/x-1.0.tar.gz",
    "https://files.example.org/a/../../x-1.0.tar.gz",
    "https://files.example.org/%2e%2e/x-1.0.tar.gz",
    "https://files.example.org/a%2f..%2fx-1.0.tar.gz",
    "https://files.example.org\\@evil.example.org/x-1.0.tar.gz",
    "https://files.example.org@evil.example.org/x-1.0.tar.gz",
    "https://evil.example.org/x-1.0.tar.gz",
    "https://files.example.org.evil.example.org/x-1.0.tar.gz",
    "https://user:secret@files.example.org/x-1.0.tar.gz",
    "https://files.example.org/x-1.0.tar.gz#sha256=" + "0" * 64,
    "https://files.example.org/x-1.0.tar.gz?x=y",
    'https://files.example.org/"><script>alert(1)</script>/x-1.0.tar.gz',
    "https://files.example.org/x-1.0.tar.gz\x00",
    "https://[::1/x-1.0.tar.gz",
    "https://files.example.org:99999999/x-1.0.tar.gz",
]


@pytest.mark.parametrize("url", HOSTILE_URLS, ids=ascii)
def test_a_hostile_url_is_a_finding_and_no_link_that_runs(url: str, tmp_path: Path) -> None:
    content = demo_content()
    content.statements("emilie/prod", "x", sources=["https://files.example.org/"])
    entry = {"filename": "x-1.0.tar.gz", "hashes": {"sha256": "a" * 64}, "size": 1, "url": url}
    content.add_file("emilie/prod", "x", "1.0", entry)
    findings = validate(Change(demo_content().snapshot(), content.snapshot()))
    assert "GI010" in {finding.code for finding in findings}
    assert "x-1.0.tar.gz" in (why_not_rendered(content, tmp_path) or "x-1.0.tar.gz")
    assert_harmless(tmp_path)


# Text that breaks out of a page


def elements(html: bytes) -> Iterator[Element]:
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree = parser.parse(html)
    assert isinstance(tree, Element)
    return (element for element in tree.iter() if isinstance(element.tag, str))


HARMLESS: set[bytes] = set()
"""Digests of pages that were found so: most pages of one site are in the next one too."""


def assert_harmless(site: Path) -> None:
    """Check that no page has an element or attribute of anybody's but ours, and no link that runs something."""
    for path in site.rglob("*"):
        if path.suffix != ".html" or not path.is_file():
            continue
        page = path.read_bytes()
        digest = hashlib.sha256(page).digest()
        if digest in HARMLESS:
            continue
        for element in elements(page):
            tag = element.tag.removeprefix(SVG)
            assert tag in ELEMENTS | {"blockquote", "em"}, (path, tag)
            if tag in {"script", "img"}:
                assert re.fullmatch(r"(?s)(/(?!/).*|[./]*)\+site/(script\.js|icon\.svg)", element.attrib["src"]), path
                assert not element.text
            for name, value in element.attrib.items():
                assert not name.startswith("on"), (path, name)
                assert name != "style", path
                if name in ("href", "src"):
                    assert re.match(r"(https?://|[^:]*(\Z|[/?#]))", value), (path, value)
        HARMLESS.add(digest)


def setting(table: str, key: str, start: str = "") -> Callable[[Content, str], object]:
    """Return what puts a text, after *start*, into a key of the settings."""
    return lambda content, text: content.settings(**{table: {key: start + text}})


def in_user(key: str) -> Callable[[Content, str], object]:
    return lambda content, text: content.user("emilie", **{key: text})


def in_stage(key: str) -> Callable[[Content, str], object]:
    return lambda content, text: content.stage("emilie/dev", bases=["emilie/prod"], **{key: text})


def in_stage_list(key: str) -> Callable[[Content, str], object]:
    return lambda content, text: content.stage("emilie/dev", **{"bases": ["emilie/prod"], key: ["emilie/prod", text]})


def in_mirror(key: str) -> Callable[[Content, str], object]:
    return lambda content, text: content.mirror("root/pypi", **{key: text})


def in_mirror_list(key: str) -> Callable[[Content, str], object]:
    return lambda content, text: content.mirror("root/pypi", **{key: [text]})


def in_file(key: str) -> Callable[[Content, str], object]:
    return lambda content, text: content.release("emilie/dev", "x", "1.0", **{key: text})


def in_metadata(start: str) -> Callable[[Content, str], object]:
    """Return what puts a text, after *start*, into the metadata of the newest release."""

    def put(content: Content, text: str) -> None:
        said = (start + text).replace("\0", "").encode("utf-8", "replace").decode()
        content.release("emilie/dev", "demo", "9.0", extra=said + "\n")

    return put


def in_manifest(key: str) -> Callable[[Content, str], object]:
    def put(content: Content, text: str) -> None:
        content.release("emilie/dev", "x", "1.0")
        path = "indexes/emilie/dev/x/1.0.json"
        content[path] = json.dumps(json.loads(content[path]) | {key: text}).encode()

    return put


def stated(**values: str) -> Callable[[Content, str], object]:
    """Return what puts a text into `status-reason`, beside other statements."""
    return lambda content, text: content.statements("emilie/prod", "demo", **values, **{"status-reason": text})


def yanked(key: str) -> Callable[[Content, str], object]:
    return lambda content, text: content.statements("emilie/prod", "demo", yanked={key: text})


FIELDS: dict[str, Callable[[Content, str], object]] = {
    "metadata.summary": in_metadata("Summary: "),
    "metadata.author": in_metadata("Author: "),
    "metadata.link": in_metadata("Project-URL: Home, "),
    "metadata.dependency": in_metadata("Requires-Dist: "),
    "metadata.description": in_metadata("Description-Content-Type: text/markdown\n\n"),
    "metadata.description.rst": in_metadata("Description-Content-Type: text/x-rst\n\n"),
    "site.title": setting("site", "title"),
    "site.url": setting("site", "url", "https://packages.example.org/"),
    "storage.public_url": lambda content, text: content.settings(
        storage={"url": "s3://x", "public_url": f"https://packages.example.org/{text}"}
    ),
    "names.reserved": lambda content, text: content.settings(names={"reserved": [text]}),
    "groups": lambda content, text: content.settings(groups={text: [text]}),
    "policy.protected_branch": setting("policy", "protected_branch"),
    "user.title": in_user("title"),
    "user.email": in_user("email"),
    "user.identities": lambda content, text: content.user("emilie", identities=[text]),
    "index.title": in_stage("title"),
    "index.description": in_stage("description"),
    "index.acl_upload": in_stage_list("acl_upload"),
    "index.mirror_whitelist": in_stage_list("mirror_whitelist"),
    "index.bases": in_stage_list("bases"),
    "mirror.title": in_mirror("title"),
    "mirror.description": in_mirror("description"),
    "mirror.mirror_url": lambda content, text: content.mirror("root/pypi", mirror_url=f"https://example.org/{text}"),
    "mirror.allow": in_mirror_list("allow"),
    "mirror.deny": in_mirror_list("deny"),
    "file.requires-python": in_file("requires-python"),
    "file.upload-time": in_file("upload-time"),
    "file.provenance": in_file("provenance"),
    "manifest.name": in_manifest("name"),
    "manifest.version": in_manifest("version"),
    "yank of a version": yanked("1.0"),
    "yank of a file": yanked("demo-1.0-py3-none-any.whl"),
    "yanked key": lambda content, text: content.statements("emilie/prod", "demo", yanked={text: text}),
    "status-reason": stated(status="deprecated"),
    "quarantine reason": stated(status="quarantined"),
    "sources": lambda content, text: content.statements("emilie/prod", "demo", sources=[text]),
}
SHOWN = {"site.title", "user.title", "index.title", "index.description", "index.acl_upload", "mirror.title"}
SHOWN |= {"mirror.description", "yank of a version", "yank of a file", "status-reason", "quarantine reason"}
TEXTS = [text for text in HOSTILE if text.isascii() or text.isprintable()]


@pytest.mark.parametrize("where", FIELDS)
def test_hostile_text_does_nothing_in_any_page(where: str, tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS):
        content = demo_content(site={"url": "https://packages.example.org/"})
        FIELDS[where](content, text)
        findings = validate(Change(demo_content().snapshot(), content.snapshot()))
        told = findings_text(findings, colour=False)
        assert all(line.isprintable() for line in told.split("\n"))
        site = tmp_path / str(number)
        if problem := why_not_rendered(content, site):
            assert where not in SHOWN, (text, problem)
            assert findings, "what stops the rendering is found by validate too"
            continue
        assert_harmless(site)
        pages = b"".join(path.read_bytes() for path in site.rglob("*.html"))
        assert pages.lower().count(b"<script") == pages.count(b"+site/script.js")
        if where in SHOWN and text == HOSTILE[0]:
            assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in pages, "it is shown, as text"
        for feed in site.rglob("feed.xml"):
            assert b"<script" not in feed.read_bytes()
        shutil.rmtree(site)


def test_hostile_text_is_said_with_care_at_a_terminal(tmp_path: Path, run: Run) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\r\u202e"
    content = demo_content()
    FIELDS["yank of a version"](content, evil)
    content.stage("emilie/dev", bases=["emilie/prod"], title=evil, description=evil)
    content.user("emilie", title=evil, email=evil)
    repository = make_repository(tmp_path, content)
    repository.write("indexes/emilie/dev/x/1.0.json", json.dumps({evil: evil}))
    for arguments in (
        "validate",
        "index show emilie/dev",
        "user show emilie",
        "list demo --index emilie/dev",
        "why demo --index emilie/dev",
    ):
        result = run("-C", tmp_path, *arguments.split())
        shown = result.out + result.err
        assert all(character.isprintable() or character == "\n" for character in shown), arguments


# Repositories that are empty, cut off or broken


def test_an_empty_repository_is_an_error_that_says_what_to_do(tmp_path: Path, run: Run) -> None:
    make_repository(tmp_path / "empty")
    for arguments in ("validate", "validate --staged", "validate --all", "index list", f"render --out {tmp_path}/site"):
        result = run("-C", tmp_path / "empty", *arguments.split())
        assert result.code == 3
        assert is_clear(result)
        assert "gitindex init" in result.err
    assert not (tmp_path / "site").exists()


def test_before_the_first_commit_everything_works_on_the_working_tree(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages")
    repository.put(demo_content())
    # Its newest release is yanked, and all of that is new.
    yanked = "indexes/emilie/prod/demo/project.toml:2: GI406 warning"
    result = run("-C", repository.path, "validate")
    assert (result.code, result.out.startswith(yanked)) == (0, True)
    assert result.out.endswith("\nValid: 1 warning in all of the working tree. Why: gitindex rule GI406\n")
    assert run("-C", repository.path, "render", "--out", tmp_path / "site").code == 0
    repository.git("add", "--all")
    staged = run("-C", repository.path, "validate", "--staged").out
    assert staged.endswith("\nValid: 1 warning in all of what is staged. Why: gitindex rule GI406\n")
    for arguments in (("validate", "--head", "HEAD"), ("render", "--rev", "HEAD", "--out", str(tmp_path / "other"))):
        result = run("-C", repository.path, *arguments)
        assert result.code == 1
        assert is_clear(result)
    assert run("-C", repository.path, "user", "create", "bob", "--commit").code == 0
    assert repository.git("ls-tree", "-r", "--name-only", "HEAD").split() == ["gitindex.toml", "indexes/bob/user.toml"]


def test_a_detached_head_works(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    repository.git("checkout", "--quiet", "--detach")
    assert run("-C", repository.path, "validate").code == 0
    assert run("-C", repository.path, "user", "create", "bob", "--commit").code == 0
    assert run("-C", repository.path, "render", "--out", tmp_path / "site").code == 0


def test_a_shallow_clone_works_and_says_what_it_lacks(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "whole", demo_content())
    first = repository.git("rev-parse", "HEAD")
    repository.write("indexes/bob/user.toml", "")
    repository.commit("Second")
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow"))
    assert run("-C", tmp_path / "shallow", "validate", "--all").code == 0
    assert run("-C", tmp_path / "shallow", "render", "--out", tmp_path / "site").code == 0
    result = run("-C", tmp_path / "shallow", "validate", "--base", first)
    assert result.code == 1
    assert is_clear(result)
    assert "git fetch --unshallow" in result.err


def test_a_partial_clone_says_that_it_lacks_files(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "whole", demo_content())
    repository.git("config", "uploadpack.allowFilter", "true")
    clone = (
        "clone",
        "--quiet",
        "--filter=blob:none",
        "--no-checkout",
        f"file://{repository.path}",
        str(tmp_path / "part"),
    )
    repository.git(*clone)
    result = run("-C", tmp_path / "part", "render", "--rev", "HEAD", "--out", tmp_path / "site")
    assert result.code == 3
    assert is_clear(result)
    assert "partial clone" in result.err


@pytest.mark.parametrize(
    "name",
    [
        "HEAD",
        "HEAD^{tree}",
        "HEAD:indexes",
        "HEAD:indexes/emilie/prod/demo",
        "HEAD:indexes/emilie/prod/index.toml",
        "HEAD:indexes/emilie/prod/demo/1.0.json",
        "HEAD:indexes/emilie/prod/demo/project.toml",
        "HEAD:gitindex.toml",
        "HEAD:files",
        "stored",
    ],
)
def test_a_missing_object_is_an_error_and_never_an_absence(name: str, tmp_path: Path, run: Run) -> None:
    content = demo_content()
    repository = make_repository(tmp_path / "packages", content)
    assert run("-C", repository.path, "render", "--rev", "HEAD", "--out", tmp_path / "site").code == 0
    before = files_below(tmp_path / "site")
    head = repository.git("rev-parse", "HEAD")
    name = f"HEAD:{content.stored('emilie/prod', 'demo', '1.0')}" if name == "stored" else name
    object_id = repository.git("rev-parse", name)
    (repository.path / ".git/objects" / object_id[:2] / object_id[2:]).unlink()
    for arguments in (
        ["validate", "--base", "0" * 40, "--head", head],
        ["validate", "--all"],
        ["render", "--rev", head, "--out", tmp_path / "new"],
    ):
        result = run("-C", repository.path, *arguments)
        if arguments == ["validate", "--all"] and result.code == 0:
            continue  # the working tree has what the object held
        assert result.code == (1 if name == "HEAD" and "no such revision" in result.err else 3), (arguments, result)
        assert is_clear(result)
    result = run("-C", repository.path, "render", "--rev", head, "--out", tmp_path / "site")
    assert result.code == 0 or is_clear(result)
    assert files_below(tmp_path / "site") == before, "what was rendered stays whole"


def test_a_broken_head_is_an_error(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    (repository.path / ".git/HEAD").write_text("nonsense\n")
    for arguments in (["validate"], ["index", "list"], ["render", "--out", tmp_path / "site"]):
        result = run("-C", repository.path, *arguments)
        assert result.code == 3
        assert is_clear(result)


def test_a_broken_staged_index_is_an_error(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    (repository.path / ".git/index").write_bytes(b"DIRC nonsense")
    for arguments in (["validate", "--staged"], ["validate"], ["index", "list"]):
        result = run("-C", repository.path, *arguments)
        assert result.code == 3, arguments
        assert is_clear(result)


def test_a_configuration_that_git_cannot_read_is_an_error(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    (repository.path / ".git/config").write_text("[core\nnonsense")
    result = run("-C", repository.path, "validate")
    assert result.code == 3
    assert is_clear(result)


# Disks that cannot be written to, and that are full


def mounted(path: Path, options: str) -> bool:
    if os.getuid():
        return False
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, check=False)
    return done.returncode == 0


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Mount a file system of *size* at *path*, and give a function that mounts it with other options."""
    path.mkdir()
    if not mounted(path, f"size={size}"):
        pytest.skip("a file system cannot be mounted here: only root may")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", path], check=True)

    try:
        yield remount
    finally:
        subprocess.run(["umount", path], check=True)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make *path* a folder that cannot be written to; modes mean nothing to root, so that a mount has to do it."""
    if os.getuid():
        folders = [path, *(found for found in path.rglob("*") if found.is_dir())]
        for folder in folders:
            folder.chmod(0o500)
        try:
            yield
        finally:
            for folder in folders:
                folder.chmod(0o700)
        return
    subprocess.run(["mount", "--bind", path, path], check=False, capture_output=True)
    done = subprocess.run(["mount", "-o", "remount,bind,ro", path], check=False, capture_output=True)
    try:
        if done.returncode:
            pytest.skip("a file system cannot be mounted here, and root may write to any folder")
        yield
    finally:
        subprocess.run(["umount", path], check=False, capture_output=True)


def assert_whole(folder: Path, expected: dict[str, bytes]) -> None:
    """Check that each file that is there is as it should be, and that nothing half written lies about."""
    found = {path: data for path, data in files_below(folder).items() if data != b"folder" and path != MARKER}
    assert not [path for path in found if TEMPORARY_PREFIX in path]
    assert found == {path: expected[path] for path in found}


def test_a_site_in_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    render_it = ("-C", repository.path, "render", "--out")
    (tmp_path / "read-only").mkdir()
    with read_only(tmp_path / "read-only"):
        for out in (tmp_path / "read-only", tmp_path / "read-only/site"):
            result = run(*render_it, out)
            assert result.code == 3
            assert is_clear(result)
            assert "cannot be written" in result.err
    assert run(*render_it, tmp_path / "read-only").code == 0


def test_a_site_that_can_no_longer_be_written_to_stays_as_it_was(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    site = tmp_path / "site"
    run("-C", repository.path, "render", "--out", site)
    before = files_below(site)
    with read_only(site):
        repository.write("gitindex.toml", 'format = 1\n[site]\ntitle = "Another"\n')
        result = run("-C", repository.path, "render", "--out", site)
        assert result.code == 3
        assert is_clear(result)
        assert files_below(site) == before


def test_a_repository_that_cannot_be_written_to_is_an_error(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    name, data = make_sdist("demo", "3.0")
    (tmp_path / name).write_bytes(data)
    before = files_below(repository.path)
    with read_only(repository.path):
        for arguments in (
            ["upload", tmp_path / name, "--index", "emilie/dev"],
            ["user", "create", "bob"],
            ["remove", "demo", "--index", "emilie/dev"],
            ["yank", "demo==2.0", "--index", "emilie/dev", "--commit"],
        ):
            result = run("-C", repository.path, *arguments)
            assert result.code == 3
            assert is_clear(result)
        assert run("-C", repository.path, "validate").code == 0
    assert files_below(repository.path) == before


def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    if not os.getuid():
        pytest.skip("root may read everything")
    repository = make_repository(tmp_path / "packages", demo_content())
    target = repository.write("indexes/emilie/user.toml", "title = 'x'\n")
    target.chmod(0)
    with pytest.raises(CannotRunError):
        validate(Change(None, repository.open().worktree()))


def test_a_full_disk_leaves_whole_pages_and_a_run_with_room_mends_the_rest(tmp_path: Path, run: Run) -> None:
    content = demo_content()
    for number in range(6):
        content.release("emilie/prod", f"project-{number}", "1.0", text="x" * 5000)
    repository = make_repository(tmp_path / "packages", content)
    run("-C", repository.path, "render", "--out", tmp_path / "whole")
    expected = files_below(tmp_path / "whole", but=MARKER)
    for pages in (1, 5, 20):
        with small_disk(tmp_path / f"disk{pages}", f"{4 * pages}k") as remount:
            site = tmp_path / f"disk{pages}"
            result = run("-C", repository.path, "render", "--out", site)
            assert result.code == 3
            assert is_clear(result)
            assert "No space left on device" in result.err or "disk is full" in result.err
            assert_whole(site, expected)
            remount("size=4m")
            assert run("-C", repository.path, "render", "--out", site).code == 0
            assert files_below(site, but=MARKER) == expected


def test_a_full_disk_leaves_no_half_upload(tmp_path: Path, run: Run) -> None:
    name, data = make_wheel("demo", "3.0", files={"demo.bin": os.urandom(200_000)})
    (tmp_path / name).write_bytes(data)
    with small_disk(tmp_path / "disk", "8m") as remount:
        repository = make_repository(tmp_path / "disk/packages", demo_content())
        filler = tmp_path / "disk/filler"
        room = os.statvfs(tmp_path / "disk")
        filler.write_bytes(b"x" * (room.f_bavail * room.f_frsize - 100_000))
        before = files_below(repository.path)
        result = run("-C", repository.path, "upload", tmp_path / name, "--index", "emilie/dev")
        assert result.code == 3
        assert is_clear(result)
        assert "No space left on device" in result.err
        assert not (repository.root / "indexes/emilie/dev/demo/3.0.json").exists()
        found = files_below(repository.path)
        assert not [path for path in found if TEMPORARY_PREFIX in path]
        assert {path: found[path] for path in before} == before
        assert run("-C", repository.path, "validate", "--all").code == 0
        remount("size=16m")
        assert run("-C", repository.path, "upload", tmp_path / name, "--index", "emilie/dev", "--commit").code == 0
        assert run("-C", repository.path, "validate", "--all").code == 0
        assert repository.git("status", "--porcelain") == ""


def limited(arguments: list[str], limit: int) -> subprocess.CompletedProcess[str]:
    """Run the command line where no file may grow beyond *limit* bytes: a quota, for everyone."""
    program = "import resource, sys; from gitindex.__main__ import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )


def test_a_quota_leaves_whole_files_and_a_run_without_it_does_the_rest(tmp_path: Path, run: Run) -> None:
    content = demo_content()
    content.release("emilie/prod", "large", "1.0", text=os.urandom(100_000).hex())  # larger than what a site remembers
    stored = content.stored("emilie/prod", "large", "1.0")
    repository = make_repository(tmp_path / "packages", content)
    run("-C", repository.path, "render", "--out", tmp_path / "whole")
    expected = files_below(tmp_path / "whole", but=MARKER)
    largest = max((len(data), path) for path, data in expected.items())
    done = limited(["-C", str(repository.path), "render", "--out", str(tmp_path / "site")], largest[0] - 1)
    assert done.returncode == 3
    assert done.stderr.startswith("gitindex: ")
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert_whole(tmp_path / "site", expected)
    assert run("-C", repository.path, "render", "--out", tmp_path / "site").code == 0
    assert files_below(tmp_path / "site", but=MARKER) == expected
    assert hashlib.sha256((tmp_path / "site" / stored).read_bytes()).hexdigest() in stored.replace("/", "")


def test_a_quota_leaves_no_half_upload(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "packages", demo_content())
    name, data = make_wheel("demo", "3.0", files={"demo.bin": os.urandom(100_000)})
    (tmp_path / name).write_bytes(data)
    before = {path: data for path, data in files_below(repository.path).items() if data != b"folder"}
    upload = ["-C", str(repository.path), "upload", str(tmp_path / name), "--index", "emilie/dev"]
    done = limited(upload, 50_000)
    assert (done.returncode, done.stdout) == (3, "")
    assert "File too large" in done.stderr
    assert {path: data for path, data in files_below(repository.path).items() if data != b"folder"} == before
    assert run(*upload).code == 0


def test_what_memory_cannot_hold_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("gitindex.cli.owners.current", fail)
    repository = make_repository(tmp_path, demo_content())
    monkeypatch.setattr(sys, "argv", ["gitindex", "-C", str(repository.path), "index", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert capsys.readouterr().err == "gitindex: there is not enough memory for this\n"
