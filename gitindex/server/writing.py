"""Writes for the server: each change is a commit, and those that come at once move the branch together.

One thread makes them, one after the other; other processes wait for their turn. The branch moves by compare-and-swap,
after every object is there: whoever is stopped in between leaves the repository as it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gitindex.check import today
from gitindex.errors import CannotRunError, DeclinedError, GitindexError, MovedError
from gitindex.names import UserName, is_commit_id
from gitindex.objects import StoredObjects
from gitindex.server.batches import Asked, ChangeOf, Made, ToKeep, Written, in_short, make, told
from gitindex.server.outcomes import TooBusyError
from gitindex.server.pulling import COMMANDS_WITHIN, FETCH_WITHIN, turn

if TYPE_CHECKING:
    from gitindex.git import Repository
    from gitindex.server.live import Live, Source

MOST_WAITING = 1000
"""Changes that wait for their turn; more are told to come again."""
_MOST_AT_ONCE = 64
"""Commits that the branch moves over in one step."""
_ATTEMPTS = 20
"""So often it is tried again on top of what somebody else pushed meanwhile."""
_MOST_KEEPING = 4
"""Large files that are written at once."""
_TIDY_EVERY = 200
"""Commits until Git is asked whether it wants to pack."""
_LOG = logging.getLogger("gitindex.server")


@dataclass(eq=False)
class _Job(Asked):
    """A change that somebody waits for."""

    name: str = ""
    """What it does, in a few words."""
    done: asyncio.Future[Written] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Writer:
    """Makes changes for the server; its public methods are called in the thread of the event loop."""

    def __init__(
        self,
        source: Source,
        live: Live,
        advance: Callable[[str], Awaitable[None]],
        *,
        cache: Path,
        is_pushed: bool = False,
        is_proposed: bool = False,
    ) -> None:
        """Write to the branch that *live* follows.

        *advance* is told each commit that is to be served; *cache* is the server's folder. Where it *is pushed*, a
        change is there when the remote has it; where it *is proposed*, it goes to a branch of its own, and a pull
        request is opened.
        """
        self._source, self._live, self._advance = source, live, advance
        self._cache, self._is_pushed, self._is_proposed = cache, is_pushed, is_proposed
        self._thread = ThreadPoolExecutor(1, "write")
        self._keeping = ThreadPoolExecutor(_MOST_KEEPING, "keep")
        self._jobs: deque[_Job] = deque()
        self._running: asyncio.Task[None] | None = None
        self._open: Repository | None = None
        self._commits = 0
        self._looked_after = ""
        """The last commit of another process whose working trees were looked after."""
        self._proven = ""
        """The last commit that was found in order."""
        self._reached = ""
        """The commit at which the branch was last seen or left."""

    async def write(self, change: ChangeOf, *, actor: UserName | None, name: str) -> Written:
        """Make a change, by a user of the repository; return when it is served. *name* tells it in a few words.

        Raises:
            RefusedError: the rules refuse it. Nothing has changed, here as wherever else this raises.
            UsageError, NotThereError, ConflictError: it makes no sense as things are.
            TooBusyError: too many changes wait.
            CannotRunError: the disk, the storage or the remote fails.

        """
        if len(self._jobs) >= MOST_WAITING:
            raise TooBusyError("too many changes wait", help="try again")
        job = _Job(change, actor, name=name)
        self._put(job)
        # It is made even if who asked for it has gone: that is as if they had gone a moment later.
        return await asyncio.shield(job.done)

    async def close(self) -> None:
        """End after the changes that wait are made."""
        while self._running is not None:
            await asyncio.wait([self._running])
        self._keeping.shutdown(cancel_futures=True)
        self._thread.shutdown()

    def _put(self, job: _Job) -> None:
        self._jobs.append(job)
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._jobs:
                batch = [self._jobs.popleft() for _ in range(min(len(self._jobs), _MOST_AT_ONCE))]
                made = await loop.run_in_executor(self._thread, self._write, batch)
                # What another process made is served before somebody is told that it is there already.
                if await loop.run_in_executor(self._thread, self._is_ahead):
                    await self._serve(self._reached)
                for job, outcome in zip(batch, made, strict=True):
                    self._settle(job, outcome)
        finally:
            self._running = None

    async def _serve(self, commit: str) -> None:
        run = asyncio.get_running_loop().run_in_executor
        # First: who follows the branch, and has proven less of it by now, would else serve that after this.
        before = await run(self._thread, self._live.written, commit)
        try:
            await self._advance(commit)
        except Exception as error:  # noqa: BLE001 - whoever waits for what was made is told of it all the same
            await run(self._thread, self._live.written, before)
            self._live.expected = ""  # it is there: who follows the branch tries again
            _LOG.warning("%s: %s", commit[:12], error)

    def _settle(self, job: _Job, outcome: Made) -> None:
        if isinstance(outcome, Exception):
            _settle(job.done, outcome)
        elif isinstance(outcome, Written):
            if not job.done.done():
                job.done.set_result(outcome)
        else:
            keeping = asyncio.get_running_loop().run_in_executor(self._keeping, self._keep, outcome, job)
            keeping.add_done_callback(partial(self._kept, job))

    def _kept(self, job: _Job, keeping: asyncio.Future[None]) -> None:
        error = keeping.exception()
        if error is not None:
            _settle(job.done, error)
        else:
            self._put(job)

    def _keep(self, needed: ToKeep, job: _Job) -> None:
        """Write what is large, or lies elsewhere, while others go on."""
        if needed.is_outside:
            StoredObjects(needed.url).keep(needed.files)
            job.stored.update(needed.files)
            return
        commits = self._source.open().commits
        for path, content in needed.files.items():
            job.kept[path] = commits.keep(path, content, needed.base)

    # From here on: the thread that writes.

    def _is_ahead(self) -> bool:
        """Tell whether what the branch was left at is newer than what is served."""
        served, reached = self._live.commit, self._reached
        if not reached or reached == served:
            return False
        try:
            return self._open is None or not self._open.descends(served, reached)
        except GitindexError:
            return True  # a shallow clone cannot tell

    def _write(self, jobs: Sequence[_Job]) -> list[Made]:
        try:
            self._open = self._open or self._source.open()
            with self._live.turn.taken():
                if self._is_proposed:
                    return [told(partial(self._propose, self._open, job)) for job in jobs]
                with self._open.moved_by_server(COMMANDS_WITHIN):
                    return self._commit(self._open, jobs)
        except Exception as error:  # noqa: BLE001 - each of them is told
            self._open, self._live.expected = None, ""
            return [error] * len(jobs)

    def _commit(self, repository: Repository, jobs: Sequence[_Job]) -> list[Made]:
        """Commit the changes, and move the branch."""
        branch = self._branch(repository)
        self._take_back(repository, branch)
        for _ in range(_ATTEMPTS):
            tip = repository.history.tip(branch)
            if tip is None:
                raise CannotRunError(f"the branch {branch.removeprefix('refs/heads/')} has no commit to go on from")
            self._prove(repository, tip)
            made, newest = make(repository, jobs, tip)
            if newest == tip:
                self._reached = tip
                return made
            try:
                self._live.expected = newest
                self._live.turn.remember(tip, newest)
                if self._is_pushed:
                    repository.commits.check_way(branch, tip, newest)
                    has_pointers = repository.commits.has_pointers
                    repository.proposals.advance(branch, tip, newest, has_pointers=has_pointers)
                repository.commits.move(branch, tip, newest, f"gitindex serve: {in_short(made)}")
            except MovedError:
                self._live.expected = ""
                if self._is_pushed:
                    with turn(self._cache):
                        repository.origin.pull(self._live.reference, timeout=FETCH_WITHIN)
                continue
            except DeclinedError:
                self._live.expected = ""
                if len(jobs) == 1:
                    raise
                # One of them is what the remote does not want.
                return [told(partial(self._commit_one, repository, job)) for job in jobs]
            self._count(repository, made)
            self._reached = newest
            return made
        raise CannotRunError("the branch moves on faster than anything can be added to it", help="try again")

    def _take_back(self, repository: Repository, branch: str) -> None:
        """Put working trees right that were taken along by a process that was killed before the branch moved."""
        (before, made), tip = self._live.turn.last, repository.history.tip(branch)
        if tip is None or made in (tip, self._reached, self._looked_after):
            return
        if all(is_commit_id(commit) and repository.has_revision(commit) for commit in (before, made)):
            try:
                # Who has gone back from it since has done so on purpose.
                is_left = not repository.descends(tip, made) and not repository.history.was_at(branch, made)
            except GitindexError:  # a shallow clone cannot tell
                is_left = False
            if is_left:
                repository.commits.take_back_killed(branch, before, made)
        self._looked_after = made

    def _commit_one(self, repository: Repository, job: _Job) -> Made:
        (made,) = self._commit(repository, [job])
        return made

    def _propose(self, repository: Repository, job: _Job) -> Written:
        from gitindex.forge import propose  # noqa: PLC0415 - few servers propose

        base = repository.proposals.published()
        plan = job.change(base)
        made = propose(repository, base, plan, name=job.name, today=today(), actor=job.actor)
        is_new = made.branch is not None
        return Written(tuple(plan.notes), made.commit, made.warnings, is_proposed=is_new, url=made.url or "")

    def _prove(self, repository: Repository, tip: str) -> None:
        """Refuse to go on from what does not validate, and so is not served."""
        served = self._live.commit
        if tip == served or ((tip == self._proven or self._live.turn.proves(tip)) and repository.descends(tip, served)):
            return
        if (refused := self._live.judge(served, tip)) is not None:
            if _is_back(repository, served, tip):
                short = self._branch(repository).removeprefix("refs/heads/")
                raise CannotRunError(
                    f"the branch {short} has gone back from {served[:12]}, whose uploads were taken, to {tip[:12]}",
                    help=f"where {short} is checked out: git merge --ff-only {served[:12]}; if it was meant, start the "
                    "server again with --afresh",
                )
            raise CannotRunError(
                f"the newest commit {tip[:12]} is not in order, and nothing is added to it: {refused.summary}",
                help="mend that first; see /+status",
            )
        self._proven = tip

    def _branch(self, repository: Repository) -> str:
        branch = repository.history.resolve(self._live.reference)
        if branch == "HEAD":
            raise CannotRunError("HEAD is at no branch, so nothing can be added", help="serve one with --branch")
        return branch

    def _count(self, repository: Repository, made: Sequence[Made]) -> None:
        before = self._commits // _TIDY_EVERY
        self._commits += sum(isinstance(one, Written) and one.commit is not None for one in made)
        if self._commits // _TIDY_EVERY != before:
            repository.commits.tidy()


def _is_back(repository: Repository, served: str, tip: str) -> bool:
    """Tell whether a branch is at a *tip* that comes before what is *served*."""
    try:
        return repository.descends(served, tip)
    except GitindexError:  # a shallow clone cannot tell
        return False


def _settle(done: asyncio.Future[Written], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
