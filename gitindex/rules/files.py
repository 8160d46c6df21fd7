"""GI008 to GI013: the facts of files, the stored bytes behind them, and statements about them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from gitindex import layout
from gitindex.compare import Change, ProjectChange, StoredFile
from gitindex.documents import KeyPath, Unreadable, dotted
from gitindex.errors import DistributionError
from gitindex.finding import Severity
from gitindex.model import File, Manifest, ProjectStatements, Settings, Stage
from gitindex.names import (
    canonical_version,
    is_project_name,
    is_safe_filename,
    is_sha256,
    is_specifier_set,
    normalize,
    parse_filename,
    parse_version,
)
from gitindex.rules.documents import is_about_facts, problems_of
from gitindex.rules.rule import Hit, Rule
from gitindex.snapshot import Index, Project, Snapshot
from gitindex.stored import is_pointer, read_digest, read_size
from gitindex.tree import Folder, find

if TYPE_CHECKING:
    from gitindex.facts import CoreFacts

    OwnMetadata = tuple[str, int, File, CoreFacts | DistributionError]

_SIDECARS = (layout.METADATA_SUFFIX, layout.PROVENANCE_SUFFIX)


def files_of(project: ProjectChange) -> Iterator[tuple[str, str, int, File]]:
    """Yield manifest path, version, place and file for each file of the releases that are checked."""
    if project.after is None:
        return
    for release in project.releases:
        if isinstance(release.after, Manifest):
            path = project.after.manifest_path(release.version)
            for place, file in enumerate(release.after.files):
                yield path, release.version, place, file


def digest_and_size(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """Each file has a sha256 and a size.

    The sha256 is what lock files pin and what the store is addressed by: 64 lower-case hexadecimal digits. The size is
    a positive number of bytes (PEP 700 demands it).
    """
    for release in project.releases:
        for path, problem in problems_of(release.after):
            if is_about_facts(problem):
                yield Hit(path, problem.message, "let `gitindex upload` write it from the file", problem.line)
    for path, _, place, file in files_of(project):
        digests: dict[tuple[str, ...], str] = {("hashes", "sha256"): file.hashes.sha256}
        if file.core_metadata is not None:
            digests["core-metadata", "sha256"] = file.core_metadata.sha256
        if file.provenance is not None:
            digests[("provenance",)] = file.provenance
        for keys, digest in digests.items():
            if not is_sha256(digest):
                where: KeyPath = ("files", place, *keys)
                message = f"{dotted(where)} is {digest!r}, and must be 64 lower-case hexadecimal digits"
                yield Hit(
                    path,
                    message,
                    "let `gitindex upload` write it from the file",
                    change.head.line_of(path, where),
                )
        if file.size <= 0:
            message = f"size of {file.filename} is {file.size}, and must be a positive number of bytes"
            yield Hit(
                path,
                message,
                "let `gitindex upload` write it from the file",
                change.head.line_of(path, ("files", place, "size")),
            )


def requires_python_is_valid(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """`requires-python` is a valid specifier, and the one that the file itself states.

    With an invalid one pip ignores the demand and uv ignores the file; with one that differs from the file's metadata,
    resolvers plan with something else than they install.
    """
    for path, _, place, file in files_of(project):
        if file.requires_python is not None and not is_specifier_set(file.requires_python):
            message = f"requires-python of {file.filename} is {file.requires_python!r}, which is no version specifier"
            yield Hit(
                path,
                message,
                "write it as PEP 440 has it, such as >=3.11",
                change.head.line_of(path, ("files", place, "requires-python")),
            )
    for path, place, file, facts in _own_metadata(change, project):
        if not isinstance(facts, Exception) and (facts.requires_python or None) != (file.requires_python or None):
            stated = f"requires-python of {file.filename} is {file.requires_python!r}"
            yield Hit(
                path,
                f"{stated}, and the file says {facts.requires_python!r}",
                "state what the file says",
                change.head.line_of(path, ("files", place, "requires-python")),
            )


def url_is_trustworthy(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A file that is hosted elsewhere has a plain https URL below one of the project's `sources`.

    The URL ends in the filename (pip reads the name from it) and has no credentials, query or fragment, and no `.` or
    `..` that could lead out of the source. Which sources are right is written in `project.toml`, so that a new one is
    seen in review.
    """
    statements = project.statements
    path = layout.statements_path(project.index, project.name)
    sources = [source for source in statements.sources if _url_problem(source) is None and source.endswith("/")]
    if project.touches(layout.PROJECT):
        for source in statements.sources:
            if source not in sources:
                reason = _url_problem(source) or "it does not end in /"
                line = change.head.line_of(path, ("sources",))
                yield Hit(
                    path,
                    f"the source {source!r} cannot be used: {reason}",
                    "write https://host/folder/",
                    line,
                )
    for manifest_path, _, place, file in _files_with_url(project):
        assert file.url is not None  # noqa: S101 - that is what was asked for
        problem = _url_problem(file.url)
        if problem is None and unquote(file.url.rpartition("/")[2]) != file.filename:
            problem = f"it does not end in /{file.filename}"
        elif problem is None and not file.url.startswith(tuple(sources)):
            problem = f"it is outside the sources of {project.name} ({', '.join(sources) or 'there are none'})"
        if problem:
            line = change.head.line_of(manifest_path, ("files", place, "url"))
            yield Hit(
                manifest_path,
                f"the url {file.url!r} cannot be used: {problem}",
                f"use an https URL below a source that {path} names",
                line,
            )


