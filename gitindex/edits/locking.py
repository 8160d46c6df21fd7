"""The plan of a mirror that shows what locks name, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from gitindex.edits import toml
from gitindex.edits.opened import open_index
from gitindex.edits.plan import UNCHANGED, Plan
from gitindex.errors import UsageError
from gitindex.locks import Contents, LeftOut, Locked, without_login
from gitindex.model import Mirror
from gitindex.names import IndexName, ProjectName, parse_version
from gitindex.snapshot import Snapshot


class Lock(NamedTuple):
    """What becomes of a mirror."""

    plan: Plan
    allow: tuple[str, ...]
    """All entries, as they will be."""
    left_out: tuple[LeftOut, ...]


def lock_mirror(
    snapshot: Snapshot,
    name: IndexName,
    contents: Sequence[Contents],
    registries: Collection[str],
    *,
    add: bool = False,
    by_name: bool = False,
) -> Lock:
    """Plan that a mirror allows what locks name: an entry for each version, so that several locks have what each wants.

    *registries* are the URLs of indexes whose packages the mirror has: its upstream, and ours, which shows the mirror.
    With *add*, the entries that it has stay; with *by_name*, all versions of what locks name are allowed. Names of ours
    are left out: the mirror must not be asked for them.

    Raises:
        UsageError: it is no mirror, or nothing in the locks is for it.

    """
    index = open_index(snapshot, name)
    definition = index.definition
    if not isinstance(definition, Mirror):
        raise UsageError(f"{name} is a stage: people release to it", help="name a mirror; see: gitindex index list")
    known = {_comparable(url) for url in registries}
    owners = _Owners(snapshot)
    left_out = [left for each in contents for left in each.left_out]
    entries: dict[str, None] = {}
    for locked in _in_order(each for content in contents for each in content.locked):
        if (why := owners.reason(locked.project)) is not None:
            left_out.append(LeftOut(locked.project, why))
        elif locked.registry is not None and not _is_below(locked.registry, known):
            left_out.append(LeftOut(locked.entry, f"is of another index, {without_login(locked.registry)}"))
        else:
            entries[locked.project if by_name else locked.entry] = None
    if not entries:
        raise UsageError(
            f"nothing in the locks is for {name}: of what they name, {_told(left_out)}",
            help="give a lock that names projects of its upstream",
        )
    before = definition.allow or ()
    allow = tuple(sorted({*before, *entries})) if add else tuple(entries)
    path = index.path
    if set(allow) == set(before) and definition.allow is not None:
        plan = Plan({}, [f"{UNCHANGED} {name} allows {_count(allow)}"], [path])
    else:
        data = toml.with_list(snapshot, path, "allow", allow)
        plan = Plan({path: data}, [f"Lock {name} to {_count(allow)}"])
    return Lock(plan, allow, tuple(dict.fromkeys(left_out)))


class _Owners:
    """Knows which names are ours, so that no mirror may have them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        indexes = [index for each in snapshot.index_names() if (index := snapshot.index(each)) is not None]
        self._stages = [index for index in indexes if not index.is_mirror]
        self._admitted = frozenset[str]().union(*(index.whitelist for index in self._stages))

    def reason(self, name: ProjectName) -> str | None:
        """Return why a name is ours, ``None`` where it is not, or a whitelist lets the mirrors add to it."""
        if self._snapshot.is_reserved(name):
            return "is reserved (names.reserved in gitindex.toml)"
        if self._admitted & {"*", name}:
            return None
        owner = next((index.name for index in self._stages if index.has_project(name)), None)
        return None if owner is None else f"is ours ({owner})"


def _in_order(locked: Iterable[Locked]) -> list[Locked]:
    """Return what is locked by name, and the versions of a name in their order."""

    def place(each: Locked) -> tuple[str, bool, object, str]:
        version = parse_version(each.specifier.removeprefix("=="))
        return each.project, version is not None, version or "", each.specifier

    return sorted(locked, key=place)


def _is_below(url: str, known: Collection[str]) -> bool:
    comparable = _comparable(url)
    return any(comparable == root or comparable.startswith(f"{root}/") for root in known)


def _comparable(url: str) -> str:
    """Return what is equal for URLs of one place: without scheme, password, a port that goes without saying, or `/`."""
    _, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2].lower().removesuffix(":443")
    return f"{host}{slash}{path}".rstrip("/")


def _told(left_out: Sequence[LeftOut]) -> str:
    if not left_out:
        return "there is nothing"
    first = f"{left_out[0].what} {left_out[0].why}"
    return first if len(left_out) == 1 else f"{first}, and {len(left_out) - 1:,} more are left out"


def _count(allow: Sequence[str]) -> str:
    return "1 entry" if len(allow) == 1 else f"{len(allow):,} entries"
