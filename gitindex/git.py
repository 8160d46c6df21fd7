"""The one owner of pygit2: revisions, the staged index and the working tree as folders of an index repository."""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
from collections.abc import Collection, ItemsView, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import pygit2

from gitindex import layout
from gitindex.errors import CannotRunError, NotThereError
from gitindex.model import Settings
from gitindex.snapshot import Snapshot
from gitindex.tree import EMPTY, Entry, Folder, Kind, Leaf, Overlay

WORKTREE: Final = "worktree"
STAGED: Final = "index"

_KINDS: dict[bytes, Kind] = {
    b"40000": "folder",
    b"040000": "folder",  # what some old writers of trees put
    b"100644": "file",
    b"100664": "file",  # what old versions of Git wrote
    b"100755": "executable",
    b"120000": "symlink",
    b"160000": "submodule",
}


# Objects are hashed when they come into the repository, and by git fsck. Git itself does not hash them again at each
# read, and to do so costs a quarter of reading.
pygit2.settings.enable_strict_hash_verification(False)


class _BrokenObjectError(CannotRunError):
    def __init__(self, object_id: object, error: Exception) -> None:
        super().__init__(
            f"the Git object {object_id} is missing or broken ({_reason(error)})",
            help="fetch it again (a partial clone lacks files: git fetch --refetch --no-filter), or run: git fsck",
        )


class GitFolder:
    """A tree object. Its entries are read from its bytes: as objects of pygit2 they would cost five times as much."""

    def __init__(self, repository: pygit2.Repository, tree_id: bytes) -> None:
        self._repository = repository
        self.id = tree_id
        self._entries: _TreeEntries | None = None

    def entries(self) -> Mapping[str, Entry]:
        return self._parsed()

    def _parsed(self) -> _TreeEntries:
        if self._entries is None:
            kind, data = _read_object(self._repository, self.id)
            if kind != pygit2.GIT_OBJECT_TREE:
                raise _BrokenObjectError(self.id.hex(), TypeError("not a tree"))
            self._entries = _parse_tree(data)
            if self._entries is None:
                raise _BrokenObjectError(self.id.hex(), ValueError("not a well-formed tree"))
        return self._entries

    def differing(self, other: Folder) -> set[str] | None:
        if not isinstance(other, GitFolder):
            return None
        return {_decoded(name) for name, _ in self._parsed().raw.items() ^ other._parsed().raw.items()}  # noqa: SLF001

    def folder(self, name: str) -> Folder:
        return GitFolder(self._repository, self._id(name))

    def _id(self, name: str) -> bytes:
        return self._parsed().raw[_encoded(name)][1]

    def size(self, name: str) -> int:
        return _object_size(self._repository, self._id(name))

    def read(self, name: str) -> bytes:
        return _read_object(self._repository, self._id(name))[1]

    def open(self, name: str) -> BinaryIO:
        # libgit2 has no seekable stream of a packed object; one file at a time is held in memory.
        return io.BytesIO(self.read(name))

    def files(self) -> Iterator[tuple[str, bytes]]:
        entries = self._parsed().raw.items()
        try:
            # Objects that come out of a tree are read a fifth faster than by their ids.
            tree = self._repository[pygit2.Oid(raw=self.id)].peel(pygit2.Tree)
            for (name, (mode, _)), item in zip(entries, tree, strict=True):
                if _KINDS.get(mode) == "file":
                    yield _decoded(name), item.read_raw()
        except (KeyError, ValueError, TypeError, pygit2.GitError) as error:
            raise _BrokenObjectError(self.id.hex(), error) from None


_TREE_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
"""An entry of a tree object: mode, name and the bytes of the id, each entry right after the one before."""
_TREE = re.compile(rb"(?:[0-7]+ [^\0]+\0.{20})*+", re.DOTALL)


def _parse_tree(data: bytes) -> _TreeEntries | None:
    """Return the entries of a tree object, ``None`` where it is malformed or names one twice: readers disagree then."""
    found = _TREE_ENTRY.findall(data)
    raw = {name: (mode, object_id) for mode, name, object_id in found}
    return _TreeEntries(raw) if len(raw) == len(found) and _TREE.fullmatch(data) else None


