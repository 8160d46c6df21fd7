"""The one owner of pygit2: revisions, the staged index and the working tree as folders of an index repository."""

from gitindex.git.authors import Author
from gitindex.git.folders import GitFolder
from gitindex.git.history import CommitInfo
from gitindex.git.past import Past
from gitindex.git.repository import STAGED, WORKTREE, Repository
from gitindex.git.signatures import Signature

__all__ = [
    "STAGED",
    "WORKTREE",
    "Author",
    "CommitInfo",
    "GitFolder",
    "Past",
    "Repository",
    "Signature",
]
