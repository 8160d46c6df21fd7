"""Releases: pushed, removed, and results of testing them recorded, each as a commit."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitindex import toxreport
from gitindex.devpi import file_path, result_suffix, tested
from gitindex.edits import promotion, releases, results
from gitindex.edits.opened import release_version
from gitindex.edits.promotion import Wanted
from gitindex.errors import GitindexError, NotThereError
from gitindex.model import Mirror
from gitindex.names import (
    IndexName,
    is_display_name,
    is_project_name,
    normalize,
    parse_index_name,
)
from gitindex.server.answers import Answer
from gitindex.server.body import BodyError, read_body
from gitindex.server.changing import may_not_release
from gitindex.server.devpi import forwarding
from gitindex.server.devpi.call import document, failed, forbidden, no_index, read_json, said
from gitindex.server.devpi.getting import find_file
from gitindex.server.devpi.making import write
from gitindex.server.devpi.targets import File, Project, Version
from gitindex.upstream.mirror import Upstream

if TYPE_CHECKING:
    from gitindex.edits.plan import Plan
    from gitindex.server.batches import Written
    from gitindex.server.devpi.call import Call
    from gitindex.snapshot import Snapshot

_LARGEST_REPORT = 32 << 20
"""Bytes; a report of tox has all that was printed."""
_WITHIN = 300.0
"""Seconds for them."""
_PUSHED = frozenset({"name", "version", "targetindex", "no_docs", "only_docs"})


async def remove(call: Call, target: Project | Version | File) -> Answer:
    """Remove a project, a version or a file of an index."""
    if (no := _refused(call, target.index)) is not None:
        return no

    def plan(snapshot: Snapshot) -> Plan:
        match target:
            case Project():
                return releases.remove(snapshot, target.index, target.name, None)
            case Version():
                return releases.remove(snapshot, target.index, target.project, target.version)
            case File():
                found = find_file(snapshot, target)
                if found is None:
                    raise NotThereError("no such file")
                return releases.remove_file(snapshot, target.index, found.project.name, found.version, target.filename)

    match target:
        case Project(index, name):
            told = f"project {name} deleted from stage {index}"
        case Version(_, project, version):
            told = f"project {project!r} version {version!r} deleted"
        case File(index, _, filename):
            told = f"package {filename!r} deleted from stage {index}"
    written = await write(call, plan, f"remove {told.partition(' deleted')[0]} from {target.index}", is_kept=True)
    return written if isinstance(written, Answer) else said(HTTPStatus.OK, told)


def _refused(call: Call, index: IndexName) -> Answer | None:
    """Return why the token may not change the releases of an index; whether its user may, the rules say."""
    if call.reader is not None and call.reader.may_upload(index):
        return None
    return forbidden(f"change the releases of {index}: see gitindex token create --upload {index}")


async def record(call: Call, target: File) -> Answer:
    """Record a report of tox on a file."""
    if (no := _refused(call, target.index)) is not None:
        return no
    report = await read_body(call.exchange, _LARGEST_REPORT, _WITHIN)
    found = await call.state.read(lambda: find_file(call.state.reading.current.snapshot, target))
    if found is None:
        return said(HTTPStatus.NOT_FOUND, "no such file")
    runs = toxreport.runs_in(report, found.facts.hashes.sha256, datetime.now(UTC))
    project, version = found.project.name, found.version
    name = f"record tests of {project} {version} in {target.index}"
    written = await write(call, lambda snapshot: results.record(snapshot, target.index, project, version, runs), name)
    if isinstance(written, Answer):
        return written
    path = await call.state.read(lambda: _last_result(call.state.reading.current.snapshot, target))
    return document("toxresultpath", path)


def _last_result(snapshot: Snapshot, target: File) -> str:
    """Return the path of the last result of a file, below the root."""
    found = find_file(snapshot, target)
    if found is None:
        return ""
    *_, (number, run) = tested(found.project, found.version)
    path = file_path(target.index, found.facts.hashes.sha256, target.filename).removeprefix("/")
    return path + result_suffix(number, run)


async def push(call: Call, source: IndexName) -> Answer:
    """Push a release to another index, or to another server."""
    sent = await read_json(call)
    if not isinstance(sent, dict):
        raise BodyError(HTTPStatus.BAD_REQUEST, "Bad request: wanted an object")
    wanted = _wanted(sent)
    if sent.get("no_docs") and sent.get("only_docs"):
        return said(HTTPStatus.BAD_REQUEST, "can't use 'no_docs' and 'only_docs' together")
    if sent.get("only_docs"):
        return said(HTTPStatus.BAD_REQUEST, "there is no documentation here to push")
    if "posturl" in sent:
        return await forwarding.forward(call, source, wanted, sent)
    if unknown := sorted(sent.keys() - _PUSHED):
        return said(HTTPStatus.BAD_REQUEST, f"unknown additional options: {', '.join(map(str, unknown))}")
    return await _push(call, source, wanted, sent.get("targetindex"))


def _wanted(sent: dict[Any, Any]) -> Wanted:
    name, version = sent.get("name"), sent.get("version")
    if not isinstance(name, str) or not is_display_name(name) or not is_project_name(normalize(name)):
        raise BodyError(HTTPStatus.BAD_REQUEST, f"{name!r} is no name of a project")
    if not isinstance(version, str) or not version:
        raise BodyError(HTTPStatus.BAD_REQUEST, "a version is needed: push one release")
    return Wanted(normalize(name), version)


async def _push(call: Call, source: IndexName, wanted: Wanted, to: Any) -> Answer:
    target = parse_index_name(to.strip("/")) if isinstance(to, str) else None
    if target is None:
        return said(HTTPStatus.BAD_REQUEST, "targetindex not in format user/index")
    if (no := _refused(call, target)) is not None:
        return no
    snapshot, reader = call.state.reading.current.snapshot, call.reader
    assert reader is not None  # noqa: S101 - nobody else may upload
    opened = await call.state.read(lambda: (snapshot.index(source), snapshot.index(target)))
    for index, wanted_name in zip(opened, (source, target), strict=True):
        if index is None:
            return no_index(wanted_name)
    # What is there already changes nothing, which no rule looks at.
    if (found := await call.state.read(lambda: may_not_release(snapshot, target, reader))) is not None:
        return said(found.status, found.lines[0])
    definition = opened[0].definition if opened[0] is not None else None
    name = f"push {wanted.project} {wanted.version} from {source} to {target}"
    if isinstance(definition, Mirror):
        written = await _vendor(call, Upstream(source, definition), wanted, target, name)
    else:
        written = await write(
            call, lambda newest: promotion.push(newest, [wanted], source, target).plan, name, takes_proposals=True
        )
    if isinstance(written, Answer):
        return written
    if written.is_proposed:  # for devpi's client nothing but 200 is a success
        return document(
            "actionlog", [[200, "proposed", wanted.project, wanted.version, "->", str(target), written.url]]
        )
    result = await call.state.read(lambda: _actions(call.state.reading.current.snapshot, wanted, target))
    return document("actionlog", result)


async def _vendor(call: Call, upstream: Upstream, wanted: Wanted, target: IndexName, name: str) -> Written | Answer:
    """Push from a mirror: its files are downloaded before anybody waits for the commit."""
    from gitindex.upstream.promoting import Known, MirrorPush, Shelf  # noqa: PLC0415 - a heavy import, and only for this

    state, now = call.state, datetime.now(UTC)
    upstreams = state.mirrors.upstreams
    # Whoever commits waits for nobody: what the upstream said at first counts, and its files are here by then.
    known = Known()

    def plan(folder: Path, snapshot: Snapshot) -> Plan:
        push = MirrorPush(Shelf(snapshot, upstream, upstreams, now, known), target)
        push.choose([wanted], (), folder, None)
        return push.plan(folder).plan

    def bring(folder: Path) -> None:
        repository = state.options.source.open()
        plan(folder, repository.at(state.live.commit))

    with tempfile.TemporaryDirectory(dir=state.uploads) as place:
        folder = Path(place)
        try:
            await asyncio.get_running_loop().run_in_executor(state.elsewhere, bring, folder)
        except GitindexError as error:
            return failed(error)
        # What was brought lies there, and no page is asked for again: others wait while this is planned.
        return await write(call, partial(plan, folder), name, takes_proposals=True)


def _actions(snapshot: Snapshot, wanted: Wanted, target: IndexName) -> list[list[Any]]:
    """Return what was done, as devpi tells it."""
    index = snapshot.index(target)
    project = index.project(wanted.project) if index is not None else None
    done: list[list[Any]] = [[200, "register", wanted.project, wanted.version, "->", str(target)]]
    for version, manifest in project.releases() if project is not None else ():
        if version == release_version(project, str(wanted.version)):
            for file in manifest.files:
                path = file_path(target, file.hashes.sha256, file.filename)
                done.append([200, "store_releasefile", path.removeprefix("/")])
    return done
