"""Judges whether a pull request may be merged without anybody looking at it."""

from __future__ import annotations

from datetime import date

from gitindex.additions import beyond_additions
from gitindex.forge.github import Pull
from gitindex.git import Repository
from gitindex.guard import attribute, merged_change, verdict_on
from gitindex.model import Settings


def reason_to_leave(
    repository: Repository, pull: Pull, head: str, today: date, *, pushed_by: str, is_squash: bool = False
) -> str | None:
    """Say why a pull request that ends with the commit *head* is left to people; ``None`` where it may be merged.

    It may be where it is to be merged into the protected branch, nothing in the whole Git repository changes but
    releases that are added to, whoever opened it may release them and has *pushed* it, and no rule has anything to say.
    Others can push to the branch of a pull request: those who can write to its repository. Where commits have to be
    signed, a squash is not one that whoever may release has signed.

    Raises:
        CannotRunError: the branch or the commit is not here, or the two share no history.

    """
    protected = repository.origin.protected_branch
    if pull.is_draft:
        return "it is a draft"
    if pull.target != protected:
        return f"it goes to {pull.target}, and {protected} is the protected branch"
    if pushed_by.casefold() != pull.author.casefold():
        return f"{pushed_by} pushed to it, and {pull.author} opened it"
    base, after = repository.at(f"refs/remotes/origin/{protected}"), repository.at(head)
    change = merged_change(repository, base, after, today=today)
    beyond = beyond_additions(change, repository.brought(str(base.name), head))
    if beyond is not None:
        return f"it {beyond}"
    settings = change.policy.settings_or_problem
    if is_squash and isinstance(settings, Settings) and settings.policy.require_signed_commits:
        return "its commits have to be signed, and the forge alone would sign a squash of them"
    attribute(repository, change, actor=f"github:{pull.author}", head=head)
    findings = verdict_on(change, folder=repository.folder, is_merged=True).findings
    if findings:
        return f"{findings[0].path}: {findings[0].code} {findings[0].message}"
    return None
