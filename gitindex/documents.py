"""Bytes to models: strict JSON and TOML, each problem with the place where it is.

Nothing here knows where the bytes come from.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from gitindex import layout
from gitindex.fitting import fitted
from gitindex.model import SCHEMAS, Definition, Manifest, Mirror, ProjectStatements, Settings, Stage, TestResults, User

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import TypeAdapter

KeyPath = tuple["str | int", ...]
M = TypeVar("M")

_MAX_PROBLEMS = 20
"""Of one document: a hostile one can have one for every other byte, and nobody reads them."""


class Problem(NamedTuple):
    """Why a document could not be read."""

    message: str
    keys: KeyPath = ()
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that is there and cannot be read: never to be taken for one that is absent."""

    path: str
    problems: tuple[Problem, ...]


class _BadDocumentError(Exception):
    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(message, (), line)


@lru_cache(maxsize=4)  # base and head of a change mostly have the same
def read_settings(path: str, data: bytes) -> Settings | Unreadable:
    """Read `gitindex.toml`."""
    return _read_toml(path, data, Settings)


def read_user(path: str, data: bytes) -> User | Unreadable:
    """Read a `user.toml`."""
    return _read_toml(path, data, User)


def read_statements(path: str, data: bytes) -> ProjectStatements | Unreadable:
    """Read a `project.toml`."""
    return _read_toml(path, data, ProjectStatements)


@lru_cache(maxsize=4)
def read_definition(path: str, data: bytes) -> Definition | Unreadable:
    """Read an `index.toml`: a stage, or a mirror where it says so."""
    try:
        text, values = _parse_toml(data)
    except _BadDocumentError as error:
        return Unreadable(path, (error.problem,))
    if values.get("type", "stage") not in ("stage", "mirror"):
        problem = Problem(
            f"type is {values['type']!r}, and must be 'stage' or 'mirror'",
            ("type",),
            lines_of(path, text).of(("type",)),
        )
        return Unreadable(path, (problem,))
    model: type[Stage | Mirror] = Mirror if values.get("type") == "mirror" else Stage
    return _validate(path, text, values, model)


def read_manifest(path: str, data: bytes) -> Manifest | Unreadable:
    """Read a release manifest. Duplicate keys are refused, and anything after the object."""
    return read_json(path, data, Manifest)


def read_results(path: str, data: bytes) -> TestResults | Unreadable:
    """Read what came of testing a release."""
    return read_json(path, data, TestResults)


def read_json(path: str, data: bytes, model: type[M]) -> M | Unreadable:
    """Read a JSON document of another kind, as strictly as a manifest; *path* ends in `.json`."""
    try:
        text = _decode(data)
        values = _parse_json(text)
    except _BadDocumentError as error:
        return Unreadable(path, (error.problem,))
    return _validate(path, text, values, model)


def json_values(data: bytes) -> Any:
    """Return what a JSON document holds, read as strictly as a manifest is; ``None`` where it cannot be read."""
    try:
        return _parse_json(_decode(data))
    except _BadDocumentError:
        return None


def toml_values(data: bytes, most: int) -> dict[str, Any] | Problem:
    """Return what a TOML document of somebody else's holds, read as warily as ours; it may have *most* bytes."""
    try:
        return _parse_toml(data, most)[1]
    except _BadDocumentError as error:
        return error.problem


def too_large(path: str, size: int) -> Unreadable:
    """Return what a document over the limit reads as; it is never loaded."""
    return Unreadable(path, (_too_large(size),))


def _too_large(size: int, most: int = layout.MAX_DOCUMENT) -> Problem:
    return Problem(f"the file has {size:,} bytes, and may have {most:,}")


