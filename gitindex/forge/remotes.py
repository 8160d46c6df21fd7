"""Where a remote is: its forge, the host, and the repository there, as far as its URL tells."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from gitindex.model import Settings

_SCP_LIKE = re.compile(r"(?:[^/@:\s]+@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^\s]+)")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_NAMES = {"github": "github", "gitlab": "gitlab", "gitea": "gitea", "forgejo": "gitea", "codeberg": "gitea"}
_SSH_ALIASES = {"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}
"""Hosts that take SSH at port 443, and whose they are."""


class Kind(StrEnum):
    """How a pull request is opened."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"


class Place(NamedTuple):
    """A repository at a forge."""

    origin: str
    """Where the forge is on the web: ``https://git.example.org``."""
    host: str
    path: str
    """The repository there: ``owner/name``, on GitLab perhaps in more groups."""

    @property
    def web(self) -> str:
        """The repository's page, without a slash at the end."""
        return f"{self.origin}/{quote(self.path)}"


def read_remote(url: str) -> Place | None:
    """Return where the URL of a remote leads, without any credentials; ``None`` for a path, or what is none of these.

    Known are `https://`, `http://` and `ssh://` URLs, and `git@host:owner/name.git`.
    """
    if "://" not in url:
        found = _SCP_LIKE.fullmatch(url)
        return None if found is None else _place("https", found["host"], None, found["path"])
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    if parts.scheme in ("http", "https"):
        return _place(parts.scheme, host, port, unquote(parts.path))
    is_ssh = parts.scheme in ("ssh", "git+ssh", "ssh+git")
    return _place("https", host, None, unquote(parts.path)) if is_ssh else None


def _place(scheme: str, host: str, port: int | None, path: str) -> Place | None:
    host = _SSH_ALIASES.get(host.lower(), host.lower())
    path = path.strip("/").removesuffix(".git").strip("/")
    if not _HOST.fullmatch(host) or path.count("/") < 1 or not path.isprintable():
        return None
    return Place(f"{scheme}://{host}{f':{port}' if port is not None else ''}", host, path)


def forge_of(place: Place | None, settings: Settings) -> Kind | None:
    """Return the kind of forge that the settings state, else the one that is in the name of the host."""
    if settings.forge.type is not None:
        return Kind(settings.forge.type)
    host = place.host if place is not None else ""
    return next((Kind(kind) for name, kind in _NAMES.items() if name in host), None)


def shown_at(place: Place | None, settings: Settings) -> Place | None:
    """Return the place with the address for people that the settings state: for links, and for nothing else."""
    url = settings.forge.url.rstrip("/")
    return place._replace(origin=url) if place is not None and url else place
