"""What the pages for people show, as values; the templates only lay it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from gitindex.names import IndexName, ProjectName
from gitindex.pages import ProjectPage

if TYPE_CHECKING:
    from gitindex.facts.described import Described

FEED_LENGTH = 50
"""Releases that a feed shows: the newest."""
NEWEST = 5
"""Those of them that the page of an index shows."""
HISTORY_LENGTH = 20
"""Commits that the page of a project shows: the newest."""


class NoticeLine(NamedTuple):
    """One thing that a change does, on a page that previews it."""

    mark: str
    """``new``, ``gone``, ``changed`` or ``warning``."""
    subject: str
    """What it is about; may be empty."""
    text: str
    links: tuple[tuple[str, str], ...] = ()
    """The pages where it is seen: text and relative address."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a page says of the change that it previews."""

    title: str
    lines: tuple[NoticeLine, ...]
    more: int = 0
    """How many lines are left out."""
    marks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Marks of releases, by version: one of those of a line, and a word."""


class IndexCard(NamedTuple):
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
    notice: Notice | None = None

    @property
    def site_title(self) -> str:
        """What each page calls the site."""
        return self.title


class ProjectRow(NamedTuple):
    """A project as the page of an index lists it."""

    name: ProjectName
    latest: str
    """The newest version: final before pre-release, not yanked before yanked; empty without a file."""
    status: str
    """A status that readers should see (``archived``, ``quarantined``, ``deprecated``), else empty."""
    index: IndexName | None  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    """Where the newest version comes from; ``None`` where there is none."""


class FeedEntry(NamedTuple):
    """A release as the feed of an index shows it."""

    project: ProjectName
    version: str
    index: IndexName  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    """Where the release comes from."""
    updated: str | None
    """The newest upload time of its files (PEP 700's form), ``None`` where none is known."""
    link: str
    """Relative to the page of the index, such as ``project/<project>/#<version>``."""
    yanked: tuple[str, ...] = ()
    """The reasons (which may be empty) of the files that are yanked, each once."""


class Inheritance(NamedTuple):
    """An index, and what it inherits."""

    name: IndexName
    kind: str
    """``stage`` or ``mirror``."""
    volatile: bool
    bases: tuple[IndexName, ...]


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
    """What a mirror shows; empty: PyPI."""
    projects: int
    """How many rows it has."""
    newest: tuple[FeedEntry, ...]
    """Its newest releases, the newest first."""
    index_url: str
    """The absolute URL of the simple index, for the lines that people copy; empty where the site's is not known."""
    serves_mirror: bool = False
    """Whether a mirror has simple pages of its own here; a site of files leaves them to its host's fallback."""
    inherits: tuple[Inheritance, ...] = ()
    """The indexes of the resolution order, each with what it inherits itself."""
    allows: tuple[str, ...] | None = None
    """All that a mirror shows of its upstream, as requirements; ``None``: all that there is."""
    denies: tuple[str, ...] = ()
    """What a mirror does not show."""
    min_age: str = ""
    """How old a file must be before a mirror shows it, such as ``7d``; empty: any."""
    notice: Notice | None = None


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


class RunOfTests(NamedTuple):
    """A result of the tests of a release."""

    environment: str
    outcome: str
    """``passed``, ``failed`` or ``error``; ``unreadable`` where there are results that cannot be read."""
    duration: float
    """Seconds."""
    time: str
    """UTC, with ``Z``."""
    index: IndexName  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    """Where the result is recorded."""


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
    described: Described | None = None
    """What the metadata of the newest release tells, ``None`` where it is not known."""
    here: frozenset[ProjectName] = frozenset()
    """Those of its dependencies that this index has pages of."""
    tested: Mapping[str, tuple[RunOfTests, ...]] = field(default_factory=dict)
    """Results of tests by version, newest first."""
    attested: Mapping[str, str] = field(default_factory=dict)
    """Who attests a file, by its filename."""
    notice: Notice | None = None


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
    happened: tuple[HappenedEntry, ...] = ()
    """What else happened, the newest first."""


class HappenedEntry(NamedTuple):
    """Something that happened, as a feed shows it."""

    commit: str
    """Its full id."""
    key: str
    """What tells it from all else that the commit did."""
    time: str
    """UTC, with ``Z``."""
    title: str
    summary: str
    """May be empty."""
    author: str
    link: str
    """Relative to the top of a site; empty for the top itself."""


@dataclass(frozen=True, slots=True)
class LogFeedView:
    """The feed that ``gitindex log`` prints."""

    title: str
    site_url: str
    scope: str
    """What it is the log of: an index, a project, or empty."""
    entries: tuple[HappenedEntry, ...]
    """The newest first."""
