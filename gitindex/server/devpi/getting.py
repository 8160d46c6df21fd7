"""What devpi's `getjson` shows: users, indexes, projects, versions, files, and results of tests."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

from gitindex import layout, toxreport
from gitindex.details import metadata_of
from gitindex.devpi import index_config, project_config, result_suffix, tested, user_config, version_fields
from gitindex.model import File as FileFacts, Mirror
from gitindex.names import parse_filename, parse_version
from gitindex.resolve import files_of, walk
from gitindex.server import answers
from gitindex.server.answers import Answer
from gitindex.server.devpi.call import document, no_index, no_user, said
from gitindex.server.devpi.targets import File, Index, Project, Result, Version
from gitindex.server.negotiation import Format
from gitindex.server.outcomes import PageOutside, not_there
from gitindex.server.revision import Outside
from gitindex.server.targets import StoredFile
from gitindex.upstream.mirror import Upstream, asked

if TYPE_CHECKING:
    from gitindex.model import TestRun
    from gitindex.pages import FilePage
    from gitindex.server.devpi.call import Call
    from gitindex.server.revision import Revision
    from gitindex.snapshot import Index as OpenIndex, Project as OpenProject, Snapshot


async def users(call: Call) -> Answer:
    """Return all users, with the indexes that may be read."""

    def read() -> dict[str, Any]:
        snapshot = call.state.reading.current.snapshot
        found = ((name, _user(call, snapshot, name)) for name in snapshot.user_names())
        return {name: config for name, config in found if config is not None}

    return document("list:userconfig", await call.state.read(read))


async def user(call: Call, name: str) -> Answer:
    """Return a user."""
    config = await call.state.read(lambda: _user(call, call.state.reading.current.snapshot, name))
    return no_user(name) if config is None else document("userconfig", config)


def _user(call: Call, snapshot: Snapshot, name: str) -> dict[str, Any] | None:
    """Return a user as the reader sees them; who may not read all knows those of whom an index may be read."""
    reader = call.reader
    if reader is None or snapshot.user(name) is None:
        return None
    config = user_config(snapshot, name, reader.may_read)
    if reader.may_read_all:
        return config
    return {key: value for key, value in config.items() if key != "email"} if config["indexes"] else None


async def index(call: Call, target: Index) -> Answer:
    """Return an index, with the names of its own projects."""
    wants_projects = "no_projects" not in call.query

    def read() -> tuple[dict[str, Any], Upstream | None] | None:
        served = call.state.reading.current.index(target.name)
        if served is None:
            return None
        definition = served.index.definition
        upstream = Upstream(target.name, definition) if isinstance(definition, Mirror) else None
        return index_config(served.index, projects=wants_projects), upstream

    found = await call.state.read(read)
    if found is None:
        return no_index(target.name)
    config, upstream = found
    if wants_projects and upstream is not None:
        config["projects"] = list(await call.state.mirrors.projects(upstream))
    return document("indexconfig", config)


async def project(call: Call, target: Project) -> Answer:
    """Return the versions of a project."""
    found = await _versions(call, target)
    if isinstance(found, Answer):
        return found
    if not found:
        return said(HTTPStatus.NOT_FOUND, f"no project {target.name!r}")
    return document("projectconfig", found)


async def version(call: Call, target: Version) -> Answer:
    """Return a version of a project, with what its metadata says."""
    found = await _versions(call, Project(target.index, target.project))
    if isinstance(found, Answer):
        return found
    wanted = parse_version(target.version)
    for spelled, release in found.items():
        if spelled == target.version or (wanted is not None and parse_version(spelled) == wanted):
            metadata = await call.state.read(lambda: _metadata(call.state.reading.current, target, spelled))  # noqa: B023
            return document("versiondata", {**metadata, **release})
    return said(HTTPStatus.NOT_FOUND, f"The version {target.version} of project {target.project} does not exist.")


def _metadata(revision: Revision, target: Version, spelled: str) -> dict[str, Any]:
    """Return what the metadata of a release says, as far as its files are in the repository."""
    served, store = revision.index(target.index), revision.store
    if served is None or store is None:
        return {}
    steps = tuple(walk(revision.snapshot, served.order, target.project))
    files = [found.file for found in files_of(steps) if found.version == spelled]
    for file in sorted(files, key=lambda file: not file.filename.endswith(".whl")):
        data = metadata_of(file, store)
        if data is not None:
            return version_fields(data)
    return {}


class _Found(NamedTuple):
    """A project as the repository has it, and which mirrors have to be asked."""

    versions: dict[str, Any]
    outside: PageOutside | None
    root: str


async def _versions(call: Call, target: Project) -> dict[str, Any] | Answer:
    """Return the versions of a project, those of mirrors included; or why not.

    Raises:
        CannotRunError: nobody can say whether there is such a project.

    """
    found = await call.state.read(lambda: _read_versions(call, target))
    if found is None:
        return no_index(target.index)
    if found.outside is None:
        return found.versions
    ours = found.outside.outside.ours
    own = {file.filename for file in ours.files} if ours is not None else set()
    page, _ = await call.state.mirrors.page(found.outside, target.name)
    for file in page.files if page is not None else ():
        if file.filename not in own and file.version:
            _add_mirrored(found.versions, file, target, found.root)
    return found.versions


def _read_versions(call: Call, target: Project) -> _Found | None:
    revision = call.state.reading.current
    served = revision.index(target.index)
    if served is None:
        return None
    root, is_alone = call.root(revision.snapshot), "ignore_bases" in call.query
    versions = project_config(revision.snapshot, served.index, target.name, root=root, ignore_bases=is_alone)
    is_asking = served.index.is_mirror or not is_alone
    if not is_asking or not any(asked(walk(revision.snapshot, served.order, target.name))):
        return _Found(versions, None, root)
    made = revision.project(served, target.name, Format.JSON)
    outside = PageOutside(served, made, revision, moves=False) if isinstance(made, Outside) else None
    return _Found(versions, outside, root)


def _add_mirrored(versions: dict[str, Any], file: FilePage, target: Project, root: str) -> None:
    release = versions.setdefault(file.version, {"name": target.name, "version": file.version, "+links": []})
    if file.requires_python is not None:
        release.setdefault("requires_python", file.requires_python)
    # As the simple page has it: relative to that, or absolute.
    href = urljoin(f"/{target.index}/simple/{target.name}/", file.url)
    link: dict[str, Any] = {"rel": "releasefile", "basename": file.filename, "index": str(file.index)}
    link["href"] = root + href if href.startswith("/") else href
    if file.sha256 is not None:
        link |= {"hash_spec": f"sha256={file.sha256}", "hashes": {"sha256": file.sha256}}
    if file.size is not None:
        link["size"] = file.size
    if file.yanked is not None:
        link["yanked"] = file.yanked or True
    release["+links"].append({**link, "log": []})


async def file(call: Call, target: File) -> Answer | StoredFile:
    """Return a file as stored, or what is known of it where JSON is wanted."""
    found = await call.state.read(lambda: find_file(call.state.reading.current.snapshot, target))
    is_document = call.format is Format.DEVPI
    missing = said(HTTPStatus.NOT_FOUND, "no such file") if is_document else not_there("no such file")
    if found is None:
        return missing
    stored, url = _stored(found.facts), found.facts.url
    if not is_document and url is None:
        return stored  # whoever gives it looks whether it is shown
    if not await _is_offered(call, stored):
        return missing
    if not is_document and url is not None:
        return answers.redirect(url, status=HTTPStatus.FOUND)
    facts = found.facts
    result = {
        "hash_spec": f"sha256={facts.hashes.sha256}",
        "hashes": {"sha256": facts.hashes.sha256},
        "last_modified": facts.upload_time,
        "project": found.project.name,
        "version": found.version,
    }
    return document("releasefilemeta", result)


async def result(call: Call, target: Result) -> Answer:
    """Return what came of testing a file, in the shape of tox's report."""

    def read() -> tuple[StoredFile, TestRun] | None:
        found = find_file(call.state.reading.current.snapshot, target.file)
        for number, run in tested(found.project, found.version) if found is not None else ():
            suffix = result_suffix(number, run)
            if number == target.number and suffix == f".toxresult-{target.time}-{number}" and found is not None:
                return (_stored(found.facts), run) if found.facts.hashes.sha256 in run.files else None
        return None

    found = await call.state.read(read)
    if found is None or not await _is_offered(call, found[0]):
        return not_there("no such result")
    headers = [(b"content-type", answers.JSON), (b"cache-control", answers.NOT_AT_ALL), *answers.FOR_MACHINES]
    return Answer(HTTPStatus.OK, headers, toxreport.report_of(found[1]))


