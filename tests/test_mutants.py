"""A fixed, quick part of the mutation test of the guard; `benchmarks/mutants.py` runs as much of it as is asked for."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from gitindex.finding import Finding, Judgement, Severity
from tests.mutants import oracle
from tests.mutants.campaign import NATURES, Item, Siege, items, lay, play_items
from tests.mutants.history import Objects
from tests.mutants.scenarios import KINDS, Nature, Scenario, edited, play
from tests.mutants.start import VARIANTS, start
from tests.mutants.work import Work
from tests.trees import Files

SEED = "suite"
TOGETHER: dict[Nature, int] = {"destructive": 70, "improper": 15, "harmless": 40}
"""Scenarios of several edits, beside each kind alone."""


@pytest.mark.parametrize("nature", NATURES)
def test_every_kind_of_edit_alone_gets_what_it_deserves_at_every_door(nature: Nature, tmp_path: Path) -> None:
    tally = play_items(list(islice(items(nature, SEED), len(KINDS[nature]))), tmp_path)
    assert tally.reports == ()
    assert tally.judged > len(KINDS[nature]) // 2


@pytest.mark.parametrize("nature", NATURES)
def test_edits_together_get_what_they_deserve_at_every_door(nature: Nature, tmp_path: Path) -> None:
    alone = len(KINDS[nature])
    tally = play_items(list(islice(items(nature, SEED), alone, alone + TOGETHER[nature])), tmp_path)
    assert tally.reports == ()
    assert tally.judged > TOGETHER[nature] // 2


def test_promise_outlives_a_siege_and_the_audit_of_it_is_silent(tmp_path: Path) -> None:
    accepted, refused, wrong = lay([Siege(f"{SEED}/{number}", 20) for number in range(6)], tmp_path)
    assert wrong == ()
    assert accepted
    assert refused


def test_there_are_as_many_kinds_as_were_asked_for() -> None:
    assert len(KINDS["destructive"]) >= 60
    assert len(KINDS["harmless"]) >= 25


# What judges has to be judged


@pytest.mark.parametrize("kind", KINDS["destructive"])
def test_each_destructive_kind_destroys_something_by_the_oracle(kind: str) -> None:
    begun = start("embedded")
    for number in range(20):
        work = Work(Files(begun.states[-1]), begun.states[-1], seeded(f"{kind}{number}"), dict(begun.known))
        states, _ = edited([("destructive", kind)], work)
        befores = [begun.states[-1], *states]
        if any(oracle.lost(before, after) for before, after in zip(befores, states, strict=False)):
            return
        if states and oracle.lost(begun.states[-1], states[-1]):
            return
    pytest.fail("it never destroyed anything")


@pytest.mark.parametrize("kind", KINDS["harmless"])
def test_no_harmless_kind_destroys_anything_by_the_oracle(kind: str) -> None:
    for variant in VARIANTS:
        begun = start(variant)
        work = Work(Files(begun.states[-1]), begun.states[-1], seeded(kind), dict(begun.known))
        for files in edited([("harmless", kind)], work)[0]:
            assert oracle.lost(begun.states[-1], files) == []


def test_oracle_loses_nothing_in_the_same_and_everything_in_nothing() -> None:
    files = start("embedded").states[-1]
    assert oracle.lost(files, Files(files)) == []
    lost = oracle.lost(files, Files())
    assert {fact.what for fact in lost} >= {"non-volatile", "name", "version", "bytes"}
    assert len([fact for fact in lost if fact.what.endswith(": hashes")]) == 12
    assert len([fact for fact in lost if fact.what.startswith("result ")]) == 8
    assert len([fact for fact in lost if fact.what == "bytes"]) == 13


def test_a_guard_that_accepts_everything_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitindex.guard.judge", lambda *_, **__: Judgement((), ()))
    monkeypatch.setattr("gitindex.audit.validate", lambda *_, **__: [])
    tally = play_items(
        [Item("destructive", f"{SEED}/{kind}", kind) for kind in list(KINDS["destructive"])[::9]], tmp_path
    )
    assert tally.judged
    assert tally.missed == tally.judged


def test_a_guard_that_refuses_everything_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = Finding("x", None, "GI001", Severity.ERROR, "no", "never")
    monkeypatch.setattr("gitindex.guard.judge", lambda *_, **__: Judgement((refusal,), ()))
    monkeypatch.setattr("gitindex.audit.validate", lambda *_, **__: [refusal])
    tally = play_items([Item("harmless", f"{SEED}/{kind}", kind) for kind in list(KINDS["harmless"])[::6]], tmp_path)
    assert tally.judged
    assert tally.missed == tally.judged


def test_the_same_seed_gives_the_same_scenario_and_commits(tmp_path: Path) -> None:
    heads = []
    for number in range(2):
        objects = Objects(tmp_path / f"objects{number}")
        random = seeded("again")
        scenario = Scenario(
            "destructive", "embedded", "", "a commit for each step", (("destructive", "sha256 changed"),)
        )
        played = play(scenario, objects, random)
        assert played is not None
        heads.append(played.pull.head.id)
    assert heads[0] == heads[1]


def seeded(seed: str) -> Random:
    return Random(seed)  # noqa: S311 - chance that can be had again
