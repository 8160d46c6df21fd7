"""Other indexes over HTTP: what a mirror shows of a project, with the mirror's own filters applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gitindex.errors import CannotRunError
from gitindex.names import IndexName, ProjectName, Sha256, is_sha256, normalize, parse_version
from gitindex.pages import FilePage, ProjectPage, Status

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

    from gitindex.model import Mirror

_TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and between two pieces of an answer."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Upstream:
    """A mirror and what it shows."""

    name: IndexName
    mirror: Mirror

    @property
    def url(self) -> str:
        """The simple index that is shown, ending in ``/``."""
        if self.mirror.mirror_url is not None:
            return self.mirror.mirror_url.rstrip("/") + "/"
        from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415 - a heavy import, and only for this

        return PYPI_SIMPLE_ENDPOINT

    @property
    def is_filtered(self) -> bool:
        """Whether some files of a project that is shown may not be: then its page cannot be passed on as it is."""
        mirror = self.mirror
        return mirror.mirror_min_age is not None or any(
            _specifier(entry) for entry in (*(mirror.allow or ()), *mirror.deny)
        )

    def project(self, name: ProjectName, now: datetime | None = None) -> ProjectPage | None:
        """Ask the upstream for a project; ``None`` where it has none.

        Raises:
            CannotRunError: the upstream does not answer, or not with a page.

        """
        import requests  # noqa: PLC0415
        from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedContentTypeError  # noqa: PLC0415

        try:
            with PyPISimple(self.url) as client:
                page = client.get_project_page(name, timeout=_TIMEOUT)
        except NoSuchProjectError:
            return None
        except (requests.RequestException, UnsupportedContentTypeError, ValueError) as error:
            raise CannotRunError(
                f"{self.name}: the upstream of the mirror does not answer: {type(error).__name__}"
            ) from None
        status = Status(page.status.value, page.status_reason) if page.status is not None else None
        files = [file for package in page.packages if (file := self._file(name, package, now or datetime.now(UTC)))]
        if status is not None and status.status == "quarantined":
            files = []
        files.sort(key=lambda file: (_sort_key(file.version), file.filename))
        return ProjectPage(name, tuple(dict.fromkeys(file.version for file in files)), tuple(files), status)

    def _file(self, name: ProjectName, package: DistributionPackage, now: datetime) -> FilePage | None:
        sha256 = package.digests.get("sha256", "")
        version = parse_version(package.version) if package.version else None
        if version is None or not is_sha256(sha256) or not self._shows(name, str(version)):
            return None
        if not self._is_old_enough(name, package.upload_time, now):
            return None
        metadata = (package.metadata_digests or {}).get("sha256", "") if package.has_metadata else ""
        return FilePage(
            package.filename,
            str(version),
            self.name,
            package.url.partition("#")[0],
            Sha256(sha256),
            package.size,
            None if package.upload_time is None else _utc(package.upload_time),
            package.requires_python or None,
            Sha256(metadata) if is_sha256(metadata) else None,
            (package.yanked_reason or "") if package.is_yanked else None,
            package.provenance_url,
        )

    def _shows(self, name: ProjectName, version: str) -> bool:
        allow, deny = self.mirror.allow, self.mirror.deny
        allowed = allow is None or any(_matches(entry, name, version) for entry in allow)
        return allowed and not any(_matches(entry, name, version) for entry in deny)

    def _is_old_enough(self, name: ProjectName, time: datetime | None, now: datetime) -> bool:
        age = self.mirror.mirror_min_age
        if age is None or name in {normalize(exempt) for exempt in self.mirror.mirror_min_age_exempt}:
            return True
        # A file whose age is not known could be of this minute.
        return time is not None and now - time >= timedelta(**{_UNITS[age[-1]]: int(age[:-1])})


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _specifier(entry: str) -> str:
    return entry.lstrip().lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-").strip()


def _matches(entry: str, name: ProjectName, version: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    try:
        requirement = Requirement(entry)
    except InvalidRequirement:
        return False
    return normalize(requirement.name) == name and requirement.specifier.contains(version, prereleases=True)


def _sort_key(version: str) -> object:
    return parse_version(version)
