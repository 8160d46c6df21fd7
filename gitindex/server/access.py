"""Who may read and write which index: judges the Authorization header of a request by the tokens that are kept.

HTTP Basic (RFC 7617) is what pip, uv and twine send, Bearer (RFC 6750) what programs send; a token is the password.
"""

from __future__ import annotations

import binascii
import hmac
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from gitindex import scopes
from gitindex.errors import CannotRunError
from gitindex.names import IndexName, UserName

if TYPE_CHECKING:
    from gitindex.tokens import Token

CHALLENGE = b'Basic realm="gitindex", charset="UTF-8"'
"""The value of WWW-Authenticate that goes with a 401."""
NO_TOKEN = "a token is needed: send it as the password of the user __token__"
WRONG_TOKEN = "this token is wrong, has expired or was revoked"
"""What a 401 says to who sends none, and to who sends one that is none."""
MAX_HEADER = 4096
"""Bytes of an Authorization header; no token with a user name needs as many."""
MAX_REMEMBERED = 1024
"""Headers that were found right and are recognised at once: a client sends the same one with each request."""

_SCHEME = re.compile(rb"(?P<scheme>[A-Za-z]+) +(?P<value>[!-~]+) *")
_LOOK_EVERY = 1.0
"""Seconds between two looks at the file of the tokens."""
_NOBODY = bytes(32)
"""What a token of an unknown id is compared with: no text is known to have this hash."""

_log = logging.getLogger("gitindex.server")


class Reader(NamedTuple):
    """Who asks, and what they may read."""

    is_known: bool
    """Whether a valid token was sent, or none is needed."""
    name: str
    """The id of the token, for the access log; empty for nobody."""
    scopes: frozenset[str]
    """What may be done, as in the file of the tokens, with what everybody may read. Equal ones read the same."""
    user: UserName | None = None
    """The user of the repository for whom the token stands; ``None`` for one that only reads."""

    @property
    def may_read_all(self) -> bool:
        """Whether there is no index that this reader may not read."""
        return any(kind + scopes.EVERY in self.scopes for kind in scopes.KINDS)

    def may_read(self, index: IndexName) -> bool:
        """Tell whether this reader may read the index, with all that it inherits."""
        return any(scopes.allows(self.scopes, kind, index) for kind in scopes.KINDS)

    def may_upload(self, index: IndexName) -> bool:
        """Tell whether the token may change the index's releases; whether its user may, the rules say."""
        return self.user is not None and scopes.allows(self.scopes, scopes.UPLOAD, index)

    def may_define(self, index: IndexName) -> bool:
        """Tell whether the token may create, change or delete the index; whether its user may, the rules say."""
        return self.user is not None and scopes.allows(self.scopes, scopes.DEFINE, index)

    def may_define_user(self, user: UserName) -> bool:
        """Tell whether the token may create, change or delete a user; whether its own user may, the rules say."""
        return self.user is not None and scopes.allows_user(self.scopes, scopes.DEFINE, user)


def refusal(
    reader: Reader | None, index: IndexName | None
) -> Literal[HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN] | None:
    """Return the status that a request for an index is refused with, or ``None`` where it is to be answered.

    It is the same whether the index exists or not, so that no name leaks. Without *index*, it is asked for what belongs
    to no index: that is for those who may read something.
    """
    if reader is None:
        return HTTPStatus.UNAUTHORIZED
    if reader.is_known:
        return None if index is None or reader.may_read(index) else HTTPStatus.FORBIDDEN
    is_public = bool(reader.scopes) if index is None else reader.may_read(index)
    return None if is_public else HTTPStatus.UNAUTHORIZED


def sent_token(authorization: bytes) -> bytes | None:
    """Return the token in the value of an Authorization header, or ``None`` for what is not in the form of one.

    With Basic, it is the password of any user, or the user name where the password is empty.
    """
    from gitindex import tokens  # noqa: PLC0415 - most servers have none

    match = _SCHEME.fullmatch(authorization) if len(authorization) <= MAX_HEADER else None
    if match is None:
        return None
    text = match["value"]
    match match["scheme"].lower():
        case b"basic":
            try:
                user, _, password = binascii.a2b_base64(text, strict_mode=True).partition(b":")
            except binascii.Error:
                return None
            text = password or user
        case b"bearer":
            pass
        case _:
            return None
    return None if tokens.id_of(text) is None else text


class _Known(NamedTuple):
    digest: bytes
    expiry: float | None
    reader: Reader


_Signature = tuple[int, ...] | None


