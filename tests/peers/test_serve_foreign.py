"""Mirrors of indexes that others wrote, and indexes that others wrote in front of ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.peers.foreign import Foreign, dumb_pypi, proxpi_of, pypiserver, simple_repository, simple_repository_of
from tests.peers.server import SiteServer
from tests.peers.serving import Serving, commit, define, get, make, pip, release, serving, target, uv
from tests.peers.tools import Tools, done, origin, wheel

pytestmark = pytest.mark.peers

THEIRS = dict(
    wheel(name, version, origin="world", requires=requires)
    for name, version, requires in [
        ("demo", "9.0", []),
        ("acme-secret", "9.0", []),
        ("popular", "1.0", ["popular-base"]),
        ("popular", "2.0", ["popular-base"]),
        ("popular-base", "1.0", []),
        ("fresh", "1.0", []),
    ]
)
OURS = dict([wheel("demo", "2.0", requires=["popular"]), wheel("helper", "1.0"), wheel("Dotted.Name", "1.0")])
JSON = "application/vnd.pypi.simple.v1+json"

Start = Callable[[Path], AbstractContextManager[Foreign]]


def _proxpi_of_dumb_pypi(folder: Path) -> AbstractContextManager[Foreign]:
    class Both(ExitStack):
        def __enter__(self) -> Any:
            super().__enter__()
            site = self.enter_context(dumb_pypi(folder / "behind", THEIRS))
            return self.enter_context(proxpi_of(folder / "proxy", site.simple))

    return Both()


UPSTREAMS: dict[str, Start] = {
    "pypiserver": lambda folder: pypiserver(folder, THEIRS),
    "dumb-pypi": lambda folder: dumb_pypi(folder, THEIRS),
    "simple-repository-server": lambda folder: simple_repository(folder, THEIRS),
    "proxpi": _proxpi_of_dumb_pypi,
}


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with three projects of ours and a reserved name."""
    tools = Tools(tmp_path_factory.mktemp("private"))
    repository = make(tools, tools.home / "packages")
    settings = repository / "gitindex.toml"
    settings.write_text(settings.read_text().replace("reserved = []", 'reserved = ["acme-*"]'))
    assert 'reserved = ["acme-*"]' in settings.read_text()
    define(repository, "emilie/prod", bases=[])
    release(tools, repository, "emilie/prod", OURS.items(), "2026-01-01")
    return repository


@pytest.mark.parametrize("name", UPSTREAMS)
def test_points_62_and_67_and_70_ours_and_theirs_install_from_any_upstream_and_without_it(
    tools: Tools, private: Path, tmp_path: Path, name: str
) -> None:
    with ExitStack() as others:
        upstream = others.enter_context(UPSTREAMS[name](tmp_path / "upstream"))
        repository = tmp_path / "packages"
        done(tools.run("git", "clone", "--quiet", private, repository))
        define(repository, "root/world", type="mirror", mirror_url=upstream.simple)
        define(repository, "emilie/prod", bases=["root/world"])
        commit(tools, repository, "2026-01-02")
        with serving(tools, repository) as running:
            url = running.simple("emilie/prod")
            done(uv(tools, url, "demo"))
            assert target(tools) == {"demo": "2.0", "popular": "2.0", "popular-base": "1.0"}
            assert [origin(tools.home / "target", module) for module in ("demo", "popular")] == ["ours", "world"]
            for wanted in ("demo==9.0", "acme-secret"):
                assert uv(tools, url, wanted).returncode == 1
            log = upstream.log()
            assert "popular" in log
            assert "demo" not in log
            assert "acme" not in log

            got = running.get("/emilie/prod/simple/popular/", Accept="text/html")
            assert got.status == 200
            sha256 = hashlib.sha256(THEIRS["popular-2.0-py3-none-any.whl"]).hexdigest()
            # simple-repository-server states no hash of what lies in a folder, so there is none to pass on.
            assert (sha256 in got.body.decode()) == (name != "simple-repository-server")

            others.close()
            again = Tools(tools.home / "again")
            again.home.mkdir()
            done(pip(again, url, "demo"))
            assert target(again) == {"demo": "2.0", "popular": "2.0", "popular-base": "1.0"}
            assert running.get("/emilie/prod/simple/fresh/").status == 503
            assert running.get("/emilie/prod/simple/acme-secret/").status == 200
            assert running.get("/emilie/prod/simple/helper/").status == 200


def test_point_45_a_project_that_no_upstream_has_is_404_and_not_503(
    tools: Tools, private: Path, tmp_path: Path
) -> None:
    with pypiserver(tmp_path / "upstream", THEIRS) as upstream:
        repository = tmp_path / "packages"
        done(tools.run("git", "clone", "--quiet", private, repository))
        define(repository, "root/world", type="mirror", mirror_url=upstream.simple)
        define(repository, "emilie/prod", bases=["root/world"])
        commit(tools, repository, "2026-01-02")
        with serving(tools, repository) as running:
            assert running.get("/emilie/prod/simple/never-heard-of/").status == 404


@pytest.fixture(scope="module")
def ours(private: Path) -> Iterator[Serving]:
    with serving(Tools(private.parent), private) as running:
        yield running


def page(simple: str, project: str) -> dict[str, str]:
    """Return the sha256 that a page states of each file."""
    files = json.loads(get(f"{simple}{project}/", Accept=JSON).body)["files"]
    return {file["filename"]: file["hashes"]["sha256"] for file in files}


@pytest.mark.parametrize("front", [simple_repository_of, proxpi_of])
def test_point_90_others_in_front_of_ours_give_the_same_files(
    tools: Tools,
    ours: Serving,
    tmp_path: Path,
    front: Callable[[Path, str], AbstractContextManager[Foreign]],
) -> None:
    with front(tmp_path / "front", ours.simple("emilie/prod")) as proxy:
        for project in ("demo", "helper", "dotted-name"):
            found = page(proxy.simple, project)
            assert found == page(ours.simple("emilie/prod"), project)
            assert found == {name: hashlib.sha256(OURS[name]).hexdigest() for name in found}
            assert found
        done(uv(tools, proxy.simple, "helper", "Dotted.Name"))
        assert target(tools) == {"helper": "1.0", "Dotted.Name": "1.0"}


def test_point_90_the_rendered_site_and_the_server_give_the_same_lock(
    tools: Tools, ours: Serving, private: Path
) -> None:
    folder = tools.home / "site"
    done(tools.gitindex(private, "render", "--out", folder))
    locks = []
    with SiteServer(folder, negotiates=False) as site:
        for root in (site.url, ours.url):
            lock = tools.home / "pylock.toml"
            url = f"{root}/emilie/prod/simple/"
            done(tools.pip("lock", "-o", lock, "--index-url", url, "helper", "Dotted.Name"))
            locks.append(lock.read_text().replace(root, ""))
    assert locks[0] == locks[1]
    assert locks[0].count("sha256") == 2
