"""GI401 to GI403 and GI407: changes after which a name leads to something else than it did, or than was meant.

They warn: each may be right, and a person decides. None speaks of what the base had already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitindex import layout
from gitindex.compare import Change
from gitindex.finding import Severity
from gitindex.model import Stage
from gitindex.names import IndexName, ProjectName, is_project_name
from gitindex.rules.rule import Hit, Rule
from gitindex.snapshot import Index, Snapshot

Order = tuple[Index, ...]
"""The indexes whose files an index shows, itself the first."""

_SHORTEST = 4
"""Characters of a name that is compared. Of the names of PyPI that have two, four in five are one edit away from one of
the 5,000 that are most downloaded; of three, three in ten; of four, one in six; of six and more, one in a hundred."""
_TOLD = 3
"""Names that a message lists; of more it says how many there are."""


def name_is_distinct(change: Change, subject: Change) -> Iterator[Hit]:
    """A new name is not easily taken for another.

    It is told when one edit (a letter more, less, other, or two swapped), or hyphens alone, make it another name of the
    repository or one of the 5,000 most downloaded projects of PyPI. Whoever mistypes one of the two installs the other,
    and that is what typosquatters count on. Only names that no index of the base has are compared. Names of less than
    four characters are not: three in ten of those in use are one edit away from a popular one. Of two names that are
    both popular nothing is said, as when an index takes in copies of public projects. Correct the name; if it is meant,
    keep it.
    """
    new = _new_names(subject)
    if not new:
        return
    from gitindex.similar import popular_names, similar_names  # noqa: PLC0415 - few changes bring a new name

    popular = popular_names()
    indexes = _indexes(change.head)
    names = popular.union(*(index.folder.entries() for index in indexes))
    found = similar_names(new, names)
    owners = _owners(indexes) if found else {}
    for name in sorted(new.keys() & found.keys()):
        told = [
            f"{other!r} ({owners.get(other, 'popular on PyPI')})"
            for other in found[name]
            if other in owners or other in popular
            if name not in popular or other not in popular
        ]
        if told:
            message = f"the new name {name!r} differs by one edit, or by hyphens alone, from {_listed(told)}"
            help_ = "correct it if it is a slip: whoever mistypes one of these names installs the other"
            yield Hit(layout.project_folder(new[name], name), message, help_)


def _owners(indexes: list[Index]) -> Mapping[str, IndexName]:
    """Return the names of the projects, each with the first index that has it."""
    owners: dict[str, IndexName] = {}
    for index in indexes:
        for name in filter(is_project_name, index.project_names()):
            owners.setdefault(name, index.name)
    return owners


def _new_names(change: Change) -> Mapping[ProjectName, IndexName]:
    """Return the names that no index of the base has, each with the first index that has it now."""
    found: dict[ProjectName, IndexName] = {}
    known = _indexes(change.base) if change.has_base else ()
    for index, name in change.new_projects():
        is_compared = len(name) >= _SHORTEST and is_project_name(name) and name not in found
        if is_compared and not any(other.has_project(name) for other in known):
            found[name] = index
    return found


def _indexes(snapshot: Snapshot) -> list[Index]:
    return [index for name in snapshot.index_names() if (index := snapshot.index_folder(name)) is not None]


def _listed(told: list[str]) -> str:
    more = [f"{len(told) - _TOLD:,} more"] if len(told) > _TOLD else []
    *rest, last = told[:_TOLD] + more
    return f"{', '.join(rest)} and {last}" if rest else last


def names_of_ours_stay_closed(change: Change, subject: Change) -> Iterator[Hit]:
    """No whitelist opens a project of ours to the mirrors.

    `mirror_whitelist = ["*"]` lets anybody who registers a name of ours on the public index add files to it, with a
    higher version that every installer prefers: dependency confusion. An entry does the same for one project, where a
    stage in the index's resolution order has it. An entry for a reserved name does nothing now, and would open it as
    soon as the name is not reserved any more. Admit a project by name, and only while both sources are yours.
    """
    is_touched = subject.touches_settings or subject.changed_definitions or any(True for _ in subject.new_projects())
    for name in change.head.index_names() if is_touched else ():
        index, before = change.head.index(name), change.base.index(name)
        if index is None:
            continue
        known = _opened(change.base, before) if before else {}
        for entry, why in sorted(_opened(change.head, index).items()):
            if entry not in known:
                line = change.head.line_of(index.path, ("mirror_whitelist",))
                message = f"the entry {entry!r} in the mirror_whitelist of {name} {why}"
                yield Hit(index.path, message, "remove the entry, or name only what the mirrors shall add to", line)


def _opened(snapshot: Snapshot, index: Index) -> dict[str, str]:
    """Return the entries of an index's whitelist that open what is ours, and how."""
    if not index.whitelist:
        return {}
    from gitindex.resolve import resolution_order  # noqa: PLC0415 - few changes ask who inherits from whom

    order = resolution_order(snapshot, index)
    found = {}
    for entry in filter(_is_entry, index.whitelist):
        name = ProjectName(entry)
        owner = next((stage.name for stage in order if not stage.is_mirror and stage.has_project(name)), None)
        if entry == "*":
            found[entry] = "opens every project of ours to the mirrors"
        elif snapshot.is_reserved(name):
            found[entry] = "names a reserved project, which it would open if it were not reserved"
        elif owner is not None:
            found[entry] = f"opens the project of {owner} to the mirrors"
    return found


