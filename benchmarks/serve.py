"""`gitindex serve` beside other servers: pages, starts, memory, large files. Prints tables; `--write` keeps them.

Absolute figures depend on the machine and on who else uses it: the ratios of one run are what counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import peers
import serve_report
from measure import memory_folder, python
from peers import Data
from report import put_section
from serve_files import measure_files
from serve_pages import measure_pages
from serve_report import Size
from serve_start import measure_memory, measure_starts

HERE = Path(__file__).parent
SECTION = "Serving"
DEFAULT, SMALL, LARGE = (5_000, 100_000), (200, 2_000), (30_000, 1_000_000)
"""Projects and files."""


def measured(folder: Path, *, small: bool, large: bool, runs: int, seconds: float) -> str:
    """Measure everything in a folder, and return the tables."""
    _say("the repository")
    data = generated(folder / "index", SMALL if small else DEFAULT)
    _say("pages")
    pages = measure_pages(data, _made(folder / "pages"), runs, seconds)
    _say("starts")
    starts = measure_starts(data, pages.answers, _made(folder / "start"), max(runs, 5))
    sizes = [Size(_named(SMALL if small else DEFAULT), starts, pages.memory)]
    if large:
        _say("the large repository")
        more = generated(folder / "large", LARGE)
        _say("starts with it")
        starts = measure_starts(more, pages.answers, _made(folder / "start-large"), max(runs, 5))
        sizes.append(Size(_named(LARGE), starts, measure_memory(more, folder / "start-large")))
    _say("files")
    files = measure_files(_made(folder / "files"), runs, seconds)
    return serve_report.tables(pages, sizes, files, data)


def generated(out: Path, size: tuple[int, int]) -> Data:
    """Make a bare repository, in a process of its own, and return what is in it."""
    wanted = ["--out", str(out), "--projects", str(size[0]), "--files", str(size[1]), "--bare"]
    subprocess.run(python(str(HERE / "generate.py"), *wanted), check=True, stdout=sys.stderr)
    return peers.read_data(out)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr)


def _named(size: tuple[int, int]) -> str:
    return f"{size[0]:,} projects, {size[1]:,} files"


def measure_server(parent: Path | None, *, small: bool, large: bool = False, runs: int = 3, seconds: float = 2) -> str:
    """Measure in a temporary folder below *parent*, and return what the results say of it."""
    if problem := peers.lacking():
        raise SystemExit(problem)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        tables = measured(Path(folder), small=small, large=large, runs=runs, seconds=seconds)
    how = f"wrk with one thread; rounds of {seconds:.0f} s, taking turns, medians of {runs}"
    return f"{how}. {peers.versions()}.\n\n{tables}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a quick run: 200 projects, 2,000 files")
    parser.add_argument("--large", action="store_true", help="also start with 30,000 projects, 1,000,000 files")
    parser.add_argument("--runs", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--seconds", type=float, default=2, help="of a round")
    parser.add_argument("--write", action="store_true", help="put the tables into results.md")
    options = parser.parse_args()
    text = measure_server(
        memory_folder(), small=options.small, large=options.large, runs=options.runs, seconds=options.seconds
    )
    print(text)
    if options.write:
        from run import surroundings

        put_section(SECTION, f"{surroundings('a tmpfs' if memory_folder() else 'disk')}{text}")


if __name__ == "__main__":
    main()
