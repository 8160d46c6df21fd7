"""`gitindex install`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Annotated

import typer

from gitindex.cli.common import IndexOption, current, index_name, open_repository
from gitindex.edits.opened import open_index
from gitindex.errors import CannotRunError


def install(
    ctx: typer.Context,
    index: IndexOption,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="-- ARGUMENTS…", help="What pip install gets, as it is.")
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

    The index is served on the loopback interface until the installer is done. Mirrors answer for names that are not ours.
    Installer options from the environment and configuration that name other indexes are not used.
    """
    from gitindex.loopback import serve
    from gitindex.storage import EmbeddedStore

    repository = open_repository(ctx)
    snapshot = repository.at(rev) if rev is not None else current(repository)
    opened = open_index(snapshot, index_name(index))
    store = (
        EmbeddedStore(snapshot.root, repository.git_directory / "lfs" / "objects")
        if snapshot.settings.storage.is_embedded
        else None
    )
    with serve(snapshot, opened, store) as url:
        command = _uv_command(url, python) if uv else _pip_command(url, python)
        try:
            code = subprocess.run([*command, *(arguments or ())], env=_environment(), check=False).returncode  # noqa: S603
        except OSError as error:
            raise CannotRunError(f"{command[0]}: cannot be started: {error.strerror}") from None
    raise typer.Exit(1 if code else 0)


install.context_settings = {"allow_extra_args": False}  # type: ignore[attr-defined]


def _interpreter(python: str | None) -> str:
    if python is not None:
        return python
    active = os.environ.get("VIRTUAL_ENV")
    return os.path.join(active, "bin", "python") if active else sys.executable  # noqa: PTH118


def _pip_command(url: str, python: str | None) -> list[str]:
    interpreter = _interpreter(python)
    found = subprocess.run([interpreter, "-m", "pip", "--version"], capture_output=True, check=False)  # noqa: S603
    if found.returncode:
        raise CannotRunError(f"{interpreter} has no pip", help="use --uv, or: python -m ensurepip")
    return [interpreter, "-m", "pip", "install", "--index-url", url]


def _uv_command(url: str, python: str | None) -> list[str]:
    uv = shutil.which("uv")
    if uv is None:
        raise CannotRunError("uv is not installed", help="install it, or leave out --uv")
    return [uv, "pip", "install", "--python", _interpreter(python), "--default-index", url]


def _environment() -> dict[str, str]:
    """Return the environment less what would add other indexes beside ours: that is how names get confused."""
    others = {
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_NO_INDEX",
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
        "UV_NO_INDEX",
    }
    environment = {key: value for key, value in os.environ.items() if key not in others}
    return environment | {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
