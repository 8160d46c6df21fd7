"""Make a short report of a CSV file: how many rows, and what stands in each column."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator

__version__ = "1.0.0"
__all__ = ["report"]


def report(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a report: the number of rows, then each column with its most frequent value.

    Raises ValueError where there is no header.
    """
    reader = csv.DictReader(lines)
    if reader.fieldnames is None:
        raise ValueError("there is no header")
    columns: dict[str, Counter[str]] = {name: Counter() for name in reader.fieldnames}
    count = 0
    for count, row in enumerate(reader, start=1):
        for name, values in columns.items():
            values[row[name] or ""] += 1
    yield f"{count} rows"
    for name, values in columns.items():
        value, times = values.most_common(1)[0] if values else ("", 0)
        yield f"{name}: {len(values)} values, {value!r} {times} times"
