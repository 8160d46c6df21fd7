"""What mirrors answer: their pages joined with ours, and their files through the cache."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from gitindex import layout
from gitindex.download import DeadLinkError, Sink, UnreachableError
from gitindex.errors import CannotRunError, DistributionError
from gitindex.facts import read_metadata
from gitindex.names import IndexName, ProjectName, parse_filename
from gitindex.pages import ProjectList, ProjectPage, is_quarantined, joined
from gitindex.render import machine
from gitindex.server import answers
from gitindex.server.answers import Answer
from gitindex.server.bodies import BY_ACCEPT
from gitindex.server.delivery import FileHead
from gitindex.server.filecache import FileCache, OpenFile, Wanted as WantedFile
from gitindex.server.negotiation import Format
from gitindex.server.outcomes import NO_PROJECT, FileOutside, PageOutside, TooBusyError, not_there
from gitindex.server.targets import NO_DIGEST, MirroredFile
from gitindex.upstream.client import Upstreams, metadata_url
from gitindex.upstream.mirror import Upstream
from gitindex.upstream.pages import UpstreamFile, UpstreamPage

T = TypeVar("T")

_LONGEST = 60.0
"""Seconds for which a page is sent again where the age of files matters: they come of age meanwhile."""
_WHILE_DOWN = 5.0
"""Seconds for which a page is sent again that lacks what an upstream would have said."""
_MOST_WAITING = 500
"""Requests that wait for one upstream; more are told to come again."""
_AT_ONCE = 8
"""Requests that one upstream is asked at once: one that hangs leaves threads for the others."""
_LARGEST_METADATA = 16 << 20
"""Bytes; PyPI takes none of more than a few."""


@dataclass(slots=True)
class _Line:
    """Those who wait for one upstream."""

    turns: asyncio.Semaphore
    downloads: asyncio.Semaphore
    """For those whose first byte has not come."""
    waiting: int = 0


class Mirrors:
    """Asks upstreams, in threads of its own, and remembers what they say."""

    def __init__(self, upstreams: Upstreams, files: FileCache, *, threads: int = 4 * _AT_ONCE) -> None:
        self.upstreams = upstreams
        self.files = files
        self._asking_threads = ThreadPoolExecutor(threads, "upstream")
        self._making_thread = ThreadPoolExecutor(1, "make pages")
        self._asking: dict[tuple[Upstream, ProjectName], asyncio.Future[UpstreamPage | None]] = {}
        self._lines: dict[IndexName, _Line] = {}

    def close(self) -> None:
        """Wait for nobody any longer."""
        self.upstreams.close()
        for threads in (self._asking_threads, self._making_thread):
            threads.shutdown(wait=False, cancel_futures=True)

    def _line(self, upstream: Upstream) -> _Line:
        made = _Line(asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_AT_ONCE))
        return self._lines.setdefault(upstream.name, made)

    async def _ask(self, upstream: Upstream, work: Callable[[], T]) -> T:
        """Do what waits for an upstream."""
        line = self._line(upstream)
        if line.waiting >= _MOST_WAITING:
            raise TooBusyError(f"too many requests wait for the upstream of {upstream.name}", help="try again")
        line.waiting += 1
        try:
            async with line.turns:
                return await asyncio.get_running_loop().run_in_executor(self._asking_threads, work)
        finally:
            line.waiting -= 1

    async def _make(self, work: Callable[[], T]) -> T:
        """Do what takes a while, and waits for nobody."""
        return await asyncio.get_running_loop().run_in_executor(self._making_thread, work)

    async def _page(self, upstream: Upstream, name: ProjectName) -> UpstreamPage | None:
        """Ask for a page; who asks for the same meanwhile waits here, and not in a thread."""
        if (held := self.upstreams.held(upstream, name)) is not None:
            return held[0]
        key = (upstream, name)
        task = self._asking.get(key)
        if task is None:
            task = asyncio.ensure_future(self._ask(upstream, lambda: self.upstreams.page(upstream, name)))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asking.pop(key) and (done.cancelled() or done.exception()))
        return await asyncio.shield(task)

    async def project(self, asked: PageOutside, name: ProjectName, format_: Format, *, gzipped: bool) -> Answer:
        """Return the page of a project with what the mirrors have of it.

        Raises:
            CannotRunError: nobody can say whether there is such a project.

        """
        page, keep_for = await self.page(asked, name)
        if page is None:
            return not_there(NO_PROJECT)
        return await self._make(lambda: _answer(page, format_, max(keep_for, 1.0), gzipped=gzipped))

    async def page(self, asked: PageOutside, name: ProjectName) -> tuple[ProjectPage | None, float]:
        """Return the page of a project with what the mirrors have of it, and for how many seconds it may be kept.

        Raises:
            CannotRunError: nobody can say whether there is such a project.

        """
        page = asked.outside.ours
        keep_for = 3600.0
        for upstream in asked.outside.upstreams if not is_quarantined(page) else ():
            try:
                found = await self._page(upstream, name)
            except CannotRunError:
                # Another mirror is not asked: what the first one has is not its to give.
                if asked.outside.ours is None:
                    raise
                page, keep_for = asked.outside.ours, _WHILE_DOWN
                break
            if found is None:
                keep_for = min(keep_for, _WHILE_DOWN)
                continue
            until = asked.revision.until
            keep_for = min(keep_for, _WHILE_DOWN if found.is_stale else found.fresh_for)
            if until is not None or upstream.filters.is_delayed(name):
                keep_for = min(keep_for, _LONGEST)
            show = partial(upstream.filters.shown, found, datetime.now(UTC), until)
            page = joined(page, _rewritten(await self._make(show), upstream))
            if not asked.outside.merges:
                break
        return page, keep_for

    async def refresh(self, upstream: Upstream, name: ProjectName) -> None:
        """Ask an upstream again, whatever is known of a project.

        Raises:
            CannotRunError: it does not answer, and nothing is known of it.

        """
        await self._ask(upstream, lambda: self.upstreams.refresh(upstream, name))

    async def projects(self, upstream: Upstream) -> tuple[ProjectName, ...]:
        """Return the names of a mirror's projects.

        Raises:
            CannotRunError: the upstream does not say.

        """
        return await self._ask(upstream, lambda: self.upstreams.projects(upstream))

    async def project_list(self, upstream: Upstream, format_: Format, *, gzipped: bool) -> Answer:
        """Return the list of a mirror's projects.

        Raises:
            CannotRunError: the upstream does not say.

        """
        projects = ProjectList(await self.projects(upstream))

        def make() -> Answer:
            body = machine.list_json(projects) if format_ is Format.JSON else machine.list_html(projects)
            return _sent(body, format_, 60.0, gzipped=gzipped)

        return await self._make(make)

    async def file(self, asked: FileOutside) -> tuple[FileHead, WantedFile, UpstreamFile | None] | Answer:
        """Return what is to be sent of a mirror's file, or why nothing is.

        Raises:
            CannotRunError: nobody can say whether there is such a file.

        """
        target, upstream = asked.target, asked.upstream
        try:
            page = await self._page(upstream, target.project)
        except CannotRunError:
            if kept := self._kept_file(asked):
                return kept
            raise
        found = next((file for file in page.files if _is_meant(file, target)), None) if page is not None else None
        if page is not None and page.status is not None and page.status.status == "quarantined":
            return not_there("no such file")  # of these the cache gives none either
        if page is None or found is None:
            # Who has a file in a lock file gets it, although the upstream has taken it back.
            return self._kept_file(asked) or not_there("no such file")
        filters, until = upstream.filters, asked.revision.until
        alone = replace(page, files=(found,))
        if not filters.shown(alone, datetime.now(UTC), until).files:
            return not_there("no such file")
        if target.is_metadata and found.core_metadata is None:
            return not_there("no metadata is known of that file")
        if upstream.mirror.mirror_use_external_urls:
            url = metadata_url(found.url) if target.is_metadata else found.url
            return answers.redirect(url, status=HTTPStatus.FOUND)
        if target.is_metadata:
            digest = found.core_metadata if isinstance(found.core_metadata, str) else None
            return _head(target, digest, None), WantedFile(_key(target, upstream, digest), digest, None), found
        key = _key(target, upstream, target.sha256)
        return _head(target, target.sha256, found.size), WantedFile(key, found.sha256, found.size), found

    def _kept_file(self, asked: FileOutside) -> tuple[FileHead, WantedFile, None] | None:
        """Return a file that is in the cache, where the mirror's filters leave it without asking its age."""
        target, upstream = asked.target, asked.upstream
        if asked.revision.until is not None:
            return None
        name = parse_filename(target.filename)
        wanted = WantedFile(_key(target._replace(is_metadata=False), upstream, target.sha256), None, None)
        size = self.kept_size(wanted)
        if size is None:
            return None
        if not upstream.filters.shows(target.project, None if name is None else name.version):
            return None
        if target.is_metadata:  # the page alone says which digest it has; the file that is kept has it
            is_wheel = target.filename.endswith(".whl")
            kept = WantedFile(_key(target, upstream, None), None, None)
            return (_head(target, None, None), kept, None) if is_wheel else None
        return _head(target, target.sha256, size), wanted._replace(size=size), None

    def kept_size(self, wanted: WantedFile) -> int | None:
        """Return how many bytes a file has that is in the cache."""
        path = self.files.find(wanted.key)
        try:
            return path.stat().st_size if path is not None else None
        except OSError:
            return None

    async def open(self, asked: FileOutside, wanted: WantedFile, found: UpstreamFile | None) -> OpenFile:
        """Open a file in the cache, or start its download, or join the one that is under way.

        Raises:
            DeadLinkError, UnreachableError: the upstream does not deliver it.
            CannotRunError: it is not what the upstream said, or too large.

        """
        wheel = asked.target._replace(is_metadata=False)
        facts = (found.sha256, found.size) if found is not None else (None, None)
        whole = WantedFile(_key(wheel, asked.upstream, wheel.sha256), *facts)
        if found is None:
            if not asked.target.is_metadata:
                return await self.files.open(wanted, _gone)
            return await self._open_metadata_of(whole, wanted, _gone)
        fetch = self.upstreams.fetcher(asked.upstream, found.url, found.size)
        if not asked.target.is_metadata:
            return await self._download(asked.upstream, wanted, fetch)
        try:
            beside = self.upstreams.metadata_fetcher(asked.upstream, found.url, _LARGEST_METADATA)
            return await self._download(asked.upstream, wanted, beside)
        except DeadLinkError:
            # It is promised and not there, which stops pip and uv. The wheel has it.
            return await self._open_metadata_of(whole, wanted, fetch)

    async def _download(self, upstream: Upstream, wanted: WantedFile, fetch: Callable[[Sink], None]) -> OpenFile:
        """Open a file; so many of one upstream may wait for their first byte, and others find room beside them."""
        if self.files.find(wanted.key) is not None:
            return await self.files.open(wanted, fetch)
        async with self._line(upstream).downloads:
            return await self.files.open(wanted, fetch)

    async def _open_metadata_of(self, wheel: WantedFile, wanted: WantedFile, fetch: Callable[[Sink], None]) -> OpenFile:
        """Open the metadata of a wheel, once all of the wheel is in the cache."""
        with contextlib.closing(await self.files.open(wheel, fetch)) as source:
            async with contextlib.aclosing(source.pieces(0, None)) as pieces:
                async for _ in pieces:
                    pass
        path = self.files.find(wheel.key)
        if path is None:
            raise UnreachableError(f"the metadata in {wheel.key[-1]} cannot be read: the cache keeps nothing")
        metadata = await asyncio.get_running_loop().run_in_executor(None, _metadata_in, path)

        def give(sink: Sink) -> None:
            sink.begin(len(metadata))
            sink.add(metadata)

        return await self.files.open(wanted, give)


