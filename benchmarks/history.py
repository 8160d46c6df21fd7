"""`gitindex log` on a long history, beside Git's own log of the same commits, without and with a commit graph."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from generate import INDEX, generate
from measure import Command, Figures, compare, day_and_machine, gitindex, in_child, memory_folder
from report import Row, put_section, table

SECTION = "Log"
PROJECTS, FILES, COMMITS = 2_000, 40_000, 20_000
SMALL = 200, 2_000, 1_000
MOST_BESIDE_GIT = 0.6
"""Seconds of CPU that the log of one project may take beside Git: the start of Python, and what the commits did."""
FIRST_LINE = 1.0
"""Seconds until a first line is there, whatever is asked for."""


def measure_log(case: str, repository: Path, runs: int) -> Iterator[Row]:
    """Measure it; *repository* is bare."""
    project = busiest(repository)
    index = INDEX.removeprefix("indexes/")
    git = ["git", "-C", str(repository), "log", "--first-parent", "--diff-merges=first-parent", "--raw", "main"]
    log = gitindex("-C", str(repository), "log")
    pairs = {
        "project": ([*git, "--", f"{INDEX}/{project}"], [*log, project, "--index", index]),
        "project, every index": ([*git, "--", f":(glob)indexes/*/*/{project}/*"], [*log, project]),
        "all": (git, log),
    }
    for graph in ("no commit graph", "commit graph"):
        write_graph(repository, wanted=graph == "commit graph")
        for name, (theirs, ours) in pairs.items():
            figures = compare({"git": Command(theirs), "log": Command(ours)}, runs, warm=name != "all")
            yield from _rows(f"{case}, {graph}", name, figures)
        first = median(time_of_first_line(log) for _ in range(runs))
        yield Row(
            f"{case}, {graph}",
            "`log`: its first line",
            Figures(0.0, first, 0),
            f"{first:.2f} s",
            f"{FIRST_LINE:.0f} s",
            first <= FIRST_LINE,
        )


def _rows(case: str, name: str, figures: dict[str, Figures]) -> Iterator[Row]:
    git, log = figures["git"], figures["log"]
    yield Row(case, f"`git log --raw`, {name}", git)
    beside = log.cpu - git.cpu
    told = f"{log.cpu / git.cpu:.1f} times Git's in CPU, {beside:.2f} s more"
    if name == "project":
        yield Row(case, f"`log`, {name}", log, told, f"{MOST_BESIDE_GIT} s more", beside <= MOST_BESIDE_GIT)
    else:
        yield Row(case, f"`log`, {name}", log, told)


def busiest(repository: Path) -> str:
    """Return the project that the history has released most often."""
    shown = ["log", "--first-parent", "--format=", "--name-only", "--max-count=1000", "main", "--", INDEX]
    paths = subprocess.run(["git", "-C", repository, *shown], check=True, capture_output=True, text=True).stdout
    names = [path.split("/")[3] for path in paths.split() if path.count("/") == 4]
    return max(sorted({*names}), key=names.count)


def write_graph(repository: Path, *, wanted: bool) -> None:
    """Write the commit graph, with the paths that each commit touched, or remove it."""
    if wanted:
        words = ["commit-graph", "write", "--reachable", "--changed-paths", "--no-progress"]
        subprocess.run(["git", "-C", repository, *words], check=True)
        return
    for path in (repository / "objects/info").glob("commit-graph"):
        path.unlink()


def time_of_first_line(argv: Sequence[str]) -> float:
    """Return how long it takes until a command has printed a line; it is ended then."""
    started = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line = process.stdout.readline()
        took = time.perf_counter() - started
        process.kill()
    if not line:
        raise SystemExit(f"{' '.join(argv)}: printed nothing")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help=f"{SMALL[2]:,} commits")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command")
    parser.add_argument("--write", action="store_true", help="keep the table in results.md")
    options = parser.parse_args()
    projects, files, commits = SMALL if options.small else (PROJECTS, FILES, COMMITS)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=memory_folder()) as folder:
        repository = Path(folder) / "history"
        print(f"{commits:,} commits: generating ...", file=sys.stderr)
        in_child(_generate, repository, projects, files, commits)
        case = f"{projects:,} projects, {commits:,} commits"
        rows = list(measure_log(case, repository, options.runs))
    text = f"{day_and_machine()}; medians of {options.runs}.\n\n{table(rows)}"
    print(text)
    if options.write:
        put_section(SECTION, text)


def _generate(repository: Path, projects: int, files: int, commits: int) -> None:
    generate(repository, projects=projects, files=files, commits=commits, bare=True)


if __name__ == "__main__":
    main()
