"""`gitindex forge …`: what workflows tell people, and what they merge."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitindex.check import today
from gitindex.cli import Place
from gitindex.cli.common import JsonOption
from gitindex.cli.output import print_json, say
from gitindex.errors import CannotRunError, UsageError
from gitindex.git import Repository

if TYPE_CHECKING:
    from gitindex.forge.github import GitHub, Pull

forge = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Comment, open issues and merge at GitHub, as workflows do.",
)

_LARGEST = 1 << 20
_FRAME = 1000
"""Characters of a comment that are left for what is not the preview: names of branches, its marker."""

_Number = Annotated[int, typer.Option("--number", metavar="N", min=1, help="The pull request.")]
_Branch = Annotated[
    str | None, typer.Option("--branch", metavar="OWNER:BRANCH", help="The branch of the pull request.")
]
_Head = Annotated[str | None, typer.Option("--expect-head", metavar="SHA", help="The commit that it ends with.")]
_NONE = {"number": None, "url": None, "outcome": "none"}
_Marker = Annotated[
    str | None, typer.Option("--marker", metavar="NAME", help="By which it is found again: hidden at its end.")
]


class Method(StrEnum):
    """How a pull request is merged."""

    MERGE = "merge"
    SQUASH = "squash"


@forge.command("comment")
def comment(
    ctx: typer.Context,
    body_file: Annotated[
        Path | None, typer.Option("--body-file", metavar="FILE", help="The Markdown; - is standard input.")
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Say what installers would see change, as seen here; with --branch.")
    ] = False,
    number: Annotated[
        int | None, typer.Option("--number", metavar="N", min=1, help="The pull request, or the issue.")
    ] = None,
    branch: _Branch = None,
    expect_head: _Head = None,
    marker: _Marker = None,
    as_json: JsonOption = False,
) -> None:
    """Write a comment, or edit the one that was written before.

    A pull request is named by its number, or by its branch and the commit that it ends with. That commit is fetched for
    a preview, and what it has is read as data.
    """
    from gitindex.forge.github import check_marker

    name = check_marker(marker or "comment")
    if (body_file is None) != preview:
        raise UsageError("say what to tell", help="give --body-file FILE, or --preview")
    if preview and branch is None:
        raise UsageError("what to preview is not known", help="give --branch and --expect-head")
    if (number is None) == (branch is None) or (branch is None) != (expect_head is None):
        raise UsageError("say what to comment on", help="give --number, or --branch and --expect-head")
    body = "" if body_file is None else _body(body_file)
    client = _client(ctx)
    if branch is not None:
        pull = client.pull_of(branch, str(expect_head))
        if pull is None:
            _tell(_NONE, f"No open pull request of {branch} ends with {expect_head}: nothing to say.", as_json=as_json)
            return
        number = pull.number
        body = _preview(ctx, pull, str(expect_head)) if preview else body
    made = client.comment(int(number or 0), body, name)
    _tell(made._asdict(), f"Comment {made.outcome}: {made.url}", as_json=as_json)


@forge.command("issue")
def issue(
    ctx: typer.Context,
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="Its title; it is also the marker, where none is given.")
    ],
    body_file: Annotated[
        Path | None, typer.Option("--body-file", metavar="FILE", help="The Markdown; - is standard input.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="LABEL", help="For a new one; may be given several times.")
    ] = None,
    close: Annotated[bool, typer.Option("--close", help="All is well: close it, with the text as a comment.")] = False,
    marker: _Marker = None,
    as_json: JsonOption = False,
) -> None:
    """Open an issue, bring the one that is open up to date, or close it."""
    from gitindex.forge.github import check_marker, default_marker

    name = check_marker(marker or default_marker(title))
    title = " ".join(title.split())
    if not title:
        raise UsageError("an issue has a title", help="give one with --title")
    if body_file is None and not close:
        raise UsageError("an issue has a text", help="give it with --body-file FILE")
    body = _body(body_file) if body_file is not None else ""
    client = _client(ctx)
    if not close:
        made = client.open_issue(title, body, name, labels or [])
        _tell(made._asdict(), f"Issue {made.number} {made.outcome}: {made.url}", as_json=as_json)
    elif (closed := client.close_issue(body, name)) is not None:
        told = closed._asdict() | {"outcome": "closed"}
        _tell(told, f"Issue {closed.number} closed: {closed.url}", as_json=as_json)
    else:
        _tell(_NONE, "No such issue is open.", as_json=as_json)


@forge.command("automerge")
def automerge(
    ctx: typer.Context,
    branch: Annotated[str, typer.Option("--branch", metavar="OWNER:BRANCH", help="The branch of the pull request.")],
    expect_head: Annotated[str, typer.Option("--expect-head", metavar="SHA", help="The commit that it ends with.")],
    pushed_by: Annotated[str, typer.Option("--pushed-by", metavar="LOGIN", help="Who pushed that commit.")],
    method: Annotated[Method, typer.Option("--method", help="How it is merged.")] = Method.MERGE,
    as_json: JsonOption = False,
) -> None:
    """Merge a pull request that only adds releases, by somebody who may release them; leave all others to people.

    It is judged as a merge into the protected branch of origin, with the rights of whoever opened it, who has to have
    pushed it as well; a warning leaves it to people too. What has to be checked besides is for the forge to demand.
    """
    from gitindex.forge.judging import reason_to_leave

    place: Place = ctx.obj
    repository = Repository.open(place.directory, place.folder)
    client = _client(ctx)
    pull = client.pull_of(branch, expect_head)
    if pull is None:
        _tell(_NONE, f"No open pull request of {branch} ends with {expect_head}: nothing to merge.", as_json=as_json)
        return
    repository.fetch(expect_head)
    is_squash = method is Method.SQUASH
    reason = reason_to_leave(repository, pull, expect_head, today(), pushed_by=pushed_by, is_squash=is_squash)
    if reason is not None:
        told = {"number": pull.number, "commit": None, "outcome": "left", "reason": reason}
        _tell(told, f"Pull request {pull.number} is left to people: {reason}", as_json=as_json)
        return
    made = client.merge(pull.number, expect_head, str(method), target=pull.target)
    told = {"number": pull.number, "commit": made.commit, "outcome": "merged", "reason": None}
    _tell(told, f"Pull request {pull.number} merged: {made.commit}", as_json=as_json)


@forge.command("merge")
def merge(
    ctx: typer.Context,
    number: _Number,
    expect_head: Annotated[
        str, typer.Option("--expect-head", metavar="SHA", help="The commit that was judged: no other one is merged.")
    ],
    method: Annotated[Method, typer.Option("--method", help="How it is merged.")] = Method.MERGE,
    as_json: JsonOption = False,
) -> None:
    """Merge a pull request whose head is still the commit that was judged."""
    made = _client(ctx).merge(number, expect_head, str(method))
    done = "merged" if made.is_new else "was merged already"
    told = {"number": number, "commit": made.commit, "outcome": "merged" if made.is_new else "unchanged"}
    _tell(told, f"Pull request {number} {done}: {made.commit}", as_json=as_json)


def _client(ctx: typer.Context) -> GitHub:
    """Return a client for the repository that the environment names, else for the remote of the one that is here."""
    from gitindex.forge.github import client
    from gitindex.forge.remotes import read_remote

    if os.environ.get("GITHUB_REPOSITORY") and os.environ.get("GITHUB_API_URL"):
        return client(None)
    place: Place = ctx.obj
    try:
        repository = Repository.open(place.directory, place.folder)
        remote = read_remote(repository.proposals.url)
    except CannotRunError:
        if not os.environ.get("GITHUB_REPOSITORY"):
            raise
        remote = None
    return client(remote)


def _preview(ctx: typer.Context, pull: Pull, head: str) -> str:
    from gitindex.forge.github import LIMIT
    from gitindex.preview import preview
    from gitindex.report.markdown import code
    from gitindex.report.preview import preview_markdown

    place: Place = ctx.obj
    repository = Repository.open(place.directory, place.folder)
    repository.fetch(head)
    base = repository.at(f"refs/remotes/origin/{pull.target}")
    merged, conflicts = repository.merged(str(base.name), head)
    told = "It cannot be merged without conflicts; this is what it would be beside them.\n\n" if conflicts else ""
    if pull.target != (protected := repository.origin.protected_branch):
        # It may go elsewhere later, and the comment is still there.
        told += f"This is told of {code(pull.target)}, and {code(protected)} is the protected branch.\n\n"
    return told + preview_markdown(preview(base, merged), limit=LIMIT - _FRAME)


def _body(path: Path) -> str:
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with path.open("rb") as file:
                data = file.read(_LARGEST + 1)
    except OSError as error:
        raise CannotRunError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise UsageError(
            f"{path} has more than {_LARGEST:,} bytes", help="a comment has no more than 65,536 characters"
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no UTF-8", help="give a text") from None


def _tell(value: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        say(text)
