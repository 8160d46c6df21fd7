"""`--pr` of what keeps a repository in order: `gitindex codeowners` and `gitindex validate --fix`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitindex.cli import command
from tests.conftest import Run
from tests.forge.conftest import make_remote
from tests.forge.github import GitHubServer
from tests.forge.test_proposals import proposed, publish, state
from tests.repositories import IndexRepository, bare_clone, make_repository, small_content

OWNERS = ".github/CODEOWNERS"


def test_every_command_that_commits_proposes() -> None:
    """But `init`: there is nothing yet to open a request against."""

    def options(called: Any, way: str) -> Iterator[tuple[str, set[str]]]:
        yield way, {option for parameter in called.params for option in parameter.opts}
        for name in called.list_commands(None) if hasattr(called, "list_commands") else ():
            yield from options(called.get_command(None, name), f"{way} {name}".strip())

    found = dict(options(command(), ""))
    assert {way for way, flags in found.items() if "--commit" in flags and "--pr" not in flags} == {"init"}
    assert {way for way, flags in found.items() if "--pr" in flags and "--commit" not in flags} == {
        "codeowners",
        "validate",
    }
    assert len([flags for flags in found.values() if "--pr" in flags]) > 15


# CODEOWNERS


def test_codeowners_are_proposed_and_nothing_here_changes(
    clone: IndexRepository, remote: IndexRepository, run: Run
) -> None:
    clone.write("indexes/bob/user.toml", "title = 'not published'\n")
    before = state(clone)
    done = run("codeowners", "--pr")
    assert (done.code, done.out) == (0, f"Write {OWNERS} from the owners and ACLs\n")
    assert done.err.startswith("Pushed gitindex/write-codeowners-of-github, ")
    assert state(clone) == before
    branch = "gitindex/write-codeowners-of-github"
    assert remote.git("diff", "--name-only", "main", branch) == OWNERS
    assert "/bob/" not in remote.git("show", f"{branch}:{OWNERS}")
    assert proposed(run, "codeowners")["request"] == "unchanged"
    clone.git("push", "--quiet", "origin", f"origin/{branch}:main")
    clone.git("clean", "--quiet", "--force", "-d")
    clone.git("reset", "--quiet", "--hard", f"origin/{branch}")
    assert run("codeowners", "--check").code == 0
    assert run("codeowners", "--pr").out == f"{OWNERS} is up to date.\n"
    assert proposed(run, "codeowners")["branch"] is None


def test_codeowners_go_where_the_published_ones_are(clone: IndexRepository, remote: IndexRepository, run: Run) -> None:
    clone.write("docs/CODEOWNERS", "* @everybody\r\n")
    clone.commit("Own")
    clone.git("push", "--quiet", "origin", "main")
    told = proposed(run, "codeowners")
    assert told["file"] == "docs/CODEOWNERS"
    text = remote.git("show", f"{told['branch']}:docs/CODEOWNERS")
    assert text.startswith("* @everybody\n\n# >>> gitindex")
    assert remote.git("diff", "--name-only", "main", told["branch"]) == "docs/CODEOWNERS"


@pytest.mark.parametrize("wrong", ["link", "bytes"])
def test_codeowners_that_cannot_be_read_are_left_alone(
    clone: IndexRepository, remote: IndexRepository, run: Run, wrong: str
) -> None:
    path = clone.path / OWNERS
    path.parent.mkdir()
    if wrong == "link":
        path.symlink_to("/etc/passwd")
    else:
        path.write_bytes(b"\xff")
    clone.commit("Own")
    clone.git("push", "--quiet", "origin", "main")
    before = remote.git("for-each-ref")
    done = run("codeowners", "--pr")
    assert (done.code, done.out, remote.git("for-each-ref")) == (3, "", before)
    assert done.err.startswith(f"gitindex: {OWNERS}: cannot be read: ")


def test_codeowners_lie_at_the_top_of_the_git_repository(run: Run, tmp_path: Path) -> None:
    clone = make_repository(tmp_path / "whole", small_content(), folder="data/packages")
    remote = make_remote(tmp_path / "remote.git", clone)
    bare = bare_clone(IndexRepository(remote.path), tmp_path / "bare.git")
    told = proposed(run, "-C", clone.root, "codeowners")
    assert remote.git("diff", "--name-only", "main", told["branch"]) == OWNERS
    assert "/data/packages/gitindex.toml " in remote.git("show", f"{told['branch']}:{OWNERS}")
    again = proposed(run, "-C", bare, "--folder", "data/packages", "codeowners")
    assert again == {**told, "pushed": False, "request": "unchanged"}


def test_a_request_asks_for_codeowners(github: GitHubServer, run: Run) -> None:
    assert run("codeowners", "--pr").out.endswith("Pull request: https://github.com/emilie/packages/pull/1\n")
    (pull,) = github.pulls
    assert pull["title"] == f"Write {OWNERS} from the owners and ACLs"


# Repairs


def broken(clone: IndexRepository) -> None:
    """Publish what can be repaired: a folder's name, a mode, the ends of lines."""
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    content.release("emilie/dev", "demo", "1.1")
    content.release("emilie/dev", "My.Thing", "1.0")
    manifest = content.pop("indexes/emilie/dev/my-thing/1.0.json")
    content["indexes/emilie/dev/My.Thing/1.0.json"] = manifest
    content["indexes/root/user.toml"] = b"title = 'The admin'\r\n"
    clone.put(content)
    (clone.path / "indexes/emilie/dev/demo/1.1.json").chmod(0o755)
    clone.commit("Publish")
    clone.git("push", "--quiet", "origin", "main")


