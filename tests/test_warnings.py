"""Warnings on the command line: `--strict`, waivers from their merge to their end, and what warnings cost."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from packaging.version import Version

from gitindex import check
from gitindex.check import today
from gitindex.compare import Change
from gitindex.finding import Finding, Judgement, Severity, Verdict
from gitindex.names import is_prerelease, latest_version
from gitindex.report.json import verdict_json
from gitindex.report.text import verdict_line
from gitindex.validate import judge, validate
from tests.builders import make_wheel
from tests.conftest import Result, Run
from tests.repositories import Content, IndexRepository, make_repository, small_content

TYPO = "indexes/emilie/dev/reqeusts"


def waiver(rule: str = "GI401", path: str = TYPO, until: str = "2999-12-31") -> dict[str, object]:
    return {"rule": rule, "path": path, "reason": "agreed with bob", "until": date.fromisoformat(until)}


def typo(content: Content) -> Content:
    content.release("emilie/dev", "reqeusts", "1.0")
    return content


def checked(repository: IndexRepository, run: Run, *options: str) -> Result:
    return run("-C", repository.root, "validate", *options)


@pytest.fixture
def published(repository: IndexRepository) -> IndexRepository:
    """A repository of which all is published, and a new project with a slip in its name in the working tree."""
    repository.publish()
    repository.put(typo(Content()))
    return repository


# --strict


def test_warning_lets_a_change_pass(published: IndexRepository, run: Run) -> None:
    result = checked(published, run)
    assert result.code == 0
    first, help_, last = result.out.splitlines()
    assert first.startswith(f"{TYPO}: GI401 warning: the new name 'reqeusts' differs by one edit")
    assert "waive" not in help_
    assert last.startswith("Valid: 1 warning in the working tree against ")


def test_strict_refuses_a_warning_and_says_how_it_is_accepted(published: IndexRepository, run: Run) -> None:
    result = checked(published, run, "--strict")
    assert result.code == 1
    _, help_, last = result.out.splitlines()
    assert f'[[waivers]] in gitindex.toml with rule = "GI401", path = "{TYPO}", reason and until' in help_
    assert last.startswith("Refused: 1 warning in ")
    assert last.endswith("(--strict: warnings refuse too). Why: gitindex rule GI401")


def test_strict_lets_a_change_without_warnings_pass(repository: IndexRepository, run: Run) -> None:
    assert checked(repository, run, "--strict", "--all").code == 0


def test_strict_passes_over_what_the_policy_ignores(repository: IndexRepository, run: Run) -> None:
    content = small_content(policy={"ignore": ["GI401"]})
    repository.put(content)
    repository.commit()
    repository.publish()
    repository.put(typo(Content()))
    assert checked(repository, run, "--strict").code == 0


def test_error_has_the_help_that_it_always_has(repository: IndexRepository, run: Run) -> None:
    repository.write("indexes/README.md", "")
    assert checked(repository, run, "--strict").out.splitlines()[:-1] == checked(repository, run).out.splitlines()[:-1]


# Waivers


def test_waiver_of_the_same_change_has_no_effect_and_that_of_an_earlier_one_has(
    published: IndexRepository, run: Run
) -> None:
    published.put(small_content(waivers=[waiver()]))
    assert checked(published, run, "--strict").code == 1
    (published.root / TYPO / "1.0.json").unlink()
    (published.root / TYPO).rmdir()
    assert checked(published, run, "--strict").code == 0, "a waiver for what comes next is no finding"
    published.commit("Accept the name")
    published.publish()
    published.put(typo(Content()))
    result = checked(published, run, "--strict")
    assert (result.code, result.out.startswith("Valid: the working tree against ")) == (0, True)
    assert result.out.endswith(", 1 waived.\n")
    assert json.loads(checked(published, run, "--json").out)["waived"] == 1


def test_waiver_counts_with_everything_checked_and_for_a_commit(published: IndexRepository, run: Run) -> None:
    published.git("stash", "--include-untracked")
    published.put(small_content(waivers=[waiver()]))
    published.commit("Accept the name")
    published.publish()
    published.git("stash", "pop")
    published.commit("Release it")
    for options in (["--all"], ["--head", "HEAD"], ["--staged"]):
        assert checked(published, run, "--strict", *options).code == 0, options


def test_waivers_of_the_head_count_where_there_is_no_base(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "new", typo(small_content(waivers=[waiver()])))
    result = checked(repository, run, "--strict", "--base", "0" * 40)
    assert (result.code, result.out) == (0, "Valid: all of the working tree, 1 waived.\n")


def test_ended_waiver_accepts_nothing_and_is_a_warning_itself(
    published: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.git("stash", "--include-untracked")
    published.put(small_content(waivers=[waiver(until="2027-03-31")]))
    published.commit("Accept the name")
    published.publish()
    assert checked(published, run).out.startswith("Valid: ")
    published.git("stash", "pop")
    monkeypatch.setattr(check, "today", lambda: date(2027, 3, 31))
    assert checked(published, run, "--strict").code == 0
    monkeypatch.setattr(check, "today", lambda: date(2027, 4, 1))
    result = checked(published, run, "--json")
    findings = json.loads(result.out)["findings"]
    assert [(f["code"], f["path"], f["line"]) for f in findings] == [
        ("GI408", "gitindex.toml", 3),
        ("GI401", TYPO, None),
    ]
    assert findings[0]["message"] == f"the waiver of GI401 for '{TYPO}' ended on 2027-03-31"
    assert checked(published, run, "--strict").code == 1


def test_waiver_of_an_error_is_refused_and_accepts_nothing(repository: IndexRepository, run: Run) -> None:
    content = small_content()
    content.release("emilie/prod", "parcel-tracker", "1.0")
    repository.put(content)
    repository.commit()
    repository.put(small_content(waivers=[waiver("GI203", "**")]))
    repository.commit("Smuggle it in")
    repository.publish()
    (repository.root / "indexes/emilie/prod/parcel-tracker/1.0.json").unlink()
    found = json.loads(checked(repository, run, "--json").out)["findings"]
    assert [finding["code"] for finding in found] == ["GI202"]
    found = json.loads(checked(repository, run, "--json", "--all").out)["findings"]
    assert [finding["code"] for finding in found] == ["GI001", "GI202"]


def test_waiver_cannot_accept_that_waivers_have_ended() -> None:
    content = small_content(waivers=[waiver("GI408", "**"), waiver("GI405", "indexes", "2026-01-01")])
    change = Change(content.snapshot(), content.snapshot(), everything=True, today=date(2026, 11, 22))
    assert [finding.code for finding in validate(change)] == ["GI001", "GI408"]


def test_waiver_of_a_path_that_is_not_there_is_found_by_a_full_check() -> None:
    content = small_content(waivers=[waiver(path="indexes/emilie/**/nothing"), waiver(path="indexes/emilie/*")])
    head = content.snapshot()
    for change in (Change(head, head, everything=True), Change(None, head)):
        (finding,) = validate(change)
        assert (finding.code, finding.line) == ("GI408", 3)
        assert finding.message == "the waiver of GI401 for 'indexes/emilie/**/nothing' matches nothing that is there"


def test_waiver_whose_path_was_never_there_is_left_alone_by_other_changes(
    repository: IndexRepository, run: Run
) -> None:
    repository.put(small_content(waivers=[waiver()]))
    repository.commit("Accept the name")
    repository.publish()
    repository.put(_release("parcel-tracker", "1.0"))
    assert checked(repository, run, "--strict").code == 0


def test_waiver_does_not_end_where_no_day_is_known() -> None:
    base = small_content(waivers=[waiver(until="2000-01-01")])
    head = typo(small_content(waivers=[waiver(until="2000-01-01")]))
    judgement = judge(Change(base.snapshot(), head.snapshot()))
    assert (judgement.findings, len(judgement.waived)) == ((), 1)


def test_waived_warnings_of_a_written_plan_are_not_printed(
    repository: IndexRepository, run: Run, tmp_path: Path
) -> None:
    name, data = make_wheel("reqeusts", "1.0")
    (tmp_path / name).write_bytes(data)
    upload = ("-C", repository.root, "upload", tmp_path / name, "--index", "emilie/dev")
    repository.publish()
    result = run(*upload)
    assert (result.code, "GI401 warning" in result.out + result.err) == (0, True)
    repository.git("clean", "-dfq")
    repository.put(small_content(waivers=[waiver()]))
    repository.commit("Accept the name")
    repository.publish()
    result = run(*upload)
    assert (result.code, "GI401" in result.out + result.err) == (0, False)


def test_today_is_the_day_in_utc() -> None:
    before = datetime.now(UTC).date()
    assert before <= today() <= before + timedelta(days=1)


# Reports


def test_rule_that_warns_does_not_say_that_it_refuses(run: Run) -> None:
    assert run("rule", "GI407").out.startswith("GI407 (warning) tells of the last release of a project removed")
    assert run("rule", "GI205").out.startswith("GI205 (error) refuses a file of a release")


def test_verdict_tells_how_many_warnings_are_waived() -> None:
    verdict = Verdict((), "a" * 40, "worktree", waived=1200)
    assert verdict_line(verdict) == f"Valid: the working tree against {'a' * 12}, 1,200 waived."
    assert json.loads(verdict_json(verdict))["waived"] == 1200
    assert "waived" not in json.loads(verdict_json(Verdict((), None, "worktree")))


def test_judgement_tells_apart_what_is_waived() -> None:
    base = small_content(waivers=[waiver(path="indexes/emilie/**")])
    head = typo(small_content(waivers=[waiver(path="indexes/emilie/**")]))
    judgement = judge(Change(base.snapshot(), head.snapshot(), today=date(2026, 11, 22)))
    assert isinstance(judgement, Judgement)
    assert judgement.findings == ()
    (finding,) = judgement.waived
    assert isinstance(finding, Finding)
    assert (finding.code, finding.path, finding.severity) == ("GI401", TYPO, Severity.WARNING)


# What names and versions cost


def test_release_of_a_known_project_imports_nothing_to_compare_names_and_versions(tmp_path: Path) -> None:
    content = small_content()
    content.release("emilie/dev", "parcel-tracker", "1.9")
    repository = make_repository(tmp_path / "packages", content)
    repository.publish()
    repository.put(_release("parcel-tracker", "1.10"))
    assert _imported(repository) == []
    repository.put(_release("other-project", "1.0"))
    assert _imported(repository) == ["rapidfuzz"]


def _release(name: str, version: str) -> Content:
    content = Content()
    content.release("emilie/dev", name, version)
    return content


def _imported(repository: IndexRepository) -> list[str]:
    code = (
        "import sys\nfrom gitindex.__main__ import main\n"
        "try: main()\nfinally: print([name for name in ('rapidfuzz', 'packaging.version') if name in sys.modules])"
    )
    # The metadata of stored files is read by packaging; that of files that are kept elsewhere is not.
    settings = repository.root / "gitindex.toml"
    settings.write_text('format = 1\n[storage]\nurl = "s3://bucket/"\npublic_url = "https://files.example.org/"\n')
    repository.git("add", "gitindex.toml")
    repository.git("commit", "--quiet", "--allow-empty", "--message", "Keep the files elsewhere", "gitindex.toml")
    repository.publish()
    done = subprocess.run(
        [sys.executable, "-c", code, "-C", repository.root, "validate"], capture_output=True, text=True, check=True
    )
    assert "Valid" in done.stdout
    found: list[str] = json.loads(done.stdout.splitlines()[-1].replace("'", '"'))
    return found


def test_names_that_are_all_new_are_each_compared_with_all() -> None:
    content = small_content()
    manifest = b'{"name": "x", "version": "1", "files": []}'
    for number in range(3000):
        content[f"indexes/emilie/dev/tool-{number:05}x/1.json"] = manifest
    found = [finding for finding in validate(Change(None, content.snapshot())) if finding.code == "GI401"]
    assert len(found) == 3000
    assert found[0].path == "indexes/emilie/dev/tool-00000x"
    assert found[0].message.endswith(
        "from 'tool-00001x' (emilie/dev), 'tool-00002x' (emilie/dev), 'tool-00003x' (emilie/dev) and 26 more"
    )


# Versions

parts = st.integers(0, 12)
releases = st.lists(parts, min_size=1, max_size=4).map(lambda numbers: ".".join(map(str, numbers)))
ends = st.sampled_from(["", "", "", "a1", "b2", "rc1", ".post1", ".dev3", "rc1.dev2", ".post2.dev1", "+local.1"])
versions = st.builds(lambda epoch, release, end: epoch + release + end, st.sampled_from(["", "", "1!"]), releases, ends)


@given(st.lists(versions, max_size=8))
def test_latest_version_is_what_packaging_holds_to_be_the_highest(listed: list[str]) -> None:
    assert latest_version(iter(listed)) == max(listed, key=Version, default=None)
    assert latest_version([*listed, "banana"]) == max(listed, key=Version, default=None)
    assert [is_prerelease(text) for text in listed] == [Version(text).is_prerelease for text in listed]


def test_what_is_no_version_is_no_prerelease() -> None:
    assert not is_prerelease("banana")
    assert latest_version(["banana"]) is None
