"""`gitindex import simple`: what the pages state comes in, checked; a hostile or broken server changes nothing else."""

from __future__ import annotations

import json
import signal
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gitindex.git import Repository
from gitindex.site import render
from tests import hosts
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.hosts import Host
from tests.importing.shown import digest, entries, entry, put, released, subjects
from tests.importing.world import TIME, World, start
from tests.peers.foreign import Foreign, dumb_pypi, pypiserver
from tests.peers.server import SiteServer
from tests.repositories import Content, IndexRepository, bare_clone, files_below, make_repository, small_content
from tests.upstream.pages import page, sent

WHEEL, SDIST, NEWER = make_wheel("demo", "1.0"), make_sdist("demo", "1.0"), make_wheel("demo", "2.0")
OTHER = make_wheel("other", "1.0")
INTO = ("--index", "emilie/prod", "--commit")


@pytest.fixture
def world(host: Host) -> World:
    return World(host)


def test_files_come_with_what_the_page_says_of_them(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL, yanked="too slow")
    world.add("demo", SDIST, upload_time="2024-04-01T00:00:00.123456Z", yanked="too slow")
    world.add("demo", NEWER, upload_time=None, yanked=True)
    world.add("other", OTHER)
    world.show("other", project_status={"status": "deprecated", "reason": "use demo"})
    before = len(subjects(repository))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert (done.code, done.out) == (0, "emilie/prod: 4 files of 3 releases brought\n")
    assert released(repository, "emilie/prod") == {name: digest(data) for name, data in (WHEEL, SDIST, NEWER, OTHER)}
    assert entry(repository, "emilie/prod", WHEEL[0])["upload-time"] == TIME
    assert entry(repository, "emilie/prod", SDIST[0])["upload-time"] == "2024-04-01T00:00:00.123456Z"
    stated = tomllib.loads((repository.path / "indexes/emilie/prod/demo/project.toml").read_text())
    assert stated == {"yanked": {"1.0": "too slow", "2.0": ""}}
    status = tomllib.loads((repository.path / "indexes/emilie/prod/other/project.toml").read_text())
    assert status == {"status": "deprecated", "status-reason": "use demo"}
    assert len(subjects(repository)) == before + 1
    assert run("-C", repository.path, "verify").code == 0


def test_half_a_character_is_none(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL, yanked="bad \ud800")
    world.show("demo", project_status={"status": "deprecated", "reason": "\udfff"})
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert (done.code, done.out) == (0, "emilie/prod: 1 file of 1 release brought\n")
    stated = tomllib.loads((repository.path / "indexes/emilie/prod/demo/project.toml").read_text())
    assert stated == {"yanked": {"1.0": "bad ?"}, "status": "deprecated", "status-reason": "?"}


def test_nothing_is_asked_for_again(run: Run, repository: IndexRepository, world: World) -> None:
    paths = [world.add("demo", WHEEL), world.add("demo", SDIST)]
    command = ("-C", repository.path, "import", "simple", world.url, *INTO)
    run(*command)
    assert world.asked_for() == sorted(paths)
    head = repository.git("rev-parse", "HEAD")
    newer = world.add("demo", NEWER)
    assert run(*command).out == "emilie/prod: 1 file of 1 release brought, 2 unchanged\n"
    assert world.asked_for() == [newer]
    assert run(*command).out == "emilie/prod: 0 files of 0 releases brought, 3 unchanged\n"
    assert repository.git("rev-parse", "HEAD~1") == head


def test_bytes_that_another_index_has_are_not_fetched(run: Run, tmp_path: Path, world: World) -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0")
    data = content[content.stored("emilie/dev", "demo", "1.0")]
    repository = make_repository(tmp_path / "packages", content)
    world.add("demo", ("demo-1.0-py3-none-any.whl", data))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert (done.code, world.asked_for()) == (0, [])
    assert released(repository, "emilie/prod") == released(repository, "emilie/dev")
    assert repository.git("status", "--porcelain") == ""


