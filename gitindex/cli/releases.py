"""`gitindex upload`, `yank`, `unyank` and `remove`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gitindex.cli.common import (
    CommitOption,
    IndexOption,
    JsonOption,
    current,
    index_name,
    open_repository,
    project_name,
    release,
    write,
)
from gitindex.edits import releases
from gitindex.errors import CannotRunError, UsageError

_Release = Annotated[str, typer.Argument(metavar="PROJECT==VERSION", help="The release.")]
_File = Annotated[str | None, typer.Option("--file", metavar="FILENAME", help="Only this file of the release.")]


def upload(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Wheels (.whl) and sdists (.tar.gz).")],
    index: IndexOption,
    commit: CommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Release wheels and sdists to an index.

    Names, versions and requirements are read from the files' own metadata. The same file again changes nothing.
    """
    from gitindex.facts import read_distribution

    repository = open_repository(ctx)
    worktree = current(repository)
    name = index_name(index)
    read = []
    for path in dict.fromkeys(files):
        try:
            with path.open("rb") as stream:
                read.append((read_distribution(path.name, stream), path))
        except OSError as error:
            raise CannotRunError(f"{path}: cannot be read: {error.strerror}") from None
    twice = {dist.filename for dist, _ in read if sum(other.filename == dist.filename for other, _ in read) > 1}
    if twice:
        raise UsageError(f"{min(twice)} is given twice, from different folders", help="name it once")
    plan = releases.upload(worktree, name, read, _upload_time())
    write(repository, worktree, plan, commit=commit, as_json=as_json)


def _upload_time() -> str:
    """Return the time of an upload: now, or what SOURCE_DATE_EPOCH says for a reproducible one."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        time = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH is {epoch!r}", help="give seconds since 1970, or unset it") from None
    return time.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def yank(
    ctx: typer.Context,
    wanted: _Release,
    index: IndexOption,
    reason: Annotated[str, typer.Option("--reason", help="Why; installers print it.")] = "",
    filename: _File = None,
    commit: CommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Advise against a release, and leave it where it is.

    Installers take a yanked release only where it is pinned with == (PEP 592).
    """
    repository = open_repository(ctx)
    worktree = current(repository)
    project, version = release(wanted)
    plan = releases.yank(worktree, index_name(index), project, version, reason=reason, filename=filename)
    write(repository, worktree, plan, commit=commit, as_json=as_json)


def unyank(
    ctx: typer.Context,
    wanted: _Release,
    index: IndexOption,
    filename: _File = None,
    commit: CommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a yank back."""
    repository = open_repository(ctx)
    worktree = current(repository)
    project, version = release(wanted)
    plan = releases.unyank(worktree, index_name(index), project, version, filename=filename)
    write(repository, worktree, plan, commit=commit, as_json=as_json)


def remove(
    ctx: typer.Context,
    wanted: Annotated[
        str, typer.Argument(metavar="PROJECT[==VERSION]", help="The release, or the project with all of its releases.")
    ],
    index: IndexOption,
    commit: CommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a release, or a project, from a volatile index.

    Stored files that nothing else names go with it. A non-volatile index refuses: yank there.
    """
    repository = open_repository(ctx)
    worktree = current(repository)
    project, version = release(wanted) if "=" in wanted else (project_name(wanted), None)
    plan = releases.remove(worktree, index_name(index), project, version)
    write(repository, worktree, plan, commit=commit, as_json=as_json)
