"""What a project locked, or requires, of other indexes: pylock.toml (PEP 751), uv.lock and requirements files.

Nothing here knows mirrors, or which names are ours. Files come from whoever wrote them: what makes no sense stops the
reading, and what is in no index (a folder, a repository, a single URL) is told, and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from gitindex.documents import Problem, toml_values
from gitindex.errors import GitindexError
from gitindex.names import ProjectName, is_display_name, is_project_name, normalize, parse_version

LARGEST = 64 << 20
"""Bytes of a lock file, or of a requirements file with all that it includes."""
_DEEPEST = 20
"""Requirements files that lead to one another."""
_MOST_FILES = 1000
_UV_VERSION = 1
_WANTED = "name a pylock.toml, a uv.lock or a requirements file"
_ELSEWHERE = {
    "git": "is taken from a Git repository",
    "url": "is taken from a URL of its own",
    "path": "is taken from a file",
    "directory": "is taken from a folder",
    "editable": "is taken from a folder, editable",
    "virtual": "is a project of the workspace",
}
"""The sources of uv.lock that are no index."""
_INDEX_OPTIONS = ("-i", "--index-url", "--pypi-url", "--extra-index-url", "-f", "--find-links")
_OPTIONS = (
    *("-c", "--constraint", "--no-index", "--no-binary", "--only-binary", "--prefer-binary", "--require-hashes"),
    *("--pre", "--trusted-host", "--use-feature", "--process-dependency-links", "--all-releases", "--only-final"),
    "--uploaded-prior-to",
)
"""What a requirements file may say beside requirements (pip, "Requirements File Format")."""
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$")
_OPTION = re.compile(r"(?P<name>-[a-zA-Z]|--[a-z][a-z-]*)(?:\s*=\s*|\s+|(?<=^-[a-zA-Z])|$)(?P<value>.*)")
_OF_REQUIREMENT = re.compile(r"\s--(?:hash|config-settings|config-setting|global-option)(?:=|\s)|\s-C\s?")
_IS_PLACE = re.compile(r"\.|[^\s;=<>!~@]*[/\\]|\S+\.(?:whl|zip|tar\.gz|tar\.bz2|tgz)(?:$|[\s\[;])")

Read = Callable[[str], bytes]
"""Reads a file that another one includes, by its path in the folder of the first; raises :class:`OSError`."""


class BadLockError(GitindexError):
    """A lock file that cannot be read, or makes no sense (exit code 1)."""

    exit_code = 1


class Locked(NamedTuple):
    """What a lock has of one project."""

    project: ProjectName
    specifier: str = ""
    """Which versions: ``==1.4.0`` where one is locked; empty for any."""
    registry: str | None = None
    """The index that it was found in, where the lock says so."""

    @property
    def entry(self) -> str:
        """The requirement as `allow` takes it."""
        return f"{self.project}{self.specifier}"


class LeftOut(NamedTuple):
    """What is in a lock and not to be had of an index."""

    what: str
    why: str


class Contents(NamedTuple):
    """What a lock file has."""

    locked: tuple[Locked, ...]
    left_out: tuple[LeftOut, ...]


def read_lock(path: str, data: bytes, read: Read) -> Contents:
    """Return what a file has, whichever of the three kinds it is; *read* gives the files that it includes.

    Raises:
        BadLockError: it is of none of these kinds, or makes no sense; the message names the file and the place.

    """
    name = PurePosixPath(path).name
    if not name.endswith((".toml", ".lock")):
        return _requirements(path, data, read)
    values = toml_values(data, LARGEST)
    if isinstance(values, Problem):
        place = path if values.line is None else f"{path}:{values.line}"
        raise BadLockError(f"{place}: {values.message}", help=_WANTED)
    if "lock-version" in values:
        return _pylock(path, values)
    if isinstance(values.get("version"), int) and ("package" in values or name == "uv.lock"):
        return _uv(path, values)
    raise BadLockError(f"{path}: is neither a pylock.toml nor a uv.lock", help=_other(name))


def _other(name: str) -> str:
    match name:
        case "poetry.lock":
            return "write one that is: poetry export --output requirements.txt"
        case "pdm.lock":
            return "write one that is: pdm export --format pylock --output pylock.toml"
        case "pyproject.toml":
            return "lock it first: uv lock"
    return _WANTED


def _exact(version: object) -> str:
    return f"=={version}"


# pylock.toml


def _pylock(path: str, values: Mapping[str, Any]) -> Contents:
    from packaging.pylock import Pylock, PylockValidationError  # noqa: PLC0415 - late: few commands need it

    try:
        packages = Pylock.from_dict(values).packages
    except PylockValidationError as error:
        raise BadLockError(f"{path}: {_line(error)}", help="see PEP 751; lock it again") from None
    locked, left_out = [], []
    for package in packages:
        project = _project(path, package.name)
        if package.vcs or package.directory or package.archive:
            kind = "a repository" if package.vcs else "a folder" if package.directory else "a URL of its own"
            left_out.append(LeftOut(project, f"is taken from {kind}"))
        else:
            specifier = "" if package.version is None else _exact(package.version)
            locked.append(Locked(project, specifier, package.index))
    return Contents(tuple(locked), tuple(left_out))


# uv.lock


def _uv(path: str, values: Mapping[str, Any]) -> Contents:
    version, packages = values["version"], values.get("package", [])
    if version != _UV_VERSION:
        raise BadLockError(f"{path}: is a uv.lock of version {version}; {_UV_VERSION} is known", help=_WANTED)
    if not isinstance(packages, list):
        raise BadLockError(f"{path}: package is no list of tables", help="lock it again: uv lock")
    locked, left_out = [], []
    for number, package in enumerate(packages):
        place = f"package[{number}]"
        if not isinstance(package, dict):
            raise _bad_uv(path, place, "is no table")
        name, source = package.get("name"), package.get("source")
        if not isinstance(name, str) or not is_display_name(name):
            raise _bad_uv(path, f"{place}.name", f"is {_quoted(name)}, and must be the name of a project")
        if not isinstance(source, dict) or len(source.keys() & {"registry", *_ELSEWHERE}) != 1:
            raise _bad_uv(path, f"{place}.source", f"of {name} does not say where it is taken from")
        project = _project(path, name)
        if "registry" in source:
            locked.append(_of_registry(path, place, project, package, source["registry"]))
        else:
            left_out.append(LeftOut(project, next(why for kind, why in _ELSEWHERE.items() if kind in source)))
    return Contents(tuple(locked), tuple(left_out))


def _of_registry(path: str, place: str, project: ProjectName, package: Mapping[str, Any], registry: object) -> Locked:
    version = package.get("version")
    parsed = parse_version(version) if isinstance(version, str) else None
    if parsed is None:
        raise _bad_uv(path, f"{place}.version", f"of {project} is {_quoted(version)}, and must be a version")
    if not isinstance(registry, str):
        raise _bad_uv(path, f"{place}.source.registry", f"of {project} is {_quoted(registry)}, and must be a URL")
    return Locked(project, _exact(parsed), registry)


def _bad_uv(path: str, place: str, problem: str) -> BadLockError:
    return BadLockError(f"{path}: {place} {problem}", help="lock it again: uv lock")


# Requirements files


def _requirements(path: str, data: bytes, read: Read) -> Contents:
    """Read a requirements file as pip's documentation describes it; options that concern no name are passed over."""
    folder, _, name = path.rpartition("/")
    reader = _Requirements(f"{folder}/" if folder or path.startswith("/") else "", read)
    reader.file(name, data, ())
    return Contents(tuple(reader.locked), tuple(reader.left_out))


