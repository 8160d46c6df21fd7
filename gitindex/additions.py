"""Tells whether a change does nothing but add releases, so that nobody has to read it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from gitindex import layout
from gitindex.compare import Change
from gitindex.documents import Unreadable
from gitindex.model import File, Manifest
from gitindex.stored import is_pointer

_DEPTH = 4
"""Slashes in the path of a manifest."""


def beyond_additions(change: Change, paths: Iterable[str]) -> str | None:
    """Say what a change does beside adding files of releases to indexes that are there; ``None`` where nothing.

    *paths* are all that differ in the Git repository, as paths in the index repository; what lies outside of it starts
    with ``/``. Files may come to a release that is there. What is stored comes with the release that names it, and is
    here to be read.
    """
    for path in paths:
        if not (path.startswith(f"{layout.FILES}/") or _is_manifest(path)):
            return f"changes {path}"
    for stored in change.stored:
        if stored.before is not None:
            return f"changes the stored file {stored.path}"
    named: set[str] = set()
    for project in change.projects():
        if change.base.index(project.index) is None:
            return f"adds to {project.index}, which is not there"
        for release in project.releases:
            path = layout.manifest_path(project.index, project.name, release.version)
            if not isinstance(release.after, Manifest):
                return f"takes {path} away"
            if _is_changed(release.before, release.after):
                return f"changes {path}"
            named.update(place for _, file in release.new_files() for place in _places(file))
    return _stored_beyond(change, named) if named else "adds no file to a release"


def _is_changed(before: Manifest | Unreadable | None, after: Manifest) -> bool:
    """Tell whether a manifest says something else than it did, and more."""
    if not isinstance(before, Manifest):
        return before is not None
    return (before.name, before.version) != (after.name, after.version) or not set(before.files) <= set(after.files)


def _stored_beyond(change: Change, named: Collection[str]) -> str | None:
    for stored in change.stored:
        if stored.path not in named:
            return f"stores {stored.path}, which no file that it releases needs"
        if stored.after is not None and is_pointer(*stored.after):
            return f"releases {stored.filename}, which Git LFS keeps where nobody has read it"
    return None


def _places(file: File) -> Iterator[str]:
    """Yield the place of a file, wherever that is, and the places of what the manifest says lies beside it."""
    path = layout.stored_path(file.hashes.sha256, file.filename)
    yield path
    if file.core_metadata is not None:
        yield path + layout.METADATA_SUFFIX
    if file.provenance is not None:
        yield path + layout.PROVENANCE_SUFFIX


def _is_manifest(path: str) -> bool:
    is_inside = path.startswith(f"{layout.INDEXES}/") and path.count("/") == _DEPTH
    return is_inside and layout.is_manifest(path.rpartition("/")[2])
