"""What happened to projects, from the commits of the first-parent history: each is what a branch went through."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.git.command import ask_git
from gitindex.git.steps import changed_files, signed
from gitindex.git.walk import walk
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.snapshot import NO_REVISION
from gitindex.views import HistoryEntry, ProjectEvent

if TYPE_CHECKING:
    from gitindex.git.repository import Repository
    from gitindex.snapshot import Snapshot

_ITEM = re.compile(
    r"\x01(?P<commit>[0-9a-f]+)\x02(?P<time>\d+)\x02(?P<author>[^\0]*)\0"
    r"|\n?(?P<status>[A-Z])\0(?P<path>[^\0]*)\0"
)
"""A commit as the format below prints it, or a path that it changed. Neither a name nor a path has a NUL."""
_FORMAT = "%x01%H%x02%ct%x02%an"
# A user's configuration must not add lines of its own.
_PLAIN = ("-c", "log.showSignature=false", "-c", "log.showRoot=true")
_FEW = 8
"""Commits that are read here: git, which is quicker for many, takes its time to start."""
_DEPTH = 5
"""Segments of the path of a manifest."""


class Past:
    """The first-parent history of a repository up to a commit, as a site shows it."""

    def __init__(self, repository: Repository, head: str | None) -> None:
        self._repository = repository
        self.head = head
        """The commit up to which they are asked for; ``None`` where there is none yet."""
        self._prefix = f"{repository.folder}/" if repository.folder else ""

    @property
    def ends(self) -> str:
        """The commits at which a shallow clone ends; empty for a whole one."""
        return " ".join(sorted(self._ends()))

    def at(self, revision: str) -> Snapshot:
        """Open the index repository at an earlier revision.

        Raises:
            NotThereError: it is not here.

        """
        return self._repository.at(revision)

    def step(self, commit: str) -> tuple[Snapshot, Snapshot]:
        """Open what was before a commit, and what came with it; before the first one, there was nothing.

        Raises:
            NotThereError: one of them is not here.
            CannotRunError: it cannot be read.

        """
        parents = self._repository.history.commit(commit).parents
        return self._repository.at(parents[0]) if parents else NO_REVISION, self._repository.at(commit)

    def of_index(self, head: str, index: IndexName, most: int) -> list[ProjectEvent]:
        """Return the newest *most* events up to *head* of the projects of an index, newest commit first.

        Raises:
            CannotRunError: git cannot be run, or the history is broken.

        """
        place = f":(literal){self._prefix}{layout.index_folder(index)}"
        ends, found = self._ends(), list[ProjectEvent]()
        for walked in walk(self._repository.own_directory, [head], [place]):
            if walked.commit in ends:
                continue
            if walked.changes is None:  # the first commit of a large index, most often
                found += self._read([walked.commit], [layout.index_folder(index)], ["--max-count=1"])
            else:
                changes: dict[tuple[str, str, str], _Change] = {}
                for path, before, after in walked.changes:
                    self._add(changes, "A" if before is None else "D" if after is None else "M", path)
                found += _events(self._said(walked.commit), changes)
            if len(found) >= most:
                break
        return found[:most]

    def _said(self, commit_id: str) -> tuple[str, str, str]:
        """Return id, time and author of a commit."""
        if by := signed(self._repository.history.raw(commit_id)):
            return commit_id, by.seconds, by.author
        shown = [*_PLAIN, "log", "-1", "--no-patch", "--encoding=UTF-8", "--format=%H%x00%ct%x00%an", commit_id]
        commit, time, author = ask_git(self._repository.own_directory, *shown).out.rstrip("\n").split("\0")
        return commit, time, author

    def between(self, since: str | None, head: str) -> Iterator[ProjectEvent] | None:
        """Return the events after the commit *since* (from the first one on, for ``None``) up to *head*, oldest first.

        ``None`` where *since* is not in the first-parent history of *head*. A shallow clone has only the events of the
        commits that are here.

        Raises:
            CannotRunError: git cannot be run, or the history is broken.

        """
        if since is not None:
            path = self._path(since, head)
            if path is None:
                return None
            if len(path) <= _FEW and (events := self._of_few(since, path)) is not None:
                return iter(events)
        return self._read([head if since is None else f"{since}..{head}"], [layout.INDEXES], ["--reverse"])

    def newest(self, head: str, places: tuple[IndexName, ...], project: ProjectName, most: int) -> list[HistoryEntry]:
        """Return the newest *most* events up to *head* of a project in some indexes, newest commit first.

        Raises:
            CannotRunError: git cannot be run, or the history is broken.

        """
        paths = [layout.project_folder(index, project) for index in places]
        return [event.entry for event in self._read([head], paths, [f"--max-count={most}"])][:most]

    def _path(self, since: str, head: str) -> list[str] | None:
        """Return the commits of the first-parent history after *since* up to *head*; ``None`` where it is not in it."""
        path: list[str] = []
        try:
            for commit in self._repository.history.first_parents(head):
                if commit == since:
                    return path[::-1]
                path.append(commit)
        except CannotRunError:  # the clone is shallow, and ends before
            pass
        return None

    def _of_few(self, since: str, path: list[str]) -> list[ProjectEvent] | None:
        """Return the events of a few commits that follow *since*; ``None`` where git has to say what they are."""
        if self._repository.is_shallow:
            return None
        events: list[ProjectEvent] = []
        before = self._repository.at(since).indexes_folder
        for commit in path:
            by = signed(self._repository.history.raw(commit))
            if by is None:
                return None
            after = self._repository.at(commit).indexes_folder
            changes: dict[tuple[str, str, str], _Change] = {}
            for status, below in changed_files(before, after, _DEPTH - 2):
                self._add(changes, status, f"{self._prefix}{layout.INDEXES}/{below}")
            events += _events((commit, by.seconds, by.author), changes)
            before = after
        return events

    def _read(self, revisions: list[str], paths: list[str], options: list[str]) -> Iterator[ProjectEvent]:
        where = [f":(literal){self._prefix}{path}" for path in paths]
        shown = ["log", "-z", "--first-parent", "-m", "--name-status", "--no-renames", "--encoding=UTF-8"]
        arguments = [*_PLAIN, *shown, f"--format={_FORMAT}", *options, *revisions, "--", *where]
        text = ask_git(self._repository.own_directory, *arguments).out
        ends = self._ends()
        changes: dict[tuple[str, str, str], _Change] = {}
        commit = ("", "", "")
        for item in _ITEM.finditer(text):
            found, time, author, status, path = item.groups()
            if found is not None:
                yield from _events(commit, changes)
                changes = {}
                commit = (found, time, author)
            elif commit[0] not in ends:
                self._add(changes, status, path)
        yield from _events(commit, changes)

    def _ends(self) -> frozenset[str]:
        """Return the commits at which a shallow clone ends: what they hold is not what they did."""
        shallow = Path(self._repository.git_directory, "shallow")
        return frozenset(shallow.read_text(encoding="ascii").split()) if self._repository.is_shallow else frozenset()

    def _add(self, changes: dict[tuple[str, str, str], _Change], status: str, path: str) -> None:
        segments = path.removeprefix(self._prefix).split("/")
        if len(segments) != _DEPTH:
            return
        _, user, index, project, name = segments
        key = (user, index, project)
        change = changes.get(key)
        if change is None:
            change = changes[key] = _Change([], [], [])
        if name == layout.PROJECT:
            changes[key] = change._replace(stated=True)
        elif layout.is_manifest(name):
            version = name.removesuffix(layout.MANIFEST_SUFFIX)
            (change.added if status == "A" else change.removed if status == "D" else change.changed).append(version)


class _Change(NamedTuple):
    added: list[str]
    changed: list[str]
    removed: list[str]
    stated: bool = False


def _events(commit: tuple[str, str, str], changes: dict[tuple[str, str, str], _Change]) -> Iterator[ProjectEvent]:
    if not changes:
        return
    commit_id, seconds, author = commit
    time = _time(seconds)
    for (user, index, project), change in sorted(changes.items(), key=_by_index):
        if change.added or change.changed or change.removed or change.stated:
            name = IndexName(UserName(user), index)
            versions = (tuple(change.added), tuple(change.changed), tuple(change.removed))
            entry = HistoryEntry(time, author, commit_id, name, *versions, change.stated)
            yield ProjectEvent(ProjectName(project), entry)


def _by_index(item: tuple[tuple[str, str, str], _Change]) -> tuple[str, str]:
    (user, index, project), _ = item
    return f"{user}/{index}", project


def _time(seconds: str) -> str:
    try:
        return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return "1970-01-01T00:00:00Z"  # Git takes any number for a time
