"""`gitindex import devpi FOLDER`: an export of devpi-server says the same as the server itself."""

from __future__ import annotations

import json
import shutil
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.builders import make_wheel
from tests.conftest import Run
from tests.devpi.servers import run_devpi
from tests.importing.devpi import devpi_server, fill
from tests.importing.shown import digest, entry, put, released
from tests.repositories import Content, IndexRepository, files_below, make_repository

WHEEL = make_wheel("demo", "1.0")
PATH = "emilie/dev/demo/1.0/" + WHEEL[0]


@pytest.fixture
def empty(tmp_path: Path) -> IndexRepository:
    return make_repository(tmp_path / "packages", Content().settings())


def export(folder: Path, *files: dict[str, Any], **more: Any) -> Path:
    """Write an export with these files of `emilie/dev`."""
    put(folder / "emilie/dev/demo/1.0", WHEEL)
    config = {"type": "stage", "volatile": True, "bases": [], "mirror_whitelist_inheritance": "intersection"}
    data = {
        "dumpversion": "2",
        "users": {"emilie": {"username": "emilie", "pwhash": "$argon2id$secret", "email": "emilie@example.org"}},
        "indexes": {"emilie/dev": {"indexconfig": config, "projects": {"demo": {"1.0": {}}}, "files": files}},
        **more,
    }
    (folder / "dataindex.json").write_text(json.dumps(data))
    return folder