def test_bytes_that_the_storage_has_are_not_fetched(run: Run, tmp_path: Path, world: World) -> None:
    repository = make_repository(tmp_path / "packages", small_content(storage={"url": f"file://{tmp_path}/store/"}))
    path = world.add("demo", WHEEL)
    command = ("-C", repository.path, "import", "simple", world.url, "--commit", "--index")
    assert run(*command, "emilie/prod").code == 0
    assert world.asked_for() == [path]
    assert run(*command, "emilie/dev").code == 0
    assert (world.asked_for(), released(repository, "emilie/dev")) == ([], {WHEEL[0]: digest(WHEEL[1])})


def test_only_the_named_projects_come(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL)
    world.add("other", OTHER)
    options = (*INTO, "--project", "Demo", "--project", "unknown")
    done = run("-C", repository.path, "import", "simple", world.url, *options)
    assert done.code == 1
    assert f"left out: emilie/prod: unknown: {world.url} has no such project" in done.out
    assert released(repository, "emilie/prod") == {WHEEL[0]: digest(WHEEL[1])}


LIES: dict[str, tuple[dict[str, Any], bytes | None, str]] = {
    "other bytes": ({}, b"PK" + bytes(len(WHEEL[1]) - 2), "has the sha256 "),
    "more bytes": ({}, WHEEL[1] + b"more", "has more bytes than the "),
    "fewer bytes": ({}, WHEEL[1][:-1], "has fewer bytes than the "),
    "no digest": ({"hashes": {}}, None, "no sha256 is stated of it"),
    "weak digest": ({"hashes": {"md5": "0" * 32}}, None, "no sha256 is stated of it"),
    "other project": ({"filename": OTHER[0], "url": f"../../files/{OTHER[0]}"}, None, "is listed under demo"),
    "no archive": ({"hashes": {"sha256": digest(b"no zip")}, "size": 6}, b"no zip", "is a broken archive"),
}


@pytest.mark.parametrize("lie", LIES)
def test_file_that_is_not_what_the_page_says_is_left_out(
    run: Run, repository: IndexRepository, world: World, lie: str
) -> None:
    stated, data, why = LIES[lie]
    world.add("demo", WHEEL, *([] if data is None else [data]), **stated)
    world.add("demo", NEWER)
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert done.code == 1
    assert f": {why}" in done.out
    assert released(repository, "emilie/prod") == {NEWER[0]: digest(NEWER[1])}
    assert run("-C", repository.path, "validate", "--all").code == 0


def test_statement_that_the_rules_refuse_is_left_out_alone(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL, yanked="x" * (1 << 20))
    world.add("other", OTHER, yanked="slow")
    world.add("gone", make_wheel("gone", "1.0"))
    world.host.on("/simple/gone/", sent(page(name="gone", project_status={"status": "quarantined"})))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert done.code == 1
    assert "left out: emilie/prod: yanks and status of demo: GI001: " in done.out
    assert "note: emilie/prod: gone: lists no files, and is quarantined: nothing of it is here" in done.out
    assert sorted(released(repository, "emilie/prod")) == [WHEEL[0], OTHER[0]]
    assert not (repository.path / "indexes/emilie/prod/demo/project.toml").exists()
    assert (repository.path / "indexes/emilie/prod/other/project.toml").exists()
    assert run("-C", repository.path, "validate", "--all").code == 0


@pytest.mark.parametrize(
    "url", ["http://192.0.2.7/demo", "file:///etc/passwd", "ftp://127.0.0.1/x", "https://a:b@127.0.0.1/x"]
)
def test_page_cannot_have_files_fetched_from_elsewhere(
    run: Run, repository: IndexRepository, world: World, url: str
) -> None:
    world.add("demo", WHEEL, url=f"{url}/{WHEEL[0]}")
    world.add("demo", NEWER)
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert released(repository, "emilie/prod") == {NEWER[0]: digest(NEWER[1])}
    assert done.code == 1
    assert f"left out: emilie/prod: {WHEEL[0]}: is on the page of demo, and not taken: its link " in done.out


