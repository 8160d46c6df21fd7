"""What a host has to know of a snapshot: its stages, and where their names fall through."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlsplit

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.hosts.rules import SAFE_PATH, SAFE_URL, Fallback, HostSite
from gitindex.model import Mirror
from gitindex.names import IndexName, ProjectName, is_project_name, normalize
from gitindex.served import ServedIndex, open_index
from gitindex.snapshot import Snapshot
from gitindex.upstream.filters import Filters
from gitindex.upstream.mirror import Upstream

_OTHERS = ProjectName("")
"""Stands for all projects that a mirror's settings do not name."""
MOST_NAMED = 20
"""Projects that a note names."""


def host_site(snapshot: Snapshot, wanted: Collection[IndexName] = (), *, is_proxy: bool = False) -> HostSite:
    """Return what a host has to know; with *wanted*, of a site with these indexes alone.

    Raises:
        CannotRunError: an index cannot be read, or an address cannot stand in the configuration of a host.

    """
    opened = [open_index(snapshot, name) for name in snapshot.index_names() if not wanted or name in wanted]
    stages = [served for served in opened if served is not None and not served.index.is_mirror]
    told: dict[IndexName, _Told] = {}
    chains = {served.name: _mirrors(served, told) for served in stages}
    reserved = tuple(
        pattern if "*" in pattern or "?" in pattern else normalize(pattern)
        for pattern in snapshot.settings.names.reserved
    )
    return HostSite(
        base_path=_base_path(snapshot.settings.site.url),
        stages=tuple(served.name for served in stages),
        fallbacks=tuple(_fallbacks(chains)),
        reserved=reserved,
        is_proxy=is_proxy,
        owned=dict(_owned(stages, told)),
        fresh_seconds=max(1, min((mirror.upstream.mirror.mirror_cache_expiry for mirror in told.values()), default=0)),
        notes=tuple(_notes(chains)),
    )


def _owned(
    stages: Sequence[ServedIndex], told: Mapping[IndexName, _Told]
) -> Iterator[tuple[IndexName, frozenset[ProjectName]]]:
    """Yield which of the projects that mirrors name a stage has, itself or by its bases."""
    named = {name for mirror in told.values() for name in mirror.apart}
    for served in stages:
        bases = [index for index in served.order if not index.is_mirror]
        yield served.name, frozenset(name for name in named if any(index.has_project(name) for index in bases))


def _base_path(url: str) -> str:
    path = urlsplit(url).path.strip("/")
    base_path = f"/{path}/" if path else "/"
    if not SAFE_PATH.fullmatch(base_path):
        raise CannotRunError(
            f"{layout.SETTINGS}: the path of url in [site], {base_path!r}, cannot stand in the configuration of a host",
            help="use letters, digits, '.', '-', '_' and '~'",
        )
    return base_path


def _mirrors(served: ServedIndex, told: dict[IndexName, _Told]) -> tuple[_Told, ...]:
    """Return the mirrors of an index in their order; what is told of them already is not read again."""
    chain = []
    for index in served.order:
        if isinstance(index.definition, Mirror):
            if index.name not in told:
                told[index.name] = _told(Upstream(index.name, index.definition))
            chain.append(told[index.name])
    return tuple(chain)


def _told(upstream: Upstream) -> _Told:
    if not SAFE_URL.fullmatch(upstream.url):
        raise CannotRunError(
            f"{layout.index_path(upstream.name)}: mirror_url {upstream.url!r} cannot stand in a host's configuration",
            help="use letters, digits, '.', '-', '_', '~' and '+'",
        )
    return _Told(upstream, upstream.filters.apart())


class _Told(NamedTuple):
    """A mirror, and what its settings say of projects."""

    upstream: Upstream
    apart: Mapping[ProjectName, Filters]

    def of(self, name: ProjectName) -> Filters:
        """Return what is said of a project."""
        return self.apart.get(name) or self.apart[_OTHERS]


def _fallbacks(chains: Mapping[IndexName, Sequence[_Told]]) -> Iterator[Fallback]:
    """Yield whereto the names of each index fall through; what several have in common is thought out once."""
    known: dict[tuple[IndexName, ...], Fallback] = {}
    for index, chain in chains.items():
        mirrors = tuple(told.upstream.name for told in chain)
        if mirrors and mirrors not in known:
            known[mirrors] = _fallback(index, chain)
        if mirrors:
            yield replace(known[mirrors], index=index)


def _fallback(index: IndexName, chain: Sequence[_Told]) -> Fallback:
    names = {name for told in chain for name in told.apart if is_project_name(name)}
    others = _asked(chain, _OTHERS)
    decided = {name: _asked(chain, name) for name in sorted(names)}
    return Fallback(index, others, {name: url for name, url in decided.items() if url != others})


def _asked(chain: Sequence[_Told], name: ProjectName) -> str | None:
    """Return the upstream that is asked for a project; ``None`` where none is.

    It is the first that shows the project. Whether that one has it, a host without a program does not know; what it
    shows in part only, by version or by age, is not passed on: who asked the upstream itself would get the whole.
    """
    for told in chain:
        filters = told.of(name)
        try:
            if not filters.shows_project(name):
                continue
            return told.upstream.url if filters.shows_all_of(name) else None
        except CannotRunError:  # an entry that makes no sense must not open the mirror
            return None
    return None


def _notes(chains: Mapping[IndexName, Sequence[_Told]]) -> Iterator[str]:
    for told in {told.upstream.name: told for chain in chains.values() for told in chain}.values():
        name = told.upstream.name
        if told.upstream.mirror.mirror_min_age is not None:
            yield (
                f"{name} has mirror_min_age, which only gitindex serve can hold: nothing falls through to it but the "
                "projects of mirror_min_age_exempt"
            )
        limited = sorted(project for project in told.apart if _is_limited(told, project))
        if limited:
            more = f" and {len(limited) - MOST_NAMED} more" if len(limited) > MOST_NAMED else ""
            yield (
                f"{name} shows some versions alone, which only gitindex serve can hold: these projects do not fall "
                f"through: {', '.join(limited[:MOST_NAMED])}{more}"
            )
    for index, chain in chains.items():
        if len(chain) > 1:
            behind = ", ".join(str(told.upstream.name) for told in chain[1:])
            yield f"{index} has several mirrors: the first that may show a project is asked, and not {behind} after it"


def _is_limited(told: _Told, name: ProjectName) -> bool:
    """Tell whether a mirror shows a project in part, by versions."""
    filters = told.of(name)
    try:
        return filters.shows_project(name) and not filters.is_delayed(name) and not filters.shows_all_of(name)
    except CannotRunError:
        return True
