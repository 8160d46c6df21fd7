"""What several commands share: options, the repository they work in, and how a written plan is told."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitindex.check import today
from gitindex.cli import Place
from gitindex.cli.output import note, print_findings, print_json, say
from gitindex.edits.plan import Plan
from gitindex.errors import UsageError
from gitindex.git import Repository
from gitindex.git.origin import NAME as REMOTE
from gitindex.names import IndexName, ProjectName, is_display_name, normalize, parse_index_name
from gitindex.snapshot import Snapshot
from gitindex.write import carry_out

if TYPE_CHECKING:
    from gitindex.forge import Proposal

IndexOption = Annotated[str, typer.Option("--index", metavar="USER/INDEX", help="The index.", envvar="GITINDEX_INDEX")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.", show_default=False)]
CommitOption = Annotated[
    bool, typer.Option("--commit", help="Commit what is written, with what it needs and no commit has.")
]
PrOption = Annotated[
    bool,
    typer.Option("--pr", help="Write nothing here: push the change on a branch of its own, and open its pull request."),
]


def open_repository(ctx: typer.Context) -> Repository:
    """Open the repository that the command works in."""
    place: Place = ctx.obj
    return Repository.open(place.directory, place.folder)


def current(repository: Repository) -> Snapshot:
    """Open what there is now: the working tree, or the last commit of a bare repository. Settings must be readable."""
    snapshot = repository.at("HEAD") if repository.is_bare else repository.worktree()
    _ = snapshot.settings
    return snapshot


def start(ctx: typer.Context, repository: Repository, *, commit: bool, pr: bool) -> Snapshot:
    """Open what a change is made to: what there is now, and for a pull request what is published at this moment.

    What there is now stays as it is until the command has ended: no other one writes to the working tree meanwhile.

    Raises:
        UsageError: it cannot be both committed here and proposed.

    """
    if not pr:
        have_turn(ctx, repository)
    return look(repository, commit=commit, pr=pr)


def look(repository: Repository, *, commit: bool, pr: bool) -> Snapshot:
    """Open the same as :func:`start`, and let others write: a change has to be made to what there is after that.

    Raises:
        UsageError: it cannot be both committed here and proposed.

    """
    if not pr:
        # What a server is about to change is not read half way.
        with nullcontext() if repository.is_bare else repository.moving():
            return current(repository)
    if commit:
        raise UsageError("--commit and --pr exclude each other", help="--pr commits on a branch of its own")
    proposals = repository.proposals
    snapshot = proposals.published()
    if count := proposals.unpushed():
        commits = "1 commit" if count == 1 else f"{count} commits"
        note(f"{proposals.branch} has {commits} here that {REMOTE} has not, and --pr is made of what {REMOTE} has.")
        note(f"To push: {_git(repository)} push {REMOTE} {_quoted(proposals.branch)}")
    _ = snapshot.settings
    return snapshot


def have_turn(ctx: typer.Context, repository: Repository) -> None:
    """Let nobody else write to the working tree, where there is one, until the command has ended."""
    if not repository.is_bare:
        ctx.with_resource(repository.writing())


def moment() -> str:
    """Return the time that is written down: now, or what SOURCE_DATE_EPOCH says, for what has to be reproducible."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        time = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH is {epoch!r}", help="give seconds since 1970, or unset it") from None
    return time.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def index_name(text: str) -> IndexName:
    """Return the index that an argument names."""
    name = parse_index_name(text.strip("/"))
    if name is None:
        raise UsageError(
            f"{text!r} is no name of an index", help="write it as user/name in lower case, such as emilie/prod"
        )
    return name


def project_name(text: str) -> ProjectName:
    """Return the project that an argument names, in normal form."""
    if not is_display_name(text):
        raise UsageError(f"{text!r} is no name of a project", help="see: gitindex list --index USER/INDEX")
    return normalize(text)


def release(text: str) -> tuple[ProjectName, str]:
    """Return project and version of an argument such as ``pkg==1.0``."""
    name, equals, version = text.partition("==")
    if not equals or not version.strip():
        raise UsageError(f"{text!r} names no release", help="write it as PROJECT==VERSION, such as table-print==1.0")
    return project_name(name.strip()), version.strip()


