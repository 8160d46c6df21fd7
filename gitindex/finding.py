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


def sort_findings(findings: list[Finding]) -> list[Finding]:
    """Return the findings in the order in which they are printed, each once."""
    return sorted(set(findings), key=lambda f: (f.path, f.line or 0, f.code, f.message))
