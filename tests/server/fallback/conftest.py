"""A scripted upstream, and servers of what shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import Host
from tests.repositories import Content, make_repository
from tests.server.client import Served
from tests.server.fallback.mirrored import IMPATIENT, Serve


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as started:
        yield started


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return what serves a content; all servers of a test have one cache."""
    with ExitStack() as stack:
        made = 0

        def start(content: Content, **options: Any) -> Served:
            nonlocal made
            made += 1
            repository = make_repository(tmp_path / f"packages-{made}", content)
            return stack.enter_context(Served(repository, tmp_path / "cache", **{**IMPATIENT, **options}))

        yield start
