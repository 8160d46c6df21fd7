"""GI011 and GI012: the stored bytes behind the manifests, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange, StoredFile
from gitindex.documents import Unreadable
from gitindex.errors import DistributionError
from gitindex.finding import Severity
from gitindex.model import File, Manifest, Settings
from gitindex.names import ProjectName, is_safe_filename, is_sha256, normalize, parse_filename, version_key
from gitindex.rules.hints import FIX, or_restore, upload
from gitindex.rules.names import rename_help
from gitindex.rules.rule import Hit, Rule
from gitindex.snapshot import Project, Snapshot
from gitindex.stored import is_pointer, read_digest, read_size
from gitindex.tree import Folder, find

if TYPE_CHECKING:
    from gitindex.facts import CoreFacts

    OwnMetadata = tuple[str, int, File, CoreFacts | DistributionError]

_SIDECARS = (layout.METADATA_SUFFIX, layout.PROVENANCE_SUFFIX)


def stored_file_is_right(change: Change, subject: ProjectChange | StoredFile) -> Iterator[Hit]:
    """Each stored file is there, and its bytes are what the manifest says.

    The store is addressed by content: a path names the sha256 of the bytes below it. Files that a change adds or alters
    are read; the others were checked when they came. Git LFS pointers count by the sha256 they carry. With an external
    storage, `gitindex verify` checks the files.
    """
    if isinstance(subject, StoredFile):
        yield from _stored_bytes(change, subject)
        return
    if not is_embedded(change.head):
        return
    for path, _, place, file in subject.files():
        if file.url is None and is_sha256(file.hashes.sha256) and is_safe_filename(file.filename):
            for problem, stored in _missing_or_other(change.head, file):
                help_ = _stored_help(change, subject, path, stored)
                yield Hit(path, problem, help_, change.head.line_of(path, ("files", place)))


def _stored_help(change: Change, project: ProjectChange, path: str, stored: str) -> str:
    """Say what to do where a manifest and what is stored do not fit together."""
    was, now = find(change.base.root, stored), _find_file(change.head, stored)
    if was is not None and not _is_as_before(was, now):
        return or_restore("the stored file has to stay", change, stored)
    name = path.rpartition("/")[2]
    if change.is_released(project.index, project.name, name) and project.differs(name.removesuffix(".json")):
        return or_restore("a released manifest keeps what it says", change, path)
    if now is None and stored.endswith(layout.METADATA_SUFFIX) and was is None:
        wheel = _find_file(change.head, stored.removesuffix(layout.METADATA_SUFFIX))
        if wheel is not None and not is_pointer(*wheel):
            return f"take it from the wheel: {FIX}"
    return f"upload the file again: {upload(project.index)}"


def _is_as_before(was: tuple[Folder, str], now: tuple[Folder, str] | None) -> bool:
    return now is not None and read_digest(*was)[:2] == read_digest(*now)[:2]


def _missing_or_other(head: Snapshot, file: File) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with what is stored of a file, and the stored path that it is about."""
    stored = layout.stored_path(file.hashes.sha256, file.filename)
    found = _find_file(head, stored)
    if found is None:
        yield f"the stored file {stored} is missing", stored
    elif (size := read_size(*found)) != file.size:
        yield f"size of {file.filename} is {file.size:,}, and the stored file has {size:,} bytes", stored
    sidecars: list[tuple[str, str | None]] = [
        (layout.METADATA_SUFFIX, None if file.core_metadata is None else file.core_metadata.sha256),
        (layout.PROVENANCE_SUFFIX, file.provenance),
    ]
    for suffix, digest in sidecars:
        if digest is None:
            continue
        sidecar = _find_file(head, stored + suffix)
        if sidecar is None:
            yield f"the stored file {stored}{suffix} is missing", stored + suffix
        elif read_digest(*sidecar).sha256 != digest:
            yield f"{stored}{suffix} does not have the sha256 that the manifest says", stored + suffix


def _find_file(snapshot: Snapshot, path: str) -> tuple[Folder, str] | None:
    found = find(snapshot.root, path)
    return found if found and found[0].entries()[found[1]].kind in ("file", "executable") else None


def is_embedded(snapshot: Snapshot) -> bool:
    """Tell whether the files are kept in the repository (they are held to be where the settings cannot be read)."""
    settings = snapshot.settings_or_problem
    return not isinstance(settings, Settings) or settings.storage.is_embedded


def _stored_bytes(change: Change, stored: StoredFile) -> Iterator[Hit]:
    is_sidecar = stored.filename.endswith(_SIDECARS)
    digest = None if stored.after is None or is_sidecar else read_digest(*stored.after)
    if digest is not None and digest.sha256 != stored.sha256:
        message = f"the bytes have the sha256 {digest.sha256}, and the path says {stored.sha256}"
        advice = "take it away, and upload what belongs there: gitindex upload FILE --index USER/INDEX"
        yield Hit(
            stored.path, message, or_restore("the file has to stay", change, stored.path) if stored.before else advice
        )
    is_proven = digest is not None and not digest.is_pointer  # bytes have a size, a pointer only says one
    if stored.before is not None and not is_proven and is_embedded(change.head):
        # What a release that the change leaves alone needs has gone or is another: the release is broken by it.
        for project, version, place, file in naming(change.head, stored):
            path = project.manifest_path(version)
            for problem, at in _missing_or_other(change.head, file):
                help_ = or_restore("the stored file has to stay", change, at)
                yield Hit(path, problem, help_, change.head.line_of(path, ("files", place)))


