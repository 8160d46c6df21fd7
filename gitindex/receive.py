"""What a push would change, checked reference by reference: before it is sent, and before it is received."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gitindex.compare import Change
from gitindex.errors import UsageError
from gitindex.finding import Finding, Severity, Verdict
from gitindex.git import Repository
from gitindex.guard import attribute
from gitindex.layout import SETTINGS
from gitindex.model import Settings
from gitindex.rules.history import HISTORY
from gitindex.snapshot import Snapshot
from gitindex.validate import validate

_BRANCHES = "refs/heads/"
_COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)


class Update(NamedTuple):
    """A reference that is to lead somewhere else."""

    reference: str
    """Its full name, on the side that receives."""
    old: str | None
    """The commit (or other object) that it led to; ``None`` where it is new."""
    new: str | None
    """``None`` where it is deleted."""

    @property
    def is_branch(self) -> bool:
        """Whether it is a branch."""
        return self.reference.startswith(_BRANCHES)

    @property
    def branch(self) -> str:
        """The name of the branch."""
        return self.reference.removeprefix(_BRANCHES)


def read_updates(lines: Iterable[str]) -> list[Update]:
    """Read what git tells a pre-receive hook: a line ``old new reference`` for each reference.

    Raises:
        UsageError: it is something else.

    """
    updates = []
    for line in lines:
        words = line.rstrip("\n").split(" ", 2)
        if len(words) != 3 or not all(map(_COMMIT_ID.fullmatch, words[:2])):  # noqa: PLR2004
            raise UsageError(f"{line.strip()[:100]!r} is no line `old new reference`", help=_HOOK_HELP)
        updates.append(Update(words[2], _object(words[0]), _object(words[1])))
    return updates


_HOOK_HELP = "gitindex pre-receive is run by git: put `exec gitindex pre-receive` into hooks/pre-receive"


def _object(text: str) -> str | None:
    return None if set(text) == {"0"} else text


def read_push(environment: Mapping[str, str], lines: Iterable[str]) -> list[Update]:
    """Read what a pre-push hook is told: by pre-commit in its environment, else by git in lines.

    Git's lines are ``<local reference> <local commit> <remote reference> <remote commit>``.

    Raises:
        UsageError: there is neither.

    """
    if (branch := environment.get("PRE_COMMIT_REMOTE_BRANCH")) is not None:
        # For the push of a whole history, pre-commit names the branch alone.
        new = environment.get("PRE_COMMIT_TO_REF") or environment.get("PRE_COMMIT_LOCAL_BRANCH") or "HEAD"
        return [Update(branch, environment.get("PRE_COMMIT_FROM_REF") or None, new)]
    updates = []
    for line in lines:
        words = line.split()
        if len(words) != 4 or not all(map(_COMMIT_ID.fullmatch, words[1::2])):  # noqa: PLR2004
            raise UsageError(f"{line.strip()[:100]!r} is no line of a pre-push hook", help=_PUSH_HELP)
        updates.append(Update(words[2], _object(words[3]), _object(words[1])))
    return updates


_PUSH_HELP = "put `exec gitindex validate --pushed` into .git/hooks/pre-push, or use the hook of pre-commit"


class Received(NamedTuple):
    """What is said of one branch of a push."""

    branch: str
    verdict: Verdict


class Door(NamedTuple):
    """Where pushes are checked: the repository that they leave or come to, and who makes them."""

    repository: Repository
    actor: str | None = None
    """A user or an identity, where it is known."""

    def sent(self, updates: Sequence[Update]) -> Iterator[Received]:
        """Yield the verdict on each branch that is to be pushed from here: what it brings beside what is published.

        The protected branch may only go forward, and is not deleted; other branches may be rewritten and deleted. What
        is no branch is not looked at.

        Raises:
            GitindexError: a revision is not here.

        """
        protected = _BRANCHES + self.repository.protected_branch
        for update in updates:
            is_protected = update.reference == protected
            if not update.is_branch or (update.new is None and not is_protected):
                continue
            if update.new is None:
                yield self._deletion(update)
            elif is_protected and update.old and self.repository.has_revision(update.old):
                yield self._verdict(update, self.repository.at(update.old), update.new)
            else:
                head = self.repository.at(update.new)
                yield self._verdict(update, self.repository.published(head.name), update.new)

    def received(self, updates: Sequence[Update], *, every_branch: bool = False) -> Iterator[Received]:
        """Yield the verdict on each branch of a push that is to be received here.

        The protected branch is the one that HEAD is and the one that the policy of its last commit names: what is there
        may not be rewritten or deleted, and what comes is validated against it. Other branches are checked where
        *every_branch* is asked for, against what they share with the protected one. Tags are not looked at.

        Raises:
            GitindexError: there is no index repository, or a revision cannot be read.

        """
        published = self._published()
        for update in updates:
            is_protected = self._is_protected(update, published)
            if not update.is_branch or not (is_protected or (every_branch and update.new is not None)):
                continue
            if update.new is None:
                yield self._deletion(update)
                continue
            if is_protected:
                base = update.old or published
            else:
                base = self.repository.merge_base(update.new, published) if published else None
            yield self._verdict(update, None if base is None else self.repository.at(base), update.new)

    def _published(self) -> str | None:
        """Return the commit that is published here: that of the branch that HEAD is, or of the one that it protects."""
        tips = (self.repository.history.tip(branch) for branch in self._protected())
        return next((tip for tip in tips if tip is not None), None)

    def _protected(self) -> list[str]:
        """Return the branches, by their full names, that are protected whatever a push says."""
        head = self.repository.history.head_branch
        tip = self.repository.history.tip(head) if head else None
        return [*([head] if head else []), *([self._protects(tip)] if tip else [])]

    def _protects(self, commit: str) -> str:
        """Return the branch, by its full name, that the policy of a commit protects."""
        settings = self.repository.at(commit).settings_or_problem
        return _BRANCHES + (settings if isinstance(settings, Settings) else Settings(format=1)).policy.protected_branch

    def _is_protected(self, update: Update, published: str | None) -> bool:
        protected = [self.repository.history.target(reference) for reference in self._protected()]
        # A branch that is another name of the protected one (a symbolic reference) is that one.
        if not update.is_branch or self.repository.history.target(update.reference) in protected:
            return update.is_branch
        # HEAD may be a branch that nobody ever pushed. A branch that names itself is protected then.
        stated = update.old or (update.new if published is None else None)
        return stated is not None and self._protects(stated) == update.reference

    def _verdict(self, update: Update, base: Snapshot | None, new: str) -> Received:
        repository = self.repository
        head = repository.at(new)
        if head.settings_or_problem is None and (base is None or base.settings_or_problem is None):
            _ = (
                head.settings
            )  # says that this is no index repository: a hook that checks nothing must not look like one
        descends = None if base is None else repository.descends(str(head.name), str(base.name))
        change = attribute(repository, Change(base, head, descends=descends), actor=self.actor, head=head.name)
        found = tuple(validate(change))
        return Received(update.branch, Verdict(found, base.name if base else None, head.name, folder=repository.folder))

    def _deletion(self, update: Update) -> Received:
        message = f"{update.branch} is the protected branch, and would be deleted"
        finding = Finding(SETTINGS, None, HISTORY, Severity.ERROR, message, "leave it; delete another branch")
        return Received(update.branch, Verdict((finding,), update.old, None, folder=self.repository.folder))
