"""What installers see change: each sentence by a case, the whole by a law over random histories, and its cost."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from markdown_it import MarkdownIt

from gitindex.git import folders
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.pages import Status
from gitindex.preview import (
    FileDifference,
    IndexDifference,
    MirrorsDifference,
    Preview,
    ProjectDifference,
    ReleaseDifference,
    SettingDifference,
    preview,
)
from gitindex.preview.values import Problem, StatusDifference
from gitindex.rendering import OPTIONS
from gitindex.report.markdown import COMMENT_LIMIT
from gitindex.report.preview import preview_json, preview_markdown, preview_text
from gitindex.site import render
from gitindex.site.notices import Notices
from gitindex.words import read_words
from tests.conftest import Run
from tests.repositories import Content, IndexRepository, make_repository, small_content
from tests.strategies import checked, hostile_texts, index_names
from tests.test_site_update import STAGES, Commits, site, start, touch

Pages = Mapping[tuple[str, str], tuple[bytes, bytes]]


def simple_pages(files: Mapping[str, bytes]) -> Pages:
    """Return the simple pages of a site, HTML and JSON, by index and project; the list has no project."""
    found = {}
    for path, data in files.items():
        user, _, rest = path.partition("/")
        name, _, rest = rest.partition("/")
        if rest.startswith("simple/") and rest.endswith("index.html"):
            project = rest.removeprefix("simple/").removesuffix("index.html").strip("/")
            found[f"{user}/{name}", project] = data, files[path.removesuffix("html") + "json"]
    return found


def stages_in(content: Content) -> set[str]:
    return {name for name in STAGES if f"indexes/{name}/index.toml" in content}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 4))
def test_a_preview_tells_just_the_pages_that_a_rendering_makes_otherwise(tmp_path: Path, seed: int, steps: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - hypothesis draws the seed; a history is too large for it to build
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    commits, content = Commits(folder / "git"), start()
    commits.commit(content)
    before, old, base = _rendered(commits, folder), set(stages_in(content)), commits.last
    for _ in range(steps):
        for _ in range(draw.choice((0, 1, 1, 2, 4))):
            touch(content, draw)
        if draw.randrange(4) == 0:
            content = Content(commits.contents[draw.choice([*commits.contents])])
        commits.commit(content)
        found = preview(commits.repository.at(str(base)), commits.repository.at(str(commits.last)))
        after, new = _rendered(commits, folder), set(stages_in(content))
        _check(found, before, after, old & new)
        came = {(str(index.name), index.kind) for index in found.indexes if index.kind != "changed"}
        changed_kind = {index for index in STAGES if (index in old) != (index in new)}
        assert {name for name, _ in came} & set(STAGES) == changed_kind
        # What is not committed has no ids that tell equal content, and gives the same all the same.
        one, other = (commits.contents[str(commit)].snapshot() for commit in (base, commits.last))
        again = preview(one, other)
        assert replace(again, base=found.base, head=found.head) == found
        if found.is_empty:
            assert before == after
        before, old, base = after, new, commits.last


def _rendered(commits: Commits, folder: Path) -> Pages:
    shutil.rmtree(folder / "site", ignore_errors=True)
    commits.render(folder / "site")
    return simple_pages(site(folder / "site"))


def _check(found: Preview, before: Pages, after: Pages, stages: set[str]) -> None:
    """Check the pages and the lists of the indexes that are there before and after."""
    told = {(str(index), str(project.name)) for index, project in _each(found) if project.alters_page}
    differing = {key for key in before.keys() | after.keys() if key[1] and before.get(key) != after.get(key)}
    assert {key for key in told if key[0] in stages} == {key for key in differing if key[0] in stages}
    for stage in stages:
        old, new = (
            {project["name"] for project in json.loads(pages[stage, ""][1])["projects"]} for pages in (before, after)
        )
        listed = {
            kind: {
                str(project.name) for index, project in _each(found) if str(index) == stage and project.listed == kind
            }
            for kind in ("added", "removed")
        }
        assert listed == {"added": new - old, "removed": old - new}


def _each(found: Preview) -> Iterator[tuple[IndexName, ProjectDifference]]:
    return ((index, project) for project in found.projects for index in project.indexes)


# Sentence by sentence


def told(change: Callable[[Content], object], content: Content | None = None) -> list[str]:
    """Return the lines of the text, but for the first sentence."""
    before = content or start()
    after = Content(before)
    change(after)
    return [line for line in preview_text(preview(before.snapshot(), after.snapshot())).splitlines()[1:] if line]


def drop(content: Content, *prefixes: str) -> None:
    for path in [path for path in content if path.startswith(prefixes)]:
        del content[path]


OURS = "  ~ it is ours now: root/pypi is not asked for it any more: "
ALL = "bob/lab, bob/team, emilie/dev and emilie/prod"


def world() -> Content:
    return start().stage("bob/lab", bases=["emilie/prod"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            lambda c: c.release("emilie/prod", "beta", "2.0"),
            [f"beta, in {ALL}", "  + 2.0 is new from emilie/prod (1 file)"],
            id="a release of a base is new for all that inherit it",
        ),
        pytest.param(
            lambda c: (
                c.release("emilie/prod", "beta", "2.0"),
                c.statements("emilie/prod", "beta", yanked={"2.0": "late"}),
            ),
            [f"beta, in {ALL}", "  + 2.0 is new from emilie/prod (1 file), yanked: late"],
            id="a release is new, and yanked already",
        ),
        pytest.param(
            lambda c: c.statements("emilie/prod", "beta", yanked={"1.0": "broken"}),
            [f"beta, in {ALL}", "  - 1.0 is yanked: broken"],
            id="a yank",
        ),
        pytest.param(
            lambda c: drop(c, "indexes/emilie/dev/beta/"),
            ["beta, in bob/team and emilie/dev", "  - 1.1 is removed from emilie/dev (1 file)"],
            id="a release is removed, and its project stays ours",
        ),
        pytest.param(
            lambda c: drop(c, "indexes/bob/team/gamma/"),
            [
                "gamma, in bob/team",
                "  ! the name falls open: root/pypi answers for it now: no stage has the project",
                "  - 1.0 is removed from bob/team (1 file)",
            ],
            id="the last release goes, and the mirror answers",
        ),
        pytest.param(
            lambda c: c.release("bob/lab", "numbers", "1.0"),
            [
                "numbers, in bob/lab",
                f"{OURS}bob/lab has the project, and mirror_whitelist does not admit it",
                "  + 1.0 is new from bob/lab (1 file)",
            ],
            id="a name becomes ours",
        ),
        pytest.param(
            lambda c: c.statements("emilie/prod", "beta", status="quarantined", **{"status-reason": "bad"}),
            [
                "beta, in bob/lab and emilie/prod",
                "  - it is quarantined, and none of its files is offered: bad",
                "  - 1.0 is not visible any more (1 file), though emilie/prod has it",
                "beta, in bob/team and emilie/dev",
                "  - it is quarantined, and none of its files is offered: bad",
                "  - 1.1 is not visible any more (1 file), though emilie/dev has it",
                "  - 1.0 is not visible any more (1 file), though emilie/prod has it",
            ],
            id="a quarantine hides what is there",
        ),
        pytest.param(
            lambda c: c.statements("emilie/prod", "alpha", status="archived"),
            [f"alpha, in {ALL}", "  ~ it is archived"],
            id="a status",
        ),
        pytest.param(
            lambda c: c.stage("bob/lab", bases=["emilie/dev"]),
            [
                "bob/lab is defined otherwise",
                "  ~ bases: inherits from: emilie/dev; no longer from: emilie/prod",
                "  + order: shows what emilie/dev has",
                "beta, in bob/lab",
                "  + 1.1 is visible now from emilie/dev (1 file)",
            ],
            id="a new base shows what it has",
        ),
        pytest.param(
            lambda c: c.stage("emilie/dev", bases=[]),
            [
                "emilie/dev is defined otherwise; inherited by bob/team",
                "  ~ bases: no longer from: emilie/prod",
                "  - order: does not show what emilie/prod has any more",
                "  - order: root/pypi (a mirror) is not asked any more",
                "alpha, in emilie/dev",
                "  - 1.0 is not visible any more (1 file), though emilie/prod has it",
                "beta, in emilie/dev",
                "  - 1.0 is not visible any more (1 file), though emilie/prod has it",
            ],
            id="a base that is gone hides what it has",
        ),
        pytest.param(
            lambda c: c.stage("emilie/prod", volatile=False, bases=[]),
            [
                "bob/lab inherits otherwise",
                "  - order: root/pypi (a mirror) is not asked any more",
                "bob/team inherits otherwise",
                "  - order: root/pypi (a mirror) is not asked any more",
                "emilie/dev inherits otherwise; inherited by bob/team",
                "  - order: root/pypi (a mirror) is not asked any more",
                "emilie/prod is defined otherwise; inherited by bob/lab, bob/team and emilie/dev",
                "  ~ bases: no longer from: root/pypi",
                "  - order: root/pypi (a mirror) is not asked any more",
            ],
            id="a mirror is not asked any more, through all that inherit it",
        ),
        pytest.param(
            lambda c: c.stage("bob/lab", bases=["emilie/prod"], mirror_whitelist=["beta"]),
            [
                "bob/lab is defined otherwise",
                "  ! mirror_whitelist: mirrors may add to: beta",
                "beta, in bob/lab",
                "  ! root/pypi may add files to it now: mirror_whitelist admits it (bob/lab)",
            ],
            id="a whitelist opens a project of ours, for its index alone",
        ),
        pytest.param(
            lambda c: c.stage("bob/lab", bases=["emilie/prod"], acl_upload=["bob", ":team"], volatile=False),
            [
                "bob/lab is defined otherwise",
                "  ~ volatile: no: nothing that is released there is ever removed or changed",
                "  ~ acl_upload: may release: :team",
            ],
            id="a promise and an ACL",
        ),
        pytest.param(
            lambda c: c.settings(
                names={"reserved": ["alpha", "beta-*"]}, site={"url": "https://packages.example.org/"}
            ),
            [
                "gitindex.toml says otherwise",
                "  ! names.reserved: ours without a release: beta-*; not reserved any more: acme-*",
            ],
            id="patterns of reserved names that no project has",
        ),
        pytest.param(
            lambda c: c.settings(
                names={"reserved": ["acme-*", "alpha", "omega"]}, site={"url": "https://packages.example.org/"}
            ),
            [
                "gitindex.toml says otherwise",
                "  ~ names.reserved: ours without a release: omega",
                f"omega, in {ALL}",
                f"{OURS}the name is reserved (names.reserved in gitindex.toml)",
                "  + has a page now, with no release",
            ],
            id="a reserved name is ours before a release",
        ),
        pytest.param(
            lambda c: c.mirror("root/pypi", allow=["numpy"]),
            [
                "root/pypi is defined otherwise; inherited by bob/lab, bob/team, emilie/dev and emilie/prod",
                "  ~ allow: shown: numpy; everything else is not",
            ],
            id="a curated mirror",
        ),
        pytest.param(
            lambda c: c.mirror("root/pypi", deny=["leftpad"]),
            [
                "root/pypi is defined otherwise; inherited by bob/lab, bob/team, emilie/dev and emilie/prod",
                "  ~ deny: refused: leftpad",
                f"leftpad, in {ALL}",
                "  - root/pypi does not answer for it any more: deny names it",
            ],
            id="a name that a mirror does not answer for any more",
        ),
        pytest.param(
            lambda c: c.stage("bob/new", bases=["bob/lab"], title="New"),
            [
                "bob/new is new, with 2 projects",
                "  + title: New",
                "  ~ volatile: yes: releases may be replaced or removed",
                "  ~ bases: inherits from: bob/lab",
                "  ~ acl_upload: may release: bob",
            ],
            id="a new index tells its promise, and not again what its bases have",
        ),
        pytest.param(
            lambda c: drop(c, "indexes/bob/team/"),
            [
                "bob/team is removed, with 3 projects",
                "gamma, in bob/team",
                "  - 1.0 is removed from bob/team (1 file)",
            ],
            id="an index goes with its releases",
        ),
        pytest.param(
            lambda c: c.update({"indexes/emilie/dev/beta/1.1.json": c["indexes/emilie/dev/beta/1.1.json"] + b"?"}),
            [
                "beta, in bob/team and emilie/dev",
                "  ! its page cannot be shown any more: indexes/emilie/dev/beta/1.1.json: not JSON: Extra data",
            ],
            id="a manifest that cannot be read is said to be just that",
        ),
        pytest.param(
            lambda c: c.release("emilie/dev", "beta", "1.1", kind="sdist"),
            ["beta, in bob/team and emilie/dev", "  ~ 1.1: beta-1.1.tar.gz is new"],
            id="a file more of a release",
        ),
        pytest.param(
            lambda c: (c.pop("indexes/emilie/dev/beta/1.1.json"), c.release("emilie/dev", "beta", "1.1", text="other")),
            ["beta, in bob/team and emilie/dev", "  ! 1.1: beta-1.1-py3-none-any.whl has another sha256 and size"],
            id="other bytes under the same name",
        ),
        pytest.param(
            lambda c: c.pop(c.stored("emilie/dev", "beta", "1.1") + ".metadata"),
            ["beta, in bob/team and emilie/dev", "  ~ 1.1: beta-1.1-py3-none-any.whl has another core-metadata"],
            id="metadata that is not stored any more",
        ),
        pytest.param(
            lambda c: c.update({"indexes/bob/lab/beta/1.0.json": c["indexes/emilie/prod/beta/1.0.json"]}),
            [],
            id="a push to an index that inherits it changes nothing for anybody",
        ),
        pytest.param(lambda c: c.user("bob", title="Bob the builder"), [], id="a user's title"),
        pytest.param(
            lambda c: c.stage("bob/team", bases=["emilie/prod", "emilie/dev"]),
            [
                "bob/team is defined otherwise",
                "  ~ bases: inherits from, in this order: emilie/prod, emilie/dev",
                "  ~ order: looks in another order: bob/team, emilie/prod, emilie/dev, root/pypi",
            ],
            id="another order of the same bases",
        ),
        pytest.param(
            lambda c: c.statements("bob/lab", "alpha", yanked={}),
            [],
            id="an empty folder of what the bases have",
        ),
        pytest.param(
            lambda c: c.update({"indexes/bob/lab/alpha-only/project.toml": b""}),
            [
                "alpha-only, in bob/lab",
                f"{OURS}bob/lab has the project, and mirror_whitelist does not admit it",
                "  + has a page now, with no release",
            ],
            id="a project with statements and no release",
        ),
        pytest.param(
            lambda c: c.update({"indexes/bob/lab/acme-x/project.toml": b""}),
            ["acme-x, in bob/lab", "  + has a page now, with no release"],
            id="a project of a reserved pattern, with no release",
        ),
        pytest.param(
            lambda c: c.update({"indexes/bob/lab/index.toml": b"type = 7"}),
            [
                "bob/lab is defined otherwise",
                "  ! problem: the definition cannot be read: type is 7, and must be 'stage' or 'mirror'",
            ],
            id="a definition that cannot be read",
        ),
    ],
)
def test_what_is_told(change: Callable[[Content], object], expected: list[str]) -> None:
    assert told(change, world()) == expected


def test_a_page_without_a_release_goes_and_a_reserved_name_is_listed() -> None:
    content = world().settings(names={"reserved": ["omega"]})
    lines = told(lambda c: c.update({"indexes/bob/lab/omega/project.toml": b""}), content)
    assert lines == ["omega, in bob/lab", "  ~ listed now among the projects"]
    lines = told(lambda c: c.settings(), content)
    assert lines[2:] == [
        f"omega, in {ALL}",
        "  ! the name falls open: root/pypi answers for it now: no stage has the project",
        "  - has no page any more",
    ]


def test_a_definition_that_can_be_read_again_is_said_to_be() -> None:
    content = world()
    content["indexes/emilie/dev/index.toml"] = b"type = 7"
    lines = told(lambda c: c.stage("emilie/dev", bases=["emilie/prod"]), content)
    assert "  ~ problem: the definition can be read now, and could not before: type is 7" in "\n".join(lines)


def test_progress_is_told() -> None:
    before, after, seen = start(), start(), []
    after.release("emilie/prod", "beta", "2.0")
    after.release("emilie/prod", "new", "2.0")
    preview(before.snapshot(), after.snapshot(), lambda done, of: seen.append((done, of)))
    count = len(seen)
    assert seen == [(done, count) for done in range(count)]
    assert count >= 2


def test_what_comes_back_is_told_too() -> None:
    content = world().statements("emilie/prod", "beta", status="quarantined", yanked={"1.0": ""})
    lines = told(lambda c: c.pop("indexes/emilie/prod/beta/project.toml"), content)
    assert lines[:3] == [
        "beta, in bob/lab and emilie/prod",
        "  ~ it is not quarantined any more",
        "  + 1.0 is visible now from emilie/prod (1 file)",
    ]
    content.statements("emilie/prod", "beta", yanked={"1.0": ""})
    lines = told(lambda c: c.pop("indexes/emilie/prod/beta/project.toml"), content)
    assert lines == [f"beta, in {ALL}", "  + 1.0 is not yanked any more"]


def test_that_files_moved_is_said_once_and_not_of_each() -> None:
    url = "https://files.example.org/"
    lines = told(lambda c: c.settings(storage={"url": "s3://bucket/", "public_url": url}), Content(start()))
    assert [line for line in lines if "storage" in line] == [
        f"  ~ storage.public_url: files are downloaded from elsewhere: nothing → {url}",
        "  ~ storage.url: files are downloaded from elsewhere: files/ → s3://bucket/",
    ]
    assert not [line for line in lines if "whl" in line]


def test_against_nothing_all_indexes_are_new() -> None:
    found = preview(Content().snapshot(), start().snapshot())
    assert {index.kind for index in found.indexes} == {"added"}
    assert {release.kind for project in found.projects for release in project.releases} == {"new"}


# Its cost


def test_what_is_opened_does_not_grow_with_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = folders._read_object
    read: list[bytes] = []

    def counted(repository: Any, object_id: bytes) -> tuple[int, bytes]:
        read.append(object_id)
        return real(repository, object_id)

    monkeypatch.setattr(folders, "_read_object", counted)
    counts = {}
    for size in (10, 300):
        commits, content = Commits(tmp_path / f"{size}"), start()
        for number in range(size):
            content.add_file("emilie/prod", f"p{number}", "1.0", _elsewhere(f"p{number}", "1.0"))
        base = commits.commit(content)
        content.add_file("emilie/prod", "p7", "2.0", _elsewhere("p7", "2.0"))
        content.statements("emilie/dev", "beta", yanked={"1.1": "x"})
        content.stage("bob/team", bases=["emilie/dev"])
        head = commits.commit(content)
        read.clear()
        found = preview(commits.repository.at(base), commits.repository.at(head))
        assert [project.name for project in found.projects] == ["beta", "p7"]
        counts[size] = len(read)
    assert counts[10] == counts[300] < 100


def _elsewhere(name: str, version: str) -> dict[str, Any]:
    filename = f"{name}-{version}.tar.gz"
    hashes = {"sha256": "a" * 64}
    return {"filename": filename, "hashes": hashes, "size": 7, "url": f"https://files.example.org/{filename}"}


# Formats


versions = hostile_texts
names = hostile_texts.map(ProjectName)
places = st.lists(index_names | st.builds(IndexName, hostile_texts.map(UserName), hostile_texts), max_size=3).map(tuple)
files = st.builds(
    FileDifference,
    hostile_texts,
    st.sampled_from(["added", "removed", "changed", "yanked", "unyanked"]),
    st.just(("sha256", "size")),
    st.none() | hostile_texts,
)
releases = st.builds(
    ReleaseDifference,
    versions,
    st.sampled_from(["new", "shown", "removed", "hidden", "changed", "yanked", "unyanked"]),
    st.none() | index_names,
    st.lists(files, max_size=5).map(tuple),
)
stated = st.none() | st.builds(
    Status, st.sampled_from(["active", "archived", "quarantined"]), st.none() | hostile_texts
)
projects = st.builds(
    ProjectDifference,
    names,
    places,
    st.lists(releases, min_size=1, max_size=4).map(tuple),
    st.none() | st.builds(StatusDifference, stated, stated),
    st.none(),
    st.none(),
    st.none() | st.builds(MirrorsDifference, places, places, hostile_texts, st.booleans()),
    st.none() | st.builds(Problem, hostile_texts, st.none() | hostile_texts),
)
values = st.none() | st.booleans() | hostile_texts | st.lists(hostile_texts, max_size=9).map(tuple)
keys = st.sampled_from(
    ["type", "volatile", "bases", "order", "acl_upload", "mirror_whitelist", "allow", "deny", "title", "problem"]
)
changed_settings = st.builds(
    SettingDifference, st.sampled_from(["names.reserved", "storage.url", "site.url"]) | hostile_texts, values, values
)
indexes = st.builds(
    IndexDifference,
    index_names,
    st.sampled_from(["added", "removed", "changed"]),
    st.lists(st.builds(SettingDifference, keys, values, values), max_size=4).map(tuple),
    places,
    places,
    st.none() | st.integers(0, 10**6),
)
previews = st.builds(
    Preview,
    st.none() | st.just("a1" * 20),
    st.sampled_from(["worktree", "index", "b2" * 20]),
    st.lists(changed_settings, max_size=2).map(tuple),
    st.lists(indexes, max_size=3).map(tuple),
    st.lists(projects, max_size=4).map(tuple),
)


def assert_is_inert(markdown: str) -> None:
    """Check that Markdown is what we lay out: tables of plain words and code, and folds; each row has all its cells."""
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "html_block":
            fold = r"<details>\n<summary>[0-9,]+ more changes?</summary>\n?|</details>\n?"
            assert re.fullmatch(fold, token.content), token.content
        for child in token.children or ():
            assert child.type in {"text", "code_inline"}, child
            if child.type == "text":
                assert re.fullmatch(r"[A-Za-z0-9 ,.:;()'-]*", child.content), child.content
    for line in markdown.splitlines():
        if line.startswith("|"):
            assert line.count("|") in (4, 5), line


@checked
@given(previews)
def test_nothing_hostile_comes_through_markdown(shown: Preview) -> None:
    assert_is_inert(preview_markdown(shown))


@checked
@given(previews)
def test_text_and_json_carry_every_project(shown: Preview) -> None:
    text = preview_text(shown)
    assert all(line.isprintable() for line in text.split("\n"))
    answer = json.loads(preview_json(shown))
    assert len(answer["projects"]) == len(shown.projects)
    assert [len(project["releases"]) for project in answer["projects"]] == [len(p.releases) for p in shown.projects]
    json.dumps(answer, ensure_ascii=False)


def test_markdown_fits_into_a_comment_and_says_what_is_left_out() -> None:
    content = small_content()
    after = Content(content)
    for number in range(3000):
        after.add_file("emilie/prod", f"p{number:04}", "1.0", _elsewhere(f"p{number:04}", "1.0"))
    found = preview(content.snapshot(), after.snapshot())
    report = preview_markdown(found)
    assert COMMENT_LIMIT - 1500 < len(report.encode()) <= COMMENT_LIMIT
    assert_is_inert(report)
    rows = len(re.findall(r"^\| `?p\d{4}", report, re.MULTILINE))
    left_out = re.search(r"^([0-9,]+) changes more found no room here", report, re.MULTILINE)
    assert left_out is not None
    # Each project is ours now, and has a new release.
    assert rows + int(left_out[1].replace(",", "")) == 6000
    assert "<summary>" in report


# The command


@pytest.fixture
def changed(tmp_path: Path) -> IndexRepository:
    content = start()
    repository = make_repository(tmp_path / "repository", content)
    content.release("emilie/prod", "beta", "2.0")
    repository.put(content)
    return repository


def test_diff_compares_the_working_tree_with_what_is_published(changed: IndexRepository, run: Run) -> None:
    changed.publish()
    done = run("-C", changed.path, "diff")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[2:] == [
        "beta, in bob/team, emilie/dev and emilie/prod",
        "  + 2.0 is new from emilie/prod (1 file)",
    ]
    assert run("-C", changed.path, "diff", "--staged").out.startswith("Nothing that installers see changes from ")
    changed.git("add", "--all")
    assert "2.0 is new" in run("-C", changed.path, "diff", "HEAD", "--staged").out
    changed.commit()
    assert "2.0 is new" in run("-C", changed.path, "diff").out
    assert "2.0 is new" in run("-C", changed.path, "diff", "HEAD~1", "HEAD").out
    assert "2.0 is removed" in run("-C", changed.path, "diff", "HEAD", "HEAD~1").out


def test_diff_in_json_and_markdown(changed: IndexRepository, run: Run) -> None:
    first = changed.git("rev-parse", "HEAD")
    answer = json.loads(run("-C", changed.path, "diff", "--json").out)
    assert (answer["base"], answer["head"]) == (first, "worktree")
    [project] = answer["projects"]
    assert project["indexes"] == answer["affected"] == ["bob/team", "emilie/dev", "emilie/prod"]
    assert [(release["version"], release["change"]) for release in project["releases"]] == [("2.0", "new")]
    markdown = run("-C", changed.path, "diff", "--format", "markdown").out
    assert "| beta | `2.0` | is new from `emilie/prod` (1 file) |" in markdown


def test_nothing_changed_is_said_and_is_no_failure(changed: IndexRepository, run: Run) -> None:
    done = run("-C", changed.path, "diff", "HEAD", "HEAD")
    assert done.code == 0
    assert re.fullmatch(r"Nothing that installers see changes from (\w{12}) to \1\.\n", done.out)
    assert json.loads(run("-C", changed.path, "diff", "HEAD", "HEAD", "--json").out)["projects"] == []
    assert "Nothing" in run("-C", changed.path, "diff", "HEAD", "HEAD", "--format", "markdown").out


def test_what_cannot_be_compared_is_one_line(changed: IndexRepository, run: Run, tmp_path: Path) -> None:
    for words, code, text in (
        (("diff", "nowhere"), 1, "nowhere: no such revision"),
        (("diff", "HEAD", "HEAD", "--staged"), 2, "exclude each other"),
    ):
        done = run("-C", changed.path, *words)
        assert (done.code, done.out) == (code, "")
        assert text in done.err
        assert done.err.count("\n") == 1
    other = make_repository(tmp_path / "other", {"README": b"x"})
    done = run("-C", other.path, "diff", "HEAD", "HEAD")
    assert (done.code, done.out) == (3, "")
    assert "no index repository" in done.err


def test_diff_is_coloured_where_that_is_asked_for(
    changed: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[" not in run("-C", changed.path, "diff").out
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32m+" in run("-C", changed.path, "diff").out


# The site


def test_a_preview_site_marks_the_changed_pages_and_leaves_the_simple_ones(
    changed: IndexRepository, run: Run, tmp_path: Path
) -> None:
    changed.write("indexes/emilie/prod/beta/project.toml", '[yanked]\n"1.0" = "broken <b>"\n')
    changed.commit()
    out, plain = tmp_path / "site", tmp_path / "plain"
    done = run("-C", changed.path, "render", "--out", out, "--preview", "HEAD~1", "HEAD", "--json")
    assert json.loads(done.out)["preview_of"] == changed.git("rev-parse", "HEAD~1")
    assert run("-C", changed.path, "render", "--out", plain, "--rev", "HEAD").code == 0
    shown, expected = site(out), site(plain)
    assert shown.keys() == expected.keys()
    differing = {path for path in shown if shown[path] != expected[path]}
    stages = ("bob/team", "emilie/dev", "emilie/prod")
    assert differing == {
        "index.html",
        *(f"{stage}/index.html" for stage in stages),
        *(f"{stage}/project/beta/index.html" for stage in stages),
    }
    landing = shown["index.html"].decode()
    assert all(f'<a href="{stage}/project/beta/">{stage}</a>' in landing for stage in stages)
    page = shown["emilie/dev/project/beta/index.html"].decode()
    assert page.count('class="badge change-new">new<') == 1
    assert page.count('class="badge change-gone">now yanked<') == 1
    assert "broken &lt;b&gt;" in page


def test_an_index_page_tells_what_its_definition_and_its_bases_say(tmp_path: Path) -> None:
    before, after = world(), world()
    after.stage("emilie/dev", bases=["emilie/prod"], title="<b>New</b>", mirror_whitelist=["beta"])
    after.settings(names={"reserved": ["alpha"]})
    drop(after, "indexes/bob/lab/")
    base, head = before.snapshot(), after.snapshot()
    render(head, tmp_path / "site", notices=Notices(preview(base, head)))
    own, above, landing, mirror = (
        (tmp_path / "site" / page).read_text()
        for page in ("emilie/dev/index.html", "bob/team/index.html", "index.html", "root/pypi/index.html")
    )
    assert "<b>title</b>: nothing → &lt;b&gt;New&lt;/b&gt;" in own
    assert "<b>beta</b>: root/pypi may add files to it now" in own
    assert '<a href="project/beta/">see its page</a>' in own
    assert "<b>emilie/dev</b>: is defined otherwise; inherited by bob/team" in above
    assert "<b>names.reserved</b>: not reserved any more: acme-*" in landing
    assert '<a href="emilie/dev/">emilie/dev</a>' in landing
    assert "<b>bob/lab</b>: is removed" in landing
    assert 'href="bob/lab/' not in landing
    assert "Preview of a change" not in mirror


def test_a_plain_rendering_cleans_a_preview_and_no_update_is_made_of_one(
    changed: IndexRepository, run: Run, tmp_path: Path
) -> None:
    changed.commit()
    out, plain = tmp_path / "site", tmp_path / "plain"
    run("-C", changed.path, "render", "--out", plain, "--rev", "HEAD")
    for _ in range(2):
        assert run("-C", changed.path, "render", "--out", out, "--preview", "HEAD~1", "HEAD").code == 0
        done = run("-C", changed.path, "render", "--out", out, "--rev", "HEAD", "--json")
        assert json.loads(done.out)["since"] is None
        assert site(out) == site(plain)


def test_a_preview_of_one_index_names_that_alone(changed: IndexRepository, run: Run, tmp_path: Path) -> None:
    changed.commit()
    words = ("--index", "emilie/prod", "--preview", "HEAD~1", "HEAD")
    assert run("-C", changed.path, "render", "--out", tmp_path / "site", *words).code == 0
    landing = (tmp_path / "site/index.html").read_text()
    assert 'href="emilie/prod/project/beta/"' in landing
    assert "bob/team/" not in landing


def test_a_preview_names_two_revisions(changed: IndexRepository, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "site"
    for words, code in (
        (("--preview", "HEAD", "HEAD", "--rev", "HEAD"), 2),
        (("--preview", "HEAD"), 2),
        (("--preview", "nowhere", "HEAD"), 1),
    ):
        assert run("-C", changed.path, "render", "--out", out, *words).code == code
        assert not out.exists()


def test_a_notice_is_bounded_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    content = small_content()
    after = Content(content)
    for number in range(150):
        after.add_file("emilie/prod", f"p{number:04}", "1.0", _elsewhere(f"p{number:04}", "1.0"))
    base, head = content.snapshot(), after.snapshot()
    render(head, tmp_path / "site", notices=Notices(preview(base, head)))
    for page in ("index.html", "emilie/dev/index.html"):
        text = (tmp_path / "site" / page).read_text()
        assert text.count('<li class="change-') == 100
        assert "50 more; <code>gitindex diff</code>" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--preview", "a", "b"], ("a", "b")),
        (["--preview", "a", "b", "--full"], ("a", "b")),
        (["--preview", "a"], None),
        (["--preview", "a", "--full"], None),
        (["--preview=a", "b"], None),
    ],
)
def test_two_words_are_read_without_typer(words: list[str], expected: tuple[str, str] | None) -> None:
    read = read_words("render", OPTIONS, ["render", "--out", "site", *words], {})
    assert (read and read.values["preview"]) == expected
