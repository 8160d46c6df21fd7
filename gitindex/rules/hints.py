"""Commands to copy: what the help of a finding ends with, behind a colon, where a command does what is wanted.

They are for a shell (bash, zsh) in the folder of the index repository. A word in capitals has to be filled in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gitindex.names import parse_index_name
from gitindex.tree import find

if TYPE_CHECKING:
    from gitindex.compare import Change
    from gitindex.finding import Finding
    from gitindex.names import IndexName
    from gitindex.snapshot import Snapshot

FIX = "gitindex validate --fix"
_RESTORE = "; to get back what was there: "
_COMMAND = r"(?:^|.*: )((?:git|gitindex|chmod) .*)"
_TO_FILL_IN = r"(?<![^\s=/])(?:ADMIN|BASE|FILE|INDEX|NAME|PROJECT|REASON|USER|VERSION)(?![^\s=/.])"


def command_of(help_: str) -> str | None:
    """Return the command that a help ends with; ``None`` where there is none, or where it has to be filled in."""
    match = re.fullmatch(_COMMAND, help_, re.DOTALL)
    return match[1] if match and not re.search(_TO_FILL_IN, match[1]) else None


def quoted(text: str) -> str:
    """Return *text* as one word of a shell; what cannot be printed is spelled out, so that it can be copied."""
    import shlex  # noqa: PLC0415 - only where something is refused

    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(character: str) -> str:
    if character.isprintable() and character not in "\\'":
        return character
    is_byte = "\udc80" <= character <= "\udcff"  # of a name on a disk that is not UTF-8
    data = character.encode("utf-8", "surrogateescape" if is_byte else "surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in data)


def on_path(command: str, path: str) -> str:
    """Return a Git command on one path, which is no pattern whatever characters it has."""
    is_pattern = path.startswith(":") or any(character in path for character in "*?[\\")
    return f"{command} -- {quoted(f':(literal){path}' if is_pattern else path)}"


def short(snapshot: Snapshot) -> str:
    """Return how a command names the revision of a snapshot."""
    return (snapshot.name or "BASE")[:12]


def or_restore(advice: str, change: Change, path: str) -> str:
    """Return *advice*, and the command that brings back what the base has at *path*, where it has something."""
    found = find(change.base.root, path)
    if found is None or found[0].entries()[found[1]].kind == "submodule":
        return advice
    return f"{advice}{_RESTORE}{on_path(f'git checkout {short(change.base)}', path)}"


def without_restore(finding: Finding) -> Finding:
    """Return what is said of a change that was not made: there is nothing to restore."""
    return finding._replace(help=finding.help.partition(_RESTORE)[0])


def set_key(index: IndexName, setting: str) -> str:
    """Return the command that changes a key of an index."""
    return f"gitindex index modify {quoted(str(index))} {quoted(setting)}"


def out_of(index: IndexName, key: str, value: str, advice: str) -> str:
    """Return *advice*, and how to take a value out of a list of an index."""
    is_sayable = bool(value) and value == value.strip() and "," not in value
    if is_sayable and parse_index_name(str(index)):
        return f"{advice}, or take it out: {set_key(index, f'{key}-={value}')}"
    return f"{advice}, or take it out of {key}"


def yank(index: IndexName, project: str, version: str) -> str:
    """Return the command that yanks a release; the reason is to be filled in."""
    return f"gitindex yank {quoted(f'{project}=={version}')} --index {quoted(str(index))} --reason REASON"


def upload(index: IndexName) -> str:
    """Return the command that releases a file; which, is to be filled in."""
    return f"gitindex upload FILE --index {quoted(str(index))}"
