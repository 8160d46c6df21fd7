"""The command line: what each command answers and writes, its exit codes and its errors."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Any

import pytest
import typer

from gitindex import __version__
from gitindex.cli import COMMANDS
from gitindex.hosts import HOSTS
from gitindex.rules import RULES
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.repositories import (
    UPLOAD_TIME,
    Content,
    IndexRepository,
    bare_clone,
    files_below,
    make_repository,
    small_content,
)

GITINDEX = [sys.executable, "-m", "gitindex"]


@pytest.fixture
def repo(repository: IndexRepository, monkeypatch: pytest.MonkeyPatch) -> IndexRepository:
    """The repository, with the process in it."""
    monkeypatch.chdir(repository.root)
    return repository


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder with a wheel and an sdist of two versions of demo."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        for name, data in (make_wheel("demo", version, requires_python=">=3.11"), make_sdist("demo", version)):
            (folder / name).write_bytes(data)
    return folder


def wheel(folder: Path, version: str = "1.0", text: str = "") -> Path:
    name, data = make_wheel("demo", version, files={"demo.py": text.encode()}, requires_python=">=3.11")
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def answer(run: Run, *arguments: str | Path) -> Any:
    """Return what a command prints with --json; it must succeed, and say nothing else."""
    result = run(*arguments, "--json")
    assert (result.code, result.err) == (0, ""), result
    return json.loads(result.out)


def is_one_line(text: str) -> bool:
    return text.startswith("gitindex: ") and text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


# Help and start


def test_the_lines_of_the_help_are_the_first_lines_of_the_docstrings() -> None:
    for name, entry in COMMANDS.items():
        found = getattr(import_module(f"gitindex.cli.{entry.module}"), entry.name)
        text = found.info.help if isinstance(found, typer.Typer) else getdoc(found)
        assert str(text).splitlines()[0] == entry.help, name


@pytest.mark.parametrize("group", ["user", "index", "token"])
def test_the_completion_of_the_shell_is_offered_once_and_not_by_each_group(run: Run, group: str) -> None:
    assert "completion" in run("--help").out
    assert "completion" not in run(group, "--help").out


def test_the_help_lists_every_command(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    listed = re.findall(r"^  ([\w-]+)  +(\S.*)$", result.out.partition("Commands:")[2], re.MULTILINE)
    assert [name for name, _ in listed] == list(COMMANDS)
    wanted = [
        "init",
        "user",
        "index",
        "upload",
        "push",
        "yank",
        "unyank",
        "remove",
        "list",
        "show",
        "why",
        "validate",
        "render",
        "install",
        "config",
        "rule",
        "schema",
    ]
    assert set(wanted) <= set(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.code == 0
    assert COMMANDS[name].help.split()[0] in result.out
    if name == "user":
        for command in ("create", "list", "show", "modify", "delete"):
            assert command in run("user", command, "--help").out
            assert command in run("index", command, "--help").out


def test_no_help_speaks_of_pythons_types_or_breaks_off() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert page.count("Usage: gitindex") > len(COMMANDS)
    assert re.findall(r"<(?:str|int|float|path|Path|list\b|int range|float range)[^>]*>", page) == []
    assert re.findall(r"^.*\w\.\.\.$", page, re.MULTILINE) == []


def test_the_help_of_a_group_says_the_whole_first_line_of_each_command(run: Run) -> None:
    for name in ("index", "forge", "mirror"):
        told = " ".join(run(name, "--help").out.partition("Commands:")[2].split())
        assert "..." not in told
    assert "bases=…, acl_upload+=bob, volatile=false." in " ".join(run("index", "--help").out.split())


@pytest.mark.parametrize("name", ["render", "publish"])
def test_the_help_names_every_host(run: Run, name: str) -> None:
    told = " ".join(run(name, "--help").out.split()).replace("- ", "-")
    named = re.search(r"what this host needs too: (.*?)\.", told)
    assert named is not None
    assert re.split(r", | or ", named[1]) == list(HOSTS)


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version") == (0, f"gitindex {__version__}\n", "")


def test_the_help_imports_nothing_heavy() -> None:
    program = """\
import sys
sys.argv = ["gitindex", "--help"]
from gitindex.__main__ import main
try:
    main()
except SystemExit:
    pass
heavy = {"pydantic", "pygit2", "jinja2", "requests", "rich", "packaging", "tomlkit", "pypi_simple", "zipfile", "ssl"}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_installed_program_and_the_module_are_the_same(repo: IndexRepository) -> None:
    module = subprocess.run([*GITINDEX, "index", "list"], capture_output=True, text=True, check=True)
    program = Path(sys.executable).with_name("gitindex")
    done = subprocess.run(
        [program, "-C", repo.root, "index", "list"], cwd="/", capture_output=True, text=True, check=True
    )
    assert module.stdout == done.stdout
    assert module.stderr == ""
    assert module.stdout.split() == (
        [
            "emilie/dev",
            "volatile",
            "bases:",
            "emilie/prod",
            "emilie/prod",
            "non-volatile",
            "bases:",
            "root/pypi",
            "root/pypi",
            "mirror",
        ]
    )


# Exit codes and errors


