"""Time and memory of finished processes, as the kernel counts them: medians of interleaved runs.

Knows nothing of gitindex. CPU (user + system, of the process and the children it waited for) is the figure
to trust on a shared machine; the wall clock is not.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")

ROOT = Path(__file__).parents[1]
"""Commands run here, so that ``python -m gitindex`` is this checkout's."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, and used through tempfile only
ROOM = 6 * 1024**3
"""Free bytes that the repositories and sites of a full run need."""
LOOK_EVERY = 0.02
"""Seconds between two looks at the memory of several processes."""
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
DROPPED = ("GIT_", "PYTHON", "COVERAGE")
"""Variables that make a child do other work than a user's: a hook's repository, no bytecode, coverage."""


class Figures(NamedTuple):
    """What one command costs."""

    cpu: float
    """Seconds, user + system."""
    wall: float
    """Seconds."""
    rss: int
    """Peak resident bytes of the largest process; never below those of the measuring process itself."""


class Command(NamedTuple):
    """A command line to measure, and what to do before each of its runs (not measured)."""

    argv: Sequence[str]
    prepare: Callable[[], object] = bool


class CommandFailedError(SystemExit):
    """A measured command did not end with 0: its time would mean nothing."""


def measure(argv: Sequence[str], runs: int) -> Figures:
    """Return the medians of *runs* runs of *argv*, after one that warms the caches."""
    return compare({"": Command(argv)}, runs)[""]


def compare(commands: Mapping[str, Command], runs: int, *, warm: bool = True) -> dict[str, Figures]:
    """Return the medians of each command; the runs take turns, so a busy minute harms all alike.

    A first round that is not counted fills the caches; *warm* is false where it would cost more than it tells.
    """
    for command in commands.values() if warm else ():
        _run_once(command)
    samples = [{name: _run_once(command) for name, command in commands.items()} for _ in range(runs)]
    return {name: _medians([sample[name] for sample in samples]) for name in commands}


def _medians(figures: Sequence[Figures]) -> Figures:
    cpu, wall, rss = (statistics.median(column) for column in zip(*figures, strict=True))
    return Figures(cpu, wall, int(rss))


def _run_once(command: Command) -> Figures:
    command.prepare()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command.argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            last_words = errors.read()[-600:].decode(errors="replace").strip()
            raise CommandFailedError(f"{' '.join(command.argv)}: exit code {process.returncode}\n{last_words}")
    return Figures(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * RSS_UNIT)


def in_child(work: Callable[..., Result], *arguments: object) -> Result:
    """Do some work in a process of its own, and return its result: the peak memory of a command counts from ours."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(work, arguments)


def peak_of_all(argv: Sequence[str]) -> int | None:
    """Run *argv* once, and return the most memory that its processes had together; ``None`` where only Linux can tell.

    What they share is counted once (PSS in proc_pid_smaps(5)). It is looked at again and again, which costs time: this
    is no run to take times of.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    environment = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    process = subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(_pss(number) for number, _ in processes_of(process.pid)))
        time.sleep(LOOK_EVERY)
    if process.returncode:
        raise CommandFailedError(f"{' '.join(argv)}: exit code {process.returncode}")
    return peak


def _pss(process: str) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def processes_of(session: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the processes of a session, each with the fields of its `stat` from the state on (proc(5))."""
    for process in filter(str.isdigit, (folder.name for folder in Path("/proc").iterdir())):
        try:
            stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has just ended
        fields = stat.rpartition(")")[2].split()
        if int(fields[3]) == session and fields[0] != "Z":
            yield process, fields


def memory_folder() -> Path | None:
    """Return a folder in memory with room for a full run: a shared disk's speed is not ours to measure."""
    roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM
    return SHARED_MEMORY if roomy else None


def python(*words: str) -> list[str]:
    """Return a command line of the interpreter that runs the benchmarks."""
    return [sys.executable, *words]


def gitindex(*words: str) -> list[str]:
    return python("-m", "gitindex", *words)


def day_and_machine() -> str:
    """Return when and on what figures are taken; nothing that names the machine."""
    git = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {_cpu_model()}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, git {git}"
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