def test_repairs_of_what_is_published_are_proposed(clone: IndexRepository, remote: IndexRepository, run: Run) -> None:
    broken(clone)
    clone.write("indexes/emilie/user.toml", "not even TOML")
    before = state(clone)
    done = run("validate", "--fix", "--pr")
    assert done.code == 0, done.out
    assert state(clone) == before
    branch = "gitindex/repair-what-is-published"
    repairs = [
        "Rename indexes/emilie/dev/My.Thing to indexes/emilie/dev/my-thing",
        "Write indexes/root/user.toml",
        "Make indexes/emilie/dev/demo/1.1.json a plain file",
    ]
    assert done.out.splitlines()[:3] == repairs
    assert done.out.splitlines()[-1].startswith("Valid: ")
    assert done.err.startswith(f"Pushed {branch}, ")
    assert "indexes/emilie/dev/my-thing/1.0.json" in remote.git("ls-tree", "-r", "--name-only", branch)
    assert "100755" not in remote.git("ls-tree", "-r", branch)
    assert remote.git("show", f"{branch}:indexes/root/user.toml") == "title = 'The admin'"
    again = run("validate", "--fix", "--pr", "--all", "--json")
    told = json.loads(again.out)
    assert (told["branch"], told["pushed"], told["request"]) == (branch, False, "unchanged")
    assert (told["head"], told["done"]) == (told["commit"], repairs)


@pytest.mark.usefixtures("remote")
def test_what_cannot_be_repaired_is_told(clone: IndexRepository, run: Run, tmp_path: Path) -> None:
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    del content[content.stored("emilie/prod", "demo", "1.0")]
    publish(clone, content)
    done = run("validate", "--fix", "--pr", "--format", "github", "--sarif", tmp_path / "x.sarif")
    assert done.code == 1
    assert done.err == "Nothing can be repaired of what is published: nothing was pushed.\n"
    assert done.out.startswith("::error file=indexes/emilie/prod/demo/1.0.json")
    assert "indexes/emilie/prod/demo/1.0.json" in (tmp_path / "x.sarif").read_text()


def test_who_has_no_right_to_repair_proposes_nothing(clone: IndexRepository, remote: IndexRepository, run: Run) -> None:
    broken(clone)
    clone.write("indexes/bob/user.toml", "")
    clone.commit("Bob")
    clone.git("push", "--quiet", "origin", "main")
    before = remote.git("for-each-ref")
    done = run("validate", "--fix", "--pr", "--actor", "bob")
    assert (done.code, remote.git("for-each-ref")) == (1, before)
    assert done.err == "Nothing can be repaired of what is published: nothing was pushed.\n"
    assert run("validate", "--fix", "--pr", "--actor", "emilie").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("codeowners", "--pr", "--check"), "--check and --pr exclude each other; --check writes nothing"),
        (("validate", "--pr"), "--pr proposes what --fix repairs; add --fix"),
        (("validate", "--fix", "--pr", "--staged"), "--staged and --pr exclude each other"),
        (("validate", "--fix", "--pr", "--base", "main"), "--base and --pr exclude each other"),
    ],
)
@pytest.mark.usefixtures("clone")
def test_what_cannot_be_asked_is_said_in_one_line(run: Run, words: tuple[str, ...], told: str) -> None:
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert len(done.err.splitlines()) == 1
