"""`gitindex push`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitindex.cli.common import (
    CommitOption,
    JsonOption,
    PrOption,
    index_name,
    open_repository,
    project_name,
    start,
    write,
)
from gitindex.cli.output import note
from gitindex.edits import promotion
from gitindex.edits.opened import open_index
from gitindex.errors import UsageError
from gitindex.guard import actor_by_email
from gitindex.model import Mirror
from gitindex.names import IndexName
from gitindex.snapshot import Snapshot

if TYPE_CHECKING:
    from gitindex.required import Requirements

_WANTED = re.compile(r"(?P<name>[^\[\]=]+)(?:\[(?P<extras>[^\[\]=]*)\])?(?:==(?P<version>[^=].*))?")


def push(
    ctx: typer.Context,
    wanted: Annotated[
        list[str],
        typer.Argument(
            metavar="PROJECT[==VERSION]…", help="The releases; without a version the newest that is no pre-release."
        ),
    ],
    source: Annotated[str, typer.Argument(metavar="FROM", help="The index that has the releases, or a mirror.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The index that gets them.")],
    with_dependencies: Annotated[
        bool,
        typer.Option(
            "--with-dependencies", help="Take along what they require, as far as FROM has it and TO does not."
        ),
    ] = False,
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor",
            metavar="ID",
            help="Who pushes: a user, or an identity such as github:emilie; by default the user with Git's e-mail.",
            envvar="GITINDEX_ACTOR",
        ),
    ] = None,
    filenames: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="FILENAME", help="From a mirror: only this file; may be given several times."),
    ] = None,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Promote releases from one index, or a mirror, to another index.

    From an index the manifests are written to TO; the files are shared and not copied. From a mirror the files are
    downloaded, checked and stored. What is there already stays as it is. All that is asked for is checked first, and
    written in one change or not at all.
    """
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    asked = [_wanted(text, with_dependencies=with_dependencies) for text in wanted]
    by = actor if actor is not None else actor_by_email(repository, worktree)
    requires = None
    if with_dependencies:
        from gitindex.objects import store_of
        from gitindex.required import Requirements

        requires = Requirements(store_of(worktree, repository.git_directory))
    with ExitStack() as stack:
        opened = open_index(worktree, index_name(source))
        if isinstance(opened.definition, Mirror):
            upstream = (opened.name, opened.definition)
            planned = _vendored(worktree, asked, upstream, index_name(target), requires, filenames or (), stack)
        elif filenames:
            raise UsageError("--file is for a push from a mirror", help="leave it out: a release is pushed whole")
        else:
            planned = promotion.push(worktree, asked, opened.name, index_name(target), requires)
        for line in requires.notes if requires else ():
            note(line)
        more = {"releases": [pushed._asdict() for pushed in planned.releases]}
        write(repository, worktree, planned.plan, commit=commit, pr=pr, as_json=as_json, more=more, actor=by)


def _vendored(
    worktree: Snapshot,
    asked: Sequence[promotion.Wanted],
    mirror: tuple[IndexName, Mirror],
    target: IndexName,
    requires: Requirements | None,
    filenames: Sequence[str],
    stack: ExitStack,
) -> promotion.Promotion:
    """Plan a push from a mirror; what is downloaded is there until *stack* is closed."""
    from datetime import UTC, datetime
    from tempfile import TemporaryDirectory

    from gitindex.report.progress import progress_in_bytes
    from gitindex.upstream.client import Upstreams
    from gitindex.upstream.mirror import Upstream
    from gitindex.upstream.promoting import MirrorPush, Shelf

    folder = Path(stack.enter_context(TemporaryDirectory(prefix="gitindex-")))
    upstreams = Upstreams(None)
    stack.callback(upstreams.close)
    vendoring = MirrorPush(Shelf(worktree, Upstream(*mirror), upstreams, datetime.now(UTC)), target)
    vendoring.choose(asked, filenames, folder, requires)
    told = [*vendoring.notes]
    for line in told:
        note(line)
    with progress_in_bytes(lambda: vendoring.size) as advance:
        promoted = vendoring.plan(folder, advance)
    for line in [*vendoring.notes][len(told) :]:
        note(line)
    return promoted


def _wanted(text: str, *, with_dependencies: bool) -> promotion.Wanted:
    """Return what an argument such as ``pkg[fast]==1.0`` names."""
    if "/" in text:
        raise UsageError(
            f"{text!r} stands where a release does",
            help="name releases first, then two indexes: gitindex push PROJECT==VERSION FROM TO",
        )
    parts = _WANTED.fullmatch(text.strip())
    if parts is None:
        raise UsageError(f"{text!r} names no release", help="write it as PROJECT==VERSION, such as table-print==1.0")
    extras = tuple(extra.strip() for extra in (parts["extras"] or "").split(",") if extra.strip())
    if extras and not with_dependencies:
        raise UsageError(
            f"{text!r} names an extra, and a release is pushed with all of them",
            help="leave it out, or add --with-dependencies",
        )
    version = parts["version"]
    return promotion.Wanted(project_name(parts["name"].strip()), version and version.strip(), extras)
