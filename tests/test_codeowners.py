"""CODEOWNERS: who is asked to review what, made from the users and the ACLs."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from gitindex.codeowners import END, START, Forge, block, codeowners, put_block
from tests.conftest import Run
from tests.repositories import Content, IndexRepository, make_repository


def team() -> Content:
    made = Content().settings(groups={"release-team": ["emilie", "bob"]})
    made.user("root", admin=True, identities=["github:the-admin", "gitlab:admin", "gitea:admin"])
    made.user("emilie", identities=["github:emilie", "ssh:SHA256:" + "q" * 43, "gitlab:emilie", "gitea:emilie"])
    made.user("bob", email="bob@example.org")
    made.mirror("root/pypi")
    made.stage("emilie/prod", volatile=False, acl_upload=[":release-team"])
    made.stage("emilie/dev", bases=["emilie/prod"])
    return made.stage("emilie/closed", acl_upload=[])


def owners_of(path: str, text: str) -> list[str]:
    """Return who owns a path as GitHub reads it: the last line that matches decides."""
    found: list[str] = []
    for line in text.splitlines():
        pattern, *owners = line.split()
        if not pattern.startswith("#") and fnmatchcase(f"/{path}", pattern + ("*" if pattern.endswith("/") else "")):
            found = owners
    return found


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("gitindex.toml", ["@the-admin"]),
        ("indexes/emilie/user.toml", ["@the-admin"]),
        ("indexes/new/user.toml", ["@the-admin"]),
        ("indexes/emilie/new/index.toml", ["@emilie", "@the-admin"]),
        ("indexes/emilie/prod/index.toml", ["@emilie", "@the-admin"]),
        ("indexes/emilie/prod/table-print/1.0.json", ["bob@example.org", "@emilie"]),
        ("indexes/emilie/dev/table-print/1.0.json", ["@emilie"]),
        ("indexes/emilie/closed/table-print/1.0.json", ["@the-admin"]),
        ("files/ab/cd/table_print-1.0.tar.gz", []),
        (".github/workflows/validate.yml", ["@the-admin"]),
        ("README.md", []),
    ],
)
def test_each_path_is_asked_of_those_who_may_change_it(path: str, owners: list[str]) -> None:
    text = block(codeowners(team().snapshot(), Forge.GITHUB, ""), Forge.GITHUB)
    assert owners_of(path, text) == owners


def test_paths_are_those_of_the_git_repository() -> None:
    text = block(codeowners(team().snapshot(), Forge.GITHUB, "our packages"), Forge.GITHUB)
    assert "/our\\ packages/indexes/emilie/prod/ bob@example.org @emilie\n" in text
    assert "\n/.github/ @the-admin\n" in text


def test_other_forges_have_their_own_names_and_forms() -> None:
    gitlab = block(codeowners(team().snapshot(), Forge.GITLAB, ""), Forge.GITLAB)
    assert "/indexes/emilie/dev/ @emilie\n" in gitlab
    assert "/.gitlab-ci.yml @admin\n" in gitlab
    assert "/files/" not in gitlab
    gitea = block(codeowners(team().snapshot(), Forge.GITEA, ""), Forge.GITEA)
    assert "indexes/emilie/prod/index\\.toml @emilie @admin\n" in gitea
    assert "indexes/emilie/dev/.* @emilie\n" in gitea
    assert "indexes/.* " not in gitea
    assert "bob@" not in gitea


def test_login_that_could_be_more_than_a_login_is_left_out() -> None:
    made = team().user("emilie", identities=["github:emilie*", "github:#emilie", "github:@org/all"])
    text = block(codeowners(made.snapshot(), Forge.GITHUB, ""), Forge.GITHUB)
    assert "emilie*" not in text
    assert "#emilie" not in text
    assert "@@" not in text


@pytest.mark.parametrize("before", ["", "* @everybody", "* @everybody\n", "* @everybody\n\n"])
def test_own_lines_stay(before: str) -> None:
    written = f"{START}\n/one @emilie\n{END}\n"
    text = put_block(before, written)
    assert text.startswith(before)
    assert text.endswith(written)
    changed = put_block(text + "/later @bob\n", written.replace("emilie", "bob"))
    assert changed == text.replace("emilie", "bob") + "/later @bob\n"


def test_command_writes_checks_and_leaves_a_current_file_alone(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", team(), folder="packages")
    words = ("-C", repository.root, "codeowners")
    path = repository.path / ".github/CODEOWNERS"
    assert run(*words, "--check").code == 1
    assert not path.exists()
    assert run(*words).out == "Wrote .github/CODEOWNERS.\n"
    assert "/packages/gitindex.toml @the-admin" in path.read_text()
    assert run(*words, "--check").out == ".github/CODEOWNERS is up to date.\n"
    written = path.stat().st_mtime_ns
    assert run(*words).code == 0
    assert path.stat().st_mtime_ns == written
    repository.write("indexes/bob/dev/index.toml", "")
    result = run(*words, "--check")
    assert result.code == 1
    assert "write it with: gitindex codeowners --forge github" in result.err


def test_command_tells_who_cannot_be_asked(run: Run, repository: IndexRepository) -> None:
    result = run("-C", repository.path, "codeowners", "--forge", "gitea")
    assert "Nobody at gitea is asked for emilie, root" in result.err
    assert "gitindex user modify emilie identities+=gitea:LOGIN" in result.err


def test_command_answers_programs(run: Run, repository: IndexRepository) -> None:
    found = json.loads(run("-C", repository.path, "codeowners", "--check", "--json").out)
    assert found["file"] == ".github/CODEOWNERS"
    assert found["current"] is False
    assert {"path": "indexes/emilie/dev/", "owners": ["emilie@example.org"]} in found["lines"]


def test_file_that_cannot_be_read_is_left_alone(run: Run, repository: IndexRepository) -> None:
    path = repository.path / ".github/CODEOWNERS"
    path.parent.mkdir()
    path.write_bytes(b"\xff")
    result = run("-C", repository.path, "codeowners")
    assert result.code == 3
    assert path.read_bytes() == b"\xff"
