"""Strings that have been checked: the types say so, and each is made in one place.

Packaging's parsers are imported where they are needed, for the time they take; the common forms are
recognised by patterns that accept only what packaging accepts (a property test compares the two).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, NewType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version

ProjectName = NewType("ProjectName", str)
"""A project name in normal form (PEP 503)."""
UserName = NewType("UserName", str)
Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""

_PROJECT = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_DISPLAY_NAME = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.ASCII | re.IGNORECASE)
_OWNER = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*", re.ASCII)
_COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SAFE_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", re.ASCII)
_SEPARATORS = re.compile(r"[-_.]+")
_COMMON_WHEEL = re.compile(
    r"(?P<name>[A-Za-z0-9]+(?:[._][A-Za-z0-9]+)*)-(?P<version>[A-Za-z0-9_.+!]+)(?:-[0-9][A-Za-z0-9_.]*)?"
    r"-(?:[A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z_][A-Za-z0-9_]*-(?:[A-Za-z0-9_]+\.)*[A-Za-z0-9_]+-(?:[A-Za-z0-9_]+\.)*[A-Za-z0-9_]+\.whl",
    re.ASCII,
)
_COMMON_SDIST = re.compile(r"(?P<name>[A-Za-z0-9._-]+)-(?P<version>[A-Za-z0-9_.+!]+)\.(?:tar\.gz|zip)", re.ASCII)
_COMMON_SPECIFIERS = re.compile(
    r"\s*(?:(?:>=|<=|>|<)\s*\d{1,9}(?:\.\d{1,9})*|(?:==|!=)\s*\d{1,9}(?:\.\d{1,9})*(?:\.\*)?|~=\s*\d{1,9}(?:\.\d{1,9})+)\s*"
    r"(?:,\s*(?:(?:>=|<=|>|<)\s*\d{1,9}(?:\.\d{1,9})*|(?:==|!=)\s*\d{1,9}(?:\.\d{1,9})*(?:\.\*)?|~=\s*\d{1,9}(?:\.\d{1,9})+)\s*)*",
    re.ASCII,
)

MAX_NAME = 64
MAX_PROJECT_NAME = 200
MAX_FILENAME = 240
"""A name in a folder has at most 255 bytes on most file systems, and what lies beside a file has a longer one."""
RESERVED_USERS = frozenset({"files", "index.html", "404.html", "favicon.ico", "robots.txt"})
"""Names that the site's own URLs use (design 6)."""


_SELF_WRITTEN = bytes(set(range(0x20, 0x7F)) - set(b"&<>\"'\\"))


def writes_itself(text: str) -> bool:
    """Tell whether *text* is written as it is in HTML, XML and JSON: printable ASCII without what these escape."""
    # That is a tenth of the time of `isprintable` and a search for each of the others.
    return text.isascii() and not text.encode().translate(None, _SELF_WRITTEN)


class IndexName(NamedTuple):
    """The name of an index: ``user/name``."""

    user: UserName
    name: str

    def __str__(self) -> str:
        return f"{self.user}/{self.name}"


class DistributionName(NamedTuple):
    """What the name of a wheel or an sdist says."""

    kind: Literal["wheel", "sdist"]
    project: ProjectName
    spelling: str
    """The version as it stands there; a valid one (PEP 440)."""

    @property
    def version(self) -> Version:
        """The version."""
        version = parse_version(self.spelling)
        assert version is not None  # noqa: S101 - checked where this is made
        return version

    @property
    def canonical(self) -> str:
        """The version in its canonical spelling."""
        return canonical_version(self.spelling) or self.spelling

    @property
    def key(self) -> object:
        """What is equal for equal versions."""
        return version_key(self.spelling)


def normalize(name: str) -> ProjectName:
    """Return *name* in normal form (PEP 503); whether it is a name at all is not checked."""
    return ProjectName(_SEPARATORS.sub("-", name).lower())


def is_project_name(text: str) -> bool:
    """Tell whether *text* is a project name in normal form."""
    return len(text) <= MAX_PROJECT_NAME and _PROJECT.fullmatch(text) is not None and "--" not in text


def is_display_name(text: str) -> bool:
    """Tell whether *text* is a valid project name in any spelling (the core metadata's rule, ASCII, no newline)."""
    return _DISPLAY_NAME.fullmatch(text) is not None


def is_owner_name(text: str) -> bool:
    """Tell whether *text* may name an index, or a user unless :data:`RESERVED_USERS` has it."""
    return len(text) <= MAX_NAME and _OWNER.fullmatch(text) is not None


def is_user_name(text: str) -> bool:
    """Tell whether *text* may name a user."""
    return is_owner_name(text) and text not in RESERVED_USERS


def parse_index_name(text: str) -> IndexName | None:
    """Return the index that *text* (``user/name``) names, or ``None`` where it is malformed."""
    user, slash, name = text.partition("/")
    if slash and is_user_name(user) and is_owner_name(name):
        return IndexName(UserName(user), name)
    return None


