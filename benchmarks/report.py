"""Rows of figures, the Markdown tables made of them, and the page that keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from measure import Figures

RESULTS = Path(__file__).with_name("results.md")


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


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def put_section(heading: str, text: str) -> None:
    """Put a text into the results as the section of a heading, or without one before all of them; the others stay."""
    first, *sections = re.split(r"^## ", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = {section.partition("\n")[0]: f"{section.rstrip()}\n\n" for section in sections}
    if heading:
        kept[heading] = f"{heading}\n\n{text.rstrip()}\n\n"
    else:
        first = f"# Results\n\n{text.rstrip()}\n\n"
    RESULTS.write_text("## ".join([first, *kept.values()]).rstrip() + "\n", encoding="utf-8")
