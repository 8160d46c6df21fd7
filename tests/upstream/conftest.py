"""An upstream on the loopback interface, and what asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitindex.upstream.client import Upstreams
from tests.hosts import Host
from tests.upstream.pages import Clock

Open = Callable[..., Upstreams]


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_upstreams(tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """Return what opens the cache of pages, as a process that starts does."""
    opened: list[Upstreams] = []

    def start(folder: Path | None = tmp_path / "pages", **options: Any) -> Upstreams:
        opened.append(Upstreams(folder, clock=clock, **options))
        return opened[-1]

    yield start
    for upstreams in opened:
        upstreams.close()
