"""GitHub Pages, and any other host that serves files and knows no rules: the site has the pages of mirrors in it."""

from __future__ import annotations

from collections.abc import Mapping

from gitindex.hosts.rules import NO_JSON, HostSite, Limits

CANNOT = (
    NO_JSON,
    (
        "It sends nobody to an upstream: of a mirror, the site has the projects that its list `allow` names, as they "
        "were when it was rendered; render it again to see what is new."
    ),
    "It says for itself how long a page may be kept (ten minutes), and sends no header of ours.",
)


LIMITS = Limits(whole=1 << 30)


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return what keeps the host from leaving out what its generator of sites would (names with `_` and `.`)."""
    del site
    return {".nojekyll": b""}
