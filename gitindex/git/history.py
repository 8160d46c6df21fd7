"""Commits: who made them and when, which are new, which follow which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import NamedTuple

import pygit2

from gitindex.errors import CannotRunError
from gitindex.git.folders import reason

_MAX_SYMBOLIC = 5
"""Symbolic references that Git itself follows, one after the other."""


class CommitInfo(NamedTuple):
    """What a commit says of itself; all of it was written by whoever made it."""

    id: str
    parents: tuple[str, ...]
    author: str
    email: str
    date: datetime
    """When its author made it."""
    subject: str
    """The first line of the message."""


class Ahead(NamedTuple):
    """What one commit has and another one does not have."""

    commits: int
    oldest: datetime | None
    """When the oldest of them was committed; ``None`` where there is none."""


class History:
    """The commits of a repository."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._git = repository

    def commit(self, commit_id: str) -> CommitInfo:
        """Read a commit.

        Raises:
            CannotRunError: it is not here.

        """
        commit = self._read(commit_id)
        author = commit.author
        subject, _, _ = commit.raw_message.lstrip(b"\n").partition(b"\n")
        return CommitInfo(
            str(commit.id),
            _parents(commit),
            _text(author.raw_name),
            _text(author.raw_email),
            _date(author.time, author.offset),
            _text(subject),
        )

    def committed(self, commit_id: str) -> datetime:
        """Return when a commit came to be as it is: a rebase or an amendment changes that, and not the author's time.

        Raises:
            CannotRunError: it is not here.

        """
        committer = self._read(commit_id).committer
        return _date(committer.time, committer.offset)

    def raw(self, commit_id: str) -> bytes:
        """Return the bytes of a commit.

        Raises:
            CannotRunError: it is not here.

        """
        return self._read(commit_id).read_raw()

    def _read(self, commit_id: str) -> pygit2.Commit:
        try:
            return self._git[pygit2.Oid(hex=commit_id)].peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise self._missing(commit_id, error) from None

    def _missing(self, commit_id: str, error: Exception) -> CannotRunError:
        hint = "git fetch --unshallow" if self._git.is_shallow else "run: git fsck"
        return CannotRunError(f"the commit {commit_id[:12]} cannot be read ({reason(error)})", help=hint)

    def signature(self, commit_id: str) -> bytes:
        """Return the signature of a commit as it stands in it, empty where there is none."""
        return self._read(commit_id).gpg_signature[0] or b""

    def new_commits(self, head: str, base: str | None) -> list[str]:
        """Return the commits that *head* has and *base* does not have, parents before their children.

        Raises:
            CannotRunError: one is not here, or hidden by the end of a shallow clone.

        """
        order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.REVERSE
        try:
            walker = self._git.walk(pygit2.Oid(hex=head), order)
            if base is not None:
                walker.hide(pygit2.Oid(hex=base))
            found, hidden = [], set()
            for commit in walker:
                found.append(str(commit.id))
                # A shallow clone ends at a commit even where those before it were fetched by another way.
                hidden |= {*_parents(commit)}.difference(map(str, commit.parent_ids))
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise self._missing(head, error) from None
        for parent in hidden.difference(found):
            if not self._is_before(parent, base):
                raise self._missing(parent, ValueError("the clone is shallow"))
        return found

    def ahead(self, heads: Sequence[str], base: str, most: int) -> Ahead:
        """Tell what any of the *heads* has and *base* does not have; no more than *most* commits are counted.

        Raises:
            CannotRunError: one is not here.

        """
        try:
            walker = self._git.walk(pygit2.Oid(hex=base), pygit2.enums.SortMode.TOPOLOGICAL)
            walker.hide(pygit2.Oid(hex=base))
            for head in heads:
                walker.push(pygit2.Oid(hex=head))
            times = [commit.commit_time for commit in islice(walker, most)]
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise self._missing(base, error) from None
        return Ahead(len(times), _date(min(times), 0) if times else None)

    def _is_before(self, commit_id: str, base: str | None) -> bool:
        try:
            return base is not None and (commit_id == base or self._git.descendant_of(base, commit_id))
        except (KeyError, ValueError, pygit2.GitError):
            return False

    def first_parents(self, head: str) -> Iterator[str]:
        """Yield *head*, its first parent, that one's first parent, and so on to the first commit.

        Raises:
            CannotRunError: the history is cut off (a shallow clone) or broken.

        """
        commit_id: str | None = head
        while commit_id is not None:
            parents = _parents(self._read(commit_id))
            yield commit_id
            commit_id = parents[0] if parents else None

    def branch(self, revision: str) -> str | None:
        """Return the full name of the reference that *revision* is or leads to (`HEAD`: the branch checked out).

        ``None`` where it is none, as a detached HEAD or the id of a commit.
        """
        try:
            _, found = self._git.resolve_refish(revision)
            name = None if found is None else found.resolve().name
            return name if name is not None and name.startswith("refs/") else None
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def resolve(self, reference: str) -> str:
        """Return the full name of what is written where *reference* is: itself, or the one that it stands for."""
        for _ in range(_MAX_SYMBOLIC):
            target = self._git.references[reference].target if self.has(reference) else None
            if not isinstance(target, str):
                break
            reference = target
        return reference

    def has(self, reference: str) -> bool:
        """Tell whether there is a reference of that full name."""
        try:
            return reference in self._git.references
        except ValueError:  # no reference can have it, or it is not here and no UTF-8
            return False

    def references(self, prefix: str) -> Iterator[str]:
        """Return the full names of the references that start with *prefix*, sorted."""
        return (name for name in sorted(self._git.references) if name.startswith(prefix))

    def tip(self, reference: str) -> str | None:
        """Return the commit that a reference (by its full name) leads to, ``None`` where there is none."""
        try:
            return str(self._git.references[reference].peel(pygit2.Commit).id)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def was_at(self, branch: str, commit: str) -> bool:
        """Tell whether the reflog of a branch (by its full name), where it has one, says that it was at a commit."""
        try:
            return any(str(entry.oid_new) == commit for entry in self._git.references[branch].log())
        except (KeyError, ValueError, pygit2.GitError):
            return False

    def remote_tip(self, branch: str, remote: str) -> str | None:
        """Return the commit that a branch of a remote had when it was last seen here, ``None`` without any."""
        return self.tip(f"refs/remotes/{remote}/{branch}")


_HEADER = re.compile(rb"tree [0-9A-Fa-f]{40,64}\n((?:parent [0-9A-Fa-f]{40,64}\n)*+)(?!parent )")
"""Git takes the parents from right behind the tree, and nowhere else."""


def _parents(commit: pygit2.Commit) -> tuple[str, ...]:
    """Return the parents that a commit names itself.

    What libgit2 says is changed by a graft, and of the last commit of a shallow clone it says that it has none: that
    would be taken for the first one.

    Raises:
        CannotRunError: it is malformed.

    """
    found = _HEADER.match(commit.read_raw())
    if found is None:
        message = f"the commit {str(commit.id)[:12]} is malformed: its tree and its parents cannot be told"
        raise CannotRunError(message, help="run: git fsck")
    return tuple(found[1].decode().lower().split()[1::2])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _date(seconds: int, minutes: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    except (ValueError, OverflowError, OSError):  # a commit may state any number
        return datetime.fromtimestamp(0, UTC)
