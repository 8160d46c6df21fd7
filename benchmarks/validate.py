"""A full validation beside a process that only reads the same manifests from Git."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from measure import Command, compare, gitindex, python
from report import Row

BOUND = 2.0
RSS_BOUND = 500_000_000
READ_BLOBS = Path(__file__).with_name("read_blobs.py")


def measure_full_validate(case: str, repository: Path, runs: int) -> Iterator[Row]:
    figures = compare(
        {
            "read": Command(python(str(READ_BLOBS), str(repository))),
            "validate": Command(gitindex("-C", str(repository), "validate", "--all", "--head", "HEAD")),
        },
        runs,
    )
    read, full = figures["read"], figures["validate"]
    cpu, wall = full.cpu / read.cpu, full.wall / read.wall
    yield Row(case, "read all blobs below `indexes/` (pygit2)", read)
    yield Row(
        case,
        "`validate --all --head HEAD`",
        full,
        f"{cpu:.2f} times in CPU, {wall:.2f} in wall",
        f"{BOUND} times, {RSS_BOUND / 1e6:.0f} MB",
        max(cpu, wall) <= BOUND and full.rss <= RSS_BOUND,
    )
