"""The plan that records what came of testing a release."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.edits.opened import cannot_read, open_project, release_version
from gitindex.edits.plan import Plan
from gitindex.names import IndexName, ProjectName
from gitindex.snapshot import Project, Snapshot


def record(
    snapshot: Snapshot, name: IndexName, project: ProjectName, version: str, runs: Iterable[Mapping[str, Any]]
) -> Plan:
    """Plan that results of tests (as `<version>.tests.json` lists them) are added to those of a release.

    Raises:
        NotThereError: the index itself has no such project.
        CannotRunError: the results that are there cannot be read.

    """
    opened = open_project(snapshot, name, project)
    release = release_version(opened, version)
    listed, added = known_results(opened, release), list(runs)
    plan = Plan({layout.results_path(name, project, release): results_bytes([*listed, *added])})
    told = ", ".join(f"{run['environment']} {run['outcome']}" for run in added)
    plan.notes.append(f"Record tests of {project} {release} in {name}: {told}")
    return plan


def known_results(project: Project, release: str) -> list[dict[str, Any]]:
    """Return the results that a release has, as its document lists them.

    Raises:
        CannotRunError: they cannot be read.

    """
    known = project.results(release)
    if isinstance(known, Unreadable):
        raise cannot_read(known)
    listed: list[dict[str, Any]] = []
    return listed if known is None else json.loads(project.folder.read(release + layout.RESULTS_SUFFIX))


def results_bytes(runs: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a document of results as it is written."""
    return (json.dumps(list(runs), indent=2) + "\n").encode()
