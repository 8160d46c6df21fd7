"""Finds what installers see change: which projects of which indexes may differ, and what differs on their pages.

A project is opened where something on its way differs: its folder, a stored file, or what decides who answers for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.errors import CannotRunError
from gitindex.model import Mirror, Settings, Stage
from gitindex.names import IndexName, ProjectName
from gitindex.pages import FilePage, Links, ProjectPage, is_quarantined, project_page
from gitindex.preview.definitions import index_differences, setting_differences
from gitindex.preview.values import (
    Came,
    FileDifference,
    MirrorsDifference,
    Preview,
    Problem,
    ProjectDifference,
    ReleaseDifference,
    ReleaseKind,
    StatusDifference,
)
from gitindex.resolve import Step, named_in, project_names, resolution_order, walk
from gitindex.served import is_known, reserved_names
from gitindex.snapshot import Index, Snapshot
from gitindex.touched import Touched, touched
from gitindex.tree import ObjectId

Order = tuple[Index, ...]


def preview(base: Snapshot, head: Snapshot, progress: Callable[[int, int], None] | None = None) -> Preview:
    """Return what differs for those who install from *head*, and did from *base*.

    *progress* is told how many projects were looked at, and how many there are to look at.

    Raises:
        CannotRunError: the settings of one of the two cannot be read.

    """
    settings = head.settings if head.settings_or_problem is not None else base.settings
    if base.settings_or_problem is not None:
        _ = base.settings
    before, after = _Side(base, settings), _Side(head, settings)
    found = touched(base, head)
    concerned: defaultdict[ProjectName, list[IndexName]] = defaultdict(list)
    for stage in sorted(before.orders.keys() | after.orders.keys()):
        for name in _concerned(before, after, stage, found):
            concerned[name].append(stage)
    projects: list[ProjectDifference] = []
    for done, (name, stages) in enumerate(sorted(concerned.items())):
        if progress is not None:
            progress(done, len(concerned))
        projects += _compared(before, after, name, stages, is_stored=name in found.stored)
    return Preview(
        base.name,
        head.name,
        setting_differences(base.settings_or_problem, head.settings_or_problem),
        tuple(index_differences(base, head, found.definitions)),
        tuple(projects),
    )


class _Seen(NamedTuple):
    """What the users of an index get of a project."""

    page: ProjectPage | None = None
    is_listed: bool = False
    problem: str | None = None
    """Why the page cannot be shown."""


class _Way(NamedTuple):
    """What decides what an index shows of a project, less what its stored files say."""

    folders: tuple[tuple[IndexName, ObjectId | None], ...]
    mirrors: tuple[tuple[IndexName, str, str], ...]
    """Each with what becomes of it, and why."""
    is_reserved: bool
    is_there: bool
    """Whether there is such an index."""

    @property
    def asked(self) -> tuple[IndexName, ...]:
        """The mirrors that are asked."""
        return tuple(name for name, outcome, _ in self.mirrors if outcome == "asked")

    @property
    def is_known_whole(self) -> bool:
        """Whether equal ways mean equal content."""
        return all(identity is not None for _, identity in self.folders)

    def gives_same(self, other: _Way) -> bool:
        """Tell whether both are known to give the same page, whatever mirrors are asked beside."""
        return self.is_known_whole and self._replace(mirrors=()) == other._replace(mirrors=())


class _Side:
    """One of the two revisions."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self.snapshot = snapshot
        # Both sides as with the same settings: that all files moved is said once, and not of each of them.
        self._links = Links(snapshot, can_serve=True, settings=settings)
        self.reserved = frozenset(reserved_names(snapshot) if snapshot.settings_or_problem is not None else ())
        opened = (snapshot.index(name) for name in snapshot.index_names())
        self.orders = {
            index.name: resolution_order(snapshot, index)
            for index in opened
            if index is not None and not index.is_mirror
        }
        self._name = ""
        self._pages: dict[object, ProjectPage | str] = {}

    def way(self, stage: IndexName, name: ProjectName) -> _Way:
        """Return the way of a project; no project is opened."""
        is_there = stage in self.orders
        steps = tuple(walk(self.snapshot, self.orders[stage], name, opens=False)) if is_there else ()
        return _Way(
            tuple((step.index.name, step.project.folder.id) for step in steps if step.project),
            tuple((step.index.name, step.outcome, step.reason) for step in steps if step.index.is_mirror),
            is_there and name in self.reserved,
            is_there,
        )

    def seen(self, stage: IndexName, name: ProjectName) -> _Seen:
        """Return what users of a stage get of a project: nothing, where there is no such stage."""
        if stage not in self.orders:
            return _Seen()
        steps = tuple(walk(self.snapshot, self.orders[stage], name))
        known = is_known(steps)
        if not known and name not in self.reserved:
            return _Seen()
        page = self._page(name, steps)
        if isinstance(page, str):
            return _Seen(None, known, page)
        return _Seen(page, known and not is_quarantined(page))

    def _page(self, name: ProjectName, steps: tuple[Step, ...]) -> ProjectPage | str:
        if name != self._name:  # several indexes ask for one project in turn
            self._name = name
            self._pages.clear()
        key = tuple(step.index.name for step in steps if step.project)
        if key not in self._pages:
            try:
                self._pages[key] = project_page(name, steps, self._links)
            except CannotRunError as error:
                self._pages[key] = error.message
        return self._pages[key]

    def has_release(self, index: IndexName, name: ProjectName, version: str) -> bool:
        """Tell whether an index itself has a release."""
        opened = self.snapshot.index(index)
        project = None if opened is None or opened.is_mirror else opened.project(name)
        return project is not None and version + layout.MANIFEST_SUFFIX in project.folder.entries()


