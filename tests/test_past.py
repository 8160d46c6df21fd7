"""What a few commits did is read without git: it is what git says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pygit2
import pytest

from gitindex.git import Past
from gitindex.views import ProjectEvent
from tests.test_site_update import Commits, start

FOLDER = "indexes/emilie/prod"


def events(commits: Commits, since: str, head: str) -> list[ProjectEvent]:
    found = Past(commits.repository, head).between(since, head)
    assert found is not None
    return list(found)


def by_git(commits: Commits, since: str, head: str, monkeypatch: pytest.MonkeyPatch) -> list[ProjectEvent]:
    with monkeypatch.context() as patched:
        patched.setattr("gitindex.git.past._FEW", -1)
        return events(commits, since, head)


@pytest.fixture
def without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where git is asked for a history."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("git was run")

    monkeypatch.setattr("gitindex.git.past.ask_git", refuse)


def test_releases_changes_removals_and_statements_are_what_git_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    first = commits.commit(content)
    content.release("emilie/prod", "alpha", "1.10")
    content.release("emilie/prod", "alpha", "1.9")
    content.statements("emilie/prod", "alpha", status="archived")
    content[f"{FOLDER}/alpha/1.0.json"] = b"{}"
    content[f"{FOLDER}/alpha/deep/er/1.0.json"] = b"{}"
    content[f"{FOLDER}/b\udce4d/1.0.json".encode("utf-8", "surrogateescape").decode("latin-1")] = b"{}"
    content[f"{FOLDER}/1.0.json"] = b"{}"
    side = commits.commit(content)
    del content[f"{FOLDER}/beta/1.0.json"]
    content[f"{FOLDER}/beta/1.0.json/2.0.json"] = b"{}"
    commits.commit(content, onto=first)
    content.release("emilie/prod", "alpha", "3.0")
    commits.commit(content, others=(side,))
    content = start()
    content["indexes"] = b"a file"
    for path in [path for path in content if path.startswith("indexes/")]:
        del content[path]
    head = commits.commit(content)
    found = events(commits, first, head)
    assert len(found) > 6
    assert found == by_git(commits, first, head, monkeypatch)


COMMITTER = "committer Emilie Doe <emilie@example.org> 1790000000 +0100\n"
SIGNED = f"{COMMITTER}gpgsig -----BEGIN SSH SIGNATURE-----\n \n abc\n -----END SSH SIGNATURE-----\n"


@pytest.mark.parametrize(
    ("author", "rest", "is_plain"),
    [
        ("Emilie Doe <emilie@example.org> 1 +0000", COMMITTER, True),
        ("Emilie D. <> 1790000000 -0930", COMMITTER, True),
        ("日本 <emilie@example.org> 1 +0000", COMMITTER, True),
        ("Emilie <emilie@example.org> 1 +0000", SIGNED, True),
        ("  Emilie  <emilie@example.org> 1 +0000", COMMITTER, False),
        (" <emilie@example.org> 1 +0000", COMMITTER, False),
        ("Emilie <a> <emilie@example.org> 1 +0000", COMMITTER, False),
        ("Emilie <emilie@example.org> 1 +0000", COMMITTER.replace("1790000000", "99999999999"), False),
        ("Em\udce9lie <emilie@example.org> 1 +0000", f"{COMMITTER}encoding ISO-8859-1\n", False),
        ("Em\udce9lie <emilie@example.org> 1 +0000", COMMITTER, False),
    ],
)
def test_whoever_made_a_commit_is_called_what_git_calls_him(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, author: str, rest: str, *, is_plain: bool
) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    first = commits.commit(content)
    content.release("emilie/prod", "alpha", "2.0")
    tree = commits.git[commits.commit(content)].peel(pygit2.Commit).tree_id
    data = f"tree {tree}\nparent {first}\nauthor {author}\n{rest}\nA message\n".encode("utf-8", "surrogateescape")
    hash_object = ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    made = subprocess.run(hash_object, input=data, cwd=tmp_path / "git", capture_output=True, check=True)
    head = made.stdout.decode().strip()
    said = by_git(commits, first, head, monkeypatch)
    assert events(commits, first, head) == said
    assert [event.entry.released for event in said] == [("2.0",)]
    if is_plain:
        with monkeypatch.context() as patched:
            patched.setattr("gitindex.git.past.ask_git", None)
            assert events(commits, first, head) == said


@pytest.mark.usefixtures("without_git")
def test_a_commit_or_two_need_no_git(tmp_path: Path) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    first = commits.commit(content)
    content.release("emilie/prod", "alpha", "2.0")
    head = commits.commit(content)
    (event,) = events(commits, first, head)
    assert (event.project, event.entry.commit, event.entry.released) == ("alpha", head, ("2.0",))
    assert events(commits, head, head) == []
