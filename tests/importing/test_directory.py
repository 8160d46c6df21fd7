"""`gitindex import dir`: what is sound comes in, what is not is named, and nothing that is here changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from gitindex.importers import directory
from tests.builders import make_sdist, make_wheel, make_zip
from tests.conftest import EPOCH, Run
from tests.importing.shown import digest, entry, put, released, subjects
from tests.repositories import UPLOAD_TIME, IndexRepository, files_below, make_repository, small_content

WHEEL, SDIST, NEWER = make_wheel("demo", "1.0"), make_sdist("demo", "1.0"), make_wheel("demo", "2.0")


def test_folder_comes_in_as_one_commit(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    files = put(tmp_path / "dist", WHEEL, SDIST) | put(tmp_path / "dist/deeper", NEWER)
    before = len(subjects(repository))
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod", "--commit")
    assert (done.code, done.out) == (0, "emilie/prod: 3 files of 2 releases brought\n")
    assert released(repository, "emilie/prod") == files
    assert subjects(repository)[before:] == ["Import 3 files of 2 releases into emilie/prod from dist"]
    assert repository.git("status", "--porcelain") == ""
    assert run("-C", repository.path, "verify").out.endswith("none wrong.\n")
    assert run("-C", repository.path, "validate", "--all").code == 0
    assert entry(repository, "emilie/prod", WHEEL[0])["upload-time"] == UPLOAD_TIME


def test_same_folder_again_changes_nothing(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL, SDIST)
    command = ("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod", "--commit")
    run(*command)
    head, before = repository.git("rev-parse", "HEAD"), files_below(repository.path)
    done = run(*command)
    assert (done.code, done.out) == (0, "emilie/prod: 0 files of 0 releases brought, 2 unchanged\n")
    assert repository.git("rev-parse", "HEAD") == head
    assert files_below(repository.path) == before


def test_what_an_earlier_run_wrote_is_committed(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL)
    command = ("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod")
    first = run(*command)
    assert " add files indexes && git " in first.err
    assert repository.git("status", "--porcelain") != ""
    second = run(*command, "--commit")
    assert second.out == "emilie/prod: 0 files of 0 releases brought, 1 unchanged\n"
    assert repository.git("status", "--porcelain") == ""
    assert run("-C", repository.path, "validate", "--head", "HEAD", "--all").code == 0


def test_edits_of_the_users_own_are_no_part_of_the_commit(
    run: Run, repository: IndexRepository, tmp_path: Path
) -> None:
    put(tmp_path / "dist", WHEEL)
    for name in ("indexes/emilie/user.toml", "indexes/emilie/dev/index.toml"):
        path = repository.path / name
        path.write_text(path.read_text() + "# a remark\n")
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/dev", "--commit")
    assert done.code == 0, done.err
    assert repository.git("show", "--format=", "--name-only", "HEAD", "--", "*.toml") == ""
    assert len(repository.git("status", "--porcelain").splitlines()) == 2


def test_user_that_an_earlier_run_made_is_committed(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL)
    command = ("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "zoe/dev", "--create")
    for more in ((), ("--commit",), ("--commit",)):
        done = run(*command, *more)
        assert done.code == 0, done.err
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.parametrize("seconds", [-100_000_000_000, 300_000_000_000, 1 << 62])
def test_time_that_no_calendar_has_is_none(seconds: int) -> None:
    """Some file systems keep such times, others do not."""
    path = SimpleNamespace(stat=lambda: SimpleNamespace(st_mtime=seconds))
    assert directory._time(cast("Path", path)) is None


def test_index_that_is_in_no_commit_yet_comes_along(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL)
    run("-C", repository.path, "user", "create", "bob")
    run("-C", repository.path, "index", "create", "bob/dev", "--base", "emilie/prod")
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "bob/dev", "--commit")
    assert done.code == 0, done.err
    assert repository.git("status", "--porcelain") == ""
    assert run("-C", repository.path, "validate", "--head", "HEAD", "--all").code == 0


@pytest.mark.parametrize("more", [("--commit",), ("--history",)])
def test_first_commit_has_what_it_needs(run: Run, tmp_path: Path, more: tuple[str, ...]) -> None:
    put(tmp_path / "dist", WHEEL)
    content = small_content().settings(groups={"team": ["bob"]}).user("bob").user("zoe")
    content.stage("emilie/dev", bases=["emilie/prod"], acl_upload=[":team", "zoe"])
    repository = make_repository(tmp_path / "packages", content)
    repository.git("update-ref", "-d", "HEAD")
    repository.git("rm", "-r", "--cached", "--quiet", ".")
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/dev", *more)
    assert done.code == 0, done.err
    listed = repository.git("ls-tree", "-r", "--name-only", "HEAD").splitlines()
    users = [f"indexes/{name}/user.toml" for name in ("bob", "emilie", "root", "zoe")]
    assert {"gitindex.toml", "indexes/emilie/prod/index.toml", "indexes/root/pypi/index.toml", *users} <= {*listed}
    assert run("-C", repository.path, "validate", "--head", "HEAD", "--all").code == 0


def test_warnings_of_the_rules_are_told(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    for name in ("name", "word"):
        put(tmp_path / name, *(make_wheel(f"{name}{number}", "1.0") for number in range(14)))
    command = ("-C", repository.path, "import", "dir", "--index", "emilie/prod")
    told = run(*command, tmp_path / "name")
    assert told.code == 0
    assert told.err.count("GI401 warning") == 10
    assert "… and 4 more warnings; see: gitindex validate" in told.err
    warnings = json.loads(run(*command, tmp_path / "word", "--json").out)["warnings"]
    assert [each["code"] for each in warnings] == ["GI401"] * 14


def test_other_bytes_are_a_conflict_and_the_rest_comes(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL)
    run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/dev", "--commit")
    other = make_wheel("demo", "1.0", files={"demo.py": b"other"})
    put(tmp_path / "dist", other, NEWER)
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/dev", "--commit")
    assert done.code == 1
    assert f"conflict: emilie/dev: {WHEEL[0]}: is released with the sha256 {digest(WHEEL[1])}" in done.out
    assert released(repository, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1]), NEWER[0]: digest(NEWER[1])}


def test_each_broken_file_is_named_with_its_reason(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    named, content = make_wheel("other", "1.0")
    folder = tmp_path / "dist"
    put(folder, WHEEL, ("README.txt", b"hello"), ("broken-1.0-py3-none-any.whl", b"no zip"), ("x-1.whl", b""))
    put(folder, ("mine-1.0-py3-none-any.whl", content), ("demo-9.9-py3-none-any.whl", WHEEL[1]))
    put(folder, ("empty-1.0.tar.gz", b""), ("bare-1.0-py3-none-any.whl", make_zip([("bare.py", b"")])))
    put(folder, make_wheel("bad-python", "1.0", requires_python="three"), make_sdist("bad-python", "1.0"))
    put(folder, ("demo-3.0-py3-none-any.egg", b"an egg"), (f"{named}.metadata", b"beside"), (".hidden", b""))
    done = run("-C", repository.path, "import", "dir", folder, "--index", "emilie/prod", "--json")
    assert done.code == 1
    left = {each["what"]: (each["kind"], each["why"]) for each in json.loads(done.out)["left"]}
    reasons = {
        "README.txt": ("note", "is no wheel and no sdist"),
        "demo-3.0-py3-none-any.egg": ("note", "is no wheel and no sdist"),
        "broken-1.0-py3-none-any.whl": ("left out", "is a broken archive"),
        "x-1.whl": ("left out", "is not the name of a wheel or an sdist"),
        "mine-1.0-py3-none-any.whl": ("left out", "has "),
        "demo-9.9-py3-none-any.whl": ("left out", "has "),
        "empty-1.0.tar.gz": ("left out", "is "),
        "bare-1.0-py3-none-any.whl": ("left out", "must have one .dist-info folder"),
        "bad_python-1.0-py3-none-any.whl": ("left out", "GI009: "),
    }
    assert left.keys() == reasons.keys()
    for what, (kind, start) in reasons.items():
        assert left[what][0] == kind
        assert left[what][1].startswith(start), what
    sound = make_sdist("bad-python", "1.0")
    assert released(repository, "emilie/prod") == {WHEEL[0]: digest(WHEEL[1]), sound[0]: digest(sound[1])}
    assert run("-C", repository.path, "validate", "--worktree").code == 0


def test_links_to_folders_are_not_followed(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", NEWER)
    files = put(tmp_path / "dist", WHEEL)
    (tmp_path / "dist/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "dist/loop").symlink_to(tmp_path / "dist")
    os.mkfifo(tmp_path / "dist" / SDIST[0])
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod")
    assert (done.code, released(repository, "emilie/prod")) == (0, files)
    assert f"note: emilie/prod: {SDIST[0]}: is no file" in done.out


def test_one_name_with_two_contents_is_taken_neither_way(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    other = make_wheel("demo", "1.0", files={"demo.py": b"other"})
    put(tmp_path / "dist/a", WHEEL)
    put(tmp_path / "dist/b", other, SDIST)
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod")
    assert done.code == 1
    assert "is there twice, and one of the two may have other bytes" in done.out
    assert SDIST[0] in released(repository, "emilie/prod")


def test_same_bytes_under_two_names_are_taken_once(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", SDIST, ("Demo-1.0.tar.gz", SDIST[1]))
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod")
    assert done.code == 1
    assert f"left out: emilie/prod: {SDIST[0]}: has the very bytes of Demo-1.0.tar.gz" in done.out
    assert released(repository, "emilie/prod") == {"Demo-1.0.tar.gz": digest(SDIST[1])}


def test_history_is_told_in_the_times_of_the_files(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL, SDIST, NEWER)
    for name, time in ((WHEEL[0], 1_500_000_000), (SDIST[0], 1_500_000_500), (NEWER[0], 1_400_000_000)):
        os.utime(tmp_path / "dist" / name, (time, time))
    before = len(subjects(repository))
    command = ("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod")
    assert run(*command, "--mtime", "--history").code == 0
    assert subjects(repository)[before:] == ["Release demo 2.0 to emilie/prod", "Release demo 1.0 to emilie/prod"]
    dates = repository.git("log", "--format=%at", "-2").split()
    assert dates == ["1500000000", "1400000000"]
    assert entry(repository, "emilie/prod", SDIST[0])["upload-time"] == "2017-07-14T02:48:20Z"
    assert run("-C", repository.path, "audit").code == 0


def test_index_is_made_only_when_that_is_asked(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL)
    command = ("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "bob/new", "--commit")
    refused = run(*command)
    assert refused.code == 1
    assert "bob/new: no such index; gitindex index create bob/new, or add --create" in refused.err
    assert not (repository.path / "indexes/bob").exists()
    assert run(*command, "--create").code == 0
    assert released(repository, "bob/new") == {WHEEL[0]: digest(WHEEL[1])}
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nowhere", "--index", "emilie/prod"), 3, "there is no such folder"),
        (("dist", "--index", "root/pypi"), 2, "root/pypi is a mirror"),
        (("dist", "--index", "nonsense"), 2, "is no name of an index"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Run, repository: IndexRepository, tmp_path: Path, *, arguments: tuple[str, ...], code: int, told: str
) -> None:
    put(tmp_path / "dist", WHEEL)
    folder, *options = arguments
    done = run("-C", repository.path, "import", "dir", tmp_path / folder, *options)
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert len(done.err.splitlines()) == 1


def test_archived_project_takes_nothing(run: Run, tmp_path: Path) -> None:
    content = small_content()
    content.release("emilie/prod", "demo", "0.1")
    content.statements("emilie/prod", "demo", status="archived")
    repository = make_repository(tmp_path / "packages", content)
    put(tmp_path / "dist", WHEEL, make_wheel("fine", "1.0"))
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod", "--commit")
    assert done.code == 1
    assert f"left out: emilie/prod: {WHEEL[0]}: demo is archived in emilie/prod" in done.out
    assert sorted(released(repository, "emilie/prod")) == ["demo-0.1-py3-none-any.whl", "fine-1.0-py3-none-any.whl"]


def test_files_go_to_the_storage_outside(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    repository = make_repository(tmp_path / "packages", small_content(storage={"url": f"file://{store}/"}))
    put(tmp_path / "dist", WHEEL)
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod", "--commit")
    assert done.code == 0, done.err
    assert not (repository.path / "files").exists()
    assert (store / digest(WHEEL[1])[:2] / digest(WHEEL[1])[2:] / WHEEL[0]).read_bytes() == WHEEL[1]
    assert run("-C", repository.path, "verify").code == 0


def test_report_is_written_as_markdown(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL, ("a|b`<x>\n@bob.txt", b""))
    report = tmp_path / "report.md"
    run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod", "--report", report)
    assert report.read_text() == (
        "# Import from `dist`\n\n- `emilie/prod`: 1 file of 1 release brought\n\n## Note\n\n"
        "- `emilie/prod`: ``a|b`<x>\\n@bob.txt``: is no wheel and no sdist\n"
    )


def test_report_that_cannot_be_written_is_told_before_anything_is(
    run: Run, repository: IndexRepository, tmp_path: Path
) -> None:
    put(tmp_path / "dist", WHEEL)
    report = tmp_path / "no/report.md"
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod", "--report", report)
    told = f"gitindex: --report {report}: there is no such folder; make it first; nothing was done\n"
    assert (done.code, done.out, done.err) == (2, "", told)
    assert repository.git("status", "--porcelain") == ""


def test_upload_time_is_that_of_the_import_without_mtime(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL)
    os.utime(tmp_path / "dist" / WHEEL[0], (1_400_000_000, 1_400_000_000))
    run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod")
    assert EPOCH == "1795332300"
    assert entry(repository, "emilie/prod", WHEEL[0])["upload-time"] == UPLOAD_TIME


def test_link_to_nothing_that_is_named_like_a_release_is_left_out(
    run: Run, repository: IndexRepository, tmp_path: Path
) -> None:
    put(tmp_path / "dist", WHEEL)
    (tmp_path / "dist" / SDIST[0]).symlink_to(tmp_path / "gone")
    (tmp_path / "dist" / "notes.txt").symlink_to(tmp_path / "gone")
    done = run("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod")
    assert done.code == 1
    assert done.out.splitlines()[1:] == [
        "note: emilie/prod: notes.txt: is no wheel and no sdist",
        f"left out: emilie/prod: {SDIST[0]}: is a link to a file that is not there",
    ]


def test_report_that_cannot_be_written_hides_nothing(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    put(tmp_path / "dist", WHEEL)
    command = ("-C", repository.path, "import", "dir", tmp_path / "dist", "--index", "emilie/prod", "--commit")
    report = ("--report", tmp_path / "no" / "report.md")
    refused = run(*command, *report)
    assert (refused.code, refused.out, released(repository, "emilie/prod")) == (2, "", {})
    (tmp_path / "no").mkdir()
    hook = repository.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nrmdir '{tmp_path}/no'\n")
    hook.chmod(0o755)
    done = run(*command, *report)
    assert (done.code, done.out) == (3, "emilie/prod: 1 file of 1 release brought\n")
    assert released(repository, "emilie/prod") == {WHEEL[0]: digest(WHEEL[1])}
