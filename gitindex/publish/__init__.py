"""Puts a site where it is served from: what differs from what is there, in an order in which no link is ever broken.

The record at the target says what is there and, before anything is done, what will be: so whoever comes after a
publish that was broken off knows of every path whether it is sure, and nothing is removed that no publish wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gitindex.errors import CannotRunError
from gitindex.layout import FILES
from gitindex.objects import Objects
from gitindex.publish.log import HeldError, Lease, Log
from gitindex.publish.planning import Known, WouldUndoError, check_removals, plan
from gitindex.publish.record import FOLDER, Entry, Generation, Step, is_named, shard_bytes, shard_count, split
from gitindex.threads import spread

JOBS = 16
_WHOLE = 8 << 20
"""Bytes up to which a file is read whole and looked at once more before it is sent."""
_AT_ONCE = 500
"""How many objects are removed in one request."""

Progress = Callable[[int, int], None]


class Report(NamedTuple):
    """What a publish did, or would do."""

    written: tuple[str, ...]
    """Paths, in the order in which they were written."""
    removed: tuple[str, ...]
    unchanged: int
    bytes: int
    """How many were sent."""
    before: str | None
    """The commit whose site was there."""
    resumed: bool = False
    """Whether a publish was continued that had been broken off."""
    refused: WouldUndoError | None = None
    """Why a publish would not do what a dry run tells."""


class Wanted(NamedTuple):
    """What shall be published."""

    folder: Path
    """The site."""
    files: Mapping[str, Entry]
    revision: str
    lasting: Sequence[str]
    """Its non-volatile indexes."""
    holder: str
    """Who publishes it: a target that another one with this name has is taken over at once."""
    has_storage: bool = False
    """Whether the stored files at the target are the storage itself: a publish neither writes nor removes them."""


def publish(
    objects: Objects,
    wanted: Wanted,
    *,
    may_follow: Callable[[str], None],
    max_delete: int | None = None,
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> Report:
    """Bring the target to what is *wanted*.

    Args:
        objects: The target.
        wanted: What it shall have.
        may_follow: Is asked whether this revision may take the place of another one, and raises where not.
        max_delete: How many objects may be removed; ``None``: any but the pages of non-volatile indexes.
        force: Take the target from whoever has it, whatever is there.
        full: Write everything, whatever is there.
        dry_run: Only say what would be done.
        jobs: How many requests at the same time.
        progress: Is told how many objects are done, and how many there are.

    Raises:
        WouldUndoError: it would undo what is there; nothing was written. A dry run reports what would be removed.
        HeldError: another publish is under way.
        BadRecordError: the record at the target is none.
        CannotRunError: the store does not do it; what was done is remembered, and no link is broken.

    """
    log = Log(objects)
    last, held = log.newest() if objects.exists else (None, None)
    if not force:
        _check_free(last, held, wanted.holder)
        _check_place(objects, last)
        if last is not None:
            may_follow(last.revision)
    if wanted.has_storage:
        wanted = wanted._replace(files={path: entry for path, entry in wanted.files.items() if not _is_stored(path)})
    shards = _Shards.of(wanted.files)
    known, files = _compare(log, last, shards, wanted.files, full=full)
    if wanted.has_storage:
        known = _without_stored(known)
    grouped = plan(known, files, lambda path: objects.size(path) is not None)
    steps = [step for group in grouped for step in group]
    lasting = {*wanted.lasting, *(last.lasting if last else ())}
    report = _report(steps, wanted.files, last)
    try:
        check_removals(steps, lasting, max_delete)
    except WouldUndoError as error:
        if dry_run:
            return report._replace(refused=error)
        raise
    whole = last if last is not None and last.state == "published" else None
    if dry_run or (whole is not None and not steps and whole.revision == wanted.revision):
        return report
    lease = log.begin(last, held, wanted.holder, wanted.revision)
    try:
        # Of a target that is whole, the parts of its record that do not differ were not even read.
        lease.start(known.files, whole.shards if whole else None, steps, len(shards.parts), lasting)
        objects.sweep(sorted(known.unsure))
        _Work(objects, wanted.folder, lease, jobs).do(grouped, progress)
        lease.finish(shards.parts, wanted.lasting)
    except BaseException:
        lease.let_go()
        raise
    return report


def _check_free(last: Generation | None, held: Generation | None, holder: str) -> None:
    """Refuse a target that another publish has: one that is not over, and said so lately."""
    for generation in (held, last):
        if generation is None or generation.state == "published" or generation.holder == holder:
            continue
        if generation.expires > datetime.now(UTC):
            until = f"{generation.expires.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
            raise HeldError(
                f"another publish, of {generation.revision[:12]}, is under way there",
                help=f"wait for it; if it is dead, it lets go at {until}, or at once with --force",
            )


def _check_place(objects: Objects, last: Generation | None) -> None:
    """Refuse a place with files of somebody else's."""
    if last is not None or not objects.exists:
        return
    # A storage may lie where the files of a site belong.
    others = sorted(objects.top() - {FOLDER, FILES})
    if others:
        raise WouldUndoError(
            f"{objects.location} has objects that no publish wrote, such as {others[0]}",
            help="choose another place, or write over them with --force",
        )