def _decode(data: bytes, most: int = layout.MAX_DOCUMENT) -> str:
    if len(data) > most:
        raise _BadDocumentError(_too_large(len(data), most).message)
    if data.startswith(b"\xef\xbb\xbf"):
        raise _BadDocumentError("the file starts with a byte order mark, and must be plain UTF-8", 1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _BadDocumentError(f"byte {data[error.start]:#04x} is not UTF-8", line) from None


def _parse_json(text: str) -> Any:
    def no_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = next(key for key in counts if counts[key] > 1)
            lines = [
                text.count("\n", 0, m.start()) + 1 for m in re.finditer(re.escape(json.dumps(twice)) + r"\s*:", text)
            ]
            raise _BadDocumentError(
                f"the key {twice!r} stands twice in one object", lines[1] if len(lines) > 1 else None
            )
        return values

    def no_constant(name: str) -> NoReturn:
        raise _BadDocumentError(f"{name} is not JSON")

    try:
        return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise _BadDocumentError(f"not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise _BadDocumentError("not JSON that can be read: nested too deeply") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise _BadDocumentError(f"not JSON that can be read: {str(error).partition(';')[0]}") from None


_KEY_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![\w\\-])(?:{_KEY_PART}){{50}}", re.ASCII)
"""More dotted parts than any key has; tomllib takes time that grows with their square."""


def _parse_toml(data: bytes, most: int = layout.MAX_DOCUMENT) -> tuple[str, dict[str, Any]]:
    import tomllib  # noqa: PLC0415 - a change of releases alone needs no TOML but the index's

    text = _decode(data, most)
    if _LONG_KEY.search(text):
        raise _BadDocumentError("not TOML that can be read: a dotted key has more than 50 parts")
    try:
        values = tomllib.loads(text)
        repr(values)  # a hexadecimal number of too many digits cannot be printed, and fails here as a decimal one does
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        raise _BadDocumentError(f"not TOML: {message}", int(line[1]) if line else None) from None
    except RecursionError:
        raise _BadDocumentError("not TOML that can be read: nested too deeply") from None
    except ValueError as error:
        raise _BadDocumentError(f"not TOML that can be read: {str(error).partition(';')[0]}") from None
    return text, values


def _read_toml(path: str, data: bytes, model: type[M]) -> M | Unreadable:
    try:
        text, values = _parse_toml(data)
    except _BadDocumentError as error:
        return Unreadable(path, (error.problem,))
    return _validate(path, text, values, model)


def _validate(path: str, text: str, values: Any, model: type[M]) -> M | Unreadable:
    value: M | None = fitted(model, values)
    if value is not None:
        return value
    from pydantic import ValidationError  # noqa: PLC0415 - it takes longer to import than most commands to run

    try:
        checked: M = adapter(model).validate_python(values)  # type: ignore[arg-type] # a type can be hashed
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        places = {detail["loc"] for detail in details}
        # A list whose items are wrong is also too short: the items say it better.
        vague = {place[:depth] for place in places for depth in range(len(place))}
        details = [detail for detail in details if detail["loc"] not in vague]
        lines = lines_of(path, text)
        problems = [
            Problem(_wording(detail["loc"], detail["type"], detail["msg"]), detail["loc"], lines.of(detail["loc"]))
            for detail in details[:_MAX_PROBLEMS]
        ]
        if len(details) > _MAX_PROBLEMS:
            problems.append(Problem(f"and {len(details) - _MAX_PROBLEMS:,} more problems of this kind"))
        return Unreadable(path, tuple(problems))
    return checked


@cache
def adapter(model: Any) -> TypeAdapter[Any]:
    """Return pydantic's view of a model: it validates values, and makes the schema."""
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(model)


def json_schema(model: Any) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of *model*, keys as they stand in the files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **adapter(model).json_schema()}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return all JSON Schemas by their file name in `schemas/` (without `.schema.json`).

    There is one of `index.toml` too, for who goes by the names of files alone and cannot tell a stage from a mirror.
    """
    found = {name: json_schema(model) for name, model in SCHEMAS.items()}
    either = [{key: value for key, value in found[name].items() if key != "$schema"} for name in ("stage", "mirror")]
    return {**found, "index": {"$schema": found["stage"]["$schema"], "title": "Index", "oneOf": either}}


def _wording(keys: KeyPath, kind: str, message: str) -> str:
    name = dotted(keys)
    if kind == "unexpected_keyword_argument":
        return f"the key {name} is not known here"
    if kind == "missing":
        return f"the key {name} is missing"
    if kind == "date_type":
        return f"{name}: should be a date, such as 2027-03-31, without quotes"
    message = message.replace("a dictionary or an instance of", "a valid dictionary or instance of")
    message = message.removeprefix("Value error, ").removeprefix("Input ").replace("Input should", "should")
    return f"{name}: {message}" if name else message


def dotted(keys: KeyPath) -> str:
    """Return a key path as people write it: ``files[0].hashes.sha256``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


class Lines:
    """Where the keys of a document stand."""

    def __init__(self, found: Mapping[KeyPath, int]) -> None:
        self._found = found

    def of(self, keys: KeyPath) -> int | None:
        """Return the 1-based line of a key path, or of the nearest thing above it that is there."""
        above = (keys[:depth] for depth in range(len(keys), -1, -1))
        return next((self._found[path] for path in above if path in self._found), None)


def lines_of(path: str, text: str) -> Lines:
    """Return where the keys of a document stand; *path* says whether it is JSON or TOML."""
    return Lines(_json_lines(text) if path.endswith(layout.MANIFEST_SUFFIX) else _toml_lines(text))


_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_DEEPEST = 4
"""Keys of the longest path in a manifest: ``files[0].hashes.sha256``."""


def _json_lines(text: str) -> dict[KeyPath, int]:
    found: dict[KeyPath, int] = {}
    stack: list[str | int] = []
    expect_key = False
    line, counted = 1, 0
    for match in _JSON_TOKEN.finditer(text):
        token = match[0]
        if token == ",":
            expect_key = bool(stack) and isinstance(stack[-1], str)
            if stack and isinstance(stack[-1], int):
                stack[-1] += 1
            continue
        if token in "}]":
            del stack[-1:]
        if token in "}]:":
            expect_key = False
            continue
        if expect_key and token.startswith('"'):
            stack[-1] = str(json.loads(token, strict=False))
        if len(stack) <= _DEEPEST:
            line, counted = line + text.count("\n", counted, match.start()), match.start()
            found.setdefault(tuple(stack), line)
        if token in "{[":
            stack.append(0 if token == "[" else "")
            expect_key = token == "{"
    return found


_TOML_HEADER = re.compile(r"\s*\[\[?([^\[\]]+)\]")
_TOML_KEY = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*(?:=|\.)""")


def _toml_lines(text: str) -> dict[KeyPath, int]:
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    items: Counter[KeyPath] = Counter()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _TOML_HEADER.match(line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            found.setdefault(table, number)
            if line.lstrip().startswith("[["):
                items[table] += 1
                table = (*table, items[table] - 1)
                found[table] = number
        elif key := _TOML_KEY.match(line):
            found.setdefault((*table, key[1].strip("\"'")), number)
    return found