def file(**stated: Any) -> dict[str, Any]:
    return {
        "type": "releasefile",
        "projectname": "demo",
        "version": "1.0",
        "relpath": PATH,
        "entrymapping": {"hashes": {"sha256": digest(WHEEL[1])}, "last_modified": "Fri, 01 Mar 2024 12:00:00 GMT"},
        **stated,
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Return the URL of a devpi-server, and an export of it."""
    folder = tmp_path_factory.mktemp("devpi")
    with devpi_server(folder) as running:
        fill(running)
    run_devpi("devpi-export", "--serverdir", folder / "server", folder / "export")
    with devpi_server(folder) as running:
        yield running.url, folder / "export"


@pytest.mark.peers
def test_export_makes_the_very_tree_that_the_server_does(run: Run, tmp_path: Path, both: tuple[str, Path]) -> None:
    url, folder = both
    trees, told = [], []
    for number, place in enumerate((url, str(folder))):
        repository = make_repository(tmp_path / str(number), Content().settings())
        done = run("-C", repository.path, "import", "devpi", place, "--commit", "--json")
        trees.append(repository.git("rev-parse", "HEAD:indexes", "HEAD:files"))
        told.append(json.loads(done.out)["left"])
    assert trees[0] == trees[1]
    assert told[0] == told[1]
    assert "pwhash" not in repository.git("log", "-p", "--all")
    assert "argon2" not in repository.git("log", "-p", "--all")


def test_file_comes_with_the_time_that_devpi_knows(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    folder = export(tmp_path / "export", file())
    before = files_below(folder)
    done = run("-C", empty.path, "import", "devpi", folder, "--commit")
    assert done.code == 0, done.out + done.err
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}
    assert entry(empty, "emilie/dev", WHEEL[0])["upload-time"] == "2024-03-01T12:00:00Z"
    assert files_below(folder) == before


def test_mirror_of_pypi_is_one_without_a_word(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    mirror = {"indexconfig": {"type": "mirror", "mirror_url": PYPI_SIMPLE_ENDPOINT, "volatile": False}}
    folder = export(tmp_path / "export", users={"root": {}}, indexes={"root/pypi": mirror})
    assert run("-C", empty.path, "import", "devpi", folder).code == 0
    assert (empty.path / "indexes/root/pypi/index.toml").read_text() == 'type = "mirror"\n'


def test_what_was_brought_until_it_was_broken_off_is_told(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    indexes = {
        "emilie/dev": {"indexconfig": {"type": "stage"}, "files": [file()]},
        "emilie/zoo": {"indexconfig": {"type": "stage"}},
    }
    folder = export(tmp_path / "export", indexes=indexes)
    hook = empty.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nrm -rf '{tmp_path}/no'\n! git diff --cached --name-only | grep -q zoo\n")
    hook.chmod(0o755)
    done = run("-C", empty.path, "import", "devpi", folder, "--commit")
    assert done.code == 3
    assert done.out.splitlines()[:2] == ["1 user brought", "emilie/dev: 1 file of 1 release brought"]
    committed, broken_off, error = done.err.splitlines()
    assert committed == f"Committed as {empty.git('rev-parse', 'HEAD')[:12]}."
    assert broken_off == "Broken off: the same command goes on from here."
    assert error.startswith("gitindex: written, and not committed: ")
    told_to_programs = run("-C", empty.path, "import", "devpi", folder, "--commit", "--json")
    said = json.loads(told_to_programs.out)
    assert (told_to_programs.code, said["broken_off"]) == (3, True)
    assert [(each["name"], each["files"], each["unchanged"]) for each in said["brought"]] == [("emilie/dev", 0, 1)]
    no_place = ("--report", tmp_path / "no" / "report.md")  # while it is asked for, there is a folder
    (tmp_path / "no").mkdir()
    both = run("-C", empty.path, "import", "devpi", folder, "--commit", *no_place)
    assert (both.code, [line.split(": ")[1] for line in both.err.splitlines()[-2:]]) == (
        3,
        ["cannot be written", "written, and not committed"],
    )
    hook.unlink()
    assert run("-C", empty.path, "import", "devpi", folder, "--commit").code == 0
    assert empty.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    "path", ["../outside-1.0.tar.gz", "/etc/passwd", "emilie/dev/../../../x", "gone.whl", "link-1.0.tar.gz", "a\0b", ""]
)
def test_path_that_leads_out_of_the_folder_is_left_out(
    run: Run, empty: IndexRepository, tmp_path: Path, path: str
) -> None:
    (tmp_path / "outside-1.0.tar.gz").write_bytes(b"secret")
    folder = export(tmp_path / "export", file(), file(relpath=path))
    (folder / "link-1.0.tar.gz").symlink_to(tmp_path / "outside-1.0.tar.gz")
    done = run("-C", empty.path, "import", "devpi", folder)
    assert done.code == 1
    assert "is not there, or leads out of the folder" in done.out
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}


def test_other_bytes_than_stated_are_left_out(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    folder = export(tmp_path / "export", file(entrymapping={"hashes": {"sha256": "0" * 64}}))
    done = run("-C", empty.path, "import", "devpi", folder)
    assert done.code == 1
    assert f"left out: emilie/dev: {WHEEL[0]}: has the sha256 {digest(WHEEL[1])}, and not {'0' * 64}" in done.out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read: No such file or directory; name a folder with dataindex.json"),
        ("{", "is no JSON that can be read"),
        ('{"dumpversion": "4"}', "is an export of version '4'; known are 1 to 3"),
    ],
)
def test_what_is_no_export_is_told_in_one_line(
    run: Run, empty: IndexRepository, tmp_path: Path, *, text: str | None, told: str
) -> None:
    folder = export(tmp_path / "export")
    (folder / "dataindex.json").unlink()
    if text is not None:
        (folder / "dataindex.json").write_text(text)
    done = run("-C", empty.path, "import", "devpi", folder)
    assert (done.code, done.out) == (3, "")
    assert told in done.err
    assert len(done.err.splitlines()) == 1


def test_exports_of_devpi_7_are_read(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    log = [{"what": "upload", "who": "emilie", "when": "2024-03-01T12:00:00Z", "dst": "emilie/dev"}]
    mapping = {"hashes": {"sha256": digest(WHEEL[1])}, "last_modified": "2024-03-01T12:00:00Z", "size": len(WHEEL[1])}
    projects = {
        "demo": {"config": {"name": "demo", "inheritance_rules": ["allow all"]}, "versions": {"1.0": {}, "2.0": {}}},
        "empty": {"config": {"name": "empty"}, "versions": {}},
    }
    config = {"type": "local", "volatile": True, "bases": []}
    files = [file(log=log, entrymapping=mapping)]
    indexes = {"emilie/dev": {"indexconfig": config, "projects": projects, "files": files}}
    folder = export(tmp_path / "export", dumpversion="3", indexes=indexes)
    done = run("-C", empty.path, "import", "devpi", folder, "--history")
    assert done.code == 0, done.out
    assert "note: emilie/dev: demo 2.0: has no files: nothing but its name was registered" in done.out
    assert "note: emilie/dev: empty: has no releases" in done.out
    assert entry(empty, "emilie/dev", WHEEL[0])["upload-time"] == "2024-03-01T12:00:00Z"
    assert 'mirror_whitelist = ["demo"]' in (empty.path / "indexes/emilie/dev/index.toml").read_text()
    assert empty.git("log", "-1", "--format=%an %aI") == "emilie 2024-03-01T12:00:00+00:00"


def test_old_exports_are_read(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    """Version 1 does not say of which version a file is, and has the digest in another place, or an older one."""
    old = file(entrymapping={"md5": "0" * 32})
    del old["version"]
    folder = export(tmp_path / "export", old, dumpversion="1")
    done = run("-C", empty.path, "import", "devpi", folder)
    assert done.code == 0, done.out
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}
    shutil.rmtree(folder)


def test_entries_of_other_types_are_told(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    odd = [file(projectname=5), file(type=None), file(relpath=["a"], projectname="other"), 5]
    folder = export(tmp_path / "export", file(), *odd)  # type: ignore[arg-type]
    done = run("-C", empty.path, "import", "devpi", folder)
    why = "dataindex.json does not say its relpath, type and projectname"
    told = [line for line in done.out.splitlines() if line.startswith("left out")]
    assert (done.code, told) == (1, [f"left out: emilie/dev: {what}: {why}" for what in ("an entry", PATH, "other")])
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}


def test_release_of_which_a_file_is_refused_is_not_called_empty(
    run: Run, empty: IndexRepository, tmp_path: Path
) -> None:
    folder = export(tmp_path / "export", file(relpath=None))
    done = run("-C", empty.path, "import", "devpi", folder)
    assert (done.code, "has no files" in done.out) == (1, False)


def test_files_that_are_no_list_are_told(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    folder = export(tmp_path / "export", indexes={"emilie/dev": {"indexconfig": {"type": "stage"}, "files": {"a": 1}}})
    done = run("-C", empty.path, "import", "devpi", folder)
    assert done.code == 1
    assert "left out: emilie/dev: what dataindex.json says of its files is no list" in done.out


def test_result_of_no_file_is_told(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    result = file(type="toxresult", for_entrypath="emilie/dev/+f/a/b/gone-1.0.tar.gz")
    done = run("-C", empty.path, "import", "devpi", export(tmp_path / "export", file(), result))
    assert done.code == 1
    assert f"left out: emilie/dev: {WHEEL[0]}: tells of no file that its release has" in done.out


def test_long_whitelist_takes_time_in_proportion(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(30_000)]
    config = {"type": "stage", "mirror_whitelist": names}
    folder = export(tmp_path / "export", indexes={"emilie/dev": {"indexconfig": config}})
    begun = time.monotonic()
    done = run("-C", empty.path, "import", "devpi", folder)
    assert (done.code, time.monotonic() - begun < 25) == (0, True)  # tomlkit alone would take minutes
    path = empty.path / "indexes/emilie/dev/index.toml"
    assert tomllib.loads(path.read_text())["mirror_whitelist"] == names


@pytest.mark.parametrize("indexes", [{}, [1], None])
def test_export_of_nothing_is_told_to_be_one(run: Run, empty: IndexRepository, tmp_path: Path, indexes: Any) -> None:
    folder = export(tmp_path / "export", users={}, indexes=indexes)
    done = run("-C", empty.path, "import", "devpi", folder)
    assert done.code == 0
    assert done.out.splitlines()[0] == "nothing to bring: there is no index in export that could be brought"


def test_unknown_index_is_told_the_nearest_few(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    stage = {"indexconfig": {"type": "stage"}}
    many = {f"user{number}/{'x' * 300}": stage for number in range(3000)}
    folder = export(tmp_path / "export", indexes={**many, "emilie/dev": stage, "emilie/prod": stage})
    done = run("-C", empty.path, "import", "devpi", folder, "--index", "emilie/prdo")
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    told = "has no such index; of its 3,002 these are the nearest: emilie/prod, emilie/dev, "
    assert told in done.err
    assert len(done.err) < 1000


def test_result_of_a_time_that_nobody_knows_is_told(run: Run, empty: IndexRepository, tmp_path: Path) -> None:
    path = "emilie/dev/demo/1.0/result"
    folder = export(
        tmp_path / "export",
        file(entrymapping={}),
        file(type="toxresult", relpath=path, for_entrypath=f"emilie/dev/+f/a/{WHEEL[0]}", entrymapping={}),
    )
    (folder / path).write_text('{"testenvs": {"py": {"test": [{"retcode": 0}]}}}')
    done = run("-C", empty.path, "import", "devpi", folder)
    assert done.code == 1
    assert "left out: emilie/dev: result: nobody says when that was" in done.out
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}
