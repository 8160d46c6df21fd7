"""Who writes to a working tree at the same time as somebody else: real processes, and locks that the test holds."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitindex.cachefolder import cache_folder
from gitindex.errors import CannotRunError
from gitindex.waiting import turn
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.repositories import IndexRepository, bare_clone

WAITS = "Waits for another gitindex that writes here.\n"
INTO = ("--index", "emilie/dev")
LOCK = "gitindex-worktree"


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Be somebody else who writes, as long as it is entered."""
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start(repository: IndexRepository, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start the command line as a process of its own, in the repository."""
    command = [sys.executable, "-P", "-m", "gitindex", "-C", str(repository.path), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def read_line(process: subprocess.Popen[str]) -> str:
    """Read what a process says next on its standard error."""
    assert process.stderr is not None
    return process.stderr.readline()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process, and return its code and what it still said; it ends with what it started."""
    try:
        _, told = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, told


@pytest.fixture
def release(tmp_path: Path) -> tuple[Path, Path]:
    """The two files of a release."""
    found = []
    for filename, content in (make_wheel("gadget", "1.0"), make_sdist("gadget", "1.0")):
        place = tmp_path / "dist" / filename
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        found.append(place)
    return found[0], found[1]


def named_files(repository: IndexRepository) -> set[str]:
    manifest = json.loads((repository.path / "indexes/emilie/dev/gadget/1.0.json").read_text())
    return {file["filename"] for file in manifest["files"]}


@pytest.mark.parametrize("how", ["--commit", ""])
def test_two_uploads_at_once_lose_no_file(repository: IndexRepository, release: tuple[Path, Path], how: str) -> None:
    options = [how] if how else []
    with held(repository.path / ".git" / LOCK):
        uploads = [start(repository, "upload", place, *INTO, *options) for place in release]
        # Both have come as far as they can before either of them has read anything.
        assert [read_line(each) for each in uploads] == [WAITS, WAITS]
    results = [ended(each) for each in uploads]
    assert [code for code, _ in results] == [0, 0], results
    assert all(WAITS not in told for _, told in results)
    assert named_files(repository) == {place.name for place in release}
    if how:
        assert repository.git("status", "--porcelain") == ""


def test_interrupt_ends_the_wait(repository: IndexRepository, release: tuple[Path, Path]) -> None:
    with held(repository.path / ".git" / LOCK):
        upload = start(repository, "upload", release[0], *INTO)
        assert read_line(upload) == WAITS
        upload.send_signal(signal.SIGINT)
        code, told = ended(upload)
    assert (code, "Traceback" in told) == (130, False)
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    "command",
    [
        ("user", "modify", "emilie", "title=Emilie"),
        ("index", "modify", "emilie/dev", "title=Work"),
        ("user", "create", "bob"),
        ("codeowners",),
        ("validate", "--fix"),
    ],
    ids=" ".join,
)
def test_what_writes_waits(repository: IndexRepository, command: tuple[str, ...]) -> None:
    with held(repository.path / ".git" / LOCK):
        process = start(repository, *command)
        assert read_line(process) == WAITS
        assert process.poll() is None
    code, told = ended(process)
    assert code == 0, told


@pytest.mark.parametrize("command", [("validate",), ("list", *INTO), ("codeowners", "--check")], ids=" ".join)
def test_what_writes_nothing_does_not_wait(repository: IndexRepository, run: Run, command: tuple[str, ...]) -> None:
    with held(repository.path / ".git" / LOCK):
        done = run("-C", repository.path, *command)
    assert WAITS not in done.err


def test_a_command_reads_what_a_server_has_left_not_what_it_is_about_to_change(
    repository: IndexRepository, release: tuple[Path, Path]
) -> None:
    settings = repository.path / "gitindex.toml"
    before = settings.read_bytes()
    with held(repository.path / ".git/gitindex-moving"):
        settings.write_text("half written")
        upload = start(repository, "upload", release[0], *INTO)
        assert read_line(upload) == "Waits for a server that writes here.\n"
        settings.write_bytes(before)
    assert ended(upload)[0] == 0


def test_who_waits_too_long_is_told_and_has_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        held(lock),
        pytest.raises(CannotRunError, match=r"writing to this repository for 0 seconds; nothing was written"),
        turn(lock, "Waits.", 0.1),
    ):
        raise AssertionError("it was somebody else's")
    assert "GITINDEX_HELD" not in os.environ


@pytest.mark.parametrize("mode", [0o700, 0o775])
def test_whoever_can_use_the_folder_can_wait(tmp_path: Path, mode: int) -> None:
    """A server and a command may be run by different users of one group."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    before = os.umask(0o077)
    try:
        with turn(folder / "lock", "Waits."):
            assert stat.S_IMODE((folder / "lock").stat().st_mode) == mode & 0o666
    finally:
        os.umask(before)


def test_nobody_waits_for_a_command_that_has_ended(
    repository: IndexRepository, run: Run, release: tuple[Path, Path]
) -> None:
    """Whether it was done or refused: several commands run in this process."""
    assert run("-C", repository.path, "yank", "no-such==1.0", *INTO).code == 1
    assert run("-C", repository.path, "upload", *release, *INTO).code == 0
    with (repository.path / ".git" / LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert "GITINDEX_HELD" not in os.environ


def test_hook_that_writes_does_not_wait_for_the_commit_that_runs_it(
    repository: IndexRepository, release: tuple[Path, Path]
) -> None:
    hook = repository.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m gitindex codeowners\n')
    hook.chmod(0o755)
    code, told = ended(start(repository, "upload", *release, *INTO, "--commit"))
    assert code == 0, told
    assert (repository.path / ".github/CODEOWNERS").is_file()


def test_linked_working_trees_do_not_wait_for_each_other(
    repository: IndexRepository, run: Run, release: tuple[Path, Path], tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    repository.git("worktree", "add", "--quiet", "-b", "work", str(linked))
    with held(repository.path / ".git" / LOCK):
        done = run("-C", linked, "upload", *release, *INTO)
    assert done.code == 0
    assert WAITS not in done.err


def test_imports_take_turns_at_the_shelf(
    repository: IndexRepository, release: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lock = cache_folder(repository.path / ".git", "") / "import.lock"
    lock.parent.mkdir(parents=True)
    with held(lock):
        process = start(repository, "import", "dir", release[0].parent, *INTO)
        assert read_line(process) == "Waits for another import into this repository.\n"
        assert process.poll() is None
    code, told = ended(process)
    assert code == 0, told
    assert named_files(repository) == {place.name for place in release}


def test_what_is_proposed_waits_at_the_shelf_alone(
    repository: IndexRepository, release: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repository.git("remote", "add", "origin", str(bare_clone(repository, tmp_path / "remote.git")))
    shelf = cache_folder(repository.path / ".git", "") / "import.lock"
    shelf.parent.mkdir(parents=True)
    with held(repository.path / ".git" / LOCK):
        with held(shelf):
            process = start(repository, "import", "dir", release[0].parent, *INTO, "--pr")
            assert read_line(process) == "Waits for another import into this repository.\n"
        code, told = ended(process)
    assert code == 0, told
    assert told.startswith("Pushed gitindex/import-dist-")


@pytest.mark.parametrize("place", ["a file that is no folder/lock", "link"])
def test_where_no_lock_can_be_made_nobody_waits(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file that is no folder").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with turn(tmp_path / place, "told"), turn(tmp_path / place, "told"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_lock_of_somebody_else_is_taken_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "lock"
    lock.touch(mode=0o444)
    with turn(lock, "told"), lock.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert capsys.readouterr().err == ""
