"""Tells whether a change does nothing but add releases, so that nobody has to read it."""

from __future__ import annotations

from collections.abc import Iterable

from gitindex import layout
from gitindex.compare import Change
from gitindex.model import Manifest

_DEPTH = 4
"""Slashes in the path of a manifest."""


def beyond_additions(change: Change, paths: Iterable[str]) -> str | None:
    """Say what a change does beside adding files of releases to indexes that are there; ``None`` where nothing.

    *paths* are all that differ in the Git repository, as paths in the index repository; what lies outside of it starts
    with ``/``. Files may come to a release that is there.
    """
    for path in paths:
        if not (path.startswith(f"{layout.FILES}/") or _is_manifest(path)):
            return f"changes {path}"
    for stored in change.stored:
        if stored.before is not None:
            return f"changes the stored file {stored.path}"
    for project in change.projects():
        index = change.base.index(project.index)
        if index is None:
            return f"adds to {project.index}, which is not there"
        for release in project.releases:
            path = layout.manifest_path(project.index, project.name, release.version)
            before, after = release.before, release.after
            if not isinstance(after, Manifest):
                return f"takes {path} away"
            if before is None:
                continue
            if not isinstance(before, Manifest) or (before.name, before.version) != (after.name, after.version):
                return f"changes {path}"
            if not set(before.files) <= set(after.files):
                return f"changes files of {path}"
    return None


def _is_manifest(path: str) -> bool:
    top, *_, name = path.split("/")
    return top == layout.INDEXES and path.count("/") == _DEPTH and layout.is_manifest(name)
