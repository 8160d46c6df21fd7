"""Show what is in a CSV file: its columns, what they hold and how many rows there are."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from slug_tools import slugify

__version__ = "0.1.0"
__all__ = ["Column", "main", "peek"]


class Column(NamedTuple):
    """A column: its title, a name for it in code, and the narrowest type that fits all its values."""

    title: str
    name: str
    type: str


def _type(values: Iterable[str]) -> str:
    narrowest = "empty"
    for value in values:
        if not value:
            continue
        try:
            int(value)
        except ValueError:
            try:
                float(value)
            except ValueError:
                return "text"
            narrowest = "float"
        else:
            narrowest = "float" if narrowest == "float" else "int"
    return narrowest


def peek(lines: Iterable[str]) -> tuple[list[Column], int]:
    """Return the columns of a CSV file whose first line is the header, and the number of its rows."""
    header, *rows = csv.reader(lines)
    columns = [
        Column(title, slugify(title, separator="_"), _type(row[place] for row in rows if place < len(row)))
        for place, title in enumerate(header)
    ]
    return columns, len(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="csv-peek", description=__doc__)
    parser.add_argument("file", help="a CSV file in UTF-8")
    options = parser.parse_args(arguments)
    with open(options.file, encoding="utf-8", newline="") as file:
        columns, rows = peek(file)
    for column in columns:
        print(f"{column.name}\t{column.type}\t{column.title}")
    print(f"{rows} rows")
    return 0
