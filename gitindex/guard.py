"""Who does what in a change between revisions: the actor that is named, and the signers of its commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gitindex.compare import Act, Change, Commit
from gitindex.model import Settings

if TYPE_CHECKING:
    from gitindex.git import Repository, Signature
    from gitindex.rights import Actor
    from gitindex.snapshot import Snapshot


def merged_change(repository: Repository, base: Snapshot, head: Snapshot, *, everything: bool = False) -> Change:
    """Return what a merge of *head* into *base*, as a forge would make it, changes of *base*; both are commits.

    Raises:
        CannotRunError: the two share no history, or git is too old.

    """
    merged, conflicts = repository.merged(str(base.name), str(head.name), follows_renames=True)
    return Change(base, merged, everything=everything, conflicts=conflicts)


def attribute(repository: Repository, change: Change, *, actor: str | None, head: str | None) -> Change:
    """Say in a change who does what, so that its rules on authority apply; return the change.

    *actor* (a user, or an identity) makes all of it. *head* is the commit it ends with, where it does: if the policy in
    force wants commits signed, each one that the base does not have is its signer's act.

    Raises:
        CannotRunError: a commit is not here, its signature cannot be checked, or the base has its index repository in
            another folder.

    """
    repository.check_place(change.base)
    acts = [] if actor is None else [Act(change, change.rights.actor(actor))]
    if head is not None and _wants_signatures(change):
        base = change.base.name if change.has_base else None
        acts += _signed_acts(repository, change, repository.history.new_commits(head, base))
    change.acts = tuple(acts)
    return change


def _wants_signatures(change: Change) -> bool:
    settings = (change.base if change.has_base else change.head).settings_or_problem
    return isinstance(settings, Settings) and settings.policy.require_signed_commits


def _signed_acts(repository: Repository, change: Change, commits: Sequence[str]) -> Iterator[Act]:
    rights = change.rights
    trusted = {key for key, user in rights.identities.items() if user is not None}
    signatures = repository.signatures(commits, trusted) if commits else {}
    for commit_id in commits:
        signer, problem = _signer(change, signatures[commit_id])
        for own in _own_changes(repository, commit_id):
            yield Act(own, signer, Commit(commit_id, problem))


def _signer(change: Change, signature: Signature) -> tuple[Actor | None, str]:
    if signature.problem:
        return None, signature.problem
    signer = change.rights.actor(signature.identity)
    if signer.user is None:
        return None, f"is signed with {signature.identity}, which is no identity of a user"
    return signer, ""


def _own_changes(repository: Repository, commit_id: str) -> Iterator[Change]:
    """Yield what a commit itself changes: of its parent, or of what Git by itself makes of its two parents.

    Renames are not followed there: they would move one person's release to where another one moved a folder. A merge
    of more than two has no such result, and answers for all that it has otherwise than any of its parents.
    """
    head = repository.at(commit_id)
    match repository.history.commit(commit_id).parents:
        case ():
            yield Change(None, head)
        case (one, other):
            yield Change(repository.merged(one, other, follows_renames=False)[0], head)
        case parents:
            for parent in parents:
                yield Change(repository.at(parent), head)
