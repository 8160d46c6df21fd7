"""Users, indexes and projects in the shapes of devpi's JSON: what people have written for `getjson` keeps working."""

from __future__ import annotations

from typing import Any

from gitindex.model import Definition, Mirror, Stage, User
from gitindex.names import ProjectName
from gitindex.resolve import ResolvedFile, files_of, resolution_order, walk
from gitindex.snapshot import Index, Snapshot


def user_config(snapshot: Snapshot, name: str) -> dict[str, Any]:
    """Return devpi's ``userconfig`` of a user."""
    user = snapshot.user(name)
    config: dict[str, Any] = {"username": name}
    if isinstance(user, User):
        config |= {key: value for key, value in (("email", user.email), ("title", user.title)) if value}
    indexes = (snapshot.index(index) for index in snapshot.index_names(name))
    return config | {"indexes": {index.name.name: index_config(index, projects=False) for index in indexes if index}}


def index_config(index: Index, *, projects: bool = True) -> dict[str, Any]:
    """Return devpi's ``indexconfig`` of an index; with *projects*, the sorted names of its own."""
    match index.definition:
        case Stage() as stage:
            config = _given(stage)
            acl = [index.name.user] if stage.acl_upload is None else list(stage.acl_upload)
            config |= {
                "type": "stage",
                "volatile": stage.volatile,
                "bases": list(stage.bases),
                "acl_upload": acl,
                "mirror_whitelist": list(stage.mirror_whitelist),
                "mirror_whitelist_inheritance": stage.mirror_whitelist_inheritance,
            }
        case Mirror() as mirror:
            config = _given(mirror) | {"type": "mirror", "volatile": False}
        case _:
            config = {}
    return config | ({"projects": list(index.project_names())} if projects else {})


def _given(definition: Definition) -> dict[str, Any]:
    """Return what a definition says, less what it could leave out."""
    plain = type(definition)(type=definition.type).data()  # type: ignore[arg-type]
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in definition.data().items()
        if value != plain[key]
    }


def project_config(snapshot: Snapshot, index: Index, name: ProjectName) -> dict[str, Any]:
    """Return devpi's ``projectconfig``: the versions of a project as *index* shows it, inherited ones included."""
    steps = walk(snapshot, resolution_order(snapshot, index), name)
    versions: dict[str, Any] = {}
    for found in files_of(steps):
        if found.shadowed_by is None:
            version = versions.setdefault(found.version, {"name": name, "version": found.version, "+links": []})
            if found.file.requires_python is not None:
                version["requires_python"] = found.file.requires_python
            version["+links"].append(_link(found))
    return versions


def _link(found: ResolvedFile) -> dict[str, Any]:
    file = found.file
    link: dict[str, Any] = {
        "rel": "releasefile",
        "basename": file.filename,
        "index": str(found.index),
        "hash_spec": f"sha256={file.sha256}",
        "hashes": {"sha256": file.sha256},
        "size": file.size,
    }
    if file.upload_time is not None:
        link["upload-time"] = file.upload_time
    if found.yanked is not None:
        link["yanked"] = found.yanked or True
    return link
