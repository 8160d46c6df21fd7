"""Asks an upstream again for the page of a project, before that would be due."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from gitindex.model import Mirror
from gitindex.resolve import walk
from gitindex.server.answers import Answer
from gitindex.server.devpi.call import no_index, said
from gitindex.server.devpi.targets import Refresh
from gitindex.upstream.mirror import Upstream, asked

if TYPE_CHECKING:
    from gitindex.server.devpi.call import Call


async def refresh(call: Call, target: Refresh) -> Answer:
    """Ask the mirrors that an index shows a project of; devpi's client sends no token, so whoever may read it may.

    Raises:
        CannotRunError: an upstream does not answer, and nothing is known of it.

    """

    def read() -> list[Upstream] | None:
        revision = call.state.reading.current
        served = revision.index(target.index)
        if served is None:
            return None
        definition = served.index.definition
        if isinstance(definition, Mirror):
            return [Upstream(target.index, definition)]
        return list(asked(walk(revision.snapshot, served.order, target.project)))

    upstreams = await call.state.read(read)
    if upstreams is None:
        return no_index(target.index)
    for upstream in upstreams:
        await call.state.mirrors.refresh(upstream, target.project)
    if upstreams:
        call.state.cache.forget(f"/{target.project}/".encode())
    return said(HTTPStatus.OK, f"{target.project} refreshed")
