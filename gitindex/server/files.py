"""Answers requests for files: finds who has the bytes, and sends the part that is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.git.blobs import Blobs
from gitindex.server import answers
from gitindex.server.answers import Answer, matches
from gitindex.server.delivery import Bytes, Exchange, FileHead, InMemory, OpenOnDisk, deliver, part_of, start_of
from gitindex.server.outcomes import FileHere
from gitindex.server.stored import AtUrl, InGit, InStorage, OnDisk

if TYPE_CHECKING:
    from gitindex.download import Sink
    from gitindex.server.access import Reader
    from gitindex.server.outcomes import FileOutside
    from gitindex.server.state import State

_SMALL = 1 << 18
"""Bytes up to which a blob is read into memory; a larger one is put beside the files of mirrors, once."""
_KEPT = 1 << 16
"""Bytes up to which a file is kept in memory, as pages are: what lies beside a file is asked for as often."""
_PROOF = 1.0
"""Seconds for which a part waits for the proof of the whole; who keeps parts can keep it then."""
_PIECE = 1 << 20


class Request(NamedTuple):
    """A request for a file."""

    scope: dict[str, Any]
    place: Hashable
    condition: bytes | None
    reader: Reader | None

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, ``None`` where it was not sent."""
        return next((value for key, value in self.scope["headers"] if key == name), None)


