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
from gitindex.names import IndexName
from gitindex.snapshot import Snapshot
from gitindex.write import carry_out
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.repositories import DEV, PROD, UPLOAD_TIME, IndexRepository, bare_clone
from tests.server.client import serving
from tests.server.watching import commit_is, status_when
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


def _killed(repository: IndexRepository, path: str, content: str) -> tuple[str, str]:
    """Let a server have been killed before the branch moved over a commit that has a file; return the two commits."""
    index = {"GIT_INDEX_FILE": ".git/never"}
    repository.git("read-tree", "main", env=index)
    blob = repository.git("hash-object", "-w", "--stdin", data=content.encode())
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    before, tree = repository.git("rev-parse", "main"), repository.git("write-tree", env=index)
    made = repository.git("commit-tree", "-p", "main", "-m", "Never there", tree)
    (repository.path / ".git/gitindex-writing").write_text(f"{before} {made}")
    (repository.path / ".git/never").unlink()
    return before, made


MANIFEST = "indexes/emilie/dev/demo/1.0.json"


@pytest.mark.parametrize(
    ("was_there", "is_there", "left"),
    [
        (None, "as it was made", ""),
        (None, "as it w", ""),
        (None, "something of mine", f"?? {MANIFEST}"),
        ("before", "as it was made", ""),
        ("before", "as", ""),
        ("before", None, ""),
        ("before", "something of mine", f" M {MANIFEST}"),
    ],
)
def test_what_a_killed_git_left_half_checked_out_is_put_away(
    team: IndexRepository, was_there: str | None, is_there: str | None, left: str
) -> None:
    if was_there is not None:
        team.write(MANIFEST, was_there)
        team.commit("Before")
    _killed(team, MANIFEST, "as it was made")
    if is_there is not None:
        team.write(MANIFEST, is_there)
    else:
        (team.path / MANIFEST).unlink()

    async def story(uploads: Uploads) -> None:
        await uploads.upload(*make_wheel("other", "1.0"))

    told(team, story)
    # Read with the first blank: the helper strips it.
    assert team.git("status", "--short", "--untracked-files=all") == left.strip()


