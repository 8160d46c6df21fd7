"""What is said of a change: the name of its branch, the title of the pull request, its body."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from gitindex import layout
from gitindex.documents import read_manifest
from gitindex.edits.plan import Plan
from gitindex.git.proposals import PREFIX
from gitindex.model import File, Manifest
from gitindex.preview import preview
from gitindex.report.markdown import code, prose
from gitindex.report.preview import preview_markdown
from gitindex.report.text import clipped, count, printable
from gitindex.snapshot import Snapshot
from gitindex.tree import find

_LONGEST_NAME = 80
_LONGEST_TITLE = 200
_LONGEST_LINE = 1_000
_LISTED = 20
"""As many notes, and as many files, are told one by one; the rest is in the commit."""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9.+_-]+")


def branch_name(text: str) -> str:
    """Return the branch for the change that *text* tells of: the same for the same text, and for no other."""
    text = f"{text[:1].lower()}{text[1:]}"
    words = text.lower()
    name = _NOT_IN_NAMES.sub("-", words)
    name = re.sub(r"\.(?=\.|$)|\.lock(?=$)", "", name.replace("..", "."))[:_LONGEST_NAME].strip("-.")
    # A blank and the slash in the name of an index are read from the hyphens again, if there are no others.
    is_plain = words.replace(" ", "-").replace("/", "-") == name and text == words
    if not name or not is_plain or any("/" in word and "-" in word for word in words.split(" ")):
        name = f"{name}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return f"{PREFIX}{name}"


def title(plan: Plan) -> str:
    """Return the title of the pull request: one line."""
    return clipped(printable(plan.summary), _LONGEST_TITLE)


def message(plan: Plan) -> str:
    """Return the message of the commit."""
    notes = [printable(note) for note in plan.notes]
    return "\n".join([title(plan), *(["", *notes] if len(notes) > 1 else [])])


def body(plan: Plan, base: Snapshot, head: Snapshot, *, limit: int) -> str:
    """Return the body of the pull request, in at most *limit* bytes: what, which files, and what installers see."""
    told = [f"- {prose(clipped(note, _LONGEST_LINE))}\n" for note in plan.notes[:_LISTED]]
    if left_out := len(plan.notes) - len(told):
        told.append(f"- and {left_out:,} more\n")
    text = f"{''.join(told)}{_file_table(plan, base)}"
    room = limit - len(text.encode()) - 1
    if room <= 0:
        return text.encode()[:limit].decode(errors="ignore")
    return f"{text}\n{preview_markdown(preview(base, head), limit=room)}"


def _file_table(plan: Plan, base: Snapshot) -> str:
    files = list(_files(plan, base))
    if not files:
        return ""
    rows = [f"| {what} | {_name(file)} | {file.size:,} | `{file.hashes.sha256}` |\n" for what, file in files]
    head = "| | File | Size | sha256 |\n| --- | --- | ---: | --- |\n"
    text = f"\n#### Files\n\n{head}{''.join(rows[:_LISTED])}"
    if left_out := len(rows) - _LISTED:
        text += f"\n{count(left_out, 'more file')} in the manifests.\n" if left_out > 0 else ""
    return text


def _name(file: File) -> str:
    # A bar would end the cell, even where it stands in code.
    return code(clipped(printable(file.filename), _LONGEST_LINE).replace("|", r"\x7c"))


def _files(plan: Plan, base: Snapshot) -> Iterator[tuple[str, File]]:
    """Yield the released files that a plan adds, replaces or removes."""
    for path, content in sorted(plan.changes.items()):
        if not path.startswith(f"{layout.INDEXES}/") or not layout.is_manifest(path.rpartition("/")[2]):
            continue
        old, new = _manifest_files(path, _read(base, path)), _manifest_files(path, content)
        for filename in sorted(old.keys() | new.keys()):
            before, after = old.get(filename), new.get(filename)
            if after is None and before is not None:
                yield "removed", before
            elif after is not None and (before is None or before.hashes.sha256 != after.hashes.sha256):
                yield "new" if before is None else "replaced", after


def _read(snapshot: Snapshot, path: str) -> bytes | None:
    found = find(snapshot.root, path)
    return None if found is None else found[0].read(found[1])


def _manifest_files(path: str, data: bytes | Path | None) -> dict[str, File]:
    found = read_manifest(path, data) if isinstance(data, bytes) else None
    return {file.filename: file for file in found.files} if isinstance(found, Manifest) else {}
