"""Runs the rules over a change."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from gitindex.compare import ProjectChange
from gitindex.finding import Finding, Severity, sort_findings
from gitindex.model import Settings
from gitindex.parallel import in_shares, shares_for
from gitindex.rules import RULES, Rule
from gitindex.rules.history import CONFLICT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gitindex.compare import Change
    from gitindex.rules import Subject


def validate(change: Change, *, rules: Sequence[Rule] = RULES) -> list[Finding]:
    """Return what the rules say about a change, sorted.

    Where everything is checked and there is much of it, the projects are split over processes.
    """
    ignored = _ignored(change)
    applied = [rule for rule in rules if rule.code not in ignored]
    if change.conflicts:
        # Git's markers are in the files; what would be published is not known yet.
        return sort_findings(list(_findings(change, (change,), [rule for rule in applied if rule.code == CONFLICT])))
    findings = list(_findings(change, chain((change,), change.acts, change.concerned_indexes, change.stored), applied))
    shares = shares_for(change.size) if change.everything else 1

    def projects_of(share: int, shares: int) -> list[Finding]:
        return list(_findings(change, islice(change.projects(), share, None, shares), applied))

    for found in in_shares(projects_of, shares):
        findings += found
    return sort_findings(findings)


def _findings(change: Change, subjects: Iterable[Subject], rules: Sequence[Rule]) -> Iterator[Finding]:
    by_subject: dict[type, list[Rule]] = {}
    for subject in subjects:
        if isinstance(subject, ProjectChange) and subject.is_plain:
            continue
        kind = type(subject)
        if kind not in by_subject:
            by_subject[kind] = [rule for rule in rules if kind in rule.scopes]
        for rule in by_subject[kind]:
            for hit in rule.check(change, subject):
                yield Finding(hit.path, hit.line, rule.code, rule.severity, hit.message, hit.help)


def _ignored(change: Change) -> frozenset[str]:
    """Return the codes of the warnings that are not reported; the base says so, as it says all policy."""
    settings = change.policy.settings_or_problem
    wanted = settings.policy.ignore if isinstance(settings, Settings) else ()
    warnings = {rule.code for rule in RULES if rule.severity is Severity.WARNING}
    return frozenset(wanted) & warnings
