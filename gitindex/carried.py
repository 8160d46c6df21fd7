"""What mirrors have of some projects, where a site carries it: for hosts that cannot send clients to an upstream.

A site does not ask for it: it is an input beside the revision, as values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gitindex.names import IndexName, ProjectName
from gitindex.pages import ProjectPage

Identities = Mapping[tuple[IndexName, ProjectName], str]
"""What changes whenever what mirrors have of a project for a stage does."""


@dataclass(frozen=True)
class Carried:
    """Pages of mirrors by the stage that shows them; equal ones are one value."""

    pages: Mapping[IndexName, Mapping[ProjectName, ProjectPage]] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    """The paths in the site of files of these pages that are there already, with their metadata."""

    def of(self, stage: IndexName) -> Mapping[ProjectName, ProjectPage]:
        """Return the pages that a stage shows, to be joined with ours."""
        return self.pages.get(stage, {})

    @cached_property
    def identities(self) -> Identities:
        """By stage and project."""
        known: dict[int, str] = {}
        found = {}
        for stage, pages in self.pages.items():
            for name, page in pages.items():
                if id(page) not in known:
                    known[id(page)] = hashlib.blake2b(repr(page).encode(), digest_size=12).hexdigest()
                found[stage, name] = known[id(page)]
        return found


NOTHING = Carried()