def test_file_without_digest_is_believed_only_when_that_is_said(
    run: Run, repository: IndexRepository, world: World
) -> None:
    world.add("demo", WHEEL, hashes={})
    command = ("-C", repository.path, "import", "simple", world.url, *INTO, "--without-digests")
    assert run(*command).code == 0
    assert released(repository, "emilie/prod") == {WHEEL[0]: digest(WHEEL[1])}
    assert run(*command).out == "emilie/prod: 0 files of 0 releases brought, 1 unchanged\n"


def test_what_does_not_come_is_told_and_comes_the_next_time(
    run: Run, repository: IndexRepository, world: World
) -> None:
    lost = world.add("demo", WHEEL, *[hosts.status(403)], WHEEL[1])
    gone = world.add("demo", SDIST, hosts.status(410), hosts.status(410), SDIST[1])
    here = world.add("demo", NEWER)
    command = ("-C", repository.path, "import", "simple", world.url, *INTO)
    done = run(*command)
    assert done.code == 1
    assert f"missing: emilie/prod: {WHEEL[0]}: 127.0.0.1" in done.out
    assert f"left out: emilie/prod: {SDIST[0]}: answers 410" in done.out
    assert world.asked_for() == sorted([lost, gone, here])
    world.host.on(gone, hosts.status(403))
    assert run(*command).code == 3
    world.host.on(gone, SDIST[1])
    assert run(*command).code == 0
    assert len(released(repository, "emilie/prod")) == 3


def test_page_that_does_not_come_leaves_the_others(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL)
    world.add("other", OTHER)
    world.host.on("/simple/other/", hosts.status(403))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert done.code == 3
    assert "missing: emilie/prod: other: " in done.out
    assert released(repository, "emilie/prod") == {WHEEL[0]: digest(WHEEL[1])}


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("http://packages.example.org/simple/", 2, "a server without it is reached through a tunnel"),
        ("https://bob:secret@packages.example.org/simple/", 2, "name and password come from ~/.netrc"),
        ("packages.example.org", 2, "which is not https"),
        ("https://packages.example.org/simple/?x=1", 2, "has a query"),
        ("http://127.0.0.1:1/simple/", 3, "does not answer"),
    ],
)
def test_url_that_cannot_be_asked_is_told_in_one_line(
    run: Run, repository: IndexRepository, url: str, code: int, told: str
) -> None:
    before = files_below(repository.path)
    done = run("-C", repository.path, "import", "simple", url, *INTO)
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert len(done.err.splitlines()) == 1
    assert "secret" not in done.err
    assert files_below(repository.path) == before


def test_list_without_projects_is_no_index(run: Run, repository: IndexRepository, world: World, host: Host) -> None:
    world.show("demo")
    host.on("/simple/", hosts.status(404))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert done.code == 1
    assert "lists no projects; give the URL of its simple page, or --project NAME" in done.err


def test_other_bytes_than_the_index_has_are_a_conflict(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL)
    command = ("-C", repository.path, "import", "simple", world.url, *INTO)
    run(*command)
    other = World(world.host)
    other.add("demo", make_wheel("demo", "1.0", files={"demo.py": b"other"}))
    other.add("demo", NEWER)
    other.asked_for()
    done = run(*command)
    assert done.code == 1
    assert f"conflict: emilie/prod: {WHEEL[0]}" in done.out
    assert other.asked_for() == [f"/files/{NEWER[0]}"]
    assert released(repository, "emilie/prod")[WHEEL[0]] == digest(WHEEL[1])