def _metadata_in(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return read_metadata(path.name, stream)
    except (DistributionError, OSError) as error:
        raise DeadLinkError(f"has no metadata of {path.name}, and neither has the wheel: {error}") from None


def _gone(sink: Sink) -> None:
    del sink
    raise DeadLinkError("has it no longer, and the cache neither")


def _is_meant(file: UpstreamFile, target: MirroredFile) -> bool:
    return file.filename == target.filename and (file.sha256 or "") == target.sha256


def _key(target: MirroredFile, upstream: Upstream, digest: str | None) -> tuple[str, ...]:
    """Return where a file is kept; one whose own *digest* nobody knows is asked for again when a page would be."""
    name = target.filename + (layout.METADATA_SUFFIX if target.is_metadata else "")
    if not digest:
        period = int(time.time()) // max(upstream.mirror.mirror_cache_expiry, 60)
        made_of = f"{upstream.url} {target.sha256} {period}"
        digest = hashlib.blake2b(made_of.encode(), digest_size=16).hexdigest()
    return target.index.user, target.index.name, target.project, digest, name


def _head(target: MirroredFile, digest: str | None, size: int | None) -> FileHead:
    """Return what is said of a file whose own *digest* is that; the path of metadata has the digest of the wheel."""
    content_type = answers.TEXT if target.is_metadata else answers.BYTES
    if not digest:
        return FileHead(content_type, b"", b"max-age=600", size)
    return FileHead(content_type, f'"{digest}"'.encode(), answers.FOR_EVER, size)


def _rewritten(page: ProjectPage, upstream: Upstream) -> ProjectPage:
    """Return a page whose files come through our cache, where the mirror wants that."""
    if upstream.mirror.mirror_use_external_urls:
        return page
    prefix = f"../../../../{upstream.name}/{layout.FILES}/{page.name}/"
    files = tuple(
        file._replace(url=f"{prefix}{file.sha256 or NO_DIGEST}/{quote(file.filename, safe='')}") for file in page.files
    )
    return ProjectPage(page.name, page.versions, files, page.status)


def _answer(page: ProjectPage, format_: Format, keep_for: float, *, gzipped: bool) -> Answer:
    if format_ is Format.JSON and not machine.has_json(page):
        format_ = Format.HTML  # a size is missing, and no JSON page may lack one
    body = machine.project_json(page) if format_ is Format.JSON else machine.project_html(page)
    return _sent(body, format_, keep_for, gzipped=gzipped)


def _sent(body: bytes, format_: Format, keep_for: float, *, gzipped: bool) -> Answer:
    identity = hashlib.blake2b(body, digest_size=16).hexdigest()
    return answers.page(
        format_.content_type,
        body,
        etag=f"{identity}-{format_.name.lower()}",
        gzipped=gzipped,
        varies=BY_ACCEPT,
        expires=time.monotonic() + keep_for,
    )
