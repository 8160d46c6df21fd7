"""Repositories, and the index repository in them at a revision, as it is staged and in the working tree."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import pygit2

from gitindex.errors import CannotRunError, NotThereError, UsageError
from gitindex.git.command import ask_git, run_git
from gitindex.git.folders import GitFolder, blob_leaf, reason
from gitindex.git.history import History
from gitindex.git.origin import Origin
from gitindex.git.places import nearest, settings_in, way_up
from gitindex.git.signatures import Signature, check_signatures
from gitindex.git.trees import LargeTrees
from gitindex.git.uncommitted import is_sparse, keeps_modes, staged_changes, worktree_changes
from gitindex.names import is_commit_id
from gitindex.snapshot import Snapshot
from gitindex.tree import EMPTY, Folder, Leaf, Overlay, find

if TYPE_CHECKING:
    from gitindex.git.authors import Author
    from gitindex.git.blobs import Blobs
    from gitindex.git.commits import Commits
    from gitindex.git.merge import Merger
    from gitindex.git.proposals import Proposals
    from gitindex.git.walk import Change

WORKTREE: Final = "worktree"
STAGED: Final = "index"
_WRITING = "gitindex-worktree"
_MOVING = "gitindex-moving"
"""The file in Git's own folder whose lock those have who move a branch and take its working trees along."""
_COMMAND_WAITS = 60.0
"""Seconds that a command waits for servers: a hook that a server's Git runs may wait for the command."""
_REVISION_END = re.compile(r"[~^:]|@\{")
_PLACES = ("refs/", "refs/tags/", "refs/heads/", "refs/remotes/")
"""Where Git looks for a reference that is not written out, in this order."""


