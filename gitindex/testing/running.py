"""Runs tox, nox or pytest in a clean environment, and tells what came of each."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser, Error as ConfigError
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

from gitindex.errors import CannotRunError, UsageError
from gitindex.names import is_sha256

if TYPE_CHECKING:
    from gitindex.testing.fetching import Sources

_NO_TESTS = 5
"""The exit code of pytest where it finds none."""
_EXTRAS = ("test", "tests", "testing")
_SECRETS = ("TOKEN", "SECRET", "PASS", "CREDENTIAL", "KEY", "AUTH", "NETRC")
"""Words in names of variables that tests of others have no business with: secrets, and who signs with them."""
_SECRET_ENDS = ("_PWD", "_PAT")
_FOREIGN = ("PIP_", "UV_", "GITINDEX_", "TOX", "NOX", "PYTHON", "VIRTUAL_ENV", "GIT_", "DBUS_", "GITHUB_", "ACTIONS_")
"""Beginnings of others: how this run is set, and the files by which a step of a workflow acts on the next."""
_WITH_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]*@")
_LARGEST_REPORT = 1 << 26
_LONGEST = 1e9
"""Seconds that a result can state."""
_GLANCE = 0.1
_LAST_WORDS = 1.0
"""Seconds in which all has been read that was said before the end."""


class Runner(StrEnum):
    """What runs the tests."""

    TOX = "tox"
    NOX = "nox"
    PYTEST = "pytest"


class Wanted(NamedTuple):
    """How the tests are to be run."""

    requirement: str
    """The release, as pip takes it: ``table-print==1.0``."""
    extras: frozenset[str]
    """The extras that it has."""
    runner: Runner | None = None
    """``None``: what the sdist has the configuration of."""
    environments: tuple[str, ...] = ()
    """Of tox or nox; none: those that the configuration runs by default."""
    python: str = sys.executable
    """The interpreter that the environments are made with."""
    timeout: float = 3600
    """Seconds for all of it."""
    arguments: tuple[str, ...] = ()
    """What pytest gets."""


class Run(NamedTuple):
    """What came of the tests in one environment."""

    environment: str
    outcome: Literal["passed", "failed", "error"]
    duration: float
    """Seconds."""
    files: tuple[str, ...]
    """sha256 of the files that were tested."""
    log: str
    """sha256 of the log."""


class _Done(NamedTuple):
    code: int
    duration: float
    log: str


def run_tests(sources: Sources, wanted: Wanted, index_url: str, place: Path, log: BinaryIO) -> list[Run]:
    """Run the tests of a release in the folder *place*, and write what they say to *log* as it comes.

    Raises:
        UsageError: the runner takes no environments.
        CannotRunError: the environment cannot be made, the runner is not there, or the time is over.

    """
    runner = wanted.runner or pick_runner(sources.folder)
    if runner is Runner.PYTEST and wanted.environments:
        raise UsageError("pytest has no environments", help="leave out --environment, or name tox or nox with --runner")
    session = _Session(sources, wanted, index_url, place, log)
    match runner:
        case Runner.TOX:
            return session.tox()
        case Runner.NOX:
            return session.nox()
        case Runner.PYTEST:
            return session.pytest()


def pick_runner(source: Path) -> Runner:
    """Return what the sources have the configuration of: tox before nox, and pytest where there is neither."""
    if any((source / name).is_file() for name in ("tox.ini", "tox.toml")) or _has_tox(source):
        return Runner.TOX
    return Runner.NOX if (source / "noxfile.py").is_file() else Runner.PYTEST


def _has_tox(source: Path) -> bool:
    try:
        project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        project = {}
    tool = project.get("tool")
    if isinstance(tool, dict) and "tox" in tool:
        return True
    setup = ConfigParser(interpolation=None)
    try:
        setup.read(source / "setup.cfg", "utf-8")
    except (ConfigError, ValueError):
        return False
    return any(section == "tox:tox" or section.startswith("testenv") for section in setup.sections())


class _Session:
    def __init__(self, sources: Sources, wanted: Wanted, index_url: str, place: Path, log: BinaryIO) -> None:
        self._sources = sources
        self._wanted = wanted
        self._index_url = index_url
        self._place = place
        self._log = log
        self._ends = time.monotonic() + wanted.timeout

    def tox(self) -> list[Run]:
        report = self._place / "tox.json"
        tested, sha256 = self._distribution()
        command = [*_tool("tox"), "run", "--workdir", str(self._place / "tox"), "--installpkg", str(tested)]
        command += ["--result-json", str(report), "--skip-missing-interpreters", "config"]
        if self._wanted.environments:
            command += ["-e", ",".join(self._wanted.environments)]
        command += ["--", *self._wanted.arguments] if self._wanted.arguments else []
        done = self._run(command)
        environments = _object(_json(report).get("testenvs"))
        runs = [
            self._result(name, _outcome(_object(facts)), done, sha256, _duration(facts))
            for name, facts in sorted(environments.items())
            if isinstance(facts, dict) and "result" in facts
        ]
        return runs or [self._result("tox", "failed" if done.code == 1 else "error", done, sha256)]

    def nox(self) -> list[Run]:
        report = self._place / "nox.json"
        command = [*_tool("nox"), "--envdir", str(self._place / "nox"), "--report", str(report)]
        command += ["--noxfile", str(self._sources.folder / "noxfile.py"), "--nocolor"]
        if self._wanted.environments:
            command += ["--session", *self._wanted.environments]
        command += ["--", *self._wanted.arguments] if self._wanted.arguments else []
        done = self._run(command)
        sdist = next(iter(self._sources.files.values()))
        runs = []
        for session in map(_object, _list(_json(report).get("sessions"))):
            status = str(session.get("result", "failed"))
            if status != "skipped":
                name = str(next(iter(_list(session.get("signatures"))), session.get("name") or "nox"))
                outcome: Literal["passed", "failed"] = "passed" if status == "success" else "failed"
                runs.append(self._result(name, outcome, done, sdist))
        return runs or [self._result("nox", "error", done, sdist)]

    def pytest(self) -> list[Run]:
        environment = self._place / "environment"
        name = self._make(environment)
        python, report = environment / "bin" / "python", self._place / "installed.json"
        extras = [extra for extra in _EXTRAS if extra in self._wanted.extras]
        project, equals, version = self._wanted.requirement.partition("==")
        requirement = f"{project}[{','.join(extras)}]{equals}{version}" if extras else self._wanted.requirement
        install = [str(python), "-m", "pip", "install", "--quiet", "--report", str(report), requirement, "pytest"]
        done = self._run(install, cwd=self._place)
        files = _installed(_json(report), project) or tuple(self._sources.files.values())[:1]
        if done.code:
            return [Run(name, "error", done.duration, files, done.log)]
        # The program, not `python -m pytest`: that would put the sources before the release on the path.
        done = self._run([str(environment / "bin" / "pytest"), *self._wanted.arguments])
        outcome = {0: "passed", 1: "failed"}.get(done.code, "error")
        if done.code == _NO_TESTS:
            raise UsageError("the sdist has no tests that pytest finds", help="name tox or nox with --runner")
        return [Run(name, outcome, done.duration, files, done.log)]  # type: ignore[arg-type]

    def _make(self, environment: Path) -> str:
        """Make a virtual environment, and return what tox would call it."""
        done = self._run([self._wanted.python, "-m", "venv", str(environment)], cwd=self._place)
        if done.code:
            help_ = "install what it needs (on Debian: python3-venv), or name another one with --python"
            raise CannotRunError(f"{self._wanted.python} cannot make a virtual environment", help=help_)
        code = "import sys; print(f'py{sys.version_info[0]}{sys.version_info[1]}')"
        asked = subprocess.run(  # noqa: S603
            [environment / "bin" / "python", "-c", code], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip() or "python"

    def _distribution(self) -> tuple[Path, str]:
        """Return what tox installs: a wheel for every Python, else the sdist."""
        *_, last = self._sources.files.items()
        return last

    def _result(
        self,
        environment: str,
        outcome: Literal["passed", "failed", "error"],
        done: _Done,
        sha256: str,
        duration: float | None = None,
    ) -> Run:
        sdist = next(iter(self._sources.files.values()))
        files = tuple(dict.fromkeys((sdist, sha256)))
        # The name goes into a commit's message, and into logs: it is one line.
        name = "".join(letter if letter.isprintable() else "?" for letter in environment[:200]) or "?"
        return Run(name, outcome, done.duration if duration is None else duration, files, done.log)

    def _run(self, command: Sequence[str], cwd: Path | None = None) -> _Done:
        """Run a command to its end, in the sources by default; what it prints goes to the log as it comes."""
        digest, start = hashlib.sha256(), time.monotonic()
        left = self._ends - start
        try:
            process = subprocess.Popen(  # noqa: S603
                command,
                cwd=cwd or self._sources.folder,
                env=_environment(self._index_url, self._place),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise CannotRunError(f"{command[0]}: cannot be started: {error.strerror}") from None
        with process, _ended_after(process, left) as is_late:
            assert process.stdout is not None  # noqa: S101 - asked for above
            for piece in _said(process, process.stdout.fileno()):
                digest.update(piece)
                self._log.write(piece)
                self._log.flush()
            code = process.wait()
        if is_late.is_set():
            raise CannotRunError(f"the tests took more than {self._wanted.timeout:,.0f} seconds", help="see --timeout")
        return _Done(code, round(time.monotonic() - start, 3), digest.hexdigest())


def _said(process: subprocess.Popen[bytes], stream: int) -> Iterator[bytes]:
    """Yield what a process says until it ends: what it leaves behind may hold the line open, or go on talking."""
    ends = None
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while ends is None or time.monotonic() < ends:
            if process.poll() is not None and ends is None:
                ends = time.monotonic() + _LAST_WORDS
            if selector.select(_GLANCE if ends is None else 0):
                piece = os.read(stream, 1 << 16)
                if not piece:
                    return
                yield piece
            elif ends is not None:
                return


@contextlib.contextmanager
def _ended_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """Kill a process after so many seconds (which is told) or where this one stops, and all of its group in the end."""
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        _kill(process)

    timer = threading.Timer(max(seconds, 0), end)
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the second where all of them have ended (macOS)
        os.killpg(process.pid, signal.SIGKILL)


def _tool(name: str) -> list[str]:
    """Return how tox or nox is called: the one of this environment, else the one on the path."""
    if importlib.util.find_spec(name) is not None:
        return [sys.executable, "-P", "-m", name]  # in the folder of the sources, which may have a module of that name
    found = shutil.which(name)
    if found is None:
        raise CannotRunError(f"{name} is not installed", help=f"pip install {name}, or choose another --runner")
    return [found]


def _environment(index_url: str, place: Path) -> dict[str, str]:
    """Return what the tests see: no other index than this one, and no secrets."""
    own = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(_FOREIGN)
        and not any(word in key.upper() for word in _SECRETS)
        and not key.upper().endswith(_SECRET_ENDS)
        and not _WITH_PASSWORD.search(value)
    }
    direct = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1"]))
    return own | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": index_url,
        "PIP_NO_CACHE_DIR": "1",
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": index_url,
        "UV_NO_CACHE": "1",
        "VIRTUALENV_OVERRIDE_APP_DATA": str(place / "virtualenv"),
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def _json(path: Path) -> Mapping[str, Any]:
    """Read what a runner reports, which the tests may have had their hands in."""
    try:
        # A pipe would be waited for.
        is_fit = path.is_file() and path.stat().st_size <= _LARGEST_REPORT
        return _object(json.loads(path.read_bytes())) if is_fit else {}
    except (OSError, ValueError, RecursionError):
        return {}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _outcome(facts: Mapping[str, Any]) -> Literal["passed", "failed", "error"]:
    """Say what tox found: tests failed where commands ran, and anything else is an error."""
    if _object(facts.get("result")).get("success") is True:
        return "passed"
    ran = facts.get("test")
    return "failed" if isinstance(ran, list) and ran else "error"


def _duration(facts: Mapping[str, Any]) -> float | None:
    found = _object(facts.get("result")).get("duration")
    return round(float(found), 3) if isinstance(found, int | float) and 0 <= found < _LONGEST else None


def _installed(report: Mapping[str, Any], project: str) -> tuple[str, ...]:
    """Return the sha256 of what pip installed of a project, as its report says."""
    return tuple(_digests(report, project))[:1]


def _digests(report: Mapping[str, Any], project: str) -> Iterator[str]:
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    for item in _list(report.get("install")):
        metadata, info = _object(_object(item).get("metadata")), _object(_object(item).get("download_info"))
        digest = _object(_object(info.get("archive_info")).get("hashes")).get("sha256")
        is_it = canonicalize_name(str(metadata.get("name"))) == canonicalize_name(project)
        if is_it and isinstance(digest, str) and is_sha256(digest):
            yield digest