class _State:
    """The tokens of one content of the file, and the headers that were recognised by them."""

    def __init__(self, signature: _Signature, found: Sequence[Token], public: frozenset[str]) -> None:
        self.signature = signature
        self._known = {
            token.id: _Known(
                bytes.fromhex(token.sha256),
                token.expiry,
                Reader(
                    is_known=True,
                    name=token.id,
                    scopes=public.union(token.scopes),
                    user=None if token.user is None else UserName(token.user),
                ),
            )
            for token in found
        }
        self._remembered: dict[bytes, _Known] = {}

    def find(self, authorization: bytes) -> _Known | None:
        """Return the token that the header carries, even an expired one."""
        key = sha256(authorization).digest()  # of a secret, so that looking it up tells nothing about that
        if (remembered := self._remembered.get(key)) is not None:
            return remembered
        from gitindex import tokens  # noqa: PLC0415

        text = sent_token(authorization)
        if text is None:
            return None
        known = self._known.get(tokens.id_of(text) or "")
        is_right = hmac.compare_digest(tokens.digest_of(text), _NOBODY if known is None else known.digest)
        if known is None or not is_right:
            return None
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = known
        return known


class Access:
    """Who may read what: by a file of tokens, which is read again when it changes, or everybody everything.

    To be used by one thread.
    """

    def __init__(
        self,
        path: Path,
        public: Sequence[str] = (),
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let those read who send a token that the file at *path* knows, and everybody the *public* indexes.

        Those are patterns: ``user/index``, ``user/*`` or ``*``. *clock* gives seconds since 1970, for expiry; *ticks*
        seconds, for how often to look at the file.

        Raises:
            UsageError: a pattern names no index.
            CannotRunError: there is no such file, or it cannot be read.

        """
        self._path, self._clock, self._ticks = path, clock, ticks
        self._public = frozenset(scopes.scope(scopes.READ, pattern) for pattern in public)
        self._anonymous = Reader(is_known=False, name="", scopes=self._public)
        self._complaint = ""
        self._looked = ticks()
        self._state = self._read(_signature(path))
        if self._state.signature is None:
            raise CannotRunError(
                f"{path}: there is no such file of tokens",
                help=f"make the first token: gitindex token create NAME --read USER/INDEX --tokens {path}",
            )

    @staticmethod
    def open_to_all() -> Access:
        """Return the access where everybody reads everything, whatever they send."""
        return _OpenAccess()

    def of(self, authorization: bytes | None) -> Reader | None:
        """Return who sends the value of an Authorization header, or no such header.

        Returns ``None`` where it is wrong: malformed, of an unknown or revoked token, or expired. Then the answer is a
        401 for public indexes too: a client that takes itself for known must not be served as a stranger.
        """
        if self._ticks() - self._looked >= _LOOK_EVERY:
            self._look()
        if authorization is None:
            return self._anonymous
        known = self._state.find(authorization)
        if known is None or (known.expiry is not None and self._clock() >= known.expiry):
            return None
        return known.reader

    def of_new(self, authorization: bytes) -> Reader | None:
        """Return who sends a header, as :meth:`of`; the token may have been made this very moment."""
        self._look()
        return self.of(authorization)

    def seconds_left(self, authorization: bytes) -> float | None:
        """Return for how long the token in a header is still valid; ``None``: as long as nobody revokes it."""
        known = self._state.find(authorization)
        return None if known is None or known.expiry is None else max(known.expiry - self._clock(), 0.0)

    def _look(self) -> None:
        """Read the file again if it is another one. What cannot be read changes nothing, and is told once."""
        self._looked = self._ticks()
        try:
            signature = _signature(self._path)
            if signature == self._state.signature and not self._complaint:
                return
            self._state = self._read(signature)
        except CannotRunError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.error("%s; until then, the tokens that were read before are the valid ones", error)
            return
        self._complaint = ""
        if signature is None:
            _log.warning("%s: the file is gone, and with it all tokens", self._path)
        else:
            _log.info("%s: the tokens were read again", self._path)

    def _read(self, signature: _Signature) -> _State:
        from gitindex import tokens  # noqa: PLC0415

        # The signature is older than what is read: a change in between is seen at the next look.
        return _State(signature, tokens.read(self._path), self._public)


class _OpenAccess(Access):
    """The access of a server without tokens."""

    def __init__(self) -> None:
        self._everybody = Reader(is_known=True, name="", scopes=frozenset({scopes.READ + scopes.EVERY}))

    def of(self, authorization: bytes | None) -> Reader | None:
        del authorization
        return self._everybody

    def of_new(self, authorization: bytes) -> Reader | None:
        return self.of(authorization)


def _signature(path: Path) -> _Signature:
    """Return what differs when the file does; ``None`` where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - in each second that has a request
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotRunError(
            f"{path}: cannot be read: {error.strerror or error}", help="it must be a file that this user may read"
        ) from None
    # The time of the last chmod too: that is how a file with the wrong mode is mended.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev
