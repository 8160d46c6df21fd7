"""`gitindex serve` as a process of its own, and what it wrote into its access log."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

import tomlkit

from tests.peers.tools import Done, Tools, done, installed, upload

_SETTLED = "/+settled-"
WAIT = 30.0
"""Seconds in which what has to happen happens, however slow the machine is."""
_LINE = re.compile(r'\S+ - (?P<reader>\S+) \[[^]]*\] "(?P<method>\S+) (?P<path>\S+) [^"]*" (?P<status>\d+) .*')


Install = Callable[..., Done]
"""Takes tools, the URL of an index, and what :func:`pip` takes."""


class Line(NamedTuple):
    """A line of the access log."""

    reader: str
    method: str
    path: str
    status: int


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes


@dataclass
class Serving:
    """A server that runs."""

    url: str
    """Of the server's own root, without a slash at its end."""
    process: subprocess.Popen[str]
    access_log: Path
    said: list[str] = field(default_factory=list)
    """What it said on standard error."""
    _asked: int = 0

    def simple(self, index: str, *, at: str = "") -> str:
        """Return the URL of an index; *at* is a revision."""
        return f"{self.url}/{f'@{at}/' if at else ''}{index}/simple/"

    def lines(self) -> list[Line]:
        """Return what was asked of it and answered, less what :meth:`_settle` asks."""
        self._settle()
        return [line for line in self._lines() if _SETTLED not in line.path]

    def _settle(self) -> None:
        """Wait for the lines of all that was answered: one is written after its answer is sent, and in this order."""
        if self.process.poll() is not None:
            return
        self._asked += 1
        path = f"{_SETTLED}{self._asked}"
        self.get(path)
        latest = time.monotonic() + WAIT
        while not any(line.path.endswith(path) for line in self._lines()):
            assert time.monotonic() < latest, self.said
            time.sleep(0.01)

    def _lines(self) -> list[Line]:
        matches = map(_LINE.fullmatch, self.access_log.read_text(encoding="utf-8").splitlines())
        return [Line(m["reader"], m["method"], m["path"], int(m["status"])) for m in matches if m is not None]

    def forget(self) -> None:
        """Begin a new access log: the server appends to it."""
        self._settle()
        with self.access_log.open("r+b") as log:
            log.truncate(0)

    def files(self) -> set[str]:
        """Return the names of the files that were asked for."""
        return {line.path.rpartition("/")[2] for line in self.lines() if "/files/" in line.path}

    def get(self, path: str, **headers: str) -> Got:
        """Ask for a path below the root."""
        return get(f"{self.url}{path}", "GET", None, None, None, **headers)

    def status(self) -> Any:
        """Return what it says of itself."""
        return json.loads(self.get("/+status").body)["result"]

    def stop(self) -> None:
        """End it as a service manager does, and wait for it; it has to end well."""
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.wait(WAIT) == 0, self.said


@contextmanager
def serving(tools: Tools, repository: Path, *options: str | Path, cache: Path | None = None) -> Iterator[Serving]:
    """Serve a repository on a free port."""
    cache = cache or repository.with_name(f"{repository.name}-cache")
    log = cache.with_name(f"{cache.name}-access.log")
    log.touch()
    command: list[str | Path] = [sys.executable, "-m", "gitindex", "-C", repository, "serve"]
    command += ["--port", "0", "--cache", cache, "--access-log", log, *options]
    environment = tools.environment_of_commands()
    with subprocess.Popen(command, env=environment, cwd=tools.home, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said: list[str] = []
        ready: list[str] = []
        is_up = threading.Event()
        thread = threading.Thread(target=_listen, args=(process.stderr, said, ready, is_up), daemon=True)
        thread.start()
        try:
            assert is_up.wait(WAIT), said
            assert ready, said
            running = Serving(ready[0].rstrip("/"), process, log, said)
            yield running
            running.stop()
        finally:
            process.kill()
            thread.join(WAIT)


def _listen(stream: IO[str], said: list[str], ready: list[str], is_up: threading.Event) -> None:
    for line in stream:
        said.append(line.rstrip("\n"))
        if (match := re.fullmatch(r"Serving .* at (\S+) \(.*\)\n", line)) is not None:
            ready.append(match[1])
            is_up.set()
    is_up.set()


def get(
    url: str,
    method: str = "GET",
    source: str | None = None,
    context: Any = None,
    body: bytes | None = None,
    **headers: str,
) -> Got:
    """Ask for a URL just as it is written; ``_`` in the names of headers stands for ``-``."""
    parts = urlsplit(url)
    address = (source, 0) if source is not None else None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.netloc, timeout=WAIT, context=context, source_address=address)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=WAIT, source_address=address)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, body, named)
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def eventually(is_so: Callable[[], bool], what: str, within: float = WAIT) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def make(tools: Tools, repository: Path) -> Path:
    """Make a repository with `emilie/prod` and `emilie/dev`, which have no bases, as of 2026."""
    old = at(tools, "2026-01-01")
    done(old.run("gitindex", "init", repository, "--user", "emilie", "--url", "https://packages.example.org/"))
    return repository


def release(tools: Tools, repository: Path, index: str, files: Iterable[tuple[str, bytes]], date: str) -> None:
    """Release files, and commit them, as if at a date."""
    done(upload(tools, repository, index, files, date))
    commit(tools, repository, date)


def commit(tools: Tools, repository: Path, date: str, message: str = "Change") -> None:
    """Commit all that was changed, as if at a date."""
    done(tools.run("git", "-C", repository, "add", "--all"))
    done(at(tools, date).run("git", "-C", repository, "commit", "--quiet", "--message", message))


def at(tools: Tools, date: str) -> Tools:
    """Return tools for which it is noon of a day, UTC."""
    return tools.with_environment(GIT_AUTHOR_DATE=f"{date}T12:00:00Z", GIT_COMMITTER_DATE=f"{date}T12:00:00Z")


def define(repository: Path, index: str, **settings: Any) -> None:
    """Make an index, or change the settings of one."""
    path = repository / f"indexes/{index}/index.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    old = tomlkit.parse(path.read_text()) if path.exists() else {}
    path.write_text(tomlkit.dumps({**old, **settings}))


def pip(tools: Tools, url: str, *arguments: str | Path) -> Done:
    """Install from one index by pip, into the target."""
    return tools.pip("install", "--target", tools.home / "target", "--index-url", url, *arguments)


def uv(tools: Tools, url: str, *arguments: str | Path) -> Done:
    """Install from one index by uv, into the target."""
    there: list[str | Path] = ["--python", sys.executable, "--target", tools.home / "target"]
    return tools.uv("pip", "install", *there, "--default-index", url, *arguments)


def target(tools: Tools) -> dict[str, str]:
    """Return what was installed by :func:`pip` or :func:`uv`."""
    return installed(tools.home / "target")
