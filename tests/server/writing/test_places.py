"""Uploads beside working trees, locks and full disks: what is refused or broken off leaves all as it was."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gitindex.edits import releases
from gitindex.edits.plan import Plan
from gitindex.errors import CannotRunError, RefusedError
from gitindex.facts import read_distribution
from gitindex.git import Repository
from gitindex.snapshot import Snapshot
from gitindex.write import carry_out
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.repositories import DEV, UPLOAD_TIME, IndexRepository, bare_clone
from tests.server.writing.form import Uploads, log, taking, told, unchanged

WHEEL = make_wheel("demo", "1.0")
LARGE = make_wheel("large", "1.0", files={"large/data.bin": os.urandom(3 << 20)})


def add_hook(folder: Path, name: str, text: str) -> Path:
    hook = folder / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{text}\n")
    hook.chmod(0o755)
    return hook


def locked(repository: IndexRepository) -> None:
    (repository.path / ".git/refs/heads/main.lock").touch()


def hooked(repository: IndexRepository) -> None:
    add_hook(repository.path / ".git", "reference-transaction", '[ "$1" != prepared ]')


@pytest.mark.parametrize("hinder", [locked, hooked])
def test_a_branch_that_cannot_move_leaves_the_working_tree(
    team: IndexRepository, hinder: Callable[[IndexRepository], None]
) -> None:
    hinder(team)

    async def story(uploads: Uploads) -> None:
        answer = await uploads.upload(*WHEEL)
        assert (answer.status, b"git update-ref" in answer.body) == (503, True)

    unchanged(team, lambda: told(team, story))
    assert team.git("status", "--short") == ""


def test_who_commits_meanwhile_loses_nothing_and_has_nothing_left_behind(team: IndexRepository) -> None:
    # Once, between the working tree and the branch, somebody else moves that, and holds the index for a moment.
    once = team.path / "once"
    add_hook(
        team.path / ".git",
        "reference-transaction",
        f'[ "$1" = prepared ] || exit 0; [ -e {once} ] && exit 0; touch {once}; touch .git/index.lock\n'
        "(sleep 0.3; rm .git/index.lock) >/dev/null 2>&1 &\n"
        "exit 1",
    )

    async def story(uploads: Uploads) -> None:
        answer = await uploads.upload(*WHEEL)
        assert answer.status == 503
        assert team.git("status", "--short") == "?? once"
        assert (await uploads.upload(*WHEEL)).status == 200

    told(team, story)
    assert team.git("status", "--short") == "?? once"


def test_what_a_killed_server_left_in_the_working_tree_is_put_away(team: IndexRepository) -> None:
    # As if it had been killed after the working tree went along, and before the branch did.
    team.write("notes.txt", "mine")
    team.write("indexes/emilie/dev/demo/1.0.json", "other bytes")
    team.git("add", "indexes")
    tree = team.git("write-tree").strip()
    made = team.git("commit-tree", "-p", "main", "-m", "Never there", tree).strip()
    (team.path / ".git/gitindex-writing").write_text(made)

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200

    told(team, story)
    assert team.git("status", "--short") == "?? notes.txt"
    assert len(log(team)) == 2


def _built(project: str, build: str) -> tuple[str, bytes]:
    """Return one of the wheels of a release 1.0."""
    return make_wheel(project, "1.0", build=build, files={"data": build.encode()})


def _filenames(repository: IndexRepository, project: str) -> list[str]:
    """Return the names of the files of a release 1.0, sorted."""
    manifest = json.loads((repository.path / f"indexes/emilie/dev/{project}/1.0.json").read_text())
    return sorted(file["filename"] for file in manifest["files"])


def _planned(repository: IndexRepository, filename: str, data: bytes) -> tuple[Repository, Snapshot, Plan]:
    """Plan an upload into emilie/dev, as a command does."""
    path = repository.path.parent / filename
    path.write_bytes(data)
    opened = repository.open()
    worktree = opened.worktree()
    with path.open("rb") as stream:
        read = read_distribution(filename, stream)
    return opened, worktree, releases.upload(worktree, DEV, [(read, path)], UPLOAD_TIME)


def test_a_command_that_read_before_an_upload_does_not_undo_it(team: IndexRepository) -> None:
    ours, theirs, other = _built("demo", "2"), make_sdist("demo", "1.0"), _built("other", "1")

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        before, elsewhere = _planned(team, *ours), _planned(team, *other)
        assert (await uploads.upload(*theirs)).status == 200
        with pytest.raises(
            CannotRunError, match=r"demo/1\.0\.json: was changed by another.*run the same command again"
        ):
            carry_out(*before, commit=True)
        assert team.git("status", "--short") == ""
        for planned in (elsewhere, _planned(team, *ours)):
            assert carry_out(*planned, commit=True).commit == team.git("rev-parse", "main").strip()

    told(team, story)
    assert _filenames(team, "demo") == sorted([WHEEL[0], theirs[0], ours[0]])
    assert _filenames(team, "other") == [other[0]]


def test_a_command_that_read_before_its_index_went_writes_nothing(team: IndexRepository) -> None:
    ours = _planned(team, *WHEEL)
    team.git("rm", "--quiet", "-r", "indexes/emilie/dev")
    team.commit("Delete emilie/dev")
    with pytest.raises(RefusedError) as refused:
        carry_out(*ours, commit=True)
    assert {finding.path for finding in refused.value.findings} == {"indexes/emilie/dev"}
    assert team.git("status", "--short") == ""


def test_commands_and_uploads_into_one_working_tree_lose_nothing_of_each_other(team: IndexRepository) -> None:
    """Who is told to come again does so; a command that writes elsewhere has no need to."""
    ours = [_built(project, f"{number}a") for number in range(1, 3) for project in ("demo", "other")]
    theirs = [_built("demo", f"{number}b") for number in range(1, 25)]

    def by_command(filename: str, data: bytes) -> int:
        """Upload a file, and return how often the command had to be run again."""
        path = team.path.parent / filename
        path.write_bytes(data)
        words = ["-C", str(team.root), "upload", "--index", "emilie/dev", "--commit", str(path)]
        command = [sys.executable, "-P", "-m", "gitindex", *words]
        for again in range(100):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == 0:
                return again
            assert (done.returncode, "run the same command again" in done.stderr) == (3, True), done.stderr
        raise AssertionError("it never got its turn")

    async def story(uploads: Uploads) -> None:
        over = asyncio.Event()

        async def by_http() -> None:
            for file in theirs:
                while (answer := await uploads.upload(*file)).status != 200:
                    assert (answer.status, b"working tree is in the way" in answer.body) == (503, True), answer.body
                with contextlib.suppress(TimeoutError):  # at a pace that leaves commands a chance
                    await asyncio.wait_for(over.wait(), 0.3)

        async def by_commands() -> None:
            for file in ours:
                again = await asyncio.to_thread(by_command, *file)
                assert again == 0 or file[0].startswith("demo")
            over.set()

        await asyncio.gather(by_http(), by_commands())

    told(team, story)
    assert team.git("status", "--short") == ""
    both = _filenames(team, "demo") + _filenames(team, "other")
    assert sorted(both) == sorted(filename for filename, _ in ours + theirs)


class TestLinked:
    """Where a repository has more than one working tree."""

    def test_one_that_has_the_branch_goes_along(self, team: IndexRepository, tmp_path: Path) -> None:
        bare = IndexRepository(bare_clone(team, tmp_path / "bare.git"))
        linked = IndexRepository(tmp_path / "linked")
        bare.git("worktree", "add", "--quiet", str(linked.path), "main")

        async def run() -> None:
            async with taking(bare.path, tmp_path) as uploads:
                assert (await uploads.upload(*WHEEL)).status == 200

        asyncio.run(run())
        assert linked.git("status", "--short") == ""
        assert (linked.path / "indexes/emilie/dev/demo/1.0.json").is_file()

    @pytest.mark.parametrize("is_served_from_linked", [True, False])
    def test_those_that_have_another_branch_stay(
        self, team: IndexRepository, tmp_path: Path, *, is_served_from_linked: bool
    ) -> None:
        linked = IndexRepository(tmp_path / "linked")
        team.git("worktree", "add", "--quiet", "-b", "other", str(linked.path))

        async def run() -> None:
            served = linked if is_served_from_linked else team
            async with taking(served, tmp_path, reference="refs/heads/main") as uploads:
                assert (await uploads.upload(*WHEEL)).status == 200

        asyncio.run(run())
        assert (team.git("status", "--short"), linked.git("status", "--short")) == ("", "")
        assert len(log(team, "main")) == 2
        assert not (linked.path / "indexes/emilie/dev/demo").exists()

    def test_a_branch_is_pulled_where_it_is_checked_out_and_nowhere_else(
        self, team: IndexRepository, tmp_path: Path
    ) -> None:
        clone = IndexRepository(tmp_path / "clone")
        subprocess.run(["git", "clone", "--quiet", team.path, clone.path], check=True)
        clone.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
        team.write("notes.txt", "more")
        team.commit("More")
        linked = IndexRepository(tmp_path / "linked")
        before = linked.git("rev-parse", "other")
        # Git takes no branch along that is checked out elsewhere, and merges it into no other one.
        with pytest.raises(CannotRunError, match="checked out"):
            Repository.open(linked.path).origin.pull("refs/heads/main", timeout=30)
        assert linked.git("rev-parse", "other") == before
        Repository.open(clone.path).origin.pull("refs/heads/main", timeout=30)
        assert clone.git("rev-parse", "main") == team.git("rev-parse", "main")


def test_large_files_are_kept_as_they_are(team: IndexRepository) -> None:
    (team.path / ".git/info/attributes").write_text("* text eol=crlf\n")
    team.git("config", "core.autocrlf", "true")

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*LARGE)).status == 200

    told(team, story)
    (path,) = (line for line in team.git("ls-files").splitlines() if line.endswith(LARGE[0]))
    kept = subprocess.run(["git", "cat-file", "blob", f"main:{path}"], cwd=team.path, capture_output=True, check=True)
    assert kept.stdout == LARGE[1]


def test_a_large_file_that_git_cannot_write_leaves_nothing(team: IndexRepository, tmp_path: Path) -> None:
    objects = team.path / ".git/objects"
    # A limit of the process's files: Git is stopped in the midst of one, as by a full disk.
    git = tmp_path / "bin/git"
    git.parent.mkdir()
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    git.write_text(
        f'#!/bin/sh\ncase " $* " in *" hash-object "*) ulimit -f 1000; trap "" XFSZ;; esac\nexec {real} "$@"\n'
    )
    git.chmod(0o755)

    async def story(uploads: Uploads) -> None:
        answer = await uploads.upload(*LARGE)
        assert (answer.status, b"git hash-object" in answer.body) == (503, True)
        assert not [*objects.rglob("tmp_*")]
        assert (await uploads.upload(*WHEEL)).status == 200

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{git.parent}{os.pathsep}{os.environ['PATH']}")
        told(team, story)
    assert len(log(team)) == 2


@pytest.mark.parametrize(
    ("words", "told_of"),
    [
        (("--writable",), "--writable needs --tokens"),
        (("--push-remote",), "nothing is written without --writable"),
        (("--via", "pull-request"), "nothing is written without --writable"),
        (("--push-to", "https://up.example.org/"), "nobody does without --writable"),
        (("--writable", "--tokens", "TOKENS", "--push-remote", "--via", "pull-request"), "exclude each other"),
        (("--writable", "--tokens", "TOKENS", "--pull-every", "60"), "becomes two histories"),
        (("--writable", "--tokens", "TOKENS", "--hook-secret-file", "SECRET"), "becomes two histories"),
    ],
)
def test_ways_to_write_that_make_no_sense_are_refused(
    team: IndexRepository, run: Run, words: tuple[str, ...], told_of: str
) -> None:
    result = run("-C", str(team.root), "serve", "--port", "0", *words)
    assert (result.code, told_of in result.err) == (2, True), result.err
