"""A change: two snapshots compared by identity (user, index, project, version, filename), and who does what in it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from gitindex import layout
from gitindex.differences import ProjectChange, StoredFile, differing, differs_at, folder_of, stored_differences
from gitindex.model import Settings, Stage
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.rights import Rights
from gitindex.snapshot import NO_REVISION, Stray
from gitindex.tree import EMPTY, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from gitindex.rights import Actor
    from gitindex.snapshot import Index, Snapshot


class Commit(NamedTuple):
    """A commit of a change, and what Git says of its signature."""

    id: str
    problem: str
    """What is wrong with the signature, empty where nothing is: ``is not signed``, for instance."""


class Act(NamedTuple):
    """What somebody does: the whole change, or one commit of it."""

    change: Change
    """What it changes, whether or not the change as a whole still shows it."""
    actor: Actor | None
    """Who does it; ``None`` for a commit whose signer is not known."""
    commit: Commit | None = None
    """The commit, where it is one commit's doing."""


class Change:
    """A pair of snapshots: the base (what is published) and the head (what would be)."""

    def __init__(
        self,
        base: Snapshot | None,
        head: Snapshot,
        *,
        everything: bool = False,
        descends: bool | None = None,
        conflicts: tuple[str, ...] = (),
        today: date | None = None,
    ) -> None:
        self.base = base or NO_REVISION
        """A snapshot of nothing where there is no base."""
        self.head = head
        self.acts: tuple[Act, ...] = ()
        """Who does what in it, where that is known."""
        self.descends = descends
        """Whether the head comes after the base; ``None`` where these are not two revisions."""
        self.conflicts = conflicts
        """Paths that keep the head from being merged into the base."""
        self._released: tuple[tuple[IndexName, str] | None, Mapping[str, Entry]] = None, {}
        self.today = today
        """The day on which the change is judged; ``None`` where no day is known, and then no waiver has ended."""
        self.everything = everything or base is None or self._storage_moved_in(base, head)
        """Whether every file of the head is checked, not only what differs."""

    @staticmethod
    def _storage_moved_in(base: Snapshot, head: Snapshot) -> bool:
        if base.root.entries().get(layout.SETTINGS) == head.root.entries().get(layout.SETTINGS):
            return False
        old, new = base.settings_or_problem, head.settings_or_problem
        return (
            isinstance(old, Settings)
            and isinstance(new, Settings)
            and old.storage.url != new.storage.url
            and new.storage.is_embedded
        )

    @property
    def _has_store(self) -> bool:
        """Whether the files are in the repository, so that more than the manifests has to be looked at."""
        settings = self.head.settings_or_problem
        return not isinstance(settings, Settings) or settings.storage.is_embedded

    @property
    def has_base(self) -> bool:
        """Whether there is something that the head is compared with."""
        return self.base is not NO_REVISION

    @cached_property
    def policy(self) -> Snapshot:
        """The snapshot whose policy is in force: the base, since a change cannot grant itself what it needs.

        Where there was no index repository yet, it is the head.
        """
        is_first = not {layout.SETTINGS, layout.INDEXES}.intersection(self.base.root.entries())
        return self.head if is_first else self.base

    @cached_property
    def rights(self) -> Rights:
        """The rights in force."""
        return Rights(self.policy)

    @property
    def is_by_admin(self) -> bool:
        """Whether those who make the change are known, and each of them is an admin."""
        return bool(self.acts) and all(act.actor is not None and self.rights.is_admin(act.actor) for act in self.acts)

    @property
    def touches_settings(self) -> bool:
        """Whether `gitindex.toml` differs (or is checked all the same)."""
        return self.everything or differs_at(self.base.root, self.head.root, layout.SETTINGS)

    @cached_property
    def users(self) -> tuple[UserName, ...]:
        """The names under `indexes/` below which something differs (all, where everything is checked)."""
        old = self.base.indexes_folder
        new = self.head.indexes_folder
        if self.everything:
            return tuple(UserName(name) for name in sorted({*(old or EMPTY).entries(), *(new or EMPTY).entries()}))
        return tuple(UserName(name) for name in differing(old, new))

    @cached_property
    def changed_users(self) -> tuple[UserName, ...]:
        """The users whose `user.toml` differs."""
        return tuple(
            user
            for user in self.users
            if self.everything or differs_at(self.base.user_folder(user), self.head.user_folder(user), layout.USER)
        )

    @cached_property
    def indexes(self) -> Mapping[IndexName, tuple[Index | None, Index | None]]:
        """The index folders below which something differs, before and after; either may lack its definition."""
        found = {}
        for user in self.users:
            old = self.base.user_folder(user)
            new = self.head.user_folder(user)
            names = (
                sorted({*(old or EMPTY).entries(), *(new or EMPTY).entries()})
                if self.everything
                else differing(old, new)
            )
            for name in names:
                if name == layout.USER:
                    continue
                index = IndexName(user, name)
                before = self.base.index_folder(index)
                found[index] = (before, self.head.index_folder(index))
        return found

    @cached_property
    def changed_definitions(self) -> frozenset[IndexName]:
        """The indexes whose `index.toml` differs."""
        return frozenset(
            name
            for name, (before, after) in self.indexes.items()
            if self.everything or differs_at(folder_of(before), folder_of(after), layout.INDEX)
        )

    @cached_property
    def concerned_indexes(self) -> tuple[Index, ...]:
        """The indexes of the head whose definition differs, or whose bases, users or groups do."""
        if not self.changed_definitions and not self.changed_users and not self.touches_settings:
            return ()
        concerned = []
        for name in self.head.index_names():
            index = self.head.index(name)
            if index is None:
                continue
            if name in self.changed_definitions or self._depends_on_change(index):
                concerned.append(index)
        return tuple(concerned)

    def _depends_on_change(self, index: Index) -> bool:
        if any(base in self.changed_definitions for base in index.bases):
            return True
        entries = index.definition.acl_upload or () if isinstance(index.definition, Stage) else ()
        return any(
            entry in self.changed_users or (entry.startswith(":") and self.touches_settings) for entry in entries
        )

    @cached_property
    def _differing_entries(self) -> Mapping[IndexName, tuple[str, ...]]:
        """What differs in the folder of each index (all, where everything is checked)."""
        found = {}
        for name, (before, after) in self.indexes.items():
            old, new = folder_of(before) or EMPTY, folder_of(after) or EMPTY
            names = sorted({*old.entries(), *new.entries()}) if self.everything else differing(old, new)
            found[name] = tuple(names)
        return found

    def new_projects(self) -> Iterator[tuple[IndexName, ProjectName]]:
        """Yield the projects that have a folder in an index of the head, and none there in the base."""
        for name, (before, after) in self.indexes.items():
            for entry in self._differing_entries[name] if after else ():
                if after and after.has_project(entry) and not (before and before.has_project(entry)):
                    yield name, ProjectName(entry)

    def lost_projects(self) -> Iterator[tuple[IndexName, ProjectName]]:
        """Yield the projects that have a folder in an index of the base, and nothing in its place in the head."""
        for name, (before, after) in self.indexes.items():
            for entry in self._differing_entries[name] if before else ():
                if before and before.has_project(entry) and entry not in (folder_of(after) or EMPTY).entries():
                    yield name, ProjectName(entry)

    def projects(self) -> Iterator[ProjectChange]:
        """Yield the projects below which something differs (all, where everything is checked)."""
        for name, (before, after) in self.indexes.items():
            old, new = folder_of(before) or EMPTY, folder_of(after) or EMPTY
            for entry in self._differing_entries[name]:
                was, now = old.entries().get(entry), new.entries().get(entry)
                is_lost = now is None and was is not None and was.kind in ("symlink", "submodule")
                if "folder" not in (was and was.kind, now and now.kind) and not is_lost:
                    continue
                yield ProjectChange(
                    name,
                    ProjectName(entry),
                    before.project(entry) if before else None,
                    after.project(entry) if after else None,
                    everything=self.everything,
                    skips_plain=self.everything and not self._has_store and not self._demands_more(name, after),
                    base_is_unreadable=was is not None and was.kind != "folder",
                )

    def _demands_more(self, name: IndexName, after: Index | None) -> bool:
        """Tell whether an index takes less than any manifest that is in order."""
        if after is not None and after.is_mirror:
            return True
        demands = self.demands(name)
        return demands is not None and bool(demands.require_attestation or demands.require_tests)

    @property
    def size(self) -> int:
        """About how many projects there are to look at."""
        return sum(
            len(index.folder.entries()) for pair in self.indexes.values() for index in pair[1:] if index is not None
        )

    def is_frozen(self, name: IndexName) -> bool:
        """Tell whether the base holds what *name* has released to be non-volatile."""
        index = self.base.index_folder(name)
        return index is not None and index.definition is not None and not index.is_volatile and not index.is_mirror

    def demands(self, name: IndexName) -> Stage | None:
        """Return the definition that says what a file needs to come into an index: the base's, where it has the index.

        ``None`` where there was no index repository yet: nobody can tell what came before the demand.
        """
        if self.policy is self.head:
            return None
        for snapshot in (self.base, self.head):
            index = snapshot.index_folder(name)
            if index is not None and isinstance(index.definition, Stage):
                return index.definition
        return None

    def is_released(self, index: IndexName, project: str, name: str) -> bool:
        """Tell whether the base of a non-volatile index has the manifest of that name: it is left as it is."""
        if not layout.is_manifest(name) or not self.is_frozen(index):
            return False
        opened = self.base.index_folder(index)
        entry = opened.folder.entries().get(project) if opened else None
        if opened is None or entry is None:
            return False
        if entry.kind != "folder":
            return True  # it cannot be read, and may have had any manifest
        if self._released[0] != (index, project):  # many of one project are asked for in turn
            self._released = (index, project), opened.folder.folder(project).entries()
        return name in self._released[1]

    @cached_property
    def _store(self) -> tuple[StoredFile | Stray, ...]:
        return tuple(stored_differences(self.base.files_folder, self.head.files_folder))

    @cached_property
    def stored(self) -> tuple[StoredFile, ...]:
        """The files of the embedded store that differ, sidecars included."""
        return tuple(file for file in self._store if isinstance(file, StoredFile))

    @property
    def stored_strays(self) -> tuple[Stray, ...]:
        """What the change puts into the embedded store that has no place there."""
        return tuple(stray for stray in self._store if isinstance(stray, Stray))

    @cached_property
    def stored_paths(self) -> frozenset[str]:
        """The paths of :attr:`stored`."""
        return frozenset(file.path for file in self.stored)
