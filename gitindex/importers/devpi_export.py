"""What `devpi-export` wrote as a source: a folder with `dataindex.json`, and the files that it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from gitindex.errors import CannotRunError, DeliveryError
from gitindex.importers.devpi import DevpiSource, Translation
from gitindex.importers.devpi_links import NO_FILES, Link, Release, files_of, log_of
from gitindex.importers.reading import a_list, a_mapping, a_moment, a_sha256, a_text, as_stated, read_json
from gitindex.importers.report import Kind, Report
from gitindex.importers.source import Listed, SourceFile, SourceIndex
from gitindex.names import IndexName, ProjectName, normalize
from gitindex.report.text import printable
from gitindex.snapshot import Snapshot

INDEX = "dataindex.json"
_LARGEST = 1 << 30
_LARGEST_RESULT = 64 << 20
_VERSIONS = frozenset({"1", "2", "3"})
"""The third is devpi 7's."""


class DevpiExport(DevpiSource):
    """An export of a devpi-server, or some of its indexes with what they inherit from."""

    def __init__(self, folder: Path, here: Snapshot, report: Report, *, only: Collection[str] = ()) -> None:
        """Read what an export says.

        Raises:
            CannotRunError: it is none, or none of a known version.
            NotThereError: it has no index that *only* names.

        """
        self._folder = folder.resolve()
        path = folder / INDEX
        data = read_json(_bytes(path, _LARGEST), str(path))
        version = data.get("dumpversion")
        if str(version) not in _VERSIONS:
            raise CannotRunError(f"{path}: is an export of version {str(version)[:20]!a}; known are 1 to 3")
        self._indexes = a_mapping(data.get("indexes"))
        configs = {name: _config(a_mapping(each)) for name, each in self._indexes.items()}
        super().__init__(Translation(a_mapping(data.get("users")), configs, here, report, [*only]), report)

    @property
    def told(self) -> str:
        return printable(self._folder.name) or "an export"

    @property
    def place(self) -> str:
        return str(self._folder)

    def close(self) -> None:
        """Nothing is open."""

    def listed(self, index: SourceIndex, report: Report) -> Listed:
        there = a_mapping(self._indexes[self._there[index.name]])
        if not isinstance(there.get("files", []), list):
            report.add(Kind.LEFT_OUT, index.name, "", f"what {INDEX} says of its files is no list")
        links: dict[tuple[ProjectName, str], list[Link]] = {}
        named = set[tuple[ProjectName, str]]()
        for stated in map(a_mapping, a_list(there.get("files"))):
            link = self._link(stated, index.name, report)
            project, version = stated.get("projectname"), stated.get("version")
            if not isinstance(project, str):
                continue
            if stated.get("type") not in {"toxresult", "doczip"}:
                named.add((normalize(project), str(version)))
            if link is not None:
                links.setdefault((normalize(project), str(version)), []).append(link)
        self._note_empty(index.name, a_mapping(there.get("projects")), named)
        files: list[SourceFile] = []
        for (project, _), of_release in links.items():
            release = Release(index.name, project, of_release, self._translation.user_names)
            files += files_of(release, self._place, self._result, report)
        return Listed(tuple(files))

    def _note_empty(
        self, place: IndexName, projects: Mapping[str, Any], has_files: Collection[tuple[ProjectName, str]]
    ) -> None:
        named = {project for project, _ in has_files}
        for name, data in projects.items():
            project, versions = normalize(name), _versions(data)
            if not versions and project not in named:
                self._report.note(place, name[:100], "has no releases")
            for version in versions:
                # Exports of old do not say of which version a file is.
                if (project, version) not in has_files and (project, "None") not in has_files:
                    self._report.note(place, f"{name} {version}"[:200], NO_FILES)

    def _link(self, stated: Mapping[str, Any], place: IndexName, report: Report) -> Link | None:
        path, rel, project = stated.get("relpath"), stated.get("type"), stated.get("projectname")
        if not (isinstance(path, str) and isinstance(rel, str) and isinstance(project, str)):
            what = a_text(path) or a_text(project) or "an entry"
            report.add(Kind.LEFT_OUT, place, what[:200], f"{INDEX} does not say its relpath, type and projectname")
            return None
        if not self._is_inside(path):
            report.add(Kind.LEFT_OUT, place, ascii(path[:200])[1:-1], "is not there, or leads out of the folder")
            return None
        mapping = a_mapping(stated.get("entrymapping"))
        about = stated.get("for_entrypath")
        return Link(
            rel,
            path,
            path.rpartition("/")[2],
            a_sha256(mapping),
            log_of(stated.get("log")),
            about.rpartition("/")[2] if isinstance(about, str) else "",
            _modified(mapping.get("last_modified")),
        )

    def _is_inside(self, path: str) -> bool:
        try:
            place = self._folder / path
            return place.is_file() and place.resolve().is_relative_to(self._folder)
        except (OSError, ValueError):
            return False

    def _place(self, link: Link) -> Path:
        return self._folder / link.place

    def _result(self, link: Link) -> bytes:
        try:
            return _bytes(self._place(link), _LARGEST_RESULT)
        except CannotRunError as error:
            raise DeliveryError(error.message) from None


def _config(index: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of an index; devpi 7 keeps what was its mirror_whitelist with the projects."""
    config = a_mapping(index.get("indexconfig"))
    rules = {
        name: a_mapping(a_mapping(data).get("config")).get("inheritance_rules")
        for name, data in a_mapping(index.get("projects")).items()
    }
    allowed = sorted(name for name, rule in rules.items() if rule == ["allow all"])
    return {**config, "mirror_whitelist": allowed} if allowed else config


def _versions(project: object) -> Mapping[str, Any]:
    data = a_mapping(project)
    return a_mapping(data["versions"]) if data.keys() == {"config", "versions"} else data


def _bytes(path: Path, limit: int) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise CannotRunError(f"{path}: is no file", help=f"name a folder with {INDEX}, which devpi-export writes")
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        help_ = f"name a folder with {INDEX}, which devpi-export writes"
        raise CannotRunError(f"{path}: cannot be read: {error.strerror or error}", help=help_) from None
    if len(data) > limit:
        raise CannotRunError(f"{path}: has more than {limit:,} bytes")
    return data


def _modified(value: object) -> str | None:
    """Return the time of an HTTP header, or in ISO's form, as a manifest has it."""
    if not isinstance(value, str) or (iso := a_moment(value)) is not None:
        return iso if isinstance(value, str) else None
    try:
        return as_stated(parsedate_to_datetime(value))
    except (TypeError, ValueError, OverflowError):
        return None
