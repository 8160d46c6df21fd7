"""The hosts that a site can be written for: what each needs to negotiate, cache and fall back, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gitindex.hosts import apache, caddy, nginx
from gitindex.hosts.rules import HostSite
from gitindex.hosts.site import host_site

__all__ = ["HOSTS", "Host", "HostSite", "host_site"]


class Host(NamedTuple):
    """A host of sites."""

    files: Callable[[HostSite], Mapping[str, bytes]]
    """Gives what the host needs beside the pages: bytes by path in the site; what is the operator's below `.host/`."""
    cannot: tuple[str, ...]
    """What it cannot do, in sentences."""
    cannot_proxy: tuple[str, ...] | None = None
    """What it cannot do beside that as a proxy; ``None``: it can be none."""


HOSTS: Mapping[str, Host] = {
    "nginx": Host(nginx.files, nginx.CANNOT, nginx.CANNOT_PROXY),
    "apache": Host(apache.files, apache.CANNOT, apache.CANNOT_PROXY),
    "caddy": Host(caddy.files, caddy.CANNOT, caddy.CANNOT_PROXY),
}
"""By name, in the order of the documentation."""
