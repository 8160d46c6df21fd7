"""An index through its bases: the order, what shadows what, and why. Devpi's rules, with its holes closed.

Devpi: breadth first over the bases, each index once, mirrors last; a filename seen earlier wins; a project of a stage
hides the mirrors behind it unless `mirror_whitelist` admits it. Added: reserved names hide the mirrors always, and of
several mirrors the first that has the project answers alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.model import Mirror, ProjectStatements, Stage
from gitindex.names import IndexName, ProjectName, normalize
from gitindex.released import ReleasedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gitindex.snapshot import Index, Project, Snapshot

Outcome = Literal["shown", "nothing", "quarantined", "asked", "hidden"]
"""What became of an index on the way: its files are shown; it has none; they are quarantined; it is a mirror and is
asked; it is a mirror and is not."""


@dataclass(frozen=True, slots=True)
class Step:
    """One index on the way through the resolution order, for one project."""

    index: Index
    outcome: Outcome
    reason: str
    """Why, naming the setting."""
    project: Project | None = None


class ResolvedRelease(NamedTuple):
    """A release of a project with the index that gives it."""

    index: IndexName  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    version: str
    files: tuple[ReleasedFile, ...]
    yanked: Mapping[str, str]
    """The index's yanks of the project: reasons by version or filename."""
    reason: str | None
    """Why the release as a whole is yanked, ``None`` where it is not."""


@dataclass(frozen=True, slots=True)
class ResolvedFile:
    """A file of a project with the index that gives it."""

    file: ReleasedFile
    version: str
    index: IndexName
    yanked: str | None
    """The reason, ``None`` where it is not yanked."""
    shadowed_by: IndexName | None = None
    """The index whose file of the same name is shown instead."""


def resolution_order(snapshot: Snapshot, index: Index) -> tuple[Index, ...]:
    """Return the indexes whose files *index* shows: itself, then its bases breadth first, each once, mirrors last.

    Bases that are not there are passed over; cycles end.
    """
    stages: list[Index] = []
    mirrors: list[Index] = []
    seen = {index.name}
    queue = deque((index,))
    while queue:
        current = queue.popleft()
        (mirrors if current.is_mirror and current is not index else stages).append(current)
        for name in current.bases:
            base = snapshot.index(name)
            if base is not None and name not in seen:
                seen.add(name)
                queue.append(base)
    return (*stages, *mirrors)


def documents_behind(snapshot: Snapshot, index: Index) -> Iterator[str]:
    """Yield the paths of the documents that say what *index* shows and who may write there; some may come twice.

    They are the settings, the definitions of the index and its bases, and the users whom these name.
    """
    yield layout.SETTINGS
    users = {name for group in snapshot.settings.groups.values() for name in group}
    for each in resolution_order(snapshot, index):
        yield layout.index_path(each.name)
        acl = (each.definition.acl_upload or ()) if isinstance(each.definition, Stage) else ()
        users |= {each.name.user, *(name for name in acl if not name.startswith(":"))}
    yield from map(layout.user_path, sorted(users))


def walk(snapshot: Snapshot, order: tuple[Index, ...], name: ProjectName, *, opens: bool = True) -> Iterator[Step]:
    """Yield what each index of the *order* has to do with the project *name*.

    Where it *opens* no project, one that is quarantined counts as shown; to the mirrors that is the same.

    The whitelist is combined as devpi does it: the running set starts as the asked index's own list, each stage on the
    way joins or cuts it (the asked index says which), and a project that was once admitted stays admitted.
    """
    asked = order[0].definition
    union = isinstance(asked, Stage) and asked.mirror_whitelist_inheritance == "union"
    merge = isinstance(asked, Stage) and asked.merge_mirrors
    allowed = order[0].whitelist
    admitted_by: IndexName | None = None
    private: IndexName | None = None
    answered: IndexName | None = None
    reserved = snapshot.is_reserved(name)
    owned = False
    for index in order:
        if not index.is_mirror:
            allowed = allowed | index.whitelist if union else allowed & index.whitelist
            if allowed & {"*", name}:
                admitted_by = admitted_by or index.name
            project = index.project(name)
            if project is None:
                yield Step(index, "nothing", "it has no such project")
                continue
            owned = True
            if admitted_by is None:
                private = private or index.name
            if opens and _status(project) == "quarantined":
                yield Step(index, "quarantined", 'status = "quarantined" in its project.toml', project)
            else:
                yield Step(index, "shown", "it has the project", project)
        elif reserved:
            yield Step(index, "hidden", "the name is reserved (names.reserved in gitindex.toml)")
        elif private is not None and admitted_by is None:
            yield Step(index, "hidden", f"{private} has the project, and mirror_whitelist does not admit it")
        elif refusal := _refused_by_mirror(index, name):
            yield Step(index, "hidden", refusal)
        elif answered is not None and not merge:
            yield Step(index, "asked", f"only where {answered} does not have the project (merge_mirrors is false)")
        else:
            why = f"mirror_whitelist admits it ({admitted_by})" if owned else "no stage has the project"
            answered = answered or index.name
            yield Step(index, "asked", why)


