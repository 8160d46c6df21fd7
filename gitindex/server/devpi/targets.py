"""What a path asks for in devpi's protocol; nothing here looks into a repository."""

from __future__ import annotations

import re
from typing import NamedTuple

from gitindex.names import (
    MAX_FILENAME,
    IndexName,
    ProjectName,
    UserName,
    is_display_name,
    is_project_name,
    is_safe_filename,
    is_user_name,
    normalize,
    parse_index_name,
)
from gitindex.server.targets import LONGEST, segments_of

_RESULT = re.compile(r"(?P<filename>.+)\.toxresult-(?P<time>[0-9]{14})-(?P<number>[0-9]{1,6})", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{3}", re.ASCII), re.compile(r"[0-9a-f]{13}", re.ASCII)
_SIMPLE = frozenset({"simple", "+simple"})


class Root(NamedTuple):
    """``/``: all users and their indexes."""


class Login(NamedTuple):
    """``/+login``."""


class Api(NamedTuple):
    """``/+api``, ``/<user>/+api`` and ``/<user>/<index>/+api``."""

    index: IndexName | None  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here


class User(NamedTuple):
    """``/<user>``."""

    name: UserName


class Index(NamedTuple):
    """``/<user>/<index>``."""

    name: IndexName


class Misnamed(NamedTuple):
    """A user or an index of a name that none can have."""

    text: str


class Project(NamedTuple):
    """``/<user>/<index>/<project>``."""

    index: IndexName  # type: ignore[assignment]
    name: ProjectName


class Version(NamedTuple):
    """``/<user>/<index>/<project>/<version>``."""

    index: IndexName  # type: ignore[assignment]
    project: ProjectName
    version: str


class File(NamedTuple):
    """``/<user>/<index>/+f/<3 digits of its sha256>/<13 more>/<filename>``."""

    index: IndexName  # type: ignore[assignment]
    digest: str
    """How the sha256 begins."""
    filename: str


class Result(NamedTuple):
    """What came of testing a file: its path with ``.toxresult-<time>-<number>``."""

    file: File
    time: str
    number: int


class Refresh(NamedTuple):
    """``/<user>/<index>/+simple/<project>/refresh``."""

    index: IndexName  # type: ignore[assignment]
    project: ProjectName


Target = Root | Login | Api | User | Index | Misnamed | Project | Version | File | Result | Refresh


def parse(raw_path: bytes) -> Target | None:
    """Read the path of a request as it was sent, still escaped; ``None`` for what devpi's protocol does not have."""
    segments = _segments(raw_path)
    if segments is None:
        return None
    match segments:
        case []:
            return Root()
        case ["+login"]:
            return Login()
        case ["+api"] | [_, "+api"]:
            return Api(None)
        case [name, *rest] if name.startswith("+") or (rest and rest[0].startswith("+")):
            return None
        case [user]:
            return User(UserName(user)) if is_user_name(user) else Misnamed(user)
        case [user, index, *rest]:
            found = parse_index_name(f"{user}/{index}")
            if found is None:
                return None if rest else Misnamed(f"{user}/{index}")
            return _of_index(found, rest)
        case _:
            return None


def _segments(raw_path: bytes) -> list[str] | None:
    """Return the segments of a path, without a slash at its end; other revisions are not in this protocol."""
    if len(raw_path) > LONGEST or not raw_path.startswith(b"/"):
        return None
    segments = segments_of(raw_path[1:].split(b"/"))
    if not isinstance(segments, list):
        return None
    if segments[-1] == "":
        segments.pop()
    is_revision = bool(segments) and segments[0].startswith("@")
    return None if "" in segments or is_revision else segments


def _of_index(index: IndexName, rest: list[str]) -> Target | None:
    match rest:
        case []:
            return Index(index)
        case ["+api"]:
            return Api(index)
        case ["+f", start, end, filename]:
            return _file(index, start, end, filename)
        case [simple, project, "refresh"] if simple in _SIMPLE and _is_project(project):
            return Refresh(index, normalize(project))
        case [project] if _is_project(project):
            return Project(index, normalize(project))
        case [project, version] if _is_project(project) and not version.startswith("+"):
            return Version(index, normalize(project), version)
        case _:
            return None


def _is_project(text: str) -> bool:
    return is_display_name(text) and is_project_name(normalize(text))


def _file(index: IndexName, start: str, end: str, name: str) -> File | Result | None:
    if not (_DIGEST[0].fullmatch(start) and _DIGEST[1].fullmatch(end)) or len(name.encode()) > 2 * MAX_FILENAME:
        return None
    result = _RESULT.fullmatch(name)
    filename = result["filename"] if result else name
    if not is_safe_filename(filename):
        return None
    file = File(index, start + end, filename)
    return Result(file, result["time"], int(result["number"])) if result else file
