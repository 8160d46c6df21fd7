"""A change on a branch of its own: made on top of what the remote has now, and pushed there.

Working tree, index and HEAD of the user are left alone: the files of the change alone are written, to a temporary
folder, for Git's own filters. What has to be made anew of the repository are the trees on the way to them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import pygit2

from gitindex.errors import CannotRunError, DeclinedError, MovedError
from gitindex.git.command import Answer, ask_git, run_git
from gitindex.git.commits import Content, Place, tree_with
from gitindex.git.creation import is_branch_name
from gitindex.git.folders import reason
from gitindex.git.origin import NAME
from gitindex.names import is_commit_id

if TYPE_CHECKING:
    from gitindex.git.repository import Repository
    from gitindex.snapshot import Snapshot

PREFIX = "gitindex/"
"""What the branches that gitindex pushes begin with."""
TRAILER = "Gitindex-Branch"
"""What a commit of ours says at the end of its message: the branch that it was made for."""
_HEADS = "refs/heads/"
_SECONDS = 600.0
"""For one conversation with the remote."""
_FOLDERS = "gitindex-change-"
_STALE = 24 * 3600.0
"""So long after it was made, nobody works in a temporary folder any more."""
_SECRET = re.compile(r"(?<=://)[^/\s]*@")
# What somebody set up for a working tree must not act on the temporary one, nor on what is pushed.
_PLAIN = tuple(
    word
    for setting in (
        f"core.hooksPath={os.devnull}",
        "core.sparseCheckout=false",
        "core.fsmonitor=false",
        "core.splitIndex=false",
        "push.recurseSubmodules=no",
        f"remote.{NAME}.mirror=false",
    )
    for word in ("-c", setting)
)
_FETCH = ("--quiet", "--no-tags", "--no-prune", "--no-auto-gc", "--no-write-fetch-head", "--no-recurse-submodules")
_MOVED = ("stale info", "cannot lock ref", "incorrect old value", "(fetch first)", "(non-fast-forward)")
"""How git says that a branch is not where it was: on this side, and on the other."""
_NO_OPTIONS = "does not support push options"


class Tips(NamedTuple):
    """What branches of the remote lead to now."""

    protected: str
    """The commit of the protected branch."""
    ours: Mapping[str, str]
    """The commits of the branches that begin with :data:`PREFIX`, by name."""


class Proposals:
    """Changes to what the remote has, each on a branch of its own."""

    def __init__(self, repository: Repository, git: pygit2.Repository) -> None:
        self._repository = repository
        self._git = git
        self._tips: Tips | None = None
        self._with_pointers: set[str] = set()
        """The commits made here whose files Git LFS has."""

    @property
    def branch(self) -> str:
        """The protected branch: what proposals are made to."""
        return self._repository.origin.protected_branch

    @property
    def url(self) -> str:
        """Where it is pushed to, with the credentials that stand in it.

        Raises:
            CannotRunError: there is no remote.

        """
        self._check_remote()
        return self._ask("remote", "get-url", "--push", NAME).out.strip()

    def published(self) -> Snapshot:
        """Open what the protected branch of the remote holds now, and see what is proposed to it already.

        Raises:
            CannotRunError: there is no remote, it does not answer, or has no such branch.

        """
        self._check_remote()
        branch = self.branch
        if not is_branch_name(branch):
            raise CannotRunError(f"{branch!r} cannot name a branch", help="see protected_branch in gitindex.toml")
        said = self._ask("ls-remote", "--quiet", NAME, f"{_HEADS}{branch}", f"{_HEADS}{PREFIX}*").out
        found = {}
        for line in said.splitlines():
            commit, _, name = line.partition("\t")
            if is_commit_id(commit) and name.startswith(_HEADS):
                found[name.removeprefix(_HEADS)] = commit
        protected = found.get(branch)
        if protected is None:
            help_ = f"push it first: git push {NAME} {branch}"
            raise CannotRunError(f"{NAME} has no branch {branch} to propose a change to", help=help_)
        self._tips = Tips(protected, {name: tip for name, tip in found.items() if name.startswith(PREFIX)})
        self._bring(protected)
        return self._repository.at(protected)

    def unpushed(self) -> int:
        """Return how many commits the protected branch has here that the remote, as :meth:`published` saw it, has not.

        Where its history is not all here, it is not known, and 0.
        """
        here = self._git.branches.local.get(self.branch)
        if self._tips is None or here is None:
            return 0
        try:
            return len(self._repository.history.new_commits(str(here.target), self._tips.protected))
        except CannotRunError:
            return 0

    def called_here(self, branch: str, commit: str) -> str:
        """Return what Git knows the end of a proposed branch by here: the branch of the remote, else the commit."""
        name = f"{NAME}/{branch}"
        found = self._git.branches.remote.get(name)
        return name if found is not None and str(found.target) == commit else commit[:12]

    def pending(self, branch: str) -> str | None:
        """Return the commit that a branch of the remote has, as :meth:`published` saw it; ``None`` without any.

        Raises:
            CannotRunError: somebody else has a commit on it, or the remote does not give it.

        """
        if self._tips is None or (tip := self._tips.ours.get(branch)) is None:
            return None
        self._bring(tip)
        for commit in self._repository.history.new_commits(tip, self._tips.protected):
            if not self._is_ours(commit, branch):
                raise CannotRunError(
                    f"the branch {branch} of {NAME} has a commit that gitindex did not make: {commit[:12]}",
                    help=f"merge its pull request, or remove the branch: git push {NAME} --delete {branch}",
                )
        return tip

    def is_same(self, commit: str, other: str) -> bool:
        """Tell whether two commits have the same content on top of the same commit."""
        one, two = (self._git[pygit2.Oid(hex=each)].peel(pygit2.Commit) for each in (commit, other))
        return one.tree_id == two.tree_id and one.parent_ids == two.parent_ids

    def commit(
        self,
        base: str,
        changes: Mapping[str, Content],
        message: str,
        branch: str,
        beside: Mapping[str, Content] = MappingProxyType({}),
    ) -> str:
        """Commit *changes*, by path in the index repository, on top of *base*; no branch here leads to it.

        Files *beside* the index repository are committed with them, by path from the top of the Git repository. Git
        itself makes blobs and commit, with the user's filters, name and signature; no hook is run.

        Raises:
            CannotRunError: Git refuses, or the disk does.

        """
        prefix = f"{self._repository.folder}/" if self._repository.folder else ""
        wanted = {**{f"{prefix}{path}": content for path, content in changes.items()}, **beside}
        root = self._git[pygit2.Oid(hex=base)].peel(pygit2.Commit).tree
        try:
            self._remove_stale()
            with TemporaryDirectory(prefix=_FOLDERS, dir=self._repository.own_directory) as folder:
                places = self._add(Path(folder), root, wanted)
            tree = tree_with(self._git, root, {**dict.fromkeys(wanted), **places})
            has_pointers = any(self._is_pointer(oid) for _, oid in places.values())
        except (pygit2.GitError, KeyError, ValueError, OSError) as error:
            raise CannotRunError(f"the change cannot be committed: {reason(error)}") from None
        text = f"{message.rstrip()}\n\n{TRAILER}: {branch}\n"
        words = ("commit-tree", *self._signing(), "-p", base, "-F", "-", str(tree))
        commit = self._own(*words, data=text).out.strip()
        if has_pointers:
            self._with_pointers.add(commit)
        return commit

    def push(self, commit: str, branch: str) -> str:
        """Push a commit to a branch, unless the branch moved since :meth:`published`; return what the remote said.

        Raises:
            MovedError: the branch moved.
            CannotRunError: the remote does not take it.

        """
        return self._push(commit, f"{_HEADS}{branch}", self._lease(branch))

    def push_with_options(self, commit: str, branch: str, options: Sequence[str]) -> str | None:
        """Push like :meth:`push`, with *options* for the server; ``None`` (nothing is pushed) where it takes none."""
        return self._with_options(commit, f"{_HEADS}{branch}", options, self._lease(branch))

    def push_for_review(self, commit: str, options: Sequence[str]) -> str | None:
        """Push to `refs/for/`, where a server with AGit makes a request of it; see :meth:`push_with_options`."""
        return self._with_options(commit, f"refs/for/{self.branch}", options, ())

    def advance(self, branch: str, old: str, new: str, *, has_pointers: bool) -> None:
        """Let a branch of the remote (by its full name) go on to *new*, which comes after *old*.

        Where it *has pointers*, files of Git LFS are brought first.

        Raises:
            MovedError: the remote has something else on it.
            DeclinedError: a hook or a rule of the remote refuses it.
            CannotRunError: the remote does not answer.

        """
        self._check_remote()
        if has_pointers:
            self._ask("lfs", "pre-push", NAME, self.url, data=f"{branch} {new} {branch} {old}\n")
        self._push(new, branch, ())

    def _lease(self, branch: str) -> tuple[str, ...]:
        tip = self._tips.ours.get(branch, "") if self._tips else ""
        return (f"--force-with-lease={_HEADS}{branch}:{tip}",)

    def _with_options(self, commit: str, target: str, options: Sequence[str], words: Sequence[str]) -> str | None:
        listed = [word for option in options for word in ("-o", option)]
        try:
            return self._push(commit, target, (*words, *listed))
        except CannotRunError as error:
            if _NO_OPTIONS in str(error):
                return None
            raise

    def _push(self, commit: str, target: str, words: Sequence[str]) -> str:
        self._push_large_files(commit, target)
        arguments = ("push", "--no-verify", "--no-follow-tags", "--porcelain", "--no-progress")
        answer = self._ask(*arguments, *words, NAME, f"{commit}:{target}", accepted=(0, 1, 128))
        if answer.code:
            raise _refusal(answer, target)
        return _without_secrets(answer.errors)

    def _push_large_files(self, commit: str, target: str) -> None:
        """Let Git LFS, whose hook is not run, push what its filter took out of the files."""
        if commit in self._with_pointers:
            line = f"{target} {commit} {target} {'0' * len(commit)}\n"
            self._ask("lfs", "pre-push", NAME, self.url, data=line)

    def _is_pointer(self, oid: pygit2.Oid) -> bool:
        """Tell whether a blob is what Git LFS has in the place of a file."""
        is_small = self._git.odb.read_header(oid)[1] < _LARGEST_POINTER
        return is_small and self._git.odb.read(oid)[1].startswith(_POINTER)

    def _check_remote(self) -> None:
        if NAME not in self._repository.remotes:
            raise CannotRunError(f"there is no remote {NAME} to push to", help=f"add it: git remote add {NAME} URL")

    def _is_ours(self, commit: str, branch: str) -> bool:
        message = self._git[pygit2.Oid(hex=commit)].peel(pygit2.Commit).raw_message
        lines = message.decode("utf-8", "surrogateescape").rstrip().splitlines()
        return bool(lines) and lines[-1] == f"{TRAILER}: {branch}"

    def _bring(self, commit: str) -> None:
        """Bring a commit by its id: no reference here is changed, and no two runs are in each other's way."""
        if pygit2.Oid(hex=commit) not in self._git:
            self._ask("fetch", *_FETCH, NAME, commit)

    def _ask(self, *arguments: str, data: str = "", accepted: Sequence[int] = (0,)) -> Answer:
        """Run git where the user would: a remote may be a path from there."""
        place = self._repository.own_directory if self._repository.is_bare else self._repository.top
        # Somebody at a terminal may be asked for a password; nobody waits for a program.
        quiet = {} if sys.stdin is not None and sys.stdin.isatty() else {"GIT_TERMINAL_PROMPT": "0"}
        # The words of git are read here.
        environment = {**quiet, "LC_ALL": "C.UTF-8"}
        try:
            return run_git(
                place, *_PLAIN, *arguments, data=data, environment=environment, accepted=accepted, timeout=_SECONDS
            )
        except CannotRunError as error:
            raise CannotRunError(_without_secrets(error.message), help=_without_secrets(error.help)) from None

    def _own(self, *arguments: str, data: str = "", environment: Mapping[str, str] | None = None) -> Answer:
        return ask_git(self._repository.own_directory, *_PLAIN, *arguments, data=data, environment=environment or {})

    def _remove_stale(self) -> None:
        """Remove what runs that were killed left behind."""
        for folder in self._repository.own_directory.glob(f"{_FOLDERS}*"):
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < time.time() - _STALE:
                    shutil.rmtree(folder, ignore_errors=True)

    def _signing(self) -> tuple[str, ...]:
        """Return the word that signs a commit, where the user signs every one: `commit-tree` does not look."""
        directory = self._repository.own_directory
        answer = ask_git(directory, "config", "--type=bool", "--get", "commit.gpgSign", accepted=(0, 1))
        return ("-S",) if answer.out.strip() == "true" else ()

    def _add(self, folder: Path, root: pygit2.Tree, changes: Mapping[str, Content]) -> dict[str, Place]:
        """Return what Git makes of the files that are written, by path."""
        top = folder / "tree"
        top.mkdir()
        for path, data in _attributes(root, changes):
            _write(top / path, data)
        written = [path for path, content in changes.items() if content is not None]
        for path in written:
            _write(top / path, changes[path])
        if not written:
            return {}
        environment = {"GIT_WORK_TREE": str(top), "GIT_INDEX_FILE": str(folder / "index")}
        listed = "\0".join(f":(top,literal){path}" for path in written)
        words = ("add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
        ask_git(self._repository.own_directory, *_PLAIN, *words, cwd=top, data=listed, environment=environment)
        said = self._own("ls-files", "--stage", "-z", environment=environment).out
        places: dict[str, Place] = {}
        for entry in said.split("\0")[:-1]:
            facts, _, path = entry.partition("\t")
            mode, oid, _ = facts.split()
            places[path] = int(mode, 8), pygit2.Oid(hex=oid)
        return places


_POINTER = b"version https://git-lfs.github.com/spec/"
_LARGEST_POINTER = 1024


def _attributes(root: pygit2.Tree, paths: Mapping[str, Content]) -> Iterator[tuple[str, bytes]]:
    """Yield the `.gitattributes` that say what Git does with files at *paths*."""
    folders = {""}
    for path in paths:
        folders.update(accumulate(path.split("/")[:-1], lambda way, name: f"{way}{name}/", initial=""))
    for folder in sorted(folders):
        path = f"{folder}.gitattributes"
        if path not in paths and path in root:
            found = root[path]
            if isinstance(found, pygit2.Blob):
                yield path, found.data


def _write(target: Path, content: Content) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        if not content.is_file():
            raise CannotRunError(f"{content}: is not there any more", help="nothing was pushed; run it again")
        shutil.copyfile(content, target)
    elif content is not None:
        target.write_bytes(content)


def _refusal(answer: Answer, target: str) -> CannotRunError | MovedError:
    """Return the error that says why a push failed, in the server's own words where it has some."""
    errors = _without_secrets(answer.errors)
    if any(words in answer.out + errors for words in _MOVED):
        return MovedError(f"{target.removeprefix(_HEADS)} of {NAME} was pushed by somebody else just now")
    said = [line.removeprefix("remote:").strip() for line in errors.splitlines() if line.startswith("remote:")]
    fatal = [line for line in errors.splitlines() if line.startswith(("fatal:", "error:", "ssh:"))]
    status = [line.split("\t")[-1] for line in answer.out.splitlines() if line.startswith("!")]
    lines = [_without_secrets(line) for line in (*status, *(fatal if not status else ()), *said) if line.strip()]
    kind = DeclinedError if any("[remote rejected]" in line for line in status) else CannotRunError
    return kind(f"git push: {lines[0] if lines else 'failed'}", help="\n".join(lines[1:]))


def _without_secrets(text: str) -> str:
    """Return what git said without the names and passwords in its URLs."""
    return _SECRET.sub("", text)
