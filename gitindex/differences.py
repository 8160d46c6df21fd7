"""What differs between two folders, two states of a project, two file stores: by identity, never by text.

Folders whose ids are equal are not opened, so the cost follows what differs. Renames do not exist here: what is not at
its place any more is gone from it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.model import File, Manifest, ProjectStatements
from gitindex.names import IndexName, ProjectName, is_safe_filename, version_key
from gitindex.snapshot import Stray
from gitindex.tree import EMPTY, Entry, Folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitindex.snapshot import Index, Project


def differing(before: Folder | None, after: Folder | None) -> Iterator[str]:
    """Yield the names whose entries are not known to be equal, sorted."""
    if before is not None and after is not None and before.id is not None and before.id == after.id:
        return
    if before is not None and after is not None:
        quickly = before.differing(after)
        if quickly is None:
            quickly = after.differing(before)
        if quickly is not None:
            yield from sorted(quickly)
            return
    old = before.entries() if before is not None else {}
    new = after.entries() if after is not None else {}
    names = {name for name, _ in old.items() ^ new.items()}
    # Where ids say nothing, equal entries are not known to be equal.
    names.update(name for name, entry in new.items() if entry.id is None)
    yield from sorted(names)


def differs_at(before: Folder | None, after: Folder | None, name: str) -> bool:
    """Tell whether the entry *name* of two folders is not known to be equal."""
    one = before.entries().get(name) if before is not None else None
    other = after.entries().get(name) if after is not None else None
    return one != other or (one is not None and one.id is None)


def differs_in_content(before: Folder | None, after: Folder | None, name: str) -> bool:
    """Tell whether the entry *name* of two folders has other bytes or is of another kind, whatever it means."""
    old, new = before or EMPTY, after or EMPTY
    was, now = old.entries().get(name), new.entries().get(name)
    if was is None or now is None or was.kind != now.kind:
        return was is not now
    if was.id is not None and was.id == now.id:
        return False
    return was.kind not in ("file", "executable") or old.read(name) != new.read(name)


def folder_of(place: Index | Project | None) -> Folder | None:
    """Return the folder of an index or a project, ``None`` where it is not there."""
    return None if place is None else place.folder


class ReleaseChange(NamedTuple):
    """One release before and after."""

    version: str
    before: Manifest | Unreadable | None
    after: Manifest | Unreadable | None

    def new_files(self) -> Iterator[tuple[int, File]]:
        """Yield the files of *after*, with their places, that *before* does not have with the very same facts."""
        known = set(self.before.files) if isinstance(self.before, Manifest) else set()
        for place, file in enumerate(self.after.files if isinstance(self.after, Manifest) else ()):
            if file not in known:
                yield place, file


class ProjectChange:
    """One project of an index before and after."""

    def __init__(
        self,
        index: IndexName,
        name: ProjectName,
        before: Project | None,
        after: Project | None,
        *,
        everything: bool,
        skips_plain: bool = False,
        base_is_unreadable: bool = False,
    ) -> None:
        self.index = index
        self.name = name
        self.path = layout.project_folder(index, name)
        self.before = before
        self.after = after
        self.base_is_unreadable = base_is_unreadable
        """Whether something that is no folder had the project's place in the base."""
        self.is_whole = everything
        """Whether all of the project is checked, not only what differs."""
        self._skips_plain = skips_plain

    def touches(self, name: str) -> bool:
        """Tell whether the entry *name* of the project's folder differs (or is checked all the same)."""
        return name in self._touched

    def differs(self, version: str) -> bool:
        """Tell whether the manifest of a version has other bytes, or another mode, than it had."""
        return self._differs_at(version + layout.MANIFEST_SUFFIX)

    def different_paths(self) -> Iterator[str]:
        """Yield the paths in the project's folder whose bytes or modes are not what they were, sorted."""
        return (f"{self.path}/{name}" for name in self._touched if self._differs_at(name))

    def _differs_at(self, name: str) -> bool:
        return differs_in_content(folder_of(self.before), folder_of(self.after), name)

    @cached_property
    def _touched(self) -> tuple[str, ...]:
        if self.is_whole:
            old = self.before.folder.entries() if self.before else {}
            new = self.after.folder.entries() if self.after else {}
            return tuple(sorted({*old, *new}))
        return tuple(differing(folder_of(self.before), folder_of(self.after)))

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The versions that the change touches (all, where everything is checked), as manifests' names spell them."""
        suffix = layout.MANIFEST_SUFFIX
        return tuple(name.removesuffix(suffix) for name in self._touched if layout.is_manifest(name))

    @cached_property
    def tested_versions(self) -> tuple[str, ...]:
        """The versions whose results of tests the change touches (all, where everything is checked)."""
        suffix = layout.RESULTS_SUFFIX
        return tuple(name.removesuffix(suffix) for name in self._touched if name.endswith(suffix))

    @cached_property
    def releases(self) -> tuple[ReleaseChange, ...]:
        """The releases of :attr:`versions`; where everything is checked, less those that are proven to be in order."""
        before, after = self.before, self.after
        return tuple(
            ReleaseChange(
                version,
                None if before is None else before.release(version),
                None if after is None else after.release(version),
            )
            for version in self.versions
            if version not in self._plain_versions
        )

    @property
    def is_plain(self) -> bool:
        """Whether all of it is proven to be in order, so that no rule has anything to say."""
        plain = self._plain_versions
        if not plain or self.after is None or len(plain) != len(self.after.folder.entries()):
            return False
        # No two spellings of one version; each is canonical, which is part of being plain.
        return not self.base_is_unreadable and len({*map(version_key, plain)}) == len(plain)

    @cached_property
    def _plain_versions(self) -> frozenset[str]:
        """The versions whose manifests are plain, of a folder that is new or as it was."""
        if not self._skips_plain or self.after is None or not self._is_as_it_was:
            return frozenset()
        return frozenset(self.after.plain_versions())

    @property
    def _is_as_it_was(self) -> bool:
        """Whether the whole folder is new, or known to be what it was."""
        if self.before is None or self.after is None:
            return self.after is not None
        return self.before.folder.id is not None and self.before.folder.id == self.after.folder.id

    def files(self) -> Iterator[tuple[str, str, int, File]]:
        """Yield manifest path, version, place and file for each file of the releases that are checked."""
        for release in self.releases:
            if isinstance(release.after, Manifest):
                path = layout.manifest_path(self.index, self.name, release.version)
                for place, file in enumerate(release.after.files):
                    yield path, release.version, place, file

    @property
    def statements(self) -> ProjectStatements:
        """The statements of the head; empty ones where there are none that can be read."""
        found = self.after.statements if self.after else None
        return found if isinstance(found, ProjectStatements) else ProjectStatements()


