"""Where objects are kept: a bucket, a container or a folder, as a URL that says so and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from gitindex.errors import UsageError

SCHEMES = ("s3", "gs", "az", "file")
_HELP = "write it as s3://bucket/folder, gs://bucket/folder, az://container/folder or file:///folder"
_NO_STEPS = "write the whole path of the folder, without empty parts, `.` and `..`"
# What object stores take for the name of a bucket or container: no name of a host, port or user.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)


class Location(NamedTuple):
    """A place for objects."""

    scheme: str
    bucket: str
    """The bucket or container; empty for a folder of this machine."""
    prefix: str
    """The folder in it, or of this machine, without a slash at its end."""

    @property
    def folder(self) -> Path | None:
        """The folder of this machine."""
        return Path(self.prefix) if self.scheme == "file" else None

    def below(self, name: str) -> Location:
        """Return the place of a folder in it."""
        return self._replace(prefix=f"{self.prefix}/{name}" if self.prefix else name)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}{'/' if self.bucket and self.prefix else ''}{self.prefix}"


def read_location(url: str) -> Location:
    """Return the place that a URL names.

    Raises:
        UsageError: it names none, or has more in it than a place: credentials come from the environment. What is said
            of it does not repeat what may be a password.

    """
    parts = _split(url)
    if parts.scheme not in SCHEMES:
        raise UsageError(f"{_shown(parts)!r} is no place for objects", help=_HELP)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"a URL of {parts.scheme}:// has more in it than a place",
            help=f"credentials and settings come from the environment; {_HELP}",
        )
    path = unquote(parts.path)
    segments = path.strip("/").split("/") if path.strip("/") else []
    if not path.isprintable() or any(segment in {"", ".", ".."} for segment in segments):
        raise UsageError(f"{_shown(parts)!r} is no place for objects", help=_NO_STEPS)
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not segments or not path.startswith("/"):
            raise UsageError(f"{_shown(parts)!r} names no folder of this machine", help="write file:///folder")
        return Location("file", "", "/" + "/".join(segments))
    if not _BUCKET.fullmatch(parts.netloc):
        raise UsageError(f"{_shown(parts)!r} names no bucket", help=_HELP)
    return Location(parts.scheme, parts.netloc, "/".join(segments))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise UsageError("what is given is no URL", help=_HELP) from None


def _shown(parts: SplitResult) -> str:
    """Return a URL less what may be a password."""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else parts.path
