"""Netlify: files of redirects, which pages override, and of headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitindex.errors import CannotRunError
from gitindex.hosts.gitlab_pages import redirects
from gitindex.hosts.rules import HEADERS, NO_JSON, PEOPLE_HEADERS, HostSite, at_the_top, open_notes
from gitindex.media import BYTES, CONTENT_TYPES, FILE_TYPES, FILES_CACHE, JSON

CANNOT = (NO_JSON,)
notes = open_notes
_MOST_RULES = 10_000
"""With more a deploy might fail, its documentation says."""
_FRAMES = {"Content-Security-Policy": "frame-ancestors 'none'"}
"""All else of the policy is in the pages."""


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return redirects and headers.

    Raises:
        CannotRunError: the site is served below a path, or has more redirects than the host is made for.

    """
    at_the_top(site, "Netlify")
    rules = redirects(site)
    if len(rules) > _MOST_RULES:
        raise CannotRunError(
            f"the site needs {len(rules):,} redirects, and Netlify is made for {_MOST_RULES:,}",
            help="let the site have these pages itself: add --carry",
        )
    return {"_redirects": "".join(rules).encode(), "_headers": "\n".join(_headers()).encode() + b"\n"}


def _headers() -> Iterator[str]:
    others = {name: value for name, value in PEOPLE_HEADERS.items() if name not in _FRAMES}
    yield from _rule("/*", {**HEADERS, **others, **_FRAMES})
    yield from _rule("/:user/:index/simple/index.json", {"Content-Type": JSON})
    yield from _rule("/:user/:index/simple/:project/index.json", {"Content-Type": JSON})
    yield from _rule("/:user/:index/feed.xml", {"Content-Type": CONTENT_TYPES["xml"]})
    # Whoever made a file, no browser shall show it as a page of this site.
    yield from _rule("/files/*", {"Cache-Control": FILES_CACHE})
    for pattern, kind in (("*.whl", BYTES), ("*.tar.gz", BYTES), ("*.zip", BYTES)):
        yield from _rule(f"/files/:start/:rest/{pattern}", {"Content-Type": kind})
    for extension, kind in FILE_TYPES.items():
        yield from _rule(f"/files/:start/:rest/*.{extension}", {"Content-Type": kind})


def _rule(path: str, headers: Mapping[str, str]) -> Iterator[str]:
    yield path
    yield from (f"  {name}: {value}" for name, value in headers.items())
