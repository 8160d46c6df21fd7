"""Changes between revisions: what a merge would give, who does what in it, and the verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from gitindex.compare import Act, Change, Commit
from gitindex.finding import Verdict
from gitindex.model import Settings, User
from gitindex.snapshot import Snapshot
from gitindex.threeway import together
from gitindex.tree import Overlay, leaf_at
from gitindex.validate import judge, with_way_to_waive

if TYPE_CHECKING:
    from datetime import date

    from gitindex.git import Repository, Signature
    from gitindex.rights import Actor


def merged_change(
    repository: Repository, base: Snapshot, head: Snapshot, *, everything: bool = False, today: date | None = None
) -> Change:
    """Return what a merge of *head* into *base*, as a forge would make it, changes of *base*; both are commits.

    Raises:
        CannotRunError: the two share no history, or git is too old.

    """
    merged, conflicts = repository.merged(str(base.name), str(head.name))
    return Change(base, merged, everything=everything, conflicts=conflicts, today=today)


def verdict_on(change: Change, *, folder: str, is_merged: bool = False, is_strict: bool = False) -> Verdict:
    """Return the verdict on a change of the index repository in *folder* of the Git repository.

    Where it is strict, a warning says how it is accepted.
    """
    found, waived = judge(change)
    return Verdict(
        tuple(map(with_way_to_waive, found)) if is_strict else found,
        change.base.name if change.has_base else None,
        change.head.name,
        is_merged=is_merged,
        is_strict=is_strict,
        waived=len(waived),
        folder=folder,
    )


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
        acts += _signed_acts(repository, change, head)
    change.acts = tuple(acts)
    return change


def actor_by_email(repository: Repository, worktree: Snapshot) -> str | None:
    """Return the one user who has Git's `user.email`, as the policy in force knows them; ``None`` where nobody is."""
    email = repository.email().casefold()
    policy = Change(repository.origin.published(), worktree).policy
    users = ((name, policy.user(name)) for name in policy.user_names()) if email else ()
    found = [name for name, user in users if isinstance(user, User) and user.email.casefold() == email]
    return found[0] if len(found) == 1 else None


def _wants_signatures(change: Change) -> bool:
    settings = change.policy.settings_or_problem
    return isinstance(settings, Settings) and settings.policy.require_signed_commits


def _signed_acts(repository: Repository, change: Change, head: str) -> Iterator[Act]:
    rights, base = change.rights, change.base.name
    commits = repository.history.new_commits(head, base)
    trusted = {key for key, user in rights.identities.items() if user is not None}
    signatures = repository.signatures(commits, trusted) if commits else {}
    for commit_id in commits:
        signer, problem = _signer(change, signatures[commit_id])
        for own in _own_changes(repository, commit_id, base):
            yield Act(own, signer, Commit(commit_id, problem))
        if commit_id == head and base is not None and change.head.root.id != repository.at(head).root.id:
            # It is to be merged: who signed the last commit answers for what a forge makes of it beyond the two sides.
            for own in _own_part(repository, change.base, repository.at(head), change.head):
                yield Act(own, signer, Commit(commit_id, problem))


def _signer(change: Change, signature: Signature) -> tuple[Actor | None, str]:
    if signature.problem:
        return None, signature.problem
    signer = change.rights.actor(signature.identity)
    if signer.user is None:
        return None, f"is signed with {signature.identity}, which is no identity of a user"
    return signer, ""


def _own_changes(repository: Repository, commit_id: str, base: str | None) -> Iterator[Change]:
    """Yield what a commit itself changes: of its parent, or of what its two parents make of each other.

    A merge of more than two answers for all that it has otherwise than any of its parents. One that brings in a history
    of its own answers for all of that: whoever signed it did so for another repository.
    """
    head = repository.at(commit_id)
    parents = [repository.at(parent) for parent in _parents(repository, commit_id)]
    match parents:
        case []:
            yield Change(None, head)
        case [one, other]:
            yield from _own_part(repository, one, other, head)
        case _:
            for parent in parents:
                yield Change(parent, head)
    for parent in parents if len(parents) > 1 and base is not None else ():
        if repository.merge_base(str(parent.name), str(base)) is None:
            yield Change(None, parent)


def _parents(repository: Repository, commit_id: str) -> tuple[str, ...]:
    parents = repository.history.commit(commit_id).parents
    for parent in parents:
        repository.history.commit(parent)  # a shallow clone may lack it
    return parents


def _own_part(repository: Repository, one: Snapshot, other: Snapshot, merged: Snapshot) -> Iterator[Change]:
    """Yield what a merge of two commits has otherwise than the two make of each other.

    Renames are not followed: they would move one person's release to where another one moved a folder. Where nobody can
    tell what the two make, as in a conflict, the merge answers for what it has otherwise than either of them.
    """
    bases = [repository.at(base).root for base in repository.merge_bases(str(one.name), str(other.name))]
    taken, mixed, undecided = together(bases, one.root, other.root)
    if mixed:
        lines, conflicts = repository.merged(str(one.name), str(other.name))
        undecided += tuple({*mixed}.intersection(conflicts))
        taken |= {path: leaf_at(lines.root, path) for path in mixed}
    taken |= {path: leaf_at(merged.root, path) for path in undecided}
    yield Change(Snapshot(Overlay(one.root, taken), one.name), merged)
    for side in (one, other) if undecided else ():
        yield Change(_with_files_of(side, undecided, merged), merged)


def _with_files_of(other: Snapshot, paths: Collection[str], snapshot: Snapshot) -> Snapshot:
    """Return a snapshot with the files at *paths* as *other* has them."""
    return Snapshot(Overlay(snapshot.root, {path: leaf_at(other.root, path) for path in paths}), other.name)
