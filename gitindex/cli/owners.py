"""`gitindex user …` and `gitindex index …`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from gitindex.cli.common import CommitOption, JsonOption, PrOption, current, index_name, open_repository, start, write
from gitindex.cli.output import print_json, say, table
from gitindex.devpi import index_config, user_config
from gitindex.documents import Unreadable
from gitindex.edits import opened, owners
from gitindex.model import Mirror, Stage, User
from gitindex.snapshot import Index

user = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Create, list, show, modify and delete users.",
)
index = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Create, list, show, modify and delete indexes.",
)

_UserName = Annotated[str, typer.Argument(metavar="NAME", help="The user.")]
_IndexName = Annotated[str, typer.Argument(metavar="USER/INDEX", help="The index.")]
_Settings = Annotated[
    list[str], typer.Argument(metavar="KEY=VALUE", help="Settings: key=value, key+=value, key-=value.")
]


class Type(StrEnum):
    """The types of index."""

    STAGE = "stage"
    MIRROR = "mirror"


@user.command("create")
def create_user(
    ctx: typer.Context,
    name: _UserName,
    email: Annotated[str, typer.Option(metavar="ADDRESS", help="Their e-mail address.")] = "",
    title: Annotated[str, typer.Option(metavar="TEXT", help="Who they are, in a few words.")] = "",
    admin: Annotated[bool, typer.Option(help="Whether they may change users, groups, policy and settings.")] = False,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create a user, who can then own indexes."""
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    plan = owners.create_user(worktree, name, email=email, title=title, admin=admin)
    write(repository, worktree, plan, commit=commit, pr=pr, as_json=as_json)


@user.command("list")
def list_users(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the users with their indexes."""
    snapshot = current(open_repository(ctx))
    listed = {name: [str(i) for i in snapshot.index_names(name)] for name in snapshot.user_names()}
    if as_json:
        print_json(listed)
    elif listed:
        say(table((name, " ".join(indexes)) for name, indexes in listed.items()))


@user.command("show")
def show_user(ctx: typer.Context, name: _UserName, as_json: JsonOption = False) -> None:
    """Show a user."""
    snapshot = current(open_repository(ctx))
    found = opened.open_user(snapshot, name)
    if as_json:
        print_json({"type": "userconfig", "result": user_config(snapshot, name)})
        return
    rows = [("user", name), *_rows(found)]
    rows += [("indexes", " ".join(str(i) for i in snapshot.index_names(name)))]
    say(table(rows))


@user.command("modify")
def modify_user(
    ctx: typer.Context,
    name: _UserName,
    settings: _Settings,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Change a user: email, title, identities, admin."""
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    plan = owners.modify_user(worktree, name, settings)
    what = " ".join(["modify user", name, *settings])
    write(repository, worktree, plan, commit=commit, pr=pr, name=what, as_json=as_json)


@user.command("delete")
def delete_user(
    ctx: typer.Context, name: _UserName, commit: CommitOption = False, pr: PrOption = False, as_json: JsonOption = False
) -> None:
    """Delete a user with all their (volatile) indexes."""
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    write(repository, worktree, owners.delete_user(worktree, name), commit=commit, pr=pr, as_json=as_json)


@index.command("create")
def create_index(
    ctx: typer.Context,
    name: _IndexName,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="More settings of index.toml.")
    ] = None,
    base: Annotated[
        list[str] | None,
        typer.Option(
            "--base", metavar="USER/INDEX", help="Inherit from this index; may be given several times, the first wins."
        ),
    ] = None,
    volatile: Annotated[
        bool | None,
        typer.Option(
            "--volatile/--non-volatile",
            help="Whether releases may be replaced or removed (stages; volatile by default).",
        ),
    ] = None,
    kind: Annotated[
        Type, typer.Option("--type", help="stage: people release to it; mirror: it shows another index.")
    ] = Type.STAGE,
    mirror_url: Annotated[
        str | None,
        typer.Option("--mirror-url", metavar="URL", help="The simple index that a mirror shows; PyPI's by default."),
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="What the index is for, in a few words.")] = "",
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create an index."""
    from gitindex.errors import UsageError

    if kind is Type.MIRROR and (base or volatile is not None):
        raise UsageError(
            "a mirror has no bases and is neither volatile nor not", help="leave out --base and --volatile"
        )
    if kind is Type.STAGE and mirror_url is not None:
        raise UsageError("--mirror-url is for mirrors", help="add --type mirror")
    given = {
        "bases": bool(base),
        "volatile": volatile is not None,
        "title": bool(title),
        "mirror_url": mirror_url is not None,
    }
    for key in (setting.partition("=")[0].rstrip("+-").strip() for setting in settings or ()):
        if given.get(key):
            raise UsageError(f"{key} is given twice, as an option and as a setting", help="give it once")
    values: dict[str, Any] = {"type": kind.value}
    if title:
        values["title"] = title
    if kind is Type.STAGE:
        values |= {"volatile": volatile is not False, "bases": [str(index_name(item)) for item in base or ()]}
    elif mirror_url is not None:
        values["mirror_url"] = mirror_url
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    plan = owners.create_index(worktree, index_name(name), values, settings or ())
    write(repository, worktree, plan, commit=commit, pr=pr, as_json=as_json)


@index.command("list")
def list_indexes(
    ctx: typer.Context,
    owner: Annotated[str | None, typer.Argument(metavar="USER", help="Only the indexes of this user.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the indexes."""
    snapshot = current(open_repository(ctx))
    if owner is not None:
        opened.open_user(snapshot, owner)
    listed = [found for name in snapshot.index_names(owner) if (found := snapshot.index(name))]
    for broken in (found.definition for found in listed if isinstance(found.definition, Unreadable)):
        raise opened.cannot_read(broken)
    if as_json:
        print_json({str(i.name): index_config(i) for i in listed})
    elif listed:
        say(
            table(
                (str(i.name), _promise(i.definition), f"bases: {' '.join(map(str, i.bases))}" if i.bases else "")
                for i in listed
            )
        )


