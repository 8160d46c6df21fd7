"""The hosts that a site can be written for: what each needs to negotiate, cache and fall back, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gitindex.hosts import apache, caddy, cloudflare, github_pages, gitlab_pages, netlify, nginx, s3, vercel
from gitindex.hosts.rules import HostSite, Limits
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
    carries: bool = False
    """Whether the site has the pages of mirrors in it, since the host can send nobody to them."""
    notes: Callable[[HostSite], Iterable[str]] = lambda _: ()
    """Gives what is to be said of this site."""
    limits: Limits | None = None
    """How much the host takes."""


HOSTS: Mapping[str, Host] = {
    "nginx": Host(nginx.files, nginx.CANNOT, nginx.CANNOT_PROXY),
    "apache": Host(apache.files, apache.CANNOT, apache.CANNOT_PROXY),
    "caddy": Host(caddy.files, caddy.CANNOT, caddy.CANNOT_PROXY),
    "cloudflare": Host(cloudflare.files, cloudflare.CANNOT, limits=cloudflare.LIMITS),
    "github-pages": Host(github_pages.files, github_pages.CANNOT, carries=True, limits=github_pages.LIMITS),
    "gitlab-pages": Host(gitlab_pages.files, gitlab_pages.CANNOT, notes=gitlab_pages.notes),
    "netlify": Host(netlify.files, netlify.CANNOT, notes=netlify.notes),
    "s3": Host(s3.files, s3.CANNOT, notes=s3.notes),
    "vercel": Host(vercel.files, vercel.CANNOT),
}
"""By name, in the order of the documentation."""
