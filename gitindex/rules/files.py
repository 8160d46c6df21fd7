"""GI008 to GI010 and GI013: the facts of files, and statements about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange
from gitindex.documents import KeyPath, Unreadable, dotted
from gitindex.finding import Severity
from gitindex.model import File, Manifest, ProjectStatements, Stage
from gitindex.names import (
    canonical_version,
    is_project_name,
    is_sha256,
    is_specifier_set,
    normalize,
    parse_filename,
    version_key,
)
from gitindex.rules.documents import is_about_facts, problems_of
from gitindex.rules.hints import FIX, or_restore, out_of
from gitindex.rules.rule import Hit, Rule
from gitindex.rules.stored import is_embedded, own_metadata
from gitindex.snapshot import Index, Project


def digest_and_size(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """Each file has a sha256 and a size.

    The sha256 is what lock files pin and what the store is addressed by: 64 lower-case hexadecimal digits. The size is
    a positive number of bytes (PEP 700 demands it).
    """
    for release in project.releases:
        for path, problem in problems_of(release.after):
            if is_about_facts(problem):
                yield Hit(path, problem.message, _facts_help(change, project, path), problem.line)
    for path, _, place, file in project.files():
        digests: dict[tuple[str, ...], str] = {("hashes", "sha256"): file.hashes.sha256}
        if file.core_metadata is not None:
            digests["core-metadata", "sha256"] = file.core_metadata.sha256
        if file.provenance is not None:
            digests[("provenance",)] = file.provenance
        for keys, digest in digests.items():
            if not is_sha256(digest):
                where: KeyPath = ("files", place, *keys)
                message = f"{dotted(where)} is {digest!r}, and must be 64 lower-case hexadecimal digits"
                help_ = _provenance_help(change, project, path) if keys[0] == "provenance" else None
                help_ = help_ or _facts_help(change, project, path)
                yield Hit(path, message, help_, change.head.line_of(path, where))
        if file.size <= 0:
            message = f"size of {file.filename} is {file.size}, and must be a positive number of bytes"
            help_ = _facts_help(change, project, path)
            yield Hit(path, message, help_, change.head.line_of(path, ("files", place, "size")))


def _facts_help(change: Change, project: ProjectChange, path: str, advice: str = "take it from the stored file") -> str:
    """Return *advice* about a fact of a file, with what takes it from the file, or takes the change back."""
    if change.is_released(project.index, project.name, path.rpartition("/")[2]):
        return or_restore("a released manifest keeps what it says", change, path)
    if not is_embedded(change.head):
        return "write what the file has"
    return f"{advice}: {FIX}"


def _provenance_help(change: Change, project: ProjectChange, path: str) -> str | None:
    is_released = change.is_released(project.index, project.name, path.rpartition("/")[2])
    return None if is_released else "write the sha256 of the provenance document, or leave the key out"


def requires_python_is_valid(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """`requires-python` is a valid specifier, and the one that the file itself states.

    With an invalid one pip ignores the demand and uv ignores the file; with one that differs from the file's metadata,
    resolvers plan with something else than they install.
    """
    for path, _, place, file in project.files():
        if file.requires_python is not None and not is_specifier_set(file.requires_python):
            message = f"requires-python of {file.filename} is {file.requires_python!r}, which is no version specifier"
            advice = "write it as PEP 440 has it, such as >=3.11"
            help_ = advice if file.url else _facts_help(change, project, path, f"{advice}, or take it from the file")
            yield Hit(path, message, help_, change.head.line_of(path, ("files", place, "requires-python")))
    for path, place, file, facts in own_metadata(change, project):
        if not isinstance(facts, Exception) and (facts.requires_python or None) != (file.requires_python or None):
            stated = f"requires-python of {file.filename} is {file.requires_python!r}"
            yield Hit(
                path,
                f"{stated}, and the file says {facts.requires_python!r}",
                _demand_help(change, project, path, file, facts.requires_python),
                change.head.line_of(path, ("files", place, "requires-python")),
            )


def _demand_help(change: Change, project: ProjectChange, path: str, file: File, stated: str | None) -> str:
    advice = "state what the file says"
    advice += f' ("requires-python": {json.dumps(stated)})' if stated else " (no requires-python)"
    is_missing = not file.requires_python or not is_specifier_set(file.requires_python)
    if is_missing or change.is_released(project.index, project.name, path.rpartition("/")[2]):
        return _facts_help(change, project, path, advice)
    return advice  # what is well-formed is changed by people alone


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
                    _or_restore_statements("write https://host/folder/", change, project, ("sources", source)),
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
            advice = f"use an https URL below a source that {path} names"
            if _url_problem(file.url) is None and problem.startswith("it is outside"):
                source = json.dumps(file.url.rpartition("/")[0] + "/")
                advice = f"{advice}, or add the source there, for all to see: sources = [{source}]"
            if change.is_released(project.index, project.name, manifest_path.rpartition("/")[2]):
                # The url of a released file is a fact; where it has not changed, the sources have.
                advice = f"keep the sources of released files in {path}"
                before = project.before and project.before.release(
                    manifest_path.rpartition("/")[2].removesuffix(".json")
                )
                is_as_it_was = isinstance(before, Manifest) and file in before.files
                advice = or_restore(advice, change, path if is_as_it_was else manifest_path)
            yield Hit(manifest_path, f"the url {file.url!r} cannot be used: {problem}", advice, line)


def _files_with_url(project: ProjectChange) -> Iterator[tuple[str, str, int, File]]:
    if project.after is not None and project.touches(layout.PROJECT) and not project.is_whole:
        # Other sources concern every file of the project, not only those of the releases that differ.
        for version, manifest in project.after.releases():
            for place, file in enumerate(manifest.files):
                if file.url is not None:
                    yield project.after.manifest_path(version), version, place, file
        return
    yield from (found for found in project.files() if found[3].url is not None)


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
                normal = normalize(entry.strip())
                help_ = f"write {normal!r}: {FIX}"
                if not is_project_name(normal):
                    advice = "write the name of a project, or '*' for all"
                    help_ = out_of(subject.name, "mirror_whitelist", entry, advice)
                yield Hit(
                    subject.path,
                    f"mirror_whitelist has {entry!r}, which is no project name in normal form",
                    help_,
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
                _yank_help(change, subject, key),
                line,
            )


def _yank_help(change: Change, project: ProjectChange, key: str) -> str:
    assert project.after is not None  # noqa: S101 - the caller has looked
    if spelling := released_spelling(project.after, key):
        return f"write {spelling!r}: {FIX}"
    advice = "name a version or a file that is there, or remove the line"
    return _or_restore_statements(advice, change, project, ("yanked", key))


def released_spelling(project: Project, key: str) -> str | None:
    """Return how the one release is named that *key* spells otherwise; ``None`` where there is none."""
    if parse_filename(key) is not None:
        return None
    found = [version for version in project.versions() if version_key(version) == version_key(key.strip())]
    return found[0] if len(found) == 1 and canonical_version(found[0]) == found[0] else None


def _or_restore_statements(advice: str, change: Change, project: ProjectChange, wrong: tuple[str, str]) -> str:
    """Return *advice* about `project.toml`, and how to get back to what it was where that had not what is *wrong*."""
    before = project.before.statements if project.before else None
    if not isinstance(before, ProjectStatements) or wrong[1] in getattr(before, wrong[0]):
        return advice
    return or_restore(advice, change, layout.statements_path(project.index, project.name))


def _is_released(project: Project, key: str) -> bool:
    if project.release(key) is not None and canonical_version(key) == key:
        return True
    found = parse_filename(key)
    if found is None:
        return False
    for version in project.versions():
        if version_key(version) == found.key:
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
        "GI013",
        Severity.ERROR,
        "a yank or mirror_whitelist entry that is malformed or names nothing",
        (Index, ProjectChange),
        statement_names_something,
    ),
)
