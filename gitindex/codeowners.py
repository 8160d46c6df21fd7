"""CODEOWNERS from owners and ACLs: whom a forge asks to review what.

The guard decides who may do what; this only sees to it that the right people are asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from gitindex import layout
from gitindex.model import Stage, User
from gitindex.rights import Rights
from gitindex.snapshot import Snapshot

START = "# >>> gitindex codeowners: made by that command from the users and ACLs; what stands between is overwritten"
END = "# <<< gitindex codeowners"


class Forge(StrEnum):
    """Whose CODEOWNERS it is; a user's identity there starts with this word and a colon."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"

    @property
    def path(self) -> str:
        """Where the file lies in the Git repository."""
        return f".{self}/CODEOWNERS"


class Line(NamedTuple):
    """Who owns what lies at or below a path."""

    path: str
    """In the Git repository; a folder's ends in ``/``."""
    owners: tuple[str, ...]
    """As the forge calls them; nobody is asked where there are none."""


def codeowners(snapshot: Snapshot, forge: Forge, folder: str) -> tuple[Line, ...]:
    """Return who owns what in the index repository that lies in *folder* (empty: at the top), the general first."""
    rights = Rights(snapshot)
    admins = [name for name in snapshot.user_names() if rights.is_admin(rights.actor(name))]
    prefix = f"{folder}/" if folder else ""

    def line(path: str, users: Iterable[str]) -> Line:
        called = [name for user in users for name in names_at(snapshot, user, forge)]
        return Line(path, tuple(dict.fromkeys(called)))

    def lines() -> Iterator[Line]:
        is_last_line_alone = forge is not Forge.GITEA  # there, all lines that match a path count
        if is_last_line_alone:
            yield line(f"{prefix}{layout.INDEXES}/", admins)
        if forge is Forge.GITHUB:
            yield Line(f"{prefix}{layout.FILES}/", ())  # stored files come with the manifests that name them
        for user in snapshot.user_names():
            if is_last_line_alone:
                yield line(f"{prefix}{layout.user_folder(user)}/", [user, *admins])
            yield line(f"{prefix}{layout.user_path(user)}", admins)
            for name in snapshot.index_names(user):
                index = snapshot.index(name)
                if index is not None and isinstance(index.definition, Stage):
                    uploaders = sorted(rights.members(rights.uploaders(name, index.definition)))
                    yield line(f"{prefix}{layout.index_folder(name)}/", uploaders or admins)
                    yield line(f"{prefix}{layout.index_path(name)}", [user, *admins])
        yield line(f"{prefix}{layout.SETTINGS}", admins)
        yield line(f".{forge}/", admins)
        if forge is Forge.GITLAB:
            yield line(".gitlab-ci.yml", admins)

    return tuple(lines())


def names_at(snapshot: Snapshot, name: str, forge: Forge) -> list[str]:
    """Return what the forge calls a user: by the identities there, else by the address; nothing where it knows none."""
    user = snapshot.user(name)
    if not isinstance(user, User):
        return []
    logins = [identity.partition(":")[2] for identity in user.identities if identity.lower().startswith(f"{forge}:")]
    found = [f"@{login}" for login in logins if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", login)]
    is_address = re.fullmatch(r"[^\s@#]+@[^\s@#]+", user.email) is not None
    return found or ([user.email] if is_address and forge is not Forge.GITEA else [])


def block(lines: Iterable[Line], forge: Forge) -> str:
    """Return the part of a CODEOWNERS file that is gitindex's, with its marks."""
    return "".join(f"{text}\n" for text in (START, *_written(lines, forge), END))


def _written(lines: Iterable[Line], forge: Forge) -> Iterator[str]:
    for path, owners in lines:
        if forge is Forge.GITEA:  # regular expressions
            if owners:
                yield " ".join([re.escape(path) + (".*" if path.endswith("/") else ""), *owners])
        elif owners or forge is Forge.GITHUB:
            yield " ".join(["/" + re.sub(r"([\s#\\])", r"\\\1", path), *owners])


def put_block(text: str, written: str) -> str:
    """Return the text of a CODEOWNERS file with gitindex's part replaced, or put at its end."""
    start, end = text.find(START), text.find(END)
    if 0 <= start < end:
        return text[:start] + written + text[end + len(END) :].removeprefix("\n")
    blank = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + blank + written
