"""Bytes to models: strict JSON and TOML, each problem with the place where it is.

Nothing here knows where the bytes come from.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from pydantic import ValidationError

from gitindex import layout
from gitindex.model import Definition, Manifest, Mirror, Model, ProjectStatements, Settings, Stage, User

if TYPE_CHECKING:
    from collections.abc import Sequence

KeyPath = tuple["str | int", ...]
M = TypeVar("M", bound=Model)


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


def read_settings(path: str, data: bytes) -> Settings | Unreadable:
    """Read `gitindex.toml`."""
    return _read_toml(path, data, Settings)


def read_user(path: str, data: bytes) -> User | Unreadable:
    """Read a `user.toml`."""
    return _read_toml(path, data, User)


def read_statements(path: str, data: bytes) -> ProjectStatements | Unreadable:
    """Read a `project.toml`."""
    return _read_toml(path, data, ProjectStatements)


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
            locate_toml(text, ("type",)),
        )
        return Unreadable(path, (problem,))
    model: type[Stage | Mirror] = Mirror if values.get("type") == "mirror" else Stage
    return _validate(path, text, values, model)


def read_manifest(path: str, data: bytes) -> Manifest | Unreadable:
    """Read a release manifest. Duplicate keys are refused, and anything after the object."""
    if len(data) > layout.MAX_DOCUMENT:
        return Unreadable(path, (_too_large(len(data)),))
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError:
        manifest = None
    if manifest is not None and _has_no_duplicate_key(manifest, data):
        return manifest
    try:
        text = _decode(data)
        values = _parse_json(text)
    except _BadDocumentError as error:
        return Unreadable(path, (error.problem,))
    return _validate(path, text, values, Manifest)


def too_large(path: str, size: int) -> Unreadable:
    """Return what a document over the limit reads as; it is never loaded."""
    return Unreadable(path, (_too_large(size),))


def _too_large(size: int) -> Problem:
    return Problem(f"the file has {size:,} bytes, and may have {layout.MAX_DOCUMENT:,}")


def _has_no_duplicate_key(manifest: Manifest, data: bytes) -> bool:
    """Prove, without a second parse, that no key of a valid manifest stood there twice.

    With no escape in the text, each colon is either a key's or part of a string. A key that was dropped for a later one
    would leave more colons in the text than the keys and strings that were kept can account for.
    """
    if b"\\" in data or data[:1] == b"\xef":
        return False
    colons = len(manifest.model_fields_set) + manifest.name.count(":") + manifest.version.count(":")
    for file in manifest.files:
        colons += len(file.model_fields_set) + 1 + (file.core_metadata is not None)
        for text in (
            file.filename,
            file.hashes.sha256,
            file.upload_time,
            file.requires_python,
            file.url,
            file.provenance,
        ):
            if text is not None:
                colons += text.count(":")
        if file.core_metadata is not None:
            colons += file.core_metadata.sha256.count(":")
    return data.count(b":") == colons


def _decode(data: bytes) -> str:
    if len(data) > layout.MAX_DOCUMENT:
        raise _BadDocumentError(_too_large(len(data)).message)
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
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
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


def _parse_toml(data: bytes) -> tuple[str, dict[str, Any]]:
    import tomllib  # noqa: PLC0415 - a change of releases alone needs no TOML but the index's

    text = _decode(data)
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        raise _BadDocumentError(f"not TOML: {message}", int(line[1]) if line else None) from None
    except RecursionError:
        raise _BadDocumentError("not TOML that can be read: nested too deeply") from None
    except ValueError as error:
        raise _BadDocumentError(f"not TOML that can be read: {str(error).partition(';')[0]}") from None


def _read_toml(path: str, data: bytes, model: type[M]) -> M | Unreadable:
    try:
        text, values = _parse_toml(data)
    except _BadDocumentError as error:
        return Unreadable(path, (error.problem,))
    return _validate(path, text, values, model)


def _validate(path: str, text: str, values: Any, model: type[M]) -> M | Unreadable:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        locate = locate_json if path.endswith(layout.MANIFEST_SUFFIX) else locate_toml
        details = error.errors(include_url=False, include_context=False)
        problems = []
        for detail in details:
            keys: KeyPath = detail["loc"]
            if any(other["loc"][: len(keys)] == keys and other["loc"] != keys for other in details):
                continue  # a list whose items are wrong is also too short: the items say it better
            problems.append(Problem(_wording(keys, detail["type"], detail["msg"]), keys, locate(text, keys)))
        return Unreadable(path, tuple(problems))


def _wording(keys: KeyPath, kind: str, message: str) -> str:
    name = dotted(keys)
    if kind == "extra_forbidden":
        return f"the key {name} is not known here"
    if kind == "missing":
        return f"the key {name} is missing"
    message = message.removeprefix("Value error, ").removeprefix("Input ").replace("Input should", "should")
    return f"{name}: {message}" if name else message


def dotted(keys: KeyPath) -> str:
    """Return a key path as people write it: ``files[0].hashes.sha256``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def locate_json(text: str, keys: KeyPath) -> int | None:
    """Return the 1-based line of a key path in a JSON text, or of the nearest thing above it that is there."""
    best, depth_found = None, -1
    stack: list[str | int] = []
    expect_key = False
    for match in _JSON_TOKEN.finditer(text):
        token = match[0]
        if token in "{[":
            stack.append(0 if token == "[" else "")
            expect_key = token == "{"
        elif token in "}]":
            if stack:
                stack.pop()
            expect_key = False
            continue
        elif token == ",":
            expect_key = bool(stack) and isinstance(stack[-1], str)
            if stack and isinstance(stack[-1], int):
                stack[-1] += 1
            continue
        elif token == ":":
            expect_key = False
            continue
        elif expect_key and token.startswith('"'):
            try:
                stack[-1] = json.loads(token, strict=False)
            except (ValueError, IndexError):
                return best
        here = stack if token not in "{[" else stack[:-1]
        depth = len(here)
        if depth > depth_found and tuple(here) == keys[:depth]:
            best, depth_found = text.count("\n", 0, match.start()) + 1, depth
            if depth == len(keys):
                return best
    return best


_TOML_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_TOML_KEY = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*(?:=|\.)""")


def locate_toml(text: str, keys: KeyPath) -> int | None:
    """Return the 1-based line of a key path in a TOML text, or of the table that it would stand in."""
    wanted = [str(key) for key in keys if isinstance(key, str)]
    table: list[str] = []
    fallback = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TOML_HEADER.match(line):
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            if table == wanted:
                return number
            if table == wanted[:-1]:
                fallback = number
        elif key := _TOML_KEY.match(line):
            path = [*table, key[1].strip("\"'")]
            if path == wanted[: len(path)]:
                return number
    return fallback