class _TreeEntries(Mapping[str, Entry]):
    """The entries of a tree object, each made when it is looked at: a folder may have 30,000, of which one differs."""

    def __init__(self, raw: dict[bytes, tuple[bytes, bytes]]) -> None:
        self.raw = raw

    def __getitem__(self, name: str) -> Entry:
        mode, object_id = self.raw[_encoded(name)]
        return Entry(_KINDS.get(mode, "submodule"), object_id)

    def __iter__(self) -> Iterator[str]:
        return map(_decoded, self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def items(self) -> ItemsView[str, Entry]:
        kinds = _KINDS
        return {_decoded(n): Entry(kinds.get(mode, "submodule"), i) for n, (mode, i) in self.raw.items()}.items()


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _read_object(repository: pygit2.Repository, object_id: bytes) -> tuple[int, bytes]:
    try:
        return repository.odb.read(pygit2.Oid(raw=object_id))
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise _BrokenObjectError(object_id.hex(), error) from None


def _object_size(repository: pygit2.Repository, object_id: bytes) -> int:
    try:
        return repository.odb.read_header(pygit2.Oid(raw=object_id))[1]
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise _BrokenObjectError(object_id.hex(), error) from None


class Repository:
    """A Git repository, bare or not, and the folder of it that is the index repository."""

    def __init__(self, repository: pygit2.Repository, folder: str) -> None:
        self._git = repository
        self.folder = folder
        """Path of the index repository in the Git repository, with ``/``; empty for the whole of it."""

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
            raise CannotRunError(f"{directory}: Git cannot open it: {_reason(error)}", help=hint) from None
        if quarantine := os.environ.get("GIT_QUARANTINE_PATH"):
            repository.odb.add_disk_alternate(quarantine)
        if folder is None:
            try:
                folder = "" if repository.is_bare else _nearest(repository, directory)
            except (KeyError, ValueError, pygit2.GitError) as error:
                raise CannotRunError(f"HEAD cannot be read: {_reason(error)}", help="run: git fsck") from None
        return cls(repository, folder.strip("/"))

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
        return self._top / self.folder

    @property
    def _top(self) -> Path:
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

    @property
    def is_shallow(self) -> bool:
        """Whether the history is cut off."""
        return self._git.is_shallow

    def head(self) -> str | None:
        """Return the id of the commit that is checked out, ``None`` before the first one."""
        try:
            return None if self._git.head_is_unborn else str(self._git.head.peel(pygit2.Commit).id)
        except (KeyError, pygit2.GitError) as error:
            raise CannotRunError(f"HEAD cannot be read: {_reason(error)}", help="run: git fsck") from None

    def commit_id(self, revision: str) -> str:
        """Return the id of the commit that *revision* names.

        Raises:
            NotThereError: it names nothing, or something that is no commit.

        """
        return str(self._commit(revision).id)

    def _commit(self, revision: str) -> pygit2.Commit:
        try:
            return self._git.revparse_single(revision).peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError) as error:
            missing = isinstance(error, KeyError) and set(revision) <= set("0123456789abcdef")
            hint = (
                "the clone is shallow: git fetch --unshallow"
                if missing and self.is_shallow
                else "see: git log, git branch -a"
            )
            raise NotThereError(f"{revision}: no such revision", help=hint) from None

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

        """
        commit = self._commit(revision)
        return Snapshot(self._subfolder(GitFolder(self._git, commit.tree_id.raw)), str(commit.id))

    def _subfolder(self, root: Folder) -> Folder:
        for name in self.folder.split("/") if self.folder else ():
            entry = root.entries().get(name)
            if entry is None or entry.kind != "folder":
                return EMPTY
            root = root.folder(name)
        return root

    def _head_folder(self) -> Folder:
        head = self.head()
        return EMPTY if head is None else GitFolder(self._git, self._commit(head).tree_id.raw)

    def staged(self) -> Snapshot:
        """Open what is staged: what the next commit would hold (in a hook, the index that Git names there).

        Raises:
            CannotRunError: there are unmerged paths, or the repository is bare and no hook says what is staged.

        """
        index_file = os.environ.get("GIT_INDEX_FILE")
        with self._reading():
            # In a hook, the variable is relative to the top of the working tree.
            index = pygit2.Index(str(Path(self._git.workdir or ".", index_file))) if index_file else self._own_index()
        if index.conflicts is not None:
            path = next(side.path for conflict in index.conflicts for side in conflict if side is not None)
            raise CannotRunError(f"{path}: has an unresolved merge conflict", help="resolve it and stage it: git add")
        head = self._head_folder()
        changes: dict[str, Leaf | None] = {}
        with self._reading():
            if isinstance(head, GitFolder):
                tree = self._git[pygit2.Oid(raw=head.id)]
                assert isinstance(tree, pygit2.Tree)  # noqa: S101 - a commit has no other
                flags = pygit2.enums.DiffOption.INCLUDE_TYPECHANGE
                for delta in tree.diff_to_index(index, flags, context_lines=0).deltas:
                    new = delta.new_file
                    changes[_path(new)] = _blob_leaf(self._git, new.id, int(new.mode)) if new.mode else None
            else:
                for entry in index:
                    changes[entry.path] = _blob_leaf(self._git, entry.id, int(entry.mode))
        return Snapshot(self._subfolder(Overlay(head, changes) if changes else head), STAGED)

    def _own_index(self) -> pygit2.Index:
        _ = self._top  # a bare repository has none
        index: pygit2.Index = self._git.index
        index.read(force=False)
        return index

    def worktree(self) -> Snapshot:
        """Open the working tree: what is there now, untracked files that are not ignored included."""
        top, head = self._top, self._head_folder()
        keeps_modes = self._is_set("core.filemode", default=True)
        changes: dict[str, Leaf | None] = {}
        with self._reading():
            status = self._git.status(untracked_files="all", ignored=False)
        left_out = self._left_out() if any(map(_is_gone, status.values())) else frozenset()
        for path, flags in status.items():
            if flags == pygit2.enums.FileStatus.CURRENT or not self._is_inside(path) or path in left_out:
                continue
            # What Git calls gone is not looked for: the way to it may lead through a link that took a folder's place.
            changes[path.rstrip("/")] = (
                None if _is_gone(flags) else _disk_leaf(top / path.rstrip("/"), keeps_modes=keeps_modes)
            )
        return Snapshot(self._subfolder(Overlay(head, changes) if changes else head), WORKTREE)

    def _is_set(self, key: str, *, default: bool) -> bool:
        with self._reading():
            return self._git.config.get_bool(key) if key in self._git.config else default

    def _left_out(self) -> frozenset[str]:
        """Return the paths that a sparse checkout leaves out: not on the disk, and not deleted."""
        if not self._is_set("core.sparseCheckout", default=False):
            return frozenset()
        listed = self._run_git("ls-files", "-t", "-z", cwd=self._top).split("\0")
        return frozenset(line[2:] for line in listed if line.startswith("S "))

    def _is_inside(self, path: str) -> bool:
        return not self.folder or path == self.folder or path.startswith(self.folder + "/")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (pygit2.GitError, KeyError, OSError) as error:
            raise CannotRunError(
                f"Git cannot read the repository: {_reason(error)}", help="run: git fsck, git status"
            ) from None

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the newest commit that two revisions share, ``None`` where they share none."""
        with self._reading():
            found = self._git.merge_base(self._commit(one).id, self._commit(other).id)
        return None if found is None else str(found)

    def descends(self, head: str, base: str) -> bool:
        """Tell whether *head* is *base* or comes after it."""
        one, other = self._commit(head).id, self._commit(base).id
        with self._reading():
            return one == other or self._git.descendant_of(one, other)

    def published(self, head: str | None = None) -> Snapshot | None:
        """Open what a change is compared with by default: what is published.

        That is the newest commit that *head* (the checked out commit, where it is not given) shares with the protected
        branch of the remote, else the checked out commit; ``None`` before the first commit.

        Raises:
            CannotRunError: the two share no history, or the protected branch of the remote was not fetched.

        """
        checked_out = self.head()
        if checked_out is None:
            return None
        branch = self._published_branch(checked_out)
        remote = f"refs/remotes/origin/{branch}"
        if not self.has_revision(remote):
            if any(name.startswith("refs/remotes/origin/") for name in self._git.references):
                # What a commit says of the protected branch must not make the comparison with it go away.
                hint = f"git fetch origin {branch}, or name what is published with --base"
                raise CannotRunError(f"origin/{branch}, the protected branch, is not here", help=hint)
            return self.at(checked_out)
        shared = self.merge_base(head or checked_out, remote)
        if shared is None:
            hint = "the clone is shallow: git fetch --unshallow" if self.is_shallow else "name one with --base"
            raise CannotRunError(f"{head or 'HEAD'} and origin/{branch} share no commit to compare with", help=hint)
        return self.at(shared)

    def _published_branch(self, checked_out: str) -> str:
        """Return the protected branch as origin's default branch states it, else as the checked out commit does."""
        default = "refs/remotes/origin/HEAD"
        settings = self.at(default if self.has_revision(default) else checked_out).settings_or_problem
        return (settings if isinstance(settings, Settings) else Settings(format=1)).policy.protected_branch

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
        import subprocess  # noqa: PLC0415 - only what commits needs it

        try:
            done = subprocess.run(  # noqa: S603
                ["git", *arguments],  # noqa: S607
                cwd=cwd or self.root,
                input=data,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                check=False,
            )
        except OSError as error:
            raise CannotRunError(f"git cannot be started: {error.strerror}", help="install git") from None
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise CannotRunError(f"git {arguments[0]}: {words[0] if words else 'failed'}", help="\n".join(words[1:]))
        return done.stdout


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
        raise CannotRunError(f"{directory}: cannot make a repository: {_reason(error)}") from None
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


