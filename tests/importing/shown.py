"""What an index repository has, to compare it with what was imported."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.repositories import IndexRepository


def released(repository: IndexRepository, index: str) -> dict[str, str]:
    """Return the files of an index in the working tree, with their sha256."""
    return {entry["filename"]: entry["hashes"]["sha256"] for entry in entries(repository, index)}


def entries(repository: IndexRepository, index: str) -> list[dict[str, Any]]:
    """Return what the manifests of an index say of its files."""
    manifests = sorted((repository.root / "indexes" / index).glob("*/*.json"))
    listed = (json.loads(path.read_text()) for path in manifests if not path.name.endswith(".tests.json"))
    return [file for manifest in listed for file in manifest["files"]]


def entry(repository: IndexRepository, index: str, filename: str) -> dict[str, Any]:
    (found,) = (each for each in entries(repository, index) if each["filename"] == filename)
    return found


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(folder: Path, *files: tuple[str, bytes]) -> dict[str, str]:
    """Write files into a folder, and return their sha256 by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files:
        (folder / name).write_bytes(data)
    return {name: digest(data) for name, data in files}


def subjects(repository: IndexRepository, *options: str) -> list[str]:
    """Return the subjects of the commits, the oldest first."""
    return repository.git("log", "--reverse", "--format=%s", *options).splitlines()
