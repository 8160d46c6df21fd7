"""Findings as SARIF 2.1.0, for code scanning and for editors.

The standard: https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
What GitHub reads of it: https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from gitindex import __version__
from gitindex.finding import Finding, Severity, Verdict
from gitindex.report.fingerprint import fingerprints
from gitindex.report.markdown import prose
from gitindex.report.text import count, printable
from gitindex.rules import RULES, Rule

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_MOST_RESULTS = 25_000
"""GitHub refuses a file that has more in a run."""


def sarif_report(verdict: Verdict) -> str:
    """Return the findings as a SARIF log of one run; of more than GitHub takes, the errors come first."""
    pairs = sorted(
        zip(verdict.findings, fingerprints(verdict), strict=True), key=lambda pair: pair[0].severity is Severity.WARNING
    )
    places = {rule.code: place for place, rule in enumerate(RULES)}
    run = {
        "tool": {"driver": {"name": "gitindex", "version": __version__, "rules": [_rule(rule) for rule in RULES]}},
        "invocations": [_invocation(len(pairs) - _MOST_RESULTS)],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the Git repository."}}},
        "results": [_result(verdict, *pair, places) for pair in pairs[:_MOST_RESULTS]],
        "properties": {
            "base": verdict.base,
            "head": verdict.head,
            "merged": verdict.is_merged,
            "strict": verdict.is_strict,
            "refused": verdict.is_refused,
        },
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _invocation(left_out: int) -> dict[str, Any]:
    """Return how the run went: that it refuses a change is not a failure of it."""
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if left_out > 0:
        text = f"{count(left_out, 'finding')} more than a SARIF file may have are left out."
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
    return invocation


def _rule(rule: Rule) -> dict[str, Any]:
    first, *_ = rule.explanation.split("\n\n")
    statement = rule.statement[0].upper() + rule.statement[1:]
    return {
        "id": rule.code,
        # An identifier that people understand: the name of the rule's function.
        "name": rule.check.__name__.title().replace("_", ""),
        "shortDescription": {"text": f"{statement}."},
        "fullDescription": {"text": " ".join(first.split())},
        "help": {
            "text": rule.explanation,
            "markdown": "\n\n".join(prose(" ".join(part.split())) for part in rule.explanation.split("\n\n")),
        },
        "defaultConfiguration": {"level": str(rule.severity)},
        "properties": {
            "precision": "very-high" if rule.severity is Severity.ERROR else "medium",
            "problem.severity": str(rule.severity),
        },
    }


def _result(verdict: Verdict, finding: Finding, fingerprint: str, places: dict[str, int]) -> dict[str, Any]:
    path = verdict.place(finding).encode("utf-8", "surrogateescape")
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(path), "uriBaseId": _ROOT}}
    known = {"gitindexFinding/v1": fingerprint}
    if finding.line is not None:
        place["region"] = {"startLine": finding.line}
    else:
        # The only one that GitHub looks at. Where there is a line, its upload action makes it of the line's text, and
        # complains of any other.
        known["primaryLocationLineHash"] = fingerprint
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": str(finding.severity),
        "message": {"text": f"{_plain(finding.message)}.\n\n{_plain(finding.help)}"},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": known,
    }
    if finding.code in places:
        result["ruleIndex"] = places[finding.code]
    return result


def _plain(text: str) -> str:
    """Return what a message shows as *text*: no placeholder and no link of its own (sections 3.11.5 and 3.11.6)."""
    return printable(text).replace("{", "{{").replace("}", "}}").replace("](", "] (")