class Files:
    """Sends the files of a server."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def send(self, asked: FileHere | FileOutside, request: Request, exchange: Exchange) -> Answer | None:
        """Send a file; return an answer instead where there is another one to give.

        Raises:
            CannotRunError, DeliveryError, OSError: it cannot be had.
            GoneError: the client has gone meanwhile.

        """
        if isinstance(asked, FileHere):
            return await self._send_ours(asked, request, exchange)
        return await self._send_mirrored(asked, request, exchange)

    async def _send_ours(self, asked: FileHere, request: Request, exchange: Exchange) -> Answer | None:
        target, place = asked.target, asked.place
        if isinstance(place, AtUrl):
            return answers.redirect(place.url, status=HTTPStatus.FOUND)
        if isinstance(place, InStorage):
            return await self._send_stored(asked, place, request, exchange)
        etag = target.sha256
        if target.suffix:
            etag = (
                place.object_id.hex()
                if isinstance(place, InGit)
                else f"{etag}{target.suffix}-{place.size:x}-{place.changed:x}"
            )
        is_fixed = target.suffix != layout.PROVENANCE_SUFFIX  # publishers may be added to a provenance document
        caching = answers.FOR_EVER if is_fixed else answers.FOR_PAGES
        head = FileHead(_TYPES.get(target.suffix, answers.BYTES), f'"{etag}"'.encode(), caching, place.size)
        head = self._for(request.reader, head)
        if not request.header(b"range") and isinstance(place, InGit) and place.size <= _KEPT:
            data = await self._state.read(lambda: self._state.reading.read_blob(asked))
            headers = (*head.others(), (b"accept-ranges", b"bytes"))
            answer = Answer(HTTPStatus.OK, headers, data, etag=head.etag, key=etag)
            answer.generation = asked.generation
            self._state.cache.put(request.place, answer)
            return answer
        return await self._respond(head, request, exchange, lambda: self._open_ours(asked))

    async def _send_stored(
        self, asked: FileHere, place: InStorage, request: Request, exchange: Exchange
    ) -> Answer | None:
        """Send what an object store has, and keep it in the cache: the store is asked once for a file."""
        from gitindex.server.filecache import Wanted  # noqa: PLC0415 - the server starts sooner without it

        state, target = self._state, asked.target
        is_named = not target.suffix
        # What lies beside a file is small, and not named by its bytes: it is not kept for long.
        head = FileHead(
            _TYPES.get(target.suffix, answers.BYTES),
            f'"{target.sha256}"'.encode() if is_named else b"",
            answers.FOR_EVER if is_named else answers.FOR_PAGES,
            None,
        )
        if not is_named:
            open_: Callable[[], Awaitable[Bytes]] = partial(self._read_stored, place, target.path)
        else:
            key = ("storage", target.sha256[:2], target.sha256, target.filename)
            wanted = Wanted(key, target.sha256, None)
            open_ = partial(state.files.open, wanted, _fetch_stored(place, target.path))
        return await self._respond(self._for(request.reader, head), request, exchange, open_)

    async def _read_stored(self, place: InStorage, path: str) -> Bytes:
        def read() -> bytes:
            with place.storage.open(path, "") as stream:
                return stream.read()

        return InMemory(await asyncio.get_running_loop().run_in_executor(None, read))

    def _for(self, reader: Reader | None, head: FileHead) -> FileHead:
        """Return what is said of a file to a reader: where there are tokens, it depends on who asks."""
        if self._state.options.tokens is None:
            return head
        return head._replace(readers="strangers" if reader is not None and not reader.is_known else "known")

    async def _open_ours(self, asked: FileHere) -> Bytes:
        state, target, place = self._state, asked.target, asked.place
        match place:
            case OnDisk(path, size, _, is_unchecked):
                if not is_unchecked:
                    return OpenOnDisk.at(path, size)
                if (checked := await self._checked(path, target.sha256, size)) is None:
                    raise CannotRunError(
                        f"{target.path}: the disk has another file there, or not the whole of it", help="bring it anew"
                    )
                return checked
            case InGit(object_id, size, copy):
                if copy is not None and (checked := await self._checked(copy, target.sha256, size)) is not None:
                    return checked
                if size <= _SMALL:
                    return InMemory(await state.read(lambda: state.reading.read_blob(asked)))
                from gitindex.server.filecache import Wanted  # noqa: PLC0415 - the server starts sooner without it

                sha256 = target.sha256 if not target.suffix else None
                key = ("git", object_id.hex()[:2], object_id.hex(), target.filename + target.suffix)
                return await state.files.open(Wanted(key, sha256, size), self._fetch_blob(object_id))
            case _:
                raise AssertionError(place)

    async def _checked(self, path: Path, sha256: str, size: int) -> OpenOnDisk | None:
        """Open a file of the working tree, if it is the very one."""
        open_ = partial(self._state.checked.open, path, sha256, size)
        return await asyncio.get_running_loop().run_in_executor(None, open_)

    def _fetch_blob(self, object_id: bytes) -> Callable[[Sink], None]:
        def fetch(sink: Sink) -> None:
            blobs = Blobs(self._state.git_directory)
            try:
                with blobs.open(object_id) as blob:
                    sink.begin(blob.size)
                    while piece := blob.read(_PIECE):
                        sink.add(piece)
            finally:
                blobs.close()

        return fetch

    async def _send_mirrored(self, asked: FileOutside, request: Request, exchange: Exchange) -> Answer | None:
        mirrors = self._state.mirrors
        found = await mirrors.file(asked)
        if isinstance(found, Answer):
            return found
        head, wanted, upstream_file = found
        head = self._for(request.reader, head)
        if request.scope["method"] == "HEAD" and head.size is None:
            head = head._replace(size=mirrors.kept_size(wanted))
        return await self._respond(head, request, exchange, lambda: mirrors.open(asked, wanted, upstream_file))

    async def _respond(
        self, head: FileHead, request: Request, exchange: Exchange, open_: Callable[[], Awaitable[Bytes]]
    ) -> Answer | None:
        state, scope, send = self._state, request.scope, exchange.send
        name = request.reader.name if request.reader is not None else ""
        if head.etag and request.condition is not None and matches(request.condition, head.etag):
            headers = [pair for pair in head.headers() if pair[0] != b"content-type"]
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send(_EMPTY)
            state.log(scope, HTTPStatus.NOT_MODIFIED, 0, name)
            return None
        if scope["method"] == "HEAD":
            # Where the length is not known, nothing is downloaded to say it.
            return await self._send_head(head, request, exchange)
        part = part_of(head, request.header(b"range"), request.header(b"if-range"))
        if isinstance(part, Answer):
            return part
        source = await open_()
        try:
            if head.size is None and source.size is not None:
                head = head._replace(size=source.size)
                part = part_of(head, request.header(b"range"), request.header(b"if-range"))
            if isinstance(part, Answer):
                return part
            if part is not None and not await source.is_proven(_PROOF):
                # Who keeps parts would put them together with those of the right file, for ever.
                head = head._replace(caching=answers.NOT_AT_ALL)
            exchange.watch()
            sent = await deliver(send, head, part, source)
        finally:
            exchange.forget()
            source.close()
        state.log(scope, HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT, sent, name)
        return None

    async def _send_head(self, head: FileHead, request: Request, exchange: Exchange) -> Answer | None:
        """Answer HEAD, which knows no ranges (RFC 9110, section 14.2)."""
        await exchange.send(dict(start_of(head, None)))
        await exchange.send(_EMPTY)
        self._state.log(request.scope, HTTPStatus.OK, 0, request.reader.name if request.reader is not None else "")
        return None


def _fetch_stored(place: InStorage, path: str) -> Callable[[Sink], None]:
    def fetch(sink: Sink) -> None:
        pieces = place.storage.stream(path)
        if pieces is None:
            raise CannotRunError(f"{path}: {place.storage} does not have it", help="see: gitindex verify")
        sink.begin(None)
        for piece in pieces:
            sink.add(piece)

    return fetch


_EMPTY = {"type": "http.response.body", "body": b""}
_TYPES = {layout.METADATA_SUFFIX: answers.TEXT, layout.PROVENANCE_SUFFIX: answers.PROVENANCE}
