"""GI004 to GI007: names, versions and filenames that are what their places say."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange, ReleaseChange
from gitindex.finding import Severity
from gitindex.model import Manifest
from gitindex.names import (
    MAX_PROJECT_NAME,
    RESERVED_USERS,
    ProjectName,
    canonical_version,
    is_display_name,
    is_owner_name,
    is_project_name,
    is_user_name,
    normalize,
    parse_filename,
    version_key,
)
from gitindex.rules.hints import FIX, on_path, or_restore, quoted, upload
from gitindex.rules.rule import Hit, Rule
from gitindex.tree import EMPTY, Folder, find


def free_folder(change: Change, project: ProjectChange) -> ProjectName | None:
    """Return the normal form of a project's name, where its folder can be named so and nothing stands in the way.

    ``None`` as well where the base of a non-volatile index has the folder, or it holds more than files.
    """
    normal = normalize(project.name)
    opened = change.head.index_folder(project.index)
    if normal == project.name or not is_project_name(normal) or opened is None or project.after is None:
        return None
    names = project.after.folder.entries()
    if any(entry.kind not in ("file", "executable") for entry in names.values()):
        return None
    is_kept = change.is_frozen(project.index)
    if is_kept and (project.before is not None or project.base_is_unreadable):
        return None
    before = change.base.index_folder(project.index) if is_kept else None
    places = [opened.folder] if before is None else [opened.folder, before.folder]
    return normal if all(_is_free(folder, normal, names) for folder in places) else None


def _is_free(index: Folder, project: str, names: Collection[str]) -> bool:
    entry = index.entries().get(project)
    if entry is None:
        return True
    return entry.kind == "folder" and not index.folder(project).entries().keys() & set(names)


def free_version(change: Change, project: ProjectChange, version: str) -> str | None:
    """Return the canonical spelling of a version, where its manifest can be named so and nothing stands in the way."""
    canonical = canonical_version(version)
    if canonical is None or canonical == version or len(canonical) > MAX_PROJECT_NAME:
        return None
    names = [spelling + layout.MANIFEST_SUFFIX for spelling in (version, canonical)]
    if any(change.is_released(project.index, project.name, name) for name in names):
        return None
    entries = (project.after.folder if project.after else EMPTY).entries()
    return None if names[1] in entries else canonical


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
        yield Hit(subject.path, f"{subject.name!r} is not a project name in normal form", _folder_help(change, subject))
    for release in subject.releases:
        manifest = release.after
        if not isinstance(manifest, Manifest):
            continue
        path = subject.after.manifest_path(release.version)
        if not is_display_name(manifest.name) or normalize(manifest.name) != subject.name:
            message = f"name is {manifest.name!r}, and the folder says {subject.name!r}"
            help_ = _key_help(change, subject, release, "name")
            yield Hit(path, message, help_, change.head.line_of(path, ("name",)))
        if manifest.version != release.version:
            message = f"version is {manifest.version!r}, and the name of the file says {release.version!r}"
            help_ = _key_help(change, subject, release, "version")
            yield Hit(path, message, help_, change.head.line_of(path, ("version",)))


def _folder_help(change: Change, project: ProjectChange) -> str:
    normal = normalize(project.name)
    if not is_project_name(normal):
        return "name the folder as PEP 503 has it: lower-case letters and digits, single - between them"
    if free_folder(change, project):
        return f"name the folder {normal}: {FIX}"
    return f"name the folder {normal}; something stands in the way there, so move what is new file by file (git mv)"


def rename_help(change: Change, project: ProjectChange, help_: str) -> str:
    """Return how to get the folder of a project named right where that is what is wrong, else *help_*."""
    return help_ if is_project_name(project.name) else _folder_help(change, project)


def _key_help(change: Change, project: ProjectChange, release: ReleaseChange, key: str) -> str:
    """Say what to do about a manifest whose name or version is not its path's."""
    manifest = release.after
    assert isinstance(manifest, Manifest)  # noqa: S101 - the caller has looked
    path = layout.manifest_path(project.index, project.name, release.version)
    if change.is_released(project.index, project.name, release.version + layout.MANIFEST_SUFFIX):
        return or_restore("a released manifest keeps its name and version", change, path)
    if key == "name":
        if normalize(manifest.name.strip()) == normalize(project.name):
            return rename_help(change, project, f"write it as the folder has it: {FIX}")
        wanted = normalize(manifest.name)
        target = layout.manifest_path(project.index, wanted, release.version)
        if is_project_name(wanted) and _are_of(manifest, wanted, release.version):
            return f"put the manifest into the folder of its project, {target.rpartition('/')[0]} (git mv)"
        return f"set name to {project.name!r}, or put the manifest into the folder of its project"
    if version_key(manifest.version.strip()) == version_key(release.version):
        return f"write it as the file is named: {FIX}"
    target = layout.manifest_path(project.index, project.name, manifest.version)
    is_free = find(change.head.root, target) is None and canonical_version(manifest.version) == manifest.version
    if is_free and _are_of(manifest, project.name, manifest.version):
        return f"name the file as its version: git mv -- {quoted(path)} {quoted(target)}"
    if canonical_version(release.version) is None:
        return "name the file as its version"
    return f"set version to {release.version!r}, or name the file as its version"


