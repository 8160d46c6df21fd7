"""What happened, in words: the same ones at a terminal and in feeds."""

from __future__ import annotations

from typing import NamedTuple

from gitindex import layout
from gitindex.events import Event, Kind


class Told(NamedTuple):
    """An event in words; what people wrote is in it as it is."""

    verb: str
    place: str
    """The index; empty where the event is no project's."""
    subject: str
    detail: str
    """May be empty."""


def tell(event: Event) -> Told:
    """Return an event in words."""
    match event.kind:
        case Kind.SETTINGS:
            return Told("modified", "", layout.SETTINGS, ", ".join(event.keys))
        case Kind.USER_CREATED | Kind.USER_MODIFIED | Kind.USER_DELETED:
            return Told(event.kind.partition("-")[2], "", f"user {event.user}", ", ".join(event.keys))
        case Kind.INDEX_CREATED | Kind.INDEX_MODIFIED | Kind.INDEX_DELETED:
            return Told(event.kind.partition("-")[2], "", f"index {event.index}", ", ".join(event.keys))
    return Told(event.kind.value, str(event.index), f"{event.project} {event.version}".strip(), _detail(event))


def _detail(event: Event) -> str:
    files = ", ".join(event.files)
    match event.kind:
        case Kind.PUSHED:
            origins = f"from {' or '.join(map(str, event.origins))}"
            return f"{files} {origins}" if files else origins
        case Kind.YANKED:
            return ": ".join(filter(None, (files, event.reason)))
        case Kind.STATUS:
            return ": ".join(filter(None, (event.status, event.reason)))
        case Kind.TESTED:
            return ", ".join(f"{environment} {outcome}" for environment, outcome in event.runs)
        case Kind.CHANGED:
            return ", ".join(event.keys)
    return files
