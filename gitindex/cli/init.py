"""`gitindex init`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gitindex import layout
from gitindex.check import today
from gitindex.cli import Place
from gitindex.cli.common import JsonOption, have_turn
from gitindex.cli.output import note, print_json, say
from gitindex.codeowners import Forge
from gitindex.documents import Unreadable, read_settings
from gitindex.edits.forges import (
    NONE,
    REQUIREMENT,
    Publishing,
    check_requirement,
    check_source,
    places_of,
    publishing,
)
from gitindex.edits.owners import NAME_HELP
from gitindex.edits.plan import Plan
from gitindex.edits.setup import ABOUT, PRE_COMMIT, README, Wanted, new_repository
from gitindex.errors import UsageError
from gitindex.forge.remotes import Place as At, forge_of, read_remote
from gitindex.git.creation import check_lfs, configured_identity, create, install_lfs, is_branch_name, place_of
from gitindex.hosts import HOSTS
from gitindex.model import Settings
from gitindex.names import UserName, identity_key, is_user_name
from gitindex.objects import read_location
from gitindex.write import carry_out, is_taken

_IS_NAMED = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


class ForgeChoice(StrEnum):
    """The forges that `init` has workflows for."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    NONE = "none"


HostChoice = StrEnum("HostChoice", [(name, name) for name in (*HOSTS, NONE)])  # type: ignore[misc]


