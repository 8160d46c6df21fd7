"""`gitindex validate`: the options of `check.py` in Typer's form."""

from __future__ import annotations

from typing import Any

import typer

from gitindex.check import OPTIONS, run
from gitindex.cli import Place
from gitindex.cli.options import with_options


def validate(ctx: typer.Context, **options: Any) -> None:
    """Check a change against the rules, and refuse what breaks a promise.

    Exit code 1 says that the change is refused, 0 that it is not.
    """
    place: Place = ctx.obj
    code = run(place.directory, place.folder, **options)
    if code:
        raise typer.Exit(code)


with_options(validate, OPTIONS)
