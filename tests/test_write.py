"""Plans carried out in real repositories, and files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitindex import atomic
from gitindex.edits import releases
from gitindex.edits.plan import Plan
from gitindex.edits.promotion import Wanted, push
from gitindex.errors import CannotRunError, ConflictError, RefusedError, UsageError
from gitindex.facts import read_distribution
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.write import Outcome, carry_out
from tests.builders import make_sdist, make_wheel
from tests.repositories import (
    DEV,
    PROD,
    UPLOAD_TIME,
    Content,
    IndexRepository,
    files_below,
    make_repository,
    small_content,
)

BOB = "indexes/bob/user.toml"
DEMO = ProjectName("demo")


def carried_out(repository: IndexRepository, plan: Plan, *, commit: bool = False) -> Outcome:
    opened = repository.open()
    return carry_out(opened, opened.worktree(), plan, commit=commit)


def uploaded(repository: IndexRepository, *files: Path) -> Plan:
    read = []
    for path in files:
        with path.open("rb") as stream:
            read.append((read_distribution(path.name, stream), path))
    return releases.upload(repository.open().worktree(), DEV, read, UPLOAD_TIME)


def wheel(folder: Path, version: str = "1.0", text: str = "") -> Path:
    name, data = make_wheel("demo", version, files={"demo.py": text.encode()})
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What is written, and in which order


def test_a_plan_is_written_and_says_what_was(repository: IndexRepository) -> None:
    outcome = carried_out(repository, Plan({BOB: b"title = 'Bob'\n"}, ["Create user bob"]))
    assert outcome == Outcome((BOB,), (), None)
    assert (repository.root / BOB).read_bytes() == b"title = 'Bob'\n"
    assert repository.git("status", "--porcelain", "-uall") == f"?? {BOB}"


def test_a_plan_of_nothing_changes_nothing(repository: IndexRepository) -> None:
    before = files_below(repository.path)
    assert carried_out(repository, Plan({}, ["Unchanged"])) == Outcome((), (), None)
    assert carried_out(repository, Plan({}, ["Unchanged"]), commit=True) == Outcome((), (), None)
    assert files_below(repository.path) == before


def test_files_come_before_manifests_and_go_after_them(
    repository: IndexRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    write, unlink = atomic.write, Path.unlink

    def noted_write(path: Path, pieces: Iterator[bytes], check: None = None) -> None:
        steps.append(path.relative_to(repository.root).as_posix())
        write(path, pieces, check)

    def noted_unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path.is_relative_to(repository.root):
            steps.append(path.relative_to(repository.root).as_posix())
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(atomic, "write", noted_write)
    monkeypatch.setattr(Path, "unlink", noted_unlink)
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    assert [step.partition("/")[0] for step in steps] == ["files", "files", "indexes"]
    steps.clear()
    carried_out(repository, releases.remove(repository.open().worktree(), DEV, DEMO, None))
    assert [step.partition("/")[0] for step in steps] == ["indexes", "files", "files"]
    assert not (repository.root / "files").exists(), "folders that are left empty go too"


def test_the_same_upload_again_changes_nothing(repository: IndexRepository, tmp_path: Path) -> None:
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    before = files_below(repository.path)
    again = uploaded(repository, wheel(tmp_path / "dist"))
    assert not again.changes
    assert again.notes == ["Unchanged: demo-1.0-py3-none-any.whl in emilie/dev"]
    carried_out(repository, again)
    assert files_below(repository.path) == before


def test_other_bytes_replace_a_file_of_a_volatile_index_and_its_stored_file(
    repository: IndexRepository, tmp_path: Path
) -> None:
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    old = {path for path in files_below(repository.root) if path.endswith((".whl", ".metadata"))}
    outcome = carried_out(repository, uploaded(repository, wheel(tmp_path / "other", text="other")))
    new = {path for path in files_below(repository.root) if path.endswith((".whl", ".metadata"))}
    assert len(old) == len(new) == 2
    assert not old & new
    assert old < set(outcome.paths)


def pushed(repository: IndexRepository, target: IndexName) -> Plan:
    return push(repository.open().worktree(), [Wanted(DEMO, "1.0")], DEV, target).plan


def test_a_stored_file_that_another_index_names_stays(repository: IndexRepository, tmp_path: Path) -> None:
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    carried_out(repository, pushed(repository, PROD))
    carried_out(repository, releases.remove(repository.open().worktree(), DEV, DEMO, "1.0"))
    assert not (repository.root / "indexes/emilie/dev/demo").exists()
    assert len([path for path in files_below(repository.root) if path.endswith(".whl")]) == 1


def test_a_push_of_other_bytes_under_one_name_is_refused_whatever_the_target_promises(tmp_path: Path) -> None:
    content = small_content().stage("emilie/staging", volatile=True)
    content.release("emilie/dev", "demo", "1.0", text="new")
    content.release("emilie/staging", "demo", "1.0", text="old")
    digests = [content.entry(index, "demo", "1.0")["hashes"]["sha256"] for index in ("emilie/dev", "emilie/staging")]
    repository = make_repository(tmp_path, content)
    with pytest.raises(ConflictError) as caught:
        pushed(repository, PROD._replace(name="staging"))
    assert all(digest in str(caught.value) for digest in digests)


# What is refused


def test_a_refused_plan_writes_nothing_and_carries_its_findings(repository: IndexRepository) -> None:
    before = files_below(repository.path)
    plan = Plan({"indexes/emilie/prod/index.toml": None, BOB: b"title = 'Bob'\n"}, ["Delete index"])
    with pytest.raises(RefusedError) as refused:
        carried_out(repository, plan)
    assert [finding.code for finding in refused.value.findings] == ["GI002", "GI101", "GI201"][
        -len(refused.value.findings) :
    ]
    assert files_below(repository.path) == before


def test_what_was_wrong_before_does_not_refuse_another_change(repository: IndexRepository) -> None:
    repository.write("indexes/emilie/stray.txt", "not ours to mend")
    assert carried_out(repository, Plan({BOB: b""}, ["Create user bob"])).paths == (BOB,)
    with pytest.raises(RefusedError) as refused:
        carried_out(repository, Plan({"indexes/bob/stray.txt": b""}, ["Add a stray"]))
    assert [finding.path for finding in refused.value.findings] == ["indexes/bob/stray.txt"]


def test_a_change_that_only_warns_is_written_with_its_warnings(tmp_path: Path) -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0")
    repository = make_repository(tmp_path, content)
    outcome = carried_out(repository, releases.remove(repository.open().worktree(), DEV, DEMO, "1.0"))
    assert all(finding.severity == "warning" for finding in outcome.warnings)
    assert not (repository.root / "indexes/emilie/dev/demo").exists()


# Where it is written


def test_nothing_is_written_through_a_link(repository: IndexRepository, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (repository.root / "files").symlink_to(outside)
    with pytest.raises((CannotRunError, RefusedError)):
        carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    assert list(outside.iterdir()) == []
    assert not (repository.root / "indexes/emilie/dev/demo").exists()


def test_nothing_is_written_through_a_link_that_git_ignores(repository: IndexRepository, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    repository.write(".gitignore", "files\n")
    (repository.root / "files").symlink_to(outside)
    with pytest.raises(CannotRunError, match="is not a folder"):
        carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    assert list(outside.iterdir()) == []


def test_a_file_where_a_folder_belongs_is_an_error(repository: IndexRepository) -> None:
    repository.write(".gitignore", "indexes/bob\n")
    repository.write("indexes/bob", "a file that Git ignores")
    with pytest.raises(CannotRunError, match="is not a folder"):
        carried_out(repository, Plan({BOB: b""}, ["Create user bob"]))
    assert (repository.root / "indexes/bob").read_text() == "a file that Git ignores"


# Commits


def test_a_commit_holds_the_plan_and_what_it_needs(repository: IndexRepository, tmp_path: Path) -> None:
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    repository.write("indexes/emilie/user.toml", "title = 'on its own'\n")
    outcome = carried_out(repository, pushed(repository, PROD), commit=True)
    assert outcome.paths == ("indexes/emilie/prod/demo/1.0.json",)
    assert outcome.commit is not None
    committed = repository.git("show", "--name-only", "--format=", outcome.commit).splitlines()
    assert [path.rpartition("/")[2] for path in committed] == [
        "demo-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any.whl.metadata",
        "1.0.json",
    ]
    assert committed[-1] == "indexes/emilie/prod/demo/1.0.json"
    assert repository.git("log", "-1", "--format=%B") == "Push demo 1.0 from emilie/dev to emilie/prod"
    assert "indexes/emilie/user.toml" in repository.git("status", "--porcelain")


def test_a_commit_of_what_was_written_before_is_made(repository: IndexRepository, tmp_path: Path) -> None:
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    outcome = carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")), commit=True)
    assert outcome.paths == ()
    assert outcome.commit == repository.git("rev-parse", "HEAD")
    assert repository.git("status", "--porcelain") == ""


def test_a_commit_that_does_not_stand_alone_is_refused_before_anything_is_written(
    repository: IndexRepository,
) -> None:
    settled = {"indexes/emilie/dev/index.toml": b'type = "stage"\nvolatile = false\n'}
    carried_out(repository, Plan(dict(settled), ["Modify index emilie/dev"]))
    before, head = files_below(repository.path), repository.git("rev-parse", "HEAD")
    content = {"indexes/emilie/top/index.toml": b'type = "stage"\nvolatile = false\nbases = ["emilie/dev"]\n'}
    with pytest.raises(RefusedError, match="refused as a commit of its own, and nothing was") as refused:
        carried_out(repository, Plan(dict(content), ["Create index emilie/top"]), commit=True)
    assert [finding.code for finding in refused.value.findings] == ["GI105"]
    assert files_below(repository.path) == before
    assert repository.git("rev-parse", "HEAD") == head


def test_a_commit_takes_along_the_definitions_that_no_commit_has(repository: IndexRepository, tmp_path: Path) -> None:
    """The index itself, its bases, and who may release into them; what nobody needs stays as it is."""
    user, stage = b'email = "zoe@example.org"\n', 'type = "stage"\n{}'
    new = {
        **{f"indexes/{name}/user.toml": user for name in ("zoe", "nobody")},
        "indexes/zoe/low/index.toml": stage.format("").encode(),
        "indexes/emilie/new/index.toml": stage.format('bases = ["zoe/low"]\n').encode(),
        "indexes/emilie/other/index.toml": stage.format("").encode(),
    }
    carried_out(repository, Plan(dict(new), ["Create"]))
    opened = repository.open()
    into = IndexName(UserName("emilie"), "new")
    path = wheel(tmp_path / "dist")
    with path.open("rb") as stream:
        files = [(read_distribution(path.name, stream), path)]
    plan = releases.upload(opened.worktree(), into, files, UPLOAD_TIME)
    outcome = carry_out(opened, opened.worktree(), plan, commit=True)
    assert outcome.along == ("indexes/emilie/new/index.toml", "indexes/zoe/low/index.toml", "indexes/zoe/user.toml")
    assert repository.git("status", "--short", "-uall").splitlines() == [
        "?? indexes/emilie/other/index.toml",
        "?? indexes/nobody/user.toml",
    ]


def test_the_removal_of_what_was_never_committed_is_done(repository: IndexRepository, tmp_path: Path) -> None:
    head = repository.git("rev-parse", "HEAD")
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    outcome = carried_out(repository, releases.remove(repository.open().worktree(), DEV, DEMO, None), commit=True)
    assert len(outcome.paths) == 3
    assert outcome.commit is None
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("rev-parse", "HEAD") == head


def test_the_removal_of_what_was_staged_and_never_committed_is_done(
    repository: IndexRepository, tmp_path: Path
) -> None:
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    repository.git("add", "--all")
    carried_out(repository, releases.remove(repository.open().worktree(), DEV, DEMO, None), commit=True)
    assert not (repository.root / "indexes/emilie/dev/demo").exists()
    assert not repository.open().staged().files_folder


def test_a_removal_is_committed(tmp_path: Path) -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0")
    repository = make_repository(tmp_path, content)
    outcome = carried_out(repository, releases.remove(repository.open().worktree(), DEV, DEMO, None), commit=True)
    assert outcome.commit is not None
    assert repository.git("status", "--porcelain") == ""
    assert set(repository.git("show", "--name-status", "--format=", outcome.commit).splitlines()) == {
        f"D\t{path}" for path in outcome.paths
    }


def test_in_a_monorepo_paths_are_those_of_the_index_repository(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "mono", small_content(), folder="services/packages")
    outcome = carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")), commit=True)
    assert "indexes/emilie/dev/demo/1.0.json" in outcome.paths
    assert (repository.path / "services/packages/indexes/emilie/dev/demo/1.0.json").is_file()
    assert repository.git("status", "--porcelain") == ""


def test_the_first_commit_of_a_repository_can_be_a_plan(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    outcome = carried_out(repository, Plan(dict(small_content()), ["Start"]), commit=True)
    assert outcome.commit == repository.git("rev-parse", "HEAD")
    assert repository.git("status", "--porcelain") == ""


# Files whole or not at all


def test_the_first_commit_takes_along_what_it_stands_on(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages")
    repository.put(small_content())
    repository.write("notes.txt", "mine")
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")), commit=True)
    assert repository.git("status", "--short") == "?? notes.txt"
    assert len(repository.git("ls-files", "*.toml").split()) == 6


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    number = target.stat().st_ino

    def pieces() -> Iterator[bytes]:
        yield b"new"
        assert target.read_bytes() == b"old"
        yield b"er"

    atomic.write(target, pieces())
    assert target.read_bytes() == b"newer"
    assert target.stat().st_ino != number
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), CannotRunError("no")], ids=repr)
def test_what_stops_a_write_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise error

    def check() -> None:
        raise error

    with pytest.raises(type(error)):
        atomic.write(target, pieces())
    with pytest.raises(type(error)):
        atomic.write(target, [b"whole"], check)
    assert target.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_an_error_of_the_disk_names_the_file_and_the_reason(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CannotRunError, match=r"file: cannot be written: No space left on device"):
        atomic.write(tmp_path / "file", pieces())
    assert names_in(tmp_path) == []
    with pytest.raises(CannotRunError, match="No such file"):
        atomic.write(tmp_path / "no/file", [b""])
    (tmp_path / "folder").mkdir()
    with pytest.raises(CannotRunError, match="directory"):
        atomic.write(tmp_path / "folder", [b""])
    assert names_in(tmp_path) == ["folder"]


def test_what_a_killed_run_of_the_same_process_id_left_is_not_in_the_way(tmp_path: Path) -> None:
    # In containers, every run has the same process id.
    for name in (f"{atomic.TEMPORARY_PREFIX}{os.getpid()}-file", f"{atomic.TEMPORARY_PREFIX}file"):
        (tmp_path / name).write_bytes(b"half")
    atomic.write(tmp_path / "file", [b"whole"])
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("commit", [False, True])
def test_what_a_killed_run_left_half_written_is_removed_by_the_next_one(
    repository: IndexRepository, tmp_path: Path, *, commit: bool
) -> None:
    plan = uploaded(repository, wheel(tmp_path / "dist"))
    left = [(repository.path / path).parent / f"{atomic.TEMPORARY_PREFIX}0-1" for path in plan.changes]
    for place in left:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"half")
    elsewhere = repository.path / "indexes/root" / left[0].name
    elsewhere.write_bytes(b"half")
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")), commit=commit)
    assert not any(place.exists() for place in left)
    assert elsewhere.exists()
    assert {path for path in plan.changes if (repository.path / path).is_file()} == set(plan.changes)


def test_a_name_as_long_as_a_file_system_takes_is_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127):
        atomic.write(tmp_path / name, [name.encode()])
        assert (tmp_path / name).read_bytes() == name.encode()
    assert len(names_in(tmp_path)) == 2


def test_a_link_at_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"outside")
    (tmp_path / "file").symlink_to("outside")
    atomic.write(tmp_path / "file", [b"new"])
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "outside").read_bytes() == b"outside"


def test_an_answer_goes_where_a_link_leads(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("link", "dangling"):
        (tmp_path / name).symlink_to(folder / name)
    (folder / "link").write_bytes(b"old, and longer")
    for name in ("link", "dangling"):
        atomic.write_out(tmp_path / name, b"answer")
        assert (tmp_path / name).is_symlink()
        assert (folder / name).read_bytes() == b"answer"
    assert names_in(folder) == ["dangling", "link"]


def test_an_answer_goes_through_a_pipe(tmp_path: Path) -> None:
    pipe, answer = tmp_path / "pipe", b"answer" * 100_000
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        atomic.write_out(pipe, answer)
        assert read.result(timeout=30) == answer
    assert pipe.is_fifo()


def test_an_answer_goes_among_what_is_printed(tmp_path: Path) -> None:
    """A file that standard output is led to would be another one, were it replaced."""
    place = Path("/proc/self/fd/1")
    if not place.exists():
        pytest.skip("there is no such place here")
    script = (
        "import sys; from pathlib import Path; from gitindex.atomic import write_out;"
        "print('before'); write_out(Path(sys.argv[1]), b'answer\\n'); print('after')"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-P", "-c", script, str(place)], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nanswer\nafter\n"


@pytest.mark.parametrize("place", ["no/report", "folder", "loop"])
def test_where_no_answer_can_go_is_told_beforehand(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "no/loop")
    with pytest.raises(UsageError, match=f"--report {tmp_path / place}: .*folder"):
        atomic.check_out(tmp_path / place, "--report")
    with pytest.raises(CannotRunError, match=re.escape(str(tmp_path))):
        atomic.write_out(tmp_path / place, b"answer")
    assert names_in(tmp_path) == ["folder", "loop"]


def test_a_file_gets_the_mode_that_the_user_gives_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.write(tmp_path / "file", [b""])
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_upload_keeps_the_name_of_the_first_release_and_adds_files_in_order(
    repository: IndexRepository, tmp_path: Path
) -> None:
    name, data = make_sdist("demo", "1.0")
    (tmp_path / name).write_bytes(data)
    carried_out(repository, uploaded(repository, tmp_path / name))
    carried_out(repository, uploaded(repository, wheel(tmp_path / "dist")))
    content = Content()
    content["indexes/emilie/dev/demo/1.0.json"] = (repository.root / "indexes/emilie/dev/demo/1.0.json").read_bytes()
    first, second = content.entry("emilie/dev", "demo", "1.0", 0), content.entry("emilie/dev", "demo", "1.0", 1)
    assert (first["filename"], second["filename"]) == ("demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz")
    assert first["upload-time"] == UPLOAD_TIME
    assert "core-metadata" in first
    assert "core-metadata" not in second


def test_what_is_taken_back_before_it_was_committed_needs_no_commit(tmp_path: Path) -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0")
    content.statements("emilie/dev", "demo", status="deprecated")
    repository = make_repository(tmp_path, content)
    carried_out(repository, releases.yank(repository.open().worktree(), DEV, DEMO, "1.0", reason="broken"))
    repository.git("add", "--all")
    plan = releases.unyank(repository.open().worktree(), DEV, DEMO, "1.0")
    outcome = carried_out(repository, plan, commit=True)
    assert outcome.paths == ("indexes/emilie/dev/demo/project.toml",)
    assert outcome.commit is None
    assert repository.git("status", "--porcelain") == ""
