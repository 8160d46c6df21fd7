"""What the measurements of the server say: the goals first, then the tables behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import peers
from load import Load
from peers import NGINX, OURS, UVICORN, Data
from report import markdown
from serve_files import CROWD, SIZE, Files
from serve_pages import CASES, PAGES_ASKED, Memory, Pages
from serve_start import COLD, WARM, Start

TIMES_DEVPI = 50.0
OF_BARE = 0.7
TIMES_BARE_START = 2.0
MOST_MEMORY = 150e6
NOT_PYTHON_PEERS = frozenset({OURS, UVICORN, NGINX, peers.GRANIAN_ASGI, peers.GRANIAN_RSGI})


class Goal(NamedTuple):
    """What was promised, and what was found."""

    promise: str
    found: str
    is_kept: bool


class Size(NamedTuple):
    """What was measured of a repository of one size."""

    name: str
    starts: dict[str, Start]
    memory: Memory


def tables(pages: Pages, sizes: list[Size], files: Files, data: Data) -> str:
    """Return all of it as Markdown; of *sizes* the first is that of the pages."""
    parts = (
        _goals(pages, sizes, files),
        _pages(pages, data),
        *map(_starts, sizes),
        _files(files),
        _libraries(pages, sizes[0], files),
    )
    return "\n".join(parts)


def _goals(pages: Pages, sizes: list[Size], files: Files) -> str:
    goals = [*_goals_of_pages(pages.loads)]
    for size in sizes:
        yardstick = size.starts[UVICORN].wall
        times = max(size.starts[name].wall for name in (COLD, WARM)) / yardstick
        goals.append(
            Goal(
                f"{size.name}: start to first answer under {TIMES_BARE_START:.0f} times the bare handler's",
                f"{times:.2f} times",
                times < TIMES_BARE_START,
            )
        )
        most = max(size.memory)
        promise = f"{size.name}: memory under {MOST_MEMORY / 1e6:.0f} MB"
        goals.append(Goal(promise, f"{most / 1e6:.0f} MB at most", most < MOST_MEMORY))
    downloads = {rush.downloads for rush in files.rushes.values() if rush.downloads is not None}
    promise = f"{CROWD} clients at once for a cold file of {SIZE / 1e6:.0f} MB: one upstream download"
    goals.append(Goal(promise, f"{max(downloads)}", downloads == {1}))
    rows = [(goal.promise, goal.found, "yes" if goal.is_kept else "**no**") for goal in goals]
    return markdown(("goal", "measured", "kept"), rows)


def _goals_of_pages(loads: dict[tuple[str, int], dict[str, Load]]) -> Iterator[Goal]:
    def least(peer: str) -> tuple[float, float]:
        """Return the smallest ratios to a peer: of requests per second, and per CPU second."""
        both = [(found[OURS], found[peer]) for found in loads.values() if peer in found]
        return min(a.rate / b.rate for a, b in both), min(a.per_cpu / b.per_cpu for a, b in both)

    rate, per_cpu = least("devpi-server")
    found = f"{rate:.0f} times at least, {per_cpu:.0f} per CPU second"
    yield Goal(f"at least {TIMES_DEVPI:.0f} times devpi-server", found, min(rate, per_cpu) >= TIMES_DEVPI)
    python_peers = sorted({peer for found in loads.values() for peer in found} - NOT_PYTHON_PEERS)
    slowest = {peer: least(peer)[0] for peer in python_peers}
    found = ", ".join(f"{times:.0f} times {peer}" for peer, times in slowest.items())
    yield Goal("ahead of every Python peer", found, min(slowest.values()) > 1)
    rate, per_cpu = least(UVICORN)
    found = f"{rate:.0%} at least, {per_cpu:.0%} per CPU second"
    yield Goal(f"at least {OF_BARE:.0%} of the bare handler", found, min(rate, per_cpu) >= OF_BARE)
    tails = [
        (found[OURS].p99, min(found[peer].p99 for peer in python_peers if peer in found))
        for found in loads.values()
        if set(found) & set(python_peers)
    ]
    found = ", ".join(f"{ours:.1f} to {theirs:.1f} ms" for ours, theirs in tails)
    yield Goal("p99 below every Python peer's", found, all(ours < theirs for ours, theirs in tails))


def _pages(pages: Pages, data: Data) -> str:
    rows = []
    for (case, clients), found in pages.loads.items():
        ours = found[OURS]
        for server, load in sorted(found.items(), key=lambda item: -item[1].per_cpu):
            ratios = (
                ("", "") if server == OURS else (_times(ours.rate / load.rate), _times(ours.per_cpu / load.per_cpu))
            )
            figures = f"{load.rate:,.0f}", f"{load.p50:.2f}", f"{load.p99:.2f}", f"{load.per_cpu:,.0f}"
            rows.append((CASES[case].title, clients, server, *figures, *ratios, f"{pages.rss[server] / 1e6:.0f}"))
    titles = ("page", "clients", "server", "requests/s", "p50 ms", "p99 ms", "requests per CPU s")
    columns = (*titles, "ours, times as many", "... per CPU s", "RSS MB")
    note = (
        f"devpi-server has the project of {len(data.files[data.large])} files alone, pypiserver at most "
        f"{peers.FOR_PYPISERVER:,} files (with all of them it does not answer within seconds), both in their favour; "
        "proxpi mirrors nginx, its cache warm. RSS is the sum of all processes after the load.\n"
    )
    return f"{markdown(columns, rows)}\n{note}"


def _starts(size: Size) -> str:
    yardstick = size.starts[UVICORN]
    rows = [
        (
            size.name,
            name,
            f"{start.wall:.3f}",
            f"{start.cpu:.2f}",
            f"{start.rss / 1e6:.0f}",
            "" if name == UVICORN else _times(start.wall / yardstick.wall),
        )
        for name, start in size.starts.items()
    ]
    started, loaded, asked = (f"{value / 1e6:.0f} MB" for value in size.memory)
    note = (
        f"{size.name}: `gitindex serve` takes {started} after its start, {loaded} after the load, and {asked} after "
        f"the pages of up to {PAGES_ASKED:,} projects, the lists, and, where there are no more, the page for people.\n"
    )
    columns = ("case", "server", "first answer s", "CPU s", "RSS MB", "times the bare handler, uvicorn")
    return f"{markdown(columns, rows)}\n{note}"


def _files(files: Files) -> str:
    ours = files.loads[OURS]
    rows = [
        (
            f"a file of {SIZE / 1e6:.0f} MB",
            name,
            f"{load.rate:.0f}",
            f"{load.p99:.0f}",
            f"{load.per_cpu:.0f}",
            "" if name == OURS else _times(ours.rate / load.rate),
            "" if name == OURS else _times(ours.per_cpu / load.per_cpu),
        )
        for name, load in files.loads.items()
    ]
    columns = ("case", "server", "requests/s", "p99 ms", "requests per CPU s", "ours, times as many", "... per CPU s")
    crowds = [
        (
            f"{CROWD} clients at once for it",
            name,
            f"{rush.seconds:.2f}",
            f"{CROWD * SIZE / rush.seconds / 1e6:,.0f}",
            f"{rush.cpu:.2f}",
            f"{rush.rss / 1e6:.0f}",
            "" if rush.downloads is None else rush.downloads,
        )
        for name, rush in files.rushes.items()
    ]
    heads = ("case", "server", "all have it after s", "MB/s", "CPU s", "RSS MB", "upstream downloads")
    return f"{markdown(columns, rows)}\n{markdown(heads, crowds)}"


def _libraries(pages: Pages, size: Size, files: Files) -> str:
    """Return what the server libraries do with the same handler, for the choice among them."""
    rows = []
    for name in (UVICORN, peers.GRANIAN_ASGI, peers.GRANIAN_RSGI):
        load, busy, start = pages.loads["pip", 16][name], pages.loads["pip", 64][name], size.starts[name]
        file = next(found for title, found in files.loads.items() if title.startswith(name))
        figures = (
            f"{load.rate:,.0f}",
            f"{load.p99:.2f}",
            f"{1e6 / load.per_cpu:.0f}",
            f"{busy.rate:,.0f}",
            f"{busy.p99:.2f}",
        )
        others = (
            f"{start.wall:.3f}",
            f"{start.rss / 1e6:.0f}",
            f"{pages.rss[name] / 1e6:.0f}",
            f"{file.rate:.0f}",
            f"{file.per_cpu:.0f}",
        )
        rows.append((name, *figures, *others))
    few = ("requests/s, 16 clients", "p99 ms", "CPU µs a request")
    others_ = ("requests/s, 64 clients", "p99 ms", "first answer s", "RSS MB", "RSS MB after load")
    of_files = ("20 MB files/s", "20 MB files per CPU s")
    return markdown(("library, 100-file page as pip asks", *few, *others_, *of_files), rows)


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"