@index.command("show")
def show_index(ctx: typer.Context, name: _IndexName, as_json: JsonOption = False) -> None:
    """Show an index: its promise, its bases, who may release to it."""
    from gitindex.resolve import resolution_order

    snapshot = current(open_repository(ctx))
    found = opened.open_index(snapshot, index_name(name))
    if as_json:
        print_json({"type": "indexconfig", "result": index_config(found)})
        return
    order = resolution_order(snapshot, found)
    rows = [
        ("index", str(found.name)),
        *_rows(found.definition),
        *_default_uploader(found),
        ("order", " > ".join(str(step.name) for step in order)),
    ]
    rows.append(("projects", f"{sum(1 for _ in found.project_names()):,} of its own"))
    say(table(rows))


@index.command("modify")
def modify_index(
    ctx: typer.Context,
    name: _IndexName,
    settings: _Settings,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Change the settings of an index, as devpi does: bases=…, acl_upload+=bob, volatile=false."""
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    plan = owners.modify_index(worktree, index_name(name), settings)
    what = " ".join(["modify index", name, *settings])
    write(repository, worktree, plan, commit=commit, pr=pr, name=what, as_json=as_json)


@index.command("delete")
def delete_index(
    ctx: typer.Context,
    name: _IndexName,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a volatile index with its releases."""
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    write(repository, worktree, owners.delete_index(worktree, index_name(name)), commit=commit, pr=pr, as_json=as_json)


def _default_uploader(index: Index) -> list[tuple[str, str]]:
    is_default = isinstance(index.definition, Stage) and index.definition.acl_upload is None
    return [("acl_upload", f"{index.name.user} (the owner)")] if is_default else []


def _promise(definition: object) -> str:
    match definition:
        case Mirror():
            return "mirror"
        case Stage(volatile=True):
            return "volatile"
        case _:
            return "non-volatile"


def _rows(model: object) -> list[tuple[str, str]]:
    values = model.data() if isinstance(model, (User, Stage, Mirror)) else {}
    rows = []
    for key, value in values.items():
        if value not in ("", None, (), []):
            text = " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
            rows.append((key, text.lower() if isinstance(value, bool) else text))
    return rows
