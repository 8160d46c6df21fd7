"""Pushes from a mirror: files come from an upstream, are checked, and stand in the index as any release."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gitindex.attestations import MAX_SIZE
from gitindex.upstream import promoting
from tests import hosts
from tests.builders import make_provenance, make_sdist, make_wheel, metadata
from tests.conftest import Result, Run
from tests.hosts import Host
from tests.repositories import Content, IndexRepository, files_below, make_repository, small_content
from tests.upstream.pages import page, sent

TIME = "2024-03-01T12:00:00.123456Z"


class World:
    """An upstream that has projects."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._files: dict[str, list[dict[str, Any]]] = {}

    def add(
        self, name: str, version: str, *, kind: str = "wheel", extra: str = "", data: bytes | None = None, **stated: Any
    ) -> str:
        """Add a file, of whose facts the page says what is *stated*; return its name."""
        make = make_wheel if kind == "wheel" else make_sdist
        filename, made = make(name, version, metadata_extra=extra, requires_python=">=3.9")
        core = metadata(name, version, ">=3.9", extra)
        entry: dict[str, Any] = {
            "filename": filename,
            "url": f"../../files/{filename}",
            "hashes": {"sha256": hashlib.sha256(made).hexdigest()},
            "size": len(made),
            "upload-time": TIME,
            "requires-python": ">=3.9",
        }
        if kind == "wheel":
            entry["core-metadata"] = {"sha256": hashlib.sha256(core).hexdigest()}
            self.host.on(f"/files/{filename}.metadata", core)
        self.host.on(f"/files/{filename}", made if data is None else data)
        return self.list(name, entry | {key.replace("_", "-"): value for key, value in stated.items()})

    def list(self, name: str, entry: dict[str, Any], **more: Any) -> str:
        self._files.setdefault(name, []).append(entry)
        self.host.on(f"/simple/{name}/", sent(page(*self._files[name], name=name, **more)))
        return str(entry["filename"])


class Shop:
    """A repository with a mirror of the world."""

    def __init__(self, repository: IndexRepository, run: Run) -> None:
        self.repository = repository
        self._run = run

    def run(self, *words: str) -> Result:
        return self._run("-C", self.repository.root, *words)

    def push(self, *words: str, to: str = "emilie/prod") -> Result:
        return self.run("push", *words, "root/world", to)

    def pushed(self, *words: str, to: str = "emilie/prod") -> Any:
        result = self.push(*words, "--json", to=to)
        assert result.code == 0, result
        return json.loads(result.out)

    def refused(self, *words: str, code: int = 1) -> str:
        before = files_below(self.repository.root)
        result = self.push(*words)
        assert (result.code, result.out) == (code, ""), result
        assert files_below(self.repository.root) == before
        return result.err

    def manifest(self, name: str, version: str, index: str = "emilie/prod") -> dict[str, Any]:
        path = self.repository.root / f"indexes/{index}/{name}/{version}.json"
        return dict(json.loads(path.read_text()))

    def is_sound(self) -> bool:
        return self.run("validate", "--all").code == 0


@pytest.fixture
def world(host: Host) -> World:
    return World(host)


@pytest.fixture
def open_shop(tmp_path: Path, run: Run, host: Host) -> Callable[..., Shop]:
    def opened(content: Content | None = None, **mirror: Any) -> Shop:
        content = content if content is not None else small_content(names={"reserved": ["acme-*"]})
        content.mirror("root/world", mirror_url=f"{host.url}/simple/", **mirror)
        content.stage("emilie/prod", volatile=False)
        return Shop(make_repository(tmp_path / "packages", content), run)

    return opened