_IDENTITY = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<value>[!-~]+)", re.ASCII)
_KEYS = {
    "ssh": re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII),
    "gpg": re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}", re.ASCII | re.IGNORECASE),
}
"""How the fingerprint of a signing key is written, as ``ssh-keygen -l`` and ``gpg --fingerprint`` print it."""


def identity_key(text: str) -> str | None:
    """Return what is equal for equal identities (``github:emilie``, ``ssh:SHA256:…``), ``None`` for a malformed one.

    Logins and hexadecimal digits are the same in upper and lower case; the base64 of an SSH fingerprint is not.
    """
    match = _IDENTITY.fullmatch(text)
    if match is None or (match["scheme"] in _KEYS and not _KEYS[match["scheme"]].fullmatch(match["value"])):
        return None
    return text if match["scheme"] == "ssh" else text.lower()


def is_commit_id(text: str) -> bool:
    """Tell whether *text* is the whole id of a commit (or of another object of Git), in lower case."""
    return _COMMIT_ID.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Tell whether *text* is a sha256 in lower-case hexadecimal."""
    return _SHA256.fullmatch(text) is not None


def is_safe_filename(text: str) -> bool:
    """Tell whether *text* can stand in a path and a URL: ASCII, no separator, no leading dot, no blank."""
    return len(text) <= MAX_FILENAME and _SAFE_FILENAME.fullmatch(text) is not None


@lru_cache(maxsize=8192)
def parse_version(text: str) -> Version | None:
    """Return the version that *text* spells (PEP 440), or ``None``."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        return Version(text)
    except (InvalidVersion, ValueError):
        return None


_SIMPLE_VERSION = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.(?:0|[1-9][0-9]{0,17}))*", re.ASCII)


def version_key(text: str) -> object:
    """Return what is equal for equal versions (PEP 440: trailing zeros do not count); any other text is its own key."""
    if _SIMPLE_VERSION.fullmatch(text):
        return _without_trailing_zeros(text)
    version = parse_version(text)
    if version is None or str(version) != version.base_version or version.epoch:
        return version or text
    return _without_trailing_zeros(version.base_version)


def _without_trailing_zeros(release: str) -> str:
    while release.endswith(".0"):
        release = release[:-2]
    return release


def is_prerelease(text: str) -> bool:
    """Tell whether *text* is a version that installers take only when asked to: a pre-release or a development one."""
    if _SIMPLE_VERSION.fullmatch(text):
        return False
    version = parse_version(text)
    return version is not None and version.is_prerelease


def latest_version(texts: Iterable[str]) -> str | None:
    """Return the highest of the versions (PEP 440), the first of equal ones; any other text is passed over."""
    versions = tuple(texts)
    if all(map(_SIMPLE_VERSION.fullmatch, versions)):
        return max(versions, key=_release_numbers, default=None)
    parsed = {text: version for text in versions if (version := parse_version(text)) is not None}
    return max(parsed, key=parsed.__getitem__, default=None)


def _release_numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, _without_trailing_zeros(text).split(".")))


def canonical_version(text: str) -> str | None:
    """Return the canonical spelling of a version (``str(Version(text))``: trailing zeros stay), or ``None``."""
    if _SIMPLE_VERSION.fullmatch(text):
        return text
    version = parse_version(text)
    return None if version is None else str(version)


@lru_cache(maxsize=4096)
def is_specifier_set(text: str) -> bool:
    """Tell whether *text* is a valid set of version specifiers (PEP 440), as in ``requires-python``."""
    if _COMMON_SPECIFIERS.fullmatch(text):
        return True
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415

    try:
        SpecifierSet(text)
    except (InvalidSpecifier, ValueError):
        return False
    return True


def parse_filename(filename: str) -> DistributionName | None:
    """Return what the name of a wheel or an sdist says, or ``None`` where it is neither (PEP 427, PEP 625).

    Old spellings that packaging reads (upper case, dots, ``.zip`` sdists) are read; what could leave a folder or
    a URL's path segment is not.
    """
    if not is_safe_filename(filename):
        return None
    if (match := _COMMON_WHEEL.fullmatch(filename)) and canonical_version(match["version"]) is not None:
        return DistributionName("wheel", normalize(match["name"]), match["version"])
    if (match := _COMMON_SDIST.fullmatch(filename)) and is_display_name(match["name"]):
        version = match["version"]
        if canonical_version(version) is not None:
            return DistributionName("sdist", normalize(match["name"]), version)
    return _parse_filename_by_packaging(filename)


def _parse_filename_by_packaging(filename: str) -> DistributionName | None:
    from packaging.utils import (  # noqa: PLC0415
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
            return DistributionName("wheel", ProjectName(name), str(version)) if is_project_name(name) else None
        name, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename, ValueError):
        return None
    return DistributionName("sdist", ProjectName(name), str(version)) if is_project_name(name) else None
