"""A preview as values: what differs for whom. Nothing here knows how it was found, or how it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gitindex.names import IndexName, ProjectName
from gitindex.pages import Status

Kind = Literal["added", "removed", "changed"]
Came = Literal["added", "removed"]
ReleaseKind = Literal["new", "shown", "removed", "hidden", "changed", "yanked", "unyanked"]
"""``shown`` and ``hidden`` are releases that their index has before and after."""
Value = str | bool | int | tuple[str, ...] | None
"""What a key of a definition may say."""


class SettingDifference(NamedTuple):
    """A key of `gitindex.toml` or of a definition that says something else."""

    key: str
    before: Value
    after: Value


class IndexDifference(NamedTuple):
    """An index that came, went, or is defined otherwise, itself or what it inherits from."""

    name: IndexName
    kind: Kind
    settings: tuple[SettingDifference, ...]
    """What its definition says otherwise; of one that came, what says more than nothing. The key ``order`` stands for
    the indexes that it shows, itself the first."""
    mirrors: tuple[IndexName, ...]
    """Which of these are mirrors, before or after."""
    inherited_by: tuple[IndexName, ...]
    """The indexes that show it, before or after, but for itself."""
    projects: int | None = None
    """How many projects it shows, of a stage that came or went."""


class FileDifference(NamedTuple):
    """A file of a release that is on a page before or after, and differs."""

    filename: str
    kind: Literal["added", "removed", "changed", "yanked", "unyanked"]
    facts: tuple[str, ...] = ()
    """Which facts of a changed one differ, by the keys of the simple API."""
    yanked: str | None = None
    """Why it is yanked now, ``None`` where it is not."""


class ReleaseDifference(NamedTuple):
    """A release that is on a page before or after, and differs."""

    version: str
    kind: ReleaseKind
    origin: IndexName | None
    """The index that gives its files; ``None`` where it has none on the page."""
    files: tuple[FileDifference, ...]


class MirrorsDifference(NamedTuple):
    """The mirrors that are asked for a project, where these are others than before."""

    before: tuple[IndexName, ...]
    after: tuple[IndexName, ...]
    reason: str
    """Why, as resolution states it of the first mirror that is now asked, or now hidden; empty where none is left."""
    is_ours: bool
    """Whether a stage has the project, or the name is reserved."""


class StatusDifference(NamedTuple):
    """The status of a project (PEP 792)."""

    before: Status | None
    after: Status | None


class Problem(NamedTuple):
    """Why a page cannot be shown; ``None`` on the side where it can."""

    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ProjectDifference:
    """What differs of a project, for the users of some indexes."""

    name: ProjectName
    indexes: tuple[IndexName, ...] = ()
    """Those whose users see just that."""
    releases: tuple[ReleaseDifference, ...] = ()
    """Newest first."""
    status: StatusDifference | None = None
    page: Came | None = None
    """Whether its page came or went."""
    listed: Came | None = None
    """Whether it came to the list of projects, or is not on it any more."""
    mirrors: MirrorsDifference | None = None
    problem: Problem | None = None

    @property
    def alters_page(self) -> bool:
        """Whether the simple page of the project is another one, came or went."""
        return bool(self.releases or self.status or self.page or self.problem)


@dataclass(frozen=True, slots=True)
class Preview:
    """What differs between two revisions for those who install from them."""

    base: str | None
    """As :attr:`gitindex.snapshot.Snapshot.name`."""
    head: str | None
    settings: tuple[SettingDifference, ...]
    indexes: tuple[IndexDifference, ...]
    projects: tuple[ProjectDifference, ...]
    """Sorted by name, then by the first index."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.settings or self.indexes or self.projects)

    @property
    def affected(self) -> tuple[IndexName, ...]:
        """The indexes whose users see something of it, sorted."""
        places = {place for project in self.projects for place in project.indexes}
        for index in self.indexes:
            places.update((index.name, *index.inherited_by))
        return tuple(sorted(places))

    def of(self, index: IndexName) -> Iterator[ProjectDifference]:
        """Yield what differs for the users of one index."""
        return (project for project in self.projects if index in project.indexes)
