"""The whole story of a team: a release to dev, its tests, its promotion, the site, a yank, and what is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.builders import make_sdist, make_wheel
from tests.conftest import Result, Run
from tests.peers.server import SiteServer
from tests.repositories import IndexRepository

TOX = b"[tox]\nenv_list = unit\n[testenv]\ncommands = python -c 'import table_print'\n"
HOOK = f"#!/bin/sh\nexec {sys.executable} -m gitindex pre-receive\n"


class Team:
    """An index repository at a remote that is guarded by a hook, and a clone to work in."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._run = run
        self.folder = folder
        assert run("-C", folder, "init", "first", "--user", "emilie").code == 0
        first = IndexRepository(folder / "first")
        self.remote = folder / "remote.git"
        first.git("clone", "--quiet", "--bare", str(first.path), str(self.remote))
        (self.remote / "hooks" / "pre-receive").write_text(HOOK)
        (self.remote / "hooks" / "pre-receive").chmod(0o755)
        first.git("clone", "--quiet", str(self.remote), str(folder / "clone"))
        self.clone = IndexRepository(folder / "clone")

    def run(self, *words: object) -> Result:
        """Run gitindex in the clone."""
        return self._run("-C", self.clone.path, *map(str, words))

    def done(self, *words: object) -> str:
        """Run gitindex in the clone, and return what it says; it has to succeed."""
        result = self.run(*words)
        assert result.code == 0, result.err
        return result.out

    def proposed(self, *words: object) -> str:
        """Run a command with --pr, and return the branch that it pushed."""
        return str(json.loads(self.done(*words, "--pr", "--json"))["branch"])

    def merge(self, branch: str) -> None:
        """Do what the button of a forge does, once the check of the pull request is green."""
        git = self.clone.git
        git("fetch", "--quiet", "--prune", "origin")
        head = git("rev-parse", f"origin/{branch}")
        checked = self.run(
            "validate", "--merge-into", "refs/remotes/origin/main", "--head", head, "--expect-head", head
        )
        assert checked.code == 0, checked.out
        git("checkout", "--quiet", "-B", "main", "origin/main")
        git("merge", "--quiet", "--no-ff", "--message", f"Merge {branch}", head)
        git("push", "--quiet", "origin", "main", f":{branch}")

    def pushed(self) -> subprocess.CompletedProcess[str]:
        """Push what is committed to the protected branch."""
        command = ["git", "push", "--quiet", "origin", "HEAD:main"]
        return subprocess.run(command, cwd=self.clone.path, capture_output=True, text=True, check=False)


class Package(NamedTuple):
    """The repository of a package: what it has built."""

    dist: Path

    def build(self, version: str) -> list[Path]:
        """Build a release: a wheel, and an sdist with its tests."""
        made = []
        members = {"pyproject.toml": b"", "tox.ini": TOX}
        for name, data in (make_wheel("table-print", version), make_sdist("table-print", version, files=members)):
            path = self.dist / name
            path.write_bytes(data)
            made.append(path)
        return made


def pip(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--isolated", "--disable-pip-version-check", "--no-cache-dir"]
    return subprocess.run([*command, "--no-deps", *words], capture_output=True, text=True, check=False)


@pytest.mark.peers
def test_story_of_a_release(tmp_path: Path, run: Run) -> None:  # noqa: PLR0915 - a story is told in one go
    team = Team(tmp_path, run)
    (tmp_path / "dist").mkdir()
    package = Package(tmp_path / "dist")
    say: Callable[..., str] = team.done

    # The team decides that only what was tested gets to prod.
    say("index", "modify", "emilie/prod", "require_tests=true", "--commit")
    assert team.pushed().returncode == 0

    # A package repository releases to dev, twice: a release candidate that nobody tests, and the release.
    for version in ("1.0rc1", "1.0"):
        team.merge(team.proposed("upload", *package.build(version), "--index", "emilie/dev"))
    assert "table-print" in say("list", "--index", "emilie/dev")

    # What was not tested is not promoted, and nothing is pushed of it.
    refused = team.run("push", "table-print==1.0rc1", "emilie/dev", "emilie/prod", "--pr")
    assert (refused.code, "GI305" in refused.err) == (1, True)

    # Its tests pass, and are recorded.
    log = tmp_path / "tests.log"
    assert team.run("test", "table-print==1.0", "--index", "emilie/dev", "--commit", "--log", log).code == 0
    assert team.pushed().returncode == 0

    # It is promoted by a pull request, and the preview says what changes, and for whom.
    branch = team.proposed("push", "table-print==1.0", "emilie/dev", "emilie/prod")
    team.clone.git("fetch", "--quiet", "origin")
    preview = say("diff", "origin/main", f"origin/{branch}", "--format", "markdown")
    assert "1.0" in preview
    assert "emilie/prod" in preview
    team.merge(branch)
    # The same again is no change.
    assert "nothing was pushed" in team.run("push", "table-print==1.0", "emilie/dev", "emilie/prod", "--pr").err

    # The guard refuses a bad one at every door.
    manifest = team.clone.path / "indexes/emilie/prod/table-print/1.0.json"
    manifest.unlink()
    team.clone.git("checkout", "--quiet", "-B", "bad")
    head = team.clone.commit("Take it away")
    bad = team.run("validate", "--merge-into", "refs/remotes/origin/main", "--head", head)
    assert (bad.code, "GI20" in bad.out) == (1, True)
    rejected = team.pushed()
    assert rejected.returncode != 0
    assert "GI20" in rejected.stderr
    team.clone.git("checkout", "--quiet", "-B", "main", "origin/main")

    # The site is published, and pip installs from it.
    site = tmp_path / "site"
    site.mkdir()
    say("publish", "--to", site.as_uri(), "--site", tmp_path / "rendered")
    with SiteServer(site) as server:
        index = f"{server.url}/emilie/prod/simple/"
        done = pip("--index-url", index, "--target", str(tmp_path / "one"), "table-print")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "one/table_print-1.0.dist-info").is_dir()

        # A yank follows, by a pull request too: what is pinned is still there, and nobody gets it unasked.
        reason = "breaks on wide tables"
        team.merge(team.proposed("yank", "table-print==1.0", "--index", "emilie/prod", "--reason", reason))
        say("publish", "--to", site.as_uri(), "--site", tmp_path / "rendered")
        assert pip("--index-url", index, "--target", str(tmp_path / "two"), "table-print").returncode != 0
        pinned = pip("--index-url", index, "--target", str(tmp_path / "three"), "table-print==1.0")
        assert pinned.returncode == 0, pinned.stderr
        assert reason in pinned.stderr

    # And the history tells it all, and proves it.
    assert team.run("audit").code == 0
    steps = json.loads(say("log", "table-print", "--index", "emilie/prod", "--json"))["result"]
    events = [(event["kind"], event["version"]) for step in steps for event in step["events"]]
    assert events == [("yanked", "1.0"), ("pushed", "1.0")]
    dev = say("log", "table-print", "--index", "emilie/dev")
    assert [word for word in ("released", "tested") if word not in dev] == []
    assert team.run("verify").code == 0
