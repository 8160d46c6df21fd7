"""The rules as a list: which there are, that each is explained, and that each has cases for and against it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gitindex import layout
from gitindex.compare import Act, Change
from gitindex.differences import ProjectChange, StoredFile
from gitindex.finding import Judgement, Severity
from gitindex.rules import RULES, SEVERITIES, Rule
from gitindex.snapshot import Index, Snapshot
from gitindex.tree import EMPTY, Overlay, leaf
from gitindex.validate import validate
from tests.test_cases import CASES, COMMON, FOLDERS, read_case

ERRORS = (
    *(f"GI{number:03}" for number in range(1, 14)),
    *(f"GI{number}" for number in range(101, 109)),
    *(f"GI{number}" for number in range(201, 214)),
    *(f"GI{number}" for number in range(301, 305)),
)
"""The rules of contents, of bases, of history and of authority: all of them refuse a change."""
WARNINGS = tuple(f"GI{number}" for number in range(401, 410))
PROD = "indexes/emilie/prod"

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def common() -> dict[str, bytes]:
    return {file.relative_to(COMMON).as_posix(): file.read_bytes() for file in COMMON.rglob("*") if file.is_file()}


def snapshot(files: Mapping[str, bytes]) -> Snapshot:
    # The bytes are ids good enough: what did not change is seen not to have changed, as in Git.
    return Snapshot(Overlay(EMPTY, {path: leaf(data)._replace(id=data) for path, data in files.items()}), None)


def test_rules_are_those_of_the_contract_in_order_and_each_once() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert {*ERRORS, *WARNINGS} <= set(codes)


def test_rules_of_contents_bases_history_and_authority_are_errors() -> None:
    assert {SEVERITIES[code] for code in ERRORS} == {Severity.ERROR}


def test_rules_of_what_a_person_decides_are_warnings() -> None:
    assert tuple(code for code, severity in SEVERITIES.items() if severity is Severity.WARNING) == WARNINGS


@each_rule
def test_rule_says_what_it_refuses_and_why(rule: Rule) -> None:
    assert rule.statement
    assert "\n" not in rule.statement
    assert not rule.statement.endswith(".")
    first, *_ = rule.explanation.splitlines()
    assert first.endswith("."), "the first line is a sentence"
    assert rule.scopes
    assert set(rule.scopes) <= {Act, Change, Index, ProjectChange, StoredFile, Judgement}


@each_rule
def test_rule_has_cases_that_fire_and_near_misses_that_do_not(rule: Rule) -> None:
    cases = [read_case(folder) for folder in FOLDERS if folder.parent.name == rule.code]
    assert any(rule.code in case.expected for case in cases)
    assert any(rule.code not in case.expected for case in cases)


def test_cases_stand_under_the_rule_that_they_are_about() -> None:
    assert {folder.parent.name for folder in FOLDERS} == {path.name for path in CASES.glob("GI*")}
    for folder in FOLDERS:
        case = read_case(folder)
        # What a rule lets pass may still give warnings of others.
        is_near_miss = not any(SEVERITIES[code] is Severity.ERROR for code in case.expected)
        assert is_near_miss or folder.parent.name in case.expected, folder
        assert case.title.endswith("."), folder


def test_unchanged_repository_has_no_findings_and_no_errors_from_scratch() -> None:
    taken = snapshot(common())
    assert validate(Change(taken, taken)) == []
    assert validate(Change(taken, snapshot(common()), everything=True)) == []
    assert not {finding.code for finding in validate(Change(None, taken))} & set(ERRORS)


def test_empty_repository_has_no_findings() -> None:
    assert validate(Change(None, Snapshot(EMPTY, None))) == []


def test_ignored_codes_of_errors_are_reported_all_the_same() -> None:
    files = common()
    codes = ", ".join(f'"{rule.code}"' for rule in RULES)
    files[layout.SETTINGS] = files[layout.SETTINGS].replace(b"[names]", f"ignore = [{codes}]\n\n[names]".encode())
    changed = dict(files)
    changed[f"{PROD}/index.toml"] = files[f"{PROD}/index.toml"].replace(b"volatile = false", b"volatile = true")
    del changed[f"{PROD}/example/1.1.json"]
    findings = validate(Change(snapshot(files), snapshot(changed)))
    assert [finding.code for finding in findings] == ["GI203", "GI206"]


def test_rules_that_are_named_run_alone() -> None:
    files = common()
    del files[f"{PROD}/example/1.1.json"]
    files["indexes/README.md"] = b""
    change = Change(snapshot(common()), snapshot(files))
    only = [rule for rule in RULES if rule.code == "GI002"]
    assert [finding.code for finding in validate(change, rules=only)] == ["GI002"]
    assert [finding.code for finding in validate(change)] == ["GI002", "GI203"]
