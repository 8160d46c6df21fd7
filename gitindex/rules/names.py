"""GI004 to GI007: names, versions and filenames that are what their places say."""

from __future__ import annotations

from collections.abc import Iterator

from gitindex import layout
from gitindex.compare import Change, ProjectChange
from gitindex.finding import Severity
from gitindex.model import Manifest
from gitindex.names import (
    MAX_PROJECT_NAME,
    RESERVED_USERS,
    canonical_version,
    is_display_name,
    is_owner_name,
    is_project_name,
    normalize,
    parse_filename,
    version_key,
)
from gitindex.rules.rule import Hit, Rule


def name_is_its_path(change: Change, subject: Change | ProjectChange) -> Iterator[Hit]:
    """Names are in normal form, and a manifest says the name and the version of its path.

    Project folders are named in the normal form of PEP 503 (`Foo.Bar` is `foo-bar`), so that two spellings cannot be
    two projects. Users and indexes are named `[a-z0-9]+([._-][a-z0-9]+)*`, at most 64 characters. The manifest may
    spell the project's name as its authors do, as long as it is the same name.
    """
    if isinstance(subject, Change):
        yield from _owner_names(subject)
        return
    if subject.after is None:
        return
    if not is_project_name(subject.name):
        normal = normalize(subject.name)
        help_ = f"name the folder {normal}" if is_project_name(normal) else "name the folder as PEP 503 has it"
        yield Hit(subject.path, f"{subject.name!r} is not a project name in normal form", help_)
    for release in subject.releases:
        manifest = release.after
        if not isinstance(manifest, Manifest):
            continue
        path = subject.after.manifest_path(release.version)
        if not is_display_name(manifest.name) or normalize(manifest.name) != subject.name:
            message = f"name is {manifest.name!r}, and the folder says {subject.name!r}"
            yield Hit(
                path,
                message,
                "put the manifest into the folder of its project",
                change.head.line_of(path, ("name",)),
            )
        if manifest.version != release.version:
            message = f"version is {manifest.version!r}, and the name of the file says {release.version!r}"
            yield Hit(path, message, "name the file as its version", change.head.line_of(path, ("version",)))


def _owner_names(change: Change) -> Iterator[Hit]:
    for user in change.users:
        if change.head.user_folder(user) is None:
            continue
        if user in RESERVED_USERS:
            yield Hit(
                layout.user_folder(user),
                f"a user cannot be named {user!r}: the site has its files there",
                "choose another name",
            )
        elif not is_owner_name(user):
            yield Hit(layout.user_folder(user), f"{user!r} is no name of a user", _OWNER_HELP)
    for name, (_, after) in change.indexes.items():
        if after is not None and not is_owner_name(name.name):
            yield Hit(layout.index_folder(name), f"{name.name!r} is no name of an index", _OWNER_HELP)


_OWNER_HELP = "use lower-case letters and digits, single `.`, `_` or `-` between them, at most 64 characters"


def version_is_canonical(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """Each version is spelled canonically (PEP 440), and no two of a project are equal.

    `1.0`, `1.0.0` and `v1.0` are one version to every resolver: pip takes whichever is listed last, uv takes the first.
    The canonical spelling is what `str(packaging.version.Version(text))` gives; trailing zeros stay as they are.
    """
    after = project.after
    if after is None:
        return
    present = set(after.versions())
    touched = [version for version in project.versions if version in present]
    spellings: dict[object, list[str]] = {}
    for version in present if touched else ():
        spellings.setdefault(version_key(version), []).append(version)
    is_crowded = len(spellings) < len(present)
    for version in touched:
        canonical = canonical_version(version)
        if len(version) > MAX_PROJECT_NAME:
            yield Hit(after.manifest_path(version), f"a version of {len(version)} characters", "use a shorter one")
        if canonical is None:
            help_ = "versions are written as PEP 440 has them, such as 1.4.0 or 2.0rc1"
            yield Hit(after.manifest_path(version), f"{version!r} is no version", help_)
        elif canonical != version:
            help_ = f"name it {canonical}{layout.MANIFEST_SUFFIX}, and say so in it"
            yield Hit(after.manifest_path(version), f"{version!r} is not in canonical form", help_)
        others = sorted(other for other in spellings[version_key(version)] if other != version) if is_crowded else ()
        if others:
            help_ = "add the files to the release that is there, or choose another version"
            message = f"{version} is the same version as {', '.join(others)}"
            yield Hit(after.manifest_path(version), message, help_)


def filename_is_of_release(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """Each file is named as a wheel or an sdist of this project and version.

    Installers read name, version and tags from the filename alone (PEP 427, PEP 625): a file that says something else
    is invisible, or worse, another project's. `foo-1.0-1.tar.gz`, for instance, is version 1 of `foo-1-0`.
    """
    if project.after is None:
        return
    for release in project.releases:
        if not isinstance(release.after, Manifest):
            continue
        path = project.after.manifest_path(release.version)
        for place, file in enumerate(release.after.files):
            found = parse_filename(file.filename)
            if found is not None and found.project == project.name and found.key == version_key(release.version):
                continue
            line = change.head.line_of(path, ("files", place, "filename"))
            if found is None:
                yield Hit(
                    path,
                    f"{file.filename!r} is not the name of a wheel or an sdist",
                    "use the name that the build gave it",
                    line,
                )
            else:
                message = f"{file.filename!r} is of {found.project} {found.version}"
                message += f", and this is {project.name} {release.version}"
                yield Hit(path, message, "put it into the manifest of its own project and version", line)


def filename_is_unique(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A filename stands once in a project of an index.

    A page shows one file of a name; which of two an installer would get would be left to chance.
    """
    if project.after is None:
        return
    for release in project.releases:
        if not isinstance(release.after, Manifest):
            continue
        path = project.after.manifest_path(release.version)
        seen: set[str] = set()
        for place, file in enumerate(release.after.files):
            elsewhere = _manifest_with(project, release.version, file.filename)
            if file.filename in seen or elsewhere:
                message = f"{file.filename!r} stands {'also in ' + elsewhere if elsewhere else 'twice here'}"
                yield Hit(path, message, "keep one of the two", change.head.line_of(path, ("files", place)))
            seen.add(file.filename)


def _manifest_with(project: ProjectChange, version: str, filename: str) -> str | None:
    """Return the manifest of another version that names the file: the one that its name points to."""
    found = parse_filename(filename)
    assert project.after is not None  # noqa: S101 - the caller has looked
    if found is None or (found.project == project.name and found.canonical == version):
        return None
    for other in project.after.versions():
        if other != version and version_key(other) == found.key:
            manifest = project.after.release(other)
            if isinstance(manifest, Manifest) and any(file.filename == filename for file in manifest.files):
                return other + layout.MANIFEST_SUFFIX
    return None


RULES = (
    Rule(
        "GI004",
        Severity.ERROR,
        "a name that is not normalised, or a manifest whose name or version is not its path's",
        (Change, ProjectChange),
        name_is_its_path,
    ),
    Rule(
        "GI005",
        Severity.ERROR,
        "a version that is not canonical, or two manifests of a project whose versions are equal",
        (ProjectChange,),
        version_is_canonical,
    ),
    Rule(
        "GI006",
        Severity.ERROR,
        "a filename that is no wheel or sdist name, or not of this project and version",
        (ProjectChange,),
        filename_is_of_release,
    ),
    Rule(
        "GI007",
        Severity.ERROR,
        "one filename twice in a project of an index",
        (ProjectChange,),
        filename_is_unique,
    ),
)
