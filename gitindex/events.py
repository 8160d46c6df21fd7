"""What one step of a history did: released, pushed, yanked, and the like, told by comparing its two snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gitindex import layout
from gitindex.differences import ProjectChange, differing, differs_at, folder_of
from gitindex.documents import Unreadable
from gitindex.model import Manifest, ProjectStatements, TestResults
from gitindex.names import IndexName, ProjectName, UserName, parse_filename
from gitindex.tree import EMPTY

if TYPE_CHECKING:
    from gitindex.model import TestRun
    from gitindex.snapshot import Index, Project, Snapshot

T = TypeVar("T")


class Kind(StrEnum):
    """What happened."""

    RELEASED = "released"
    PUSHED = "pushed"
    REPLACED = "replaced"
    REMOVED = "removed"
    CHANGED = "changed"
    YANKED = "yanked"
    UNYANKED = "unyanked"
    STATUS = "status"
    TESTED = "tested"
    INDEX_CREATED = "index-created"
    INDEX_MODIFIED = "index-modified"
    INDEX_DELETED = "index-deleted"
    USER_CREATED = "user-created"
    USER_MODIFIED = "user-modified"
    USER_DELETED = "user-deleted"
    SETTINGS = "settings"


class Event(NamedTuple):
    """One thing that happened."""

    kind: Kind
    index: IndexName | None = None  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    """Where; ``None`` for what concerns a user or the settings."""
    project: ProjectName | None = None
    version: str = ""
    """As the manifest's name spells it; empty for what concerns the whole project, or is said of a file alone."""
    files: tuple[str, ...] = ()
    """The files it is about; none where it is the whole release."""
    origins: tuple[IndexName, ...] = ()
    """Of a push: the indexes that had these files before."""
    reason: str = ""
    """As it is stated, of a yank or a status."""
    status: str = ""
    """Of a project: the one that it has now."""
    runs: tuple[tuple[str, str], ...] = ()
    """Environment and outcome of each new run of the tests; none where results cannot be read, or are gone."""
    keys: tuple[str, ...] = ()
    """The settings that have another value."""
    user: UserName | None = None
    """Of what happened to a user."""


class Scope(NamedTuple):
    """What of a repository is asked for."""

    index: IndexName | None = None  # type: ignore[assignment]
    project: ProjectName | None = None


EVERYTHING = Scope()


def events_of(
    before: Snapshot, after: Snapshot, scope: Scope = EVERYTHING, base: Snapshot | None = None
) -> Iterator[Event]:
    """Yield what differs between two snapshots, by name; folders that are equal are not opened.

    The two may lack what is the same in both, where *base* has all that was there before.
    """
    if scope == EVERYTHING and differs_at(before.root, after.root, layout.SETTINGS):
        keys = _changed_keys(_readable(before.settings_or_problem), _readable(after.settings_or_problem))
        yield Event(Kind.SETTINGS, keys=keys)
    for user in _users(before, after, scope):
        old, new = before.user_folder(user), after.user_folder(user)
        if scope == EVERYTHING and differs_at(old, new, layout.USER):
            kind = _kind(old, new, layout.USER, (Kind.USER_CREATED, Kind.USER_MODIFIED, Kind.USER_DELETED))
            keys = _changed_keys(_readable(before.user(user)), _readable(after.user(user)))
            yield Event(kind, user=user, keys=keys if kind is Kind.USER_MODIFIED else ())
        for name in differing(old, new) if scope.index is None else (scope.index.name,):
            if name != layout.USER:
                index = IndexName(user, name)
                one, other = before.index_folder(index), after.index_folder(index)
                yield from _index_events(base or before, index, one, other, scope.project)


def _users(before: Snapshot, after: Snapshot, scope: Scope) -> Iterable[UserName]:
    if scope.index is not None:
        return (scope.index.user,)
    return map(UserName, differing(before.indexes_folder, after.indexes_folder))


def _kind(old: object, new: object, name: str, kinds: tuple[Kind, Kind, Kind]) -> Kind:
    created, modified, deleted = kinds
    was, now = (name in (folder or EMPTY).entries() for folder in (old, new))  # type: ignore[attr-defined]
    return modified if was and now else created if now else deleted


def _index_events(
    base: Snapshot, name: IndexName, before: Index | None, after: Index | None, project: ProjectName | None
) -> Iterator[Event]:
    old, new = folder_of(before), folder_of(after)
    if project is None and differs_at(old, new, layout.INDEX):
        kind = _kind(old, new, layout.INDEX, (Kind.INDEX_CREATED, Kind.INDEX_MODIFIED, Kind.INDEX_DELETED))
        one, other = (_readable(index.definition) if index else None for index in (before, after))
        yield Event(kind, name, keys=_changed_keys(one, other) if kind is Kind.INDEX_MODIFIED else ())
    for entry in differing(old, new) if project is None else (project,):
        was, now = (index.project(entry) if index else None for index in (before, after))
        if was is not None or now is not None:
            change = ProjectChange(name, ProjectName(entry), was, now, everything=False)
            yield from project_events(base, change)


