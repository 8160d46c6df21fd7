"""Reads every released file, wherever it is, and holds it against what the manifests say of it.

`validate` looks at what a change touches, and at nothing outside of the repository; here all bytes are looked at.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitindex.download import Downloader, Patience
from gitindex.finding import Finding, sort_findings
from gitindex.rules import SEVERITIES
from gitindex.threads import spread
from gitindex.verify import plan
from gitindex.verify.journal import Journal, key_of
from gitindex.verify.judging import judge
from gitindex.verify.plan import Subject, Unchecked
from gitindex.verify.reading import Advance, Content, Outcome, Reader, Unread
from gitindex.verify.sources import AtUrl, Missing, Nowhere, Source, Sources

if TYPE_CHECKING:
    from gitindex.compare import Change
    from gitindex.git.blobs import Blobs
    from gitindex.names import IndexName
    from gitindex.snapshot import Snapshot

__all__ = ["Journal", "Patience", "Report", "Unchecked", "verify"]

NETWORK_JOBS = 8
DISK_JOBS = 4


class Report(NamedTuple):
    """How it went."""

    files: int
    """Distributions, and the metadata and provenance beside them, each once."""
    resumed: int
    """How many of these an earlier run has proven."""
    bytes: int
    wrong: int
    """Files of which something is wrong."""
    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    unnamed: int | None
    """Stored files that no manifest names; ``None`` where not all of both were looked at."""


class _Task(NamedTuple):
    subject: Subject
    source: Source
    key: str | None
    """In the journal; ``None`` where the bytes could change unnoticed."""


def verify(
    snapshot: Snapshot,
    open_blobs: Callable[[], Blobs],
    *,
    change: Change | None = None,
    indexes: Sequence[IndexName] = (),
    lfs_objects: Path | None = None,
    journal: Journal | None = None,
    jobs: int | None = None,
    patience: Patience = Patience(),  # noqa: B008 - frozen
    advance: Advance = lambda _: None,
) -> Report:
    """Read the files that the stages of a snapshot have released, and say what is wrong with them.

    Args:
        snapshot: What is looked at.
        open_blobs: Opens a reader of blobs of its repository.
        change: Where it is given (its head is the snapshot), only what differs is read.
        indexes: Where there are any, only the files of these.
        lfs_objects: Where Git LFS keeps content.
        journal: What was proven already, and where to put down what is.
        jobs: How many files to read at the same time; by default more over the network than from a disk.
        patience: How long a server is waited for.
        advance: Is told of the progress, in bytes, from any thread.

    Raises:
        CannotRunError: the settings cannot be read, or Git cannot be started.

    """
    run = _Run(snapshot, change, frozenset(indexes) or None, journal, advance)
    downloader = Downloader(patience)
    reader = Reader(downloader, open_blobs, lfs_objects, disk_jobs=jobs or _disk_jobs(), advance=advance)

    def read(task: _Task) -> Outcome:
        return reader.read(task.subject, task.source)

    def limit(task: _Task) -> float | None:
        return patience.for_file(task.subject.size) if isinstance(task.source, AtUrl) else None

    try:
        for task, outcome in spread(run.tasks(), read, jobs or NETWORK_JOBS, limit):
            run.take(task, outcome or Unread("the server trifles with us: there was no end", "see what it sends"))
    finally:
        downloader.stop()
        reader.close()
    return run.report()


def total_size(snapshot: Snapshot, *, change: Change | None = None, indexes: Sequence[IndexName] = ()) -> int:
    """Return how many bytes :func:`verify` would be told to advance, by what the manifests say."""
    run = _Run(snapshot, change, frozenset(indexes) or None, None, lambda _: None)
    return sum(item.size for item in run.plan() if isinstance(item, Subject) and item.kind == "file")


def _disk_jobs() -> int:
    return min(DISK_JOBS, os.cpu_count() or 1)


class _Run:
    """What is known so far."""

    def __init__(
        self,
        snapshot: Snapshot,
        change: Change | None,
        wanted: frozenset[IndexName] | None,
        journal: Journal | None,
        advance: Advance,
    ) -> None:
        self._snapshot = snapshot
        self._change = change
        self._wanted = wanted
        self._journal = journal
        self._advance = advance
        self._sources = Sources(snapshot)
        self._named: set[bytes] | None = set() if change is None and wanted is None else None
        self._counts: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._unchecked: list[Unchecked] = []

    def plan(self) -> Iterator[Subject | Unchecked]:
        if self._change is not None:
            return plan.changed(self._change, self._wanted)
        return plan.everything(self._snapshot, self._wanted)

    def tasks(self) -> Iterator[_Task]:
        """Yield what is to be read; the snapshot is read by the thread that asks."""
        for item in self.plan():
            if isinstance(item, Unchecked):
                self._named = None  # nobody knows what it names
                self._unchecked.append(item)
                continue
            if self._named is not None and not item.is_hosted:
                self._named.add(_digest(item.location))
            self._counts["files"] += 1
            source = self._sources.of(item)
            key = self._key(item, source)
            if self._journal is not None and key is not None and (size := self._journal.size_of(key)) is not None:
                self._counts["resumed"] += 1
                self._counts["bytes"] += size
                if item.kind == "file":
                    self._advance(size)
                continue
            yield _Task(item, source, key)

    def _key(self, subject: Subject, source: Source) -> str | None:
        if self._journal is None or isinstance(source, Missing | Nowhere) or (identity := source.identity()) is None:
            return None
        said = sorted(
            {
                (claim.project, claim.file.size, claim.file.requires_python or "", claim.file.core_metadata or "")
                for claim in subject.claims
            }
        )
        return key_of(identity, subject.kind, subject.sha256, subject.file.filename, said)

    def take(self, task: _Task, outcome: Outcome) -> None:
        """Judge what was read."""
        subject = task.subject
        if isinstance(outcome, Unread):
            claim = subject.claims[0]
            keys = claim.keys(subject.kind)
            self._unchecked.append(Unchecked(claim.path, keys, subject.name, outcome.problem, outcome.help))
            return
        size = outcome.size if isinstance(outcome, Content) else 0
        self._counts["bytes"] += size
        found = list(judge(subject, outcome, self._is_volatile))
        for wrong in found:
            path = wrong.claim.path
            line = self._snapshot.line_of(path, wrong.keys)
            self._findings.append(Finding(path, line, wrong.code, SEVERITIES[wrong.code], wrong.message, wrong.help))
        if found:
            self._counts["wrong"] += 1
        elif self._journal is not None and task.key is not None:
            self._journal.add(task.key, size)

    def _is_volatile(self, name: IndexName) -> bool:
        index = self._snapshot.index(name)
        return index is not None and index.is_volatile

    def report(self) -> Report:
        unnamed = None
        if self._named is not None:
            unnamed = sum(_digest(path) not in self._named for path in self._sources.paths())
        return Report(
            self._counts["files"],
            self._counts["resumed"],
            self._counts["bytes"],
            self._counts["wrong"],
            tuple(sort_findings(self._findings)),
            tuple(sorted(set(self._unchecked), key=lambda each: (each.path, str(each.keys), each.problem))),
            unnamed,
        )


def _digest(path: str) -> bytes:
    """Return what stands for a path: there may be a million of them."""
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).digest()
