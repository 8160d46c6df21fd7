"""Makes changes of what a source has: an index at a time, validated as every change is, and written.

What the rules refuse is left out, and told with their reasons; what is here already stays as it is. So the same command
goes on with an import that was broken off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from gitindex import layout
from gitindex.edits import owners, toml
from gitindex.edits.opened import open_stage
from gitindex.edits.plan import Plan
from gitindex.errors import NotThereError, RefusedError
from gitindex.finding import Finding
from gitindex.git import Author
from gitindex.importers.arriving import Arriving, Bar
from gitindex.importers.destination import Destination, joined, laid_over
from gitindex.importers.planning import Planning
from gitindex.importers.report import Brought, Report
from gitindex.importers.shelf import Shelf
from gitindex.importers.source import Listed, Source, SourceIndex
from gitindex.importers.target import Coming, Target
from gitindex.model import User
from gitindex.names import IndexName, ProjectName
from gitindex.report.text import count
from gitindex.resolve import documents_behind
from gitindex.snapshot import Snapshot
from gitindex.write import checked

Progress = Callable[[int, int], None]
_EMAIL = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+", re.ASCII)


class Terms(NamedTuple):
    """How it is done."""

    time: str
    """The time of upload of what has none."""
    today: date
    history: bool = False
    """Whether each release gets a commit of its own, of the time of its upload."""


class Work(NamedTuple):
    """An import: from where to where, and how."""

    source: Source
    destination: Destination
    shelf: Shelf
    terms: Terms
    report: Report
    bar: Bar
    progress: Progress | None = None
    """Is told how many commits were made of how many, where each release gets its own."""


def bring(work: Work) -> None:
    """Bring all that a source has, index by index; what was done until something fails is done, and told.

    Raises:
        RefusedError: the rules refuse a definition, or what is here already.
        CannotRunError: a disk, Git, or the whole of the source fails.
        UsageError: an index of that name is here, and is none that takes releases.

    """
    _bring_users(work)
    for index in work.source.indexes():
        now = work.destination.now()
        _ = now.settings
        making = _Making(work, now, _definition(work.destination, now, index))
        if index.is_mirror:
            making.write(index.name, [], Plan())
        else:
            making.fill(index.name, work.source.listed(index, work.report))


def _bring_users(work: Work) -> None:
    """Make the users who are not here yet, before anything names them."""
    now = work.destination.now()
    plan = Plan()
    for user in work.source.users():
        path = layout.user_path(user.name)
        if now.user(user.name) is None:
            plan.changes[path] = toml.new_document(dict(user.values))
        elif not work.destination.is_committed(path):
            plan.concerned.append(path)
    plan.notes = [f"Import {count(len(plan.changes) or len(plan.concerned), 'user')} from {work.source.told}"]
    if (plan.changes or plan.concerned) and not work.destination.is_committed(layout.SETTINGS):
        plan.concerned.append(layout.SETTINGS)
    if plan.changes:
        work.report.warnings += checked(now, now, plan, work.terms.today)
        work.report.tops.add(layout.INDEXES)
    work.report.users_commit = work.destination.write(plan)
    work.report.users = len(plan.changes)


def _definition(destination: Destination, now: Snapshot, source: SourceIndex) -> Plan:
    """Plan the definition of an index, where it is not here yet; what no commit has of what it needs comes along."""
    index = now.index(source.name)
    plan = owners.create_index(now, source.name, source.values) if index is None else Plan()
    needed = (layout.SETTINGS,) if index is None else dict.fromkeys(documents_behind(now, index))
    plan.concerned += [path for path in needed if not destination.is_committed(path)]
    return plan


class _Step(NamedTuple):
    """What is written at once: a plan, by whom it is committed, and the releases that it brings."""

    plan: Plan
    author: Author | None = None
    found: Sequence[Coming] = ()


class _Making:
    """The making of one index, beginning with its definition."""

    def __init__(self, work: Work, now: Snapshot, definition: Plan) -> None:
        self._source, self._destination, self._shelf, self._terms, self._report, self._bar, self._progress = work
        self._now = now
        self._definition = definition
        self._unchanged = 0

    def fill(self, name: IndexName, listed: Listed) -> None:
        """Bring what is listed, less what the rules refuse."""
        planned = laid_over(self._now, self._definition)
        target = Target(open_stage(planned, name), self._source.told, self._report)
        arriving = Arriving(target)
        found = arriving.releases(listed.files, self._shelf, self._destination, self._bar)
        self._unchanged = arriving.unchanged
        planning = Planning(target, planned, self._destination, self._terms.time)
        unsaid = set[ProjectName]()
        while True:
            found = planning.releases(found)
            statements = planning.statements(found, listed.statuses, unsaid)
            try:
                self._check(found, statements)
                break
            except RefusedError as refused:
                is_less = _leave_out(target, found, refused.findings)
                refused_projects = _say_less(target, statements, refused.findings)
                unsaid |= refused_projects
                if not refused_projects and not is_less:
                    raise
        self.write(name, found, statements)

    def _check(self, found: Sequence[Coming], statements: Plan) -> None:
        whole = self._whole(found, statements)
        if whole.changes:
            self._report.warnings += checked(self._now, self._now, whole, self._terms.today)

    def _whole(self, found: Sequence[Coming], statements: Plan) -> Plan:
        return joined([self._definition, *(release.plan for release in found), statements])

    def write(self, name: IndexName, found: Sequence[Coming], statements: Plan) -> None:
        """Write what is in order, and tell it; also what was written until something fails."""
        commits: list[str] = []
        brought: list[Coming] = []
        steps, done = self._steps(name, found, statements), 0
        try:
            for step in steps:
                if self._progress is not None:
                    self._progress(done, len(steps))
                commit = self._written(step.plan, step.author)
                done += 1
                brought += [release for release in step.found if release.arrived]
                commits += [] if commit is None else [commit]
        finally:
            if done:
                files = sum(len(release.arrived) for release in brought)
                told = Brought(name, files, len(brought), self._unchanged, tuple(commits))
                self._report.brought.append(told)

    def _steps(self, name: IndexName, found: Sequence[Coming], statements: Plan) -> list[_Step]:
        """Return what is written: all at once, or in the order of time where each release gets its own commit."""
        if not self._terms.history:
            new = [release for release in found if release.arrived]
            arrived = sum(len(release.arrived) for release in new)
            told = f"{count(arrived, 'file')} of {count(len(new), 'release')} into " if new else ""
            whole = self._whole(found, statements)
            whole.notes = [f"Import {told}{name} from {self._source.told}"]
            return [_Step(whole, None, found)]
        self._definition.notes = [f"Import {name} from {self._source.told}"]
        statements.notes = [f"State yanks and statuses of {name} as {self._source.told} does"]
        for release in found:
            release.plan.notes = [f"Release {release.project} {release.version} to {name}"]
        releases = (_Step(release.plan, self._author(release), (release,)) for release in found)
        return [_Step(self._definition), *releases, _Step(statements)]

    def _author(self, release: Coming) -> Author | None:
        seconds = int(datetime.fromisoformat(release.time).timestamp()) if release.time else -1
        if seconds < 0:
            return None
        user = self._now.user(release.uploader) if release.uploader else None
        if isinstance(user, User) and _EMAIL.fullmatch(user.email):
            return Author(release.uploader, user.email, seconds)
        return Author(seconds=seconds)

    def _written(self, plan: Plan, author: Author | None) -> str | None:
        self._report.tops |= {path.partition("/")[0] for path in plan.changes}
        return self._destination.write(plan, author)


def _leave_out(target: Target, found: Sequence[Coming], findings: Iterable[Finding]) -> bool:
    """Leave out the files that the rules refuse; tell whether there were any."""
    places = {path: release for release in found for path in release.plan.changes}
    is_any = False
    for finding in findings:
        release = places.get(finding.path)
        if release is None:
            continue
        why = f"{finding.code}: {finding.message}"
        if finding.path.endswith(layout.RESULTS_SUFFIX):
            tested = [name for name, file in release.files.items() if file.results]
            for name in tested:
                target.left_out(f"results of {name}", why)
                release.files[name] = replace(release.files[name], results=())
            is_any |= bool(tested)
            continue
        named = [name for name in release.arrived if name in finding.message or finding.path.endswith(f"/{name}")]
        for name in named or [*release.arrived]:
            target.left_out(name, why)
            del release.arrived[name], release.files[name]
            is_any = True
    return is_any


def _say_less(target: Target, statements: Plan, findings: Iterable[Finding]) -> set[ProjectName]:
    """Tell of the projects whose statements the rules refuse, and return them."""
    refused = {finding.path: finding for finding in findings}
    unsaid = {ProjectName(path.split("/")[-2]): refused[path] for path in statements.changes if path in refused}
    for project, finding in unsaid.items():
        target.left_out(f"yanks and status of {project}", f"{finding.code}: {finding.message}")
    return {*unsaid}


def index_here(now: Snapshot, name: IndexName) -> SourceIndex:
    """Return an index that is here to be filled.

    Raises:
        NotThereError: it is not here.
        UsageError: it is a mirror.

    """
    if now.index(name) is None:
        raise NotThereError(f"{name}: no such index", help=f"gitindex index create {name}, or add --create")
    return SourceIndex(open_stage(now, name).name)
