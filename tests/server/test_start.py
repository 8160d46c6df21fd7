"""What `gitindex serve` refuses before it serves: options without sense, repositories that cannot be followed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitindex.errors import CannotRunError, UsageError
from gitindex.server.command import run
from tests.repositories import IndexRepository, bare_clone, make_repository
from tests.server.conftest import shop_content


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that is in use: what is not refused ends there, and does not serve for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_base_path_that_no_client_could_ask_for_is_refused(shop: IndexRepository, taken: int) -> None:
    for path in [
        "a b",
        "/../x",
        "/a/..",
        "/./a",
        "/a//b",
        "/a%20b",
        "https://example.org/a",
        "/a?b",
        "/\u00e9",
        '/a"b',
        "/a\n",
        "/a;b",
    ]:
        with pytest.raises(UsageError, match="is no base path"):
            run(shop.path, None, port=taken, base_path=path)


def test_base_path_that_makes_sense_is_taken(shop: IndexRepository, tmp_path: Path, taken: int) -> None:
    for path in ["", "/", "pypi", "/pypi/", "/tools/pypi", "/a..b", "/.well-known/x_y~1"]:
        with pytest.raises(CannotRunError, match="cannot be listened on"):
            run(shop.path, None, port=taken, base_path=path, cache=tmp_path / "cache")


def test_size_that_cannot_be_is_refused(shop: IndexRepository, taken: int) -> None:
    refused: list[dict[str, Any]] = [
        *({"cache_size": text} for text in ("", "10X", "-1", "1.5G", "9" * 5000, "9999999999T", "\u0661G")),
        {"largest_file": "0"},
        {"cache_size": "0"},
        {"largest_file": "0G"},
        {"page_cache": "lots"},
    ]
    for options in refused:
        with pytest.raises(UsageError, match="is no size"):
            run(shop.path, None, port=taken, **options)


def started(place: Path, cache: Path, **options: Any) -> None:
    run(place, None, port=0, cache=cache, workers=2, **options)


def test_branch_that_is_not_there_is_named(shop: IndexRepository, tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="there is no branch 'nosuch' to serve; name one of: git branch --list"):
        started(shop.path, tmp_path / "cache", branch="nosuch")


def test_pull_without_a_remote_is_refused_at_the_start(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository", shop_content())
    with pytest.raises(CannotRunError, match="there is no remote origin to pull from; add it with: git remote add"):
        started(repository.path, tmp_path / "cache", pull_every=5)


def test_pull_with_a_detached_head_is_refused_and_makes_no_branch(shop: IndexRepository, tmp_path: Path) -> None:
    bare_clone(shop, tmp_path / "bare.git")
    shop.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    shop.git("checkout", "--quiet", "--detach")
    with pytest.raises(CannotRunError, match="HEAD is at no branch, so there is none to pull; name one with --branch"):
        started(shop.path, tmp_path / "cache", pull_every=5)
    assert "refs/heads/HEAD" not in shop.git("for-each-ref", "--format=%(refname)")
