"""What a rule is: a function over a change and one subject of it, with a record of facts about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import cleandoc
from typing import Any, NamedTuple

from gitindex.compare import Act, Change
from gitindex.differences import ProjectChange, StoredFile
from gitindex.finding import Judgement, Severity
from gitindex.snapshot import Index

Subject = Change | Index | ProjectChange | StoredFile | Act | Judgement
"""What a rule looks at: the change as a whole, an index of the head whose definition or surroundings differ, a project
that differs, a stored file that differs, what somebody does; or what all rules that look at these have said."""


class Hit(NamedTuple):
    """A place where a rule is broken."""

    path: str
    message: str
    help: str
    line: int | None = None


class Rule(NamedTuple):
    """A rule; the docstring of its function is its explanation."""

    code: str
    severity: Severity
    statement: str
    """What it refuses, in one line."""
    scopes: tuple[type, ...]
    """The subjects it looks at."""
    check: Callable[[Change, Any], Iterator[Hit]]

    @property
    def explanation(self) -> str:
        """Why the rule is there and what to do when it fires."""
        return cleandoc(self.check.__doc__ or "")
