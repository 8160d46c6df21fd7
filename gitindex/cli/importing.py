"""`gitindex import …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitindex.cli.bringing import How, Import, takes_how
from gitindex.cli.common import IndexOption, index_name, project_name

import_ = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="""Bring in what another index has.

    What is here already stays as it is, so the same command goes on where it was broken off. What cannot be carried
    over is told with its reason. Exit code 1 says that a file was left out, 3 that one did not come.
    """,
)

_Create = Annotated[
    bool,
    typer.Option(
        "--create",
        help="Make the index where it is not there, volatile and without bases, and its owner.",
        show_default=False,
    ),
]
_WithoutDigests = Annotated[
    bool,
    typer.Option(
        "--without-digests",
        help="Take files too of which no sha256 is stated: what comes is believed.",
        show_default=False,
    ),
]

_WithoutAttestations = Annotated[
    bool,
    typer.Option(
        "--without-attestations",
        help="Ask for no attestations (PEP 740): files come without those that their pages state.",
        show_default=False,
    ),
]


@import_.callback()
def _import() -> None:
    """Bring in what another index has."""


@import_.command("devpi")
@takes_how(jobs=8)
def import_devpi(
    ctx: typer.Context,
    place: Annotated[str, typer.Argument(metavar="URL", help="The devpi-server, or a folder that devpi-export wrote.")],
    index: Annotated[
        list[str] | None,
        typer.Option(
            "--index", metavar="USER/INDEX", help="Only this index and all that it inherits from; may be repeated."
        ),
    ] = None,
    without_digests: _WithoutDigests = False,
    *,
    how: How,
) -> None:
    """Bring in a devpi-server: users, indexes, releases, results of tests.

    Bases come before what inherits from them, each index as one commit. Names and password for reading come from netrc.
    """
    from gitindex.importers.devpi_export import DevpiExport
    from gitindex.importers.devpi_server import DevpiServer
    from gitindex.report.progress import progress_of

    asked = Import(ctx, how, is_believed=without_digests)
    only = index or ()
    with progress_of("projects") as progress:
        source: DevpiServer | DevpiExport
        if "://" in place:
            source = DevpiServer(place, asked.here, asked.report, only=only, progress=progress)
        else:
            source = DevpiExport(Path(place), asked.here, asked.report, only=only)
        try:
            asked.carry_out(source, *only)
        finally:
            source.close()


@import_.command("simple")
@takes_how(jobs=8)
def import_simple(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="The simple index, such as https://…/simple/.")],
    index: IndexOption,
    project: Annotated[
        list[str] | None,
        typer.Option("--project", metavar="NAME", help="Only this project; may be given several times."),
    ] = None,
    create: _Create = False,
    without_digests: _WithoutDigests = False,
    without_attestations: _WithoutAttestations = False,
    *,
    how: How,
) -> None:
    """Bring in the projects of any simple index, HTML or JSON.

    Files are checked against the digests of its pages; times of upload, yanks, statuses and attestations come along.
    """
    from gitindex.download import GIVES_UP_AFTER, Patience
    from gitindex.importers.simple import Simple
    from gitindex.report.progress import progress_of
    from gitindex.upstream.client import Upstreams

    asked = Import(ctx, how, is_believed=without_digests)
    target = asked.target(index_name(index), create=create)
    names = [*dict.fromkeys(project_name(name) for name in project or ())]
    upstreams = Upstreams(None, file_patience=Patience(), tells_refused=True, gives_up_after=GIVES_UP_AFTER)
    try:
        with progress_of("pages") as progress:
            attested = not without_attestations
            source = Simple(url, target, upstreams, names=names, attested=attested, progress=progress)
            asked.carry_out(source, *names, into=target.name)
    finally:
        upstreams.close()


@import_.command("dir")
@takes_how(jobs=2)
def import_dir(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="The folder; folders in it are looked through too.")],
    index: IndexOption,
    create: _Create = False,
    mtime: Annotated[
        bool,
        typer.Option("--mtime", help="Take the times of the files for those of their upload.", show_default=False),
    ] = False,
    *,
    how: How,
) -> None:
    """Bring in a folder of wheels and sdists.

    A provenance document (PEP 740) beside a file, FILENAME.provenance, comes along with it.
    """
    from gitindex.importers.directory import Directory

    asked = Import(ctx, how)
    target = asked.target(index_name(index), create=create)
    asked.carry_out(Directory(folder, target, has_times=mtime), into=target.name)
