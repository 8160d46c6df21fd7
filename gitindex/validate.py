"""Runs the rules over a change."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from gitindex.finding import Finding, Severity, sort_findings
from gitindex.model import Settings
from gitindex.rules import RULES, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gitindex.compare import Change
    from gitindex.rules import Subject


def validate(
    change: Change, *, rules: Sequence[Rule] = RULES, progress: Callable[[Subject], None] | None = None
) -> list[Finding]:
    """Return what the rules say about a change, sorted; *progress* is told each subject that is done."""
    by_subject: dict[type, list[Rule]] = {}
    findings: list[Finding] = []
    ignored = _ignored(change)
    for subject in _subjects(change):
        kind = type(subject)
        if kind not in by_subject:
            by_subject[kind] = [rule for rule in rules if kind in rule.scopes and rule.code not in ignored]
        for rule in by_subject[kind]:
            findings.extend(
                Finding(hit.path, hit.line, rule.code, rule.severity, hit.message, hit.help)
                for hit in rule.check(change, subject)
            )
        if progress is not None:
            progress(subject)
    return sort_findings(findings)


def _subjects(change: Change) -> Iterator[Subject]:
    return chain((change,), change.concerned_indexes, change.projects(), change.stored)


def _ignored(change: Change) -> frozenset[str]:
    """Return the codes of the warnings that are not reported; the base says so, as it says all policy."""
    settings = change.base.settings_or_problem if change.has_base else change.head.settings_or_problem
    wanted = settings.policy.ignore if isinstance(settings, Settings) else ()
    warnings = {rule.code for rule in RULES if rule.severity is Severity.WARNING}
    return frozenset(wanted) & warnings
