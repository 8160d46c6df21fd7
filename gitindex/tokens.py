"""Tokens that may read and write indexes, and the file that knows their hashes; it never lies in the repository.

A token is ``gitindex_<id>_<secret>``: an id that may be seen, and 256 random bits. The file has the SHA-256 of each
whole token. A slow hash, as for passwords, would protect nothing more: nobody guesses 256 bits.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from gitindex import atomic
from gitindex.documents import Unreadable, read_json
from gitindex.errors import CannotRunError, NotThereError, UsageError
from gitindex.layout import MAX_DOCUMENT
from gitindex.model import Check, Model, Text, UploadTime, key
from gitindex.names import is_owner_name, is_user_name
from gitindex.ownfile import read_own
from gitindex.scopes import KINDS, READ, VARIABLE, is_index_pattern

T = TypeVar("T")

FORMAT = 1
_ID_BYTES, _SECRET_BYTES = 5, 32
_TOKEN = re.compile(rb"gitindex_(?P<id>[a-z2-7]{8})_[a-z2-7]{52}")


def _scope(text: str) -> str:
    kind = next((kind for kind in KINDS if text.startswith(kind)), None)
    if kind is None:
        known = ", ".join(KINDS)
        raise ValueError(f"the scope {text!r} is of a kind that this gitindex does not know: it knows {known}")
    if not is_index_pattern(text.removeprefix(kind)):
        raise ValueError(f"the scope {text!r} names no index: write {kind}USER/INDEX, {kind}USER/* or {kind}*")
    return text


def _user(text: str) -> str:
    if not is_user_name(text):
        raise ValueError("must be the name of a user of the repository")
    return text


def _name(text: str) -> str:
    if not is_owner_name(text):
        raise ValueError("must be lower-case letters and digits, with single . _ - between them, 64 at most")
    return text


class Token(Model):
    """What is kept of a token."""

    id: Text = key(pattern=r"^[a-z2-7]{8}$")
    name: Annotated[Text, Check(_name)]
    sha256: Text = key(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Annotated[Text, Check(_scope)], ...] = key(min_length=1)
    created: UploadTime
    expires: UploadTime | None
    user: Annotated[Text, Check(_user)] | None = None
    """Who writes with it: a user of the repository. One that only reads needs none."""

    @property
    def expiry(self) -> float | None:
        """When it stops being valid, in seconds since 1970; ``None``: never."""
        return None if self.expires is None else datetime.fromisoformat(self.expires).timestamp()

    def is_live(self, now: float) -> bool:
        """Tell whether it is valid at a time, in seconds since 1970."""
        expiry = self.expiry
        return expiry is None or now < expiry


def _of_different_ids(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    if len({token.id for token in tokens}) < len(tokens):
        raise ValueError("two tokens have the same id")
    return tokens


class _TokenFile(Model):
    format: Literal[1]
    tokens: Annotated[tuple[Token, ...], Check(_of_different_ids)]


class Minted(NamedTuple):
    """A token that was just made: what is kept of it, and its text, which nobody can find out again."""

    token: Token
    text: str


def id_of(text: bytes) -> str | None:
    """Return the id of a token, or ``None`` for what is not in the form of one."""
    match = _TOKEN.fullmatch(text)
    return match["id"].decode() if match else None


def digest_of(text: bytes) -> bytes:
    """Return the SHA-256 of a token, 32 bytes."""
    return hashlib.sha256(text).digest()


def default_path(environment: Mapping[str, str]) -> Path:
    """Return where the file is when nobody says so: ``$GITINDEX_TOKENS``, else in the folder of configurations.

    Raises:
        CannotRunError: there is no home folder to look in.

    """
    if named := environment.get(VARIABLE):
        return Path(named)
    configured = Path(environment.get("XDG_CONFIG_HOME", ""))
    try:
        # A relative one is to be ignored: XDG Base Directory Specification.
        folder = configured if configured.is_absolute() else Path.home() / ".config"
    except RuntimeError:
        raise CannotRunError("there is no home folder to keep tokens in", help="name a file with --tokens") from None
    return folder / "gitindex" / "tokens.json"


def read(path: Path) -> tuple[Token, ...]:
    """Return the tokens that the file at *path* knows, in the order of their creation; none where there is no file.

    Raises:
        CannotRunError: it cannot be read, others than its owner can read or write it, or it is malformed.

    """
    try:
        data = read_own(path, MAX_DOCUMENT + 1, what="tokens", option="--tokens")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise CannotRunError(
            f"{path}: cannot be read: {error.strerror or error}", help="it must be a file that this user may read"
        ) from None
    match read_json("tokens.json", data, _TokenFile):
        case Unreadable(problems=(problem, *_)):
            line = "" if problem.line is None else f":{problem.line}"
            raise CannotRunError(
                f"{path}{line}: {problem.message}",
                help="mend it, or move it away and create new tokens: gitindex token create",
            )
        case _TokenFile(tokens=tokens):
            return tokens
        case _:
            raise AssertionError


def create(
    path: Path,
    name: str,
    scopes: Sequence[str],
    *,
    expires: datetime | None,
    now: datetime,
    user: str | None = None,
) -> Minted:
    """Make a token, and put what is kept of it into the file at *path*, which is made where there is none.

    Raises:
        UsageError: the name is malformed or a live token has it, the token would have expired already, or it may write,
            and nobody is named as the *user* who does.
        CannotRunError: the file cannot be read or written.

    """
    try:
        _name(name)
    except ValueError as error:
        raise UsageError(f"{name!r} is no name of a token: it {error}", help="such as ci or laptop-of-emilie") from None
    if user is not None and not is_user_name(user):
        raise UsageError(f"{user!r} is no name of a user", help="see: gitindex user list")
    if user is None and not all(scope.startswith(READ) for scope in scopes):
        raise UsageError("a token that writes is somebody's", help="name the user of the repository with --user")
    if expires is not None and expires <= now:
        raise UsageError(f"a token that expires at {_written(expires)} is of no use", help="name a time to come")

    def changed(tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], Minted]:
        taken = next((token for token in tokens if token.name == name and token.is_live(now.timestamp())), None)
        if taken is not None:
            raise UsageError(
                f"there is a token {name} already, with the id {taken.id}",
                help=f"choose another name, or first run: gitindex token revoke {taken.id}",
            )
        minted = _mint(
            {token.id for token in tokens},
            {
                "name": name,
                "scopes": tuple(dict.fromkeys(scopes)),
                "user": user,
                "created": _written(now),
                "expires": None if expires is None else _written(expires),
            },
        )
        return (*tokens, minted.token), minted

    return _change(path, changed)


def revoke(path: Path, wanted: str) -> Token:
    """Remove the token whose id or name is *wanted* from the file at *path*, and return what was kept of it.

    Raises:
        NotThereError: there is none.
        UsageError: there are several.
        CannotRunError: the file cannot be read or written.

    """

    def changed(tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], Token]:
        found = [token for token in tokens if wanted in {token.id, token.name}]
        if not found:
            raise NotThereError(f"{wanted}: no such token", help="see: gitindex token list")
        if len(found) > 1:
            ids = ", ".join(token.id for token in found)
            raise UsageError(f"{len(found)} tokens are called {wanted}: {ids}", help="name the id of one")
        return tuple(token for token in tokens if token is not found[0]), found[0]

    if not path.exists():
        changed(())
    return _change(path, changed)


def _mint(taken: Collection[str], facts: Mapping[str, Any]) -> Minted:
    identifier = _random(_ID_BYTES)
    while identifier in taken:
        identifier = _random(_ID_BYTES)
    text = f"gitindex_{identifier}_{_random(_SECRET_BYTES)}"
    return Minted(Token(id=identifier, sha256=digest_of(text.encode()).hex(), **facts), text)


def _random(size: int) -> str:
    """Return so many random bytes as letters and digits: one word in a shell, in a URL and for a double click."""
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()


def _written(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _change(path: Path, changed: Callable[[tuple[Token, ...]], tuple[tuple[Token, ...], T]]) -> T:
    """Replace what the file holds by what *changed* makes of it, with no other writer in between."""
    real = Path(os.path.realpath(path))  # a link stays one
    with _locked(real):
        tokens, result = changed(read(real))
        data = json.dumps({"format": FORMAT, "tokens": [token.data() for token in tokens]}, indent=2).encode()
        if len(data) >= MAX_DOCUMENT:
            raise CannotRunError(
                f"{path}: would have more than {MAX_DOCUMENT:,} bytes", help="revoke the tokens that have expired"
            )
        atomic.write(real, [data, b"\n"], mode=0o600)
    return result


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # A file of its own: the one that is locked must not be replaced.
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise atomic.cannot_write(path, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise atomic.cannot_write(path, error) from None
        yield
    finally:
        os.close(descriptor)
