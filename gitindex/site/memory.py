"""What a site's folder remembers of its making: from which revision, by which renderer, and what its lists are made of.

It is a database of SQLite, so that an update reads and writes what it needs, and no more. Where it cannot be read, the
site is made anew: nothing but time depends on it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gitindex.carried import NOTHING, Carried, Identities
from gitindex.errors import CannotRunError
from gitindex.happenings import Happening
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.views import FeedEntry, HappenedEntry, HistoryEntry, ProjectEvent

_FORM = 4
"""Counts up when the tables change."""
_TABLES = """
create table made (key text primary key, value text) without rowid;
create table lists (place text primary key, value text) without rowid;
create table carried (place text, project text, identity text, primary key (place, project)) without rowid;
create table copies (path text primary key) without rowid;
create table events (project text, at integer, place text, value text, primary key (project, at, place)) without rowid;
create index places on events (place, at);
create table frames (key text primary key, value text) without rowid;
create table needs (need text, project text, primary key (need, project)) without rowid;
"""


class Made(NamedTuple):
    """From what a site was made."""

    renderer: str
    """Equal ones make equal pages of equal content."""
    options: str
    """What was asked for."""
    revision: str
    """The commit."""


class Listed(NamedTuple):
    """What the lists of a stage are made of, beside the rows of its page."""

    projects: int
    """How many rows its page for people has."""
    quarantined: frozenset[ProjectName]
    """Projects that its simple list leaves out."""
    entries: tuple[FeedEntry, ...]
    """The newest releases."""
    page: str
    """Digest of its page for people, whose rows are taken from there."""
    happened: tuple[Happening, ...] = ()
    """What else its feed may show, the newest first."""


class SiteMemory:
    """The memory of one site. A fork opens the database for itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._process = 0

    def recall(self) -> tuple[Made | None, Mapping[IndexName, Listed]]:
        """Return what is remembered: nothing of a site that is not whole, or that another version made."""
        try:
            known = dict(self._open().execute("select key, value from made"))
            if known.get("form") != str(_FORM) or not known.get("revision"):
                return None, {}
            lists = self._open().execute("select place, value from lists").fetchall()
            made = Made(known["renderer"], known["options"], known["revision"])
            self.recall_carried()  # what cannot be read is not whole
            return made, {_index_name(place): _listed(json.loads(value)) for place, value in lists}
        except (sqlite3.Error, LookupError, ValueError, TypeError):
            self.close()
            return None, {}

    def recall_carried(self) -> tuple[Identities, frozenset[str]]:
        """Return what mirrors had for the site, and the paths of the copies of their files in it."""
        found = self._open().execute("select place, project, identity from carried")
        identities = {(_index_name(place), ProjectName(project)): identity for place, project, identity in found}
        return identities, frozenset(path for (path,) in self._open().execute("select path from copies"))

    def frame(self, key: str) -> str | None:
        """Return the frame of a key, where one is kept."""
        found = self._open().execute("select value from frames where key = ?", (key,)).fetchone()
        return found[0] if found else None

    def begin(self, *, afresh: bool) -> None:
        """Note that the site is being changed: until :meth:`finish`, what is remembered of it does not count.

        Raises:
            CannotRunError: it cannot be written.

        """
        try:
            if not afresh:
                with self._open() as database:
                    database.execute("delete from made where key = 'revision'")
                return
            self.close()
            for suffix in ("", "-journal"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            with self._open() as database:
                database.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise self._cannot_write(error) from None

    def finish(
        self,
        renderer: str,
        options: str,
        revision: str | None,
        lists: Mapping[IndexName, Listed],
        *,
        carried: Carried = NOTHING,
        frames: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Remember a whole site, with new *frames* of its pages; of one without a *revision*, no update can be made.

        Raises:
            CannotRunError: it cannot be written.

        """
        made = {"form": str(_FORM), "renderer": renderer, "options": options, "revision": revision}
        try:
            with self._open() as database:
                database.executemany("replace into made values (?, ?)", made.items())
                database.executemany("replace into frames values (?, ?)", sorted(frames.items()))
                database.execute("delete from lists")
                rows = ((str(name), json.dumps(_listed_json(listed))) for name, listed in lists.items())
                database.executemany("insert into lists values (?, ?)", rows)
                database.execute("delete from carried")
                pages = ((str(place), name, identity) for (place, name), identity in carried.identities.items())
                database.executemany("insert into carried values (?, ?, ?)", pages)
                database.execute("delete from copies")
                database.executemany("insert into copies values (?)", ((path,) for path in carried.files))
        except sqlite3.Error as error:
            raise self._cannot_write(error) from None

    @property
    def tip(self) -> str | None:
        """The commit up to which :meth:`record` has recorded events."""
        found = self._open().execute("select value from made where key = 'tip'").fetchone()
        return found[0] if found else None

    def record(self, events: Iterable[ProjectEvent], tip: str) -> None:
        """Remember what happened to projects up to the commit *tip*, oldest first.

        Raises:
            CannotRunError: it cannot be written.

        """
        try:
            with self._open() as database:
                (last,) = database.execute("select coalesce(max(at), 0) from events").fetchone()
                rows = []
                commit = ""
                for project, entry in events:
                    if entry.commit != commit:
                        commit = entry.commit
                        last += 1
                    rows.append((project, last, str(entry.index), _entry_text(entry)))
                database.executemany("insert into events values (?, ?, ?, ?)", rows)
                database.execute("replace into made values ('tip', ?)", (tip,))
        except sqlite3.Error as error:
            raise self._cannot_write(error) from None

    def note_needs(self, needs: Mapping[ProjectName, Iterable[ProjectName]]) -> None:
        """Remember which projects the pages of others link to, where they are there; what was so once stays.

        Raises:
            CannotRunError: it cannot be written.

        """
        rows = [(need, project) for project, its_needs in needs.items() for need in its_needs]
        try:
            with self._open() as database:
                database.executemany("insert or ignore into needs values (?, ?)", rows)
        except sqlite3.Error as error:
            raise self._cannot_write(error) from None

    def needing(self, projects: Iterable[ProjectName]) -> set[ProjectName]:
        """Return the projects whose pages may link to one of *projects*."""
        found: set[ProjectName] = set()
        for project in projects:
            rows = self._open().execute("select project from needs where need = ?", (project,))
            found.update(ProjectName(name) for (name,) in rows)
        return found

    def history(self, places: Sequence[IndexName], project: ProjectName, most: int) -> tuple[HistoryEntry, ...]:
        """Return the newest *most* events of a project in some indexes, newest commit first."""
        holes = ", ".join("?" * len(places))
        query = f"select value from events where project = ? and place in ({holes}) order by at desc, place limit ?"  # noqa: S608 - holes alone
        database = self._open()
        if not database.in_transaction:  # else each query locks and unlocks the file, which takes longer than itself
            database.execute("begin")
        found = database.execute(query, (project, *map(str, places), most))
        return tuple(_entry(value) for (value,) in found)

    def of_index(self, place: IndexName, most: int) -> list[ProjectEvent]:
        """Return the newest *most* events of the projects of an index, newest commit first."""
        query = "select project, value from events where place = ? order by at desc, project limit ?"
        found = self._open().execute(query, (str(place), most))
        return [ProjectEvent(ProjectName(project), _entry(value)) for project, value in found]

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None and self._process == os.getpid():
            self._connection.close()
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._process != os.getpid():
            self._process = os.getpid()
            self._connection = sqlite3.connect(self._path)
            # A crash of the machine may cost the memory, which is made anew; nothing waits for the disk.
            self._connection.execute("pragma synchronous = off")
        return self._connection

    def _cannot_write(self, error: Exception) -> CannotRunError:
        return CannotRunError(f"{self._path}: cannot be written: {error}", help="what was written before is as it was")


def _index_name(text: str) -> IndexName:
    user, _, name = text.partition("/")
    return IndexName(UserName(user), name)


def _listed_json(listed: Listed) -> list[object]:
    entries = [
        (entry.project, entry.version, str(entry.index), entry.updated, entry.link, entry.yanked)
        for entry in listed.entries
    ]
    happened = [(found.commit, found.project, found.entries) for found in listed.happened]
    return [listed.projects, sorted(listed.quarantined), entries, listed.page, happened]


def _listed(value: Any) -> Listed:
    projects, quarantined, entries, page, happened = value
    return Listed(
        projects,
        frozenset(quarantined),
        tuple(
            FeedEntry(ProjectName(project), version, _index_name(index), updated, link, tuple(yanked))
            for project, version, index, updated, link, yanked in entries
        ),
        page,
        tuple(
            Happening(commit, ProjectName(project), tuple(HappenedEntry(*entry) for entry in shown))
            for commit, project, shown in happened
        ),
    )


def _entry_text(entry: HistoryEntry) -> str:
    return json.dumps([*entry[:3], str(entry.index), *entry[4:]])


def _entry(text: str) -> HistoryEntry:
    time, author, commit, index, released, changed, removed, stated = json.loads(text)
    return HistoryEntry(
        time, author, commit, _index_name(index), tuple(released), tuple(changed), tuple(removed), stated
    )
