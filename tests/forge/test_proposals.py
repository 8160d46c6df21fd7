"""`--pr` against real remotes: what is pushed, what is left alone, and what the same again does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gitindex.forge.words import branch_name
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.repositories import Content, IndexRepository, bare_clone, files_below, make_repository, small_content

PUSHES = "gitindex/push-demo-1.0-from-emilie-dev-to-emilie-prod"


def wheel(folder: Path, version: str = "1.0", text: str = "") -> Path:
    name, data = make_wheel("demo", version, files={"demo.py": text.encode()})
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def proposed(run: Run, *words: str | Path) -> dict[str, Any]:
    """Run a command with --pr, which has to succeed, and return what it tells."""
    done = run(*words, "--pr", "--json")
    assert done.code == 0, done.err
    told: dict[str, Any] = json.loads(done.out)
    return told


def state(repository: IndexRepository) -> tuple[object, ...]:
    """Return all of a repository that a user sees, to compare; but where branches were pushed to."""
    known = repository.git("for-each-ref").splitlines()
    references = [line for line in known if "refs/remotes/origin/gitindex/" not in line]
    head = repository.git("rev-parse", "--symbolic-full-name", "HEAD"), repository.git("rev-parse", "HEAD")
    if repository.git("rev-parse", "--is-bare-repository") == "true":
        return references, head, sorted(path.name for path in repository.path.iterdir())
    status = repository.git("--no-optional-locks", "status", "--porcelain=v2", "--branch", "-uall")
    own = repository.path / ".git"
    return references, head, status, (own / "index").read_bytes(), sorted(own.iterdir()), files_below(repository.root)


def publish(clone: IndexRepository, content: Content) -> None:
    clone.put(content)
    clone.commit("Publish")
    clone.git("push", "--quiet", "origin", "main")


# What is pushed


def test_a_change_is_one_commit_on_a_branch_of_its_own(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    file = wheel(tmp_path / "dist")
    told = proposed(run, "upload", file, "--index", "emilie/dev")
    assert told["branch"].startswith("gitindex/upload-demo-1.0-to-emilie-dev-")
    assert (told["pushed"], told["request"], told["url"]) == (True, "pushed", None)
    assert remote.git("rev-parse", f"{told['branch']}^") == clone.git("rev-parse", "main")
    assert remote.git("rev-parse", told["branch"]) == told["commit"]
    changed = remote.git("diff-tree", "-r", "--name-only", "main", told["branch"]).splitlines()
    assert sorted(changed) == told["paths"] != []
    stored = next(path for path in changed if path.endswith(".whl"))
    data = subprocess.run(
        ["git", "show", f"{told['branch']}:{stored}"], cwd=remote.path, capture_output=True, check=True
    )
    assert data.stdout == file.read_bytes()
    assert remote.git("fsck", "--strict", "--no-dangling") == ""
    clone.git("fetch", "--quiet", "origin", told["branch"])
    assert run("validate", "--head", "FETCH_HEAD", "--base", "main").code == 0


@pytest.mark.usefixtures("clone")
def test_the_commit_is_the_users_own(remote: IndexRepository, run: Run) -> None:
    told = proposed(run, "user", "create", "bob")
    text = remote.git("show", "--no-patch", "--format=%an <%ae>%n%cn <%ce>%n%B", told["commit"])
    who = "Emilie Example <emilie@example.org>"
    assert text == f"{who}\n{who}\nCreate user bob\n\nGitindex-Branch: gitindex/create-user-bob"


def test_a_commit_is_signed_where_every_one_is(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key)), ("commit.gpgSign", "true")):
        clone.git("config", name, value)
    told = proposed(run, "user", "create", "bob")
    assert "-----BEGIN SSH SIGNATURE-----" in remote.git("cat-file", "commit", told["commit"])


def test_the_filters_of_the_repository_are_gits(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    (clone.path / ".gitattributes").write_text("*.whl filter=shout\n")
    clone.commit("Filter")
    clone.git("push", "--quiet", "origin", "main")
    clone.git("config", "filter.shout.clean", "printf '%s' pointer")
    told = proposed(run, "upload", wheel(tmp_path / "dist"), "--index", "emilie/dev")
    stored = next(path for path in told["paths"] if path.endswith(".whl"))
    assert remote.git("show", f"{told['branch']}:{stored}") == "pointer"
    assert remote.git("ls-tree", told["branch"], stored).startswith("100644 blob")


def test_git_lfs_pushes_its_files_before(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hook is not run, so it is asked; here it is a program that writes down what it is told."""
    program = tmp_path / "programs/git-lfs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$1 $2 $(cat)\" > '{tmp_path}/told'\n[ ! -e '{tmp_path}/fail' ]\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    (clone.path / ".gitattributes").write_text("*.whl filter=lfs\n")
    clone.commit("Filter")
    clone.git("push", "--quiet", "origin", "main")
    pointer = "version https://git-lfs.github.com/spec/v1\\noid sha256:0\\nsize 1\\n"
    clone.git("config", "filter.lfs.clean", f"printf '{pointer}'")
    (tmp_path / "fail").touch()
    before = remote.git("for-each-ref")
    file = wheel(tmp_path / "dist")
    done = run("upload", file, "--index", "emilie/dev", "--pr")
    assert (done.code, done.err.startswith("gitindex: git lfs: ")) == (3, True)
    assert remote.git("for-each-ref") == before
    (tmp_path / "fail").unlink()
    told = proposed(run, "upload", file, "--index", "emilie/dev")
    branch = f"refs/heads/{told['branch']}"
    assert (tmp_path / "told").read_text() == f"pre-push origin {branch} {told['commit']} {branch} {'0' * 40}\n"


