"""`gitindex import … --pr`: all that is brought is one commit upon what is published, and nothing here changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from gitindex import layout
from tests import hosts
from tests.builders import make_provenance, make_sdist, make_wheel
from tests.conftest import Result, Run
from tests.forge.conftest import make_remote
from tests.forge.github import GitHubServer
from tests.forge.test_proposals import publish, see_at_push, state
from tests.hosts import Host
from tests.importing.shown import digest, put
from tests.importing.world import World
from tests.repositories import Content, IndexRepository, bare_clone, make_repository, small_content

WHEEL, SDIST, NEWER = make_wheel("demo", "1.0"), make_sdist("demo", "1.0"), make_wheel("demo", "2.0")
OTHER = make_wheel("other", "1.0")
INTO = ("--index", "emilie/prod", "--pr")
LATER = "1795400000"


@pytest.fixture
def world() -> Iterator[World]:
    with Host() as started:
        yield World(started)


def told(done: Result, code: int = 0) -> dict[str, Any]:
    """Return what a run with --json told, which ended with *code*."""
    assert done.code == code, done.out + done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def released(repository: IndexRepository, revision: str, index: str = "emilie/prod") -> dict[str, str]:
    """Return the files of an index at a revision, with their sha256."""
    listed = repository.git("ls-tree", "-r", "--name-only", revision, f"indexes/{index}/").splitlines()
    manifests = [path for path in listed if path.endswith(".json") and not path.endswith(".tests.json")]
    entries = [file for path in manifests for file in json.loads(repository.git("show", f"{revision}:{path}"))["files"]]
    return {entry["filename"]: entry["hashes"]["sha256"] for entry in entries}


def test_folder_becomes_one_commit_and_nothing_here_changes(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    files = put(tmp_path / "dist", WHEEL, SDIST, NEWER)
    clone.write("indexes/emilie/prod/index.toml", "not even TOML")
    before = state(clone)
    done = run("import", "dir", tmp_path / "dist", *INTO)
    assert (done.code, done.out) == (0, "emilie/prod: 3 files of 2 releases brought\n")
    assert state(clone) == before
    (branch,) = remote.git("for-each-ref", "--format=%(refname:short)", "refs/heads/gitindex/").splitlines()
    assert branch.startswith("gitindex/import-dist-into-emilie-prod-")
    assert done.err.startswith(f"Pushed {branch}, ")
    assert remote.git("rev-list", f"main..{branch}").splitlines() == [remote.git("rev-parse", branch)]
    assert remote.git("log", "-1", "--format=%s", branch) == "Import 3 files of 2 releases into emilie/prod from dist"
    assert released(remote, branch) == files
    assert remote.git("fsck", "--strict", "--no-dangling") == ""
    clone.git("fetch", "--quiet", "origin", branch)
    assert run("validate", "--head", "FETCH_HEAD", "--base", "origin/main").code == 0
    assert not list(Path.home().glob(".cache/gitindex/*/import"))


def versions() -> st.SearchStrategy[list[tuple[str, str, str]]]:
    """Return releases: name, version, kind."""
    release = st.tuples(
        st.sampled_from(("demo", "Other.Thing")),
        st.sampled_from(("1.0", "2.0", "2.1rc1")),
        st.sampled_from(("wheel", "sdist")),
    )
    return st.lists(release, max_size=6, unique=True)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(there=versions(), here=versions(), yanked=st.booleans())
def test_what_is_proposed_is_the_tree_that_would_be_committed(
    run: Run,
    tmp_path_factory: pytest.TempPathFactory,
    there: list[tuple[str, str, str]],
    here: list[tuple[str, str, str]],
    *,
    yanked: bool,
) -> None:
    """An export of devpi has users, indexes with bases, and releases in several of them: some files twice."""
    folder = tmp_path_factory.mktemp("same")
    old = small_content()
    old.user("bob", email="bob@example.org").stage("bob/dev", volatile=True, bases=["emilie/dev"])
    for number, (name, version, kind) in enumerate(there):
        for index in ("emilie/prod", "bob/dev")[: 1 + number % 2]:
            old.release(index, name, version, kind=kind)
    run("-C", make_repository(folder / "old", old).path, "export", "devpi", folder / "export")
    published = small_content()
    for name, version, kind in here:
        published.release("emilie/dev", name, version, kind=kind)
    if yanked and here:
        published.statements("emilie/dev", here[0][0].lower().replace(".", "-"), yanked={here[0][1]: "slow"})
    clone = make_repository(folder / "clone", published)
    remote = make_remote(folder / "remote.git", clone)
    proposed = told(run("-C", clone.path, "import", "devpi", folder / "export", "--pr", "--json"))
    committed = told(run("-C", clone.path, "import", "devpi", folder / "export", "--commit", "--json"))
    head = proposed["branch"]
    assert remote.git("rev-parse", f"{head}^{{tree}}") == clone.git("rev-parse", "HEAD^{tree}")
    assert (proposed["left"], proposed["warnings"]) == (committed["left"], committed["warnings"])
    without = [{**each, "commits": []} for each in committed["brought"]]
    assert (proposed["brought"], proposed["users"]) == (without, committed["users"])


@pytest.mark.usefixtures("clone")
def test_same_import_again_fetches_and_pushes_nothing(
    remote: IndexRepository, run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("demo", WHEEL, upload_time=None)
    world.add("other", OTHER)
    command = ("import", "simple", world.url, *INTO, "--json")
    first = told(run(*command))
    assert (first["pushed"], first["request"], first["url"]) == (True, "pushed", None)
    assert len(world.asked_for()) == 2
    monkeypatch.setenv("SOURCE_DATE_EPOCH", LATER)
    again = told(run(*command))
    assert again == {**first, "pushed": False, "request": "unchanged"}
    assert world.asked_for() == []
    assert remote.git("rev-parse", first["branch"]) == first["commit"]


@pytest.mark.usefixtures("remote")
def test_what_was_merged_is_there(clone: IndexRepository, run: Run, world: World) -> None:
    world.add("demo", WHEEL, yanked="slow")
    command = ("import", "simple", world.url, *INTO)
    branch = told(run(*command, "--json"))["branch"]
    clone.git("push", "--quiet", "origin", f"origin/{branch}:main")
    world.asked_for()
    again = run(*command)
    assert (again.code, again.out) == (0, "emilie/prod: 0 files of 0 releases brought, 1 unchanged\n")
    assert again.err == "What is published has it already: nothing was pushed.\n"
    assert world.asked_for() == []
    assert told(run(*command, "--json"))["branch"] is None


def test_rest_is_proposed_where_a_file_does_not_come_and_the_next_run_adds_it(
    remote: IndexRepository, clone: IndexRepository, run: Run, world: World, tmp_path: Path
) -> None:
    publish(clone, small_content())
    world.add("demo", WHEEL)
    lost = world.add("other", OTHER, hosts.status(403), OTHER[1])
    report = tmp_path / "report.md"
    command = ("import", "simple", world.url, *INTO, "--json", "--report", report)
    first = told(run(*command), 3)
    assert released(remote, first["branch"]) == {WHEEL[0]: digest(WHEEL[1])}
    assert f"- proposed: `{first['branch']}`\n" in report.read_text()
    world.asked_for()
    second = told(run(*command))
    assert (second["branch"], second["pushed"]) == (first["branch"], True)
    assert world.asked_for() == [lost]
    assert released(remote, first["branch"]) == {name: digest(data) for name, data in (WHEEL, OTHER)}
    assert remote.git("rev-list", "--count", f"main..{first['branch']}") == "1"


def test_other_bytes_are_a_conflict_and_the_rest_is_proposed(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    content = small_content()
    content.release("emilie/prod", "demo", "1.0", text="x = 1")
    publish(clone, content)
    put(tmp_path / "dist", WHEEL, NEWER, ("broken-1.0-py3-none-any.whl", b"no zip"))
    done = told(run("import", "dir", tmp_path / "dist", *INTO, "--json"), 1)
    assert {(each["kind"], each["what"]) for each in done["left"]} == {
        ("conflict", WHEEL[0]),
        ("left out", "broken-1.0-py3-none-any.whl"),
    }
    changed = remote.git("diff", "--name-only", "main", done["branch"]).splitlines()
    assert "indexes/emilie/prod/demo/2.0.json" in changed
    assert "indexes/emilie/prod/demo/1.0.json" not in changed


def test_bytes_that_another_published_index_has_are_not_fetched(
    clone: IndexRepository, remote: IndexRepository, run: Run, world: World
) -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0")
    publish(clone, content)
    world.add("demo", ("demo-1.0-py3-none-any.whl", content[content.stored("emilie/dev", "demo", "1.0")]))
    done = told(run("import", "simple", world.url, *INTO, "--json"))
    assert world.asked_for() == []
    changed = remote.git("diff", "--name-only", "main", done["branch"]).splitlines()
    assert changed == ["indexes/emilie/prod/demo/1.0.json"]


@pytest.mark.parametrize("option", ["--commit", "--history"])
def test_commit_and_history_exclude_it(run: Run, clone: IndexRepository, tmp_path: Path, option: str) -> None:
    put(tmp_path / "dist", WHEEL)
    done = run("-C", clone.path, "import", "dir", tmp_path / "dist", *INTO, option)
    assert (done.code, done.out) == (2, "")
    assert f"{option} and --pr exclude each other" in done.err
    assert len(done.err.splitlines()) == 1


def test_bare_clone_and_folder_of_a_repository(run: Run, tmp_path: Path) -> None:
    clone = make_repository(tmp_path / "whole", small_content(), folder="data/packages")
    remote = make_remote(tmp_path / "remote.git", clone)
    bare = bare_clone(IndexRepository(remote.path), tmp_path / "bare.git")
    put(tmp_path / "dist", WHEEL)
    command = ("import", "dir", tmp_path / "dist", "--index", "bob/new", "--create", "--pr", "--json")
    one = told(run("-C", clone.root, *command))
    changed = remote.git("diff", "--name-only", "main", one["branch"]).splitlines()
    assert "data/packages/indexes/bob/user.toml" in changed
    assert "data/packages/indexes/bob/new/demo/1.0.json" in changed
    two = told(run("-C", bare, "--folder", "data/packages", *command))
    assert two == {**one, "pushed": False, "request": "unchanged"}


def test_folders_of_one_name_are_branches_of_their_own(
    clone: IndexRepository, remote: IndexRepository, run: Run, tmp_path: Path
) -> None:
    put(tmp_path / "a/dist", WHEEL)
    put(tmp_path / "b/dist", OTHER)
    done = [told(run("-C", clone.path, "import", "dir", tmp_path / name / "dist", *INTO, "--json")) for name in "ab"]
    assert done[0]["branch"] != done[1]["branch"]
    assert released(remote, done[0]["branch"]) == {WHEEL[0]: digest(WHEEL[1])}


def test_files_are_in_the_storage_before_the_branch_is_pushed(
    clone: IndexRepository, remote: IndexRepository, run: Run, world: World, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    publish(clone, small_content(storage={"url": store.as_uri()}))
    see_at_push(remote, store, tmp_path / "seen")
    world.add("demo", WHEEL)
    command = ("import", "simple", world.url, *INTO, "--json")
    first = told(run(*command))
    changed = remote.git("diff", "--name-only", "main", first["branch"]).splitlines()
    assert changed == ["indexes/emilie/prod/demo/1.0.json"]
    assert (tmp_path / "seen").read_text().count(WHEEL[0]) == 1
    world.asked_for()
    assert told(run(*command))["pushed"] is False
    assert world.asked_for() == []


def test_git_lfs_gets_the_files_and_they_come_from_it_again(
    clone: IndexRepository, remote: IndexRepository, run: Run, world: World, tmp_path: Path
) -> None:
    clone.git("lfs", "install", "--local", "--skip-repo")
    clone.write(".gitattributes", "*.whl filter=lfs diff=lfs merge=lfs -text\n")
    clone.commit("Keep wheels in Git LFS")
    clone.git("push", "--quiet", "origin", "main")
    path = world.add("demo", WHEEL)
    command = ("import", "simple", world.url, "--pr", "--json", "--index")
    first = told(run(*command, "emilie/prod"))
    stored = next(
        p for p in remote.git("ls-tree", "-r", "--name-only", first["branch"]).splitlines() if p.endswith(".whl")
    )
    assert f"oid sha256:{digest(WHEEL[1])}" in remote.git("show", f"{first['branch']}:{stored}")
    there = digest(WHEEL[1])
    assert (remote.path / "lfs/objects" / there[:2] / there[2:4] / there).read_bytes() == WHEEL[1]
    assert world.asked_for() == [path]
    clone.git("push", "--quiet", "--no-verify", "origin", f"origin/{first['branch']}:main")
    assert told(run(*command, "emilie/dev"))["pushed"] is True
    assert world.asked_for() == [], "Git LFS has it here"
    # Where it has not, the file is fetched again.
    other = tmp_path / "other"
    clone.git("-c", "filter.lfs.smudge=", "clone", "--quiet", str(remote.path), str(other))
    IndexRepository(other).git("lfs", "install", "--local", "--skip-smudge", "--skip-repo")
    again = told(run("-C", other, *command, "emilie/dev"))
    assert world.asked_for() == [path]
    assert (again["pushed"], again["request"]) == (False, "unchanged")


def test_import_that_the_remote_refuses_is_gone_on_with(
    clone: IndexRepository, remote: IndexRepository, run: Run, world: World
) -> None:
    before = state(clone)
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho closed for today >&2\nexit 1\n")
    hook.chmod(0o755)
    world.add("demo", WHEEL)
    command = ("import", "simple", world.url, *INTO)
    done = run(*command)
    assert (done.code, done.out) == (3, "")
    broken_off, error = done.err.splitlines()
    assert broken_off == "Broken off: the same command goes on from here."
    assert error.startswith("gitindex: git push: ")
    assert error.endswith("; closed for today")
    assert state(clone) == before
    hook.unlink()
    world.asked_for()
    assert told(run(*command, "--json"))["pushed"] is True
    assert world.asked_for() == []


def test_branch_with_somebody_elses_commit_is_told_before_anything_is_fetched(
    clone: IndexRepository, remote: IndexRepository, run: Run, world: World
) -> None:
    world.add("demo", WHEEL)
    command = ("import", "simple", world.url, *INTO)
    branch = told(run(*command, "--json"))["branch"]
    clone.git("checkout", "--quiet", "-b", "mine", f"origin/{branch}")
    clone.write("README", "mine")
    theirs = clone.commit("Mine")
    clone.git("push", "--quiet", "origin", f"HEAD:{branch}")
    world.asked_for()
    done = run(*command)
    assert done.code == 3
    assert "has a commit that gitindex did not make" in done.err
    assert (world.asked_for(), remote.git("rev-parse", branch)) == ([], theirs)


def test_request_is_opened_at_the_forge(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    content = Content().user("root").user("bob").stage("bob/dev", volatile=True)
    content.settings().release("bob/dev", "demo", "1.0")
    old = make_repository(tmp_path / "old", content)
    run("-C", old.path, "export", "devpi", tmp_path / "export")
    done = run("import", "devpi", tmp_path / "export", "--pr")
    assert done.code == 0, done.err
    assert done.out.endswith("Pull request: https://github.com/emilie/packages/pull/1\n")
    (pull,) = github.pulls
    assert pull["title"] == "Import 1 user from export and 1 more"
    assert "- Import 1 file of 1 release into `bob/dev` from export\n" in pull["body"]
    again = told(run("import", "devpi", tmp_path / "export", "--pr", "--json"))
    assert (again["request"], again["url"]) == ("unchanged", "https://github.com/emilie/packages/pull/1")


def test_attestations_come_along_and_are_fetched_once(
    clone: IndexRepository, remote: IndexRepository, run: Run, world: World
) -> None:
    documents = {name: make_provenance(name, digest(data)) for name, data in (WHEEL, SDIST)}
    for file in (WHEEL, SDIST):
        world.host.on(f"/files/{file[0]}.provenance", documents[file[0]])
        world.add("demo", file, provenance=f"{world.host.url}/files/{file[0]}.provenance", upload_time=None)
    command = ("import", "simple", world.url, *INTO, "--json")
    first = told(run(*command))
    assert len(world.asked_for()) == 4
    listed = remote.git("ls-tree", "-r", "--name-only", first["branch"]).splitlines()
    found = {path.rpartition("/")[2]: path for path in listed if path.endswith(".provenance")}
    assert found.keys() == {f"{name}.provenance" for name in documents}
    for name, document in documents.items():
        assert remote.git("show", f"{first['branch']}:{found[f'{name}.provenance']}") == document.decode().strip()
    again = told(run(*command))
    assert (again["commit"], again["pushed"], world.asked_for()) == (first["commit"], False, [])
    clone.git("fetch", "--quiet", "origin", first["branch"])
    assert run("validate", "--head", "FETCH_HEAD", "--base", "origin/main").code == 0


@pytest.mark.usefixtures("remote")
def test_document_that_git_lfs_keeps_elsewhere_is_not_replaced(clone: IndexRepository, run: Run, world: World) -> None:
    document = make_provenance(WHEEL[0], digest(WHEEL[1]))
    path = layout.stored_path(digest(WHEEL[1]), WHEEL[0]) + layout.PROVENANCE_SUFFIX
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest(document)}\nsize {len(document)}\n"
    clone.write(path, pointer)
    clone.commit("Keep it in Git LFS")
    clone.git("push", "--quiet", "origin", "main")
    world.host.on("/files/x.provenance", document)
    world.add("demo", WHEEL, provenance=f"{world.host.url}/files/x.provenance")
    found = told(run("import", "simple", world.url, *INTO, "--json"), 1)
    why = "cannot be read: " + path + ": only the Git LFS pointer is here"
    assert [(each["what"], each["why"]) for each in found["left"]] == [(f"provenance of {WHEEL[0]}", why)]
    assert world.asked_for() == [f"/files/{WHEEL[0]}"]
