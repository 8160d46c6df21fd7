"""What a change destroys, by a plain reading of the promise. It imports nothing of gitindex.

The promise: every fact of every file of every release of every non-volatile index of the base is still there in the
head, and every stored byte that they name (while the base keeps its files in the repository); what was non-volatile
stays so, and inherits from nothing volatile.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.trees import Files, Node

_PLAIN = (0o100644, 0o100755)
_MAX = 1024 * 1024
_POINTER = re.compile(rb"version https://git-lfs\.[a-z.]+/spec/v1\noid sha256:([0-9a-f]{64})\nsize ([0-9]+)\n")


class Fact(NamedTuple):
    """Something that is promised: where, of what, and what it is."""

    place: str
    what: str
    value: str


class _TwiceError(ValueError):
    """A key stands twice in one object: nobody can tell what it says."""


def lost(base: Files, head: Files) -> list[Fact]:
    """Return what the base promises and the head does not keep, and the bases that are newly volatile, sorted."""
    gone = promises(base) - promises(head)
    if is_embedded(base):
        needed = _bytes_needed(base)
        gone |= {fact for fact in needed if fact not in _bytes_at(head, {fact.place for fact in needed})}
    return sorted(gone | (_volatile_bases(head) - _volatile_bases(base)))


def promises(files: Files) -> set[Fact]:
    """Return every non-volatile index, and every fact of its releases."""
    return {fact for index in _frozen(files) for fact in _facts_of_index(files, index)}


def _facts_of_index(files: Files, index: str) -> Iterator[Fact]:
    yield Fact(index, "non-volatile", "true")
    for path, manifest in manifests(files, index):
        for key, value in manifest.items():
            if key != "files":
                yield Fact(path, key, json.dumps(value))
        for filename, file in _files_of(manifest):
            stated = {key: value for key, value in file.items() if value is not None}
            yield Fact(path, f"{filename}: its facts", " ".join(sorted(stated)))  # one more is another file
            for key, value in stated.items():
                yield Fact(path, f"{filename}: {key}", json.dumps(value, sort_keys=True))
    for path, runs in results(files, index):
        told = [json.dumps({"log": None, **run}, sort_keys=True) for run in runs]
        for place, run in enumerate(told):
            yield Fact(path, f"result {told[:place].count(run)} of its kind", run)  # two equal ones are two


def _frozen(files: Files) -> list[str]:
    """Return the non-volatile stages: a mirror has nothing that it could promise."""
    return [name for name, values in definitions(files).items() if is_stage(values) and not is_volatile(values)]


def is_stage(definition: Mapping[str, Any]) -> bool:
    return bool(definition.get("type", "stage") == "stage")


def is_volatile(definition: Mapping[str, Any]) -> bool:
    """Tell whether releases may be replaced: where it is not said, they may; in a mirror there are none."""
    return is_stage(definition) and definition.get("volatile", True) is True


def definitions(files: Files) -> dict[str, dict[str, Any]]:
    """Return the stages that are defined, and the mirrors, by their names."""
    found = {}
    for path, node in files.items():
        parts = path.split(b"/")
        if len(parts) == 4 and parts[0] == b"indexes" and parts[3] == b"index.toml":
            values = _toml(node)
            if values is not None:
                found[_text(b"/".join(parts[1:3]))] = values
    return {name: values for name, values in found.items() if values.get("type", "stage") in ("stage", "mirror")}


def manifests(files: Files, index: str) -> Iterator[tuple[str, dict[str, Any]]]:
    prefix = f"indexes/{index}/".encode()
    if not is_stage(definitions(files)[index]):
        return
    for path, node in files.items():
        below = path.removeprefix(prefix)
        if path.startswith(prefix) and below.count(b"/") == 1 and below.endswith(b".json"):
            manifest = _json(node)
            if manifest is not None:
                yield _text(path), manifest


def results(files: Files, index: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield what came of testing the releases of an index, by the paths of the lists."""
    prefix = f"indexes/{index}/".encode()
    for path, node in files.items():
        if path.startswith(prefix) and path.removeprefix(prefix).count(b"/") == 1 and path.endswith(b".tests.json"):
            runs = _parsed(node)
            if isinstance(runs, list) and all(isinstance(run, dict) for run in runs):
                yield _text(path), runs


def _files_of(manifest: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    listed = manifest.get("files")
    for file in listed if isinstance(listed, list) else ():
        if isinstance(file, dict):
            yield str(file.get("filename")), file


def is_embedded(files: Files) -> bool:
    values = _toml(files.get(b"gitindex.toml", Node(0, b""))) or {}
    storage = values.get("storage", {})
    return not isinstance(storage, dict) or storage.get("url", "files/") == "files/"


def _bytes_needed(files: Files) -> set[Fact]:
    places = {place for index in _frozen(files) for place in stored_by(files, index)}
    return _bytes_at(files, places)


def stored_by(files: Files, index: str) -> Iterator[str]:
    for _, manifest in manifests(files, index):
        for filename, file in _files_of(manifest):
            hashes = file.get("hashes")
            if file.get("url") is not None or not isinstance(hashes, dict):
                continue
            sha256 = str(hashes.get("sha256"))
            place = f"files/{sha256[:2]}/{sha256[2:]}/{filename}"
            yield place
            if file.get("core-metadata") is not None:
                yield f"{place}.metadata"
            if file.get("provenance") is not None:
                yield f"{place}.provenance"


def _bytes_at(files: Files, places: set[str]) -> set[Fact]:
    found = set()
    for place in places:
        node = files.get(place.encode("utf-8", "surrogateescape"))
        if node is not None and node.mode in _PLAIN:
            found.add(Fact(place, "bytes", _digest(node.data)))
    return found


def _digest(data: bytes) -> str:
    """Return sha256 and size of a stored file; a Git LFS pointer stands for the content that it names."""
    if pointer := _POINTER.fullmatch(data):
        return f"{pointer[1].decode()} {int(pointer[2])}"
    return f"{hashlib.sha256(data).hexdigest()} {len(data)}"


def _volatile_bases(files: Files) -> set[Fact]:
    found = set()
    known = definitions(files)
    for index in _frozen(files):
        listed = known[index].get("bases", [])
        for base in listed if isinstance(listed, list) else ():
            if isinstance(base, str) and base in known and is_volatile(known[base]):
                found.add(Fact(index, "has a volatile base", base))
    return found


def _toml(node: Node) -> dict[str, Any] | None:
    try:
        return tomllib.loads(node.data.decode()) if node.mode in _PLAIN and len(node.data) <= _MAX else None
    except (ValueError, RecursionError):
        return None


def _json(node: Node) -> dict[str, Any] | None:
    found = _parsed(node)
    return found if isinstance(found, dict) else None


def _parsed(node: Node) -> Any:
    if node.mode not in _PLAIN or len(node.data) > _MAX:
        return None
    try:
        return json.loads(node.data.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _TwiceError
    return dict(pairs)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