def unreadable_in(steps: Iterable[Step]) -> Unreadable | None:
    """Return the first document on the way that cannot be read; what is shown without it is not the whole."""
    for step in steps:
        if isinstance(step.index.definition, Unreadable):
            return step.index.definition
        if step.project is not None:
            documents = (step.project.statements, *(release.files for release in step.project.released))
            for document in documents:
                if isinstance(document, Unreadable):
                    return document
    return None


def is_ours(snapshot: Snapshot, order: tuple[Index, ...], name: ProjectName) -> bool:
    """Tell whether no mirror is asked for *name*: the guard against dependency confusion."""
    return not any(step.outcome == "asked" for step in walk(snapshot, order, name))


def resolved_releases(steps: Iterable[Step]) -> Iterator[ResolvedRelease]:
    """Yield the releases that the stages of a walk show, in order, with the files that nothing before them has."""
    seen: set[str] = set()
    shown = [step for step in steps if step.outcome == "shown"]
    for step in shown:
        yanked = _yanked(step)
        for version, _, files in step.project.released if step.project else ():
            if isinstance(files, Unreadable):
                continue
            if len(shown) > 1:
                mine = tuple(file for file in files if file.filename not in seen)
                seen.update(file.filename for file in mine)
            else:
                mine = files
            yield ResolvedRelease(step.index.name, version, mine, yanked, yanked.get(version))


def files_of(steps: Iterable[Step]) -> Iterator[ResolvedFile]:
    """Yield the files that the stages of a walk give, in order.

    The first of a name wins, the others say what shadows them.
    """
    first: dict[str, IndexName] = {}
    for step in steps:
        if step.outcome != "shown" or step.project is None:
            continue
        yanked = _yanked(step)
        for version, _, files in step.project.released:
            for file in () if isinstance(files, Unreadable) else files:
                shadow = first.setdefault(file.filename, step.index.name)
                reason = yanked.get(file.filename, yanked.get(version))
                shadowed_by = None if shadow == step.index.name else shadow
                yield ResolvedFile(file, version, step.index.name, reason, shadowed_by)


def _yanked(step: Step) -> Mapping[str, str]:
    statements = step.project.statements if step.project else None
    return statements.yanked if isinstance(statements, ProjectStatements) else {}


def project_names(order: tuple[Index, ...]) -> tuple[ProjectName, ...]:
    """Return the names of the projects that the stages of an order have, sorted. What mirrors have is not asked."""
    return tuple(sorted({name for index in order if not index.is_mirror for name in index.project_names()}))


def display_name(steps: tuple[Step, ...], name: ProjectName, version: str | None = None) -> str:
    """Return the project's name as its authors spell it, in a manifest of *version* or the last one that is there."""
    spelled = ""
    for step in steps:
        for release in step.project.released if step.project else ():
            if release.name and (not spelled or release.version == version):
                spelled = release.name
    if normalize(spelled) == name:
        return spelled
    return name


def _status(project: Project) -> str | None:
    statements = project.statements
    return statements.status if isinstance(statements, ProjectStatements) else None


def _refused_by_mirror(index: Index, name: ProjectName) -> str | None:
    """Return why a curated mirror shows nothing of a project, ``None`` where it may."""
    definition = index.definition
    if not isinstance(definition, Mirror):
        return None
    if definition.allow is not None and name not in _projects_of(definition.allow):
        return "allow does not name it"
    if any(named_in(entry) == name and _is_bare(entry) for entry in definition.deny):
        return "deny names it"
    return None


@lru_cache(maxsize=64)
def _projects_of(requirements: tuple[str, ...]) -> frozenset[ProjectName]:
    return frozenset(map(named_in, requirements))


def named_in(requirement: str) -> ProjectName:
    """Return the project that an entry of a mirror's list names."""
    end = next((at for at, character in enumerate(requirement) if character in " <>=!~;[("), len(requirement))
    return normalize(requirement[:end])


def _is_bare(requirement: str) -> bool:
    return normalize(requirement.strip()) == named_in(requirement)
