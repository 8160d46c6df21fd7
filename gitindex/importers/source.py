"""What another index has, as values: users, indexes with their options, files with what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from gitindex.download import Sink
from gitindex.importers.report import Report
from gitindex.names import IndexName, ProjectName, Sha256, UserName
from gitindex.pages import Status

Fetch = Callable[[Sink], None]
"""Downloads a file into a sink; raises DeliveryError, and what the sink raises."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of another index."""

    filename: str
    """As the other side has it: nothing about it is checked yet."""
    content: Path | Fetch
    """Where it lies on this machine, or what downloads it."""
    project: ProjectName | None = None
    """The project under which it is listed; ``None`` where nothing but its name says so."""
    sha256: Sha256 | None = None
    size: int | None = None
    """Bytes."""
    upload_time: str | None = None
    """As a manifest has it."""
    came: str | None = None
    """When it came into this very index, where that is known: a push is later than the upload."""
    uploader: UserName | None = None
    """The user who brought it there."""
    yanked: str | None = None
    """The reason (may be empty); ``None`` where it is not yanked."""
    provenance: Path | Fetch | None = None
    """Where its provenance document (PEP 740) lies on this machine, or what downloads that; ``None`` without one."""
    results: tuple[Mapping[str, Any], ...] = ()
    """What came of testing it: entries of `<version>.tests.json`, whose `files` are not known yet."""


class SourceUser(NamedTuple):
    """A user, and what `user.toml` gets."""

    name: UserName
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceIndex:
    """An index, and what `index.toml` gets; it is empty where the index has to be there already."""

    name: IndexName
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_mirror(self) -> bool:
        """Whether nothing but its definition is brought."""
        return self.values.get("type") == "mirror"


class Listed(NamedTuple):
    """What an index has."""

    files: tuple[SourceFile, ...]
    statuses: Mapping[ProjectName, Status] = MappingProxyType({})
    """PEP 792."""


class Source(Protocol):
    """Something to import from."""

    @property
    def told(self) -> str:
        """What it is called in the messages of commits; no secret is in it."""

    @property
    def place(self) -> str:
        """What tells it from every other one; it is shown to nobody."""

    def users(self) -> Iterator[SourceUser]:
        """Yield the users who own what is brought."""

    def indexes(self) -> Iterator[SourceIndex]:
        """Yield the indexes, bases first."""

    def listed(self, index: SourceIndex, report: Report) -> Listed:
        """Return the files of an index; what cannot be carried over is told to the report.

        Raises:
            CannotRunError: the other side does not say what it has.

        """


class OneIndex:
    """What fills one index has, beside its files: the index, and its owner where the two are made."""

    def __init__(self, index: SourceIndex) -> None:
        self._index = index

    def users(self) -> Iterator[SourceUser]:
        if self._index.values:
            yield SourceUser(self._index.name.user, {})

    def indexes(self) -> Iterator[SourceIndex]:
        yield self._index
