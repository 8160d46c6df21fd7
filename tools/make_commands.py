"""Writes `docs/reference/commands.md`: what `--help` says, of each command and of each command in a group."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitindex.cli import COMMANDS, command

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"
INTRODUCTION = """\
<!-- Made by `make docs` from `gitindex --help`. Change the commands, not this page. -->
# Commands

What `gitindex COMMAND --help` says, of every command.

A command that writes changes the working tree and says what to commit. With `--commit` it commits. With `--pr`, where a
command has it, it opens a [pull request](../how-to/pull-requests.md). What it would write is validated first: a refused
change writes nothing.

| exit code | what it means |
|---|---|
| 0 | done, and nothing was found |
| 1 | refused by the rules, or the index, project or release asked for is not there |
| 2 | the command asks for something that cannot be |
| 3 | could not run: no repository, a broken file, a disk or a network that fails |
| 130 | interrupted |
"""


def help_of(*words: str) -> str:
    """Return what a command prints for ``--help``, as a terminal of 80 columns shows it."""
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        command()([*words, "--help"], prog_name="gitindex", standalone_mode=False, terminal_width=78)
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


def groups() -> Iterator[tuple[str, list[str]]]:
    """Yield each command, with the commands below it."""
    root: Any = command()
    for name in COMMANDS:
        found = root.get_command(None, name)
        yield name, list(getattr(found, "commands", ()))


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION, f"## gitindex\n\n```text\n{help_of()}```\n"]
    for name, below in groups():
        parts.append(f"## gitindex {name}\n\n```text\n{help_of(name)}```\n")
        parts += [f"### gitindex {name} {each}\n\n```text\n{help_of(name, each)}```\n" for each in below]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
