"""A log as a feed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import TYPE_CHECKING

from gitindex.events import Event, Scope
from gitindex.render.feed import log_feed as render
from gitindex.telling import tell
from gitindex.views import HappenedEntry, LogFeedView

if TYPE_CHECKING:
    from gitindex.log import Step
    from gitindex.snapshot import Snapshot


def log_feed(snapshot: Snapshot, scope: Scope, steps: Iterable[Step]) -> bytes:
    """Return the steps, the newest first, as an Atom feed; *snapshot* says where the site is."""
    settings = snapshot.settings.site
    place = "/".join(filter(None, (str(scope.index) if scope.index else "", scope.project)))
    entries = tuple(_entry(step, event) for step in steps for event in step.events)
    return render(LogFeedView(f"History of {place or settings.title}", settings.url, place, entries))


def _entry(step: Step, event: Event) -> HappenedEntry:
    told = tell(event)
    where = f" in {told.place}" if told.place else ""
    time = f"{step.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    link = f"{event.index}/" if event.index else ""
    if event.index and event.project:
        link = f"{event.index}/project/{event.project}/"
    summary = ": ".join(filter(None, (told.detail, step.commit.subject)))
    return HappenedEntry(
        step.commit.id,
        "/".join(filter(None, (event.kind, _place(event), event.project, event.version, *event.files))),
        time,
        f"{told.subject} {told.verb}{where}",
        summary,
        step.user or step.commit.author,
        link,
    )


def _place(event: Event) -> str:
    return str(event.index) if event.index else event.user or ""
