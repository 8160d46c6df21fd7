"""One S3 server for all tests of this folder, and a bucket for each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.publishing.stores import S3, running_s3

_NUMBERS = count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    with running_s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server, with what leads there in the environment."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def bucket(s3: S3) -> str:
    """The URL of a place in a bucket of this test alone."""
    name = f"bucket-{next(_NUMBERS)}"
    s3.make_bucket(name)
    return f"s3://{name}/the site/v1"


@pytest.fixture(params=["file", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty place: a folder, then a bucket."""
    if request.param == "file":
        return f"file://{tmp_path}/published"
    found: str = request.getfixturevalue("bucket")
    return found