# Which projects may differ


def _concerned(before: _Side, after: _Side, stage: IndexName, found: Touched) -> Iterator[ProjectName]:
    """Yield the projects of which the users of a stage may get something else, each once."""
    old, new = before.orders.get(stage, ()), after.orders.get(stage, ())
    if any(isinstance(index.definition, Unreadable) for index in (*old, *new)):
        return  # that is told of the index: nothing of this one can be shown
    if not old or not new:
        # One that came or went: what itself has is told; what it inherits is its bases'.
        yield from (new or old)[0].project_names()
        return
    places = {index.name for index in (*old, *new)}
    names = {name for place in places for name in found.projects.get(place, ())}
    names |= {name for name in found.stored if any(index.has_project(name) for index in (*old, *new))}
    decided, is_any = _decided_otherwise(old, new)
    names |= decided
    if before.reserved != after.reserved or _patterns(before) != _patterns(after):
        names |= before.reserved ^ after.reserved
        is_any = True
    if is_any:
        names |= {*project_names(old), *project_names(new)}
    for name in names:
        if name in found.stored or _may_differ(before, after, stage, name):
            yield name


def _may_differ(before: _Side, after: _Side, stage: IndexName, name: ProjectName) -> bool:
    was, now = before.way(stage, name), after.way(stage, name)
    return was != now or not now.is_known_whole


def _patterns(side: _Side) -> tuple[str, ...]:
    settings = side.snapshot.settings_or_problem
    return settings.names.reserved if isinstance(settings, Settings) else ()


def _decided_otherwise(old: Order, new: Order) -> tuple[set[ProjectName], bool]:
    """Return the projects for which definitions decide otherwise who answers; or that it may be any of them."""
    every = ProjectName("*")
    names = _listed_otherwise(old, new)
    if [*map(_kind, old)] != [*map(_kind, new)]:
        return names - {every}, True
    if not any(index.is_mirror for index in old):
        return set(), False
    return names - {every}, every in names or _rules(old[0]) != _rules(new[0])


def _kind(index: Index) -> tuple[IndexName, bool]:
    return index.name, index.is_mirror


def _listed_otherwise(old: Order, new: Order) -> set[ProjectName]:
    """Return what the whitelists of stages and the lists of mirrors name before or after, and not both."""
    one = {index.name: _named(index) for index in old}
    other = {index.name: _named(index) for index in new}
    pairs = {entry for index in one.keys() | other.keys() for entry in one.get(index, set()) ^ other.get(index, set())}
    return {name for _, name in pairs}


def _named(index: Index) -> set[tuple[str, ProjectName]]:
    """Return the projects that a definition names, each with what its entry says."""
    definition = index.definition
    if isinstance(definition, Stage):
        return {(entry, ProjectName(entry)) for entry in definition.mirror_whitelist}
    if not isinstance(definition, Mirror):
        return set()
    listed = {(f"allow {entry}", named_in(entry)) for entry in definition.allow or ()}
    listed |= {(f"deny {entry}", named_in(entry)) for entry in definition.deny}
    # Where there is a list of what is allowed, everything else is not.
    return listed | ({("allow", ProjectName("*"))} if definition.allow is not None else set())


def _rules(index: Index) -> object:
    definition = index.definition
    if not isinstance(definition, Stage):
        return None
    return definition.mirror_whitelist_inheritance, definition.merge_mirrors


# What differs of a project


def _compared(
    before: _Side, after: _Side, name: ProjectName, stages: Sequence[IndexName], *, is_stored: bool
) -> Iterator[ProjectDifference]:
    """Yield what differs of a project: those indexes together whose users see the same of it."""
    indexes: defaultdict[ProjectDifference, list[IndexName]] = defaultdict(list)
    made: dict[object, ProjectDifference | None] = {}
    for stage in stages:
        # Within one side, equal places mean equal folders, even where ids say nothing.
        key = was, now = before.way(stage, name), after.way(stage, name)
        if key not in made:
            found = _difference(before, after, name, None if was.gives_same(now) and not is_stored else stage)
            # Of an index that came or went, its own difference says whom it asks.
            if was.is_there and now.is_there and was.asked != now.asked:
                is_ours = bool(now.folders) or after.snapshot.is_reserved(name)
                found = replace(found, mirrors=_mirrors(was, now, is_ours=is_ours))
            made[key] = found if found.alters_page or found.listed or found.mirrors else None
        difference = made[key]
        if difference is not None:
            indexes[difference].append(stage)
    differences = [replace(difference, indexes=tuple(places)) for difference, places in indexes.items()]
    yield from sorted(differences, key=lambda each: each.indexes)


