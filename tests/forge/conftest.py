"""A clone with a real remote, and what a forge adds to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitindex.forge import api
from tests.forge.github import REPOSITORY, TOKEN, GitHubServer, github_server
from tests.peers.forge import http_server
from tests.repositories import IndexRepository, make_repository, small_content


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no token and no proxy of whoever runs the tests have a part in them."""
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "GH_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    # `gh` may be there, and its owner known to it.
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def make_remote(path: Path, clone: IndexRepository) -> IndexRepository:
    """Make a bare remote of a repository, with its branch in it."""
    path.mkdir(parents=True)
    remote = IndexRepository(path)
    remote.git("init", "--quiet", "--bare", "--initial-branch", "main")
    remote.git("config", "http.receivepack", "true")
    clone.git("remote", "add", "origin", str(path))
    clone.git("push", "--quiet", "origin", "main")
    return remote


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexRepository:
    """A clone of what is published, with the process in it."""
    repository = make_repository(tmp_path / "clone", small_content())
    monkeypatch.chdir(repository.root)
    return repository


@pytest.fixture
def remote(tmp_path: Path, clone: IndexRepository) -> IndexRepository:
    return make_remote(tmp_path / "remotes" / f"{REPOSITORY}.git", clone)


@pytest.fixture
def over_http(tmp_path: Path, clone: IndexRepository, remote: IndexRepository) -> Iterator[str]:  # noqa: ARG001
    """The remote behind `git http-backend`; its URL, which has a password in it, is the clone's."""
    with http_server(tmp_path / "remotes") as url:
        whole = f"{url.replace('://', '://emilie:very-secret@')}/{REPOSITORY}.git"
        clone.git("remote", "set-url", "origin", whole)
        yield whole


@pytest.fixture
def github(
    clone: IndexRepository,
    remote: IndexRepository,
    over_http: str,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[GitHubServer]:
    """GitHub's API of the remote, which the settings say is a GitHub; nothing may be asked that is not described."""
    settings = (clone.root / "gitindex.toml").read_text()
    clone.write("gitindex.toml", f'{settings}\n[forge]\ntype = "github"\nurl = "https://github.com/"\n')
    clone.commit("Say where it is")
    clone.git("push", "--quiet", str(remote.path), "main")
    monkeypatch.setattr(api, "PATIENCE", api.Patience(connect=5, silence=5, whole=5, retries=2, backoff=0.01))
    with github_server(remote.path) as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        monkeypatch.setenv("GH_TOKEN", TOKEN)
        yield server
    assert server.problems == []
