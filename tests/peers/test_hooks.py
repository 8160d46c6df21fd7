"""The doors where commits are made and pushes leave: hooks of the real pre-commit, of prek, and of Git itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.peers.doors import (
    MANIFEST,
    RAW_HOOKS,
    ROOT,
    Clone,
    copy,
    publish,
    released_content,
    write_hook,
)
from tests.peers.tools import Done, Tools, done
from tests.repositories import UPLOAD_TIME, make_repository

pytestmark = pytest.mark.peers

CONFIG = ".pre-commit-config.yaml"
TYPES = ("pre-commit", "pre-merge-commit", "pre-push")
KINDS = ("pre-commit", "prek", "git")
OWN_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("GIT", "PRE_COMMIT"))}
"""With the settings of pip and uv that whoever runs the tests has: they say where packages come from."""
GI205 = f"{MANIFEST}:11: GI205 "


class Kit(NamedTuple):
    """What the tests of this module share: caches of the tools, and the text of a configuration of pre-commit."""

    caches: dict[str, str]
    config: str


def tools_at(home: Path, caches: dict[str, str]) -> Tools:
    home.mkdir(exist_ok=True)
    return Tools(home, caches)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Return a configuration that uses the project's own hooks, run by the gitindex of this environment."""
    folder = tmp_path_factory.mktemp("kit")
    caches = {"PRE_COMMIT_HOME": str(folder / "pre-commit"), "PREK_HOME": str(folder / "prek")}
    tools = tools_at(folder / "home", caches)
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert text.count("language: python") == 2
    hooks = folder / "hooks"
    done(tools.run("git", "init", "--quiet", hooks))
    (hooks / ".pre-commit-hooks.yaml").write_text(text.replace("language: python", "language: system"))
    done(tools.run("git", "-C", hooks, "add", "."))
    done(tools.run("git", "-C", hooks, "commit", "--quiet", "--message", "Hooks"))
    revision = done(tools.run("git", "-C", hooks, "rev-parse", "HEAD")).strip()
    return Kit(caches, configuration(hooks.as_uri(), revision))


def configuration(url: str, revision: str) -> str:
    return (
        f"default_install_hook_types: [{', '.join(TYPES)}]\n"
        f"repos:\n  - repo: {url}\n    rev: {revision}\n"
        "    hooks:\n      - id: gitindex-validate\n      - id: gitindex-validate-push\n"
    )