def _are_of(manifest: Manifest, project: str, version: str) -> bool:
    """Tell whether all files of a manifest are named as those of a project and a version."""
    names = [parse_filename(file.filename) for file in manifest.files]
    return all(name and name.project == project and name.key == version_key(version) for name in names)


def _owner_names(change: Change) -> Iterator[Hit]:
    for user in change.users:
        if change.head.user_folder(user) is None:
            continue
        if user in RESERVED_USERS:
            yield Hit(
                layout.user_folder(user),
                f"a user cannot be named {user!r}: the site has its files there",
                f"choose another name: git mv -- {quoted(layout.user_folder(user))} {layout.user_folder('NAME')}",
            )
        elif not is_owner_name(user):
            help_ = _owner_help(layout.user_folder(user), change.head.indexes_folder)
            yield Hit(layout.user_folder(user), f"{user!r} is no name of a user", help_)
    for name, (_, after) in change.indexes.items():
        if after is not None and not is_owner_name(name.name):
            help_ = _owner_help(layout.index_folder(name), change.head.user_folder(name.user))
            yield Hit(layout.index_folder(name), f"{name.name!r} is no name of an index", help_)


def _owner_help(path: str, folder: Folder | None) -> str:
    parent, _, name = path.rpartition("/")
    likely = name.lower()
    is_free = is_user_name(likely) and folder is not None and likely not in folder.entries()
    target = likely if is_free else "NAME"
    command = f"git mv -- {quoted(path)} {quoted(f'{parent}/{target}')}"
    rule = "use lower-case letters and digits, single `.`, `_` or `-` between them, at most 64 characters"
    return f"{rule}: {command}"


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
            if free_version(change, project, version):
                help_ = f"{help_}: {FIX}"
            yield Hit(after.manifest_path(version), f"{version!r} is not in canonical form", help_)
        others = sorted(other for other in spellings[version_key(version)] if other != version) if is_crowded else ()
        if others:
            help_ = f"add the files to the release that is there ({upload(project.index)})"
            if project.before is None or version + layout.MANIFEST_SUFFIX not in project.before.folder.entries():
                help_ += f", and remove this one: {on_path('git rm -f', after.manifest_path(version))}"
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
                    _entry_help(change, project, path, "name it as the build named it"),
                    line,
                )
            else:
                message = f"{file.filename!r} is of {found.project} {found.version}"
                message += f", and this is {project.name} {release.version}"
                advice = _entry_help(change, project, path, "take it out here, and let it be put where it belongs")
                yield Hit(path, message, rename_help(change, project, advice), line)


def _entry_help(change: Change, project: ProjectChange, path: str, advice: str) -> str:
    """Return *advice* about one file of a manifest, with what does it, or takes it back."""
    if change.is_released(project.index, project.name, path.rpartition("/")[2]):
        return or_restore(advice, change, path)
    return f"{advice}: {upload(project.index)}"


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
                help_ = "keep one of the two entries, and take the other out"
                if change.is_released(project.index, project.name, path.rpartition("/")[2]):
                    help_ = or_restore(help_, change, path)
                yield Hit(path, message, help_, change.head.line_of(path, ("files", place)))
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
