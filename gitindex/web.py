"""What pages and files over HTTP have in common: where may be asked, and under whose name.

Nothing here asks: that is done by :mod:`gitindex.upstream` for pages and :mod:`gitindex.download` for single files.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, urlsplit

from gitindex import __version__

if TYPE_CHECKING:
    import requests

USER_AGENT = f"gitindex/{__version__}"
MAX_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}


class UnfitURLError(ValueError):
    """A URL that nothing may be asked for; the message goes on with what was said of it."""


class Credentials(NamedTuple):
    """A name and a password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(…)"


class Origin(NamedTuple):
    """Who answers: another port is another server."""

    scheme: str
    host: str
    port: int | None


Netrc = Mapping[str, tuple[str, str | None, str | None]]


def split(url: str) -> SplitResult:
    """Return the parts of *url*.

    Raises:
        UnfitURLError: it is no URL.

    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UnfitURLError("is no URL") from None
    return parts


def origin(parts: SplitResult) -> Origin:
    """Return the origin of a URL, the port that its scheme has by default filled in."""
    return Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme))


def is_loopback(parts: SplitResult) -> bool:
    """Tell whether a URL leads to this machine's loopback interface."""
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_target(target: SplitResult, first: SplitResult) -> None:
    """Refuse what nothing may be downloaded from, where *first* led to *target*.

    Plain http leads from nowhere but the loopback interface to it.

    Raises:
        UnfitURLError: it is not https, or has credentials in it.

    """
    is_local = target.scheme == "http" and is_loopback(target) and is_loopback(first)
    if not target.hostname or not (target.scheme == "https" or is_local):
        place = f"{target.scheme}://{target.hostname or ''}"
        raise UnfitURLError(f"leads to {place[:200]!a}, which is not https")
    if "@" in target.netloc:
        raise UnfitURLError("has credentials in the URL")


def proxies_for(target: SplitResult) -> dict[str, str]:
    """Return what tells requests to ask no proxy for the loopback interface."""
    return {"no_proxy": target.hostname or ""} if is_loopback(target) else {}


@dataclass(frozen=True, slots=True)
class Login:
    """What a request is signed with, or nothing at all: then requests does not look for a password by itself."""

    credentials: Credentials | None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.credentials is not None:
            from requests.auth import HTTPBasicAuth  # noqa: PLC0415 - a heavy import, and only for this

            HTTPBasicAuth(*self.credentials)(request)
        return request


def credentials_in(netrc: Netrc, host: str) -> Credentials | None:
    """Return what a netrc says of the very host; its `default` is for none of these."""
    found = netrc.get(host) if host != "default" else None
    return Credentials(found[0], found[2] or "") if found else None


def read_netrc() -> Netrc:
    """Return the user's netrc; nothing where it cannot be read."""
    import netrc  # noqa: PLC0415

    try:
        return netrc.netrc(os.environ.get("NETRC") or Path("~/.netrc").expanduser()).hosts
    except (OSError, netrc.NetrcParseError, RuntimeError, UnicodeError):
        return {}
