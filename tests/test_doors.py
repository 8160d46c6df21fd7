"""The hook of a bare repository, run by real pushes that try to get round it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pygit2
import pytest

from tests.repositories import IndexRepository, bare_clone, make_repository, small_content

RELEASE = "indexes/emilie/prod/table-print/1.0.json"
GITINDEX = Path(sys.executable).parent / "gitindex"


class Server(NamedTuple):
    """A bare repository with the hook, and a clone to push from."""

    path: Path
    clone: IndexRepository

    def git(self, *words: str) -> str:
        return IndexRepository(self.path).git(*words)

    def hook(self, words: str = "") -> None:
        hook = self.path / "hooks/pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\nexec {GITINDEX} pre-receive {words}\n")
        hook.chmod(0o755)

    def push(self, *refs: str | bytes, **environment: str) -> tuple[int, str]:
        """Push, and return the exit code and what the pusher sees."""
        done = subprocess.run(
            ["git", "push", str(self.path), *refs],
            cwd=self.clone.path,
            capture_output=True,
            check=False,
            env={**os.environ, **environment},
        )
        return done.returncode, done.stderr.decode("utf-8", "surrogateescape")


@pytest.fixture
def server(tmp_path: Path) -> Server:
    content = small_content()
    content.release("emilie/prod", "table-print", "1.0")
    content.user("bob").stage("bob/dev")
    clone = make_repository(tmp_path / "clone", content)
    made = Server(bare_clone(clone, tmp_path / "server.git"), clone)
    made.hook()
    return made


def remove_release(server: Server) -> None:
    server.clone.git("rm", "-q", RELEASE)
    server.clone.commit("Tidy up")


def test_another_name_of_the_protected_branch_protects_it_too(server: Server) -> None:
    server.git("symbolic-ref", "refs/heads/master", "refs/heads/main")
    remove_release(server)
    published = server.git("rev-parse", "main")
    for pushed, found in (("HEAD:refs/heads/master", "GI202"), (":refs/heads/master", "GI210 main is the protected")):
        code, seen = server.push(pushed)
        assert code == 1
        assert found in seen
    assert server.git("rev-parse", "main") == published
    server.clone.git("reset", "--quiet", "--hard", "HEAD~1")
    server.clone.commit("Nothing")
    assert server.push("HEAD:refs/heads/master")[0] == 0
    assert server.git("rev-parse", "main") != published


def test_branch_that_only_head_names_cannot_be_made_beside_the_protected_one(server: Server) -> None:
    """The server says master, the team pushed main: whoever pushes master first would say what clones show."""
    server.git("symbolic-ref", "HEAD", "refs/heads/master")
    remove_release(server)
    code, seen = server.push("HEAD:refs/heads/master")
    assert code == 1
    assert "the protected branch, which is main" in seen
    assert "git symbolic-ref HEAD refs/heads/main" in seen
    assert server.push("HEAD:refs/heads/main")[0] == 1
    assert server.push("HEAD:refs/heads/work")[0] == 0


def test_first_push_to_an_empty_server_is_accepted(server: Server, tmp_path: Path) -> None:
    empty = Server(tmp_path / "empty.git", server.clone)
    server.clone.git("init", "--quiet", "--bare", "--initial-branch", "master", str(empty.path))
    empty.hook()
    assert empty.push("HEAD:refs/heads/main")[0] == 0


def test_pusher_whom_the_server_does_not_know_is_nobody(server: Server) -> None:
    server.clone.write("indexes/bob/dev/index.toml", 'title = "Work"\n')
    server.clone.commit("Name it")
    for unknown in ("", "gitea:mallory"):
        code, seen = server.push("HEAD:main", GITINDEX_ACTOR=unknown)
        assert code == 1
        assert f"GI302 '{unknown}', who is no user here" in seen
    server.hook('--actor "$PUSHER"')
    assert server.push("HEAD:main", PUSHER="", GITINDEX_ACTOR="bob")[0] == 1
    assert server.push("HEAD:main", PUSHER="bob")[0] == 0


def test_branch_whose_name_is_not_utf8_is_pushed_as_any_other(server: Server) -> None:
    server.hook("--every-branch")
    code, seen = server.push(b"HEAD:refs/heads/caf\xe9", PYTHONIOENCODING="utf-8:strict")
    assert code == 0
    assert "remote: caf\\xe9: Valid" in seen


def test_commit_that_a_branch_is_named_after_is_seen_as_it_is(server: Server) -> None:
    harmless = server.clone.git("rev-parse", "HEAD")
    remove_release(server)
    harmful = server.clone.git("rev-parse", "HEAD")
    assert server.push(f"{harmless}:refs/heads/{harmful}")[0] == 0
    assert server.push(f"{harmful}:refs/heads/main")[0] == 1


def test_tree_whose_entry_has_a_path_for_a_name_is_refused(server: Server) -> None:
    """Git would check it out into the folder of emilie, where no reader of the tree sees it."""
    clone = server.clone
    blob = bytes.fromhex(clone.git("hash-object", "-w", "--stdin", data=b"hidden"))
    repository = pygit2.Repository(str(clone.path))
    root = repository.head.peel(pygit2.Tree).read_raw() + b"100644 indexes/emilie/dev/hidden\0" + blob
    tree = clone.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=root)
    commit = clone.git("commit-tree", tree, "-p", "HEAD", "-m", "Hide")
    code, seen = server.push(f"{commit}:refs/heads/main")
    assert code == 1
    assert "not a well-formed tree" in seen
