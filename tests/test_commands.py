"""The commands that findings offer are run as they stand, in real working trees: what was found is gone afterwards."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitindex.compare import Change
from gitindex.finding import Finding, Severity
from gitindex.git import Repository
from gitindex.guard import attribute
from gitindex.rules.hints import FIX, command_of, on_path, quoted, without_restore
from gitindex.validate import validate
from tests.conftest import Run
from tests.repositories import IndexRepository, make_repository, small_content
from tests.test_cases import FOLDERS, Files, Store, contents, name_of, on_disk
from tests.test_rules import ERRORS
from tests.trees import make_worktree

FOLDER = "packages"
"""Of the Git repository: the index repository is not at its top, and commands are run where it is."""


def prefixed(files: Files) -> Files:
    return Files({f"{FOLDER}/".encode() + path: node for path, node in files.items()})


def make_staged(path: Path, base: Files, head: Files) -> None:
    """Make a repository whose last commit is *base*, with *head* in its working tree, and staged."""
    make_worktree(path, prefixed(base), prefixed(head))
    (path / FOLDER).mkdir(exist_ok=True)
    subprocess.run(["git", "add", "--all", "--force"], cwd=path, check=True)


def findings_in(path: Path, actor: str | None) -> list[Finding]:
    repository = Repository.open(path / FOLDER, FOLDER)
    change = Change(repository.at("HEAD"), repository.worktree())
    return validate(attribute(repository, change, actor=actor, head=None))


def carry_out(command: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    is_plain = command.startswith("gitindex ") and "$'" not in command and "&&" not in command
    if is_plain:
        result = run(*shlex.split(command)[1:])
        assert result.code == 0 or (command == FIX and result.code == 1), (command, result)
        return
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, (command, done.stderr.decode())


@pytest.mark.parametrize("folder", list(on_disk()), ids=name_of)
def test_commands_that_the_findings_of_a_case_offer_do_away_with_them(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, base, head = contents(folder)
    if not case.expected:
        return
    start = tmp_path / "start"
    make_staged(start, base, head)
    found = findings_in(start, case.actor)
    # One of a kind: that five lost files come back in the same way need not be seen five times.
    chosen: dict[tuple[str, ...], tuple[str, Finding]] = {}
    for finding in found:
        if command := command_of(finding.help):
            chosen.setdefault((finding.code, *command.split()[:2]), (command, finding))
    for number, (command, finding) in enumerate(chosen.values()):
        work = tmp_path / str(number)
        shutil.copytree(start, work, symlinks=True)
        carry_out(command, work / FOLDER, run, monkeypatch)
        assert what(finding) not in {what(left) for left in findings_in(work, case.actor)}, command


def what(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.path, finding.message


CANNOT_SAY = {"GI104"}
"""The rules whose findings come with no whole command: where the release should go, only the contributor knows."""


def test_every_rule_that_refuses_offers_a_whole_command_but_where_nobody_can(tmp_path: Path) -> None:
    store = Store(tmp_path / "cases")
    lacking = set(ERRORS)
    # Most rules need no more than one of their own cases.
    for folder in FOLDERS:
        if folder.parent.name in lacking:
            lacking -= {finding.code for finding in validate(store.change(folder)) if command_of(finding.help)}
    for folder in FOLDERS:
        if lacking == CANNOT_SAY:
            break
        lacking -= {finding.code for finding in validate(store.change(folder)) if command_of(finding.help)}
    assert lacking == CANNOT_SAY


def test_command_of_a_rewritten_history_makes_the_head_come_after_the_base(
    repository: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("branch", "start")
    repository.write("README.md", "What is published\n")
    published = repository.commit("Publish")
    repository.git("checkout", "--quiet", "-b", "other", "start")
    repository.write("NEWS.md", "Something else\n")
    repository.commit("Other")

    def findings() -> list[Finding]:
        opened = repository.open()
        base, head = opened.at(published), opened.at("HEAD")
        assert base.name
        assert head.name
        return validate(Change(base, head, descends=opened.descends(head.name, base.name)))

    (finding,) = findings()
    command = command_of(finding.help)
    assert command == f"git merge {published[:12]}"
    carry_out(command, repository.root, run, monkeypatch)
    assert findings() == []


ODD = [
    "a b",
    "a*b",
    "a?b",
    "[a]",
    ":a",
    "-a",
    "'a'",
    'a"b',
    "a\\b",
    "é",
    "a\nb",
    "\x1b[2J",
    "\udcff",
    "\u202e",
    "$(a)",
    "a;b",
]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_odd_name_is_one_word_of_a_shell_and_can_be_printed(name: str) -> None:
    word = quoted(name)
    assert word.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(name)


def test_half_a_surrogate_is_a_word_too() -> None:
    assert quoted("\ud800") == "$'\\355\\240\\200'"


def test_restored_path_is_no_pattern(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "odd", {f"folder/{name}": b"x" for name in [*ODD, "ab", "axb"]})
    for name in ODD:
        repository.git("rm", "-r", "--quiet", "folder")
        subprocess.run(["bash", "-c", on_path("git checkout HEAD", f"folder/{name}")], cwd=repository.root, check=True)
        assert [found.name for found in (repository.root / "folder").iterdir()] == [name]
        repository.git("reset", "--hard", "--quiet")


def test_command_that_has_to_be_filled_in_is_not_whole() -> None:
    assert command_of("upload it: gitindex upload FILE --index emilie/dev") is None
    assert command_of("yank it: gitindex yank PROJECT==VERSION --index emilie/dev") is None
    assert command_of("rename it: git mv -- indexes/Files indexes/NAME") is None
    assert command_of("restore it: git checkout BASE -- indexes") is None
    assert command_of("correct the file; `gitindex schema` prints what it may hold") is None
    assert command_of("remove it: git rm -rf -- indexes/NAMES/README.md") == "git rm -rf -- indexes/NAMES/README.md"
    assert command_of("git merge 123") == "git merge 123"


def test_refused_command_of_gitindex_says_nothing_of_restoring_what_is_still_there(tmp_path: Path, run: Run) -> None:
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    content.release("emilie/prod", "demo", "1.1")
    repository = make_repository(tmp_path / "packages", content)
    result = run("-C", repository.root, "remove", "demo==1.1", "--index", "emilie/prod")
    assert result.code == 1
    yank = "gitindex yank demo==1.1 --index emilie/prod --reason REASON"
    assert f"    released files stay: yank it ({yank}), or release a new version\n" in result.err
    assert "git checkout" not in result.err
    (repository.root / "indexes/emilie/prod/demo/1.1.json").unlink()
    result = run("-C", repository.root, "validate")
    assert "git checkout" in result.out
    assert without_restore(Finding("", None, "", Severity.ERROR, "", "as it is")).help == "as it is"


def test_hostile_names_stay_words_in_every_command_that_is_offered(tmp_path: Path) -> None:
    """What a contributor named is copied by somebody who trusts the message: no name starts a command of its own."""
    evil = "$(touch hacked)"
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    repository = make_repository(tmp_path / "packages", content)
    volatile = "volatile = false\nbases = ['emilie/dev', 'emilie/dev;id', 'x\"y']\nacl_upload = [':$(id)', '`id`']\n"
    manifest = (repository.root / "indexes/emilie/prod/demo/1.0.json").read_bytes()
    files: dict[str, bytes | str] = {
        f"indexes/{evil}/user.toml": "emial = 1\n",
        f"indexes/emilie/{evil}/index.toml": volatile,
        "indexes/emilie/dev/index.toml": volatile,
        f"indexes/emilie/{evil}/demo/1.0.json": manifest.replace(b'"1.0"', b'"2.0"').replace(
            b'"sha256": "', b'"sha256": "0'
        ),
        f"indexes/emilie/{evil}/demo/1.1.json": manifest,
        f"indexes/emilie/{evil}/{evil}/{evil}.json": manifest,
        f"indexes/emilie/prod/{evil}/v1.0.json": manifest,
        f"indexes/emilie/prod/demo/{evil}.json": manifest.replace(b"demo-1.0", b"demo-1.1"),
        f"indexes/emilie/prod/{evil}.txt": "",
        f"files/{evil}": "",
    }
    for path, data in files.items():
        repository.write(path, data)
    found = validate(Change(repository.open().at("HEAD"), repository.open().worktree()))
    offered = [f.help for f in found if re.search(r"\b(git|gitindex|chmod) \S+ ", f.help)]
    assert len(offered) > 10
    for help_ in offered:
        for part in re.split(r"\((?=git)|(?<=: )(?=git|chmod)", help_)[1:]:
            words = re.sub(r"'[^']*'|\$'(?:[^'\\]|\\.)*'", "", part)
            assert not re.search(r"[$`;\"]\(?(touch|id)|\$\(", words), help_
