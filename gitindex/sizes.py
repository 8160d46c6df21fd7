"""Sizes as people read them."""

from __future__ import annotations


def human_size(size: int) -> str:
    """Return a number of bytes in decimal units, as package indexes show them."""
    if size < 1000:  # noqa: PLR2004
        return f"{size} B"
    amount = size / 1000
    for unit in ("kB", "MB", "GB"):
        if amount < 999.95:  # noqa: PLR2004 - what rounds to 1000.0 belongs to the next unit
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"
