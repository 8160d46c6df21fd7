"""Rows of figures and the Markdown table made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from measure import Figures


class Row(NamedTuple):
    """One measured command beside the one that it is judged by."""

    case: str
    command: str
    figures: Figures
    ratio: str = ""
    """How it stands to its yardstick, in words."""
    bound: str = ""
    """What was promised; empty for a yardstick or a row that only informs."""
    kept: bool | None = None
    """Whether the bound was kept, ``None`` where there is none."""


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| case | command | CPU s | wall s | peak RSS MB | ratio | bound | kept |",
        "|---|---|---:|---:|---:|---|---|---|",
    ]
    for row in rows:
        cpu, wall, rss = row.figures
        kept = {True: "yes", False: "**no**", None: ""}[row.kept]
        lines.append(
            f"| {row.case} | {row.command} | {cpu:.3f} | {wall:.3f} | {rss / 1e6:.0f} "
            f"| {row.ratio} | {row.bound} | {kept} |"
        )
    return "\n".join(lines) + "\n"
