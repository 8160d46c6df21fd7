"""Findings for programs: one object."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gitindex.finding import Finding


def findings_json(findings: Sequence[Finding], base: str | None, head: str | None) -> str:
    """Return ``base``, ``head`` (commit id, ``"worktree"``, ``"index"`` or null) and ``findings`` as JSON."""
    listed = [
        {
            "code": finding.code,
            "severity": str(finding.severity),
            "path": finding.path.encode("utf-8", "backslashreplace").decode(),
            "line": finding.line,
            "message": finding.message.encode("utf-8", "backslashreplace").decode(),
            "help": finding.help.encode("utf-8", "backslashreplace").decode(),
        }
        for finding in findings
    ]
    return json.dumps({"base": base, "head": head, "findings": listed}, indent=2) + "\n"
