"""Where an import goes: the working tree, step by step, or one change to what is published."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Protocol

from gitindex import layout
from gitindex.attestations import ProvenanceError
from gitindex.edits.plan import Plan
from gitindex.errors import CannotRunError
from gitindex.git import WORKTREE, Author, Repository
from gitindex.importers.shelf import Here, Shelf
from gitindex.importers.source import SourceFile
from gitindex.names import ProjectName
from gitindex.objects import StoredObjects
from gitindex.snapshot import Index, Snapshot
from gitindex.storage import EmbeddedStore, Store
from gitindex.stored import is_pointer
from gitindex.tree import Overlay, find
from gitindex.upstream.attesting import document_in, read_document
from gitindex.write import carry_out_addition


class Destination(Here, Protocol):
    """Where an import goes."""

    def now(self) -> Snapshot:
        """Open what is there now, with all that was written."""

    def has(self, path: str, content: bytes | Path | None) -> bool:
        """Tell whether a stored file need not be written: its *content* is what was :meth:`held` there."""

    def is_settled(self, index: Index, project: ProjectName) -> bool:
        """Tell whether what is there of a project needs to come into no commit."""

    def is_committed(self, path: str) -> bool:
        """Tell whether a commit has something at a path: what else is there is not for an import to commit."""

    def write(self, plan: Plan, author: Author | None = None) -> str | None:
        """Write a plan that was made from what is there now, and is in order; return its commit, where there is one.

        Raises:
            RefusedError, CannotRunError: as :func:`gitindex.write.carry_out_addition` does.

        """


class WorkingTree:
    """The working tree; each plan that is written is committed, where that is asked."""

    def __init__(self, repository: Repository, shelf: Shelf, *, commit: bool) -> None:
        """Take a repository; files are taken from the *shelf*."""
        self._repository = repository
        self._shelf = shelf
        self._commit = commit
        self._look()

    def _look(self) -> None:
        self._is_stale = False
        with self._repository.moving():
            self._now = self._repository.worktree()
        self._storage = _storage_of(self._now)
        head = self._repository.head() if self._commit else None
        self._committed = None if head is None else self._repository.at(head)

    def now(self) -> Snapshot:
        if self._is_stale:
            self._look()
        return self._now

    def held(self, file: SourceFile) -> Path | None:
        if file.sha256 is None:
            return None
        if self._storage is not None:
            return _taken_from(self._storage, file, self._shelf)
        path = layout.stored_path(file.sha256, file.filename)
        found = self._now.find_stored(path)
        if found is None or found[0].entries()[found[1]].kind != "file" or is_pointer(*found):
            return None
        place = self._repository.root / path
        return place if place.is_file() and not place.is_symlink() else None

    def provenance(self, path: str) -> bytes | None:
        if self._storage is not None:
            return document_in(self._storage, path)
        place = self._repository.root / path
        return read_document(place) if place.is_file() and not place.is_symlink() else None

    def has(self, path: str, content: bytes | Path | None) -> bool:
        return content == self._repository.root / path

    def is_settled(self, index: Index, project: ProjectName) -> bool:
        if not self._commit:
            return True
        here, last = index.project(project), self._committed and self._committed.index(index.name)
        there = last.project(project) if last else None
        return (
            here is not None and there is not None and here.folder.id is not None and here.folder.id == there.folder.id
        )

    def is_committed(self, path: str) -> bool:
        return self._committed is not None and find(self._committed.root, path) is not None

    def write(self, plan: Plan, author: Author | None = None) -> str | None:
        if not plan.changes and not (self._commit and plan.concerned):
            return None
        self._is_stale = True
        commit = carry_out_addition(self._repository, self._now, plan, commit=self._commit, author=author)
        self._shelf.take(plan.files())
        return commit


class Proposed:
    """One change to what is published: it is written nowhere, and grows until it is proposed."""

    def __init__(self, repository: Repository, base: Snapshot, shelf: Shelf, pending: str | None) -> None:
        """Begin with *base*, what is published, and no change.

        Args:
            repository: where the two are.
            base: what is published.
            shelf: has the files until they are proposed.
            pending: a commit that proposes some of it already, whose files need not be fetched again.

        """
        self._base = base
        self._shelf = shelf
        self._storage = _storage_of(base)
        opened = (base,) if pending is None else (base, repository.at(pending))
        self._stores = [EmbeddedStore(each.root, repository.git_directory / "lfs" / "objects") for each in opened]
        self._lock = Lock()  # Git's objects are read by one thread at a time
        self._published = set[str]()
        """The stored files that were taken from what is published."""
        self.plan = Plan()
        """All that was written."""

    def now(self) -> Snapshot:
        return laid_over(self._base, self.plan)

    def held(self, file: SourceFile) -> Path | None:
        if self._storage is not None:
            return _taken_from(self._storage, file, self._shelf)
        with self._lock:
            for store in self._stores:
                try:
                    place = _taken_from(store, file, self._shelf)
                except CannotRunError:  # such as a file of Git LFS that is not here: it is fetched
                    continue
                if place is not None:
                    if store is self._stores[0] and file.sha256 is not None:
                        self._published.add(layout.stored_path(file.sha256, file.filename))
                    return place
        return None

    def provenance(self, path: str) -> bytes | None:
        if self._storage is not None:
            return document_in(self._storage, path)
        with self._lock:
            try:
                found = (document_in(store, path) for store in self._stores)
                return next((document for document in found if document is not None), None)
            except CannotRunError as error:  # such as one of Git LFS that is not here
                raise ProvenanceError(f"cannot be read: {error.message}") from None

    def has(self, path: str, content: bytes | Path | None) -> bool:
        return isinstance(content, Path) and path in self._published

    def is_settled(self, index: Index, project: ProjectName) -> bool:  # noqa: ARG002 - what is published is committed
        return True

    def is_committed(self, path: str) -> bool:  # noqa: ARG002 - what is published is committed
        return True

    def write(self, plan: Plan, author: Author | None = None) -> str | None:  # noqa: ARG002 - it is all one commit
        if plan.changes:
            self.plan = joined([self.plan, plan])
        return None

    def done(self) -> None:
        """Let go of the files: they are proposed."""
        self._shelf.take(self.plan.files())


def check_place(repository: Repository) -> None:
    """Refuse a repository without a working tree.

    Raises:
        CannotRunError: it has none.

    """
    if repository.is_bare:
        help_ = "clone it, and import there; or propose it with --pr"
        raise CannotRunError("a bare repository has nowhere to import to", help=help_)


def joined(plans: Iterable[Plan]) -> Plan:
    """Return plans as one; what a later one writes counts."""
    whole = Plan()
    for plan in plans:
        whole.changes |= plan.changes
        whole.uploads |= plan.uploads
        whole.notes += plan.notes
        whole.concerned += plan.concerned
    return whole


def laid_over(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """Return what a snapshot would be with a plan."""
    return Snapshot(Overlay(snapshot.root, plan.leaves()), WORKTREE) if plan.changes else snapshot


def _storage_of(snapshot: Snapshot) -> StoredObjects | None:
    storage = snapshot.settings.storage
    return None if storage.is_embedded else StoredObjects(storage.url)


def _taken_from(store: Store, file: SourceFile, shelf: Shelf) -> Path | None:
    """Put a file on the shelf that a store has; ``None`` where it has none of that digest."""
    if file.sha256 is None:
        return None
    path = layout.stored_path(file.sha256, file.filename)
    return shelf.keep(file, *store.read(path, file.sha256)) if store.has(path) else None
