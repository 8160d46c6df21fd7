"""`gitindex config`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gitindex.cli.common import IndexOption, JsonOption, current, index_name, open_repository
from gitindex.cli.output import print_json, say
from gitindex.edits.opened import open_index
from gitindex.errors import UsageError
from gitindex.names import IndexName
from gitindex.snippets import for_index, for_uploads


class Tool(StrEnum):
    """The tools that `config` has lines for."""

    PIP = "pip"
    UV = "uv"
    POETRY = "poetry"
    PDM = "pdm"
    PYLOCK = "pylock"
    TWINE = "twine"


def config(
    ctx: typer.Context,
    tool: Annotated[Tool, typer.Argument(metavar="TOOL", help="pip, uv, poetry, pdm, pylock or twine.")],
    index: IndexOption,
    as_json: JsonOption = False,
) -> None:
    """Print the lines that point a tool to an index.

    The URL is made of the site's (url in gitindex.toml). The index is the only one named: its bases stand behind it.
    """
    snapshot = current(open_repository(ctx))
    name = open_index(snapshot, index_name(index)).name
    site = snapshot.settings.site.url
    if not site:
        raise UsageError(
            "gitindex.toml does not say where the site is served",
            help='set url under [site], such as "https://packages.example.org/"',
        )
    place, lines = _lines(tool, name, f"{site.rstrip('/')}/{name}/")
    if as_json:
        print_json({"file": place, "lines": lines})
    else:
        say(f"# {place}\n{lines}")


_PLACES = {
    Tool.PIP: "pip.conf (or: pip config set global.index-url URL)",
    Tool.PYLOCK: "writes pylock.toml",
    Tool.TWINE: ".pypirc, for a server that takes uploads (without one: gitindex upload)",
}
"""Where the lines of a tool belong, if that takes more words than a snippet has."""


def _lines(tool: Tool, name: IndexName, url: str) -> tuple[str, str]:
    snippets = {snippet.tool: snippet for snippet in (*for_index(f"{url}simple/", name), for_uploads(url, name))}
    found = snippets[tool]
    return _PLACES.get(tool, found.title), found.text
