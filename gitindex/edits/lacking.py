"""What a manifest lacks, taken from the stored files that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gitindex import layout
from gitindex.errors import DistributionError
from gitindex.names import is_sha256, is_specifier_set, parse_filename
from gitindex.rules.stored import is_embedded
from gitindex.stored import read_digest
from gitindex.tree import EMPTY, Folder, find

if TYPE_CHECKING:
    from gitindex.compare import Change
    from gitindex.facts import CoreFacts


def find_file(root: Folder, path: str) -> tuple[Folder, str] | None:
    """Return the folder that holds the file at *path* and its name; ``None`` where no file is there."""
    found = find(root, path)
    return found if found and found[0].entries()[found[1]].kind in ("file", "executable") else None


class Store:
    """The stored files of a change's head, and what they say of themselves."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._is_here = is_embedded(change.head)
        self._by_name: dict[str, list[str]] | None = None

    def _named(self, filename: str) -> list[str]:
        """Return the digests below which there is a file of that name, as the paths say them."""
        if self._by_name is None:
            self._by_name = {}
            for digest, folder in _digests(self._change.head.files_folder or EMPTY):
                for name in folder.entries():
                    self._by_name.setdefault(name, []).append(digest)
        return self._by_name.get(filename, [])

    def completed(self, entry: Any, beside: dict[str, bytes]) -> Any:
        """Return an entry of a manifest with what is missing or malformed in it taken from the stored file.

        The metadata that it promises and that is not there is put into *beside*, by path.
        """
        if not self._is_here or not isinstance(entry, dict) or entry.get("url") is not None:
            return entry
        filename = entry.get("filename")
        named = parse_filename(filename) if isinstance(filename, str) else None
        if named is None or not isinstance(filename, str):
            return entry
        stated = _digest_in(entry.get("hashes"))
        digests = [stated] if stated is not None else self._named(filename)
        if len(digests) != 1:
            return entry
        path = layout.stored_path(digests[0], filename)
        found = find_file(self._change.head.root, path)
        if found is None or not self._lacks(entry, path, is_wheel=named.kind == "wheel"):
            return entry
        digest = read_digest(*found)
        if digest.sha256 != digests[0]:
            return entry
        completed = {**entry, "hashes": entry["hashes"] if stated is not None else {"sha256": digest.sha256}}
        if not _is_size(entry.get("size")):
            completed["size"] = digest.size
        facts = None if digest.is_pointer else _core_facts(filename, found)
        if facts is not None:
            _complete_demand(completed, facts)
            if named.kind == "wheel":
                self._complete_metadata(completed, path, facts.metadata, beside)
        self._complete_provenance(completed, path)
        return completed

    def _lacks(self, entry: Mapping[str, Any], path: str, *, is_wheel: bool) -> bool:
        sidecar = path + layout.METADATA_SUFFIX
        has_metadata = _digest_in(entry.get("core-metadata")) is not None
        provenance = entry.get("provenance")
        return (
            _digest_in(entry.get("hashes")) is None
            or not _is_size(entry.get("size"))
            or not _is_demand(entry.get("requires-python"))
            or (is_wheel and not (has_metadata and find(self._change.head.root, sidecar)))
            or (provenance is not None and not (isinstance(provenance, str) and is_sha256(provenance)))
        )

    def _complete_metadata(self, entry: dict[str, Any], path: str, metadata: bytes, beside: dict[str, bytes]) -> None:
        """Promise the metadata of a wheel, and put it beside the wheel as `upload` does, where it is not there."""
        sidecar = path + layout.METADATA_SUFFIX
        sha256 = hashlib.sha256(metadata).hexdigest()
        stated = _digest_in(entry.get("core-metadata"))
        there = find_file(self._change.head.root, sidecar)
        is_there = there is not None and read_digest(*there).sha256 == sha256
        is_missing = all(find(root, sidecar) is None for root in (self._change.head.root, self._change.base.root))
        if (stated is not None and stated != sha256) or not (is_there or is_missing):
            return
        entry["core-metadata"] = {"sha256": sha256}
        if is_missing:
            beside[sidecar] = metadata

    def _complete_provenance(self, entry: dict[str, Any], path: str) -> None:
        stated = entry.get("provenance")
        there = find_file(self._change.head.root, path + layout.PROVENANCE_SUFFIX)
        if stated is not None and there is not None and not (isinstance(stated, str) and is_sha256(stated)):
            entry["provenance"] = read_digest(*there).sha256


def _digests(files: Folder) -> Iterator[tuple[str, Folder]]:
    for prefix, entry in files.entries().items():
        folder = files.folder(prefix) if entry.kind == "folder" else EMPTY
        for rest, below in folder.entries().items():
            if below.kind == "folder" and is_sha256(prefix + rest):
                yield prefix + rest, folder.folder(rest)


def _digest_in(hashes: Any) -> str | None:
    sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
    return sha256 if isinstance(sha256, str) and is_sha256(sha256) else None


def _is_size(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size > 0


def _is_demand(text: Any) -> bool:
    return isinstance(text, str) and text != "" and is_specifier_set(text)


def _complete_demand(entry: dict[str, Any], facts: CoreFacts) -> None:
    stated = entry.get("requires-python")
    if _is_demand(stated):
        return
    if facts.requires_python is None:
        if stated:
            del entry["requires-python"]
    elif is_specifier_set(facts.requires_python):
        entry["requires-python"] = facts.requires_python


def _core_facts(filename: str, found: tuple[Folder, str]) -> CoreFacts | None:
    from gitindex.facts import read_core_facts  # noqa: PLC0415 - only where a stored file is read

    try:
        with found[0].open(found[1]) as stream:
            return read_core_facts(filename, stream)
    except DistributionError:
        return None
