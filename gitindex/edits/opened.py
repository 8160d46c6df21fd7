"""What a command names, opened, or an error that says what is there instead."""

from __future__ import annotations

from collections.abc import Iterable

from gitindex.documents import Unreadable
from gitindex.errors import CannotRunError, NotThereError, UsageError
from gitindex.model import Manifest, User
from gitindex.names import IndexName, ProjectName, parse_version
from gitindex.resolve import resolution_order
from gitindex.snapshot import Index, Project, Snapshot

SEE_INDEXES = "see: gitindex index list"


def meant_by(name: object, known: Iterable[object]) -> str:
    """Return the start of a hint that asks for the known name that is like a misspelt one; empty without any."""
    from rapidfuzz.process import extractOne  # noqa: PLC0415 - for a mistake alone

    found = extractOne(str(name), list(map(str, known)), score_cutoff=70)
    return "" if found is None or found[0] == str(name) else f"did you mean {found[0]}? "


def open_user(snapshot: Snapshot, name: str) -> User:
    """Return a user.

    Raises:
        NotThereError: there is none of that name.
        CannotRunError: its file cannot be read.

    """
    match snapshot.user(name):
        case User() as user:
            return user
        case Unreadable() as unreadable:
            raise cannot_read(unreadable)
        case None:
            meant = meant_by(name, snapshot.user_names())
            raise NotThereError(f"{name}: no such user", help=f"{meant}see: gitindex user list")


def open_index(snapshot: Snapshot, name: IndexName) -> Index:
    """Return an index.

    Raises:
        NotThereError: there is none of that name.
        CannotRunError: its file cannot be read.

    """
    index = snapshot.index(name)
    if index is None:
        raise NotThereError(f"{name}: no such index", help=f"{meant_by(name, snapshot.index_names())}{SEE_INDEXES}")
    if isinstance(index.definition, Unreadable):
        raise cannot_read(index.definition)
    return index


def open_stage(snapshot: Snapshot, name: IndexName) -> Index:
    """Return an index that people release to; like :func:`open_index`, and a mirror is a UsageError."""
    index = open_index(snapshot, name)
    if index.is_mirror:
        raise UsageError(f"{name} is a mirror: nobody releases to it", help="name a stage; see: gitindex index list")
    return index


def open_project(snapshot: Snapshot, name: IndexName, project: ProjectName) -> Project:
    """Return a project that an index itself has.

    Raises:
        NotThereError: it has none of that name; the help says which of its bases has it.

    """
    index = open_index(snapshot, name)
    if index.is_mirror:
        raise UsageError(
            f"{name} is a mirror: it has no releases of its own", help="name a stage; see: gitindex index list"
        )
    found = index.project(project)
    if found is None or not (any(found.versions()) or found.statements):
        bases = [base.name for base in resolution_order(snapshot, index)[1:] if base.has_project(project)]
        meant = meant_by(project, index.project_names())
        see = f"{meant}see: gitindex list --index {name}"
        hint = f"it inherits it from {bases[0]}: name that index" if bases else see
        raise NotThereError(f"{name} itself has no project {project}", help=hint)
    return found


def open_release(snapshot: Snapshot, name: IndexName, project: ProjectName, version: str) -> Manifest:
    """Return the manifest of a release that an index itself has; like :func:`open_project`."""
    opened = open_project(snapshot, name, project)
    match opened.release(release_version(opened, version)):
        case Manifest() as manifest:
            return manifest
        case Unreadable() as unreadable:
            raise cannot_read(unreadable)
        case None:
            raise NotThereError(
                f"{name} has no {project} {version}", help=f"see: gitindex list {project} --index {name}"
            )


def release_version(project: Project | None, version: str) -> str:
    """Return the spelling of a version that is there already, else the canonical one."""
    wanted = parse_version(version)
    if wanted is None:
        raise UsageError(f"{version!r} is no version", help="versions are written as PEP 440 has them, such as 1.4.0")
    for known in project.versions() if project else ():
        if parse_version(known) == wanted:
            return known
    return str(wanted)


def paths_below(snapshot: Snapshot, path: str) -> Iterable[str]:
    folder = snapshot.open_folder(path)
    for name, entry in sorted(folder.entries().items()) if folder else ():
        if entry.kind == "folder":
            yield from paths_below(snapshot, f"{path}/{name}")
        else:
            yield f"{path}/{name}"


def cannot_read(unreadable: Unreadable) -> CannotRunError:
    problem = unreadable.problems[0]
    place = unreadable.path if problem.line is None else f"{unreadable.path}:{problem.line}"
    return CannotRunError(f"{place}: {problem.message}", help="mend it first; see: gitindex validate --all")
