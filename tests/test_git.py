"""Revisions, the staged index and the working tree of real repositories, as snapshots."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitindex.errors import CannotRunError, NotThereError, UsageError
from gitindex.git import GitFolder, Repository
from gitindex.git.command import run_git
from gitindex.git.creation import create
from gitindex.model import Manifest, Settings
from gitindex.names import IndexName, UserName
from gitindex.snapshot import Snapshot
from gitindex.tree import Entry, Folder, find
from tests.repositories import DEV, PROD, Content, IndexRepository, bare_clone, make_repository, small_content

USER = "indexes/emilie/user.toml"
PLACES = pytest.mark.parametrize("folder", ["", "services/packages"], ids=["top", "monorepo"])


def kinds(snapshot: Snapshot, path: str = "") -> dict[str, str]:
    """Return path and kind of everything in a snapshot but the folders."""
    folder = snapshot.root if not path else snapshot.open_folder(path)
    found: dict[str, str] = {}

    def walk(prefix: str, opened: Folder) -> None:
        for name, entry in opened.entries().items():
            if entry.kind == "folder":
                walk(f"{prefix}{name}/", opened.folder(name))
            else:
                found[prefix + name] = entry.kind

    if folder is not None:
        walk("", folder)
    return found


def text(snapshot: Snapshot, path: str) -> str | None:
    found = find(snapshot.root, path)
    return found[0].read(found[1]).decode() if found else None


def size(snapshot: Snapshot, path: str) -> int:
    found = find(snapshot.root, path)
    assert found is not None
    return found[0].size(found[1])


# Revisions


def test_name_of_two_references_is_refused(repository: IndexRepository) -> None:
    """Git takes the tag: whoever may push one would say what origin/main is."""
    published = repository.commit()
    repository.publish()
    repository.git("tag", "v1")
    repository.commit()
    for name in ("origin/main", "main", "HEAD"):
        repository.git("tag", name)
    repository.git("update-ref", "refs/heads/HEAD", published)
    opened = repository.open()
    for ambiguous in ("origin/main", "main", "main~1", "main^{commit}"):
        with pytest.raises(UsageError, match=r"ambiguous; write out.*refs/tags/"):
            opened.at(ambiguous)
    for name in ("refs/remotes/origin/main", "v1", "HEAD~1", "refs/heads/HEAD", published, published[:10]):
        assert opened.commit_id(name) == published


def test_whole_commit_id_is_never_the_name_of_a_branch(repository: IndexRepository) -> None:
    missing = "1234567890" * 4
    repository.git("update-ref", f"refs/heads/{missing}", "HEAD")
    with pytest.raises(NotThereError):
        repository.open().at(missing)


def test_replaced_commit_does_not_hide_what_is_staged(repository: IndexRepository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("rm", "-q", USER)
    removed = repository.commit()
    repository.git("reset", "--quiet", "--hard", first)
    repository.git("replace", first, removed)
    repository.git("rm", "-q", "--cached", USER)
    assert text(repository.open().staged(), USER) is None


@PLACES
def test_a_revision_is_what_was_committed_there(tmp_path: Path, folder: str) -> None:
    content = small_content()
    repository = make_repository(tmp_path, content, folder=folder)
    first = repository.git("rev-parse", "HEAD")
    repository.write(USER, 'email = "second@example.org"\n')
    second = repository.commit("Second")
    repository.git("tag", "--annotate", "--message", "a tag", "v2")
    repository.git("branch", "feature/x", first)
    repository.write(USER, "not committed")
    opened = repository.open()
    for name, commit in (("HEAD", second), ("v2", second), ("HEAD~1", first), ("feature/x", first), (first[:9], first)):
        assert opened.at(name).name == commit
    assert text(opened.at("v2"), USER) == 'email = "second@example.org"\n'
    assert text(opened.at(first), USER) == content[USER].decode()
    assert set(kinds(opened.at(first))) == set(content)
    assert opened.folder == folder


def test_a_revision_that_is_none_is_not_there(repository: IndexRepository) -> None:
    opened = repository.open()
    blob = repository.git("rev-parse", f"HEAD:{USER}")
    for revision in (
        "nowhere",
        "0" * 40,
        "HEAD~5",
        "HEAD:indexes",
        blob,
        "",
        "..",
        "a..b",
        "\0",
        "ref\udcff",
        "@{upstream}",
    ):
        with pytest.raises(NotThereError, match="no such revision"):
            opened.at(revision)
        assert not opened.has_revision(revision)


def test_a_name_that_several_commits_start_with_is_not_there(repository: IndexRepository) -> None:
    with pytest.raises(NotThereError):
        repository.open().at(repository.git("rev-parse", "HEAD")[0])


@PLACES
def test_a_bare_repository_has_revisions_and_no_working_tree(tmp_path: Path, folder: str) -> None:
    repository = make_repository(tmp_path / "work", small_content(), folder=folder)
    bare = bare_clone(repository, tmp_path / "bare.git")
    opened = Repository.open(bare, folder or None)
    assert opened.is_bare
    assert opened.at("main").settings.format == 1
    assert opened.at("main").index(PROD) is not None
    with pytest.raises(CannotRunError, match="bare"):
        _ = opened.root
    for read in (opened.worktree, opened.staged):
        with pytest.raises(CannotRunError, match="bare"):
            read()


def test_a_folder_that_the_revision_does_not_have_is_empty(repository: IndexRepository) -> None:
    opened = Repository.open(repository.path, "no/such/folder")
    assert kinds(opened.at("HEAD")) == {}
    assert kinds(opened.worktree()) == {}
    assert opened.at("HEAD").settings_or_problem is None
    assert kinds(Repository.open(repository.path, "gitindex.toml").at("HEAD")) == {}


def test_a_detached_head_is_a_revision_like_any(repository: IndexRepository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.write(USER, "")
    repository.commit("Second")
    repository.git("checkout", "--quiet", "--detach", first)
    opened = repository.open()
    assert opened.head() == first
    assert opened.at("HEAD").name == first
    assert kinds(opened.worktree()) == kinds(opened.staged()) == kinds(opened.at(first))
    published = opened.origin.published()
    assert published is not None
    assert published.name == first


@PLACES
def test_before_the_first_commit_there_is_the_working_tree_alone(tmp_path: Path, folder: str) -> None:
    repository = make_repository(tmp_path, folder=folder)
    repository.put(content := small_content())
    opened = repository.open()
    assert opened.head() is None
    assert opened.origin.published() is None
    assert kinds(opened.staged()) == {}
    assert set(kinds(opened.worktree())) == set(content)
    with pytest.raises(NotThereError):
        opened.at("HEAD")
    repository.git("add", "--all")
    assert set(kinds(opened.staged())) == set(content)
    assert opened.staged().settings.format == 1


def test_an_empty_repository_has_nothing(tmp_path: Path) -> None:
    opened = make_repository(tmp_path).open()
    assert (opened.head(), opened.origin.published()) == (None, None)
    assert kinds(opened.worktree()) == kinds(opened.staged()) == {}
    with pytest.raises(CannotRunError, match="no index repository"):
        _ = opened.worktree().settings


def test_an_empty_bare_repository_has_no_revision(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "x.git"], check=True)
    opened = Repository.open(tmp_path / "x.git")
    assert opened.head() is None
    with pytest.raises(NotThereError):
        opened.at("HEAD")


def test_a_folder_without_a_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="not in a Git repository"):
        Repository.open(tmp_path)
    with pytest.raises(CannotRunError, match="no such folder"):
        Repository.open(tmp_path / "nowhere")
    (tmp_path / ".git").write_text("gitdir: /nowhere/at/all\n")
    with pytest.raises(CannotRunError):
        Repository.open(tmp_path)


# Where the index repository is


def test_the_nearest_folder_with_settings_is_the_index_repository(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, small_content(), folder="services/packages")
    inside = repository.root / "indexes" / "emilie"
    assert Repository.open(inside).folder == "services/packages"
    assert Repository.open(repository.root).root == repository.root
    assert Repository.open(tmp_path).folder == ""
    assert Repository.open(tmp_path, "services/packages").worktree().settings.format == 1


def test_the_index_repository_is_found_where_its_settings_are_deleted_in_the_working_tree(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, small_content(), folder="services/packages")
    (repository.root / "gitindex.toml").unlink()
    opened = Repository.open(repository.root / "indexes")
    assert opened.folder == "services/packages"
    assert opened.worktree().settings_or_problem is None


def test_a_folder_whose_name_starts_with_a_dot_can_be_an_index_repository(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, small_content(), folder=".packages")
    assert Repository.open(repository.root / "indexes").folder == ".packages"
    assert create(tmp_path / ".others", "main").folder == ".others"


def test_a_repository_reached_through_a_link_is_opened(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "real", small_content(), folder="packages")
    (tmp_path / "link").symlink_to(repository.root)
    opened = Repository.open(tmp_path / "link")
    assert opened.folder == "packages"
    assert opened.worktree().settings.format == 1


# What is staged


@PLACES
def test_what_is_staged_counts_and_not_what_lies_on_the_disk(tmp_path: Path, folder: str) -> None:
    repository = make_repository(tmp_path, small_content(), folder=folder)
    repository.write(USER, 'title = "staged"\n')
    repository.git("add", "--all")
    repository.write(USER, 'title = "on disk"\n')
    repository.write("indexes/emilie/untracked.txt", "")
    (repository.root / "indexes/root/pypi/index.toml").unlink()
    staged = repository.open().staged()
    assert staged.name == "index"
    assert text(staged, USER) == 'title = "staged"\n'
    assert set(kinds(staged)) == set(small_content())


@PLACES
def test_staged_deletions_new_modes_and_types_are_seen(tmp_path: Path, folder: str) -> None:
    repository = make_repository(tmp_path, small_content(), folder=folder)
    target = repository.root / USER
    target.chmod(0o755)
    (repository.root / "indexes/root/user.toml").unlink()
    (repository.root / "indexes/root/pypi/index.toml").unlink()
    (repository.root / "indexes/root/pypi/index.toml").symlink_to("../user.toml")
    repository.git("add", "--all")
    repository.git(
        "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{folder + '/' if folder else ''}indexes/sub"
    )
    found = kinds(repository.open().staged())
    assert found[USER] == "executable"
    assert found["indexes/root/pypi/index.toml"] == "symlink"
    assert found["indexes/sub"] == "submodule"
    assert "indexes/root/user.toml" not in found


def test_a_file_staged_in_place_of_a_folder_and_back(repository: IndexRepository) -> None:
    shutil.rmtree(repository.root / "indexes/root/pypi")
    repository.write("indexes/root/pypi", "a file")
    repository.git("add", "--all")
    assert kinds(repository.open().staged(), "indexes/root") == {"user.toml": "file", "pypi": "file"}
    repository.commit("A file there")
    (repository.root / "indexes/root/pypi").unlink()
    repository.write("indexes/root/pypi/index.toml", 'type = "mirror"\n')
    assert kinds(repository.open().worktree(), "indexes/root") == {"user.toml": "file", "pypi/index.toml": "file"}
    repository.git("add", "--all")
    assert kinds(repository.open().staged(), "indexes/root") == {"user.toml": "file", "pypi/index.toml": "file"}


def test_an_unmerged_path_is_an_error_that_names_it(repository: IndexRepository) -> None:
    repository.git("checkout", "--quiet", "-b", "other")
    repository.write(USER, 'title = "one"\n')
    repository.commit("One")
    repository.git("checkout", "--quiet", "main")
    repository.write(USER, 'title = "two"\n')
    repository.commit("Two")
    assert subprocess.run(["git", "merge", "other"], cwd=repository.path, capture_output=True, check=False).returncode
    with pytest.raises(CannotRunError, match=rf"{USER}: has an unresolved merge conflict.*git add"):
        repository.open().staged()
    assert "<<<<<<<" in (text(repository.open().worktree(), USER) or "")


HOOK = f"""#!{sys.executable}
import os, sys
sys.path[:] = {sys.path!r}
from pathlib import Path
from gitindex.git import Repository
from gitindex.tree import find
found = find(Repository.open(Path()).staged().root, "{USER}")
Path({{seen!r}}).write_bytes(os.environ["GIT_INDEX_FILE"].encode() + b" " + found[0].read(found[1]))
"""


@pytest.mark.parametrize(
    "commit", [["commit", "-a"], ["commit", "--", USER], ["commit", "--include", USER]], ids=["all", "only", "include"]
)
def test_in_a_hook_what_git_is_about_to_commit_is_staged(
    repository: IndexRepository, tmp_path: Path, commit: list[str]
) -> None:
    hook = repository.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK.format(seen=str(tmp_path / "seen")))
    hook.chmod(0o755)
    repository.write(USER, 'title = "on disk, not added"\n')
    repository.git(commit[0], "--message", "x", *commit[1:])
    index_file, _, content = (tmp_path / "seen").read_text().partition(" ")
    assert Path(index_file).name != "index"
    assert content == 'title = "on disk, not added"\n'


# The working tree


@PLACES
def test_the_working_tree_is_what_is_there_and_not_ignored(tmp_path: Path, folder: str) -> None:
    repository = make_repository(tmp_path, small_content(), folder=folder)
    repository.write(".gitignore", "*.tmp\n/site/\n!kept.tmp\n")
    repository.write("indexes/emilie/x.tmp", "ignored")
    repository.write("indexes/emilie/kept.tmp", "not ignored")
    repository.write("site/index.html", "ignored")
    repository.write("indexes/bob/dev/index.toml", "untracked")
    repository.write(USER, "title = 'changed'\n")
    (repository.root / "indexes/root/user.toml").unlink()
    opened = repository.open()
    worktree = opened.worktree()
    expected = {*small_content(), ".gitignore", "indexes/emilie/kept.tmp", "indexes/bob/dev/index.toml"}
    assert set(kinds(worktree)) == expected - {"indexes/root/user.toml"}
    assert worktree.name == "worktree"
    assert text(worktree, USER) == "title = 'changed'\n"
    assert size(worktree, USER) == len("title = 'changed'\n")


def test_kinds_of_files_in_the_working_tree_are_told(repository: IndexRepository) -> None:
    (repository.root / USER).chmod(0o755)
    link = repository.root / "indexes/root/pypi/index.toml"
    link.unlink()
    link.symlink_to("/etc/hostname")
    (repository.root / "indexes/emilie/link").symlink_to("dev")
    os.mkfifo(repository.root / "indexes/emilie/fifo")
    nested = make_repository(repository.root / "indexes/nested", {"a": b""})
    worktree = repository.open().worktree()
    found = kinds(worktree)
    assert found[USER] == "executable"
    assert found["indexes/root/pypi/index.toml"] == "symlink"
    assert text(worktree, "indexes/root/pypi/index.toml") == "/etc/hostname"
    assert found["indexes/emilie/link"] == "symlink"
    assert "indexes/emilie/fifo" not in found, "Git does not see a fifo"
    assert found["indexes/nested"] == "submodule"
    assert not any(path.startswith("indexes/nested/") for path in found)
    assert nested.open().folder == ""


def test_a_link_in_place_of_a_folder_hides_what_was_in_it(repository: IndexRepository, tmp_path: Path) -> None:
    (repository.root / "indexes/root").rename(tmp_path / "moved")
    (repository.root / "indexes/root").symlink_to(tmp_path / "moved")
    found = kinds(repository.open().worktree(), "indexes")
    assert found["root"] == "symlink"
    assert not any(path.startswith("root/") for path in found)


def test_an_executable_bit_counts_only_where_git_keeps_modes(repository: IndexRepository) -> None:
    repository.git("config", "core.fileMode", "false")
    target = repository.write(USER, "changed")
    target.chmod(0o755)
    assert kinds(repository.open().worktree())[USER] == "file"


def test_what_is_staged_and_deleted_again_is_not_there(repository: IndexRepository) -> None:
    repository.write("indexes/bob/user.toml", "")
    repository.git("add", "--all")
    shutil.rmtree(repository.root / "indexes/bob")
    assert not any(path.startswith("indexes/bob") for path in kinds(repository.open().worktree()))


def test_a_linked_working_tree_is_its_own(repository: IndexRepository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"))
    linked = IndexRepository(tmp_path / "linked")
    linked.write(USER, "title = 'linked'\n")
    linked.git("add", "--all")
    opened = linked.open()
    assert text(opened.worktree(), USER) == text(opened.staged(), USER) == "title = 'linked'\n"
    assert text(repository.open().worktree(), USER) == small_content()[USER].decode()
    assert opened.root == tmp_path / "linked"
    common = repository.path / ".git"
    assert opened.git_directory.resolve() == common.resolve(), "what Git LFS has fetched lies in the shared folder"


def test_a_sparse_checkout_has_deleted_nothing(repository: IndexRepository) -> None:
    before = kinds(repository.open().worktree())
    repository.git("sparse-checkout", "set", "--no-cone", "/gitindex.toml", "/indexes/emilie/")
    assert not (repository.root / "indexes/root").exists()
    assert kinds(repository.open().worktree()) == before


def test_names_that_are_not_utf8_are_carried_through(repository: IndexRepository) -> None:
    bad = os.fsencode(repository.root) + b"/indexes/b\xe4d"
    Path(os.fsdecode(bad)).mkdir()
    Path(os.fsdecode(bad + b"/us\xffer.toml")).write_bytes(b"")
    expected = "indexes/b\udce4d/us\udcffer.toml"
    opened = repository.open()
    assert expected in kinds(opened.worktree())
    repository.git("add", "--all")
    assert expected in kinds(opened.staged())
    repository.git("commit", "--quiet", "--message", "x")
    assert expected in kinds(opened.at("HEAD"))
    assert expected in kinds(opened.worktree())
    assert expected in kinds(opened.staged())
    Path(os.fsdecode(bad + b"/us\xffer.toml")).unlink()
    assert expected not in kinds(opened.worktree())
    repository.git("add", "--all")
    assert expected not in kinds(opened.staged())


def test_staged_names_that_are_not_utf8_are_carried_through_before_the_first_commit(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xe4d")).write_bytes(b"")
    repository.git("add", "--all")
    assert kinds(repository.open().staged()) == {"b\udce4d": "file"}


# Broken and incomplete repositories


def drop_object(repository: IndexRepository, name: str) -> str:
    """Delete a loose object, and return its id."""
    object_id = repository.git("rev-parse", name)
    (repository.path / ".git/objects" / object_id[:2] / object_id[2:]).unlink()
    return object_id


def test_a_missing_blob_is_an_error_that_names_the_object_when_it_is_read(repository: IndexRepository) -> None:
    object_id = drop_object(repository, f"HEAD:{USER}")
    snapshot = repository.open().at("HEAD")
    assert snapshot.settings.format == 1
    with pytest.raises(CannotRunError, match=rf"Git object {object_id} is missing.*git fsck"):
        snapshot.user("emilie")
    found = find(snapshot.root, USER)
    assert found is not None
    for read in (found[0].size, found[0].read, found[0].open):
        with pytest.raises(CannotRunError, match=object_id):
            read(found[1])


def test_a_missing_tree_is_an_error_that_names_the_object_when_it_is_opened(repository: IndexRepository) -> None:
    object_id = drop_object(repository, "HEAD:indexes/emilie/prod")
    snapshot = repository.open().at("HEAD")
    assert snapshot.index(DEV) is not None
    with pytest.raises(CannotRunError, match=object_id):
        snapshot.index(PROD)


@pytest.mark.parametrize("name", ["HEAD", "HEAD^{tree}", "HEAD:indexes"])
def test_a_missing_object_at_the_root_is_an_error_and_no_absence(repository: IndexRepository, name: str) -> None:
    drop_object(repository, name)

    def read_all() -> None:
        opened = repository.open()
        kinds(opened.at(opened.head() or ""))
        kinds(opened.worktree())

    with pytest.raises(CannotRunError):
        read_all()


def test_an_object_with_other_bytes_is_an_error(repository: IndexRepository) -> None:
    object_id = repository.git("rev-parse", f"HEAD:{USER}")
    path = repository.path / ".git/objects" / object_id[:2] / object_id[2:]
    path.chmod(0o644)
    path.write_bytes(b"no object")
    with pytest.raises(CannotRunError, match=object_id):
        repository.open().at("HEAD").user("emilie")


def test_beyond_the_end_of_a_shallow_clone_there_is_no_revision(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "whole", small_content())
    first = repository.git("rev-parse", "HEAD")
    repository.write(USER, "")
    repository.commit("Second")
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow"))
    opened = Repository.open(tmp_path / "shallow")
    assert opened.is_shallow
    assert opened.at("HEAD").settings.format == 1
    with pytest.raises(NotThereError, match="git fetch --unshallow"):
        opened.at(first)
    with pytest.raises(NotThereError):
        opened.at("HEAD~1")


def test_a_shallow_clone_without_the_common_commit_says_how_to_get_it(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "whole", small_content())
    repository.git("checkout", "--quiet", "-b", "feature")
    repository.commit("On the branch")
    repository.git("checkout", "--quiet", "main")
    repository.commit("On main")
    clone = ["clone", "--quiet", "--depth=1", "--no-single-branch", "--branch=feature"]
    repository.git(*clone, f"file://{repository.path}", str(tmp_path / "shallow"))
    opened = Repository.open(tmp_path / "shallow")
    assert opened.has_revision("origin/main")
    with pytest.raises(CannotRunError, match=r"share no commit.*git fetch --unshallow"):
        opened.origin.published()


# Laziness


class Opened:
    """Counts what is read of the Git trees."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trees: list[str] = []
        self.blobs: list[str] = []
        entries, read = GitFolder.entries, GitFolder.read

        def counted_entries(folder: GitFolder) -> Mapping[str, Entry]:
            if folder._tree is None:
                self.trees.append(folder.id.hex())
            return entries(folder)

        def counted_read(folder: GitFolder, name: str) -> bytes:
            self.blobs.append(name)
            return read(folder, name)

        monkeypatch.setattr(GitFolder, "entries", counted_entries)
        monkeypatch.setattr(GitFolder, "read", counted_read)


