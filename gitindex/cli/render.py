"""`gitindex render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitindex import layout
from gitindex.cli.common import JsonOption, current, index_name, open_repository
from gitindex.cli.output import print_json, say
from gitindex.cli.progress import progress_of
from gitindex.errors import UsageError
from gitindex.git import Past, Repository
from gitindex.report.text import count
from gitindex.site import render as write_site


def render(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The folder to write to: empty, or made by gitindex.")
    ],
    rev: Annotated[
        str | None, typer.Option("--rev", metavar="REV", help="The revision; by default the working tree.")
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="USER/INDEX", help="Only this index; may be given several times."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Render everything, whatever the folder remembers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the site: simple pages for installers, pages for people.

    The folder then holds what a web server needs; what is no longer part of the site is removed from it. It remembers
    from which commit it was made: the next time, only what differs is rendered.
    """
    repository = open_repository(ctx)
    snapshot = repository.at(rev) if rev is not None else current(repository)
    names = [index_name(name) for name in index or ()]
    _check_place(repository, out)
    lfs = repository.git_directory / "lfs" / "objects"
    past = Past(repository, snapshot.name if rev is not None or repository.is_bare else repository.head())
    with progress_of("projects") as progress:
        report = write_site(snapshot, out, indexes=names, lfs_objects=lfs, progress=progress, past=past, full=full)
    if as_json:
        print_json({"revision": snapshot.name, **report._asdict()})
        return
    done = f"{count(report.written, 'file')} written, {report.unchanged:,} as they were, {report.removed:,} removed"
    say(f"{count(report.projects, 'project')} in {out}: {done}.")


def _check_place(repository: Repository, out: Path) -> None:
    """Refuse a folder that is the repository's own: the site would be taken for releases, or for Git's objects."""
    target = out.resolve()
    own = [repository.git_directory]
    if not repository.is_bare:
        own += [repository.root / name for name in (layout.INDEXES, layout.FILES)]
    if any(target.is_relative_to(folder.resolve()) for folder in own):
        raise UsageError(f"{out} lies in the repository's own folders", help="choose another one with --out")
