"""The commits of the first-parent history that touch some paths, each with what it changed, while git looks for more.

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
from typing import IO, NamedTuple

from gitindex.errors import CannotRunError

_ARGUMENTS = (
    # A user's configuration must not add lines of its own, follow renames, or leave out the first commit.
    *("-c", "log.showSignature=false", "-c", "log.follow=false", "-c", "log.showRoot=true"),
    *("log", "-z", "--first-parent", "--diff-merges=first-parent", "--raw", "--no-abbrev", "--no-renames"),
    *("--no-relative", "--format=%H"),
)
_PIECE = 1 << 16
MOST_CHANGES = 10_000
"""Of one commit that are kept: the first of a repository may have a million."""


class Place(NamedTuple):
    """What a path had."""

    mode: int
    id: bytes


class Change(NamedTuple):
    """A path whose mode or content changed."""

    path: str
    before: Place | None
    after: Place | None


class Walked(NamedTuple):
    """A commit, and what it changed at the paths that were asked for."""

    commit: str
    changes: tuple[Change, ...] | None
    """``None`` for more than :data:`MOST_CHANGES`."""


def walk(
    git_directory: Path,
    revisions: Sequence[str],
    paths: Sequence[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Walked]:
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
            )
        except OSError as error:
            raise CannotRunError(f"git cannot be started: {error.strerror}", help="install git") from None
        with _ended(process):
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            yield from _walked(_words(process.stdout))
        if process.returncode:
            errors.seek(0)
            words = errors.read().decode("utf-8", "replace").strip().splitlines()
            raise CannotRunError(f"git log: {words[0] if words else 'failed'}", help="run: git fsck")


def _words(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what stands before each NUL, as soon as it is there."""
    rest = b""
    while piece := os.read(stream.fileno(), _PIECE):
        *words, rest = (rest + piece).split(b"\0")
        yield from words


def _walked(words: Iterator[bytes]) -> Iterator[Walked]:
    commit, changes, count = "", list[Change](), 0
    for word in words:
        fields = word.lstrip(b"\n")
        if not fields.startswith(b":"):
            if commit:
                yield Walked(commit, None if count > MOST_CHANGES else tuple(changes))
            commit, changes, count = fields.decode("ascii"), [], 0
            continue
        path = next(words)
        count += 1
        if count <= MOST_CHANGES:
            old_mode, new_mode, old_id, new_id, _ = fields[1:].split()
            name = path.decode("utf-8", "surrogateescape")
            changes.append(Change(name, _place(old_mode, old_id), _place(new_mode, new_id)))
    if commit:
        yield Walked(commit, None if count > MOST_CHANGES else tuple(changes))


def _place(mode: bytes, object_id: bytes) -> Place | None:
    return None if mode == b"000000" else Place(int(mode, 8), bytes.fromhex(object_id.decode("ascii")))


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
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
