"""The pages that are made of the code are what is committed; all pages make a site whose links lead somewhere."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitindex.edits.workflows import WORKFLOWS
from gitindex.rules import RULES, Rule
from tests.pages import build_site, pages
from tests.test_cases import CASES, Files
from tests.test_rules import each_rule
from tests.trees import Node

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TOOLS = ROOT / "tools"


GITHUB_ACTIONS = DOCS / "how-to" / "github-actions.md"


def yaml_blocks(page: str) -> list[dict[str, Any]]:
    """Return what the blocks of YAML of a page say."""
    text = (DOCS / "how-to" / f"{page}.md").read_text(encoding="utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]


@pytest.fixture(scope="module")
def make_rules() -> dict[str, Any]:
    """What `tools/make_rules.py` defines."""
    return runpy.run_path(str(TOOLS / "make_rules.py"))


@pytest.fixture
def example_of(make_rules: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Look for the example of GI001 among cases that are written for it: whether each is one, and what it expects."""

    def find(*cases: tuple[str, list[str]]) -> Path:
        shutil.rmtree(tmp_path / "GI001", ignore_errors=True)
        for number, (example, expected) in enumerate(cases):
            folder = tmp_path / "GI001" / f"case-{number}"
            folder.mkdir(parents=True)
            (folder / "case.toml").write_text(f'title = "A case."\nexpected = {expected}\n{example}\n')
        found = make_rules["example_of"]
        monkeypatch.setitem(found.__globals__, "CASES", tmp_path)
        path: Path = found("GI001")
        return path

    return find


@pytest.mark.parametrize("name", ["commands", "formats", "rules"])
def test_committed_page_is_what_the_code_makes(name: str) -> None:
    committed = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert committed == runpy.run_path(str(TOOLS / f"make_{name}.py"))["page"](), "run: make docs"


