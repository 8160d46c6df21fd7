"""Turn titles into short names that are safe in URLs, file names and column names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__version__ = "0.2.1"
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
    """Return one slug for each title, no two alike: a repeated one gets a number (``name``, ``name-2``)."""
    taken: set[str] = set()
    slugs = []
    for title in titles:
        base = slugify(title, separator=separator) or "untitled"
        slug, number = base, 1
        # A title may spell what another one would be numbered to: "Name", "Name", "Name 2".
        while slug in taken:
            number += 1
            slug = f"{base}{separator}{number}"
        taken.add(slug)
        slugs.append(slug)
    return slugs