def content_of_many() -> Content:
    content = small_content()
    for number in range(5):
        content.release("emilie/prod", f"project-{number}", "1.0")
        content.release("emilie/prod", f"project-{number}", "2.0")
    return content


def test_opening_one_project_reads_its_tree_and_what_leads_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path, content_of_many())
    wanted = [
        repository.git("rev-parse", f"HEAD:{path}")
        for path in ("", "indexes", "indexes/emilie", "indexes/emilie/prod", "indexes/emilie/prod/project-3")
    ]
    opened = Opened(monkeypatch)
    index = repository.open().at("HEAD").index(PROD)
    assert index is not None
    project = index.project("project-3")
    assert project is not None
    assert isinstance(project.release("2.0"), Manifest)
    assert opened.trees == wanted
    assert opened.blobs == ["index.toml", "2.0.json"]


def test_a_change_of_one_file_opens_no_other_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = make_repository(tmp_path, content_of_many())
    repository.write("indexes/emilie/prod/project-3/project.toml", 'status = "archived"\n')
    opened = Opened(monkeypatch)
    index = repository.open().worktree().index(PROD)
    project = index.project("project-3") if index else None
    assert project is not None
    assert project.statements is not None
    others = {repository.git("rev-parse", f"HEAD:indexes/emilie/prod/project-{n}") for n in (0, 1, 2, 4)}
    assert not others & set(opened.trees)
    assert opened.blobs == ["index.toml"]


