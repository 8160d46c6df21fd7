"""Indexes that have pages: which they are, and in which order their projects are looked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitindex.documents import Unreadable
from gitindex.errors import CannotRunError
from gitindex.names import IndexName, ProjectName, is_owner_name, is_project_name, is_user_name, normalize
from gitindex.resolve import resolution_order

if TYPE_CHECKING:
    from gitindex.resolve import Step
    from gitindex.snapshot import Index, Snapshot


@dataclass(frozen=True, slots=True)
class ServedIndex:
    """An index that has pages, with the order in which its projects are looked for."""

    index: Index
    order: tuple[Index, ...]

    @property
    def name(self) -> IndexName:
        """Its name."""
        return self.index.name


def open_index(snapshot: Snapshot, name: IndexName) -> ServedIndex | None:
    """Open an index to make pages of it; ``None`` where there is none.

    Raises:
        CannotRunError: its name is none, or its definition cannot be read.

    """
    index = snapshot.index(name)
    if index is None:
        return None
    if not is_user_name(name.user) or not is_owner_name(name.name):
        raise CannotRunError(f"{str(name)!r} is no name of an index", help="see: gitindex validate --all")
    if isinstance(index.definition, Unreadable):
        raise CannotRunError(
            f"{index.path}: {index.definition.problems[0].message}", help="see: gitindex validate --all"
        )
    return ServedIndex(index, (index,) if index.is_mirror else resolution_order(snapshot, index))


def reserved_names(snapshot: Snapshot) -> Iterator[ProjectName]:
    """Yield the reserved names that are names, and no patterns."""
    return filter(is_project_name, map(normalize, snapshot.settings.names.reserved))


def is_known(steps: Iterable[Step]) -> bool:
    """Tell whether an index on the way has the project; a reserved name has a page all the same, and an empty one."""
    return any(step.project for step in steps)