def _is_entry(entry: str) -> bool:
    return entry == "*" or is_project_name(entry)  # GI013 refuses what is neither


def bases_are_kept(change: Change, index: Index) -> Iterator[Hit]:
    """A non-volatile index keeps its bases.

    Nothing that was released is lost, and yet everything that users got through the base is gone from their index, or
    comes from elsewhere. A base that is still reached through another one is not missed.
    """
    before = change.base.index(index.name)
    if before is None or not change.is_frozen(index.name) or not isinstance(index.definition, Stage):
        return
    from gitindex.resolve import resolution_order  # noqa: PLC0415

    reached = {each.name for each in resolution_order(change.head, index)}
    for base in before.bases:
        if base not in reached and base not in index.bases and change.base.index(base) is not None:
            yield Hit(
                index.path,
                f"the base {base} is removed from the non-volatile index {index.name}",
                "keep it; or make sure that nobody installs what only that base has",
                change.head.line_of(index.path, ("bases",)),
            )


def name_does_not_fall_open(change: Change, subject: Change) -> Iterator[Hit]:
    """A name that was ours is not left to the mirrors.

    Once the last release of a project is removed from a volatile index, an installer that asks for the name is sent on
    to the mirrors, and gets whatever somebody registered there. The warning names the indexes whose users are
    concerned: those that were closed to the mirrors for this name, and are open now. Reserve the name
    (`names.reserved`), or leave a `project.toml` in its folder.
    """
    inheriting: dict[IndexName, list[tuple[Order, Order]]] = {}
    for index, name in subject.lost_projects():
        if change.is_frozen(index):  # GI202 refuses it
            continue
        if index not in inheriting:
            inheriting[index] = list(_orders_with(change, index))
        opened = [
            f"{after[0].name} ({mirror})"
            for before, after in inheriting[index]
            if (mirror := _asked_mirror(change.head, after, name)) and not _asked_mirror(change.base, before, name)
        ]
        if opened:
            asking = _listed(opened)
            message = f"the last release of {name} is removed from {index}, and now a mirror answers for it in {asking}"
            help_ = f'reserve the name: add "{name}" to names.reserved in {layout.SETTINGS}'
            yield Hit(layout.project_folder(index, name), message, help_)


def _orders_with(change: Change, index: IndexName) -> Iterator[tuple[Order, Order]]:
    """Yield the resolution orders, before and after, of each index that had *index* in its order and is still there."""
    from gitindex.resolve import resolution_order  # noqa: PLC0415

    for name in change.base.index_names():
        before, after = change.base.index(name), change.head.index(name)
        if before is not None and after is not None:
            order = resolution_order(change.base, before)
            if any(step.name == index for step in order):
                yield order, resolution_order(change.head, after)


def _asked_mirror(snapshot: Snapshot, order: Order, name: ProjectName) -> IndexName | None:
    """Return the first mirror that is asked for a name, ``None`` where the name is closed to all."""
    from gitindex.resolve import walk  # noqa: PLC0415

    return next((step.index.name for step in walk(snapshot, order, name) if step.outcome == "asked"), None)


RULES = (
    Rule(
        "GI401",
        Severity.WARNING,
        "a new project whose name is one edit away from another one's of the repository or a very popular one of PyPI",
        (Change,),
        name_is_distinct,
    ),
    Rule(
        "GI402",
        Severity.WARNING,
        'mirror_whitelist = ["*"], or an entry that opens a project of ours to a mirror',
        (Change,),
        names_of_ours_stay_closed,
    ),
    Rule("GI403", Severity.WARNING, "a base removed from a non-volatile index", (Index,), bases_are_kept),
    Rule(
        "GI407",
        Severity.WARNING,
        "the last release of a project removed from a volatile index, so that its name falls open to the mirrors",
        (Change,),
        name_does_not_fall_open,
    ),
)
