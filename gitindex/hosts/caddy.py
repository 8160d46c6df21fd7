"""Caddy: a file to import in a site's block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gitindex.hosts.rules import (
    ABSOLUTE_LINKS,
    COARSE_ACCEPT,
    COARSE_ETAG,
    EXACT_NAMES,
    FORMS,
    HEADERS,
    MACHINE_HEADERS,
    NORMAL_NAME,
    OWNER_NAME,
    PEOPLE_HEADERS,
    STORED_FILE,
    UPSTREAM_HEADERS,
    WANTED,
    HostSite,
    accepted,
    cases,
    chunks,
    reserved_patterns,
)
from gitindex.media import BYTES, CONTENT_TYPES, FILE_TYPES, FILES_CACHE, HTML, JSON, PAGES_CACHE, VENDOR_HTML

CANNOT = (COARSE_ACCEPT, EXACT_NAMES, COARSE_ETAG)
CANNOT_PROXY = (ABSOLUTE_LINKS, "It keeps no pages of an upstream: while that is down, nothing of it can be installed.")
_LONGEST = 30000
"""Characters of an expression."""
_ANY = f"(?:{OWNER_NAME}/{OWNER_NAME})"


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return the file of Caddy."""
    return {".host/caddy/site.caddy": "\n".join(_site(site)).encode() + b"\n"}


def _site(site: HostSite) -> Iterator[str]:
    base = re.escape(site.base_path).replace(r"\-", "-").replace(r"\~", "~")
    page = f"^{base}({_ANY})/simple/((?:{NORMAL_NAME}/)?)"
    place = f"{site.base_path}{{re.page.1}}/simple/{{re.page.2}}"
    yield "# Import this in the block of a site. It is written by gitindex render --host caddy."
    yield f"# The root is the folder below which this one is {site.base_path}"
    forms = [f'"~(?i){row.pattern}" {FORMS[row.media_type]}' for row in accepted()]
    yield from _block("map {header.Accept} {gitindex_form}", *forms, f"default {FORMS[HTML]}")
    wanted = [f'{FORMS[media_type]} "{text}"' for media_type, text in WANTED.items()]
    if site.is_proxy:
        yield from _block("map {gitindex_form} {gitindex_accept}", *wanted)
    yield from _block(
        "route",
        *_block("@hidden", 'path_regexp "/\\."', 'not path_regexp "^/\\.well-known/"'),
        "error @hidden 404",
        "@writing not method GET HEAD",
        "error @writing 405",
        *_block("header", *(f'{name} "{value}"' for name, value in HEADERS.items())),
        "",
        "# A page in the form that is asked for.",
        *_handle("page", f"{page}$", *_page(place), *_missing(site, base)),
        "",
        "# A page without its slash, and one by its file; any other spelling is nobody's.",
        *_handle(
            "slash", f"^{base}({_ANY}/simple(?:/{NORMAL_NAME})?)$", f"redir * {site.base_path}{{re.slash.1}}/ 301"
        ),
        *_handle("file", f"{page}index\\.(html|json)$", *_file(site)),
        *_handle("other", f"^{base}{_ANY}/simple/", "error 404"),
        "",
        *_handle("stored", f"^{base}{STORED_FILE}$", *_stored()),
        *_block("handle", *_route(*_people())),
    )
    yield from _block("handle_errors", *_route(f"rewrite * {site.base_path}404.html", *_people()))


def _page(place: str) -> Iterator[str]:
    for media_type, file in ((JSON, "index.json"), (VENDOR_HTML, "index.html"), (HTML, "index.html")):
        form = FORMS[media_type]
        conditions = () if media_type == HTML else (f"vars {{gitindex_form}} {form}",)
        yield from _block(f"@{form}", *conditions, f"file {place}{file}")
        yield from _block(f"handle @{form}", *_route(f"rewrite * {place}{file}", *_as(media_type), "file_server"))


def _as(media_type: str) -> Iterator[str]:
    kind = media_type if media_type == JSON else f"{media_type}; charset=utf-8"
    yield from _block("header", f'Content-Type "{kind}"', "+Vary Accept", *_headers(PAGES_CACHE, MACHINE_HEADERS))
    yield from _encoded(JSON, VENDOR_HTML, HTML)