def test_somebodys_whole_world_is_not_brought_in(
    run: Run, repository: IndexRepository, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitindex.importers.simple.MOST_PROJECTS", 1)
    world.add("demo", WHEEL)
    world.add("other", OTHER)
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert (done.code, done.out) == (2, "")
    assert "lists 2 projects, which is no private index; name those that you want: --project NAME" in done.err
    assert world.asked_for() == []


def test_history_is_told_release_by_release(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", NEWER, upload_time="2022-01-01T00:00:00Z", yanked="")
    world.add("demo", WHEEL, upload_time="2021-01-01T00:00:00Z")
    world.add("demo", SDIST, upload_time="2021-06-01T00:00:00Z")
    world.add("other", OTHER, upload_time="2021-03-01T00:00:00Z")
    before = len(subjects(repository))
    done = run("-C", repository.path, "import", "simple", world.url, "--index", "emilie/prod", "--history")
    assert done.code == 0, done.out
    assert subjects(repository)[before:] == [
        "Release demo 1.0 to emilie/prod",
        "Release other 1.0 to emilie/prod",
        "Release demo 2.0 to emilie/prod",
        f"State yanks and statuses of emilie/prod as {world.url} does",
    ]
    dates = repository.git("log", "--reverse", "--format=%aI").splitlines()[before : before + 3]
    assert [date[:10] for date in dates] == ["2021-01-01", "2021-03-01", "2022-01-01"]
    assert run("-C", repository.path, "audit").code == 0
    assert repository.git("status", "--porcelain") == ""


def test_times_that_nobody_lived_in_do_not_stop_a_history(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL, upload_time="0001-01-01T00:00:00Z")
    world.add("demo", NEWER, upload_time="9999-12-31T23:59:59Z")
    world.add("other", OTHER, upload_time="1970-01-01T00:00:00Z")
    done = run("-C", repository.path, "import", "simple", world.url, "--index", "emilie/prod", "--history")
    assert done.code == 0, done.err
    assert entry(repository, "emilie/prod", WHEEL[0])["upload-time"] == "0001-01-01T00:00:00Z"
    times = dict(line.split("|") for line in repository.git("log", "-3", "--format=%s|%at").splitlines())
    assert times["Release demo 2.0 to emilie/prod"] == "253402300799"
    assert times["Release other 1.0 to emilie/prod"] == "0"
    assert int(times["Release demo 1.0 to emilie/prod"]) > 1_000_000_000


@pytest.mark.parametrize("options", [(), ("--history",)], ids=["plain", "history"])
def test_killed_import_is_gone_on_with(
    run: Run, repository: IndexRepository, world: World, options: tuple[str, ...]
) -> None:
    go = threading.Event()
    first = [world.add("demo", WHEEL), world.add("demo", SDIST)]
    last = world.add("other", OTHER, hosts.held(go, hosts.content(OTHER[1])))
    command: list[str | Path] = ["-C", repository.path, "import", "simple", world.url, *INTO, *options]
    running = start(*command)
    _until(lambda: {*first, last} <= set(world.host.paths))
    wanted = {WHEEL[0], SDIST[0]}  # a folder is there before its file is whole
    _until(lambda: wanted <= {path.name for path in Path.home().glob(".cache/gitindex/*/import/*/*")})
    running.kill()
    running.communicate()
    go.set()
    assert run("-C", repository.path, "validate", "--all").code == 0
    world.asked_for()
    assert run(*command).code == 0
    assert world.asked_for() == [last]
    assert len(released(repository, "emilie/prod")) == 3
    assert repository.git("status", "--porcelain") == ""
    assert not list(Path.home().glob(".cache/gitindex/*/import"))


def test_import_killed_at_any_moment_leaves_a_valid_repository(
    run: Run, repository: IndexRepository, world: World
) -> None:
    wheels = [make_wheel(f"demo{number}", "1.0") for number in range(12)]
    for number, wheel in enumerate(wheels):
        world.add(f"demo{number}", wheel)
    command = ("-C", repository.path, "import", "simple", world.url, "--index", "emilie/prod", "--history")
    for commits in (1, 4, 8):
        running = start(*command)
        _until(lambda: int(repository.git("rev-list", "--count", "HEAD")) > commits)  # noqa: B023 - at once
        running.kill()
        running.communicate()
        assert running.returncode == -signal.SIGKILL
        assert commits < int(repository.git("rev-list", "--count", "HEAD")) < len(wheels)
        (repository.path / ".git/index.lock").unlink(missing_ok=True)  # as Git itself asks for
        done = run("-C", repository.path, "validate", "--all")
        assert done.code == 0, done.out
    assert run(*command).code == 0
    assert released(repository, "emilie/prod") == {name: digest(data) for name, data in wheels}
    assert run("-C", repository.path, "audit").code == 0
    assert repository.git("status", "--porcelain") == ""


def _until(happens: Any) -> None:
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def everything() -> Content:
    """Return an index with all that a page can say."""
    content = small_content()
    for version in ("1.0", "1.1", "2.0"):
        content.release("emilie/prod", "Demo.Thing", version, requires_python=">=3.9")
        content.release("emilie/prod", "Demo.Thing", version, kind="sdist", requires_python=">=3.9")
    content.release("emilie/prod", "other", "2!1.0")
    content.release("emilie/prod", "local", "1.0+a.b")
    content.statements("emilie/prod", "demo-thing", yanked={"1.1": "a < b", "demo_thing-2.0.tar.gz": ""})
    return content.statements("emilie/prod", "other", status="archived", **{"status-reason": "done"})


@pytest.mark.parametrize("negotiates", [True, False], ids=["JSON", "HTML"])
def test_pages_are_the_same_before_and_after(run: Run, tmp_path: Path, *, negotiates: bool) -> None:
    there = make_repository(tmp_path / "there", everything())
    here = make_repository(tmp_path / "here", small_content())
    render(Repository.open(there.path).worktree(), tmp_path / "before")
    with SiteServer(tmp_path / "before", negotiates=negotiates) as server:
        done = run("-C", here.path, "import", "simple", f"{server.url}/emilie/prod/simple/", *INTO)
    assert done.code == 0, done.out
    render(Repository.open(here.path).worktree(), tmp_path / "after")
    pages = "emilie/prod/simple"
    before, after = (files_below(tmp_path / side / pages) for side in ("before", "after"))
    assert before == after
    assert json.loads(after["demo-thing/index.json"])["files"]


@pytest.mark.peers
@pytest.mark.parametrize("serve", [pypiserver, dumb_pypi])
def test_indexes_of_others_come_in_whole(run: Run, repository: IndexRepository, tmp_path: Path, serve: Any) -> None:
    files = dict([WHEEL, NEWER, OTHER])
    running: Foreign
    with serve(tmp_path / "foreign", files) as running:
        done = run("-C", repository.path, "import", "simple", running.simple, *INTO)
    assert done.code == 0, done.out + done.err
    assert released(repository, "emilie/prod") == {name: digest(data) for name, data in files.items()}
    assert len(entries(repository, "emilie/prod")) == 3
    assert put(tmp_path / "again", *files.items()) == released(repository, "emilie/prod")


def test_interrupted_import_says_that_it_can_go_on(
    run: Run, repository: IndexRepository, world: World, tmp_path: Path
) -> None:
    world.add("demo", WHEEL, hosts.silent)
    report = ("--report", tmp_path / "report.md")
    running = start("-C", repository.path, "import", "simple", world.url, *INTO, *report)
    _until(lambda: f"/files/{WHEEL[0]}" in world.host.paths)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=10)
    assert (running.returncode, out) == (130, "")
    assert err.splitlines()[0] == "Broken off: the same command goes on from here."
    assert "Traceback" not in err
    assert "the same command goes on" in (tmp_path / "report.md").read_text()
    world.add("demo", WHEEL)
    assert run("-C", repository.path, "import", "simple", world.url, *INTO).code == 0


def test_index_repository_may_be_a_folder_of_the_git_repository(run: Run, tmp_path: Path, world: World) -> None:
    repository = make_repository(tmp_path / "mono", small_content(), folder="deep/packages")
    world.add("demo", WHEEL, yanked="slow")
    done = run("-C", repository.root, "import", "simple", world.url, "--index", "emilie/prod", "--history")
    assert (done.code, repository.git("status", "--porcelain")) == (0, "")
    assert released(repository, "emilie/prod") == {WHEEL[0]: digest(WHEEL[1])}
    assert run("-C", repository.root, "audit").code == 0
    assert run("-C", repository.root, "import", "simple", world.url, *INTO).code == 0
    assert len(subjects(repository)) == 3


def test_bare_repository_has_nowhere_to_import_to(run: Run, tmp_path: Path, repository: IndexRepository) -> None:
    bare = bare_clone(repository, tmp_path / "bare.git")
    done = run("-C", bare, "import", "simple", "https://packages.example.org/", *INTO)
    assert (done.code, done.out) == (3, "")
    assert "a bare repository has nowhere to import to; clone it, and import there" in done.err


def test_commit_that_a_hook_refuses_is_made_by_the_next_run(
    run: Run, repository: IndexRepository, world: World
) -> None:
    world.add("demo", WHEEL)
    hook = repository.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    command = ("-C", repository.path, "import", "simple", world.url, *INTO)
    done = run(*command)
    assert (done.code, done.out) == (3, "")
    assert "written, and not committed" in done.err
    hook.unlink()
    assert run(*command).code == 0
    assert repository.git("status", "--porcelain") == ""
    assert run("-C", repository.path, "validate", "--all").code == 0


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "a URL that ends otherwise": ({"url": "/packages/17/download"}, "its URL ends with 'download', and pip calls"),
    "http": ({"url": f"http://files.example.org/{NEWER[0]}"}, "its link leads to 'http://files.example.org', "),
    "a blank": ({"url": f"/f x/{NEWER[0]}"}, "its URL has signs in it that have to be escaped"),
    "no URL": ({"url": None}, "the page states no filename or no url"),
    "digests that are none": ({"hashes": 5}, "what the page states of it makes no sense"),
    "a name that is a path": ({"filename": "..\\x", "url": "/f/..%5Cx"}, "is no filename that can be taken"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_file_that_cannot_be_taken_from_a_page_is_told(
    run: Run, repository: IndexRepository, world: World, case: str
) -> None:
    stated, why = UNFIT[case]
    world.add("demo", WHEEL)
    world.add("demo", NEWER, **stated)
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    name = str(stated.get("filename", NEWER[0]))
    assert done.code == 1
    assert f"left out: emilie/prod: {name}: is on the page of demo, and not taken: {why}" in done.out
    assert released(repository, "emilie/prod") == {WHEEL[0]: digest(WHEEL[1])}


def test_link_of_an_html_page_that_cannot_be_asked_is_told(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL)
    links = {
        f"/files/{WHEEL[0]}#sha256={digest(WHEEL[1])}": WHEEL[0],
        f"http://files.example.org/{NEWER[0]}": "a link",
        "../other/": "another page",
        "/packages/17/download": f"\n <b>{SDIST[0]}</b>\n",
    }
    anchors = "".join(f'<a href="{link}">{text}</a> between ' for link, text in links.items())
    world.host.on("/simple/demo/", hosts.content(anchors.encode(), content_type="text/html"))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert (done.code, len(done.out.splitlines())) == (1, 3)
    assert f"left out: emilie/prod: {SDIST[0]}: is on the page of demo, and not taken: its URL ends with" in done.out
    assert f"left out: emilie/prod: {NEWER[0]}: is on the page of demo, and not taken: its link leads to" in done.out


def test_name_with_two_digests_is_told(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL)
    world.add("demo", WHEEL)
    world.add("demo", WHEEL, hashes={"sha256": "a" * 64})
    done = run("-C", repository.path, "import", "simple", world.url, *INTO)
    assert done.code == 1
    assert f"is listed twice, with the sha256 {digest(WHEEL[1])} and {'a' * 64}: the first one counts" in done.out
    assert (len(done.out.splitlines()), released(repository, "emilie/prod")) == (2, {WHEEL[0]: digest(WHEEL[1])})


def test_page_of_nothing_but_what_cannot_be_taken_is_told_within_bounds(
    run: Run, repository: IndexRepository, world: World
) -> None:
    world.host.on("/simple/demo/", sent(page(*[{"filename": f"x{number}"} for number in range(1_500)], name="demo")))
    done = run("-C", repository.path, "import", "simple", world.url, *INTO, "--project", "demo")
    assert (done.code, len(done.out.splitlines())) == (1, 1 + 1_001)
    assert "500 more of its files: is on the page of demo, and not taken: cannot be taken either" in done.out
    assert "lists no files" not in done.out


def test_project_that_is_named_twice_is_one(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL, hashes={})
    options = ("--project", "demo", "--project", "Demo", "--without-digests")
    done = run("-C", repository.path, "import", "simple", world.url, *INTO, *options)
    assert (done.code, done.out) == (0, "emilie/prod: 1 file of 1 release brought\n")


def test_what_nobody_finds_again_is_not_kept(run: Run, repository: IndexRepository, world: World) -> None:
    world.add("demo", WHEEL, hashes={})
    world.add("demo", NEWER, b"broken" * 1000, hashes={}, size=6000)
    world.add("other", OTHER, yanked="slow", hashes={"sha256": "a" * 64})
    command = ("-C", repository.path, "import", "simple", world.url, *INTO, "--without-digests")
    for _ in range(2):
        assert run(*command).code == 1
        assert not list(Path.home().glob(".cache/gitindex/*/import/of-unknown-digest*"))


def test_commits_of_a_history_that_stops_are_told(
    run: Run, repository: IndexRepository, world: World, tmp_path: Path
) -> None:
    for file, day in ((WHEEL, 1), (NEWER, 2)):
        world.add("demo", file, upload_time=f"2024-03-0{day}T12:00:00Z")
    hook = repository.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n! git diff --cached --name-only | grep -q demo/2.0.json\n")
    hook.chmod(0o755)
    command = ("-C", repository.path, "import", "simple", world.url, "--index", "emilie/prod", "--history")
    done = run(*command, "--report", tmp_path / "report.md")
    head = repository.git("rev-parse", "HEAD")
    assert (done.code, done.out) == (3, "emilie/prod: 1 file of 1 release brought\n")
    assert done.err.splitlines()[:2] == [
        f"Committed as {head[:12]}.",
        "Broken off: the same command goes on from here.",
    ]
    assert (tmp_path / "report.md").read_text().splitlines()[2:] == [
        "- `emilie/prod`: 1 file of 1 release brought",
        f"- committed as {head[:12]}",
        "- Broken off: the same command goes on from here.",
    ]
    hook.unlink()
    world.add("demo", make_wheel("demo", "3.0"), upload_time="2024-03-03T12:00:00Z")
    hook.write_text("#!/bin/sh\n! git diff --cached --name-only | grep -q demo/3.0.json\n")
    hook.chmod(0o755)
    stopped = run(*command, "--json")
    said = json.loads(stopped.out)
    assert (stopped.code, said["broken_off"]) == (3, True)
    assert [each["commits"] for each in said["brought"]] == [[repository.git("rev-parse", "HEAD")]]
    hook.unlink()
    assert json.loads(run(*command, "--json").out)["broken_off"] is False