@pytest.mark.parametrize("words", [(), ("upload",), ("user", "modify"), ("serve",)], ids=" ".join)
def test_page_of_the_commands_has_what_help_prints(words: tuple[str, ...]) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "gitindex", *words, "--help"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    text = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    heading = f"{'#' * max(2, len(words) + 1)} {' '.join(('gitindex', *words))}"
    assert f"{heading}\n\n```text\n{text}```\n" in (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")


def test_page_of_the_formats_says_something_of_each_key() -> None:
    rows = re.findall(r"^\| (`[^`]+`) \| .* \| (.*) \|$", (DOCS / "reference" / "formats.md").read_text(), re.MULTILINE)
    assert len(rows) > 60
    assert [key for key, about in rows if not about.strip()] == []


def test_pages_make_a_site_that_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = build_site(tmp_path)
    made = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert made == {"404.html", *(address(page) for page in pages())}
    for path in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=[\"']?([^\"' >]+)", path.read_text("utf-8")
        )
        assert loaded
        assert [url for url in loaded if url.startswith(("http:", "https:", "//"))] == []


def address(page: str) -> str:
    """Return the file of the site that a page becomes."""
    return "index.html" if page == "index.md" else f"{page.removesuffix('.md')}/index.html"


def test_the_navigation_calls_pages_what_the_first_page_calls_them() -> None:
    first = (DOCS / "index.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| .* \| \[([^]]+)\]\((how-to/[^)]+)\) \|$", first, re.MULTILINE)
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert shown == re.findall(r"^ +- ([^:\n]+): (how-to/\S+)$", navigation, re.MULTILINE)
    assert len(shown) > 15


def test_every_page_stands_in_the_navigation() -> None:
    listed = re.findall(
        r"^ +- (?:[^:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed) == pages()


def test_figures_of_the_page_about_scale_are_those_that_were_measured() -> None:
    measured = set(re.findall(r"[\d.,]*\d", (ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")))
    figures = re.findall(r"\b\d[\d,]*\.?\d*\b", (DOCS / "explanation" / "scale.md").read_text(encoding="utf-8"))
    assert len(figures) > 40
    limits_of_hosts = {"1", "20,000"}  # GB of GitHub Pages, files of Cloudflare
    assert {figure.rstrip(".,") for figure in figures} - measured <= limits_of_hosts


@pytest.mark.parametrize("block", yaml_blocks("github-actions"), ids=lambda block: block["name"])
def test_workflows_of_the_page_call_what_is_there_and_grant_what_it_needs(block: dict[str, Any]) -> None:
    (job,) = block["jobs"].values()
    name = job["uses"].partition("/.github/workflows/")[2].partition("@")[0]
    called = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    workflow = WORKFLOWS[name.removesuffix(".yml")]
    assert job["permissions"] == dict(workflow.rights)
    inputs = called[True]["workflow_call"]["inputs"]
    assert set(job.get("with", ())) <= set(inputs)
    assert {name for name, about in inputs.items() if about.get("required")} <= set(job.get("with", ()))
    assert called["name"] == block["name"]
    assert block["permissions"] == {}


def test_workflows_of_the_page_pass_actionlint(tmp_path: Path) -> None:
    for number, text in enumerate(
        re.findall(r"^```yaml\n(.*?)^```", GITHUB_ACTIONS.read_text(), re.DOTALL | re.MULTILINE)
    ):
        (tmp_path / f"{number}.yml").write_text(text)
    files = sorted(tmp_path.glob("*.yml"))
    assert len(files) > 5
    # No workflow of ours uses a cache, so none needs a limit of it.
    command = [
        str(Path(sys.executable).with_name("actionlint")),
        "-shellcheck=",
        "-ignore",
        "no explicit cache access limit",
    ]
    checked = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_pipeline_of_the_page_is_a_part_of_the_one_that_is_tested() -> None:
    """`tests/test_workflows.py` runs each step of ours; the page leaves out variables and reports."""
    (shown,) = yaml_blocks("gitlab")
    text = (ROOT / "gitindex" / "data" / "workflows" / "gitlab-ci.yml").read_text(encoding="utf-8")
    ours = yaml.safe_load(re.sub(r"^<<.*>>\n", "", text, flags=re.MULTILINE))
    for name in ("validate", "preview", "pages", "verify"):
        script = [line.replace(' --folder "$FOLDER"', "").strip() for line in ours[name]["script"]]
        for line in shown[name]["script"]:
            assert any(known == line or known.startswith(f"{line} --report") for known in script), line
        assert shown[name]["rules"] == ours[name]["rules"]
        assert shown[name]["stage"] == ours[name]["stage"]


def test_documents_beside_the_documentation_link_to_pages_that_are_there() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((docs/[^)#]+)", document.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{document.name}: {target}"


def test_the_code_names_pages_that_are_there() -> None:
    for path in (*(ROOT / "gitindex").rglob("*.py"), *(ROOT / "tests").rglob("*.py")):
        for name in re.findall(r"\bdocs/[a-z/-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file() or path.name == "test_markup.py", f"{path}: {name}"


@each_rule
def test_rule_has_one_case_that_is_its_example(rule: Rule, make_rules: dict[str, Any]) -> None:
    assert make_rules["example_of"](rule.code).parent == CASES / rule.code


def test_rule_without_an_example_or_with_two_stops_the_page(example_of: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"^GI001 needs one example, and has none: write `example = true` into one"):
        example_of(("", ["GI001"]))
    with pytest.raises(ValueError, match=r"^GI001 needs one example, and has case-0, case-1: "):
        example_of(("example = true", ["GI001"]), ("example = true", ["GI001"]))


def test_example_breaks_its_rule(example_of: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"^GI001: its example, case-0, does not break it"):
        example_of(("example = true", ["GI002"]))


def test_table_leads_to_a_heading_for_each_rule() -> None:
    text = (DOCS / "reference" / "rules.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert headings == [rule.code for rule in RULES]
    assert re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \|", text, re.MULTILINE) == [(code, code.lower()) for code in headings]


def test_every_block_of_code_is_closed_and_can_be_printed() -> None:
    lines = (DOCS / "reference" / "rules.md").read_text(encoding="utf-8").splitlines()
    fences = [line for line in lines if line.startswith("```")]
    assert fences[1::2] == ["```"] * (len(fences) // 2)
    assert set(fences[::2]) == {"```text", "```diff"}
    assert all(line.isprintable() for line in lines)


def test_difference_names_what_is_moved_removed_and_not_text(make_rules: dict[str, Any]) -> None:
    plain, run, link = 0o100644, 0o100755, 0o120000
    base = Files(
        {
            b"a/old/1": Node(plain, b"1"),
            b"a/old/2": Node(plain, b"2"),
            b"a/gone/1": Node(plain, b"3\n"),
            b"a/gone/2": Node(plain, b"4\n"),
            b"a/mode": Node(plain, b"5\n"),
            b"a/link": Node(plain, b"6\n"),
            b"a/text": Node(plain, b"one\ntwo\n"),
        }
    )
    head = Files(
        {
            b"a/new/1": Node(plain, b"1"),
            b"a/old/2": Node(plain, b"2"),
            b"a/mode": Node(run, b"5\n"),
            b"a/link": Node(link, b"/etc\x1b[2J"),
            b"a/text": Node(plain, b"one\n```\n"),
            b"a/\xff": Node(plain, b"\0"),
            b"files/x": Node(plain, b"text\n"),
        }
    )
    lines = list(make_rules["difference"](base, head))
    assert lines == [
        "--- a/gone/ (removed, 2 files)",
        "makes a/link a symlink to /etc\\x1b[2J",
        "makes a/mode an executable file",
        "renames a/old/1",
        "     to a/new/1",
        "--- a/text",
        "+++ a/text",
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        "+```",
        "+++ a/\\xff (new, 1 bytes)",
        "+++ files/x (new, 5 bytes)",
    ]
    assert make_rules["fenced"]("diff", ["a"]) == "```diff\na\n```\n"
    assert make_rules["fenced"]("diff", lines).startswith("````diff\n")
