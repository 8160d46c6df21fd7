"""`gitindex token …`."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from gitindex import scopes as scopes_, tokens
from gitindex.cli.common import JsonOption, current, open_repository
from gitindex.cli.output import note, print_json, say, table
from gitindex.errors import CannotRunError, UsageError
from gitindex.layout import SETTINGS
from gitindex.names import UserName, parse_index_name
from gitindex.ownfile import check_place
from gitindex.snapshot import Snapshot

token = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Create, list and revoke tokens that may read and write indexes.",
)

TokensOption = Annotated[
    Path | None,
    typer.Option(
        "--tokens",
        metavar="FILE",
        help="The file that knows the tokens; by default gitindex/tokens.json in the folder of your configurations.",
        envvar=scopes_.VARIABLE,
    ),
]

_AGE = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@token.command("create")
def create_token(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is for, such as ci.")],
    read: Annotated[
        list[str] | None,
        typer.Option(
            "--read",
            metavar="USER/INDEX",
            help="An index that it may read, 'USER/*' for all of a user, or '*' for all; may be given several times.",
        ),
    ] = None,
    upload: Annotated[
        list[str] | None,
        typer.Option(
            "--upload", metavar="USER/INDEX", help="An index whose releases it may change too, written like --read."
        ),
    ] = None,
    define: Annotated[
        list[str] | None,
        typer.Option(
            "--define",
            metavar="USER/INDEX",
            help="An index that it may create, change and delete; with 'USER/*' that user too.",
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="USER", help="Who writes with it: it can do no more than that user may."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When it stops being valid: after a time such as 90d (s, m, h, d, w), or as a date begins (UTC).",
        ),
    ] = None,
    file: TokensOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a token, and print it.

    It is printed this once: only its hash is kept.
    """
    path, now = _path(ctx, file), _now()
    wanted = ((scopes_.READ, read), (scopes_.UPLOAD, upload), (scopes_.DEFINE, define))
    scopes = [scopes_.scope(kind, pattern) for kind, patterns in wanted for pattern in patterns or ()]
    if not scopes:
        raise UsageError(
            "a token that may do nothing is of no use", help="say what it may --read, --upload or --define"
        )
    ends_at = None if expires is None else _time(expires, now)
    made = tokens.create(path, name, scopes, expires=ends_at, now=now, user=user)
    if as_json:
        print_json({**_json(made.token, now), "token": made.text})
    else:
        say(made.text)
    ends = "" if made.token.expires is None else f" until {made.token.expires}"
    note(f"The token {name} ({made.token.id}) may {_may(made.token)}{ends}. It is shown this once.")
    note(
        "pip, uv and twine send it as the password of the user __token__. pip and uv read it from ~/.netrc (chmod 600):"
    )
    note("    machine HOST login __token__ password TOKEN")
    note(
        "uv also from UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD, twine from TWINE_USERNAME and TWINE_PASSWORD."
    )
    note("Never write it into a URL of a file that is committed.")
    snapshot = _snapshot(ctx)
    for pattern in _not_there(snapshot, [*(read or ()), *(upload or ()), *(define or ())]):
        note(f"{pattern} is not in this repository, as it is now.")
    if user is not None and snapshot is not None and snapshot.user(UserName(user)) is None:
        note(f"The user {user} is not in this repository, as it is now.")


@token.command("list")
def list_tokens(ctx: typer.Context, file: TokensOption = None, as_json: JsonOption = False) -> None:
    """List the tokens: whose each is, what it may do, and until when."""
    found, now = tokens.read(_path(ctx, file)), _now()
    if as_json:
        print_json([_json(item, now) for item in found])
    elif found:
        say(table((item.id, item.name, item.user or "-", _may(item), item.created, *_end(item, now)) for item in found))


@token.command("revoke")
def revoke_token(
    ctx: typer.Context,
    wanted: Annotated[str, typer.Argument(metavar="ID|NAME", help="The token, by its id or its name.")],
    file: TokensOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a token: a running server refuses it within a second."""
    revoked = tokens.revoke(_path(ctx, file), wanted)
    if as_json:
        print_json({"id": revoked.id, "name": revoked.name, "state": "revoked"})
    else:
        say(f"The token {revoked.name} ({revoked.id}) is revoked.")


def _json(item: tokens.Token, now: datetime) -> dict[str, Any]:
    return {**{key: value for key, value in item.data().items() if key != "sha256"}, "state": _state(item, now)}


def _state(item: tokens.Token, now: datetime) -> str:
    return "live" if item.is_live(now.timestamp()) else "expired"


def _end(item: tokens.Token, now: datetime) -> tuple[str, str]:
    return item.expires or "never", _state(item, now)


def _may(item: tokens.Token) -> str:
    """Return what a token may do, such as ``read emilie/prod, root/pypi; upload emilie/dev``."""
    patterns = {
        kind: [scope.removeprefix(kind) for scope in item.scopes if scope.startswith(kind)] for kind in scopes_.KINDS
    }
    return "; ".join(f"{kind.removesuffix(':')} {', '.join(found)}" for kind, found in patterns.items() if found)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _time(text: str, now: datetime) -> datetime:
    """Return the time that a token expires at: a span from *now* on, or the first moment of a date."""
    try:
        if span := _AGE.fullmatch(text):
            return now + timedelta(**{_UNITS[span["unit"]]: int(span["number"])})
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time that a token can expire at", help="write it as 90d or 2027-01-31"
        ) from None


def _path(ctx: typer.Context, file: Path | None) -> Path:
    """Return the file of the tokens, which must lie outside of every index repository.

    Raises:
        UsageError: it lies in one.

    """
    path = tokens.default_path(os.environ) if file is None else file
    check_place(path, _folders_of_repository(ctx), "tokens")
    return path


def _folders_of_repository(ctx: typer.Context) -> list[Path]:
    """Return the folders of the repository that the command is run in, where it is one with an index repository."""
    try:
        repository = open_repository(ctx)
        if not repository.is_bare and not (repository.root / SETTINGS).exists():
            return []
        folders = [repository.git_directory, repository.own_directory]
        if not repository.is_bare:
            folders.append(repository.top)
    except CannotRunError:
        return []
    return [folder.resolve() for folder in folders]


def _snapshot(ctx: typer.Context) -> Snapshot | None:
    """Return what is in the repository that the command is run in, if there is one."""
    try:
        return current(open_repository(ctx))
    except CannotRunError:
        return None


def _not_there(snapshot: Snapshot | None, patterns: list[str]) -> list[str]:
    """Return those of the *patterns* that name an index or a user that the repository does not have."""
    if snapshot is None:
        return []
    missing = []
    for pattern in patterns:
        name = parse_index_name(pattern)
        is_there = snapshot.index(name) if name else snapshot.user(pattern.partition("/")[0])
        if pattern != scopes_.EVERY and is_there is None:
            missing.append(pattern)
    return missing
