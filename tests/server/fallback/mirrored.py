"""An index repository with a mirror of a scripted host, and what that host has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from html import unescape
from typing import Any, NamedTuple

from gitindex.download import Patience as FilePatience
from gitindex.upstream.health import Patience
from tests.builders import make_sdist, make_wheel, metadata
from tests.hosts import Answer, Host
from tests.repositories import Content
from tests.server.client import JSON, Served
from tests.upstream.pages import entry, page, sent

IMPATIENT: dict[str, Any] = {
    "patience": Patience(connect=2, silence=1, whole=2, pause=0),
    "file_patience": FilePatience(connect=2, silence=1, whole=1.5, rate=1 << 20, retries=1, backoff=0, longest_pause=0),
    "page_cache": 0,
}
"""Options of a server that soon gives up what does not answer, asks it again at once, and keeps no page in memory."""
ASKS_JSON = {"accept": JSON}
ASKS_HTML = {"accept": "text/html"}
OLD = "2020-01-01T00:00:00Z"
DEMO = "/root/world/simple/demo/"
PROD = "/emilie/prod/simple/demo/"
Serve = Callable[..., Served]
"""Takes a content, and options of the server."""


class Theirs(NamedTuple):
    """A file of an upstream."""

    filename: str
    data: bytes
    core_metadata: bytes | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def path(self) -> str:
        """Where the upstream has it."""
        return f"/files/{self.filename}"

    def entry(self, **stated: Any) -> dict[str, Any]:
        """Return it as a JSON page states it; in keys, ``_`` stands for ``-``."""
        known: dict[str, Any] = {"hashes": {"sha256": self.sha256}, "size": len(self.data)}
        return entry(self.filename, **{**known, **stated})

    def url(self, name: str, index: str = "root/world", suffix: str = "") -> str:
        """Return the path at which our server has it."""
        return f"/{index}/files/{name}/{self.sha256}/{self.filename}{suffix}"


def their_wheel(name: str, version: str = "1.0", **parts: Any) -> Theirs:
    """Return a sound wheel."""
    filename, data = make_wheel(name, version, **parts)
    return Theirs(filename, data, metadata(name, version, parts.get("requires_python")))


def their_sdist(name: str, version: str = "1.0") -> Theirs:
    """Return a sound sdist."""
    return Theirs(*make_sdist(name, version))


def blob(name: str, size: int, version: str = "1.0") -> Theirs:
    """Return so many bytes under the name of a wheel, no two pieces of them the same."""
    pieces = (hashlib.sha256(f"{name} {number}".encode()).digest() for number in range(size // 32 + 1))
    return Theirs(f"{name.replace('-', '_')}-{version}-py3-none-any.whl", b"".join(pieces)[:size])


def offer(host: Host, name: str, *files: Theirs, at: str = "/simple/", **stated: Any) -> None:
    """Have the host offer these files of a project, each of which its JSON page states alike."""
    host.on(f"{at}{name}/", sent(page(*(file.entry(**stated) for file in files), name=name)))
    for file in files:
        host.on(file.path, file.data)


def answer_page(host: Host, name: str, answer: Answer, at: str = "/simple/") -> None:
    """Have the host answer for the page of a project as it is told."""
    host.on(f"{at}{name}/", answer)


def world(host: Host | str, **settings: Any) -> Content:
    """Return root/world, a mirror of the host, with emilie/prod above it, which has `ours`, and emilie/dev above that.

    *settings* are the mirror's.
    """
    url = host if isinstance(host, str) else f"{host.url}/simple/"
    content = Content().settings(names={"reserved": ["acme-*", "billing"]})
    content.user("root").mirror("root/world", **{"mirror_url": url, "mirror_cache_expiry": 0, **settings})
    content.user("emilie", email="emilie@example.org", admin=True)
    content.stage("emilie/prod", volatile=False, bases=["root/world"])
    content.stage("emilie/dev", bases=["emilie/prod"])
    content.release("emilie/prod", "ours", "1.0")
    return content


def attributes(html: bytes) -> dict[str, dict[str, str]]:
    """Return the attributes of each anchor of an HTML page, by its text."""
    found = re.findall(r"<a ([^>]*)>([^<]*)</a>", html.decode())
    return {
        unescape(text): {key: unescape(value) for key, value in re.findall(r'([a-z-]+)="([^"]*)"', inside)}
        for inside, text in found
    }


def files_of(server: Served, path: str = PROD) -> dict[str, Any]:
    """Return what a JSON page says of each file, by its name."""
    answer = server.get(path, ASKS_JSON)
    assert answer.status == 200, answer.body
    assert answer.content_type == JSON
    return {file["filename"]: file for file in answer.json["files"]}
