"""nginx: a file to include in its `http`, with tables, and one to include in a `server`, with locations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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
    STALE_SECONDS,
    STORED_FILE,
    UPSTREAM_HEADERS,
    WANTED,
    HostSite,
    accepted,
    chunks,
    reserved_patterns,
)
from gitindex.media import BYTES, CONTENT_TYPES, FILE_TYPES, FILES_CACHE, HTML, JSON, PAGES_CACHE, VENDOR_HTML

CANNOT = (COARSE_ACCEPT, EXACT_NAMES, COARSE_ETAG)
CANNOT_PROXY = (ABSOLUTE_LINKS, "The upstream's address is looked up when nginx starts or reloads.")
_LONGEST = 3000
"""Characters of a word of the configuration: nginx takes 4096."""
_END = r"\z"
"""The end of a path: a dollar would fit before a line end that comes last, and the path is decoded (``%0a``)."""
_LONGEST_KEY = 40
"""Characters of a key of a table; what is longer is written as an expression, for the table has small buckets."""


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return the two files of nginx."""
    return {
        ".host/nginx/http.conf": "\n".join(_http(site)).encode() + b"\n",
        ".host/nginx/server.conf": "\n".join(_server(site)).encode() + b"\n",
    }


_IN_UTF_8 = sorted(
    {kind.partition(";")[0] for kind in (*CONTENT_TYPES.values(), *FILE_TYPES.values()) if "utf-8" in kind} - {HTML}
    | {VENDOR_HTML}
)
"""Content types whose charset is said, beside HTML, of which nginx knows it."""


def _http(site: HostSite) -> Iterator[str]:
    yield "# Include this in http { }. It is written by gitindex render --host nginx."
    forms = [(f"~*{row.pattern}", FORMS[row.media_type]) for row in accepted()]
    yield _map("$http_accept", "gitindex_form", FORMS[HTML], forms)
    yield _map("$gitindex_form", "gitindex_page", "index.html", [(FORMS[JSON], "index.json")])
    yield "\n# Names that are ours, with or without a page."
    reserved = chunks(reserved_patterns(site), _LONGEST)
    yield _map("$gitindex_project", "gitindex_names", "free", [(f"~^(?:{names})$", "reserved") for names in reserved])
    yield "\n# The rules that an index has: below, by number."
    numbers = {rules: number for number, rules in enumerate(site.rules(), 1)}
    indexes = [(_key(str(fallback.index)), str(numbers[fallback.rules])) for fallback in site.fallbacks]
    yield _map("$gitindex_index", "gitindex_rules", "none", indexes)
    yield "\n# Where a project is asked for that has no page here; empty: nowhere."
    groups = {url: f"gitindex_{number}" for number, url in enumerate(site.upstreams(), 1)}
    targets = {url: _through(url, group) if site.is_proxy else url for url, group in groups.items()}
    rows: list[tuple[str, str]] = []
    for rules, number in numbers.items():
        rows += [(_key(f"free:{number}/{name}"), targets.get(url or "", "")) for name, url in rules.named]
        if rules.otherwise:
            rows.append((f"~^free:{number}/", targets[rules.otherwise]))
    yield _map('"$gitindex_names:$gitindex_rules/$gitindex_project"', "gitindex_upstream", "", rows)
    if site.is_proxy:
        yield from _proxy_tables(groups)


