"""What happened, for people at a terminal and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitindex.events import Event, Kind
from gitindex.report.json import json_text
from gitindex.report.text import clipped, printable
from gitindex.telling import tell

if TYPE_CHECKING:
    from gitindex.git import CommitInfo
    from gitindex.log import Step

_GREEN, _YELLOW, _RED, _DIM, _OFF = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
_MARKS = {
    Kind.RELEASED: _GREEN,
    Kind.PUSHED: _GREEN,
    Kind.UNYANKED: _GREEN,
    Kind.INDEX_CREATED: _GREEN,
    Kind.USER_CREATED: _GREEN,
    Kind.REMOVED: _RED,
    Kind.REPLACED: _RED,
    Kind.INDEX_DELETED: _RED,
    Kind.USER_DELETED: _RED,
}
_WHO, _VERB, _PLACE = 18, 8, 18
"""Columns: lines are printed while the next ones are looked for."""


def step_lines(step: Step, *, colour: bool) -> Iterator[str]:
    """Yield a line for each event of a step: when, in which commit, by whom, what."""
    who = clipped(printable(step.user or step.commit.author), _WHO)
    head = f"{step.time.astimezone(UTC):%Y-%m-%d %H:%M}  {step.commit.id[:12]}"
    start = f"{_DIM}{head}{_OFF}" if colour else head
    for event in step.events:
        told = tell(event)
        verb = f"{_MARKS.get(event.kind, _YELLOW)}{told.verb:<{_VERB}}{_OFF}" if colour else f"{told.verb:<{_VERB}}"
        what = f"{told.subject}: {told.detail}" if told.detail else told.subject
        yield f"{start}  {who:<{_WHO}}  {verb}  {printable(told.place):<{_PLACE}}  {printable(what)}"


def json_parts(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the pieces of one object, as ``/+changelog`` gives it, while the steps are looked for."""
    yield '{"type": "changelog", "result": ['
    for number, step in enumerate(steps):
        yield f"{',' if number else ''}\n{json.dumps(_step_json(step))}"
    yield "\n]}\n"


def commit_json(commit: CommitInfo, time: datetime) -> dict[str, Any]:
    """Return what is told of a commit."""
    return {
        "commit": commit.id,
        "time": f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "author": json_text(commit.author),
        "subject": json_text(commit.subject),
    }


def _step_json(step: Step) -> dict[str, Any]:
    user = {"user": step.user} if step.user else {}
    return {**commit_json(step.commit, step.time), **user, "events": [event_json(event) for event in step.events]}


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as an object of JSON; what says nothing is left out."""
    values = {
        "index": str(event.index) if event.index else "",
        "project": event.project,
        "version": event.version,
        "files": list(event.files),
        "from": [str(name) for name in event.origins],
        "reason": event.reason,
        "status": event.status,
        "runs": [{"environment": environment, "outcome": outcome} for environment, outcome in event.runs],
        "keys": list(event.keys),
        "user": event.user,
    }
    told = {key: _carried(value) for key, value in values.items() if value}
    return {"kind": event.kind.value, **told}


def _carried(value: Any) -> Any:
    if isinstance(value, str):
        return json_text(value)
    return [_carried(item) for item in value] if isinstance(value, list) else value
