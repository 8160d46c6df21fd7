"""`gitindex mirror …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitindex.cli.common import CommitOption, JsonOption, PrOption, index_name, open_repository, start, write
from gitindex.cli.output import note
from gitindex.errors import CannotRunError
from gitindex.locks import Contents

mirror = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Say what of another index a mirror shows.",
)


@mirror.callback()
def _mirror() -> None:
    """Say what of another index a mirror shows."""


@mirror.command("lock")
def lock(
    ctx: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Option(
            "--from",
            metavar="FILE",
            help="A pylock.toml, a uv.lock or a requirements file; may be given several times.",
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="USER/INDEX", help="The mirror.")] = "root/pypi",
    registry: Annotated[
        list[str] | None,
        typer.Option(
            "--registry",
            metavar="URL",
            help="An address of ours, beside site.url, under which locks name what the mirror shows.",
        ),
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="Allow every version of what they name.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Keep what the mirror allows already.")] = False,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a mirror show the versions that lock files name, and nothing else."""
    from gitindex.edits.locking import lock_mirror
    from gitindex.edits.opened import open_index
    from gitindex.model import Mirror

    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    contents = [_contents(source) for source in sources]
    definition = open_index(worktree, index_name(name)).definition
    registries = [*(registry or ())]
    if isinstance(definition, Mirror):
        from gitindex.upstream.mirror import Upstream

        registries.append(Upstream(index_name(name), definition).url)
    if worktree.settings.site.url:
        registries.append(worktree.settings.site.url)
    locked = lock_mirror(worktree, index_name(name), contents, registries, add=add, by_name=names)
    if not as_json:
        for left in locked.left_out:
            note(f"left out: {left.what} {left.why}")
    more = {"allow": locked.allow, "left_out": [left._asdict() for left in locked.left_out]}
    what = f"lock {name}"
    write(repository, worktree, locked.plan, commit=commit, pr=pr, name=what, as_json=as_json, more=more)


def _contents(path: Path) -> Contents:
    """Read a lock file; those that it includes must be in its folder, links followed."""
    from gitindex.locks import LARGEST, read_lock

    folder = path.parent.resolve()

    def read(inside: str) -> bytes:
        target = (folder / inside).resolve()
        if not target.is_relative_to(folder):
            raise OSError("it is a link that leads elsewhere")
        return _bytes(target)

    def _bytes(target: Path) -> bytes:
        if not target.is_file():
            raise FileNotFoundError(None, "no such file")
        with target.open("rb") as stream:
            return stream.read(LARGEST + 1)

    try:
        data = _bytes(path)
    except OSError as error:
        raise CannotRunError(f"{path}: {error.strerror or error}", help="give a lock file that is there") from None
    return read_lock(str(path), data, read)
