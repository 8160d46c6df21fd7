"""`gitindex import …` and `gitindex export …`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitindex import atomic
from gitindex.check import today
from gitindex.cli.common import (
    CommitOption,
    IndexOption,
    JsonOption,
    current,
    index_name,
    moment,
    note_how_to_commit,
    open_repository,
    project_name,
)
from gitindex.cli.output import note, print_findings, print_json, say
from gitindex.report.text import count

if TYPE_CHECKING:
    from gitindex.git import Repository
    from gitindex.importers.exporting import Exported
    from gitindex.importers.report import Report
    from gitindex.importers.shelf import Wanted
    from gitindex.importers.source import Source, SourceIndex
    from gitindex.names import IndexName
    from gitindex.snapshot import Snapshot

import_ = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="""Bring in what another index has.

    What is here already stays as it is, so the same command goes on where it was broken off. What cannot be carried
    over is told with its reason. Exit code 1 says that a file was left out, 3 that one did not come.
    """,
)
export = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="""Write releases out for another index.

    Nobody is locked in: the files are what was released, byte by byte.
    """,
)
_SHOWN = 10
"""Warnings that are printed; an old index has many of them."""

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
_History = Annotated[
    bool,
    typer.Option(
        "--history",
        help="Commit each release by itself, with the time of its upload and by its uploader.",
        show_default=False,
    ),
]
_Jobs = Annotated[int, typer.Option("--jobs", metavar="N", min=1, max=64, help="Files at a time.")]
_Indexes = Annotated[
    list[str] | None,
    typer.Option("--index", metavar="USER/INDEX", help="Only this index; may be given several times."),
]
_Rev = Annotated[str | None, typer.Option("--rev", metavar="REV", help="The revision; by default the working tree.")]
_Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write what was brought, and what not, to a file, as Markdown."),
]


@import_.callback()
def _import() -> None:
    """Bring in what another index has."""


@import_.command("devpi")
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
    history: _History = False,
    jobs: _Jobs = 8,
    report_file: _Report = None,
    commit: CommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in a devpi-server: users, indexes, releases, results of tests.

    Bases come before what inherits from them, each index as one commit. Names and password for reading come from netrc.
    """
    from gitindex.importers.devpi_export import DevpiExport
    from gitindex.importers.devpi_server import DevpiServer
    from gitindex.importers.making import check_place
    from gitindex.importers.report import Report
    from gitindex.report.progress import progress_of

    repository = open_repository(ctx)
    check_place(repository)
    here = current(repository)
    report = Report()
    with progress_of("projects") as progress:
        source: DevpiServer | DevpiExport
        if "://" in place:
            source = DevpiServer(place, here, report, only=index or (), progress=progress)
        else:
            source = DevpiExport(Path(place), here, report, only=index or ())
        try:
            _carry_out(
                repository,
                source,
                report,
                is_believed=without_digests,
                history=history,
                jobs=jobs,
                report_file=report_file,
                commit=commit,
                as_json=as_json,
            )
        finally:
            source.close()


@import_.command("simple")
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
    history: _History = False,
    jobs: _Jobs = 8,
    report_file: _Report = None,
    commit: CommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in the projects of any simple index, HTML or JSON.

    Files are checked against the digests of its pages; times of upload, yanks and statuses come along.
    """
    from gitindex.download import Patience
    from gitindex.importers.report import Report
    from gitindex.importers.simple import Simple
    from gitindex.report.progress import progress_of
    from gitindex.upstream.client import Upstreams

    repository = open_repository(ctx)
    target = _target(repository, index_name(index), create=create)
    names = [project_name(name) for name in project or ()]
    upstreams = Upstreams(None, file_patience=Patience())
    try:
        with progress_of("pages") as progress:
            source = Simple(url, target, upstreams, names=names, progress=progress)
            _carry_out(
                repository,
                source,
                Report(),
                is_believed=without_digests,
                history=history,
                jobs=jobs,
                report_file=report_file,
                commit=commit,
                as_json=as_json,
            )
    finally:
        upstreams.close()


@import_.command("dir")
def import_dir(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="The folder; folders in it are looked through too.")],
    index: IndexOption,
    create: _Create = False,
    mtime: Annotated[
        bool,
        typer.Option("--mtime", help="Take the times of the files for those of their upload.", show_default=False),
    ] = False,
    history: _History = False,
    jobs: _Jobs = 2,
    report_file: _Report = None,
    commit: CommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in a folder of wheels and sdists."""
    from gitindex.importers.directory import Directory
    from gitindex.importers.report import Report

    repository = open_repository(ctx)
    target = _target(repository, index_name(index), create=create)
    source = Directory(folder, target, has_times=mtime)
    _carry_out(
        repository,
        source,
        Report(),
        history=history,
        jobs=jobs,
        report_file=report_file,
        commit=commit,
        as_json=as_json,
    )


