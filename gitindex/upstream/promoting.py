"""Pushes from a mirror: a release of its upstream is downloaded, checked and read, and planned as one of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gitindex import layout
from gitindex.attestations import MAX_SIZE, ProvenanceError
from gitindex.download import Memory
from gitindex.edits.opened import open_stage, release_version
from gitindex.edits.plan import Plan
from gitindex.edits.promotion import (
    Promotion,
    Pushed,
    Requires,
    Target,
    Wanted,
    check_same,
    digests_of,
    put_release,
    required_by,
)
from gitindex.edits.releases import check_open
from gitindex.errors import CannotRunError, ConflictError, DeliveryError, DistributionError, NotThereError, UsageError
from gitindex.facts import read_archive, read_core_facts
from gitindex.facts.archive import MAX_METADATA
from gitindex.names import ProjectName, Sha256, is_specifier_set, normalize, parse_filename, parse_version, version_key
from gitindex.objects import store_of
from gitindex.required import requires_of
from gitindex.upstream.attesting import document_here, document_in, document_of
from gitindex.upstream.copying import Advance, copy_files
from gitindex.upstream.mirror import Upstream

if TYPE_CHECKING:
    from packaging.version import Version

    from gitindex.facts import CoreFacts
    from gitindex.names import IndexName
    from gitindex.pages import FilePage, ProjectPage
    from gitindex.snapshot import Index, Snapshot
    from gitindex.upstream.client import Upstreams
    from gitindex.upstream.pages import UpstreamPage

_AGAIN = "nothing was written; run it again"
_AGAIN_OR_BY_HAND = f"{_AGAIN}, or download the files and upload them yourself"
_MOST_TO_READ = 4 << 30
"""Bytes of files that are downloaded for no more than to know what they require."""


class Known:
    """What an upstream has said already."""

    def __init__(self) -> None:
        self.pages: dict[ProjectName, UpstreamPage | None] = {}
        self.documents: dict[str, Sha256 | None] = {}
        """The digests of provenance documents, by the path of the stored file; ``None`` where there is no right one."""


class Shelf:
    """What a mirror shows at a moment; each project is asked for once."""

    def __init__(
        self,
        snapshot: Snapshot,
        upstream: Upstream,
        upstreams: Upstreams,
        now: datetime,
        known: Known | None = None,
    ) -> None:
        """Show what *upstream* has; what is *known* already is not asked for, and what is asked for is added."""
        self.known = known or Known()
        self.upstream = upstream
        self.upstreams = upstreams
        self.snapshot = snapshot
        self._now = now
        self._pages: dict[ProjectName, tuple[UpstreamPage, ProjectPage] | str] = {}

    def page(self, project: ProjectName) -> tuple[UpstreamPage, ProjectPage] | str:
        """Return what the upstream says of a project and what of it is shown, or why nothing is."""
        if project not in self._pages:
            self._pages[project] = self._ask(project)
        return self._pages[project]

    def _ask(self, project: ProjectName) -> tuple[UpstreamPage, ProjectPage] | str:
        name, filters = self.upstream.name, self.upstream.filters
        if self.snapshot.is_reserved(project):
            return f"{project} is reserved (names.reserved in {layout.SETTINGS}): {name} does not answer for it"
        if not filters.shows_project(project):
            return f"{name} does not show {project}: its allow and deny do not let it through"
        pages = self.known.pages
        if project not in pages:
            pages[project] = self.upstreams.page(self.upstream, project)
        page = pages[project]
        if page is None:
            return f"{name} has no project {project}"
        return page, filters.shown(page, self._now)

    def release(self, wanted: Wanted) -> tuple[str, list[FilePage]]:
        """Return the version that is wanted, and its files that are shown.

        Raises:
            NotThereError: it is not there, or not shown.
            UsageError: it is yanked, or the project is quarantined.

        """
        name, project = self.upstream.name, wanted.project
        found = self.page(project)
        see = f"see: gitindex index show {name}"
        if isinstance(found, str):
            raise NotThereError(found, help=see)
        said, shown = found
        if shown.status is not None and shown.status.status == "quarantined":
            raise UsageError(f"{project} is quarantined in {name}", help="push a sound release of another project")
        version = parse_version(wanted.version) if wanted.version else self._newest(project)
        if version is None:
            problem = f"{wanted.version!r} is no version" if wanted.version else f"{name} shows no release of {project}"
            raise NotThereError(problem, help=see)
        files = [file for file in shown.files if file.version and parse_version(file.version) == version]
        if not files:
            is_there = any(file.version and parse_version(file.version) == version for file in said.files)
            hidden = "hides it: see allow, deny and mirror_min_age" if is_there else "does not have it"
            raise NotThereError(f"{project} {version}: {name} {hidden}", help=see)
        return str(version), files

    def _newest(self, project: ProjectName) -> Version | None:
        versions = self.sound(project)
        finals = [version for version in versions if not version.is_prerelease]
        return max(finals or versions, default=None)

    def sound(self, project: ProjectName) -> dict[Version, str]:
        """Return the versions that are shown and can be pushed: of wheels or sdists, none of which is yanked."""
        found = self.page(project)
        by_version: dict[str, list[FilePage]] = {}
        for file in () if isinstance(found, str) else found[1].files:
            by_version.setdefault(file.version, []).append(file)
        return {
            version: text
            for text, files in by_version.items()
            if (version := parse_version(text)) is not None
            and any(parse_filename(file.filename) for file in files)
            and all(file.yanked is None for file in files)
        }

    def hidden(self, project: ProjectName, version: str) -> list[str]:
        """Return the files of a version that are not shown."""
        found = self.page(project)
        if isinstance(found, str):
            return []
        shown, key = {file.filename for file in found[1].files}, version_key(version)
        of_version = (file for file in found[0].files if file.version and version_key(file.version) == key)
        return sorted(file.filename for file in of_version if file.filename not in shown)


class _Chosen(NamedTuple):
    """A release that is pushed, and its files that the target lacks."""

    pushed: Pushed
    files: tuple[FilePage, ...]


class MirrorPush:
    """A push from a mirror into a stage."""

    def __init__(self, shelf: Shelf, target: IndexName) -> None:
        self.notes: dict[str, None] = {}
        """What there is to say, in order."""
        self._shelf = shelf
        self._index = open_stage(shelf.snapshot, target)
        self._chosen: list[_Chosen] = []

    @property
    def size(self) -> int:
        """The bytes that are to come, as far as the upstream says how many."""
        return sum(file.size or 0 for chosen in self._chosen for file in chosen.files)

    def choose(
        self, wanted: Sequence[Wanted], filenames: Collection[str], folder: Path, requires: Requires | None
    ) -> None:
        """Say what is pushed: the whole of each release, or of these the files of some names.

        With *requires*, which reads what the target has, what the releases require goes along; *folder* is for what has
        to be downloaded to know it.

        Raises:
            NotThereError: the mirror does not show it, or nobody has what is required.
            ConflictError: the target has another file of that name, or what is required does not fit together.
            UsageError: it is yanked, or the project takes no releases.
            CannotRunError: the upstream does not answer, or states no digest.

        """
        named = [Pushed(each.project, self._shelf.release(each)[0]) for each in wanted]
        found = {(pushed.project, pushed.version): pushed for pushed in named}
        if requires is not None:
            holder = _Shown(self._index, named, requires, self._shelf, folder)
            for each, pushed in zip(wanted, named, strict=True):
                for along in required_by(pushed, each.extras, holder, str(self._shelf.upstream.name)):
                    found.setdefault((along.project, along.version), along)
            self.notes.update(holder.notes)
        left = set(filenames)
        for pushed in found.values():
            self._chosen.append(self._files_of(pushed, filenames))
            left -= {file.filename for file in self._shelf.release(Wanted(pushed.project, pushed.version))[1]}
        if left:
            releases = ", ".join(map(str, found.values()))
            raise NotThereError(f"{min(left)} is no file that {self._shelf.upstream.name} shows of {releases}")

    def _files_of(self, pushed: Pushed, filenames: Collection[str]) -> _Chosen:
        name, project = self._shelf.upstream.name, pushed.project
        check_open(self._index, project)
        _, files = self._shelf.release(Wanted(project, pushed.version))
        files = [file for file in files if not filenames or file.filename in filenames]
        for file in files:
            if file.yanked is not None:
                raise UsageError(
                    f"{file.filename} is yanked by the upstream of {name}: {file.yanked or 'no reason given'}",
                    help="push a sound release",
                )
        if not filenames:
            for filename in self._shelf.hidden(project, pushed.version):
                self.notes[f"left out: {filename}, which {name} does not show"] = None
        sound = [file for file in files if parse_filename(file.filename) is not None]
        for file in files:
            if file not in sound:
                self.notes[f"left out: {file.filename}, which is no wheel and no sdist"] = None
        digests = digests_of(self._index.project(project))
        for file in sound:
            if file.sha256 is None:
                raise CannotRunError(
                    f"{file.filename}: {name} states no sha256 of it, so nobody can check it",
                    help="choose other files with --file, or upload it",
                )
            check_same(digests, file.filename, file.sha256, self._index.name)
        return _Chosen(pushed, tuple(file for file in sound if file.filename not in digests))

    def plan(self, folder: Path, advance: Advance | None = None) -> Promotion:
        """Download what is chosen into a folder, check it, and plan that it is released.

        Raises:
            CannotRunError: a file, or its provenance, is not delivered, or a file is not what the page says.
            ConflictError: a file says something else of itself than the page does.
            DistributionError: a file is no sound wheel or sdist.

        """
        plan = Plan()
        files = {
            layout.stored_path(str(file.sha256), file.filename): file
            for chosen in self._chosen
            for file in chosen.files
        }
        places = download(files.values(), self._shelf, folder, advance)
        is_embedded = self._shelf.snapshot.settings.storage.is_embedded
        stored = plan.changes if is_embedded else plan.uploads
        for chosen in self._chosen:
            entries, name = [], str(chosen.pushed.project)
            for file in chosen.files:
                path = layout.stored_path(str(file.sha256), file.filename)
                facts = _read(chosen.pushed, file, places[file.filename])
                stored[path] = places[file.filename]
                if file.filename.endswith(".whl"):
                    stored[path + layout.METADATA_SUFFIX] = facts.metadata
                provenance = self._attest(file, path, places[file.filename], stored)
                entries.append(_entry(file, facts, places[file.filename].stat().st_size, provenance))
                name = facts.name
            if entries or self._has(chosen.pushed):
                put_release(plan, self._index, chosen.pushed, name, entries, source=self._shelf.upstream.name)
            else:
                raise NotThereError(f"{self._shelf.upstream.name} shows no wheel and no sdist of {chosen.pushed}")
        return Promotion(plan, tuple(chosen.pushed for chosen in self._chosen))

    def _attest(
        self, file: FilePage, path: str, place: Path, stored: dict[str, bytes | Path | None] | dict[str, bytes | Path]
    ) -> Sha256 | None:
        """Store the provenance document (PEP 740) that goes with a file, and return its digest.

        What lies beside the stored file here already counts, whoever brought it. What is none is left out, and told.
        """
        if file.provenance is None:
            return None
        documents, suffix = self._shelf.known.documents, layout.PROVENANCE_SUFFIX
        place = place.with_name(place.name + suffix)
        if path not in documents:
            documents[path] = self._document(file, file.provenance, path + suffix, place)
        if place.is_file():
            stored[path + suffix] = place
        return documents[path]

    def _document(self, file: FilePage, url: str, path: str, place: Path) -> Sha256 | None:
        shelf, of = self._shelf, (file.filename, Sha256(str(file.sha256)))
        fetch = shelf.upstreams.provenance_fetcher(shelf.upstream, url, file.url, MAX_SIZE + 1)
        try:
            here = document_in(store_of(shelf.snapshot, Path()), path)
            document = document_of(fetch, *of, place) if here is None else document_here(here, *of)
        except ProvenanceError as error:
            why = str(error)
        except DeliveryError as error:
            if not error.is_wrong:  # without it the release would stay so: what is released is not changed
                raise CannotRunError(
                    f"{file.filename}: its attestations did not come ({error.problem})", help=_AGAIN_OR_BY_HAND
                ) from None
            why = error.problem
        else:
            return Sha256(hashlib.sha256(document).hexdigest())
        self.notes[f"left out: provenance of {file.filename}: {why}"] = None
        return None

    def _has(self, pushed: Pushed) -> bool:
        opened = self._index.project(pushed.project)
        return opened is not None and opened.release(release_version(opened, pushed.version)) is not None


def download(
    files: Iterable[FilePage], shelf: Shelf, folder: Path, advance: Advance | None = None
) -> Mapping[str, Path]:
    """Download files that a page states a sha256 of, check them, and return where they are, by filename."""
    wanted = {file.filename: file for file in files}
    places = {filename: folder / str(file.sha256) / filename for filename, file in wanted.items()}
    missing = {filename: file for filename, file in wanted.items() if not places[filename].is_file()}
    for filename in missing:
        places[filename].parent.mkdir(exist_ok=True)
    mirrors = {shelf.upstream.name: shelf.upstream}
    copy_files(missing, places, mirrors, shelf.upstreams, help_=_AGAIN, advance=advance)
    return places


def _read(pushed: Pushed, file: FilePage, place: Path) -> CoreFacts:
    """Read a file whole, and refuse one that says something else of itself than its page does."""
    with place.open("rb") as stream:
        # Not as an upload is: how names are spelled is no question of the bytes, and releases are older than rules.
        facts = read_archive(file.filename, stream)
    problems = []
    if normalize(facts.name) != pushed.project:
        problems.append(f"name {facts.name!a}")
    if version_key(facts.version) != version_key(pushed.version):
        problems.append(f"version {facts.version!a}")
    if file.requires_python and not _same_specifier(
        facts.requires_python, file.requires_python
    ):  # pages may leave it out
        problems.append(f"requires-python {facts.requires_python!a} where the page has {file.requires_python!a}")
    if isinstance(file.core_metadata, str) and hashlib.sha256(facts.metadata).hexdigest() != file.core_metadata:
        problems.append("other core metadata than the page's digest is of")
    if problems:
        raise ConflictError(
            f"{file.filename} says of itself: {', '.join(problems)}", help=f"tell whoever runs {file.index}"
        )
    return facts


def _same_specifier(one: str | None, other: str) -> bool:
    if one and is_specifier_set(one) and is_specifier_set(other):
        from packaging.specifiers import SpecifierSet  # noqa: PLC0415

        return SpecifierSet(one) == SpecifierSet(other)
    return one == other


def _entry(file: FilePage, facts: CoreFacts, size: int, provenance: Sha256 | None) -> dict[str, Any]:
    is_wheel = file.filename.endswith(".whl")
    entry = {
        "filename": file.filename,
        "hashes": {"sha256": file.sha256},
        "size": size,
        "upload-time": file.upload_time,
        "requires-python": facts.requires_python,
        "core-metadata": {"sha256": hashlib.sha256(facts.metadata).hexdigest()} if is_wheel else None,
        "provenance": provenance,
    }
    return {key: value for key, value in entry.items() if value is not None}


class _Shown(Target):
    """What a mirror shows."""

    def __init__(self, target: Index, named: Iterable[Pushed], requires: Requires, shelf: Shelf, folder: Path) -> None:
        super().__init__(shelf.snapshot, target, named, requires)
        self._shelf = shelf
        self._folder = folder
        self._left = _MOST_TO_READ
        self.notes: dict[str, None] = {}

    def held(self, project: ProjectName) -> Mapping[Version, str]:
        return self._shelf.sound(project)

    def required_of_held(self, project: ProjectName, version: str) -> Sequence[str]:
        """Read the metadata of one file: of a wheel, which fits most, or of the sdist where there is none."""
        _, files = self._shelf.release(Wanted(project, version))
        known = [file for file in files if parse_filename(file.filename) is not None and file.sha256 is not None]
        if not known:
            raise CannotRunError(f"{self._shelf.upstream.name} states no sha256 of a file of {project} {version}")
        file = min(known, key=lambda each: (not each.filename.endswith(".whl"), "-none-any" not in each.filename, each))
        lines, note = requires_of(file.filename, self._metadata(file))
        if note:
            self.notes[note] = None
        return lines

    def _metadata(self, file: FilePage) -> bytes:
        if isinstance(file.core_metadata, str):
            sink = Memory()
            try:
                self._shelf.upstreams.metadata_fetcher(self._shelf.upstream, file.url, MAX_METADATA)(sink)
            except DeliveryError:  # a page that promises what is not there; the file has it
                pass
            else:
                if hashlib.sha256(sink.data).hexdigest() == file.core_metadata:
                    return bytes(sink.data)
        if self._left < (file.size or 0):
            raise CannotRunError(
                f"what {file.filename} and others require takes more than {_MOST_TO_READ:,} bytes to know: "
                f"{self._shelf.upstream.name} has no metadata beside them",
                help="push what is required first, version by version",
            )
        (place,) = download([file], self._shelf, self._folder).values()
        self._left -= place.stat().st_size
        with place.open("rb") as stream:
            try:
                return read_core_facts(file.filename, stream).metadata
            except DistributionError as error:
                raise CannotRunError(f"{error.message}: what it requires cannot be read") from None

    def advice(self, project: ProjectName) -> str:
        found = self._shelf.page(project)
        return f"{found}; push without --with-dependencies" if isinstance(found, str) else "push another version"
