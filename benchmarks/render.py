"""A full render beside dumb-pypi's full build of the same list, both into a fresh folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from measure import Command, Figures, compare, gitindex, python
from report import Row

BOUND = 8.0
RSS_BOUND = 500_000_000


def measure_full_render(case: str, repository: Path, package_list: Path, runs: int) -> Iterator[Row]:
    """Compare the two; *package_list* is the JSON list that the generator wrote beside *repository*."""
    out = repository.with_name("site")
    default, lean = repository.with_name("dumb-pypi"), repository.with_name("dumb-pypi-lean")
    words = ["-m", "dumb_pypi.main", "--package-list-json", str(package_list)]
    dumb_pypi = python(*words, "--packages-url", "https://files.example.org/")
    lean_words = ["--no-per-release-json", "--output-dir", str(lean)]
    render = gitindex("-C", str(repository), "render")
    figures = compare(
        {
            "default": _afresh(default, [*dumb_pypi, "--output-dir", str(default)]),
            "lean": _afresh(lean, [*dumb_pypi, *lean_words]),
            "ours": _afresh(out, [*render, "--out", str(out), "--rev", "HEAD"]),
        },
        runs,
        warm=False,
    )
    ours = figures["ours"]
    yield Row(case, f"dumb-pypi, {_written(default)}", figures["default"])
    yield Row(case, f"dumb-pypi `--no-per-release-json`, {_written(lean)}", figures["lean"])
    for name, title in (("default", "dumb-pypi"), ("lean", "dumb-pypi without per-release JSON")):
        yield _beside(case, f"`render --rev HEAD`, {_written(out)}", ours, figures[name], title)


def _beside(case: str, command: str, ours: Figures, peer: Figures, title: str) -> Row:
    cpu, wall = peer.cpu / ours.cpu, peer.wall / ours.wall
    return Row(
        case,
        command,
        ours,
        f"{cpu:.1f} times as fast as {title} in CPU, {wall:.1f} in wall",
        f"{BOUND:.0f} times, {RSS_BOUND / 1e6:.0f} MB",
        min(cpu, wall) >= BOUND and ours.rss <= RSS_BOUND,
    )


def _afresh(out: Path, argv: list[str]) -> Command:
    return Command(argv, prepare=lambda: shutil.rmtree(out, ignore_errors=True))


def _written(out: Path) -> str:
    sizes = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    return f"{len(sizes):,} files, {sum(sizes) / 1e6:.0f} MB"
