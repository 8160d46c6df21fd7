"""Cloudflare Workers: a Worker in front of the site's files, since the host's own redirects would override them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from importlib.resources import files as resources

from gitindex.errors import CannotRunError
from gitindex.hosts.rules import (
    HEADERS,
    MACHINE_HEADERS,
    NORMAL_NAME,
    OWNER_NAME,
    PEOPLE_HEADERS,
    STORED_FILE,
    HostSite,
    Limits,
    cases,
)
from gitindex.media import BYTES, CONTENT_TYPES, FILE_TYPES, FILES_CACHE, HTML, JSON, PAGES_CACHE, VENDOR_HTML

CANNOT = ("It can be no proxy: it sends clients to the upstream.",)
LIMITS = Limits(files=20_000, largest=25 << 20)
"""Of the free plan; paid ones take 100,000 files."""
_LARGEST_WORKER = 3 << 20
"""Bytes, compressed."""
_WRANGLER = """\
# Deploy it with: wrangler deploy --config .host/cloudflare/wrangler.toml
name = "packages"
main = "worker.js"
compatibility_date = "2025-09-01"

[assets]
directory = "../.."
binding = "ASSETS"
run_worker_first = true
html_handling = "none"
not_found_handling = "none"
"""
_IGNORED = ".*\n!.well-known\n"


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return the Worker, how it is deployed, and which files of the site are none of its assets.

    Raises:
        CannotRunError: the Worker is too large for the host.

    """
    template = (resources("gitindex.hosts") / "static" / "worker.js").read_text(encoding="utf-8")
    worker = template.replace("/* RULES */", json.dumps(_rules(site), indent=1, sort_keys=True), 1).encode()
    if (size := len(gzip.compress(worker, mtime=0))) > _LARGEST_WORKER:
        raise CannotRunError(
            f"the Worker has {size:,} bytes, and Cloudflare takes {_LARGEST_WORKER:,}",
            help="let mirrors name fewer projects in allow and deny",
        )
    return {
        ".host/cloudflare/worker.js": worker,
        ".host/cloudflare/wrangler.toml": _WRANGLER.encode(),
        ".assetsignore": _IGNORED.encode(),
    }


def _rules(site: HostSite) -> Mapping[str, object]:
    return {
        "base": site.base_path,
        "reserved": site.reserved,
        "cases": [
            {"indexes": list(map(str, indexes)), "names": list(names), "upstream": upstream}
            for indexes, names, upstream in cases(site)
        ],
        "simple": f"^({OWNER_NAME}/{OWNER_NAME})/simple/(?:({NORMAL_NAME})/)?$",
        "bare": f"^{OWNER_NAME}/{OWNER_NAME}/simple(?:/{NORMAL_NAME})?$",
        "file": f"^{OWNER_NAME}/{OWNER_NAME}/simple/(?:{NORMAL_NAME}/)?index\\.(html|json)$",
        "below": f"^{OWNER_NAME}/{OWNER_NAME}/simple/",
        "stored": f"^{STORED_FILE}$",
        "types": {"json": JSON, "vendor": f"{VENDOR_HTML}; charset=utf-8", "html": f"{HTML}; charset=utf-8"},
        "named": {"json": JSON, "vendor": VENDOR_HTML, "html": HTML},
        "contentTypes": CONTENT_TYPES,
        "fileTypes": FILE_TYPES,
        "bytes": BYTES,
        "pages": {"Cache-Control": PAGES_CACHE, **HEADERS, **MACHINE_HEADERS},
        "files": {"Cache-Control": FILES_CACHE, **HEADERS, **MACHINE_HEADERS},
        "people": {"Cache-Control": PAGES_CACHE, **HEADERS, **PEOPLE_HEADERS},
    }