def test_a_release_is_vendored_whole(open_shop: Callable[..., Shop], world: World) -> None:
    filenames = [world.add("demo", "1.0"), world.add("demo", "1.0", kind="sdist")]
    world.add("demo", "2.0")
    shop = open_shop()
    assert shop.pushed("demo==1.0", "--commit")["done"] == ["Push demo 1.0 from root/world to emilie/prod"]
    files = shop.manifest("demo", "1.0")["files"]
    assert [file["filename"] for file in files] == sorted(filenames)
    for file in files:
        path = shop.repository.root / "files" / file["hashes"]["sha256"][:2] / file["hashes"]["sha256"][2:]
        data = (path / file["filename"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["hashes"]["sha256"]
        assert (file["size"], file["upload-time"], file["requires-python"]) == (len(data), TIME, ">=3.9")
    wheel = next(file for file in files if file["filename"].endswith(".whl"))
    assert wheel["core-metadata"]["sha256"] == hashlib.sha256(metadata("demo", "1.0", ">=3.9", "")).hexdigest()
    assert shop.is_sound()
    assert sorted(path.rpartition("/")[2] for path in world.host.paths if path.startswith("/files/")) == sorted(
        filenames
    )


def test_the_same_again_asks_for_no_file(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0")
    shop = open_shop()
    shop.pushed("demo==1.0")
    world.host.requests.clear()
    assert shop.pushed("demo==1.0")["done"] == ["Unchanged: demo 1.0 in emilie/prod"]
    assert world.host.paths == ["/simple/demo/"]


def test_one_file_is_taken_and_the_next_later(open_shop: Callable[..., Shop], world: World) -> None:
    wheel, sdist = world.add("demo", "1.0"), world.add("demo", "1.0", kind="sdist")
    shop = open_shop()
    shop.pushed("demo==1.0", "--file", wheel)
    assert [file["filename"] for file in shop.manifest("demo", "1.0")["files"]] == [wheel]
    shop.pushed("demo==1.0", "--file", sdist)
    assert [file["filename"] for file in shop.manifest("demo", "1.0")["files"]] == sorted([wheel, sdist])
    assert "other.whl is no file that root/world shows of demo 1.0" in shop.refused("demo==1.0", "--file", "other.whl")


def test_a_project_alone_means_the_newest_that_is_shown(open_shop: Callable[..., Shop], world: World) -> None:
    for version in ("1.0", "1.10", "3.0", "4.0rc1"):
        world.add("demo", version)
    world.add("demo", "2.0", yanked="broken")
    shop = open_shop(deny=["demo>=3"])
    assert shop.pushed("demo")["done"] == ["Push demo 1.10 from root/world to emilie/prod"]


def test_what_is_in_the_release_and_no_distribution_is_left_out_and_said(
    open_shop: Callable[..., Shop], world: World
) -> None:
    world.add("demo", "1.0")
    egg = {"filename": "demo-1.0-py3.9.egg", "url": "../../files/demo-1.0-py3.9.egg", "hashes": {"sha256": "0" * 64}}
    world.list("demo", egg)
    shop = open_shop()
    result = shop.push("demo==1.0")
    assert (result.code, "left out: demo-1.0-py3.9.egg, which is no wheel and no sdist" in result.err) == (0, True)


def test_the_spelling_of_older_releases_is_taken(open_shop: Callable[..., Shop], world: World) -> None:
    filename, data = make_wheel("Demo", "1.0", metadata_version="1.2")
    old = filename.replace("demo-", "Demo-", 1)
    assert old != filename
    world.host.on(f"/files/{old}", data)
    digest = hashlib.sha256(data).hexdigest()
    world.list("demo", {"filename": old, "url": f"../../files/{old}", "hashes": {"sha256": digest}, "size": len(data)})
    shop = open_shop()
    shop.pushed("demo==1.0")
    assert shop.manifest("demo", "1.0")["files"][0]["filename"] == old
    assert shop.is_sound()


# What the mirror hides


@pytest.mark.parametrize(
    ("settings", "words", "said"),
    [
        ({"deny": ["demo"]}, "demo==1.0", "does not show demo: its allow and deny"),
        ({"allow": ["other"]}, "demo==1.0", "does not show demo: its allow and deny"),
        ({"deny": ["demo<2"]}, "demo==1.0", "demo 1.0: root/world hides it"),
        ({"mirror_min_age": "7d"}, "demo==2.0", "demo 2.0: root/world hides it"),
        ({}, "demo==9.0", "demo 9.0: root/world does not have it"),
        ({}, "nothing==1.0", "root/world has no project nothing"),
        ({}, "acme-core==1.0", "acme-core is reserved"),
    ],
)
def test_the_rules_of_the_mirror_hold(
    open_shop: Callable[..., Shop], world: World, settings: dict[str, Any], words: str, said: str
) -> None:
    world.add("demo", "1.0")
    now = datetime.now(UTC).replace(microsecond=0)
    world.add("demo", "2.0", upload_time=(now - timedelta(days=1)).isoformat().replace("+00:00", "Z"))
    world.add("acme-core", "1.0")
    assert said in open_shop(**settings).refused(words)


def test_a_file_that_is_too_young_is_left_out_and_said(open_shop: Callable[..., Shop], world: World) -> None:
    wheel = world.add("demo", "1.0")
    sdist = world.add("demo", "1.0", kind="sdist", upload_time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    shop = open_shop(mirror_min_age="7d")
    result = shop.push("demo==1.0")
    assert (result.code, f"left out: {sdist}, which root/world does not show" in result.err) == (0, True)
    assert [file["filename"] for file in shop.manifest("demo", "1.0")["files"]] == [wheel]


def test_what_is_yanked_upstream_is_refused(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0", yanked="it deletes files")
    assert "is yanked by the upstream of root/world: it deletes files" in open_shop().refused("demo==1.0", code=2)


def test_what_is_quarantined_upstream_is_refused(open_shop: Callable[..., Shop], world: World) -> None:
    world.host.on("/simple/demo/", sent(page(name="demo", project_status={"status": "quarantined"})))
    assert "demo is quarantined in root/world" in open_shop().refused("demo==1.0", code=2)


# What is not what the page says


@pytest.mark.parametrize(
    ("stated", "code", "said"),
    [
        ({"hashes": {"sha256": "1" * 64}}, 3, "has the sha256"),
        ({"hashes": {}}, 3, "states no sha256"),
        ({"size": 5}, 3, "has more bytes than the 5"),
        ({"size": 50_000}, 3, "has fewer bytes than the 50,000"),
        ({"requires_python": ">=3.12"}, 1, "says of itself: requires-python '>=3.9' where the page has '>=3.12'"),
        ({"core_metadata": {"sha256": "2" * 64}}, 1, "other core metadata than the page's digest is of"),
    ],
)
def test_a_file_that_is_not_what_the_page_says_is_refused(
    open_shop: Callable[..., Shop], world: World, stated: dict[str, Any], code: int, said: str
) -> None:
    world.add("other", "1.0")
    world.add("demo", "1.0", **stated)
    assert said in open_shop().refused("other==1.0", "demo==1.0", code=code)


def test_the_same_requirement_written_otherwise_is_no_difference(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0", requires_python=">= 3.9")
    shop = open_shop()
    shop.pushed("demo==1.0")
    assert shop.manifest("demo", "1.0")["files"][0]["requires-python"] == ">=3.9"


def test_a_page_that_says_no_more_than_it_has_to_will_do(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0", size=None, upload_time=None, requires_python=None, core_metadata=None)
    shop = open_shop()
    shop.pushed("demo==1.0")
    (file,) = shop.manifest("demo", "1.0")["files"]
    assert (file["size"] > 100, "upload-time" in file, "core-metadata" in file) == (True, False, True)
    assert file["requires-python"] == ">=3.9"
    assert shop.is_sound()


def test_a_list_of_files_in_html_will_do(open_shop: Callable[..., Shop], world: World) -> None:
    filename, data = make_wheel("demo", "1.0", requires_python=">=3.9")
    world.host.on(f"/files/{filename}", data)
    link = f'<a href="../../files/{filename}#sha256={hashlib.sha256(data).hexdigest()}">{filename}</a>'
    world.host.on("/simple/demo/", sent(f"<!DOCTYPE html><title>demo</title>{link}".encode(), "text/html"))
    shop = open_shop()
    shop.pushed("demo==1.0")
    assert [file["filename"] for file in shop.manifest("demo", "1.0")["files"]] == [filename]


def test_a_broken_archive_is_refused(open_shop: Callable[..., Shop], world: World) -> None:
    junk = b"PK\x03\x04 and no more"
    world.add("demo", "1.0", data=junk, hashes={"sha256": hashlib.sha256(junk).hexdigest()}, size=len(junk))
    assert "is a broken archive" in open_shop().refused("demo==1.0")


def test_a_file_of_another_project_is_refused(open_shop: Callable[..., Shop], world: World) -> None:
    other = make_wheel("evil", "1.0")[1]
    world.add("demo", "1.0", data=other, hashes={"sha256": hashlib.sha256(other).hexdigest()}, size=len(other))
    assert "says of itself: name 'evil'" in open_shop().refused("demo==1.0")


def test_other_bytes_than_the_target_has_are_refused_before_they_come(
    open_shop: Callable[..., Shop], world: World
) -> None:
    filename = world.add("demo", "1.0")
    content = small_content()
    content.release("emilie/prod", "demo", "1.0", text="ours")
    said = open_shop(content).refused("demo==1.0")
    assert f"{filename} has the sha256" in said
    assert content.entry("emilie/prod", "demo", "1.0")["hashes"]["sha256"] in said
    assert world.host.paths == ["/simple/demo/"]


def test_an_upstream_that_fails_in_the_middle_leaves_nothing(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0")
    sdist = world.add("demo", "1.0", kind="sdist")
    world.host.on(f"/files/{sdist}", hosts.status(404))
    assert f"{sdist}: root/world: answers 404; nothing was written" in open_shop().refused("demo==1.0", code=3)


def test_an_interrupted_push_leaves_nothing(open_shop: Callable[..., Shop], world: World, tmp_path: Path) -> None:
    filename = world.add("demo", "1.0")

    def stuck(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000000")
        handler.end_headers()
        world.host.is_over.wait(20)

    world.host.on(f"/files/{filename}", stuck)
    shop = open_shop()
    before = files_below(shop.repository.root)
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "gitindex", "push", "demo==1.0", "root/world", "emilie/prod"]
    running = subprocess.Popen(command, cwd=shop.repository.root, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    try:
        ends = time.monotonic() + 20
        while f"/files/{filename}" not in world.host.paths and time.monotonic() < ends:
            time.sleep(0.05)
        running.send_signal(2)
        time.sleep(0.2)
        world.host.is_over.set()
        assert running.wait(20) == 130
    finally:
        running.kill()
        running.wait()
    assert files_below(shop.repository.root) == before
    assert list((tmp_path / "tmp").iterdir()) == []


def test_files_of_a_storage_elsewhere_go_there(open_shop: Callable[..., Shop], world: World, tmp_path: Path) -> None:
    filename = world.add("demo", "1.0")
    content = small_content(storage={"url": f"file://{tmp_path}/store", "public_url": "https://files.example.org/"})
    shop = open_shop(content)
    shop.pushed("demo==1.0")
    names = {path.name for path in (tmp_path / "store").rglob("*") if path.is_file()}
    assert {filename, f"{filename}.metadata"} <= names
    assert not (shop.repository.root / "files").exists()


def test_a_gate_holds_for_what_is_vendored(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0")
    shop = open_shop()
    shop.repository.write("indexes/emilie/prod/index.toml", "volatile = false\nrequire_tests = true\n")
    shop.repository.commit()
    assert "GI305" in shop.refused("demo==1.0")


def test_who_may_not_release_vendors_nothing(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0")
    content = small_content().user("bob")
    assert "GI301 bob may not release" in open_shop(content).refused("demo==1.0", "--actor", "bob")


def test_a_team_vendors_and_promotes_by_pull_requests(
    open_shop: Callable[..., Shop], world: World, tmp_path: Path
) -> None:
    filename = world.add("demo", "1.0")
    content = small_content().stage("emilie/dev")
    content.release("emilie/dev", "app", "1.0", extra="Requires-Dist: lib\n")
    content.release("emilie/dev", "lib", "1.0")
    shop = open_shop(content)
    shop.repository.git("init", "--quiet", "--bare", "--initial-branch", "main", str(tmp_path / "remote.git"))
    shop.repository.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    shop.repository.git("push", "--quiet", "origin", "main")
    before = files_below(shop.repository.root)
    vendored = shop.pushed("demo==1.0", "--pr")
    words = ["push", "app", "emilie/dev", "emilie/prod", "--with-dependencies", "--pr", "--json"]
    promoted = json.loads(shop.run(*words).out)
    assert json.loads(shop.run(*words).out)["pushed"] is False  # the same again is the same branch
    assert files_below(shop.repository.root) == before
    for told, names in ((vendored, {filename, f"{filename}.metadata", "1.0.json"}), (promoted, {"1.0.json"})):
        shop.repository.git("fetch", "--quiet", "origin", told["branch"])
        changed = shop.repository.git("diff", "--name-only", "main", "FETCH_HEAD").splitlines()
        assert (sorted(changed), {path.rpartition("/")[2] for path in changed}) == (told["paths"], names)
        assert shop.run("validate", "--base", "main", "--head", "FETCH_HEAD", "--actor", "emilie").code == 0


# Attestations


def attested(world: World, name: str = "demo", answer: Callable[[str, str], hosts.Answer | bytes] | None = None) -> str:
    """Add a wheel of 1.0 whose page states a provenance document, and the *answer* for that; return its name."""
    filename, data = make_wheel(name, "1.0", requires_python=">=3.9")
    sha256 = hashlib.sha256(data).hexdigest()
    world.host.on(f"/provenance/{filename}", (answer or make_provenance)(filename, sha256))
    return world.add(name, "1.0", provenance=f"{world.host.url}/provenance/{filename}")


def stored_beside(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in root.rglob("*.provenance")]


@pytest.mark.parametrize("is_embedded", [True, False])
def test_the_attestations_of_a_release_come_along(
    open_shop: Callable[..., Shop], world: World, tmp_path: Path, *, is_embedded: bool
) -> None:
    filename = attested(world)
    store = {"url": f"file://{tmp_path}/store", "public_url": "https://files.example.org/"}
    content = small_content(**({} if is_embedded else {"storage": store})).stage("emilie/team", volatile=False)
    shop = open_shop(content)
    shop.pushed("demo==1.0", "--commit")
    (file,) = shop.manifest("demo", "1.0")["files"]
    (document,) = stored_beside(shop.repository.root / "files" if is_embedded else tmp_path / "store")
    assert document == make_provenance(filename, file["hashes"]["sha256"])
    assert file["provenance"] == hashlib.sha256(document).hexdigest()
    assert shop.is_sound()
    # What the upstream says of the file by now is another document: the one that is here counts, and nobody is asked.
    world.host.on(f"/provenance/{filename}", hosts.status(500))
    shop.pushed("demo==1.0", "--commit", to="emilie/team")
    (again,) = shop.manifest("demo", "1.0", "emilie/team")["files"]
    assert again == file
    assert shop.is_sound()
    assert world.host.paths.count(f"/provenance/{filename}") == 1


LIES: dict[str, tuple[Callable[[str, str], hosts.Answer | bytes], str]] = {
    "gone": (lambda *_: hosts.status(404), "404"),
    "none": (lambda *_: b"{}", "is no provenance document of version 1"),
    "of another file": (lambda filename, _: make_provenance(filename, "0" * 64), "is of "),
    "large": (lambda *_: bytes(MAX_SIZE + 1), "has more than"),
    "elsewhere": (lambda *_: hosts.redirect("http://192.0.2.7/x"), "not https"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_attestation_is_left_out_and_told(open_shop: Callable[..., Shop], world: World, lie: str) -> None:
    answer, why = LIES[lie]
    filename = attested(world, answer=answer)
    shop = open_shop()
    result = shop.push("demo==1.0", "--commit")
    assert result.code == 0
    assert f"left out: provenance of {filename}: " in result.err
    assert why in result.err
    (file,) = shop.manifest("demo", "1.0")["files"]
    assert "provenance" not in file
    assert stored_beside(shop.repository.root) == []
    assert shop.is_sound()


@pytest.mark.parametrize("answer", [hosts.status(403), hosts.hang_up], ids=["refused", "silent"])
def test_attestations_that_do_not_come_are_waited_for(
    open_shop: Callable[..., Shop], world: World, answer: hosts.Answer
) -> None:
    filename = attested(world, answer=lambda *_: answer)
    shop = open_shop()
    before = files_below(shop.repository.root)
    result = shop.push("demo==1.0", "--commit")
    assert result.code == 3
    assert f"{filename}: its attestations did not come (" in result.err
    assert "nothing was written; run it again, or download the files and upload them yourself" in result.err
    assert files_below(shop.repository.root) == before


# What is required


def test_what_a_vendored_release_requires_is_vendored(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0", extra="Requires-Dist: lib<2\nRequires-Dist: tool\n")
    world.add("lib", "1.0", extra="Requires-Dist: deep\n", core_metadata=None)  # then the wheel itself says it
    world.add("lib", "2.0")
    world.add("tool", "1.0", kind="sdist", extra="Requires-Dist: ours\n")
    for version in ("1.0", "1.5"):
        world.add("deep", version)
    world.add("deep", "1.6", yanked="")
    content = small_content()
    content.release("emilie/prod", "ours", "1.0")
    shop = open_shop(content)
    releases = shop.pushed("demo==1.0", "--with-dependencies")["releases"]
    assert {f"{each['project']} {each['version']}": each["because"] for each in releases} == {
        "demo 1.0": [],
        "lib 1.0": ["demo 1.0"],
        "tool 1.0": ["demo 1.0"],
        "deep 1.5": ["lib 1.0"],
    }
    assert shop.is_sound()


@pytest.mark.parametrize("size", [{}, {"size": None}])
def test_what_is_downloaded_to_choose_has_an_end(
    open_shop: Callable[..., Shop], world: World, monkeypatch: pytest.MonkeyPatch, size: dict[str, Any]
) -> None:
    """An upstream without metadata beside its files has hundreds of versions, none of which fits."""
    world.add("demo", "1.0", extra="Requires-Dist: lib\n")
    for number in range(200):
        world.add("lib", f"1.{number}", extra="Requires-Dist: missing\n", core_metadata=None, **size)
    world.add("missing", "1.0", extra="Requires-Dist: lib<1\n")
    monkeypatch.setattr(promoting, "_MOST_TO_READ", 20_000)
    said = open_shop().refused("demo==1.0", "--with-dependencies", code=3)
    assert "takes more than 20,000 bytes to know" in said
    assert len(said.splitlines()) == 1
    read = [path for path in world.host.paths if path.startswith("/files/lib")]
    assert 1 < len(read) < 60


def test_what_the_mirror_hides_is_not_vendored_along(open_shop: Callable[..., Shop], world: World) -> None:
    world.add("demo", "1.0", extra="Requires-Dist: lib\n")
    world.add("lib", "1.0")
    said = open_shop(deny=["lib"]).refused("demo==1.0", "--with-dependencies")
    assert "demo 1.0 requires lib: root/world itself has no lib" in said
    assert "its allow and deny do not let it through" in said
