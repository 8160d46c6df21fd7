"""A repository made by the command line, its rendered site, and the tools that install from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from tests.builders import make_sdist
from tests.peers.server import SiteServer
from tests.peers.tools import NOWHERE, Tools, done, upload, wheel
from tests.peers.wheelhouse import fill

YANK_REASON = 'it loses data: a < b & "c"'


Define = Callable[..., str]


@dataclass(frozen=True)
class Site:
    """An index repository and the site rendered from it."""

    repository: Path
    folder: Path


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site with `emilie/prod`, and `emilie/dev` above it."""
    tools = _home(tmp_path_factory)
    repository = _repository(tools)
    first = [
        wheel("demo", "1.0", requires=["helper"]),
        make_sdist("demo", "1.0"),
        wheel("helper", "1.0"),
        wheel("needs-new", "1.0", python=">=3.8"),
        wheel("chooser", "1.0", requires=["helper"]),
        wheel("Dotted.Name", "1.0"),
        wheel("epochal", "1.0"),
        wheel("epochal", "2!0.5"),
        wheel("localized", "1.0+local.1"),
        wheel("withdrawn", "1.0"),
        wheel("contained", "1.0"),
    ]
    second = [
        wheel("demo", "2.0", requires=["helper"]),
        wheel("needs-new", "2.0", python=">=99"),
        wheel("chooser", "2.0", requires=["helper>=9"]),
        wheel("withdrawn", "1.1"),
    ]
    done(upload(tools, repository, "emilie/prod", first))
    done(upload(tools, repository, "emilie/prod", second, "2025-01-01"))
    done(upload(tools, repository, "emilie/dev", [wheel("demo", "2.0", origin="dev")], "2025-02-01"))
    done(tools.gitindex(repository, "yank", "withdrawn==1.1", "--index", "emilie/prod", "--reason", YANK_REASON))
    (repository / "indexes/emilie/prod/contained/project.toml").write_text('status = "quarantined"\n')
    return _rendered(tools, repository)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return the site that plays everybody's index: `world/dev`, with a release of this minute."""
    tools = _home(tmp_path_factory)
    repository = _repository(tools, "world")
    old = [
        wheel("demo", "2.0", origin="world"),
        wheel("demo", "9.0", origin="world"),
        wheel("acme-secret", "9.0", origin="world"),
        wheel("popular", "1.0", origin="world", requires=["popular-base"]),
        wheel("popular", "2.0", origin="world", requires=["popular-base"]),
        wheel("popular-base", "1.0", origin="world"),
        wheel("fresh", "1.0", origin="world"),
    ]
    done(upload(tools, repository, "world/dev", old))
    done(upload(tools, repository, "world/dev", [wheel("fresh", "2.0", origin="world")], time=None))
    return _rendered(tools, repository)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with wheels of gitindex, of uv, of what builds ours, and of all that they require."""
    folder = tmp_path_factory.mktemp("wheels")
    fill(folder, "gitindex", "hatchling", "uv")
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """Return the tools with a new home and empty caches."""
    home = tmp_path / "home"
    home.mkdir()
    return Tools(home)


@pytest.fixture
def server(shop: Site) -> Iterator[SiteServer]:
    """Serve the shop as a good host does."""
    with SiteServer(shop.folder) as running:
        yield running


@pytest.fixture
def upstream(world: Site) -> Iterator[SiteServer]:
    """Serve the world as a good host does."""
    with SiteServer(world.folder) as running:
        yield running


@pytest.fixture
def stages(tmp_path: Path, shop: Site) -> Path:
    """Return a copy of the shop's repository, without mirrors and with `acme-*` reserved."""
    repository = shutil.copytree(shop.repository, tmp_path / "stages")
    _edit(repository / "indexes/emilie/prod/index.toml", bases=[])
    _edit(repository / "gitindex.toml", names={"reserved": ["acme-*"]})
    return repository


@pytest.fixture
def define(stages: Path) -> Define:
    """Return a function that puts an index over `emilie/prod` and mirrors, and returns its name.

    It takes the settings of each mirror (`root/m1`, `root/m2`…), and those of the index.
    """

    def defined(*mirrors: dict[str, Any], **settings: Any) -> str:
        bases = ["emilie/prod"]
        for number, mirror in enumerate(mirrors, 1):
            bases.append(f"root/m{number}")
            _edit(stages / f"indexes/root/m{number}/index.toml", type="mirror", **mirror)
        _edit(stages / "indexes/emilie/top/index.toml", type="stage", bases=bases, **settings)
        return "emilie/top"

    return defined


def _edit(path: Path, **values: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.write_text(tomlkit.dumps({**tomlkit.parse(path.read_text()), **values}))


def _home(factory: pytest.TempPathFactory) -> Tools:
    return Tools(factory.mktemp("home"))


def _repository(tools: Tools, user: str = "emilie") -> Path:
    repository = tools.home / "repository"
    done(tools.run("gitindex", "init", repository, "--user", user, "--url", "https://packages.example.org/"))
    with (repository / "indexes/root/pypi/index.toml").open("a") as definition:
        definition.write(f'mirror_url = "{NOWHERE}/simple/"\n')
    return repository


def _rendered(tools: Tools, repository: Path) -> Site:
    folder = tools.home / "site"
    done(tools.gitindex(repository, "render", "--out", folder))
    return Site(repository, folder)