# What is published


def release(repository: IndexRepository, version: str) -> str:
    content = Content()
    content.release("emilie/prod", "demo", version)
    repository.put(content)
    return repository.commit(f"Release {version}")


def name_of(snapshot: Snapshot | None) -> str | None:
    return None if snapshot is None else snapshot.name


def test_without_a_remote_what_is_checked_out_is_published(repository: IndexRepository) -> None:
    head = release(repository, "1.0")
    assert name_of(repository.open().origin.published()) == head


def test_an_unpushed_release_can_be_amended_and_a_published_one_cannot(repository: IndexRepository) -> None:
    repository.publish()
    start = repository.git("rev-parse", "HEAD")
    pushed = release(repository, "1.0")
    assert name_of(repository.open().origin.published()) == start
    repository.publish()
    assert name_of(repository.open().origin.published()) == pushed
    release(repository, "2.0")
    assert name_of(repository.open().origin.published()) == pushed


def test_what_is_published_is_the_merge_base_when_the_remote_has_moved_on(repository: IndexRepository) -> None:
    start = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "-b", "upstream")
    upstream = release(repository, "1.0")
    repository.git("update-ref", "refs/remotes/origin/main", upstream)
    repository.git("checkout", "--quiet", "main")
    mine = release(repository, "2.0")
    opened = repository.open()
    assert name_of(opened.origin.published()) == start
    assert name_of(opened.origin.published(upstream)) == upstream
    repository.git("merge", "--quiet", "--no-edit", "upstream")
    assert name_of(opened.origin.published()) == upstream
    assert opened.merge_base(mine, upstream) == start
    assert opened.descends(repository.git("rev-parse", "HEAD"), upstream)
    assert not opened.descends(mine, upstream)
    assert opened.descends(mine, mine)


