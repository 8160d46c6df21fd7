"""The walk in the README does what it says: its commands are run as they stand there, as those of docs/ are."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT, Terminal, read_page
from tests.peers.tools import Tools

PAGE = read_page((ROOT / "README.md").read_text(encoding="utf-8"))

NOT_RUN = {
    "python3 -m venv venv": "it would install over the gitindex that is tested",
    "make demo     validates example-repo/, renders it, installs from the pages with pip, and shows a refused change": (
        "CI runs it: it makes a virtual environment"
    ),
    "gitindex upload dist/* --index emilie/dev --pr          a branch, one commit, and the pull request, filled in": (
        "docs/how-to/pull-requests.md runs it"
    ),
    "gitindex render --out ../site --host nginx": "it needs a bucket; tests/peers/test_hosts.py renders for nginx",
}
"""By first line, why a block of commands is not run."""


def test_blocks_without_a_language_are_those_that_are_known() -> None:
    assert {block.splitlines()[0] for language, block in PAGE.blocks if not language} == set(NOT_RUN)
    assert {language for language, _ in PAGE.blocks} <= {"", "console", "toml"}
    assert PAGE.elsewhere == []


@pytest.mark.peers
def test_readme_walk_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "gitindex" / "example-repo").mkdir(parents=True)
    shutil.copytree(ROOT / "example-repo" / "files", tmp_path / "gitindex" / "example-repo" / "files")
    tools = Tools(tmp_path).with_environment(VIRTUAL_ENV=sys.prefix, NO_COLOR="1", PYTHONUNBUFFERED="1")
    assert len(PAGE.steps) > 15
    with Terminal(tmp_path, tools.environment_of_commands()) as terminal:
        for step in PAGE.steps:
            terminal.run(step)
    for folder in ("here", "served", "pinned"):
        assert (tmp_path / folder / "table_print").is_dir()
    assert (tmp_path / "site" / "emilie" / "prod" / "simple" / "table-print" / "index.html").is_file()