@pytest.mark.parametrize(
    "arguments",
    [
        "nonsense",
        "--nonsense",
        "upload",
        "upload x.whl",
        "list",
        "list --index emilie",
        "list --index ../prod",
        "list --index emilie/prod/x",
        "list --index emilie/prod de/mo",
        "push demo==1.0 emilie/dev",
        "push demo>=1 emilie/dev emilie/prod",
        "push demo[fast]==1.0 emilie/dev emilie/prod",
        "push emilie/dev emilie/prod",
        "push demo== emilie/dev emilie/prod",
        "push demo==1.0 emilie/dev emilie/dev",
        "push demo==1.0 emilie/dev root/pypi",
        "yank demo --index emilie/dev",
        "yank demo==1.0",
        "remove demo=1.0 --index emilie/dev",
        "remove demo --index root/pypi",
        "index create emilie/prod",
        "index create nobody/prod",
        "index create emilie/Prod",
        "index create emilie/x --type mirror --base emilie/prod",
        "index create emilie/x --mirror-url https://example.org/simple/",
        "index create emilie/x --type nonsense",
        "index modify emilie/dev",
        "index modify emilie/dev volatile",
        "index modify emilie/dev volatile=perhaps",
        "index modify emilie/dev nonsense=1",
        "index modify emilie/dev type=mirror",
        "index modify emilie/dev title+=x",
        "index modify emilie/dev bases-=root/pypi",
        "index modify emilie/dev require_tests-=py313",
        "index modify root/pypi mirror_cache_expiry=soon",
        "user create Emilie",
        "user create emilie",
        "user create files",
        "user modify emilie admin=maybe",
        "config nonsense --index emilie/prod",
        "config pip --index emilie/prod",
        "validate --format nonsense",
        "validate --staged --worktree",
        "validate --staged --head HEAD",
        "render",
        "install",
        "install --index emilie",
        "init --user Emilie",
        'init x --user emilie --title a"b',
    ],
)
def test_wrong_usage_is_exit_code_2_and_writes_nothing(repo: IndexRepository, run: Run, arguments: str) -> None:
    wheel(repo.path.parent / "x")
    before = files_below(repo.path)
    result = run(*arguments.split())
    assert result.code == 2, result
    assert result.out == ""
    assert is_one_line(result.err) or result.err.startswith("Usage: gitindex"), result.err
    assert "Traceback" not in result.err
    assert files_below(repo.path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("list --index emilie/nowhere", "emilie/nowhere: no such index"),
        ("list demo --index emilie/prod", "gitindex why demo --index emilie/prod"),
        ("show nobody", "nobody: no such user"),
        ("show emilie/nowhere", "no such index"),
        ("show emilie/dev demo", "has no files of demo"),
        ("user show nobody", "no such user"),
        ("user modify nobody title=x", "no such user"),
        ("user delete nobody", "no such user"),
        ("index show emilie/nowhere", "no such index"),
        ("index modify emilie/nowhere title=x", "no such index"),
        ("index delete emilie/nowhere", "no such index"),
        ("index list nobody", "no such user"),
        ("push demo==1.0 emilie/dev emilie/prod", "emilie/dev itself has no project demo"),
        ("yank demo==1.0 --index emilie/dev", "has no project demo"),
        ("unyank demo==1.0 --index emilie/dev", "has no project demo"),
        ("remove demo --index emilie/dev", "has no project demo"),
        ("remove demo==1.0 --index emilie/dev", "has no project demo"),
        ("render --out ../site --index emilie/nowhere", "no such index"),
        ("render --out ../site --rev nowhere", "nowhere: no such revision"),
        ("validate --base nowhere", "nowhere: no such revision"),
        ("validate --head nowhere", "nowhere: no such revision"),
        ("rule GI999", "GI999: no such rule"),
        ("config pip --index emilie/nowhere", "no such index"),
        ("install --index emilie/nowhere -- demo", "no such index"),
    ],
)
def test_what_is_not_there_is_exit_code_1_and_one_line(
    repo: IndexRepository, run: Run, arguments: str, words: str
) -> None:
    result = run(*arguments.split())
    assert (result.code, result.out) == (1, "")
    assert is_one_line(result.err)
    assert words in result.err
    assert not (repo.path.parent / "site").exists()


def test_what_cannot_be_run_is_exit_code_3_and_one_line(run: Run, tmp_path: Path) -> None:
    empty = make_repository(tmp_path / "empty").path
    for arguments, words in (
        (["-C", tmp_path, "list", "--index", "emilie/prod"], "gitindex init"),
        (["-C", tmp_path / "nowhere", "validate"], "no such folder"),
        (["-C", tmp_path, "render", "--out", tmp_path / "site"], "not in a Git repository"),
        (["-C", empty, "validate"], "gitindex init"),
        (["-C", empty, "index", "list"], "gitindex init"),
        (["-C", empty, "render", "--out", tmp_path / "site"], "gitindex init"),
    ):
        result = run(*arguments)
        assert (result.code, result.out) == (3, "")
        assert is_one_line(result.err)
        assert words in result.err
    assert not (tmp_path / "site").exists()


