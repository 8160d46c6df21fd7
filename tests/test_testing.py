"""`gitindex test`: real tox, nox and pytest against a release, and what is written down of it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gitindex.errors import CannotRunError
from gitindex.testing import running
from gitindex.testing.fetching import Sources
from gitindex.testing.running import Runner, Wanted, _Session, pick_runner
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.repositories import Content, IndexRepository, make_repository, small_content

TOX = b"[tox]\nenv_list = unit\nno_package = false\n[testenv]\ncommands = python check.py {posargs}\n"
NOXFILE = b"""\
import nox

nox.options.sessions = ["unit"]


@nox.session
def unit(session):
    session.install("table-print==1.0")
    session.run("python", "check.py")


@nox.session
def broken(session):
    session.run("python", "-c", "raise SystemExit(1)")
"""
CHECK = b"import sys, table_print\nassert 'site-packages' in table_print.__file__\nprint('checked', *sys.argv[1:])\n"
FAILS = b"raise SystemExit(1)\n"


def repository_with(tmp_path: Path, files: Mapping[str, bytes]) -> IndexRepository:
    """Return an index with a release, a wheel and an sdist that has these *files*."""
    content = small_content()
    members = {"pyproject.toml": b"", **files}
    add(content, *make_sdist("table-print", "1.0", files=members))
    add(content, *make_wheel("table-print", "1.0"))
    return make_repository(tmp_path / "index", content)


def add(content: Content, filename: str, data: bytes) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    entry = {"filename": filename, "hashes": {"sha256": sha256}, "size": len(data)}
    content[f"files/{sha256[:2]}/{sha256[2:]}/{filename}"] = data
    content.add_file("emilie/dev", "table-print", "1.0", entry)


def results(repository: IndexRepository) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        (repository.path / "indexes/emilie/dev/table-print/1.0.tests.json").read_text()
    )
    return found


def test_tox_tests_the_wheel_and_what_came_of_it_is_committed(tmp_path: Path, run: Run) -> None:
    repository = repository_with(tmp_path, {"tox.ini": TOX, "check.py": CHECK})
    log = tmp_path / "log.txt"
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev", "--commit", "--log", log)
    assert done.code == 0, done.err + log.read_text()
    assert done.out == "Record tests of table-print 1.0 in emilie/dev: unit passed\n"
    (result,) = results(repository)
    manifest = json.loads((repository.path / "indexes/emilie/dev/table-print/1.0.json").read_text())
    assert {result["environment"], result["outcome"]} == {"unit", "passed"}
    assert set(result["files"]) == {file["hashes"]["sha256"] for file in manifest["files"]}
    assert result["log"] == hashlib.sha256(log.read_bytes()).hexdigest()
    assert b"checked" in log.read_bytes()
    assert run("-C", repository.path, "validate", "--base", "HEAD~1", "--head", "HEAD").code == 0


def test_results_are_added_to_those_that_are_there(tmp_path: Path, run: Run) -> None:
    repository = repository_with(tmp_path, {"tox.ini": TOX, "check.py": FAILS})
    log = tmp_path / "log.txt"
    for count in (1, 2):
        done = run("-C", repository.path, "test", "table-print==1.0", "--index", "emilie/dev", "--log", log)
        assert done.code == 1
        assert [result["outcome"] for result in results(repository)] == ["failed"] * count


def test_others_may_write_while_the_tests_run(tmp_path: Path, run: Run) -> None:
    there = tmp_path / "index/indexes/emilie/dev/table-print/1.0.tests.json"
    other = {"environment": "other", "outcome": "passed", "duration": 1.0, "time": "2026-01-02T03:04:05Z"}
    other |= {"files": [hashlib.sha256(make_wheel("table-print", "1.0")[1]).hexdigest()], "log": "0" * 64}
    check = (
        f"import fcntl\nlock = open({str(tmp_path / 'index/.git/gitindex-worktree')!r}, 'ab')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        f"open({str(there)!r}, 'w').write({json.dumps([other])!r})\n"
    )
    repository = repository_with(tmp_path, {"tox.ini": TOX, "check.py": check.encode()})
    log = tmp_path / "log.txt"
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev", "--log", log)
    assert done.code == 0, done.err + log.read_text()
    assert [result["environment"] for result in results(repository)] == ["other", "unit"]


def test_arguments_reach_the_tests_and_nothing_is_written_where_that_is_asked(tmp_path: Path, run: Run) -> None:
    repository = repository_with(tmp_path, {"tox.ini": TOX, "check.py": CHECK})
    log = tmp_path / "log.txt"
    words = ["test", "table-print", "--index", "emilie/dev", "--no-record", "--json", "--log", log, "--", "to", "them"]
    done = run("-C", repository.path, *words)
    assert done.code == 0, done.err
    assert [found["outcome"] for found in json.loads(done.out)["runs"]] == ["passed"]
    assert "checked to them" in log.read_text()
    assert not (repository.path / "indexes/emilie/dev/table-print/1.0.tests.json").exists()


def test_environment_that_cannot_be_made_is_an_error_and_no_failure(tmp_path: Path, run: Run) -> None:
    ini = TOX + b"deps = nothing-of-that-name==1.0\n"
    repository = repository_with(tmp_path, {"tox.ini": ini, "check.py": CHECK})
    settings = repository.path / "indexes/emilie/prod/index.toml"
    settings.write_text(settings.read_text().replace('bases = ["root/pypi"]', "bases = []"))
    done = run(
        "-C", repository.path, "test", "table-print", "--index", "emilie/dev", "--log", tmp_path / "log", "--no-record"
    )
    assert (done.code, done.out.startswith("unit: error in ")) == (1, True)


def test_nox_runs_the_sessions_that_are_named(tmp_path: Path, run: Run) -> None:
    repository = repository_with(tmp_path, {"noxfile.py": NOXFILE, "check.py": CHECK})
    log = tmp_path / "log.txt"
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev", "--log", log)
    assert done.code == 0, log.read_text()
    assert [(result["environment"], result["outcome"]) for result in results(repository)] == [("unit", "passed")]
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev", "-e", "broken", "--log", log)
    assert done.code == 1
    assert [(result["environment"], result["outcome"]) for result in results(repository)][1:] == [("broken", "failed")]


@pytest.mark.network
def test_pytest_tests_the_installed_release(tmp_path: Path, run: Run) -> None:
    wheels = tmp_path / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(wheels)]
    if subprocess.run([*pip, "pytest"], capture_output=True, check=False).returncode:
        pytest.skip("pytest cannot be downloaded here")
    check = b"import table_print\n\n\ndef test_it():\n    assert 'site-packages' in table_print.__file__\n"
    repository = repository_with(tmp_path, {"tests/test_it.py": check})
    assert run("-C", repository.path, "upload", *wheels.iterdir(), "--index", "emilie/prod").code == 0
    log = tmp_path / "log.txt"
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev", "--log", log)
    assert done.code == 0, log.read_text()
    (result,) = results(repository)
    assert result["environment"] == f"py{sys.version_info[0]}{sys.version_info[1]}"
    wheel = hashlib.sha256(make_wheel("table-print", "1.0")[1]).hexdigest()
    assert result["files"] == [wheel]


@pytest.mark.parametrize(
    ("files", "runner"),
    [
        ({"tox.ini": ""}, Runner.TOX),
        ({"tox.toml": "", "noxfile.py": ""}, Runner.TOX),
        ({"pyproject.toml": "[tool.tox]\n"}, Runner.TOX),
        ({"setup.cfg": "[tox:tox]\n"}, Runner.TOX),
        ({"setup.cfg": "[metadata]\n", "noxfile.py": ""}, Runner.NOX),
        ({"pyproject.toml": "[tool]\ntox = 1\n"}, Runner.TOX),
        ({"pyproject.toml": "tool = 1\n"}, Runner.PYTEST),
        ({"pyproject.toml": "broken"}, Runner.PYTEST),
        ({"pyproject.toml": "a = " + "[" * 100_000}, Runner.PYTEST),
        ({}, Runner.PYTEST),
    ],
)
def test_runner_is_what_the_sources_have_a_configuration_of(
    tmp_path: Path, files: dict[str, str], runner: Runner
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert pick_runner(tmp_path) is runner


def test_secrets_and_other_indexes_are_not_seen(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    look = b"import os; print(sorted(k for k in os.environ if 'TOKEN' in k or 'INDEX' in k or 'KEY' in k))\n"
    ini = TOX + b"pass_env = *\n"
    repository = repository_with(tmp_path, {"tox.ini": ini, "check.py": look})
    for name in ("GH_TOKEN", "GITINDEX_TOKEN", "AWS_SECRET_ACCESS_KEY", "PIP_EXTRA_INDEX_URL", "UV_INDEX"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/secret")
    log = tmp_path / "log.txt"
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev", "--no-record", "--log", log)
    assert done.code == 0, log.read_text()
    assert "['PIP_INDEX_URL', 'UV_DEFAULT_INDEX']" in log.read_text()


def test_tests_that_do_not_end_are_ended_with_all_that_they_started(tmp_path: Path, run: Run) -> None:
    hang = b"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    repository = repository_with(tmp_path, {"tox.ini": TOX, "check.py": hang})
    log = tmp_path / "log.txt"
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev", "--timeout", "20", "--log", log)
    assert (done.code, "the tests took more than 20 seconds" in done.err) == (3, True)
    assert not (repository.path / "indexes/emilie/dev/table-print/1.0.tests.json").exists()


STARTS = """\
import subprocess, sys
words = [sys.executable, "-c", "import time; time.sleep(60)"]
{call}
print("left", left.pid, flush=True)
{end}
"""
APART = "left = subprocess.Popen(words, start_new_session=True)"
SILENT = "left = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"


def session(tmp_path: Path, timeout: float = 30) -> tuple[_Session, io.BytesIO]:
    """Return what runs commands, and its log."""
    log = io.BytesIO()
    sources = Sources(tmp_path, {tmp_path / "table_print-1.0.tar.gz": "a" * 64})
    wanted = Wanted("table-print==1.0", frozenset(), timeout=timeout)
    return _Session(sources, wanted, "http://127.0.0.1:9/", tmp_path, log), log


def pid_of_what_is_left(log: io.BytesIO) -> int:
    return int(log.getvalue().decode().partition("left ")[2].split()[0])


def is_running(pid: int) -> bool:
    """Tell whether a process runs: nobody may have asked for the exit code of one that does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("end", "timeout"), [("", 30.0), ("import time; time.sleep(60)", 3.0)])
