"""The entry of ``make bench``: make the repositories, measure everything, print one table."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from audit import measure_audit
from measure import day_and_machine, memory_folder, python
from peers import lacking
from render import DEFAULT, SECTION as RENDERING, SMALL as SMALL_SITE, measure_render
from report import RESULTS, Row, put_section, table
from serve import SECTION as SERVING, measure_server
from startup import measure_help, measure_one_release, rows_of
from validate import measure_full_validate

HERE = Path(__file__).parent
PACKAGES = ("typer", "pydantic", "pygit2", "jinja2", "check-jsonschema")


class Scale(NamedTuple):
    """How large the repositories are: projects and files."""

    sizes: tuple[tuple[int, int], ...]
    """Those in which one release is validated."""
    whole: tuple[int, int]
    """The one of them that is validated whole, and has the history of the audit."""
    commits: int
    """Of that history."""


FULL = Scale(((50, 1_000), (500, 10_000), (5_000, 100_000), (25_000, 500_000)), (5_000, 100_000), 2_000)
SMALL = Scale(((50, 500), (200, 2_000)), (200, 2_000), 200)


def measured(folder: Path, scale: Scale, runs: int) -> Iterator[Row]:
    yield from measure_help(max(runs, 5))
    of_one_release = []
    for size in scale.sizes:
        repository = generated(folder / f"index-{size[1]}", size)
        of_one_release.append(measure_one_release(named(size), repository, max(runs, 5)))
        if size != scale.whole:
            shutil.rmtree(repository)
    yield from rows_of(of_one_release)
    case, repository = named(scale.whole), folder / f"index-{scale.whole[1]}"
    yield from measure_full_validate(case, repository, runs)
    shutil.rmtree(repository)
    history = generated(folder / "history", scale.whole, "--bare", "--commits", str(scale.commits))
    yield from measure_audit(f"{case}, {scale.commits:,} commits", history, runs)


def named(size: tuple[int, int]) -> str:
    return f"{size[0]:,} projects, {size[1]:,} files"


def generated(out: Path, size: tuple[int, int], *words: str) -> Path:
    """Make a repository, in a process of its own: a child's peak memory is counted from what its parent had."""
    print(f"{named(size)}: generating ...", file=sys.stderr)
    wanted = ["--out", str(out), "--projects", str(size[0]), "--files", str(size[1]), *words]
    subprocess.run(python(str(HERE / "generate.py"), *wanted), check=True, stdout=sys.stderr)
    return out


def surroundings(place: str) -> str:
    """Return a paragraph on when and on what the figures were taken; nothing that names the machine."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{day_and_machine()}, {versions}. "
        f"Repositories and sites on {place}; CPU of a process and the children it waited for, medians.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a quick run: 200 projects, 2,000 files")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command, after one to warm up")
    parser.add_argument("--write", action="store_true", help=f"put the table into {RESULTS.name}")
    options = parser.parse_args()
    if problem := lacking():
        parser.error(problem)
    rows: list[Row] = []
    parent = memory_folder()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        rows.extend(measured(Path(folder), SMALL if options.small else FULL, options.runs))
    about = surroundings("a tmpfs" if parent else "disk")
    text = f"{about}\n{table(rows)}"
    print(text)
    size = SMALL_SITE if options.small else DEFAULT
    rendering = f"{about}{measure_render(parent, size, large=not options.small, runs=options.runs)}"
    print(rendering)
    serving = f"{about}{measure_server(parent, small=options.small, runs=options.runs)}"
    print(serving)
    if options.write:
        put_section("", text)
        put_section(RENDERING, rendering)
        put_section(SERVING, serving)


if __name__ == "__main__":
    main()
