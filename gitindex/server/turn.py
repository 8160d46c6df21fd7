"""The turn of processes that write to one repository, and the commit that the last of them made.

It lies in the folder that Git has of the repository: who can write there can do anything to it.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

_NAME = "gitindex-writing"


class Turn:
    """Whose turn it is."""

    def __init__(self, git_directory: Path) -> None:
        self._path = git_directory / _NAME

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Wait until no other process writes, and let them wait."""
        with self._path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def made(self) -> str:
        """The last commit that was made and proven in a turn; anything else, where nobody can tell."""
        try:
            return self._path.read_text("ascii", "replace")
        except OSError:
            return ""

    @made.setter
    def made(self, commit: str) -> None:
        # In place: the file is the lock. What is torn is nobody's commit, and is proven anew.
        with contextlib.suppress(OSError):
            self._path.write_text(commit, "ascii")
