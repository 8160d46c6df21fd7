"""Findings for programs: one object."""

from __future__ import annotations

import json

from gitindex.finding import Verdict


def verdict_json(verdict: Verdict) -> str:
    """Return ``base``, ``head`` (commit id, ``"worktree"``, ``"index"`` or null) and ``findings`` as JSON.

    ``merged`` is there, and true, where the result of a merge was checked; ``waived``, where warnings are accepted by
    waivers, says how many.
    """
    listed = [
        {
            "code": finding.code,
            "severity": str(finding.severity),
            "path": finding.path.encode("utf-8", "backslashreplace").decode(),
            "line": finding.line,
            "message": finding.message.encode("utf-8", "backslashreplace").decode(),
            "help": finding.help.encode("utf-8", "backslashreplace").decode(),
        }
        for finding in verdict.findings
    ]
    answer: dict[str, object] = {"base": verdict.base, "head": verdict.head}
    if verdict.is_merged:
        answer["merged"] = True
    if verdict.waived:
        answer["waived"] = verdict.waived
    return json.dumps(answer | {"findings": listed}, indent=2) + "\n"
