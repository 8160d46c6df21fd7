"""`gitindex import …`."""

from __future__ import annotations

import hashlib
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
    PrOption,
    index_name,
    moment,
    note_how_to_commit,
    open_repository,
    project_name,
    proposal_data,
    start,
    tell_proposal,
)
from gitindex.cli.output import note, print_findings, print_json, say
from gitindex.errors import UsageError
from gitindex.report.text import count

if TYPE_CHECKING:
    from gitindex.forge import Proposal
    from gitindex.importers.destination import Proposed, WorkingTree
    from gitindex.importers.shelf import Shelf, Wanted
    from gitindex.importers.source import Source, SourceIndex
    from gitindex.names import IndexName

import_ = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="""Bring in what another index has.

    What is here already stays as it is, so the same command goes on where it was broken off. What cannot be carried
    over is told with its reason. Exit code 1 says that a file was left out, 3 that one did not come.
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
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in a devpi-server: users, indexes, releases, results of tests.

    Bases come before what inherits from them, each index as one commit. Names and password for reading come from netrc.
    """
    from gitindex.importers.devpi_export import DevpiExport
    from gitindex.importers.devpi_server import DevpiServer
    from gitindex.report.progress import progress_of

    asked = _Import(
        ctx,
        history=history,
        jobs=jobs,
        report_file=report_file,
        commit=commit,
        pr=pr,
        as_json=as_json,
        is_believed=without_digests,
    )
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
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in the projects of any simple index, HTML or JSON.

    Files are checked against the digests of its pages; times of upload, yanks and statuses come along.
    """
    from gitindex.download import Patience
    from gitindex.importers.simple import Simple
    from gitindex.report.progress import progress_of
    from gitindex.upstream.client import Upstreams

    asked = _Import(
        ctx,
        history=history,
        jobs=jobs,
        report_file=report_file,
        commit=commit,
        pr=pr,
        as_json=as_json,
        is_believed=without_digests,
    )
    target = asked.target(index_name(index), create=create)
    names = [project_name(name) for name in project or ()]
    upstreams = Upstreams(None, file_patience=Patience())
    try:
        with progress_of("pages") as progress:
            source = Simple(url, target, upstreams, names=names, progress=progress)
            asked.carry_out(source, *names, into=target.name)
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
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in a folder of wheels and sdists."""
    from gitindex.importers.directory import Directory

    asked = _Import(
        ctx,
        history=history,
        jobs=jobs,
        report_file=report_file,
        commit=commit,
        pr=pr,
        as_json=as_json,
    )
    target = asked.target(index_name(index), create=create)
    asked.carry_out(Directory(folder, target, has_times=mtime), into=target.name)


class _Import:
    """An import as a command asks for it: where it goes, and how it is told."""

    def __init__(
        self,
        ctx: typer.Context,
        *,
        history: bool,
        jobs: int,
        report_file: Path | None,
        commit: bool,
        pr: bool,
        as_json: bool,
        is_believed: bool = False,
    ) -> None:
        """Open the repository.

        Raises:
            UsageError: what is asked for excludes each other.
            CannotRunError: there is no repository, no working tree, or nothing published.

        """
        from gitindex.importers.destination import check_place
        from gitindex.importers.report import Report

        if pr and history:
            raise UsageError("--history and --pr exclude each other", help="what is proposed is one commit")
        self._repository = open_repository(ctx)
        if not pr:
            check_place(self._repository)
        self.here = start(self._repository, commit=commit, pr=pr)
        """What it is made to."""
        self.report = Report()
        self._history = history
        self._jobs = jobs
        self._report_file = report_file
        self._commit = commit or history
        self._pr = pr
        self._as_json = as_json
        self._is_believed = is_believed

    def target(self, name: IndexName, *, create: bool) -> SourceIndex:
        """Return the index that is filled."""
        from gitindex.importers.making import index_here
        from gitindex.importers.source import SourceIndex

        if create and self.here.index(name) is None:
            return SourceIndex(name, {"type": "stage", "volatile": True, "bases": []})
        return index_here(self.here, name)

    def carry_out(self, source: Source, *only: str, into: IndexName | None = None) -> None:
        """Import, and tell what came of it, also where it is broken off; *only* are the parts that are asked for."""
        from gitindex.cachefolder import cache_folder
        from gitindex.importers.making import Terms, Work, bring
        from gitindex.importers.shelf import Shelf
        from gitindex.report.progress import progress_of

        folder = cache_folder(self._repository.git_directory, self._repository.folder) / "import"
        shelf = Shelf(folder, source.told, jobs=self._jobs, is_believed=self._is_believed)
        name = _name(source, only, into) if self._pr else ""
        destination = self._destination(shelf, name)
        terms = Terms(moment(), today(), history=self._history)
        made, is_whole = None, False
        try:
            with progress_of("commits") if self._history else nullcontext() as progress:
                bring(Work(source, destination, shelf, terms, self.report, _bar, progress))
            made = self._propose(destination, name)
            is_whole = True
        finally:
            if not is_whole and not self._as_json and self.report.brought:
                self._tell_broken_off(source)
        if not self.report.exit_code:
            shelf.clear()
        if self._report_file is not None:
            atomic.write(self._report_file, [self.report.markdown(source.told).encode()])
        if self._as_json:
            print_json(self.report.data() | ({} if made is None else {"commit": made.commit, **proposal_data(made)}))
        else:
            self._tell(source, made)
        if self.report.exit_code:
            raise typer.Exit(self.report.exit_code)

    def _destination(self, shelf: Shelf, name: str) -> WorkingTree | Proposed:
        from gitindex.importers.destination import Proposed, WorkingTree

        if not self._pr:
            return WorkingTree(self._repository, shelf, commit=self._commit)
        from gitindex.forge.words import branch_name

        pending = self._repository.proposals.pending(branch_name(name))
        return Proposed(self._repository, self.here, shelf, pending)

    def _propose(self, destination: WorkingTree | Proposed, name: str) -> Proposal | None:
        """Propose what was brought, where that is asked."""
        from gitindex.forge import propose
        from gitindex.importers.destination import Proposed

        if not isinstance(destination, Proposed):
            return None
        made = propose(self._repository, self.here, destination.plan, name=name, today=today())
        destination.done()
        self.report.proposed = made.url or made.branch or ""
        return made

    def _tell_broken_off(self, source: Source) -> None:
        if not self._pr:  # what would have been proposed is nowhere yet
            self._tell(source, None)
        note("Broken off: the same command goes on from here.")

    def _tell(self, source: Source, made: Proposal | None) -> None:
        report = self.report
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
        if made is not None:
            tell_proposal(self._repository, made)
        elif commits:
            before = f" and {len(commits) - 1:,} before it" if len(commits) > 1 else ""
            note(f"Committed as {commits[-1][:12]}{before}.")
        elif not self._commit and report.tops:
            note_how_to_commit(self._repository, report.tops, f"Import from {source.told}")
        sys.stdout.flush()


def _name(source: Source, only: Sequence[str], into: IndexName | None) -> str:
    """Return what the branch of an import is called after: the same for the same import, and for no other."""
    key = hashlib.sha256("\0".join([source.place, *sorted(only)]).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    told = (source.told.partition("://")[2] or source.told).strip("/")
    return f"import {told}{f' into {into}' if into is not None else ''} {key}"


@contextmanager
def _bar(wanted: Sequence[Wanted]) -> Iterator[Callable[[int], None]]:
    from gitindex.report.progress import progress_in_bytes

    with progress_in_bytes(lambda: sum(each.file.size or 0 for each in wanted)) as advance:
        yield advance