def test_the_protected_branch_is_the_one_that_the_settings_name(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, small_content(policy={"protected_branch": "release"}))
    published = repository.git("rev-parse", "HEAD")
    newer = release(repository, "1.0")
    assert name_of(repository.open().origin.published()) == newer
    repository.git("update-ref", "refs/remotes/origin/release", published)
    assert name_of(repository.open().origin.published()) == published


def test_a_protected_branch_that_was_not_fetched_is_an_error_not_a_pass(repository: IndexRepository) -> None:
    repository.publish()
    settings = repository.path / "gitindex.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8") + '\n[policy]\nprotected_branch = "nope"\n', encoding="utf-8"
    )
    repository.commit("Hide from the comparison")
    with pytest.raises(CannotRunError, match="origin/nope, the protected branch, is not here"):
        repository.open().origin.published()


def test_the_default_branch_of_the_remote_says_which_branch_is_protected(repository: IndexRepository) -> None:
    repository.publish()
    repository.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    published = repository.git("rev-parse", "refs/remotes/origin/main")
    settings = repository.path / "gitindex.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8") + '\n[policy]\nprotected_branch = "mine"\n', encoding="utf-8"
    )
    mine = repository.commit("Choose a branch of my own")
    repository.git("update-ref", "refs/remotes/origin/mine", mine)
    assert name_of(repository.open().origin.published()) == published


