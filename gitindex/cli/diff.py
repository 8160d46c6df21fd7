"""`gitindex diff`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from gitindex.check import base_of, head_of
from gitindex.cli.common import open_repository
from gitindex.errors import UsageError
from gitindex.preview import preview
from gitindex.report.preview import preview_json, preview_markdown, preview_text
from gitindex.report.progress import progress_of
from gitindex.report.text import has_colour
from gitindex.snapshot import NO_REVISION


class Format(StrEnum):
    """How a preview is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def diff(
    ctx: typer.Context,
    base: Annotated[
        str | None,
        typer.Argument(
            metavar="BASE",
            help="What is published; by default what HEAD shares with the protected branch of origin, else HEAD.",
        ),
    ] = None,
    head: Annotated[
        str | None, typer.Argument(metavar="HEAD", help="What would be; by default the working tree.")
    ] = None,
    staged: Annotated[
        bool, typer.Option("--staged", help="Compare what is staged: what the next commit holds.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.", show_default=False)] = False,
) -> None:
    """Say what installers will see change.

    Releases that are new, yanked or removed, what becomes visible or hidden through bases, whitelists and reserved
    names, and which indexes' users are concerned.
    """
    if staged and head is not None:
        raise UsageError("HEAD and --staged exclude each other", help="give one of them")
    repository = open_repository(ctx)
    after = head_of(repository, head, staged=staged)
    before = base_of(repository, base, after, is_revision=head is not None) or NO_REVISION
    with progress_of("projects") as progress:
        found = preview(before, after, progress)
    match Format.JSON if as_json else form:
        case Format.TEXT:
            report = preview_text(found, colour=has_colour(sys.stdout))
        case Format.MARKDOWN:
            report = preview_markdown(found)
        case Format.JSON:
            report = preview_json(found)
    sys.stdout.write(report)
