"""What happened to an index repository, from the newest commit of its first-parent history to the oldest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from gitindex import layout
from gitindex.errors import NotThereError, UsageError
from gitindex.events import EVERYTHING, Event, Kind, Scope, events_of
from gitindex.git.walk import walk
from gitindex.model import User
from gitindex.snapshot import NO_REVISION

if TYPE_CHECKING:
    from gitindex.git import CommitInfo, Repository
    from gitindex.git.walk import Walked
    from gitindex.names import UserName


class Step(NamedTuple):
    """A commit, and what it did; a merge did what its first parent does not have."""

    commit: CommitInfo
    time: datetime
    """When it came to be, in UTC."""
    user: UserName | None
    """The user whose address its author gives; that is no proof of who it was."""
    events: tuple[Event, ...]


class Asked(NamedTuple):
    """What is asked of a log."""

    revision: str = "HEAD"
    """The end of the history, or a range: ``v1..main``."""
    scope: Scope = EVERYTHING
    user: str | None = None
    """Whose doings."""
    kinds: frozenset[Kind] = frozenset(Kind)
    since: datetime | None = None
    until: datetime | None = None
    most: int | None = None
    """Events, the newest; all by default."""


class Log:
    """The log of a repository; its steps are read while they are asked for."""

    def __init__(self, repository: Repository, asked: Asked) -> None:
        """Look up the revisions.

        Raises:
            NotThereError: one is not there.
            UsageError: it is no revision, or no range of two.
            CannotRunError: there is no index repository at the end of the history.

        """
        self._repository = repository
        self._asked = asked
        base, dots, head = asked.revision.partition("..")
        if head.startswith("."):
            raise UsageError(f"{asked.revision!r} has three dots", help="write a range with two: BASE..HEAD")
        self.head = _commit_id(repository, (head if dots else base) or "HEAD")
        self._base = _commit_id(repository, base or "HEAD") if dots else None
        self.snapshot = repository.at(self.head)
        _ = self.snapshot.settings  # says where this is no index repository
        self.is_cut_off = False
        """Whether the steps ended where a shallow clone does."""

    def steps(self) -> Iterator[Step]:
        """Yield the steps that have what is asked for, the newest first.

        Raises:
            CannotRunError: git cannot be run, or an object is missing or broken.

        """
        asked, history = self._asked, self._repository.history
        revisions = [self.head] if self._base is None else [self.head, f"^{self._base}"]
        directory, ends = self._repository.own_directory, self._repository.shallow_ends()
        left = asked.most
        for walked in walk(directory, revisions, self._paths, since=asked.since, until=asked.until):
            if walked.commit in ends:
                self.is_cut_off = True  # what it holds is not what it did
                continue
            commit = history.commit(walked.commit)
            user = self._users.get(commit.email.casefold())
            if asked.user is not None and user != asked.user:
                continue
            happened = (event for event in self._events(walked, commit) if event.kind in asked.kinds)
            if events := tuple(islice(happened, left)):
                yield Step(commit, history.committed(commit.id), user, events)
                left = None if left is None else left - len(events)
                if left == 0:
                    return

    def _events(self, walked: Walked, commit: CommitInfo) -> Iterator[Event]:
        base = self._repository.at(commit.parents[0]) if commit.parents else NO_REVISION
        if walked.changes is None:
            return events_of(base, self._repository.at(commit.id), self._asked.scope)
        # Git has compared the trees: what is the same in both is not looked at again.
        before, after = self._repository.differing(walked.changes)
        return events_of(before, after, self._asked.scope, base)

    @property
    def _paths(self) -> list[str]:
        """Where to look; a single literal path is what Git is quick with."""
        index, project = self._asked.scope
        prefix = f"{self._repository.folder}/" if self._repository.folder else ""
        if index is not None:
            path = layout.index_folder(index) if project is None else layout.project_folder(index, project)
            return [f":(literal){prefix}{path}"]
        if project is not None:
            escaped = "".join(f"\\{letter}" if letter in "*?[\\" else letter for letter in prefix)
            return [f":(glob){escaped}{layout.INDEXES}/*/*/{project}/*"]
        return [f":(literal){prefix}{path}" for path in (layout.INDEXES, layout.SETTINGS)]

    @cached_property
    def _users(self) -> dict[str, UserName]:
        """The users by their addresses, as the end of the history has them; not those that two have."""
        found = ((name, self.snapshot.user(name)) for name in self.snapshot.user_names())
        addresses = [(user.email.casefold(), name) for name, user in found if isinstance(user, User) and user.email]
        counts = Counter(address for address, _ in addresses)
        return {address: name for address, name in addresses if counts[address] == 1}


def _commit_id(repository: Repository, revision: str) -> str:
    if revision == "HEAD" and repository.head() is None:
        raise NotThereError("there is no commit yet, and so no history", help="commit what is there first")
    return repository.commit_id(revision)
