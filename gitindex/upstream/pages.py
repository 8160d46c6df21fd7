"""What an upstream's page says, as values; nothing is filtered yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from gitindex.errors import CannotRunError
from gitindex.names import ProjectName, Sha256
from gitindex.pages import Status


class UpstreamError(CannotRunError):
    """An upstream does not say whether it has a project, and nobody else can: not the same as that it has none."""


class UpstreamFile(NamedTuple):
    """One file of an upstream's page."""

    filename: str
    """One safe segment of a path, and the last one of the URL's."""
    version: str | None
    """As its name spells it; a valid one (PEP 440), or ``None`` where the name tells none."""
    url: str
    """Absolute, https (http where the upstream itself is on the loopback interface), without a fragment."""
    sha256: Sha256 | None = None
    size: int | None = None
    """Bytes."""
    upload_time: datetime | None = None
    """In UTC."""
    requires_python: str | None = None
    core_metadata: Sha256 | Literal[True] | None = None
    """PEP 658: sha256 of what is at the URL with ``.metadata``; ``True`` where it is there and no digest is stated."""
    yanked: str | None = None
    """PEP 592: the reason (may be empty), ``None`` where the file is not yanked."""
    provenance: str | None = None
    """PEP 740: what is stated for an absolute URL; whether it may be asked for is not checked."""


class Refused(NamedTuple):
    """Something of an upstream's page that cannot be taken for a file."""

    what: str
    """The filename, or whatever the page calls it."""
    why: str


@dataclass(frozen=True, slots=True)
class UpstreamPage:
    """What an upstream says of a project."""

    name: ProjectName
    files: tuple[UpstreamFile, ...]
    """In the upstream's order, each filename once."""
    versions: tuple[str, ...]
    """The versions that it lists beside those of the files (PEP 700); valid ones."""
    status: Status | None
    identity: str
    """Changes whenever the content does; 64 hexadecimal digits."""
    is_stale: bool = False
    """Whether the upstream should have been asked again, and could not."""
    fresh_for: float = 0.0
    """Seconds until it is asked again; never negative."""
    refused: tuple[Refused, ...] = ()
    """What cannot be taken, for those who ask for it: a mirror does without, and keeps nothing of it."""
