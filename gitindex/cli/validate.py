"""`gitindex validate`: the options of `check.py` in Typer's form."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from gitindex.check import OPTIONS, Option, run
from gitindex.cli import Place


def validate(ctx: typer.Context, **options: Any) -> None:
    """Check a change against the rules, and refuse what breaks a promise.

    Exit code 1 says that the change is refused, 0 that it is not.
    """
    place: Place = ctx.obj
    code = run(place.directory, place.folder, **options)
    if code:
        raise typer.Exit(code)


def _parameter(option: Option) -> Parameter:
    metavar = None if option.choices else option.metavar or None
    kind: Any = option.choices or (str | None if option.metavar else bool)
    default = next(iter(option.choices)) if option.choices else None if option.metavar else False
    declared = Annotated[kind, typer.Option(option.flag, help=option.help, metavar=metavar)]
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=default, annotation=declared)


_PARAMETERS = [_parameter(option) for option in OPTIONS]
_CONTEXT = Parameter("ctx", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
validate.__signature__ = Signature([_CONTEXT, *_PARAMETERS])  # type: ignore[attr-defined]
validate.__annotations__ = {parameter.name: parameter.annotation for parameter in (_CONTEXT, *_PARAMETERS)}
