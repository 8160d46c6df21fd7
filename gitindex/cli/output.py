"""What commands print: answers on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from gitindex.finding import Finding
from gitindex.report.text import findings_text, has_colour, printable


def print_findings(findings: Sequence[Finding]) -> None:
    """Print findings on standard error, each thing to do once."""
    sys.stderr.write(findings_text(findings, colour=has_colour(sys.stderr), is_brief=True))


def say(text: str) -> None:
    """Print an answer; what a terminal would act on is spelled out."""
    print("\n".join(printable(line) for line in text.split("\n")))


def note(text: str) -> None:
    """Print a remark on standard error."""
    print(printable(text), file=sys.stderr)


def print_json(value: Any) -> None:
    """Print an answer for programs."""
    print(json.dumps(value, indent=2))


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows with their columns aligned, two blanks apart."""
    listed = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in listed
    )
