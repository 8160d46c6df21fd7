"""What every door of the guard says of a pull request, held against the oracle."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from gitindex import check
from gitindex.audit import audit
from gitindex.errors import GitindexError
from gitindex.git import Repository
from gitindex.receive import Door, Update
from tests.mutants import oracle
from tests.mutants.history import MAIN, Commit, Objects, publish
from tests.mutants.scenarios import Nature, Played, Pull, Scenario, draw, play
from tests.trees import read_piece_by_piece


class Answer(NamedTuple):
    """What a door said."""

    is_refused: bool
    codes: frozenset[str]
    """Of the findings; empty where it could not run at all."""
    words: str = ""
    """What it said where it could not run."""


class Miss(NamedTuple):
    """A door that said something else than the oracle."""

    door: str
    problem: str


class Judgement(NamedTuple):
    """How a scenario went."""

    scenario: Scenario
    is_destroying: bool
    """Whether something is destroyed at a step that was asked about."""
    kinds: tuple[str, ...]
    answer: Answer
    """What `validate` said of it."""
    misses: tuple[Miss, ...]


def judge(nature: Nature, seed: str, folder: Path, objects: Objects, kind: str | None = None) -> Judgement | None:
    """Draw a scenario, put it into a repository below *folder*, and ask all doors; ``None``: it came to nothing."""
    random = Random(seed)  # noqa: S311 - chance that can be had again
    scenario = draw(nature, random, kind)
    played = play(scenario, objects, random)
    if played is None:
        return None
    repository = objects.repository(folder / "repository", played.pull.tip)
    try:
        court = Court(repository, scenario, played, random)
        with read_piece_by_piece(wanted=random.random() < 0.3):
            misses = tuple(court.misses())
    finally:
        shutil.rmtree(repository)
    return Judgement(scenario, court.is_destroying, played.done, court.answer, misses)


class Court:
    """One pull request before all doors."""

    def __init__(self, repository: Path, scenario: Scenario, played: Played, random: Random) -> None:
        self._path = repository
        self._scenario = scenario
        self._pull = played.pull
        self._random = random
        self.answer = Answer(is_refused=False, codes=frozenset())
        pull = played.pull
        compared = pull.head if pull.is_ahead or pull.result is None else pull.result
        self._lost = oracle.lost(pull.tip.files, compared.files)
        self._lost_after = oracle.lost(pull.tip.files, pull.result.files) if pull.result else self._lost
        self._steps = list(_lost_by_steps(pull))
        self.is_lost = bool(self._lost)
        self.is_destroying = bool(self._lost or self._lost_after or self._steps)

    def misses(self) -> Iterator[Miss]:
        """Ask each door; yield what is missed."""
        yield from self._of_validate()
        yield from self._of_staged()
        if self._pull.result is not None:
            yield from self._of_push(self._pull.result)
            yield from self._of_audit(self._pull.result)

    # What is expected

    @property
    def _is_harmless(self) -> bool:
        return self._scenario.nature == "harmless" and not self._lost

    def _compare(
        self, door: str, answer: Answer, lost: list[oracle.Fact], *, must_refuse: bool = False
    ) -> Iterator[Miss]:
        if "unexpected" in answer.words:
            yield Miss(door, answer.words)
        if (lost or must_refuse) and not answer.is_refused:
            yield Miss(door, f"accepted, and it loses {[*map(str, lost[:3])]}")
        elif self._is_harmless and not lost and not must_refuse and answer.is_refused:
            yield Miss(door, f"refused by {sorted(answer.codes) or answer.words}, and nothing is lost")

    # The doors

    def _of_validate(self) -> Iterator[Miss]:
        pull = self._pull
        if pull.is_kept_apart:
            yield from self._compare("validate of the branch", self._validate(pull.tip, pull.head), [])
            assert pull.result is not None
            self.answer = self._validate(pull.tip, pull.result)
            yield from self._compare("validate of the merge", self.answer, self._lost_after)
            return
        options: dict[str, Any] = {"everything": True} if self._random.random() < 0.2 else {}
        if self._scenario.nature == "destructive" and self._random.random() < 0.2:
            options["actor"] = "emilie"  # an admin breaks no promise either
        if pull.is_ahead:
            self.answer = self._validate(pull.tip, pull.head, **options)
            yield from self._compare("validate", self.answer, self._lost, must_refuse=self._is_improper)
            if pull.head.files == pull.tip.files and self.answer.is_refused and not options:
                yield Miss("validate", f"refused by {sorted(self.answer.codes)}, and nothing is changed")
        elif self._scenario.way == "main moved on":
            self.answer = self._validate(None, pull.head, into=pull.tip.id, **options)
            is_conflict = pull.result is None
            yield from self._compare("validate --merge-into", self.answer, self._lost, must_refuse=is_conflict)
        else:
            self.answer = self._validate(pull.tip, pull.head, **options)
            yield from self._compare("validate", self.answer, self._lost, must_refuse=True)

    @property
    def _is_improper(self) -> bool:
        return self._scenario.nature == "improper"

    def _of_staged(self) -> Iterator[Miss]:
        """Stage what the head has, now and then: the hook before a commit sees the same."""
        if self._random.random() > 0.05 or not self._pull.is_ahead or self._pull.is_kept_apart:
            return
        tree = subprocess.run(
            ["git", "read-tree", self._pull.head.id], cwd=self._path, capture_output=True, check=False
        )
        if tree.returncode:  # names that Git takes into no index
            return
        subprocess.run(["git", "config", "core.bare", "false"], cwd=self._path, check=True)
        answer = _ask(lambda: check.run(self._path, self._scenario.folder, staged=True, as_json=True))
        subprocess.run(["git", "config", "core.bare", "true"], cwd=self._path, check=True)
        yield from self._compare("validate --staged", answer, self._lost, must_refuse=self._is_improper)

    def _of_push(self, result: Commit) -> Iterator[Miss]:
        door = Door(self._open())
        answer = _ask(lambda: _receive(door, Update(MAIN, self._pull.tip.id, result.id)))
        is_rewritten = not result.has(self._pull.tip)
        must_refuse = is_rewritten or (self._is_improper and result.files == self._pull.head.files)
        yield from self._compare("push", answer, self._lost_after, must_refuse=must_refuse)

    def _of_audit(self, result: Commit) -> Iterator[Miss]:
        is_remembered = self._random.random() < 0.3
        if is_remembered:
            audit(self._open(), MAIN)
        publish(self._path, result)
        try:
            report = audit(self._open(), MAIN)
        except GitindexError as error:
            if self._is_harmless:
                yield Miss("audit", f"stopped by {error}")
            return
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            yield Miss("audit", traceback.format_exc())
            return
        found = {violation.commit.id for violation in report.violations}
        for commit, lost in self._steps:
            if commit.id not in found:
                yield Miss("audit", f"nothing said of {commit.id}, which loses {[*map(str, lost[:3])]}")
        sound = {commit.id for commit in self._pull.tip.first_parents()}
        if sound & found or (self._is_harmless and found):
            yield Miss("audit", f"says {[v.finding for v in report.violations][:3]} of what is harmless")
        if is_remembered and not found and not self._is_on_first_parents(result):
            if self._lost_after:
                yield Miss("audit", "goes on from the last one, and says nothing of what was lost since")
            if not result.has(self._pull.tip):
                yield Miss("audit", "says nothing of a history that was rewritten")

    def _open(self) -> Repository:
        return Repository.open(self._path, self._scenario.folder)

    def _is_on_first_parents(self, result: Commit) -> bool:
        return any(commit.id == self._pull.tip.id for commit in result.first_parents())

    def _validate(self, base: Commit | None, head: Commit, **options: Any) -> Answer:
        asked: dict[str, Any] = {"head": head.id, "as_json": True, **options}
        if base is not None:
            asked["base"] = base.id
        return _ask(lambda: check.run(self._path, self._scenario.folder, **asked))


def _lost_by_steps(pull: Pull) -> Iterator[tuple[Commit, list[oracle.Fact]]]:
    known = {commit.id for commit in pull.tip.first_parents()}
    for commit in pull.result.first_parents() if pull.result else ():
        if commit.id in known:
            return
        lost = oracle.lost(commit.parents[0].files, commit.files) if commit.parents else []
        if lost:
            yield commit, lost


def _receive(door: Door, update: Update) -> int:
    codes = set()
    for received in door.received([update]):
        codes |= {finding.code for finding in received.verdict.findings}
        if received.verdict.is_refused:
            sys.stdout.write(json.dumps({"findings": [{"code": code} for code in sorted(codes)]}))
            return 1
    return 0


def _ask(run: Any) -> Answer:
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            code = run()
    except GitindexError as error:
        return Answer(is_refused=True, codes=frozenset(), words=str(error))
    except Exception:  # noqa: BLE001 - whatever it is, it is told
        return Answer(is_refused=True, codes=frozenset(), words=f"unexpected {traceback.format_exc()}")
    findings = json.loads(said.getvalue())["findings"] if said.getvalue() else []
    return Answer(is_refused=code != 0, codes=frozenset(finding["code"] for finding in findings))
