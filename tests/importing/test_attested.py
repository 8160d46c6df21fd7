"""Attestations (PEP 740) that come with what is imported, and go with what is exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitindex import layout
from gitindex.attestations import MAX_ATTESTATIONS, MAX_SIZE
from gitindex.git import Repository
from gitindex.site import render
from tests import hosts
from tests.builders import make_provenance, make_sdist, make_wheel
from tests.conftest import Run
from tests.hosts import Answer, Host
from tests.importing.shown import digest, entry, put, released
from tests.importing.test_simple import _until
from tests.importing.world import World, start
from tests.notary import Notary
from tests.peers.server import SiteServer
from tests.repositories import Content, IndexRepository, files_below, make_repository, small_content
from tests.upstream.pages import anchors, sent

WHEEL, SDIST, NEWER = make_wheel("demo", "1.0"), make_sdist("demo", "1.0"), make_wheel("demo", "2.0")
NAME, DATA = WHEEL
DOCUMENT = make_provenance(NAME, digest(DATA))
INTO = ("--index", "emilie/prod", "--commit")
BESIDE = layout.stored_path(digest(DATA), NAME) + layout.PROVENANCE_SUFFIX


@pytest.fixture
def world(host: Host) -> World:
    return World(host)


def attest(world: World, file: tuple[str, bytes], *answers: Answer | bytes, **stated: Any) -> list[str]:
    """List a file with a provenance document, and return the paths of both, sorted."""
    name, data = file
    path = f"/files/{name}.provenance"
    world.host.on(path, *(answers or (make_provenance(name, digest(data)),)))
    return sorted([world.add("demo", file, **{"provenance": world.host.url + path, **stated}), path])


def attested(content: Content, index: str, name: str, version: str, **facts: Any) -> bytes:
    """Release a file with a provenance document, and return that."""
    filename = content.release(index, name, version, **facts)
    place = len(json.loads(content[f"indexes/{index}/{name}/{version}.json"])["files"]) - 1
    stored = content.stored(index, name, version, place)
    document = make_provenance(filename, content.entry(index, name, version, place)["hashes"]["sha256"])
    manifest = json.loads(content[f"indexes/{index}/{name}/{version}.json"])
    manifest["files"][place]["provenance"] = digest(document)
    content[f"indexes/{index}/{name}/{version}.json"] = json.dumps(manifest).encode()
    content[stored + layout.PROVENANCE_SUFFIX] = document
    return document


def stated(repository: IndexRepository, filename: str = NAME, index: str = "emilie/prod") -> str | None:
    """Return the sha256 of the provenance document that a manifest states of a file."""
    found: str | None = entry(repository, index, filename).get("provenance")
    return found


@pytest.mark.parametrize("negotiates", [True, False], ids=["JSON", "HTML"])
def test_attestations_of_a_site_come_along(run: Run, tmp_path: Path, *, negotiates: bool) -> None:
    before = tmp_path / "before"
    before.mkdir()
    with SiteServer(before, negotiates=negotiates) as server:
        content = small_content(site={"url": server.url})
        attested(content, "emilie/prod", "demo", "1.0")
        attested(content, "emilie/prod", "demo", "1.0", kind="sdist")
        content.release("emilie/prod", "demo", "2.0")
        there = make_repository(tmp_path / "there", content)
        here = make_repository(tmp_path / "here", small_content(site={"url": server.url}))
        render(Repository.open(there.path).worktree(), before)
        done = run("-C", here.path, "import", "simple", f"{server.url}/emilie/prod/simple/", *INTO)
    assert (done.code, done.out) == (0, "emilie/prod: 3 files of 2 releases brought\n")
    render(Repository.open(here.path).worktree(), tmp_path / "after")
    for part in ("emilie/prod/simple", "files"):
        assert files_below(tmp_path / "after" / part) == files_below(before / part)
    assert len([*(tmp_path / "after/files").rglob("*.provenance")]) == 2
    assert here.git("status", "--porcelain") == ""
    assert run("-C", here.path, "validate", "--all").code == 0
    assert run("-C", here.path, "verify").out.endswith("none wrong.\n")


def _page_in_html(world: World, provenance: str) -> None:
    link = f'<a href="../../files/{NAME}#sha256={digest(DATA)}" data-provenance="{provenance}">{NAME}</a>'
    world.host.on("/simple/demo/", sent(anchors(link), "text/html"))


_OTHER_BYTES = make_wheel("demo", "1.0", files={"demo.py": b"other"})
_MANY = json.loads(DOCUMENT)
_MANY["attestation_bundles"] *= MAX_ATTESTATIONS + 1
LIES: dict[str, tuple[Answer | bytes, dict[str, Any], str]] = {
    "nothing there": (hosts.status(404), {}, "answers 404"),
    "no JSON": (b"<html>", {}, "is no JSON"),
    "broken": (DOCUMENT[:-9], {}, "is no JSON"),
    "deep": (b"[" * 100_000, {}, "is no JSON"),
    "no document": (b"[]", {}, "is no provenance document of version 1 (PEP 740)"),
    "another version": (DOCUMENT.replace(b'"version": 1', b'"version": 2', 1), {}, "is no provenance document of v"),
    "no attestation": (b'{"version": 1, "attestation_bundles": []}', {}, "has no attestation bundles"),
    "too many": (json.dumps(_MANY).encode(), {}, "has 21 attestations, and 20 are taken"),
    "another file": (make_provenance(NEWER[0], digest(NEWER[1])), {}, f"is of '{NEWER[0]}' with the sha256 "),
    "other bytes": (make_provenance(NAME, digest(_OTHER_BYTES[1])), {}, f"is of '{NAME}' with the sha256 "),
    "too large": (hosts.chunked(b" " * (MAX_SIZE + 1)), {}, "has more than 1,048,576 bytes"),
    "endless": (hosts.endless, {}, "has more than 1,048,576 bytes"),
    "encoded": (hosts.content(DOCUMENT, Content_Encoding="gzip"), {}, "is sent with Content-Encoding 'gzip'"),
    "led away": (hosts.redirect("http://192.0.2.7/x"), {}, "leads to 'http://192.0.2.7', which is not https"),
    "elsewhere": (b"", {"provenance": "http://192.0.2.7/x"}, "its link leads to 'http://192.0.2.7', which is not "),
    "a file": (b"", {"provenance": "file:///etc/passwd"}, "its link leads to 'file://', which is not https"),
    "relative": (b"", {"provenance": f"../../files/{NAME}.provenance"}, "its link leads to '://', which is not "),
    "no URL": (b"", {"provenance": "https://[x/"}, "its link is no URL"),
    "password": (b"", {"provenance": "https://a:b@127.0.0.1/x"}, "its link has credentials in the URL"),
}


@pytest.mark.parametrize("is_html", [False, True], ids=["JSON", "HTML"])
@pytest.mark.parametrize("lie", LIES)
def test_document_that_is_none_of_its_file_stays_away_alone(
    run: Run, repository: IndexRepository, world: World, lie: str, *, is_html: bool
) -> None:
    answer, facts, why = LIES[lie]
    attest(world, WHEEL, answer, **facts)
    if is_html:
        _page_in_html(world, facts.get("provenance", f"{world.host.url}/files/{NAME}.provenance"))
    command = ("-C", repository.path, "import", "simple", world.url, *INTO)
    done = run(*command)
    assert (done.code, done.out.count("\n")) == (1, 2), done.out
    assert done.out.startswith("emilie/prod: 1 file of 1 release brought\n")
    assert f"\nleft out: emilie/prod: provenance of {NAME}: {why}" in done.out
    assert (released(repository, "emilie/prod"), stated(repository)) == ({NAME: digest(DATA)}, None)
    assert not (repository.path / BESIDE).exists()
    assert run("-C", repository.path, "validate", "--all").code == 0
    world.asked_for()
    again = run(*command)
    assert (again.code, world.asked_for()) == (0, [])
    assert again.out == (
        "emilie/prod: 0 files of 0 releases brought, 1 unchanged\nnote: emilie/prod: demo: 1 file of it is here without"
        f" the attestations that {world.url} has: what is here stays as it is\n"
    )


def test_nothing_that_is_here_is_asked_for_again(run: Run, repository: IndexRepository, world: World) -> None:
    first = attest(world, WHEEL)
    command = ("-C", repository.path, "import", "simple", world.url, *INTO)
    assert run(*command).out == "emilie/prod: 1 file of 1 release brought\n"
    assert world.asked_for() == first
    assert (repository.path / BESIDE).read_bytes() == DOCUMENT
    newer = attest(world, NEWER)
    world.host.on(f"/files/{NAME}.provenance", hosts.status(404))
    assert run(*command).out == "emilie/prod: 1 file of 1 release brought, 1 unchanged\n"
    assert (world.asked_for(), stated(repository)) == (newer, digest(DOCUMENT))


@pytest.mark.parametrize("index", ["emilie/prod", "emilie/dev"])
def test_file_that_is_here_stays_as_it_is(run: Run, tmp_path: Path, world: World, index: str) -> None:
    content = small_content()
    content.release(index, "demo", "1.0")
    repository = make_repository(tmp_path / "packages", content)
    data = content[content.stored(index, "demo", "1.0")]
    attest(world, (NAME, data))
    attest(world, NEWER)
    before = (repository.path / f"indexes/{index}/demo/1.0.json").read_bytes()
    done = run("-C", repository.path, "import", "simple", world.url, "--index", index, "--commit")
    assert done.code == 0
    assert f"note: {index}: demo: 1 file of it is here without the attestations that {world.url} has" in done.out
    assert (repository.path / f"indexes/{index}/demo/1.0.json").read_bytes() == before
    assert stated(repository, NEWER[0], index) is not None
    assert run("-C", repository.path, "audit").code == 0


def test_document_that_does_not_come_is_waited_for(run: Run, repository: IndexRepository, world: World) -> None:
    path, document = attest(world, WHEEL, hosts.status(403), DOCUMENT)
    here = world.add("demo", NEWER)
    command = ("-C", repository.path, "import", "simple", world.url, *INTO)
    done = run(*command)
    why = f"its attestations did not come ({world.host.netloc} answers 403: access is refused), and it waits for them"
    told = f"missing: emilie/prod: {NAME}: {why}: --without-attestations takes it as it is"
    assert (done.code, done.out.splitlines()[1:]) == (3, [told])
    assert (world.asked_for(), released(repository, "emilie/prod")) == (
        sorted([path, document, here]),
        {NEWER[0]: digest(NEWER[1])},
    )
    assert run(*command).code == 0
    assert (world.asked_for(), stated(repository)) == ([document], digest(DOCUMENT))
    assert not list(Path.home().glob(".cache/gitindex/*/import"))


def test_what_arrived_leaves_no_document_on_the_shelf(run: Run, repository: IndexRepository, world: World) -> None:
    attest(world, WHEEL)
    attest(world, NEWER, hosts.status(403))
    assert run("-C", repository.path, "import", "simple", world.url, *INTO).code == 3
    (left,) = (path for path in Path.home().glob(".cache/gitindex/*/import/*/*") if path.is_file())
    assert left.name == NEWER[0]


def test_document_that_breaks_off_is_not_taken_for_a_broken_one(
    run: Run, repository: IndexRepository, world: World
) -> None:
    attest(world, WHEEL, hosts.truncated(DOCUMENT[:9], len(DOCUMENT)), DOCUMENT)
    assert run("-C", repository.path, "import", "simple", world.url, *INTO).code == 0
    assert (repository.path / BESIDE).read_bytes() == DOCUMENT


def test_files_come_without_attestations_where_that_is_asked(
    run: Run, repository: IndexRepository, world: World
) -> None:
    path, _ = attest(world, WHEEL, hosts.status(403))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO, "--without-attestations")
    assert (done.code, world.asked_for(), stated(repository)) == (0, [path], None)
    assert "note: emilie/prod: demo: the attestations of 1 of its files are not carried over" in done.out


@pytest.mark.parametrize("more", [(), ("--history",)], ids=["plain", "history"])
def test_killed_import_has_the_documents_that_came(
    run: Run, repository: IndexRepository, world: World, more: tuple[str, ...]
) -> None:
    first = attest(world, WHEEL)
    last = world.add("demo", NEWER, hosts.silent, NEWER[1])
    command: list[str | Path] = ["-C", repository.path, "import", "simple", world.url, *INTO, *more]
    running = start(*command)
    _until(lambda: {*first, last} <= set(world.host.paths))
    _until(lambda: any(Path.home().glob(".cache/gitindex/*/import/*/*.provenance")))
    running.kill()
    running.communicate()
    world.asked_for()
    assert run(*command).code == 0
    assert (world.asked_for(), stated(repository)) == ([last], digest(DOCUMENT))
    assert not list(Path.home().glob(".cache/gitindex/*/import"))
    assert run("-C", repository.path, "audit").code == 0
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.parametrize("is_outside", [False, True], ids=["repository", "storage"])
def test_document_of_another_index_is_the_one_of_the_file(
    run: Run, tmp_path: Path, world: World, *, is_outside: bool
) -> None:
    """One file has one document: the other index states its sha256."""
    settings = {"storage": {"url": f"file://{tmp_path}/store/"}} if is_outside else {}
    repository = make_repository(tmp_path / "packages", small_content(**settings))
    attest(world, WHEEL)
    command = ("-C", repository.path, "import", "simple", world.url, "--commit", "--index")
    assert run(*command, "emilie/prod").code == 0
    world.asked_for()
    world.host.on(f"/files/{NAME}.provenance", DOCUMENT + b" ")
    done = run(*command, "emilie/dev")
    assert (done.code, world.asked_for()) == (0, [])
    assert stated(repository, index="emilie/dev") == stated(repository) == digest(DOCUMENT)
    assert run("-C", repository.path, "verify").code == 0
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.parametrize("there", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_what_lies_beside_a_file_of_another_index_is_not_overwritten(
    run: Run, tmp_path: Path, world: World, there: bytes
) -> None:
    content = small_content()
    attested(content, "emilie/dev", "demo", "1.0")
    stored = content.stored("emilie/dev", "demo", "1.0")
    content[stored + layout.PROVENANCE_SUFFIX] = there
    repository = make_repository(tmp_path / "packages", content)
    attest(world, (NAME, content[stored]))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert f"provenance of {NAME}: what lies beside the file here already is no JSON" in done.out
    assert (repository.path / (stored + layout.PROVENANCE_SUFFIX)).read_bytes() == there


def test_index_that_requires_attestations_takes_those_of_its_publishers(
    run: Run, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    notary = Notary()
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notary.trust(tmp_path / "XDG_CACHE_HOME")
    content = small_content()
    content.stage("emilie/prod", volatile=False, require_attestation=["github:example/demo"])
    repository = make_repository(tmp_path / "packages", content)
    publisher = {"kind": "GitHub", "repository": "example/demo", "workflow": "release.yml"}
    attestation = notary.attest(NAME, DATA, repository="example/demo")
    bundles = [{"publisher": publisher, "attestations": [attestation]}]
    signed = json.dumps({"version": 1, "attestation_bundles": bundles}).encode()
    attest(world, WHEEL, signed)
    attest(world, NEWER)
    attest(world, SDIST, hosts.status(404))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert done.code == 1
    assert f"left out: emilie/prod: {NEWER[0]}: GI306: {NEWER[0]} is attested by nobody that gitindex knows" in done.out
    assert f"left out: emilie/prod: {SDIST[0]}: GI306: {SDIST[0]} has no attestation" in done.out
    assert (released(repository, "emilie/prod"), stated(repository)) == ({NAME: digest(DATA)}, digest(signed))
    assert (repository.path / BESIDE).read_bytes() == signed
    assert run("-C", repository.path, "verify").code == 0


@pytest.fixture
def filled(tmp_path: Path) -> IndexRepository:
    content = small_content()
    attested(content, "emilie/prod", "demo", "1.0")
    content.release("emilie/prod", "demo", "1.0", kind="sdist")
    content.release("emilie/prod", "plain", "1.0")
    sha256 = content.entry("emilie/prod", "plain", "1.0")["hashes"]["sha256"]
    tested = {"environment": "py", "outcome": "passed", "time": "2026-11-22T08:00:00Z", "files": [sha256]}
    content["indexes/emilie/prod/plain/1.0.tests.json"] = json.dumps([{**tested, "duration": 1}]).encode()
    return make_repository(tmp_path / "filled", content)


def test_plain_files_have_their_documents_beside_them(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = "plain: the results of testing 1 release are not there: gitindex export devpi writes them"
    for _ in range(2):
        done = run("-C", filled.path, "export", "dir", out, "--index", "emilie/prod")
        assert (done.code, done.out) == (0, f"emilie/prod: 3 files\nnote: emilie/prod: {told}\n")
    sha256 = stated(filled)
    assert digest((out / "emilie/prod" / f"{NAME}.provenance").read_bytes()) == sha256
    assert len([*out.rglob("*.*")]) == 4
    other = make_repository(tmp_path / "other", small_content())
    done = run("-C", other.path, "import", "dir", out / "emilie/prod", *INTO)
    assert (done.code, done.out) == (0, "emilie/prod: 3 files of 2 releases brought\n")
    assert (released(other, "emilie/prod"), stated(other)) == (released(filled, "emilie/prod"), sha256)
    assert run("-C", other.path, "verify").code == 0
    again = run("-C", other.path, "import", "dir", out / "emilie/prod", *INTO)
    assert (again.code, again.out) == (0, "emilie/prod: 0 files of 0 releases brought, 3 unchanged\n")


def test_document_that_was_changed_is_not_exported(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    (place,) = filled.path.glob("files/*/*/*.provenance")
    place.write_bytes(DOCUMENT + b" ")
    done = run("-C", filled.path, "export", "dir", tmp_path / "out", "--index", "emilie/prod")
    assert (done.code, [*(tmp_path / "out").rglob("*.provenance")]) == (3, [])
    assert f"{NAME}.provenance: the bytes have the sha256" in done.err


def test_other_document_at_the_place_stays(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "out/emilie/prod", (f"{NAME}.provenance", b"mine"))
    done = run("-C", filled.path, "export", "dir", tmp_path / "out", "--index", "emilie/prod")
    assert done.code == 1
    assert f"{NAME}.provenance: something else is there" in done.err
    assert (tmp_path / "out/emilie/prod" / f"{NAME}.provenance").read_bytes() == b"mine"


def test_what_devpi_has_no_place_for_is_told(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    done = run("-C", filled.path, "export", "devpi", tmp_path / "out")
    assert done.code == 0
    why = "the attestations of 1 file are not there: gitindex export dir has them"
    assert f"\nnote: emilie/prod: demo: {why}\n" in done.out
    assert done.out.count("attestations") == 1
    data = json.loads((tmp_path / "out/dataindex.json").read_text())
    assert [file["type"] for file in data["indexes"]["emilie/prod"]["files"]].count("toxresult") == 1


def test_documents_of_a_folder_are_as_hostile_as_any(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    put(folder, WHEEL, SDIST, NEWER, (f"{SDIST[0]}.provenance", DOCUMENT), (f"{NAME}.provenance", DOCUMENT))
    (folder / f"{NEWER[0]}.provenance").symlink_to("/dev/zero")
    put(folder, (f"{NEWER[0]}.publish.attestation", b"{}"), ("gone-1.0.tar.gz.provenance", b"{}"))
    done = run("-C", repository.path, "import", "dir", folder, *INTO)
    one = "is one attestation, and no provenance document: gitindex upload takes it, with its file"
    assert (done.code, done.out.splitlines()) == (
        1,
        [
            "emilie/prod: 3 files of 2 releases brought",
            f"note: emilie/prod: {NEWER[0]}.publish.attestation: {one}",
            f"left out: emilie/prod: provenance of {SDIST[0]}: is of '{NAME}' with the sha256 '{digest(DATA)}'",
        ],
    )
    assert [stated(repository, name) for name, _ in (WHEEL, SDIST, NEWER)] == [digest(DOCUMENT), None, None]
