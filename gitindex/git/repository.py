"""Repositories: which revision, what is staged, what lies in the working tree, and what is published."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pygit2

from gitindex import layout
from gitindex.errors import CannotRunError, NotThereError, UsageError
from gitindex.git.command import run_git
from gitindex.git.folders import GitFolder, blob_leaf, disk_leaf, is_gone, reason
from gitindex.git.history import History
from gitindex.git.merge import Merger
from gitindex.git.signatures import Signature, check_signatures
from gitindex.git.trees import LargeTrees
from gitindex.model import Settings
from gitindex.snapshot import Snapshot
from gitindex.tree import EMPTY, Folder, Leaf, Overlay, find

if TYPE_CHECKING:
    from gitindex.git.blobs import Blobs

WORKTREE: Final = "worktree"
STAGED: Final = "index"
_COMMIT_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_REVISION_END = re.compile(r"[~^:]|@\{")
_ORIGIN = "refs/remotes/origin/"
_DEFAULT_BRANCH = f"{_ORIGIN}HEAD"
_PLACES = ("refs/", "refs/tags/", "refs/heads/", "refs/remotes/")
"""Where Git looks for a reference that is not written out, in this order."""
_MERGED_BY_HOOK = re.compile(r"GITHEAD_([0-9a-f]{40}|[0-9a-f]{64})", re.ASCII)


class Repository:
    """A Git repository, bare or not, and the folder of it that is the index repository."""

    def __init__(self, repository: pygit2.Repository, folder: str, way: Sequence[str] = ()) -> None:
        self._git = repository
        self.folder = folder
        """Path of the index repository in the Git repository, with ``/``; empty for the whole of it."""
        self._way = way
        """The folders that it was looked for in, where nobody named it."""
        self._large = LargeTrees()

    @classmethod
    def open(cls, directory: Path, folder: str | None = None) -> Repository:
        """Open the repository that *directory* lies in.

        Without *folder*, the index repository is the nearest folder at or above *directory* that has a `gitindex.toml`
        (in the working tree or in the last commit); in a bare repository it is the root.

        Raises:
            CannotRunError: there is no repository, or Git refuses to open it.

        """
        if not directory.is_dir():
            raise CannotRunError(f"{directory}: there is no such folder")
        try:
            found = pygit2.discover_repository(str(directory))
            if found is None:
                raise CannotRunError(f"{directory}: not in a Git repository", help="make one with: gitindex init")
            repository = pygit2.Repository(found)
        except (pygit2.GitError, ValueError) as error:
            hint = "git config --global --add safe.directory DIR" if "owned" in str(error) else ""
            raise CannotRunError(f"{directory}: Git cannot open it: {reason(error)}", help=hint) from None
        if quarantine := os.environ.get("GIT_QUARANTINE_PATH"):
            repository.odb.add_disk_alternate(quarantine)
        if folder is not None:
            return cls(repository, folder.strip("/"))
        if repository.is_bare:
            return cls(repository, "")
        way = tuple(_way_up(Path(repository.workdir).resolve(), directory.resolve()))
        try:
            return cls(repository, _nearest(repository, way), way)
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise CannotRunError(f"HEAD cannot be read: {reason(error)}", help="run: git fsck") from None

    @property
    def is_bare(self) -> bool:
        """Whether there is no working tree."""
        return self._git.is_bare

    @property
    def root(self) -> Path:
        """The folder of the index repository in the working tree.

        Raises:
            CannotRunError: the repository is bare.

        """
        return self.top / self.folder

    @property
    def top(self) -> Path:
        """The top of the working tree.

        Raises:
            CannotRunError: the repository is bare.

        """
        if self._git.workdir is None:
            raise CannotRunError(
                "this repository is bare: it has no working tree", help="name a revision, or use a clone"
            )
        return Path(self._git.workdir)

    @property
    def git_directory(self) -> Path:
        """The repository's own folder (`.git`): the one that all its linked working trees share."""
        own = Path(self._git.path)
        shared = own / "commondir"
        return own / shared.read_text().strip() if shared.is_file() else own

    def blobs(self) -> Blobs:
        """Return a reader of large blobs, for one thread; it is to be closed."""
        from gitindex.git.blobs import Blobs  # noqa: PLC0415 - most runs need no process

        return Blobs(Path(self._git.path))

    @property
    def head_branches(self) -> list[str]:
        """The branches that HEAD is, by their full names, even before their first commit; none where it is detached.

        They are two in a linked working tree: its own, and that of the repository itself.
        """
        with self._reading():
            itself = (
                [pygit2.Repository(str(self.git_directory))] if (Path(self._git.path) / "commondir").is_file() else []
            )
            targets = [found.references["HEAD"].target for found in (self._git, *itself)]
        return [target for target in dict.fromkeys(targets) if isinstance(target, str)]

    @property
    def is_shallow(self) -> bool:
        """Whether the history is cut off."""
        return self._git.is_shallow

    def head(self) -> str | None:
        """Return the id of the commit that is checked out, ``None`` before the first one."""
        try:
            return None if self._git.head_is_unborn else str(self._git.head.peel(pygit2.Commit).id)
        except (KeyError, pygit2.GitError) as error:
            raise CannotRunError(f"HEAD cannot be read: {reason(error)}", help="run: git fsck") from None

    def _commit(self, revision: str) -> pygit2.Commit:
        try:
            if _COMMIT_ID.fullmatch(revision):  # no reference of that name is meant, even where the commit is not here
                return self._git[pygit2.Oid(hex=revision)].peel(pygit2.Commit)
            self._refuse_ambiguous(revision)
            return self._git.revparse_single(revision).peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError) as error:
            missing = isinstance(error, KeyError) and set(revision) <= set("0123456789abcdef")
            hint = (
                "the clone is shallow: git fetch --unshallow"
                if missing and self.is_shallow
                else "see: git log, git branch -a"
            )
            raise NotThereError(f"{revision}: no such revision", help=hint) from None

    def _refuse_ambiguous(self, revision: str) -> None:
        """Refuse a name that two references have: Git takes the tag, and so whoever pushes one says what is meant."""
        name = _REVISION_END.split(revision, maxsplit=1)[0]
        if not self.history.has(name):
            found = [place + name for place in _PLACES if self.history.has(place + name)]
            if len(found) > 1:
                raise UsageError(f"{name} is ambiguous", help=f"write out which one it is: {' or '.join(found)}")

    def commit_id(self, revision: str) -> str:
        """Return the id of the commit that *revision* names.

        Raises:
            NotThereError: no such revision.
            UsageError: two references have that name.

        """
        return str(self._commit(revision).id)

    def has_revision(self, revision: str) -> bool:
        """Tell whether *revision* names a commit."""
        try:
            self._commit(revision)
        except NotThereError:
            return False
        return True

    def at(self, revision: str) -> Snapshot:
        """Open the index repository at a revision.

        Raises:
            NotThereError: no such revision.
            UsageError: two references have that name.

        """
        commit = self._commit(revision)
        return Snapshot(self._subfolder(self._tree(commit)), str(commit.id))

    def check_place(self, base: Snapshot) -> None:
        """Make sure that a *base* has its index repository at this very place, where it has one on the way to it.

        Which folder it is, the working tree says: a change that moves `gitindex.toml` must not make what was published
        look like nothing, nor have another index repository looked at, above the one that is meant.

        Raises:
            CannotRunError: it has.

        """
        if base.name is None:
            return
        is_here = base.settings_or_problem is not None
        root = self._tree(self._commit(base.name))
        for folder in takewhile(lambda folder: folder != self.folder, self._way) if is_here else self._way:
            if folder != self.folder and find(root, _settings_in(folder)) is not None:
                here, there = self.folder or "the top", folder or "the top"
                message = f"the index repository is taken to be {here}, and was {there} in {base.name[:12]}"
                raise CannotRunError(message, help="say which one is meant: --folder PATH (--folder / for the top)")

    def _tree(self, commit: pygit2.Commit) -> GitFolder:
        return GitFolder(self._git, commit.tree_id.raw, self._large)

    def _subfolder(self, root: Folder) -> Folder:
        for name in self.folder.split("/") if self.folder else ():
            entry = root.entries().get(name)
            if entry is None or entry.kind != "folder":
                return EMPTY
            root = root.folder(name)
        return root

    def _head_folder(self) -> Folder:
        head = self.head()
        return EMPTY if head is None else self._tree(self._commit(head))

    def staged(self) -> Snapshot:
        """Open what is staged: what the next commit would hold (in a hook, the index that Git names there).

        Raises:
            CannotRunError: there are unmerged paths, or the repository is bare and no hook says what is staged.

        """
        if "GIT_INDEX_FILE" not in os.environ:
            _ = self.top  # a bare repository has none of its own
        head = self._head_folder()
        changes: dict[str, Leaf | None] = {}
        for path, mode, object_id in self._staged_entries() if isinstance(head, GitFolder) else self._whole_index():
            changes[path] = blob_leaf(self._git, object_id, mode) if mode else None
        return Snapshot(self._subfolder(Overlay(head, changes) if changes else head), STAGED)

    def _staged_entries(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield path, mode (0: deleted) and object of what is staged otherwise than it is in the last commit.

        Git itself compares the two: it knows which folders are untouched, and libgit2 reads the whole index.
        """
        words = ("diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
        fields = iter(self._ask_git(*words, "HEAD").split("\0"))
        for facts, path in zip(fields, fields, strict=False):  # what is behind the last one is empty
            _, mode, _, object_id, status = facts.split(" ")
            if status == "U":
                raise _conflict(path)
            yield path, int(mode, 8), bytes.fromhex(object_id)

    def _whole_index(self) -> Iterator[tuple[str, int, bytes]]:
        for line in self._ask_git("ls-files", "--stage", "--full-name", "-z").split("\0")[:-1]:
            facts, _, path = line.partition("\t")
            mode, object_id, stage = facts.split(" ")
            if stage != "0":
                raise _conflict(path)
            yield path, int(mode, 8), bytes.fromhex(object_id)

    def _ask_git(self, *arguments: str) -> str:
        """Run git on this very repository, whatever a hook's environment names, and return what it prints."""
        top = Path(self._git.workdir or self._git.path)
        environment = {"GIT_DIR": self._git.path, "GIT_NO_REPLACE_OBJECTS": "1"}  # libgit2 knows no replaced objects
        return run_git(top, *arguments, environment=environment).out

    def worktree(self) -> Snapshot:
        """Open the working tree: what is there now, untracked files that are not ignored included."""
        top, head, keeps_modes = self.top, self._head_folder(), self.keeps_modes
        changes: dict[str, Leaf | None] = {}
        with self._reading():
            status = self._git.status(untracked_files="all", ignored=False)
        left_out = self._left_out() if any(map(is_gone, status.values())) else frozenset()
        for path, flags in status.items():
            if flags == pygit2.enums.FileStatus.CURRENT or not self._is_inside(path) or path in left_out:
                continue
            # What Git calls gone is not looked for: the way to it may lead through a link that took a folder's place.
            changes[path.rstrip("/")] = (
                None if is_gone(flags) else disk_leaf(top / path.rstrip("/"), keeps_modes=keeps_modes)
            )
        return Snapshot(self._subfolder(Overlay(head, changes) if changes else head), WORKTREE)

    @property
    def keeps_modes(self) -> bool:
        """Whether the working tree says which files are executable."""
        return self._is_set("core.filemode", default=True)

    def _is_set(self, key: str, *, default: bool) -> bool:
        with self._reading():
            return self._git.config.get_bool(key) if key in self._git.config else default

    def _left_out(self) -> frozenset[str]:
        """Return the paths that a sparse checkout leaves out: not on the disk, and not deleted."""
        if not self._is_set("core.sparseCheckout", default=False):
            return frozenset()
        listed = self._run_git("ls-files", "-t", "-z", cwd=self.top).split("\0")
        return frozenset(line[2:] for line in listed if line.startswith("S "))

    def _is_inside(self, path: str) -> bool:
        return not self.folder or path == self.folder or path.startswith(self.folder + "/")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (pygit2.GitError, KeyError, OSError) as error:
            raise CannotRunError(
                f"Git cannot read the repository: {reason(error)}", help="run: git fsck, git status"
            ) from None

    def merge_base(self, one: str, *others: str) -> str | None:
        """Return the newest commit that *one* shares with another, or with a merge of several; ``None`` without any."""
        with self._reading():
            found = self._git.merge_base_many([self._commit(revision).id for revision in (one, *others)])
        return None if found is None else str(found)

    def descends(self, head: str, base: str) -> bool:
        """Tell whether *head* is *base* or comes after it.

        Raises:
            CannotRunError: the clone is too shallow to tell.

        """
        one, other = self._commit(head).id, self._commit(base).id
        with self._reading():
            descends = one == other or self._git.descendant_of(one, other)
        if not descends:
            self._refuse_shallow(head, base)
        return descends

    def _refuse_shallow(self, one: str, other: str) -> None:
        if self.is_shallow:
            message = f"how {one[:12]} and {other[:12]} belong together cannot be told: the clone is shallow"
            raise CannotRunError(message, help="git fetch --unshallow")

    def published(self, head: str | None = None) -> Snapshot | None:
        """Open what a change is compared with by default: what is published.

        That is the newest commit that *head* (where it is not given: the checked out commit, and what is being merged
        into it) shares with the protected branch of the remote, else the checked out commit; ``None`` before the first
        commit.

        Raises:
            CannotRunError: the two share no history, or the protected branch of the remote was not fetched.

        """
        checked_out = self.head()
        if checked_out is None:
            return None
        branch = self.protected_branch
        tip = self.remote_tip(branch)
        if tip is None:
            if self.knows_origin:
                # What a commit says of the protected branch must not make the comparison with it go away.
                hint = f"git fetch origin {branch}, or name what is published with --base"
                raise CannotRunError(f"origin/{branch}, the protected branch, is not here", help=hint)
            return self.at(checked_out)
        if not self.has_revision(_DEFAULT_BRANCH) and (other := self._other_protected(branch)):
            hint = "git remote set-head origin --auto, or name what is published with --base"
            raise CannotRunError(
                f"origin/{branch} and origin/{other} both say that they are the protected one", help=hint
            )
        shared = self.merge_base(tip, *([head] if head else self._next_parents(checked_out)))
        if shared is None:
            hint = "the clone is shallow: git fetch --unshallow" if self.is_shallow else "name one with --base"
            raise CannotRunError(f"{head or 'HEAD'} and origin/{branch} share no commit to compare with", help=hint)
        return self.at(shared)

    def remote_tip(self, branch: str, remote: str = "origin") -> str | None:
        """Return the commit that a branch of a remote had when it was last seen here, ``None`` without any."""
        return self.history.tip(f"refs/remotes/{remote}/{branch}")

    @property
    def knows_origin(self) -> bool:
        """Whether any branch of the remote was seen here."""
        return any(name.startswith(_ORIGIN) for name in self._git.references)

    def _next_parents(self, checked_out: str) -> list[str]:
        """Return the parents of the next commit: what is checked out, and what is being merged into it.

        In the hook of a merge that has no conflict, Git has not written down yet what is merged: it is in the
        environment alone.
        """
        listed = Path(self._git.path) / "MERGE_HEAD"
        merging = listed.read_text("ascii").split() if listed.is_file() else []
        merging += [match[1] for name in os.environ if (match := _MERGED_BY_HOOK.fullmatch(name))]
        return [checked_out, *filter(self.has_revision, dict.fromkeys(merging))]

    @property
    def protected_branch(self) -> str:
        """The protected branch as origin's default branch states it, else as the checked out commit does."""
        stated = _DEFAULT_BRANCH if self.has_revision(_DEFAULT_BRANCH) else self.head()
        settings = None if stated is None else self.at(stated).settings_or_problem
        return (settings if isinstance(settings, Settings) else Settings(format=1)).policy.protected_branch

    def _other_protected(self, branch: str) -> str | None:
        """Return another branch of origin that says that it is the protected one: the head alone may say *branch*."""
        for name in sorted(self._git.references):
            other = name.removeprefix(_ORIGIN)
            if other not in (name, branch) and self.has_revision(name):
                settings = self.at(name).settings_or_problem
                if isinstance(settings, Settings) and settings.policy.protected_branch == other:
                    return other
        return None

    @cached_property
    def history(self) -> History:
        """The commits of the repository."""
        return History(self._git)

    def merge_bases(self, one: str, other: str) -> list[str]:
        """Return the newest commits that two commits share: more than one, where they were merged crosswise."""
        environment = {"GIT_DIR": self._git.path, "GIT_NO_REPLACE_OBJECTS": "1"}
        words = ("merge-base", "--all", one, other)
        return run_git(Path(self._git.path), *words, environment=environment, accepted=(0, 1)).out.split()

    def merged(self, ours: str, theirs: str) -> tuple[Snapshot, tuple[str, ...]]:
        """Open what Git makes of two commits by itself, and the paths in conflict; nothing is written here.

        Renames are followed. The paths are below the index repository's folder; one elsewhere starts with `/`.

        Raises:
            CannotRunError: the two share no history, or git is too old.

        """
        if self.is_shallow and not self.merge_bases(ours, theirs):
            self._refuse_shallow(ours, theirs)
        merge = self._merger.merge(ours, theirs)
        root = GitFolder(self._git, bytes.fromhex(merge.tree), self._large)
        prefix = f"{self.folder}/" if self.folder else ""
        conflicts = (p.removeprefix(prefix) if p.startswith(prefix) else f"/{p}" for p in merge.conflicts)
        return Snapshot(self._subfolder(root), theirs), tuple(conflicts)

    def prepare_merges(self) -> None:
        """Make the folder that merges need, before there are forks: none of them would remove its own."""
        _ = self._merger

    @cached_property
    def _merger(self) -> Merger:
        merger = Merger(Path(self._git.path), self.git_directory / "objects")
        self._git.odb.add_disk_alternate(str(merger.objects))
        return merger

    def signatures(self, commits: Sequence[str], trusted: Collection[str]) -> dict[str, Signature]:
        """Return what git says of the signatures of commits; only the keys of *trusted* identities count.

        Raises:
            CannotRunError: git cannot be run.

        """
        signed = {commit: self.history.signature(commit) for commit in commits}
        return check_signatures(Path(self._git.path), signed, trusted)

    def commit(self, paths: Sequence[str], message: str) -> str | None:
        """Commit the working tree's state of *paths* (of the index repository) alone, and return the commit's id.

        Where they are as in the last commit, there is nothing to commit, and ``None`` is returned. Git itself makes the
        commit, so hooks, signing and the configured identity are the user's own.

        Raises:
            CannotRunError: Git refuses.

        """
        there = [path for path in paths if os.path.lexists(self.root / path)]
        gone = set(paths).difference(there)
        self._run_git_on(there, "add", "--force")
        self._run_git_on(gone, "rm", "--cached", "--force", "--quiet", "--ignore-unmatch")
        staged = self._run_git("diff", "--cached", "--name-only", "--no-renames", "--relative", "-z").split("\0")
        changed = set(paths).intersection(staged)
        if not changed:
            return None
        self._run_git_on(changed, "commit", "--quiet", "--message", message)
        return self._run_git("rev-parse", "HEAD").strip()

    def _run_git_on(self, paths: Collection[str], *arguments: str) -> None:
        """Run git on *paths*: there may be more of them than a command line holds, and none is a pattern."""
        if paths:
            listed = "\0".join(f":(literal){path}" for path in paths)
            self._run_git(*arguments, "--pathspec-from-file=-", "--pathspec-file-nul", data=listed)

    def _run_git(self, *arguments: str, data: str = "", cwd: Path | None = None) -> str:
        return run_git(cwd or self.root, *arguments, data=data).out


def _conflict(path: str) -> CannotRunError:
    return CannotRunError(f"{path}: has an unresolved merge conflict", help="resolve it and stage it: git add")


def create(directory: Path, branch: str) -> Repository:
    """Open *directory* as an index repository to be: a folder of the Git repository that it lies in, else a new one.

    Raises:
        CannotRunError: the folder cannot be written to.

    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if pygit2.discover_repository(str(directory)) is None:
            pygit2.init_repository(str(directory), initial_head=branch)
    except (OSError, pygit2.GitError, ValueError) as error:
        raise CannotRunError(f"{directory}: cannot make a repository: {reason(error)}") from None
    repository = Repository.open(directory, "")
    return Repository.open(directory, _relative(directory.resolve(), repository.root.resolve()))


def is_branch_name(name: str) -> bool:
    """Tell whether a branch may have that name."""
    return not name.startswith("-") and pygit2.reference_is_valid_name(f"refs/heads/{name}")


def configured_identity() -> tuple[str, str]:
    """Return name and e-mail from the user's Git configuration, empty where they are not set."""
    import subprocess  # noqa: PLC0415

    try:
        found = [
            subprocess.run(["git", "config", "--get", key], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603, S607
            for key in ("user.name", "user.email")
        ]
    except OSError:
        return "", ""
    return found[0], found[1]


def _way_up(top: Path, start: Path) -> Iterator[str]:
    """Yield the paths, below *top*, of *start* and the folders above it."""
    for folder in (start, *start.parents):
        if not folder.is_relative_to(top):
            break
        yield _relative(folder, top)


def _nearest(repository: pygit2.Repository, way: Sequence[str]) -> str:
    top = Path(repository.workdir)
    head = None if repository.head_is_unborn else repository.head.peel(pygit2.Tree)
    for folder in way:
        path = _settings_in(folder)
        if os.path.lexists(top / path) or (head is not None and path in head):
            return folder
    return next(iter(way), "")


def _settings_in(folder: str) -> str:
    return f"{folder}/{layout.SETTINGS}".lstrip("/")


def _relative(folder: Path, top: Path) -> str:
    """Return the path of *folder* below *top*, empty for *top* itself."""
    return "/".join(folder.relative_to(top).parts)
