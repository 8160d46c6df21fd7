"""What a release requires, and what that requires, of what an index itself holds: of each a version that fits.

Nothing here knows Git, files or the network: what is held, and what it requires, a holder says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep
from resolvelib.resolvers import Resolution
from resolvelib.structs import RequirementInformation

from gitindex.errors import CannotRunError, ConflictError, NotThereError
from gitindex.names import ProjectName, is_project_name, normalize

_MOST_ROUNDS = 50_000
_MOST_TRIALS = 300_000
"""Candidates that are looked at, which takes some seconds; in a round there may be as many as there are versions."""
_MOST_PROJECTS = 1000
"""Projects that are asked for, and lines of what one release requires: what they take grows with their square."""
_MAX_LINE = 4000
"""Characters of a requirement; in fewer than Python takes for a number, and more than anybody writes."""
_NAMED = 5
"""Versions that a message names."""
_LEAF = re.compile(r'(?:"[^"]*"|[A-Za-z_.]+) (?:not in|in|[<>=!~]{1,3}) (?:"[^"]*"|[A-Za-z_.]+)')
_EXTRA = re.compile(r"\bextra\b")
_QUOTED = re.compile(r'"([^"]*)"')
_ALWAYS = 'python_version >= "0"'

Origin = Literal["held", "shown", "elsewhere"]
"""Who has a candidate: the index that is pushed from, the target, or a mirror behind it, which is not asked."""


class Holder(Protocol):
    """Says what there is."""

    def held(self, project: ProjectName) -> Mapping[Version, str]:
        """Return the versions that the index itself has and that are sound, with their spelling there."""

    def shown(self, project: ProjectName) -> Mapping[Version, str]:
        """Return the versions that the target shows already, with their spelling there."""

    def is_elsewhere(self, project: ProjectName) -> bool:
        """Tell whether a mirror behind the target is asked for a project that is not pushed."""

    def requires(self, project: ProjectName, version: str, *, is_shown: bool) -> Sequence[str]:
        """Return the Requires-Dist of a version of those of :meth:`held`, or of :meth:`shown`."""

    def advice(self, project: ProjectName) -> str:
        """Return what to do about a project of which there is nothing that fits."""


class Taken(NamedTuple):
    """A release that something requires, and that the target does not show yet."""

    project: ProjectName
    version: str
    because: tuple[str, ...]
    """The releases that require it, such as ``app 1.0``, sorted."""


class _Wanted(NamedTuple):
    project: ProjectName
    extras: frozenset[str]
    specifier: SpecifierSet
    pinned: Version | None = None

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return f"{self.project}{extras}{f'=={self.pinned}' if self.pinned else self.specifier}"


class _Candidate(NamedTuple):
    project: ProjectName
    extras: frozenset[str]
    version: Version | None
    """``None``: whatever a mirror has."""
    spelling: str
    origin: Origin

    def __str__(self) -> str:
        return f"{self.project} {self.spelling}"


_Key = tuple[ProjectName, frozenset[str]]
_Information = RequirementInformation[_Wanted, _Candidate]


def closure(
    project: ProjectName, version: Version, extras: Iterable[str], holder: Holder, source: str
) -> tuple[Taken, ...]:
    """Return what has to be taken along so that a release can be installed from the target, sorted by name.

    Of each project that is required the newest version that fits; one that the target shows already comes first. A
    requirement of an extra counts where that is asked for, all other markers count as true. *source* names the index.

    Raises:
        NotThereError: nobody has a project that is required, in a version that fits; or nothing is required with an
            extra that is asked for.
        ConflictError: what is required does not fit together.
        CannotRunError: a requirement cannot be read, or there are too many ways.

    """
    provider = _Provider(holder)
    asked = frozenset(map(normalize, extras))
    root = _Wanted(project, asked, SpecifierSet(), version)
    try:
        # Not by a Resolver: the graph that it makes of this fails where something that was given up requires itself.
        chosen = Resolution(provider, BaseReporter()).resolve([root], _MOST_ROUNDS).mapping
    except ResolutionImpossible as error:
        raise _impossible(error.causes, provider, source) from None
    except (ResolutionTooDeep, _TooManyError):
        raise CannotRunError(
            f"{project} {version}: what it requires is too much to try",
            help="push what it requires first, version by version",
        ) from None
    if unknown := sorted(asked - provider.extras_of(chosen[project, asked])):
        raise NotThereError(
            f"{project} {version} requires nothing with the extra {unknown[0]}", help="write it as the release does"
        )
    return tuple(sorted(_taken(chosen, provider, (project, asked))))


def matters(marker: str, extras: Iterable[str]) -> bool:
    """Tell whether a requirement may be one, in some environment, of a release that is asked for with *extras*.

    What is no question of an extra counts as true: better one too many.
    """
    if not _asks_for_extra(marker):
        return True
    asked = _LEAF.sub(lambda leaf: leaf[0] if _asks_for_extra(leaf[0]) else _ALWAYS, marker)
    try:
        parsed = Marker(asked)
    except InvalidMarker:  # quotes in quotes: then nobody can tell here
        return True
    return any(parsed.evaluate({"extra": extra}) for extra in (*extras, ""))


def _asks_for_extra(marker: str) -> bool:
    return _EXTRA.search(_QUOTED.sub('""', marker)) is not None


class _TooManyError(Exception):
    """There are more ways, or more projects, than can be tried."""


class _Provider(AbstractProvider[_Wanted, _Candidate, _Key]):
    """What the resolver asks; a project with extras is of its own, and goes with the project without.

    It asks the same again for every way that it tries, so answers are kept.
    """

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._available: dict[ProjectName, dict[Version, tuple[str, Origin]]] = {}
        self._fitting: dict[frozenset[_Wanted], tuple[_Candidate, ...]] = {}
        self._dependencies: dict[_Candidate, tuple[_Wanted, ...]] = {}
        self._extras: dict[_Candidate, set[str]] = defaultdict(set)
        self._trials = 0

    def available(self, project: ProjectName) -> Mapping[Version, tuple[str, Origin]]:
        """Return the versions there are, those first that are tried first."""
        if project not in self._available:
            if len(self._available) >= _MOST_PROJECTS:
                raise _TooManyError
            shown, held = self._holder.shown(project), self._holder.held(project)
            found: dict[Version, tuple[str, Origin]] = {}
            found.update((version, (shown[version], "shown")) for version in sorted(shown, reverse=True))
            missing = held.keys() - shown.keys()
            found.update((version, (held[version], "held")) for version in sorted(missing, reverse=True))
            self._available[project] = found
        return self._available[project]

    def advice(self, project: ProjectName) -> str:
        return self._holder.advice(project)

    def extras_of(self, candidate: _Candidate) -> frozenset[str]:
        """Return the extras that a candidate which was tried requires something with, and perhaps other words."""
        return frozenset(self._extras[candidate])

    def identify(self, requirement_or_candidate: _Wanted | _Candidate) -> _Key:
        return requirement_or_candidate.project, requirement_or_candidate.extras

    def get_preference(
        self,
        identifier: _Key,
        resolutions: Mapping[_Key, _Candidate],  # noqa: ARG002
        candidates: Mapping[_Key, Iterator[_Candidate]],  # noqa: ARG002
        information: Mapping[_Key, Iterator[_Information]],
        backtrack_causes: Sequence[_Information],
    ) -> tuple[bool, bool, ProjectName, list[str]]:
        is_pinned = any(info.requirement.pinned for info in information[identifier])
        # Who wants what did not fit comes first as well: else all else is tried anew between the two.
        is_cause = any(
            identifier[0] in (info.requirement.project, info.parent and info.parent.project)
            for info in backtrack_causes
        )
        return not is_pinned, not is_cause, identifier[0], sorted(identifier[1])

    def find_matches(
        self,
        identifier: _Key,
        requirements: Mapping[_Key, Iterator[_Wanted]],
        incompatibilities: Mapping[_Key, Iterator[_Candidate]],
    ) -> list[_Candidate]:
        excluded = {candidate.version for candidate in incompatibilities[identifier]}
        return [found for found in self.fitting(requirements[identifier]) if found.version not in excluded]

    def fitting(self, requirements: Iterable[_Wanted]) -> tuple[_Candidate, ...]:
        """Return what fits all that is wanted of one project, the best first."""
        wanted = frozenset(requirements)
        if wanted not in self._fitting:
            self._fitting[wanted] = tuple(self._fitting_anew(wanted))
        return self._fitting[wanted]

    def _fitting_anew(self, wanted: frozenset[_Wanted]) -> Iterator[_Candidate]:
        project, extras = next((each.project, each.extras) for each in wanted)
        available = self.available(project)
        specifier = SpecifierSet()
        for each in wanted:
            specifier &= each.specifier
        pinned = {each.pinned for each in wanted if each.pinned is not None}
        if pinned:
            # A pre-release that is named is wanted.
            fits = {v for v in available if pinned == {v} and specifier.contains(v, prereleases=True)}
        else:
            fits = set(specifier.filter(available))
        for version, (spelling, origin) in available.items():
            if version in fits:
                yield _Candidate(project, extras, version, spelling, origin)
        is_held = any(origin == "held" for _, origin in available.values())
        if not pinned and not is_held and self._holder.is_elsewhere(project):
            yield _Candidate(project, extras, None, "", "elsewhere")

    def is_satisfied_by(self, requirement: _Wanted, candidate: _Candidate) -> bool:
        if candidate.version is None:
            return requirement.pinned is None
        if requirement.pinned is not None:
            return candidate.version == requirement.pinned
        return requirement.specifier.contains(candidate.version, prereleases=True)

    def get_dependencies(self, candidate: _Candidate) -> tuple[_Wanted, ...]:
        self._trials += 1
        if self._trials > _MOST_TRIALS:
            raise _TooManyError
        if candidate not in self._dependencies:
            self._dependencies[candidate] = tuple(self._dependencies_anew(candidate))
        return self._dependencies[candidate]

    def _dependencies_anew(self, candidate: _Candidate) -> Iterator[_Wanted]:
        project, extras, version = candidate.project, candidate.extras, candidate.version
        if version is None:
            return
        # Each wants itself: else the resolver goes back past one that does not fit, and tries no other version of it.
        yield _itself(candidate)
        if extras:
            yield _Wanted(project, frozenset(), SpecifierSet(), version)
        lines = self._holder.requires(project, candidate.spelling, is_shown=candidate.origin == "shown")
        if len(lines) > _MOST_PROJECTS:
            raise _TooManyError
        for line in lines:
            requirement = _parsed(line)
            if requirement is None:
                problem = f"{candidate} requires {line[:200]!a}, which is no requirement"
                raise CannotRunError(problem, help="release it again with sound metadata")
            marker = str(requirement.marker or "")
            if _asks_for_extra(marker):
                self._extras[candidate].update(map(normalize, _QUOTED.findall(marker)))
            name = normalize(requirement.name)
            # What comes from a URL is asked of no index.
            if not requirement.url and is_project_name(name) and matters(marker, extras):
                wanted = frozenset(map(normalize, requirement.extras))
                yield _Wanted(name, wanted, requirement.specifier)


def _itself(candidate: _Candidate) -> _Wanted:
    return _Wanted(candidate.project, candidate.extras, SpecifierSet())


def _parsed(line: str) -> Requirement | None:
    if len(line) > _MAX_LINE:
        return None
    try:
        return Requirement(line)
    except (InvalidRequirement, RecursionError):
        return None


def _taken(chosen: Mapping[_Key, _Candidate], provider: _Provider, root: _Key) -> Iterator[Taken]:
    """Yield what is held of all that is chosen and, by whatever way, required; the resolver may have chosen more."""
    because: dict[ProjectName, set[str]] = defaultdict(set)
    left, seen = [root], {root}
    while left:
        parent = chosen[left.pop()]
        for wanted in provider.get_dependencies(parent):
            key = provider.identify(wanted)
            if wanted.project != parent.project:
                because[wanted.project].add(str(parent))
            if key not in seen:
                seen.add(key)
                left.append(key)
    for project, extras in seen:
        candidate = chosen[project, extras]
        if not extras and candidate.origin == "held" and project != root[0]:
            yield Taken(project, candidate.spelling, tuple(sorted(because[project])))


def _impossible(causes: Iterable[_Information], provider: _Provider, source: str) -> NotThereError | ConflictError:
    by_project: dict[ProjectName, list[_Information]] = defaultdict(list)
    for cause in causes:
        if cause.parent is None or cause.requirement != _itself(cause.parent):
            by_project[cause.requirement.project].append(cause)
    for project, infos in sorted(by_project.items()):
        for info in infos:
            if not provider.fitting([info.requirement]):
                return _missing(project, info, provider, source)
    project, infos = min(by_project.items(), key=lambda item: (-len(item[1]), item[0]))
    help_ = f"push them apart, or release a version of {project} that fits all"
    return ConflictError(f"{', and '.join(_wishes(infos))}: no version fits", help=help_)


def _wishes(infos: Iterable[_Information]) -> list[str]:
    """Say who wants what of one project: of the versions of a release that want the same, the first that was tried."""
    told: dict[tuple[ProjectName | None, _Wanted], str] = {}
    for info in infos:
        told.setdefault((info.parent.project if info.parent else None, info.requirement), _told(info))
    wishes = sorted(told.values())
    more = len(wishes) - _NAMED
    return [*wishes[:_NAMED], f"{more} more do"] if more > 0 else wishes


def _missing(project: ProjectName, info: _Information, provider: _Provider, source: str) -> NotThereError:
    versions = sorted(provider.available(project), reverse=True)
    if versions:
        more = " and more" if len(versions) > _NAMED else ""
        there = f"there is only {', '.join(map(str, versions[:_NAMED]))}{more}"
    else:
        there = f"{source} itself has no {project}, and no mirror behind the target can have it"
    return NotThereError(f"{_told(info)}: {there}", help=provider.advice(project))


def _told(info: _Information) -> str:
    return f"{info.parent} requires {info.requirement}" if info.parent else f"{info.requirement} is pushed"
