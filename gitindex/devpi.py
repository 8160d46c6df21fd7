"""Users, indexes and projects in the shapes of devpi's JSON: what people have written for `getjson` keeps working."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from gitindex import toxreport
from gitindex.model import Definition, Mirror, Stage, TestRun, User
from gitindex.names import IndexName, ProjectName
from gitindex.resolve import ResolvedFile, files_of, resolution_order, walk
from gitindex.snapshot import Index, Project, Snapshot

_START, _END = 3, 16
"""How devpi shortens a sha256 in a URL."""
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", re.ASCII)
_NAMES = {"platforms": "platform", "supported_platforms": "supported_platform", "provides_extra": "provides_extras"}
_OF_RELEASE = frozenset({"name", "version"})
"""What the manifest says, and metadata may spell otherwise."""


def user_config(
    snapshot: Snapshot, name: str, may_read: Callable[[IndexName], bool] = lambda _: True
) -> dict[str, Any]:
    """Return devpi's ``userconfig`` of a user, with the indexes that may be read."""
    user = snapshot.user(name)
    config: dict[str, Any] = {"username": name}
    if isinstance(user, User):
        config |= {key: value for key, value in (("email", user.email), ("title", user.title)) if value}
    indexes = (snapshot.index(index) for index in snapshot.index_names(name) if may_read(index))
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


def project_config(
    snapshot: Snapshot, index: Index, name: ProjectName, *, root: str = "", ignore_bases: bool = False
) -> dict[str, Any]:
    """Return devpi's ``projectconfig``: the versions of a project as *index* shows it, inherited ones included.

    *root* is what comes before the path of a file, without a slash at its end. What several indexes have of a version
    is told as devpi does it: the first of them in the order, and the others as what it shadows.
    """
    order = (index,) if ignore_bases else resolution_order(snapshot, index)
    steps = tuple(walk(snapshot, order, name))
    projects = {step.index.name: step.project for step in steps if step.project is not None}
    names = {(index, known.version): known.name for index, project in projects.items() for known in project.released}
    releases: dict[str, dict[IndexName, dict[str, Any]]] = {}
    for found in files_of(steps):
        by_index = releases.setdefault(found.version, {})
        release = by_index.get(found.index)
        if release is None:
            spelled = names.get((found.index, found.version)) or name
            release = by_index[found.index] = {"name": spelled, "version": found.version, "+links": []}
        if found.file.requires_python is not None:
            release["requires_python"] = found.file.requires_python
        link = _link(found, root)
        release["+links"] += [link, *_results(projects[found.index], found, link["href"])]
    return {version: _with_shadowing(tuple(by_index.values())) for version, by_index in releases.items()}


def version_fields(metadata: bytes) -> dict[str, Any]:
    """Return the fields of core metadata by devpi's names for them; what is malformed is left out."""
    from packaging.metadata import parse_email  # noqa: PLC0415 - a heavy import, and few ask for it

    raw, _ = parse_email(metadata)
    fields: dict[str, Any] = {_NAMES.get(key, key): value for key, value in raw.items() if key not in _OF_RELEASE}
    if "keywords" in fields:
        fields["keywords"] = ",".join(raw["keywords"])
    if "project_urls" in fields:
        fields["project_urls"] = [f"{label}, {url}" for label, url in raw["project_urls"].items()]
    return fields


def _with_shadowing(releases: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    first, *others = releases
    return first | ({"+shadowing": others} if others else {})


def file_path(index: IndexName, sha256: str, filename: str) -> str:
    """Return where devpi has a file of an index: a path below the root, escaped, with a slash before it."""
    return f"/{index}/+f/{sha256[:_START]}/{sha256[_START:_END]}/{quote(filename)}"


def _link(found: ResolvedFile, root: str) -> dict[str, Any]:
    file = found.file
    link: dict[str, Any] = {
        "rel": "releasefile",
        "basename": file.filename,
        "index": str(found.index),
        "href": root + file_path(found.index, file.sha256, file.filename),
        **_hashes(file.sha256),
        "size": file.size,
        "log": _log("upload", file.upload_time, found.index),
    }
    if file.upload_time is not None:
        link["upload-time"] = file.upload_time
    if found.yanked is not None:
        link["yanked"] = found.yanked or True
    return link


def _hashes(sha256: str) -> dict[str, Any]:
    return {"hash_spec": f"sha256={sha256}", "hashes": {"sha256": sha256}}


def _log(what: str, time: str | None, index: IndexName) -> list[dict[str, Any]]:
    """Return devpi's log of a link; who did it is in the history, and would be looked up for each file."""
    match = _TIME.match(time or "")
    if match is None:
        return []
    return [{"what": what, "who": None, "when": [int(part) for part in match.groups()], "dst": str(index)}]


def _results(project: Project | None, found: ResolvedFile, href: str) -> Iterator[dict[str, Any]]:
    """Yield the links of the results of testing a file."""
    for number, run in tested(project, found.version):
        if found.file.sha256 in run.files:
            yield {
                "rel": "toxresult",
                "href": href + result_suffix(number, run),
                "for_href": href,
                **_hashes(hashlib.sha256(toxreport.report_of(run)).hexdigest()),
                "log": _log("toxresultupload", run.time, found.index),
            }


def tested(project: Project | None, version: str) -> Iterator[tuple[int, TestRun]]:
    """Yield the results of testing a version, numbered as they stand in its file."""
    results = project.results(version) if project is not None else None
    if isinstance(results, tuple):
        yield from enumerate(results)


def result_suffix(number: int, run: TestRun) -> str:
    """Return what the URL of a result has behind that of its file."""
    return f".toxresult-{re.sub('[^0-9]', '', run.time)[:14]}-{number}"
