"""Turn titles into short names that are safe in URLs, file names and column names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__version__ = "0.2.0"
__all__ = ["slugify", "unique_slugs"]

_OTHER = re.compile(r"[^a-z0-9]+")


def slugify(title: str, *, separator: str = "-") -> str:
    """Return *title* in lower-case ASCII letters and digits, all else replaced by one *separator*.

    Accents are dropped; letters without an ASCII base are treated as separators. May be empty.
    """
    decomposed = unicodedata.normalize("NFKD", title).casefold()
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _OTHER.sub(" ", bare).strip().replace(" ", separator)


def unique_slugs(titles: Iterable[str], *, separator: str = "-") -> list[str]:
    """Return one slug for each title; a repeated slug gets a number: ``name``, ``name-2``, ``name-3``."""
    counts: dict[str, int] = {}
    slugs = []
    for title in titles:
        slug = slugify(title, separator=separator) or "untitled"
        counts[slug] = counts.get(slug, 0) + 1
        slugs.append(slug if counts[slug] == 1 else f"{slug}{separator}{counts[slug]}")
    return slugs