@pytest.fixture(scope="module")
def published(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a published repository without hooks, to copy."""
    folder = tmp_path_factory.mktemp("published")
    content = released_content() | {CONFIG: kit.config.encode()}
    return publish(tools_at(folder / "home", kit.caches), folder, content)


Install = Callable[[Clone], Clone]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def install(kind: str) -> Install:
    """Return a function that puts the hooks of one kind into a clone."""

    def installed(clone: Clone) -> Clone:
        if kind == "git":
            for name, command in RAW_HOOKS.items():
                write_hook(clone.repository.path / ".git", name, command)
        else:
            run_in(clone, kind, "install")
            assert set(TYPES) <= {path.name for path in (clone.repository.path / ".git/hooks").iterdir()}
        return clone

    return installed


def run_in(clone: Clone, *words: str) -> Done:
    """Run a tool in the clone; it must succeed."""
    result = subprocess.run(
        ["env", "-C", clone.repository.path, *words],
        env=clone.tools.environment_of_commands(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    done(result)
    return result


@pytest.fixture
def clone(published: Clone, kit: Kit, install: Install, tmp_path: Path) -> Clone:
    return install(copy(published, tools_at(tmp_path / "home", kit.caches), tmp_path))


def refused(result: Done, *wanted: str) -> str:
    """Return what a tool said that refused something, for people: the words, no traceback, nothing for a terminal."""
    said = result.stdout + result.stderr
    assert result.returncode != 0, said
    assert "Traceback" not in said
    assert not any(character < " " and character not in "\n\t" for character in said)
    for words in wanted:
        assert words in said
    return said


# Commits


def test_a_commit_that_breaks_a_promise_is_refused_and_says_what_to_do(clone: Clone) -> None:
    before = clone.head()
    clone.break_promise()
    refused(clone.commit(), GI205, f"git checkout {before[:12]} -- {MANIFEST}\n")
    assert clone.head() == before


def test_a_commit_of_a_new_release_is_accepted(clone: Clone) -> None:
    manifest = clone.release("2.0")
    done(clone.commit())
    assert manifest in clone.git("ls-tree", "-r", "--name-only", "HEAD").splitlines()


def test_a_commit_that_only_deletes_a_released_manifest_is_refused(clone: Clone) -> None:
    clone.git("rm", "--quiet", MANIFEST)
    refused(clone.attempt("commit", "--quiet", "--message", "Delete"), "GI202")


def test_a_commit_that_touches_no_file_of_the_index_is_accepted_without_a_word_on_it(clone: Clone) -> None:
    clone.repository.write("notes.txt", "not of the index\n")
    result = clone.commit()
    assert done(result) == "" or "Valid: what is staged" in result.stdout
    assert "GI" not in result.stdout + result.stderr


def test_a_release_that_is_not_pushed_can_be_amended(clone: Clone) -> None:
    manifest = clone.repository.root / clone.release("2.0")
    done(clone.commit())
    manifest.write_text(manifest.read_text().replace(UPLOAD_TIME, "2026-11-22T08:00:00Z"))
    done(clone.commit("Correct it", "--amend"))
    clone.git("rm", "--quiet", manifest)
    done(clone.commit("Or take it back", "--amend", "--allow-empty"))


def test_a_release_that_is_pushed_cannot_be_amended(clone: Clone) -> None:
    clone.break_promise()
    refused(clone.commit("Correct it", "--amend"), GI205)
    clone.git("checkout", "HEAD", "--", ".")
    done(clone.attempt("commit", "--quiet", "--amend", "--message", "A better message alone"))


def test_the_staged_text_counts_and_not_what_lies_in_the_working_tree(clone: Clone) -> None:
    sound = (clone.repository.root / MANIFEST).read_text()
    clone.break_promise()
    broken = (clone.repository.root / MANIFEST).read_text()
    clone.git("add", MANIFEST)
    (clone.repository.root / MANIFEST).write_text(sound)
    refused(clone.attempt("commit", "--quiet", "--message", "Staged is broken"), GI205)

    clone.git("reset", "--quiet")
    clone.repository.write("notes.txt", "staged\n")
    clone.git("add", "notes.txt")
    (clone.repository.root / MANIFEST).write_text(broken)
    done(clone.attempt("commit", "--quiet", "--message", "Staged is sound"))
    assert (clone.repository.root / MANIFEST).read_text() == broken


def test_a_commit_of_some_paths_is_checked_as_what_it_is(clone: Clone) -> None:
    clone.break_promise()
    clone.git("add", MANIFEST)
    clone.repository.write("notes.txt", "committed alone\n")
    clone.git("add", "notes.txt")
    done(clone.attempt("commit", "--quiet", "--message", "One file", "--only", "notes.txt"))
    refused(clone.attempt("commit", "--quiet", "--message", "The other", "--only", MANIFEST), GI205)


def test_a_commit_in_a_linked_working_tree_is_checked(clone: Clone) -> None:
    clone.git("worktree", "add", "--quiet", "-b", "linked", "../linked")
    linked = Clone(clone.tools, type(clone.repository)(clone.repository.path.parent / "linked"), clone.upstream)
    linked.break_promise()
    refused(linked.commit(), GI205)
    linked.git("checkout", "--quiet", "HEAD", "--", ".")
    linked.release("2.0")
    done(linked.commit())


def test_the_first_commit_of_a_repository_is_checked_whole(kit: Kit, install: Install, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "new")
    clone = install_after_config(Clone(tools_at(tmp_path / "home", kit.caches), repository, tmp_path), kit, install)
    content = released_content()
    repository.put(content | {"indexes/emilie/prod/index.toml": b'type = "stage"\nbases = ["root/nowhere"]\n'})
    refused(clone.commit("Start"), "indexes/emilie/prod/index.toml:2: GI101 ")
    repository.put(content)
    done(clone.commit("Start"))


def install_after_config(clone: Clone, kit: Kit, install: Install) -> Clone:
    clone.repository.write(CONFIG, kit.config)
    return install(clone)


# Merges


def test_a_clean_merge_of_what_breaks_a_promise_is_refused(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "-b", "side")
    clone.break_promise()
    clone.without_hooks()
    clone.git("checkout", "--quiet", "main")
    refused(clone.attempt("merge", "--no-ff", "--message", "Merge", "side"), GI205)
    clone.git("merge", "--abort")

    clone.git("checkout", "--quiet", "-B", "side", "main")
    clone.release("2.0")
    clone.without_hooks()
    clone.git("checkout", "--quiet", "main")
    done(clone.attempt("merge", "--no-ff", "--message", "Merge", "side"))


def test_a_merge_may_not_lose_what_the_other_side_published(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "-b", "side")
    clone.release("3.0")
    clone.repository.write("notes.txt", "ours\n")
    clone.without_hooks()
    clone.git("checkout", "--quiet", "main")
    lost = clone.release("2.0")
    clone.repository.write("notes.txt", "theirs\n")
    clone.without_hooks()
    clone.git("push", "--quiet", "--no-verify", "origin", "main")

    clone.git("checkout", "--quiet", "side")
    # Without a conflict, where Git names the other side in the hook's environment alone.
    refused(clone.attempt("merge", "--strategy", "ours", "--message", "Merge", "origin/main"), f"{lost}: GI203 ")
    clone.git("merge", "--abort")
    # With a conflict, which is resolved by losing it.
    assert clone.attempt("merge", "--no-edit", "origin/main").returncode == 1
    clone.repository.write("notes.txt", "both\n")
    clone.git("add", "notes.txt")
    clone.git("rm", "--quiet", "--force", lost)
    refused(clone.attempt("commit", "--quiet", "--no-edit"), f"{lost}: GI203 ")
    # And by keeping it.
    clone.git("checkout", "origin/main", "--", lost)
    done(clone.attempt("commit", "--quiet", "--no-edit"))


# Pushes


def test_a_push_that_breaks_a_promise_is_refused_and_nothing_is_sent(clone: Clone) -> None:
    before = clone.tip()
    clone.break_promise()
    clone.without_hooks()
    refused(clone.attempt("push", "origin", "main"), GI205)
    refused(clone.attempt("push", "origin", "main:refs/heads/feature"), GI205)
    assert (clone.tip(), clone.tip("refs/heads/feature")) == (before, "")


def test_a_push_of_a_release_of_a_new_branch_and_of_a_tag_is_accepted(clone: Clone) -> None:
    clone.release("2.0")
    done(clone.commit())
    done(clone.attempt("push", "origin", "main:refs/heads/feature"))
    done(clone.attempt("push", "origin", "main"))
    clone.git("tag", "v1")
    done(clone.attempt("push", "origin", "v1"))
    assert clone.tip() == clone.tip("refs/heads/feature") == clone.tip("refs/tags/v1") == clone.head()
    done(clone.attempt("push", "origin", "main"))  # there is nothing to push any more
    done(clone.attempt("push", "origin", ":refs/heads/feature"))


def test_a_commit_undone_on_the_way_is_no_matter_and_a_merge_is_pushed(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "-b", "side")
    clone.break_promise()
    clone.without_hooks()
    clone.git("revert", "--no-edit", "HEAD")
    clone.release("2.0")
    done(clone.commit())
    clone.git("checkout", "--quiet", "main")
    done(clone.attempt("merge", "--no-ff", "--message", "Merge", "side"))
    done(clone.attempt("push", "origin", "main"))
    assert clone.tip() == clone.head()


def test_a_push_that_rewrites_the_protected_branch_is_refused(clone: Clone) -> None:
    before = clone.tip()
    clone.git("commit", "--quiet", "--amend", "--no-verify", "--message", "Rewritten")
    refused(clone.attempt("push", "--force", "origin", "main"), "gitindex.toml: GI210 ")
    assert clone.tip() == before
    done(clone.attempt("push", "--force", "origin", "main:refs/heads/feature"))


def test_the_first_push_of_a_whole_history_is_checked_whole(clone: Clone, tmp_path: Path) -> None:
    for name in ("sound.git", "broken.git"):
        done(clone.tools.run("git", "init", "--quiet", "--bare", tmp_path / name))
    clone.git("remote", "remove", "origin")
    done(clone.attempt("push", tmp_path / "sound.git", "main"))
    clone.repository.write("indexes/emilie/prod/index.toml", 'type = "stage"\nbases = ["root/nowhere"]\n')
    clone.without_hooks()
    refused(clone.attempt("push", tmp_path / "broken.git", "main"), "indexes/emilie/prod/index.toml:2: GI101 ")


def test_a_branch_without_an_index_is_pushed(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "--orphan", "pages")
    clone.git("rm", "-r", "--quiet", "--force", "indexes", "files", "gitindex.toml")
    clone.repository.write("index.html", "<h1>")
    clone.without_hooks()
    done(clone.attempt("push", "origin", "pages"))
    done(clone.attempt("push", "origin", "pages:refs/heads/more"))


@pytest.fixture
def raw(published: Clone, kit: Kit, tmp_path: Path) -> Clone:
    """Return a clone with the hooks of Git alone."""
    made = copy(published, tools_at(tmp_path / "home", kit.caches), tmp_path)
    for name, command in RAW_HOOKS.items():
        write_hook(made.repository.path / ".git", name, command)
    return made


def test_of_several_references_one_that_is_bad_refuses_the_push_by_git(raw: Clone) -> None:
    before = raw.tip()
    raw.git("branch", "good")
    raw.break_promise()
    raw.without_hooks()
    raw.git("tag", "v1")
    refused(raw.attempt("push", "origin", "v1", "good", "main"), GI205)
    assert (raw.tip(), raw.tip("refs/heads/good"), raw.tip("refs/tags/v1")) == (before, "", "")


def test_a_deletion_and_a_rewind_of_the_protected_branch_are_refused_by_git(raw: Clone) -> None:
    raw.release("2.0")
    done(raw.commit())
    done(raw.attempt("push", "origin", "main", "main:refs/heads/feature"))
    said = refused(raw.attempt("push", "origin", ":main", ":feature"))
    assert "gitindex.toml: GI210 main is the protected branch, and would be deleted" in said
    refused(raw.attempt("push", "--force", "origin", "main~1:main"), "GI203", "GI210")
    assert raw.tip() == raw.tip("refs/heads/feature") == raw.head()


def test_a_push_over_what_was_never_fetched_is_refused_by_git(raw: Clone) -> None:
    other = Clone(raw.tools, make_repository(raw.upstream.parent / "other"), raw.upstream)
    other.git("pull", "--quiet", raw.upstream, "main")
    other.release("2.0")
    theirs = other.without_hooks()
    other.git("push", "--quiet", raw.upstream, "main")
    raw.release("3.0")
    done(raw.commit())
    said = refused(raw.attempt("push", "--force", "origin", "main"))
    assert (
        f"gitindex: the remote has {theirs[:12]} on main, the protected branch, and it is not here; git fetch" in said
    )
    assert raw.tip() == theirs


@pytest.mark.parametrize("kind", ["pre-commit", "prek"])
def test_what_pre_commit_does_not_show_to_hooks_the_server_refuses(clone: Clone) -> None:
    clone.git("push", "--quiet", "origin", "main:refs/heads/first")
    write_hook(clone.upstream, "pre-receive", "exec gitindex pre-receive")
    before = clone.tip()
    clone.git("checkout", "--quiet", "-b", "first")
    clone.release("2.0")
    done(clone.commit())
    clone.git("checkout", "--quiet", "main")
    clone.break_promise()
    clone.without_hooks()
    # Of several references, the hook is shown the first one; of deletions, none.
    for words, shown in (["first", "main"], "Passed"), ([":main"], ""):
        said = refused(clone.attempt("push", "origin", *words), "[remote rejected]", "remote: main: Refused: 1 error")
        assert shown in said
        assert "Failed" not in said
    assert clone.tip() == clone.tip("refs/heads/first") == before


# The configuration that init writes


@pytest.mark.parametrize("tool", ["pre-commit", "prek"])
@pytest.mark.parametrize("folder", ["", "services/my packages: 'ü' #1"])
def test_the_hooks_that_init_writes_check_commits_and_pushes(kit: Kit, tmp_path: Path, tool: str, folder: str) -> None:
    tools = tools_at(tmp_path / "home", kit.caches)
    repository = make_repository(tmp_path / "new", folder="")
    upstream = tmp_path / "upstream.git"
    clone = Clone(tools, repository, upstream)
    done(tools.run("git", "init", "--quiet", "--bare", upstream))
    done(tools.run("gitindex", "-C", repository.path, "init", "./" + folder, "--user", "emilie"))
    run_in(clone, tool, "install")
    assert set(TYPES) <= {path.name for path in (repository.path / ".git/hooks").iterdir()}
    prefix = f"{folder}/" if folder else ""
    release = released_content()
    repository.put({prefix + path: data for path, data in release.items() if "table" in path})
    done(clone.commit())
    clone.git("remote", "add", "origin", upstream)
    done(clone.attempt("push", "origin", "main"))

    clone.git("rm", "--quiet", prefix + MANIFEST)
    refused(clone.attempt("commit", "--quiet", "--message", "Delete"), "GI202")
    clone.without_hooks()
    refused(clone.attempt("push", "origin", "main"), "GI202")
    clone.git("reset", "--quiet", "--hard", "HEAD~1")
    clone.git("checkout", "--quiet", "-b", "side")
    clone.git("rm", "--quiet", prefix + MANIFEST)
    clone.without_hooks()
    clone.git("checkout", "--quiet", "main")
    refused(clone.attempt("merge", "--no-ff", "--message", "Merge", "side"), "GI202")


@pytest.mark.parametrize("tool", ["pre-commit", "prek"])
def test_the_manifest_of_the_hooks_is_sound(kit: Kit, tmp_path: Path, tool: str) -> None:
    tools = tools_at(tmp_path / "home", kit.caches)
    done(tools.run(tool, "validate-manifest", ROOT / ".pre-commit-hooks.yaml"))


# The real thing


class Network(Tools):
    """Tools that install from where whoever runs the tests installs from."""

    def environment_of_commands(self) -> dict[str, str]:
        own = super().environment_of_commands()
        kept = {name: own[name] for name in ("PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")}
        caches = {"PRE_COMMIT_HOME": str(self.home / "pre-commit"), "PREK_HOME": str(self.home / "prek")}
        return {**OWN_ENVIRONMENT, **kept, **caches}

    def need_an_index(self, tool: str) -> None:
        """Skip the test where the installer that a tool uses finds no package."""
        words = ("install", "--quiet", "--dry-run", "--no-deps", "--target", self.home / "target", "hatchling")
        asked = self.pip(*words) if tool == "pre-commit" else self.uv("pip", *words)
        if asked.returncode != 0:
            pytest.skip(f"{'pip' if tool == 'pre-commit' else 'uv'} reaches no package index here")


@pytest.mark.network
@pytest.mark.parametrize("tool", ["pre-commit", "prek"])
def test_the_hooks_of_a_clone_of_this_project_install_themselves_and_check(tmp_path: Path, tool: str) -> None:
    tools = Network(tmp_path)
    tools.need_an_index(tool)
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone of the project, so there is none to make")
    revision = done(tools.run("git", "-C", ROOT, "rev-parse", "HEAD")).strip()
    project = tmp_path / "project"
    done(tools.run("git", "clone", "--quiet", "--no-local", ROOT, project))
    config = configuration(project.as_uri(), revision)
    clone = publish(tools, tmp_path, released_content() | {CONFIG: config.encode()})
    run_in(clone, tool, "install")
    clone.git("rm", "--quiet", MANIFEST)
    refused(clone.attempt("commit", "--quiet", "--message", "Delete"), "GI202")
    clone.git("reset", "--quiet", "--hard")
    clone.release("2.0")
    done(clone.commit())
    done(clone.attempt("push", "origin", "main"))
    clone.break_promise()
    clone.without_hooks()
    refused(clone.attempt("push", "origin", "main"), GI205)
