"""Other indexes over HTTP: what a mirror shows of a project, with the mirror's own filters applied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.names import IndexName, ProjectName, Sha256, is_sha256, normalize, parse_version
from gitindex.pages import FilePage, ProjectPage, Status

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version
    from pypi_simple import DistributionPackage

    from gitindex.model import Mirror

_TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and between two pieces of an answer."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NAME = re.compile(r"\s*([A-Za-z0-9._-]*)")


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

    def shows_all_of(self, name: ProjectName) -> bool:
        """Tell whether no file of a project is hidden: then the upstream's page can be passed on as it is.

        Whether the mirror shows the project at all is :func:`gitindex.resolve.walk`'s to say.
        """
        entries = [*self._specifiers("allow", name), *self._specifiers("deny", name)]
        return not self._is_delayed(name) and not any(str(specifiers) for specifiers in entries)

    def project(self, name: ProjectName, now: datetime | None = None) -> ProjectPage | None:
        """Ask the upstream for a project; ``None`` where it has none.

        Raises:
            CannotRunError: the upstream does not answer, or not with a page; or a filter of the mirror makes no sense.

        """
        import requests  # noqa: PLC0415
        from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedRepoVersionError  # noqa: PLC0415

        try:
            with PyPISimple(self.url) as client:
                page = client.get_project_page(name, timeout=_TIMEOUT)
        except NoSuchProjectError:
            return None
        except (requests.RequestException, UnsupportedRepoVersionError, ValueError) as error:
            raise CannotRunError(
                f"{self.name}: {self.url} does not answer for {name} with a page ({type(error).__name__})",
                help="try again later, or see mirror_url: gitindex index show " + str(self.name),
            ) from None
        status = Status(page.status.value, page.status_reason) if page.status is not None else None
        if status is not None and status.status == "quarantined":
            return ProjectPage(name, (), (), status)
        files = self._files(name, page.packages, now or datetime.now(UTC))
        return ProjectPage(name, tuple(dict.fromkeys(file.version for file in files)), files, status)

    def _files(self, name: ProjectName, packages: list[DistributionPackage], now: datetime) -> tuple[FilePage, ...]:
        shown: list[tuple[Version, FilePage]] = []
        for package in packages:
            version = parse_version(package.version) if package.version else None
            sha256 = package.digests.get("sha256", "")
            # Without a digest nothing can be promised about the bytes, without a version nothing filtered.
            if version is None or not is_sha256(sha256):
                continue
            if self._shows(name, version) and (not self._is_delayed(name) or self._is_old(package.upload_time, now)):
                shown.append((version, self._file(package, version, Sha256(sha256))))
        shown.sort(key=lambda pair: (pair[0], pair[1].filename))
        return tuple(file for _, file in shown)

    def _file(self, package: DistributionPackage, version: Version, sha256: Sha256) -> FilePage:
        metadata = (package.metadata_digests or {}).get("sha256", "")
        time = None if package.upload_time is None else _utc(package.upload_time)
        return FilePage(
            package.filename,
            str(version),
            self.name,
            package.url.partition("#")[0],
            sha256,
            package.size,
            None if time is None else time.isoformat().replace("+00:00", "Z"),
            package.requires_python or None,
            Sha256(metadata) if is_sha256(metadata) else None,
            (package.yanked_reason or "") if package.is_yanked else None,
            package.provenance_url,
        )

    def _shows(self, name: ProjectName, version: Version) -> bool:
        def has(specifiers: SpecifierSet) -> bool:
            return specifiers.contains(version, prereleases=True)

        allowed = self.mirror.allow is None or any(map(has, self._specifiers("allow", name)))
        return allowed and not any(map(has, self._specifiers("deny", name)))

    def _specifiers(self, key: str, name: ProjectName) -> Iterator[SpecifierSet]:
        """Yield what `allow` or `deny` says of a project; an entry that makes no sense must not open the mirror."""
        from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

        for entry in getattr(self.mirror, key) or ():
            if (match := _NAME.match(entry)) is None or normalize(match[1]) != name:
                continue
            try:
                requirement = Requirement(entry)
            except InvalidRequirement:
                requirement = None
            if requirement is None or requirement.url or requirement.marker:
                raise CannotRunError(
                    f"{layout.index_path(self.name)}: {key} has {entry!r}, which is no name with version specifiers",
                    help='write it as "django" or "django<5"',
                )
            yield requirement.specifier

    def _is_delayed(self, name: ProjectName) -> bool:
        mirror = self.mirror
        return mirror.mirror_min_age is not None and name not in map(normalize, mirror.mirror_min_age_exempt)

    def _is_old(self, time: datetime | None, now: datetime) -> bool:
        """Tell whether a file is as old as `mirror_min_age`; one whose age is not known could be of this minute."""
        age = self.mirror.mirror_min_age
        if age is None or time is None:
            return age is None
        return (now - _utc(time)).total_seconds() >= int(age[:-1]) * _SECONDS[age[-1]]


def _utc(time: datetime) -> datetime:
    # PEP 700 demands UTC; an upstream that leaves the zone out means it, too.
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