def test_protected_branch_is_a_name_and_no_expression(repository: IndexRepository) -> None:
    settings = repository.root / "gitindex.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8") + '\n[policy]\nprotected_branch = "main~1"\n', encoding="utf-8"
    )
    repository.commit("Look at an older commit")
    repository.publish()
    with pytest.raises(CannotRunError, match="origin/main~1, the protected branch, is not here"):
        repository.open().origin.published()


def test_head_alone_does_not_say_which_branch_is_protected(repository: IndexRepository) -> None:
    repository.publish()
    settings = repository.root / "gitindex.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8") + '\n[policy]\nprotected_branch = "mine"\n', encoding="utf-8"
    )
    mine = repository.commit("Say that mine is protected")
    repository.git("update-ref", "refs/remotes/origin/mine", mine)
    with pytest.raises(CannotRunError, match=r"origin/mine and origin/main both say.*--base"):
        repository.open().origin.published()
    repository.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    published = repository.open().origin.published()
    assert published is not None
    assert published.name == repository.git("rev-parse", "HEAD~1")


def test_settings_that_cannot_be_read_leave_main_as_the_protected_branch(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, small_content())
    repository.publish()
    start = repository.git("rev-parse", "HEAD")
    repository.write("gitindex.toml", "broken")
    repository.commit("Broken")
    assert name_of(repository.open().origin.published()) == start


