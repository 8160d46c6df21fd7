"""What operators and programs ask a server about itself: status, metrics, API, changelog."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from gitindex import __version__
from gitindex.compare import Change
from gitindex.events import Event, Kind, events_of
from gitindex.names import is_commit_id
from gitindex.report.log import commit_json, event_json
from gitindex.server import answers
from gitindex.server.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitindex.git.history import Ahead
    from gitindex.server.access import Reader
    from gitindex.server.live import Refused
    from gitindex.server.pulling import Pulled
    from gitindex.server.reading import Reading
    from gitindex.server.state import Options, State

_MOST_COMMITS = 100
_DEFAULT_COMMITS = 20
_MOST_PROJECTS = 1000
"""Projects of one commit that are told: a first import may have all there are."""
_MOST_EVENTS = 100
"""Events of one commit that are told: each takes the reading of a manifest."""


async def status(state: State, reader: Reader) -> Answer:
    """Return how the server is: all of it for those whom it knows, for strangers that it runs."""
    live, standing = state.live, await state.standing()
    brief: dict[str, Any] = {"state": "degraded" if standing.failing else "serving", "version": __version__}
    if not reader.is_known:
        return answers.json_document({"type": "status", "result": brief})
    result = {
        **brief,
        "failing": standing.failing,
        "revision": standing.served,
        "reference": live.branch or live.reference,
        "since": _time(live.since),
        "started": _time(state.started),
        "uptime": round(state.uptime(), 1),
        "refused": None if standing.refused is None else _refused(standing.refused, reader),
        "behind": _behind(standing.ahead),
        "remote": None if standing.pulled is None else _pulled(state.options, standing.pulled),
        "workers": state.options.workers,
        "counters": totals(state),
        "page_cache": {
            "answers": len(state.cache),
            "bytes": state.cache.size,
            "limit": state.options.page_cache,
        },
        "file_cache": {**_file_cache(state), "limit": state.options.file_cache},
        "upstreams": _upstreams(state, reader),
    }
    return answers.json_document({"type": "status", "result": result})


def _refused(refused: Refused, reader: Reader) -> dict[str, Any]:
    # Both may name any index.
    is_told = reader.may_read_all
    return {
        "commit": refused.commit,
        "since": _time(refused.since),
        "findings": list(refused.findings) if is_told else [],
        "problem": (refused.problem if is_told else "a token that may read all indexes is told what") or None,
    }


def _behind(ahead: Ahead | None) -> dict[str, Any]:
    if ahead is None:
        return {"commits": None, "seconds": None}
    return {"commits": ahead.commits, "seconds": _age(ahead.oldest) if ahead.oldest is not None else 0}


def _age(moment: datetime) -> int:
    # Whoever made a commit says when that was.
    return max(0, round((datetime.now(UTC) - moment).total_seconds()))


def _pulled(options: Options, last: Pulled) -> dict[str, Any]:
    success = None if last.succeeded is None else datetime.fromtimestamp(last.succeeded, UTC)
    return {
        "every": options.pull_every,
        "by_hook": options.hook_secret is not None,
        "tip": last.tip,
        "last_success": _time(success),
        "seconds_since_success": None if success is None else _age(success),
        "problem": last.problem or None,
    }


def _file_cache(state: State) -> dict[str, Any]:
    return dict(state.files.statistics()._asdict())


def _upstreams(state: State, reader: Reader) -> dict[str, Any]:
    if state.asked_mirrors is None:
        return {}
    found = state.asked_mirrors.upstreams.all_health()
    return {
        str(name): {
            "is_paused": health.is_paused,
            "last_success": _time(health.last_success),
            "last_failure": _time(health.last_failure),
            "problem": health.problem or None,
            "requests": health.requests,
            "failures": health.failures,
        }
        for name, health in sorted(found.items())
        if reader.may_read(name)
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def totals(state: State) -> dict[str, int]:
    """Return the numbers of all workers."""
    state.tally()
    return state.counters.totals()


async def metrics(state: State, reader: Reader) -> Answer:
    """Return the numbers as Prometheus reads them."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - only where it is scraped
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric  # noqa: PLC0415
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4  # noqa: PLC0415

    numbers = totals(state)
    files = state.files.statistics()
    standing = await state.standing()
    pulled, behind, is_refused = standing.pulled, _behind(standing.ahead), standing.refused is not None

    class Collector:
        def collect(self) -> Iterator[Metric]:
            requests = CounterMetricFamily("gitindex_requests", "Answers by HTTP status.", labels=["status"])
            for name, number in numbers.items():
                if name.startswith("status_"):
                    requests.add_metric([name.removeprefix("status_")], number)
            yield requests
            for name, text in _COUNTED.items():
                yield CounterMetricFamily(f"gitindex_{name}", text, value=numbers[name])
            yield GaugeMetricFamily("gitindex_uptime_seconds", "Since this worker started.", value=state.uptime())
            yield GaugeMetricFamily("gitindex_page_cache_bytes", "Pages in memory.", value=state.cache.size)
            yield GaugeMetricFamily("gitindex_file_cache_bytes", "Files of mirrors on disk.", value=files.bytes)
            yield GaugeMetricFamily(
                "gitindex_revision_refused",
                "1 while the newest commit is not served.",
                value=is_refused,
            )
            if behind["commits"] is not None:
                yield GaugeMetricFamily(
                    "gitindex_behind_commits", "Commits that are known and not served.", value=behind["commits"]
                )
                yield GaugeMetricFamily(
                    "gitindex_behind_seconds", "The age of the oldest of them.", value=behind["seconds"]
                )
            if pulled is not None:
                yield GaugeMetricFamily(
                    "gitindex_remote_failing",
                    "1 while the branch cannot be pulled from its remote.",
                    value=bool(pulled.problem),
                )
                yield GaugeMetricFamily(
                    "gitindex_remote_last_success_timestamp_seconds",
                    "When the branch was last pulled, since 1970; 0: never.",
                    value=pulled.succeeded or 0,
                )
            served = GaugeMetricFamily("gitindex_revision_info", "The commit that is served.", labels=["commit"])
            served.add_metric([standing.served], 1)
            yield served
            yield from self._upstreams()

        def _upstreams(self) -> Iterator[Metric]:
            paused = GaugeMetricFamily("gitindex_upstream_paused", "1 while it is not asked.", labels=["mirror"])
            for name, health in _upstreams(state, reader).items():
                paused.add_metric([name], health["is_paused"])
            yield paused

    registry = CollectorRegistry()
    registry.register(Collector())
    content_type = (b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode())
    headers = [content_type, (b"cache-control", answers.NOT_AT_ALL), *answers.FOR_MACHINES]
    return Answer(HTTPStatus.OK, headers, generate_latest(registry))


