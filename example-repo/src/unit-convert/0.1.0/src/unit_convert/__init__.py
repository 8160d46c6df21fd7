"""Convert a number from one unit of measurement to another."""

from __future__ import annotations

from typing import Final

__version__ = "0.1.0"
__all__ = ["UnknownUnitError", "convert"]

_UNITS: Final[dict[str, tuple[str, float]]] = {
    # One unit of the name is so many metres, kilograms or seconds.
    "mm": ("length", 0.001),
    "cm": ("length", 0.01),
    "m": ("length", 1.0),
    "km": ("length", 1000.0),
    "in": ("length", 0.0254),
    "ft": ("length", 0.3048),
    "mi": ("length", 1609.344),
    "g": ("mass", 0.001),
    "kg": ("mass", 1.0),
    "oz": ("mass", 0.028349523125),
    "lb": ("mass", 0.45359237),
    "s": ("time", 1.0),
    "min": ("time", 60.0),
    "h": ("time", 3600.0),
    "d": ("time", 86400.0),
}


class UnknownUnitError(ValueError):
    """A unit that is not in the table."""


def _unit(name: str) -> tuple[str, float]:
    try:
        return _UNITS[name]
    except KeyError:
        raise UnknownUnitError(f"unknown unit {name!r}, wanted one of {', '.join(sorted(_UNITS))}") from None


def convert(value: float, from_unit: str, to_unit: str) -> float:
    """Return *value*, given in *from_unit*, in *to_unit*.

    Raises UnknownUnitError for a unit that is not known, ValueError for two units of different kinds.
    """
    from_kind, from_factor = _unit(from_unit)
    to_kind, to_factor = _unit(to_unit)
    if from_kind != to_kind:
        raise ValueError(f"cannot convert {from_kind} ({from_unit}) to {to_kind} ({to_unit})")
    return value * from_factor / to_factor