def _files_with_url(project: ProjectChange) -> Iterator[tuple[str, str, int, File]]:
    if project.after is not None and project.touches(layout.PROJECT) and not project.is_whole:
        # Other sources concern every file of the project, not only those of the releases that differ.
        for version, manifest in project.after.releases():
            for place, file in enumerate(manifest.files):
                if file.url is not None:
                    yield project.after.manifest_path(version), version, place, file
        return
    yield from (found for found in files_of(project) if found[3].url is not None)


def _url_problem(url: str) -> str | None:
    if not url.isascii() or not url.isprintable() or any(character in url for character in " \\\"'<>`"):
        return "it has a character that a URL cannot have"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if parts.scheme != "https" or not url.startswith("https://") or not host:
        return "it is not an absolute https URL"
    if "@" in parts.netloc:
        return "it has credentials"
    if "#" in url or "?" in url:
        return "it has a query or a fragment"
    if (
        any(unquote(segment) in (".", "..") for segment in parts.path.split("/"))
        or "%2f" in url.lower()
        or "%5c" in url.lower()
    ):
        return "its path can lead elsewhere"
    return None


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
    for path, _, place, file in files_of(subject):
        if file.url is None and is_sha256(file.hashes.sha256) and is_safe_filename(file.filename):
            for problem in _missing_or_other(change.head, file):
                yield Hit(
                    path,
                    problem,
                    "upload the file again: gitindex upload",
                    change.head.line_of(path, ("files", place)),
                )


