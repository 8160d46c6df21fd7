"""Findings for programs: one object."""

from __future__ import annotations

import json

from gitindex.finding import Finding, Verdict


def verdict_json(verdict: Verdict) -> str:
    """Return ``base``, ``head`` (commit id, ``"worktree"``, ``"index"`` or null) and ``findings`` as JSON.

    ``merged`` is there, and true, where the result of a merge was checked; ``waived``, where warnings are accepted by
    waivers, says how many.
    """
    answer: dict[str, object] = {"base": verdict.base, "head": verdict.head}
    if verdict.is_merged:
        answer["merged"] = True
    if verdict.waived:
        answer["waived"] = verdict.waived
    return json.dumps(answer | {"findings": [*map(finding_json, verdict.findings)]}, indent=2) + "\n"


def finding_json(finding: Finding) -> dict[str, object]:
    """Return a finding as an object of JSON."""
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "path": json_text(finding.path),
        "line": finding.line,
        "message": json_text(finding.message),
        "help": json_text(finding.help),
    }


def json_text(text: str) -> str:
    """Return *text* with the bytes that are not UTF-8 spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()