@pytest.mark.usefixtures("repo")
def test_an_unforeseen_error_is_one_line_and_not_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr("gitindex.cli.owners.current", fail)
    result = run("index", "list")
    assert (result.code, result.out) == (3, "")
    assert is_one_line(result.err)
    assert "RuntimeError: first second" in result.err
    monkeypatch.setenv("GITINDEX_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["gitindex", "index", "list"])
    from gitindex.__main__ import main

    with pytest.raises(RuntimeError):
        main()


def test_an_interrupted_run_is_exit_code_130_and_commits_nothing(
    repo: IndexRepository, dist: Path, tmp_path: Path
) -> None:
    hook = repo.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/reached\nexec sleep 60\n")
    hook.chmod(0o755)
    head = repo.git("rev-parse", "HEAD")
    upload = [*GITINDEX, "upload", str(dist / "demo-1.0.tar.gz"), "--index", "emilie/dev", "--commit"]
    process = subprocess.Popen(
        upload,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
        # A shell's background jobs ignore it, and their children with them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    while not (tmp_path / "reached").exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to git and its hook too
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert repo.git("rev-parse", "HEAD") == head


@pytest.mark.usefixtures("repo")
def test_a_reader_that_goes_away_is_no_error_to_tell() -> None:
    process = subprocess.Popen([*GITINDEX, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=30) in (0, 1)
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.usefixtures("repo")
def test_an_error_says_nothing_that_a_terminal_would_act_on(run: Run) -> None:
    result = run("show", "em\x1b[31milie\udcff")
    assert result.code == 1
    assert "\x1b" not in result.err
    assert is_one_line(result.err)


# init


def test_init_makes_a_repository_that_is_valid_committed_and_renders(run: Run, tmp_path: Path) -> None:
    made = answer(run, "init", tmp_path / "new", "--url", "https://packages.example.org/", "--title", "Acme & Söhne")
    assert made["user"] == "emilie-example"
    repository = IndexRepository(tmp_path / "new")
    assert repository.git("rev-parse", "HEAD") == made["commit"]
    assert repository.git("status", "--porcelain") == ""
    assert sorted(repository.git("ls-files").split()) == made["paths"]
    assert {"gitindex.toml", "README.md", ".gitattributes", "indexes/emilie-example/prod/index.toml"} < set(
        made["paths"]
    )
    assert run("-C", tmp_path / "new", "validate", "--all").code == 0
    assert run("-C", tmp_path / "new", "render", "--out", tmp_path / "site").code == 0
    settings = tomllib.loads((tmp_path / "new/gitindex.toml").read_text())
    assert settings["site"] == {"url": "https://packages.example.org/", "title": "Acme & Söhne"}
    shown = answer(run, "-C", tmp_path / "new", "index", "list")
    assert shown["emilie-example/prod"]["volatile"] is False
    assert shown["emilie-example/dev"]["bases"] == ["emilie-example/prod"]
    assert shown["root/pypi"]["type"] == "mirror"


def test_init_in_a_folder_of_a_repository_leaves_the_rest_alone(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "mono", {"code.py": b""})
    repository.write("unrelated.txt", "not committed")
    made = answer(run, "-C", repository.path, "init", "services/packages", "--user", "emilie", "--forge", "none")
    committed = repository.git("show", "--name-only", "--format=", made["commit"]).split()
    assert sorted(committed) == made["paths"]
    assert [path for path in made["paths"] if not path.startswith("services/packages/")] == [
        ".gitignore",
        ".pre-commit-config.yaml",
        ".taplo.toml",
        ".vscode/extensions.json",
        ".vscode/settings.json",
    ]
    assert repository.git("status", "--porcelain") == "?? unrelated.txt"


def test_init_writes_only_new_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/.gitattributes").write_text("mine")
    before = files_below(tmp_path / "new")
    result = run("init", tmp_path / "new", "--user", "emilie")
    assert result.code == 2
    assert "nothing was written" in result.err
    assert files_below(tmp_path / "new") == before
    assert run("init", tmp_path / "other", "--user", "emilie").code == 0
    assert run("init", tmp_path / "other", "--user", "bob").code == 2


def test_init_without_a_commit_makes_none(run: Run, tmp_path: Path) -> None:
    assert answer(run, "init", tmp_path / "new", "--user", "emilie", "--no-commit")["commit"] is None
    assert run("-C", tmp_path / "new", "validate").code == 0


def test_init_of_someone_whom_git_does_not_know_asks_for_a_name(run: Run, tmp_path: Path) -> None:
    Path(os.environ["HOME"], ".gitconfig").write_text("")
    result = run("init", tmp_path / "new")
    assert result.code == 2
    assert "--user" in result.err
    assert not (tmp_path / "new").exists()


# Users and indexes


def test_users_are_created_listed_shown_modified_and_deleted(repo: IndexRepository, run: Run) -> None:
    made = answer(run, "user", "create", "bob", "--email", "bob@example.org", "--title", "Bob")
    assert made == {"done": ["Create user bob"], "paths": ["indexes/bob/user.toml"], "along": [], "commit": None}
    assert answer(run, "user", "list") == {
        "bob": [],
        "emilie": ["emilie/dev", "emilie/prod"],
        "root": ["root/pypi"],
    }
    key = f"ssh:SHA256:{'q' * 43}"
    answer(
        run,
        "user",
        "modify",
        "bob",
        "title=Robert",
        "identities+=github:bob,ssh:SHA256:qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
        "admin=true",
    )
    answer(run, "user", "modify", "bob", f"identities-={key}")
    assert tomllib.loads((repo.root / "indexes/bob/user.toml").read_text()) == {
        "email": "bob@example.org",
        "title": "Robert",
        "identities": ["github:bob"],
        "admin": True,
    }
    shown = answer(run, "user", "show", "bob")["result"]
    assert shown == {"username": "bob", "email": "bob@example.org", "title": "Robert", "indexes": {}}
    assert "Robert" in run("user", "show", "bob").out
    assert "bob" in run("user", "list").out
    answer(run, "user", "delete", "bob")
    assert not (repo.root / "indexes/bob").exists()
    assert repo.git("status", "--porcelain") == ""


def test_indexes_are_created_listed_shown_modified_and_deleted(repo: IndexRepository, run: Run) -> None:
    create = ["index", "create", "emilie/top", "--base", "emilie/dev", "--base", "root/pypi", "--volatile"]
    answer(run, *create, "--title", "On top", "mirror_whitelist=Demo_Name,*", "acl_upload=emilie")
    definition = repo.root / "indexes/emilie/top/index.toml"
    assert tomllib.loads(definition.read_text()) == {
        "type": "stage",
        "title": "On top",
        "volatile": True,
        "bases": ["emilie/dev", "root/pypi"],
        "mirror_whitelist": ["demo-name", "*"],
        "acl_upload": ["emilie"],
    }
    shown = answer(run, "index", "show", "emilie/top")
    assert shown["type"] == "indexconfig"
    assert shown["result"]["projects"] == []
    assert "emilie/top > emilie/dev > emilie/prod > root/pypi" in run("index", "show", "emilie/top").out
    assert list(answer(run, "index", "list", "emilie")) == ["emilie/dev", "emilie/prod", "emilie/top"]
    answer(run, "index", "modify", "emilie/top", "bases=root/pypi", "title=")
    assert tomllib.loads(definition.read_text())["bases"] == ["root/pypi"]
    answer(run, "index", "delete", "emilie/top")
    assert not definition.parent.exists()


def test_a_mirror_is_created_and_modified(repo: IndexRepository, run: Run) -> None:
    answer(run, "index", "create", "emilie/curated", "--type", "mirror", "--mirror-url", "https://example.org/simple/")
    answer(
        run, "index", "modify", "emilie/curated", "mirror_cache_expiry=60", "allow=django<5,flask", "mirror_min_age=7d"
    )
    assert tomllib.loads((repo.root / "indexes/emilie/curated/index.toml").read_text()) == {
        "type": "mirror",
        "mirror_url": "https://example.org/simple/",
        "mirror_cache_expiry": 60,
        "allow": ["django<5", "flask"],
        "mirror_min_age": "7d",
    }
    result = run("index", "modify", "emilie/curated", "mirror_url=javascript:alert(1)")
    assert result.code == 1
    assert "GI001" in result.err


@pytest.mark.usefixtures("repo")
def test_the_inheritance_of_the_whitelist_is_set(run: Run) -> None:
    answer(run, "index", "modify", "emilie/dev", "mirror_whitelist_inheritance=union")
    assert answer(run, "index", "show", "emilie/dev")["result"]["mirror_whitelist_inheritance"] == "union"


def test_a_setting_that_need_not_be_there_is_taken_out(repo: IndexRepository, run: Run) -> None:
    definition = repo.root / "indexes/emilie/dev/index.toml"
    answer(run, "index", "modify", "emilie/dev", "title=Work", "description=More")
    answer(run, "index", "modify", "emilie/dev", "title-=", "merge_mirrors=true")
    assert "title" not in tomllib.loads(definition.read_text())
    assert tomllib.loads(definition.read_text())["description"] == "More"
    for setting in ("volatile-=", "merge_mirrors-=", "title-=Work"):
        assert run("index", "modify", "emilie/dev", setting).code == 2
    answer(run, "user", "modify", "emilie", "email-=")
    assert "email" not in answer(run, "user", "show", "emilie")["result"]


@pytest.mark.usefixtures("repo")
def test_a_project_on_the_whitelist_is_named_in_normal_form(run: Run) -> None:
    answer(run, "index", "modify", "emilie/dev", "mirror_whitelist+=Some_Name,other")
    assert answer(run, "index", "show", "emilie/dev")["result"]["mirror_whitelist"] == ["some-name", "other"]
    answer(run, "index", "modify", "emilie/dev", "mirror_whitelist-=SOME.name")
    assert answer(run, "index", "show", "emilie/dev")["result"]["mirror_whitelist"] == ["other"]


@pytest.mark.usefixtures("repo")
def test_an_uploader_is_added_to_the_owner_and_does_not_replace_them(run: Run) -> None:
    answer(run, "user", "create", "bob")
    answer(run, "index", "modify", "emilie/dev", "acl_upload+=bob")
    assert answer(run, "index", "show", "emilie/dev")["result"]["acl_upload"] == ["emilie", "bob"]
    answer(run, "index", "modify", "emilie/dev", "acl_upload-=emilie")
    assert answer(run, "index", "show", "emilie/dev")["result"]["acl_upload"] == ["bob"]


@pytest.mark.usefixtures("repo")
def test_tests_are_required_at_all_or_in_environments(run: Run) -> None:
    def wanted() -> object:
        return answer(run, "index", "show", "emilie/dev")["result"].get("require_tests", False)

    for setting, expected in (
        ("require_tests=true", True),
        ("require_tests+=py313", ["py313"]),
        ("require_tests=py311,py313", ["py311", "py313"]),
        ("require_tests-=py311", ["py313"]),
        ("require_tests=no", False),
    ):
        answer(run, "index", "modify", "emilie/dev", setting)
        assert wanted() == expected
    refused = run("index", "modify", "emilie/dev", "require_tests=")
    assert (refused.code, "must be true, false, or a list of the environments" in refused.err) == (1, True)


def test_comments_and_order_survive_a_change(repo: IndexRepository, run: Run) -> None:
    before = """\
# Where Emilie works
title = "Dev"   # short

type = "stage"
# why: people try things here
volatile = true
bases = [
    "emilie/prod",  # ours first
]
"""
    path = repo.write("indexes/emilie/dev/index.toml", before)
    answer(run, "index", "modify", "emilie/dev", "title=Development", "description=New")
    after = path.read_text()
    assert after == before.replace('"Dev"', '"Development"') + 'description = "New"\n'
    user = repo.write("indexes/emilie/user.toml", '# hers\nadmin = true  # since 2026\nemail = "e@example.org"\n')
    answer(run, "user", "modify", "emilie", "email=new@example.org")
    assert user.read_text() == '# hers\nadmin = true  # since 2026\nemail = "new@example.org"\n'


def test_values_are_written_as_text_and_never_as_toml(repo: IndexRepository, run: Run) -> None:
    hostile = 'a"\nadmin = true\n#\\ \x00\x1b é'
    answer(run, "user", "create", "bob", "--title", hostile)
    assert tomllib.loads((repo.root / "indexes/bob/user.toml").read_text()) == {"title": hostile}
    answer(run, "user", "modify", "bob", f"title={hostile}2")
    assert tomllib.loads((repo.root / "indexes/bob/user.toml").read_text()) == {"title": f"{hostile}2".strip()}


def test_a_promise_is_not_taken_back_by_a_command(repo: IndexRepository, run: Run) -> None:
    before = files_below(repo.path)
    for arguments, code in (
        (["index", "modify", "emilie/prod", "volatile=true"], "GI206"),
        (["index", "delete", "emilie/prod"], "GI201"),
        (["user", "delete", "emilie"], "GI208"),
        (["index", "modify", "emilie/prod", "bases=emilie/dev"], "GI102"),
        (["index", "modify", "emilie/dev", "bases=emilie/nowhere"], "GI101"),
        (["index", "create", "emilie/final", "--non-volatile", "--base", "emilie/dev"], "GI105"),
    ):
        result = run(*arguments)
        assert (result.code, result.out) == (1, "")
        assert code in result.err
        assert result.err.endswith("gitindex: refused, and nothing was written\n")
        assert files_below(repo.path) == before


# Releases


def test_upload_reads_names_versions_and_requirements_from_the_files(
    repo: IndexRepository, run: Run, dist: Path
) -> None:
    made = answer(run, "upload", *sorted(dist.iterdir()), "--index", "emilie/dev")
    assert made["done"] == [
        f"Upload {name} to emilie/dev"
        for name in ("demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz", "demo-2.0-py3-none-any.whl", "demo-2.0.tar.gz")
    ]
    content = Content({path: data for path, data in files_below(repo.root).items() if data != b"folder"})
    whl, sdist = (content.entry("emilie/dev", "demo", "1.0", place) for place in (0, 1))
    data = (dist / "demo-1.0-py3-none-any.whl").read_bytes()
    assert whl["size"] == len(data)
    assert whl["requires-python"] == ">=3.11"
    assert whl["upload-time"] == sdist["upload-time"] == UPLOAD_TIME
    assert content[content.stored("emilie/dev", "demo", "1.0")] == data
    assert b"Name: demo" in content[content.stored("emilie/dev", "demo", "1.0") + ".metadata"]
    assert "core-metadata" not in sdist
    assert run("validate", "--all").code == 0


def test_upload_says_what_it_did_and_what_to_commit(repo: IndexRepository, run: Run, dist: Path) -> None:
    result = run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/dev")
    assert result.out == "Upload demo-1.0.tar.gz to emilie/dev\n"
    command = result.err.strip().removeprefix("To commit it: ")
    assert command == "git add files indexes && git commit -m 'Upload demo-1.0.tar.gz to emilie/dev'"
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert repo.git("status", "--porcelain") == ""


def test_upload_again_changes_nothing_and_says_so(
    repo: IndexRepository, run: Run, dist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("upload", *dist.iterdir(), "--index", "emilie/dev", "--commit")
    before, head = files_below(repo.path), repo.git("rev-parse", "HEAD")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    made = answer(run, "upload", *dist.iterdir(), "--index", "emilie/dev", "--commit")
    assert made["paths"] == []
    assert made["commit"] is None
    assert {line.split(" ", 1)[0] for line in made["done"]} == {"Unchanged:"}
    assert (files_below(repo.path), repo.git("rev-parse", "HEAD")) == (before, head)


@pytest.mark.parametrize("where", ["1.0", "1.0.0", "1"])
def test_another_spelling_of_a_version_joins_the_release_that_is_there(
    repo: IndexRepository, run: Run, dist: Path, tmp_path: Path, where: str
) -> None:
    run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/dev", "--commit")
    run("upload", wheel(tmp_path / "w", where), "--index", "emilie/dev", "--commit")
    assert [path.name for path in sorted((repo.root / "indexes/emilie/dev/demo").iterdir())] == ["1.0.json"]
    assert run("validate", "--all").code == 0, run("validate", "--all").out


def test_other_bytes_of_a_released_file_are_refused_and_nothing_is_written(
    repo: IndexRepository, run: Run, tmp_path: Path
) -> None:
    run("upload", wheel(tmp_path / "one"), "--index", "emilie/prod", "--commit")
    before, head = files_below(repo.path), repo.git("rev-parse", "HEAD")
    result = run("upload", wheel(tmp_path / "two", text="other"), "--index", "emilie/prod", "--commit")
    assert (result.code, result.out) == (1, "")
    assert "GI205" in result.err
    assert files_below(repo.path) == before
    assert repo.git("rev-parse", "HEAD") == head


def test_point_75_a_filename_with_other_bytes_is_refused_in_one_upload_and_across_releases(
    repo: IndexRepository, run: Run, tmp_path: Path
) -> None:
    before = files_below(repo.path)
    one, two = wheel(tmp_path / "one"), wheel(tmp_path / "two", text="other")
    result = run("upload", one, two, "--index", "emilie/dev")
    assert result.code == 2
    assert "given twice" in result.err
    assert files_below(repo.path) == before


def test_upload_refuses_what_is_no_sound_distribution_and_writes_nothing(
    repo: IndexRepository, run: Run, dist: Path, tmp_path: Path
) -> None:
    data = (dist / "demo-1.0-py3-none-any.whl").read_bytes()
    for name, content in {
        "demo-1.0-py3-none-any.zip": data,
        "Demo-1.0-py3-none-any.whl": data,
        "demo-2.0-py3-none-any.whl": data,
        "other-1.0-py3-none-any.whl": data,
        "demo-1.0.tar.gz": data,
        "demo-3.0-py3-none-any.whl": data[:-9],
        "demo-4.0-py3-none-any.whl": b"",
        "x\x1b.whl": data,
    }.items():
        (tmp_path / name).write_bytes(content)
        before = files_below(repo.path)
        result = run("upload", dist / "demo-1.0.tar.gz", tmp_path / name, "--index", "emilie/dev")
        assert (result.code, result.out) == (1, ""), name
        assert is_one_line(result.err)
        assert "\x1b" not in result.err
        assert files_below(repo.path) == before


@pytest.mark.usefixtures("repo")
def test_upload_of_a_file_that_cannot_be_read_is_exit_code_3(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.whl", tmp_path):
        result = run("upload", path, "--index", "emilie/dev")
        assert (result.code, result.out) == (3, "")
        assert is_one_line(result.err)


@pytest.mark.usefixtures("repo")
def test_upload_with_a_clock_that_is_none_is_wrong_usage(run: Run, dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "noon")
    result = run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/dev")
    assert result.code == 2
    assert is_one_line(result.err)


@pytest.mark.parametrize("status", ["archived", "quarantined"])
def test_a_project_that_is_closed_takes_no_release(repo: IndexRepository, run: Run, dist: Path, status: str) -> None:
    run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/prod")
    run("upload", dist / "demo-2.0.tar.gz", "--index", "emilie/dev")
    repo.write("indexes/emilie/prod/demo/project.toml", f'status = "{status}"\n')
    before = files_below(repo.path)
    for arguments in (
        ["upload", dist / "demo-2.0.tar.gz", "--index", "emilie/prod"],
        ["push", "demo==2.0", "emilie/dev", "emilie/prod"],
    ):
        result = run(*arguments)
        assert result.code == 2
        assert status in result.err
        assert files_below(repo.path) == before


def test_upload_to_a_mirror_or_to_no_storage_is_refused(repo: IndexRepository, run: Run, dist: Path) -> None:
    assert "is a mirror" in run("upload", dist / "demo-1.0.tar.gz", "--index", "root/pypi").err
    repo.write(
        "gitindex.toml", 'format = 1\n[storage]\nurl = "file://elsewhere/x"\npublic_url = "https://f.example.org/"\n'
    )
    result = run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/dev")
    assert result.code == 3
    assert is_one_line(result.err)


def test_a_release_is_pushed_once(repo: IndexRepository, run: Run, dist: Path) -> None:
    run("upload", *dist.iterdir(), "--index", "emilie/dev", "--commit")
    made = answer(run, "push", "Demo==1.0.0", "emilie/dev", "emilie/prod")
    assert made["paths"] == ["indexes/emilie/prod/demo/1.0.json"]
    dev, prod = (repo.root / f"indexes/emilie/{name}/demo/1.0.json" for name in ("dev", "prod"))
    assert dev.read_bytes() == prod.read_bytes()
    again = answer(run, "push", "demo==1.0", "emilie/dev", "emilie/prod", "--commit")
    assert again["done"] == ["Unchanged: demo 1.0 in emilie/prod"]
    assert again["commit"] is not None, "what was written before is committed"
    assert answer(run, "push", "demo==1.0", "emilie/dev", "emilie/prod", "--commit")["commit"] is None


@pytest.mark.usefixtures("repo")
def test_what_is_inherited_is_pushed_from_where_it_is(run: Run, dist: Path) -> None:
    run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/prod")
    run("user", "create", "bob")
    run("index", "create", "bob/prod")
    result = run("push", "demo==1.0", "emilie/dev", "bob/prod")
    assert result.code == 1
    assert "it inherits it from emilie/prod" in result.err


def test_a_release_is_yanked_and_unyanked(repo: IndexRepository, run: Run, dist: Path) -> None:
    run("upload", *dist.iterdir(), "--index", "emilie/prod", "--commit")
    statements = repo.root / "indexes/emilie/prod/demo/project.toml"
    answer(run, "yank", "demo==1.0", "--index", "emilie/prod", "--reason", 'broken "on" <b>Windows</b>')
    assert tomllib.loads(statements.read_text()) == {"yanked": {"1.0": 'broken "on" <b>Windows</b>'}}
    answer(run, "yank", "demo==2.0", "--index", "emilie/prod", "--file", "demo-2.0.tar.gz")
    files = answer(run, "list", "demo", "--index", "emilie/dev")["files"]
    assert {file["filename"]: file["yanked"] for file in files} == {
        "demo-1.0-py3-none-any.whl": 'broken "on" <b>Windows</b>',
        "demo-1.0.tar.gz": 'broken "on" <b>Windows</b>',
        "demo-2.0-py3-none-any.whl": False,
        "demo-2.0.tar.gz": True,
    }
    assert answer(run, "yank", "demo==2.0", "--index", "emilie/prod", "--file", "demo-2.0.tar.gz")["paths"] == []
    result = run("yank", "demo==2.0", "--index", "emilie/prod", "--file", "other.whl")
    assert result.code == 1
    answer(run, "unyank", "demo==2.0.0", "--index", "emilie/prod", "--file", "demo-2.0.tar.gz")
    answer(run, "unyank", "demo==1.0", "--index", "emilie/prod")
    assert not statements.exists()
    assert answer(run, "unyank", "demo==1.0", "--index", "emilie/prod")["done"] == [
        "Unchanged: demo 1.0 is not yanked in emilie/prod"
    ]


def test_a_yank_keeps_the_other_statements_and_their_comments(repo: IndexRepository, run: Run, dist: Path) -> None:
    run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/dev")
    text = '# talk to bob first\nstatus = "deprecated"  # use other\n'
    statements = repo.write("indexes/emilie/dev/demo/project.toml", text)
    run("yank", "demo==1.0", "--index", "emilie/dev", "--reason", "x")
    assert statements.read_text() == text + '\n[yanked]\n"1.0" = "x"\n'
    run("unyank", "demo==1.0", "--index", "emilie/dev")
    assert statements.read_text() == text


def test_a_release_and_a_project_are_removed_with_their_files_and_yanks(
    repo: IndexRepository, run: Run, dist: Path
) -> None:
    run("upload", *dist.iterdir(), "--index", "emilie/dev", "--commit")
    run("yank", "demo==1.0", "--index", "emilie/dev", "--commit")
    run("yank", "demo==2.0", "--index", "emilie/dev", "--file", "demo-2.0.tar.gz", "--commit")
    tests = repo.write(
        "indexes/emilie/dev/demo/1.0.tests.json",
        '[{"environment": "py", "outcome": "passed", "duration": 1, "time": "2026-11-22T08:00:00Z", "files": ["'
        + "a" * 64
        + '"]}]',
    )
    repo.commit("Tests")
    made = answer(run, "remove", "demo==1.0.0", "--index", "emilie/dev", "--commit")
    assert made["commit"] is not None
    assert not tests.exists()
    assert tomllib.loads((repo.root / "indexes/emilie/dev/demo/project.toml").read_text()) == {
        "yanked": {"demo-2.0.tar.gz": ""}
    }
    assert len(list((repo.root / "files").rglob("demo-*"))) == 3
    assert run("validate", "--all").code == 0
    answer(run, "remove", "demo", "--index", "emilie/dev", "--commit")
    assert not (repo.root / "files").exists()
    assert not (repo.root / "indexes/emilie/dev/demo").exists()
    assert repo.git("status", "--porcelain") == ""


def test_nothing_is_removed_from_a_non_volatile_index(repo: IndexRepository, run: Run, dist: Path) -> None:
    run("upload", *dist.iterdir(), "--index", "emilie/prod", "--commit")
    before = files_below(repo.path)
    for what, code in (("demo==1.0", "GI203"), ("demo", "GI202")):
        result = run("remove", what, "--index", "emilie/prod", "--commit")
        assert result.code == 1
        assert code in result.err
        assert files_below(repo.path) == before


def test_what_was_not_published_yet_can_be_removed_from_a_non_volatile_index(
    repo: IndexRepository, run: Run, dist: Path
) -> None:
    repo.publish()
    run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/prod", "--commit")
    assert run("remove", "demo", "--index", "emilie/prod", "--commit").code == 0
    assert run("validate").code == 0


def test_a_commit_holds_what_the_command_wrote_and_runs_the_hooks(repo: IndexRepository, run: Run, dist: Path) -> None:
    repo.write("indexes/emilie/user.toml", "title = 'not for this commit'\n")
    repo.git("add", "--all")
    hook = repo.path / ".git/hooks/commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\necho "Signed-off-by: a hook" >> "$1"\n')
    hook.chmod(0o755)
    result = run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/dev", "--commit")
    head = repo.git("rev-parse", "HEAD")
    assert result.err == f"Committed as {head[:12]}.\n"
    assert repo.git("log", "-1", "--format=%B").splitlines() == [
        "Upload demo-1.0.tar.gz to emilie/dev",
        "Signed-off-by: a hook",
    ]
    assert {path.split("/")[0] for path in repo.git("show", "--name-only", "--format=", "HEAD").split()} == {
        "files",
        "indexes",
    }
    assert repo.git("status", "--porcelain") == "M  indexes/emilie/user.toml"


def test_a_commit_that_a_hook_refuses_is_an_error_and_the_files_stay(
    repo: IndexRepository, run: Run, dist: Path
) -> None:
    hook = repo.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'not on a Sunday' >&2\nexit 1\n")
    hook.chmod(0o755)
    result = run("upload", dist / "demo-1.0.tar.gz", "--index", "emilie/dev", "--commit")
    assert result.code == 3
    assert "not on a Sunday" in result.err
    hook.unlink()
    assert answer(run, "upload", dist / "demo-1.0.tar.gz", "--index", "emilie/dev", "--commit")["commit"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["upload", "{dist}/demo-1.0.tar.gz", "--index", "emilie/dev"],
        ["user", "create", "bob"],
        ["index", "modify", "emilie/dev", "title=x"],
    ],
    ids=" ".join,
)
def test_a_bare_repository_is_not_written_to(
    repo: IndexRepository, run: Run, dist: Path, tmp_path: Path, arguments: list[str]
) -> None:
    bare = bare_clone(repo, tmp_path / "bare.git")
    before = files_below(bare)
    result = run("-C", bare, *(argument.format(dist=dist) for argument in arguments))
    assert (result.code, result.out) == (3, "")
    assert is_one_line(result.err)
    assert "bare" in result.err
    assert files_below(bare) == before
    assert answer(run, "-C", bare, "user", "list")


def test_in_a_monorepo_paths_are_told_from_its_top(run: Run, dist: Path, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "mono", small_content(), folder="services/packages")
    upload = ["upload", str(dist / "demo-1.0.tar.gz"), "--index", "emilie/dev"]
    made = answer(run, "-C", repository.root, *upload)
    assert all(path.startswith("services/packages/") for path in made["paths"])
    assert answer(run, "-C", repository.path, "--folder", "services/packages", *upload, "--commit")["commit"]
    assert repository.git("status", "--porcelain") == ""


# What there is


@pytest.fixture
def released(repo: IndexRepository) -> IndexRepository:
    content = small_content(site={"url": "https://packages.example.org"})
    content.release("emilie/prod", "Table-Print", "1.0")
    content.release("emilie/prod", "Table-Print", "1.10")
    content.release("emilie/dev", "Table-Print", "1.10", text="dev")
    content.release("emilie/dev", "Table-Print", "1.9", requires_python=">=3.11")
    content.release("emilie/prod", "secret", "1.0")
    content.statements("emilie/prod", "secret", status="quarantined")
    content.statements("emilie/prod", "table-print", yanked={"1.0": "old"})
    repo.put(content)
    repo.commit("Release")
    return repo


@pytest.mark.usefixtures("released")
def test_list_names_projects_and_where_they_are(run: Run) -> None:
    assert answer(run, "list", "--index", "emilie/dev") == {
        "projects": [
            {"name": "secret", "indexes": ["emilie/prod"]},
            {"name": "table-print", "indexes": ["emilie/dev", "emilie/prod"]},
        ]
    }
    assert run("list", "--index", "emilie/dev").out.split() == [
        "secret",
        "emilie/prod",
        "table-print",
        "emilie/dev",
        "emilie/prod",
    ]
    assert answer(run, "list", "--index", "root/pypi") == {"projects": []}


@pytest.mark.usefixtures("released")
def test_list_names_the_files_of_a_project_in_the_order_of_versions(run: Run) -> None:
    files = answer(run, "list", "table.print", "--index", "emilie/dev/")["files"]
    assert [(file["version"], file["index"], file["yanked"]) for file in files] == [
        ("1.0", "emilie/prod", "old"),
        ("1.9", "emilie/dev", False),
        ("1.10", "emilie/dev", False),
    ]
    assert set(files[0]) == {"filename", "version", "index", "hashes", "yanked"}
    assert "yanked: old" in run("list", "table-print", "--index", "emilie/dev").out
    assert answer(run, "list", "secret", "--index", "emilie/dev")["files"] == []


@pytest.mark.usefixtures("released")
def test_show_has_the_shapes_of_devpi(run: Run) -> None:
    everything = answer(run, "show")
    assert everything["type"] == "list:userconfig"
    assert set(everything["result"]) == {"emilie", "root"}
    assert answer(run, "show", "emilie")["result"]["indexes"]["prod"]["volatile"] is False
    index = answer(run, "show", "/emilie/dev/")
    assert index["type"] == "indexconfig"
    assert index["result"]["projects"] == ["table-print"]
    assert index["result"]["acl_upload"] == ["emilie"]
    project = answer(run, "show", "emilie/dev", "Table.Print")
    assert project["type"] == "projectconfig"
    assert list(project["result"]) == ["1.10", "1.9", "1.0"]
    link = project["result"]["1.9"]["+links"][0]
    assert link["rel"] == "releasefile"
    assert link["hash_spec"] == f"sha256={link['hashes']['sha256']}"
    assert project["result"]["1.9"]["requires_python"] == ">=3.11"


@pytest.mark.usefixtures("released")
def test_why_says_what_gives_hides_and_shadows(run: Run) -> None:
    told = answer(run, "why", "Table_Print", "--index", "emilie/dev")
    assert [(step["index"], step["outcome"]) for step in told["steps"]] == [
        ("emilie/dev", "shown"),
        ("emilie/prod", "shown"),
        ("root/pypi", "hidden"),
    ]
    assert [file["index"] for file in told["files"] if file["shadowed_by"] == "emilie/dev"] == ["emilie/prod"]
    text = run("why", "table-print", "--index", "emilie/dev").out
    assert "mirror_whitelist does not admit it" in text
    assert "is shadowed by the one of emilie/dev" in text
    assert "quarantined" in run("why", "secret", "--index", "emilie/dev").out
    assert [step["outcome"] for step in answer(run, "why", "unknown", "--index", "emilie/dev")["steps"]] == [
        "nothing",
        "nothing",
        "asked",
    ]


@pytest.mark.parametrize("tool", ["pip", "uv", "poetry", "pdm", "twine"])
@pytest.mark.usefixtures("released")
def test_config_names_our_index_and_no_second_one(run: Run, tool: str) -> None:
    told = answer(run, "config", tool, "--index", "emilie/prod")
    assert "https://packages.example.org/emilie/prod/" in told["lines"]
    assert "extra" not in told["lines"]
    if tool in ("uv", "poetry", "pdm"):
        assert tomllib.loads(told["lines"])["tool"][tool]
    assert told["lines"] in run("config", tool, "--index", "emilie/prod").out


def test_rules_are_listed_and_explained(run: Run) -> None:
    assert [rule["code"] for rule in answer(run, "rule")] == [rule.code for rule in RULES]
    listed = run("rule").out.splitlines()
    assert len(listed) == len(RULES)
    for rule in RULES:
        assert rule.explanation.splitlines()[0] in run("rule", rule.code.lower()).out
    assert answer(run, "rule", "GI205")[0]["severity"] == "error"


def test_schemas_are_printed_and_written(run: Run, tmp_path: Path) -> None:
    printed = answer(run, "schema")
    assert run("schema", "--out", tmp_path / "a/schemas").code == 0
    written = {path.name: json.loads(path.read_text()) for path in (tmp_path / "a/schemas").iterdir()}
    assert written == {f"{name}.schema.json": schema for name, schema in printed.items()}
    (tmp_path / "file").write_text("")
    result = run("schema", "--out", tmp_path / "file")
    assert result.code == 3
    assert is_one_line(result.err)


def test_render_says_what_it_did(released: IndexRepository, run: Run, tmp_path: Path) -> None:
    first = answer(run, "render", "--out", tmp_path / "site")
    assert first["revision"] == "worktree"
    assert first["projects"] == 2
    again = answer(run, "render", "--out", tmp_path / "site", "--rev", "HEAD", "--full")
    assert again["revision"] == released.git("rev-parse", "HEAD")
    assert (again["written"], again["unchanged"], again["removed"]) == (0, first["written"], 0)
    updated = answer(run, "render", "--out", tmp_path / "site")
    assert (updated["projects"], updated["written"], updated["unchanged"], updated["removed"]) == (0, 0, 0, 0)
    assert run("render", "--out", tmp_path / "site", "--full").out.startswith("2 projects in ")


def test_a_bare_repository_is_rendered_at_its_head(released: IndexRepository, run: Run, tmp_path: Path) -> None:
    bare = bare_clone(released, tmp_path / "bare.git")
    made = answer(run, "-C", bare, "render", "--out", tmp_path / "site")
    assert made["revision"] == released.git("rev-parse", "HEAD")


def test_validate_names_what_it_compared(released: IndexRepository, run: Run) -> None:
    head = released.git("rev-parse", "HEAD")
    for options, base, named in (
        ([], head, "worktree"),
        (["--staged"], head, "index"),
        (["--head", "HEAD"], head, head),
        (["--base", "HEAD~1", "--head", "HEAD"], released.git("rev-parse", "HEAD~1"), head),
        (["--base", "0" * 40, "--head", "HEAD"], None, head),
        (["--all"], head, "worktree"),
        (["--actor", "emilie"], head, "worktree"),
    ):
        assert answer(run, "validate", *options) == {"base": base, "head": named, "findings": []}
        assert run("validate", *options).out.startswith("Valid: ")


def test_validate_refuses_a_change_with_exit_code_1(released: IndexRepository, run: Run) -> None:
    (released.root / "indexes/emilie/prod/table-print/1.0.json").unlink()
    result = run("validate", "--format", "json")
    assert result.code == 1
    told = json.loads(result.out)
    assert {finding["code"] for finding in told["findings"]} >= {"GI203"}
    for finding in told["findings"]:
        assert set(finding) == {"code", "severity", "path", "line", "message", "help"}
    text = run("validate")
    assert text.code == 1
    assert "indexes/emilie/prod/table-print/1.0.json: GI203" in text.out
    assert text.out.splitlines()[-1].startswith("Refused: ")
    assert run("validate", "--staged").code == 0
    assert run("validate", "--head", "HEAD").code == 0


def test_validate_of_a_bare_repository_needs_a_revision(released: IndexRepository, run: Run, tmp_path: Path) -> None:
    bare = bare_clone(released, tmp_path / "bare.git")
    assert run("-C", bare, "validate").code == 2
    assert run("-C", bare, "validate", "--staged").code == 3
    assert run("-C", bare, "validate", "--head", "HEAD", "--base", "HEAD~1").code == 0


@pytest.mark.usefixtures("released")
def test_install_passes_its_arguments_on_and_needs_them(run: Run) -> None:
    result = run("install", "--index", "emilie/prod", "--nonsense")
    assert result.code == 2
    result = run("install", "--index", "emilie/prod", "--python", "/no/such/python", "--", "demo")
    assert result.code == 3
    assert is_one_line(result.err)


def test_two_renderings_do_not_write_to_one_folder(run: Run, tmp_path: Path) -> None:
    made = make_repository(tmp_path / "packages", small_content())
    command = ("-C", made.root, "render", "--out", tmp_path / "site")
    assert run(*command).code == 0
    before = files_below(tmp_path / "site")
    held = os.open(tmp_path / "site", os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = run(*command, "--full", "--host", "nginx")
        assert (refused.code, "another gitindex of this machine is writing to it" in refused.err) == (3, True)
    finally:
        os.close(held)
    assert files_below(tmp_path / "site") == before
    assert run(*command).code == 0


def test_rendering_that_is_refused_leaves_no_folder(run: Run, tmp_path: Path) -> None:
    made = make_repository(tmp_path / "packages", small_content())
    refused = run("-C", made.root, "render", "--out", tmp_path / "site", "--index", "emilie/none")
    assert (refused.code, (tmp_path / "site").exists()) == (1, False)


@pytest.mark.parametrize(
    "command", [("validate", "--sarif"), ("validate", "--fix", "--pr", "--sarif"), ("verify", "--report")], ids=" ".join
)
def test_answer_that_has_nowhere_to_go_is_told_beforehand(
    run: Run, repo: IndexRepository, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (repo.root / "gitindex.toml").write_text("that nobody looks at yet")
    for place, told in ((tmp_path / "no/there", "there is no such folder"), (tmp_path, "is a folder")):
        done = run(*command, place)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"gitindex: {command[-1]} {place}: {told}; ")


# Terminals that are not UTF-8


def spoken(encoding: str, *arguments: str | bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the command line with a standard output of that encoding."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run([*GITINDEX, *arguments], capture_output=True, check=False, env=environment)


@pytest.mark.usefixtures("repo")
@pytest.mark.parametrize(
    ("encoding", "title"),
    [("latin-1", b"caf\xe9 \\u4e2d\\u2026"), ("ascii", rb"caf\xe9 \u4e2d\u2026"), ("utf-8", "café 中…".encode())],
)
def test_letters_that_a_terminal_has_not_are_spelled_out(encoding: str, title: bytes) -> None:
    assert spoken(encoding, "user", "create", "bob", "--title", "café 中…").returncode == 0
    shown = spoken(encoding, "user", "show", "bob")
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert title in shown.stdout
    as_json = spoken(encoding, "user", "show", "bob", "--json")
    assert json.loads(as_json.stdout)["result"]["title"] == "café 中…"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_argument_that_is_not_utf8_is_an_error(repo: IndexRepository, encoding: str) -> None:
    done = spoken(encoding, "user", "modify", "emilie", b"title=caf\xe9")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"gitindex: an argument or a name is not UTF-8 here; ")
    assert repo.git("status", "--porcelain") == ""
