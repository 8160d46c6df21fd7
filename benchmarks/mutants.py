"""Mutation test of the guard: many changes that destroy, are improper or harmless, before `validate`, push and `audit`.

What they are is in `tests/mutants/`. Prints both counts, and each miss with the seed that shows it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from measure import ROOT, memory_folder

sys.path.insert(0, str(ROOT))
from tests.mutants.campaign import (
    NATURES,
    NOTHING,
    Item,
    Siege,
    Tally,
    chunks,
    item_of,
    lay,
    play_items,
)
from tests.mutants.scenarios import KINDS, Nature

CHUNK = 100
SHARES: dict[Nature, float] = {"destructive": 1, "improper": 0.2, "harmless": 0.4}
"""How many of each nature, for each destructive one."""
PULLS = 30
"""Pull requests of a siege."""
VERBS: dict[Nature, str] = {"destructive": "caught", "improper": "refused", "harmless": "accepted"}


def count(lists: Iterator[list[Item]], wanted: int, pool: ProcessPoolExecutor, jobs: int) -> Tally:
    """Play scenarios until *wanted* of them came to something."""
    tally, running, parent = NOTHING, list[Future[Tally]](), memory_folder()
    while tally.judged < wanted or running:
        while tally.judged < wanted and len(running) < jobs:
            running.append(pool.submit(play_items, next(lists), parent))
        tally += running.pop(0).result()
    return tally


def sentences(seed: str, wanted: int, jobs: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a line on what came out for each nature, with what was missed."""
    with ProcessPoolExecutor(jobs) as pool:
        for nature in NATURES:
            tally = count(chunks(nature, seed, CHUNK), int(wanted * SHARES[nature]), pool, jobs)
            right = tally.judged - tally.missed
            of = f"{right:,} of {tally.judged:,} {nature} in {len(tally.kinds)} of {len(KINDS[nature])} kinds"
            yield f"{VERBS[nature]} {of}", tally.reports
            if nature == "destructive":
                codes = ", ".join(f"{code} {times:,}" for code, times in sorted(tally.codes.items()))
                yield f"by: {codes}", ()
        sieges = [Siege(f"{seed}/{number}", PULLS) for number in range(max(1, wanted // 50))]
        parts = [pool.submit(lay, sieges[share::jobs], memory_folder()) for share in range(jobs)]
        accepted, refused = map(sum, zip(*(part.result()[:2] for part in parts), strict=True))
        said = tuple(report for part in parts for report in part.result()[2])
        held = "the promise held" if not said else "the promise was broken"
        yield f"{len(sieges)} sieges of {PULLS} pulls ({accepted:,} accepted, {refused:,} refused): {held}", said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="1", help="the same seed draws the same scenarios")
    parser.add_argument("--count", type=int, default=5_000, help="destructive scenarios; the others follow from it")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--replay", metavar="SEED", action="append", help="play one scenario that a report names")
    options = parser.parse_args()
    if options.replay:
        tally = play_items([item_of(seed) for seed in options.replay])
        print("\n".join(tally.reports) or "nothing is missed")
        sys.exit(bool(tally.reports))
    started = time.perf_counter()
    missed = 0
    for sentence, reports in sentences(options.seed, options.count, options.jobs):
        print(sentence, *reports, sep="\n", flush=True)
        missed += len(reports)
    print(f"{missed:,} misses, {time.perf_counter() - started:.0f} s")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
