"""Who did what when: the log of real histories, beside what consecutive states differ in."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings, strategies as st

from gitindex.events import Event, Kind, Scope
from gitindex.git import Repository
from gitindex.git.walk import MOST_CHANGES
from gitindex.log import Asked, Log
from gitindex.names import IndexName, ProjectName, UserName
from tests.conftest import Result, Run
from tests.repositories import Content, IndexRepository, make_repository, small_content, toml

ATOM = "{http://www.w3.org/2005/Atom}"
DAY = 86_400
START = 1_795_305_600
"""2026-11-22T00:00:00Z."""


class History:
    """A repository whose commits are a day apart, each by whom the test says."""

    def __init__(self, path: Path, run: Run, folder: str = "") -> None:
        self.repository: IndexRepository = make_repository(path, folder=folder)
        self.content = small_content()
        self.run = run
        self.days = 0
        self.commit("Start")

    def commit(
        self, subject: str = "Change", *, name: str = "Emilie Example", email: str = "emilie@example.org"
    ) -> str:
        """Commit what *content* has, and nothing else of the index repository."""
        for path in [*self.repository.root.rglob("*")]:
            if path.is_file() and ".git" not in path.relative_to(self.repository.root).parts:
                path.unlink()
        self.repository.put(self.content)
        self.repository.git("add", "--all", "--force")
        self.repository.git("commit", "-q", "--allow-empty", "-m", subject, env=self.moment(name, email))
        return self.repository.git("rev-parse", "HEAD")

    def moment(self, name: str = "Emilie Example", email: str = "emilie@example.org") -> dict[str, str]:
        when = f"{START + self.days * DAY} +0000"
        self.days += 1
        author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": "1000000000 +0000"}
        return {**author, "GIT_COMMITTER_DATE": when}

    def log(self, *words: str) -> Result:
        result = self.run("-C", self.repository.root, "log", *words)
        assert "Traceback" not in result.err
        return result

    def result(self, *words: str) -> list[dict[str, Any]]:
        done = self.log("--json", *words)
        assert done.code == 0, done
        found: dict[str, Any] = json.loads(done.out)
        assert found["type"] == "changelog"
        result: list[dict[str, Any]] = found["result"]
        return result

    def events(self, *words: str) -> list[dict[str, Any]]:
        return [event for step in self.result(*words) for event in step["events"]]

    def newest(self) -> list[dict[str, Any]]:
        """Return what the last commit did."""
        return self.events("--rev", "HEAD~1..HEAD")


@pytest.fixture
def history(tmp_path: Path, run: Run) -> History:
    return History(tmp_path / "history", run)


PRINT = {"index": "emilie/dev", "project": "table-print"}


def test_first_commit_made_all_there_is(history: History) -> None:
    assert history.events() == [
        {"kind": "settings"},
        {"kind": "user-created", "user": "emilie"},
        {"kind": "index-created", "index": "emilie/dev"},
        {"kind": "index-created", "index": "emilie/prod"},
        {"kind": "user-created", "user": "root"},
        {"kind": "index-created", "index": "root/pypi"},
    ]


def test_release_push_yank_and_unyank(history: History) -> None:
    filename = history.content.release("emilie/dev", "table-print", "1.0")
    released = history.commit("Release it")
    assert history.newest() == [{"kind": "released", **PRINT, "version": "1.0"}]
    manifest = "indexes/emilie/{}/table-print/1.0.json"
    history.content[manifest.format("prod")] = history.content[manifest.format("dev")]
    history.commit("Push it")
    prod = {"index": "emilie/prod", "project": "table-print"}
    assert history.newest() == [{"kind": "pushed", **prod, "version": "1.0", "from": ["emilie/dev"]}]
    history.content.statements("emilie/prod", "table-print", yanked={"1.0": "leaks", filename: ""})
    history.commit("Yank it")
    assert history.newest() == [
        {"kind": "yanked", **prod, "version": "1.0", "reason": "leaks"},
        {"kind": "yanked", **prod, "files": [filename]},
    ]
    history.content.statements("emilie/prod", "table-print", yanked={"1.0": "leaks badly"})
    history.commit("Say more, and take one back")
    assert history.newest() == [
        {"kind": "yanked", **prod, "version": "1.0", "reason": "leaks badly"},
        {"kind": "unyanked", **prod, "files": [filename]},
    ]
    del history.content["indexes/emilie/prod/table-print/project.toml"]
    history.commit("Mended")
    assert history.newest() == [{"kind": "unyanked", **prod, "version": "1.0"}]
    kinds = [event["kind"] for event in history.events("table-print")]
    assert kinds == ["unyanked", "yanked", "unyanked", "yanked", "yanked", "pushed", "released"]
    (step,) = history.result("table-print", "--kind", "released")
    assert step == {
        "commit": released,
        "time": "2026-11-23T00:00:00Z",
        "author": "Emilie Example",
        "subject": "Release it",
        "user": "emilie",
        "events": [{"kind": "released", **PRINT, "version": "1.0"}],
    }


def test_push_of_what_was_moved_or_lies_in_two_indexes_names_where_it_was(history: History) -> None:
    history.content.stage("emilie/staging", bases=["emilie/prod"])
    history.content.release("emilie/dev", "table-print", "1.0")
    data = history.content["indexes/emilie/dev/table-print/1.0.json"]
    history.content["indexes/emilie/staging/table-print/1.0.json"] = data
    history.commit()
    del history.content["indexes/emilie/dev/table-print/1.0.json"]
    history.content["indexes/emilie/prod/table-print/1.0.json"] = data
    history.commit()
    removed, pushed = history.newest()
    assert removed == {"kind": "removed", **PRINT, "version": "1.0"}
    assert pushed["from"] == ["emilie/dev", "emilie/staging"]
    assert "from emilie/dev or emilie/staging" in history.log("-n", "2").out


def test_release_of_the_same_version_with_other_bytes_is_no_push(history: History) -> None:
    history.content.release("emilie/dev", "table-print", "1.0")
    history.commit()
    history.content.release("emilie/prod", "table-print", "1.0", text="other")
    history.commit()
    assert [event["kind"] for event in history.newest()] == ["released"]


def test_files_of_a_release_that_come_go_and_are_replaced(history: History) -> None:
    wheel = history.content.release("emilie/dev", "table-print", "1.0")
    history.commit()
    sdist = history.content.release("emilie/dev", "table-print", "1.0", kind="sdist")
    history.commit()
    assert history.newest() == [{"kind": "released", **PRINT, "version": "1.0", "files": [sdist]}]
    path = "indexes/emilie/dev/table-print/1.0.json"
    del history.content[path]
    history.content.release("emilie/dev", "table-print", "1.0", text="other")
    history.commit()
    assert history.newest() == [
        {"kind": "replaced", **PRINT, "version": "1.0", "files": [wheel]},
        {"kind": "removed", **PRINT, "version": "1.0", "files": [sdist]},
    ]
    history.content[path] = history.content[path].replace(b'"size"', b'"requires-python": ">=3.9", "size"')
    history.commit()
    assert history.newest() == [{"kind": "changed", **PRINT, "version": "1.0"}]
    history.content[path] = json.dumps(json.loads(history.content[path])).encode()
    history.commit("Other bytes, the same facts")
    assert history.newest() == []
    history.content[path] = b"{"
    history.commit()
    assert history.newest() == [{"kind": "changed", **PRINT, "version": "1.0"}]
    del history.content[path]
    history.commit()
    assert history.newest() == [{"kind": "removed", **PRINT, "version": "1.0"}]


def test_statements_of_a_project(history: History) -> None:
    history.content.release("emilie/dev", "table-print", "1.0")
    reason = {"status-reason": "use tabulate"}
    history.content.statements("emilie/dev", "table-print", status="deprecated", **reason)
    history.commit()
    assert history.newest()[1:] == [{"kind": "status", **PRINT, "status": "deprecated", "reason": "use tabulate"}]
    history.content.statements("emilie/dev", "table-print", sources=["https://files.example.org/"])
    history.commit()
    assert history.newest() == [
        {"kind": "status", **PRINT, "status": "active"},
        {"kind": "changed", **PRINT, "keys": ["sources"]},
    ]
    history.content["indexes/emilie/dev/table-print/project.toml"] = b"["
    history.commit()
    assert history.newest() == [{"kind": "changed", **PRINT}]


def test_results_of_tests_are_told_once(history: History) -> None:
    history.content.release("emilie/dev", "table-print", "1.0")
    run = {"environment": "py313", "outcome": "passed", "duration": 1.5, "time": "2026-11-22T07:25:00Z"}
    runs = [{**run, "files": ["0" * 64]}, {**run, "files": ["0" * 64], "environment": "lint", "outcome": "failed"}]
    path = "indexes/emilie/dev/table-print/1.0.tests.json"
    for number in (1, 2):
        history.content[path] = json.dumps(runs[:number]).encode()
        history.commit()
    told = {"kind": "tested", **PRINT, "version": "1.0"}
    assert history.newest() == [{**told, "runs": [{"environment": "lint", "outcome": "failed"}]}]
    assert "table-print 1.0: lint failed\n" in history.log("-n1").out
    del history.content[path]
    history.commit()
    assert history.newest() == [told]


def test_definitions_name_the_keys_that_changed(history: History) -> None:
    history.content.stage("emilie/dev", volatile=True, bases=[], title="New")
    history.content.user("emilie", email="emilie@example.org", admin=True, title="Emilie")
    history.content.settings(site={"title": "Ours"})
    history.commit()
    assert history.newest() == [
        {"kind": "settings", "keys": ["site"]},
        {"kind": "user-modified", "user": "emilie", "keys": ["title"]},
        {"kind": "index-modified", "index": "emilie/dev", "keys": ["title", "bases"]},
    ]


def test_index_that_is_renamed_is_one_deleted_and_one_created(history: History) -> None:
    history.content.release("emilie/dev", "table-print", "1.0")
    history.commit()
    for path in [path for path in history.content if path.startswith("indexes/emilie/dev/")]:
        history.content[path.replace("/dev/", "/next/")] = history.content.pop(path)
    history.commit()
    renamed = {"index": "emilie/next", "project": "table-print"}
    assert history.newest() == [
        {"kind": "index-deleted", "index": "emilie/dev"},
        {"kind": "removed", **PRINT, "version": "1.0"},
        {"kind": "index-created", "index": "emilie/next"},
        {"kind": "pushed", **renamed, "version": "1.0", "from": ["emilie/dev"]},
    ]
    assert [event["kind"] for event in history.events("--index", "emilie/dev")][:2] == ["index-deleted", "removed"]
    assert [event["kind"] for event in history.events("table-print")] == ["removed", "pushed", "released"]
    assert [event["kind"] for event in history.events("table-print", "--index", "emilie/dev")] == [
        "removed",
        "released",
    ]


def test_merge_is_one_step_and_has_what_it_adds_itself(history: History) -> None:
    git = history.repository.git
    for branch in ("one", "two", "three"):
        git("checkout", "-q", "-b", branch, "main")
        history.content = small_content()
        for version in ("1.0", "2.0"):
            history.content.release("emilie/dev", branch, version)
            history.commit(name="Somebody", email="somebody@example.org")
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "--no-commit", "one", "two", "three", env=history.moment())
    evil = Content()
    evil.release("emilie/dev", "evil", "1.0")
    history.repository.put(evil)
    git("add", "--all", "--force")
    git("commit", "-q", "-m", "Merge three branches", env=history.moment())
    assert len(git("rev-list", "--parents", "-1", "HEAD").split()) == 5
    (step,) = history.result("--rev", "HEAD~1..HEAD")
    assert step["author"] == "Emilie Example"
    assert step["events"] == [
        {"kind": "released", "index": "emilie/dev", "project": project, "version": version}
        for project, versions in (("evil", ("1.0",)), *((p, ("1.0", "2.0")) for p in ("one", "three", "two")))
        for version in versions
    ]
    assert history.result("two") == [{**step, "events": step["events"][5:]}]


def test_merge_that_drops_what_its_side_brought_tells_nothing(history: History) -> None:
    git = history.repository.git
    git("checkout", "-q", "-b", "side")
    history.content.release("emilie/dev", "table-print", "1.0")
    history.commit()
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "-s", "ours", "-m", "Not that", "side")
    assert history.events("table-print") == []
    assert history.log("table-print").err == "There is nothing of that in this history.\n"


def test_monorepo_whose_folder_looks_like_a_pattern(tmp_path: Path, run: Run) -> None:
    history = History(tmp_path / "mono", run, folder="pack[a]ges/*")
    history.content.release("emilie/dev", "table-print", "1.0")
    history.commit()
    (history.repository.path / "elsewhere.txt").write_text("new\n")
    history.commit("Not ours")
    for words in ((), ("--index", "emilie/dev"), ("table-print",), ("table-print", "--index", "emilie/dev")):
        assert history.events(*words)[0] == {"kind": "released", **PRINT, "version": "1.0"}, words


def test_shallow_clone_tells_what_it_has_and_that_it_ends(history: History, tmp_path: Path, run: Run) -> None:
    for version in ("1.0", "2.0", "3.0"):
        history.content.release("emilie/dev", "table-print", version)
        history.commit()
    clone = tmp_path / "clone"
    history.repository.git("clone", "-q", "--depth=2", f"file://{history.repository.path}", str(clone))
    done = run("-C", clone, "log", "--json")
    events = [event for step in json.loads(done.out)["result"] for event in step["events"]]
    assert events == [{"kind": "released", **PRINT, "version": "3.0"}]
    assert "git fetch --unshallow" in done.err


def test_configuration_of_a_user_changes_nothing(history: History) -> None:
    history.content.release("emilie/dev", "table-print", "1.0")
    history.commit()
    history.content.release("emilie/prod", "table-print", "1.0")
    del history.content["indexes/emilie/dev/table-print/1.0.json"]
    history.commit()
    words = ("table-print", "--index", "emilie/prod")
    plain = history.events(), history.events(*words)
    for key, value in (
        ("log.follow", "true"),
        ("log.showRoot", "false"),
        ("log.showSignature", "true"),
        ("log.diffMerges", "off"),
        ("log.date", "relative"),
        ("log.decorate", "full"),
        ("diff.renames", "copies"),
        ("diff.relative", "true"),
        ("diff.noprefix", "true"),
        ("format.pretty", "oneline"),
        ("color.ui", "always"),
        ("core.abbrev", "4"),
        ("log.mailmap", "true"),
    ):
        history.repository.git("config", key, value)
    assert (history.events(), history.events(*words)) == plain


def test_who_and_when_choose(history: History) -> None:
    history.content.release("emilie/dev", "one", "1.0")
    history.commit(email="EMILIE@example.org", name="Somebody Else")
    history.content.release("emilie/dev", "two", "1.0")
    history.commit(email="stranger@example.org", name="emilie")
    history.content.release("emilie/dev", "three", "1.0")
    history.commit()

    def projects(*words: str) -> list[str]:
        return [event["project"] for event in history.events("--kind", "released", *words)]

    assert projects() == ["three", "two", "one"]
    assert projects("--user", "emilie") == ["three", "one"]
    assert projects("-n", "2") == ["three", "two"]
    assert projects("--since", "2026-11-24") == ["three", "two"]
    assert projects("--since", "2026-11-24T00:00:01Z") == ["three"]
    assert projects("--since", "2026-11-24T01:00:00+02:00") == ["three", "two"]
    assert projects("--until", "2026-11-24") == ["two", "one"]
    assert projects("--since", "2026-11-24", "--until", "2026-11-24") == ["two"]
    assert projects("--since", "1850-01-01") == ["three", "two", "one"]
    assert projects("--until", "1850-01-01") == []
    assert projects("--since", "2999-01-01") == []
    assert projects("--rev", "HEAD~1") == ["two", "one"]
    assert projects("--rev", "HEAD~2..HEAD~1") == ["two"]
    assert projects("--rev", "HEAD~1..") == ["three"]


def test_old_commit_in_between_ends_nothing(history: History) -> None:
    history.content.release("emilie/dev", "one", "1.0")
    history.commit()
    history.days = -3000
    history.content.release("emilie/dev", "two", "1.0")
    history.commit("The clock was wrong")
    history.days = 9
    history.content.release("emilie/dev", "three", "1.0")
    history.commit()
    found = history.events("--since", "2026-11-23")
    assert [event["project"] for event in found] == ["three", "one"]


def test_two_users_of_one_address_are_nobody(history: History) -> None:
    history.content.user("bob", email="emilie@example.org")
    history.commit()
    assert all("user" not in step for step in history.result())
    assert history.events("--user", "bob") == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--since", "yesterday"], 2, "--since 'yesterday' is no date"),
        (["--until", "2026-13-01"], 2, "--until '2026-13-01' is no date"),
        (["--rev", "nowhere"], 1, "nowhere: no such revision"),
        (["--rev", "HEAD...HEAD"], 2, "three dots"),
        (["--rev", "HEAD..nowhere"], 1, "nowhere: no such revision"),
        (["--index", "emilie"], 2, "no name of an index"),
        (["--user", "-x"], 2, "'-x' is no name of a user"),
        (["../x"], 2, "no name of a project"),
        (["--json", "--format", "atom"], 2, "exclude each other"),
        (["--kind", "eaten"], 2, "eaten"),
        (["-n", "0"], 2, "--max-count"),
    ],
)
def test_what_cannot_be_asked_is_one_line(history: History, words: list[str], code: int, said: str) -> None:
    result = history.log(*words)
    assert (result.code, result.out) == (code, "")
    assert said in result.err


def test_repository_without_a_commit_has_no_history(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "new")
    repository.put(small_content())
    result = run("-C", repository.path, "log")
    assert (result.code, result.out) == (1, "")
    assert "no commit yet" in result.err


def test_history_that_is_broken_is_one_line(history: History) -> None:
    history.content.release("emilie/dev", "table-print", "1.0")
    history.commit()
    parent = history.repository.git("rev-parse", "HEAD~1")
    (history.repository.path / ".git/objects" / parent[:2] / parent[2:]).unlink()
    result = history.log("--kind", "settings")
    assert result.code == 3
    assert result.err.count("\n") == 1


HOSTILE = "\x1b[2J\x1b]0;x\x07<script>&amp;'\"]]>\u202e\u0085"


def test_hostile_text_is_spelled_out(history: History) -> None:
    history.content.release("emilie/dev", "table-print", "1.0")
    history.content.statements("emilie/dev", "table-print", yanked={"1.0": HOSTILE, f"{HOSTILE}.whl": "x"})
    git = history.repository.git
    history.commit(HOSTILE)
    # Git mends what it is given, and takes an object as it is.
    odd = b"author \xff\x1b[31mOdd \x02 <odd@example.org> 1 +0000"
    lines = git("cat-file", "commit", "HEAD").encode().split(b"\n")
    data = b"\n".join(odd if line.startswith(b"author ") else line for line in lines)
    git("update-ref", "HEAD", git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=data))
    text = history.log().out
    assert all(line.isprintable() for line in text.splitlines())
    assert r"\xff\x1b[31mOdd" in text
    step = history.result("table-print")[0]
    assert step["author"].startswith("\\udcff\x1b[31mOdd")
    assert step["events"][1]["reason"] == HOSTILE or step["events"][2]["reason"] == HOSTILE
    titles = [entry.findtext(f"{ATOM}summary") for entry in feed(history.log("--format", "atom")).iter(f"{ATOM}entry")]
    assert any("<script>&amp;'\"]]>" in (title or "") for title in titles)


def feed(result: Result) -> ET.Element:
    """Return a feed that has all that RFC 4287 demands."""
    assert result.code == 0, result
    root = ET.fromstring(result.out)  # noqa: S314 - we made it
    assert root.tag == f"{ATOM}feed"
    for element in (root, *root.iter(f"{ATOM}entry")):
        for name in ("title", "id", "updated"):
            assert len(element.findall(f"{ATOM}{name}")) == 1
        assert element.findtext(f"{ATOM}id")
        assert element.find(f"{ATOM}author/{ATOM}name") is not None
        assert element.find(f"{ATOM}link") is not None or element.find(f"{ATOM}summary") is not None or element is root
    ids = [element.text for element in root.iter(f"{ATOM}id")]
    assert len({*ids}) == len(ids)
    return root


def test_feed_is_valid_and_its_ids_stay(history: History) -> None:
    assert len([*feed(history.log("--format", "atom", "x")).iter(f"{ATOM}entry")]) == 0
    history.content.settings(site={"url": "https://packages.example.org/index"})
    wheel = history.content.release("emilie/dev", "table-print", "1.0")
    history.content.release("emilie/dev", "table-print", "1.0", kind="sdist")
    yanked = {"1.0": "", wheel: "bad"}
    history.content.statements("emilie/dev", "table-print", status="archived", yanked=yanked)
    commit = history.commit("Do all at once")
    root = feed(history.log("--format", "atom"))
    narrow = feed(history.log("--format", "atom", "table-print", "--index", "emilie/dev"))
    entries = [ET.tostring(entry) for entry in narrow.iter(f"{ATOM}entry")]
    assert {*entries} <= {ET.tostring(entry) for entry in root.iter(f"{ATOM}entry")}
    first = next(narrow.iter(f"{ATOM}entry"))
    assert first.findtext(f"{ATOM}title") == "table-print 1.0 released in emilie/dev"
    assert first.findtext(f"{ATOM}updated") == narrow.findtext(f"{ATOM}updated") == "2026-11-23T00:00:00Z"
    assert first.findtext(f"{ATOM}author/{ATOM}name") == "emilie"
    site = "https://packages.example.org/index/"
    assert first.find(f"{ATOM}link").attrib["href"] == f"{site}emilie/dev/project/table-print/"  # type: ignore[union-attr]
    assert first.findtext(f"{ATOM}id") == f"{site}#log/{commit}/released/emilie/dev/table-print/1.0"


def test_lines_come_while_git_still_looks(history: History) -> None:
    """Whoever wants the first line only does not wait for the rest, and leaves no process."""
    for number in range(20):
        history.content.release("emilie/dev", "table-print", f"{number}.0")
        history.commit()
    steps = Log(
        Repository.open(history.repository.root), Asked(scope=Scope(project=ProjectName("table-print")))
    ).steps()
    assert next(steps).events[0].version == "19.0"
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    steps.close()  # type: ignore[attr-defined]
    if children.exists():
        for child in children.read_text().split():
            assert b"--first-parent" not in Path(f"/proc/{child}/cmdline").read_bytes()


# Random histories: the log tells what consecutive states differ in


class State(NamedTuple):
    """What a commit holds, as a model."""

    releases: Mapping[tuple[str, str, str], tuple[tuple[str, str], ...]]
    """Index, project, version; filename and sha256 of each file."""
    yanks: Mapping[tuple[str, str, str], str]
    statuses: Mapping[tuple[str, str], str]
    titles: Mapping[str, str]
    """The indexes that are defined."""

    def files(self) -> Content:
        content = Content().settings()
        for name, title in self.titles.items():
            content.stage(name, title=title)
        for (index, project, version), files in self.releases.items():
            for filename, sha256 in files:
                entry = {"filename": filename, "hashes": {"sha256": sha256}, "size": 1}
                content.add_file(index, project, version, entry)
        for index, project in {*self.statuses, *(key[:2] for key in self.yanks)}:
            yanked = {key[2]: reason for key, reason in self.yanks.items() if key[:2] == (index, project)}
            status = self.statuses.get((index, project))
            content.statements(index, project, yanked=yanked, **({"status": status} if status else {}))
        return content


INDEXES, PROJECTS, VERSIONS = ("emilie/dev", "emilie/prod", "bob/dev"), ("alpha", "beta"), ("1.0", "2.0")
STATUSES = ("archived", "deprecated")
NAMES = ("w-py3-none-any.whl", "s.tar.gz")
keys = st.tuples(st.sampled_from(INDEXES), st.sampled_from(PROJECTS), st.sampled_from(VERSIONS))
digests = st.sampled_from(["a" * 64, "b" * 64])
states = st.builds(
    State,
    st.dictionaries(
        keys,
        st.dictionaries(st.sampled_from(NAMES), digests, min_size=1).map(lambda files: tuple(sorted(files.items()))),
        max_size=6,
    ),
    st.dictionaries(keys, st.sampled_from(["", "bad"]), max_size=3),
    st.dictionaries(keys.map(lambda key: key[:2]), st.sampled_from(STATUSES), max_size=2),
    st.dictionaries(st.sampled_from(INDEXES), st.sampled_from(["", "x"]), max_size=3),
)
EMPTY_STATE = State({}, {}, {}, {})


def expected(before: State, after: State) -> Iterator[tuple[Any, ...]]:
    """Yield what two states differ in, told from the models alone."""
    if before is EMPTY_STATE:
        yield ("settings",)
    for name in {*before.titles, *after.titles}:
        was, now = before.titles.get(name), after.titles.get(name)
        if was is None:
            yield "index-created", name
        elif now is None:
            yield "index-deleted", name
        elif was != now:
            yield "index-modified", name
    yield from expected_releases(before, after)
    for key in {*before.yanks, *after.yanks}:
        if key not in after.yanks:
            yield "unyanked", *key, ""
        elif before.yanks.get(key) != after.yanks[key]:
            yield "yanked", *key, after.yanks[key]
    for place in {*before.statuses, *after.statuses}:
        if before.statuses.get(place) != after.statuses.get(place):
            yield "status", *place, after.statuses.get(place, "active")


def expected_releases(before: State, after: State) -> Iterator[tuple[Any, ...]]:
    for key in {*before.releases, *after.releases}:
        old, new = dict(before.releases.get(key, ())), dict(after.releases.get(key, ()))
        if not new:
            yield "removed", *key, ()
            continue
        added = {name: digest for name, digest in new.items() if name not in old}
        if added:
            others = [
                name
                for name in INDEXES
                if name != key[0] and added.items() <= dict(before.releases.get((name, *key[1:]), ())).items()
            ]
            kind = "pushed" if others else "released"
            yield kind, *key, tuple(added) if old else (), *sorted(others)
        for kind, names in (
            ("replaced", tuple(name for name in new if old.get(name, new[name]) != new[name])),
            ("removed", tuple(name for name in old if name not in new)),
        ):
            if names:
                yield kind, *key, names


def as_told(event: Event) -> tuple[Any, ...]:
    index = str(event.index)
    match event.kind:
        case Kind.SETTINGS:
            return ("settings",)
        case Kind.INDEX_CREATED | Kind.INDEX_MODIFIED | Kind.INDEX_DELETED:
            return event.kind.value, index
        case Kind.STATUS:
            return "status", index, event.project, event.status
        case Kind.YANKED | Kind.UNYANKED:
            return event.kind.value, index, event.project, event.version, event.reason
    origins = tuple(map(str, event.origins))
    return event.kind.value, index, event.project, event.version, tuple(sorted(event.files, reverse=True)), *origins


def normal(told: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(tuple(sorted(part, reverse=True)) if isinstance(part, tuple) else part for part in told)


def import_history(path: Path, steps: list[tuple[State, State | None]]) -> None:
    """Make a history of whole states; a step with a second one is the merge of a branch that has it."""
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch", "main", path], check=True)
    out = bytearray()
    for number, (state, side) in enumerate(steps):
        merged = b""
        if side is not None and number:
            write_commit(out, b"refs/heads/side", number, b"from refs/heads/main\n", side)
            merged = b"merge refs/heads/side\n"
        write_commit(out, b"refs/heads/main", number, merged, state)
        if merged:
            out.extend(b"reset refs/heads/side\n\n")
    subprocess.run(["git", "fast-import", "--quiet", "--force"], cwd=path, input=bytes(out), check=True)


def write_commit(out: bytearray, branch: bytes, number: int, parents: bytes, state: State) -> None:
    out.extend(b"commit %s\ncommitter E <e@example.org> %d +0000\ndata 1\nx\n" % (branch, START + number))
    out.extend(parents + b"deleteall\n")
    for name, data in state.files().items():
        out.extend(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data))


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.tuples(states, st.none() | states), min_size=1, max_size=5))
def test_log_tells_exactly_what_consecutive_states_differ_in(
    steps: list[tuple[State, State | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("random") / "index.git"
    import_history(path, steps)
    wanted = [
        sorted(map(normal, expected(before, after)), key=repr)
        for before, after in pairwise([EMPTY_STATE, *(state for state, _ in steps)])
    ][::-1]
    repository = Repository.open(path)

    def told(scope: Scope) -> list[list[tuple[Any, ...]]]:
        found = Log(repository, Asked(scope=scope)).steps()
        return [sorted(map(normal, map(as_told, step.events)), key=repr) for step in found]

    assert told(Scope()) == [step for step in wanted if step]
    for name in INDEXES:
        index = IndexName(*((UserName(name.partition("/")[0]), name.partition("/")[2])))
        of_index = [[event for event in step if event[1:2] == (name,)] for step in wanted]
        assert told(Scope(index)) == [step for step in of_index if step]
        of_project = [[event for event in step if event[2:3] == ("alpha",)] for step in of_index]
        assert told(Scope(index, ProjectName("alpha"))) == [step for step in of_project if step]
    everywhere = [[event for event in step if event[2:3] == ("beta",)] for step in wanted]
    assert told(Scope(None, ProjectName("beta"))) == [step for step in everywhere if step]


def test_commit_of_many_changes_is_told_as_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_CHANGES > 100
    release = ((NAMES[0], "a" * 64),)
    before = State({("emilie/dev", "alpha", "1.0"): release}, {}, {}, {"emilie/dev": ""})
    after = State({("emilie/prod", p, v): release for p in PROJECTS for v in VERSIONS}, {}, {}, {"emilie/prod": ""})
    import_history(tmp_path / "index.git", [(before, None), (after, None)])

    def told() -> list[tuple[Event, ...]]:
        return [step.events for step in Log(Repository.open(tmp_path / "index.git"), Asked()).steps()]

    whole = told()
    assert len(whole[0]) == 7
    monkeypatch.setattr("gitindex.git.walk.MOST_CHANGES", 1)
    assert told() == whole


def test_users_of_toml_are_read_as_they_are_now(history: History) -> None:
    history.content["indexes/emilie/user.toml"] = toml({"email": "new@example.org"})
    history.commit(email="new@example.org")
    assert [step.get("user") for step in history.result()] == ["emilie", None]
