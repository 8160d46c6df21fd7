"""Commits on top of others, made without a working tree: by a server, whose branch then moves there at once.

Objects come first, and the reference last: whoever is stopped in between leaves objects that nobody sees.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import pygit2
from pygit2.enums import AttrCheck, FileMode

from gitindex import atomic, layout
from gitindex.errors import CannotRunError, GitindexError, MovedError
from gitindex.git.authors import Author
from gitindex.git.command import ask_git, run_git
from gitindex.git.folders import reason

if TYPE_CHECKING:
    from gitindex.git.repository import Repository

_PIECE = 1 << 20
_ATTEMPTS, _PAUSE = 10, 0.1
"""How often it is tried to get at a working tree where somebody else's Git is at work, and seconds in between."""
_SMALL = 1 << 16
"""Bytes of a file that is written sooner than Git has started."""
_LOOSE = 1 << 50
"""Bytes from which on Git would make a pack of a blob by itself."""
_FOLDERS = "tmp_gitindex-"
"""What is left of such a folder after a crash, `git gc` removes by the beginning of its name."""
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
_NOBODY = "gitindex", "gitindex@localhost"

Content = bytes | Path | None
"""What a file becomes: bytes, the copy of a file, or nothing at all."""
Place = tuple[int, pygit2.Oid]
"""What a tree says of a path: mode and object."""


class Kept(NamedTuple):
    """A file that is written, and in no commit yet."""

    blob: pygit2.Oid
    is_pointer: bool
    """Whether Git LFS has the file, and the blob says which one it is."""


