"""A request of devpi's protocol, and the documents that are answered to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from gitindex import __version__
from gitindex.errors import GitindexError
from gitindex.server import answers
from gitindex.server.access import CHALLENGE, WRONG_TOKEN, refusal
from gitindex.server.answers import Answer
from gitindex.server.body import BodyError, read_body
from gitindex.web import is_loopback

if TYPE_CHECKING:
    from gitindex.names import IndexName
    from gitindex.server.access import Reader
    from gitindex.server.delivery import Exchange
    from gitindex.server.negotiation import Format
    from gitindex.server.state import State
    from gitindex.snapshot import Snapshot

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_OUTSIDE = re.compile(rf"(?P<root>https?://{_HOST.pattern}(?:/[a-z0-9._~+-]+)*)/?", re.ASCII | re.IGNORECASE)
_LARGEST, _WITHIN = 1 << 20, 30.0
"""Bytes of what a request brings, and seconds for it."""
_LONGEST_QUERY = 1000
_HEADERS = (
    (b"content-type", answers.JSON),
    (b"cache-control", answers.NOT_AT_ALL),
    (b"x-devpi-api-version", b"2"),
    (b"x-devpi-server-version", f"gitindex-{__version__}".encode()),
    *answers.FOR_MACHINES,
)
_LOGIN = b"/+login"
_NO_TOKEN = "a token is needed: devpi login USER, with the token as the password"


class Call(NamedTuple):
    """A request, as far as an answer depends on it."""

    state: State
    exchange: Exchange
    raw_path: bytes
    """Below the base path."""
    format: Format | None
    reader: Reader | None
    """``None`` for who sends a token that is none."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """The request, as ASGI has it."""
        return self.exchange.scope

    @property
    def method(self) -> str:
        """The method, as it was sent."""
        return str(self.scope["method"])

    @property
    def is_reading(self) -> bool:
        """Whether nothing is to be changed."""
        return self.method in {"GET", "HEAD"}

    def header(self, name: bytes) -> str:
        """Return the last header of that name; empty where there is none."""
        return next((value for key, value in reversed(self.scope["headers"]) if key == name), b"").decode("latin-1")

    @property
    def query(self) -> Mapping[str, list[str]]:
        """The fields of the query; those of one that is too long or malformed count for nothing."""
        query: bytes = self.scope["query_string"]
        try:
            text = query.decode("latin-1") if len(query) < _LONGEST_QUERY else ""
            return parse_qs(text, keep_blank_values=True, max_num_fields=10)
        except ValueError:
            return {}

    def root(self, snapshot: Snapshot) -> str:
        """Return the URL of the server's root as the client has it, without a slash at its end.

        Devpi's client takes no other links than whole ones. A proxy may say it, as devpi's own configuration of nginx
        does; the settings do, but to who is on this machine; else it is as the request says. What a client makes up
        here is told to nobody else.
        """
        outside = _OUTSIDE.fullmatch(self.header(b"x-outside-url"))
        if outside is not None:
            return outside["root"]
        host, base = self.header(b"host"), self.state.base_path
        site, asked = urlsplit(snapshot.settings.site.url), urlsplit(f"//{host}" if _HOST.fullmatch(host) else "")
        if site.netloc and not is_loopback(asked):
            return f"{site.scheme}://{site.netloc}{base}"
        return f"{self.scope['scheme']}://{host}{base}" if asked.netloc else base


def document(kind: str, result: object, *, status: HTTPStatus = HTTPStatus.OK, message: str = "") -> Answer:
    """Return a document of devpi's kind."""
    value = {"type": kind, "result": result} | ({"message": message} if message else {})
    return Answer(status, _HEADERS, _json(value))


def said(status: HTTPStatus, message: str, *others: tuple[bytes, bytes]) -> Answer:
    """Return an answer that says something, and nothing else: why it is refused, or that it is done."""
    return Answer(status, (*_HEADERS, *others), _json({"message": message}))


def _json(value: object) -> bytes:
    # Without indent: a project of a thousand files would keep all others waiting ten times as long.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


async def read_json(call: Call, most: int = _LARGEST) -> Any:
    """Return the JSON that a request brings, of *most* bytes.

    Raises:
        BodyError: it brings none, or too much of it.
        GoneError: the client has gone.

    """
    body = await read_body(call.exchange, most, _WITHIN)
    try:
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False).encode()  # half a pair of surrogates is no text
    except (ValueError, RecursionError):
        raise BodyError(HTTPStatus.BAD_REQUEST, "Bad request: could not decode json") from None
    return found


def failed(error: GitindexError, *, is_kept: bool = False) -> Answer:
    """Return an answer that says what went wrong; where what *is kept* was to be taken away, that it may not."""
    from gitindex.server.failures import failure  # noqa: PLC0415 - most answers are none

    found = failure(error)
    status = HTTPStatus.FORBIDDEN if is_kept and found.status == HTTPStatus.CONFLICT else found.status
    later = ((b"retry-after", b"5"),) if found.is_passing else ()
    return said(status, "\n".join(found.lines), *later)


def not_writable(call: Call) -> Answer | None:
    """Return why a request that changes something is not taken, whatever it is; ``None`` where it may be."""
    if not call.state.options.is_writable:
        return said(
            HTTPStatus.METHOD_NOT_ALLOWED, "the server is not started with --writable", (b"allow", b"GET, HEAD")
        )
    if call.reader is None:
        return unauthorized(call, WRONG_TOKEN)
    return None if call.reader.is_known else unauthorized(call)


def forbidden(what: str) -> Answer:
    """Return the refusal of what a token may not do, whoever it stands for."""
    return said(HTTPStatus.FORBIDDEN, f"this token may not {what}")


def unauthorized(call: Call, text: str = _NO_TOKEN) -> Answer:
    """Return the demand for a token; by where to log in, devpi's client knows that what it sent is no longer valid."""
    location = () if call.reader else ((b"location", call.state.base_path.encode() + _LOGIN),)
    return said(HTTPStatus.UNAUTHORIZED, text, (b"www-authenticate", CHALLENGE), *location)


def refused(call: Call, index: IndexName | None, *, stranger: HTTPStatus = HTTPStatus.UNAUTHORIZED) -> Answer | None:
    """Return the refusal of what the reader may not see, the same whether or not it is there.

    *stranger* is the status for who sends no token.
    """
    if call.reader is None:
        return unauthorized(call, WRONG_TOKEN)
    match refusal(call.reader, index):
        case HTTPStatus.UNAUTHORIZED:
            return unauthorized(call) if stranger == HTTPStatus.UNAUTHORIZED else said(stranger, _NO_TOKEN)
        case HTTPStatus.FORBIDDEN:
            return said(HTTPStatus.FORBIDDEN, "this token may not read that index")
        case _:
            return None


def no_user(name: str) -> Answer:
    """Return devpi's 404 of a user."""
    return said(HTTPStatus.NOT_FOUND, f"no user {name!r}")


def no_index(name: object) -> Answer:
    """Return devpi's 404 of an index."""
    return said(HTTPStatus.NOT_FOUND, f"The stage {name} could not be found.")
