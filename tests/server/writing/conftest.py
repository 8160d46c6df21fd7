"""A team with a repository, and where its tokens are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import IndexRepository, make_repository
from tests.server.writing.form import team_content


@pytest.fixture
def team(tmp_path: Path) -> IndexRepository:
    return make_repository(tmp_path / "packages", team_content())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"
