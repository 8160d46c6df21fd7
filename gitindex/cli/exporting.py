"""`gitindex export …`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitindex.cli.common import JsonOption, current, index_name, open_repository
from gitindex.cli.output import print_json, say

if TYPE_CHECKING:
    from gitindex.importers.exporting import Export, Exported
    from gitindex.names import IndexName

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
    """Write the wheels and sdists of indexes as plain files, PATH/USER/INDEX/FILENAME.

    The attestations of a file (PEP 740) come beside it, FILENAME.provenance. What plain files do not say is told.
    """
    from gitindex.importers.exporting import export_files

    _carry_out(export_files, ctx, folder, rev, index, as_json=as_json)


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

    _carry_out(lambda work, names: DevpiWriting(work).write(names), ctx, folder, rev, index, as_json=as_json)


def _carry_out(
    write: Callable[[Export, Sequence[IndexName]], Iterable[Exported]],
    ctx: typer.Context,
    folder: Path,
    rev: str | None,
    index: Sequence[str] | None,
    *,
    as_json: bool,
) -> None:
    """Write what is asked for, all indexes where none is named, and tell what came of it."""
    from gitindex.importers.exporting import Copier, Export, check_place
    from gitindex.importers.report import Report
    from gitindex.objects import store_of
    from gitindex.report.progress import progress_in_bytes

    repository = open_repository(ctx)
    snapshot = repository.at(rev) if rev is not None else current(repository)
    _ = snapshot.settings
    names = [index_name(name) for name in index or ()] or [*snapshot.index_names()]
    check_place(repository, folder)
    report = Report()
    with progress_in_bytes(lambda: 0) as advance:
        copier = Copier(store_of(snapshot, repository.git_directory), advance)
        exported = [*write(Export(snapshot, folder, copier, report), names)]
    if as_json:
        print_json({"exported": [each._asdict() for each in exported], "left": report.data()["left"]})
    else:
        for each in exported:
            say(str(each))
        for left in report.sorted():
            say(str(left))
    if report.exit_code:
        raise typer.Exit(report.exit_code)