def _target(repository: Repository, name: IndexName, *, create: bool) -> SourceIndex:
    """Return the index that is filled."""
    from gitindex.importers.making import check_place, index_here
    from gitindex.importers.source import SourceIndex

    check_place(repository)
    worktree = repository.worktree()
    _ = worktree.settings
    if create and worktree.index(name) is None:
        return SourceIndex(name, {"type": "stage", "volatile": True, "bases": []})
    return index_here(worktree, name)


def _carry_out(
    repository: Repository,
    source: Source,
    report: Report,
    *,
    history: bool,
    jobs: int,
    report_file: Path | None,
    commit: bool,
    as_json: bool,
    is_believed: bool = False,
) -> None:
    """Import, and tell what came of it, also where it is broken off."""
    from gitindex.cachefolder import cache_folder
    from gitindex.importers.making import Terms, Work, bring
    from gitindex.importers.shelf import Shelf
    from gitindex.report.progress import progress_of

    folder = cache_folder(repository.git_directory, repository.folder) / "import"
    shelf = Shelf(folder, source.told, jobs=jobs, is_believed=is_believed)
    terms = Terms(moment(), today(), commit=commit or history, history=history)
    try:
        with progress_of("commits") if history else nullcontext() as progress:
            bring(Work(repository, source, shelf, terms, report, _bar, progress))
    except BaseException:
        if not as_json and report.brought:
            _tell(repository, source, report, is_committed=terms.commit)
            note("Broken off: the same command goes on from here.")
        raise
    if not report.exit_code:
        shelf.clear()
    if report_file is not None:
        atomic.write(report_file, [report.markdown(source.told).encode()])
    if as_json:
        print_json(report.data())
    else:
        _tell(repository, source, report, is_committed=terms.commit)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


@contextmanager
def _bar(wanted: Sequence[Wanted]) -> Iterator[Callable[[int], None]]:
    from gitindex.report.progress import progress_in_bytes

    with progress_in_bytes(lambda: sum(each.file.size or 0 for each in wanted)) as advance:
        yield advance


def _tell(repository: Repository, source: Source, report: Report, *, is_committed: bool) -> None:
    if report.users:
        say(f"{count(report.users, 'user')} brought")
    for each in report.brought:
        say(str(each))
    for left in report.sorted():
        say(str(left))
    print_findings(report.warnings[:_SHOWN])
    if len(report.warnings) > _SHOWN:
        note(f"… and {count(len(report.warnings) - _SHOWN, 'more warning')}; see: gitindex validate")
    commits = [commit for each in report.brought for commit in each.commits]
    if commits:
        note(f"Committed as {commits[-1][:12]}{f' and {len(commits) - 1:,} before it' if len(commits) > 1 else ''}.")
    elif not is_committed and report.tops:
        note_how_to_commit(repository, report.tops, f"Import from {source.told}")
    sys.stdout.flush()


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
    from gitindex.importers.exporting import Copier, export_files
    from gitindex.importers.report import Report
    from gitindex.objects import store_of
    from gitindex.report.progress import progress_in_bytes

    repository, snapshot, names = _exported(ctx, rev, index)
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
    from gitindex.importers.exporting import Copier
    from gitindex.importers.report import Report
    from gitindex.objects import store_of
    from gitindex.report.progress import progress_in_bytes

    repository, snapshot, names = _exported(ctx, rev, index)
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
