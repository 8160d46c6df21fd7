"""What the feed of an index shows of the history, beside its releases: pushes, yanks, removals, changes of status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from gitindex.errors import CannotRunError, NotThereError
from gitindex.events import Event, Kind, Scope, events_of
from gitindex.names import IndexName, ProjectName
from gitindex.telling import tell
from gitindex.views import FEED_LENGTH, HappenedEntry, ProjectEvent

if TYPE_CHECKING:
    from gitindex.snapshot import Snapshot

_SHOWN = frozenset(
    {Kind.PUSHED, Kind.REPLACED, Kind.REMOVED, Kind.YANKED, Kind.UNYANKED, Kind.STATUS},
)
"""A release is in a feed by its manifest, and what tests came to is not for those who follow an index."""


class Happening(NamedTuple):
    """What a commit did to a project of an index, as far as a feed shows it."""

    commit: str
    project: ProjectName
    entries: tuple[HappenedEntry, ...]
    """Few of them, and none in most."""


Step = Callable[[str], "tuple[Snapshot, Snapshot]"]
"""Opens what was before a commit, and what came with it."""


def happenings(
    events: Iterable[ProjectEvent], step: Step, known: Mapping[tuple[str, ProjectName], Happening]
) -> tuple[Happening, ...]:
    """Return what some events of an index, the newest first, are in its feed; what is *known* is not read again."""
    found = []
    for event in events:
        key = event.entry.commit, event.project
        found.append(known.get(key) or _happening(event, step))
    return tuple(found)


def _happening(event: ProjectEvent, step: Step) -> Happening:
    entry = event.entry
    shown: list[HappenedEntry] = []
    try:
        before, after = step(entry.commit)
        for found in events_of(before, after, Scope(entry.index, event.project)):
            # Where it was before may be an index that readers of this one know nothing of; so may the commit's subject.
            told = found._replace(origins=())
            if found.kind in _SHOWN and len(shown) < FEED_LENGTH:
                shown.append(happened_entry(told, entry.commit, entry.time, entry.author))
    except (CannotRunError, NotThereError):  # a partial clone lacks what is not checked out
        shown = []
    return Happening(entry.commit, event.project, tuple(shown))


def happened_entry(event: Event, commit: str, time: str, author: str, *more: str) -> HappenedEntry:
    """Return an event as a feed shows it, with *more* words that say what it was about."""
    told = tell(event)
    where = f" in {told.place}" if told.place else ""
    verb = f"is {event.status}" if event.kind is Kind.STATUS else told.verb
    link = f"{event.index}/" if event.index else ""
    if event.index and event.project:
        link = f"{event.index}/project/{event.project}/"
    place = str(event.index) if event.index else event.user or ""
    key = "/".join(filter(None, (event.kind.value, place, event.project, event.version, *event.files)))
    summary = ": ".join(filter(None, (told.detail, *more)))
    return HappenedEntry(commit, key, time, f"{told.subject} {verb}{where}", summary, author, link)


def push_key(index: IndexName, project: ProjectName, version: str) -> str:
    """Return the key of the push of a whole release, which stands in a feed in the place of the release."""
    return f"{Kind.PUSHED}/{index}/{project}/{version}"
