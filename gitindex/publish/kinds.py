"""What a path of a site is: how it is served, and when it is written or removed beside the others."""

from __future__ import annotations

import re
from typing import Literal

from gitindex import layout
from gitindex.media import BYTES, CONTENT_TYPES, JSON, PAGES_CACHE
from gitindex.objects import Headers, stored_headers

MAX_PATH = 1000
"""Characters; S3 takes 1024 bytes with what goes before."""
# What gitindex writes has no other characters, and nothing of it begins with a dot but what is not published.
_PATH = re.compile(r"(?:[A-Za-z0-9_+@~][A-Za-z0-9._+@~!,=-]*/)*[A-Za-z0-9_+@~][A-Za-z0-9._+@~!,=-]*", re.ASCII)

Kind = Literal["file", "other", "simple", "project", "list", "index", "landing"]
"""A stored file; a style or what a host needs; the simple page of a project; its page for people; a list or feed of an
index; the page of an index; the page of the site."""


def is_site_path(path: str) -> bool:
    """Tell whether a path may be one of a site: nothing else is written or removed, whoever names it."""
    return len(path) <= MAX_PATH and _PATH.fullmatch(path) is not None


def kind_of(path: str) -> Kind:
    """Return what a path of a site is."""
    parts = path.split("/")
    match parts:
        case ["index.html"]:
            return "landing"
        case [layout.FILES, _, *_]:
            return "file"
        case [first, *_] if first.startswith("+"):
            return "other"
        case [_, _, "index.html"]:
            return "index"
        case [_, _, "simple", _] | [_, _, "feed.xml"]:
            return "list"
        case [_, _, "simple", _, *_]:
            return "simple"
        case [_, _, "project", _, *_]:
            return "project"
        case _:
            return "other"


def headers_of(path: str) -> Headers:
    """Return what a path is served with.

    A page is asked for again each time, by whoever has it. The name of a stored file says what is in it, so it never
    changes; what is said of where it came from may.
    """
    if kind_of(path) == "file":
        return stored_headers(path)
    if path.endswith("/index.json"):
        return Headers(JSON, PAGES_CACHE)
    return Headers(CONTENT_TYPES.get(path.rpartition(".")[2], BYTES), PAGES_CACHE)


_NEW: dict[Kind, int] = {"file": 0, "other": 1, "simple": 2, "project": 3, "list": 4, "index": 5, "landing": 10}
_CHANGED: dict[Kind, int] = {"file": 0, "other": 1, "simple": 6, "project": 7, "list": 8, "index": 9, "landing": 10}
_GONE: dict[Kind, int] = {"landing": 11, "index": 12, "list": 13, "project": 14, "simple": 15, "other": 16, "file": 17}


def rank(path: str, what: Literal["new", "changed", "gone"]) -> int:
    """Return when it is a path's turn: one of a lower rank is done before any of a higher one begins.

    So nothing ever links to what is not there yet, or not any more: a page that is new comes before all that change,
    and within both a page comes before the lists that name it. What goes, goes the other way round, and last.
    """
    ranks = {"new": _NEW, "changed": _CHANGED, "gone": _GONE}[what]
    return ranks[kind_of(path)]
