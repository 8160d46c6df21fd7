"""What the `<rev>` of ``/@<rev>/…`` stands for: a commit, a tag, a branch, or a moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gitindex.errors import NotThereError, UsageError
from gitindex.names import is_commit_id

if TYPE_CHECKING:
    from gitindex.git import Repository

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]+(?:Z|[+-][0-9:]+)?)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+/-]*[A-Za-z0-9_+-])?", re.ASCII)
"""Of the names that Git takes, those without a sign of its own language: no `~`, `^`, `:`, `@{`."""
_MOST_STEPS = 100_000


class Moment(NamedTuple):
    """A revision that was asked for."""

    commit: str
    is_immutable: bool
    """Whether the same words will always mean the same commit: they are its whole id."""
    until: datetime | None = None
    """The moment that was asked for; mirrors show what there was until then."""


def find_moment(repository: Repository, text: str, tip: str) -> Moment:
    """Return what is meant by *text*; a moment is one of the first-parent history of *tip*.

    A date alone means its end, in UTC. The commit of a moment is the last that was made until then.

    Raises:
        NotThereError: it means nothing here.

    """
    until = read_date(text)
    if until is not None:
        return Moment(_commit_at(repository, tip, until), is_immutable=False, until=until)
    if len(text) > 200 or ".." in text or not _NAME.fullmatch(text):  # noqa: PLR2004 - longer than a path may be
        raise _unknown(text)
    try:
        commit = repository.commit_id(text)
    except UsageError as error:  # a tag and a branch have that name
        raise NotThereError(error.message, help=error.help) from None
    return Moment(commit, is_immutable=is_commit_id(text) and commit == text)


def read_date(text: str) -> datetime | None:
    """Return the moment that a date, or a date with a time (ISO 8601), means; ``None`` where *text* is neither."""
    if not _DATE.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if "T" not in text:
        try:
            found += timedelta(days=1) - timedelta(microseconds=1)
        except OverflowError:
            return None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        return None


def _commit_at(repository: Repository, tip: str, until: datetime) -> str:
    for steps, commit in enumerate(repository.history.first_parents(tip)):
        if repository.history.committed(commit) <= until:
            return commit
        if steps > _MOST_STEPS:
            break
    moment = until.isoformat(timespec="seconds").replace("+00:00", "Z")
    raise NotThereError(f"there is no commit as old as {moment}", help="see: git log --first-parent")


def _unknown(text: str) -> NotThereError:
    return NotThereError(
        f"{text[:100]!a}: no such revision", help="name a commit, a tag, a branch or a date such as 2026-11-22"
    )
