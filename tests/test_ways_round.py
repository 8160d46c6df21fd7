"""Ways round the guard that were found once, in repositories as they are: each is closed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.repositories import IndexRepository, make_repository, small_content


def destroyed(path: Path, *, folder: str = "") -> IndexRepository:
    """Make a repository whose last but one commit destroys a non-volatile index."""
    repository = make_repository(path, small_content(), folder=folder)
    repository.publish()
    repository.git("rm", "--quiet", "-r", f"{folder}/indexes/emilie".lstrip("/"))
    repository.commit("Destroy")
    repository.commit("Go on")
    return repository


def test_audit_of_a_shallow_clone_says_that_the_history_is_cut_off(tmp_path: Path, run: Run) -> None:
    whole = destroyed(tmp_path / "whole")
    assert run("-C", whole.path, "audit").code == 1
    whole.git("clone", "--quiet", "--depth=1", f"file://{whole.path}", str(tmp_path / "shallow"))
    result = run("-C", tmp_path / "shallow", "audit")
    assert result.code == 3
    assert "git fetch --unshallow" in result.err
    assert result.out == ""


def test_audit_since_a_commit_that_a_shallow_clone_has_is_done(tmp_path: Path, run: Run) -> None:
    whole = destroyed(tmp_path / "whole")
    whole.git("clone", "--quiet", "--depth=2", f"file://{whole.path}", str(tmp_path / "shallow"))
    assert run("-C", tmp_path / "shallow", "audit", "--since", "HEAD~1").code == 0


def test_a_graft_hides_no_step_from_the_audit(tmp_path: Path, run: Run) -> None:
    repository = destroyed(tmp_path / "packages")
    (repository.path / ".git/info").mkdir(exist_ok=True)
    last, first = repository.git("rev-parse", "HEAD"), repository.git("rev-parse", "HEAD~2")
    (repository.path / ".git/info/grafts").write_text(f"{last} {first}\n")
    result = run("-C", repository.path, "audit")
    assert result.code == 1
    assert "Destroy" in result.out


def test_commits_that_a_shallow_clone_lacks_are_not_taken_for_signed(tmp_path: Path, run: Run) -> None:
    content = small_content(policy={"require_signed_commits": True})
    whole = make_repository(tmp_path / "whole", content)
    whole.git("branch", "published")
    for number in range(3):
        whole.commit(f"Unsigned {number}")
    shallow = tmp_path / "shallow"
    whole.git("clone", "--quiet", "--depth=1", f"file://{whole.path}", str(shallow))
    IndexRepository(shallow).git("fetch", "--quiet", "--depth=1", "origin", "published:published")
    result = run("-C", shallow, "validate", "--base", "published", "--head", "HEAD")
    assert result.code != 0
    assert "git fetch --unshallow" in result.out + result.err


@pytest.mark.parametrize("arguments", [["evil:alias"], ["--delete", "alias"]], ids=["pushed", "deleted"])
def test_another_name_of_the_protected_branch_is_protected(arguments: list[str], tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", small_content())
    repository.git("clone", "--quiet", "--bare", str(repository.path), str(tmp_path / "server"))
    server = IndexRepository(tmp_path / "server")
    server.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    hook = tmp_path / "server/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nexec {sys.executable} -m gitindex pre-receive\n")
    hook.chmod(0o755)
    before = server.git("rev-parse", "main")
    repository.git("checkout", "--quiet", "-b", "evil")
    repository.git("rm", "--quiet", "-r", "indexes/emilie")
    repository.commit("Destroy")
    words = ["git", "push", str(server.path), *arguments]
    done = subprocess.run(words, cwd=repository.path, capture_output=True, text=True, check=False)
    assert done.returncode != 0, done
    assert server.git("rev-parse", "main") == before


@pytest.mark.parametrize("words", ["validate", "validate --base origin/main --head HEAD", "audit"])
def test_an_index_repository_that_moves_up_is_not_taken_for_a_new_one(words: str, tmp_path: Path, run: Run) -> None:
    repository = destroyed(tmp_path, folder="packages")
    (tmp_path / "packages/gitindex.toml").unlink()
    (tmp_path / "packages/README").write_text("moved\n")
    (tmp_path / "gitindex.toml").write_text("format = 1\n")
    repository.commit("Move")
    result = run("-C", tmp_path / "packages", *words.split())
    assert result.code == 3
    assert "--folder" in result.err
    assert run("-C", tmp_path / "packages", "--folder", "packages", *words.split()).code == 1


def test_an_index_repository_that_moves_down_is_not_taken_for_a_new_one(tmp_path: Path, run: Run) -> None:
    repository = destroyed(tmp_path)
    repository.write("tools/gitindex.toml", "format = 1\n")
    repository.commit("Move")
    result = run("-C", tmp_path / "tools", "validate")
    assert result.code == 3
    assert "--folder" in result.err
    assert run("-C", tmp_path, "validate").code == 1


def test_a_new_index_repository_in_a_folder_is_accepted(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path, {"README": b"A project\n"})
    repository.publish()
    repository.put({f"packages/{path}": data for path, data in small_content().items()})
    assert run("-C", tmp_path / "packages", "validate").code == 0
    repository.commit("Start")
    assert run("-C", tmp_path / "packages", "validate").code == 0
    assert run("-C", tmp_path / "packages", "audit").code == 0


def test_what_is_staged_is_compared_with_the_commit_itself_and_not_with_its_replacement(
    tmp_path: Path, run: Run
) -> None:
    repository = make_repository(tmp_path, small_content())
    head = repository.git("rev-parse", "HEAD")
    repository.git("rm", "--quiet", "-r", "indexes/emilie")
    replacement = repository.git("commit-tree", "-m", "The same?", repository.git("write-tree"))
    repository.git("replace", head, replacement)
    result = run("-C", tmp_path, "validate", "--staged")
    assert result.code == 1
    assert "GI201" in result.out


@pytest.mark.parametrize("place", ["", "indexes", "indexes/emilie", "indexes/emilie/prod", "files"])
def test_a_tree_in_which_git_would_not_find_a_name_is_not_accepted(place: str, tmp_path: Path, run: Run) -> None:
    content = small_content()
    for version in ("1.0", "1.1"):
        content.release("emilie/prod", "demo", version)
    repository = make_repository(tmp_path, content)
    repository.git("config", "fsck.treeNotSorted", "ignore")
    tree = reversed_tree(repository, "HEAD^{tree}", place.split("/") if place else [])
    head = repository.git("commit-tree", "-m", "In no order", "-p", "HEAD", tree)
    assert run("-C", tmp_path, "validate", "--base", "HEAD", "--head", "HEAD").code == 0
    result = run("-C", tmp_path, "validate", "--base", "HEAD", "--head", head)
    assert result.code == 3
    assert "not a well-formed tree" in result.err


@pytest.mark.parametrize("place", ["", "indexes/emilie", "indexes/emilie/prod"])
def test_a_name_that_is_a_path_to_git_hides_no_other_content_of_a_released_file(
    place: str, tmp_path: Path, run: Run
) -> None:
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    repository = make_repository(tmp_path, content)
    path = "indexes/emilie/prod/demo/1.0.json"
    name = path.removeprefix(f"{place}/")
    other = repository.git("hash-object", "-w", "--stdin", data=b"{}")
    tree = tree_with(repository, "HEAD^{tree}", place.split("/") if place else [], name, other)
    head = repository.git("commit-tree", "-m", "Another content", "-p", "HEAD", tree)
    listed = repository.git("ls-tree", "-r", "--name-only", head).splitlines()
    assert listed.count(path) == 2, "a checkout shows one of the two"
    result = run("-C", tmp_path, "validate", "--base", "HEAD", "--head", head)
    assert result.code == 3
    assert "not a well-formed tree" in result.err


def tree_with(repository: IndexRepository, tree: str, path: list[str], name: str, blob: str) -> str:
    """Write a tree again, with a file of any name more in the tree at *path* in it."""
    listed = [line.partition("\t") for line in repository.git("ls-tree", "-z", tree).split("\0") if line]
    entries = [(known, *facts.split(" ")) for facts, _, known in listed]
    if path:
        entries = [
            (known, mode, kind, tree_with(repository, found, path[1:], name, blob) if known == path[0] else found)
            for known, mode, kind, found in entries
        ]
    else:
        entries = sorted([*entries, (name, "100644", "blob", blob)], key=lambda e: e[0] + "/" * (e[2] == "tree"))
    return write_raw(repository, entries)


def write_raw(repository: IndexRepository, entries: list[tuple[str, ...]]) -> str:
    data = b"".join(b"%o %s\0%s" % (int(m, 8), n.encode(), bytes.fromhex(i)) for n, m, _, i in entries)
    return repository.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=data)


def reversed_tree(repository: IndexRepository, tree: str, path: list[str]) -> str:
    """Write a tree again, with the entries of the one at *path* in it in reverse order."""
    listed = [line.partition("\t") for line in repository.git("ls-tree", "-z", tree).split("\0") if line]
    entries = [(name, *facts.split(" ")) for facts, _, name in listed]
    if path:
        entries = [
            (name, mode, kind, reversed_tree(repository, object_id, path[1:]) if name == path[0] else object_id)
            for name, mode, kind, object_id in entries
        ]
    else:
        entries.reverse()
    return write_raw(repository, entries)


@pytest.mark.parametrize("spelled", [str.upper, str.lower])
def test_parent_that_is_spelled_otherwise_cuts_no_history_off(
    spelled: Callable[[str], str], tmp_path: Path, run: Run
) -> None:
    repository = destroyed(tmp_path)
    parent, tree = repository.git("rev-parse", "HEAD"), repository.git("rev-parse", "HEAD^{tree}")
    stamp = "Emilie <emilie@example.org> 1795332300 +0000"
    data = f"tree {tree}\nparent {spelled(parent)}\nauthor {stamp}\ncommitter {stamp}\n\nOn top\n".encode()
    head = repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=data)
    assert repository.git("rev-parse", f"{head}^") == parent, "Git takes it for its parent"
    result = run("-C", tmp_path, "audit", head)
    assert result.code == 1
    assert "Destroy" in result.out


@pytest.mark.parametrize("line", ["parent ", f"parent {'0' * 39}", f"parent {'g' * 40}"], ids=ascii)
def test_commit_whose_parents_cannot_be_told_is_not_taken_for_the_first(line: str, tmp_path: Path, run: Run) -> None:
    repository = destroyed(tmp_path)
    tree, stamp = repository.git("rev-parse", "HEAD^{tree}"), "Emilie <emilie@example.org> 1795332300 +0000"
    data = f"tree {tree}\n{line}\nauthor {stamp}\ncommitter {stamp}\n\nOn top\n".encode()
    head = repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=data)
    result = run("-C", tmp_path, "audit", head)
    assert result.code in (1, 3)
    assert "Kept" not in result.out
