"""GI404 to GI406: releases that installers do not choose, or whose files come late.

They warn: each may be right, and a person decides. None speaks of what the base had already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange
from gitindex.finding import Severity
from gitindex.model import File, Manifest, ProjectStatements
from gitindex.names import canonical_version, is_prerelease, latest_version, parse_filename, version_key
from gitindex.rules.rule import Hit, Rule
from gitindex.snapshot import Project

_OPEN = timedelta(days=14)
"""How long PyPI takes files for a release."""


def release_is_open(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A file is added to a release within 14 days.

    A release that people have looked at and locked is settled; a file that appears in it later is often a mistake, and
    is how a stolen account would reach those who pinned the version. PyPI closes releases after 14 days. The times are
    the manifest's own: from the first file that the release had to the one that is added. Where a file has no
    `upload-time`, nothing can be said. Release a new version, such as a post-release (`1.0.post1`).
    """
    for release in project.releases:
        if not isinstance(release.before, Manifest) or not isinstance(release.after, Manifest):
            continue
        first = min((time for file in release.before.files if (time := _uploaded(file))), default=None)
        known = {file.filename for file in release.before.files}
        for place, file in enumerate(release.after.files if first else ()):
            time = _uploaded(file)
            if file.filename in known or first is None or time is None or time - first <= _OPEN:
                continue
            path = layout.manifest_path(project.index, project.name, release.version)
            message = f"{file.filename} is added to {project.name} {release.version}"
            message += f" {(time - first).days} days after its first file, {first:%Y-%m-%d}"
            yield Hit(
                path, message, "release a new version instead", change.head.line_of(path, ("files", place, "filename"))
            )


def _uploaded(file: File) -> datetime | None:
    return datetime.fromisoformat(file.upload_time) if file.upload_time else None


def version_is_the_newest(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A new release is the newest of its project.

    Installers take the highest version, so nobody gets a lower one without asking for it: the number may be a slip. It
    is compared with what the index had and keeps. A final release is compared with final ones alone, since a
    pre-release is taken only by those who ask for it: 1.5 may follow 2.0rc1. A pre-release is compared with all.
    Yanked releases do not count: 1.9.1 may follow a yanked 2.0. A fix for an older series is a good reason to go on.
    """
    before, after = project.before, project.after
    if before is None or after is None:
        return
    had = set(before.versions())
    new = [version for version in project.versions if version not in had and canonical_version(version) == version]
    present = set(after.versions()) if new else frozenset()
    kept = sorted(had & present)
    for is_taken in (kept, [version for version in kept if not is_prerelease(version)]) if new else ():
        added = [version for version in new if version in present and is_prerelease(version) == (is_taken is kept)]
        if older := _older(added, latest_version(is_taken)):
            yanked = _yanked(after)
            newest = latest_version(version for version in is_taken if version_key(version) not in yanked)
            for version in _older(older, newest):
                if not isinstance(after.release(version), Manifest):  # GI001 and GI002 say what it is
                    continue
                path = after.manifest_path(version)
                message = f"{project.name} {version} is new in {project.index}, and lower than its {newest}"
                help_ = "correct the version; as a fix for an older series it may stay"
                yield Hit(path, message, help_, change.head.line_of(path, ("version",)))


def _older(versions: Iterable[str], newest: str | None) -> list[str]:
    if newest is None:
        return []
    return [version for version in versions if latest_version((version, newest)) != version]


def newest_is_not_yanked(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A newest version that is yanked has a successor.

    Once it is yanked, with each of its files, installers silently go back to an older one, with the faults that the
    newest had mended. Newest is the highest final version; the highest pre-release only where there is no final one.
    Release a higher version: the mended one, or the one before it again.
    """
    before, after = project.before, project.after
    if after is None or not (project.touches(layout.PROJECT) or _has_lost_a_version(project)):
        return
    versions = set(after.versions())
    if before is not None and change.is_frozen(project.index):
        versions.update(before.versions())  # GI203 wants them back
    newest = _yanked_newest(after, versions)
    if newest is not None and (before is None or _yanked_newest(before, before.versions()) != newest):
        path = layout.statements_path(project.index, project.name)
        message = f"{project.name} {newest} is the newest version in {project.index}, and yanked"
        line = change.head.line_of(path, ("yanked", newest))
        yield Hit(path, message, "release a higher version to follow it", line)


def _has_lost_a_version(project: ProjectChange) -> bool:
    present = set(project.after.versions()) if project.after else set()
    return any(version not in present for version in project.versions)


def _yanked_newest(project: Project, versions: Iterable[str]) -> str | None:
    yanked = _yanked(project)
    if not yanked:
        return None
    listed = sorted(versions)
    newest = latest_version(version for version in listed if not is_prerelease(version)) or latest_version(listed)
    return newest if newest is not None and version_key(newest) in yanked else None


def _yanked(project: Project) -> frozenset[object]:
    """Return the keys of the versions that are yanked as a whole: by version, or each file by its name."""
    statements = project.statements
    entries = statements.yanked if isinstance(statements, ProjectStatements) else {}
    found = set()
    for entry in entries:
        if not entry.endswith((".whl", ".tar.gz", ".zip")):
            found.add(version_key(entry))
        elif (named := parse_filename(entry)) is not None:
            manifest = project.release(named.canonical)
            if isinstance(manifest, Manifest) and all(file.filename in entries for file in manifest.files):
                found.add(named.key)
    return frozenset(found)


RULES = (
    Rule(
        "GI404",
        Severity.WARNING,
        "a file added to a version released more than 14 days before (PyPI closes releases then)",
        (ProjectChange,),
        release_is_open,
    ),
    Rule(
        "GI405",
        Severity.WARNING,
        "a release whose version is lower than the newest one",
        (ProjectChange,),
        version_is_the_newest,
    ),
    Rule(
        "GI406",
        Severity.WARNING,
        "a yanked newest version with nothing newer",
        (ProjectChange,),
        newest_is_not_yanked,
    ),
)
