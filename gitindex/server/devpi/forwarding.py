"""Pushes a release to another server, as devpi does it for who names one in a `.pypirc`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from gitindex import layout
from gitindex.devpi import file_path, version_fields
from gitindex.edits.opened import open_release
from gitindex.errors import CannotRunError, DistributionError, GitindexError
from gitindex.facts import read_core_facts
from gitindex.objects import store_of
from gitindex.server.answers import Answer
from gitindex.server.devpi.call import document, failed, forbidden, said

if TYPE_CHECKING:
    from gitindex.edits.promotion import Wanted
    from gitindex.model import File
    from gitindex.names import IndexName
    from gitindex.server.devpi.call import Call

_OPTIONS = frozenset({"name", "version", "posturl", "username", "password", "register_project", "no_docs", "only_docs"})
_BELOW = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/|$))*")
"""Segments of a path that mean what they say."""
_DONE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})


class _To(NamedTuple):
    """Where a release is sent to, and as whom."""

    url: str
    username: str
    password: str


async def forward(call: Call, source: IndexName, wanted: Wanted, sent: Mapping[str, Any]) -> Answer:
    """Upload the files of a release to another server, by PyPI's legacy upload API.

    Only who writes here may have it sent, and only to where whoever runs this server allows it: it would else ask
    for anything in its own network, for anybody.
    """
    if unknown := sorted(sent.keys() - _OPTIONS):
        return said(HTTPStatus.BAD_REQUEST, f"unknown additional options: {', '.join(map(str, unknown))}")
    texts = [sent.get(key) or "" for key in ("posturl", "username", "password")]
    if not all(isinstance(text, str) for text in texts) or not texts[0]:
        return said(HTTPStatus.BAD_REQUEST, "posturl, username and password must be texts")
    to = _To(*texts)
    reader = call.reader
    if reader is None or reader.user is None or not reader.may_read(source):
        return forbidden(f"push from {source}")
    if not any(_leads_to(to.url, allowed) for allowed in call.state.options.push_to):
        text = "this server pushes to no such server: whoever runs it names those with --push-to URL"
        return said(HTTPStatus.FORBIDDEN, text)
    loop, threads = asyncio.get_running_loop(), call.state.elsewhere
    try:
        actions = await loop.run_in_executor(threads, _forward, call, source, wanted, to)
    except GitindexError as error:
        return failed(error)
    is_done = all(action[0] in _DONE for action in actions)
    return document("actionlog", actions, status=HTTPStatus.OK if is_done else HTTPStatus.BAD_GATEWAY)


def _leads_to(url: str, allowed: str) -> bool:
    """Tell whether a URL is one that is allowed, or one below it: `..` leads elsewhere, however it is written."""
    above = allowed.rstrip("/") + "/"
    return url == allowed or (url.startswith(above) and _BELOW.fullmatch(url, len(above)) is not None)


def _forward(call: Call, source: IndexName, wanted: Wanted, to: _To) -> list[list[Any]]:
    from gitindex.upstream.posting import Poster  # noqa: PLC0415 - a heavy import, and only for this

    repository = call.state.options.source.open()
    snapshot = repository.at(call.state.live.commit)
    manifest = open_release(snapshot, source, wanted.project, str(wanted.version))
    store = store_of(snapshot, repository.git_directory)
    poster = Poster(to.url, to.username, to.password)
    actions = []
    for file in manifest.files:
        path = layout.stored_path(file.hashes.sha256, file.filename)
        if file.url is not None or not store.has(path):
            raise CannotRunError(f"{file.filename}: it is hosted elsewhere, so it cannot be sent from here")
        with store.open(path, file.hashes.sha256) as stream:
            status, text = poster.post(_fields(manifest.name, manifest.version, file, stream), file.filename, stream)
        actions.append([status, "upload", file_path(source, file.hashes.sha256, file.filename)[1:], text])
        if status not in _DONE:
            break  # a release that is half there is better seen at once
    return actions


def _fields(name: str, version: str, file: File, stream: BinaryIO) -> Iterator[tuple[str, str]]:
    """Yield the fields of the form: what the API wants to know, and what the metadata says."""
    is_wheel = file.filename.endswith(".whl")
    yield ":action", "file_upload"
    yield "protocol_version", "1"
    yield "filetype", "bdist_wheel" if is_wheel else "sdist"
    yield "pyversion", file.filename.split("-")[-3] if is_wheel else "source"
    yield "sha256_digest", file.hashes.sha256
    try:
        metadata = version_fields(read_core_facts(file.filename, stream).metadata)
    except DistributionError as error:
        raise CannotRunError(f"{file.filename}: its metadata cannot be read: {error.problem}") from None
    finally:
        stream.seek(0)
    for key, value in {**metadata, "name": name, "version": version}.items():
        for text in value if isinstance(value, list) else [value]:
            yield key, str(text)
