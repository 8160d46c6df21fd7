"""Which serialisation of a simple page a client gets (PEP 691, RFC 9110 section 12.5.1)."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

_VENDOR = "application/vnd.pypi.simple."


class Format(Enum):
    """A serialisation, by the media type that is its name; the last is none of a simple page."""

    JSON = f"{_VENDOR}v1+json"
    VENDOR_HTML = f"{_VENDOR}v1+html"
    HTML = "text/html"
    DEVPI = "application/json"
    """What devpi's documents are."""

    @property
    def content_type(self) -> bytes:
        """The value of the header; UTF-8 is JSON's own, and stated for HTML."""
        return self.value.encode() + (b"; charset=utf-8" if "html" in self.value else b"")


SIMPLE = (Format.JSON, Format.VENDOR_HTML, Format.HTML)
"""The serialisations of a simple page, what says more first."""
_NAMES = {
    f"{_VENDOR}v1+json": Format.JSON,
    f"{_VENDOR}latest+json": Format.JSON,
    f"{_VENDOR}v1+html": Format.VENDOR_HTML,
    f"{_VENDOR}latest+html": Format.VENDOR_HTML,
    "text/html": Format.HTML,
}
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z", re.ASCII)
_LONGEST = 4096
"""Bytes of a header that are looked at; no client says so much."""


class _Weight(NamedTuple):
    """How much a client wants something: the most specific range that covers it says so."""

    specificity: int
    """2 for a media type, 1 for ``application/*``, 0 for ``*/*``."""
    quality: float


def negotiate(accept: bytes | None) -> Format | None:
    """Return what a client gets that sends this ``Accept`` header; ``None`` where it takes nothing of ours (406).

    No header, and an empty one, take anything, which is HTML. Of what is wanted equally JSON goes first, as it says the
    most; what a client does not name itself is given as HTML. Plain JSON is for who takes no simple page at all.
    """
    # Before the cache: what is kept must not be as long as a client likes.
    return Format.HTML if accept is None or len(accept) > _LONGEST else _negotiate(accept)


@lru_cache(maxsize=512)
def _negotiate(accept: bytes) -> Format | None:
    if not accept.strip():
        return Format.HTML
    weights: dict[Format, _Weight] = {}
    for media_range in accept.decode("latin-1").split(","):
        name, quality = _parse(media_range)
        for format_, specificity in _covered(name):
            known = weights.get(format_)
            # A type that is named twice (v1 and latest) gets the better of the two.
            if known is None or (specificity, quality) > (known.specificity, known.quality):
                weights[format_] = _Weight(specificity, quality)
    wanted = {format_: weight for format_, weight in weights.items() if weight.quality > 0}
    if not wanted:
        named_plainly = re.search(rb"application/json\s*(?:[,;]|\Z)", accept, re.IGNORECASE)
        return Format.DEVPI if named_plainly else None
    best = max(weight.quality for weight in wanted.values())
    named = [format_ for format_ in SIMPLE if format_ in wanted and wanted[format_].quality == best]
    specific = [format_ for format_ in named if wanted[format_].specificity]
    return specific[0] if specific else named[-1]


def requested(name: str) -> Format | None:
    """Return the serialisation that ``?format=`` names; ``None`` where it is none of ours."""
    # An unencoded `+` of a query is a blank to most readers.
    return _NAMES.get(name.strip().replace(" ", "+").lower())


def _parse(media_range: str) -> tuple[str, float]:
    name, *parameters = media_range.split(";")
    quality = 1.0
    for parameter in parameters:
        key, equals, value = parameter.partition("=")
        if equals and key.strip().lower() == "q":
            # What is no weight says nothing of what the client wants less: it is not chosen for it.
            quality = float(value) if _WEIGHT.match(value.strip()) else 0.0
    return name.strip().lower(), quality


def _covered(name: str) -> list[tuple[Format, int]]:
    if name in _NAMES:
        return [(_NAMES[name], 2)]
    if name == "*/*":
        return [(format_, 0) for format_ in SIMPLE]
    if name == "application/*":
        return [(Format.JSON, 1), (Format.VENDOR_HTML, 1)]
    return [(Format.HTML, 1)] if name == "text/*" else []
