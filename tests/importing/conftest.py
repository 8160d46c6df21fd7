"""A server on the loopback interface to import from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts import Host


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as started:
        yield started
