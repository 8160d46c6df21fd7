"""What the remote had when it was last seen here: what is published, and which branch of it is protected."""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from gitindex.errors import CannotRunError
from gitindex.git.command import run_git
from gitindex.model import Settings

if TYPE_CHECKING:
    from gitindex.git.repository import Repository
    from gitindex.snapshot import Snapshot

NAME = "origin"
_AT_ONCE: AbstractContextManager[None] = nullcontext()
_BRANCHES = f"refs/remotes/{NAME}/"
_DEFAULT_BRANCH = f"{_BRANCHES}HEAD"
_MERGED_BY_HOOK = re.compile(r"GITHEAD_([0-9a-f]{40}|[0-9a-f]{64})", re.ASCII)


class Origin:
    """The remote of a repository, as far as it was fetched."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def published(self, head: str | None = None) -> Snapshot | None:
        """Open what a change is compared with by default: what is published.

        That is the newest commit that *head* (where it is not given: the checked out commit, and what is being merged
        into it) shares with the protected branch of the remote, else the checked out commit; ``None`` before the first
        commit.

        Raises:
            CannotRunError: the two share no history, or the protected branch of the remote was not fetched.

        """
        repository = self._repository
        checked_out = repository.head()
        if checked_out is None:
            return None
        branch = self.protected_branch
        tip = self.tip(branch)
        if tip is None:
            if self.is_known:
                # What a commit says of the protected branch must not make the comparison with it go away.
                hint = f"git fetch {NAME} {branch}, or name what is published with --base"
                raise CannotRunError(f"{NAME}/{branch}, the protected branch, is not here", help=hint)
            return repository.at(checked_out)
        if not repository.has_revision(_DEFAULT_BRANCH) and (other := self._other_protected(branch)):
            hint = f"git remote set-head {NAME} --auto, or name what is published with --base"
            both = f"{NAME}/{branch} and {NAME}/{other}"
            raise CannotRunError(f"{both} both say that they are the protected one", help=hint)
        shared = repository.merge_base(tip, *([head] if head else self._next_parents(checked_out)))
        if shared is None:
            hint = "the clone is shallow: git fetch --unshallow" if repository.is_shallow else "name one with --base"
            raise CannotRunError(f"{head or 'HEAD'} and {NAME}/{branch} share no commit to compare with", help=hint)
        return repository.at(shared)

    def tip(self, branch: str) -> str | None:
        """Return the commit that a branch had when it was last seen here, ``None`` without any."""
        return self._repository.history.remote_tip(branch, NAME)

    @property
    def is_known(self) -> bool:
        """Whether any branch of it was seen here."""
        return any(self._repository.history.references(_BRANCHES))

    @property
    def protected_branch(self) -> str:
        """The protected branch as its default branch states it, else as the checked out commit does."""
        repository = self._repository
        stated = _DEFAULT_BRANCH if repository.has_revision(_DEFAULT_BRANCH) else repository.head()
        settings = None if stated is None else repository.at(stated).settings_or_problem
        return (settings if isinstance(settings, Settings) else Settings(format=1)).policy.protected_branch

    def branch_to_pull(self, reference: str) -> str:
        """Return the full name of the branch that :meth:`pull` would bring for *reference*.

        Raises:
            CannotRunError: it is no branch, or there is no remote to bring it from.

        """
        branch = self._repository.history.resolve(reference)
        if branch == "HEAD":
            raise CannotRunError("HEAD is at no branch, so there is none to pull", help="name one with --branch")
        if NAME not in self._repository.remotes:
            raise CannotRunError(
                f"there is no remote {NAME} to pull from", help=f"add it with: git remote add {NAME} URL"
            )
        return branch

    def pull(self, reference: str, *, timeout: float, moving: AbstractContextManager[None] = _AT_ONCE) -> None:
        """Bring a branch (or ``HEAD``) to where the remote has it, in no more than *timeout* seconds.

        It only goes forward: where the remote was rewritten, nothing is changed. A checked out branch takes its working
        tree along, as `git pull` does, while *moving* is entered.

        Raises:
            CannotRunError: there is nothing to pull, the remote does not answer, has no such branch, or its branch does
                not go on from here.

        """
        repository = self._repository
        branch = self.branch_to_pull(reference)
        is_checked_out = not repository.is_bare and repository.top in repository.worktrees_at(branch)
        place = repository.own_directory if repository.is_bare else repository.top
        arguments = ["fetch", "--quiet", NAME, branch if is_checked_out else f"{branch}:{branch}"]
        settings = {"GIT_TERMINAL_PROMPT": "0"}
        answer = run_git(place, *arguments, environment=settings, timeout=timeout, accepted=(0, 1))
        if answer.code and answer.errors.strip():
            raise CannotRunError(f"git {arguments[0]}: {' '.join(answer.errors.split())}")
        if answer.code:  # a quiet fetch refuses in silence what is no fast-forward
            short = branch.removeprefix("refs/heads/")
            raise CannotRunError(
                f"the branch {short} of {NAME} does not go on from the one here: it was rewritten",
                help=f"if that was meant, take it over: git fetch {NAME} +{short}:{short}",
            )
        if not is_checked_out or (tip := self.fetched(branch)) is None:
            return
        with moving:
            if repository.top in repository.worktrees_at(branch):  # somebody may have checked out another one
                run_git(repository.top, "merge", "--quiet", "--ff-only", tip, timeout=timeout)

    def fetched(self, branch: str) -> str | None:
        """Return the commit that the remote had at *branch*, by its full name, when it was last fetched.

        That is known of the very last fetch alone, also where :meth:`pull` did not take the commit over because the
        branch was rewritten; ``None`` where that fetch failed, or was of something else.
        """
        try:
            said = (self._repository.own_directory / "FETCH_HEAD").read_text("utf-8", "surrogateescape")
        except OSError:
            return None
        name = re.escape(branch.removeprefix("refs/heads/"))
        found = re.search(rf"^([0-9a-f]{{40,64}})\t[^\t\n]*\tbranch '{name}' of ", said, re.MULTILINE)
        return found[1] if found else None

    def _other_protected(self, branch: str) -> str | None:
        """Return another branch that says that it is the protected one: the head alone may say *branch*."""
        for name in self._repository.history.references(_BRANCHES):
            other = name.removeprefix(_BRANCHES)
            if other != branch and self._repository.has_revision(name):
                settings = self._repository.at(name).settings_or_problem
                if isinstance(settings, Settings) and settings.policy.protected_branch == other:
                    return other
        return None

    def _next_parents(self, checked_out: str) -> list[str]:
        """Return the parents of the next commit: what is checked out, and what is being merged into it.

        In the hook of a merge that has no conflict, Git has not written down yet what is merged: it is in the
        environment alone.
        """
        listed = self._repository.own_directory / "MERGE_HEAD"
        merging = listed.read_text("ascii").split() if listed.is_file() else []
        merging += [match[1] for name in os.environ if (match := _MERGED_BY_HOOK.fullmatch(name))]
        return [checked_out, *filter(self._repository.has_revision, dict.fromkeys(merging))]
