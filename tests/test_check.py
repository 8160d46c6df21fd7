"""`validate` is read in two ways, by us and by Typer: they read the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gitindex.check import OPTIONS, Format
from gitindex.words import Words, read_words
from tests.conftest import Run
from tests.repositories import IndexRepository


def test_plain_words_are_read_without_typer() -> None:
    words = [
        "-C",
        "somewhere",
        "--folder",
        "pk",
        "validate",
        "--base=HEAD~1",
        "--head",
        "HEAD",
        "--all",
        "--format",
        "json",
    ]
    values = {"base": "HEAD~1", "head": "HEAD", "everything": True, "form": Format.JSON}
    assert read_words("validate", OPTIONS, words, {}) == Words(Path("somewhere"), "pk", values)
    assert read_words("validate", OPTIONS, ["validate"], {}) == Words(Path(), None, {})


@pytest.mark.parametrize(
    "words",
    [
        ["validate", "--help"],
        ["validate", "--nope"],
        ["validate", "extra"],
        ["validate", "--base"],
        ["validate", "--base", "--all"],
        ["validate", "--all=yes"],
        ["validate", "--format", "xml"],
        ["--version", "validate"],
        ["rule", "validate"],
        ["-C"],
        [],
    ],
    ids=" ".join,
)
def test_all_other_words_are_left_to_typer(words: list[str]) -> None:
    assert read_words("validate", OPTIONS, words, {}) is None


@pytest.mark.parametrize("name", ["GITINDEX_DIRECTORY", "_GITINDEX_COMPLETE"])
def test_an_environment_that_typer_knows_is_left_to_typer(name: str) -> None:
    assert read_words("validate", OPTIONS, ["validate"], {name: "x"}) is None


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--staged"],
        ["--all"],
        ["--json"],
        ["--format", "json", "--head", "HEAD"],
        ["--staged", "--worktree"],
        ["--base", "nope"],
    ],
    ids=" ".join,
)
def test_both_ways_answer_the_same(
    repository: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    (repository.root / "indexes/emilie/prod/index.toml").unlink()
    quick = run("-C", repository.root, "validate", *options)
    monkeypatch.setattr("gitindex.words.read_words", lambda *_: None)
    assert run("-C", repository.root, "validate", *options) == quick


def test_a_hook_does_not_import_typer(repository: IndexRepository) -> None:
    code = "import sys\nfrom gitindex.__main__ import main\ntry: main()\nfinally: print('typer' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "-C", repository.root, "validate", "--staged"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_each_option_has_a_name_and_a_flag_of_its_own() -> None:
    assert len({option.name for option in OPTIONS}) == len({option.flag for option in OPTIONS}) == len(OPTIONS)