def _through(url: str, group: str) -> str:
    """Return a URL whose host is a group of servers: nginx looks that up once, and needs no resolver."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{group}{parts.path}"


def _proxy_tables(groups: Mapping[str, str]) -> Iterator[str]:
    for url, group in groups.items():
        parts = urlsplit(url)
        server = parts.netloc if parts.port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"
        yield f"\nupstream {group} {{\n    server {server};\n    keepalive 8;\n}}"
    by_group = [(f"~//{group}/", url) for url, group in groups.items()]
    hosts = [(key, urlsplit(url).netloc) for key, url in by_group]
    yield _map("$gitindex_upstream", "gitindex_host", "", hosts)
    names = [(key, urlsplit(url).hostname or "") for key, url in by_group]
    yield _map("$gitindex_upstream", "gitindex_host_name", "", names)
    yield _map("$gitindex_form", "gitindex_accept", HTML, [(FORMS[kind], wanted) for kind, wanted in WANTED.items()])
    yield (
        "\nproxy_cache_path /var/cache/gitindex-pages levels=1:2 keys_zone=gitindex_pages:10m max_size=1g\n"
        f"    inactive={STALE_SECONDS}s use_temp_path=off;"
    )


def _server(site: HostSite) -> Iterator[str]:
    base = re.escape(site.base_path).replace(r"\-", "-").replace(r"\~", "~")
    index = f"{base}(?<gitindex_index>{OWNER_NAME}/{OWNER_NAME})/simple/"
    project = f"{index}(?<gitindex_project>{NORMAL_NAME})/"
    not_found = f"error_page 403 404 =404 {site.base_path}404.html;"
    yield "# Include this in server { }. It is written by gitindex render --host nginx."
    yield f"# The root is the folder below which this one is {site.base_path}"
    yield f"absolute_redirect off;\n{not_found}"
    yield f"charset utf-8;\ncharset_types {' '.join(_IN_UTF_8)};"
    yield from _location(r'~ "/\.(?!well-known/)"', "return 404;")
    yield from _location(f'~ "^{project}{_END}"', *_negotiated("@gitindex_missing"), not_found)
    yield from _location(f'~ "^{index}{_END}"', *_negotiated("=404"), not_found)
    vendor = ("types { }", f"default_type {VENDOR_HTML};")
    yield from _location("@gitindex_vendor", *vendor, "try_files ${uri}index.html @gitindex_missing;", *_PAGE)
    yield from _location("@gitindex_missing", *(_proxy(site) if site.is_proxy else _REDIRECT))
    if site.is_proxy:
        yield from _location("@gitindex_refused", "return 502;")
    yield "\n# A page without its slash, and one by its file; any other spelling is nobody's."
    simple = f"{base}{OWNER_NAME}/{OWNER_NAME}/simple"
    yield from _location(f'~ "^{simple}(?:/{NORMAL_NAME})?{_END}"', "return 301 $uri/$is_args$args;")
    yield from _location(rf'~ "^{simple}/(?:{NORMAL_NAME}/)?index\.(?:html|json){_END}"', *_SIMPLE, *_PAGE)
    yield from _location(f'~ "^{simple}/"', "return 404;")
    stored = [*_types(FILE_TYPES), f"default_type {BYTES};", "gzip off;", *_headers(FILES_CACHE, MACHINE_HEADERS)]
    yield from _location(f'~ "^{base}{STORED_FILE}{_END}"', *stored)
    yield from _location(site.base_path, *_types(CONTENT_TYPES), "index index.html;", *_PEOPLE)


def _negotiated(otherwise: str) -> Iterator[str]:
    """Yield how a simple page is answered in the form that is asked for, and what follows where there is none."""
    yield "error_page 418 = @gitindex_vendor;"
    yield f"if ($gitindex_form = {FORMS[VENDOR_HTML]}) {{ return 418; }}"
    yield from _SIMPLE
    yield f"try_files $uri$gitindex_page {otherwise};"
    yield from _PAGE


def _proxy(site: HostSite) -> Iterator[str]:
    yield 'if ($gitindex_upstream = "") { return 404; }'
    yield "proxy_pass $gitindex_upstream$gitindex_project/;"
    yield from ("proxy_http_version 1.1;", 'proxy_set_header Connection "";', "proxy_set_header Host $gitindex_host;")
    yield from ("proxy_set_header Accept $gitindex_accept;", 'proxy_set_header Accept-Encoding "";')
    yield "# Who the client is, and what it may see here, is none of the upstream's business."
    yield from (f'proxy_set_header {name} "";' for name in ("Authorization", "Cookie", "Referer", "X-Forwarded-For"))
    yield from ("proxy_pass_request_body off;", 'proxy_set_header Content-Length "";')
    yield from ("proxy_ssl_server_name on;", "proxy_ssl_name $gitindex_host_name;", "proxy_ssl_verify on;")
    yield from ("proxy_ssl_verify_depth 5;", "proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;")
    yield from ("proxy_connect_timeout 5s;", "proxy_read_timeout 30s;", "proxy_redirect off;")
    yield "proxy_cache gitindex_pages;"
    yield "proxy_cache_key $gitindex_upstream$gitindex_project/:$gitindex_form;"
    yield f"proxy_cache_valid 200 301 302 {site.fresh_seconds}s;"
    yield "proxy_cache_valid 404 60s;"
    yield "proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504;"
    yield from ("proxy_cache_background_update on;", "proxy_cache_lock on;", "proxy_cache_revalidate on;")
    yield "proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires X-Accel-Redirect;"
    yield from (f"proxy_hide_header {name};" for name in UPSTREAM_HEADERS)
    yield "# A refusal says nothing about the project: it must not be taken for its absence."
    yield "proxy_intercept_errors on;"
    yield f"error_page 404 {site.base_path}404.html;"
    yield "error_page 401 403 407 429 =502 @gitindex_refused;"
    yield "add_header X-Cache-Status $upstream_cache_status always;"
    yield from _PAGE


def _map(source: str, name: str, default: str, rows: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f'    "{key}" "{value}";\n' for key, value in rows)
    return f'map {source} ${name} {{\n    default "{default}";\n{lines}}}'


def _key(text: str) -> str:
    """Return the key of a table for a name: none of them has a character that means something else there."""
    return text if len(text) <= _LONGEST_KEY else f"~^{re.escape(text)}$"


def _location(where: str, *lines: str) -> Iterator[str]:
    yield "\n".join(["", f"location {where} {{", *(f"    {line}" for line in lines), "}"])


def _types(types: Mapping[str, str]) -> Iterator[str]:
    """Yield content types by extension; the charset is said apart, for nginx compresses by the type alone."""
    yield "types {"
    yield from (f"    {kind.partition(';')[0]} {extension};" for extension, kind in types.items())
    yield "}"


def _headers(cache: str, *groups: Mapping[str, str]) -> Iterator[str]:
    yield f'add_header Cache-Control "{cache}" always;'
    for name, value in (pair for group in (HEADERS, *groups) for pair in group.items()):
        yield f'add_header {name} "{value}" always;'


_SIMPLE = (*_types({"json": JSON}), f"default_type {HTML};")
_PAGE = (
    "add_header Vary Accept always;",
    *_headers(PAGES_CACHE, MACHINE_HEADERS),
    "gzip on;",
    "gzip_vary on;",
    "gzip_proxied any;",
    f"gzip_types {JSON} {VENDOR_HTML};",
)
_PEOPLE = (
    *_headers(PAGES_CACHE, PEOPLE_HEADERS),
    "gzip on;",
    "gzip_vary on;",
    "gzip_proxied any;",
    "gzip_types text/css text/javascript text/plain application/json application/atom+xml image/svg+xml;",
)
_REDIRECT = (
    'if ($gitindex_upstream = "") { return 404; }',
    'add_header Cache-Control "no-store" always;',
    "add_header Vary Accept always;",
    "return 302 $gitindex_upstream$gitindex_project/;",
)
