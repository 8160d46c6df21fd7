"""`gitindex serve`: the options of `server/command.py` in Typer's form."""

from __future__ import annotations

from typing import Any

import typer

from gitindex.cli import Place
from gitindex.cli.options import with_options
from gitindex.server.command import OPTIONS, run


def serve(ctx: typer.Context, **options: Any) -> None:
    """Serve the index over HTTP, straight from Git's objects.

    Mirrors answer for what is not ours, through a cache. New commits are served as soon as they are there, and
    validate. Stop it with Ctrl-C.
    """
    place: Place = ctx.obj
    run(place.directory, place.folder, **options)


with_options(serve, OPTIONS)
