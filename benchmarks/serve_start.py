"""From the start of a process to its first answer: `gitindex serve` beside the bare handlers, taking turns."""

from __future__ import annotations

import shutil
import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import peers
from peers import Data
from serve_pages import PIP, Memory, rss_after_much
from servers import Plan, running

COLD, WARM = "`gitindex serve`, no cache folder", "`gitindex serve`, with its cache folder"
WITH_IMPORTS = "bare handler, uvicorn, with pygit2 and pydantic imported"
"""Informs: without them nothing of a repository is read and checked."""


class Start(NamedTuple):
    """How a server starts."""

    wall: float
    """Seconds to the first 200 of a page."""
    cpu: float
    """Seconds, until then, of all its processes."""
    rss: int
    """Resident bytes of all its processes then."""


def measure_starts(data: Data, answers: Path, folder: Path, runs: int) -> dict[str, Start]:
    """Return the medians of *runs* starts of each; what `answers` holds is what the bare handlers answer."""
    page = f"/bench/prod/simple/{data.large}/"
    cold, warm = folder / "cold", folder / "warm"
    with running(peers.ours(data.repository, warm)) as server:
        server.await_answer(page, {"Accept": PIP})
        server.settled_rss()  # by then it remembers that the commit is good
    plans = {
        COLD: (peers.ours(data.repository, cold), page),
        WARM: (peers.ours(data.repository, warm), page),
        **{plan.name: (plan, "/pip") for plan in peers.bare(answers)},
        WITH_IMPORTS: (peers.bare_uvicorn(answers, *peers.IMPORTS, name=WITH_IMPORTS), "/pip"),
    }
    samples = defaultdict(list)
    for _ in range(runs):
        for name, (plan, path) in plans.items():
            shutil.rmtree(cold, ignore_errors=True)
            samples[name].append(_start(plan, path))
    shutil.rmtree(cold, ignore_errors=True)
    return {name: _medians(starts) for name, starts in samples.items()}


def _start(plan: Plan, path: str) -> Start:
    with running(plan) as server:
        wall = server.await_answer(path, {"Accept": PIP})
        return Start(wall, server.cpu(), server.rss())


def _medians(starts: list[Start]) -> Start:
    wall, cpu, rss = (statistics.median(column) for column in zip(*starts, strict=True))
    return Start(wall, cpu, int(rss))


def measure_memory(data: Data, folder: Path) -> Memory:
    """Return the memory of our server over a large repository, without load."""
    with running(peers.ours(data.repository, folder / "memory")) as server:
        server.await_answer(f"/bench/prod/simple/{data.large}/", {"Accept": PIP})
        started = server.settled_rss()
        return Memory(started, started, rss_after_much(server, data))
