"""Findings for people at a terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

from gitindex.finding import Finding, Severity, Verdict

_RED, _YELLOW, _BOLD, _OFF = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


def printable(text: str) -> str:
    """Return *text* with what a terminal would act on, or cannot show, spelled out."""
    return "".join(
        c
        if c.isprintable()
        else c.encode("utf-8", "surrogateescape").decode("latin-1").encode("unicode_escape").decode()
        for c in text
    )


def has_colour(stream: TextIO) -> bool:
    """Tell whether to colour: on a terminal alone, and `NO_COLOR` is honoured."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def findings_text(findings: Sequence[Finding], *, colour: bool) -> str:
    """Return the findings, two lines each: what is wrong and where, and what to do."""
    lines = []
    for finding in findings:
        place = printable(finding.path) + (f":{finding.line}" if finding.line is not None else "")
        mark = _RED if finding.severity is Severity.ERROR else _YELLOW
        code = f"{mark}{finding.code}{_OFF}" if colour else finding.code
        where = f"{_BOLD}{place}{_OFF}" if colour else place
        warning = "warning: " if finding.severity is Severity.WARNING else ""
        lines.append(f"{where}: {code} {warning}{printable(finding.message)}")
        lines.append(f"    {printable(finding.help)}")
    return "".join(f"{line}\n" for line in lines)


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 error``, ``2 errors``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def verdict_line(verdict: Verdict) -> str:
    """Return one line that says how it went, and what was compared."""
    errors = sum(finding.severity is Severity.ERROR for finding in verdict.findings)
    warnings = len(verdict.findings) - errors
    found = [count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number]
    word = "Refused" if verdict.is_refused else "Valid"
    strict = " (--strict: warnings refuse too)" if verdict.is_refused and not errors else ""
    listed = f"{' and '.join(found)} in " if found else ""
    waived = f", {verdict.waived:,} waived" if verdict.waived else ""
    return f"{word}: {listed}{compared(verdict)}{waived}{strict}."


def compared(verdict: Verdict) -> str:
    """Return what was compared with what, in words."""
    base, head = _name(verdict.base), _name(verdict.head)
    if verdict.is_merged:
        return f"{head} merged into {base}"
    return f"{head} against {base}" if verdict.base else f"all of {head}"


def _name(revision: str | None) -> str:
    names = {"worktree": "the working tree", "index": "what is staged", None: "nothing"}
    return names.get(revision) or (revision or "")[:12]
