"""A plan: what a command that writes would change. It is validated before it is carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gitindex.tree import Leaf, leaf

UNCHANGED = "Unchanged:"
"""How the note of what is already as it should be starts."""


@dataclass
class Plan:
    """Files to write (bytes, or a file to copy) and to remove (``None``), by path; and what to tell about it."""

    changes: dict[str, bytes | Path | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    concerned: list[str] = field(default_factory=list)
    """Paths that are already as the plan wants them, and belong into its commit where they are in none yet."""
    uploads: dict[str, bytes | Path] = field(default_factory=dict)
    """Files for a storage outside of the repository, by path; they are written before all else."""

    def leaves(self) -> dict[str, Leaf | None]:
        """Return the changes as an overlay takes them."""
        return {path: _leaf(change) for path, change in self.changes.items()}

    def files(self) -> list[Path]:
        """Return the files that are copied."""
        return [source for source in (*self.changes.values(), *self.uploads.values()) if isinstance(source, Path)]

    @property
    def summary(self) -> str:
        """What the plan does, for a commit message; what is unchanged is told where nothing else is."""
        done = [note for note in self.notes if not note.startswith(UNCHANGED)]
        # What is as it should be, and in no commit yet, was brought by an earlier command.
        told = done or [note.replace(UNCHANGED, "Keep", 1) for note in self.notes]
        text = told[0] if len(told) == 1 else f"{told[0]} and {len(told) - 1} more"
        # One line, whatever somebody calls the environment of a test: a next one could name another author.
        return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _leaf(change: bytes | Path | None) -> Leaf | None:
    if isinstance(change, Path):
        return Leaf("file", change.read_bytes, None, lambda: change.stat().st_size, lambda: change.open("rb"))
    return None if change is None else leaf(change)
