"""`gitindex init` and `gitindex config`."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gitindex import layout
from gitindex.check import today
from gitindex.cli import Place
from gitindex.cli.common import IndexOption, JsonOption, current, index_name, open_repository
from gitindex.cli.output import note, print_json, say
from gitindex.documents import Unreadable, read_settings
from gitindex.edits.opened import open_index
from gitindex.edits.plan import Plan
from gitindex.edits.setup import PRE_COMMIT, new_repository, pre_commit_config
from gitindex.errors import UsageError
from gitindex.git.creation import configured_identity, create, is_branch_name
from gitindex.names import IndexName, UserName, is_user_name
from gitindex.snippets import for_index, for_uploads
from gitindex.write import carry_out


def init(
    ctx: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The folder; the current one by default.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="The first user; by default made of your Git user.name."),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="The title of the site.")] = "Python packages",
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Where the site will be served.")] = "",
    branch: Annotated[str, typer.Option("--branch", help="The branch that is published.")] = "main",
    commit: Annotated[bool, typer.Option("--commit/--no-commit", help="Commit what is made.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Make an index repository that works at once.

    It has a mirror of PyPI (root/pypi) and a first user with a dev and a prod index. Only new files are written.
    """
    place: Place = ctx.obj
    target = place.directory if directory is None else place.directory / directory
    full_name, email = configured_identity()
    name = user or re.sub(r"[^a-z0-9]+", "-", full_name.lower()).strip("-")
    if name == "root":
        raise UsageError("root owns the mirrors", help="name the first user: gitindex init --user emilie")
    if not is_user_name(name):
        problem = f"{user!r} cannot name a user" if user else "Git does not know your name"
        raise UsageError(problem, help="give the first user's name: gitindex init --user emilie")
    plan = new_repository(UserName(name), email=email, branch=branch, title=title, url=url)
    _check_new(target, plan, branch)
    if commit and not (full_name and email):
        raise UsageError(
            "Git does not know your name and e-mail",
            help="git config --global user.name and user.email, or --no-commit",
        )
    repository = create(target, branch)
    if repository.folder:
        del plan.changes[PRE_COMMIT]  # pre-commit reads only the one at the top
    outcome = carry_out(repository, repository.worktree(), plan, commit=commit, today=today())
    if as_json:
        print_json(
            {"directory": str(repository.root), "user": name, "paths": list(outcome.paths), "commit": outcome.commit}
        )
        return
    say(f"An index repository with {name}/prod, {name}/dev and root/pypi is in {repository.root}.")
    note(f"Release to it: gitindex -C {target} upload dist/* --index {name}/dev --commit")
    if repository.folder:
        note("In the .pre-commit-config.yaml at the top of the Git repository:")
        for line in pre_commit_config(repository.folder).splitlines():
            note(line)
    else:
        note("Have each commit and each push checked: pre-commit install")


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
    there = [path for path in plan.changes if (target / path).exists()]
    if there:
        raise UsageError(f"{target / there[0]} is there already", help="choose an empty folder; nothing was written")


class Tool(StrEnum):
    """The tools that `config` has lines for."""

    PIP = "pip"
    UV = "uv"
    POETRY = "poetry"
    PDM = "pdm"
    PYLOCK = "pylock"
    TWINE = "twine"


def config(
    ctx: typer.Context,
    tool: Annotated[Tool, typer.Argument(metavar="TOOL", help="pip, uv, poetry, pdm, pylock or twine.")],
    index: IndexOption,
    as_json: JsonOption = False,
) -> None:
    """Print the lines that point a tool to an index.

    The URL is made of the site's (url in gitindex.toml). The index is the only one named: its bases stand behind it.
    """
    snapshot = current(open_repository(ctx))
    name = open_index(snapshot, index_name(index)).name
    site = snapshot.settings.site.url
    if not site:
        raise UsageError(
            "gitindex.toml does not say where the site is served",
            help='set url under [site], such as "https://packages.example.org/"',
        )
    place, lines = _lines(tool, name, f"{site.rstrip('/')}/{name}/")
    if as_json:
        print_json({"file": place, "lines": lines})
    else:
        say(f"# {place}\n{lines}")


_PLACES = {
    Tool.PIP: "pip.conf (or: pip config set global.index-url URL)",
    Tool.PYLOCK: "writes pylock.toml",
    Tool.TWINE: ".pypirc, for a server that takes uploads (without one: gitindex upload)",
}
"""Where the lines of a tool belong, if that takes more words than a snippet has."""


def _lines(tool: Tool, name: IndexName, url: str) -> tuple[str, str]:
    snippets = {snippet.tool: snippet for snippet in (*for_index(f"{url}simple/", name), for_uploads(url, name))}
    found = snippets[tool]
    return _PLACES.get(tool, found.title), found.text
