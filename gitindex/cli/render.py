"""`gitindex render`: the options of `rendering.py` in Typer's form."""

from __future__ import annotations

from typing import Any

import typer

from gitindex.cli import Place
from gitindex.cli.options import with_options
from gitindex.rendering import OPTIONS, run


def render(ctx: typer.Context, **options: Any) -> None:
    """Write the site: simple pages for installers, pages for people.

    The folder then holds what a web server needs; what is no longer part of the site is removed from it. It remembers
    from which commit it was made: the next time, only what differs is rendered.
    """
    place: Place = ctx.obj
    run(place.directory, place.folder, **options)


with_options(render, OPTIONS)
