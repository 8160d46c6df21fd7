"""The commits of the first-parent history that touch some paths, while git still looks for more.

Git is asked, because its commit graph tells without opening a tree that a commit did not touch a path.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from gitindex.errors import CannotRunError

_ARGUMENTS = (
    "-c",
    "log.showSignature=false",  # a user's configuration must not add lines of its own, nor follow renames
    "-c",
    "log.follow=false",
    "log",
    "--first-parent",
    "--no-patch",
    "--format=%H",
)


def commits_touching(
    git_directory: Path,
    revisions: Sequence[str],
    paths: Sequence[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[str]:
    """Yield the commits, the newest first, that are not as their first parent is at one of the *paths* (pathspecs).

    Those of *since* and *until* count that were made between them; an older one in between ends nothing.

    Raises:
        CannotRunError: git cannot be run, or the history is broken.

    """
    arguments = [*_ARGUMENTS]
    arguments += [] if since is None else [f"--since-as-filter={_stamp(since)}"]
    arguments += [] if until is None else [f"--until={_stamp(until)}"]
    environment = {**os.environ, "GIT_DIR": str(git_directory), "GIT_NO_REPLACE_OBJECTS": "1"}
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(  # noqa: S603
                ["git", *arguments, *revisions, "--", *paths],  # noqa: S607
                cwd=git_directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="ascii",
            )
        except OSError as error:
            raise CannotRunError(f"git cannot be started: {error.strerror}", help="install git") from None
        with _ended(process):
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            for line in process.stdout:
                yield line.strip()
        if process.returncode:
            errors.seek(0)
            words = errors.read().decode("utf-8", "replace").strip().splitlines()
            raise CannotRunError(f"git log: {words[0] if words else 'failed'}", help="run: git fsck")


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Wait for the process; whoever has had enough ends it."""
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        with process:
            pass


def _stamp(moment: datetime) -> str:
    # Git reads years before 1970 and after 2099 as something else, and this form as it stands.
    return f"@{max(0, int(moment.timestamp()))} +0000"
