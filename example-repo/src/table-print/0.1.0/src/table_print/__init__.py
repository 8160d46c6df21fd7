"""Lay out rows as a table of plain text, for terminals and log files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__version__ = "0.1.0"
__all__ = ["format_table"]


def _is_number(cell: object) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the table as lines; columns that hold only numbers are aligned to the right.

    Raises ValueError for a row that has not one cell for each column.
    """
    body = [list(row) for row in rows]
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, the header has {len(header)}")
    is_right = [bool(body) and all(_is_number(row[place]) for row in body) for place in range(len(header))]
    cells = [list(header), *([str(cell) for cell in row] for row in body)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_right)
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
