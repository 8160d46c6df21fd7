"""Turn titles into short names that are safe in URLs, file names and column names."""

from __future__ import annotations

import re
import unicodedata

__version__ = "0.1.0"
__all__ = ["slugify"]

_OTHER = re.compile(r"[^a-z0-9]+")


def slugify(title: str, *, separator: str = "-") -> str:
    """Return *title* in lower-case ASCII letters and digits, all else replaced by one *separator*.

    Accents are dropped; letters without an ASCII base are treated as separators. May be empty.
    """
    decomposed = unicodedata.normalize("NFKD", title).casefold()
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _OTHER.sub(" ", bare).strip().replace(" ", separator)
