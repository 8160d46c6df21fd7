"""The page of a project: what it says of releases, metadata, READMEs, tests and history, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given

from gitindex.facts.described import Described, read_described
from gitindex.names import ProjectName
from gitindex.pages import ProjectPage, Status
from gitindex.render.project import project
from gitindex.render.text import is_link
from gitindex.views import HistoryEntry, ProjectView, RunOfTests
from tests.strategies import HOSTILE, checked, project_views
from tests.test_render_people import (
    DEMO,
    DEV,
    FILES,
    PROD,
    PROJECT,
    assert_harmless,
    links_of,
    one,
    parsed,
    text_of,
)

METADATA = b"""\
Metadata-Version: 2.4
Name: Demo
Version: 2.0
Summary: Shows <b>what</b> it can
Home-page: https://demo.example.org/
Author: Emilie Doe
Author-email: emilie@example.org
Maintainer-email: Bob <bob@example.org>, nobody
License-Expression: MIT OR Apache-2.0
Keywords: one,two
Classifier: Development Status :: 4 - Beta
Classifier: Programming Language :: Python :: 3
Classifier: Programming Language :: Python :: 3.13
Requires-Python: >=3.9,<4
Project-URL: Bug Tracker, https://demo.example.org/bugs
Project-URL: Evil, javascript:alert(1)
Project-URL: Source Code, https://demo.example.org/code
Provides-Extra: cli
Provides-Extra: Old_Style
Requires-Dist: other[fast]>=1.0,<2
Requires-Dist: tomli; python_version < "3.11"
Requires-Dist: rich>=14; extra == "cli"
Requires-Dist: six; (python_version < "3.9") and extra == "old-style"
Requires-Dist: far @ https://far.example.org/far-1.0.tar.gz
Requires-Dist: not a ~~ requirement
Description-Content-Type: text/markdown

# Demo

