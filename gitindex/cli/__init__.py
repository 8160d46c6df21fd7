"""The commands: wiring, wording and exit codes. Each module is imported when its command is run, for a fast start."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from gitindex import __version__


class _Entry(NamedTuple):
    module: str
    name: str
    """A function, or the Typer application of a group of commands."""
    help: str
    """The first line of its docstring; a test compares the two."""


COMMANDS: dict[str, _Entry] = {
    "init": _Entry("init", "init", "Make an index repository that works at once."),
    "user": _Entry("owners", "user", "Create, list, show, modify and delete users."),
    "index": _Entry("owners", "index", "Create, list, show, modify and delete indexes."),
    "mirror": _Entry("mirrors", "mirror", "Say what of another index a mirror shows."),
    "upload": _Entry("releases", "upload", "Release wheels and sdists to an index."),
    "push": _Entry("push", "push", "Promote releases from one index, or a mirror, to another index."),
    "yank": _Entry("releases", "yank", "Advise against a release, and leave it where it is."),
    "unyank": _Entry("releases", "unyank", "Take a yank back."),
    "remove": _Entry("releases", "remove", "Remove a release, or a project, from a volatile index."),
    "test": _Entry("testing", "try_release", "Run the tests of a release, and record what came of them."),
    "list": _Entry("reading", "list_", "List the projects of an index, or the files of a project."),
    "show": _Entry("reading", "show", "Show users, an index or a project as JSON."),
    "why": _Entry("reading", "why", "Say which index gives or hides the files of a project."),
    "validate": _Entry("validate", "validate", "Check a change against the rules, and refuse what breaks a promise."),
    "diff": _Entry("diff", "diff", "Say what installers will see change."),
    "log": _Entry("log", "log", "Say who released, pushed and yanked what, and when."),
    "audit": _Entry("guard", "audit", "Prove the whole history: was each promise kept, at each step?"),
    "verify": _Entry("verify", "verify", "Read or download every released file, and check its bytes."),
    "pre-receive": _Entry("guard", "pre_receive", "Check a push before the server takes it."),
    "codeowners": _Entry("codeowners", "codeowners", "Write CODEOWNERS from the owners and ACLs, or check it."),
    "forge": _Entry("forge", "forge", "Comment, open issues and merge at GitHub, as workflows do."),
    "import": _Entry("importing", "import_", "Bring in what another index has."),
    "export": _Entry("exporting", "export", "Write releases out for another index."),
    "token": _Entry("token", "token", "Create, list and revoke tokens that may read and write indexes."),
    "rule": _Entry("reference", "rule", "List the rules, or explain one."),
    "render": _Entry("render", "render", "Write the site: simple pages for installers, pages for people."),
    "publish": _Entry("publish", "publish", "Render the site and upload what changed."),
    "serve": _Entry("serve", "serve", "Serve the index over HTTP, straight from Git's objects."),
    "install": _Entry("install", "install", "Run pip or uv against this repository, without a server."),
    "config": _Entry("config", "config", "Print the lines that point a tool to an index."),
    "schema": _Entry("reference", "schema", "Print or write the JSON Schemas of the formats."),
}


def _no_type(_: Any) -> str:
    return ""


def _spoken(command: Any) -> Any:
    """Let the help of a command say what people call things, without Python's types, and first lines whole."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            parameter.display_type = _no_type
    for below in getattr(command, "commands", {}).values():
        _spoken(below).short_help = (below.help or "").partition("\n")[0]
    return command


class _LazyGroup(TyperGroup):
    """A group that knows its commands by name, and imports one when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        found = getattr(import_module(f"gitindex.cli.{entry.module}"), entry.name)
        if isinstance(found, typer.Typer):
            application = found
        else:
            application = typer.Typer(rich_markup_mode=None, add_completion=False)
            application.command(cmd_name, context_settings=getattr(found, "context_settings", None))(found)
        return _spoken(typer.main.get_command(application))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


class Place(NamedTuple):
    """Where a command works."""

    directory: Path
    folder: str | None


_application = typer.Typer(cls=_LazyGroup, rich_markup_mode=None, no_args_is_help=True, add_completion=True)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"gitindex {__version__}")
        raise typer.Exit


@_application.callback()
def _main(
    ctx: typer.Context,
    directory: Annotated[
        Path,
        typer.Option(
            "--directory",
            "-C",
            metavar="DIR",
            help="The index repository, or a folder in it.",
            envvar="GITINDEX_DIRECTORY",
        ),
    ] = Path(),
    folder: Annotated[
        str | None,
        typer.Option(
            "--folder",
            metavar="PATH",
            help="The index repository's folder in the Git repository, where it is not its top.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """A private Python package index that lives in a Git repository.

    Begin with: gitindex init packages. Each command says with --help what it does and takes.
    """
    del version
    ctx.obj = Place(directory, folder)


def command() -> Any:
    """Return the command line as a callable; exceptions of gitindex leave it as they are."""
    return typer.main.get_command(_application)