class _Requirements:
    """Reads a requirements file with those that it includes, which are in its folder or below it."""

    def __init__(self, folder: str, read: Read) -> None:
        self.locked: list[Locked] = []
        self.left_out: list[LeftOut] = []
        self._folder = folder
        self._read = read
        self._files = 0
        self._bytes = 0

    def file(self, inside: str, data: bytes, above: tuple[str, ...]) -> None:
        """Read the file that is at *inside* in the folder; those *above* have led to it."""
        path = self._folder + inside
        self._bytes += len(data)
        if self._bytes > LARGEST:
            what = "has" if not above else "and what was read before it have"
            raise BadLockError(f"{path}: {what} {self._bytes:,} bytes, and may have {LARGEST:,}", help=_WANTED)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BadLockError(f"{path}: is not UTF-8", help=_WANTED) from None
        self._files += 1
        if self._files > _MOST_FILES or len(above) > _DEEPEST:
            raise BadLockError(f"{path}: too many files include one another", help=_WANTED)
        for number, line in _lines(text):
            if line.startswith("-"):
                self._option(f"{path}:{number}", line, (*above, inside))
            else:
                self._requirement(f"{path}:{number}", line)

    def _option(self, place: str, line: str, files: tuple[str, ...]) -> None:
        option = _OPTION.fullmatch(line)
        name, value = (option["name"], option["value"].strip()) if option else (line, "")
        if name in {"-r", "--requirement"}:
            self._include(place, value.strip("\"'"), files)
        elif name in {"-e", "--editable"}:
            self.left_out.append(LeftOut(without_login(value), "is editable"))
        elif name in _INDEX_OPTIONS:
            why = "names another place, and nothing says what comes from there: look at what is locked"
            self.left_out.append(LeftOut(without_login(f"{name} {value}"), why))
        elif name not in _OPTIONS:
            problem = f"{_quoted(name)} is no option of a requirements file"
            raise BadLockError(f"{place}: {problem}", help="see pip's documentation of the format")

    def _include(self, place: str, value: str, files: tuple[str, ...]) -> None:
        inside = _inside(files[-1], value)
        if inside is None:
            problem = f"includes {_quoted(value)}, which is not in the folder of the file that is given"
        elif inside in files:
            problem = f"includes {_quoted(value)}, which includes it"
        else:
            try:
                data = self._read(inside)
            except OSError as error:
                problem = f"includes {_quoted(value)}, which cannot be read ({error.strerror or error})"
            else:
                self.file(inside, data, files)
                return
        raise BadLockError(f"{place}: {problem}", help="give each file with --from, or move it there")

    def _requirement(self, place: str, line: str) -> None:
        from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

        text = _OF_REQUIREMENT.split(line, maxsplit=1)[0].strip()
        if _IS_PLACE.match(text):
            self.left_out.append(LeftOut(without_login(text), "is a file or a URL, and no name"))
            return
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise BadLockError(f"{place}: {_line(error)}", help="write it as name==version") from None
        project = _project(place, requirement.name)
        if requirement.url:
            self.left_out.append(LeftOut(project, _ELSEWHERE["url"]))
        else:
            self.locked.append(Locked(project, ",".join(sorted(map(str, requirement.specifier)))))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, those joined that a backslash continues, each with its first one's number."""
    held, start = "", 0
    for number, raw in enumerate((*text.splitlines(), ""), 1):
        start = start or number
        is_comment = raw.lstrip().startswith("#")  # it ends a line that is continued, as pip has it
        if raw.endswith("\\") and not is_comment:
            held += raw[:-1]
            continue
        if said := _COMMENT.sub("", f"{held} {raw}" if is_comment else held + raw).strip():
            yield start, said
        held, start = "", 0


def _inside(file: str, target: str) -> str | None:
    """Return the path of what *file* includes, ``None`` where it is not in the folder that paths start in."""
    if not target or "://" in target or target.startswith(("/", "~")) or "\0" in target:
        return None
    parts = list(PurePosixPath(file).parent.parts)
    for part in PurePosixPath(target).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return None
    return "/".join(parts) or None


def _project(path: str, name: str) -> ProjectName:
    project = normalize(name)
    if not is_display_name(name) or not is_project_name(project):
        raise BadLockError(f"{path}: {_quoted(name)} is no name of a project", help="lock it again")
    return project


def without_login(text: str) -> str:
    """Return a URL without the name and the password in it."""
    return re.sub(r"://[^/@\s]*@", "://…@", text)


def _quoted(value: object) -> str:
    return repr(value if len(str(value)) < 80 else f"{str(value)[:80]}…")  # noqa: PLR2004


def _line(error: Exception) -> str:
    """Return the first line of what another library says."""
    return str(error).partition("\n")[0].strip().rstrip(":") or type(error).__name__
