"""`gitindex render` beside other makers of static indexes: whole, and again after one release; and how that grows.

Prints tables; `--write` keeps them. Only ratios of one run mean something.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import peers
from measure import ROOT, Command, Figures, compare, gitindex, in_child, memory_folder, peak_of_all, python
from render_peers import DUMB_PYPI, PACKAGES, Builder, Lists, builders
from report import Row, put_section, table

HERE = Path(__file__).parent
SECTION = "Rendering"
FULL_BOUND, AGAIN_BOUND, GROWTH_BOUND = 10.0, 100.0, 1.5
MEMORY_BOUND, LARGE_MEMORY_BOUND = 500_000_000, 1_500_000_000
INDEX = "bench/prod"


class Size(NamedTuple):
    """How large a repository is."""

    projects: int
    files: int

    def __str__(self) -> str:
        return f"{self.projects:,} projects, {self.files:,} files"


DEFAULT, SMALL, LARGE = Size(5_000, 100_000), Size(200, 2_000), Size(30_000, 1_000_000)


class Data(NamedTuple):
    """A repository whose head adds one release."""

    size: Size
    repository: Path
    lists: Lists
    project: str
    """Of the release."""
    filename: str
    """Of its wheel."""

    @property
    def folder(self) -> Path:
        return self.repository.parent


def measured(folder: Path, size: Size, *, large: bool, runs: int) -> Iterator[Row]:
    """Measure everything in a folder: *size* beside the others, and updates from a tenth of it on."""
    tenth = Size(max(size.projects // 10, 1), max(size.files // 10, 1))
    updates = [_update_alone(_generated(folder, tenth), runs)]
    data = _generated(folder, size)
    ours, others = our_builder(data), list(builders(data.lists, data.folder))
    yield from _full_rows(data, ours, others, runs)
    figures = _agains(data, [ours, *others], runs)
    yield from _again_rows(data, ours, others, figures)
    updates.append((size, figures[ours.title]))
    shutil.rmtree(data.folder)
    if large:
        data = _generated(folder, LARGE)
        yield from _full_alone(data)
        updates.append(_update_alone(data, runs))
    yield from _growth_rows(updates)


def our_builder(data: Data) -> Builder:
    """Return `gitindex render`: whole at the commit before the head, then updated to the head."""
    before, out = data.folder / "before", data.folder / "site"
    words = gitindex("-C", str(data.repository), "render")
    full = [*words, "--rev", "main~1", "--out", str(before)]
    again = [*words, "--rev", "main", "--out", str(out)]
    return Builder(
        "`render`",
        Command(full, partial(shutil.rmtree, before, ignore_errors=True)),
        Command(again, partial(_copy, before, out)),
        "in a copy of the site of the commit before",
        before,
        lambda name: out / INDEX / "simple" / name,
    )


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def _full_rows(data: Data, ours: Builder, others: list[Builder], runs: int) -> Iterator[Row]:
    """Measure all that make a whole site, in turns."""
    _say(f"{data.size}: whole sites")
    figures = compare({builder.title: builder.full for builder in [*others, ours]}, runs, warm=False)
    mine = figures[ours.title]
    for other in others:
        theirs = figures[other.title]
        yield _beside(
            str(data.size), f"{other.title}, {in_child(_written, other.out)}", mine, theirs, _bound(other, FULL_BOUND)
        )
    yield _full_row(data, ours, mine, MEMORY_BOUND)


def _full_alone(data: Data) -> Iterator[Row]:
    """Measure our whole site, once."""
    _say(f"{data.size}: the whole site")
    ours = our_builder(data)
    figures = compare({ours.title: ours.full}, 1, warm=False)
    yield _full_row(data, ours, figures[ours.title], LARGE_MEMORY_BOUND)


def _full_row(data: Data, ours: Builder, figures: Figures, bound: int) -> Row:
    together = peak_of_all([*ours.full.argv, "--full"])
    most = max(figures.rss, together or 0)
    ratio = f"all its processes together {together / 1e6:.0f} MB" if together else ""
    title = f"{ours.title}, {in_child(_written, ours.out)}"
    return Row(str(data.size), title, figures, ratio, f"{bound / 1e6:,.0f} MB", most <= bound)


def _agains(data: Data, all_of_them: list[Builder], runs: int) -> dict[str, Figures]:
    """Measure what each does once there is one more release, in turns; each has to show it then."""
    _say(f"{data.size}: one more release")
    _check_update(data, all_of_them[0])
    figures = compare({builder.title: builder.again for builder in all_of_them}, runs, warm=False)
    for builder in all_of_them:
        if data.filename not in (builder.page(data.project) / "index.html").read_text(encoding="utf-8"):
            raise SystemExit(f"{builder.title} does not show {data.filename}: its time would mean nothing")
    return figures


def _check_update(data: Data, ours: Builder) -> None:
    """Make sure that what is measured is an update of one project; that also warms the caches."""
    ours.again.prepare()
    done = subprocess.run([*ours.again.argv, "--json"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    report = json.loads(done.stdout)
    if report["since"] != _git(data.repository, "rev-parse", "main~1") or report["projects"] != 1:
        raise SystemExit(f"render did not update the site of the commit before: {report}")


def _update_alone(data: Data, runs: int) -> tuple[Size, Figures]:
    """Measure our update alone; what it needs is removed."""
    ours = our_builder(data)
    if not ours.out.exists():
        subprocess.run(ours.full.argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    figures = _agains(data, [ours], max(runs, 5))
    shutil.rmtree(data.folder)
    return data.size, figures[ours.title]


def _again_rows(data: Data, ours: Builder, others: list[Builder], figures: dict[str, Figures]) -> Iterator[Row]:
    case = f"{data.size}, one more release"
    mine = figures[ours.title]
    for other in others:
        title = f"{other.title}, {other.how}"
        yield _beside(case, title, mine, figures[other.title], _bound(other, AGAIN_BOUND))
    yield Row(case, f"{ours.title}, {ours.how}", mine)


def _growth_rows(updates: list[tuple[Size, Figures]]) -> Iterator[Row]:
    """Return how the update of each size stands to that of the smallest."""
    smallest, first = updates[0]
    yield Row(f"{smallest}, one more release", "`render`", first)
    for size, figures in updates[1:]:
        cpu, wall = figures.cpu / first.cpu, figures.wall / first.wall
        ratio = f"{cpu:.2f} times the CPU of {smallest}, {wall:.2f} times the wall"
        kept = max(cpu, wall) <= GROWTH_BOUND
        yield Row(f"{size}, one more release", "`render`", figures, ratio, f"{GROWTH_BOUND} times", kept)


def _bound(other: Builder, bound: float) -> float | None:
    """Return what was promised: beside dumb-pypi alone."""
    return bound if other.title.startswith(DUMB_PYPI) else None


def _beside(case: str, title: str, ours: Figures, theirs: Figures, bound: float | None) -> Row:
    cpu, wall = theirs.cpu / ours.cpu, theirs.wall / ours.wall
    ratio = f"`render` is {cpu:.1f} times as fast in CPU, {wall:.1f} in wall"
    if bound is None:
        return Row(case, title, theirs, ratio)
    return Row(case, title, theirs, ratio, f"{bound:.0f} times", min(cpu, wall) >= bound)


def _written(out: Path) -> str:
    """Say what is in a site; packages, which some builders have among their pages, do not count."""
    packages = (".whl", ".gz")
    sizes = [path.stat().st_size for path in out.rglob("*") if path.suffix not in packages and path.is_file()]
    return f"{len(sizes):,} files, {sum(sizes) / 1e6:.1f} MB"


def _generated(folder: Path, size: Size) -> Data:
    """Make a repository and its lists in a folder of their own, in a process of its own."""
    _say(f"{size}: generating")
    own = folder / f"{size.files}"
    own.mkdir()
    repository = own / "index"
    wanted = ["--out", str(repository), "--projects", str(size.projects), "--files", str(size.files), "--bare"]
    subprocess.run(python(str(HERE / "generate.py"), *wanted), check=True, stdout=sys.stderr)
    manifest = _git(repository, "diff", "--name-only", "main~1", "main")
    released = json.loads(_git(repository, "show", f"main:{manifest}"))
    filenames = {file["filename"] for file in released["files"]}
    after, before = Path(f"{repository}.packages.jsonl"), own / "before.jsonl"
    with after.open(encoding="utf-8") as lines, before.open("w", encoding="utf-8") as kept:
        kept.writelines(line for line in lines if json.loads(line)["filename"] not in filenames)
    wheel = min(filenames, key=lambda filename: not filename.endswith(".whl"))
    return Data(size, repository, Lists(before, after), released["name"], wheel)


def _git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repository, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def _say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr)


def measure_render(parent: Path | None, size: Size = DEFAULT, *, large: bool = False, runs: int = 3) -> str:
    """Measure in a temporary folder below *parent*, and return what the results say of it."""
    if problem := peers.not_installed():
        raise SystemExit(problem)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        rows = list(measured(Path(folder), size, large=large, runs=runs))
    return f"{', '.join(peers.installed(PACKAGES))}; medians of {runs}.\n\n{table(rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=DEFAULT.projects)
    parser.add_argument("--files", type=int, default=DEFAULT.files)
    parser.add_argument("--large", action="store_true", help=f"also render {LARGE}, without the others")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command")
    parser.add_argument("--write", action="store_true", help="put the tables into results.md")
    options = parser.parse_args()
    size = Size(options.projects, options.files)
    text = measure_render(memory_folder(), size, large=options.large, runs=options.runs)
    print(text)
    if options.write:
        from run import surroundings

        put_section(SECTION, f"{surroundings('a tmpfs' if memory_folder() else 'disk')}{text}")


if __name__ == "__main__":
    main()
