"""What a new index repository needs of Git: a repository, a branch, somebody's name."""

from __future__ import annotations

from pathlib import Path

import pygit2

from gitindex.errors import CannotRunError
from gitindex.git.command import run_git
from gitindex.git.folders import reason
from gitindex.git.origin import NAME
from gitindex.git.places import relative
from gitindex.git.repository import Repository


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
    return Repository.open(directory, relative(directory.resolve(), repository.root.resolve()))


def place_of(directory: Path) -> tuple[Path, str, str]:
    """Return the top of the Git repository that a folder lies in, or will, its path there, and the remote's URL.

    Where there is none, the folder is the top. The URL is empty where there is no remote `origin`.
    """
    start = directory.resolve()
    there = next(folder for folder in (start, *start.parents) if folder.is_dir())
    if pygit2.discover_repository(str(there)) is None:
        return start, "", ""
    repository = Repository.open(there, "")
    top = repository.top.resolve()
    url = repository.proposals.url if NAME in repository.remotes else ""
    return top, relative(start, top), url


def install_lfs(directory: Path) -> bool:
    """Have Git LFS work in this clone; tell whether its hooks could be put there, beside no other ones.

    Raises:
        CannotRunError: Git LFS cannot.

    """
    run_git(directory, "lfs", "install", "--local", "--skip-repo")
    return run_git(directory, "lfs", "update", accepted=range(256)).code == 0


def check_lfs() -> None:
    """Make sure that Git LFS is installed: without it, Git would commit files whole that are said to be pointers.

    Raises:
        CannotRunError: it is not.

    """
    if run_git(Path(), "lfs", "version", accepted=range(256)).code:
        raise CannotRunError(
            "Git LFS is not installed", help="install git-lfs, or leave out --lfs; nothing was written"
        )


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
