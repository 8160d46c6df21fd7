"""What comes of the files that a source lists: which are sound, which are here already, what arrives of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gitindex.edits.opened import release_version
from gitindex.importers.destination import Destination
from gitindex.importers.shelf import Arrived, Shelf, Wanted
from gitindex.importers.source import SourceFile
from gitindex.importers.target import Coming, Target
from gitindex.names import ProjectName, parse_filename

Bar = Callable[[Sequence[Wanted]], Any]
"""Makes the context in which files are fetched, which gives what is told of their bytes."""


class Arriving:
    """The releases that come into an index, with what has arrived of each, and what is here already."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._found: dict[tuple[ProjectName, object], Coming] = {}
        self.unchanged = 0
        """Files that are here already."""
        self._unattested = Counter[ProjectName]()
        """How many of them the source has attestations of, which are not here."""

    def releases(self, files: Iterable[SourceFile], shelf: Shelf, destination: Destination, bar: Bar) -> list[Coming]:
        """Bring *files*, and return the releases of those that have arrived or are here.

        Raises:
            CannotRunError: the disk fails.

        """
        target = self._target
        wanted = list[Wanted]()
        for item in self._sound(files):
            here = target.digests(item.named.project).get(item.file.filename)
            if here is None or item.file.sha256 is None:
                wanted.append(item)
            else:
                self._compare(item, here, item.file.sha256)
        with bar(wanted) as advance:
            for item, result in shelf.bring(wanted, destination, advance):
                filename = item.file.filename
                here = target.digests(item.named.project).get(filename)
                if not isinstance(result, Arrived):
                    target.failed(result.kind, filename, result.why)
                elif here is None:
                    self._release(item).arrived[filename] = result
                    if result.unattested:
                        target.left_out(f"provenance of {filename}", result.unattested)
                else:
                    self._compare(item, here, result.dist.sha256)
        for project, number in self._unattested.items():
            target.unattested(project, number)
        return [*self._found.values()]

    def _compare(self, item: Wanted, here: str, there: str) -> None:
        """Take note of a file whose name is released here, with the sha256 *here*."""
        if here != there:
            self._target.conflict(item.file.filename, here, there)
            return
        self._release(item)
        self.unchanged += 1
        project = item.named.project
        if item.file.provenance is not None and item.file.filename not in self._target.attested(project):
            self._unattested[project] += 1

    def _release(self, item: Wanted) -> Coming:
        named = item.named
        release = self._found.get((named.project, named.key))
        if release is None:
            version = release_version(self._target.index.project(named.project), named.canonical)
            release = self._found[named.project, named.key] = Coming(named.project, version)
        release.files[item.file.filename] = item.file
        return release

    def _sound(self, files: Iterable[SourceFile]) -> Iterator[Wanted]:
        """Yield the files whose names tell what they are, each once."""
        left_out = self._target.left_out
        seen: dict[str, SourceFile] = {}
        for file in files:
            named = parse_filename(file.filename)
            if named is None:
                left_out(file.filename, "is not the name of a wheel or an sdist")
            elif file.project not in {None, named.project}:
                left_out(file.filename, f"is listed under {file.project}, and is named after {named.project}")
            elif (first := seen.setdefault(file.filename, file)) is file:
                yield Wanted(file, named)
            elif file.sha256 is None or first.sha256 is None or file.sha256 != first.sha256:
                left_out(file.filename, "is there twice, and one of the two may have other bytes")
