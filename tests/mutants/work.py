"""What an edit works on: the files of a branch, with what is published beside them, and ways to choose and to write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, TypeVar

import tomlkit

from tests.builders import make_sdist, make_wheel, metadata
from tests.mutants import oracle
from tests.trees import PLAIN, Files, Node

T = TypeVar("T")
Edit = Callable[["Work"], "Iterator[None] | None"]
"""Changes the files; one that yields does it in steps, with a commit between them."""


class NothingToDoError(Exception):
    """There is nothing (any more) that this edit could be made to."""


class Work:
    """The files of a branch, and chance."""

    def __init__(self, files: Files, published: Files, random: Random, known: dict[str, bytes]) -> None:
        self.files = files
        self.published = published
        """What the branch was made from."""
        self.random = random
        self.known = known
        """Contents of stored files by their sha256: of those that only a Git LFS pointer stands for, too."""

    def pick(self, candidates: Iterable[T]) -> T:
        """Choose one of them.

        Raises:
            NothingToDoError: there is none.

        """
        found = list(candidates)
        if not found:
            raise NothingToDoError
        return self.random.choice(found)

    # Places

    def stages(self, *, volatile: bool) -> list[str]:
        """Return the stages that can be read and take any sound release, sorted."""
        return sorted(
            name
            for name, values in oracle.definitions(self.files).items()
            if oracle.is_stage(values) and oracle.is_volatile(values) is volatile and not values.get("require_tests")
        )

    def manifests(self, *, volatile: bool = False, index: str = "") -> list[str]:
        """Return the paths of the manifests that can be read, and have files, sorted."""
        return sorted(
            path
            for name in ([index] if index else self.stages(volatile=volatile))
            for path, manifest in oracle.manifests(self.files, name)
            if isinstance(manifest.get("files"), list) and manifest["files"]
        )

    def manifest(self) -> str:
        """Choose a manifest of a non-volatile index."""
        return self.pick(self.manifests())

    def project(self) -> str:
        """Choose the folder of a project of a non-volatile index."""
        return self.pick(sorted({path.rpartition("/")[0] for path in self.manifests()}))

    def frozen(self) -> str:
        """Choose the folder of a non-volatile index that has releases."""
        return f"indexes/{self.pick(sorted({index_of(path) for path in self.manifests()}))}"

    def results(self) -> tuple[str, list[dict[str, Any]]]:
        """Choose what came of testing a release of a non-volatile index, with its path."""
        frozen = [name for name, values in oracle.definitions(self.files).items() if not oracle.is_volatile(values)]
        return self.pick(sorted((found for name in frozen for found in oracle.results(self.files, name)), key=str))

    def stored(self, suffix: str = "") -> str:
        """Choose a stored file that a non-volatile release needs: a distribution, or what lies beside one."""
        needed = {place for index in self.stages(volatile=False) for place in oracle.stored_by(self.files, index)}
        sidecars = (".metadata", ".provenance")
        return self.pick(
            sorted(
                place
                for place in needed
                if place.encode() in self.files and (place.endswith(suffix) if suffix else not place.endswith(sidecars))
            )
        )

    @property
    def is_embedded(self) -> bool:
        """Whether the files are kept in the repository."""
        return oracle.is_embedded(self.files)

    @property
    def has_store(self) -> bool:
        """Whether there are files in it."""
        return self.is_embedded and any(path.startswith(b"files/") for path in self.files)

    # Reading and writing

    def read(self, path: str) -> bytes:
        """Return the content of a file; a file that is not there leaves nothing to do."""
        node = self.files.get(path.encode())
        if node is None or node.mode == 0o160000:
            raise NothingToDoError
        return node.data

    def write(self, path: str, data: bytes | str, mode: int = PLAIN) -> None:
        """Put a file, in place of what is there."""
        self.files.put(path.encode(), Node(mode, data.encode() if isinstance(data, str) else data))

    def replace(self, path: str, old: str | bytes, new: str | bytes) -> None:
        """Replace a part of a file; where it is not in it, there is nothing to do."""
        one, other = (part.encode() if isinstance(part, str) else part for part in (old, new))
        data = self.read(path)
        if one not in data:
            raise NothingToDoError
        self.write(path, data.replace(one, other, 1))

    def remove(self, path: str) -> Files:
        """Remove a file or a folder that is there, and return what it was."""
        found = self.files.remove(path.encode())
        if not found:
            raise NothingToDoError
        return found

    def restore(self, path: str, found: Files) -> None:
        """Put what was removed."""
        for below, node in found.items():
            self.files.put(path.encode() + below, node)

    def move(self, path: str, to: str) -> None:
        """Move a file or a folder."""
        self.restore(to, self.remove(path))

    def json(self, path: str) -> dict[str, Any]:
        """Read a manifest."""
        found: dict[str, Any] = json.loads(self.read(path))
        return found

    def write_json(self, path: str, manifest: dict[str, Any] | list[dict[str, Any]]) -> None:
        """Write a manifest (or results of tests) as gitindex does."""
        self.write(path, json.dumps(manifest, indent=2) + "\n")

    def toml(self, path: str) -> tomlkit.TOMLDocument:
        """Read a document for editing."""
        try:
            return tomlkit.parse(self.read(path))
        except ValueError:
            raise NothingToDoError from None

    def set(self, path: str, key: str, value: Any) -> None:
        """Set a key of a document (``table.key``: in a table); ``None`` removes it."""
        document = self.toml(path)
        *tables, last = key.split(".")
        inner: Any = document
        for table in tables:
            inner = inner.setdefault(table, tomlkit.table())
        if value is not None:
            inner[last] = value
        elif inner.pop(last, None) is None:
            raise NothingToDoError
        self.write(path, tomlkit.dumps(document))

    # Things that are new

    def number(self) -> int:
        """Return a number that was not there before."""
        return self.random.randrange(10**9)

    def word(self) -> str:
        """Return a name that was not there before."""
        return "".join(self.random.choices("bcdfghjklmnpqrstvwxz", k=9))

    def digest(self) -> str:
        """Return a sha256 of nothing that is here."""
        return self.random.randbytes(32).hex()

    def distribution(self, name: str, version: str, kind: str = "wheel") -> dict[str, Any]:
        """Make a sound wheel or sdist of new bytes, store it where files are stored, and return its manifest entry."""
        make = make_wheel if kind == "wheel" else make_sdist
        module = f"{name.replace('-', '_')}.py"
        filename, data = make(name, version, files={"pyproject.toml": b"", module: b"# %d\n" % self.number()})
        sha256 = hashlib.sha256(data).hexdigest()
        entry: dict[str, Any] = {"filename": filename, "hashes": {"sha256": sha256}, "size": len(data)}
        entry["upload-time"] = "2026-11-22T07:25:00Z"
        core = metadata(name, version)
        if kind == "wheel":
            entry["core-metadata"] = {"sha256": hashlib.sha256(core).hexdigest()}
        self.known[sha256] = data
        if self.is_embedded:
            self.write(stored_path(sha256, filename), data)
            if kind == "wheel":
                self.write(stored_path(sha256, filename) + ".metadata", core)
        return entry

    def release(self, index: str, name: str, version: str, kind: str = "wheel") -> str:
        """Release a new file, and return the path of its manifest."""
        path = f"indexes/{index}/{name}/{version}.json"
        entry = self.distribution(name, version, kind)
        self.write_json(path, {"name": name, "version": version, "files": [entry]})
        return path


def index_of(path: str) -> str:
    """Return the index (`user/name`) of a path."""
    return "/".join(path.split("/")[1:3])


def stored_path(sha256: str, filename: str) -> str:
    """Return where a stored file lies."""
    return f"files/{sha256[:2]}/{sha256[2:]}/{filename}"
