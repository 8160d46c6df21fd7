"""The index repository at one revision, typed, and opened lazily: a project's folder is read when it is asked for.

What is there and cannot be read is a value (:class:`Unreadable`); what is not part of the layout is a :class:`Stray`.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gitindex import documents, layout
from gitindex.documents import Problem, Unreadable
from gitindex.errors import CannotRunError
from gitindex.model import FORMAT, Definition, Manifest, Mirror, ProjectStatements, Settings, Stage, TestResults, User
from gitindex.names import IndexName, ProjectName, UserName, normalize, parse_index_name
from gitindex.plain import plain_versions, read as read_plain
from gitindex.released import ReleasedFile, files_of, is_fit
from gitindex.tree import EMPTY, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gitindex.documents import KeyPath, Lines
    from gitindex.tree import Entry, Folder, Kind

T = TypeVar("T")


class Stray(NamedTuple):
    """An entry that has no place in the layout, or is not a plain file or folder."""

    path: str
    kind: Kind
    is_misplaced: bool
    """Whether nothing of the layout has this path; else it is its kind that is wrong."""
    wanted: str
    """What belongs in that folder, for the message."""


class Released(NamedTuple):
    """One version of a project: its name as its authors spell it, and its files; or why these cannot be read."""

    version: str
    name: str
    files: tuple[ReleasedFile, ...] | Unreadable


def _released(path: str, version: str, manifest: Manifest | Unreadable | None) -> Released:
    if isinstance(manifest, Manifest):
        files = files_of(manifest)
        unfit = next((file.filename for file in files if not is_fit(file)), None)
        if unfit is None:
            return Released(version, manifest.name, files)
        manifest = Unreadable(path, (Problem(f"{unfit!r} cannot be shown: its facts are malformed"),))
    return Released(version, "", manifest or ())


class Project:
    """A project of one index: its folder, with manifests and statements."""

    def __init__(self, index: IndexName, name: ProjectName, folder: Folder) -> None:
        self.index = index
        self.name = name
        self.folder = folder
        self.path = layout.project_folder(index, name)
        self._releases: dict[str, Manifest | Unreadable | None] = {}

    def versions(self) -> Iterator[str]:
        """Return the versions as the names of the manifests spell them, sorted as text."""
        suffix = layout.MANIFEST_SUFFIX
        return (name.removesuffix(suffix) for name in sorted(self.folder.entries()) if layout.is_manifest(name))

    def release(self, version: str) -> Manifest | Unreadable | None:
        """Read the manifest of a version; ``None`` where there is none."""
        if version not in self._releases:
            self._releases[version] = _read(
                self.folder, version + layout.MANIFEST_SUFFIX, self.path, documents.read_manifest
            )
        return self._releases[version]

    def plain_versions(self) -> Iterator[str]:
        """Yield the versions whose manifests are plain: proven to be in order (:mod:`gitindex.plain`)."""
        return plain_versions(self.folder.files(), self.name)

    def releases(self) -> Iterator[tuple[str, Manifest]]:
        """Yield the versions whose manifests can be read, with the manifests."""
        for version in self.versions():
            manifest = self.release(version)
            if isinstance(manifest, Manifest):
                yield version, manifest

    @cached_property
    def released(self) -> tuple[Released, ...]:
        """Each version with its name and files, or why its manifest cannot be read; quicker than :meth:`release`."""
        suffix = layout.MANIFEST_SUFFIX
        found: dict[str, Released] = {}
        seen = 0
        for seen, (name, data) in enumerate(self.folder.files(), 1):  # noqa: B007 - counted for after the loop
            if layout.is_manifest(name):
                version = name.removesuffix(suffix)
                plain = read_plain(data)
                if plain is not None:
                    found[version] = Released(version, plain[0], plain[2])
                else:
                    found[version] = _released(
                        self.manifest_path(version), version, documents.read_manifest(f"{self.path}/{name}", data)
                    )
        if seen < len(self.folder.entries()):  # an executable file, a link: not among the plain ones
            for version in self.versions():
                if version not in found:
                    found[version] = _released(self.manifest_path(version), version, self.release(version))
        return tuple(found[version] for version in sorted(found))

    def tested_versions(self) -> Iterator[str]:
        """Return the versions that have results of tests, sorted as text."""
        suffix = layout.RESULTS_SUFFIX
        return (name.removesuffix(suffix) for name in sorted(self.folder.entries()) if name.endswith(suffix))

    def results(self, version: str) -> TestResults | Unreadable | None:
        """Read what came of testing a version; ``None`` where nothing is known of it."""
        return _read(self.folder, version + layout.RESULTS_SUFFIX, self.path, documents.read_results)

    @cached_property
    def statements(self) -> ProjectStatements | Unreadable | None:
        """What `project.toml` says; ``None`` where there is none."""
        return _read(self.folder, layout.PROJECT, self.path, documents.read_statements)

    def manifest_path(self, version: str) -> str:
        """Return the path of the manifest of a version."""
        return layout.manifest_path(self.index, self.name, version)

    @cached_property
    def strays(self) -> tuple[Stray, ...]:
        """What does not belong into the folder of a project."""
        wanted = "<version>.json, <version>.tests.json and project.toml"
        odd = [
            (name, entry)
            for name, entry in self.folder.entries().items()
            if entry.kind != "file" or not (name.endswith(layout.MANIFEST_SUFFIX) or name == layout.PROJECT)
        ]
        return tuple(
            stray for name, entry in odd for stray in _stray(self.path, name, entry, _document_kind(name), wanted)
        )


def _document_kind(name: str) -> Kind | None:
    return "file" if name == layout.PROJECT or name.endswith(layout.MANIFEST_SUFFIX) else None


class Index:
    """An index: its definition and its projects."""

    def __init__(self, name: IndexName, folder: Folder) -> None:
        self.name = name
        self.folder = folder
        self._last: Project | None = None  # several indexes ask for one project in turn

    @property
    def path(self) -> str:
        """The path of `index.toml`."""
        return layout.index_path(self.name)

    @cached_property
    def definition(self) -> Definition | Unreadable | None:
        """What `index.toml` says; ``None`` where there is none, and so no index."""
        return _read(self.folder, layout.INDEX, layout.index_folder(self.name), documents.read_definition)

    @property
    def is_mirror(self) -> bool:
        """Whether it shows another index."""
        return isinstance(self.definition, Mirror)

    @property
    def is_volatile(self) -> bool:
        """Whether releases may be replaced or removed; an index that cannot be read is held to be non-volatile."""
        return isinstance(self.definition, Stage) and self.definition.volatile

    @property
    def bases(self) -> tuple[IndexName, ...]:
        """The bases that are well-formed names, each once, in order."""
        if not isinstance(self.definition, Stage):
            return ()
        names = (parse_index_name(base) for base in self.definition.bases)
        return tuple(dict.fromkeys(name for name in names if name is not None))

    @cached_property
    def whitelist(self) -> frozenset[str]:
        """The projects that a mirror may add to although they are ours; `*` stands for all."""
        return frozenset(self.definition.mirror_whitelist) if isinstance(self.definition, Stage) else frozenset()

    def project_names(self) -> Iterator[ProjectName]:
        """Yield the names of the project folders, sorted, whether or not they are valid names."""
        for name, entry in sorted(self.folder.entries().items()):
            if entry.kind == "folder":
                yield ProjectName(name)

    def project(self, name: str) -> Project | None:
        """Open a project; ``None`` where it has no folder."""
        if self._last is None or self._last.name != name:
            entry = self.folder.entries().get(name)
            if entry is None or entry.kind != "folder":
                return None
            self._last = Project(self.name, ProjectName(name), self.folder.folder(name))
        return self._last

    def has_project(self, name: str) -> bool:
        """Tell whether the name is taken in this index."""
        entry = self.folder.entries().get(name)
        return entry is not None and entry.kind == "folder"

    def strays(self, names: Iterable[str] | None = None) -> Iterator[Stray]:
        """Yield what does not belong into the folder of an index; of *names* alone, where they are given."""
        entries = self.folder.entries()
        looked_at = entries.items() if names is None else ((name, entries[name]) for name in names if name in entries)
        for name, entry in looked_at:
            if entry.kind == "folder" and name != layout.INDEX:
                continue
            known: Kind | None = "file" if name == layout.INDEX else "folder"
            if entry.kind == "file" and name != layout.INDEX:
                known = None
            yield from _stray(
                layout.index_folder(self.name), name, entry, known, "index.toml and a folder for each project"
            )


class Snapshot:
    """An index repository at one revision, or staged, or in the working tree."""

    def __init__(self, root: Folder, name: str | None) -> None:
        self.root = root
        self.name = name
        """The commit id, ``worktree`` or ``index``; ``None`` for no revision at all."""
        self._indexes: dict[IndexName, Index] = {}
        self._lines: tuple[str, Lines] | None = None

    @cached_property
    def settings_or_problem(self) -> Settings | Unreadable | None:
        """What `gitindex.toml` says; ``None`` where there is none."""
        return _read(self.root, layout.SETTINGS, "", documents.read_settings)

    @property
    def settings(self) -> Settings:
        """What `gitindex.toml` says.

        Raises:
            CannotRunError: there is none, it cannot be read, or it is of another format.

        """
        match self.settings_or_problem:
            case Settings() as settings if settings.format == FORMAT:
                return settings
            case Settings() as settings:
                raise CannotRunError(
                    f"{layout.SETTINGS}: format is {settings.format}, and this gitindex reads format {FORMAT}",
                    help="use the gitindex that wrote it, or a newer one",
                )
            case Unreadable(path, problems):
                raise CannotRunError(f"{path}: {problems[0].message}", help="mend it first")
            case None:
                raise CannotRunError(
                    f"there is no {layout.SETTINGS} here, so this is no index repository",
                    help="go to your index repository, or name it (gitindex -C DIR …); to make one: gitindex init DIR",
                )

    @cached_property
    def indexes_folder(self) -> Folder | None:
        """The folder `indexes/`, or ``None`` where there is none."""
        return self.open_folder(layout.INDEXES)

    @cached_property
    def files_folder(self) -> Folder | None:
        """The embedded file store, or ``None`` where there is none."""
        return self.open_folder(layout.FILES)

    def find_stored(self, path: str) -> tuple[Folder, str] | None:
        """Return the folder and the name in it of the stored file at *path*, ``None`` where nothing is there.

        The store is opened once: it has 256 folders, and each file is looked for in one of them.
        """
        _, _, below = path.partition("/")
        return None if self.files_folder is None else find(self.files_folder, below)

    def open_folder(self, path: str) -> Folder | None:
        """Open the folder at a path; ``None`` where there is none."""
        folder = self.root
        for name in path.split("/"):
            entry = folder.entries().get(name)
            if entry is None or entry.kind != "folder":
                return None
            folder = folder.folder(name)
        return folder

    def user_names(self) -> Iterator[UserName]:
        """Yield the names of the user folders, sorted, whether or not they are valid names."""
        if self.indexes_folder:
            for name, entry in sorted(self.indexes_folder.entries().items()):
                if entry.kind == "folder":
                    yield UserName(name)

    def user_folder(self, name: str) -> Folder | None:
        """Open the folder of a user; ``None`` where there is none."""
        entry = self.indexes_folder.entries().get(name) if self.indexes_folder else None
        if self.indexes_folder is None or entry is None or entry.kind != "folder":
            return None
        return self.indexes_folder.folder(name)

    def user(self, name: str) -> User | Unreadable | None:
        """Read a user; ``None`` where there is no `user.toml`."""
        folder = self.user_folder(name)
        return _read(folder, layout.USER, layout.user_folder(name), documents.read_user) if folder else None

    def index_names(self, user: str | None = None) -> Iterator[IndexName]:
        """Yield the names of all index folders (of one user), sorted; each may lack its definition."""
        for owner in self.user_names() if user is None else (UserName(user),):
            folder = self.user_folder(owner)
            if folder:
                for name, entry in sorted(folder.entries().items()):
                    if entry.kind == "folder":
                        yield IndexName(owner, name)

    def index(self, name: IndexName) -> Index | None:
        """Open an index; ``None`` where there is no definition."""
        opened = self.index_folder(name)
        return opened if opened and opened.definition is not None else None

    def index_folder(self, name: IndexName) -> Index | None:
        """Open the folder of an index, even one without a definition; ``None`` where there is no folder."""
        if name not in self._indexes:
            folder = self.user_folder(name.user)
            entry = folder.entries().get(name.name) if folder else None
            if folder is None or entry is None or entry.kind != "folder":
                return None  # not remembered: a server is asked for names without number
            self._indexes[name] = Index(name, folder.folder(name.name))
        return self._indexes[name]

    def line_of(self, path: str, keys: KeyPath) -> int | None:
        """Return the 1-based line of a key path in the document at *path*, where it can be told."""
        found = find(self.root, path)
        if found is None:
            return None
        if self._lines is None or self._lines[0] != path:  # the findings of one document come one after the other
            text = found[0].read(found[1]).decode("utf-8", "replace")
            self._lines = path, documents.lines_of(path, text)
        return self._lines[1].of(keys)

    @cached_property
    def _reserved(self) -> re.Pattern[str] | None:
        settings = self.settings_or_problem
        patterns = settings.names.reserved if isinstance(settings, Settings) else ()
        if not patterns:
            return None
        from fnmatch import translate  # noqa: PLC0415 - most repositories reserve no names

        plain = [pattern if "*" in pattern or "?" in pattern else normalize(pattern) for pattern in patterns]
        return re.compile("|".join(map(translate, plain)))

    def is_reserved(self, project: ProjectName) -> bool:
        """Tell whether a name is ours even without a release."""
        return self._reserved is not None and self._reserved.match(project) is not None

    def root_strays(self) -> Iterator[Stray]:
        """Yield what is wrong with the entries of the root that gitindex looks at."""
        for name, kind in _AT_ROOT.items():
            entry = self.root.entries().get(name)
            if entry is not None and entry.kind != kind:
                yield Stray(name, entry.kind, entry.kind in ("file", "folder"), f"a {kind}")
        for name, entry in self.root.entries().items():
            if (
                name not in _AT_ROOT
                and (same := _as_file_systems_see(name)) in _AT_ROOT
                and same in self.root.entries()
            ):
                yield Stray(name, entry.kind, True, f"{same}, and nothing that some file systems take for the same")
        if self.indexes_folder:
            for name, entry in self.indexes_folder.entries().items():
                yield from _stray(
                    layout.INDEXES,
                    name,
                    entry,
                    None if entry.kind == "file" else "folder",
                    "a folder for each user",
                )

    def user_strays(self, user: str) -> Iterator[Stray]:
        """Yield what does not belong into the folder of a user."""
        folder = self.user_folder(user)
        for name, entry in folder.entries().items() if folder else ():
            known: Kind | None = "file" if name == layout.USER else "folder"
            if entry.kind == "file" and name != layout.USER:
                known = None
            yield from _stray(layout.user_folder(user), name, entry, known, "user.toml and a folder for each index")


_AT_ROOT: Mapping[str, Kind] = {layout.SETTINGS: "file", layout.INDEXES: "folder", layout.FILES: "folder"}


def _as_file_systems_see(name: str) -> str:
    """Return what a name is to those that take upper for lower case, drop invisible characters, or dots at the end."""
    if not name.isascii():
        import unicodedata  # noqa: PLC0415 - hardly a name is not ASCII

        name = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return name.casefold().rstrip(". ")


NO_REVISION = Snapshot(EMPTY, None)
"""A snapshot with nothing in it: the base of the first commit."""


def _stray(folder: str, name: str, entry: Entry, wanted_kind: Kind | None, wanted: str) -> Iterator[Stray]:
    if entry.kind != wanted_kind:
        misplaced = entry.kind in ("file", "folder")
        yield Stray(f"{folder}/{name}", entry.kind, misplaced, wanted)


def _read(
    folder: Folder, name: str, parent: str, read: Callable[[str, bytes], T | Unreadable]
) -> T | Unreadable | None:
    entry = folder.entries().get(name)
    if entry is None:
        return None
    path = f"{parent}/{name}" if parent else name
    if entry.kind not in ("file", "executable"):
        return Unreadable(path, (Problem(f"is a {entry.kind}, and must be a file"),))
    size = folder.size(name)
    if size > layout.MAX_DOCUMENT:
        return documents.too_large(path, size)
    return read(path, folder.read(name))