def _difference(before: _Side, after: _Side, name: ProjectName, stage: IndexName | None) -> ProjectDifference:
    """Return what differs on the page of a project in a stage; nothing, where there is none to look at."""
    if stage is None:
        return ProjectDifference(name)
    was, now = before.seen(stage, name), after.seen(stage, name)
    is_readable = was.problem is None and now.problem is None
    return ProjectDifference(
        name,
        releases=tuple(_releases(before, after, name, was.page, now.page)) if is_readable else (),
        status=_status(was.page, now.page) if is_readable else None,
        page=_came(was.page is not None, now.page is not None) if is_readable else None,
        listed=_came(was.is_listed, now.is_listed),
        problem=Problem(was.problem, now.problem) if was.problem != now.problem else None,
    )


def _came(was: bool, now: bool) -> Came | None:  # noqa: FBT001 - before and after, in this order
    if was == now:
        return None
    return "added" if now else "removed"


def _status(was: ProjectPage | None, now: ProjectPage | None) -> StatusDifference | None:
    old, new = (page.status if page is not None else None for page in (was, now))
    return StatusDifference(old, new) if old != new else None


def _mirrors(was: _Way, now: _Way, *, is_ours: bool) -> MirrorsDifference:
    wanted = "asked" if now.asked else "hidden"
    reason = next((reason for _, outcome, reason in now.mirrors if outcome == wanted), "")
    return MirrorsDifference(was.asked, now.asked, reason, is_ours)


def _releases(
    before: _Side, after: _Side, name: ProjectName, was: ProjectPage | None, now: ProjectPage | None
) -> Iterator[ReleaseDifference]:
    old, new = _by_version(was), _by_version(now)
    # Those of the old page that are gone come after the ones that are there.
    for version in (*reversed(new), *(version for version in reversed(old) if version not in new)):
        if version not in old:
            origin = _origin(new[version])
            is_new = origin is None or not before.has_release(origin, name, version)
            files = tuple(FileDifference(file.filename, "added", (), file.yanked) for file in new[version].values())
            yield ReleaseDifference(version, "new" if is_new else "shown", origin, files)
        elif version not in new:
            origin = _origin(old[version])
            is_gone = origin is None or not after.has_release(origin, name, version)
            files = tuple(FileDifference(filename, "removed") for filename in old[version])
            yield ReleaseDifference(version, "removed" if is_gone else "hidden", origin, files)
        elif files := tuple(_files(old[version], new[version])):
            kinds = {file.kind for file in files}
            is_of_all = len(files) == len(new[version])
            kind: ReleaseKind = "changed"
            if is_of_all and kinds == {"yanked"}:
                kind = "yanked"
            elif is_of_all and kinds == {"unyanked"}:
                kind = "unyanked"
            yield ReleaseDifference(version, kind, _origin(new[version]) or _origin(old[version]), files)


def _by_version(page: ProjectPage | None) -> dict[str, dict[str, FilePage]]:
    found: dict[str, dict[str, FilePage]] = {version: {} for version in page.versions} if page else {}
    for file in page.files if page else ():
        found[file.version][file.filename] = file
    return found


def _origin(files: dict[str, FilePage]) -> IndexName | None:
    return next((file.index for file in files.values()), None)


def _files(old: dict[str, FilePage], new: dict[str, FilePage]) -> Iterator[FileDifference]:
    for filename in sorted(old.keys() | new.keys()):
        was, now = old.get(filename), new.get(filename)
        if was is None or now is None:
            yield FileDifference(filename, "added" if was is None else "removed", (), now.yanked if now else None)
            continue
        facts = tuple(key for (key, one), (_, other) in zip(_facts(was), _facts(now), strict=True) if one != other)
        is_yank = was.yanked != now.yanked
        if facts:
            yield FileDifference(filename, "changed", (*facts, "yanked") if is_yank else facts, now.yanked)
        elif is_yank:
            yield FileDifference(filename, "unyanked" if now.yanked is None else "yanked", (), now.yanked)


def _facts(file: FilePage) -> tuple[tuple[str, object], ...]:
    """Return what a page states of a file but its yank. The index that gives it is on no simple page."""
    return (
        ("sha256", file.sha256),
        ("size", file.size),
        ("url", _less_digest(file, file.url)),
        ("upload-time", file.upload_time),
        ("requires-python", file.requires_python or None),
        ("core-metadata", file.core_metadata),
        ("provenance", _less_digest(file, file.provenance or "")),
    )


def _less_digest(file: FilePage, url: str) -> str:
    """Return a URL without the digest of the file: other bytes of a stored one are at another place, too."""
    digest = file.sha256 or ""
    return url.replace(f"{digest[:2]}/{digest[2:]}/", "")
