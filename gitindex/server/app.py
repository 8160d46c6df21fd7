"""The ASGI application: what was answered before is sent at once, the rest is made by whoever has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from gitindex.errors import CannotRunError, GitindexError
from gitindex.server import answers, operations
from gitindex.server.access import CHALLENGE, Reader, refusal
from gitindex.server.answers import Answer, matches, takes_gzip
from gitindex.server.delivery import FileRequest, Send
from gitindex.server.negotiation import Format, negotiate, requested
from gitindex.server.reading import (
    FileHere,
    FileOutside,
    ListOutside,
    PageOutside,
    Slow,
    Wanted,
    not_there,
    stylesheet,
)
from gitindex.server.state import State
from gitindex.server.targets import Asked, Malformed, MirroredFile, Own, PeoplesPage, Redirect, StoredFile, parse

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_NEGOTIATED = ("ProjectList", "SimpleProject")
_ALLOWED = (b"allow", b"GET, HEAD")
RETRY = (b"retry-after", b"5")


class _Headers(NamedTuple):
    """The headers that anything depends on."""

    accept: bytes | None = None
    accept_encoding: bytes | None = None
    authorization: bytes | None = None
    if_none_match: bytes | None = None
    range: bytes | None = None
    if_range: bytes | None = None


_FIELDS = {name.replace("_", "-").encode(): name for name in _Headers._fields}


def application(state: State) -> Application:
    """Return the application that serves a *state*; it can be called in process, as ASGI 3 has it."""
    cache, counters, access = state.cache, state.counters, state.access
    prefix = state.base_path.encode()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        del receive
        raw_path: bytes = scope["raw_path"]
        if prefix:
            if not raw_path.startswith(prefix) or raw_path[len(prefix) : len(prefix) + 1] != b"/":
                await _send(state, scope, send, not_there("nothing is here"), None)
                return
            raw_path = raw_path[len(prefix) :]
        accept = encoding = authorization = condition = None
        for name, value in scope["headers"]:
            if name == b"accept":
                accept = value if accept is None else accept + b"," + value
            elif name == b"accept-encoding":
                encoding = value
            elif name == b"authorization":
                authorization = value
            elif name == b"if-none-match":
                condition = value
        reader = access.of(authorization)
        format_ = negotiate(accept) if not scope["query_string"] else _format_of(scope["query_string"], accept)
        place = (raw_path, format_, takes_gzip(encoding), reader.scopes if reader is not None else None)
        answer = cache.get(place)
        method = scope["method"]
        if (
            answer is not None
            and (answer.generation == state.generation or answer.generation == answers.ALWAYS)
            and (method == "GET" or method == "HEAD")  # noqa: PLR1714 - quicker than a set, and this is the hot path
            and (answer.expires == answers.NEVER or answer.expires > time.monotonic())
            and reader is not None
        ):
            counters.hits += 1
            await _send(state, scope, send, answer, condition)
            return
        await _answer_slowly(state, scope, send, raw_path, place, answer, reader, accept, condition)

    return application


async def _send(state: State, scope: Scope, send: Send, answer: Answer, condition: bytes | None) -> None:
    """Send an answer, or that the client has it."""
    if condition is not None and answer.not_modified is not None and matches(condition, answer.etag):
        await send(answer.not_modified)
        await send(_EMPTY)
        state.log(scope, HTTPStatus.NOT_MODIFIED, 0)
        return
    await send(answer.start)
    if scope["method"] == "HEAD":
        await send(_EMPTY)
        state.log(scope, answer.status, 0)
        return
    await send({"type": "http.response.body", "body": answer.body})
    state.log(scope, answer.status, len(answer.body))


_EMPTY = {"type": "http.response.body", "body": b""}
