"""Makes `gitindex/data/popular.txt`, the names that rule GI401 compares new ones with.

    python tools/popular.py TABLE MONTH

TABLE is a table of PyPI's projects, tab-separated, whose first line names the columns; it needs `name` and
`rank_among_15000_most_downloaded` (1 is the most downloaded, 0 or nothing is not ranked). MONTH is when it was made,
such as 2026-11.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from gitindex.names import is_project_name, normalize

OUT = Path(__file__).parent.parent / "gitindex" / "data" / "popular.txt"
MOST = 5000
RANK = "rank_among_15000_most_downloaded"


def popular(lines: Iterable[str]) -> Iterator[str]:
    """Yield the names of the most downloaded projects of a table, in normal form."""
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        name = normalize(row["name"])
        if 1 <= int(row[RANK] or 0) <= MOST and is_project_name(name):
            yield name


def listed(names: Iterable[str], month: str) -> str:
    """Return the list as it is shipped."""
    found = sorted(set(names))
    head = (
        f"# The {len(found):,} most downloaded projects of PyPI in {month}: names in normal form (PEP 503), sorted.\n"
    )
    return (
        head
        + "# Made by tools/popular.py; rule GI401 warns of new names that could be taken for one of these.\n"
        + ("".join(f"{name}\n" for name in found))
    )


def main() -> None:
    """Write the list."""
    table, month = sys.argv[1:]
    with Path(table).open(encoding="utf-8", newline="") as lines:
        OUT.write_text(listed(popular(lines), month), "ascii")


if __name__ == "__main__":
    main()
