"""`gitindex install`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Annotated

import typer

from gitindex.cli.common import IndexOption, current, index_name, open_repository
from gitindex.cli.output import note
from gitindex.edits.opened import open_index
from gitindex.errors import CannotRunError, UsageError


def install(
    ctx: typer.Context,
    index: IndexOption,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="-- ARGUMENTS", help="What pip install gets, as it is.")
    ] = None,
    rev: Annotated[
        str | None, typer.Option("--rev", metavar="REV", help="The revision; by default the working tree.")
    ] = None,
    uv: Annotated[bool, typer.Option("--uv", help="Run uv pip install, not pip install.")] = False,
    python: Annotated[
        str | None,
        typer.Option(
            "--python", metavar="PATH", help="The interpreter to install for; the active environment's by default."
        ),
    ] = None,
) -> None:
    """Run pip or uv against this repository, without a server.

    The index is served on the loopback interface until the installer is done. Mirrors answer for names that are not
    ours. Installer options from the environment and configuration that name other indexes are not used.

    What the installer gets comes after two dashes: gitindex install --index emilie/dev -- --target here table-print
    """
    arguments = arguments or []
    _check_arguments(arguments)
    from gitindex.loopback import serve
    from gitindex.objects import store_of

    repository = open_repository(ctx)
    snapshot = repository.at(rev) if rev is not None else current(repository)
    opened = open_index(snapshot, index_name(index))
    storage = snapshot.settings.storage
    is_asked = storage.is_embedded or not storage.public_url
    store = store_of(snapshot, repository.git_directory) if is_asked else None
    command = _uv(python, arguments) if uv else _pip(python, arguments)
    problems: dict[str, None] = {}
    with serve(snapshot, opened, store, lambda error: problems.setdefault(str(error))) as url:
        code = _run([*command, url, *arguments])
    for problem in problems:
        note(f"gitindex: {problem}")
    raise typer.Exit(1 if code else 0)


_OTHER_INDEXES = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--index",
    "--default-index",
    "--no-index",
)
_OTHER_PLACES = ("-t", "--target", "--prefix", "--root", "--user", "--dry-run")


def _check_arguments(arguments: list[str]) -> None:
    """Refuse other indexes beside ours: that is how names get confused."""
    words = {argument.partition("=")[0] for argument in arguments}
    if others := sorted(words & set(_OTHER_INDEXES)):
        raise UsageError(
            f"{others[0]} names another index beside ours", help="leave it out: mirrors answer for other names"
        )


install.context_settings = {"allow_extra_args": False}  # type: ignore[attr-defined]


_NOT_FROM_HERE = "import sys; sys.path = [place for place in sys.path if place]"
"""Takes the current folder from where modules are looked for: it may be a clone, with whatever somebody put there.

The option for it (-P) is newer than interpreters that packages are installed for.
"""
_RUN_PIP = "import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)"


def _interpreter(python: str | None, arguments: list[str]) -> str:
    if python is not None:
        return python
    if active := os.environ.get("VIRTUAL_ENV"):
        return os.path.join(active, "bin", "python")  # noqa: PTH118
    # Never into the environment that gitindex happens to run in.
    if not {argument.partition("=")[0] for argument in arguments} & set(_OTHER_PLACES):
        help_ = "activate one, name an interpreter with --python, or add: -- --target DIR"
        raise UsageError("no environment is active", help=help_)
    return sys.executable


def _pip(python: str | None, arguments: list[str]) -> list[str]:
    interpreter = _interpreter(python, arguments)
    if _run([interpreter, "-c", f"{_NOT_FROM_HERE}; import pip"], stderr=subprocess.DEVNULL):
        raise CannotRunError(f"{interpreter} has no pip", help="use --uv, or: python -m ensurepip")
    return [interpreter, "-c", f"{_NOT_FROM_HERE}; {_RUN_PIP}", "install", "--index-url"]


def _uv(python: str | None, arguments: list[str]) -> list[str]:
    uv = shutil.which("uv")
    if uv is None:
        raise CannotRunError("uv is not installed", help="install it, or leave out --uv")
    return [uv, "pip", "install", "--python", _interpreter(python, arguments), "--default-index"]


def _run(command: list[str], stderr: int | None = None) -> int:
    try:
        return subprocess.run(command, env=_environment(), stderr=stderr, check=False).returncode  # noqa: S603
    except OSError as error:
        raise CannotRunError(f"{command[0]}: cannot be started: {error.strerror}") from None


def _environment() -> dict[str, str]:
    """Return the environment less what would add other indexes beside ours: that is how names get confused."""
    others = {
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_NO_INDEX",
        "UV_CONFIG_FILE",
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
        "UV_NO_INDEX",
    }
    environment = {key: value for key, value in os.environ.items() if key.upper() not in others}
    # A proxy cannot reach our loopback interface.
    direct = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1"]))
    return {"UV_LINK_MODE": "copy", **environment} | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # it would ask the index for pip
        "UV_NO_CONFIG": "1",
        # uv caches by the index's URL, and ours is a new one each time: copies would pile up that nothing reads.
        "UV_NO_CACHE": "1",
        "NO_PROXY": direct,
        "no_proxy": direct,
    }
