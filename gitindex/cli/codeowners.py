"""`gitindex codeowners`."""

from __future__ import annotations

from typing import Annotated

import typer

from gitindex import atomic
from gitindex.cli.common import JsonOption, current, open_repository
from gitindex.cli.output import note, print_json, say
from gitindex.codeowners import Forge, block, codeowners as lines_of, names_at, put_block
from gitindex.edits.forges import places_of
from gitindex.errors import CannotRunError


def codeowners(
    ctx: typer.Context,
    forge: Annotated[Forge, typer.Option("--forge", help="Whose file to write.")] = Forge.GITHUB,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1: it is out of date.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write CODEOWNERS from the owners and ACLs, or check it.

    A part of the file is gitindex's, between two marks; your own lines around it stay. A user is called by their
    identity at the forge (github:emilie), else by their address.
    """
    repository = open_repository(ctx)
    snapshot = current(repository)
    lines = lines_of(snapshot, forge, repository.folder)
    # The file that counts is the one that is there, wherever the forge looks for it.
    name = next((place for place in places_of(forge.path) if (repository.top / place).exists()), forge.path)
    path = repository.top / name
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRunError(f"{name}: cannot be read: {error}", help="mend or remove it") from None
    after = put_block(before, block(lines, forge))
    is_current = before == after
    if not check and not is_current:
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise atomic.cannot_write(path.parent, error) from None
        atomic.write(path, [after.encode()])
    if as_json:
        listed = [{"path": line.path, "owners": list(line.owners)} for line in lines]
        print_json({"file": name, "current": is_current or not check, "lines": listed})
    elif is_current:
        say(f"{name} is up to date.")
    elif check:
        note(f"{name} is not what the users and ACLs say; write it with: gitindex codeowners --forge {forge}")
    else:
        say(f"Wrote {name}.")
    unknown = [name for name in snapshot.user_names() if not names_at(snapshot, name, forge)]
    if unknown:
        hint = f"gitindex user modify {unknown[0]} identities+={forge}:LOGIN"
        note(f"Nobody at {forge} is asked for {', '.join(unknown)}; say who they are there: {hint}")
    if check and not is_current:
        raise typer.Exit(1)
