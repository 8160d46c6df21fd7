"""A log as a feed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import TYPE_CHECKING

from gitindex.events import Scope
from gitindex.happenings import happened_entry
from gitindex.render.feed import log_feed as render
from gitindex.views import LogFeedView

if TYPE_CHECKING:
    from gitindex.log import Step
    from gitindex.snapshot import Snapshot


def log_feed(snapshot: Snapshot, scope: Scope, steps: Iterable[Step]) -> bytes:
    """Return the steps, the newest first, as an Atom feed; *snapshot* says where the site is."""
    settings = snapshot.settings.site
    place = "/".join(filter(None, (str(scope.index) if scope.index else "", scope.project)))
    entries = []
    for step in steps:
        commit, time = step.commit, f"{step.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        who = step.user or commit.author
        entries += [happened_entry(event, commit.id, time, who, commit.subject) for event in step.events]
    return render(LogFeedView(f"History of {place or settings.title}", settings.url, place, tuple(entries)))