def test_histories_that_share_nothing_are_an_error(repository: IndexRepository) -> None:
    repository.publish()
    repository.git("checkout", "--quiet", "--orphan", "other")
    repository.commit("Another root")
    with pytest.raises(CannotRunError, match=r"share no commit.*--base"):
        repository.open().origin.published()
    assert repository.open().merge_base("HEAD", "origin/main") is None


# Commits


def test_a_commit_holds_the_paths_that_are_named_alone(repository: IndexRepository) -> None:
    repository.write(USER, "title = 'x'\n")
    repository.write("indexes/root/user.toml", "title = 'staged, not committed'\n")
    repository.git("add", "indexes/root/user.toml")
    repository.write("untracked.txt", "")
    commit = repository.open().commit([USER], "Only this\n")
    assert commit is not None
    assert repository.git("show", "--name-only", "--format=%s", commit).split() == ["Only", "this", USER]
    assert repository.git("diff", "--cached", "--name-only") == "indexes/root/user.toml"
    assert repository.git("status", "--porcelain").splitlines()[-1] == "?? untracked.txt"


@pytest.mark.parametrize("name", [":(glob)**", "*", "[a-z]*", ":!x", "a b", "b\udce4d", "-x"])
def test_a_commit_takes_paths_as_they_are(repository: IndexRepository, name: str) -> None:
    path = f"{name}/user.toml" if name.startswith((":", "-")) else f"indexes/{name}/user.toml"
    repository.write(path, "")
    repository.write("indexes/other.txt", "")
    commit = repository.open().commit([path], "x")
    assert commit is not None
    listed = repository.git("diff-tree", "-z", "--no-commit-id", "--name-only", "-r", commit)
    assert listed.rstrip("\0") == path