def init(
    ctx: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The folder; the current one by default.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="The first user; by default made of your Git user.name."),
    ] = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="The title of the site.")] = "Python packages",
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Where the site will be served; by default where GitHub Pages serves a remote at github.com.",
        ),
    ] = None,
    branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch that is published.")] = "main",
    forge: Annotated[
        ForgeChoice | None,
        typer.Option(
            "--forge", help="Whose workflows are written; by default the remote's, else GitHub's.", show_default=False
        ),
    ] = None,
    host: Annotated[
        HostChoice | None,
        typer.Option(
            "--host", help="The host that workflows publish to; by default the forge's Pages.", show_default=False
        ),
    ] = None,
    publish_to: Annotated[
        str, typer.Option("--publish-to", metavar="URL", help="An object store that workflows publish to: s3://bucket.")
    ] = "",
    workflows: Annotated[
        str,
        typer.Option(
            "--workflows",
            metavar="OWNER/NAME@SHA",
            help="Write workflows that call those of this repository, at this commit; by default whole ones.",
        ),
    ] = "",
    requirement: Annotated[
        str,
        typer.Option(
            "--requirement", metavar="TEXT", help="What pip installs gitindex by in workflows, such as git+https://…"
        ),
    ] = REQUIREMENT,
    login: Annotated[str, typer.Option("--login", metavar="LOGIN", help="The first user's login at the forge.")] = "",
    lfs: Annotated[bool, typer.Option("--lfs", help="Keep released files in Git LFS.")] = False,
    commit: Annotated[bool, typer.Option("--commit/--no-commit", help="Commit what is made.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Make an index repository that works at once.

    It has a mirror of PyPI (root/pypi) and a first user with a dev and a prod index, workflows and CODEOWNERS for the
    forge, and settings for pre-commit and editors. Only new files are written.
    """
    place: Place = ctx.obj
    target = place.directory if directory is None else place.directory / directory
    full_name, email = configured_identity()
    top, folder, remote = place_of(target)
    at = read_remote(remote)
    kind = _forge(forge, at)
    published = publishing(kind, host, str(read_location(publish_to)) if publish_to else "")
    if workflows:
        check_source(workflows, kind)
    check_requirement(requirement)
    wanted = Wanted(
        _first_user(user, full_name),
        email,
        branch,
        title,
        _url(at, published) if url is None else url,
        kind,
        published,
        login=_login(kind, login),
        workflows=workflows,
        lfs=lfs,
        folder=folder,
        requirement=requirement,
    )
    plan, beside = new_repository(wanted)
    about = README
    if is_taken(target, README):
        # A forge puts one into a repository that is made there.
        about = ABOUT
        plan.changes[about] = plan.changes.pop(README)
    _check_new(target, plan, branch)
    if commit and not (full_name and email):
        raise UsageError(
            "Git does not know your name and e-mail",
            help="say it, and try again: git config --global user.name NAME; git config --global user.email ADDRESS",
        )
    if lfs:
        check_lfs()
    repository = create(target, branch)
    have_turn(ctx, repository)
    _check_new(target, plan, branch)  # somebody else may have had it before
    new, to_add = _sorted_out(top, beside)
    has_hooks = not lfs or install_lfs(target)
    outcome = carry_out(repository, repository.worktree(), plan, commit=commit, today=today(), beside=new)
    prefix = f"{folder}/" if folder else ""
    paths = sorted([*(prefix + path for path in outcome.paths), *new])
    if as_json:
        told = {"directory": str(repository.root), "user": wanted.user, "paths": paths, "commit": outcome.commit}
        print_json({**told, "add": {path: text.decode() for path, text in to_add.items()}})
        return
    if about != README:
        note(f"README.md was there already, and is as it was: what is to be known is in {about}.")
    _tell(target, wanted, to_add, about)
    if not has_hooks:
        note("Git LFS found hooks that are not its own, and left them: until they run it, nothing of it is pushed.")
        note(f"What belongs into them: git -C {shlex.quote(str(target))} lfs update --manual")


def _sorted_out(top: Path, beside: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return what can be written at the top of the Git repository, and what belongs into files that are there."""
    new, to_add = {}, {}
    for path, text in beside.items():
        there = next((place for place in places_of(path) if is_taken(top, place)), None)
        if there is None:
            new[path] = text
        else:
            to_add[there] = text
    return new, to_add


def _tell(target: Path, wanted: Wanted, to_add: Mapping[str, bytes], about: str) -> None:
    """Say what was made, what comes next, and what has to be put into files that were there."""
    name, folder = wanted.user, shlex.quote(str(target))
    say(f"An index repository with {name}/prod, {name}/dev and root/pypi is in {target.resolve()}.")
    git = "gitindex" if target == Path() else f"gitindex -C {folder}"
    note(f"Serve it:       {git} serve")
    note(f"Release to it:  {git} upload dist/* --index {name}/dev --commit")
    if wanted.forge is not None:
        where = shlex.quote(str(target / about))
        note(f"What to click in the settings at the forge is at the end of {where}.")
        if not wanted.login:
            known = f"{git} user modify {name} identities+={wanted.forge}:LOGIN"
            note(f"Until user.toml has your login there, checks do not know who you are: {known}")
    if PRE_COMMIT not in to_add:
        there = "" if target == Path() else f"cd {folder} && "
        note(
            f"Have each commit and each push checked, by pre-commit (pip install pre-commit): {there}pre-commit install"
        )
    for path, text in to_add.items():
        note(f"The {path} at the top of the Git repository was there already, and is as it was. What belongs there:")
        for line in text.decode().splitlines():
            note(line)


def _first_user(user: str | None, full_name: str) -> UserName:
    name = user or re.sub(r"[^a-z0-9]+", "-", full_name.lower()).strip("-")
    if name == "root":
        raise UsageError("root owns the mirrors", help="name the first user: gitindex init --user emilie")
    if not is_user_name(name):
        problem = f"{user!r} cannot name a user" if user else "Git does not know your name"
        raise UsageError(problem, help=f"{NAME_HELP}: gitindex init --user emilie")
    return UserName(name)


def _forge(chosen: ForgeChoice | None, at: At | None) -> Forge | None:
    if chosen is ForgeChoice.NONE:
        return None
    return Forge(chosen or forge_of(at, Settings(format=1)) or Forge.GITHUB)


def _url(at: At | None, published: Publishing) -> str:
    """Return where GitHub Pages serves the site of a repository; empty where that is not known."""
    if at is None or at.host != "github.com" or published.host != "github-pages" or not _IS_NAMED.fullmatch(at.path):
        return ""
    owner, _, name = at.path.partition("/")
    site = f"https://{owner.lower()}.github.io/"
    return site if f"https://{name.lower()}/" == site else f"{site}{name}/"


def _login(forge: Forge | None, login: str) -> str:
    if login and (forge is None or identity_key(f"{forge}:{login}") is None):
        problem = "without a forge nobody has a login there" if forge is None else f"{login!r} is no login at {forge}"
        raise UsageError(problem, help="leave out --login; nothing was written")
    return login


def _check_new(target: Path, plan: Plan, branch: str) -> None:
    """Refuse what cannot become an index repository, before anything is made."""
    settings = plan.changes[layout.SETTINGS]
    read = read_settings(layout.SETTINGS, settings) if isinstance(settings, bytes) else None
    if isinstance(read, Unreadable):
        raise UsageError(read.problems[0].message, help="correct --title, --url or --branch; nothing was written")
    if not is_branch_name(branch):
        raise UsageError(f"{branch!r} cannot name a branch", help="nothing was written")
    above = target.resolve()
    for folder in (above, *above.parents):
        if (folder / layout.SETTINGS).exists():
            raise UsageError(
                f"{folder} is an index repository already", help="choose another folder; nothing was written"
            )
    there = next((path for path in plan.changes if is_taken(target, path)), None)
    if there is not None:
        raise UsageError(
            f"{target / there} is in the way", help="move it away, or choose another folder; nothing was written"
        )
