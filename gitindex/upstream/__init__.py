"""Other indexes over HTTP: what a mirror shows of a project, with the mirror's own filters applied."""

from gitindex.upstream.client import Upstreams
from gitindex.upstream.filters import Filters
from gitindex.upstream.health import Health, Patience
from gitindex.upstream.mirror import Upstream, asked
from gitindex.upstream.pages import UpstreamError, UpstreamFile, UpstreamPage

__all__ = [
    "Filters",
    "Health",
    "Patience",
    "Upstream",
    "UpstreamError",
    "UpstreamFile",
    "UpstreamPage",
    "Upstreams",
    "asked",
]