_COUNTED = {
    "page_hits": "Pages that were sent from memory.",
    "page_misses": "Pages that were made.",
    "bytes_sent": "Bytes of bodies.",
    "broken_off": "Answers that could not be sent to their end.",
    "file_hits": "Files that were in the cache.",
    "file_misses": "Files that were not.",
    "file_evictions": "Files that were removed to make room.",
    "upstream_requests": "Requests to upstreams, for pages.",
    "upstream_failures": "Those without an answer.",
    "hooks": "Hooks that were heard.",
    "writes": "Times that the branch was moved on by what was sent here.",
}


async def changelog(state: State, reader: Reader, query: bytes) -> Answer:
    """Return the last commits that are served, the newest first, with what each touched, and did.

    The query may have ``limit`` (1 to 100) and ``after`` (a commit: what came after it).
    """
    try:
        wanted = parse_qs(query.decode("latin-1"), max_num_fields=10) if len(query) < 1000 else {}  # noqa: PLR2004
    except ValueError:
        return answers.in_words(HTTPStatus.BAD_REQUEST, "the query has too many fields")
    limit, after = wanted.get("limit", [str(_DEFAULT_COMMITS)])[-1], wanted.get("after", [""])[-1]
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= _MOST_COMMITS:
        return answers.in_words(HTTPStatus.BAD_REQUEST, f"limit is a number from 1 to {_MOST_COMMITS}")
    if after and not is_commit_id(after):
        return answers.in_words(HTTPStatus.BAD_REQUEST, "after is the whole id of a commit")
    if not reader.is_known and not reader.scopes:
        return answers.in_words(HTTPStatus.UNAUTHORIZED, "a token is needed")
    result = await state.read(lambda: list(_commits(state.reading, reader, int(limit), after)))
    return answers.json_document({"type": "changelog", "result": result})


def _commits(reading: Reading, reader: Reader, limit: int, after: str) -> Iterator[dict[str, Any]]:
    repository = reading.repository
    for commit_id in islice(repository.history.first_parents(reading.current.commit), limit):
        if commit_id == after:
            return
        commit = repository.history.commit(commit_id)
        base = repository.at(commit.parents[0]) if commit.parents else None
        change = Change(base, repository.at(commit_id))
        touched = [
            {"index": str(project.index), "project": str(project.name), "versions": sorted(project.versions)}
            for project in islice(change.projects(), _MOST_PROJECTS)
            if reader.may_read(project.index)
        ]
        # They may name any index.
        is_told = reader.is_known and (reader.may_read_all or _touches_only_readable(change, reader))
        happened = list(islice(_events(change, reader), _MOST_EVENTS + 1))
        told = commit_json(commit, repository.history.committed(commit_id))
        yield {
            **(told if is_told else {**told, "author": None, "subject": None}),
            "touched": touched,
            "events": [event_json(event) for event in happened[:_MOST_EVENTS]],
            **({"more": True} if len(happened) > _MOST_EVENTS else {}),
        }


def _events(change: Change, reader: Reader) -> Iterator[Event]:
    """Yield what a commit did to what may be read; where a release was before is told of such indexes alone."""
    for event in events_of(change.base, change.head):
        if event.index is None:
            if reader.is_known and reader.may_read_all:
                yield event
        elif reader.may_read(event.index):
            origins = tuple(filter(reader.may_read, event.origins))
            kind = Kind.RELEASED if event.kind is Kind.PUSHED and not origins else event.kind
            yield event._replace(kind=kind, origins=origins)


def _touches_only_readable(change: Change, reader: Reader) -> bool:
    """Tell whether a commit touches nothing but indexes that may all be read."""
    if change.touches_settings or change.changed_users:
        return False
    return bool(change.indexes) and all(map(reader.may_read, change.indexes))
