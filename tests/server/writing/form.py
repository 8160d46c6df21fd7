"""Forms as clients of PyPI's upload API send them, and a server that takes them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitindex import tokens
from tests.repositories import Content, IndexRepository, files_below
from tests.server.client import Client, Response, basic, serving

BOUNDARY = b"0123456789abcdef"
WHO = {"emilie": "upload:emilie/*", "bob": "upload:*", "zoe": "upload:*"}
"""Whose tokens there are, and what for; zoe is nobody's name."""
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def team_content(**settings: Any) -> Content:
    """Return two users, each with a stage, and a mirror; nobody but emilie releases to hers."""
    content = Content().settings(**settings).user("root").mirror("root/pypi")
    content.user("emilie", email="emilie@example.org", admin=True).user("bob", email="bob@example.org")
    content.stage("emilie/prod", volatile=False, bases=["root/pypi"])
    content.stage("emilie/dev", bases=["emilie/prod"])
    return content.stage("bob/dev")


def form(fields: Mapping[str, str | Sequence[str]], *files: tuple[str, bytes], boundary: bytes = BOUNDARY) -> bytes:
    """Return a form with fields, and files in the field `content`."""
    parts = []
    for name, values in fields.items():
        parts += [
            f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
            for value in ([values] if isinstance(values, str) else values)
        ]
    for filename, data in files:
        head = f'Content-Disposition: form-data; name="content"; filename="{filename}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data)
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


def upload_form(filename: str, data: bytes, **fields: str) -> bytes:
    """Return the form that twine sends, less what nobody looks at."""
    digest = hashlib.sha256(data).hexdigest()
    known = {":action": "file_upload", "protocol_version": "1", "sha256_digest": digest, **fields}
    return form({name: value for name, value in known.items() if value}, (filename, data))


class Uploads:
    """A writable server, and who comes to it."""

    def __init__(self, client: Client, made: Mapping[str, str]) -> None:
        self.client, self.tokens, self.token = client, made, made["emilie"]

    async def send(
        self, body: bytes, index: str = "emilie/dev", *, token: str | None = None, slash: str = "/", **headers: str
    ) -> Response:
        """Send a form, in pieces as a network would."""
        pieces = [body[start : start + 997] for start in range(0, len(body), 997)] or [b""]
        known = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}",
            "Content-Length": str(len(body)),
            **basic(self.token if token is None else token),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent = {name: value for name, value in known.items() if value}
        return await self.client.request("POST", f"/{index}{slash}", sent, body=pieces)

    async def upload(self, filename: str, data: bytes, index: str = "emilie/dev", **fields: str) -> Response:
        return await self.send(upload_form(filename, data, **fields), index)


@asynccontextmanager
async def taking(repository: IndexRepository | Path, folder: Path, **options: Any) -> AsyncIterator[Uploads]:
    """Start a writable server; emilie has a token for her indexes, and everybody reads everything."""
    store = folder / "tokens.json"
    made = {
        name: tokens.create(store, name, [scope], expires=None, now=WHEN, user=name).text for name, scope in WHO.items()
    }
    made["reader"] = tokens.create(store, "reader", ["read:*"], expires=None, now=WHEN).text
    async with serving(
        repository, folder / "cache", is_writable=True, tokens=store, public=("*",), **options
    ) as client:
        yield Uploads(client, made)
        assert not [*(folder / "cache" / "uploads").glob("*")]


Story = Callable[[Uploads], Awaitable[None]]


def told(repository: IndexRepository, story: Story, **options: object) -> None:
    """Let a story happen to the server of a repository."""

    async def run() -> None:
        async with taking(repository, repository.path.parent, **options) as uploads:
            await story(uploads)

    asyncio.run(run())


def log(repository: IndexRepository, *options: str) -> list[str]:
    """Return the subjects of the commits, newest first."""
    return repository.git("log", "--format=%s", *options).splitlines()


def unchanged(repository: IndexRepository, work: Callable[[], None]) -> None:
    """Make sure that something changes no reference, and nothing that is checked out."""
    before = repository.git("for-each-ref"), files_below(repository.path)
    work()
    assert (repository.git("for-each-ref"), files_below(repository.path)) == before