def test_files_are_removed_and_what_is_left_is_untouched(
    clone: IndexRepository, remote: IndexRepository, run: Run
) -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0")
    content.release("emilie/dev", "other", "1.0")
    publish(clone, content)
    told = proposed(run, "remove", "demo", "--index", "emilie/dev")
    listed = remote.git("ls-tree", "-r", "--name-only", told["branch"]).splitlines()
    before = remote.git("ls-tree", "-r", "--name-only", "main").splitlines()
    assert set(before) - set(listed) == set(told["paths"])
    assert not any("/demo/" in path for path in listed)
    assert "indexes/emilie/dev/other/1.0.json" in listed


def test_an_index_repository_in_a_folder(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.forge.conftest import make_remote

    clone = make_repository(tmp_path / "whole", small_content(), folder="data/packages")
    remote = make_remote(tmp_path / "remote.git", clone)
    monkeypatch.chdir(clone.root)
    told = proposed(run, "user", "create", "bob")
    assert told["paths"] == ["data/packages/indexes/bob/user.toml"]
    assert remote.git("diff-tree", "-r", "--name-only", "main", told["branch"]) == told["paths"][0]


# What is left alone


def test_nothing_of_the_users_is_touched(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    clone.write("indexes/carol/user.toml", "")
    clone.git("add", "--all")
    clone.write("indexes/carol/user.toml", "title = 'staged, and changed again'\n")
    clone.write("indexes/emilie/dev/index.toml", "not even TOML")
    clone.git("checkout", "--quiet", "-b", "work")
    (clone.path / ".git/hooks").mkdir(exist_ok=True)
    for hook in ("pre-commit", "commit-msg", "pre-push", "post-commit", "post-index-change", "post-checkout"):
        (clone.path / ".git/hooks" / hook).write_text("#!/bin/sh\ntouch ran\nexit 1\n")
        (clone.path / ".git/hooks" / hook).chmod(0o755)
    before = state(clone)
    told = proposed(run, "upload", wheel(tmp_path / "dist"), "--index", "emilie/dev")
    assert state(clone) == before
    assert "indexes/carol/user.toml" not in remote.git("ls-tree", "-r", "--name-only", told["branch"])


@pytest.mark.usefixtures("clone")
def test_a_bare_clone_proposes_too(remote: IndexRepository, run: Run, tmp_path: Path) -> None:
    bare = IndexRepository(bare_clone(IndexRepository(remote.path), tmp_path / "bare.git"))
    before = state(bare)
    told = proposed(run, "-C", bare.path, "user", "create", "bob")
    assert remote.git("rev-parse", told["branch"]) == told["commit"]
    assert state(bare) == before


def test_a_mirror_and_a_shallow_clone_propose_too(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    clone.commit("More")
    clone.git("push", "--quiet", "origin", "main")
    for number, words in enumerate((("--mirror",), ("--depth=1", "--single-branch"))):
        path = tmp_path / f"{number}"
        clone.git("clone", "--quiet", *words, remote.path.as_uri(), str(path))
        told = proposed(run, "-C", path, "user", "create", f"bob{number}")
        assert remote.git("rev-parse", f"{told['branch']}^") == remote.git("rev-parse", "main")
        assert proposed(run, "-C", path, "user", "create", f"bob{number}")["pushed"] is False
        clone.commit("Even more")
        clone.git("push", "--quiet", "origin", "main")
        moved = proposed(run, "-C", path, "user", "create", f"bob{number}")
        assert remote.git("rev-parse", f"{moved['branch']}^") == remote.git("rev-parse", "main")
    assert remote.git("branch", "--list", "main") != "", "a mirror pushes nothing else, and removes nothing"


@pytest.mark.usefixtures("remote")
def test_what_a_killed_run_left_behind_goes(clone: IndexRepository, run: Run) -> None:
    old, new = (clone.path / f".git/gitindex-change-{name}" for name in ("old", "new"))
    for folder in (old, new):
        (folder / "tree").mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    proposed(run, "user", "create", "bob")
    assert [old.exists(), new.exists()] == [False, True]


def test_it_is_made_from_what_is_published_now(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    other = IndexRepository(tmp_path / "other")
    clone.git("clone", "--quiet", str(remote.path), str(other.path))
    other.write("indexes/bob/user.toml", "")
    tip = other.commit("Create bob")
    other.git("push", "--quiet", "origin", "main")
    told = proposed(run, "index", "create", "bob/dev")
    assert remote.git("rev-parse", f"{told['branch']}^") == tip
    done = run("user", "create", "bob", "--pr")
    assert done.code != 0
    assert "bob" in done.err


# The same again


@pytest.mark.usefixtures("clone")
def test_the_same_again_pushes_nothing(
    remote: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = wheel(tmp_path / "dist")
    first = proposed(run, "upload", file, "--index", "emilie/dev")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795400000")  # later: the time of the upload is that of the first one
    again = proposed(run, "upload", file, "--index", "emilie/dev")
    assert again == {**first, "pushed": False, "request": "unchanged"}
    assert remote.git("for-each-ref", "--format=%(refname)").splitlines() == [
        f"refs/heads/{first['branch']}",
        "refs/heads/main",
    ]


@pytest.mark.usefixtures("clone")
def test_other_bytes_update_the_same_branch(remote: IndexRepository, run: Run, tmp_path: Path) -> None:
    first = proposed(run, "upload", wheel(tmp_path / "dist"), "--index", "emilie/dev")
    second = proposed(run, "upload", wheel(tmp_path / "dist", text="x = 1"), "--index", "emilie/dev")
    assert (second["branch"], second["pushed"]) == (first["branch"], True)
    assert remote.git("rev-list", "--count", f"main..{first['branch']}") == "1"
    assert first["commit"] != second["commit"]


def test_a_moved_base_moves_the_branch(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = wheel(tmp_path / "dist")
    first = proposed(run, "upload", file, "--index", "emilie/dev")
    time_of_first = remote.git("show", f"{first['commit']}:indexes/emilie/dev/demo/1.0.json")
    clone.write("indexes/bob/user.toml", "")
    tip = clone.commit("Create bob")
    clone.git("push", "--quiet", "origin", "main")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795400000")
    second = proposed(run, "upload", file, "--index", "emilie/dev")
    assert (second["branch"], second["pushed"]) == (first["branch"], True)
    assert remote.git("rev-parse", f"{second['branch']}^") == tip
    assert remote.git("show", f"{second['commit']}:indexes/emilie/dev/demo/1.0.json") == time_of_first


@pytest.mark.parametrize("way", ["merge", "squash"])
def test_what_was_merged_is_there(
    way: str, clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    file = wheel(tmp_path / "dist")
    told = proposed(run, "upload", file, "--index", "emilie/dev")
    clone.git("fetch", "--quiet", "origin", told["branch"])
    clone.git("merge", "--quiet", *(["--squash"] if way == "squash" else ["--no-ff", "--no-edit"]), "FETCH_HEAD")
    clone.commit("Merged")
    clone.git("push", "--quiet", "origin", "main")
    again = run("upload", file, "--index", "emilie/dev", "--pr")
    assert again.code == 0
    assert again.out == "Unchanged: demo-1.0-py3-none-any.whl in emilie/dev\n"
    assert again.err == "What is published has it already: nothing was pushed.\n"
    # The branch is still there; another change of that name takes it over.
    second = proposed(run, "upload", wheel(tmp_path / "dist", text="x = 1"), "--index", "emilie/dev")
    assert (second["branch"], second["pushed"]) == (told["branch"], True)
    assert remote.git("rev-list", "--count", f"main..{told['branch']}") == "1"


def test_other_bytes_of_what_is_released_are_refused(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    publish(clone, content)
    name, data = make_wheel("demo", "1.0")
    (tmp_path / name).write_bytes(data)
    assert proposed(run, "upload", tmp_path / name, "--index", "emilie/prod")["branch"] is None
    before = remote.git("for-each-ref")
    done = run("upload", wheel(tmp_path / "dist", text="x = 1"), "--index", "emilie/prod", "--pr")
    assert done.code == 1
    assert "indexes/emilie/prod/demo/1.0.json" in done.err
    assert done.err.endswith("gitindex: refused, and nothing was written\n")
    assert remote.git("for-each-ref") == before


# Whose branch it is


def test_a_branch_with_somebody_elses_commit_is_left_alone(
    clone: IndexRepository, remote: IndexRepository, run: Run
) -> None:
    told = proposed(run, "user", "create", "bob")
    clone.git("fetch", "--quiet", "origin", told["branch"])
    clone.git("checkout", "--quiet", "-b", "mine", "FETCH_HEAD")
    clone.write("indexes/bob/user.toml", "title = 'Bob'\n")
    theirs = clone.commit("Say who Bob is")
    clone.git("push", "--quiet", "origin", f"HEAD:{told['branch']}")
    clone.git("checkout", "--quiet", "main")
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert done.err == (
        f"gitindex: the branch {told['branch']} of origin has a commit that gitindex did not make: {theirs[:12]}; "
        f"merge its pull request, or remove the branch: git push origin --delete {told['branch']}\n"
    )
    assert remote.git("rev-parse", told["branch"]) == theirs


@pytest.mark.usefixtures("clone")
def test_a_commit_made_for_another_branch_is_somebody_elses(remote: IndexRepository, run: Run) -> None:
    told = proposed(run, "user", "create", "bob")
    remote.git("branch", "gitindex/create-user-carol", told["branch"])
    done = run("user", "create", "carol", "--pr")
    assert (done.code, "did not make" in done.err) == (3, True)


@pytest.mark.usefixtures("run")
def test_a_branch_that_moves_meanwhile_is_not_overwritten(clone: IndexRepository, remote: IndexRepository) -> None:
    opened = clone.open()
    opened.proposals.published()
    first = opened.proposals.commit(clone.git("rev-parse", "main"), {"a": b"1"}, "One", "gitindex/x")
    second = opened.proposals.commit(clone.git("rev-parse", "main"), {"a": b"2"}, "Two", "gitindex/x")
    clone.git("push", "--quiet", "origin", f"{first}:refs/heads/gitindex/x")
    from gitindex.errors import MovedError

    with pytest.raises(MovedError, match="pushed by somebody else just now"):
        opened.proposals.push(second, "gitindex/x")
    assert remote.git("rev-parse", "gitindex/x") == first


def test_runs_at_the_same_time_are_not_in_each_others_way(clone: IndexRepository, remote: IndexRepository) -> None:
    """Different ones each have their branch, and of two that are the same, the later one finds what is there."""
    names = ["bob", "carol", "dora", "bob"]
    words = [sys.executable, "-m", "gitindex", "user", "create"]
    runs = [subprocess.Popen([*words, name, "--pr"], cwd=clone.root, stderr=subprocess.PIPE) for name in names]
    errors = [process.communicate(timeout=120)[1].decode() for process in runs]
    assert [process.returncode for process in runs] == [0, 0, 0, 0], errors
    heads = remote.git("for-each-ref", "--format=%(refname:short)", "refs/heads/gitindex").splitlines()
    assert heads == [f"gitindex/create-user-{name}" for name in ("bob", "carol", "dora")]
    assert all(remote.git("rev-list", "--count", f"main..{head}") == "1" for head in heads)


# What goes wrong


@pytest.mark.usefixtures("clone")
def test_commit_and_pr_exclude_each_other(run: Run) -> None:
    done = run("user", "create", "bob", "--pr", "--commit")
    assert (done.code, done.err.startswith("gitindex: --commit and --pr exclude each other")) == (2, True)


@pytest.mark.usefixtures("clone")
def test_there_is_no_remote(run: Run) -> None:
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert done.err == "gitindex: there is no remote origin to push to; add it: git remote add origin URL\n"


@pytest.mark.usefixtures("clone")
def test_the_remote_has_no_protected_branch(remote: IndexRepository, run: Run) -> None:
    remote.git("update-ref", "-d", "refs/heads/main")
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert done.err == (
        "gitindex: origin has no branch main to propose a change to; push it first: git push origin main\n"
    )


@pytest.mark.usefixtures("remote")
def test_a_remote_that_does_not_answer(clone: IndexRepository, run: Run) -> None:
    clone.git("remote", "set-url", "origin", "http://emilie:very-secret@127.0.0.1:9/emilie/packages.git")
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert done.err.startswith("gitindex: git ls-remote: ")
    assert "secret" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("clone")
def test_a_hook_that_refuses_says_why(remote: IndexRepository, run: Run) -> None:
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'only on Mondays' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert done.err.startswith("gitindex: git push: [remote rejected] (pre-receive hook declined); only on Mondays")


@pytest.mark.usefixtures("monkeypatch")
def test_git_does_not_know_who_commits(clone: IndexRepository, remote: IndexRepository, run: Run) -> None:
    clone.git("config", "--global", "--remove-section", "user")
    clone.git("config", "user.useConfigOnly", "true")
    before = remote.git("for-each-ref")
    done = run("user", "create", "bob", "--pr")
    assert (done.code, "git commit-tree" in done.err, "user.email" in done.err) == (3, True, True)
    assert remote.git("for-each-ref") == before


# Storage outside of the repository


def see_at_push(remote: IndexRepository, store: Path, seen: Path) -> None:
    """Let the remote write down, when it is pushed to, which wheels a store has then."""
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nfind '{store}' -name '*.whl' > '{seen}'\n")
    hook.chmod(0o755)


def test_files_are_in_the_storage_before_the_branch_is_pushed(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    publish(clone, small_content(storage={"url": store.as_uri()}))
    see_at_push(remote, store, tmp_path / "seen")
    told = proposed(run, "upload", wheel(tmp_path / "dist"), "--index", "emilie/dev")
    assert told["paths"] == ["indexes/emilie/dev/demo/1.0.json"]
    assert (tmp_path / "seen").read_text().count("demo-1.0-py3-none-any.whl") == 1
    assert proposed(run, "upload", wheel(tmp_path / "dist"), "--index", "emilie/dev")["pushed"] is False


# Every command that writes


def test_every_command_that_writes_proposes(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    content = small_content()
    content.user("bob").stage("bob/tmp")
    for version in ("1.0", "2.0"):
        content.release("emilie/dev", "demo", version)
    content.statements("emilie/dev", "demo", yanked={"2.0": "broken"})
    publish(clone, content)
    lock = tmp_path / "requirements.txt"
    lock.write_text("idna==3.10\n")
    commands: dict[str, list[str | Path]] = {
        "gitindex/create-user-carol": ["user", "create", "carol"],
        "gitindex/modify-user-bob-title-bob-": ["user", "modify", "bob", "title=Bob"],
        "gitindex/delete-user-bob": ["user", "delete", "bob"],
        "gitindex/create-index-bob-dev": ["index", "create", "bob/dev"],
        "gitindex/modify-index-bob-tmp-title-x-": ["index", "modify", "bob/tmp", "title=x"],
        "gitindex/delete-index-bob-tmp": ["index", "delete", "bob/tmp"],
        "gitindex/lock-root-pypi": ["mirror", "lock", "--from", lock],
        "gitindex/upload-demo-3.0-to-emilie-dev-": ["upload", wheel(tmp_path, "3.0"), "--index", "emilie/dev"],
        PUSHES: ["push", "demo==1.0", "emilie/dev", "emilie/prod"],
        "gitindex/yank-demo-1.0-in-emilie-dev": ["yank", "demo==1.0", "--index", "emilie/dev", "--reason", "old"],
        "gitindex/unyank-demo-2.0-in-emilie-dev": ["unyank", "demo==2.0", "--index", "emilie/dev"],
        "gitindex/remove-demo-1.0-from-emilie-dev": ["remove", "demo==1.0", "--index", "emilie/dev"],
    }
    before = state(clone)
    for branch, words in commands.items():
        told = proposed(run, *words)
        assert told["branch"].startswith(branch) if branch.endswith("-") else told["branch"] == branch
        assert remote.git("rev-parse", f"{told['branch']}^") == remote.git("rev-parse", "main")
        assert sorted(remote.git("diff", "--name-only", "main", told["branch"]).splitlines()) == told["paths"]
        assert proposed(run, *words)["pushed"] is False
    assert state(clone) == before


# Names of branches


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Push demo 1.0 from emilie/dev to emilie/prod", PUSHES),
        ("Create user bob", "gitindex/create-user-bob"),
        ("Yank demo 1.0+local.1 in emilie/dev", "gitindex/yank-demo-1.0+local.1-in-emilie-dev"),
    ],
)
def test_a_branch_speaks(text: str, name: str) -> None:
    assert branch_name(text) == name


def test_no_two_changes_have_one_branch(tmp_path: Path) -> None:
    texts = [
        "create index a-b/c",
        "create index a/b-c",
        "modify index a/b volatile=true",
        "modify index a/b volatile true",
        "x" * 300,
        "x" * 301,
        "Upload DEMO.whl to a/b",
        "upload demo.whl to a/b",
        "",
        " ",
        "..",
        "a..b",
        "a.b",
        "a.lock",
        "a",
        "é",
        "\ud800",
        "\n",
        "~^:?*[\\ @{",
        "-",
        ".",
    ]
    names = [branch_name(text) for text in texts]
    assert len(set(names)) == len(names)
    for name in names:
        subprocess.run(["git", "check-ref-format", "--branch", name], check=True, cwd=tmp_path, capture_output=True)
        assert len(name) < 120
        assert name.isascii()


@pytest.mark.usefixtures("clone")
def test_sdist_and_wheel_apart_have_branches_of_their_own(remote: IndexRepository, run: Run, tmp_path: Path) -> None:
    name, data = make_sdist("demo", "1.0")
    (tmp_path / name).write_bytes(data)
    one = proposed(run, "upload", wheel(tmp_path / "dist"), "--index", "emilie/dev")
    other = proposed(run, "upload", tmp_path / name, "--index", "emilie/dev")
    assert one["branch"] != other["branch"]
    assert remote.git("rev-parse", one["branch"]) == one["commit"]


@pytest.mark.parametrize("forge", ["", "github", "gitlab", "gitea"])
def test_where_no_forge_is_the_proposal_is_merged_by_what_is_printed(
    clone: IndexRepository,
    remote: IndexRepository,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    forge: str,
) -> None:
    if forge:
        clone.put(small_content(forge={"type": forge}))
        clone.commit("Say where it is")
        clone.git("push", "--quiet", "origin", "main")
    monkeypatch.chdir(clone.root)
    done = run("user", "create", "bob", "--pr")
    assert (done.code, done.out) == (0, "Create user bob\n")
    pushed, why, see, merge = done.err.splitlines()
    assert pushed.startswith("Pushed gitindex/create-user-bob, ")
    assert why == ("There is no pull request: the remote is a folder or a server that is no forge's.")
    assert see == "See it:    gitindex diff origin/main origin/gitindex/create-user-bob"
    assert merge.startswith("Merge it:  git merge origin/gitindex/create-user-bob && git push ")
    assert run(*see.partition("gitindex ")[2].split()).code == 0
    subprocess.run(["sh", "-ec", merge.removeprefix("Merge it:  ")], check=True, capture_output=True)
    assert remote.git("show", "main:indexes/bob/user.toml") == ""
    assert run("user", "create", "bob", "--pr").err == (
        "gitindex: the user bob exists already; see: gitindex user show bob\n"
    )


def test_a_proposal_of_somebody_else_is_merged_by_what_is_printed_too(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "clone", "--quiet", remote.path, tmp_path / "other"], check=True)
    assert run("-C", clone.root, "user", "create", "bob", "--pr").code == 0
    monkeypatch.chdir(tmp_path / "other")
    done = run("user", "create", "bob", "--pr")
    there, _, see, merge = done.err.splitlines()
    assert there.startswith("gitindex/create-user-bob is there already, ")
    assert run(*see.partition("gitindex ")[2].split()).code == 0
    subprocess.run(["sh", "-ec", merge.removeprefix("Merge it:  ")], check=True, capture_output=True)
    assert remote.git("show", "main:indexes/bob/user.toml") == ""


def test_what_is_not_pushed_yet_is_said_before_a_proposal_is_made_without_it(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone.root)
    name, data = make_wheel("table-print", "1.0")
    (tmp_path / name).write_bytes(data)
    assert run("upload", tmp_path / name, "--index", "emilie/dev", "--commit").code == 0
    push = ("push", "table-print", "emilie/dev", "emilie/prod", "--pr")
    early = run(*push)
    told, hint, error = early.err.splitlines()
    assert early.code == 1
    assert told == "main has 1 commit here that origin has not, and --pr is made of what origin has."
    assert error.startswith("gitindex: emilie/dev itself has no project table-print; ")
    subprocess.run(["sh", "-ec", hint.removeprefix("To push: ")], check=True, capture_output=True)
    assert remote.git("rev-parse", "main") == clone.git("rev-parse", "main")
    later = run(*push)
    assert later.code == 0
    assert "that origin has not" not in later.err