class Commits:
    """New commits of a repository, for one thread."""

    def __init__(self, repository: Repository, git: pygit2.Repository) -> None:
        self._repository = repository
        self._git = git
        self._prefix = f"{repository.folder}/" if repository.folder else ""
        self._large = repository.git_directory / "lfs" / "objects"
        self._strayed: dict[str, str] = {}
        """Commits that working trees may have got and no branch has, with the branch that they were for."""
        self.has_pointers = False
        """Whether anything that was committed lies in Git LFS."""

    def keep(self, path: str, content: bytes | Path, base: str) -> Kept:
        """Write the blob that a file at *path* of the index repository is in a commit on top of *base*.

        What Git LFS is to have goes into its folder here, and the blob is the pointer.

        Raises:
            CannotRunError: the disk fails, or another filter than Git LFS has to see the file.

        """
        try:
            match self._filter(path, base):
                case None | False:
                    return Kept(self._blob(content), is_pointer=False)
                case "lfs":
                    return Kept(self._git.create_blob(self._keep_large(content)), is_pointer=True)
                case other:
                    raise CannotRunError(
                        f"{path}: .gitattributes gives it the filter {other}, which a server does not run",
                        help="leave the filter of files/ out, or let it be lfs",
                    )
        except (pygit2.GitError, ValueError, OSError) as error:
            raise CannotRunError(f"{path} cannot be written: {reason(error)}") from None

    def make(
        self,
        base: str,
        changes: Mapping[str, Content],
        message: str,
        author: Author,
        kept: Mapping[str, Kept],
    ) -> str:
        """Commit *changes*, by path in the index repository, on top of *base*, and return the commit's id.

        No reference leads to it. *kept* has those that were written before (:meth:`keep`), by whomever.

        Raises:
            CannotRunError: the objects cannot be written.

        """
        places: dict[str, Place | None] = {}
        for path, content in changes.items():
            written = None if content is None else kept.get(path) or self.keep(path, content, base)
            places[self._prefix + path] = None if written is None else (FileMode.BLOB, written.blob)
            self.has_pointers = self.has_pointers or (written is not None and written.is_pointer)
        try:
            root = self._git[pygit2.Oid(hex=base)].peel(pygit2.Commit).tree
            tree = tree_with(self._git, root, places) or self._git.TreeBuilder().write()
            when = int(time.time())
            by = _signature(author, when)
            committer = self._committer(when) or by
            commit = self._git.create_commit(None, by, committer, message, tree, [pygit2.Oid(hex=base)])
        except (pygit2.GitError, KeyError, ValueError, OSError) as error:
            raise CannotRunError(f"the change cannot be committed: {reason(error)}") from None
        return str(commit)

    def move(self, branch: str, old: str, new: str, why: str) -> None:
        """Let a branch (by its full name), which is at *old*, lead to *new*, which goes on from there.

        The working trees that have it checked out are taken along first: what is not committed there stays, and what is
        in the way is never overwritten.

        Raises:
            MovedError: the branch is not at *old* any more; nothing is changed.
            CannotRunError: something that is not committed is in the way, or Git refuses; nothing is changed.

        """
        repository = self._repository
        self._put_right()
        try:
            self._take_along(branch, old, new)
            answer = ask_git(repository.own_directory, "update-ref", "-m", why, branch, new, old, accepted=(0, 1, 128))
            if answer.code == 0:
                return
            if repository.history.tip(branch) != old:
                raise MovedError(f"{branch} was moved by somebody else just now")
            raise CannotRunError(f"git update-ref: {' '.join(answer.errors.split())}")
        except GitindexError:
            self.take_back(branch, new)
            raise

    def check_way(self, branch: str, old: str, new: str) -> None:
        """Make sure that nothing in a working tree would be in the way of :meth:`move`.

        Raises:
            CannotRunError: something is.

        """
        self._take_along(branch, old, new, "--dry-run")

    def take_back(self, branch: str, new: str) -> None:
        """Let the working trees that a move took along, which came to nothing, have what the branch has.

        Those that were not taken along stay as they are.
        """
        self._strayed[new] = branch
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(CannotRunError):
                self._put_right()
                return
            time.sleep(_PAUSE)

    def take_back_killed(self, branch: str, old: str, new: str) -> None:
        """Do the same for the move, from *old* to *new*, of a process that was killed, and that may be half done.

        What somebody has changed there since is left as it is.

        Raises:
            CannotRunError: it cannot be done yet.

        """
        for top in self._repository.worktrees_at(branch):
            with contextlib.suppress(CannotRunError):
                self._clear(top, old, new)
        tip = self._repository.history.tip(branch) or old
        is_next = self._repository.descends(new, tip)
        for left in reversed(range(_ATTEMPTS)):
            try:
                self._take_along(branch, new, tip)
            except CannotRunError as error:
                if not (is_next or _is_locked(error)):
                    return  # the branch has gone on: what is in the way is nothing to wait for
                if not left:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _clear(self, top: Path, old: str, new: str) -> None:
        """Take out what Git has written of *new*, whole or in part, and that is not in the index yet."""
        words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)
        paths = [path for path in ask_git(self._repository.own_directory, *words).out.split("\0") if path]
        if not paths:
            return
        tree = self._git[pygit2.Oid(hex=new)].peel(pygit2.Commit).tree
        literal = (f":(top,literal){path}" for path in paths)
        known = _entries(run_git(top, "ls-files", "-z", "--stage", "--", *literal).out)
        for path in paths:
            made = tree[path] if path in tree else None  # noqa: SIM401 - it has no get
            if not isinstance(made, pygit2.Blob | None) or (made and known.get(path) == str(made.id)):
                continue
            place = top / path
            if path in known:
                if _is_begun(place, made):
                    run_git(top, "checkout-index", "--force", "--", path)
            elif made and place.is_file() and _is_begun(place, made):
                place.unlink()
                with contextlib.suppress(OSError):
                    place.parent.rmdir()

    def _put_right(self) -> None:
        for new, branch in list(self._strayed.items()):
            tip = self._repository.history.tip(branch)
            if tip is not None:
                self._take_along(branch, new, tip)
            del self._strayed[new]

    def _take_along(self, branch: str, old: str, new: str, *options: str) -> None:
        words = ("read-tree", "-m", "-u", *options, old, new)
        for top in self._repository.worktrees_at(branch):
            try:
                run_git(top, *words)
            except CannotRunError:
                # It goes by the times of files, and of a copy, or of what was touched, these say nothing.
                run_git(top, "update-index", "-q", "--refresh", accepted=(0, 1, 128))
                try:
                    run_git(top, *words)
                except CannotRunError as error:
                    raise _in_the_way(top, error) from None

    def tidy(self) -> None:
        """Let Git pack what has become much, if it finds so; it does that beside this process."""
        ask_git(self._repository.own_directory, "gc", "--auto", "--quiet", accepted=range(256))

    def _filter(self, path: str, base: str) -> bool | str | None:
        if not path.startswith(f"{layout.FILES}/"):
            return None  # documents are read by everybody; nobody filters them
        flags = AttrCheck.INDEX_ONLY | AttrCheck.INCLUDE_COMMIT | AttrCheck.NO_SYSTEM
        return self._git.get_attr(self._prefix + path, "filter", flags, pygit2.Oid(hex=base))

    def _blob(self, content: bytes | Path) -> pygit2.Oid:
        if isinstance(content, bytes):
            return self._git.create_blob(content)
        if content.stat().st_size <= _SMALL:
            return self._git.create_blob(content.read_bytes())
        return pygit2.Oid(hex=self._write_large(content))

    def _write_large(self, path: Path) -> str:
        """Let Git write a blob: pygit2 would hold up every thread until it is compressed.

        Git leaves what it has written half, on a full disk; here it does so in a folder that goes.
        """
        objects = self._repository.git_directory / "objects"
        with TemporaryDirectory(prefix=_FOLDERS, dir=objects) as folder:
            words = ("-c", f"core.bigFileThreshold={_LOOSE}", "hash-object", "-w", "--no-filters", "--")
            environment = {"GIT_OBJECT_DIRECTORY": folder}
            answer = ask_git(self._repository.own_directory, *words, str(path.absolute()), environment=environment)
            oid = answer.out.strip()
            target = objects / oid[:2] / oid[2:]
            if not target.parent.is_dir():
                target.parent.mkdir(exist_ok=True)
                target.parent.chmod(stat.S_IMODE(objects.stat().st_mode))
            (Path(folder) / oid[:2] / oid[2:]).replace(target)
        return oid

    def _keep_large(self, content: bytes | Path) -> bytes:
        """Put a file where Git LFS looks for it, and return its pointer."""
        digest, size = hashlib.sha256(), 0
        for piece in _pieces(content):
            digest.update(piece)
            size += len(piece)
        oid = digest.hexdigest()
        target = self._large / oid[:2] / oid[2:4] / oid
        if not target.is_file() or target.stat().st_size != size:
            target.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(target, _pieces(content))
        return _POINTER.format(oid, size).encode()

    def _committer(self, when: int) -> pygit2.Signature | None:
        try:
            found = self._git.default_signature
        except (KeyError, ValueError, pygit2.GitError):
            return None
        return pygit2.Signature(found.name, found.email, when, 0)


