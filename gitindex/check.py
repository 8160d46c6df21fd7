"""`gitindex validate`, whole: its options, declared once, and what it does. It knows no Typer.

A hook runs it at each commit, and a quarter of the time would go into importing Typer. Plain words are read here; help,
completion and whatever is wrong are Typer's, which has its options from the same table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from gitindex.compare import Change
from gitindex.errors import UsageError
from gitindex.finding import Verdict
from gitindex.git import Repository
from gitindex.model import User
from gitindex.snapshot import Snapshot
from gitindex.validate import judge, with_way_to_waive


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


class Option(NamedTuple):
    """An option of the command."""

    name: str
    flag: str
    help: str
    metavar: str = ""
    """What its value is called; empty for a switch."""
    choices: type[Format] | None = None
    """What it may be; the default is the first."""


OPTIONS = (
    Option(
        "base",
        "--base",
        "What is published; by default what HEAD shares with the protected branch of origin, else HEAD.",
        "REV",
    ),
    Option("head", "--head", "What would be; by default the working tree.", "REV"),
    Option("staged", "--staged", "Check what is staged: what the next commit would hold."),
    Option("worktree", "--worktree", "Check the working tree (the default)."),
    Option("everything", "--all", "Check every file, not only what the change touches."),
    Option("actor", "--actor", "Who makes the change: a user, or an identity such as github:emilie.", "ID"),
    Option("strict", "--strict", "Let a warning refuse the change as an error does."),
    Option("form", "--format", "How to print the findings.", "FORMAT", Format),
    Option("as_json", "--json", "The same as --format json."),
)


class Words(NamedTuple):
    """What a command line asks for."""

    directory: Path
    folder: str | None
    values: Mapping[str, Any]
    """The options that were given, by name."""


def read_words(words: Sequence[str], environment: Mapping[str, str]) -> Words | None:
    """Read the words of a command line; ``None`` where they are not plainly `validate` with its options."""
    if "GITINDEX_DIRECTORY" in environment or any(name.startswith("_GITINDEX_COMPLETE") for name in environment):
        return None
    places = {"-C": "directory", "--directory": "directory", "--folder": "folder"}
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "validate":
            values = _read_options(rest)
            return None if values is None else Words(Path(given.get("directory", "")), given.get("folder"), values)
        value = next(rest, None)
        if word not in places or value is None:
            return None
        given[places[word]] = value
    return None


def _read_options(words: Iterator[str]) -> dict[str, Any] | None:
    known = {option.flag: option for option in OPTIONS}
    values: dict[str, Any] = {}
    for word in words:
        flag, equals, value = word.partition("=")
        option = known.get(flag)
        if option is None or (equals and not option.metavar):
            return None
        if not option.metavar:
            values[option.name] = True
            continue
        found = value if equals else next(words, None)
        if found is None or found.startswith("-") or (option.choices and found not in list(option.choices)):
            return None
        values[option.name] = option.choices(found) if option.choices else found
    return values


def run(
    directory: Path,
    folder: str | None,
    *,
    base: str | None = None,
    head: str | None = None,
    staged: bool = False,
    worktree: bool = False,
    everything: bool = False,
    actor: str | None = None,
    strict: bool = False,
    form: Format = Format.TEXT,
    as_json: bool = False,
) -> int:
    """Check a change, print the findings, and return the exit code: 1 where it is refused, else 0."""
    if (head is not None) + staged + worktree > 1:
        raise UsageError("--head, --staged and --worktree exclude each other", help="give one of them")
    repository = Repository.open(directory, folder)
    after = _head(repository, head, staged=staged)
    before = _base(repository, base, after, is_revision=head is not None)
    if after.settings_or_problem is None and (before is None or before.settings_or_problem is None):
        _ = after.settings  # says that this is no index repository
    descends = (
        repository.descends(after.name, before.name)
        if base and head and before and after.name and before.name
        else None
    )
    change = Change(
        before,
        after,
        everything=everything,
        actor=_actor(before or after, actor),
        descends=descends,
        today=today(),
    )
    found, waived = judge(change)
    verdict = Verdict(
        tuple(map(with_way_to_waive, found)) if strict else found,
        before.name if before else None,
        after.name,
        is_strict=strict,
        waived=len(waived),
        folder=repository.folder,
    )
    _print(verdict, Format.JSON if as_json else form)
    return int(verdict.is_refused)


def today() -> date:
    """Return the day that it is, in UTC: the same everywhere for everybody who judges a change."""
    return datetime.now(UTC).date()


def _head(repository: Repository, head: str | None, *, staged: bool) -> Snapshot:
    if head is not None:
        return repository.at(head)
    if staged:
        return repository.staged()
    if repository.is_bare:
        raise UsageError("a bare repository has no working tree", help="name a revision with --head")
    return repository.worktree()


def _base(repository: Repository, base: str | None, head: Snapshot, *, is_revision: bool) -> Snapshot | None:
    if base is not None:
        # What Git hooks and forges pass for "nothing was there before".
        return None if set(base) == {"0"} else repository.at(base)
    return repository.published(head.name if is_revision else None)


def _actor(policy: Snapshot, actor: str | None) -> User | None:
    """Return who *actor* is, as the base knows them; nobody it does not know has any right."""
    if actor is None:
        return None
    for name in policy.user_names():
        user = policy.user(name)
        if isinstance(user, User) and (actor == name or actor in user.identities):
            return user
    return User()


def _print(verdict: Verdict, form: Format) -> None:
    if form is Format.JSON:
        from gitindex.report.json import verdict_json  # noqa: PLC0415 - one of the two is needed

        sys.stdout.write(verdict_json(verdict))
        return
    from gitindex.report.text import findings_text, has_colour, verdict_line  # noqa: PLC0415

    sys.stdout.write(findings_text(verdict.findings, colour=has_colour(sys.stdout)))
    sys.stdout.write(verdict_line(verdict) + "\n")
