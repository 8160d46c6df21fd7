"""Findings as a code quality report of GitLab: one JSON array.

The format: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import json

from gitindex.finding import Severity, Verdict
from gitindex.report.fingerprint import fingerprints
from gitindex.report.text import printable


def gitlab_report(verdict: Verdict) -> str:
    """Return the findings as GitLab's `artifacts:reports:codequality` takes them.

    GitLab drops a finding that has no line, and keeps one alone of those with the same fingerprint.
    """
    listed = []
    for finding, fingerprint in zip(verdict.findings, fingerprints(verdict), strict=True):
        # Of info, minor, major, critical and blocker, the last is the word for what keeps a change from being merged.
        is_blocking = verdict.is_strict or finding.severity is Severity.ERROR
        listed.append(
            {
                "description": f"{finding.code} {printable(finding.message)}; {printable(finding.help)}",
                "check_name": finding.code,
                "fingerprint": fingerprint,
                "severity": "blocker" if is_blocking else "minor",
                "location": {"path": printable(verdict.place(finding)), "lines": {"begin": finding.line or 1}},
            }
        )
    return json.dumps(listed, indent=2) + "\n"
