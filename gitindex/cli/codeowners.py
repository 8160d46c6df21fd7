"""`gitindex codeowners`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitindex import atomic
from gitindex.check import today
from gitindex.cli.common import JsonOption, PrOption, current, open_repository, proposal_data, start, tell_proposal
from gitindex.cli.output import note, print_json, say
from gitindex.codeowners import Forge, block, codeowners as lines_of, names_at, put_block
from gitindex.edits.forges import places_of
from gitindex.edits.plan import Plan
from gitindex.errors import CannotRunError, UsageError
from gitindex.tree import leaf_at

if TYPE_CHECKING:
    from gitindex.forge import Proposal
    from gitindex.git import Repository
    from gitindex.snapshot import Snapshot


def codeowners(
    ctx: typer.Context,
    forge: Annotated[Forge, typer.Option("--forge", help="Whose file to write.")] = Forge.GITHUB,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1: it is out of date.")] = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write CODEOWNERS from the owners and ACLs, or check it.

    A part of the file is gitindex's, between two marks; your own lines around it stay. A user is called by their
    identity at the forge (github:emilie), else by their address.
    """
    if check and pr:
        raise UsageError("--check and --pr exclude each other", help="--check writes nothing")
    repository = open_repository(ctx)
    snapshot = current(repository) if check else start(ctx, repository, commit=False, pr=pr)
    lines = lines_of(snapshot, forge, repository.folder)
    name, before = _published(repository, snapshot, forge) if pr else _on_disk(repository, forge)
    after = put_block(before, block(lines, forge))
    is_current = before == after
    made = _propose(repository, snapshot, forge, name, "" if is_current else after) if pr else None
    if not (check or pr or is_current):
        _write(repository, name, after)
    if as_json:
        listed = [{"path": line.path, "owners": list(line.owners)} for line in lines]
        told: dict[str, Any] = {} if made is None else {"commit": made.commit, **proposal_data(made)}
        print_json({"file": name, "current": is_current or not check, "lines": listed, **told})
    elif is_current:
        say(f"{name} is up to date.")
    elif check:
        note(f"{name} is not what the users and ACLs say; write it with: gitindex codeowners --forge {forge}")
    else:
        say(f"Wrote {name}." if made is None else _note(name))
    if made is not None and not as_json and not is_current:
        tell_proposal(repository, made)
    unknown = [name for name in snapshot.user_names() if not names_at(snapshot, name, forge)]
    if unknown:
        hint = f"gitindex user modify {unknown[0]} identities+={forge}:LOGIN"
        note(f"Nobody at {forge} is asked for {', '.join(unknown)}; say who they are there: {hint}")
    if check and not is_current:
        raise typer.Exit(1)


def _on_disk(repository: Repository, forge: Forge) -> tuple[str, str]:
    """Return where in the working tree the file is that counts, wherever the forge looks for it, and what it says."""
    name = next((place for place in places_of(forge.path) if (repository.top / place).exists()), forge.path)
    path = repository.top / name
    try:
        return name, path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise _cannot_read(name, str(error)) from None


def _published(repository: Repository, snapshot: Snapshot, forge: Forge) -> tuple[str, str]:
    """Return the same of what is published."""
    top = repository.top_at(str(snapshot.name))
    found = {place: leaf for place in places_of(forge.path) if (leaf := leaf_at(top, place)) is not None}
    if not found:
        return forge.path, ""
    name, leaf = next(iter(found.items()))
    if leaf.kind not in ("file", "executable"):
        raise _cannot_read(name, "it is no plain file")
    try:
        return name, leaf.read().decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _cannot_read(name, str(error)) from None


def _cannot_read(name: str, why: str) -> CannotRunError:
    return CannotRunError(f"{name}: cannot be read: {why}", help="mend or remove it")


def _write(repository: Repository, name: str, text: str) -> None:
    path = repository.top / name
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise atomic.cannot_write(path.parent, error) from None
    atomic.write(path, [text.encode()])


def _propose(repository: Repository, snapshot: Snapshot, forge: Forge, name: str, text: str) -> Proposal:
    """Propose what the file is to say; nothing, where that is empty."""
    from gitindex.forge import propose

    beside = {name: text.encode()} if text else {}
    plan, called = Plan(notes=[_note(name)]), f"write codeowners of {forge}"
    return propose(repository, snapshot, plan, name=called, today=today(), beside=beside)


def _note(name: str) -> str:
    return f"Write {name} from the owners and ACLs"