def _nearest(repository: pygit2.Repository, directory: Path) -> str:
    top = Path(repository.workdir).resolve()
    start = directory.resolve()
    head = None if repository.head_is_unborn else repository.head.peel(pygit2.Tree)
    for folder in (start, *start.parents):
        if not folder.is_relative_to(top):
            break
        relative = _relative(folder, top)
        path = f"{relative}/{layout.SETTINGS}".lstrip("/")
        if os.path.lexists(folder / layout.SETTINGS) or (head is not None and path in head):
            return relative
    return _relative(start, top) if start.is_relative_to(top) else ""


def _relative(folder: Path, top: Path) -> str:
    """Return the path of *folder* below *top*, empty for *top* itself."""
    return "/".join(folder.relative_to(top).parts)


def _is_gone(flags: int) -> bool:
    status = pygit2.enums.FileStatus
    return bool(flags & status.WT_DELETED or (flags & status.INDEX_DELETED and not flags & status.WT_NEW))


def _path(side: pygit2.DiffFile) -> str:
    return side.raw_path.decode("utf-8", "surrogateescape")


def _blob_leaf(repository: pygit2.Repository, object_id: pygit2.Oid, mode: int) -> Leaf:
    raw = object_id.raw

    def read() -> bytes:
        return _read_object(repository, raw)[1]

    return Leaf(_KINDS.get(b"%o" % mode, "submodule"), read, raw, lambda: _object_size(repository, raw))


def _disk_leaf(path: Path, *, keeps_modes: bool) -> Leaf | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise CannotRunError(f"{path.name}: cannot be read: {_reason(error)}") from None
    mode = found.st_mode
    if stat.S_ISLNK(mode):
        return Leaf("symlink", lambda: os.fsencode(path.readlink()))
    if stat.S_ISDIR(mode):
        return Leaf("submodule", lambda: b"")  # a repository in the repository: Git would add it as a submodule
    if not stat.S_ISREG(mode):
        return Leaf("submodule", lambda: b"")

    def read() -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise CannotRunError(f"{path.name}: cannot be read: {_reason(error)}") from None

    kind: Kind = "executable" if keeps_modes and mode & stat.S_IXUSR else "file"
    return Leaf(kind, read, None, lambda: found.st_size, lambda: path.open("rb"))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[0]) if error.args else type(error).__name__