def _is_stored(path: str) -> bool:
    return path.startswith(f"{FILES}/")


def _without_stored(known: Known) -> Known:
    """Return it without the stored files: an earlier publish may have taken them for its own."""
    files = {path: entry for path, entry in known.files.items() if not _is_stored(path)}
    return Known(files, frozenset(path for path in known.unsure if not _is_stored(path)))


class _Shards(NamedTuple):
    """A record in parts."""

    files: list[dict[str, Entry]]
    parts: list[bytes]

    @classmethod
    def of(cls, files: Mapping[str, Entry]) -> _Shards:
        shards = split(files, shard_count(len(files)))
        return cls(shards, [shard_bytes(shard) for shard in shards])


def _compare(
    log: Log, last: Generation | None, shards: _Shards, files: Mapping[str, Entry], *, full: bool
) -> tuple[Known, Mapping[str, Entry]]:
    """Return what is known of the target, and what is wanted, less what does not differ."""
    if last is None:
        return Known({}), files
    if last.state != "published" or full or len(last.shards) != len(shards.parts):
        known = log.known(last)
        return (known._replace(unsure=known.unsure.union(known.files)) if full else known), files
    empty = shard_bytes({})
    differing = [
        number
        for number, (name, part) in enumerate(zip(last.shards, shards.parts, strict=True))
        if not (is_named(name, part) if name else part == empty)
    ]
    old = {path: entry for number in differing for path, entry in log.shard(last.shards[number]).items()}
    new = {path: entry for number in differing for path, entry in shards.files[number].items()}
    return Known(old), new


def _report(steps: Sequence[Step], files: Mapping[str, Entry], last: Generation | None) -> Report:
    written = [(path, entry) for path, entry in steps if entry is not None]
    return Report(
        written=tuple(path for path, _ in written),
        removed=tuple(path for path, entry in steps if entry is None),
        unchanged=len(files) - len(written),
        bytes=sum(entry.size for _, entry in written),
        before=last.revision if last is not None and last.state == "published" else None,
        resumed=last is not None and last.state == "writing",
    )


class _Task(NamedTuple):
    """Steps that are one request, and the place of the first among all."""

    first: int
    steps: Sequence[Step]


class _Work:
    """The steps of a publish, while they are done."""

    def __init__(self, objects: Objects, folder: Path, lease: Lease, jobs: int) -> None:
        self._objects = objects
        self._folder = folder
        self._lease = lease
        self._jobs = jobs

    def do(self, grouped: Sequence[Sequence[Step]], progress: Progress | None) -> None:
        """Do the groups one after the other, and what is in one at the same time."""
        first, total = 0, sum(map(len, grouped))
        for group in grouped:
            for _ in self._do(first, group):
                if progress is not None:
                    progress(self._lease.reached, total)
            first += len(group)

    def _do(self, first: int, group: Sequence[Step]) -> Iterator[None]:
        at_once = _AT_ONCE if group[0].entry is None else 1
        tasks = [_Task(first + at, group[at : at + at_once]) for at in range(0, len(group), at_once)]
        done: set[int] = set()
        for task, _ in spread(tasks, self._perform, self._jobs, lambda _: None):
            done.update(range(task.first, task.first + len(task.steps)))
            while self._lease.reached in done:
                done.discard(self._lease.reached)
                self._lease.reached += 1
            yield

    def _perform(self, task: _Task) -> bool:
        self._lease.keep()
        if task.steps[0].entry is None:
            self._objects.delete([step.path for step in task.steps])
        else:
            self._write(task.steps[0].path, task.steps[0].entry)
        return True

    def _write(self, path: str, entry: Entry) -> None:
        source: bytes | Path = self._folder / path
        if entry.size <= _WHOLE:
            try:
                source = (self._folder / path).read_bytes()
            except OSError as error:
                raise CannotRunError(f"{self._folder / path}: cannot be read: {error.strerror}") from None
            if hashlib.sha256(source).hexdigest() != entry.sha256:
                raise CannotRunError(f"{self._folder / path}: was changed while it was published", help="run it again")
        self._objects.put(path, source, entry.headers)
