"""Vercel: routes, before and after its look for a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gitindex.errors import CannotRunError
from gitindex.hosts.rules import (
    BYTES,
    FILE_TYPES,
    FILES_CACHE,
    HEADERS,
    JSON,
    MACHINE_HEADERS,
    NORMAL_NAME,
    OWNER_NAME,
    PAGES_CACHE,
    PEOPLE_HEADERS,
    STORED_FILE,
    HostSite,
    accepted,
    at_the_top,
    cases,
    chunks,
    glob_pattern,
)

CANNOT = (
    (
        "It answers in JSON who names it without a quality, as pip and uv do, and in HTML who does not; it never says "
        "that HTML is application/vnd.pypi.simple.v1+html."
    ),
    "It can be no proxy: it sends clients to the upstream.",
)
_MOST_ROUTES = 1024
_LONGEST = 3500
"""Characters of the names in a route, which may have 4,096."""
_ANY = f"{OWNER_NAME}/{OWNER_NAME}"
_SIMPLE = f"^/({_ANY})/simple/((?:{NORMAL_NAME}/)?)$"
_IGNORED = ".host\n.gitindex-site\n"
Route = Mapping[str, Any]


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return the routes, and what of the site is not uploaded.

    Raises:
        CannotRunError: the site is served below a path, or needs more routes than the host takes.

    """
    at_the_top(site, "Vercel")
    routes = list(_routes(site))
    if len(routes) > _MOST_ROUTES:
        raise CannotRunError(
            f"the site needs {len(routes):,} routes, and Vercel takes {_MOST_ROUTES:,}",
            help="let mirrors name fewer projects in allow and deny, or let the site have these pages itself: --carry",
        )
    return {
        "vercel.json": json.dumps({"version": 2, "routes": routes}, indent=2).encode() + b"\n",
        ".vercelignore": _IGNORED.encode(),
    }


def _routes(site: HostSite) -> Iterator[Route]:
    yield {"src": "^/(?:.*/)?\\.(?!well-known/).*$", "status": 404}
    yield {"src": "^/.*$", "headers": {**HEADERS, **PEOPLE_HEADERS, "Cache-Control": PAGES_CACHE}, "continue": True}
    stored = {"Content-Type": BYTES, "Cache-Control": FILES_CACHE, **MACHINE_HEADERS}
    yield {"src": f"^/{STORED_FILE}$", "headers": stored, "continue": True}
    for extension, kind in FILE_TYPES.items():
        yield {"src": f"^/{STORED_FILE}\\.{extension}$", "headers": {"Content-Type": kind}, "continue": True}
    yield {"src": f"^/{_ANY}/simple/.*$", "headers": {**MACHINE_HEADERS, "Vary": "Accept"}, "continue": True}
    json_file = f"^/{_ANY}/simple/(?:{NORMAL_NAME}/)?index\\.json$"
    yield {"src": json_file, "headers": {"Content-Type": JSON}, "continue": True}
    yield {"src": f"^/({_ANY}/simple(?:/{NORMAL_NAME})?)$", "status": 301, "headers": {"Location": "/$1/"}}
    yield {
        "src": _SIMPLE,
        "has": [{"type": "header", "key": "accept", "value": f".*{next(accepted()).pattern}.*"}],
        "dest": "/$1/simple/$2index.json",
        "headers": {"Content-Type": JSON},
        "check": True,
    }
    yield {"handle": "filesystem"}
    yield from _fallbacks(site)
    yield {"src": "^/.*$", "status": 404, "dest": "/404.html"}


def _fallbacks(site: HostSite) -> Iterator[Route]:
    """Yield what is done with a project that has no page: it falls through, unless its name is ours."""
    for names in chunks([glob_pattern(glob, is_atomic=False) for glob in site.reserved], _LONGEST):
        yield {"src": f"^/{_ANY}/simple/(?:{names})/(?:index\\.json)?$", "status": 404}
    for indexes, projects, upstream in cases(site):
        for owners in chunks([re.escape(str(index)) for index in indexes], _LONGEST // 4):
            for names in chunks(projects, _LONGEST // 2) if projects else (NORMAL_NAME,):
                src = f"^/(?:{owners})/simple/({names})/(?:index\\.json)?$"
                if upstream is None:
                    yield {"src": src, "status": 404}
                else:
                    headers = {"Location": f"{upstream}$1/", "Cache-Control": "no-store"}
                    yield {"src": src, "status": 302, "headers": headers}
