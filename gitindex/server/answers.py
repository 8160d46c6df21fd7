"""Answers as values: status, headers and body, made once and sent as often as they are asked for."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from gitindex import media
from gitindex.render import policy

Headers = tuple[tuple[bytes, bytes], ...]

TEXT, HTML, JSON, ATOM, BYTES, PROVENANCE = (
    said.encode() for said in (media.TEXT, media.PAGE, media.PLAIN_JSON, media.ATOM, media.BYTES, media.PROVENANCE)
)
STATICS = {
    "+site/style.css": media.STYLE.encode(),
    "+site/script.js": media.SCRIPT.encode(),
    "+site/icon.svg": media.SVG.encode(),
}
"""What people's pages load."""

FOR_PAGES = media.PAGES_CACHE.encode()
FOR_EVER = media.FILES_CACHE.encode()
NOT_AT_ALL = media.NO_CACHE.encode()
NEVER = math.inf
"""When an answer expires that does not."""
ALWAYS = -1
"""The generation of an answer that no new commit can change."""

SECURE: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
FOR_PEOPLE: Headers = (
    (b"content-security-policy", policy.IN_HEADER.encode()),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
"""Nothing inline, nothing from elsewhere, no frame around it. HSTS is the proxy's to say, which has the certificate."""
FOR_MACHINES: Headers = ((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),)
_SMALLEST = 256
"""Bytes from which on a body is compressed."""
_LEVEL = 6
_LONGEST = 1000
"""Bytes of an ``Accept-Encoding`` that are looked at."""


class Answer:
    """What is sent, whole, and how long it may be sent again."""

    __slots__ = ("body", "etag", "expires", "generation", "key", "lacks_files", "not_modified", "start", "status")

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        *,
        etag: bytes = b"",
        key: Hashable = None,
        expires: float = math.inf,
    ) -> None:
        sent = [*headers, *SECURE]
        if etag:
            sent.append((b"etag", etag))
        self.status = status
        self.body = body
        self.etag = etag
        self.key = key
        """What the body is made of; equal keys mean equal bodies."""
        self.expires = expires
        """In seconds of the monotonic clock."""
        self.generation = 0
        """Of the revision that it was last known to be right for."""
        self.lacks_files = False
        """Whether a stored file that comes later changes the page, although no manifest does."""
        self.start = _start(status, [*sent, (b"content-length", b"%d" % len(body))])
        self.not_modified = (
            _start(HTTPStatus.NOT_MODIFIED, [pair for pair in sent if pair[0] not in _OF_CONTENT]) if etag else None
        )

    def depend_on_reader(self, *, is_private: bool) -> None:
        """Let no shared cache hand it to somebody else; what is not private is for all who have no token."""
        for start in (self.start, self.not_modified):
            for at, (name, value) in enumerate(start["headers"] if start else ()):
                if start and name == b"vary" and b"Authorization" not in value:
                    start["headers"][at] = (name, value + b", Authorization")
                elif start and is_private and name == b"cache-control" and b"private" not in value:
                    start["headers"][at] = (name, b"private, " + value)

    def set_caching(self, value: bytes) -> None:
        """Say otherwise for how long it may be kept."""
        for start in (self.start, self.not_modified):
            for at, (name, _) in enumerate(start["headers"] if start else ()):
                if name == b"cache-control" and start:
                    start["headers"][at] = (name, value)

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, roughly."""
        return len(self.body) + 2000


_OF_CONTENT = frozenset({b"content-type", b"content-encoding"})


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def page(
    content_type: bytes,
    body: bytes,
    *,
    etag: str,
    key: Hashable = None,
    gzipped: bool = False,
    varies: bytes = b"Accept-Encoding",
    caching: bytes = FOR_PAGES,
    expires: float = math.inf,
    others: Headers = FOR_MACHINES,
) -> Answer:
    """Return a page; *etag* tells it from all others at its URL, whichever serialisation and encoding these have."""
    headers = [(b"content-type", content_type), (b"cache-control", caching), (b"vary", varies), *others]
    if gzipped and len(body) >= _SMALLEST:
        body = gzip.compress(body, _LEVEL, mtime=0)
        headers.append((b"content-encoding", b"gzip"))
        etag += "-gzip"
    return Answer(HTTPStatus.OK, headers, body, etag=f'"{etag}"'.encode(), key=key, expires=expires)


def in_words(status: HTTPStatus, text: str, *others: tuple[bytes, bytes], expires: float = math.inf) -> Answer:
    """Return an answer in words, of this very moment: why there is nothing else, or what was done."""
    headers = [(b"content-type", TEXT), (b"cache-control", NOT_AT_ALL), *FOR_MACHINES, *others]
    return Answer(status, headers, f"{text}\n".encode("utf-8", "replace"), expires=expires)


def redirect(location: str, query: bytes = b"", *, status: HTTPStatus = HTTPStatus.MOVED_PERMANENTLY) -> Answer:
    """Return a redirect to a URL relative to the one that was asked for; the query goes along."""
    target = _INVISIBLE.sub(lambda match: b"%%%02X" % match[0][0], location.encode("utf-8"))
    target += b"?" + query if _VISIBLE.fullmatch(query) else b""
    headers = [(b"content-type", TEXT), (b"cache-control", b"max-age=3600"), (b"location", target), *FOR_MACHINES]
    return Answer(status, headers, b"moved\n")


def json_document(value: object) -> Answer:
    """Return a document that is of this very moment."""
    headers = [(b"content-type", JSON), (b"cache-control", NOT_AT_ALL), *FOR_MACHINES]
    return Answer(
        HTTPStatus.OK, headers, json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    )


def takes_gzip(accept_encoding: bytes | None) -> bool:
    """Tell whether a client with this ``Accept-Encoding`` takes gzip (RFC 9110, section 12.5.3)."""
    return accept_encoding is not None and _takes_gzip(accept_encoding[:_LONGEST])


@lru_cache(maxsize=256)
def _takes_gzip(accept_encoding: bytes) -> bool:
    found: dict[bytes, bool] = {}
    for part in accept_encoding.lower().split(b","):
        name, _, parameter = part.partition(b";")
        weight = parameter.strip().removeprefix(b"q=").strip()
        found[name.strip()] = not parameter or bool(_NOT_ZERO.fullmatch(weight))
    return found.get(b"gzip", found.get(b"x-gzip", found.get(b"*", False)))


_INVISIBLE = re.compile(rb"[^!-~]")
_VISIBLE = re.compile(rb"[!-~]+")
_NOT_ZERO = re.compile(rb"1(?:\.0{0,3})?|0\.[0-9]{0,2}[1-9][0-9]{0,2}")


def matches(condition: bytes, etag: bytes) -> bool:
    """Tell whether ``If-None-Match`` names an ETag; compared weakly, since a proxy that compresses weakens it."""
    if condition == etag or condition.strip() == b"*":
        return True
    return any(part.strip().removeprefix(b"W/") == etag for part in condition.split(b","))


class AnswerCache:
    """The answers that were sent last, up to so many bytes; the least recently sent go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self.size = 0
        """Bytes."""

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, place: Hashable) -> Answer | None:
        """Return the answer at a place, whether or not it is still right."""
        answer = self._answers.get(place)
        if answer is not None:
            self._answers.move_to_end(place)
        return answer

    def put(self, place: Hashable, answer: Answer) -> None:
        """Keep an answer."""
        self.drop(place)
        if answer.size > self._limit // 4:
            return  # it would push out all others
        self._answers[place] = answer
        self.size += answer.size
        while self.size > self._limit:
            _, oldest = self._answers.popitem(last=False)
            self.size -= oldest.size

    def forget(self, part: bytes) -> None:
        """Forget the answers whose path has a *part* in it."""
        for place in [place for place in self._answers if isinstance(place, tuple) and part in place[0]]:
            self.drop(place)

    def drop(self, place: Hashable) -> None:
        """Forget an answer."""
        old = self._answers.pop(place, None)
        if old is not None:
            self.size -= old.size
