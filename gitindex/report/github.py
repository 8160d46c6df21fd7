"""Findings for GitHub Actions: annotations as workflow commands, everything as the summary of the job.

The commands: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
How they are escaped: https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
"""

from __future__ import annotations

from itertools import chain

from gitindex.finding import Finding, Severity, Verdict
from gitindex.report.markdown import markdown_report
from gitindex.report.text import clipped, count, findings_text, printable, verdict_line

SUMMARY_LIMIT = 1024 * 1024
"""Bytes of a step's summary; GitHub shows nothing of a longer one."""
_SMALLEST_SUMMARY = 4096
_SHOWN = 10
"""GitHub shows as many errors and as many warnings of a step."""
_LONGEST_MESSAGE, _LONGEST_HELP = 3000, 1000
"""The runner cuts what is longer than 4096 characters in all."""


def job_summary(verdict: Verdict, written: int) -> str:
    """Return what to add to a summary that has *written* bytes; empty where it has no room."""
    room = SUMMARY_LIMIT - written
    return "" if room < _SMALLEST_SUMMARY else "\n" * bool(written) + markdown_report(verdict, limit=room - 1)


def github_log(verdict: Verdict, *, has_summary: bool) -> str:
    """Return what to print: as many annotations as GitHub shows, errors first, and the verdict.

    Without a summary, the findings that got no annotation are printed as text.
    """
    errors = [finding for finding in verdict.findings if finding.severity is Severity.ERROR]
    warnings = [finding for finding in verdict.findings if finding.severity is Severity.WARNING]
    commands = "".join(f"{_command(verdict, finding)}\n" for finding in chain(errors[:_SHOWN], warnings[:_SHOWN]))
    rest = [*errors[_SHOWN:], *warnings[_SHOWN:]]
    told = ""
    if rest and has_summary:
        told = f"{count(len(rest), 'finding')} more: all are in the summary of the job.\n"
    elif rest:
        told = findings_text([finding._replace(path=verdict.place(finding)) for finding in rest], colour=False)
    return f"{commands}{told}{verdict_line(verdict)}\n"


def _command(verdict: Verdict, finding: Finding) -> str:
    properties = {"file": verdict.place(finding), "line": finding.line, "title": f"gitindex {finding.code}"}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value is not None)
    message = clipped(printable(finding.message), _LONGEST_MESSAGE)
    help_ = clipped(printable(finding.help), _LONGEST_HELP)
    return f"::{finding.severity} {listed}::{_data(message)}%0A{_data(help_)}"


def _data(text: str) -> str:
    return text.replace("%", "%25")  # printable text has neither CR nor LF


def _property(value: str | int) -> str:
    return _data(printable(str(value))).replace(":", "%3A").replace(",", "%2C")
