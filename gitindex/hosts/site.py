"""What a host has to know of a snapshot: its stages, and where their names fall through."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.hosts.rules import SAFE_PATH, SAFE_URL, Fallback, HostSite
from gitindex.model import Mirror
from gitindex.names import IndexName, ProjectName, is_project_name, normalize
from gitindex.served import ServedIndex, open_index
from gitindex.snapshot import Snapshot
from gitindex.upstream.mirror import Upstream

MOST_NAMED = 20
"""Projects that a note names."""


def host_site(snapshot: Snapshot, wanted: Collection[IndexName] = (), *, is_proxy: bool = False) -> HostSite:
    """Return what a host has to know; with *wanted*, of a site with these indexes alone.

    Raises:
        CannotRunError: an index cannot be read, or an address cannot stand in the configuration of a host.

    """
    opened = [open_index(snapshot, name) for name in snapshot.index_names() if not wanted or name in wanted]
    stages = [served for served in opened if served is not None and not served.index.is_mirror]
    chains = [(served.name, _mirrors(served)) for served in stages]
    reserved = tuple(
        pattern if "*" in pattern or "?" in pattern else normalize(pattern)
        for pattern in snapshot.settings.names.reserved
    )
    return HostSite(
        base_path=_base_path(snapshot.settings.site.url),
        stages=tuple(served.name for served in stages),
        fallbacks=tuple(_fallback(name, chain) for name, chain in chains if chain),
        reserved=reserved,
        is_proxy=is_proxy,
        fresh_seconds=max(1, min((up.mirror.mirror_cache_expiry for _, chain in chains for up in chain), default=0)),
        notes=tuple(_notes(dict(chains))),
    )


def _base_path(url: str) -> str:
    path = urlsplit(url).path.strip("/")
    base_path = f"/{path}/" if path else "/"
    if not SAFE_PATH.fullmatch(base_path):
        raise CannotRunError(
            f"{layout.SETTINGS}: the path of url in [site], {base_path!r}, cannot stand in the configuration of a host",
            help="use letters, digits, '.', '-', '_' and '~'",
        )
    return base_path


def _mirrors(served: ServedIndex) -> tuple[Upstream, ...]:
    definitions = ((index.name, index.definition) for index in served.order)
    chain = tuple(Upstream(name, definition) for name, definition in definitions if isinstance(definition, Mirror))
    for upstream in chain:
        if not SAFE_URL.fullmatch(upstream.url):
            raise CannotRunError(
                f"{layout.index_path(upstream.name)}: mirror_url {upstream.url!r} cannot stand in the configuration of "
                "a host",
                help="use letters, digits, '.', '-', '_', '~' and '+'",
            )
    return chain


def _fallback(index: IndexName, chain: Sequence[Upstream]) -> Fallback:
    names = frozenset[ProjectName]().union(*(upstream.filters.named() for upstream in chain))
    unnamed = _asked(chain, ProjectName(""))
    decided = {name: _asked(chain, name) for name in sorted(names) if is_project_name(name)}
    return Fallback(index, unnamed, {name: url for name, url in decided.items() if url != unnamed})


def _asked(chain: Sequence[Upstream], name: ProjectName) -> str | None:
    """Return the upstream that is asked for a project; ``None`` where none is.

    It is the first that shows the project. Whether that one has it, a host without a program does not know; what it
    shows in part only, by version or by age, is not passed on: who asked the upstream itself would get the whole.
    """
    for upstream in chain:
        try:
            if not upstream.filters.shows_project(name):
                continue
            return upstream.url if upstream.filters.shows_all_of(name) else None
        except CannotRunError:  # an entry that makes no sense must not open the mirror
            return None
    return None


def _notes(chains: Mapping[IndexName, Sequence[Upstream]]) -> Iterator[str]:
    for upstream in dict.fromkeys(upstream for chain in chains.values() for upstream in chain):
        if upstream.mirror.mirror_min_age is not None:
            yield (
                f"{upstream.name} has mirror_min_age, which only gitindex serve can hold: "
                "nothing falls through to it but the projects of mirror_min_age_exempt"
            )
        if limited := ", ".join(sorted(filter(partial(_is_limited, upstream), upstream.filters.named()))[:MOST_NAMED]):
            yield (
                f"{upstream.name} shows some versions alone, which only gitindex serve can hold: "
                f"these do not fall through: {limited}"
            )
    for name, chain in chains.items():
        if len(chain) > 1:
            others = ", ".join(str(upstream.name) for upstream in chain[1:])
            yield f"{name} has several mirrors: the first that may show a project is asked, and not {others} after it"


def _is_limited(upstream: Upstream, name: ProjectName) -> bool:
    """Tell whether a mirror shows a project in part, by versions."""
    filters = upstream.filters
    try:
        return filters.shows_project(name) and not filters.is_delayed(name) and not filters.shows_all_of(name)
    except CannotRunError:
        return True
