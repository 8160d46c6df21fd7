"""What a page can carry: all views of a value ask here, so that they carry the same facts.

Nothing here knows a page.
"""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import bidirectional

from markupsafe import escape

from gitindex.names import writes_itself

_NOT_CARRIED = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane + 0xFFFE) + chr(plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000))
    + "]"
)
_SCHEME = re.compile(r"[^/?#]*:")
_WEB = re.compile(r"https?://", re.IGNORECASE)
_SECURE = re.compile(
    r"https://[^/?#\s]|http://(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?(?:/|\Z)", re.IGNORECASE
)

_TURNING = frozenset(("R", "AL", "AN", "LRE", "LRO", "LRI", "RLE", "RLO", "RLI", "FSI", "PDF", "PDI"))
"""Classes of characters that decide in which direction others are written."""


def carried(text: str) -> str:
    r"""Return *text* as every view (HTML, JSON, XML) can carry it.

    No page has another way to write them, so control characters but tab and newline, surrogates and Unicode's
    noncharacters become U+FFFD, and ``\r\n`` and ``\r`` become ``\n``: that is how HTML reads them anyway.
    """
    if text.isascii() and text.isprintable():
        return text
    return _NOT_CARRIED.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def escaped(text: str) -> str:
    """Return *text*, as :func:`carried`, for an element's content or a quoted attribute, of HTML or XML."""
    # Most strings of a page have nothing to escape; asking that first halves the cost of a page.
    if writes_itself(text):
        return text
    return str(escape(carried(text))).replace("\n", "&#10;")


def apart(text: str) -> str:
    """Return *text*, as :func:`escaped`, for an element's content: none of it turns around what stands beside it.

    Letters of some scripts are written from right to left, and some characters make others be so.
    """
    if text.isascii() or not any(bidirectional(character) in _TURNING for character in text):
        return escaped(text)
    return f"<bdi>{escaped(text)}</bdi>"


escaped_often = lru_cache(maxsize=4096)(escaped)
"""The same, for what many files share, such as ``>=3.11``."""


def is_link(url: str) -> bool:
    """Tell whether *url* may become a link: relative, or http(s); never ``javascript:`` and the like."""
    return _SCHEME.match(url) is None or _WEB.match(url) is not None


def is_outside(url: str) -> bool:
    """Tell whether *url* is absolute, and http or https: the only ones that metadata may make a link of."""
    return _WEB.match(url) is not None and url == carried(url)


def is_secure(url: str) -> bool:
    """Tell whether *url* is absolute and of a secure origin: https, or http on this machine (PEP 740)."""
    return _SECURE.match(url) is not None
