"""What a release requires, and what that requires, of what an index itself holds: of each a version that fits.

Nothing here knows Git, files or the network: what is held, and what it requires, a holder says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep, Resolver
from resolvelib.structs import RequirementInformation

from gitindex.errors import CannotRunError, ConflictError, NotThereError
from gitindex.names import ProjectName, is_project_name, normalize

if TYPE_CHECKING:
    from resolvelib.resolvers import Result

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
_EXTRA = re.compile(r'\bextra\b(?=(?:[^"]*"[^"]*")*[^"]*$)')
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
        NotThereError: nobody has a project that is required, in a version that fits.
        ConflictError: what is required does not fit together.
        CannotRunError: a requirement cannot be read, or there are too many ways.

    """
    provider = _Provider(holder)
    asked = frozenset(map(normalize, extras))
    root = _Wanted(project, asked, SpecifierSet(), version)
    try:
        result = Resolver(provider, BaseReporter()).resolve([root], max_rounds=_MOST_ROUNDS)
    except ResolutionImpossible as error:
        raise _impossible(error.causes, provider, source) from None
    except (ResolutionTooDeep, _TooManyError):
        raise CannotRunError(
            f"{project} {version}: what it requires is too much to try",
            help="push what it requires first, version by version",
        ) from None
    return tuple(sorted(_taken(result, project, version)))


def matters(marker: str, extras: Iterable[str]) -> bool:
    """Tell whether a requirement may be one, in some environment, of a release that is asked for with *extras*.

    What is no question of an extra counts as true: better one too many.
    """
    if not _EXTRA.search(marker):
        return True
    asked = _LEAF.sub(lambda leaf: leaf[0] if _EXTRA.search(leaf[0]) else _ALWAYS, marker)
    try:
        parsed = Marker(asked)
    except InvalidMarker:  # quotes in quotes: then nobody can tell here
        return True
    return any(parsed.evaluate({"extra": extra}) for extra in (*extras, ""))


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
            name = normalize(requirement.name)
            # What comes from a URL is asked of no index.
            if not requirement.url and is_project_name(name) and matters(str(requirement.marker or ""), extras):
                wanted = frozenset(map(normalize, requirement.extras))
                yield _Wanted(name, wanted, requirement.specifier)


def _parsed(line: str) -> Requirement | None:
    if len(line) > _MAX_LINE:
        return None
    try:
        return Requirement(line)
    except (InvalidRequirement, RecursionError):
        return None


def _taken(result: Result[_Wanted, _Candidate, _Key], project: ProjectName, version: Version) -> Iterator[Taken]:
    for key, candidate in result.mapping.items():
        is_root = (candidate.project, candidate.version) == (project, version)
        if not key[1] and candidate.origin == "held" and not is_root:
            because = {str(result.mapping[parent]) for parent in _parents(result, key)}
            yield Taken(candidate.project, candidate.spelling, tuple(sorted(because)))


def _parents(result: Result[_Wanted, _Candidate, _Key], key: _Key) -> Iterator[_Key]:
    """Yield what requires something; of the project with extras, what requires that."""
    for parent in result.graph.iter_parents(key):
        if parent is not None and parent[0] == key[0]:
            if parent[1] and not key[1]:
                yield from _parents(result, parent)
        elif parent is not None:
            yield parent


def _impossible(causes: Iterable[_Information], provider: _Provider, source: str) -> NotThereError | ConflictError:
    by_project: dict[ProjectName, list[_Information]] = defaultdict(list)
    for cause in causes:
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
