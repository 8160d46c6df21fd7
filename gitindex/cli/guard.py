"""`gitindex pre-receive` and `gitindex audit`: the guard at the server's door, and over the whole history."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Any

import typer

from gitindex.audit import Report, Violation, audit as run_audit
from gitindex.check import today
from gitindex.cli.common import JsonOption, open_repository
from gitindex.cli.output import note, print_json, say
from gitindex.receive import Door, hook_lines, read_updates
from gitindex.report.json import finding_json, json_text
from gitindex.report.progress import progress_of
from gitindex.report.text import count, findings_text, has_colour, printable, verdict_line


def pre_receive(
    ctx: typer.Context,
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor",
            metavar="ID",
            help="Who pushes: a user, or an identity such as gitea:emilie.",
            envvar="GITINDEX_ACTOR",
        ),
    ] = None,
    every_branch: Annotated[
        bool, typer.Option("--every-branch", help="Check all branches of a push, not the protected one alone.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Let a warning refuse the push as an error does.")] = False,
) -> None:
    """Check a push before the server takes it.

    It is the hook of a bare repository: put `exec gitindex pre-receive` into hooks/pre-receive. It reads a line
    `old new reference` for each reference, and refuses the whole push (exit code 1) where it would rewrite or delete
    the protected branch, or break a rule.
    """
    if actor is None and "GITINDEX_ACTOR" in os.environ:
        actor = ""  # the server knows no name: that is nobody, and not that it does not matter who it is
    updates = read_updates(hook_lines(sys.stdin.buffer))
    door = Door(open_repository(ctx), actor, is_strict=strict, today=today())
    is_refused = False
    for branch, verdict in door.received(updates, every_branch=every_branch):
        sys.stderr.write(findings_text(verdict.findings, colour=False))
        note(f"{branch}: {verdict_line(verdict)}")
        is_refused |= verdict.is_refused
    if is_refused:
        raise typer.Exit(1)


def audit(
    ctx: typer.Context,
    revision: Annotated[str, typer.Argument(metavar="REV", help="The end of the history.")] = "HEAD",
    since: Annotated[
        str | None, typer.Option("--since", metavar="REV", help="Take the state of this commit for granted.")
    ] = None,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Start again: forget what earlier audits found of this history.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Prove the whole history: was each promise kept, at each step?

    Each commit of the first-parent history is compared with the one before, under the policy that was in force then; a
    merge with its first parent. What was looked at is remembered in the repository's own folder, so the next audit goes
    on from there, and tells when the history was rewritten since. Exit code 1 says that a promise was broken.
    """
    repository = open_repository(ctx)
    with progress_of("commits") as progress:
        report = run_audit(repository, revision, since=since, afresh=afresh, progress=progress)
    if as_json:
        print_json(_audit_json(report))
    else:
        for commit_id, violations in groupby(report.violations, lambda violation: violation.commit.id):
            sys.stdout.write(_violations_text(list(violations), commit_id, colour=has_colour(sys.stdout)))
        say(_audit_verdict(report))
    if not report.is_remembered and not report.is_rewritten:
        note(f"The next audit starts again: {repository.git_directory} cannot be written to.")
    if report.violations:
        raise typer.Exit(1)


def _violations_text(violations: Sequence[Violation], commit_id: str, *, colour: bool) -> str:
    commit = violations[0].commit
    who = printable(f"{commit.author} <{commit.email}>")
    heading = f"commit {commit_id[:12]}, {commit.date:%Y-%m-%d %H:%M}, {who}: {printable(commit.subject)}"
    found = findings_text([violation.finding for violation in violations], colour=colour)
    return f"{heading}\n" + "".join(f"  {line}\n" for line in found.splitlines())


def _audit_verdict(report: Report) -> str:
    name = (report.reference or report.head[:12]).removeprefix("refs/heads/").removeprefix("refs/")
    start = f" since {report.since[:12]}" if report.since else ""
    known = f", {report.known:,} of them proven before" if report.known else ""
    looked_at = f"{count(report.steps, 'step')} of {name}{start}, up to {report.head[:12]}{known}"
    if not report.violations:
        return f"Kept: every promise, in {looked_at}."
    commits = len({violation.commit.id for violation in report.violations})
    found = f"{count(len(report.violations), 'violation')} in {count(commits, 'commit')}"
    return f"Broken: {found}; looked at {looked_at}."


def _audit_json(report: Report) -> dict[str, Any]:
    return {
        "head": report.head,
        "reference": report.reference,
        "since": report.since,
        "steps": report.steps,
        "known": report.known,
        "violations": [
            {
                "commit": commit.id,
                "author": json_text(commit.author),
                "email": json_text(commit.email),
                "date": commit.date.isoformat(),
                "subject": json_text(commit.subject),
                **finding_json(finding),
            }
            for commit, finding in report.violations
        ],
    }