class FoundFile(NamedTuple):
    """A file that an index itself has."""

    index: OpenIndex  # type: ignore[assignment] # a tuple's method of that name, which nobody needs here
    project: OpenProject
    version: str
    facts: FileFacts


def find_file(snapshot: Snapshot, target: File) -> FoundFile | None:
    """Return the file that a URL of devpi's shape names; ``None`` where the index itself has no such file."""
    parsed = parse_filename(target.filename)
    index = snapshot.index(target.index)
    project = index.project(parsed.project) if index is not None and parsed is not None else None
    if index is None or project is None:
        return None
    for version, manifest in project.releases():
        for facts in manifest.files:
            if facts.filename == target.filename and facts.hashes.sha256.startswith(target.digest):
                return FoundFile(index, project, version, facts)
    return None


def _stored(facts: FileFacts) -> StoredFile:
    sha256 = facts.hashes.sha256
    return StoredFile(layout.stored_path(sha256, facts.filename), sha256, facts.filename, "")


async def _is_offered(call: Call, stored: StoredFile) -> bool:
    """Tell whether the reader may read an index that shows a file; it need not be the one that has it."""
    reader = call.reader
    if reader is None:
        return False
    return await call.state.read(
        lambda: call.state.reading.current.offers(stored.sha256, stored.filename, reader.may_read)
    )
