"""What an import did, and what it could not carry over, with the reason of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from gitindex.finding import Finding
from gitindex.names import IndexName
from gitindex.report.json import finding_json
from gitindex.report.markdown import code, prose
from gitindex.report.text import count

GOES_ON = "Broken off: the same command goes on from here."


class Kind(StrEnum):
    """How much it weighs that something was not carried over."""

    NOTE = "note"
    """It has no counterpart here, or needs none."""
    LEFT_OUT = "left out"
    """It is not sound, or the rules refuse it."""
    CONFLICT = "conflict"
    """Something else of that name is here."""
    MISSING = "missing"
    """The other side did not deliver it; it may do so later."""


class Left(NamedTuple):
    """Something that was not carried over as it was."""

    kind: Kind
    place: str
    """The index or the user; empty where it concerns all of it."""
    what: str
    why: str

    def __str__(self) -> str:
        place = ": ".join(filter(None, (self.place, self.what)))
        return f"{self.kind}: {place}: {self.why}"


class Brought(NamedTuple):
    """What was written of one index."""

    name: IndexName
    files: int
    releases: int
    unchanged: int
    """Files that were there already."""
    commits: tuple[str, ...] = ()

    def __str__(self) -> str:
        unchanged = f", {self.unchanged:,} unchanged" if self.unchanged else ""
        return f"{self.name}: {count(self.files, 'file')} of {count(self.releases, 'release')} brought{unchanged}"


class Report:
    """Collects what is told."""

    def __init__(self) -> None:
        self.brought: list[Brought] = []
        self.left: dict[Left, None] = {}
        self.warnings: list[Finding] = []
        self.users = 0
        self.users_commit: str | None = None
        self.tops: set[str] = set()
        """What was written to: `indexes`, `files`."""
        self.proposed = ""
        """The request with what was brought, or its branch; empty where nothing is proposed."""
        self.is_broken_off = False

    def add(self, kind: Kind, place: object, what: str, why: str) -> None:
        """Note that something was not carried over."""
        self.left[Left(kind, str(place), what, why)] = None

    def note(self, place: object, what: str, why: str) -> None:
        """Note something that has no counterpart."""
        self.add(Kind.NOTE, place, what, why)

    def take_back(self) -> None:
        """Forget what was brought: it comes to nothing."""
        self.brought.clear()
        self.tops.clear()
        self.users = 0

    def sorted(self) -> list[Left]:
        """Return what was not carried over: what weighs most comes last, where it is seen."""
        order = {Kind.NOTE: 0, Kind.LEFT_OUT: 1, Kind.MISSING: 2, Kind.CONFLICT: 3}
        return sorted(self.left, key=lambda left: (order[left.kind], left.place, left.what, left.why))

    @property
    def committed(self) -> str:
        """The last commit of what was brought, and how many there are before it; empty without one."""
        commits = [commit for each in self.brought for commit in each.commits]
        commits = commits or [commit for commit in (self.users_commit,) if commit is not None]
        before = f" and {len(commits) - 1:,} before it" if len(commits) > 1 else ""
        return f"{commits[-1][:12]}{before}" if commits else ""

    @property
    def exit_code(self) -> int:
        """0 where all was brought, 1 where a file is left out or in conflict, 3 where only the network failed."""
        kinds = {left.kind for left in self.left}
        if kinds & {Kind.LEFT_OUT, Kind.CONFLICT}:
            return 1
        return 3 if Kind.MISSING in kinds else 0

    def data(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "broken_off": self.is_broken_off,
            "users": self.users,
            "brought": [
                {**each._asdict(), "name": str(each.name), "commits": list(each.commits)} for each in self.brought
            ],
            "left": [left._asdict() for left in self.sorted()],
            "warnings": [*map(finding_json, self.warnings)],
        }

    def markdown(self, told: str) -> str:
        """Return it as a page for people, to be kept beside what was brought."""
        users = [f"- {count(self.users, 'user')} brought"] if self.users else []
        lines = [f"# Import from {code(told)}", "", *users, *(f"- {prose(str(each))}" for each in self.brought)]
        lines += [f"- proposed: {code(self.proposed)}"] if self.proposed else []
        lines += [f"- committed as {self.committed}"] if self.committed else []
        lines += [f"- {GOES_ON}"] if self.is_broken_off else []
        for kind in reversed(Kind):
            of_kind = [left for left in self.sorted() if left.kind is kind]
            if of_kind:
                lines += ["", f"## {kind.capitalize()}", "", *map(_item, of_kind)]
        return "\n".join(lines) + "\n"


def _item(left: Left) -> str:
    place = ": ".join(code(text) for text in (left.place, left.what) if text)
    return f"- {place}: {prose(left.why)}"