It shows [what](https://demo.example.org/) it can, and [how](#how).

## How

```python
print("so")
```
"""


def described(data: bytes = METADATA) -> Described:
    found = read_described(data)
    assert found is not None
    return found


FULL = replace(
    PROJECT,
    described=described(),
    here=frozenset({ProjectName("other"), ProjectName("rich")}),
    tested={
        "2.0": (
            RunOfTests("py313", "passed", 12.34, "2026-11-22T08:00:00Z", DEV),
            RunOfTests("py311", "failed", 1234.5, "2026-11-22T07:00:00Z", PROD),
            RunOfTests("py313", "error", 0, "2026-11-21T07:00:00Z", DEV),
        ),
        "1.0": (RunOfTests("py311", "passed", 1, "2026-01-01T00:00:00Z", PROD),),
    },
    history=(
        HistoryEntry("2026-11-24T10:00:00Z", "Emilie <b>", "a" * 40, DEV, ("2.0",), (), (), True),
        HistoryEntry("2026-11-23T10:00:00Z", "Bob", "b" * 40, PROD, (), ("1.0",), ("0.8", "0.7"), False),
    ),
)


def section(view: ProjectView, anchor: str) -> str:
    return text_of(one(project(view), f".//section[@aria-labelledby='{anchor}']"))


def about(view: ProjectView) -> dict[str, str]:
    groups = one(project(view), ".//aside").findall(".//dl[@class='facts']/div")
    return {text_of(group[0]): text_of(group[1]) for group in groups}


def test_metadata_is_shown_as_pypi_shows_it() -> None:
    assert about(FULL) == {
        "Links": "Homepage Bug Tracker Evil: javascript:alert(1) Source Code",
        "Licence": "MIT OR Apache-2.0",
        "Python": ">=3.9,<4",
        "Author": "Emilie Doe",
        "Maintainer": "Bob",
        "Tests": "failed py311 passed py313",
        "Extras": "cli, old-style",
        "Keywords": "one, two",
        "For tools": "simple page, JSON",
    }
    html = project(FULL)
    assert "Shows <b>what</b> it can" in text_of(one(html, ".//p[@class='lead']"))
    classifiers = text_of(one(html, ".//details[@class='classifiers']"))
    assert classifiers == "Classifiers Development Status 4 - Beta Programming Language Python :: 3 Python :: 3.13"
    assert not [link for link in links_of(html) if not is_link(link) and not link.startswith("mailto:")]
    kinds = {item.attrib["class"] for item in parsed(html).iter("li") if "link-" in item.attrib.get("class", "")}
    assert kinds == {"link-homepage", "link-issues", "link-source"}


def test_dependencies_are_grouped_by_extra_and_linked_where_the_index_has_them() -> None:
    found = one(project(FULL), ".//section[@aria-labelledby='dependencies']")
    assert [text_of(item) for item in found.iter("li")] == [
        "other[fast] >=1.0, <2",
        'tomli where python_version < "3.11"',
        "far @ https://far.example.org/far-1.0.tar.gz",
        "not a ~~ requirement",
        "rich >=14",
        'six where python_version < "3.9"',
    ]
    assert [text_of(heading) for heading in found.iter("h3")] == ["With the extra cli", "With the extra old-style"]
    assert [link.attrib["href"] for link in found.iter("a")] == ["../other/", "../rich/"]


def test_a_readme_is_shown_below_the_headings_of_the_page() -> None:
    html = project(FULL)
    readme = one(html, ".//div[@class='readme']")
    assert text_of(readme) == 'Demo It shows what it can, and how. How print("so")'
    assert [heading.attrib["id"] for heading in readme.iter() if heading.tag in {"h3", "h4"}] == [
        "readme-demo",
        "readme-how",
    ]
    levels = [int(element.tag[1]) for element in parsed(html).iter() if element.tag in {"h1", "h2", "h3", "h4"}]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [element.attrib["id"] for element in parsed(html).iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    assert {link[1:] for link in links_of(html) if link.startswith("#")} <= set(ids)


def test_results_of_tests_stand_beside_their_release() -> None:
    newest, older, _ = parsed(project(FULL)).findall(".//details[@class='release']")
    assert [text_of(run) for run in newest.findall(".//ul[@class='runs']/li")] == [
        "passed py313 12.3 s · 2026-11-22 · recorded in emilie/dev",
        "failed py311 1,234.5 s · 2026-11-22 · recorded in emilie/prod",
        "error py313 0.0 s · 2026-11-21 · recorded in emilie/dev",
    ]
    assert "tests not passed" in text_of(one(project(FULL), ".//details[@open]/summary"))
    assert "tests passed" in text_of(older[0])


def test_results_that_cannot_be_read_are_not_taken_for_none() -> None:
    view = replace(FULL, tested={"2.0": (RunOfTests("", "unreadable", 0, "", DEV),)})
    assert "The results in emilie/dev cannot be read." in section(view, "releases")
    assert "tests not passed" in section(view, "releases")


def test_history_says_who_did_what_where() -> None:
    entries = [text_of(item) for item in one(project(FULL), ".//ol[@class='history']")]
    assert entries == [
        "2026-11-24 Emilie <b> released 2.0, stated yanks or status in emilie/dev aaaaaaaaaa",
        "2026-11-23 Bob changed 1.0, removed 0.8, 0.7 in emilie/prod bbbbbbbbbb",
    ]


def test_a_page_names_its_sections_where_there_is_more_than_one() -> None:
    contents = one(project(FULL), ".//nav[@class='contents']")
    assert [text_of(item) for item in contents.iter("li")] == [
        "Description", "Releases 3", "Dependencies 6", "History",
    ]  # fmt: skip
    assert not parsed(project(PROJECT)).findall(".//nav[@class='contents']")


def test_project_page_lists_releases_newest_first_with_all_facts_of_their_files() -> None:
    groups = parsed(project(PROJECT)).findall(".//details[@class='release']")
    assert [group.findall("./div")[0].attrib["id"] for group in groups] == ["2.0", "1.0", "0.9"]
    assert ["open" in group.attrib for group in groups] == [True, False, False]
    assert [text_of(group.findall("./summary")[0]) for group in groups] == [
        "2.0 latest partly yanked 2026-11-22 · 2 files", "1.0 yanked 2026-11-22 · 2 files", "0.9 no files",
    ]  # fmt: skip
    newest, older, empty = (text_of(group.findall("./div")[0]) for group in groups)
    assert newest == (
        "From emilie/dev"
        f" demo-2.0-py3-none-any.whl 1.5 kB · 2026-11-22 · Python >=3.9, <4 · provenance{'3' * 64}"
        f" demo-2.0.tar.gz 1.5 kB · 2026-11-22 · Python >=3.9, <4 · provenance{'4' * 64}yanked only the sdist"
    )
    assert older.startswith("From emilie/prod Yanked. broken demo-1.0-py3-none-any.whl")
    assert older.count("anked") == 1
    assert empty == ""


def test_digests_are_there_to_copy() -> None:
    codes = [code for code in parsed(project(PROJECT)).iter("code") if "data-copy" in code.attrib]
    digests = {code.attrib["data-copy"]: code.text for code in codes}
    assert digests["sha256 of demo-2.0.tar.gz"] == "4" * 64


def test_project_page_says_where_each_file_of_a_mixed_release_comes_from() -> None:
    mixed = (FILES[2], FILES[3]._replace(index=PROD))
    html = project(replace(PROJECT, page=ProjectPage(DEMO, ("2.0",), mixed)))
    body = one(html, ".//details[@class='release']/div")
    first, second = (text_of(row) for row in body.iter("li"))
    assert "From" not in text_of(body)
    assert "from emilie/dev" in first
    assert "from emilie/prod" in second


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status("archived"), "Archived. No further releases are to be expected."),
        (Status("deprecated", "use other"), "Deprecated. Its owners advise against using it. use other"),
        (
            Status("quarantined", "malware"),
            "Quarantined. It is considered unsafe, so its files are not offered. malware",
        ),
    ],
)
def test_status_stands_in_a_banner(status: Status, words: str) -> None:
    html = project(replace(PROJECT, page=replace(PROJECT.page, status=status)))
    assert text_of(one(html, ".//div[@role='note']")) == words
    assert (b"demo-2.0.tar.gz" in html) == (status.status != "quarantined")


@pytest.mark.parametrize("status", [None, Status("active", "fine"), Status("on fire")])
def test_no_banner_where_there_is_nothing_to_say(status: Status | None) -> None:
    html = project(replace(PROJECT, page=replace(PROJECT.page, status=status)))
    assert not parsed(html).findall(".//div[@role='note']")


def test_project_without_releases_has_a_page() -> None:
    html = project(replace(PROJECT, page=ProjectPage(DEMO, (), ()), latest=""))
    assert "No release is offered here." in text_of(parsed(html))
    assert not list(parsed(html).iter("pre"))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1, "1 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
        (12_345_678, "12.3 MB"), (10**9, "1.0 GB"), (10**13, "10.0 TB"), (None, "2026-11-22"),
    ],
)  # fmt: skip
def test_sizes_are_for_people(size: int | None, words: str) -> None:
    page = ProjectPage(DEMO, ("2.0",), (FILES[2]._replace(size=size),))
    row = one(project(replace(PROJECT, page=page)), ".//ul[@class='files']/li")
    assert text_of(row.findall("./span")[0]).split(" · ")[0] == words


def test_files_of_an_upstream_without_version_or_digest_come_last() -> None:
    odd = FILES[2]._replace(filename="setup.exe", version="", sha256=None, core_metadata=True, size=None)
    html = project(replace(PROJECT, page=ProjectPage(DEMO, ("2.0",), (odd, FILES[2]))))
    releases = [text_of(group) for group in parsed(html).findall(".//details[@class='release']")]
    assert releases[0].startswith("2.0")
    assert releases[1].startswith("Other files")
    assert "setup.exe" in releases[1]
    assert b"None" not in html


@checked
@given(project_views)
def test_hostile_text_does_nothing_on_a_project_page(view: ProjectView) -> None:
    assert_harmless(project(view))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_metadata_is_shown_as_text(text: str) -> None:
    line = " ".join(text.split())
    fields = ["Summary", "Author", "License", "Keywords", "Project-URL", "Home-page", "Requires-Dist", "Provides-Extra"]
    data = "Metadata-Version: 2.1\nName: demo\nVersion: 2.0\n" + "".join(f"{field}: {line}\n" for field in fields)
    data += f"Description-Content-Type: text/plain\n\n{text}"
    found = read_described(data.encode("utf-8", "surrogatepass"))
    if found is not None:
        assert_harmless(project(replace(PROJECT, described=found)))
