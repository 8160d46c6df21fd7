"""A plan: what a command that writes would change. It is validated before it is carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gitindex.tree import Leaf, leaf


@dataclass
class Plan:
    """Files to write (bytes, or a file to copy) and to remove (``None``), by path; and what to tell about it."""

    changes: dict[str, bytes | Path | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    concerned: list[str] = field(default_factory=list)
    """Paths that are already as the plan wants them, and belong into its commit where they are in none yet."""

    def leaves(self) -> dict[str, Leaf | None]:
        """Return the changes as an overlay takes them."""
        return {path: _leaf(change) for path, change in self.changes.items()}

    @property
    def summary(self) -> str:
        """What the plan does, for a commit message."""
        return self.notes[0] if len(self.notes) == 1 else f"{self.notes[0]} and {len(self.notes) - 1} more"


def _leaf(change: bytes | Path | None) -> Leaf | None:
    if isinstance(change, Path):
        return Leaf("file", change.read_bytes, None, lambda: change.stat().st_size, lambda: change.open("rb"))
    return None if change is None else leaf(change)
