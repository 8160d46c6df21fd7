"""Runs the cases of `tests/cases`: each is a change, made of real Git commits, and the findings that it must give.

`tests/cases/README.md` says how a case is written.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pygit2
import pytest
from pydantic import BaseModel, ConfigDict, Field

from gitindex.compare import Change
from gitindex.finding import Finding, Severity, Verdict
from gitindex.git import Repository
from gitindex.guard import attribute, merged_change
from gitindex.report.json import verdict_json
from gitindex.report.text import findings_text
from gitindex.rules import SEVERITIES
from gitindex.tree import Kind
from gitindex.validate import validate
from tests.trees import AUTHOR, MODES, Files as Tree, Node, Writer, make_worktree

CASES = Path(__file__).parent / "cases"
COMMON = CASES / "common"
FOLDERS = sorted(path.parent for path in CASES.glob("GI*/*/case.toml"))
TODAY = date(2026, 11, 22)
"""The day on which all changes are judged."""
COMMIT_OF_SUBMODULE = bytes(range(20))


class Strict(BaseModel):
    """What is spelled wrong in a case.toml fails its test."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Write(Strict):
    """A file that is better told than kept: its path in percent-encoding, and what it holds."""

    path: str
    text: str = ""
    repeat: str = ""
    times: int = 0
    end: str = ""
    hex: str = ""

    @property
    def data(self) -> bytes:
        return (self.text + self.repeat * self.times + self.end).encode() + bytes.fromhex(self.hex)


class Side(Strict):
    """How base or head differs from what it starts as, beside the files in its folder."""

    copies: dict[str, str] = Field({}, alias="copy")
    move: dict[str, str] = {}
    remove: tuple[str, ...] = ()
    write: tuple[Write, ...] = ()
    kinds: dict[str, Kind] = {}


class Expected(Strict):
    """A finding that must be there; *message* is a part of its message."""

    code: str
    path: str
    line: int | None = None
    message: str

    def is_in(self, findings: list[Finding]) -> bool:
        return any(
            (self.code, self.path) == (found.code, found.path)
            and self.message in found.message
            and self.line in (None, found.line)
            for found in findings
        )


class Case(Strict):
    """A case.toml."""

    title: str
    expected: tuple[str, ...]
    """The codes of all findings, sorted, each once."""
    example: bool = False
    """Whether `docs/reference/rules.md` shows it as the example of its rule."""
    findings: tuple[Expected, ...] = ()
    base: Side = Side()
    head: Side = Side()
    target: Side | None = None
    actor: str | None = None
    all: bool = False
    no_base: bool = False
    descends: bool = True
    base_is_sound: bool = True
    worktree: bool = True
    """Whether file systems take the names that are in it."""


class Files(Tree):
    """The content of a commit, as a case tells it."""

    def changed(self, folder: Path, side: Side) -> Files:
        """Return the content that a side of a case has, which starts as this one."""
        files = Files(self)
        for source, target in side.copies.items():
            files[target.encode()] = files[source.encode()]
        for source, target in side.move.items():
            for below, node in files.remove(source.encode()).items():
                files[target.encode() + below] = node
        for path in side.remove:
            assert files.remove(path.encode()), f"{path}: there is nothing to remove"
        files.overlay(folder)
        for write in side.write:
            files.put(unquote_to_bytes(write.path), Node(MODES["file"], write.data))
        for path, kind in side.kinds.items():
            at = path.encode()
            files.put(at, Node(MODES[kind], COMMIT_OF_SUBMODULE if kind == "submodule" else files[at].data))
        return files


def read_case(folder: Path) -> Case:
    return Case.model_validate(tomllib.loads((folder / "case.toml").read_text("utf-8")))


@cache
def common() -> Files:
    files = Files()
    files.overlay(COMMON)
    return files


def contents(folder: Path) -> tuple[Case, Files, Files]:
    """Return a case with the content of its base and of its head."""
    case = read_case(folder)
    base = common().changed(folder / "base", case.base)
    return case, base, base.changed(folder / "head", case.head)


