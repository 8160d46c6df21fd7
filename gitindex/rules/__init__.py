"""The rules, in the order of their codes; one topic a module."""

from __future__ import annotations

from operator import attrgetter

from gitindex.rules import (
    authority,
    bases,
    documents,
    exposure,
    files,
    history,
    names,
    provenance,
    releases,
    stored,
    tested,
    waivers,
)
from gitindex.rules.rule import Hit, Rule, Subject

_TOPICS = (documents, names, files, stored, provenance, bases, history, authority, tested, exposure, releases, waivers)
RULES: tuple[Rule, ...] = tuple(sorted((rule for topic in _TOPICS for rule in topic.RULES), key=attrgetter("code")))
SEVERITIES = {rule.code: rule.severity for rule in RULES}

__all__ = ["RULES", "SEVERITIES", "Hit", "Rule", "Subject"]
