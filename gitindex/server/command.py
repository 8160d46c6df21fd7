"""`gitindex serve`, whole: its options, declared once, and what they mean. It knows no Typer, so it starts at once."""

from __future__ import annotations

import logging
import re
import sys
from enum import StrEnum
from pathlib import Path

from gitindex.cachefolder import cache_folder
from gitindex.errors import UsageError
from gitindex.ownfile import check_place
from gitindex.report.text import printable
from gitindex.scopes import VARIABLE
from gitindex.server.hooks import read_secret
from gitindex.server.live import Source
from gitindex.server.log import AccessLog
from gitindex.server.run import bind, serve
from gitindex.server.state import Options
from gitindex.words import Option


class Way(StrEnum):
    """How a change gets in."""

    COMMIT = "commit"
    PULL_REQUEST = "pull-request"


OPTIONS = (
    Option(
        "host",
        "--host",
        "The address to listen on; with 0.0.0.0, other machines reach it.",
        "ADDRESS",
        default="127.0.0.1",
    ),
    Option(
        "port", "--port", "The port; 0 is a free one.", "PORT", int, 3141, least=0, most=65535, variable="GITINDEX_PORT"
    ),
    Option("branch", "--branch", "The branch to follow; by default the one that HEAD is.", "NAME"),
    Option(
        "pull_every",
        "--pull-every",
        "Bring the branch from its remote that often.",
        "SECONDS",
        float,
        least=1,
        most=1e6,
    ),
    Option(
        "hook_secret_file",
        "--hook-secret-file",
        "Pull when a forge that proves to know the secret of this file calls the webhook POST /+hooks/push; without"
        " --pull-every, only then and at the start.",
        "FILE",
        Path,
    ),
    Option(
        "cache",
        "--cache",
        "The folder for what comes from upstreams; by default one of the user's cache folder.",
        "DIR",
        Path,
        variable="GITINDEX_CACHE",
    ),
    Option(
        "cache_size",
        "--cache-size",
        "The most that files take in that folder, such as 500M or 20G.",
        "SIZE",
        default="10G",
    ),
    Option("largest_file", "--largest-file", "The largest file that is taken from an upstream.", "SIZE", default="4G"),
    Option("page_cache", "--page-cache", "How much memory each worker uses for pages.", "SIZE", default="16M"),
    Option(
        "tokens",
        "--tokens",
        "Let only those read who send a token of this file; see: gitindex token create.",
        "FILE",
        Path,
        variable=VARIABLE,
    ),
    Option(
        "public",
        "--public",
        "With --tokens: an index that needs none; may be repeated.",
        "USER/INDEX",
        is_repeated=True,
    ),
    Option(
        "writable",
        "--writable",
        "Take uploads, each as a commit, by who sends a token that may; needs --tokens.",
    ),
    Option(
        "push_remote",
        "--push-remote",
        "With --writable: push each commit to the remote origin, and answer when that has it.",
    ),
    Option(
        "via",
        "--via",
        "With --writable: pull-request puts each change on a branch of its own and opens the request.",
        "WAY",
        Way,
        Way.COMMIT,
    ),
    Option(
        "push_to",
        "--push-to",
        "With --writable: the upload URL of another index that releases may be pushed to; may be repeated.",
        "URL",
        is_repeated=True,
    ),
    Option("largest_upload", "--largest-upload", "The largest file that is taken as an upload.", "SIZE", default="4G"),
    Option("workers", "--workers", "Processes that answer.", "NUMBER", int, 1, least=1, most=64),
    Option(
        "base_path",
        "--base-path",
        "The path below which a proxy in front has the server, such as /pypi.",
        "PATH",
        default="",
    ),
    Option("access_log", "--access-log", "Log requests, in the Combined Log Format; - is standard output.", "FILE"),
    Option("afresh", "--afresh", "Serve the newest commit, whatever an earlier run found good."),
)
_BASE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~@+-]+)+", re.ASCII)
"""Segments that need no escape anywhere, and none that clients resolve away."""
_LARGEST = 1 << 62
"""Bytes."""
_MOST_DIGITS = 19
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def run(
    directory: Path,
    folder: str | None,
    *,
    host: str = "127.0.0.1",
    port: int = 3141,
    branch: str | None = None,
    pull_every: float | None = None,
    hook_secret_file: Path | None = None,
    cache: Path | None = None,
    cache_size: str = "10G",
    largest_file: str = "4G",
    page_cache: str = "16M",
    tokens: Path | None = None,
    public: list[str] | None = None,
    writable: bool = False,
    push_remote: bool = False,
    via: Way = Way.COMMIT,
    push_to: list[str] | None = None,
    largest_upload: str = "4G",
    workers: int = 1,
    base_path: str = "",
    access_log: str | None = None,
    afresh: bool = False,
) -> int:
    """Serve until a signal says to stop, and return the exit code.

    Raises:
        UsageError: the options make no sense.
        CannotRunError: there is nothing to serve, or the address cannot be had.

    """
    if public and tokens is None:
        raise UsageError("--public says what needs no token, and without --tokens nothing does")
    if writable and tokens is None:
        raise UsageError(
            "--writable needs --tokens: who writes has to be known",
            help="make one: gitindex token create NAME --user USER --upload USER/INDEX --tokens FILE",
        )
    is_proposed = via is Way.PULL_REQUEST
    if not writable and push_to:
        raise UsageError("--push-to is for releases that somebody pushes, and nobody does without --writable")
    if not writable and (push_remote or is_proposed):
        raise UsageError("--push-remote and --via say how to write, and nothing is written without --writable")
    if push_remote and is_proposed:
        raise UsageError("--push-remote and --via pull-request exclude each other", help="a pull request is pushed")
    if writable and (pull_every is not None or hook_secret_file) and not (push_remote or is_proposed):
        raise UsageError(
            "a branch that is pulled, and written to here alone, becomes two histories",
            help="let the remote have what is written, with --push-remote or --via pull-request; or pull nothing",
        )
    source = Source(directory, folder)
    repository = source.open()
    own = [repository.git_directory, *([] if repository.is_bare else [repository.top])]
    if tokens is not None:
        check_place(tokens, own, "tokens")
    hook_secret = None
    if hook_secret_file is not None:
        check_place(hook_secret_file, own, "secrets")
        hook_secret = read_secret(hook_secret_file)
    options = Options(
        source=source,
        cache=cache or cache_folder(repository.git_directory, repository.folder),
        reference="HEAD" if branch is None else f"refs/heads/{branch}",
        base_path=_base_path(base_path),
        page_cache=_size("--page-cache", page_cache),
        file_cache=_size("--cache-size", cache_size, least=1),
        largest_file=_size("--largest-file", largest_file, least=1),
        tokens=tokens,
        public=tuple(public or ()),
        pull_every=pull_every,
        hook_secret=hook_secret,
        is_afresh=afresh,
        is_writable=writable,
        is_pushed=push_remote,
        is_proposed=is_proposed,
        push_to=tuple(push_to or ()),
        largest_upload=_size("--largest-upload", largest_upload, least=1),
        workers=workers,
    )
    log = AccessLog(access_log) if access_log is not None else None
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="gitindex: %(message)s")
    name = printable(directory.resolve().name)
    with bind(host, port) as listening:
        serve(options, listening, log, lambda url: sys.stderr.write(f"Serving {name} at {url} (Ctrl-C stops it)\n"))
    return 0


def _base_path(text: str) -> str:
    path = "/" + text.strip("/") if text.strip("/") else ""
    if path and not _BASE_PATH.fullmatch(path):
        raise UsageError(f"{text!r} is no base path", help="write it as /pypi, or /tools/pypi")
    return path


def _size(option: str, text: str, *, least: int = 0) -> int:
    number, unit = text[:-1], text[-1:].upper()
    if unit.isdigit():
        number, unit = text, ""
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or len(number) > _MOST_DIGITS:
        raise UsageError(f"{option}: {text!r} is no size", help="write it as 500M or 20G")
    size = int(number) * _UNITS[unit]
    if not least <= size <= _LARGEST:
        raise UsageError(f"{option}: {text!r} is no size that can be", help="write it as 500M or 20G")
    return size
