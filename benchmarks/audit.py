"""An audit of a long history over many files: from scratch, and again after one more commit."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from measure import Command, compare, gitindex
from report import Row

SECONDS = 30.0
AGAIN_SECONDS = 1.0
RSS_BOUND = 500_000_000


def measure_audit(case: str, repository: Path, runs: int) -> Iterator[Row]:
    """Measure it beside Git's own listing of what each commit changed; *repository* is bare."""
    memory = repository / "gitindex" / "audit.json"
    earlier = _memory_before_the_head(repository, memory)
    audit = gitindex("-C", str(repository), "audit")
    listing = ["git", "-C", str(repository), "log", "--first-parent", "-m", "--raw", "--no-abbrev", "main"]
    figures = compare(
        {
            "listing": Command(listing),
            "scratch": Command(audit, prepare=lambda: memory.unlink(missing_ok=True)),
            "again": Command(audit, prepare=lambda: memory.write_bytes(earlier)),
        },
        runs,
    )
    scratch, again = figures["scratch"], figures["again"]
    yield Row(case, "`git log --first-parent -m --raw`", figures["listing"])
    is_quick = scratch.wall <= SECONDS and scratch.rss <= RSS_BOUND
    ratio = f"{scratch.cpu / figures['listing'].cpu:.1f} times Git's listing in CPU"
    yield Row(case, "`audit`, from scratch", scratch, ratio, f"{SECONDS:.0f} s, {RSS_BOUND / 1e6:.0f} MB", is_quick)
    ratio = f"{again.cpu / scratch.cpu:.3f} times the first in CPU"
    yield Row(case, "`audit`, one commit later", again, ratio, f"{AGAIN_SECONDS:.0f} s", again.wall <= AGAIN_SECONDS)


def _memory_before_the_head(repository: Path, memory: Path) -> bytes:
    """Return what an audit remembers that ended one commit before the head."""
    head = _git(repository, "rev-parse", "main")
    _git(repository, "update-ref", "refs/heads/main", "main~1")
    try:
        subprocess.run(gitindex("-C", str(repository), "audit", "--afresh"), check=True, stdout=subprocess.DEVNULL)
        return memory.read_bytes()
    finally:
        _git(repository, "update-ref", "refs/heads/main", head)


def _git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repository, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()
