"""`gitindex publish`: the options of `publish/command.py` in Typer's form."""

from __future__ import annotations

from typing import Any

import typer

from gitindex.cli import Place
from gitindex.cli.options import with_options
from gitindex.publish.command import OPTIONS, run


def publish(ctx: typer.Context, **options: Any) -> None:
    """Render the site and upload what changed.

    Nothing ever links to what is not there yet. What is there is remembered at the target: two who publish do not undo
    each other, and a publish that was broken off is continued by the next one. Credentials come from the environment.
    """
    place: Place = ctx.obj
    run(place.directory, place.folder, **options)


with_options(publish, OPTIONS)
