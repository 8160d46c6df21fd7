"""`gitindex export …`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitindex.cli.common import JsonOption, current, index_name, open_repository
from gitindex.cli.output import print_json, say

if TYPE_CHECKING:
    from gitindex.git import Repository
    from gitindex.importers.exporting import Exported
    from gitindex.importers.report import Report
    from gitindex.names import IndexName
    from gitindex.snapshot import Snapshot

export = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="""Write releases out for another index.

    Nobody is locked in: the files are what was released, byte by byte.
    """,
)

_Indexes = Annotated[
    list[str] | None,
    typer.Option("--index", metavar="USER/INDEX", help="Only this index; may be given several times."),
]
_Rev = Annotated[str | None, typer.Option("--rev", metavar="REV", help="The revision; by default the working tree.")]


@export.callback()
def _export() -> None:
    """Write releases out for another index."""


@export.command("dir")
def export_dir(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="Where to; a folder is made for each index.")],
    index: _Indexes = None,
    rev: _Rev = None,
    as_json: JsonOption = False,
) -> None:
    """Write the wheels and sdists of indexes as plain files, PATH/USER/INDEX/FILENAME."""
    from gitindex.importers.exporting import Copier, check_place, export_files
    from gitindex.importers.report import Report
    from gitindex.objects import store_of
    from gitindex.report.progress import progress_in_bytes

    repository, snapshot, names = _exported(ctx, rev, index)
    check_place(repository, folder)
    report = Report()
    with progress_in_bytes(lambda: 0) as advance:
        copier = Copier(store_of(snapshot, repository.git_directory), advance)
        exported = [*export_files(snapshot, names, copier, folder, report)]
    _tell_exported(exported, report, as_json=as_json)


@export.command("devpi")
def export_devpi(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="The folder that is made.")],
    index: _Indexes = None,
    rev: _Rev = None,
    as_json: JsonOption = False,
) -> None:
    """Write users, indexes and releases as devpi-import takes them.

    What indexes inherit from is written too. What devpi has no counterpart of is told.
    """
    from gitindex.importers.devpi_writing import DevpiWriting
    from gitindex.importers.exporting import Copier, check_place
    from gitindex.importers.report import Report
    from gitindex.objects import store_of
    from gitindex.report.progress import progress_in_bytes

    repository, snapshot, names = _exported(ctx, rev, index)
    check_place(repository, folder)
    report = Report()
    with progress_in_bytes(lambda: 0) as advance:
        copier = Copier(store_of(snapshot, repository.git_directory), advance)
        exported = [*DevpiWriting(snapshot, copier, folder, report).write(names)]
    _tell_exported(exported, report, as_json=as_json)


def _exported(
    ctx: typer.Context, rev: str | None, index: Sequence[str] | None
) -> tuple[Repository, Snapshot, list[IndexName]]:
    """Return what is written out, and of what."""
    repository = open_repository(ctx)
    snapshot = repository.at(rev) if rev is not None else current(repository)
    _ = snapshot.settings
    return repository, snapshot, [index_name(name) for name in index or ()] or [*snapshot.index_names()]


def _tell_exported(exported: Sequence[Exported], report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json({"exported": [each._asdict() for each in exported], "left": report.data()["left"]})
    else:
        for each in exported:
            say(str(each))
        for left in report.sorted():
            say(str(left))
    if report.exit_code:
        raise typer.Exit(report.exit_code)
