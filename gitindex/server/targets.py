"""What a path asks for: the URLs of the site and of the server, read strictly. Nothing here looks into a repository."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from gitindex import layout
from gitindex.names import (
    MAX_FILENAME,
    IndexName,
    ProjectName,
    is_display_name,
    is_project_name,
    is_safe_filename,
    is_sha256,
    normalize,
    parse_index_name,
)
from gitindex.server import answers

LONGEST = 2048
"""Bytes of a path; the longest that can be right is shorter."""


class ProjectList(NamedTuple):
    """``/<user>/<index>/simple/``."""

    index: IndexName  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here


class SimpleProject(NamedTuple):
    """``/<user>/<index>/simple/<project>/``."""

    index: IndexName  # type: ignore[assignment]
    project: ProjectName


class PeoplesPage(NamedTuple):
    """``/``, ``/<user>/<index>/``, ``/<user>/<index>/project/<project>/``, and the feed of an index."""

    index: IndexName | None = None  # type: ignore[assignment]
    project: ProjectName | None = None
    is_feed: bool = False


class StoredFile(NamedTuple):
    """``/files/<sha256[0:2]>/<sha256[2:]>/<filename>``, or what lies beside it."""

    path: str
    sha256: str
    filename: str
    suffix: str
    """Empty, ``.metadata`` or ``.provenance``."""


class MirroredFile(NamedTuple):
    """``/<user>/<mirror>/files/<project>/<sha256 or ->/<filename>[.metadata]``."""

    index: IndexName  # type: ignore[assignment]
    project: ProjectName
    sha256: str
    """Empty where the upstream states none."""
    filename: str
    is_metadata: bool


class Own(NamedTuple):
    """``/+status`` and the like."""

    name: str


class Redirect(NamedTuple):
    """The same thing at its proper URL."""

    location: str
    """Relative to what was asked for."""


class Malformed(NamedTuple):
    """No path that a client of good faith sends."""

    problem: str


Target = ProjectList | SimpleProject | PeoplesPage | StoredFile | MirroredFile | Own | Redirect | Malformed

OWN = frozenset({"+status", "+changelog", "+metrics", *answers.STATICS})
NO_DIGEST = "-"
"""Stands in a URL where an upstream does not state a digest."""
_SIMPLE = frozenset({"simple", "+simple"})
_JSON_FILE = b"index.json"
_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BAD = re.compile(r"[\x00-\x1f\x7f/\\]")


class Asked(NamedTuple):
    """What a path asks for, and of which revision."""

    target: Target | None
    """``None`` where there is never anything at such a path."""
    revision: str | None = None
    """What follows the ``@`` of ``/@<rev>/…``; ``None`` for what is served by default."""
    is_json: bool = False
    """Whether the path says which serialisation is meant, as the site's own file of it does."""


def parse(raw_path: bytes) -> Asked:
    """Read the path of a request as it was sent, still escaped; each segment is unescaped once, and by itself."""
    if len(raw_path) > LONGEST or not raw_path.startswith(b"/"):
        return Asked(Malformed("the path is too long" if raw_path.startswith(b"/") else "the path is not absolute"))
    if _ESCAPE.search(raw_path):
        return Asked(Malformed("the path has an escape that is none"))
    first, *rest = raw_path[1:].split(b"/")
    if first.startswith((b"@", b"%40")):
        revision = _unescaped(first)
        if revision is None:
            return Asked(Malformed("the path is not UTF-8"))
        return _asked(rest, revision[1:]) if rest else Asked(None, revision[1:])
    return _asked([first, *rest], None)


def _asked(raw: list[bytes], revision: str | None) -> Asked:
    if raw[-1] == _JSON_FILE:
        # People's pages link to it, and the site has it. No project has that name in normal form.
        page = _target([*raw[:-1], b""])
        if isinstance(page, (ProjectList, SimpleProject)):
            return Asked(page, revision, is_json=True)
    return Asked(_target(raw), revision)


def _unescaped(segment: bytes) -> str | None:
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        return None


def segments_of(raw: list[bytes]) -> list[str] | Malformed | None:
    """Return the segments of a path, unescaped; ``None`` where one is such that nothing is ever there."""
    segments: list[str] = []
    for segment in raw:
        text = _unescaped(segment)
        if text is None:
            return Malformed("the path is not UTF-8")
        if _BAD.search(text) or text in {".", ".."}:
            return None
        segments.append(text)
    return segments


def _target(raw: list[bytes]) -> Target | None:
    segments = segments_of(raw)
    if not isinstance(segments, list):
        return segments
    if segments == [""]:
        return PeoplesPage()
    *inner, last = segments
    if "" in inner:
        return None
    if "/".join(segments) in OWN:
        return Own("/".join(segments))
    if inner[:1] == [layout.FILES]:
        return _stored(segments)
    name = parse_index_name("/".join(segments[:2])) if len(segments) > 1 else None
    return _of_index(name, segments[2:], last) if name else None


def _of_index(name: IndexName, rest: list[str], last: str) -> Target | None:
    match rest:
        case []:
            return Redirect(f"{last}/")
        case [""]:
            return PeoplesPage(name)
        case ["feed.xml"]:
            return PeoplesPage(name, is_feed=True)
        case [simple] if simple in _SIMPLE:
            return Redirect(f"{simple}/")
        case [simple, ""] if simple in _SIMPLE:
            return ProjectList(name)
        case [simple, project, *end] if simple in _SIMPLE and end in ([], [""]):
            return _project(project, has_slash=bool(end), of=lambda found: SimpleProject(name, found))
        case ["project", project, *end] if end in ([], [""]):
            return _project(project, has_slash=bool(end), of=lambda found: PeoplesPage(name, found))
        case ["files", project, digest, filename]:
            return _mirrored(name, project, digest, filename)
        case _:
            return None


def _project(text: str, *, has_slash: bool, of: Callable[[ProjectName], Target]) -> Target | None:
    if not is_display_name(text):
        return None
    project = normalize(text)
    if not is_project_name(project):
        return None  # too long to be one
    if project == text and has_slash:
        return of(project)
    return Redirect(f"../{project}/" if has_slash else f"{project}/")


def _stored(segments: list[str]) -> StoredFile | None:
    if len(segments) != 4:  # noqa: PLR2004 - layout.stored_path
        return None
    _, start, end, name = segments
    filename, suffix = _without_suffix(name, (layout.METADATA_SUFFIX, layout.PROVENANCE_SUFFIX))
    if len(start) != 2 or not is_sha256(start + end) or not is_safe_filename(filename):  # noqa: PLR2004
        return None
    return StoredFile("/".join(segments), start + end, filename, suffix)


def _mirrored(index: IndexName, project: str, digest: str, name: str) -> MirroredFile | None:
    filename, suffix = _without_suffix(name, (layout.METADATA_SUFFIX,))
    is_right = is_project_name(project) and (digest == NO_DIGEST or is_sha256(digest)) and filename[:1] not in {"", "."}
    is_right = is_right and len(filename.encode()) <= MAX_FILENAME
    if not is_right:
        return None
    sha256 = "" if digest == NO_DIGEST else digest
    return MirroredFile(index, normalize(project), sha256, filename, bool(suffix))


def _without_suffix(name: str, suffixes: tuple[str, ...]) -> tuple[str, str]:
    for suffix in suffixes:
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix
    return name, ""
