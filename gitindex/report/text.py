"""Findings for people at a terminal, and what every format says in the same words."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TextIO

from gitindex.finding import Finding, Severity, Verdict

_RED, _YELLOW, _GREEN, _BOLD, _OFF = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[1m", "\x1b[0m"
_RUNNER_COMMAND = re.compile(r"(?<=##)\[|^(?P<indent> *):(?=:)")
"""What GitHub's runner would take for a command in a log: ``##[`` anywhere, and ``::`` at the start of a line."""


def printable(text: str) -> str:
    """Return *text* with what a terminal or a runner of CI would act on, or cannot show, spelled out."""
    shown = text if text.isprintable() else "".join(c if c.isprintable() else _spelled_out(c) for c in text)
    return _RUNNER_COMMAND.sub(lambda found: r"\x5b" if found[0] == "[" else rf"{found['indent']}\x3a", shown)


def _spelled_out(character: str) -> str:
    if "\ud800" <= character <= "\udfff" and not "\udc80" <= character <= "\udcff":
        return character.encode("unicode_escape").decode()  # no byte of a path: JSON can bring it
    data = character.encode("utf-8", "surrogateescape")
    return data.decode("latin-1").encode("unicode_escape").decode()


def clipped(text: str, size: int) -> str:
    """Return *text*, or as much of it as leaves *size* characters; what is cut off is said to be."""
    return text if len(text) <= size else f"{text[: size - 1]}…"


def has_colour(stream: TextIO) -> bool:
    """Tell whether to colour: on a terminal alone, and `NO_COLOR` is honoured."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def findings_text(findings: Sequence[Finding], *, colour: bool, is_brief: bool = False) -> str:
    """Return the findings, two lines each: what is wrong and where, and what to do.

    With *is_brief*, what is to be done about several of one rule in one file is said once, below them.

    In colour, which is for eyes and not for `grep`, there is an empty line after each file.
    """
    lines = []
    for number, finding in enumerate(findings):
        if colour and number and findings[number - 1].path != finding.path:
            lines.append("")
        place = printable(finding.path) + (f":{finding.line}" if finding.line is not None else "")
        mark = _RED if finding.severity is Severity.ERROR else _YELLOW
        code = f"{mark}{finding.code}{_OFF}" if colour else finding.code
        where = f"{_BOLD}{place}{_OFF}" if colour else place
        warning = "warning: " if finding.severity is Severity.WARNING else ""
        lines.append(f"{where}: {code} {warning}{printable(finding.message)}")
        following = findings[number + 1] if number + 1 < len(findings) else None
        if not is_brief or following is None or _thing(following) != _thing(finding):
            lines.append(f"    {printable(finding.help)}")
    if colour and lines:
        lines.append("")
    return "".join(f"{line}\n" for line in lines)


def _thing(finding: Finding) -> tuple[str, ...]:
    """Return what has to be the same for two findings to be one thing to do."""
    return finding.path, finding.code, finding.help


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 error``, ``2 errors``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def verdict_line(verdict: Verdict, *, colour: bool = False) -> str:
    """Return one line that says how it went, what was compared, and where to read why."""
    word = "Refused" if verdict.is_refused else "Valid"
    if colour:
        word = f"{_BOLD}{_RED if verdict.is_refused else _GREEN}{word}{_OFF}"
    return f"{word}: {outcome(verdict)}.{explanation(verdict)}"


def outcome(verdict: Verdict) -> str:
    """Return how much was found in what, in words."""
    errors = sum(finding.severity is Severity.ERROR for finding in verdict.findings)
    warnings = len(verdict.findings) - errors
    found = [count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number]
    strict = " (--strict: warnings refuse too)" if verdict.is_refused and not errors else ""
    listed = f"{' and '.join(found)} in " if found else ""
    waived = f", {verdict.waived:,} waived" if verdict.waived else ""
    return f"{listed}{compared(verdict)}{waived}{strict}"


def explanation(verdict: Verdict) -> str:
    """Return the command that explains what was found, in words; empty where nothing was."""
    codes = sorted({finding.code for finding in verdict.findings})
    return f" Why: gitindex rule {', or '.join(codes[:3])}" if codes else ""


def compared(verdict: Verdict) -> str:
    """Return what was compared with what, in words."""
    base, head = _name(verdict.base), _name(verdict.head)
    if verdict.is_merged:
        return f"{head} merged into {base}"
    return f"{head} against {base}" if verdict.base else f"all of {head}"


def _name(revision: str | None) -> str:
    names = {"worktree": "the working tree", "index": "what is staged", None: "nothing"}
    return names.get(revision) or (revision or "")[:12]
