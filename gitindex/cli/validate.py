"""`gitindex validate`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from gitindex.cli import Place
from gitindex.compare import Change
from gitindex.errors import UsageError
from gitindex.finding import Finding, Severity
from gitindex.git import Repository
from gitindex.model import User
from gitindex.snapshot import Snapshot
from gitindex.validate import validate as run


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


def validate(
    ctx: typer.Context,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="REV",
            help="What is published; by default what HEAD shares with the protected branch of origin, else HEAD.",
        ),
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", metavar="REV", help="What would be; by default the working tree.")
    ] = None,
    staged: Annotated[
        bool, typer.Option("--staged", help="Check what is staged: what the next commit would hold.")
    ] = False,
    worktree: Annotated[bool, typer.Option("--worktree", help="Check the working tree (the default).")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Check every file, not only what the change touches.")
    ] = False,
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor", metavar="ID", help="Who makes the change: a user, or an identity such as github:emilie."
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print the findings.")] = Format.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Check a change against the rules, and refuse what breaks a promise.

    Exit code 1 says that the change is refused, 0 that it is not.
    """
    if (head is not None) + staged + worktree > 1:
        raise UsageError("--head, --staged and --worktree exclude each other", help="give one of them")
    place: Place = ctx.obj
    repository = Repository.open(place.directory, place.folder)
    after = _head(repository, head, staged=staged)
    before = _base(repository, base, after, is_revision=head is not None)
    if after.settings_or_problem is None and (before is None or before.settings_or_problem is None):
        _ = after.settings  # says that this is no index repository
    descends = (
        repository.descends(after.name, before.name)
        if base and head and before and after.name and before.name
        else None
    )
    change = Change(before, after, everything=everything, actor=_actor(before or after, actor), descends=descends)
    findings = run(change)
    _print(findings, before.name if before else None, after.name, Format.JSON if as_json else form)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(1)


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


def _print(findings: list[Finding], base: str | None, head: str | None, form: Format) -> None:
    if form is Format.JSON:
        from gitindex.report.json import findings_json

        sys.stdout.write(findings_json(findings, base, head))
        return
    from gitindex.cli.output import has_colour
    from gitindex.report.text import findings_text, verdict

    sys.stdout.write(findings_text(findings, colour=has_colour(sys.stdout)))
    sys.stdout.write(verdict(findings, base, head) + "\n")
