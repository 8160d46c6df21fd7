"""The rules, in the order of their codes; one topic a module."""

from __future__ import annotations

from gitindex.rules import bases, documents, files, history, names
from gitindex.rules.rule import Hit, Rule, Subject

RULES: tuple[Rule, ...] = (*documents.RULES, *names.RULES, *files.RULES, *bases.RULES, *history.RULES)
SEVERITIES = {rule.code: rule.severity for rule in RULES}

__all__ = ["RULES", "SEVERITIES", "Hit", "Rule", "Subject"]
