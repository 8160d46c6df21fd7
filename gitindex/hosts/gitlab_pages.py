"""GitLab Pages: a file of redirects, which pages override."""

from __future__ import annotations

from collections.abc import Mapping

from gitindex.errors import CannotRunError
from gitindex.hosts.rules import NO_JSON, HostSite, open_notes, singles

CANNOT = (NO_JSON, "It says for itself how long a page may be kept (ten minutes), and sends no header of ours.")
notes = open_notes
_MOST_RULES = 1000
_LARGEST = 64 * 1024


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return the redirects: one for each project that falls through.

    Raises:
        CannotRunError: there are more than the host takes.

    """
    rules = list(redirects(site))
    text = "".join(rules).encode()
    if len(rules) > _MOST_RULES or len(text) > _LARGEST:
        raise CannotRunError(
            f"{len(rules):,} redirects have {len(text):,} bytes: GitLab takes {_MOST_RULES:,} and {_LARGEST:,} bytes",
            help="let the site have these pages itself: add --carry",
        )
    return {"_redirects": text}


def redirects(site: HostSite) -> list[str]:
    """Return the lines of the redirects."""
    return [
        f"{site.base_path}{index}/simple/{project}/ {upstream}{project}/ 302\n"
        for index, project, upstream in singles(site)
    ]
