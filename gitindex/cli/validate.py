"""`gitindex validate`: the options of `check.py` in Typer's form, and the proposal of what `--fix` repairs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from gitindex.atomic import check_out
from gitindex.check import OPTIONS, Format, print_verdict, run, today, write_sarif
from gitindex.cli import Place
from gitindex.cli.common import open_repository, proposal_data, start, tell_proposal
from gitindex.cli.options import with_options
from gitindex.cli.output import note, print_json, say
from gitindex.errors import UsageError
from gitindex.words import Option

if TYPE_CHECKING:
    from gitindex.finding import Verdict
    from gitindex.forge import Proposal
    from gitindex.git import Repository

_PR = Option("pr", "--pr", "With --fix: repair what is published, on a branch of its own, and open its pull request.")
_OF_REPAIRS = frozenset({"fix", "everything", "actor", "strict", "sarif", "form", "as_json"})
"""The options that go with it: what is published is repaired as a whole, and compared with nothing else."""


def validate(ctx: typer.Context, *, pr: bool = False, **options: Any) -> None:
    """Check a change against the rules, and refuse what breaks a promise.

    Exit code 1 says that the change is refused, 0 that it is not.
    """
    place: Place = ctx.obj
    code = _propose_repairs(ctx, options) if pr else run(place.directory, place.folder, **options)
    if code:
        raise typer.Exit(code)


def _propose_repairs(ctx: typer.Context, options: dict[str, Any]) -> int:
    """Propose what repairs what is published, tell of it and of what is left, and return the exit code."""
    from gitindex.compare import Change
    from gitindex.edits.fix import plan_fixes
    from gitindex.forge import propose
    from gitindex.guard import attribute, verdict_on
    from gitindex.snapshot import Snapshot

    if not options["fix"]:
        raise UsageError("--pr proposes what --fix repairs", help="add --fix")
    for option in OPTIONS:
        if options[option.name] and option.name not in _OF_REPAIRS:
            raise UsageError(f"{option.flag} and --pr exclude each other", help="all that is published is repaired")
    check_out(options["sarif"], "--sarif")
    repository, actor = open_repository(ctx), options["actor"]
    base = start(ctx, repository, commit=False, pr=True)

    def change_to(head: Snapshot, commit: str | None = None) -> Change:
        change = Change(base, head, everything=True, today=today())
        return attribute(repository, change, actor=actor, head=commit)

    plan = plan_fixes(base, change_to)
    made = propose(repository, base, plan, name="repair what is published", today=today(), actor=actor)
    head = base if made.commit is None else repository.at(made.commit)
    verdict = verdict_on(change_to(head, made.commit), folder=repository.folder, is_strict=options["strict"])
    write_sarif(verdict, options["sarif"])
    _tell(repository, plan.notes, made, verdict, Format.JSON if options["as_json"] else options["form"])
    return int(verdict.is_refused)


def _tell(repository: Repository, notes: list[str], made: Proposal, verdict: Verdict, form: Format) -> None:
    if form is Format.JSON:
        from gitindex.report.json import verdict_json

        told = {"done": notes, "commit": made.commit, **proposal_data(made)}
        print_json(json.loads(verdict_json(verdict)) | told)
        return
    answer = say if form is Format.TEXT else note  # what a program reads holds the findings alone
    for line in notes:
        answer(line)
    if made.branch is None:
        note("Nothing can be repaired of what is published: nothing was pushed.")
    else:
        tell_proposal(repository, made, answer)
    print_verdict(verdict, form)


with_options(
    validate, tuple(each for option in OPTIONS for each in ((option, _PR) if option.name == "fix" else (option,)))
)
