"""Proves the first-parent history of a branch: each step validated with the policy that was in force then.

What was found is remembered, so the next audit starts where this one ended, and sees when the history was rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from gitindex import __version__, atomic, layout
from gitindex.compare import Change
from gitindex.errors import CannotRunError, UsageError
from gitindex.finding import Finding, Severity
from gitindex.git import CommitInfo, Repository
from gitindex.guard import attribute
from gitindex.parallel import in_shares, shares_for
from gitindex.rules import RULES
from gitindex.rules.history import HISTORY
from gitindex.snapshot import Snapshot
from gitindex.validate import validate

_ERRORS = tuple(rule for rule in RULES if rule.severity is Severity.ERROR)


class Violation(NamedTuple):
    """What a commit of the history broke."""

    commit: CommitInfo
    finding: Finding


class Report(NamedTuple):
    """What an audit found."""

    head: str
    reference: str | None
    """The full name of what was audited, where it has one: ``refs/heads/main``."""
    since: str | None
    """The commit whose state was taken for granted, ``None`` where it is the whole history."""
    steps: int
    """Commits of the first-parent history that are proven or found wanting."""
    known: int
    """How many of the steps an earlier audit looked at."""
    violations: tuple[Violation, ...]
    """In the order of the history."""
    is_remembered: bool = False
    """Whether the next audit can go on from here."""
    is_rewritten: bool = False
    """Whether the history was rewritten since an earlier audit: that is told until somebody starts afresh."""


def audit(
    repository: Repository,
    revision: str = "HEAD",
    *,
    since: str | None = None,
    afresh: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check each step of the first-parent history of *revision*; a merge is compared with its first parent.

    *since* names a commit of it whose state is taken for granted; *afresh*, that nothing is remembered from earlier.
    *progress* is told how many steps are done, and how many there are.

    Raises:
        NotThereError: no such revision.
        UsageError: *since* is not in the first-parent history.
        CannotRunError: the history is cut off or broken, or there is no index repository in it.

    """
    head = repository.commit_id(revision)
    start = None if since is None else repository.commit_id(since)
    reference = repository.history.branch(revision)
    memory = Memory(repository, reference, start)
    remembered = None if afresh else memory.recall()
    is_known = remembered is not None and remembered.is_current
    ends = {start, remembered.last if remembered and is_known else None} - {None}
    new = list(takewhile(lambda commit: commit not in ends, repository.history.first_parents(head)))
    oldest_parents = repository.history.commit(new[-1]).parents if new else (head,)
    reached = oldest_parents[0] if oldest_parents else None
    if start is not None and reached not in ends:
        help_ = "name a commit of it: git log --first-parent"
        raise UsageError(f"{since} is not in the first-parent history of {revision}", help=help_)
    rewritten: list[Violation] = []
    if remembered is not None and reached != remembered.last and remembered.last not in new:
        rewritten = _check_against(repository, remembered.last, head) if reference else []
        is_known = False
    earlier = remembered if remembered is not None and is_known else Remembered(head, 0, (), is_current=True)
    steps = list(reversed(new))
    found = _check_steps(repository, steps, progress)
    if not found and not earlier.violations and not rewritten:
        _ = repository.at(head).settings  # says that this is no index repository: it has kept no promise
    report = Report(head, reference, start, earlier.steps + len(new), earlier.steps, (*earlier.violations, *found))
    if rewritten:  # it is told each time, until somebody says that it is right
        return report._replace(violations=(*rewritten, *report.violations), is_rewritten=True)
    return report._replace(is_remembered=memory.keep(report))


def _check_steps(
    repository: Repository, steps: Sequence[str], progress: Callable[[int, int], None] | None
) -> list[Violation]:
    """Return what the steps (commits, each the first parent of the next) break, in their order."""
    shares = shares_for(len(steps))
    if shares > 1:
        repository.prepare_merges()

    def check_share(share: int, shares: int) -> list[Violation]:
        found: list[Violation] = []
        own = steps[len(steps) * share // shares : len(steps) * (share + 1) // shares]
        parents = repository.history.commit(own[0]).parents if own else ()
        base = repository.at(parents[0]) if parents else None
        for done, commit in enumerate(own, 1):
            head = repository.at(commit)
            found += _violations(repository, base, head, commit)
            base = head
            if progress is not None and share == 0:
                progress(min(done * shares, len(steps)), len(steps))
        return found

    return [violation for share in in_shares(check_share, shares) for violation in share]


def _violations(repository: Repository, base: Snapshot | None, head: Snapshot, commit: str) -> list[Violation]:
    try:
        change = attribute(repository, Change(base, head), actor=None, head=commit)
        findings = validate(change, rules=_ERRORS)
    except CannotRunError as error:
        raise CannotRunError(f"commit {commit[:12]}: {error.message}", help=error.help) from None
    return [Violation(repository.history.commit(commit), finding) for finding in findings]


def _check_against(repository: Repository, last: str, head: str) -> list[Violation]:
    """Return what became of a commit that was the end of the history once, and is not in it any more."""
    commit = repository.history.commit(head)
    if not repository.has_revision(last):
        message = f"the commit {last[:12]}, where an earlier audit ended, is not there any more"
        return [Violation(commit, Finding(layout.SETTINGS, None, HISTORY, Severity.ERROR, message, _REWRITTEN))]
    descends = repository.descends(head, last)
    change = Change(repository.at(last), repository.at(head), descends=descends)
    return [
        Violation(commit, finding._replace(help=_REWRITTEN) if finding.code == HISTORY else finding)
        for finding in validate(change, rules=_ERRORS)
    ]


_REWRITTEN = "the history was rewritten since then: find out by whom; if it is right: gitindex audit --afresh"


class Remembered(NamedTuple):
    """What an earlier audit of the same history found."""

    last: str
    """The commit that it ended with."""
    steps: int
    violations: tuple[Violation, ...]
    is_current: bool
    """Whether it was made by the very rules of this version: else only *last* counts."""


class Memory:
    """Where audits of one history are remembered: in the repository's own folder, nowhere that is fetched or pushed."""

    def __init__(self, repository: Repository, reference: str | None, since: str | None) -> None:
        self._repository = repository
        self._path = repository.git_directory / "gitindex" / "audit.json"
        self._key = " ".join([reference or "HEAD", since or "all", repository.folder or "."])

    def recall(self) -> Remembered | None:
        """Return what the last audit found; ``None`` where there was none, or what it left cannot be read."""
        try:
            kept = self._load()[self._key]
            violations = tuple(self._violation(item) for item in kept["violations"])
            return Remembered(str(kept["last"]), int(kept["steps"]), violations, kept["version"] == __version__)
        except (KeyError, TypeError, ValueError, CannotRunError):
            return None

    def _load(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _violation(self, item: Mapping[str, Any]) -> Violation:
        finding = Finding(**{**item["finding"], "severity": Severity.ERROR})
        return Violation(self._repository.history.commit(item["commit"]), finding)

    def keep(self, report: Report) -> bool:
        """Remember a report; tell whether that could be done."""
        kept = {
            "version": __version__,
            "last": report.head,
            "steps": report.steps,
            "violations": [
                {"commit": commit.id, "finding": finding._asdict()} for commit, finding in report.violations
            ],
        }
        try:
            self._path.parent.mkdir(exist_ok=True)
            atomic.write(self._path, [json.dumps({**self._load(), self._key: kept}, indent=1).encode() + b"\n"])
        except (OSError, CannotRunError):
            return False
        return True
