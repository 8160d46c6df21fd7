"""Convert a number from one unit of measurement to another."""

from __future__ import annotations

from typing import Final

__version__ = "0.4.0"
__all__ = ["UnknownUnitError", "convert", "units"]

_UNITS: Final[dict[str, tuple[str, float]]] = {
    # One unit of the name is so many metres, kilograms, seconds, kelvins or litres.
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
    "t": ("mass", 1000.0),
    "s": ("time", 1.0),
    "min": ("time", 60.0),
    "h": ("time", 3600.0),
    "d": ("time", 86400.0),
    "wk": ("time", 604800.0),
    "K": ("temperature", 1.0),
    "C": ("temperature", 1.0),
    "F": ("temperature", 5 / 9),
    "ml": ("volume", 0.001),
    "l": ("volume", 1.0),
    "gal": ("volume", 3.785411784),
}
_ZERO: Final[dict[str, float]] = {
    # Where the scale of a unit starts, in the kind's own unit; 0 for all others.
    "C": 273.15,
    "F": 273.15 - 32 * 5 / 9,
}


class UnknownUnitError(ValueError):
    """A unit that is not in the table."""


def _unit(name: str) -> tuple[str, float]:
    try:
        return _UNITS[name]
    except KeyError:
        raise UnknownUnitError(f"unknown unit {name!r}, wanted one of {', '.join(sorted(_UNITS))}") from None


def units(kind: str | None = None) -> list[str]:
    """Return the names of all units, or of those of one *kind* such as ``length``."""
    return sorted(name for name, (its_kind, _) in _UNITS.items() if kind in (None, its_kind))


def convert(value: float, from_unit: str, to_unit: str) -> float:
    """Return *value*, given in *from_unit*, in *to_unit*.

    Raises UnknownUnitError for a unit that is not known, ValueError for two units of different kinds.
    """
    from_kind, from_factor = _unit(from_unit)
    to_kind, to_factor = _unit(to_unit)
    if from_kind != to_kind:
        raise ValueError(f"cannot convert {from_kind} ({from_unit}) to {to_kind} ({to_unit})")
    return (value * from_factor + _ZERO.get(from_unit, 0.0) - _ZERO.get(to_unit, 0.0)) / to_factor
