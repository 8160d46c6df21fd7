"""What a single commit did to the files of a folder, read from its trees: for a few commits, git starts too slowly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from gitindex.differences import differing

if TYPE_CHECKING:
    from gitindex.tree import Entry, Folder

_PLAIN = re.compile(
    rb"tree [0-9a-f]+\n(?:parent [0-9a-f]+\n)*"
    rb"author (?P<author>[^\x00-\x1f<>]+) <[^\x00-\x20<>]*> \d+ [+-]\d{4}\n"
    rb"committer [^\x00-\x1f<>]+ <[^\x00-\x20<>]*> (?P<time>\d{1,10}) [+-]\d{4}\n"
    rb"(?:gpgsig(?:-sha256)? [^\n]*\n(?: [^\n]*\n)*)?\n"
)


class Signed(NamedTuple):
    """Who made a commit, and when it was committed."""

    author: str
    seconds: str


def signed(raw: bytes) -> Signed | None:
    """Return what a commit says of itself, ``None`` where it is not in the plain form: git then knows what it means."""
    found = _PLAIN.match(raw)
    if found is None or found["author"] != found["author"].strip():
        return None
    try:
        return Signed(found["author"].decode(), found["time"].decode())
    except UnicodeDecodeError:
        return None


def changed_files(before: Folder | None, after: Folder | None, depth: int) -> Iterator[tuple[str, str]]:
    """Yield git's status (A, D or M) and path of each file that differs, as far as *depth* folders below these two."""
    for name in differing(before, after):
        was, now = _entry(before, name), _entry(after, name)
        if _is_leaf(was) or _is_leaf(now):
            yield "M" if _is_leaf(was) and _is_leaf(now) else "D" if _is_leaf(was) else "A", name
        if depth and (_is_folder(was) or _is_folder(now)):
            old = before.folder(name) if before and _is_folder(was) else None
            new = after.folder(name) if after and _is_folder(now) else None
            for status, path in changed_files(old, new, depth - 1):
                yield status, f"{name}/{path}"


def _entry(folder: Folder | None, name: str) -> Entry | None:
    return folder.entries().get(name) if folder is not None else None


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind == "folder"


def _is_leaf(entry: Entry | None) -> bool:
    return entry is not None and entry.kind != "folder"
