"""Pages of an upstream, a mirror of it, and a clock that a test sets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitindex.documents import adapter
from gitindex.model import Mirror
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.upstream.client import Upstreams
from gitindex.upstream.health import Patience
from gitindex.upstream.mirror import Upstream
from gitindex.upstream.pages import UpstreamError, UpstreamPage
from tests import hosts
from tests.hosts import Host

JSON = "application/vnd.pypi.simple.v1+json"
DEMO = ProjectName("demo")
NAME = IndexName(UserName("root"), "world")
IN_SILENCE = Patience(silence=1, whole=60)
"""For servers that say nothing."""
IN_ALL = Patience(silence=60, whole=1)
"""For servers that do not come to an end."""


PATH = "/simple/demo/"


class Clock:
    """Says the time that it was set to, in seconds since the epoch."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def mirror_of(url: str, **settings: Any) -> Upstream:
    return Upstream(NAME, adapter(Mirror).validate_python({"type": "mirror", "mirror_url": url, **settings}))


def entry(filename: str, **stated: Any) -> dict[str, Any]:
    """Return a file as a JSON page states it; in keys, ``_`` stands for ``-``."""
    known = {"filename": filename, "url": f"../../files/{filename}", "hashes": {"sha256": "a" * 64}, "size": 7}
    return {**known, **{key.replace("_", "-"): value for key, value in stated.items()}}


def wheel(version: str, **stated: Any) -> dict[str, Any]:
    return entry(f"demo-{version}-py3-none-any.whl", **stated)


def page(*files: dict[str, Any], name: str = "demo", **more: Any) -> bytes:
    """Return a JSON page (PEP 691)."""
    stated = {key.replace("_", "-"): value for key, value in more.items()}
    return json.dumps({"meta": {"api-version": "1.4"}, "name": name, "files": files, **stated}).encode()


def projects(*names: str) -> bytes:
    """Return a JSON list of projects (PEP 691)."""
    return json.dumps({"meta": {"api-version": "1.4"}, "projects": [{"name": name} for name in names]}).encode()


def sent(body: bytes, content_type: str = JSON, **headers: str) -> hosts.Answer:
    return hosts.content(body, Content_Type=content_type, **headers)


def anchors(*lines: str, head: str = "") -> bytes:
    """Return an HTML page (PEP 503) with these anchors."""
    return f"<!DOCTYPE html><html><head>{head}</head><body><h1>Links</h1>{''.join(lines)}</body></html>".encode()


def versions(made: UpstreamPage | None) -> list[str | None] | None:
    return None if made is None else [file.version for file in made.files]


def ask(upstreams: Upstreams, host: Host, name: ProjectName = DEMO, **settings: object) -> UpstreamPage | None:
    return upstreams.page(mirror_of(f"{host.url}/simple", **settings), name)


def problem_of(upstreams: Upstreams, host: Host, name: ProjectName = DEMO) -> str:
    """Return what is said of an upstream that does not answer: one line, with the mirror's name."""
    with pytest.raises(UpstreamError) as raised:
        ask(upstreams, host, name)
    text = str(raised.value)
    assert "\n" not in text
    start = f"root/world: {host.url}/simple/ does not answer for {name} with a page ("
    assert text.startswith(start)
    return text.removeprefix(start).partition("); try again later")[0]


ONE = page(wheel("1.0"))
TWO = page(wheel("1.0"), wheel("2.0"))
