"""What the core metadata of a distribution tells people: read leniently, of any length, and cut to what a page shows.

Nothing here knows archives or pages. Whatever is wrong in a field is left out; the rest is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from gitindex.names import ProjectName, is_project_name, normalize

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

MAX_DESCRIPTION = 256 * 1024
"""Characters of a description that a page shows; the files have the whole of it."""
_MAX_LINE = 1000
_MAX_LICENSE = 300
"""A longer licence is the text of one, not its name."""
_MOST = 1000
"""Of classifiers, dependencies, links, keywords and people: more than anybody has."""

WELL_KNOWN: Mapping[str, str] = {
    label: kind
    for kind, labels in {
        "homepage": ("homepage",),
        "source": ("source", "repository", "sourcecode", "github"),
        "download": ("download",),
        "changelog": ("changelog", "changes", "whatsnew", "history"),
        "releasenotes": ("releasenotes",),
        "documentation": ("documentation", "docs"),
        "issues": ("issues", "bugs", "issue", "tracker", "issuetracker", "bugtracker"),
        "funding": ("funding", "sponsor", "donate", "donation"),
    }.items()
    for label in labels
}
"""The kind of a project URL by its normalised label, as the specification of well-known labels has them (PyPA)."""


class Person(NamedTuple):
    """An author or a maintainer."""

    role: str
    """``Author`` or ``Maintainer``."""
    name: str
    email: str
    """May be empty, as the name may."""


class Link(NamedTuple):
    """A URL of the project; it may be of any scheme."""

    kind: str
    """One of the well-known ones, empty for another label."""
    label: str
    url: str


class Dependency(NamedTuple):
    """What a distribution needs."""

    project: ProjectName | None
    """``None`` where the requirement cannot be read."""
    text: str
    """The name with its extras, as its authors spell it; or the whole requirement where it cannot be read."""
    specifier: str
    """Versions, or where it is taken from (``@ https://…``)."""
    marker: str
    """Where it is needed, less the extra."""


class Described(NamedTuple):
    """What a page shows of the core metadata."""

    version: str
    """The version that it is of, as the metadata spells it."""
    summary: str
    description: str
    is_cut: bool
    """Whether the description is longer than what is here."""
    content_type: str
    """Of the description, as the metadata has it; empty where it says nothing."""
    license: str
    """An SPDX expression, or whatever the old field says in a line."""
    people: tuple[Person, ...]
    keywords: tuple[str, ...]
    classifiers: tuple[tuple[str, tuple[str, ...]], ...]
    """By their first part, in the order in which they stand."""
    requires_python: str
    links: tuple[Link, ...]
    extras: tuple[str, ...]
    dependencies: tuple[tuple[str, tuple[Dependency, ...]], ...]
    """By extra; the first group, of no extra, has an empty name."""


def read_described(data: bytes) -> Described | None:
    """Return what METADATA or PKG-INFO tells people, ``None`` where it cannot be read at all.

    The fields are those of the core metadata specification.
    """
    from packaging.metadata import parse_email  # noqa: PLC0415 - not every site has metadata

    try:
        raw, unparsed = parse_email(data)
    except (ValueError, LookupError, RecursionError, AttributeError, TypeError):  # what the email parser stumbles over
        return None
    description = raw.get("description") or _unparsed_description(unparsed)
    # Before 2.1 the description stood among the fields, each line but the first indented, or behind a bar.
    description = description.replace("\n       |", "\n").strip("\n")
    extras = tuple(dict.fromkeys(normalize(extra) for extra in raw.get("provides_extra", [])[:_MOST]))
    return Described(
        version=_line(raw.get("version")),
        summary=_line(raw.get("summary")),
        description=description[:MAX_DESCRIPTION],
        is_cut=len(description) > MAX_DESCRIPTION,
        content_type=_line(raw.get("description_content_type")),
        license=_license(raw),
        people=tuple(_people(raw)),
        keywords=_keywords(raw),
        classifiers=_grouped(raw.get("classifiers", [])),
        requires_python=_line(raw.get("requires_python")),
        links=tuple(_links(raw)),
        extras=extras,
        dependencies=_dependencies(raw.get("requires_dist", []), extras),
    )


def _unparsed_description(unparsed: Mapping[str, list[str]]) -> str:
    """Return a description that is not UTF-8, or stands both among the fields and below them: the last is meant."""
    found: list[str | bytes] = [*unparsed.get("description", [])]
    if not found:
        return ""
    return found[-1].decode("utf-8", "replace") if isinstance(found[-1], bytes) else found[-1]


def _line(text: str | None) -> str:
    if not text:
        return ""
    line = " ".join(text[: 4 * _MAX_LINE].split())
    return "" if line == "UNKNOWN" else line[:_MAX_LINE]  # what setuptools wrote for nothing


def _license(raw: RawMetadata) -> str:
    if expression := _line(raw.get("license_expression")):
        return expression
    text = raw.get("license") or ""
    return _line(text) if len(text) <= _MAX_LICENSE else ""


_ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\%?&/]+@[A-Za-z0-9.-]+")


