"""GitLab's push options and Gitea's AGit: what a server is told of a push, and what is made of its answer."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gitindex.forge import gitlab
from tests.builders import make_wheel
from tests.conftest import Run
from tests.forge import agit
from tests.forge.test_proposals import proposed
from tests.repositories import IndexRepository, small_content

BRANCH = "gitindex/create-user-bob"
NEW = "https://gitlab.example.org/emilie/packages/-/merge_requests/new"
_RECORD = """\
#!{python}
import json, os, sys
number = int(os.environ.get("GIT_PUSH_OPTION_COUNT", 0))
options = [os.environ["GIT_PUSH_OPTION_" + str(at)] for at in range(number)]
commands = [line.split() for line in sys.stdin]
with open({log!r}, "a") as log:
    log.write(json.dumps({{"commands": commands, "options": options}}) + "\\n")
if options:
    sys.stderr.write("\\nView merge request for it:\\n  https://gitlab.example.org/emilie/packages/-/merge_requests/7\\n")
"""


def hook(remote: IndexRepository, name: str, text: str) -> None:
    path = remote.path / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def told(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def state_forge(remote: IndexRepository, clone: IndexRepository, **forge: str) -> None:
    clone.put(small_content(forge=forge))
    clone.commit("Say where it is")
    clone.git("push", "--quiet", str(remote.path), "main")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def gitlab_remote(clone: IndexRepository, remote: IndexRepository, over_http: str, log: Path) -> IndexRepository:  # noqa: ARG001
    """The remote behind http, with the push options of a GitLab, whose settings say so."""
    state_forge(remote, clone, type="gitlab", url="https://gitlab.example.org")
    remote.git("config", "receive.advertisePushOptions", "true")
    hook(remote, "post-receive", _RECORD.format(python=sys.executable, log=str(log)))
    return remote


@pytest.fixture
def gitea_remote(clone: IndexRepository, remote: IndexRepository, over_http: str, log: Path) -> IndexRepository:  # noqa: ARG001
    """The remote behind http, with AGit."""
    state_forge(remote, clone, type="gitea", url="https://gitea.example.org")
    remote.git("config", "receive.advertisePushOptions", "true")
    remote.git("config", "receive.procReceiveRefs", "refs/for")
    hook(remote, "proc-receive", f'#!/bin/sh\nexec "{sys.executable}" "{agit.__file__}" "{log}"\n')
    return remote


# GitLab


def test_gitlab_is_told_what_to_open(gitlab_remote: IndexRepository, run: Run, log: Path) -> None:
    done = run("user", "create", "bob", "--pr")
    assert done.code == 0, done.err
    assert done.out == (
        "Create user bob\nPull request: https://gitlab.example.org/emilie/packages/-/merge_requests/7\n"
    )
    (push,) = told(log)
    assert push["commands"] == [["0" * 40, gitlab_remote.git("rev-parse", BRANCH), f"refs/heads/{BRANCH}"]]
    description = push["options"].pop(3)
    assert push["options"] == [
        "merge_request.create",
        "merge_request.target=main",
        "merge_request.title=Create user bob",
        "merge_request.remove_source_branch",
    ]
    name, _, text = description.partition("=")
    assert name == "merge_request.description"
    assert text.startswith(r"- Create user bob\n\n### gitindex: what installers see\n\n")


@pytest.mark.usefixtures("gitlab_remote")
def test_the_same_again_is_nothing_for_gitlab(run: Run, log: Path) -> None:
    proposed(run, "user", "create", "bob")
    again = proposed(run, "user", "create", "bob")
    query = "merge_request%5Bsource_branch%5D=gitindex%2Fcreate-user-bob&merge_request%5Btarget_branch%5D=main"
    assert (again["pushed"], again["request"], again["url"]) == (False, "unchanged", f"{NEW}?{query}")
    assert len(told(log)) == 1


@pytest.mark.usefixtures("gitlab_remote")
def test_a_later_push_changes_the_merge_request(run: Run, log: Path, tmp_path: Path) -> None:
    branches = set()
    for text in ("", "x = 1"):
        name, data = make_wheel("demo", "1.0", files={"demo.py": text.encode()})
        (tmp_path / name).write_bytes(data)
        branches.add(proposed(run, "upload", tmp_path / name, "--index", "emilie/dev")["branch"])
    first, second = told(log)
    assert len(branches) == 1
    assert first["commands"][0][1] == second["commands"][0][0]
    assert first["options"] != second["options"]


def test_a_new_line_in_a_text_stays_in_its_line() -> None:
    r"""GitLab makes a line of each ``\n``, and obeys one that starts with a slash."""
    body = gitlab.options("main", "t", "- a\\n/merge\\\\n/approve\n- b")[3].partition("=")[2]
    assert body.replace("\\n", "\n").split("\n") == [r"- a\x0a/merge\\x0a/approve", "- b"]


def test_a_hostile_reason_is_no_command_for_gitlab(
    clone: IndexRepository, gitlab_remote: IndexRepository, run: Run, log: Path
) -> None:
    content = small_content(forge={"type": "gitlab"})
    content.release("emilie/dev", "demo", "1.0")
    clone.put(content)
    clone.commit("Release")
    clone.git("push", "--quiet", str(gitlab_remote.path), "main")
    proposed(run, "yank", "demo==1.0", "--index", "emilie/dev", "--reason", "bad\n/merge\\n/approve")
    description = told(log)[-1]["options"][3]
    assert "approve" in description
    assert not any(line.startswith("/") for line in description.replace("\\n", "\n").splitlines())


@pytest.mark.usefixtures("gitlab_remote")
def test_a_long_text_fits_into_an_option(run: Run, log: Path, tmp_path: Path) -> None:
    files = []
    for number in range(300):
        name, data = make_wheel(f"a-long-name-of-a-project-{number}-" + "x" * 150, "1.0")
        (tmp_path / name).write_bytes(data)
        files.append(tmp_path / name)
    proposed(run, "upload", *files, "--index", "emilie/dev")
    assert 5_000 < len(told(log)[0]["options"][3]) < 65_516


def test_a_server_without_push_options(gitlab_remote: IndexRepository, run: Run, log: Path) -> None:
    gitlab_remote.git("config", "receive.advertisePushOptions", "false")
    done = run("user", "create", "bob", "--pr")
    assert done.code == 0, done.err
    assert "The pull request is for you to open: the server takes no push options." in done.err
    assert done.out.splitlines()[1].startswith(f"Open it: {NEW}?")
    assert [push["options"] for push in told(log)] == [[]]


# Gitea and Forgejo


def test_gitea_is_told_what_to_open(gitea_remote: IndexRepository, run: Run, log: Path) -> None:
    done = run("user", "create", "bob", "--pr")
    assert done.code == 0, done.err
    assert done.out == "Create user bob\nPull request: https://gitea.example.org/emilie/packages/pulls/1\n"
    (push,) = told(log)
    assert push["commands"] == [["0" * 40, gitea_remote.git("rev-parse", "refs/pull/1/head"), "refs/for/main"]]
    topic, title, description, force = push["options"]
    assert (topic, title, force) == (f"topic={BRANCH}", "title=Create user bob", "force-push=true")
    text = base64.b64decode(description.removeprefix("description={base64}"), validate=True).decode()
    assert text.startswith("- Create user bob\n\n### gitindex: what installers see\n\n")
    names = gitea_remote.git("for-each-ref", "--format=%(refname)").splitlines()
    assert names == ["refs/heads/main", "refs/pull/1/head"], "no branch is left over"


@pytest.mark.usefixtures("gitea_remote")
def test_the_same_again_is_the_same_request_at_gitea(run: Run, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, "2026-11-22T07:25:00Z")
    first = proposed(run, "user", "create", "bob")
    again = proposed(run, "user", "create", "bob")  # within the same second: it is the very same commit
    assert (again["commit"], again["pushed"], again["request"]) == (first["commit"], False, "unchanged")
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, "2026-11-22T07:26:00Z")
    later = proposed(run, "user", "create", "bob")
    assert (later["pushed"], later["request"], later["url"]) == (True, "updated", first["url"])
    topics = {push["options"][0] for push in told(log)}
    assert topics == {f"topic={BRANCH}"}


def test_a_gitea_without_agit(gitea_remote: IndexRepository, run: Run) -> None:
    gitea_remote.git("config", "receive.advertisePushOptions", "false")
    told_ = proposed(run, "user", "create", "bob")
    assert told_["url"] == f"https://gitea.example.org/emilie/packages/compare/main...{BRANCH}"
    assert gitea_remote.git("rev-parse", BRANCH) == told_["commit"]
    assert proposed(run, "user", "create", "bob")["commit"] == told_["commit"]
