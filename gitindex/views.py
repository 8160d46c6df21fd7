"""What the pages for people show, as values; the templates only lay it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gitindex.names import IndexName, ProjectName
from gitindex.pages import ProjectPage

FEED_LENGTH = 50
"""Releases that a feed shows: the newest."""
NEWEST = 5
"""Those of them that the page of an index shows."""
HISTORY_LENGTH = 20
"""Commits that the page of a project shows: the newest."""


@dataclass(frozen=True, slots=True)
class IndexCard:
    """An index as the landing page shows it."""

    name: IndexName
    kind: str
    """``stage`` or ``mirror``."""
    title: str
    volatile: bool
    projects: int | None
    """How many projects it lists, ``None`` for a mirror."""


@dataclass(frozen=True, slots=True)
class LandingView:
    """The page at ``/``: users and their indexes."""

    title: str
    users: tuple[tuple[str, str, tuple[IndexCard, ...]], ...]
    """Name, title and indexes of each user."""


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project as the page of an index lists it."""

    name: ProjectName
    latest: str
    """The newest version: final before pre-release, not yanked before yanked; empty without a file."""
    status: str
    """A status that readers should see (``archived``, ``quarantined``, ``deprecated``), else empty."""
    index: IndexName | None
    """Where the newest version comes from; ``None`` where there is none."""


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """A release as the feed of an index shows it."""

    project: ProjectName
    version: str
    index: IndexName
    """Where the release comes from."""
    updated: str | None
    """The newest upload time of its files (PEP 700's form), ``None`` where none is known."""
    link: str
    """Relative to the page of the index, such as ``project/<project>/#<version>``."""
    yanked: tuple[str, ...] = ()
    """The reasons (which may be empty) of the files that are yanked, each once."""


@dataclass(frozen=True, slots=True)
class IndexView:
    """The page at ``/<user>/<index>/``."""

    site_title: str
    name: IndexName
    kind: str
    title: str
    description: str
    volatile: bool
    bases: tuple[IndexName, ...]
    order: tuple[IndexName, ...]
    """The resolution order, this index first."""
    uploaders: tuple[str, ...]
    """Users and ``:groups`` of ``acl_upload``."""
    mirror_url: str
    projects: int
    """How many rows it has."""
    newest: tuple[FeedEntry, ...]
    """Its newest releases, the newest first."""
    index_url: str
    """The absolute URL of the simple index, for the lines that people copy; empty where the site's is not known."""
    serves_mirror: bool = False
    """Whether a mirror has simple pages of its own here; a site of files leaves them to its host's fallback."""


class HistoryEntry(NamedTuple):
    """What one commit did to a project in one index."""

    time: str
    """UTC, such as ``2026-11-24T10:00:00Z``."""
    author: str
    """The commit's author: a name, written by whoever made the commit."""
    commit: str
    """Its full id."""
    index: IndexName  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    """Where it happened."""
    released: tuple[str, ...]
    """Versions that were added."""
    changed: tuple[str, ...]
    """Versions whose files changed."""
    removed: tuple[str, ...]
    """Versions that were removed."""
    stated: bool
    """Whether what is stated about the project (yanks, status) changed."""


class ProjectEvent(NamedTuple):
    """What one commit did to one project."""

    project: ProjectName
    entry: HistoryEntry


@dataclass(frozen=True, slots=True)
class ProjectView:
    """The page at ``/<user>/<index>/project/<project>/``."""

    site_title: str
    index: IndexName
    page: ProjectPage
    display_name: str
    latest: str
    index_url: str
    history: tuple[HistoryEntry, ...] = ()
    """Newest first."""


@dataclass(frozen=True, slots=True)
class FeedView:
    """The feed at ``/<user>/<index>/feed.xml``."""

    index: IndexName
    title: str
    """May be empty."""
    site_url: str
    """Where the site is served; empty where it is not known."""
    entries: tuple[FeedEntry, ...]
    """In any order; the newest are shown."""