def test_a_commit_of_many_paths_is_made(repository: IndexRepository) -> None:
    paths = [f"indexes/emilie/dev/{'p' * 200}-{number}/1.0.json" for number in range(800)]
    for path in paths:
        repository.write(path, "{}")
    repository.git("config", "core.fsync", "none")
    commit = repository.open().commit(paths, "Many")
    assert commit is not None
    assert len(repository.git("diff-tree", "--no-commit-id", "--name-only", "-r", commit).split()) == len(paths)


def test_a_commit_that_a_hook_refuses_is_an_error_with_its_words(repository: IndexRepository) -> None:
    hook = repository.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'not on a Sunday' >&2\nexit 1\n")
    hook.chmod(0o755)
    head = repository.git("rev-parse", "HEAD")
    repository.write(USER, "title = 'x'\n")
    with pytest.raises(CannotRunError, match="not on a Sunday"):
        repository.open().commit([USER], "x")
    assert repository.git("rev-parse", "HEAD") == head


def test_what_commits_have_and_another_one_does_not_have_is_counted_once(repository: IndexRepository) -> None:
    def commit(name: str, date: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GIT_COMMITTER_DATE", date)
            repository.git("commit", "--quiet", "--allow-empty", "-m", name)
        return repository.git("rev-parse", "HEAD")

    base = repository.git("rev-parse", "HEAD")
    shared = commit("shared", "2026-01-02T00:00:00Z")
    one = commit("one", "2026-01-01T00:00:00Z")
    repository.git("checkout", "--quiet", "-b", "other", shared)
    other = commit("other", "2026-01-03T00:00:00Z")
    history = repository.open().history
    assert history.ahead([one, other], base, 100) == (3, datetime(2026, 1, 1, tzinfo=UTC))
    assert history.ahead([other], base, 100) == (2, datetime(2026, 1, 2, tzinfo=UTC))
    assert history.ahead([other], one, 100) == (1, datetime(2026, 1, 3, tzinfo=UTC))
    assert history.ahead([one, other], base, 2).commits == 2
    for heads in ([], [base], [shared, base]):
        assert history.ahead(heads, shared, 100) == (0, None)
    for missing in ("1" * 40, "zz"):
        with pytest.raises(CannotRunError, match="cannot be read"):
            history.ahead([missing], base, 100)
        with pytest.raises(CannotRunError, match="cannot be read"):
            history.ahead([one], missing, 100)


def test_commit_of_the_last_fetch_is_told_by_branch(repository: IndexRepository, tmp_path: Path) -> None:
    bare = bare_clone(repository, tmp_path / "bare.git")
    origin = Repository.open(bare).origin
    assert origin.fetched("refs/heads/main") is None
    names = ("a.b", "a+b", "aXb", "x/main")
    commits = {}
    for name in names:
        repository.git("checkout", "--quiet", "-b", name)
        repository.git("commit", "--quiet", "--allow-empty", "-m", name)
        commits[name] = repository.git("rev-parse", "HEAD")
    run_git(bare, "fetch", "--quiet", "origin", *(f"refs/heads/{name}" for name in names))
    assert {name: origin.fetched(f"refs/heads/{name}") for name in names} == commits
    assert origin.fetched("refs/heads/main") is None
    with pytest.raises(CannotRunError):
        run_git(bare, "fetch", "--quiet", "/nowhere", "refs/heads/a.b")
    assert origin.fetched("refs/heads/a.b") is None


def test_settings_of_a_snapshot_are_read_once(repository: IndexRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch)
    snapshot = repository.open().at("HEAD")
    assert isinstance(snapshot.settings_or_problem, Settings)
    assert snapshot.settings is snapshot.settings
    assert snapshot.index(IndexName(UserName("nobody"), "dev")) is None
    assert opened.blobs == ["gitindex.toml"]


def test_a_repository_of_someone_else_is_refused_with_the_way_out(
    repository: IndexRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid():
        pytest.skip("only root can give files away")
    for path in [repository.path, *repository.path.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    monkeypatch.delenv("SUDO_UID", raising=False)
    with pytest.raises(CannotRunError, match=r"safe\.directory"):
        repository.open()
