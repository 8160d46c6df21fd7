"""What the page of a project shows beside its files: what their metadata tells people, and what came of testing them.

Both are read from the repository alone, so that the site and the server show the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from gitindex import layout
from gitindex.documents import Unreadable
from gitindex.errors import CannotRunError, DistributionError
from gitindex.views import RunOfTests

if TYPE_CHECKING:
    from gitindex.facts.described import Described
    from gitindex.model import TestResults
    from gitindex.pages import FilePage, ProjectPage
    from gitindex.released import ReleasedFile
    from gitindex.resolve import Step
    from gitindex.storage import EmbeddedStore

_MOST = 100
"""Results that a page shows of one version: the newest."""


class Details(NamedTuple):
    """What is shown of a project beside its files."""

    described: Described | None
    """What the metadata of its newest release tells, ``None`` where none is in the repository."""
    tested: Mapping[str, tuple[RunOfTests, ...]]
    """Results of tests by version, newest first; only those of files that are shown."""
    attested: Mapping[str, str]
    """Who attests a file, by its filename: publishers, as its provenance document states them."""


NO_DETAILS = Details(None, {}, {})


def read_details(page: ProjectPage, version: str, steps: Sequence[Step], store: EmbeddedStore | None) -> Details:
    """Return the details of a project, and of its newest *version*; of another storage than the repository's none."""
    if not page.files:
        return NO_DETAILS
    if store is None:
        return Details(None, _tested(page, steps), {})
    return Details(_described(page, version, store), _tested(page, steps), dict(_attested(page, store)))


def _attested(page: ProjectPage, store: EmbeddedStore) -> Iterator[tuple[str, str]]:
    """Yield the files that have a provenance document, and the publishers that it names.

    That they did attest is for `gitindex upload`, `verify` and GI306 to prove.
    """
    for file in page.files:
        if file.provenance is None or file.sha256 is None:
            continue
        from gitindex.attestations import MAX_SIZE, ProvenanceError, read_provenance  # noqa: PLC0415 - few have one

        path = layout.stored_path(file.sha256, file.filename) + layout.PROVENANCE_SUFFIX
        with contextlib.suppress(ProvenanceError, CannotRunError):
            if store.has(path) and store.size(path) <= MAX_SIZE:
                with store.open(path, "") as stream:
                    bundles = read_provenance(stream.read(), file.filename, file.sha256)
                named = dict.fromkeys(str(bundle.publisher) for bundle in bundles if bundle.publisher is not None)
                if named:
                    yield file.filename, ", ".join(named)


def _described(page: ProjectPage, version: str, store: EmbeddedStore) -> Described | None:
    newest = version or page.versions[-1]
    of_version = (file for file in page.files if file.version == newest and file.sha256 is not None)
    for file in sorted(of_version, key=_wheels_first):
        data = metadata_of(file, store)
        if data is not None:
            from gitindex.facts.described import read_described  # noqa: PLC0415 - not every site has metadata

            return read_described(data)
    return None


def _wheels_first(file: FilePage) -> tuple[bool, str]:
    return not file.filename.endswith(".whl"), file.filename


def metadata_of(file: FilePage | ReleasedFile, store: EmbeddedStore) -> bytes | None:
    """Return METADATA or PKG-INFO of a stored file; ``None`` where it is not here, or in a broken archive."""
    path = layout.stored_path(str(file.sha256), file.filename)
    beside = path + layout.METADATA_SUFFIX
    try:
        if isinstance(file.core_metadata, str) and store.has(beside):
            from gitindex.facts.archive import MAX_METADATA  # noqa: PLC0415 - not every site has metadata

            if store.size(beside) > MAX_METADATA:
                return None
            with store.open(beside, file.core_metadata) as stream:
                return stream.read()
        if not store.has(path):
            return None
        from gitindex.facts import read_core_facts  # noqa: PLC0415 - most files have their metadata beside them

        with store.open(path, str(file.sha256)) as stream:
            return read_core_facts(file.filename, stream).metadata
    except (DistributionError, CannotRunError):  # a broken archive, or a pointer of Git LFS without its content
        return None


def _tested(page: ProjectPage, steps: Iterable[Step]) -> dict[str, tuple[RunOfTests, ...]]:
    found: dict[str, list[RunOfTests]] = {}
    shown: dict[str, set[str]] = {}
    for step in steps:
        if step.outcome != "shown" or step.project is None:
            continue
        for version in step.project.tested_versions():
            if not shown:
                for file in page.files:
                    shown.setdefault(file.version, set()).add(str(file.sha256))
            results = step.project.results(version)
            runs = list(_runs(results, shown.get(version, set()), step))
            if runs:
                found.setdefault(version, []).extend(runs)
    for runs in found.values():
        runs.sort(key=attrgetter("environment"))
        runs.sort(key=attrgetter("time"), reverse=True)
    return {version: tuple(runs[:_MOST]) for version, runs in found.items()}


def _runs(results: TestResults | Unreadable | None, shown: set[str], step: Step) -> Iterator[RunOfTests]:
    match results:
        case None:
            return
        case Unreadable():
            if shown:
                yield RunOfTests("", "unreadable", 0, "", step.index.name)
        case _:
            for run in results:
                if not shown.isdisjoint(run.files):
                    yield RunOfTests(run.environment, run.outcome, run.duration, run.time, step.index.name)
