"""The options of a table (:mod:`gitindex.words`) in Typer's form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from gitindex.words import Option


def with_options(command: Callable[..., None], options: Sequence[Option]) -> None:
    """Give a command, which takes the context and keywords, the *options* that Typer reads."""
    context = Parameter("ctx", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [context, *map(_parameter, options)]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _parameter(option: Option) -> Parameter:
    kind: Any = option.kind if option.metavar else bool
    default = option.default
    if option.choices:
        default = next(iter(option.choices))
    elif not option.metavar:
        default = False
    elif option.is_repeated:
        kind = list[kind] | None
    elif option.is_pair:
        kind = tuple[kind, kind] | None
    elif option.is_required:
        default = Parameter.empty
    elif default is None:
        kind |= None
    declared = typer.Option(
        option.flag,
        help=option.help,
        metavar=None if option.choices else option.metavar or None,
        min=option.least,
        max=option.most,
        envvar=option.variable or None,
    )
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared])
