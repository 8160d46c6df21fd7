"""Plans of what has come: releases, what came of testing them, and what the source states of projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.edits import releases, toml
from gitindex.edits.opened import cannot_read
from gitindex.edits.plan import Plan
from gitindex.edits.results import known_results, results_bytes
from gitindex.errors import UsageError
from gitindex.importers.destination import Destination
from gitindex.importers.target import Coming, Target
from gitindex.model import Manifest, ProjectStatements
from gitindex.names import ProjectName
from gitindex.pages import Status
from gitindex.snapshot import Index, Snapshot

_SUFFIXES = (layout.METADATA_SUFFIX, layout.PROVENANCE_SUFFIX)


class Planning(NamedTuple):
    """What plans for an index stand on."""

    target: Target
    planned: Snapshot
    """What is there, with the index."""
    destination: Destination
    time: str
    """The time of upload of what has none."""

    def releases(self, found: Iterable[Coming]) -> list[Coming]:
        """Plan releases, and return those of which files are left, in the order of their times."""
        for release in sorted(found, key=lambda release: release.project):
            self._release(release)
        left = [release for release in found if release.files]
        return sorted(left, key=lambda release: (release.time, release.project, release.version))

    def statements(
        self, found: Sequence[Coming], statuses: Mapping[ProjectName, Status], unsaid: set[ProjectName]
    ) -> Plan:
        """Plan the yanks and the statuses that the source states, beside those that are here; not of *unsaid*."""
        plan, name, index = Plan(), self.target.name, self.target.index
        for project, yanks in sorted(self._yanks(found, statuses, unsaid).items()):
            opened = index.project(project)
            stated = opened.statements if opened else None
            if isinstance(stated, Unreadable):
                raise cannot_read(stated)
            path = layout.statements_path(name, project)
            document = toml.load(self.planned, path)
            _state(document, stated or ProjectStatements(), yanks, statuses.get(project))
            data = toml.dump(document)
            if data != toml.dump(toml.load(self.planned, path)):
                plan.changes[path] = data
                plan.notes.append(f"State what {self.target.told} says of {project} in {name}")
            elif data:
                plan.concerned.append(path)
        return plan

    def _yanks(
        self, found: Sequence[Coming], statuses: Mapping[ProjectName, Status], unsaid: set[ProjectName]
    ) -> Mapping[ProjectName, Mapping[str, str]]:
        """Return the yanks of the projects of which something is stated, by version or filename."""
        by_project: dict[ProjectName, dict[str, str]] = {}
        for release in found:
            reasons = {name: file.yanked for name, file in release.files.items()}
            if (
                _is_whole(self.target.index, release)
                and len(set(reasons.values())) == 1
                and (reason := next(iter(reasons.values()))) is not None
            ):
                yanks = {release.version: reason}
            else:
                yanks = {name: reason for name, reason in reasons.items() if reason is not None}
            if (yanks or release.project in statuses) and release.project not in unsaid:
                by_project.setdefault(release.project, {}).update(yanks)
        return by_project

    def _release(self, release: Coming) -> None:
        """Plan a release: what has arrived of it, and that a commit has what was here already."""
        for filename, twin in self._twins(release):
            self._leave_out(
                release, filename, f"has the very bytes of {twin}: one of the two names lies about what is in it"
            )
        arrived = [(each.dist, each.place) for _, each in sorted(release.arrived.items())]
        documents = {name: each.provenance for name, each in release.arrived.items() if each.provenance is not None}
        times = {name: file.upload_time for name, file in release.files.items() if file.upload_time}
        try:
            plan = releases.upload(self.planned, self.target.name, arrived, self.time, documents, times=times)
        except UsageError as error:  # the project is archived, or the like: none of its files come
            for filename in [*release.arrived]:
                self._leave_out(release, filename, str(error))
            plan = Plan()
        for path in [path for path, content in plan.changes.items() if self.destination.has(path, content)]:
            plan.concerned.append(path)
            del plan.changes[path]
        release.plan = plan
        self._keep(release)
        self._results(release)

    def _leave_out(self, release: Coming, filename: str, why: str) -> None:
        self.target.left_out(filename, why)
        del release.arrived[filename], release.files[filename]

    def _twins(self, release: Coming) -> list[tuple[str, str]]:
        """Return the files that have the bytes of another one of their release, with its name."""
        names = {sha256: name for name, sha256 in self.target.digests(release.project).items()}
        twins = []
        for filename, each in sorted(release.arrived.items()):
            first = names.setdefault(each.dist.sha256, filename)
            if first != filename:
                twins.append((filename, first))
        return twins

    def _keep(self, release: Coming) -> None:
        """Have a commit take along what is here already: an import that was broken off may not have committed it."""
        known = self.target.digests(release.project)
        kept = {name: known[name] for name in release.files if name in known}
        if kept and not self.destination.is_settled(self.target.index, release.project):
            release.plan.concerned.append(layout.manifest_path(self.target.name, release.project, release.version))
            if self.planned.settings.storage.is_embedded:
                paths = [layout.stored_path(sha256, name) for name, sha256 in kept.items()]
                release.plan.concerned += [path + suffix for path in paths for suffix in ("", *_SUFFIXES)]

    def _results(self, release: Coming) -> None:
        """Plan the results of tests that are not here yet."""
        opened = self.target.index.project(release.project)
        listed = known_results(opened, release.version) if opened else []
        digests = self.target.digests(release.project)
        added = []
        for name, file in sorted(release.files.items()):
            each = release.arrived.get(name)
            sha256 = each.dist.sha256 if each else digests[name]
            added += [{**run, "files": [sha256]} for run in file.results]
        new = [run for run in added if run not in listed]
        path = layout.results_path(self.target.name, release.project, release.version)
        if new:
            release.plan.changes[path] = results_bytes([*listed, *new])
        elif added:
            release.plan.concerned.append(path)


def _state(document: Any, stated: ProjectStatements, yanks: Mapping[str, str], status: Status | None) -> None:
    """Add to the statements of a project: what is said of it here stays."""
    if status is not None and stated.status is None and status.status != "active":
        document["status"] = status.status
        if status.reason:
            document["status-reason"] = status.reason
    for key, reason in sorted(yanks.items()):
        if key not in stated.yanked:
            document.setdefault("yanked", {})[key] = reason


def _is_whole(index: Index, release: Coming) -> bool:
    """Tell whether the source knows of all files that the release has here."""
    opened = index.project(release.project)
    manifest = opened.release(release.version) if opened else None
    return not isinstance(manifest, Manifest) or all(file.filename in release.files for file in manifest.files)
