"""Asks the server's application in process, as uvicorn would, and checks of each answer what holds for all of them."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

from gitindex.server.app import application
from gitindex.server.live import Source
from gitindex.server.state import AccessLog, Options, State
from tests.repositories import IndexRepository

JSON = "application/vnd.pypi.simple.v1+json"
VENDOR_HTML = "application/vnd.pypi.simple.v1+html"
HTML = "text/html"
PIP = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
UV = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"

GONE = b"the client has gone"
Headers = Mapping[str, str] | list[tuple[str, str]]
_WITHOUT_CONTENT = frozenset({304})


class Response(NamedTuple):
    """What was answered."""

    status: int
    fields: tuple[tuple[str, str], ...]
    """The headers, in order."""
    body: bytes

    def get(self, name: str) -> str | None:
        """Return the value of a header, ``None`` where it was not sent."""
        return next((value for key, value in self.fields if key == name), None)

    def __getattr__(self, name: str) -> str:
        """Return the value of a header that was sent: `cache_control` is `cache-control`."""
        value = self.get(name.replace("_", "-"))
        if value is None:
            raise AttributeError(f"{name} is not in {self.fields}")
        return value

    @property
    def content(self) -> bytes:
        """The body, as it was before it was compressed."""
        return gzip.decompress(self.body) if self.get("content-encoding") == "gzip" else self.body

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """Asks an application, and takes nothing that HTTP or ASGI forbid."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._application = application(state)

    async def request(
        self,
        method: str,
        path: str | bytes,
        headers: Headers | None = None,
        *,
        query: str = "",
        body: bytes | Sequence[bytes] = b"",
    ) -> Response:
        """Send a request; *path* as it stands in the request line, still escaped, and with its query or without.

        The *body* comes in pieces; with :data:`GONE`, the client goes.
        """
        raw = path if isinstance(path, bytes) else path.encode("ascii")
        before, mark, after = raw.partition(b"?")
        messages: list[dict[str, Any]] = []
        pieces = [body] if isinstance(body, bytes) else list(body)

        async def receive() -> dict[str, Any]:
            if not pieces:
                await asyncio.Event().wait()  # for the client to go, which it does not
            piece = pieces.pop(0)
            if piece == GONE:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: dict[str, Any]) -> None:
            # As a transport may: other tasks get their turn between two messages.
            messages.append(message)
            await asyncio.sleep(0)

        pairs = headers if isinstance(headers, list) else list((headers or {}).items())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 3141),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "root_path": "",
            "method": method,
            "path": unquote(before.decode("latin-1")),
            "raw_path": before,
            "query_string": after if mark else query.encode("ascii"),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
            "state": {},
        }
        await self._application(scope, receive, send)
        return _checked(method, messages)

    async def get(self, path: str | bytes, headers: Headers | None = None) -> Response:
        return await self.request("GET", path, headers)


def _checked(method: str, messages: list[dict[str, Any]]) -> Response:
    """Return the response of an answer, of which it is made sure that it is a sound one."""
    start, *bodies = messages
    assert start["type"] == "http.response.start"
    assert [message["type"] for message in bodies] == ["http.response.body"] * len(bodies)
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    body = b"".join(message.get("body", b"") for message in bodies)
    fields = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in start["headers"])
    response = Response(start["status"], fields, body)
    names = [name for name, _ in fields]
    assert names == [name.lower() for name in names]
    assert len(names) == len(set(names)), names
    assert not any(character in value for _, value in fields for character in "\r\n\0"), fields
    _check_common(response)
    if method == "HEAD" or response.status in _WITHOUT_CONTENT:
        assert not body
    elif (length := response.get("content-length")) is not None:
        assert int(length) == len(body)
    return response


def _check_common(response: Response) -> None:
    """Make sure of what every answer of this server has, or has not."""
    assert response.status != 500
    if response.status not in _WITHOUT_CONTENT:
        kind = response.content_type
        assert kind == kind.lower()
    assert response.cache_control
    assert response.x_content_type_options == "nosniff"
    assert response.get("content-security-policy")
    for name in ("last-modified", "access-control-allow-origin", "server", "set-cookie"):
        assert response.get(name) is None, name


@asynccontextmanager
async def serving(
    repository: IndexRepository | Path, cache: Path, *, log: AccessLog | None = None, **options: Any
) -> AsyncIterator[Client]:
    """Start the server of a repository, which follows its branch, without a socket."""
    place = repository.root if isinstance(repository, IndexRepository) else repository
    state = State(Options(Source(place, None), cache, **options), log=log)
    await state.start()
    try:
        yield Client(state)
    finally:
        await state.close()


class Served:
    """The server of a repository, asked one thing after the other by a test that needs no tasks of its own."""

    def __init__(self, repository: IndexRepository | Path, cache: Path, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._serving = serving(repository, cache, **options)
        self.client: Client

    def __enter__(self) -> Self:
        self.client = self._runner.run(self._serving.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._runner.run(_ended(self._serving))
        finally:
            self._runner.close()

    def request(self, method: str, path: str | bytes, headers: Headers | None = None, *, body: bytes = b"") -> Response:
        return self._runner.run(self.client.request(method, path, headers, body=body))

    def get(self, path: str | bytes, headers: Headers | None = None) -> Response:
        return self.request("GET", path, headers)


async def _ended(manager: Any) -> None:
    await manager.__aexit__(None, None, None)


def basic(password: str, user: str = "__token__") -> dict[str, str]:
    """Return the header that sends a password, by default that of a token."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
