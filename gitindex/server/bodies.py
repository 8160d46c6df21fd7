"""Puts pages that were made into answers: content type, ETag, compression, and what they vary by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitindex.server import answers

if TYPE_CHECKING:
    from gitindex.server.answers import Answer
    from gitindex.server.outcomes import Wanted
    from gitindex.server.revision import Made

BY_ACCEPT = b"Accept, Accept-Encoding"


def simple_page(made: Made, wanted: Wanted, key: str) -> Answer:
    """Return a page of the simple API in the serialisation that is wanted; *key* is what it is made of."""
    content_type, kind = wanted.format.content_type, wanted.format.name.lower()
    return _page(made, content_type, wanted, key, varies=BY_ACCEPT, kind=kind, others=answers.FOR_MACHINES)


def peoples_page(
    made: Made, wanted: Wanted, key: str, *, content_type: bytes = answers.HTML, varies: bytes = b"Accept-Encoding"
) -> Answer:
    """Return a page of people, or what belongs to such pages; *key* is what it is made of."""
    return _page(made, content_type, wanted, key, varies=varies)


def _page(
    made: Made,
    content_type: bytes,
    wanted: Wanted,
    key: str,
    *,
    varies: bytes,
    kind: str = "",
    others: answers.Headers = answers.FOR_PEOPLE,
) -> Answer:
    etag = f"{made.identity}-{kind}" if kind else made.identity
    found = answers.page(
        content_type, made.body, etag=etag, key=key, gzipped=wanted.gzipped, varies=varies, others=others
    )
    found.lacks_files = made.lacks_files
    return found
