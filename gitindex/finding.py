"""What a rule says about a snapshot or a change."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How much a finding weighs: an error refuses the change, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Finding(NamedTuple):
    """One thing that is wrong, where it is, and what to do about it."""

    path: str
    """Path in the index repository, with ``/``; not escaped for display."""
    line: int | None
    """1-based line, where there is one."""
    code: str
    severity: Severity
    message: str
    """What was found and what was wanted."""
    help: str
    """What to do."""


class Judgement(NamedTuple):
    """What the rules say about a change."""

    findings: tuple[Finding, ...]
    """In the order in which they are printed."""
    waived: tuple[Finding, ...] = ()
    """The warnings that a waiver accepts."""


class Verdict(NamedTuple):
    """How a validation went: what was compared, and what the rules say about it."""

    findings: tuple[Finding, ...]
    """In the order in which they are printed."""
    base: str | None
    """A commit id; ``None`` where there was nothing to compare with."""
    head: str | None
    """A commit id, ``worktree`` or ``index``."""
    is_merged: bool = False
    """Whether what was checked is the result of a merge of the head into the base, not the head itself."""
    is_strict: bool = False
    """Whether a warning refuses as an error does."""
    waived: int = 0
    """How many warnings are not among the findings, since waivers accept them."""
    folder: str = ""
    """Where the index repository lies in the Git repository, with ``/``; empty for its top."""

    @property
    def is_refused(self) -> bool:
        """Whether the change is refused."""
        return any(self.is_strict or finding.severity is Severity.ERROR for finding in self.findings)

    def place(self, finding: Finding) -> str:
        """Return the path of a finding in the Git repository, as forges want it."""
        return f"{self.folder}/{finding.path}" if self.folder else finding.path


def sort_findings(findings: list[Finding]) -> list[Finding]:
    """Return the findings in the order in which they are printed, each once."""
    return sorted(set(findings), key=lambda f: (f.path, f.line or 0, f.code, f.message))
