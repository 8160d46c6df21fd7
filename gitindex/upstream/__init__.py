"""Other indexes over HTTP: what a mirror shows of a project, with the mirror's own filters applied."""

from gitindex.upstream.client import FOR_FILES, Upstreams, metadata_url
from gitindex.upstream.filters import Filters
from gitindex.upstream.health import Health, Patience
from gitindex.upstream.mirror import Upstream, asked
from gitindex.upstream.pages import UpstreamError, UpstreamFile, UpstreamPage

__all__ = [
    "FOR_FILES",
    "Filters",
    "Health",
    "Patience",
    "Upstream",
    "UpstreamError",
    "UpstreamFile",
    "UpstreamPage",
    "Upstreams",
    "asked",
    "metadata_url",
]
