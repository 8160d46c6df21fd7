"""Writes .github/workflows of this project: the workflows that index repositories call."""

from __future__ import annotations

from pathlib import Path

from gitindex.edits.workflows import WORKFLOWS, reusable

FOLDER = Path(__file__).parents[1] / ".github" / "workflows"

if __name__ == "__main__":
    for name in WORKFLOWS:
        (FOLDER / f"{name}.yml").write_text(reusable(name), "utf-8")