def _missing(site: HostSite, base: str) -> Iterator[str]:
    """Yield what is done with a project that has no page: it falls through, unless its name is ours."""
    for number, names in enumerate(chunks(reserved_patterns(site, is_atomic=False), _LONGEST)):
        yield f'@reserved{number} path_regexp "^{base}{_ANY}/simple/(?:{names})/$"'
        yield f"error @reserved{number} 404"
    number = 0
    for indexes, projects, upstream in cases(site):
        owners = "|".join(re.escape(str(index)) for index in indexes)
        for names in chunks(projects, _LONGEST) if projects else (NORMAL_NAME,):
            number += 1
            name = f"case{number}"
            pattern = f"^{base}(?:{owners})/simple/({names})/$"
            if upstream is None:
                yield f'@{name} path_regexp "{pattern}"'
                yield f"error @{name} 404"
            elif site.is_proxy:
                yield from _handle(name, pattern, *_proxy(name, upstream))
            else:
                redirect = f"redir * {upstream}{{re.{name}.1}}/ 302"
                yield from _handle(name, pattern, *_block("header", "Cache-Control no-store", "+Vary Accept"), redirect)
    yield "error 404"


def _proxy(name: str, upstream: str) -> Iterator[str]:
    parts = urlsplit(upstream)
    said = {**HEADERS, **MACHINE_HEADERS, "Cache-Control": PAGES_CACHE, "Vary": "Accept"}
    yield f"rewrite * {parts.path}{{re.{name}.1}}/?"
    yield from _encoded(JSON, VENDOR_HTML, HTML)
    yield from _block(
        f"reverse_proxy {parts.scheme}://{parts.netloc}",
        f"header_up Host {parts.netloc}",
        "header_up Accept {gitindex_accept}",
        "# Who the client is, and what it may see here, is none of the upstream's business.",
        *(f"header_up -{header}" for header in ("Accept-Encoding", "Authorization", "Cookie", "Referer")),
        *(f"header_up -{header}" for header in ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto")),
        *(f"header_down -{header}" for header in UPSTREAM_HEADERS if header not in said),
        *(f'header_down {header} "{value}"' for header, value in said.items()),
        *_block("transport http", "dial_timeout 5s", "response_header_timeout 30s"),
        "# A refusal says nothing about the project: it must not be taken for its absence.",
        "@refused status 401 403 407 429",
        *_block("handle_response @refused", "error 502"),
        "@absent status 404",
        *_block("handle_response @absent", "error 404"),
    )


def _file(site: HostSite) -> Iterator[str]:
    place = f"{site.base_path}{{re.file.1}}/simple/{{re.file.2}}index.{{re.file.3}}"
    yield from _block("@asjson", "vars {re.file.3} json")
    yield from _block("handle @asjson", *_route(f"rewrite * {place}", *_as(JSON), "file_server"))
    yield from _block("handle", *_route(f"rewrite * {place}", *_as(HTML), "file_server"))


def _stored() -> Iterator[str]:
    yield from _block("header", *_headers(FILES_CACHE, MACHINE_HEADERS), f'Content-Type "{BYTES}"')
    for extension, kind in FILE_TYPES.items():
        yield f'@{extension} path_regexp "\\.{extension}$"'
        yield f'header @{extension} Content-Type "{kind}"'
    yield "file_server"


def _people() -> Iterator[str]:
    yield from _block("header", *_headers(PAGES_CACHE, PEOPLE_HEADERS))
    for extension, kind in CONTENT_TYPES.items():
        if extension != "html":  # Caddy sees it itself, also of the page of a folder
            yield f'@{extension} path_regexp "\\.{extension}$"'
            yield f'header @{extension} Content-Type "{kind}"'
    yield from _encoded("text/", "application/", "image/svg+xml")
    yield "file_server"


def _encoded(*kinds: str) -> Iterator[str]:
    yield from _block("encode gzip", *_block("match", *(f'header Content-Type "{kind}*"' for kind in kinds)))


def _headers(cache: str, others: Mapping[str, str]) -> Iterator[str]:
    yield f'Cache-Control "{cache}"'
    yield from (f'{name} "{value}"' for name, value in {**HEADERS, **others}.items())


def _handle(name: str, pattern: str, *lines: str) -> Iterator[str]:
    """Yield a block for the paths that fit; *name* is that of the groups in the pattern."""
    yield f'@{name} path_regexp {name} "{pattern}"'
    yield from _block(f"handle @{name}", *_route(*lines))


def _route(*lines: str) -> Iterator[str]:
    """Yield a block whose lines are done in this order: elsewhere Caddy has an order of its own."""
    yield from _block("route", *lines)


def _block(head: str, *lines: str) -> Iterator[str]:
    yield f"{head} {{"
    yield from (f"    {line}" if line else "" for line in lines)
    yield "}"
