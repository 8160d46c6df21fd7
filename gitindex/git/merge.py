"""What Git makes of two commits by itself. The repository is left as it is: new objects go to a temporary folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple
from weakref import finalize

from gitindex.errors import CannotRunError
from gitindex.git.command import ask_git

# Two commits give the same everywhere: neither the settings nor the attributes of whoever merges them count. In a bare
# repository, newer versions of git would take the attributes of HEAD; the id is that of an empty tree.
_SETTINGS = (
    f"core.attributesFile={os.devnull}",
    "attr.tree=4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "merge.renames=true",
    "merge.directoryRenames=conflict",
)


class Merge(NamedTuple):
    """The result of a merge."""

    tree: str
    """Where there are conflicts, their files have Git's markers in it."""
    conflicts: tuple[str, ...]
    """Paths, sorted."""


class Merger:
    """Merges commits of a repository, whose own objects are in the folder *objects*."""

    def __init__(self, directory: Path, objects: Path) -> None:
        self._directory = directory
        self.objects = Path(mkdtemp(prefix="gitindex-merge-"))
        """The folder that the objects of the results are put into; it goes with this value."""
        finalize(self, shutil.rmtree, self.objects, ignore_errors=True)
        # In a hook, the objects that are coming in lie in a quarantine, with the others as its alternates.
        known = [os.environ.get("GIT_OBJECT_DIRECTORY"), os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES")]
        places = [place for place in (*known, str(objects)) if place]
        self._environment = {
            "GIT_OBJECT_DIRECTORY": str(self.objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(dict.fromkeys(places)),
            "GIT_ATTR_NOSYSTEM": "1",
            "LC_ALL": "C",
        }

    def merge(self, ours: str, theirs: str) -> Merge:
        """Merge two commits as a forge does. Renames are followed: no version of git before 2.50 can do without.

        Raises:
            CannotRunError: the two share no history, or git is older than 2.38.

        """
        options = [word for setting in _SETTINGS for word in ("-c", setting)]
        words = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs]
        try:
            done = ask_git(self._directory, *options, *words, environment=self._environment, accepted=(0, 1))
        except CannotRunError as error:
            if "usage" in error.message or "unknown" in error.message:
                raise CannotRunError("git is too old to merge in memory", help="install git 2.38 or newer") from None
            raise
        tree, *conflicts = done.out.split("\0")
        return Merge(tree, tuple(sorted({path for path in conflicts if path})))
