"""Apache httpd 2.4: a file to include in a virtual host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gitindex.hosts.rules import (
    ABSOLUTE_LINKS,
    COARSE_ACCEPT,
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
    Case,
    HostSite,
    accepted,
    cases,
    chunks,
    reserved_patterns,
)
from gitindex.media import BYTES, CONTENT_TYPES, FILE_TYPES, FILES_CACHE, HTML, JSON, PAGES_CACHE, VENDOR_HTML

CANNOT = (COARSE_ACCEPT, EXACT_NAMES)
CANNOT_PROXY = (
    ABSOLUTE_LINKS,
    "A client may keep an upstream's page for as long as mirror_cache_expiry says.",
)
_LONGEST = 30000
"""Characters of an expression."""
_ANY = f"(?:{OWNER_NAME}/{OWNER_NAME})"


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return the file of Apache."""
    return {".host/apache/site.conf": "\n".join(_site(site)).encode() + b"\n"}


def _site(site: HostSite) -> Iterator[str]:
    base = re.escape(site.base_path).replace(r"\-", "-").replace(r"\~", "~")
    yield "# Include this in a <VirtualHost>. It is written by gitindex render --host apache."
    yield f"# The root is the folder below which this one is {site.base_path}"
    yield f"ErrorDocument 404 {site.base_path}404.html"
    yield "FileETag MTime Size\nRewriteEngine On\n"
    yield "# The form of a page that is asked for: of these lines the last that fits counts."
    for row in reversed(tuple(accepted())):
        yield f'SetEnvIfNoCase Accept "{row.pattern}" gitindex_form={FORMS[row.media_type]}'
    yield ""
    yield 'RewriteCond "%{REQUEST_METHOD}" "!^(?:GET|HEAD)$"'
    yield f'RewriteRule "^{base}" - [R=405,L]'
    yield r'RewriteRule "/\.(?!well-known/)" - [R=404,L]'
    yield from _pages(base)
    yield from _missing(site, base)
    yield "\n# A page without its slash, and one by its file; any other spelling is nobody's."
    yield f'RewriteRule "^({base}{_ANY}/simple(?:/{NORMAL_NAME})?)$" "$1/" [R=301,L]'
    yield rf'RewriteRule "^{base}{_ANY}/simple/(?!(?:{NORMAL_NAME}/)?index\.(?:html|json)$)" - [R=404,L]'
    yield "\n# A folder without a page is not listed."
    yield 'RewriteCond "%{DOCUMENT_ROOT}$1" -d\nRewriteCond "%{DOCUMENT_ROOT}$1index.html" !-f'
    yield f'RewriteRule "^({base}.*/|{base})$" - [R=404,L]\n'
    yield from _answers(site, base)


def _pages(base: str) -> Iterator[str]:
    """Yield how a simple page is answered in the form that is asked for."""
    for media_type, file in ((JSON, "index.json"), (VENDOR_HTML, "index.html"), (HTML, "index.html")):
        if media_type != HTML:
            yield f'RewriteCond "%{{ENV:gitindex_form}}" "={FORMS[media_type]}"'
        yield f'RewriteCond "%{{DOCUMENT_ROOT}}$1{file}" -f'
        yield f'RewriteRule "^({base}{_ANY}/simple/(?:{NORMAL_NAME}/)?)$" "$1{file}" [PT,L,T={media_type},E=no-cache:1]'


def _missing(site: HostSite, base: str) -> Iterator[str]:
    """Yield what is done with a project that has no page: it falls through, unless its name is ours."""
    yield "\n# Names that are ours, with or without a page."
    for names in chunks(reserved_patterns(site), _LONGEST):
        yield f'RewriteRule "^{base}{_ANY}/simple/(?:{names})/$" - [R=404,L]'
    yield "\n# Where a project is asked for that has no page here."
    for case in cases(site):
        yield from _case(site, case, base)
    yield f'RewriteRule "^{base}{_ANY}/simple/(?:{NORMAL_NAME})/$" - [R=404,L]'
    if site.is_proxy:
        yield from _proxy(site, base)


def _case(site: HostSite, case: Case, base: str) -> Iterator[str]:
    owners = "|".join(re.escape(str(index)) for index in case.indexes)
    for names in chunks(case.projects, _LONGEST) if case.projects else (NORMAL_NAME,):
        where = f'RewriteRule "^{base}(?:{owners})/simple/({names})/$"'
        if case.upstream is None:
            yield f"{where} - [R=404,L]"
        else:
            flags = "P" if site.is_proxy else "R=302,L"
            yield f'{where} "{case.upstream}$1/" [{flags},QSD,E=gitindex_sent:1]'