def write(
    repository: Repository,
    worktree: Snapshot,
    plan: Plan,
    *,
    commit: bool,
    as_json: bool,
    pr: bool = False,
    name: str = "",
    more: Mapping[str, Any] = MappingProxyType({}),
    actor: str | None = None,
) -> None:
    """Carry a plan out, and say what was done and what to do next; the JSON has *more* keys of the command's own.

    With *pr* it is proposed, on a branch whose name is made of *name*, by default of what the plan does. Where the
    *actor* is known, they have to have the right to it.
    """
    if pr:
        made_of = name or "; ".join(plan.notes)
        _propose(repository, worktree, plan, name=made_of, as_json=as_json, more=more, actor=actor)
        return
    outcome = carry_out(repository, worktree, plan, commit=commit, today=today(), actor=actor)
    prefix = f"{repository.folder}/" if repository.folder else ""
    along = [prefix + path for path in outcome.along]
    if as_json:
        paths = [prefix + path for path in outcome.paths]
        print_json({"done": plan.notes, "paths": paths, "along": along, "commit": outcome.commit, **more})
        return
    for line in plan.notes:
        say(line)
    print_findings(outcome.warnings)
    if outcome.commit:
        more_of_it = f", with what was in no commit yet: {', '.join(along)}" if along else ""
        note(f"Committed as {outcome.commit[:12]}{more_of_it}.")
    elif outcome.paths:
        note_how_to_commit(repository, outcome.paths, plan.summary)


def note_how_to_commit(repository: Repository, paths: Iterable[str], summary: str) -> None:
    """Say what commits what was written."""
    prefix = f"{repository.folder}/" if repository.folder else ""
    git = _git(repository)
    note(f"To commit it: {git} add {_places(prefix, paths)} && {git} commit -m {_quoted(summary)}")


def _propose(
    repository: Repository,
    base: Snapshot,
    plan: Plan,
    *,
    name: str,
    as_json: bool,
    more: Mapping[str, Any],
    actor: str | None,
) -> None:
    from gitindex.forge import propose

    made = propose(repository, base, plan, name=name, today=today(), actor=actor)
    prefix = f"{repository.folder}/" if repository.folder else ""
    if as_json:
        paths = [prefix + path for path in made.paths]
        print_json({"done": plan.notes, "paths": paths, "commit": made.commit, **proposal_data(made), **more})
        return
    for line in plan.notes:
        say(line)
    print_findings(made.warnings)
    tell_proposal(repository, made)


def proposal_data(made: Proposal) -> dict[str, Any]:
    """Return for programs where a proposal is, beside its commit."""
    return {"branch": made.branch, "pushed": made.is_pushed, "request": made.request, "url": made.url}


def tell_proposal(repository: Repository, made: Proposal, answer: Callable[[str], None] = say) -> None:
    """Say where a proposal is, and what to do next; *answer* prints the address of its request."""
    if made.branch is None:
        note("What is published has it already: nothing was pushed.")
        return
    pushed = f"Pushed {made.branch}" if made.is_pushed else f"{made.branch} is there already"
    note(f"{pushed}, {(made.commit or '')[:12]}.")
    if made.remark:
        there = "There is no pull request" if made.url is None else "The pull request is for you to open"
        note(f"{there}: {made.remark}.")
    if made.url is None and made.remark and not repository.is_bare:
        git, proposals = _git(repository), repository.proposals
        branch, protected = _quoted(proposals.called_here(made.branch, made.commit or "")), _quoted(proposals.branch)
        note(f"See it:    gitindex diff {REMOTE}/{protected} {branch}")
        note(f"Merge it:  {git} merge {branch} && {git} push {REMOTE} HEAD:{protected}")
    if made.url is not None:
        answer(f"{'Open it' if made.request in ('pushed', 'none') else 'Pull request'}: {made.url}")


def _git(repository: Repository) -> str:
    """Return how to call Git from where the user is."""
    top = repository.root.resolve()
    for _ in repository.folder.split("/") if repository.folder else ():
        top = top.parent
    return "git" if Path.cwd() == top else f"git -C {_quoted(os.path.relpath(top))}"


def _places(prefix: str, paths: Iterable[str]) -> str:
    tops = sorted({path.split("/")[0] for path in paths})
    return " ".join(prefix + top for top in tops)


def _quoted(text: str) -> str:
    return shlex.quote(text)
