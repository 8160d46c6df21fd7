"""An index through its bases: the order, what shadows what, and why. Devpi's rules, with its holes closed.

Devpi: breadth first over the bases, each index once, mirrors last; a filename seen earlier wins; a project of a stage
hides the mirrors behind it unless `mirror_whitelist` admits it. Added: reserved names hide the mirrors always, and of
several mirrors the first that has the project answers alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gitindex.model import Manifest, Mirror, ProjectStatements, Stage
from gitindex.names import IndexName, ProjectName, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gitindex.model import File
    from gitindex.snapshot import Index, Project, Snapshot

Outcome = Literal["shown", "nothing", "quarantined", "asked", "hidden"]
"""What became of an index on the way: its files are shown; it has none; they are quarantined; it is a mirror and is asked;
it is a mirror and is not."""


@dataclass(frozen=True, slots=True)
class Step:
    """One index on the way through the resolution order, for one project."""

    index: Index
    outcome: Outcome
    reason: str
    """Why, naming the setting."""
    project: Project | None = None


@dataclass(frozen=True, slots=True)
class ResolvedFile:
    """A file of a project with the index that gives it."""

    file: File
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


def walk(snapshot: Snapshot, order: tuple[Index, ...], name: ProjectName) -> Iterator[Step]:
    """Yield what each index of the *order* has to do with the project *name*.

    The whitelist is combined as devpi does it: the running set starts as the asked index's own list, each stage on the way
    joins or cuts it (the asked index says which), and a project that was once admitted stays admitted.
    """
    asked = order[0].definition
    union = isinstance(asked, Stage) and asked.mirror_whitelist_inheritance == "union"
    merge = isinstance(asked, Stage) and asked.merge_mirrors
    allowed = _whitelist(order[0])
    admitted_by: IndexName | None = None
    private: IndexName | None = None
    answered: IndexName | None = None
    reserved = snapshot.is_reserved(name)
    owned = False
    for index in order:
        if not index.is_mirror:
            allowed = allowed | _whitelist(index) if union else allowed & _whitelist(index)
            if allowed & {"*", name}:
                admitted_by = admitted_by or index.name
            project = index.project(name)
            if project is None:
                yield Step(index, "nothing", "it has no such project")
                continue
            owned = True
            if admitted_by is None:
                private = private or index.name
            if _status(project) == "quarantined":
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


def is_ours(snapshot: Snapshot, order: tuple[Index, ...], name: ProjectName) -> bool:
    """Tell whether no mirror is asked for *name*: the guard against dependency confusion."""
    return not any(step.outcome == "asked" for step in walk(snapshot, order, name))


def files_of(steps: Iterable[Step]) -> Iterator[ResolvedFile]:
    """Yield the files that the stages of a walk give, in order; the first of a name wins, the others say what shadows them."""
    first: dict[str, IndexName] = {}
    for step in steps:
        if step.outcome != "shown" or step.project is None:
            continue
        statements = step.project.statements
        yanked = statements.yanked if isinstance(statements, ProjectStatements) else {}
        for version, manifest in step.project.releases():
            reason = yanked.get(version)
            for file in manifest.files:
                shadow = first.setdefault(file.filename, step.index.name)
                yield ResolvedFile(
                    file,
                    version,
                    step.index.name,
                    yanked.get(file.filename, reason),
                    None if shadow == step.index.name else shadow,
                )


def project_names(order: tuple[Index, ...]) -> tuple[ProjectName, ...]:
    """Return the names of the projects that the stages of an order have, sorted. What mirrors have is not asked."""
    return tuple(sorted({name for index in order if not index.is_mirror for name in index.project_names()}))


def display_name(steps: tuple[Step, ...], name: ProjectName) -> str:
    """Return the project's name as the newest manifest of the first index that has it spells it."""
    for step in steps:
        manifests = [manifest for _, manifest in step.project.releases()] if step.project else []
        for manifest in manifests[-1:]:
            if isinstance(manifest, Manifest) and normalize(manifest.name) == name:
                return manifest.name
    return name


def _whitelist(index: Index) -> frozenset[str]:
    return frozenset(index.definition.mirror_whitelist) if isinstance(index.definition, Stage) else frozenset()


def _status(project: Project) -> str | None:
    statements = project.statements
    return statements.status if isinstance(statements, ProjectStatements) else None


def _refused_by_mirror(index: Index, name: ProjectName) -> str | None:
    """Return why a curated mirror shows nothing of a project, ``None`` where it may."""
    definition = index.definition
    if not isinstance(definition, Mirror):
        return None
    if definition.allow is not None and name not in {_project_of(entry) for entry in definition.allow}:
        return "allow does not name it"
    if any(_project_of(entry) == name and _is_bare(entry) for entry in definition.deny):
        return "deny names it"
    return None


def _project_of(requirement: str) -> ProjectName:
    end = next((at for at, character in enumerate(requirement) if character in " <>=!~;[("), len(requirement))
    return normalize(requirement[:end])


def _is_bare(requirement: str) -> bool:
    return normalize(requirement.strip()) == _project_of(requirement)
