"""Fetches what the mirrors below the stages of a site have, for a host that cannot send clients to an upstream.

Who may be asked for what is decided as `gitindex serve` decides it: a name of ours, or one that is hidden, is asked of
nobody, and what is fetched goes through the mirror's own filters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from gitindex.carried import Carried
from gitindex.model import Mirror, Stage
from gitindex.names import IndexName, ProjectName
from gitindex.pages import ProjectPage, joined, status_of
from gitindex.resolve import walk
from gitindex.served import ServedIndex, open_index
from gitindex.snapshot import Snapshot
from gitindex.upstream.client import Upstreams
from gitindex.upstream.mirror import Upstream, asked
from gitindex.upstream.pages import UpstreamPage

MOST_NAMED = 20
"""Projects that a note names."""
_AT_ONCE = 8

Progress = Callable[[int, int], None]


class Fetched(NamedTuple):
    """What was fetched, and what there is to say of it."""

    carried: Carried
    notes: tuple[str, ...]
    mirrors: tuple[Upstream, ...]


class _Question(NamedTuple):
    """What is asked for a project of a stage."""

    project: ProjectName
    upstreams: tuple[Upstream, ...]
    """In their order."""
    merges: bool
    """Whether all that have the project answer, and not the first alone."""


def fetch(
    snapshot: Snapshot,
    wanted: Collection[IndexName],
    upstreams: Upstreams,
    now: datetime,
    progress: Progress | None = None,
) -> Fetched:
    """Return what mirrors have of the projects that their `allow` names; with *wanted*, for these stages alone.

    A mirror without such a list is passed over, and that is noted.

    Raises:
        UpstreamError: an upstream does not say what it has.
        CannotRunError: an index cannot be read, or an entry of `allow` or `deny` makes no sense.

    """
    opened = [open_index(snapshot, name) for name in snapshot.index_names() if not wanted or name in wanted]
    stages = [served for served in opened if served is not None and not served.index.is_mirror]
    asked_for = {served.name: dict(_questions(snapshot, served)) for served in stages}
    questions = list(dict.fromkeys(question for each in asked_for.values() for question in each.values()))
    pages = _ask(questions, upstreams, progress)
    shown = {question: _shown(question, pages, now) for question in questions}
    carried = {
        stage: {name: page for name, question in each.items() if (page := shown[question]) is not None}
        for stage, each in asked_for.items()
    }
    mirrors = mirrors_of(stages)
    return Fetched(Carried(carried), tuple(_notes(mirrors, shown, pages)), mirrors)


def mirrors_of(stages: Iterable[ServedIndex]) -> tuple[Upstream, ...]:
    """Return the mirrors below some stages, each once."""
    definitions = ((index.name, index.definition) for served in stages for index in served.order)
    found = (Upstream(name, definition) for name, definition in definitions if isinstance(definition, Mirror))
    return tuple(dict.fromkeys(found))


def _questions(snapshot: Snapshot, served: ServedIndex) -> Iterator[tuple[ProjectName, _Question]]:
    definition = served.index.definition
    merges = isinstance(definition, Stage) and definition.merge_mirrors
    chain = mirrors_of([served])
    listed = {upstream.name for upstream in chain if upstream.mirror.allow is not None}
    names = {name for upstream in chain for name in upstream.filters.allowed() or ()}
    for name in sorted(names):
        steps = tuple(walk(snapshot, served.order, name))
        status = status_of(steps)
        if status is not None and status.status == "quarantined":
            continue
        # One without a list would answer alone if it has the project: what comes after it is not shown.
        upstreams = tuple(asked(steps))
        known = tuple(upstream for upstream in upstreams if upstream.name in listed)
        if known and (merges or known == upstreams[: len(known)]):
            yield name, _Question(name, known, merges)


def _ask(
    questions: Iterable[_Question], upstreams: Upstreams, progress: Progress | None
) -> dict[tuple[Upstream, ProjectName], UpstreamPage | None]:
    wanted = list(dict.fromkeys((upstream, each.project) for each in questions for upstream in each.upstreams))
    found = {}
    with ThreadPoolExecutor(_AT_ONCE, "upstream") as threads:
        waiting = [threads.submit(upstreams.page, upstream, name) for upstream, name in wanted]
        try:
            for done, (key, future) in enumerate(zip(wanted, waiting, strict=True)):
                if progress is not None:
                    progress(done, len(wanted))
                found[key] = future.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _shown(
    question: _Question, pages: dict[tuple[Upstream, ProjectName], UpstreamPage | None], now: datetime
) -> ProjectPage | None:
    shown = None
    for upstream in question.upstreams:
        page = pages[upstream, question.project]
        if page is not None:
            shown = joined(shown, upstream.filters.shown(page, now))
            if not question.merges:
                break
    return shown


def _notes(
    mirrors: Iterable[Upstream],
    shown: dict[_Question, ProjectPage | None],
    pages: dict[tuple[Upstream, ProjectName], UpstreamPage | None],
) -> Iterator[str]:
    for upstream in mirrors:
        if upstream.mirror.allow is None:
            yield (
                f"{upstream.name} has no list of what it allows, so nothing of it is in the site; "
                f"write one: gitindex mirror lock {upstream.name} --from pylock.toml"
            )
        answers = (page for (answering, _), page in pages.items() if answering == upstream)
        stale = sum(1 for page in answers if page is not None and page.is_stale)
        if stale:
            yield f"{upstream.name} does not answer: {stale:,} of its pages are as they were when it did last"
    if missing := sorted({question.project for question, page in shown.items() if page is None}):
        yield f"no upstream has {_some(missing)}"
    if empty := sorted({q.project for q, page in shown.items() if page is not None and not page.files}):
        yield f"nothing is shown of {_some(empty)}: no file has a version that is allowed, or is old enough"


def _some(names: list[ProjectName]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
