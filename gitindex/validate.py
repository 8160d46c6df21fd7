"""Runs the rules over a change."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.differences import ProjectChange
from gitindex.finding import Finding, Judgement, Severity, sort_findings
from gitindex.model import Settings
from gitindex.parallel import in_shares, shares_for
from gitindex.rules import RULES, Rule
from gitindex.rules.history import CONFLICT
from gitindex.rules.waivers import CODE as WAIVERS, judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gitindex.compare import Change
    from gitindex.rules import Subject


def validate(change: Change, *, rules: Sequence[Rule] = RULES) -> list[Finding]:
    """Return what the rules say about a change, sorted; what is ignored or waived is left out."""
    return list(judge(change, rules=rules).findings)


def judge(change: Change, *, rules: Sequence[Rule] = RULES) -> Judgement:
    """Return what the rules say about a change, and which warnings are waived.

    Where everything is checked and there is much of it, the projects are split over processes.
    """
    ignored = _ignored(change)
    applied = [rule for rule in rules if rule.code not in ignored]
    if change.conflicts:
        # Git's markers are in the files; what would be published is not known yet.
        conflicts = _findings(change, (change,), [rule for rule in applied if rule.code == CONFLICT])
        return Judgement(tuple(sort_findings(list(conflicts))), ())
    findings = list(_findings(change, chain((change,), change.acts, change.concerned_indexes, change.stored), applied))
    shares = shares_for(change.size) if change.everything else 1

    def projects_of(share: int, shares: int) -> list[Finding]:
        return list(_findings(change, islice(change.projects(), share, None, shares), applied))

    for found in in_shares(projects_of, shares):
        findings += found
    judgement = judged(change, sort_findings(findings))
    told = [*judgement.findings, *_findings(change, (judgement,), applied)]
    return judgement._replace(findings=tuple(sort_findings(told)))


def with_way_to_waive(finding: Finding) -> Finding:
    """Return a warning whose help also says how a repository accepts it; anything else as it is."""
    if finding.severity is not Severity.WARNING or finding.code == WAIVERS:
        return finding
    waiver = f'[[waivers]] in {layout.SETTINGS} with rule = "{finding.code}", path = "{finding.path}", reason and until'
    return finding._replace(
        help=f"{finding.help}; or accept it by a change of its own, merged before this one: {waiver}"
    )


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
