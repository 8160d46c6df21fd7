"""What every test gets: a home of its own, so that nobody's Git or pip configuration decides an outcome."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pygit2
import pytest

from gitindex.__main__ import main
from tests.repositories import IndexRepository, make_repository, small_content

EPOCH = "1795332300"
"""2026-11-22T07:25:00Z, the time of every upload."""


GIT_CONFIG = """\
[user]
    name = Emilie Example
    email = emilie@example.org
[init]
    defaultBranch = main
[core]
    fsync = none
"""


class Result(NamedTuple):
    """What a run of the command line did."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(GIT_CONFIG)
    for name in list(os.environ):
        if name.startswith(("GIT_", "GITINDEX_", "XDG_")) or name == "FORCE_COLOR":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    monkeypatch.setenv("NO_COLOR", "1")
    # libgit2 looks for these once, and does not know GIT_CONFIG_GLOBAL.
    pygit2.settings.search_path[pygit2.enums.ConfigLevel.GLOBAL] = str(home)


@pytest.fixture
def repository(tmp_path: Path) -> IndexRepository:
    """A repository with emilie/dev, emilie/prod and root/pypi, committed, and not published yet."""
    return make_repository(tmp_path / "packages", small_content())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process."""

    def run_main(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["gitindex", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run_main
