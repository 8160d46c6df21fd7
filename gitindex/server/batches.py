"""Makes commits of changes, on top of each other: those that are independent are judged together.

Nothing leads to the commits: whoever asks for them moves the branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from gitindex.check import today
from gitindex.edits.plan import Plan
from gitindex.errors import UsageError
from gitindex.finding import Finding
from gitindex.git.authors import Author
from gitindex.git.commits import Kept
from gitindex.model import User
from gitindex.names import UserName
from gitindex.snapshot import Snapshot
from gitindex.write import checked, checked_together, places

if TYPE_CHECKING:
    from gitindex.git import Repository

_LARGE = 1 << 20
"""Bytes of a file that is not written while others wait."""

ChangeOf = Callable[[Snapshot], Plan]
"""Makes the plan of a change from what the branch holds. It may be called more than once, on top of other commits."""


class Written(NamedTuple):
    """What became of a change."""

    notes: tuple[str, ...]
    """What it does, a line each."""
    commit: str | None
    """``None`` where nothing had to change."""
    warnings: tuple[Finding, ...] = ()
    is_proposed: bool = False
    """Whether it waits for somebody to merge it."""
    url: str = ""
    """The pull request, where it is known."""


@dataclass(eq=False)
class Asked:
    """A change that somebody asks for, and what was done for it already."""

    change: ChangeOf
    actor: UserName | None
    """Who asks, a user of the repository."""
    kept: dict[str, Kept] = field(default_factory=dict)
    """The large files that are written already, by path."""
    stored: set[str] = field(default_factory=set)
    """The same for those that lie in a storage outside of the repository."""
    places: frozenset[str] = frozenset()
    """What it adds something to, as far as that is known."""


class ToKeep(NamedTuple):
    """What a change needs before it can be committed; it is known to be right."""

    base: str
    files: Mapping[str, bytes | Path]
    is_outside: bool
    url: str


Made = Written | ToKeep | Exception


def make(repository: Repository, jobs: Sequence[Asked], tip: str) -> tuple[list[Made], str]:
    """Make a commit of each change, on top of each other; return what became of each, and the last commit.

    No reference leads to them yet.
    """
    made: dict[Asked, Made] = {}
    last, left = repository.at(tip), list(jobs)
    while left:
        group, left = _independent(left, last, made)
        plans = [(plan, job.actor) for job, plan in group]
        found = checked_together(last, plans, today()) if len(group) > 1 else None
        warnings = [(finding, _about(finding)) for finding in found or ()]
        ground, tip = _Ground(last), str(last.name)
        for job, plan in group:
            if found is None:
                ground = _Ground(repository.at(tip)) if tip != ground.snapshot.name else ground
                made[job] = told(partial(_judge_and_commit, repository, job, ground))
            else:
                own = tuple(finding for finding, paths in warnings if not paths.isdisjoint(job.places))
                made[job] = told(partial(_commit, repository, job, _Judged(plan, own), ground, tip))
            tip = _commit_of(made[job]) or tip
        last = repository.at(tip)
    return [made[job] for job in jobs], str(last.name)


def told(work: Callable[[], Made]) -> Made:
    """Do some work, and return what it gives or raises."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - one change does not take the others along
        return error


def _independent(
    jobs: Sequence[Asked], last: Snapshot, made: dict[Asked, Made]
) -> tuple[list[tuple[Asked, Plan]], list[Asked]]:
    """Return jobs that can be judged together, with their plans, and those that are left for later.

    What is to be told of the others is put into *made*.
    """
    group: list[tuple[Asked, Plan]] = []
    later: list[Asked] = []
    taken: set[str] = set()
    for job in jobs:
        if not job.places.isdisjoint(taken):
            later.append(job)
            continue
        try:
            plan = job.change(last)
        except Exception as error:  # noqa: BLE001 - one change does not take the others along
            made[job] = error
            continue
        found = places(plan)
        if found is None:
            # Whatever else it does, it does alone.
            if not group:
                return [(job, plan)], [*later, *jobs[jobs.index(job) + 1 :]]
            later.append(job)
            continue
        job.places = found
        if not found and not plan.changes:
            made[job] = Written(tuple(plan.notes), None)
        elif found.isdisjoint(taken):
            taken |= found
            group.append((job, plan))
        else:
            later.append(job)
    return group, later


def _about(finding: Finding) -> frozenset[str]:
    """Return the path of a finding, and the folders that it lies in."""
    return frozenset([finding.path, *map(str, PurePosixPath(finding.path).parents)])


class _Ground:
    """What changes are judged on, and what it says of those who make them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._authors: dict[UserName | None, Author] = {}

    def author(self, actor: UserName | None) -> Author:
        """Return whose the commits of a user are."""
        if actor not in self._authors:
            user = None if actor is None else self.snapshot.user(actor)
            self._authors[actor] = Author(actor or "gitindex", user.email if isinstance(user, User) else "")
        return self._authors[actor]


class _Judged(NamedTuple):
    """A plan that is in order, and the warnings about it."""

    plan: Plan
    warnings: tuple[Finding, ...]


def _commit_of(made: Made) -> str | None:
    return made.commit if isinstance(made, Written) else None


def _judge_and_commit(repository: Repository, job: Asked, ground: _Ground) -> Written | ToKeep:
    last = ground.snapshot
    plan = job.change(last)
    findings = checked(last, last, plan, today(), job.actor) if plan.changes else []
    return _commit(repository, job, _Judged(plan, tuple(findings)), ground, str(last.name))


def _commit(repository: Repository, job: Asked, judged: _Judged, ground: _Ground, parent: str) -> Written | ToKeep:
    """Commit what was judged, on top of *parent*; or return what it needs before."""
    plan, last = judged.plan, ground.snapshot
    if not plan.changes:
        return Written(tuple(plan.notes), None)
    if last.settings.policy.require_signed_commits:
        raise UsageError(
            "this repository wants signed commits, and a server has nobody's key",
            help="open a pull request: gitindex upload --pr",
        )
    if (needed := _to_keep(job, plan, last)) is not None:
        return needed
    message = f"{plan.summary}\n"
    commit = repository.commits.make(parent, plan.changes, message, ground.author(job.actor), job.kept)
    return Written(tuple(plan.notes), commit, judged.warnings)


def _to_keep(job: Asked, plan: Plan, last: Snapshot) -> ToKeep | None:
    """Return what is better written before the commit, which others would wait for."""
    outside = {path: content for path, content in plan.uploads.items() if path not in job.stored}
    if outside:
        return ToKeep(str(last.name), outside, is_outside=True, url=last.settings.storage.url)
    large = {
        path: content
        for path, content in plan.changes.items()
        if isinstance(content, Path) and path not in job.kept and content.stat().st_size > _LARGE
    }
    return ToKeep(str(last.name), large, is_outside=False, url="") if large else None


def in_short(made: Sequence[Made]) -> str:
    """Return what a step of the branch brings, for its log."""
    notes = [one.notes[0] for one in made if isinstance(one, Written) and one.commit and one.notes]
    return notes[0] if len(notes) == 1 else f"{notes[0]} and {len(notes) - 1} more" if notes else "changes"