class Repository:
    """A Git repository, bare or not, and the folder of it that is the index repository."""

    def __init__(self, repository: pygit2.Repository, folder: str, way: Sequence[str] = ()) -> None:
        self._git = repository
        self.folder = folder
        """Path of the index repository in the Git repository, with ``/``; empty for the whole of it."""
        self._way = way
        """The folders that it was looked for in, where nobody named it."""
        self._large = LargeTrees()
        self._opened_at: WeakKeyDictionary[Snapshot, str | None] = WeakKeyDictionary()
        """What was checked out when the working tree was opened."""

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
                raise CannotRunError(
                    f"{'the current folder' if directory == Path() else directory} is not in a Git repository",
                    help="go to your index repository, or name it (gitindex -C DIR …); to make one: gitindex init DIR",
                )
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
        way = tuple(way_up(Path(repository.workdir).resolve(), directory.resolve()))
        try:
            return cls(repository, nearest(repository, way), way)
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
        own = self.own_directory
        shared = own / "commondir"
        return own / shared.read_text().strip() if shared.is_file() else own

    @property
    def own_directory(self) -> Path:
        """The folder that Git has for this working tree: a part of `.git`, where it is a linked one."""
        return Path(self._git.path)

    def writing(self) -> AbstractContextManager[None]:
        """Return what lets no other command write to the working tree as long as it is entered."""
        from gitindex.waiting import turn  # noqa: PLC0415 - most runs write nothing

        return turn(self.own_directory / _WRITING, "Waits for another gitindex that writes here.")

    def moving(self) -> AbstractContextManager[None]:
        """Return what lets no server move a branch, and what is checked out with it, as long as it is entered.

        Entering it raises a CannotRunError, where a server does not end within a minute.
        """
        from gitindex.waiting import turn  # noqa: PLC0415 - most runs write nothing

        return turn(self.git_directory / _MOVING, "Waits for a server that writes here.", _COMMAND_WAITS)

    def moved_by_server(self, within: float) -> AbstractContextManager[None]:
        """Return the same for a thread of a server, which waits no longer than *within* seconds for a command."""
        from gitindex.waiting import turn_of_thread  # noqa: PLC0415 - most runs write nothing

        return turn_of_thread(self.git_directory / _MOVING, within)

    def has_moved(self, worktree: Snapshot) -> bool:
        """Tell whether another commit is checked out than when a *worktree* was opened."""
        return self._opened_at.get(worktree, "") != self.head()

    def went_on(self, worktree: Snapshot, commit: str) -> None:
        """Take note that a *commit* was made of what was written on top of a *worktree*, and of nothing else."""
        if self._opened_at.get(worktree) in self.history.commit(commit).parents:
            self._opened_at[worktree] = commit

    def blobs(self) -> Blobs:
        """Return a reader of large blobs, for one thread; it is to be closed."""
        from gitindex.git.blobs import Blobs  # noqa: PLC0415 - most runs need no process

        return Blobs(self.own_directory)

    @property
    def head_branches(self) -> list[str]:
        """The branches that HEAD is, by their full names, even before their first commit; none where it is detached.

        They are two in a linked working tree: its own, and that of the repository itself.
        """
        with self._reading():
            itself = (
                [pygit2.Repository(str(self.git_directory))] if (self.own_directory / "commondir").is_file() else []
            )
            targets = [found.references["HEAD"].target for found in (self._git, *itself)]
        return [target for target in dict.fromkeys(targets) if isinstance(target, str)]

    def worktrees_at(self, branch: str) -> list[Path]:
        """Return the tops of the working trees, linked ones included, that have a branch (by its full name)."""
        common = self.git_directory
        with self._reading():
            itself = pygit2.Repository(str(common))
            found = [] if itself.is_bare else [(common, Path(itself.workdir))]
            for place in sorted(common.glob("worktrees/*")):
                file = place / (place / "gitdir").read_text().rstrip("\n")
                found += [(place, file.parent)] if file.exists() else []
            return [top for place, top in found if (place / "HEAD").read_text().rstrip("\n") == f"ref: {branch}"]

    @property
    def is_shallow(self) -> bool:
        """Whether the history is cut off."""
        return self._git.is_shallow

    def shallow_ends(self) -> frozenset[str]:
        """Return the commits at which a shallow clone ends; none of a whole one."""
        shallow = self.git_directory / "shallow"
        return frozenset(shallow.read_text(encoding="ascii").split()) if self.is_shallow else frozenset()

    def head(self) -> str | None:
        """Return the id of the commit that is checked out, ``None`` before the first one."""
        try:
            return None if self._git.head_is_unborn else str(self._git.head.peel(pygit2.Commit).id)
        except (KeyError, pygit2.GitError) as error:
            raise CannotRunError(f"HEAD cannot be read: {reason(error)}", help="run: git fsck") from None

    def _commit(self, revision: str) -> pygit2.Commit:
        try:
            if is_commit_id(revision):  # no reference of that name is meant, even where the commit is not here
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

    def top_at(self, revision: str) -> Folder:
        """Open the top of the Git repository at a revision, wherever in it the index repository is.

        Raises:
            NotThereError: no such revision.
            UsageError: two references have that name.

        """
        return self._tree(self._commit(revision))

    def differing(self, changes: Sequence[Change]) -> tuple[Snapshot, Snapshot]:
        """Open what two revisions differ in, before and after, and nothing else of them."""
        prefix = f"{self.folder}/" if self.folder else ""
        before, after = dict[str, Leaf | None](), dict[str, Leaf | None]()
        for change in changes:
            for side, place in ((before, change.before), (after, change.after)):
                if place is not None:
                    side[change.path.removeprefix(prefix)] = blob_leaf(self._git, place.id, place.mode)
        return Snapshot(Overlay(EMPTY, before), None), Snapshot(Overlay(EMPTY, after), None)

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
            if folder != self.folder and find(root, settings_in(folder)) is not None:
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

    def staged(self) -> Snapshot:
        """Open what is staged: what the next commit would hold (in a hook, the index that Git names there).

        Raises:
            CannotRunError: there are unmerged paths, or the repository is bare and no hook says what is staged.

        """
        if "GIT_INDEX_FILE" not in os.environ:
            _ = self.top  # a bare repository has none of its own
        return self._uncommitted(staged_changes(self._git, is_first=self.head() is None), STAGED)

    def worktree(self) -> Snapshot:
        """Open the working tree: what is there now, untracked files that are not ignored included."""
        head = self.head()
        found = self._uncommitted(worktree_changes(self._git, self.top, self.folder), WORKTREE)
        self._opened_at[found] = head
        return found

    def _uncommitted(self, changes: Mapping[str, Leaf | None], name: str) -> Snapshot:
        head = self.head()
        folder: Folder = EMPTY if head is None else self._tree(self._commit(head))
        return Snapshot(self._subfolder(Overlay(folder, changes) if changes else folder), name)

    @property
    def keeps_modes(self) -> bool:
        """Whether the working tree says which files are executable."""
        return keeps_modes(self._git)

    @cached_property
    def origin(self) -> Origin:
        """What is published, as far as it was fetched."""
        return Origin(self)

    @cached_property
    def proposals(self) -> Proposals:
        """What is proposed to the remote, on branches of its own."""
        from gitindex.git.proposals import Proposals  # noqa: PLC0415 - most runs propose nothing

        return Proposals(self, self._git)

    @cached_property
    def commits(self) -> Commits:
        """New commits, made without a working tree."""
        from gitindex.git.commits import Commits  # noqa: PLC0415 - most runs make none

        return Commits(self, self._git)

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

    @cached_property
    def history(self) -> History:
        """The commits of the repository."""
        return History(self._git)

    def merge_bases(self, one: str, other: str) -> list[str]:
        """Return the newest commits that two commits share: more than one, where they were merged crosswise."""
        return ask_git(self.own_directory, "merge-base", "--all", one, other, accepted=(0, 1)).out.split()

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

    def brought(self, ours: str, theirs: str) -> list[str]:
        """Return the paths that a merge of *theirs* into *ours* brings a change of, whole repository, sorted.

        They are below the index repository's folder; one elsewhere starts with `/`.

        Raises:
            CannotRunError: the two share no history.

        """
        tree = self._merger.merge(ours, theirs).tree
        with self._reading():
            # Of the trees, and by no program that .gitmodules or somebody's settings tell what to leave out.
            merged = self._git[pygit2.Oid(hex=tree)].peel(pygit2.Tree)
            deltas = list(self._commit(ours).tree.diff_to_tree(merged, context_lines=0).deltas)
        paths = sorted({os.fsdecode(file.raw_path) for delta in deltas for file in (delta.old_file, delta.new_file)})
        prefix = f"{self.folder}/" if self.folder else ""
        return [path.removeprefix(prefix) if path.startswith(prefix) else f"/{path}" for path in paths]

    def fetch(self, commit: str) -> None:
        """Bring a commit from origin, which no branch there may have; nothing is checked out.

        Raises:
            CannotRunError: the remote does not answer, or does not give it.

        """
        place = self.own_directory if self.is_bare else self.top
        run_git(place, "fetch", "--quiet", "--no-tags", "origin", commit, environment={"GIT_TERMINAL_PROMPT": "0"})

    def prepare_merges(self) -> None:
        """Make the folder that merges need, before there are forks: none of them would remove its own."""
        _ = self._merger

    @cached_property
    def _merger(self) -> Merger:
        from gitindex.git.merge import Merger  # noqa: PLC0415 - most runs merge nothing

        merger = Merger(self.own_directory, self.git_directory / "objects")
        self._git.odb.add_disk_alternate(str(merger.objects))
        return merger

    def signatures(self, commits: Sequence[str], trusted: Collection[str]) -> dict[str, Signature]:
        """Return what git says of the signatures of commits; only the keys of *trusted* identities count.

        Raises:
            CannotRunError: git cannot be run.

        """
        signed = {commit: self.history.signature(commit) for commit in commits}
        return check_signatures(self.own_directory, signed, trusted)

    def commit(self, paths: Sequence[str], message: str, author: Author | None = None) -> str | None:
        """Commit the working tree's state of *paths* (of the index repository) alone, and return the commit's id.

        Where they are as in the last commit, there is nothing to commit, and ``None`` is returned. Git itself makes the
        commit, so hooks, signing and the configured identity are the user's own; the *author* may be somebody else.

        Raises:
            CannotRunError: Git refuses.

        """
        there = [path for path in paths if os.path.lexists(self.root / path)]
        gone = set(paths).difference(there)
        sparse = ("--sparse",) if is_sparse(self._git) else ()  # older ones of git do not know it
        self._run_git_on(there, "add", "--force", *sparse)
        self._run_git_on(gone, "rm", "--cached", "--force", *sparse, "--quiet", "--ignore-unmatch")
        staged = self._run_git("diff", "--cached", "--name-only", "--no-renames", "--relative", "-z").split("\0")
        changed = set(paths).intersection(staged)
        if not changed:
            return None
        self._run_git_on(changed, "commit", "--quiet", "--message", message, environment=author and author.variables)
        return self._run_git("rev-parse", "HEAD").strip()

    def email(self) -> str:
        """Return the `user.email` that Git is configured with here; empty where there is none."""
        return run_git(self.root, "config", "--get", "user.email", accepted=(0, 1)).out.strip()

    @property
    def remotes(self) -> list[str]:
        """The names of the remotes."""
        with self._reading():
            return [name for name in self._git.remotes.names() if name is not None]

    def _run_git_on(
        self, paths: Collection[str], *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Run git on *paths*: there may be more of them than a command line holds, and none is a pattern."""
        if paths:
            listed = "\0".join(f":(literal){path}" for path in paths)
            patterns = ("--pathspec-from-file=-", "--pathspec-file-nul")
            run_git(self.root, *arguments, *patterns, data=listed, environment=environment or {})

    def _run_git(self, *arguments: str) -> str:
        return run_git(self.root, *arguments).out
