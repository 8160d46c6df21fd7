"""The turn of processes that write to one repository, and the commits that the last of them has proven.

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
    def last(self) -> tuple[str, str]:
        """The last commit that was made and proven in a turn, behind what it goes on from; else anything.

        The branch may not have got there.
        """
        kept = self._kept()
        return kept[0], kept[-1]

    def proves(self, commit: str) -> bool:
        """Tell whether a commit was made and proven in the last turn, or was what that went on from."""
        return commit in self._kept()

    def remember(self, before: str, made: str) -> None:
        """Remember that *made*, which is proven, goes on from *before*, which is so too."""
        # In place: the file is the lock. What is torn is nobody's commit, and is proven anew.
        with contextlib.suppress(OSError):
            self._path.write_text(f"{before} {made}", "ascii")

    def _kept(self) -> list[str]:
        try:
            return self._path.read_text("ascii", "replace").split() or [""]
        except OSError:
            return [""]
