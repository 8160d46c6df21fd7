"""The one owner of pygit2: revisions, the staged index and the working tree as folders of an index repository."""

from gitindex.git.blobs import Blobs
from gitindex.git.folders import GitFolder
from gitindex.git.repository import STAGED, WORKTREE, Repository, configured_identity, create, is_branch_name

__all__ = ["STAGED", "WORKTREE", "Blobs", "GitFolder", "Repository", "configured_identity", "create", "is_branch_name"]