def project_events(base: Snapshot, change: ProjectChange) -> Iterator[Event]:
    """Yield what happened to a project of an index; *base* is where the other indexes had their files before."""
    for release in change.releases:
        yield from _release_events(base, change, release.version, release.before, release.after)
    if change.touches(layout.PROJECT):
        yield from _statement_events(change)
    for version in change.tested_versions:
        one, other = (_results(project, version) for project in (change.before, change.after))
        runs = () if isinstance(one, Unreadable) or isinstance(other, Unreadable) else _new_runs(one, other)
        told = tuple((run.environment, run.outcome) for run in runs)
        yield Event(Kind.TESTED, change.index, change.name, version, runs=told)


def _release_events(
    base: Snapshot,
    change: ProjectChange,
    version: str,
    before: Manifest | Unreadable | None,
    after: Manifest | Unreadable | None,
) -> Iterator[Event]:
    def event(kind: Kind, files: tuple[str, ...] = (), origins: tuple[IndexName, ...] = ()) -> Event:
        return Event(kind, change.index, change.name, version, files, origins)

    if after is None:
        yield event(Kind.REMOVED)
    elif before is None:
        origins = _origins(base, change, version, _digests(after))
        yield event(Kind.PUSHED if origins else Kind.RELEASED, (), origins)
    elif isinstance(before, Unreadable) or isinstance(after, Unreadable):
        if before != after or change.differs(version):
            yield event(Kind.CHANGED)
    else:
        old, new = _digests(before), _digests(after)
        if added := {name: sha256 for name, sha256 in new.items() if name not in old}:
            origins = _origins(base, change, version, added)
            yield event(Kind.PUSHED if origins else Kind.RELEASED, tuple(added), origins)
        if replaced := tuple(name for name, sha256 in new.items() if old.get(name, sha256) != sha256):
            yield event(Kind.REPLACED, replaced)
        if removed := tuple(name for name in old if name not in new):
            yield event(Kind.REMOVED, removed)
        if old == new and before != after:
            yield event(Kind.CHANGED)


def _digests(manifest: Manifest | Unreadable) -> dict[str, str]:
    return {} if isinstance(manifest, Unreadable) else {file.filename: file.hashes.sha256 for file in manifest.files}


def _origins(base: Snapshot, change: ProjectChange, version: str, digests: dict[str, str]) -> tuple[IndexName, ...]:
    """Return the other indexes that had all of these files of the release before."""
    found = []
    for name in base.index_names() if digests else ():
        index = base.index_folder(name) if name != change.index else None
        project = index.project(change.name) if index else None
        manifest = project.release(version) if project else None
        if isinstance(manifest, Manifest) and digests.items() <= _digests(manifest).items():
            found.append(name)
    return tuple(found)


def _statement_events(change: ProjectChange) -> Iterator[Event]:
    one, other = (project.statements if project else None for project in (change.before, change.after))
    if isinstance(one, Unreadable) or isinstance(other, Unreadable):
        yield Event(Kind.CHANGED, change.index, change.name)
        return
    before, after = one or ProjectStatements(), other or ProjectStatements()
    for key in sorted({*before.yanked, *after.yanked}):
        if before.yanked.get(key) != after.yanked.get(key):
            kind = Kind.UNYANKED if key not in after.yanked else Kind.YANKED
            version, files = ("", (key,)) if parse_filename(key) else (key, ())
            yield Event(kind, change.index, change.name, version, files, reason=after.yanked.get(key, ""))
    was, now = before.status or "active", after.status or "active"
    if (was, before.status_reason) != (now, after.status_reason):
        yield Event(Kind.STATUS, change.index, change.name, status=now, reason=after.status_reason or "")
    if before.sources != after.sources:
        yield Event(Kind.CHANGED, change.index, change.name, keys=("sources",))


def _results(project: Project | None, version: str) -> TestResults | Unreadable | None:
    return project.results(version) if project else None


def _new_runs(before: TestResults | None, after: TestResults | None) -> tuple[TestRun, ...]:
    old = list(before or ())
    found = []
    for run in after or ():
        if run in old:
            old.remove(run)
        else:
            found.append(run)
    return tuple(found)


def _readable(found: T | Unreadable | None) -> T | None:
    return None if isinstance(found, Unreadable) else found


def _changed_keys(before: object | None, after: object | None) -> tuple[str, ...]:
    if before is None or after is None:
        return ()
    old, new = vars(before), vars(after)
    return tuple(key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key))
