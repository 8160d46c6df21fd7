"""An index that an import fills, the releases that come into it, and where what does not come in is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gitindex.edits.plan import Plan
from gitindex.edits.promotion import digests_of
from gitindex.importers.report import Kind, Report
from gitindex.importers.shelf import Arrived
from gitindex.importers.source import SourceFile
from gitindex.names import IndexName, ProjectName
from gitindex.report.text import count
from gitindex.snapshot import Index


@dataclass
class Coming:
    """A release that comes: its files, and the plan that is made of them."""

    project: ProjectName
    version: str
    arrived: dict[str, Arrived] = field(default_factory=dict)
    files: dict[str, SourceFile] = field(default_factory=dict)
    """All of its files by name, with those that are here already."""
    plan: Plan = field(default_factory=Plan)

    @property
    def time(self) -> str:
        """When the first of its files came; empty where nobody knows."""
        return min((time for file in self.files.values() if (time := file.came or file.upload_time)), default="")

    @property
    def uploader(self) -> str:
        """Who released the first of its files."""
        known = [(file.came or file.upload_time or "", file.uploader) for file in self.files.values() if file.uploader]
        return min(known)[1] if known else ""


class Target:
    """An index that is filled, as it is before."""

    def __init__(self, index: Index, told: str, report: Report) -> None:
        """Take an index; *told* is what the source is called."""
        self.index = index
        self.told = told
        self._report = report
        self._digests: dict[ProjectName, Mapping[str, str]] = {}
        self._attested: dict[ProjectName, Collection[str]] = {}

    @property
    def name(self) -> IndexName:
        return self.index.name

    def digests(self, project: ProjectName) -> Mapping[str, str]:
        """Return the sha256 of the files that a project has here, by name."""
        if project not in self._digests:
            self._digests[project] = digests_of(self.index.project(project))
        return self._digests[project]

    def attested(self, project: ProjectName) -> Collection[str]:
        """Return the names of the files that a project has here with a provenance document."""
        if project not in self._attested:
            opened = self.index.project(project)
            releases = opened.releases() if opened else ()
            files = (file for _, manifest in releases for file in manifest.files)
            self._attested[project] = {file.filename for file in files if file.provenance is not None}
        return self._attested[project]

    def unattested(self, project: ProjectName, files: int) -> None:
        """Tell of files that are here without the attestations that the source has of them."""
        are = "is" if files == 1 else "are"
        why = f"{count(files, 'file')} of it {are} here without the attestations that {self.told} has"
        self._report.note(self.name, project, f"{why}: what is here stays as it is")

    def left_out(self, what: str, why: str) -> None:
        """Tell of something that is not sound, or that the rules refuse."""
        self._report.add(Kind.LEFT_OUT, self.name, what, why)

    def failed(self, kind: Kind, filename: str, why: str) -> None:
        """Tell of a file that did not arrive."""
        self._report.add(kind, self.name, filename, why)

    def conflict(self, filename: str, here: str, there: str) -> None:
        """Tell of a file that has other bytes here."""
        why = f"is released with the sha256 {here}, and {self.told} has {there}: other bytes need another name"
        self._report.add(Kind.CONFLICT, self.name, filename, why)