def _proxy(site: HostSite, base: str) -> Iterator[str]:
    """Yield how an upstream is asked, and for how long its pages are kept."""
    yield "\nSSLProxyEngine On\nSSLProxyVerify require\nSSLProxyCACertificatePath /etc/ssl/certs"
    yield "ProxyTimeout 30\nProxyAddHeaders Off"
    for media_type, form in FORMS.items():
        condition = f"env('gitindex_sent') == '1' && env('gitindex_form') == '{form}'"
        yield f'RequestHeader set Accept "{WANTED[media_type]}" "expr={condition}"'
    yield "# Who the client is, and what it may see here, is none of the upstream's business."
    hidden = ("Accept-Encoding", "Authorization", "Cookie", "Referer")
    yield from (f"RequestHeader unset {name} env=gitindex_sent" for name in hidden)
    yield from (f"Header unset {name} env=gitindex_sent" for name in UPSTREAM_HEADERS)
    yield "# Pages of an upstream are kept, and shown while it does not answer; pages of ours (no-cache) are not."
    yield "CacheQuickHandler off\nCacheIgnoreCacheControl On\nCacheIgnoreHeaders Set-Cookie\nCacheLock on"
    yield f'<LocationMatch "^{base}{_ANY}/simple/">\n    CacheEnable disk'
    yield "    CacheStaleOnError On\n    CacheIgnoreNoLastMod On"
    seconds = site.fresh_seconds
    yield f"    CacheDefaultExpire {seconds}\n    CacheMinExpire {seconds}\n    CacheMaxExpire {seconds}"
    yield "    # A refusal says nothing about the project: it must not be taken for its absence."
    yield "    ProxyErrorOverride On 404\n</LocationMatch>"


def _answers(site: HostSite, base: str) -> Iterator[str]:
    """Yield types and headers."""
    yield f'<LocationMatch "^{base}">\n    Options -Indexes\n    AddDefaultCharset utf-8\n    DirectoryIndex index.html'
    yield from (f'    AddType "{kind.partition(";")[0]}" .{extension}' for extension, kind in CONTENT_TYPES.items())
    in_utf_8 = " ".join(f".{extension}" for extension, kind in CONTENT_TYPES.items() if "utf-8" in kind)
    yield f"    AddCharset utf-8 {in_utf_8}\n</LocationMatch>"
    yield (
        rf'<LocationMatch "^{base}{_ANY}/simple/(?:[^/]+/)?index\.json$">' + f"\n    ForceType {JSON}\n</LocationMatch>"
    )
    yield f'<LocationMatch "^{base}{STORED_FILE}$">\n    # Whatever its name looks like, nothing is done with it.'
    yield f"    SetHandler default-handler\n    ForceType {BYTES}"
    yield "</LocationMatch>"
    for extension, kind in FILE_TYPES.items():
        yield rf'<LocationMatch "^{base}{STORED_FILE}\.{extension}$">' + f'\n    ForceType "{kind}"\n</LocationMatch>'
    machine, stored = f"%{{REQUEST_URI}} =~ m#^{base}{_ANY}/simple/#", f"%{{REQUEST_URI}} =~ m#^{base}files/#"
    yield "# A client would unpack what it downloads.\nRemoveEncoding .gz .tgz .bz2 .xz .Z"
    yield f'SetEnvIf Request_URI "^{base}files/" no-gzip'
    yield f'Header set Cache-Control "{PAGES_CACHE}"'
    yield f'Header set Cache-Control "{FILES_CACHE}" "expr={stored}"'
    if site.is_proxy:  # the Age that comes with it says how much of that is over
        yield f'Header set Cache-Control "max-age={site.fresh_seconds}" env=gitindex_sent'
    else:
        yield 'Header always set Cache-Control "no-store" env=gitindex_sent'
    yield f'Header always merge Vary Accept "expr={machine}"'
    yield from (f'Header always set {name} "{value}"' for name, value in {**HEADERS, **PEOPLE_HEADERS}.items())
    for name, value in MACHINE_HEADERS.items():
        yield f'Header always set {name} "{value}" "expr={machine} || {stored}"'
    yield f"<IfModule deflate_module>\n    AddOutputFilterByType DEFLATE {JSON} {VENDOR_HTML} {HTML}"
    yield "    AddOutputFilterByType DEFLATE text/css text/javascript application/json"
    yield "    AddOutputFilterByType DEFLATE application/atom+xml image/svg+xml"
    yield "    # It says -gzip in the ETag of what it compressed, and does not know that again."
    yield """    RequestHeader edit If-None-Match '^"(.*)-gzip"$' '"$1-gzip", "$1"'\n</IfModule>"""
