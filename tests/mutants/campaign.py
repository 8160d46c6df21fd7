"""Many scenarios, counted: each kind alone at first, then combined at random."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.mutants.history import Objects
from tests.mutants.judge import judge
from tests.mutants.scenarios import KINDS, Nature
from tests.mutants.siege import besiege

NATURES: tuple[Nature, ...] = ("destructive", "improper", "harmless")


class Item(NamedTuple):
    """One scenario to play."""

    nature: Nature
    seed: str
    kind: str | None
    """Where it is to be of this kind alone."""


class Tally(NamedTuple):
    """What came of some scenarios."""

    judged: int
    """Those that came to something: a destructive one destroyed something."""
    kinds: Counter[str]
    codes: Counter[str]
    """The codes of the findings by which destructive ones were refused."""
    missed: int
    reports: tuple[str, ...]
    """Every miss, with what is needed to see it again."""

    def __add__(self, other: tuple[object, ...]) -> Tally:
        assert isinstance(other, Tally)
        return Tally(
            self.judged + other.judged,
            self.kinds + other.kinds,
            self.codes + other.codes,
            self.missed + other.missed,
            self.reports + other.reports,
        )


NOTHING = Tally(0, Counter(), Counter(), 0, ())


def items(nature: Nature, seed: str) -> Iterator[Item]:
    """Yield scenarios without end: each kind alone, then several together."""
    for kind in KINDS[nature]:
        yield Item(nature, f"{seed}/{nature}/{kind}", kind)
    number = 0
    while True:
        yield Item(nature, f"{seed}/{nature}/{number}", None)
        number += 1


def item_of(seed: str) -> Item:
    """Return the scenario that a report names."""
    nature, last = seed.rsplit("/", 2)[-2:] if seed.rpartition("/")[2].isdigit() else _named(seed)
    found = next(known for known in NATURES if known == nature)
    return Item(found, seed, None if last.isdigit() else last)


def _named(seed: str) -> tuple[str, str]:
    for nature in NATURES:
        for kind in KINDS[nature]:
            if seed.endswith(f"/{nature}/{kind}"):
                return nature, kind
    raise ValueError(seed)


def play_items(chosen: list[Item], parent: Path | None = None) -> Tally:
    """Play scenarios in one store of objects below *parent*, and count what came of them."""
    folder = Path(tempfile.mkdtemp(prefix="mutants-", dir=parent))
    tally = NOTHING
    try:
        objects = Objects(folder / "objects")
        for item in chosen:
            tally += _play(item, folder, objects)
    finally:
        shutil.rmtree(folder)
    return tally


def _play(item: Item, folder: Path, objects: Objects) -> Tally:
    found = judge(item.nature, item.seed, folder, objects, item.kind)
    if found is None or (item.nature == "destructive" and not found.is_destroying):
        missed = found.misses if found else ()
        return NOTHING._replace(missed=bool(missed), reports=tuple(f"{item.seed}: {miss}" for miss in missed))
    reports = (f"{item.seed}\n  {found.scenario}\n  {miss.door}: {miss.problem}" for miss in found.misses)
    return Tally(1, Counter(found.kinds), Counter(found.answer.codes), bool(found.misses), tuple(reports))


def chunks(nature: Nature, seed: str, size: int) -> Iterator[list[Item]]:
    """Yield the scenarios in lists of *size*."""
    unending = items(nature, seed)
    while True:
        yield list(islice(unending, size))


class Siege(NamedTuple):
    """A siege to lay."""

    seed: str
    pulls: int


def lay(sieges: list[Siege], parent: Path | None = None) -> tuple[int, int, tuple[str, ...]]:
    """Lay sieges; return how many pull requests were accepted and refused, and what went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="mutants-", dir=parent))
    accepted = refused = 0
    reports: list[str] = []
    try:
        objects = Objects(folder / "objects")
        for siege in sieges:
            outcome = besiege(siege.seed, folder, objects, siege.pulls)
            accepted, refused = accepted + outcome.accepted, refused + outcome.refused
            if outcome.lost or outcome.audit:
                reports.append(f"{siege}: lost {outcome.lost[:3]}; audit: {outcome.audit[:3]}")
    finally:
        shutil.rmtree(folder)
    return accepted, refused, tuple(reports)
