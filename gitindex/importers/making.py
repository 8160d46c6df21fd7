"""Makes changes of what a source has: an index at a time, validated as every change is, committed where that is asked.

What the rules refuse is left out, and told with their reasons; what is here already stays as it is. So the same command
goes on with an import that was broken off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.edits import owners, releases, toml
from gitindex.edits.opened import cannot_read, open_stage, release_version
from gitindex.edits.plan import Plan
from gitindex.edits.promotion import digests_of
from gitindex.edits.results import known_results, results_bytes
from gitindex.errors import CannotRunError, NotThereError, RefusedError, UsageError
from gitindex.finding import Finding
from gitindex.git import WORKTREE, Author, Repository
from gitindex.importers.report import Brought, Kind, Report
from gitindex.importers.shelf import Arrived, Shelf, Wanted
from gitindex.importers.source import Listed, Source, SourceFile, SourceIndex
from gitindex.model import Manifest, ProjectStatements, User
from gitindex.names import IndexName, ProjectName, parse_filename
from gitindex.objects import StoredObjects
from gitindex.pages import Status
from gitindex.report.text import count
from gitindex.snapshot import Index, Snapshot
from gitindex.stored import is_pointer
from gitindex.tree import Overlay
from gitindex.write import carry_out_addition, checked

Bar = Callable[[Sequence[Wanted]], Any]
"""Makes the context in which files are fetched, which gives what is told of their bytes."""
Progress = Callable[[int, int], None]
_EMAIL = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+", re.ASCII)
_SUFFIXES = (layout.METADATA_SUFFIX, layout.PROVENANCE_SUFFIX)


class Terms(NamedTuple):
    """How it is done."""

    time: str
    """The time of upload of what has none."""
    today: date
    commit: bool = False
    history: bool = False
    """Whether each release gets a commit of its own, of the time of its upload."""


@dataclass
class _Release:
    """A release that comes: its files, and the plan that is made of them."""

    project: ProjectName
    version: str
    arrived: dict[str, Arrived] = field(default_factory=dict)
    files: dict[str, SourceFile] = field(default_factory=dict)
    """All of its files by name, with those that are here already."""
    plan: Plan = field(default_factory=Plan)

    @property
    def time(self) -> str:
        """When the first of its files came; empty where nobody knows."""
        return min((time for file in self.files.values() if (time := file.came or file.upload_time)), default="")

    @property
    def uploader(self) -> str:
        """Who released the first of its files."""
        known = [(file.came or file.upload_time or "", file.uploader) for file in self.files.values() if file.uploader]
        return min(known)[1] if known else ""


class Work(NamedTuple):
    """An import: from where to where, and how."""

    repository: Repository
    source: Source
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
        worktree = work.repository.worktree()
        _ = worktree.settings
        plan = _definition(worktree, index)
        listed = Listed(()) if index.is_mirror else work.source.listed(index, work.report)
        _Making(work, worktree, index).carry_out(plan, listed)


def _bring_users(work: Work) -> None:
    """Make the users who are not here yet, before anything names them."""
    worktree = work.repository.worktree()
    plan = Plan()
    for user in work.source.users():
        path = layout.user_path(user.name)
        if worktree.user(user.name) is None:
            plan.changes[path] = toml.new_document(dict(user.values))
        else:
            plan.concerned.append(path)
    if plan.changes:
        plan.notes = [f"Import {count(len(plan.changes), 'user')} from {work.source.told}"]
        work.report.warnings += checked(worktree, worktree, plan, work.terms.today)
        work.report.users = len(plan.changes)
        work.report.tops.add(layout.INDEXES)
    if plan.changes or (work.terms.commit and plan.concerned):
        carry_out_addition(work.repository, worktree, plan, commit=work.terms.commit)


def _definition(worktree: Snapshot, index: SourceIndex) -> Plan:
    """Plan the definition of an index, where it is not here yet; one that is in no commit yet comes along."""
    if worktree.index(index.name) is None:
        return owners.create_index(worktree, index.name, index.values)
    return Plan(concerned=[layout.user_path(index.name.user), layout.index_path(index.name)])


class _Making:
    """The making of one index."""

    def __init__(self, work: Work, worktree: Snapshot, index: SourceIndex) -> None:
        self._repository, self._source, self._shelf, self._terms, self._report, self._bar, self._progress = work
        self._worktree = worktree
        self._name = index.name
        self._is_mirror = index.is_mirror
        url = worktree.settings.storage.url
        self._storage = None if worktree.settings.storage.is_embedded else StoredObjects(url)
        head = work.repository.head() if work.terms.commit else None
        self._committed = None if head is None else work.repository.at(head).index(index.name)
        self._unchanged = 0
        self._unsaid: set[ProjectName] = set()
        self._known: dict[ProjectName, Mapping[str, str]] = {}

    def carry_out(self, definitions: Plan, listed: Listed) -> None:
        planned = _laid_over(self._worktree, definitions)
        if self._is_mirror:
            self._write(definitions, [], Plan())
            return
        index = open_stage(planned, self._name)
        found = self._releases(index, listed.files)
        while True:
            found = self._planned(planned, index, found)
            statements = self._statements(index, found, listed.statuses)
            try:
                self._check(definitions, found, statements)
                break
            except RefusedError as refused:
                is_less = self._leave_out(found, refused.findings)
                if not self._say_less(statements, refused.findings) and not is_less:
                    raise
        self._write(definitions, found, statements)

    def _planned(self, planned: Snapshot, index: Index, found: Iterable[_Release]) -> list[_Release]:
        """Plan the releases, and return those of which files are left, in the order of their times."""
        for release in sorted(found, key=lambda release: release.project):
            self._plan(planned, index, release)
        left = [release for release in found if release.files]
        return sorted(left, key=lambda release: (release.time, release.project, release.version))

    def _digests(self, index: Index, project: ProjectName) -> Mapping[str, str]:
        if project not in self._known:
            self._known[project] = digests_of(index.project(project))
        return self._known[project]

    def _releases(self, index: Index, files: Iterable[SourceFile]) -> list[_Release]:
        """Return the releases with what has arrived of each, and what is here already."""
        wanted = list[Wanted]()
        found: dict[tuple[ProjectName, object], _Release] = {}
        for item in self._sound(files):
            here = self._digests(index, item.named.project).get(item.file.filename)
            if here is None or item.file.sha256 is None:
                wanted.append(item)
            elif here != item.file.sha256:
                self._conflict(item.file.filename, here, item.file.sha256)
            else:
                self._add(index, found, item)
                self._unchanged += 1
        with self._bar(wanted) as advance:
            for item, result in self._shelf.bring(wanted, self._here, advance):
                filename = item.file.filename
                here = self._digests(index, item.named.project).get(filename)
                if not isinstance(result, Arrived):
                    self._report.add(result.kind, self._name, filename, result.why)
                elif here is None:
                    self._add(index, found, item).arrived[filename] = result
                elif here != result.dist.sha256:
                    self._conflict(filename, here, result.dist.sha256)
                else:
                    self._add(index, found, item)
                    self._unchanged += 1
        return [*found.values()]

    def _add(self, index: Index, found: dict[tuple[ProjectName, object], _Release], item: Wanted) -> _Release:
        named = item.named
        release = found.get((named.project, named.key))
        if release is None:
            version = release_version(index.project(named.project), named.canonical)
            release = found[named.project, named.key] = _Release(named.project, version)
        release.files[item.file.filename] = item.file
        return release

    def _conflict(self, filename: str, here: str, there: str) -> None:
        why = f"is released with the sha256 {here}, and {self._source.told} has {there}: other bytes need another name"
        self._report.add(Kind.CONFLICT, self._name, filename, why)

    def _sound(self, files: Iterable[SourceFile]) -> Iterator[Wanted]:
        """Yield the files whose names tell what they are, each once."""
        seen: dict[str, SourceFile] = {}
        for file in files:
            named = parse_filename(file.filename)
            if named is None:
                self._left_out(file.filename, "is not the name of a wheel or an sdist")
            elif file.project not in {None, named.project}:
                self._left_out(file.filename, f"is listed under {file.project}, and is named after {named.project}")
            elif (first := seen.setdefault(file.filename, file)) is file:
                yield Wanted(file, named)
            elif file.sha256 is None or first.sha256 is None or file.sha256 != first.sha256:
                self._left_out(file.filename, "is there twice, and one of the two may have other bytes")

    def _left_out(self, what: str, why: str) -> None:
        self._report.add(Kind.LEFT_OUT, self._name, what, why)

    def _here(self, wanted: Wanted) -> Path | None:
        """Return where the repository, or its storage, has the bytes of a file already, of whatever index."""
        sha256 = wanted.file.sha256
        if sha256 is None:
            return None
        path = layout.stored_path(sha256, wanted.file.filename)
        if self._storage is not None:
            return self._shelf.keep(wanted.file, *self._storage.read(path, sha256)) if self._storage.has(path) else None
        found = self._worktree.find_stored(path)
        if found is None or found[0].entries()[found[1]].kind != "file" or is_pointer(*found):
            return None
        place = self._repository.root / path
        return place if place.is_file() and not place.is_symlink() else None

    def _plan(self, planned: Snapshot, index: Index, release: _Release) -> None:
        """Plan a release: what has arrived of it, and that a commit has what was here already."""
        for filename, twin in self._twins(index, release):
            self._left_out(filename, f"has the very bytes of {twin}: one of the two names lies about what is in it")
            del release.arrived[filename], release.files[filename]
        arrived = [(each.dist, each.place) for _, each in sorted(release.arrived.items())]
        times = {name: file.upload_time for name, file in release.files.items() if file.upload_time}
        try:
            plan = releases.upload(planned, self._name, arrived, self._terms.time, times=times)
        except UsageError as error:  # the project is archived, or the like: none of its files come
            for filename in [*release.arrived]:
                self._left_out(filename, str(error))
                del release.arrived[filename], release.files[filename]
            plan = Plan()
        if self._storage is None and plan.changes:
            here = (path for path in plan.changes if plan.changes[path] == self._repository.root / path)
            for path in [*here]:
                plan.concerned.append(path)
                del plan.changes[path]
        release.plan = plan
        self._keep(index, release)
        self._results(index, release)

    def _twins(self, index: Index, release: _Release) -> list[tuple[str, str]]:
        """Return the files that have the bytes of another one of their release, with its name."""
        names = {sha256: name for name, sha256 in self._digests(index, release.project).items()}
        twins = []
        for filename, each in sorted(release.arrived.items()):
            first = names.setdefault(each.dist.sha256, filename)
            if first != filename:
                twins.append((filename, first))
        return twins

    def _keep(self, index: Index, release: _Release) -> None:
        """Have a commit take along what is here already: an import that was broken off may not have committed it."""
        known = self._digests(index, release.project)
        kept = {name: known[name] for name in release.files if name in known}
        if kept and not self._is_committed(index, release.project):
            release.plan.concerned.append(layout.manifest_path(self._name, release.project, release.version))
            if self._storage is None:
                paths = [layout.stored_path(sha256, name) for name, sha256 in kept.items()]
                release.plan.concerned += [path + suffix for path in paths for suffix in ("", *_SUFFIXES)]

    def _is_committed(self, index: Index, project: ProjectName) -> bool:
        """Tell whether a project is as the last commit has it, or there is to be no commit."""
        if not self._terms.commit:
            return True
        here = index.project(project)
        there = self._committed.project(project) if self._committed else None
        return (
            here is not None and there is not None and here.folder.id is not None and here.folder.id == there.folder.id
        )

    def _results(self, index: Index, release: _Release) -> None:
        """Plan the results of tests that are not here yet."""
        opened = index.project(release.project)
        listed = known_results(opened, release.version) if opened else []
        digests = self._digests(index, release.project)
        added = []
        for name, file in sorted(release.files.items()):
            each = release.arrived.get(name)
            sha256 = each.dist.sha256 if each else digests[name]
            added += [{**run, "files": [sha256]} for run in file.results]
        new = [run for run in added if run not in listed]
        path = layout.results_path(self._name, release.project, release.version)
        if new:
            release.plan.changes[path] = results_bytes([*listed, *new])
        elif added:
            release.plan.concerned.append(path)

    def _statements(self, index: Index, found: Sequence[_Release], statuses: Mapping[ProjectName, Status]) -> Plan:
        """Plan the yanks and the statuses that the source states, beside those that are here."""
        plan = Plan()
        by_project: dict[ProjectName, dict[str, str]] = {}
        for release in found:
            reasons = {name: file.yanked for name, file in release.files.items()}
            if (
                _is_whole(index, release)
                and len(set(reasons.values())) == 1
                and (reason := next(iter(reasons.values()))) is not None
            ):
                yanks = {release.version: reason}
            else:
                yanks = {name: reason for name, reason in reasons.items() if reason is not None}
            if (yanks or release.project in statuses) and release.project not in self._unsaid:
                by_project.setdefault(release.project, {}).update(yanks)
        for project, yanks in sorted(by_project.items()):
            opened = index.project(project)
            stated = opened.statements if opened else None
            if isinstance(stated, Unreadable):
                raise cannot_read(stated)
            path = layout.statements_path(self._name, project)
            document = toml.load(self._worktree, path)
            _state(document, stated or ProjectStatements(), yanks, statuses.get(project))
            data = toml.dump(document)
            if data != toml.dump(toml.load(self._worktree, path)):
                plan.changes[path] = data
                plan.notes.append(f"State what {self._source.told} says of {project} in {self._name}")
            elif data:
                plan.concerned.append(path)
        return plan

    def _check(self, definitions: Plan, found: Sequence[_Release], statements: Plan) -> None:
        whole = _joined([definitions, *(release.plan for release in found), statements])
        if whole.changes:
            self._report.warnings += checked(self._worktree, self._worktree, whole, self._terms.today)

    def _leave_out(self, found: Sequence[_Release], findings: Iterable[Finding]) -> bool:
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
                    self._left_out(f"results of {name}", why)
                    release.files[name] = replace(release.files[name], results=())
                is_any |= bool(tested)
                continue
            named = [name for name in release.arrived if name in finding.message or finding.path.endswith(f"/{name}")]
            for name in named or [*release.arrived]:
                self._left_out(name, why)
                del release.arrived[name], release.files[name]
                is_any = True
        return is_any

    def _say_less(self, statements: Plan, findings: Iterable[Finding]) -> bool:
        """Leave out what is stated of projects where the rules refuse that; tell whether there was anything."""
        projects = {path.split("/")[-2]: path for path in statements.changes}
        refused = {finding.path: finding for finding in findings}
        unsaid = {project: refused[path] for project, path in projects.items() if path in refused}
        for project, finding in unsaid.items():
            self._left_out(f"yanks and status of {project}", f"{finding.code}: {finding.message}")
        self._unsaid.update(map(ProjectName, unsaid))
        return bool(unsaid)

    def _write(self, definitions: Plan, found: Sequence[_Release], statements: Plan) -> None:
        commits = []
        arrived = [each for release in found for each in release.arrived.values()]
        new = sum(1 for release in found if release.arrived)
        if self._terms.history:
            for done, (plan, author) in enumerate(self._steps(definitions, found, statements)):
                if self._progress is not None:
                    self._progress(done, len(found) + 2)
                commits.append(self._written(plan, author))
        else:
            whole = _joined([definitions, *(release.plan for release in found), statements])
            told = f"{count(len(arrived), 'file')} of {count(new, 'release')} into " if arrived else ""
            whole.notes = [f"Import {told}{self._name} from {self._source.told}"]
            commits.append(self._written(whole, None))
        made = tuple(commit for commit in commits if commit is not None)
        self._report.brought.append(Brought(self._name, len(arrived), new, self._unchanged, made))
        self._shelf.take([each.place for each in arrived])

    def _steps(
        self, definitions: Plan, found: Sequence[_Release], statements: Plan
    ) -> Iterator[tuple[Plan, Author | None]]:
        """Yield what is committed, in the order of time, and by whom."""
        definitions.notes = [f"Import {self._name} from {self._source.told}"]
        yield definitions, None
        for release in found:
            release.plan.notes = [f"Release {release.project} {release.version} to {self._name}"]
            yield release.plan, self._author(release)
        statements.notes = [f"State yanks and statuses of {self._name} as {self._source.told} does"]
        yield statements, None

    def _author(self, release: _Release) -> Author | None:
        seconds = int(datetime.fromisoformat(release.time).timestamp()) if release.time else -1
        if seconds < 0:
            return None
        user = self._worktree.user(release.uploader) if release.uploader else None
        if isinstance(user, User) and _EMAIL.fullmatch(user.email):
            return Author(release.uploader, user.email, seconds)
        return Author(seconds=seconds)

    def _written(self, plan: Plan, author: Author | None) -> str | None:
        if not plan.changes and not (self._terms.commit and plan.concerned):
            return None
        self._report.tops |= {path.partition("/")[0] for path in plan.changes}
        return carry_out_addition(self._repository, self._worktree, plan, commit=self._terms.commit, author=author)


def _state(document: Any, stated: ProjectStatements, yanks: Mapping[str, str], status: Status | None) -> None:
    """Add to the statements of a project: what is said of it here stays."""
    if status is not None and stated.status is None and status.status != "active":
        document["status"] = status.status
        if status.reason:
            document["status-reason"] = status.reason
    for key, reason in sorted(yanks.items()):
        if key not in stated.yanked:
            document.setdefault("yanked", {})[key] = reason


def _is_whole(index: Index, release: _Release) -> bool:
    """Tell whether the source knows of all files that the release has here."""
    opened = index.project(release.project)
    manifest = opened.release(release.version) if opened else None
    return not isinstance(manifest, Manifest) or all(file.filename in release.files for file in manifest.files)


def _joined(plans: Iterable[Plan]) -> Plan:
    whole = Plan()
    for plan in plans:
        whole.changes |= plan.changes
        whole.uploads |= plan.uploads
        whole.notes += plan.notes
        whole.concerned += plan.concerned
    return whole


def _laid_over(worktree: Snapshot, plan: Plan) -> Snapshot:
    return Snapshot(Overlay(worktree.root, plan.leaves()), WORKTREE) if plan.changes else worktree


def index_here(worktree: Snapshot, name: IndexName) -> SourceIndex:
    """Return an index that is here to be filled.

    Raises:
        NotThereError: it is not here.
        UsageError: it is a mirror.

    """
    if worktree.index(name) is None:
        raise NotThereError(f"{name}: no such index", help=f"gitindex index create {name}, or add --create")
    return SourceIndex(open_stage(worktree, name).name)


def check_place(repository: Repository) -> None:
    """Refuse a repository without a working tree."""
    if repository.is_bare:
        raise CannotRunError("a bare repository has nowhere to import to", help="clone it, and import there")