def tree_with(
    git: pygit2.Repository, base: pygit2.Tree | None, changes: Mapping[str, Place | None]
) -> pygit2.Oid | None:
    """Return the tree that *changes*, by path, make of another one, ``None`` where nothing is left of it.

    What has to be made anew are the trees on the way to them.
    """
    here: dict[str, Place | None] = {}
    below: defaultdict[str, dict[str, Place | None]] = defaultdict(dict)
    for path, place in changes.items():
        name, slash, rest = path.partition("/")
        if slash:
            below[name][rest] = place
        else:
            here[name] = place
    builder = git.TreeBuilder(base) if base is not None else git.TreeBuilder()
    for name, inside in below.items():
        found = base[name] if base is not None and name in base else None
        tree = tree_with(git, found if isinstance(found, pygit2.Tree) else None, inside)
        here[name] = None if tree is None else (FileMode.TREE, tree)
    for name, place in here.items():
        if place is not None:
            builder.insert(name, place[1], FileMode(place[0]))
        elif builder.get(name) is not None:
            builder.remove(name)
    return builder.write() if len(builder) else None


def _entries(listed: str) -> dict[str, str]:
    """Return the objects that the index has, by path."""
    lines = [line.partition("\t") for line in listed.split("\0") if line]
    return {path: facts.split(" ")[1] for facts, _, path in lines}


def _is_begun(place: Path, made: pygit2.Blob | None) -> bool:
    """Tell whether a file is one that Git was to write, or has just begun to, or has taken away."""
    if place.is_symlink() or place.is_dir():
        return False
    if not place.exists():
        return True
    return made is not None and made.data.startswith(place.read_bytes())


def _is_locked(error: CannotRunError) -> bool:
    return "index.lock" in error.message


def _in_the_way(top: Path, error: CannotRunError) -> CannotRunError:
    return CannotRunError(
        f"the working tree is in the way: {error.message}",
        help=f"try again; where no Git is at work in {top}, one was killed: remove that file"
        if _is_locked(error)
        else "commit or put away what was changed there, or serve a bare repository",
    )


def _signature(author: Author, when: int) -> pygit2.Signature:
    name, email = (
        "".join(" " if letter in "<>\n\0" else letter for letter in text).strip(" .,:;\"'") for text in author[:2]
    )
    return pygit2.Signature(name or _NOBODY[0], email or _NOBODY[1], when, 0)


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
