"""A bounded part of the fuzzing; `GITINDEX_FUZZ=1000` makes that many examples of each kind.

`benchmarks/fuzz.py` goes on for as long as it is told.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from random import Random

import pytest

from gitindex.errors import CannotRunError
from gitindex.finding import Judgement
from tests.fuzzing import mangle
from tests.fuzzing.targets import TARGETS, FoundError, Ground, TooSlowError, bounded, fuzz, replay
from tests.mutants import oracle

EXAMPLES = {"archives": 300, "signatures": 500, "lines": 60, "options": 60}
"""Those that are quick; of all others there are fewer."""
FEW = 40
MEMORY = 400_000_000
"""Bytes that a target may need beyond what is needed anyhow."""


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_is_hostile_gives_a_traceback_or_a_hang_or_is_accepted_while_it_destroys(
    target: str, tmp_path: Path
) -> None:
    before = peak()
    examples = int(os.environ.get("GITINDEX_FUZZ") or EXAMPLES.get(target, FEW))
    assert fuzz(target, "suite", tmp_path, examples=examples) == examples
    assert peak() - before < MEMORY


def peak() -> int:
    """Return the most memory that this process ever had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


# What finds has to be found out


def test_a_guard_that_accepts_everything_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitindex.guard.judge", lambda *_, **__: Judgement((), ()))
    with pytest.raises(FoundError, match="accepted what"):
        fuzz("trees", "suite", tmp_path, examples=200)


def test_an_error_that_nobody_expected_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("what?")

    monkeypatch.setattr("gitindex.guard.judge", fail)
    with pytest.raises(FoundError, match="KeyError"):
        fuzz("documents", "suite", tmp_path, examples=1)


def test_an_error_that_is_known_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise CannotRunError("it is broken")

    monkeypatch.setattr("gitindex.guard.judge", fail)
    assert fuzz("documents", "suite", tmp_path, examples=1) == 1


def test_what_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def go_on() -> None:
        while True:
            pass

    monkeypatch.setattr("tests.fuzzing.targets.SECONDS", 0.05)
    with pytest.raises(TooSlowError), bounded():
        go_on()


def test_the_same_seed_makes_the_same_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitindex.guard.judge", lambda *_, **__: Judgement((), ()))
    ground = Ground(tmp_path)

    def replay_until_found() -> None:
        for number in range(200):
            replay("stored", f"again/{number}", ground)

    with pytest.raises(FoundError) as first:
        replay_until_found()
    seed = str(first.value).split(" ")[1].rstrip(":")
    with pytest.raises(FoundError) as second:
        replay("stored", seed, ground)
    assert str(first.value) == str(second.value)


@pytest.mark.parametrize("path", ["indexes/emilie/prod/alpha/1.0.json", "indexes/emilie/prod/index.toml"])
def test_mangled_documents_are_not_all_unreadable(path: str, tmp_path: Path) -> None:
    """What no reader gets through would never come to the rules."""
    ground = Ground(tmp_path)
    read = oracle._json if path.endswith(".json") else oracle._toml
    random = Random(1)  # noqa: S311
    made = [mangle.document(random, path, ground.documents[path], []) for _ in range(300)]
    nodes = [ground.tip.files[path.encode()]._replace(data=data) for data in made]
    readable = [node.data for node in nodes if read(node) is not None]
    assert 30 < len({*readable}) < 290