def is_address(text: str) -> bool:
    """Tell whether *text* is an email address that needs no care in a link."""
    return _ADDRESS.fullmatch(text) is not None


def _addresses(text: str) -> list[tuple[str, str]]:
    """Return the names and addresses of a header, leniently: newer Pythons, asked to be strict, know nobody of it."""
    from email.utils import getaddresses  # noqa: PLC0415

    try:
        return getaddresses([text], strict=False)
    except TypeError:  # a Python before 3.11.10 or 3.12.5, which is never strict
        return getaddresses([text])


def _people(raw: RawMetadata) -> Iterable[Person]:
    fields = (
        ("Author", raw.get("author"), raw.get("author_email")),
        ("Maintainer", raw.get("maintainer"), raw.get("maintainer_email")),
    )
    for role, names, emails in fields:
        name = _line(names)
        addresses = [(_line(person), address) for person, address in _addresses(_line(emails))[:_MOST]]
        addresses = [(person, address if is_address(address) else "") for person, address in addresses]
        if name and len(addresses) == 1 and not addresses[0][0]:
            addresses = [(name, addresses[0][1])]
        elif name and name not in [person for person, _ in addresses]:
            addresses.insert(0, (name, ""))
        yield from (Person(role, person, address) for person, address in addresses if person or address)


def _keywords(raw: RawMetadata) -> tuple[str, ...]:
    words = raw.get("keywords", [])
    if len(words) == 1 and "," not in words[0]:  # older tools parted them by blanks
        words = words[0].split()
    return tuple(dict.fromkeys(filter(None, map(_line, words[:_MOST]))))


def _grouped(classifiers: list[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    groups: dict[str, list[str]] = {}
    for classifier in dict.fromkeys(map(_line, classifiers[:_MOST])):
        head, found, rest = classifier.partition(" :: ")
        if found:
            groups.setdefault(head, []).append(rest)
    return tuple((head, tuple(rest)) for head, rest in groups.items())


def _links(raw: RawMetadata) -> Iterable[Link]:
    urls = [("Homepage", raw.get("home_page")), *raw.get("project_urls", {}).items()]
    urls.append(("Download", raw.get("download_url")))
    seen = {""}
    for label, url in urls:
        address = _line(url)
        if address not in seen and len(seen) <= _MOST:
            seen.add(address)
            kind = WELL_KNOWN.get(re.sub(r"[\W_]", "", label).lower(), "")
            yield Link(kind, _line(label) or address, address)


def _bounds(specifier: str) -> tuple[bool, str]:
    """Return what puts a lower bound before an upper one; a set of specifiers has no order of its own."""
    return specifier.startswith(("<", "!")), specifier


_EXTRA = re.compile(r'(?:(?P<rest>.+) and )?extra == "(?P<extra>[^"]+)"')


def _dependencies(requirements: list[str], extras: tuple[str, ...]) -> tuple[tuple[str, tuple[Dependency, ...]], ...]:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    groups: dict[str, list[Dependency]] = {"": [], **{extra: [] for extra in extras}}
    for text in requirements[:_MOST]:
        try:
            requirement = Requirement(text[:_MAX_LINE])
        except (InvalidRequirement, RecursionError):
            groups[""].append(Dependency(None, _line(text), "", ""))
            continue
        marker = str(requirement.marker or "")
        needed = _EXTRA.fullmatch(marker)
        extra = ""
        if needed is not None:
            extra, marker = normalize(needed["extra"]), (needed["rest"] or "")
            if marker.startswith("(") and marker.endswith(")") and "(" not in marker[1:]:
                marker = marker[1:-1]
        name = normalize(requirement.name)
        shown = (
            f"{requirement.name}[{','.join(sorted(requirement.extras))}]" if requirement.extras else requirement.name
        )
        origin = (
            f"@ {requirement.url}"
            if requirement.url
            else ", ".join(sorted(map(str, requirement.specifier), key=_bounds))
        )
        dependency = Dependency(name if is_project_name(name) else None, shown, origin, marker)
        groups.setdefault(extra, []).append(dependency)
    return tuple((extra, tuple(needs)) for extra, needs in groups.items() if needs)
