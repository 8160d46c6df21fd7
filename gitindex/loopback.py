"""Serves the pages and files of a snapshot on the loopback interface, for as long as one installer runs.

The bytes are the renderer's own. For names that are not ours the mirrors answer: with a redirect to the upstream's
page, or with its files where a mirror hides some of them or several mirrors are asked.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from gitindex import layout
from gitindex.errors import CannotRunError, GitindexError
from gitindex.media import BYTES, HTML, JSON
from gitindex.model import Stage
from gitindex.names import ProjectName, is_project_name, is_sha256, normalize
from gitindex.pages import Links, ProjectPage, is_quarantined, joined, project_page
from gitindex.render import machine
from gitindex.resolve import resolution_order, walk
from gitindex.upstream.client import Upstreams
from gitindex.upstream.mirror import Upstream, asked

if TYPE_CHECKING:
    from gitindex.snapshot import Index, Snapshot
    from gitindex.storage import Store

_TEXT = "text/plain"

Report = Callable[[GitindexError], None]
"""Is told what went wrong, since an installer shows no more of it than a status."""


class Answer(NamedTuple):
    """What a request for a page gets."""

    status: HTTPStatus
    content_type: str
    body: bytes
    location: str = ""


_NO_SUCH_PROJECT = Answer(HTTPStatus.NOT_FOUND, _TEXT, b"no such project\n")


class Pages:
    """The pages and files of one index of a snapshot, made when they are asked for; safe to share between threads."""

    def __init__(self, snapshot: Snapshot, index: Index, store: Store | None, report: Report) -> None:
        self.prefix = f"/{index.name}/simple/"
        self.report = report
        definition = index.definition
        self._merges_mirrors = isinstance(definition, Stage) and definition.merge_mirrors
        self._snapshot = snapshot
        self._store = store
        self._order = resolution_order(snapshot, index)
        self._links = Links(snapshot, can_serve=store is not None)
        self._upstreams = Upstreams(None)
        self._lock = threading.Lock()  # a snapshot is read by one thread at a time

    def close(self) -> None:
        """End the connections to upstreams."""
        self._upstreams.close()

    def project(self, name: ProjectName, *, as_json: bool) -> Answer:
        """Return the page of a project, ours or a mirror's.

        Raises:
            CannotRunError: it cannot be made, or the mirror that has to say so cannot be asked.

        """
        with self._lock:
            steps = tuple(walk(self._snapshot, self._order, name))
            is_ours = any(step.project for step in steps) or self._snapshot.is_reserved(name)
            ours = project_page(name, steps, self._links) if is_ours else None
        upstreams = list(asked(steps))
        if ours is None and len(upstreams) == 1 and upstreams[0].filters.shows_all_of(name):
            return Answer(HTTPStatus.FOUND, HTML, b"", f"{upstreams[0].url}{name}/")
        page = self._with_mirrors(ours, upstreams, name)
        if page is None:
            return _NO_SUCH_PROJECT
        if as_json and machine.has_json(page):
            return Answer(HTTPStatus.OK, JSON, machine.project_json(page))
        return Answer(HTTPStatus.OK, HTML, machine.project_html(page))

    def _with_mirrors(
        self, ours: ProjectPage | None, upstreams: list[Upstream], name: ProjectName
    ) -> ProjectPage | None:
        page = ours
        if is_quarantined(page):
            return page
        for upstream in upstreams:
            try:
                filters = upstream.filters
                said = self._upstreams.page(upstream, name) if filters.shows_project(name) else None
                found = None if said is None else filters.shown(said, datetime.now(UTC))
            except CannotRunError as error:
                if ours is None:
                    raise
                self.report(error)
                return page  # a lost upstream never breaks what is ours
            if found is not None:
                page = joined(page, found)
                if not self._merges_mirrors:
                    break
        return page

    def file(self, path: str) -> BinaryIO | None:
        """Open a stored file by its path in the site, ``None`` where there is none."""
        parts = path.split("/")
        if self._store is None or len(parts) != 4 or parts[0] != layout.FILES:  # noqa: PLR2004 - layout.stored_path
            return None
        sha256 = parts[1] + parts[2]
        with self._lock:
            return self._store.open(path, sha256) if is_sha256(sha256) and self._store.has(path) else None


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        pages = self.server.pages
        path = unquote(urlsplit(self.path).path)
        try:
            if path.startswith(pages.prefix):
                self._send(self._page(path.removeprefix(pages.prefix)))
            elif stream := pages.file(path.lstrip("/")):
                with stream:
                    self._send_file(stream)
            else:
                self._send(Answer(HTTPStatus.NOT_FOUND, _TEXT, b"nothing here\n"))
        except GitindexError as error:
            pages.report(error)
            # Not 404: an installer must not take an outage for "does not exist".
            self._send(Answer(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{error}\n".encode()))
        except OSError:
            self.close_connection = True  # the installer has gone, or a file cannot be read to its end

    do_HEAD = do_GET  # noqa: N815 - the base's name

    def _page(self, rest: str) -> Answer:
        name = normalize(rest.rstrip("/"))
        if not is_project_name(name):
            return _NO_SUCH_PROJECT
        if rest != f"{name}/":
            return Answer(HTTPStatus.MOVED_PERMANENTLY, HTML, b"", f"{self.server.pages.prefix}{name}/")
        return self.server.pages.project(name, as_json=JSON in self.headers.get("Accept", ""))

    def _send_file(self, stream: BinaryIO) -> None:
        size = stream.seek(0, 2)
        stream.seek(0)
        self._send_head(HTTPStatus.OK, BYTES, size)
        if self.command == "GET":
            shutil.copyfileobj(stream, self.wfile)

    def _send(self, answer: Answer) -> None:
        self._send_head(answer.status, answer.content_type, len(answer.body), answer.location)
        if self.command == "GET":
            self.wfile.write(answer.body)

    def _send_head(self, status: HTTPStatus, content_type: str, length: int, location: str = "") -> None:
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # uv opens up to 50 connections at once

    def __init__(self, pages: Pages) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages


@contextlib.contextmanager
def serve(snapshot: Snapshot, index: Index, store: Store | None, report: Report) -> Iterator[str]:
    """Serve *index* on a free port of the loopback interface, and yield the URL of its simple index.

    *report* is called, from any thread, with what made a page fail.
    """
    pages = Pages(snapshot, index, store, report)
    server = _Server(pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{pages.prefix}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        pages.close()
