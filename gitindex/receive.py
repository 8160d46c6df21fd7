"""What a push would change, checked reference by reference: before it is sent, and before it is received."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import BinaryIO, NamedTuple

from gitindex.compare import Change
from gitindex.errors import CannotRunError, UsageError
from gitindex.finding import Finding, Severity, Verdict
from gitindex.git import Repository
from gitindex.guard import attribute, verdict_on
from gitindex.layout import SETTINGS
from gitindex.model import Settings
from gitindex.names import is_commit_id
from gitindex.rules.history import HISTORY
from gitindex.snapshot import Snapshot

_BRANCHES = "refs/heads/"


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


def hook_lines(stream: BinaryIO) -> Iterator[str]:
    """Yield the lines that git gives to a hook; bytes that are not UTF-8 are surrogate escapes.

    Raises:
        UsageError: a person is at the other end, and would wait for an answer.

    """
    if stream.isatty():
        raise UsageError("this is run by git, and reads what git says of a push", help="see: docs/how-to/guard.md")
    for line in stream:
        yield line.decode("utf-8", "surrogateescape").removesuffix("\n")


def read_updates(lines: Iterable[str]) -> list[Update]:
    """Read what git tells a pre-receive hook: a line ``old new reference`` for each reference.

    Raises:
        UsageError: it is something else, or nothing.

    """
    updates = []
    for line in lines:
        words = line.split(" ", 2)
        if len(words) != 3 or not words[2] or not all(map(is_commit_id, words[:2])):  # noqa: PLR2004
            raise UsageError(f"{line.strip()[:100]!r} is no line `old new reference`", help=_HOOK_HELP)
        updates.append(Update(words[2], _object(words[0]), _object(words[1])))
    if not updates:
        raise UsageError("there is no line `old new reference`, so nothing is pushed", help=_HOOK_HELP)
    return updates


_HOOK_HELP = "gitindex pre-receive is run by git: put `exec gitindex pre-receive` into hooks/pre-receive"


def _object(text: str) -> str | None:
    return None if set(text) == {"0"} else text


def read_push(
    environment: Mapping[str, str], lines: Iterable[str], last_seen: Callable[[str, str], str | None]
) -> list[Update]:
    """Read what a pre-push hook is told: by pre-commit (or prek) in its environment, else by git in lines.

    Git's lines are ``<local reference> <local commit> <remote reference> <remote commit>``; there is none where the
    remote has everything. What the environment says of the remote is not always what the remote has, so *last_seen* is
    asked first: it takes a branch and a remote and returns a commit, or ``None``.

    Raises:
        UsageError: there is neither.

    """
    if (reference := environment.get("PRE_COMMIT_REMOTE_BRANCH")) is not None:
        branch, remote = reference.removeprefix(_BRANCHES), environment.get("PRE_COMMIT_REMOTE_NAME", "")
        # For the push of a whole history, pre-commit names the branch alone.
        new = environment.get("PRE_COMMIT_TO_REF") or environment.get("PRE_COMMIT_LOCAL_BRANCH") or "HEAD"
        return [Update(reference, last_seen(branch, remote) or environment.get("PRE_COMMIT_FROM_REF") or None, new)]
    if "PRE_COMMIT" in environment:
        hint = "it is for git push; to check what is committed: gitindex validate --head HEAD"
        raise UsageError("pre-commit names nothing that is pushed", help=hint)
    updates = []
    for line in lines:
        words = line.split(" ")
        if len(words) != 4 or not all(map(is_commit_id, words[1::2])):  # noqa: PLR2004
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
    is_strict: bool = False
    """Whether a warning refuses as an error does."""
    today: date | None = None
    """The day on which waivers are judged."""

    def sent(self, updates: Sequence[Update]) -> Iterator[Received]:
        """Yield the verdict on each branch that is to be pushed from here: what it brings beside what is published.

        The protected branch may only go forward, and is not deleted; other branches may be rewritten and deleted. What
        is no branch is not looked at.

        Raises:
            GitindexError: a revision is not here.

        """
        protected = _BRANCHES + self.repository.origin.protected_branch
        for update in updates:
            is_protected = update.reference == protected
            if not update.is_branch or (update.new is None and not is_protected):
                continue
            if update.new is None:
                yield self._deletion(update)
            elif is_protected:
                yield self._verdict(update, self._published_on(update), self.repository.at(update.new))
            else:
                head = self.repository.at(update.new)
                base = self._published_before(str(head.name), protected.removeprefix(_BRANCHES))
                if _has_index(base, head):
                    yield self._verdict(update, base, head)

    def _published_on(self, update: Update) -> Snapshot | None:
        """Open what the remote has on the protected branch, ``None`` before it is first pushed."""
        if update.old is None:
            is_new = self.repository.origin.tip(update.branch) is None
            return None if is_new else self.repository.origin.published(str(self.repository.at(str(update.new)).name))
        if not self.repository.has_revision(update.old):
            problem = f"the remote has {update.old[:12]} on {update.branch}, the protected branch, and it is not here"
            raise CannotRunError(problem, help="git fetch, and push what comes after it")
        return self.repository.at(update.old)

    def _published_before(self, head: str, protected: str) -> Snapshot | None:
        """Open what the branch of a commit started from, ``None`` for a history of its own."""
        tip = self.repository.origin.tip(protected)
        if tip is None and not self.repository.origin.is_known:
            return None
        if tip is not None and not self.repository.is_shallow and self.repository.merge_base(head, tip) is None:
            return None
        return self.repository.origin.published(head)

    def received(self, updates: Sequence[Update], *, every_branch: bool = False) -> Iterator[Received]:
        """Yield the verdict on each branch of a push that is to be received here.

        The protected branch is the one that HEAD is and the one that the policy of its last commit names: what is there
        may not be rewritten or deleted, and what comes is validated against it. Other branches are checked where
        *every_branch* is asked for, against what they share with the protected one. Tags are not looked at.

        Raises:
            GitindexError: there is no index repository, or a revision cannot be read.

        """
        # To push to a symbolic reference is to push to what it stands for, and so is to delete it.
        updates = [update._replace(reference=self.repository.history.resolve(update.reference)) for update in updates]
        published = self._published()
        self._expect_settings(updates, published)
        for update in updates:
            is_protected = self._is_protected(update, published)
            if not update.is_branch or not (is_protected or (every_branch and update.new is not None)):
                continue
            if update.new is None:
                yield self._deletion(update)
                continue
            is_first = is_protected and published is None and update.old is None
            if is_first and (other := self._other_protected(update.reference)):
                yield self._second(update, other)
                continue
            head = self.repository.at(update.new)
            if is_protected:
                self._expect_head(update, published)
                before = update.old or published
            else:
                before = self.repository.merge_base(update.new, published) if published else None
            base = None if before is None else self.repository.at(before)
            if is_protected or _has_index(base, head):
                yield self._verdict(update, base, head)

    def _expect_settings(self, updates: Sequence[Update], published: str | None) -> None:
        """Refuse where nothing is an index repository: a hook that checks nothing must not look like one that does."""
        pushed = [commit for update in updates if update.is_branch for commit in (update.old, update.new)]
        commits = [commit for commit in (published, *pushed) if commit is not None]
        if pushed and all(self.repository.at(commit).settings_or_problem is None for commit in commits):
            path = f"{self.repository.folder}/{SETTINGS}".removeprefix("/")
            hint = "on the server: name its folder in hooks/pre-receive, gitindex --folder PATH pre-receive"
            raise CannotRunError(f"there is no {path} here, so this is no index repository", help=hint)

    def _expect_head(self, update: Update, published: str | None) -> None:
        """Refuse a push that ends the protection of a branch that only its own policy protects."""
        if published is None and update.old and update.new and self._protects(update.new) != update.reference:
            problem = f"{update.branch} would not be protected any more, and HEAD of this repository is not on a branch"
            hint = f"on the server: git symbolic-ref HEAD {update.reference}"
            raise CannotRunError(f"{problem} with commits", help=hint)

    def _published(self) -> str | None:
        """Return the commit that is published here: that of the branch that HEAD is, or of the one that it protects."""
        tips = (self.repository.history.tip(branch) for branch in self._protected())
        return next((tip for tip in tips if tip is not None), None)

    def _protected(self) -> list[str]:
        """Return the branches, by their full names, that are protected whatever a push says."""
        heads = self.repository.head_branches
        tips = (self.repository.history.tip(head) for head in heads)
        return [*heads, *(self._protects(tip) for tip in tips if tip is not None)]

    def _protects(self, commit: str) -> str:
        """Return the branch, by its full name, that the policy of a commit protects."""
        settings = self.repository.at(commit).settings_or_problem
        return _BRANCHES + (settings if isinstance(settings, Settings) else Settings(format=1)).policy.protected_branch

    def _is_protected(self, update: Update, published: str | None) -> bool:
        protected = [self.repository.history.resolve(reference) for reference in self._protected()]
        if not update.is_branch or update.reference in protected:
            return update.is_branch
        # HEAD may be a branch that nobody ever pushed. A branch that names itself is protected then.
        stated = update.old or (update.new if published is None else None)
        return stated is not None and self._protects(stated) == update.reference

    def _other_protected(self, reference: str) -> str | None:
        """Return another branch that protects itself: where HEAD is a branch that is not there, it does not tell."""
        history = self.repository.history
        others = ((name, history.tip(name)) for name in history.references(_BRANCHES) if name != reference)
        return next((name for name, tip in others if tip is not None and self._protects(tip) == name), None)

    def _verdict(self, update: Update, base: Snapshot | None, head: Snapshot) -> Received:
        if not _has_index(base, head):
            _ = head.settings  # says that this is no index repository
        repository = self.repository
        descends = None if base is None else repository.descends(str(head.name), str(base.name))
        change = Change(base, head, descends=descends, today=self.today)
        attribute(repository, change, actor=self.actor, head=head.name)
        return Received(update.branch, verdict_on(change, folder=repository.folder, is_strict=self.is_strict))

    def _deletion(self, update: Update) -> Received:
        message = f"{update.branch} is the protected branch, and would be deleted"
        return self._refusal(update, message, "leave it; delete another branch")

    def _second(self, update: Update, other: str) -> Received:
        protected = other.removeprefix(_BRANCHES)
        message = (
            f"{update.branch} would be taken for the protected branch, which is {protected}: HEAD does not name it"
        )
        return self._refusal(update, message, f"on the server: git symbolic-ref HEAD {other}")

    def _refusal(self, update: Update, message: str, help_: str) -> Received:
        finding = Finding(SETTINGS, None, HISTORY, Severity.ERROR, message, help_)
        return Received(update.branch, Verdict((finding,), update.old, None, folder=self.repository.folder))


def _has_index(base: Snapshot | None, head: Snapshot) -> bool:
    return head.settings_or_problem is not None or (base is not None and base.settings_or_problem is not None)
