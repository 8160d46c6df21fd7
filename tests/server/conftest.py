"""A repository that has something of everything that is served, and the server of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.repositories import Content, IndexRepository, make_repository
from tests.server.client import Served


def shop_content() -> Content:
    """Return stages without a mirror: what they do not have, nobody has."""
    content = Content().settings(site={"title": "Shop"}, names={"reserved": ["acme-*", "billing"]})
    content.user("emilie", email="emilie@example.org", admin=True)
    content.stage("emilie/prod", volatile=False, title="What is <sold>")
    content.stage("emilie/dev", bases=["emilie/prod"])
    content.release("emilie/prod", "Foo.Bar", "1.0", requires_python=">=3.8")
    content.release("emilie/prod", "Foo.Bar", "1.0", kind="sdist")
    content.release("emilie/prod", "Foo.Bar", "1.1+local.1")
    content.release("emilie/dev", "other", "2.0rc1")
    for version in range(40):
        content.release("emilie/dev", "many", f"{version}.0")
    content.statements("emilie/prod", "foo-bar", yanked={"1.0": 'it "breaks" <b>'})
    return content


@pytest.fixture
def shop(tmp_path: Path) -> IndexRepository:
    return make_repository(tmp_path / "shop", shop_content())


@pytest.fixture(scope="module")
def who() -> Iterator[None]:
    """Say who commits, where no test has a home yet."""
    with pytest.MonkeyPatch.context() as patch:
        for who, what in product(("AUTHOR", "COMMITTER"), ("NAME", "EMAIL")):
            patch.setenv(f"GIT_{who}_{what}", "emilie@example.org")
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, who: None) -> Iterator[Served]:
    """Return a server whose repository does not change."""
    del who
    folder = tmp_path_factory.mktemp("served")
    repository = make_repository(folder / "shop", shop_content())
    with Served(repository, folder / "cache") as server:
        yield server
