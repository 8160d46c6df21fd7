"""Serves the pages and files of a snapshot on the loopback interface, for as long as one installer runs.

The bytes are the renderer's own. For names that are not ours the mirrors answer: with a redirect to the upstream's page,
or with its files filtered where the mirror's settings demand it.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from gitindex import layout
from gitindex.errors import GitindexError
from gitindex.model import Mirror
from gitindex.names import ProjectName, is_project_name, normalize
from gitindex.pages import FilePage, Links, ProjectPage, project_page
from gitindex.render import machine
from gitindex.resolve import Step, resolution_order, walk
from gitindex.upstream import Upstream

if TYPE_CHECKING:
    from gitindex.snapshot import Index, Snapshot
    from gitindex.storage import EmbeddedStore

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"


class Answer(NamedTuple):
    """What a request gets."""

    status: HTTPStatus
    content_type: str
    body: bytes
    location: str = ""


class Pages:
    """The pages of one index of a snapshot, made when they are asked for."""

    def __init__(self, snapshot: Snapshot, index: Index) -> None:
        self._snapshot = snapshot
        self._order = resolution_order(snapshot, index)
        self._links = Links(snapshot)
        self._lock = threading.Lock()  # a snapshot is read by one thread at a time

    def project(self, name: ProjectName, *, as_json: bool) -> Answer:
        """Return the page of a project, ours or a mirror's."""
        with self._lock:
            steps = tuple(walk(self._snapshot, self._order, name))
            is_there = any(step.project for step in steps) or self._snapshot.is_reserved(name)
            page = project_page(name, steps, self._links) if is_there else None
        upstreams = [upstream for step in steps if (upstream := _asked(step)) is not None]
        if page is None and upstreams and not upstreams[0].is_filtered:
            return Answer(HTTPStatus.FOUND, HTML, b"", f"{upstreams[0].url}{name}/")
        for upstream in upstreams:
            found = upstream.project(name)
            if found is not None:
                page = _merged(page, found)
                if not self._merges_mirrors:
                    break
        if page is None:
            return Answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such project\n")
        if as_json and all(file.size is not None for file in page.files):
            return Answer(HTTPStatus.OK, JSON, machine.project_json(page))
        return Answer(HTTPStatus.OK, HTML, machine.project_html(page))

    @property
    def _merges_mirrors(self) -> bool:
        return bool(getattr(self._order[0].definition, "merge_mirrors", False))


def _asked(step: Step) -> Upstream | None:
    definition = step.index.definition
    return Upstream(step.index.name, definition) if step.outcome == "asked" and isinstance(definition, Mirror) else None


def _merged(ours: ProjectPage | None, theirs: ProjectPage) -> ProjectPage:
    """Return a page with the files of both; a filename of ours wins."""
    if ours is None:
        return theirs
    if ours.status is not None and ours.status.status == "quarantined":
        return ours
    known = {file.filename for file in ours.files}
    added: tuple[FilePage, ...] = tuple(file for file in theirs.files if file.filename not in known)
    versions = tuple(dict.fromkeys((*ours.versions, *(file.version for file in added))))
    return ProjectPage(ours.name, versions, (*ours.files, *added), ours.status)


@contextlib.contextmanager
def serve(snapshot: Snapshot, index: Index, store: EmbeddedStore | None) -> Iterator[str]:
    """Serve *index* on a free port of the loopback interface, and yield the URL of its simple index."""
    pages = Pages(snapshot, index)
    prefix = f"/{index.name}/simple/"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            try:
                if path.startswith(prefix):
                    self._answer(self._page(path.removeprefix(prefix)))
                elif path.startswith(f"/{layout.FILES}/") and store is not None:
                    self._file(path.lstrip("/"))
                else:
                    self._answer(Answer(HTTPStatus.NOT_FOUND, "text/plain", b"nothing here\n"))
            except GitindexError as error:
                # Not 404: an installer must not take an outage for "does not exist".
                self._answer(Answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n".encode()))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_HEAD = do_GET

        def _page(self, rest: str) -> Answer:
            name = normalize(rest.rstrip("/"))
            if not is_project_name(name):
                return Answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such project\n")
            if rest != f"{name}/":
                return Answer(HTTPStatus.MOVED_PERMANENTLY, HTML, b"", f"{prefix}{name}/")
            return pages.project(name, as_json=JSON in self.headers.get("Accept", ""))

        def _file(self, path: str) -> None:
            assert store is not None  # noqa: S101 - asked before
            parts = path.split("/")
            if ".." in parts or not store.has(path):
                self._answer(Answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such file\n"))
                return
            with store.open(path, "".join(parts[1:3])) as stream:
                size = stream.seek(0, 2)
                stream.seek(0)
                self._head(HTTPStatus.OK, "application/octet-stream", size)
                if self.command == "GET":
                    shutil.copyfileobj(stream, self.wfile)

        def _answer(self, answer: Answer) -> None:
            self._head(answer.status, answer.content_type, len(answer.body), answer.location)
            if self.command == "GET":
                self.wfile.write(answer.body)

        def _head(self, status: HTTPStatus, content_type: str, length: int, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(length))
            self.send_header("Cache-Control", "no-store" if status >= HTTPStatus.BAD_REQUEST else "max-age=0")
            self.send_header("Vary", "Accept")
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing: the installer reports what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
