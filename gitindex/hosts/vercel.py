"""Vercel: its routes, in the phases it has: what comes before the files, and what comes where there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gitindex.errors import CannotRunError
from gitindex.hosts.rules import (
    COARSE_ACCEPT,
    EXACT_NAMES,
    HEADERS,
    MACHINE_HEADERS,
    NORMAL_NAME,
    OWNER_NAME,
    PEOPLE_HEADERS,
    HostSite,
    accepted,
    at_the_top,
    cases,
    chunks,
    reserved_patterns,
)
from gitindex.media import BYTES, CONTENT_TYPES, FILE_TYPES, FILES_CACHE, HTML, JSON, PAGES_CACHE

CANNOT = (COARSE_ACCEPT, EXACT_NAMES, "It can be no proxy: it sends clients to the upstream.")
_MOST_ROUTES = 1024
_LONGEST = 1500
"""Characters of an alternation: Vercel takes expressions of 4096, and one has two."""
_ANY = f"{OWNER_NAME}/{OWNER_NAME}"
_PAGE = f"{_ANY}/simple(?:/{NORMAL_NAME})?"
_REST = r"[\s\S]*"
"""Whatever follows: Vercel reads each expression as one for the whole path, and a path may have line ends in it."""
_Route = dict[str, Any]


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return the configuration, and what is not put up.

    Raises:
        CannotRunError: the site lies below a path, or needs more routes than Vercel takes.

    """
    at_the_top(site, "Vercel")
    routes = [*_before_files(), {"handle": "filesystem"}, *_without_file(site)]
    if len(routes) > _MOST_ROUTES:
        raise CannotRunError(
            f"the site needs {len(routes):,} routes, and Vercel takes {_MOST_ROUTES:,}",
            help="let mirrors name fewer projects in allow and deny, or let the site have these pages itself: --carry",
        )
    return {
        "vercel.json": json.dumps({"version": 2, "routes": routes}, indent=1).encode() + b"\n",
        ".vercelignore": b".host\n.gitindex-site*\n",
    }


def _before_files() -> Iterator[_Route]:
    yield _absent(rf"^/(?:(?:{_REST}/)?\.(?!well-known/){_REST}|vercel\.json)$")
    yield _route(f"^/({_PAGE}|{_ANY}|{_ANY}/project/{NORMAL_NAME}(?:/[^/]+)?)$", 301, {"Location": "/$1/"})
    yield _said(f"^/(?!files/|{_ANY}/simple/){_REST}$", PAGES_CACHE, PEOPLE_HEADERS)
    yield _said(f"^/{_ANY}/simple/{_REST}$", PAGES_CACHE, MACHINE_HEADERS)
    yield _said(f"^/files/{_REST}$", FILES_CACHE, MACHINE_HEADERS)
    yield _passing(rf"^/{_REST}\.xml$", {"Content-Type": CONTENT_TYPES["xml"]})
    yield _passing(rf"^/files/(?!{_REST}\.(?:{'|'.join(FILE_TYPES)})$){_REST}$", {"Content-Type": BYTES})
    for extension, kind in FILE_TYPES.items():
        yield _passing(rf"^/files/{_REST}\.{extension}$", {"Content-Type": kind})
    yield _passing(rf"^/{_PAGE}/index\.json$", {"Content-Type": JSON})
    for row in accepted():
        # The header as a whole, whether an expression has to fit all of it or a part.
        pattern = row.pattern.removeprefix("(?:^|,)").removesuffix("(?:,|$)")
        condition = {"type": "header", "key": "accept", "value": f"^(?:.*,)?{pattern}(?:,.*)?$"}
        yield _form(row.media_type, has=[condition])
    yield _form(HTML)


def _form(media_type: str, **more: Any) -> _Route:
    """Return the route that turns a page into its file; what comes after it sees the file's path."""
    file = "index.json" if media_type == JSON else "index.html"
    kind = media_type if media_type == JSON else f"{media_type}; charset=utf-8"
    return {
        **_passing(f"^/({_PAGE})/$", {"Content-Type": kind, "Vary": "Accept"}),
        "dest": f"/$1/{file}",
        **more,
    }


def _without_file(site: HostSite) -> Iterator[_Route]:
    # A dollar alone would fit before a line end that comes last.
    file = r"/index\.(?:json|html)(?!\n)$"
    for names in chunks(reserved_patterns(site, is_atomic=False), _LONGEST):
        yield _absent(f"^/{_ANY}/simple/(?:{names}){file}")
    for indexes, projects, upstream in cases(site):
        for owners in chunks([re.escape(str(index)) for index in indexes], _LONGEST):
            for names in chunks(projects, _LONGEST) if projects else (NORMAL_NAME,):
                pattern = f"^/(?:{owners})/simple/({names}){file}"
                if upstream is None:
                    yield _absent(pattern)
                else:
                    headers = {"Location": f"{upstream}$1/", "Cache-Control": "no-store", "Vary": "Accept"}
                    yield _route(pattern, 302, headers)
    yield _absent(f"^/{_REST}$")


def _absent(pattern: str) -> _Route:
    return {"src": pattern, "caseSensitive": True, "status": 404, "dest": "/404.html"}


def _route(pattern: str, status: int, headers: Mapping[str, str]) -> _Route:
    return {"src": pattern, "caseSensitive": True, "status": status, "headers": dict(headers)}


def _said(pattern: str, cache: str, headers: Mapping[str, str]) -> _Route:
    return _passing(pattern, {"Cache-Control": cache, **HEADERS, **headers})


def _passing(pattern: str, headers: Mapping[str, str]) -> _Route:
    return {"src": pattern, "caseSensitive": True, "headers": dict(headers), "continue": True}
