"""Show what is in a CSV file: its columns, what they hold and how many rows there are."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from slug_tools import unique_slugs

__version__ = "0.2.0"
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


def peek(text: str) -> tuple[list[Column], list[list[str]]]:
    """Return the columns of a CSV text whose first line is the header, and its rows.

    Comma, semicolon, tab and bar are understood as delimiters. Raises ValueError for a text without a header.
    """
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    lines = list(csv.reader(text.splitlines(keepends=True), dialect))
    if not lines:
        raise ValueError("no header: the file is empty")
    header, *rows = lines
    columns = [
        Column(title, name, _type(row[place] for row in rows if place < len(row)))
        for place, (title, name) in enumerate(zip(header, unique_slugs(header, separator="_")))
    ]
    return columns, rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="csv-peek", description=__doc__)
    parser.add_argument("file", help="a CSV file in UTF-8")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="show the first N rows too")
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args(arguments)
    try:
        with open(options.file, encoding="utf-8-sig", newline="") as file:
            columns, rows = peek(file.read())
    except (OSError, ValueError) as error:
        print(f"csv-peek: {options.file}: {error}", file=sys.stderr)
        return 1
    for column in columns:
        print(f"{column.name}\t{column.type}\t{column.title}")
    for row in rows[: options.rows]:
        print("\t".join(row))
    print(f"{len(rows)} rows")
    return 0
