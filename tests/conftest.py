"""What every test gets: a home of its own, so that nobody's Git or pip configuration decides an outcome."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from itertools import count
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
[maintenance]
    auto = false
"""
"""Without the process that each commit would start to see whether there is something to tidy up."""


class Result(NamedTuple):
    """What a run of the command line did."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


def pytest_collection_finish() -> None:
    """Keep thousands of tests, which stay until the end, out of what is looked through for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return what makes a new home; all are in one folder, as pytest looks through its own for each that it makes."""
    folder = tmp_path_factory.mktemp("homes")
    numbers = count()

    def make() -> Path:
        home = folder / str(next(numbers))
        home.mkdir()
        return home

    return make


@pytest.fixture(autouse=True)
def isolated(homes: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    home = homes()
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