def test_what_a_killed_server_left_is_put_away_when_the_branch_has_gone_on(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        # This server has written before: it is another one that was killed.
        assert (await uploads.upload(*make_wheel("other", "1.0"))).status == 200
        before, made = _killed(team, MANIFEST, "never there")
        team.git("read-tree", "-m", "-u", before, made)
        team.write("notes.txt", "mine")
        team.git("add", "notes.txt")
        team.git("commit", "--quiet", "--message", "Mine", "--", "notes.txt")
        assert team.git("status", "--short") == f"A  {MANIFEST}"
        assert (await uploads.upload(*WHEEL)).status == 200

    told(team, story)
    assert team.git("status", "--short") == ""
    assert _filenames(team, "demo") == [WHEEL[0]]


def test_what_cannot_be_put_away_yet_is_not_forgotten(team: IndexRepository, tmp_path: Path) -> None:
    lock = team.path / ".git/index.lock"

    async def first(uploads: Uploads) -> None:
        before, made = _killed(team, MANIFEST, "never there")
        team.git("read-tree", "-m", "-u", before, made)
        lock.touch()
        assert (await uploads.upload(*WHEEL)).status == 503

    async def second() -> None:
        async with taking(team, tmp_path / "second") as uploads:
            assert (await uploads.upload(*WHEEL)).status == 200

    told(team, first)
    lock.unlink()
    (tmp_path / "second").mkdir()
    asyncio.run(second())
    assert team.git("status", "--short") == ""


def test_what_somebody_went_back_from_stays_in_the_working_tree(team: IndexRepository, tmp_path: Path) -> None:
    async def first(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200

    async def second() -> None:
        async with taking(team, tmp_path / "second") as uploads:
            assert (await uploads.upload(*make_wheel("other", "1.0"))).status == 200

    told(team, first)
    team.git("reset", "--quiet", "--soft", "HEAD~1")
    staged = team.git("status", "--short")
    (tmp_path / "second").mkdir()
    asyncio.run(second())
    assert f"A  {MANIFEST}" in staged.splitlines()
    assert team.git("status", "--short") == staged


def test_a_branch_that_went_back_from_an_upload_is_told_with_the_way_to_it(team: IndexRepository) -> None:
    """Git's reset and stash set the branch to where it was when they began, whatever came in meanwhile."""

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        served = team.git("rev-parse", "HEAD")
        team.git("reset", "--quiet", "--hard", "HEAD~1")
        answer = await uploads.upload(*make_wheel("other", "1.0"))
        assert answer.status == 503
        assert f"git merge --ff-only {served[:12]};" in answer.body.decode()
        team.git("merge", "--quiet", "--ff-only", served[:12])
        assert (await uploads.upload(*make_wheel("other", "1.0"))).status == 200

    told(team, story)
    assert _filenames(team, "demo") == [WHEEL[0]]
    assert team.git("status", "--short") == ""


def test_a_file_that_was_written_again_as_it_was_is_not_in_the_way(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        place = team.path / MANIFEST
        content = place.read_bytes()
        place.unlink()
        place.write_bytes(content)
        os.utime(place, (1, 1))
        assert (await uploads.upload(*make_sdist("demo", "1.0"))).status == 200

    told(team, story)
    assert team.git("status", "--short") == ""


def test_the_lock_that_a_killed_git_left_is_named(team: IndexRepository) -> None:
    lock = team.path / ".git/index.lock"
    lock.touch()

    async def story(uploads: Uploads) -> None:
        answer = await uploads.upload(*WHEEL)
        assert (answer.status, b"one was killed: remove that file" in answer.body) == (503, True)
        assert str(lock) in answer.body.decode()
        lock.unlink()
        assert (await uploads.upload(*WHEEL)).status == 200

    told(team, story)


def test_a_server_waits_for_a_command_no_longer_than_a_while(
    team: IndexRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook of the command's commit may upload to that very server."""
    monkeypatch.setattr("gitindex.server.writing.COMMANDS_WITHIN", 0.2)

    async def story(uploads: Uploads) -> None:
        with team.open().moving():
            answer = await asyncio.wait_for(uploads.upload(*WHEEL), 20)
            assert (answer.status, b"been writing to this repository for" in answer.body) == (503, True)
        assert (await uploads.upload(*WHEEL)).status == 200

    told(team, story)


def test_a_branch_is_not_pulled_while_a_command_writes(team: IndexRepository, tmp_path: Path) -> None:
    clone = IndexRepository(tmp_path / "clone")
    subprocess.run(["git", "clone", "--quiet", team.path, clone.path], check=True)
    before = clone.git("rev-parse", "HEAD")

    async def run() -> None:
        async with serving(clone, tmp_path / "cache", pull_every=0.1) as client:
            await status_when(client, lambda result: result["remote"]["last_success"] is not None)
            with clone.open().moving():
                team.write("notes.txt", "more")
                team.commit("More")
                after = team.git("rev-parse", "HEAD")
                while after not in (clone.path / ".git/FETCH_HEAD").read_text():  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.3)
                assert clone.git("rev-parse", "HEAD") == before
            await commit_is(client, after)
            assert clone.git("status", "--short") == ""

    asyncio.run(run())


def _built(project: str, build: str) -> tuple[str, bytes]:
    """Return one of the wheels of a release 1.0."""
    return make_wheel(project, "1.0", build=build, files={"data": build.encode()})


def _filenames(repository: IndexRepository, project: str) -> list[str]:
    """Return the names of the files of a release 1.0, sorted."""
    manifest = json.loads((repository.path / f"indexes/emilie/dev/{project}/1.0.json").read_text())
    return sorted(file["filename"] for file in manifest["files"])


def _planned(
    repository: IndexRepository, filename: str, data: bytes, index: IndexName = DEV
) -> tuple[Repository, Snapshot, Plan]:
    """Plan an upload, as a command does."""
    path = repository.path.parent / filename
    path.write_bytes(data)
    opened = repository.open()
    worktree = opened.worktree()
    with path.open("rb") as stream:
        read = read_distribution(filename, stream)
    return opened, worktree, releases.upload(worktree, index, [(read, path)], UPLOAD_TIME)


def test_a_command_that_would_undo_what_it_has_not_read_is_told_to_run_again(team: IndexRepository) -> None:
    """Not that a rule refuses it: of an index whose files stay, it would seem to take one away."""

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL, "emilie/prod")).status == 200
        before = _planned(team, *_built("demo", "2"), PROD)
        assert (await uploads.upload(*make_sdist("demo", "1.0"), "emilie/prod")).status == 200
        with pytest.raises(CannotRunError, match="run the same command again"):
            carry_out(*before, commit=True)
        assert team.git("status", "--short") == ""
        assert carry_out(*_planned(team, *_built("demo", "2"), PROD), commit=True).commit is not None

    told(team, story)


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


def test_commands_and_uploads_go_on_in_a_sparse_checkout(team: IndexRepository) -> None:
    team.git("sparse-checkout", "set", "--no-cone", "/gitindex.toml", "/indexes/*/*.toml", "/indexes/*/*/*.toml")
    ours, theirs = _built("demo", "2"), make_sdist("demo", "1.0")

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        assert not (team.path / MANIFEST).exists()
        assert carry_out(*_planned(team, *ours), commit=True).commit is not None
        assert (await uploads.upload(*theirs)).status == 200

    told(team, story)
    assert team.git("status", "--short") == ""
    named = json.loads(team.git("show", f"main:{MANIFEST}"))["files"]
    assert {file["filename"] for file in named} == {WHEEL[0], theirs[0], ours[0]}


def test_who_looks_again_does_not_write_what_was_planned_before(team: IndexRepository) -> None:
    """An import plans once, and writes step by step."""
    ours, theirs = _built("demo", "2"), make_sdist("demo", "1.0")

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        opened, worktree, plan = _planned(team, *ours)
        assert (await uploads.upload(*theirs)).status == 200
        opened.worktree()
        with pytest.raises(CannotRunError, match="run the same command again"):
            carry_out(opened, worktree, plan, commit=True)

    told(team, story)
    assert _filenames(team, "demo") == sorted([WHEEL[0], theirs[0]])


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
