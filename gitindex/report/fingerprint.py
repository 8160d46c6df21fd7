"""What makes a finding the same finding tomorrow."""

from __future__ import annotations

import hashlib
from collections import Counter

from gitindex.finding import Verdict


def fingerprints(verdict: Verdict) -> list[str]:
    """Return a fingerprint for each finding, in their order: no two are equal, and none depends on a line.

    It is made of the rule, the path and the message; findings that share these are numbered.
    """
    seen: Counter[str] = Counter()
    found = []
    for finding in verdict.findings:
        facts = "\0".join((finding.code, verdict.place(finding), finding.message))
        digest = hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()
        seen[digest] += 1
        found.append(f"{digest}:{seen[digest]}")
    return found
