"""`gitindex serve`."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gitindex.cli import Place
from gitindex.cli.output import note
from gitindex.errors import UsageError
from gitindex.tokens import VARIABLE

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option("--host", help="The address to listen on; others reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, help="The port to listen on; 0 is a free one.", envvar="GITINDEX_PORT"
        ),
    ] = 3141,
    branch: Annotated[
        str | None,
        typer.Option("--branch", metavar="NAME", help="The branch to follow; by default the one that HEAD is."),
    ] = None,
    pull_every: Annotated[
        float | None,
        typer.Option("--pull-every", metavar="SECONDS", min=1, help="Bring the branch from its remote that often."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="The folder for what comes from upstreams; by default one of the user's cache folder.",
            envvar="GITINDEX_CACHE",
        ),
    ] = None,
    cache_size: Annotated[
        str, typer.Option("--cache-size", metavar="SIZE", help="How much of files it keeps, such as 500M or 20G.")
    ] = "10G",
    largest_file: Annotated[
        str, typer.Option("--largest-file", metavar="SIZE", help="The largest file that is taken from an upstream.")
    ] = "4G",
    page_cache: Annotated[
        str, typer.Option("--page-cache", metavar="SIZE", help="How much memory each worker uses for pages.")
    ] = "48M",
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--tokens",
            metavar="FILE",
            help="Let only those read who send a token of this file; see: gitindex token create.",
            envvar=VARIABLE,
        ),
    ] = None,
    public: Annotated[
        list[str] | None,
        typer.Option(
            "--public",
            metavar="USER/INDEX",
            help="With --tokens: an index that needs none. May be given several times.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that answer.")] = 1,
    base_path: Annotated[
        str, typer.Option("--base-path", metavar="PATH", help="What a proxy in front leaves before each path: /pypi.")
    ] = "",
    access_log: Annotated[
        str | None,
        typer.Option(
            "--access-log",
            metavar="FILE",
            help="Write requests down, in the Combined Log Format; - is standard output.",
        ),
    ] = None,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Serve the newest commit, whatever an earlier run found good.")
    ] = False,
) -> None:
    """Serve the index over HTTP, straight from Git's objects.

    Mirrors answer for what is not ours, through a cache. New commits are served as soon as they are there, and
    validate. Stop it with Ctrl-C.
    """
    if public and tokens is None:
        raise UsageError("--public says what needs no token, and without --tokens nothing does")
    from gitindex.server.live import Source
    from gitindex.server.run import bind, serve as run
    from gitindex.server.state import Options

    if tokens is not None:
        from gitindex.cli.token import tokens_path

        tokens = tokens_path(ctx, tokens)
    place: Place = ctx.obj
    source = Source(place.directory, place.folder)
    repository = source.open()
    options = Options(
        source=source,
        cache=cache or _cache_folder(repository.git_directory, repository.folder),
        reference="HEAD" if branch is None else f"refs/heads/{branch}",
        base_path=_base_path(base_path),
        page_cache=_size("--page-cache", page_cache),
        file_cache=_size("--cache-size", cache_size),
        largest_file=_size("--largest-file", largest_file),
        tokens=tokens,
        public=tuple(public or ()),
        pull_every=pull_every,
        is_afresh=afresh,
        workers=workers,
    )
    log = _access_log(access_log) if access_log is not None else None
    _log_to_stderr()
    listening = bind(host, port)
    name = source.directory.resolve().name
    run(options, listening, log, lambda url: note(f"Serving {name} at {url} (Ctrl-C stops it)"))


def _cache_folder(git_directory: Path, folder: str) -> Path:
    """Return a folder of the user's that belongs to this repository alone."""
    root = os.environ.get("XDG_CACHE_HOME") or ""
    base = Path(root) if root.startswith("/") else Path("~/.cache").expanduser()
    key = hashlib.sha256(f"{git_directory.resolve()} {folder}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return base / "gitindex" / key


def _base_path(text: str) -> str:
    path = "/" + text.strip("/") if text.strip("/") else ""
    if not path.isascii() or any(character in path for character in " ?#%\\") or "//" in path:
        raise UsageError(f"{text!r} is no base path", help="write it as /pypi, or /tools/pypi")
    return path


def _size(option: str, text: str) -> int:
    number, unit = text[:-1], text[-1:].upper()
    if unit.isdigit():
        number, unit = text, ""
    if unit not in _UNITS or not number.isascii() or not number.isdigit():
        raise UsageError(f"{option}: {text!r} is no size", help="write it as 500M or 20G")
    return int(number) * _UNITS[unit]


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="gitindex: %(message)s")


def _access_log(file: str) -> Any:
    """Return what writes a line for each request, in the Combined Log Format."""
    from gitindex.errors import CannotRunError

    try:
        stream = sys.stdout if file == "-" else open(file, "a", buffering=1 << 16, encoding="utf-8")  # noqa: PTH123, SIM115
    except OSError as error:
        raise CannotRunError(f"{file}: cannot be written: {error.strerror}", help="see --access-log") from None

    def log(scope: dict[str, Any], status: int, size: int, reader: str) -> None:
        headers = dict(scope["headers"])
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        client = scope["client"][0] if scope["client"] else "-"
        moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        stream.write(
            f'{client} - {reader or "-"} [{moment}] "{scope["method"]} {_safe(target)} HTTP/{scope["http_version"]}"'
            f' {status} {size or "-"} "{_safe(headers.get(b"referer", b"-"))}"'
            f' "{_safe(headers.get(b"user-agent", b"-"))}"\n'
        )
        stream.flush()

    return log


def _safe(value: bytes) -> str:
    """Return what a client sent as a line of a log can carry it."""
    text = value[:1000].decode("latin-1")
    return "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
