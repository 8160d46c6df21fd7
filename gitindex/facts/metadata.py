"""Core metadata (METADATA, PKG-INFO): three fields read leniently, or the whole validated.

Nothing here knows archives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from gitindex.facts.archive import UnsoundError

if TYPE_CHECKING:
    from packaging.metadata import Metadata, RawMetadata

_METADATA_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})", re.ASCII)
_NEWEST_MAJOR = 2
_LICENSES = (2, 4)
_VALIDATED_AS = "2.5"
"""2.6 (PEP 808) adds no field, and not every packaging that we accept knows it."""
_MAX_MESSAGE = 500


class CoreFacts(NamedTuple):
    """What a page needs of a distribution's metadata, as the file spells it."""

    name: str
    version: str
    requires_python: str | None
    metadata: bytes
    """The exact bytes of METADATA or PKG-INFO."""


class CoreMetadata(NamedTuple):
    """What is needed of metadata that has been validated."""

    name: str
    version: str
    """Canonical: ``str(Version)``."""
    requires_python: str | None
    license_files: tuple[str, ...]
    """Paths that must exist in the distribution (metadata 2.4 and later)."""


def read_fields(data: bytes) -> CoreFacts:
    """Return the fields that a manifest repeats, of metadata that may be wrong otherwise.

    Raises :exc:`UnsoundError` where a field is missing or given twice, since readers then disagree.
    """
    from email.parser import HeaderParser  # noqa: PLC0415

    message = HeaderParser().parsestr(data.decode("utf-8", "replace"))

    def field(name: str) -> str | None:
        values = message.get_all(name, [])
        if len(values) > 1:
            raise UnsoundError(f"has metadata that gives {name} {len(values)} times")
        return values[0].strip() or None if values else None

    name, version = field("Name"), field("Version")
    if name is None or version is None:
        raise UnsoundError(f"has metadata without {'Name' if name is None else 'Version'}")
    return CoreFacts(name, version, field("Requires-Python"), data)


def validate(data: bytes) -> CoreMetadata:
    """Return what *data* says, or raise :exc:`UnsoundError` where the specification refuses it."""
    from packaging.metadata import Metadata, parse_email  # noqa: PLC0415

    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise UnsoundError(f"has metadata that is not UTF-8 (byte {error.start})") from None
    raw, unparsed = parse_email(data)
    if garbled := sorted(name for name in unparsed if _is_core_field(name)):
        raise UnsoundError(f"has metadata with {garbled[0]!r} given twice or in a wrong form")
    declared = _declared_version(raw)
    if declared < _LICENSES:
        # Setuptools and hatchling wrote these before 2.4 defined them, with other meanings.
        raw.pop("license_expression", None)
        raw.pop("license_files", None)
    # Minor versions only add fields, so the newest set judges every one of them.
    raw["metadata_version"] = _VALIDATED_AS
    try:
        metadata = Metadata.from_raw(raw)
    except ExceptionGroup as group:
        raise UnsoundError(_first_problem(group)) from None
    _check_exclusions(metadata)
    facts = read_fields(data)
    if facts.requires_python and not facts.requires_python.isprintable():
        raise UnsoundError(f"has metadata whose Requires-Python is not one line, {facts.requires_python[:80]!a}")
    return CoreMetadata(
        metadata.name, str(metadata.version), facts.requires_python, tuple(metadata.license_files or ())
    )


def _is_core_field(name: str) -> bool:
    from packaging.metadata import RawMetadata  # noqa: PLC0415

    key = name.replace("-", "_")
    return not {key, f"{key}s"}.isdisjoint(RawMetadata.__annotations__)


def _declared_version(raw: RawMetadata) -> tuple[int, int]:
    text = raw.get("metadata_version", "")
    match = _METADATA_VERSION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise UnsoundError(f"has metadata with the Metadata-Version {text[:40]!a}, not 1.0 to 2.x")
    if int(match[1]) > _NEWEST_MAJOR:
        raise UnsoundError(f"has metadata of version {text}, not 2.x", help="build with older metadata")
    return int(match[1]), int(match[2])


def _first_problem(group: ExceptionGroup[Exception]) -> str:
    messages = sorted(" ".join(str(error).split()) for error in group.exceptions)
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    return f"has invalid metadata: {messages[0][:_MAX_MESSAGE]}{more}"


def _check_exclusions(metadata: Metadata) -> None:
    if metadata.license_expression is not None and metadata.license is not None:
        raise UnsoundError("has metadata with both License and License-Expression", help="drop License")
    names = {name.partition(";")[0].strip() for name in metadata.import_names or ()}
    namespaces = {name.partition(";")[0].strip() for name in metadata.import_namespaces or ()}
    if both := sorted(names & namespaces):
        raise UnsoundError(f"has metadata with {both[0]!a} as Import-Name and as Import-Namespace")