class StoredFile(NamedTuple):
    """A path in the embedded file store that the change touches."""

    path: str
    sha256: str
    """As the path says it; not checked."""
    filename: str
    before: tuple[Folder, str] | None
    """The folder and the name in it, ``None`` where the base has no such file."""
    after: tuple[Folder, str] | None


_PREFIX, _DIGEST = 2, 64
_HEX = frozenset("0123456789abcdef")


def stored_differences(before: Folder | None, after: Folder | None) -> Iterator[StoredFile | Stray]:
    """Yield the files in which two embedded stores differ, and what the second has that no store can have."""
    return _below(layout.FILES, before, after, "")


def _below(path: str, before: Folder | None, after: Folder | None, digest: str) -> Iterator[StoredFile | Stray]:
    wanted_length = _DIGEST - _PREFIX if digest else _PREFIX
    for name in differing(before, after):
        was = before.entries().get(name) if before else None
        now = after.entries().get(name) if after else None
        below = f"{path}/{name}"
        if len(digest) < _DIGEST:
            is_placed = len(name) == wanted_length and _HEX.issuperset(name)
            if now is not None and (now.kind != "folder" or not is_placed):
                yield Stray(below, now.kind, now.kind in ("file", "folder"), "<sha256[0:2]>/<sha256[2:]>/<filename>")
            if is_placed:
                old = before.folder(name) if before and was and was.kind == "folder" else None
                new = after.folder(name) if after and now and now.kind == "folder" else None
                yield from _below(below, old, new, digest + name)
            continue
        if now is not None and (now.kind != "file" or not is_safe_filename(name)):
            yield Stray(below, now.kind, now.kind in ("file", "folder"), "one file, named as in its manifest")
        yield StoredFile(below, digest, name, _content(before, was, name), _content(after, now, name))


def _content(folder: Folder | None, entry: Entry | None, name: str) -> tuple[Folder, str] | None:
    is_file = entry is not None and entry.kind in ("file", "executable")
    return (folder, name) if folder is not None and is_file else None
