"""A real S3 API on the loopback interface, and readers of what is published."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from posixpath import normpath
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit

from gitindex.objects import Objects, read_location
from gitindex.publish.record import FOLDER

Get = Callable[[str], bytes | None]
"""Gives what is published at a path."""
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests", "AWS_REGION": "us-east-1"}


class S3(NamedTuple):
    """A server that is running."""

    url: str

    def environment(self, **changed: str) -> dict[str, str]:
        return {**KEYS, "AWS_ENDPOINT_URL": self.url, "AWS_ALLOW_HTTP": "true", **changed}

    def make_bucket(self, name: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT"), timeout=10).close()


@contextmanager
def running_s3(**environment: str) -> Iterator[S3]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env={**os.environ, **environment}, **quiet) as server:  # type: ignore[call-overload]
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except OSError:
                    assert server.poll() is None, "the server ended at once"
                    assert time.monotonic() < end, "the server does not answer"
                    time.sleep(0.05)
            yield S3(f"http://127.0.0.1:{port}")
        finally:
            server.kill()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"href", "src"} and value]


def links_of(path: str, data: bytes) -> set[str]:
    """Return the paths of the site that a page links to."""
    if path.endswith("/index.json"):
        document = json.loads(data)
        urls = [f"{project['name']}/" for project in document.get("projects", ())]
        for file in document.get("files", ()):
            urls.append(file["url"])
            urls += [file["url"] + ".metadata"] if file.get("core-metadata") else []
    elif path.endswith(".html"):
        parser = _Links()
        parser.feed(data.decode())
        urls = parser.found
    else:
        urls = []
    found = set()
    for url in urls:
        parts = urlsplit(url)
        if not parts.scheme and not parts.netloc and parts.path:
            target = unquote(parts.path)
            joined = normpath(f"{path.rpartition('/')[0]}/{target}").lstrip("/")
            is_folder = target.endswith(("/", "/..", "/.")) or target in {".", ".."}
            found.add(normpath(f"{joined}/index.html").lstrip("/") if is_folder else joined)
            if is_folder and path.endswith(".json"):
                found.add(normpath(f"{joined}/index.json").lstrip("/"))
    return found


def crawl(get: Get, roots: tuple[str, ...] = ("index.html",)) -> tuple[set[str], list[str]]:
    """Read all that can be reached, and return it with what is wrong: missing, empty, or not whole.

    A page that is missing is wrong where what linked to it links to it still: a publish may have come in between.
    """
    wrong = []
    seen: set[str] = set()
    todo: list[tuple[str, str | None]] = [(root, None) for root in roots]
    while todo:
        path, origin = todo.pop()
        if path in seen:
            continue
        data = get(path)
        if data is None:
            again = get(origin) if origin is not None else None
            if origin is not None and (again is None or path not in links_of(origin, again)):
                continue
            # It may have come back before that was read.
            if get(path) is not None:
                todo.append((path, origin))
                continue
            wrong.append(f"{path}, of {origin}, is missing")
            continue
        seen.add(path)
        if not data or (path.endswith(".html") and not data.rstrip().endswith(b"</html>")):
            wrong.append(f"{path} is empty or broken off")
            continue
        todo += [(link, path) for link in links_of(path, data)]
    return seen, wrong


def getter(url: str) -> Get:
    """Return what reads what is at a place: a folder, a bucket, or a web server."""
    if url.startswith("http"):
        return lambda path: _fetched(url + quote(path))
    location = read_location(url)
    if location.folder is not None:
        folder = location.folder

        def read(path: str) -> bytes | None:
            try:
                return (folder / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

        return read
    objects = Objects(location)
    return lambda path: objects.read(path, 1 << 30)


def _fetched(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            data: bytes = answer.read()
            return data
    except HTTPError as error:
        error.close()
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        return None


def published(url: str) -> dict[str, bytes]:
    """Return all that is published at a place, less the record."""
    get = getter(url)
    objects = Objects(read_location(url))
    found = {path: get(path) for path in objects.names("") if not path.startswith(f"{FOLDER}/")}
    return {path: data for path, data in found.items() if data is not None}


def records(url: str) -> list[str]:
    return Objects(read_location(url)).names(FOLDER)


def site_of(folder: Path) -> Mapping[str, bytes]:
    """Return what a folder has that is to be published."""
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return {path: (folder / path).read_bytes() for path in paths if not path.startswith(".")}
