"""What a mirror shows of its upstream: `allow`, `deny`, `mirror_min_age`, and nothing that is newer than a moment.

Nothing here asks the network or knows the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.names import IndexName, ProjectName, is_project_name, normalize, parse_version
from gitindex.pages import FilePage, ProjectPage

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from gitindex.model import Mirror
    from gitindex.upstream.pages import UpstreamFile, UpstreamPage

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NAME = re.compile(r"\s*([A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True)
class _Rule:
    """What `allow` and `deny` say of one project."""

    allowed: tuple[SpecifierSet, ...] | None
    denied: tuple[SpecifierSet, ...]

    @property
    def names_versions(self) -> bool:
        return any(map(str, (*(self.allowed or ()), *self.denied)))

    @property
    def shows_something(self) -> bool:
        return (self.allowed is None or bool(self.allowed)) and all(map(str, self.denied))

    def shows(self, version: Version | None) -> bool:
        def has(specifiers: SpecifierSet) -> bool:
            return not str(specifiers) or (version is not None and specifiers.contains(version, prereleases=True))

        if version is None and self.names_versions:
            return False
        return (self.allowed is None or any(map(has, self.allowed))) and not any(map(has, self.denied))


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of one mirror.

    Each method raises :class:`~gitindex.errors.CannotRunError` where an entry of `allow` or `deny` that concerns the
    project makes no sense: it must not open the mirror.
    """

    name: IndexName
    mirror: Mirror

    def shows_project(self, name: ProjectName) -> bool:
        """Tell whether anything of a project may be shown: `allow` names it, and `deny` not the whole of it."""
        return self._rule(name).shows_something

    def shows_all_of(self, name: ProjectName) -> bool:
        """Tell whether no file of a project is hidden: then the upstream's page can be passed on as it is.

        Whether the mirror shows the project at all is :meth:`shows_project`'s to say.
        """
        return not self.is_delayed(name) and not self._rule(name).names_versions

    def shows(self, name: ProjectName, version: Version | None) -> bool:
        """Tell whether `allow` and `deny` leave a version; ``None`` is one that nobody knows, and could be any."""
        return self._rule(name).shows(version)

    def allowed(self) -> tuple[ProjectName, ...] | None:
        """Return the projects that `allow` names, without what `deny` hides, sorted; ``None`` where all are allowed."""
        if self.mirror.allow is None:
            return None
        return self.leave({name for entry in self.mirror.allow if is_project_name(name := _name_in(entry))})

    def leave(self, names: Iterable[ProjectName]) -> tuple[ProjectName, ...]:
        """Return those of the projects that are shown, sorted; one with an entry that makes no sense is not."""
        allowed = None if self.mirror.allow is None else set(map(_name_in, self.mirror.allow))
        denied = set(map(_name_in, self.mirror.deny))
        return tuple(
            sorted(
                name
                for name in names
                if (allowed is None or name in allowed) and (name not in denied or self._is_partly_shown(name))
            )
        )

    def _is_partly_shown(self, name: ProjectName) -> bool:
        try:
            return self.shows_project(name)
        except CannotRunError:
            return False

    def apart(self) -> Mapping[ProjectName, Filters]:
        """Return what is said of each project that a setting names, and under an empty name what is said of all others.

        For a project they answer as these do, and read no more than what concerns it: of all projects together these
        would take time that grows with the square of their number.
        """
        mirror = self.mirror
        settings = {
            "allow": _by_project(mirror.allow or ()),
            "deny": _by_project(mirror.deny),
            "mirror_min_age_exempt": _by_project(mirror.mirror_min_age_exempt, normalize),
        }
        apart = {}
        for name in dict.fromkeys((ProjectName(""), *chain.from_iterable(settings.values()))):
            said: dict[str, Any] = {key: found.get(name, ()) for key, found in settings.items()}
            if mirror.allow is None:
                said["allow"] = None
            apart[name] = replace(self, mirror=replace(mirror, **said))
        return apart

    def is_delayed(self, name: ProjectName) -> bool:
        """Tell whether `mirror_min_age` hides what is new of a project."""
        mirror = self.mirror
        return mirror.mirror_min_age is not None and name not in map(normalize, mirror.mirror_min_age_exempt)

    def shown(self, page: UpstreamPage, now: datetime, until: datetime | None = None) -> ProjectPage:
        """Return what is shown of a page: at the moment *now*, or as it was at the moment *until*.

        A file whose age nobody knows could be of this minute: it is left out where the age matters.
        """
        name = page.name
        if page.status is not None and page.status.status == "quarantined":
            return ProjectPage(name, (), (), page.status)
        latest = self._latest(until or now) if self.is_delayed(name) else until
        rule = self._rule(name)
        is_limited = until is not None or self.is_delayed(name)
        spelling: dict[Version, str] = {}
        known: list[tuple[Version, UpstreamFile]] = []
        unknown: list[UpstreamFile] = []
        for file in page.files:
            if is_limited and not _is_before(file.upload_time, latest):
                continue
            version = parse_version(file.version) if file.version is not None else None
            if not rule.shows(version):
                continue
            if version is None:
                unknown.append(file)
            else:
                spelling.setdefault(version, str(version))
                known.append((version, file))
        for text in () if is_limited else page.versions:  # of what has no files, nobody knows the age
            version = parse_version(text)
            if version is not None and rule.shows(version):
                spelling.setdefault(version, str(version))
        known.sort(key=lambda pair: (pair[0], pair[1].filename))
        unknown.sort(key=lambda file: file.filename)
        files = (
            *(self._file(file, "") for file in unknown),
            *(self._file(file, spelling[version]) for version, file in known),
        )
        return ProjectPage(name, tuple(spelling[version] for version in sorted(spelling)), files, page.status)

    def _file(self, file: UpstreamFile, version: str) -> FilePage:
        time = file.upload_time
        return FilePage(
            file.filename,
            version,
            self.name,
            file.url,
            file.sha256,
            file.size,
            None if time is None else time.isoformat().replace("+00:00", "Z"),
            file.requires_python,
            file.core_metadata,
            file.yanked,
            file.provenance,
        )

    def _latest(self, moment: datetime) -> datetime | None:
        """Return when a file that is old enough at a moment was uploaded at the latest, ``None`` where none can be."""
        age = self.mirror.mirror_min_age
        assert age is not None  # noqa: S101 - asked for delayed projects alone
        seconds = moment.timestamp() - int(age[:-1]) * _SECONDS[age[-1]]
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None

    def _rule(self, name: ProjectName) -> _Rule:
        allowed = None if self.mirror.allow is None else tuple(self._specifiers("allow", name))
        return _Rule(allowed, tuple(self._specifiers("deny", name)))

    def _specifiers(self, key: str, name: ProjectName) -> Iterator[SpecifierSet]:
        """Yield what `allow` or `deny` says of a project."""
        from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

        for entry in _by_project(getattr(self.mirror, key) or ()).get(name, ()):
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


def _name_in(entry: str) -> ProjectName:
    match = _NAME.match(entry)
    return normalize(match[1] if match else "")


@lru_cache(maxsize=64)
def _by_project(
    entries: tuple[str, ...], name_in: Callable[[str], ProjectName] = _name_in
) -> Mapping[ProjectName, tuple[str, ...]]:
    """Return the entries of each project: a lock has thousands, and each page asks for those of one."""
    found: dict[ProjectName, list[str]] = {}
    for entry in entries:
        found.setdefault(name_in(entry), []).append(entry)
    return {name: tuple(own) for name, own in found.items()}


def _is_before(time: datetime | None, latest: datetime | None) -> bool:
    return time is not None and latest is not None and time <= latest