def test_what_holds_the_line_open_from_another_session_is_not_waited_for(
    tmp_path: Path, end: str, timeout: float
) -> None:
    runs, log = session(tmp_path, timeout)
    start = time.monotonic()
    with pytest.raises(CannotRunError, match="more than 3 seconds") if end else contextlib.nullcontext():
        runs._run([sys.executable, "-c", STARTS.format(call=APART, end=end)])
    assert time.monotonic() - start < 20
    os.kill(pid_of_what_is_left(log), signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are not told of in /proc here")
def test_what_tests_leave_behind_in_silence_is_ended(tmp_path: Path) -> None:
    runs, log = session(tmp_path)
    assert runs._run([sys.executable, "-c", STARTS.format(call=SILENT, end="")]).code == 0
    ends, pid = time.monotonic() + 5, pid_of_what_is_left(log)
    while is_running(pid):
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_last_words_are_heard(tmp_path: Path) -> None:
    runs, log = session(tmp_path)
    runs._run([sys.executable, "-c", "print('x' * 3_000_000, end='')"])
    assert len(log.getvalue()) == 3_000_000


@pytest.mark.parametrize(
    "facts",
    [
        {"result": {"success": True, "duration": 10**400}},
        {"result": {"success": True, "duration": float("inf")}},
        {"result": {"success": True, "duration": float("nan")}},
        {"result": {"success": True, "duration": -1}},
        {"result": {"success": True, "duration": "1"}},
    ],
)
def test_report_of_tox_with_a_duration_that_is_none(
    tmp_path: Path, facts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_tool", lambda name: ["true", name])
    (tmp_path / "tox.json").write_text(json.dumps({"testenvs": {"unit": facts}}))
    (found,) = session(tmp_path)[0].tox()
    assert (found.environment, found.outcome) == ("unit", "passed")
    assert 0 <= found.duration < 30


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\n\nSigned-off-by: somebody", "\ud800", "", "x" * 1000, "\u202e"])
def test_name_of_an_environment_is_one_line(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_tool", lambda name: ["true", name])
    (tmp_path / "tox.json").write_text(json.dumps({"testenvs": {name: {"result": {"success": True}}}}))
    (found,) = session(tmp_path)[0].tox()
    assert found.environment
    assert found.environment.isprintable()
    assert len(found.environment) <= 200


@pytest.mark.parametrize("report", ["[" * 100_000, '{"sessions": 5}', '{"sessions": {}}', "5", "", '{"sessions": [5]}'])
def test_report_of_nox_that_is_none(tmp_path: Path, report: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_tool", lambda name: ["true", name])
    (tmp_path / "nox.json").write_text(report)
    (found,) = session(tmp_path)[0].nox()
    assert (found.environment, found.outcome != "passed") == ("nox", True)


def test_report_that_is_a_pipe_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_tool", lambda name: ["true", name])
    os.mkfifo(tmp_path / "tox.json")
    assert [found.outcome for found in session(tmp_path)[0].tox()] == ["error"]


def test_modules_of_the_sources_take_no_part_in_the_runner(tmp_path: Path) -> None:
    (tmp_path / "tox.py").write_text("print('not tox')\n")
    runs, log = session(tmp_path)
    assert runs._run([*running._tool("tox"), "--version"]).code == 0
    assert b"not tox" not in log.getvalue()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://emilie:hunter2@db.example.org/x"),
        ("SSH_AUTH_SOCK", "/run/agent"),
        ("NPM_CONFIG__AUTH", "x"),
        ("TWINE_PASSPHRASE", "x"),
        ("MYSQL_PWD", "x"),
        ("GH_PAT", "x"),
        ("SOME_API_KEY", "x"),
        ("GITHUB_ENV", "/runner/env"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://example.org/"),
        ("NETRC", "/home/emilie/.netrc"),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus"),
    ],
)
def test_variables_that_are_nothing_for_tests(
    tmp_path: Path, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("LC_MEASUREMENT", "C")
    runs, log = session(tmp_path)
    runs._run([sys.executable, "-c", "import os; print(*os.environ)"])
    assert name not in log.getvalue().decode().split()
    assert {"LC_MEASUREMENT", "PATH", "HOME"} <= set(log.getvalue().decode().split())


def test_release_without_an_sdist_is_told(tmp_path: Path, run: Run) -> None:
    content = small_content()
    content.release("emilie/dev", "table-print", "1.0")
    repository = make_repository(tmp_path / "index", content)
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev")
    assert (done.code, "has no sdist, and tests come in one" in done.err) == (2, True)


def test_sdist_that_climbs_out_is_refused(tmp_path: Path, run: Run) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name in ("table_print-1.0/PKG-INFO", "table_print-1.0/../../evil.txt"):
            member = tarfile.TarInfo(name)
            archive.addfile(member, io.BytesIO(b""))
    content = small_content()
    add(content, "table_print-1.0.tar.gz", data.getvalue())
    repository = make_repository(tmp_path / "index", content)
    done = run("-C", repository.path, "test", "table-print", "--index", "emilie/dev")
    assert (done.code, "cannot be unpacked" in done.err) == (1, True), done.err


def test_sdist_with_a_header_without_end_is_refused(tmp_path: Path) -> None:
    """The tar module would take all of it into memory: here it is given less than that."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 3 << 30
    path = tmp_path / "table_print-1.0.tar.gz"
    # Members of gzip that follow each other are one stream.
    path.write_bytes(gzip.compress(header.tobuf(tarfile.USTAR_FORMAT)) + gzip.compress(bytes(1 << 24)) * 192)
    code = (
        "import resource, sys, pathlib; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
        "from gitindex.errors import DistributionError; from gitindex.testing.fetching import _unpacked\n"
        "try: _unpacked(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "except DistributionError as error: print(error)"
    )
    words = [sys.executable, "-c", code, str(path), str(tmp_path / "source")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert "cannot be unpacked: has a tar header of more than" in done.stdout, done.stderr[-500:]


def test_project_that_is_not_there_is_told(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "index", small_content())
    done = run("-C", repository.path, "test", "nothing", "--index", "emilie/dev")
    assert (done.code, done.err.count("\n")) == (1, 1)
