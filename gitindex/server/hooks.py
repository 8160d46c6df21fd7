"""A forge's webhook: who proves to know the secret may say that there is something to pull, and nothing else.

Nothing that it sends is looked at. So a call that somebody else sends again does what it did: one fetch more.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitindex.errors import CannotRunError
from gitindex.ownfile import read_own
from gitindex.server import answers
from gitindex.server.answers import Answer
from gitindex.server.body import BodyError, body_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitindex.server.delivery import Exchange, Scope
    from gitindex.server.state import State

PATHS = frozenset({b"/+hooks/push", b"/%2Bhooks/push", b"/%2bhooks/push"})
LARGEST = 25 << 20
"""Bytes: GitHub sends no more than 25 MB. They are hashed as they come, and not kept."""
WITHIN = 10.0
"""Seconds for all of them; GitHub waits no longer for an answer."""
_LEAST, _MOST = 16, 4096
"""Bytes of a secret."""
_SECRET = re.compile(rb"[!-~]+")
"""What every forge takes, and a header can carry."""
_SIGNATURES = {
    b"x-hub-signature-256": b"sha256=",  # GitHub, Gitea, Forgejo
    b"x-hub-signature": b"sha256=",  # Bitbucket; GitHub puts a SHA-1 there
    b"x-gitea-signature": b"",
    b"x-forgejo-signature": b"",
    b"x-gogs-signature": b"",
}
"""Headers that have the HMAC-SHA256 of the body in hexadecimal, and what stands before it."""
_TOKEN = b"x-gitlab-token"
"""The header that has the secret itself."""
_STANDARD, _STANDARD_KEY = b"webhook-signature", b"whsec_"
"""Standard Webhooks, as GitLab signs with a signing token: the header, and how such a token begins."""


def read_secret(path: Path) -> bytes:
    """Return the secret that is the one line of a file.

    Raises:
        CannotRunError: the file cannot be read, others than its owner can read it, or it has no good secret.

    """
    try:
        found = read_own(path, _MOST + 2, what="secret", option="--hook-secret-file").strip()
    except OSError as error:
        raise CannotRunError(
            f"{path}: cannot be read: {error.strerror or error}", help="it must be a file that this user may read"
        ) from None
    if not _LEAST <= len(found) <= _MOST or not _SECRET.fullmatch(found):
        raise CannotRunError(
            f"{path}: its secret has to be {_LEAST} to {_MOST} ASCII characters without a blank, in one line",
            help="make one with: openssl rand -hex 32",
        )
    return found


async def answer(state: State, exchange: Exchange) -> Answer:
    """Answer a call.

    Raises:
        GoneError: the caller has gone.

    """
    secret, pulling = state.options.hook_secret, state.pulling
    if secret is None or pulling is None:
        return answers.in_words(HTTPStatus.NOT_FOUND, "nothing is here")
    if exchange.scope["method"] != "POST":
        return answers.in_words(HTTPStatus.METHOD_NOT_ALLOWED, "a hook is called by POST", (b"allow", b"POST"))
    said = _read(exchange.scope)
    if not said.is_any:
        text = "a signature or a token is needed: set the secret of the webhook"
        return answers.in_words(HTTPStatus.UNAUTHORIZED, text, (b"www-authenticate", b'Webhook realm="gitindex"'))
    is_known = any(hmac.compare_digest(token, secret) for token in said.tokens)
    try:
        if is_known or said.signatures or said.standard:
            is_signed = await _is_signed(exchange, said, secret)
            is_known = is_known or is_signed
    except BodyError as error:
        closing = [(b"connection", b"close")] if error.status is HTTPStatus.REQUEST_TIMEOUT else []
        return answers.in_words(error.status, error.message, *closing)
    if not is_known:
        return answers.in_words(
            HTTPStatus.FORBIDDEN, "the signature or the token is not of the secret that is set here"
        )
    state.counters.add("hooks")
    pulling.wake()
    return answers.in_words(HTTPStatus.ACCEPTED, "the branch will be pulled")


class _Said(NamedTuple):
    """What the headers of a call say to prove that the secret is known."""

    tokens: tuple[bytes, ...]
    signatures: tuple[bytes, ...]
    """Of the body."""
    standard: tuple[bytes, ...]
    """Of the body and what comes before it, in Base64."""
    before: bytes
    """What is signed before the body, for these."""

    @property
    def is_any(self) -> bool:
        return bool(self.tokens or self.signatures or self.standard)


def _read(scope: Scope) -> _Said:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    named = dict(headers)
    signatures = tuple(
        value[len(_SIGNATURES[name]) :].lower()
        for name, value in headers
        if name in _SIGNATURES and value.startswith(_SIGNATURES[name])
    )
    # Its time is not looked at: what is late does no harm, and clocks differ.
    before = named.get(b"webhook-id", b"") + b"." + named.get(b"webhook-timestamp", b"") + b"."
    standard = tuple(
        part[3:] for name, value in headers if name == _STANDARD for part in value.split() if part.startswith(b"v1,")
    )
    return _Said(tuple(value for name, value in headers if name == _TOKEN), signatures, standard, before)


async def _is_signed(exchange: Exchange, said: _Said, secret: bytes) -> bool:
    """Read the body to its end, and tell whether a signature of it is right."""
    plain = hmac.new(secret, digestmod="sha256")
    standard = hmac.new(_standard_key(secret), said.before, digestmod="sha256")
    async for piece in body_pieces(exchange, LARGEST, WITHIN):
        plain.update(piece)
        standard.update(piece)
    digest = plain.hexdigest().encode()
    encoded = base64.b64encode(standard.digest())
    found = [hmac.compare_digest(signature, digest) for signature in said.signatures]
    found += [hmac.compare_digest(signature, encoded) for signature in said.standard]
    return any(found)


def _standard_key(secret: bytes) -> bytes:
    """Return the key that a secret stands for: in the form of a signing token, what is encoded in it."""
    if secret.startswith(_STANDARD_KEY):
        try:
            return base64.b64decode(secret.removeprefix(_STANDARD_KEY), validate=True) or secret
        except binascii.Error:
            pass
    return secret
