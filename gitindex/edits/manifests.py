"""Manifests as data: how they are written, how a file is put in, which stored files nothing names any more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitindex import layout
from gitindex.differences import StoredFile
from gitindex.documents import Unreadable
from gitindex.edits.opened import cannot_read
from gitindex.edits.plan import Plan
from gitindex.model import File, Manifest
from gitindex.names import ProjectName
from gitindex.rules.stored import naming
from gitindex.snapshot import Index, Project, Snapshot
from gitindex.tree import find


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """Return a manifest as it is written: two blanks of indent, files in the order of their names."""
    ordered = {
        "name": manifest["name"],
        "version": manifest["version"],
        "files": sorted(manifest["files"], key=lambda file: str(file["filename"])),
    }
    return (json.dumps(ordered, indent=2, ensure_ascii=False) + "\n").encode()


def manifest_data(index: Index, project: ProjectName, version: str) -> dict[str, Any]:
    opened = index.project(project)
    found = opened.release(version) if opened else None
    if isinstance(found, Unreadable):
        raise cannot_read(found)
    if found is None:
        return {"files": []}
    return {"name": found.name, "version": found.version, "files": [file_data(file) for file in found.files]}


def file_data(file: File) -> dict[str, Any]:
    return {key: value for key, value in file.data().items() if value is not None}


def put_file(manifest: dict[str, Any], entry: dict[str, Any]) -> str:
    """Put a file into a manifest, and return what that is: Unchanged, Replace or Upload."""
    for at, old in enumerate(manifest["files"]):
        if old["filename"] == entry["filename"]:
            if old["hashes"] == entry["hashes"]:
                return "Unchanged:"
            manifest["files"][at] = entry
            return "Replace"
    manifest["files"].append(entry)
    return "Upload"


def stored_files(project: Project | None, versions: Iterable[str] | None = None) -> Iterable[File]:
    for version in (versions if versions is not None else project.versions()) if project else ():
        manifest = project.release(version) if project else None
        if isinstance(manifest, Manifest):
            yield from (file for file in manifest.files if file.url is None)


def drop_unused_files(snapshot: Snapshot, plan: Plan, files: Sequence[File]) -> None:
    """Add the removal of the stored files that no manifest names once the plan is carried out."""
    for file in files:
        path = layout.stored_path(file.hashes.sha256, file.filename)
        stored = StoredFile(path, file.hashes.sha256, file.filename, None, None)
        users = {project.manifest_path(version) for project, version, _, _ in naming(snapshot, stored)}
        if users <= plan.changes.keys():
            for suffix in ("", layout.METADATA_SUFFIX, layout.PROVENANCE_SUFFIX):
                if find(snapshot.root, path + suffix) is not None:
                    plan.changes[path + suffix] = None
