"""Follows a branch: what is served is the last commit of it that validates, a step at a time."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from gitindex import atomic
from gitindex.errors import CannotRunError, GitindexError
from gitindex.git import Repository
from gitindex.report.text import printable
from gitindex.server.turn import Turn

POLL = 0.2
"""Seconds between two looks at the branch; each costs the reading of one small file."""
_AGAIN = 10.0
"""Seconds until what could not be validated, for lack of an object or of memory, is tried again."""
_MOST_FINDINGS = 20
_LOG = logging.getLogger("gitindex.server")


@dataclass(frozen=True, slots=True)
class Refused:
    """A commit that is not served, and why."""

    commit: str
    since: datetime
    findings: tuple[dict[str, Any], ...] = ()
    """As `gitindex validate --json` prints them; the first of them."""
    problem: str = ""
    """Why it could not be validated at all."""

    @property
    def summary(self) -> str:
        """The reason in one line."""
        if not self.findings:
            return " ".join(self.problem.split())
        first, more = self.findings[0], len(self.findings) - 1
        text = " ".join(f"{first.get('path')}: {first.get('code')} {first.get('message')}".split())
        return printable(f"{text} (and {more} more)" if more else text)


class Source(NamedTuple):
    """Where the repository is."""

    directory: Path
    folder: str | None

    def open(self) -> Repository:
        """Open it, for one thread."""
        return Repository.open(self.directory, self.folder)


@dataclass
class Live:
    """The commit that is served, and what keeps it up to date."""

    source: Source
    reference: str
    """The full name of the branch, or ``HEAD`` for the one that is checked out."""
    memory: Path | None
    """The file that remembers the last commit that was good, over restarts."""
    turn: Turn
    """Of those who write to the same repository."""
    on_change: Callable[[str], None] = lambda _: None
    """Is called with each new commit, from the thread that follows."""
    branch: str = ""
    """The full name of the branch that is followed; empty where it is none."""
    is_telling: bool = True
    """Whether the log is told what goes wrong: of several workers that follow the same branch, one tells."""
    commit: str = ""
    tip: str = ""
    """Where the branch was when it was last looked at."""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    refused: Refused | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)
    _serving: threading.Lock = field(default_factory=threading.Lock)
    """Held while what is served changes."""
    _looking: threading.Lock = field(default_factory=threading.Lock)
    """Held while the branch is looked at."""
    expected: str = ""
    """A commit that was proven and made here, and that whoever made it is about to serve."""
    _seen: str = ""
    """The tip that was taken or refused last."""
    _looked: float = 0.0
    """When that was."""
    _open: Repository | None = None
    """Belongs to whoever looks."""
    _thread: threading.Thread | None = None
    _process: subprocess.Popen[bytes] | None = None

    def begin(self, repository: Repository) -> str:
        """Choose the commit to serve first: the last one that was good, where that is known, else the newest.

        Raises:
            CannotRunError: there is no commit.

        """
        tip = self._tip(repository)
        if tip is None and self.reference != "HEAD":
            branch = self.reference.removeprefix("refs/heads/")
            raise CannotRunError(f"there is no branch {branch!r} to serve", help="name one of: git branch --list")
        if tip is None:
            raise CannotRunError("HEAD has no commit to serve", help="commit something, or name a branch with --branch")
        self.tip = tip
        self.branch = repository.history.branch(self.reference) or ""
        remembered = self._recall()
        is_known = remembered is not None and repository.has_revision(remembered)
        self.commit = remembered if remembered is not None and is_known else tip
        if self.turn.proves(tip) and repository.descends(tip, self.commit):
            self.commit = tip  # whoever uploaded it was told that it is there
        return self.commit

    def start(self) -> None:
        """Follow the branch, until :meth:`stop`."""
        self._thread = threading.Thread(target=self._follow, name="follow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer."""
        self._stopped.set()
        process = self._process
        if process is not None:
            process.kill()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _tip(self, repository: Repository) -> str | None:
        return repository.history.tip(self.reference) if self.reference != "HEAD" else repository.head()

    def _recall(self) -> str | None:
        try:
            kept = json.loads(self.memory.read_bytes()) if self.memory else {}
            return str(kept[self._key]["commit"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def _key(self) -> str:
        return f"{self.reference} {self.source.folder or '.'}"

    def _remember(self) -> None:
        if self.memory is not None:
            kept = {self._key: {"commit": self.commit}}
            try:
                atomic.write(self.memory, [json.dumps(kept).encode()])
            except CannotRunError:
                self.memory = None  # the next start takes the newest commit

    def _follow(self) -> None:
        with self._looking:
            try:
                self._open = self.source.open()
                self._prove_first(self._open)
            except GitindexError as error:
                self._refuse(Refused(self.commit, datetime.now(UTC), problem=str(error)))
                self._open = None
            self._seen, self._looked = self.commit, time.monotonic()
        while not self._stopped.wait(POLL):
            self.look()

    def look(self) -> None:
        """Look at the branch, and serve what it has come to, where that validates. Any thread may ask for it."""
        with self._looking:
            try:
                self._open = self._open or self.source.open()
                tip = self._tip(self._open)
            except GitindexError:
                return  # it is being moved or repacked; what is served does not need it now
            is_due = self.refused is not None and self.refused.problem and time.monotonic() - self._looked > _AGAIN
            self.tip = tip or self.tip
            if tip is None or tip == self.expected or (tip == self._seen and not is_due):
                return
            self._seen, self._looked = tip, time.monotonic()
            try:
                self._take(self._open, tip)
            except Exception as error:  # noqa: BLE001 - a bug here must not end the following, unnoticed
                problem = f"unexpected {type(error).__name__}: {error}"
                _LOG.error("%s cannot be served: %s", tip[:12], problem)
                self.refused = Refused(tip, datetime.now(UTC), problem=problem)

    def _prove_first(self, repository: Repository) -> None:
        """Go back, where nothing was known at the start, from a newest commit that does not validate."""
        if self._recall() == self.commit:
            return
        newest = self.commit
        for commit in islice(repository.history.first_parents(newest), 100):
            parents = repository.history.commit(commit).parents
            refused = self.judge(parents[0], commit) if parents else None
            if self._stopped.is_set():
                return
            if refused is None:
                if commit != newest:
                    self._serve(commit, newest)
                else:
                    self._remember()
                return
            self._refuse(self.refused or refused)

    def _take(self, repository: Repository, tip: str) -> None:
        if tip == self.commit:
            self.refused = None
            return
        base = self.commit
        # What another process here made was proven by it, on top of what comes before it.
        is_proven = self.turn.proves(tip) and repository.descends(tip, base)
        refused = None if is_proven else self.judge(base, tip)
        if self._stopped.is_set():
            return
        if refused is None:
            self.refused = None
            self._serve(tip, base)
        elif self.commit == base:
            self._refuse(refused)

    def _refuse(self, refused: Refused | None) -> None:
        """Remember what is not served, and tell the log when that is new."""
        before, self.refused = self.refused, refused
        if refused is None or not self.is_telling:
            return
        if before is None or (before.commit, before.problem) != (refused.commit, refused.problem):
            _LOG.warning("%s is not served: %s; see /+status", refused.commit[:12], refused.summary)

    def written(self, commit: str) -> str:
        """Take note that a commit is about to be served that was proven and made here; return which one was."""
        with self._serving:
            before, self.commit, self.since, self.refused = self.commit, commit, datetime.now(UTC), None
            self._seen = ""  # the branch may have gone on meanwhile, and that may have been served
            self._remember()
        return before

    def _serve(self, commit: str, proven_from: str) -> None:
        with self._serving:
            if self.commit != proven_from:
                return  # something was written meanwhile: what the branch holds now is looked at next
            try:
                self.on_change(commit)
            except (GitindexError, TimeoutError) as error:
                self._refuse(Refused(commit, datetime.now(UTC), problem=f"cannot be opened: {error}"))
                return
            self.commit, self.since = commit, datetime.now(UTC)
            self._remember()

    def judge(self, base: str, head: str) -> Refused | None:
        """Validate a step by the very command that everybody runs, in a process of its own.

        What it needs of memory and time is then not the server's, however much a commit changes.
        """
        place = [*(["--folder", self.source.folder] if self.source.folder is not None else [])]
        # What the repository has at its top, where a server is often started, are no modules of ours (-P).
        command = [sys.executable, "-P", "-m", "gitindex", "-C", str(self.source.directory), *place]
        command += ["validate", "--base", base, "--head", head, "--json"]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603
            if self._stopped.is_set():
                self._process.kill()  # who stops this may have looked before it was there
            with self._process as process:
                out, errors = process.communicate()
            self._process = None
            if process.returncode == 0:
                return None
            findings = json.loads(out)["findings"] if process.returncode == 1 else []
        except (OSError, ValueError, KeyError, TypeError) as error:
            return Refused(head, datetime.now(UTC), problem=f"could not be validated: {error}")
        worst = [finding for finding in findings if finding.get("severity") == "error"][:_MOST_FINDINGS]
        problem = (
            "" if worst else (errors.decode("utf-8", "replace").strip().splitlines() or ["could not be validated"])[0]
        )
        return Refused(head, datetime.now(UTC), tuple(worst), problem)
