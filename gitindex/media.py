"""Media types, and how long what is sent may be kept: said once for the server, other hosts and object stores."""

from __future__ import annotations

from collections.abc import Mapping

TEXT = "text/plain; charset=utf-8"
PAGE = "text/html; charset=utf-8"
PLAIN_JSON = "application/json"
ATOM = "application/atom+xml; charset=utf-8"
STYLE = "text/css; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"
SVG = "image/svg+xml"
PROVENANCE = "application/vnd.pypi.integrity.v1+json"
BYTES = "application/octet-stream"
"""What a stored file is: whoever made it, no browser shall show it as a page of this site."""

JSON = "application/vnd.pypi.simple.v1+json"
VENDOR_HTML = "application/vnd.pypi.simple.v1+html"
HTML = "text/html"
"""The serialisations of a simple page (PEP 691)."""

CONTENT_TYPES: Mapping[str, str] = {
    "html": PAGE,
    "css": STYLE,
    "js": SCRIPT,
    "json": PLAIN_JSON,
    "svg": SVG,
    "png": "image/png",
    "ico": "image/x-icon",
    "txt": TEXT,
    "xml": ATOM,
}
"""By extension, for all but simple pages and stored files."""
FILE_TYPES: Mapping[str, str] = {"metadata": TEXT, "provenance": PROVENANCE}
"""Of what lies beside a stored file, by extension."""

PAGES_CACHE = "max-age=0, must-revalidate"
"""A longer time would hide new releases, from pip (26.2 and newer) as from uv."""
FILES_CACHE = "max-age=365000000, immutable"
NO_CACHE = "no-store"