def _missing_or_other(head: Snapshot, file: File) -> Iterator[str]:
    stored = layout.stored_path(file.hashes.sha256, file.filename)
    found = _find_file(head, stored)
    if found is None:
        yield f"the stored file {stored} is missing"
    elif (size := read_size(*found)) != file.size:
        yield f"size of {file.filename} is {file.size:,}, and the stored file has {size:,} bytes"
    sidecars: list[tuple[str, str | None]] = [
        (layout.METADATA_SUFFIX, None if file.core_metadata is None else file.core_metadata.sha256),
        (layout.PROVENANCE_SUFFIX, file.provenance),
    ]
    for suffix, digest in sidecars:
        if digest is None:
            continue
        sidecar = _find_file(head, stored + suffix)
        if sidecar is None:
            yield f"the stored file {stored}{suffix} is missing"
        elif read_digest(*sidecar).sha256 != digest:
            yield f"{stored}{suffix} does not have the sha256 that the manifest says"


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
        yield Hit(stored.path, message, "restore the file, or upload it again: gitindex upload")
    is_proven = digest is not None and not digest.is_pointer  # bytes have a size, a pointer only says one
    if stored.before is not None and not is_proven and is_embedded(change.head):
        # What a release that the change leaves alone needs has gone or is another: the release is broken by it.
        for project, version, place, file in naming(change.head, stored):
            path = project.manifest_path(version)
            for problem in _missing_or_other(change.head, file):
                yield Hit(path, problem, "restore the stored file", change.head.line_of(path, ("files", place)))


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
                is_of_name = parsed is None or parse_version(version) == parsed.version
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
    for path, place, file, facts in _own_metadata(change, project):
        line = change.head.line_of(path, ("files", place))
        if isinstance(facts, Exception):
            yield Hit(
                path,
                f"the metadata of {file.filename} cannot be read: {facts}",
                "build it again, and upload that",
                line,
            )
            continue
        import hashlib  # noqa: PLC0415

        differences = []
        if normalize(facts.name) != project.name:
            differences.append(f"name {facts.name!r}")
        version = parse_filename(file.filename)
        if version is None or parse_version(facts.version) != version.version:
            differences.append(f"version {facts.version!r}")
        if (facts.requires_python or None) != (file.requires_python or None):
            differences.append(f"requires-python {facts.requires_python!r}")
        if file.core_metadata is not None and hashlib.sha256(facts.metadata).hexdigest() != file.core_metadata.sha256:
            differences.append("other core metadata than the manifest's sha256 is of")
        if differences:
            yield Hit(
                path,
                f"{file.filename} says of itself: {', '.join(differences)}",
                "build it again, or upload it as what it is",
                line,
            )


@lru_cache(maxsize=1)  # two rules ask for the same project, one after the other
def _own_metadata(change: Change, project: ProjectChange) -> tuple[OwnMetadata, ...]:
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


def statement_names_something(change: Change, subject: Index | ProjectChange) -> Iterator[Hit]:
    """A yank names a version or a file that is there, and `mirror_whitelist` holds project names.

    A yank of something that does not exist protects nobody. In `[yanked]` a key is the canonical version or the
    filename. A `mirror_whitelist` entry is a project name in normal form, or `*`.
    """
    if isinstance(subject, Index):
        entries = subject.definition.mirror_whitelist if isinstance(subject.definition, Stage) else ()
        for entry in entries if subject.name in change.changed_definitions else ():
            if entry != "*" and not is_project_name(entry):
                line = change.head.line_of(subject.path, ("mirror_whitelist",))
                yield Hit(
                    subject.path,
                    f"mirror_whitelist has {entry!r}, which is no project name in normal form",
                    f"write {normalize(entry)!r}, or '*'",
                    line,
                )
        return
    if subject.after is None or not isinstance(subject.after.statements, ProjectStatements):
        return
    path = layout.statements_path(subject.index, subject.name)
    for key in subject.after.statements.yanked:
        if not _is_released(subject.after, key):
            line = change.head.line_of(path, ("yanked", key))
            yield Hit(
                path,
                f"[yanked] names {key!r}, and there is no such version or file in {subject.index}",
                f"name one that is there, or remove the line: gitindex list {subject.name} --index {subject.index}",
                line,
            )


def _is_released(project: Project, key: str) -> bool:
    if project.release(key) is not None and canonical_version(key) == key:
        return True
    found = parse_filename(key)
    if found is None:
        return False
    for version in project.versions():
        if parse_version(version) == found.version:
            manifest = project.release(version)
            if isinstance(manifest, Unreadable) or (
                manifest is not None and any(f.filename == key for f in manifest.files)
            ):
                return True
    return False


RULES = (
    Rule(
        "GI008",
        Severity.ERROR,
        "a missing or malformed sha256, or a size that is no positive integer",
        (ProjectChange,),
        digest_and_size,
    ),
    Rule(
        "GI009",
        Severity.ERROR,
        "an invalid requires-python, or one that differs from the file's own metadata",
        (ProjectChange,),
        requires_python_is_valid,
    ),
    Rule(
        "GI010",
        Severity.ERROR,
        "a url that is not plain https, or is outside the project's sources",
        (ProjectChange,),
        url_is_trustworthy,
    ),
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
    Rule(
        "GI013",
        Severity.ERROR,
        "a yank or mirror_whitelist entry that is malformed or names nothing",
        (Index, ProjectChange),
        statement_names_something,
    ),
)
