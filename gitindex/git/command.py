"""Runs git itself, for what is its own business: commits, merges, signatures."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from gitindex.errors import CannotRunError

_NONE: Mapping[str, str] = MappingProxyType({})


class Answer(NamedTuple):
    """What git said."""

    code: int
    out: str
    """What it printed; bytes that are not UTF-8 are surrogate escapes."""
    errors: str
    """What it said on its standard error."""


def run_git(
    cwd: Path,
    *arguments: str,
    data: str = "",
    environment: Mapping[str, str] = _NONE,
    accepted: Collection[int] = (0,),
    timeout: float | None = None,
) -> Answer:
    """Run git in a folder, with *data* as its input and the *environment* added to this process's.

    Raises:
        CannotRunError: git is not there, ended with another code than the *accepted* ones, or took more than *timeout*
            seconds.

    """
    import subprocess  # noqa: PLC0415 - most runs need no process

    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=cwd,
            env={**os.environ, **environment},
            input=data,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise CannotRunError(f"git {_command(arguments)}: took more than {timeout:,.0f} seconds") from None
    except OSError as error:
        raise CannotRunError(f"git cannot be started: {error.strerror}", help="install git") from None
    if done.returncode not in accepted:
        words = [line for line in (done.stderr.strip() or done.stdout).splitlines() if line.strip()]
        raise CannotRunError(f"git {_command(arguments)}: {words[0] if words else 'failed'}", help="\n".join(words[1:]))
    return Answer(done.returncode, done.stdout, done.stderr)


def _command(arguments: Collection[str]) -> str:
    return next((word for word in arguments if not word.startswith("-") and "=" not in word), "")


def ask_git(
    git_directory: Path,
    *arguments: str,
    cwd: Path | None = None,
    data: str = "",
    environment: Mapping[str, str] = _NONE,
    accepted: Collection[int] = (0,),
) -> Answer:
    """Run git on a very repository, whatever a hook's environment names, and take its objects as they are.

    libgit2 knows no replaced objects either.

    Raises:
        CannotRunError: as :func:`run_git` does.

    """
    own = {"GIT_DIR": str(git_directory), "GIT_NO_REPLACE_OBJECTS": "1"}
    return run_git(cwd or git_directory, *arguments, data=data, environment={**own, **environment}, accepted=accepted)
