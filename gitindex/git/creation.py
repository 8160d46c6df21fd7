"""What a new index repository needs of Git: a repository, a branch, somebody's name."""

from __future__ import annotations

from pathlib import Path

import pygit2

from gitindex.errors import CannotRunError
from gitindex.git.folders import reason
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
