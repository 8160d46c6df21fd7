"""Plans for releases: upload, remove, yank; a push is :mod:`gitindex.edits.promotion`'s."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.edits import toml
from gitindex.edits.manifests import drop_unused_files, file_data, manifest_bytes, manifest_data, put_file, stored_files
from gitindex.edits.opened import cannot_read, open_project, open_release, open_stage, paths_below, release_version
from gitindex.edits.plan import Plan
from gitindex.errors import NotThereError, UsageError
from gitindex.model import File, ProjectStatements
from gitindex.names import IndexName, ProjectName
from gitindex.snapshot import Index, Project, Snapshot

if TYPE_CHECKING:
    from gitindex.facts import Distribution


def upload(
    snapshot: Snapshot,
    name: IndexName,
    distributions: Iterable[tuple[Distribution, bytes | Path]],
    time: str,
    provenance: Mapping[str, bytes] = MappingProxyType({}),
    *,
    times: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """Plan the upload of distributions, each with its bytes or their file; *time* is the upload-time of what is new.

    *provenance* has provenance documents (PEP 740) by filename; whoever calls has checked them. *times* has the
    upload-time of files that were released elsewhere before.

    The same bytes again change nothing. Other bytes of a filename replace the file: the rules refuse that where the
    index is non-volatile.
    """
    index = open_stage(snapshot, name)
    plan = Plan()
    is_embedded = snapshot.settings.storage.is_embedded
    files = plan.changes if is_embedded else plan.uploads
    releases: dict[tuple[ProjectName, str], dict[str, Any]] = {}
    replaced: list[File] = []
    twins: dict[tuple[ProjectName, str], str] = {}
    for dist, source in distributions:
        check_open(index, dist.project)
        _check_bytes_are_new(index, dist, twins)
        release = release_version(index.project(dist.project), dist.version)
        manifest = releases.setdefault((dist.project, release), manifest_data(index, dist.project, release))
        manifest.setdefault("name", dist.name)
        manifest.setdefault("version", release)
        entry = {
            "filename": dist.filename,
            "hashes": {"sha256": dist.sha256},
            "size": dist.size,
            "upload-time": times.get(dist.filename, time),
            "requires-python": dist.requires_python,
            "core-metadata": {"sha256": hashlib.sha256(dist.metadata).hexdigest()} if dist.kind == "wheel" else None,
        }
        document = provenance.get(dist.filename)
        if document is not None:
            entry["provenance"] = hashlib.sha256(document).hexdigest()
        entry = {key: value for key, value in entry.items() if value is not None}
        outcome = put_file(manifest, entry)
        if document is not None and outcome == "Unchanged:":
            outcome = _attest(index, manifest, entry)
        plan.notes.append(f"{outcome} {dist.filename} {'to' if outcome == 'Upload' else 'in'} {name}")
        if outcome == "Replace":
            replaced += [file for file in stored_files(index.project(dist.project)) if file.filename == dist.filename]
        path = layout.stored_path(dist.sha256, dist.filename)
        manifest_path = layout.manifest_path(name, dist.project, release)
        if outcome == "Unchanged:":
            suffixes = ("", layout.METADATA_SUFFIX, *([layout.PROVENANCE_SUFFIX] if document is not None else ()))
            plan.concerned += [*([path + suffix for suffix in suffixes] if is_embedded else []), manifest_path]
        else:
            files[path] = source
            if document is not None:
                files[path + layout.PROVENANCE_SUFFIX] = document
            if dist.kind == "wheel":
                files[path + layout.METADATA_SUFFIX] = dist.metadata
            plan.changes[manifest_path] = manifest_bytes(manifest)
    drop_unused_files(snapshot, plan, replaced)
    return plan


def _attest(index: Index, manifest: dict[str, Any], entry: dict[str, Any]) -> str:
    """State the provenance of a file that is released already, where that may change; return what was done."""
    listed = next(file for file in manifest["files"] if file["filename"] == entry["filename"])
    if listed.get("provenance") == entry["provenance"]:
        return "Unchanged:"
    if not index.is_volatile:
        raise UsageError(
            f"{entry['filename']} is released already, and {index.name} keeps what it says of its files",
            help="attest files before they are uploaded; leave the attestations out, or attest the next version",
        )
    listed["provenance"] = entry["provenance"]
    return "Attest"


def check_open(index: Index, project: ProjectName) -> None:
    """Refuse a release of a project whose status says that there are none (PEP 792)."""
    opened = index.project(project)
    statements = opened.statements if opened else None
    if isinstance(statements, ProjectStatements) and statements.status in ("archived", "quarantined"):
        path = layout.statements_path(index.name, project)
        raise UsageError(
            f"{project} is {statements.status} in {index.name}: it takes no releases", help=f"change status in {path}"
        )


def remove(snapshot: Snapshot, name: IndexName, project: ProjectName, version: str | None) -> Plan:
    """Plan the removal of a project, or of one version of it, with the stored files that nothing else names."""
    opened = open_project(snapshot, name, project)
    versions = list(opened.versions())
    if version is not None:
        spelled = release_version(opened, version)
        if spelled not in versions:
            raise NotThereError(
                f"{name} has no {project} {version}", help=f"see: gitindex list {project} --index {name}"
            )
        gone = [spelled]
    else:
        gone = versions
    plan = Plan(notes=[f"Remove {project}{' ' + version if version else ''} from {name}"])
    if gone == versions:
        plan.changes.update(dict.fromkeys(paths_below(snapshot, opened.path)))
    else:
        plan.changes.update({opened.manifest_path(spelled): None for spelled in gone})
        tested = set(opened.tested_versions()).intersection(gone)
        plan.changes.update({layout.results_path(name, project, spelled): None for spelled in tested})
        _drop_yanks(snapshot, opened, gone, plan)
    drop_unused_files(snapshot, plan, list(stored_files(opened, gone)))
    return plan


def remove_file(snapshot: Snapshot, name: IndexName, project: ProjectName, version: str, filename: str) -> Plan:
    """Plan the removal of one file of a release; with the last one the release goes."""
    manifest = open_release(snapshot, name, project, version)
    if filename not in {file.filename for file in manifest.files}:
        raise NotThereError(
            f"{project} {version} has no file {filename}", help=f"see: gitindex list {project} --index {name}"
        )
    left = [file for file in manifest.files if file.filename != filename]
    if not left:
        return remove(snapshot, name, project, version)
    opened = open_project(snapshot, name, project)
    data = {"name": manifest.name, "version": manifest.version, "files": [file_data(file) for file in left]}
    plan = Plan({opened.manifest_path(manifest.version): manifest_bytes(data)}, [f"Remove {filename} from {name}"])
    _drop_yanks(snapshot, opened, [filename], plan)
    gone = [file for file in stored_files(opened, [manifest.version]) if file.filename == filename]
    drop_unused_files(snapshot, plan, gone)
    return plan


def _check_bytes_are_new(index: Index, dist: Distribution, twins: dict[tuple[ProjectName, str], str]) -> None:
    """Refuse the same bytes under another name: one of the two names lies about what is in it.

    *twins* holds the names of the files that were seen by project and sha256; what is looked at is added.
    """
    opened = index.project(dist.project)
    for release in opened.released if opened else ():
        for file in () if isinstance(release.files, Unreadable) else release.files:
            twins.setdefault((dist.project, file.sha256), file.filename)
    twin = twins.setdefault((dist.project, dist.sha256), dist.filename)
    if twin != dist.filename:
        raise UsageError(
            f"{dist.filename} has the very bytes of {twin}", help="upload the one that is named as it was built"
        )


def yank(
    snapshot: Snapshot, name: IndexName, project: ProjectName, version: str, *, reason: str, filename: str | None = None
) -> Plan:
    """Plan a yank (PEP 592) of a release, or of one file of it."""
    manifest = open_release(snapshot, name, project, version)
    key = filename or manifest.version
    if filename is not None and filename not in {file.filename for file in manifest.files}:
        raise NotThereError(
            f"{project} {version} has no file {filename}", help=f"see: gitindex list {project} --index {name}"
        )
    document, path = _statements(snapshot, name, project)
    table = document.setdefault("yanked", {})
    if table.get(key) == reason or (key in table and not reason):
        return Plan({}, [f"Unchanged: {project} {key} is yanked in {name}"])
    table[key] = reason
    return Plan({path: toml.dump(document)}, [f"Yank {key if filename else f'{project} {key}'} in {name}"])


def unyank(
    snapshot: Snapshot, name: IndexName, project: ProjectName, version: str, filename: str | None = None
) -> Plan:
    """Plan that a yank is taken back."""
    manifest = open_release(snapshot, name, project, version)
    key = filename or manifest.version
    document, path = _statements(snapshot, name, project)
    table = document.get("yanked", {})
    if filename is not None and filename not in table and manifest.version in table:
        raise UsageError(f"{project} {manifest.version} is yanked as a whole in {name}", help="leave out --file")
    yanked_files = [file.filename for file in manifest.files if file.filename in table]
    if filename is None and key not in table and yanked_files:
        raise UsageError(f"{yanked_files[0]} alone is yanked in {name}", help=f"add --file {yanked_files[0]}")
    if key not in table:
        return Plan({}, [f"Unchanged: {project} {key} is not yanked in {name}"])
    del table[key]
    if not table:
        del document["yanked"]
    data = toml.dump(document)
    return Plan({path: data if data.strip() else None}, [f"Unyank {key if filename else f'{project} {key}'} in {name}"])


def _drop_yanks(snapshot: Snapshot, project: Project, versions: Sequence[str], plan: Plan) -> None:
    statements = project.statements
    if not isinstance(statements, ProjectStatements):
        return
    names = {file.filename for file in stored_files(project, versions)} | set(versions)
    gone = [key for key in statements.yanked if key in names]
    if gone:
        document, path = _statements(snapshot, project.index, project.name)
        for key in gone:
            del document["yanked"][key]
        if not document["yanked"]:
            del document["yanked"]
        data = toml.dump(document)
        plan.changes[path] = data if data.strip() else None


def _statements(snapshot: Snapshot, name: IndexName, project: ProjectName) -> tuple[Any, str]:
    path = layout.statements_path(name, project)
    opened = open_project(snapshot, name, project)
    if isinstance(opened.statements, Unreadable):
        raise cannot_read(opened.statements)
    return toml.load(snapshot, path), path
