"""`gitindex log`."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from gitindex.cli.common import JsonOption, index_name, open_repository, project_name
from gitindex.cli.output import note
from gitindex.errors import UsageError
from gitindex.events import Kind, Scope
from gitindex.log import Asked, Log
from gitindex.names import is_owner_name
from gitindex.report.log import json_parts, step_lines
from gitindex.report.text import has_colour


class Format(StrEnum):
    """How the log is told."""

    TEXT = "text"
    JSON = "json"
    ATOM = "atom"


def log(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Argument(metavar="PROJECT", help="Only what happened to this one.")] = None,
    index: Annotated[
        str | None, typer.Option("--index", metavar="USER/INDEX", help="Only what happened in this index.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="Only what this user did, by the address in user.toml."),
    ] = None,
    kind: Annotated[
        list[Kind] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help=f"Only such events: {', '.join(Kind)}. May be given several times.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Only what was committed on this day or later.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Only what was committed until the end of this day.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max-count", "-n", metavar="N", min=1, help="The newest events, so many.")
    ] = None,
    revision: Annotated[
        str, typer.Option("--rev", metavar="REV", help="The end of the history, or a range: BASE..HEAD.")
    ] = "HEAD",
    style: Annotated[Format, typer.Option("--format", help="How it is told.")] = Format.TEXT,
    as_json: JsonOption = False,
) -> None:
    """Say who released, pushed and yanked what, and when.

    It is read from the first-parent history, the newest commit first; a merge is one step. Times are UTC, dates too.
    """
    if as_json and style is Format.ATOM:
        raise UsageError("--json and --format atom exclude each other", help="give one of them")
    if user is not None and not is_owner_name(user):
        raise UsageError(f"{user!r} is no name of a user", help="see: gitindex user list")
    scope = Scope(None if index is None else index_name(index), None if project is None else project_name(project))
    asked = Asked(
        revision,
        scope,
        user,
        frozenset(kind or Kind),
        None if since is None else _moment("--since", since, is_end=False),
        None if until is None else _moment("--until", until, is_end=True),
        most,
    )
    found = Log(open_repository(ctx), asked)
    steps = found.steps()
    if as_json or style is Format.JSON:
        for part in json_parts(steps):
            sys.stdout.write(part)
    elif style is Format.ATOM:
        from gitindex.report.atom import log_feed

        sys.stdout.buffer.write(log_feed(found.snapshot, scope, steps))
    else:
        colour, is_empty = has_colour(sys.stdout), True
        for step in steps:
            is_empty = False
            for line in step_lines(step, colour=colour):
                print(line)
            sys.stdout.flush()
        if is_empty:
            note("There is nothing of that in this history.")
    if found.is_cut_off:
        note("The clone is shallow: what was before is not here. To have it: git fetch --unshallow")


def _moment(option: str, text: str, *, is_end: bool) -> datetime:
    """Return the moment that a date means, or a date with a time; without a zone it is UTC."""
    from gitindex.server.travel import read_date

    found = read_date(text)
    if found is None:
        raise UsageError(f"{option} {text!r} is no date", help="write it as 2026-11-22, or 2026-11-22T07:25:00Z")
    is_day = "T" not in text
    return found if is_end or not is_day else found - timedelta(days=1) + timedelta(microseconds=1)
