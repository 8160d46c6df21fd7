"""Writes indexes out as `devpi-server` imports them: a folder with `dataindex.json`, and the files that it names."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, NamedTuple

from gitindex import atomic, toxreport
from gitindex.documents import Unreadable
from gitindex.edits.opened import cannot_read, open_index, open_user
from gitindex.errors import CannotRunError, ConflictError, DistributionError
from gitindex.facts import read_core_facts
from gitindex.importers.devpi_export import INDEX
from gitindex.importers.exporting import Export, Exported, manifests, stored
from gitindex.model import File, Manifest, Mirror, ProjectStatements, Stage, TestRun
from gitindex.names import IndexName, ProjectName
from gitindex.report.text import count
from gitindex.resolve import resolution_order
from gitindex.snapshot import Index, Project
from gitindex.upstream.mirror import Upstream

_EPOCH = "1970-01-01T00:00:00Z"
_OF_MIRRORS = ("mirror_cache_expiry", "mirror_use_external_urls", "title", "description")
_TEXTS = {
    "summary": "summary",
    "home_page": "home_page",
    "author": "author",
    "author_email": "author_email",
    "maintainer": "maintainer",
    "maintainer_email": "maintainer_email",
    "license": "license",
    "license_expression": "license_expression",
    "description": "description",
    "description_content_type": "description_content_type",
}
_LISTS = {
    "classifiers": "classifiers",
    "requires_dist": "requires_dist",
    "requires_external": "requires_external",
    "provides_dist": "provides_dist",
    "obsoletes_dist": "obsoletes_dist",
    "platforms": "platform",
    "provides_extra": "provides_extras",
}
"""What packaging calls fields of metadata, and what devpi does."""


class _Named(NamedTuple):
    """A release, by names."""

    place: IndexName
    project: ProjectName
    version: str


class DevpiWriting:
    """An export on its way."""

    def __init__(self, export: Export) -> None:
        """Begin at a folder, which an earlier run may have begun.

        Raises:
            ConflictError: an export is there already.

        """
        self._snapshot, self._out, self._copier, self._report = export
        if (self._out / INDEX).exists():
            help_ = "name another folder, or remove that one"
            raise ConflictError(f"{self._out}: an export is there already", help=help_)

    def write(self, names: Iterable[IndexName]) -> Iterator[Exported]:
        """Write indexes and all that they inherit from; `dataindex.json` comes last.

        Raises:
            CannotRunError: something cannot be read or written, or a file does not have the bytes of its manifest.
            ConflictError: something else is in the place of a file.

        """
        indexes = {index.name: index for name in names for index in self._with_bases(name)}
        self._report.note("", "passwords", "are not there: set one for each user, with devpi-passwd or devpi user -m")
        if self._snapshot.settings.names.reserved:
            self._report.note("", "names.reserved", "has no counterpart: devpi knows a name by its releases alone")
        told = {}
        for name, index in sorted(indexes.items()):
            described = self._index(index)
            told[str(name)] = described
            yield Exported(str(name), len(described.get("files", ())))
        owners: dict[str, Any] = {name.user: self._user(name.user) for name in indexes}
        # root is there in every devpi-server, with a password of its own.
        users = {name: config for name, config in sorted(owners.items()) if name != "root"}
        users |= {name: self._user(name) for name in self._acl_users(indexes.values()) if name not in owners}
        data = {"dumpversion": "2", "users": users, "indexes": told}
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise atomic.cannot_write(self._out, error) from None
        atomic.write(self._out / INDEX, [json.dumps(data, indent=2).encode()])

    def _with_bases(self, name: IndexName) -> list[Index]:
        return [*resolution_order(self._snapshot, open_index(self._snapshot, name))]

    def _user(self, name: str) -> dict[str, Any]:
        user = open_user(self._snapshot, name)
        texts = {key: text for key, text in (("email", user.email), ("title", user.title)) if text}
        if user.identities:
            self._report.note(name, "identities", "have no counterpart: devpi knows people by their passwords")
        return {"username": name, "created": _EPOCH, **texts}

    def _acl_users(self, indexes: Iterable[Index]) -> list[str]:
        names = {name for index in indexes for name in self._acl(index)}
        return sorted(name for name in names if name != "root")

    def _index(self, index: Index) -> dict[str, Any]:
        match index.definition:
            case Mirror() as mirror:
                return {"indexconfig": self._mirror(index.name, mirror)}
            case Stage() as stage:
                releases: dict[ProjectName, dict[str, Any]] = {}
                files: list[dict[str, Any]] = []
                attested = Counter[ProjectName]()
                for project, manifest in manifests(index):
                    if self._is_offered(index.name, project):
                        described, of_release = self._release(index.name, project, manifest)
                        releases.setdefault(project.name, {})[manifest.version] = described
                        files += of_release
                        attested[project.name] += sum(file.provenance is not None for file in manifest.files)
                for name, number in (+attested).items():
                    why = f"the attestations of {count(number, 'file')} are not there: gitindex export dir has them"
                    self._report.note(index.name, name, why)
                return {"indexconfig": self._stage(index, stage), "projects": releases, "files": files}
            case _:
                raise CannotRunError(f"{index.path}: cannot be read", help="see: gitindex validate --all")

    def _mirror(self, name: IndexName, mirror: Mirror) -> dict[str, Any]:
        data = mirror.data()
        for key in ("allow", "deny", "mirror_min_age", "mirror_min_age_exempt"):
            if data[key]:
                self._report.note(name, key, "has no counterpart: devpi shows all that the upstream does")
        stated = {key: data[key] for key in _OF_MIRRORS}  # an empty title too: devpi's own root/pypi has one
        return {"type": "mirror", "volatile": False, "mirror_url": Upstream(name, mirror).url, **stated}

    def _stage(self, index: Index, stage: Stage) -> dict[str, Any]:
        for key, value in (
            ("require_tests", stage.require_tests),
            ("require_attestation", stage.require_attestation),
            ("merge_mirrors", stage.merge_mirrors),
        ):
            if value:
                self._report.note(index.name, key, "has no counterpart")
        texts = {key: text for key, text in (("title", stage.title), ("description", stage.description)) if text}
        return {
            "type": "stage",
            "volatile": stage.volatile,
            "bases": [*map(str, index.bases)],
            "acl_upload": self._acl(index),
            "mirror_whitelist": [*stage.mirror_whitelist],
            "mirror_whitelist_inheritance": stage.mirror_whitelist_inheritance,
            **texts,
        }

    def _acl(self, index: Index) -> list[str]:
        """Return who may release, by name: groups are written out."""
        stage = index.definition
        if not isinstance(stage, Stage):
            return []
        if stage.acl_upload is None:
            return [index.name.user]
        found: dict[str, None] = {}
        for entry in stage.acl_upload:
            if entry.startswith(":"):
                self._report.note(index.name, f"acl_upload {entry}", "is written out: devpi has no groups of its own")
                found.update(dict.fromkeys(self._snapshot.settings.groups.get(entry[1:], ())))
            else:
                found[entry] = None
        return [*found]

    def _is_offered(self, name: IndexName, project: Project) -> bool:
        """Tell whether a project may be offered to everybody, and tell of what devpi does not keep from them."""
        stated = project.statements
        if not isinstance(stated, ProjectStatements):
            return True
        if stated.status == "quarantined":
            why = "is quarantined, and devpi would offer it: gitindex export dir has its files"
            self._report.note(name, project.name, why)
            return False
        if stated.status not in {None, "active"}:
            self._report.note(name, project.name, f"is {stated.status}, and devpi would not say so")
        for yanked in stated.yanked:
            self._report.note(name, f"{project.name} {yanked}", "is yanked, and devpi offers it like any other")
        return True

    def _release(
        self, name: IndexName, project: Project, manifest: Manifest
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Copy the files of a release, and return what is said of it and of them."""
        named = _Named(name, project.name, manifest.version)
        described = {"name": manifest.name, "version": manifest.version}
        files = []
        for file in stored(name, manifest, self._report):
            path = f"{name}/{project.name}/{manifest.version}/{file.filename}"
            self._copier.copy(file, self._out / path)
            described = {**_described(self._out / path), **described}
            if file.requires_python is not None:
                described.setdefault("requires_python", file.requires_python)
            files.append(_file(named, file.hashes.sha256, file.upload_time or _EPOCH, path))
        files += self._results(named, project, manifest)
        return described, files

    def _results(self, named: _Named, project: Project, manifest: Manifest) -> Iterator[dict[str, Any]]:
        """Write what came of testing a release as reports of tox, and yield what is said of these."""
        known = project.results(manifest.version)
        if isinstance(known, Unreadable):
            raise cannot_read(known)
        by_digest = {file.hashes.sha256: file for file in manifest.files if file.url is None}
        for number, run in enumerate(known or ()):
            for file in filter(None, map(by_digest.get, run.files)):
                yield self._result(named, file, run, number)

    def _result(self, named: _Named, file: File, run: TestRun, number: int) -> dict[str, Any]:
        sha256, report = file.hashes.sha256, toxreport.report_of(run)
        time = datetime.fromisoformat(run.time).astimezone(UTC)
        basename = f"{file.filename}.toxresult-{time:%Y%m%d%H%M%S}-{number}"
        path = f"{named.place}/{named.project}/sha256={sha256}/{basename}"
        try:
            (self._out / path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise atomic.cannot_write(self._out / path, error) from None
        atomic.write(self._out / path, [report])
        tested = f"{named.place}/+f/{sha256[:3]}/{sha256[3:16]}/{file.filename}"
        described = _file(named, hashlib.sha256(report).hexdigest(), run.time, path)
        return {**described, "type": "toxresult", "for_entrypath": tested}


def _file(named: _Named, sha256: str, stated: str, path: str) -> dict[str, Any]:
    """Return what an export says of a file; *stated* is its time."""
    time = datetime.fromisoformat(stated).astimezone(UTC)
    mapping = {
        "last_modified": format_datetime(time, usegmt=True),
        "hash_spec": f"sha256={sha256}",
        "hashes": {"sha256": sha256},
        "project": named.project,
        "version": named.version,
    }
    log = {"what": "upload", "who": None, "when": [*time.timetuple()[:6]], "dst": str(named.place)}
    return {
        "type": "releasefile",
        "projectname": named.project,
        "version": named.version,
        "relpath": path,
        "entrymapping": mapping,
        "log": [log],
    }


def _described(path: Path) -> dict[str, Any]:
    """Return what devpi shows of a release, by what the metadata of a file says; nothing where that makes no sense."""
    from packaging.metadata import parse_email  # noqa: PLC0415 - a heavy import, and only for this

    try:
        with path.open("rb") as stream:
            raw: Mapping[str, Any] = parse_email(read_core_facts(path.name, stream).metadata)[0]
    except DistributionError:
        return {}
    except OSError as error:
        raise CannotRunError(f"{path}: cannot be read: {error.strerror or error}") from None
    found: dict[str, Any] = {ours: raw[key] for key, ours in (*_TEXTS.items(), *_LISTS.items()) if key in raw}
    if "keywords" in raw:
        found["keywords"] = ",".join(raw["keywords"])
    if "project_urls" in raw:
        found["project_urls"] = [f"{label}, {url}" for label, url in raw["project_urls"].items()]
    return found