def naming(snapshot: Snapshot, stored: StoredFile) -> Iterator[tuple[Project, str, int, File]]:
    """Yield the files of manifests that need a stored file, in all indexes: project, version, place in it, file."""
    filename = _without_sidecar(stored)
    for project, version, manifest in releases_of(snapshot, stored):
        for place, file in enumerate(manifest.files if isinstance(manifest, Manifest) else ()):
            if file.url is None and file.filename == filename and file.hashes.sha256 == stored.sha256:
                yield project, version, place, file


def releases_of(snapshot: Snapshot, stored: StoredFile) -> Iterator[tuple[Project, str, Manifest | Unreadable]]:
    """Yield the releases, in all indexes, that a stored file can be of by its name: project, version, manifest."""
    parsed = parse_filename(_without_sidecar(stored))
    for name in snapshot.index_names():
        index = snapshot.index(name)
        if index is None:
            continue
        for project_name in index.project_names() if parsed is None else (parsed.project,):
            project = index.project(project_name)
            for version in project.versions() if project else ():
                is_of_name = parsed is None or version_key(version) == parsed.key
                manifest = project.release(version) if project and is_of_name else None
                if project is not None and manifest is not None:
                    yield project, version, manifest


def _without_sidecar(stored: StoredFile) -> str:
    filename = stored.filename
    for suffix in _SIDECARS:
        filename = filename.removesuffix(suffix)
    return filename


def metadata_agrees(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """What a stored wheel or sdist says of itself is what its manifest says.

    Name, version and requires-python of METADATA (or PKG-INFO), and the sha256 of that very file where `core-metadata`
    promises it: pip stops when the promised metadata and the wheel's own disagree.
    """
    for path, place, file, facts in own_metadata(change, project):
        line = change.head.line_of(path, ("files", place))
        if isinstance(facts, Exception):
            yield Hit(
                path,
                f"the metadata of {file.filename} cannot be read: {facts}",
                f"build it again, and upload that: {upload(project.index)}",
                line,
            )
            continue
        core_metadata = None if file.core_metadata is None else file.core_metadata.sha256
        if problem := disagreement(project.name, file.filename, file.requires_python, core_metadata, facts):
            yield Hit(path, problem, rename_help(change, project, _own_help(change, project, path)), line)


def disagreement(
    project: ProjectName, filename: str, requires_python: str | None, core_metadata: str | None, facts: CoreFacts
) -> str | None:
    """Say in what a file's own metadata differs from what its manifest says; ``None`` where they agree.

    *core_metadata* is the sha256 that the manifest promises, where it does.
    """
    import hashlib  # noqa: PLC0415

    differences = []
    if normalize(facts.name) != project:
        differences.append(f"name {facts.name!r}")
    version = parse_filename(filename)
    if version is None or version_key(facts.version) != version.key:
        differences.append(f"version {facts.version!r}")
    if (facts.requires_python or None) != (requires_python or None):
        differences.append(f"requires-python {facts.requires_python!r}")
    if core_metadata is not None and hashlib.sha256(facts.metadata).hexdigest() != core_metadata:
        differences.append("other core metadata than the manifest's sha256 is of")
    return f"{filename} says of itself: {', '.join(differences)}" if differences else None


def _own_help(change: Change, project: ProjectChange, path: str) -> str:
    if change.is_released(project.index, project.name, path.rpartition("/")[2]):
        return or_restore("a released manifest keeps what it says", change, path)
    return f"build it again, or upload it as what it is: {upload(project.index)}"


@lru_cache(maxsize=1)  # two rules ask for the same project, one after the other
def own_metadata(change: Change, project: ProjectChange) -> tuple[OwnMetadata, ...]:
    """Return manifest path, place, file, and the file's own metadata or the error that kept it from being read."""
    if project.after is None or not is_embedded(change.head):
        return ()
    found = []
    for release in project.releases:
        if not isinstance(release.after, Manifest):
            continue
        path = project.after.manifest_path(release.version)
        new = {place for place, _ in release.new_files()}
        for place, file in enumerate(release.after.files):
            if file.url is None and is_safe_filename(file.filename):
                is_changed = layout.stored_path(file.hashes.sha256, file.filename) in change.stored_paths
                facts = _read_own(change.head, file) if place in new or is_changed else None
                if facts is not None:
                    found.append((path, place, file, facts))
    return tuple(found)


def _read_own(head: Snapshot, file: File) -> CoreFacts | DistributionError | None:
    from gitindex.facts import read_core_facts  # noqa: PLC0415 - only where a stored file is read

    found = _find_file(head, layout.stored_path(file.hashes.sha256, file.filename))
    if found is None or is_pointer(*found):
        return None
    try:
        with found[0].open(found[1]) as stream:
            return read_core_facts(file.filename, stream)
    except DistributionError as error:
        return error


RULES = (
    Rule(
        "GI011",
        Severity.ERROR,
        "a stored file that is missing, or whose bytes are not what the manifest says",
        (ProjectChange, StoredFile),
        stored_file_is_right,
    ),
    Rule(
        "GI012",
        Severity.ERROR,
        "a stored wheel or sdist whose own metadata disagrees with the manifest",
        (ProjectChange,),
        metadata_agrees,
    ),
)
