"""What people's pages show of a snapshot: gathered project by project, and put into values.

The site and the server both stand on it, so they show the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from gitindex.details import NO_DETAILS, Details
from gitindex.documents import Unreadable
from gitindex.happenings import Happening, push_key
from gitindex.model import Mirror, Stage, User
from gitindex.names import (
    IndexName,
    ProjectName,
    canonical_version,
    is_prerelease,
)
from gitindex.pages import ProjectPage
from gitindex.resolve import display_name
from gitindex.served import ServedIndex
from gitindex.views import (
    FEED_LENGTH,
    NEWEST,
    FeedEntry,
    FeedView,
    HistoryEntry,
    IndexCard,
    IndexView,
    Inheritance,
    LandingView,
    ProjectRow,
    ProjectView,
)

if TYPE_CHECKING:
    from gitindex.resolve import Step
    from gitindex.snapshot import Index, Snapshot


@dataclass
class Gathered:
    """What is gathered for the list, the page and the feed of an index while its projects are written."""

    listed: list[ProjectName] = field(default_factory=list)
    rows: list[ProjectRow] = field(default_factory=list)
    entries: list[FeedEntry] = field(default_factory=list)
    oldest: str = ""
    """What is older than that is not among the newest."""

    def add_project(self, name: ProjectName, page: ProjectPage, index: IndexName) -> None:
        """Add what the lists of *index* show of a project that it has."""
        status = page.status.status if page.status and page.status.status != "active" else ""
        if status != "quarantined":
            self.listed.append(name)
        latest = latest_version(page)
        origin = next((file.index for file in reversed(page.files) if file.version == latest), None)
        self.rows.append(ProjectRow(name, latest, status, origin))
        self.entries.extend(_feed_entries(index, page, self.oldest))
        if len(self.entries) > 10 * FEED_LENGTH:
            self.keep_newest()

    def add(self, other: Gathered) -> None:
        """Add what another process has gathered."""
        self.listed = sorted([*self.listed, *other.listed])
        self.rows = sorted([*self.rows, *other.rows], key=attrgetter("name"))
        self.entries += other.entries
        self.keep_newest()

    def keep_newest(self) -> None:
        """Put the entries in an order that does not depend on who gathered them; forget what no feed will show."""
        self.entries.sort(key=entry_rank, reverse=True)
        del self.entries[FEED_LENGTH:]
        if len(self.entries) == FEED_LENGTH:
            self.oldest = _moment(self.entries[-1].updated)


def entry_rank(entry: FeedEntry) -> tuple[str, str, str]:
    """Return what is greater for the newer of two releases, and never equal for two of an index."""
    return _moment(entry.updated), entry.project, entry.version


def _moment(time: str | None) -> str:
    """Return a time such that later ones sort later: with the Z, a fraction of a second would sort before its whole."""
    return (time or "").removesuffix("Z")


def latest_version(page: ProjectPage) -> str:
    """Return the newest version: final before pre-release, not yanked before yanked; empty where there is no file."""
    best: tuple[bool, bool] | None = None
    latest = ""
    for file in reversed(page.files):
        is_final = canonical_version(file.version) is not None and not is_prerelease(file.version)
        rank = (file.yanked is None, is_final)
        if best is None or rank > best:
            best, latest = rank, file.version
        if best == (True, True):
            break
    return latest


def _feed_entries(index: IndexName, page: ProjectPage, oldest: str) -> Iterator[FeedEntry]:
    """Yield the releases that the index itself has, less those that are older than *oldest*.

    What it inherits is in the feeds of its bases.
    """
    recent = {file.version for file in page.files if file.index == index and _moment(file.upload_time) >= oldest}
    own = (file for file in page.files if file.index == index and file.version in recent) if recent else ()
    for version, its_files in groupby(own, key=attrgetter("version")):
        files = list(its_files)
        updated = max((file.upload_time for file in files if file.upload_time), default=None)
        yanked = tuple(dict.fromkeys(file.yanked for file in files if file.yanked is not None))
        yield FeedEntry(page.name, version, index, updated, f"project/{page.name}/#{version}", yanked)


def feed_view(snapshot: Snapshot, index: Index, gathered: Gathered, happened: Iterable[Happening] = ()) -> FeedView:
    """Return the feed of an index: its releases, and what *happened*, the newest first; a push is told once."""
    title = index.definition.title if isinstance(index.definition, Stage) else ""
    gathered.keep_newest()
    shown = tuple(entry for happening in happened for entry in happening.entries)
    keys = {entry.key for entry in shown}
    releases = (e for e in gathered.entries if push_key(index.name, e.project, e.version) not in keys)
    return FeedView(index.name, title, snapshot.settings.site.url, tuple(releases), shown)


def newest_version(page: ProjectPage) -> str:
    """Return the version that the page of a project is about; empty where all files are yanked, or there are none."""
    return latest_version(page) if any(file.yanked is None for file in page.files) else ""


def project_view(
    snapshot: Snapshot,
    served: ServedIndex,
    page: ProjectPage,
    steps: tuple[Step, ...],
    *,
    history: tuple[HistoryEntry, ...] = (),
    details: Details = NO_DETAILS,
) -> ProjectView:
    """Return the page of a project for people; *history* is the newest that happened to it, newest first."""
    stages = [index for index in served.order if not index.is_mirror]
    return ProjectView(
        snapshot.settings.site.title,
        served.name,
        page,
        display_name(steps, page.name, page.versions[-1] if page.versions else None),
        newest_version(page),
        _index_url(snapshot, served.name),
        history,
        details.described,
        frozenset(name for name in needs_of(details) if any(index.has_project(name) for index in stages)),
        details.tested,
        details.attested,
    )


def needs_of(details: Details) -> Iterator[ProjectName]:
    """Yield the projects that a page links to where they are there."""
    for _, dependencies in details.described.dependencies if details.described else ():
        for dependency in dependencies:
            if dependency.project is not None:
                yield dependency.project


def index_view(
    snapshot: Snapshot,
    served: ServedIndex,
    projects: int,
    newest: tuple[FeedEntry, ...] = (),
    *,
    serves_mirror: bool = False,
) -> IndexView:
    """Return the page of an index, less the rows of its *projects*; a server *serves* the simple pages of a mirror.

    *newest* are its newest releases, as its feed has them.
    """
    index, order = served.index, served.order
    definition = index.definition
    assert not isinstance(definition, Unreadable)  # noqa: S101 - refused when it was opened
    assert definition is not None  # noqa: S101
    is_stage = isinstance(definition, Stage)
    acl = definition.acl_upload if isinstance(definition, Stage) else ()
    mirror = definition if isinstance(definition, Mirror) else None
    return IndexView(
        snapshot.settings.site.title,
        index.name,
        definition.type,
        definition.title,
        definition.description,
        definition.volatile if isinstance(definition, Stage) else False,
        index.bases,
        tuple(step.name for step in order),
        tuple(acl if acl is not None else (index.name.user,)) if is_stage else (),
        mirror.mirror_url or "" if mirror else "",
        projects,
        newest[:NEWEST],
        _index_url(snapshot, index.name),
        serves_mirror,
        tuple(Inheritance(i.name, "mirror" if i.is_mirror else "stage", i.is_volatile, i.bases) for i in order),
        mirror.allow if mirror else None,
        mirror.deny if mirror else (),
        mirror.mirror_min_age or "" if mirror else "",
    )


def landing_view(snapshot: Snapshot, indexes: Iterable[ServedIndex], counts: Mapping[IndexName, int]) -> LandingView:
    """Return the page at ``/``: users with their indexes, and how many projects each stage lists."""
    cards: dict[str, list[IndexCard]] = defaultdict(list)
    for index in sorted((served.index for served in indexes), key=lambda index: index.name):
        title = index.definition.title if isinstance(index.definition, (Stage, Mirror)) else ""
        kind = "mirror" if index.is_mirror else "stage"
        cards[index.name.user].append(IndexCard(index.name, kind, title, index.is_volatile, counts.get(index.name)))
    users = []
    for name, its_cards in sorted(cards.items()):
        user = snapshot.user(name)
        users.append((name, user.title if isinstance(user, User) else "", tuple(its_cards)))
    return LandingView(snapshot.settings.site.title, tuple(users))


def _index_url(snapshot: Snapshot, name: IndexName) -> str:
    site = snapshot.settings.site.url
    return f"{site.rstrip('/')}/{name}/simple/" if site else ""