class Store:
    """A bare repository for the commits of all cases."""

    def __init__(self, path: Path) -> None:
        self.git = pygit2.init_repository(str(path), bare=True)
        self.repository = Repository.open(path)
        self._writer = Writer(self.git)

    def commit(self, files: Files, *parents: str, message: str = "Change") -> str:
        tree = pygit2.Oid(raw=self._writer.tree(files))
        return str(self.git.create_commit(None, AUTHOR, AUTHOR, message, tree, [pygit2.Oid(hex=p) for p in parents]))

    def change(self, folder: Path, *, everything: bool = False) -> Change:
        """Return the change of a case between two commits."""
        case, base, head = contents(folder)
        before = self.commit(base)
        parent = before if case.descends else self.commit(common(), message="Another beginning")
        after = self.commit(head, parent)
        if case.no_base:
            return Change(None, self.repository.at(after), today=TODAY)
        if case.target is not None or (folder / "target").is_dir():
            tip = self.commit(base.changed(folder / "target", case.target or Side()), before)
            sides = self.repository.at(tip), self.repository.at(after)
            change = merged_change(self.repository, *sides, everything=everything or case.all, today=TODAY)
            return attribute(self.repository, change, actor=case.actor, head=after)
        at_base = self.repository.at(before)
        change = Change(
            at_base,
            self.repository.at(after),
            everything=everything or case.all,
            descends=self.repository.descends(after, before),
            today=TODAY,
        )
        return attribute(self.repository, change, actor=case.actor, head=after)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("cases"))


def codes(findings: list[Finding]) -> tuple[str, ...]:
    return tuple(sorted({finding.code for finding in findings}))


def errors(findings: list[Finding]) -> tuple[str, ...]:
    return codes([finding for finding in findings if finding.severity is Severity.ERROR])


def name_of(folder: Path) -> str:
    return folder.relative_to(CASES).as_posix()


each_case = pytest.mark.parametrize("folder", FOLDERS, ids=name_of)


@each_case
def test_case_gives_exactly_the_expected_findings(folder: Path, store: Store) -> None:
    case = read_case(folder)
    findings = validate(store.change(folder))
    assert codes(findings) == case.expected, findings
    missing = [expected for expected in case.findings if not expected.is_in(findings)]
    assert not missing, findings
    assert all(finding.severity is SEVERITIES[finding.code] for finding in findings)
    assert_reports_carry(findings)


def assert_reports_carry(findings: list[Finding]) -> None:
    """Check that each finding says something, and that it gets through both reports whole and on its own lines."""
    for finding in findings:
        assert finding.message.strip(), finding
        assert finding.help.strip(), finding
        assert finding.line is None or finding.line > 0
    text = findings_text(findings, colour=False)
    lines = text.splitlines()
    assert len(lines) == 2 * len(findings)
    assert all(line.isprintable() for line in lines)
    assert [re.search(r": (GI\d{3}) ", line) is not None for line in lines] == [True, False] * len(findings)
    text.encode("utf-8")
    listed = json.loads(verdict_json(Verdict(tuple(findings), "a" * 40, "worktree")).encode("utf-8"))["findings"]
    assert [found["code"] for found in listed] == [finding.code for finding in findings]


@each_case
def test_full_validation_of_a_case_finds_no_less(folder: Path, store: Store) -> None:
    """Where the base is sound, checking everything and checking what differs say the same."""
    case = read_case(folder)
    found = codes(validate(store.change(folder, everything=True)))
    assert set(case.expected) <= set(found) if not case.base_is_sound else case.expected == found


@each_case
def test_accepted_head_of_a_case_is_sound_from_scratch(folder: Path, store: Store) -> None:
    """What step by step validation lets pass must not be refused once there is no base to compare with."""
    case, base, head = contents(folder)
    if case.base_is_sound and not case.no_base:
        assert errors(validate(Change(None, store.repository.at(store.commit(base))))) == ()
        if all(SEVERITIES[code] is Severity.WARNING for code in case.expected):
            assert errors(validate(Change(None, store.repository.at(store.commit(head))))) == ()


def on_disk() -> Iterator[Path]:
    for folder in FOLDERS:
        case = read_case(folder)
        is_comparable = case.worktree and case.descends and not case.no_base and not case.all
        if is_comparable and "submodule" not in case.head.kinds.values():
            yield folder


@pytest.mark.parametrize("folder", list(on_disk()), ids=name_of)
def test_working_tree_of_a_case_gives_the_same_codes(folder: Path, tmp_path: Path) -> None:
    case, base, head = contents(folder)
    make_worktree(tmp_path, base, head)
    repository = Repository.open(tmp_path, "")
    before = repository.at("HEAD")
    change = attribute(repository, Change(before, repository.worktree(), today=TODAY), actor=case.actor, head=None)
    assert codes(validate(change)) == case.expected
