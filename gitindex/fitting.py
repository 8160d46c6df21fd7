"""Makes the value of a model from what a document holds, where that plainly fits.

It exists for speed alone: nearly all documents fit, and pydantic takes longer to import than a command to run. It says
nothing of what does not fit; :mod:`gitindex.documents` then asks pydantic. Tests hold the two against each other.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from gitindex.model import Check, Model

Fitter = Callable[[Any], Any]
"""Returns the value that something of a document is; raises :class:`UnfitError`, or another ValueError."""


class UnfitError(ValueError):
    """Something does not plainly fit."""


def fitted(model: Any, values: Any) -> Any:
    """Return the value of *model* that the *values* of a document make, ``None`` where they do not plainly fit."""
    try:
        return _fitter(model)(values)
    except ValueError:
        return None


@cache
def _fitter(kind: Any) -> Fitter:
    """Return what fits values to a type as the models write them."""
    if isinstance(kind, type) and issubclass(kind, Model):
        return _of_model(kind)
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is Annotated:
            return _checked(_fitter(arguments[0]), kind.__metadata__)
        case origin if origin is Literal:
            words = [(type(each), each) for each in arguments]
            return lambda value: value if (type(value), value) in words else _refuse()
        case origin if origin is tuple:
            return _of_list(_fitter(arguments[0]))
        case origin if origin is dict:
            return _of_table(_fitter(arguments[1]))
        case None if kind is str:
            return _text
        case None:
            return lambda value: value if type(value) is kind else _refuse()
    fitters = tuple(_fitter(each) for each in arguments if each is not NoneType)
    one = fitters[0] if len(fitters) == 1 else _of_one(fitters)
    return (lambda value: None if value is None else one(value)) if NoneType in arguments else one


def _refuse() -> Any:
    raise UnfitError


def _text(value: Any) -> str:
    if type(value) is not str:
        raise UnfitError
    if not value.isascii():
        value.encode()  # a surrogate is no text
    return value


def _of_one(fitters: tuple[Fitter, ...]) -> Fitter:
    def fit(value: Any) -> Any:
        for fitter in fitters:
            with contextlib.suppress(UnfitError):
                return fitter(value)
        raise UnfitError

    return fit


def _of_list(item: Fitter) -> Fitter:
    return lambda value: tuple(map(item, value)) if type(value) is list else _refuse()


def _of_table(item: Fitter) -> Fitter:
    return lambda value: {k: item(each) for k, each in value.items()} if type(value) is dict else _refuse()


def _of_model(model: type[Model]) -> Fitter:
    hints, fields = get_type_hints(model, include_extras=True), model.fields()
    known = {key: (each.name, _checked(_fitter(hints[each.name]), (each.metadata,))) for key, each in fields.items()}
    required = {key for key, each in fields.items() if each.default is each.default_factory is MISSING}

    def fit(value: Any) -> Any:
        if type(value) is not dict or not required <= value.keys() <= known.keys():
            raise UnfitError
        return model(**{known[key][0]: known[key][1](each) for key, each in value.items()})

    return fit


def _checked(fitter: Fitter, demands: Iterable[Check | Mapping[str, Any]]) -> Fitter:
    for demand in demands:
        limits = demand.limits if isinstance(demand, Check) else demand
        for name, limit in limits.items():
            if name in _LIMITS:
                fitter = _within(fitter, _LIMITS[name], limit)
        if isinstance(demand, Check) and demand.function is not None:
            first, second = (demand.function, fitter) if demand.comes_first else (fitter, demand.function)
            fitter = _in_turn(first, second)
    return fitter


def _within(fitter: Fitter, is_within: Callable[[Any, Any], bool], limit: Any) -> Fitter:
    def fit(value: Any) -> Any:
        found = fitter(value)
        return found if found is None or is_within(found, limit) else _refuse()

    return fit


def _in_turn(first: Fitter, second: Fitter) -> Fitter:
    return lambda value: second(first(value))


def _is_like(text: str, pattern: str) -> bool:
    """Tell whether a text matches; of one that is not ASCII, or has control characters, engines need not agree."""
    return text.isascii() and text.isprintable() and re.search(pattern, text, re.ASCII) is not None


_LIMITS: Mapping[str, Callable[[Any, Any], bool]] = {
    "pattern": _is_like,
    "min_length": lambda value, limit: len(value) >= limit,
    "max_length": lambda value, limit: len(value) <= limit,
    "ge": lambda value, limit: value >= limit,
    "lt": lambda value, limit: value < limit,
}
"""What models demand, in pydantic's words."""
