"""What the import commands have in common: their options, where what comes goes to, and how it is told."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer

from gitindex import atomic
from gitindex.check import today
from gitindex.cli.common import (
    CommitOption,
    JsonOption,
    PrOption,
    moment,
    note_how_to_commit,
    open_repository,
    proposal_data,
    start,
    tell_proposal,
)
from gitindex.cli.output import note, print_findings, print_json, say
from gitindex.errors import GitindexError, UsageError
from gitindex.report.text import count

if TYPE_CHECKING:
    from gitindex.forge import Proposal
    from gitindex.importers.destination import Proposed, WorkingTree
    from gitindex.importers.shelf import Shelf, Wanted
    from gitindex.importers.source import Source, SourceIndex
    from gitindex.names import IndexName

_SHOWN = 10
"""Warnings that are printed; an old index has many of them."""
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


class How(NamedTuple):
    """How it is imported: the options of each command."""

    history: _History = False
    jobs: _Jobs = 8
    report_file: _Report = None
    commit: CommitOption = False
    pr: PrOption = False
    as_json: JsonOption = False


def takes_how(*, jobs: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what gives a command the options of :class:`How`, for its parameter of that name; *jobs* is a default."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(ctx: typer.Context, **options: Any) -> None:
            how = How(**{name: options.pop(name) for name in How._fields})
            command(ctx, how=how, **options)

        defaults, kinds = How._field_defaults | {"jobs": jobs}, get_type_hints(How, include_extras=True)
        own = [each for each in signature(command, eval_str=True).parameters.values() if each.name != "how"]
        parameters = own + [
            Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kinds[name])
            for name in How._fields
        ]
        run.__doc__ = command.__doc__
        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


class Import:
    """An import as a command asks for it: where it goes, and how it is told."""

    def __init__(self, ctx: typer.Context, how: How, *, is_believed: bool = False) -> None:
        """Open the repository; *is_believed* says whether a file comes too of which the source states no digest.

        Raises:
            UsageError: what is asked for excludes each other.
            CannotRunError: there is no repository, no working tree, or nothing published.

        """
        from gitindex.cachefolder import cache_folder
        from gitindex.importers.destination import check_place
        from gitindex.importers.report import Report
        from gitindex.importers.shelf import alone

        if how.pr and how.history:
            raise UsageError("--history and --pr exclude each other", help="what is proposed is one commit")
        atomic.check_out(how.report_file, "--report")
        self._repository = open_repository(ctx)
        if not how.pr:
            check_place(self._repository)
        self.here = start(ctx, self._repository, commit=how.commit, pr=how.pr)
        """What it is made to."""
        self._shelf_folder = cache_folder(self._repository.git_directory, self._repository.folder) / "import"
        ctx.with_resource(alone(self._shelf_folder))
        self.report = Report()
        self._how = how
        self._commit = how.commit or how.history
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
        from gitindex.importers.making import Terms, Work, bring
        from gitindex.importers.shelf import Shelf
        from gitindex.report.progress import progress_of

        shelf = Shelf(self._shelf_folder, source.told, jobs=self._how.jobs, is_believed=self._is_believed)
        name = _name(source, only, into) if self._how.pr else ""
        destination = self._destination(shelf, name)
        terms = Terms(moment(), today(), history=self._how.history)
        try:
            with progress_of("commits") if self._how.history else nullcontext() as progress:
                bring(Work(source, destination, shelf, terms, self.report, _bar, progress))
            made = self._propose(destination, name)
        except (Exception, KeyboardInterrupt) as error:
            is_begun = self.report.brought or self.report.users or shelf.is_begun
            if is_begun or isinstance(error, KeyboardInterrupt):
                self._tell_broken_off(source)
            raise
        finally:
            shelf.forget()
        if not self.report.exit_code:
            shelf.clear()
        if self._how.as_json:
            print_json(self.report.data() | ({} if made is None else {"commit": made.commit, **proposal_data(made)}))
        else:
            self._tell(source, made)
        self._keep_report(source)
        if self.report.exit_code:
            raise typer.Exit(self.report.exit_code)

    def _destination(self, shelf: Shelf, name: str) -> WorkingTree | Proposed:
        from gitindex.importers.destination import Proposed, WorkingTree

        if not self._how.pr:
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

    def _keep_report(self, source: Source) -> None:
        if self._how.report_file is not None:
            atomic.write_out(self._how.report_file, self.report.markdown(source.told).encode())

    def _tell_broken_off(self, source: Source) -> None:
        from gitindex.importers.report import GOES_ON

        self.report.is_broken_off = True
        if self._how.pr:  # what would have been proposed is nowhere yet
            self.report.take_back()
        if self._how.as_json:
            print_json(self.report.data())
            sys.stdout.flush()
        else:
            self._tell(source, None)
        note(GOES_ON)
        try:
            self._keep_report(source)
        except GitindexError as error:  # what broke it off is told by whoever waits for it
            note(str(error))

    def _tell(self, source: Source, made: Proposal | None) -> None:
        report = self.report
        if report.users:
            say(f"{count(report.users, 'user')} brought")
        for each in report.brought:
            say(str(each))
        if not report.brought and not report.users and not report.is_broken_off:
            say(f"nothing to bring: there is no index in {source.told} that could be brought")
        for left in report.sorted():
            say(str(left))
        print_findings(report.warnings[:_SHOWN])
        if len(report.warnings) > _SHOWN:
            note(f"… and {count(len(report.warnings) - _SHOWN, 'more warning')}; see: gitindex validate")
        if made is not None:
            tell_proposal(self._repository, made)
        elif report.committed:
            note(f"Committed as {report.committed}.")
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
