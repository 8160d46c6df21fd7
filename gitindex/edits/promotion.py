"""Plans of pushes: releases of one index are written to another, alone or with what they require."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.edits.manifests import file_data, manifest_bytes, manifest_data, put_file
from gitindex.edits.opened import cannot_read, open_index, open_project, open_release, open_stage, release_version
from gitindex.edits.plan import UNCHANGED, Plan
from gitindex.edits.releases import check_open
from gitindex.errors import ConflictError, GitindexError, NotThereError, UsageError
from gitindex.model import Manifest, ProjectStatements
from gitindex.names import IndexName, ProjectName, is_prerelease, latest_version, parse_version
from gitindex.resolve import resolution_order, resolved_releases, walk

if TYPE_CHECKING:
    from packaging.version import Version

    from gitindex.closure import Holder
    from gitindex.snapshot import Index, Project, Snapshot

Requires = Callable[[Manifest], Sequence[str]]
"""Says what a release requires: its Requires-Dist."""


class Wanted(NamedTuple):
    """What is to be pushed."""

    project: ProjectName
    version: str | None
    """``None``: the newest."""
    extras: tuple[str, ...] = ()


class Pushed(NamedTuple):
    """A release that is pushed, and what it was taken along for."""

    project: ProjectName
    version: str
    because: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


class Promotion(NamedTuple):
    """A push as it would be made."""

    plan: Plan
    releases: tuple[Pushed, ...]


def push(
    snapshot: Snapshot,
    wanted: Sequence[Wanted],
    source: IndexName,
    target: IndexName,
    requires: Requires | None = None,
) -> Promotion:
    """Plan the promotion of releases: their manifests are written to the target, the files are not copied.

    With *requires*, what they require goes along, as far as the source itself has it and the target does not.

    Raises:
        NotThereError: the source itself has no such release (what it inherits is pushed from where it is), or nobody
            has what one requires.
        ConflictError: the target has a file of that name with other bytes, or what is required does not fit together.
        UsageError: a release is yanked, or a project takes none.

    """
    if source == target:
        raise UsageError(
            f"{source} is both source and target", help="name two indexes: gitindex push PROJECT==VERSION FROM TO"
        )
    index = open_stage(snapshot, target)
    plan = Plan()
    named = [_named(snapshot, source, each) for each in wanted]
    found = {(pushed.project, pushed.version): pushed for pushed in named}
    if requires is not None:
        holder = _Stage(snapshot, open_index(snapshot, source), index, named, requires)
        for each, pushed in zip(wanted, named, strict=True):
            for along in required_by(pushed, each.extras, holder, str(source)):
                found.setdefault((along.project, along.version), along)
    for pushed in found.values():
        manifest = open_release(snapshot, source, pushed.project, pushed.version)
        check_sound(snapshot, source, manifest, pushed.project)
        put_release(plan, index, pushed, manifest.name, map(file_data, manifest.files), source=source)
    return Promotion(plan, tuple(found.values()))


def put_release(
    plan: Plan, index: Index, pushed: Pushed, name: str, files: Iterable[dict[str, Any]], *, source: IndexName
) -> None:
    """Add to a plan that files of a release stand in an index; what is there already stays as it is.

    Raises:
        ConflictError: the index has a file of that name with other bytes.
        UsageError: the project takes no releases.

    """
    project = pushed.project
    check_open(index, project)
    opened = index.project(project)
    release = release_version(opened, pushed.version)
    manifest = manifest_data(index, project, release)
    manifest.setdefault("name", name)
    manifest.setdefault("version", release)
    digests = digests_of(opened)
    path = layout.manifest_path(index.name, project, release)
    is_new = False
    for file in files:
        check_same(digests, file["filename"], file["hashes"]["sha256"], index.name)
        is_new = put_file(manifest, file) != UNCHANGED or is_new
    if is_new:
        plan.changes[path] = manifest_bytes(manifest)
        why = f" ({', '.join(pushed.because)} requires it)" if pushed.because else ""
        plan.notes.append(f"Push {pushed} from {source} to {index.name}{why}")
    else:
        plan.concerned.append(path)
        plan.notes.append(f"{UNCHANGED} {pushed} in {index.name}")


def digests_of(project: Project | None) -> Mapping[str, str]:
    """Return the sha256 of each file that an index has of a project, by filename."""
    releases = project.releases() if project else ()
    return {file.filename: file.hashes.sha256 for _, manifest in releases for file in manifest.files}


def check_same(digests: Mapping[str, str], filename: str, sha256: str, target: IndexName) -> None:
    """Refuse other bytes than the target has, whose *digests* these are, under the same filename."""
    if digests.get(filename, sha256) != sha256:
        raise ConflictError(
            f"{filename} has the sha256 {sha256}, and {target} has one of {digests[filename]}",
            help="a name stands for the same bytes everywhere: release a new version",
        )


def check_sound(snapshot: Snapshot, source: IndexName, manifest: Manifest, project: ProjectName) -> None:
    """Refuse to promote what is yanked or quarantined: that would stay behind, and the release would look sound."""
    statements = open_project(snapshot, source, project).statements
    if not isinstance(statements, ProjectStatements):
        return
    if statements.status == "quarantined":
        raise UsageError(
            f"{project} is quarantined in {source}: {statements.status_reason or 'no reason given'}",
            help=f"change status in {layout.statements_path(source, project)}",
        )
    for key in _yanked(manifest, statements):
        raise UsageError(
            f"{key} of {project} is yanked in {source}: {statements.yanked[key] or 'no reason given'}",
            help=f"push a sound release, or: gitindex unyank {project}=={manifest.version} --index {source}",
        )


def _yanked(manifest: Manifest, statements: ProjectStatements) -> list[str]:
    keys = (manifest.version, *(file.filename for file in manifest.files))
    return [key for key in keys if key in statements.yanked]


def _named(snapshot: Snapshot, source: IndexName, wanted: Wanted) -> Pushed:
    version = wanted.version or newest_sound(open_project(snapshot, source, wanted.project))
    return Pushed(wanted.project, open_release(snapshot, source, wanted.project, version).version)


def newest_sound(project: Project) -> str:
    """Return the newest version that is not yanked and no pre-release; of pre-releases alone the newest."""
    sound = dict(_sound_versions(project))
    found = latest_version([version for version in sound if not is_prerelease(version)]) or latest_version(sound)
    if found is None:
        raise NotThereError(
            f"{project.index} has no release of {project.name} that is not yanked",
            help=f"see: gitindex list {project.name} --index {project.index}",
        )
    return found


def _sound_versions(project: Project) -> Iterator[tuple[str, Version]]:
    """Yield the versions of a project that can be promoted."""
    stated = project.statements if isinstance(project.statements, ProjectStatements) else ProjectStatements()
    for spelled in project.versions() if stated.status != "quarantined" else ():
        manifest = project.release(spelled)
        if isinstance(manifest, Unreadable):
            raise cannot_read(manifest)
        version = parse_version(spelled)
        if manifest is not None and version is not None and not _yanked(manifest, stated):
            yield spelled, version


def required_by(pushed: Pushed, extras: Iterable[str], holder: Holder, source: str) -> Iterator[Pushed]:
    """Yield what a release requires and the target does not show; raises as :func:`~gitindex.closure.closure`."""
    from gitindex.closure import closure  # noqa: PLC0415 - a resolver, and only for this

    version = parse_version(pushed.version)
    for taken in closure(pushed.project, version, extras, holder, source) if version is not None else ():
        yield Pushed(*taken)


class Target:
    """What a target shows already, or will since it is pushed by name; and what a mirror behind it is asked for."""

    def __init__(self, snapshot: Snapshot, target: Index, named: Iterable[Pushed], requires: Requires) -> None:
        self._snapshot = snapshot
        self._order = resolution_order(snapshot, target)
        self._requires = requires
        self._named = tuple(named)
        self._where: dict[tuple[ProjectName, str], IndexName] = {}

    def shown(self, project: ProjectName) -> Mapping[Version, str]:
        found: dict[Version, str] = {}
        for pushed in self._named:
            version = parse_version(pushed.version) if pushed.project == project else None
            if version is not None:
                found[version] = pushed.version
        for release in resolved_releases(walk(self._snapshot, self._order, project)):
            version = parse_version(release.version)
            if version is not None and release.reason is None and release.files and version not in found:
                found[version] = release.version
                self._where[project, release.version] = release.index
        return found

    def is_elsewhere(self, project: ProjectName) -> bool:
        return any(step.outcome == "asked" for step in walk(self._snapshot, self._order, project))

    def requires(self, project: ProjectName, version: str, *, is_shown: bool) -> Sequence[str]:
        where = self._where.get((project, version)) if is_shown else None
        if where is None:
            return self.required_of_held(project, version)
        try:
            return self._requires(open_release(self._snapshot, where, project, version))
        except GitindexError:  # it is there, whatever it requires
            return ()

    def required_of_held(self, project: ProjectName, version: str) -> Sequence[str]:
        """Return what a release of the index that is pushed from requires."""
        raise NotImplementedError


class _Stage(Target):
    """What a stage itself has."""

    def __init__(
        self, snapshot: Snapshot, source: Index, target: Index, named: Iterable[Pushed], requires: Requires
    ) -> None:
        super().__init__(snapshot, target, named, requires)
        self._source = source

    def held(self, project: ProjectName) -> Mapping[Version, str]:
        opened = self._source.project(project)
        return {version: spelled for spelled, version in _sound_versions(opened)} if opened else {}

    def required_of_held(self, project: ProjectName, version: str) -> Sequence[str]:
        return self._requires(open_release(self._snapshot, self._source.name, project, version))

    def advice(self, project: ProjectName) -> str:
        inherited = resolution_order(self._snapshot, self._source)[1:]
        where = [index.name for index in inherited if not index.is_mirror and index.has_project(project)]
        if where:
            return f"push it from where it is: gitindex push {project} {where[0]} {self._order[0].name}"
        return f"release what is missing to {self._source.name}, or push without --with-dependencies"
