"""GitHub Pages, and any other host that serves files and knows no rules: the site has the pages of mirrors in it."""

from __future__ import annotations

from collections.abc import Mapping

from gitindex.hosts.rules import HostSite

CANNOT = (
    (
        "it chooses nothing by Accept: every simple page is HTML, which has upload times for uv and none for pip; the "
        "JSON is beside it, as index.json, with a content type that installers refuse"
    ),
    (
        "it sends nobody to an upstream: of a mirror, the site has the projects that its list `allow` names, as they "
        "were when it was rendered; render it again to see what is new"
    ),
    "it says for itself how long a page may be kept (ten minutes), and sends no header of ours",
)


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return what keeps the host from leaving out what its generator of sites would (names with `_` and `.`)."""
    del site
    return {".nojekyll": b""}
