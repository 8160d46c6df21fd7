"""Pages of people that take the reading of an index or of the history: in an own thread, and by what differs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from gitindex.errors import CannotRunError
from gitindex.git import Past
from gitindex.happenings import Happening, happenings
from gitindex.overview import Gathered
from gitindex.resolve import project_names
from gitindex.server import peoples
from gitindex.server.revision import Made, Revision
from gitindex.views import FEED_LENGTH

if TYPE_CHECKING:
    from gitindex.names import IndexName, ProjectName
    from gitindex.served import ServedIndex
    from gitindex.server.live import Source
    from gitindex.server.targets import PeoplesPage
    from gitindex.views import ProjectRow

_MOST_INDEXES = 16


@dataclass
class _Known:
    """What is known of an index."""

    identity: str = ""
    projects: dict[ProjectName, tuple[str, ProjectRow]] = field(default_factory=dict)
    """What each was made of, and its row."""
    gathered: Gathered = field(default_factory=Gathered)
    happened: tuple[Happening, ...] = ()
    """What its feed shows beside the releases."""


class People:
    """Reads whole indexes and histories, beside the thread that makes the pages of machines."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._thread = ThreadPoolExecutor(1, "people")
        self._stopped = threading.Event()
        self._now: tuple[Revision, Past] | None = None
        self._known: OrderedDict[IndexName, _Known] = OrderedDict()

    def close(self) -> None:
        """Stop, in the midst of an index too."""
        self._stopped.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def thread(self) -> ThreadPoolExecutor:
        """Where :meth:`page` is to be called."""
        return self._thread

    def page(self, target: PeoplesPage, commit: str) -> Made:
        """Return the page or the feed of an index, or the page of a project that it has.

        Raises:
            CannotRunError: the index is not there any more, or something in it cannot be shown.

        """
        if self._now is None or self._now[0].commit != commit:
            repository = self._source.open()
            lfs = repository.git_directory / "lfs" / "objects"
            self._now = Revision(repository.at(commit), lfs_objects=lfs), Past(repository, commit)
        revision, past = self._now
        served = revision.index(target.index) if target.index is not None else None
        if served is None:
            raise CannotRunError(f"{target.index}: no such index")
        if target.project is not None:
            return peoples.project(revision, past, served, target.project)
        gathered = self._gather(revision, served)
        if not target.is_feed:
            return peoples.index(revision, served, gathered)
        known = self._known[served.name]
        events = past.of_index(commit, served.name, FEED_LENGTH)
        known.happened = happenings(events, past.step, {(each.commit, each.project): each for each in known.happened})
        return peoples.feed(revision, served, gathered, known.happened)

    def _gather(self, revision: Revision, served: ServedIndex) -> Gathered:
        known = self._known.pop(served.name, None) or _Known()
        identity = revision.list_identity(served)
        if known.identity != identity:
            known = self._updated(revision, served, known)
            known.identity = identity
        self._known[served.name] = known
        while len(self._known) > _MOST_INDEXES:
            self._known.popitem(last=False)
        return known.gathered

    def _updated(self, revision: Revision, served: ServedIndex, old: _Known) -> _Known:
        """Return what is known of an index at a revision: a project that was not touched is not read again."""
        names = () if served.index.is_mirror else project_names(served.order)
        identities = {name: revision.project_identity(served, name) for name in names}
        changed = [name for name in names if name not in old.projects or old.projects[name][0] != identities[name]]
        gone = old.projects.keys() - identities.keys()
        touched = gone.union(changed)
        kept = [entry for entry in old.gathered.entries if entry.project not in touched]
        new = Gathered(entries=kept, oldest=old.gathered.oldest)
        was_full = len(old.gathered.entries) >= FEED_LENGTH
        for name in changed:
            if self._stopped.is_set():
                raise CannotRunError("the server stops")
            peoples.add_project(new, revision, served, name)
        if was_full and len(new.entries) < FEED_LENGTH and len(changed) < len(names):
            # What fell out of the feed makes room for what was too old for it.
            return self._updated(revision, served, _Known())
        rows = {row.name: row for row in new.rows}
        projects = {name: (identities[name], rows[name] if name in rows else old.projects[name][1]) for name in names}
        new.rows = sorted((row for _, row in projects.values()), key=attrgetter("name"))
        return _Known("", projects, new, old.happened)
