"""The commands of docs/how-to/pull-requests.md for workflows, as they stand there, at the GitHub of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.forge.github import REPOSITORY, TOKEN, GitHubServer
from tests.pages import scripts_run_by
from tests.repositories import IndexRepository

(SCRIPT,) = scripts_run_by("tests/forge/test_workflow_commands.py", "how-to/pull-requests.md")


def test_commands_of_the_page_do_what_it_says(
    clone: IndexRepository, remote: IndexRepository, github: GitHubServer
) -> None:
    clone.git("switch", "--quiet", "--create", "release")
    clone.write("indexes/emilie/dev/index.toml", 'type = "stage"\ntitle = "For trying out"\nvolatile = true\n')
    head = str(clone.commit("Say what it is for"))
    clone.git("push", "--quiet", "origin", "release")
    clone.git("switch", "--quiet", "main")
    github.skip_to(12)
    pull = {"title": "Say what it is for", "head": "release", "base": "main", "body": "It is empty."}
    assert github.answer("POST", f"/repos/{REPOSITORY}/pulls", TOKEN, pull).status == 201
    (clone.root / "report.md").write_text("All is well.\n")

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", SCRIPT],
        cwd=clone.root,
        env={**os.environ, "PATH": path, "SHA": head},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.partition(" http")[0] for line in done.stdout.splitlines()]
    assert told[:2] == ["Comment created:", "Comment updated:"]
    (comment,) = github.comments
    assert "### gitindex: what installers see" in comment["body"]
    (issue,) = github.issues
    assert (issue["title"], issue["state"]) == ("Upstream: files are gone", "closed")
    assert [label["name"] for label in issue["labels"]] == ["upstream"]
    assert (github.pulls[0]["number"], github.pulls[0]["merged"]) == (12, True)
    assert remote.git("rev-parse", "main") == head
    assert github.merges == [{"sha": head, "merge_method": "squash"}]
