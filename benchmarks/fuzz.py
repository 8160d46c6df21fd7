"""Fuzzes the guard for as long as it is told: documents, stored files, archives, trees, commits, hook lines, options.

What it does is in `tests/fuzzing/`. Each kind runs in a process of its own, whose memory is limited.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from measure import ROOT, RSS_UNIT, memory_folder

sys.path.insert(0, str(ROOT))
from tests.fuzzing.targets import PER_GROUND, TARGETS, FoundError, Ground, replay

MEMORY = 3 * 1024**3
"""Bytes of address space that a process may have."""
MAX_REPORTS = 10


class Outcome(NamedTuple):
    """How the fuzzing of one kind went."""

    target: str
    examples: int
    rss: int
    reports: tuple[str, ...]
    """One for each place in the code that did not stand an example."""


def fuzz_target(target: str, seed: str, seconds: float) -> Outcome:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory_folder()))
    reports: dict[str, str] = {}
    until, number = time.monotonic() + seconds, 0
    try:
        while time.monotonic() < until and len(reports) < MAX_REPORTS:
            if number % PER_GROUND == 0:
                ground = _ground(folder, target, number)
            try:
                replay(target, f"{seed}/{number}", ground)
            except FoundError as error:
                reports.setdefault(_place(error), f"{target} {seed}/{number}\n{_told(error)}")
            number += 1
    finally:
        shutil.rmtree(folder)
    return Outcome(
        target, number, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT, tuple(reports.values())
    )


def _ground(folder: Path, target: str, number: int) -> Ground:
    shutil.rmtree(folder / "ground", ignore_errors=True)
    (folder / "ground").mkdir()
    return Ground(folder / "ground", is_signed=target == "commits" and number % (2 * PER_GROUND) == 0)


def _place(error: FoundError) -> str:
    frames = traceback.extract_tb(error.__cause__.__traceback__) if error.__cause__ else []
    return f"{type(error.__cause__)} {frames[-1].filename}:{frames[-1].lineno}" if frames else str(error)


def _told(error: FoundError) -> str:
    return "".join(traceback.format_exception(error.__cause__))[-3000:] if error.__cause__ else str(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each kind")
    parser.add_argument("--seed", default=str(int(time.time())), help="the same seed makes the same examples")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="this kind alone")
    parser.add_argument("--replay", metavar="SEED", help="make one example of the one kind that --target names")
    options = parser.parse_args()
    targets = options.target or list(TARGETS)
    if options.replay:
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        replay(targets[0], options.replay, _ground(folder, targets[0], int(options.replay.rpartition("/")[2])))
        shutil.rmtree(folder)
        return
    found = 0
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        asked = [pool.submit(fuzz_target, target, options.seed, options.seconds) for target in targets]
        for target in asked:
            outcome = target.result()
            found += len(outcome.reports)
            print(
                f"{outcome.target}: {outcome.examples:,} examples, {outcome.rss / 1e6:.0f} MB; seed {options.seed}",
                flush=True,
            )
            for report in outcome.reports:
                print(report, flush=True)
    print(f"{found} places that did not stand it")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
