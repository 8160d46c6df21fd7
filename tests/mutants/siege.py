"""A siege: pull request after pull request, each of edits of any nature; what is accepted is published.

Whatever was promised at any time must be kept at the end.
"""

from __future__ import annotations

import io
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from random import Random
from typing import NamedTuple

from gitindex import check
from gitindex.audit import audit
from gitindex.errors import GitindexError
from gitindex.git import Repository
from tests.mutants import oracle
from tests.mutants.history import MAIN, Commit, Objects, in_a_row, publish
from tests.mutants.scenarios import KINDS, Nature, edited
from tests.mutants.start import VARIANTS, start
from tests.mutants.work import Work
from tests.trees import Files


class Outcome(NamedTuple):
    """How a siege ended."""

    accepted: int
    refused: int
    lost: tuple[oracle.Fact, ...]
    """What was published once, and is not kept."""
    audit: tuple[str, ...]
    """What `audit` says of a history of accepted steps."""


def besiege(seed: str, folder: Path, objects: Objects, pulls: int) -> Outcome:
    """Ask for *pulls* pull requests, one after the other, and publish each that is accepted."""
    random = Random(seed)  # noqa: S311 - chance that can be had again
    begun = start(random.choice(VARIANTS))
    known = dict(begun.known)
    tip = in_a_row(objects, objects.commit(begun.states[0]), begun.states[1:])
    published = [tip]
    repository = objects.repository(folder / "siege", tip)
    try:
        for _ in range(pulls):
            head = _pull(objects, tip, random, known)
            if head is not None and _is_accepted(repository, tip, head):
                tip = head
                published.append(tip)
                publish(repository, tip)
        report = audit(Repository.open(repository), MAIN)
    finally:
        shutil.rmtree(repository)
    lost = tuple(sorted({fact for number in range(len(published)) for fact in _lost_since(published[number:])}))
    said = tuple(f"{violation.finding}" for violation in report.violations)
    return Outcome(len(published) - 1, pulls - len(published) + 1, lost, said)


def _pull(objects: Objects, tip: Commit, random: Random, known: dict[str, bytes]) -> Commit | None:
    natures: list[Nature] = ["destructive", "improper", "harmless", "harmless"]
    chosen = [random.choice(natures) for _ in range(random.randint(1, 3))]
    kinds = [(nature, random.choice(list(KINDS[nature]))) for nature in chosen]
    work = Work(Files(tip.files), tip.files, random, known)
    states, _ = edited(kinds, work)
    return objects.commit(states[-1], tip) if states else None


def _is_accepted(repository: Path, tip: Commit, head: Commit) -> bool:
    try:
        with redirect_stdout(io.StringIO()):
            return check.run(repository, None, base=tip.id, head=head.id) == 0
    except GitindexError:
        return False


def _lost_since(published: list[Commit]) -> list[oracle.Fact]:
    """Return what the first of these states promised and the last does not keep.

    Once it was published that files are kept elsewhere, those in the repository are nobody's promise.
    """
    lost = oracle.lost(published[0].files, published[-1].files)
    is_elsewhere = any(not oracle.is_embedded(commit.files) for commit in published)
    return [fact for fact in lost if not (is_elsewhere and fact.what == "bytes")]
