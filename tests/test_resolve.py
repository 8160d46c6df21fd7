"""Indexes through their bases: the order, what shadows what and what hides the mirrors, as devpi has been measured."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings, strategies as st

from gitindex.names import IndexName, ProjectName, UserName, parse_index_name
from gitindex.pages import Links, ProjectPage, project_page
from gitindex.resolve import (
    Outcome,
    Step,
    display_name,
    files_of,
    is_ours,
    project_names,
    resolution_order,
    walk,
)
from gitindex.snapshot import Snapshot
from tests.repositories import Content, small_content

SHARED = ProjectName("shared")


def order_of(snapshot: Snapshot, name: str) -> tuple[str, ...]:
    index = snapshot.index(parsed(name))
    assert index is not None
    return tuple(str(step.name) for step in resolution_order(snapshot, index))


def parsed(name: str) -> IndexName:
    found = parse_index_name(name)
    assert found is not None
    return found


def steps_of(content: Content, name: str, project: str = SHARED) -> tuple[Step, ...]:
    snapshot = content.snapshot()
    index = snapshot.index(parsed(name))
    assert index is not None
    return tuple(walk(snapshot, resolution_order(snapshot, index), ProjectName(project)))


def outcomes(content: Content, name: str, project: str = SHARED) -> dict[str, Outcome]:
    return {str(step.index.name): step.outcome for step in steps_of(content, name, project)}


def reasons(content: Content, name: str, project: str = SHARED) -> dict[str, str]:
    return {str(step.index.name): step.reason for step in steps_of(content, name, project)}


def asks_a_mirror(content: Content, name: str, project: str = SHARED) -> bool:
    snapshot = content.snapshot()
    index = snapshot.index(parsed(name))
    assert index is not None
    asked = "asked" in outcomes(content, name, project).values()
    assert is_ours(snapshot, resolution_order(snapshot, index), ProjectName(project)) is not asked
    return asked


def page_of(content: Content, name: str, project: str = SHARED) -> ProjectPage:
    return project_page(ProjectName(project), steps_of(content, name, project), Links(content.snapshot()))


def graph(**bases: str) -> Content:
    """Return indexes of emilie, named by letters, with bases; what starts with m is a mirror."""
    content = Content().settings().user("emilie")
    for name, its_bases in bases.items():
        if name.startswith("m"):
            content.mirror(f"emilie/{name}")
        else:
            content.stage(f"emilie/{name}", bases=[f"emilie/{base}" for base in its_bases.split()])
    return content


# The order


@pytest.mark.parametrize(
    ("bases", "asked", "expected"),
    [
        ({"a": ""}, "a", "a"),
        ({"dev": "prod", "prod": "mirror", "mirror": ""}, "dev", "dev prod mirror"),
        # Measured of devpi: breadth first, not C3.
        ({"de": "db da", "db": "dc", "da": "", "dc": ""}, "de", "de db da dc"),
        ({"top": "left right", "left": "bottom", "right": "bottom", "bottom": ""}, "top", "top left right bottom"),
        # Mirrors go last, in the order in which they are met.
        ({"a": "m1 b", "b": "m2 c", "c": "m1", "m1": "", "m2": ""}, "a", "a b c m1 m2"),
        ({"a": "m2 m1", "m1": "", "m2": ""}, "a", "a m2 m1"),
        ({"m1": ""}, "m1", "m1"),
        # Devpi accepts all of these; the rules do not, and the order ends all the same.
        ({"a": "b", "b": "a"}, "a", "a b"),
        ({"a": "a"}, "a", "a"),
        ({"a": "b b b", "b": ""}, "a", "a b"),
        ({"a": "b", "b": "c", "c": "a b"}, "b", "b c a"),
        ({"a": "nowhere b", "b": ""}, "a", "a b"),
    ],
    ids=str,
)
def test_the_order_is_breadth_first_with_mirrors_last(bases: dict[str, str], asked: str, expected: str) -> None:
    snapshot = graph(**bases).snapshot()
    assert order_of(snapshot, f"emilie/{asked}") == tuple(f"emilie/{name}" for name in expected.split())


def test_a_base_that_is_malformed_or_cannot_be_read_is_passed_over() -> None:
    content = graph(b="", c="").stage("emilie/a", bases=["nonsense", "../b", "emilie/b", "emilie/c", "a/b/c"])
    content["indexes/emilie/c/index.toml"] = b"broken"
    assert order_of(content.snapshot(), "emilie/a") == ("emilie/a", "emilie/b", "emilie/c")
    assert outcomes(content, "emilie/a") == {"emilie/a": "nothing", "emilie/b": "nothing", "emilie/c": "nothing"}


letters = st.sampled_from("abcdefg")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(letters, st.tuples(st.booleans(), st.lists(letters, max_size=4))), letters)
def test_resolution_ends_on_any_graph_of_bases(indexes: dict[str, tuple[bool, list[str]]], asked: str) -> None:
    content = Content().settings().user("u")
    for name, (is_mirror, bases) in indexes.items():
        if is_mirror:
            content.mirror(f"u/{name}")
        else:
            content.stage(f"u/{name}", bases=[f"u/{base}" for base in bases])
    content.stage(f"u/{asked}", bases=[f"u/{base}" for base in indexes.get(asked, (False, ["a", "b"]))[1]])
    order = order_of(content.snapshot(), f"u/{asked}")
    assert len(set(order)) == len(order), "each index once"
    kinds = [content[f"indexes/{name}/index.toml"].startswith(b'type = "mirror"') for name in order]
    assert kinds == sorted(kinds), "mirrors last"
    # The same search, written once more and naively: by distance, then by the order in which bases are named.
    seen, queue = [asked], deque([asked])
    while queue:
        name = queue.popleft()
        is_mirror, bases = (
            indexes.get(name, (False, ["a", "b"]))
            if name != asked
            else (
                False,
                indexes.get(asked, (False, ["a", "b"]))[1],
            )
        )
        for base in () if is_mirror else bases:
            if base not in seen and f"indexes/u/{base}/index.toml" in content:
                seen.append(base)
                queue.append(base)
    assert sorted(order) == sorted(f"u/{name}" for name in seen)
    assert list(order) == sorted((f"u/{name}" for name in seen), key=lambda n: kinds[order.index(n)])


# What shadows what


def test_the_first_file_of_a_name_wins_and_versions_are_not_hidden() -> None:
    """Measured: dev{1.0D,2.0} + prod{1.0P,3.0} shows 2.0, 1.0D, 3.0P."""
    content = small_content()
    for index, version in (("dev", "1.0"), ("dev", "2.0"), ("prod", "1.0"), ("prod", "3.0")):
        content.release(f"emilie/{index}", "shared", version, text=f"{index} {version}")
    found = list(files_of(steps_of(content, "emilie/dev")))
    assert [(file.version, str(file.index), file.shadowed_by and str(file.shadowed_by)) for file in found] == [
        ("1.0", "emilie/dev", None),
        ("2.0", "emilie/dev", None),
        ("1.0", "emilie/prod", "emilie/dev"),
        ("3.0", "emilie/prod", None),
    ]
    page = page_of(content, "emilie/dev")
    assert [(file.version, str(file.index)) for file in page.files] == [
        ("1.0", "emilie/dev"),
        ("2.0", "emilie/dev"),
        ("3.0", "emilie/prod"),
    ]
    assert [file.version for file in page_of(content, "emilie/prod").files] == ["1.0", "3.0"]


def test_files_of_one_version_come_from_several_indexes() -> None:
    content = small_content()
    content.release("emilie/dev", "shared", "1.0", kind="sdist")
    content.release("emilie/prod", "shared", "1.0")
    assert [(file.filename, str(file.index)) for file in page_of(content, "emilie/dev").files] == [
        ("shared-1.0-py3-none-any.whl", "emilie/prod"),
        ("shared-1.0.tar.gz", "emilie/dev"),
    ]


def test_point_20_two_spellings_of_a_version_are_one_on_a_page() -> None:
    content = small_content()
    content.release("emilie/dev", "shared", "1.0", kind="sdist")
    content.release("emilie/prod", "shared", "1.0.0")
    page = page_of(content, "emilie/dev")
    assert page.versions == ("1.0",)
    assert [file.version for file in page.files] == ["1.0", "1.0"]
    assert page_of(content, "emilie/prod").versions == ("1.0.0",)


def test_points_19_and_33_files_are_ordered_by_version_and_name_whatever_the_order_of_the_indexes() -> None:
    content = small_content()
    for index, version in (
        ("prod", "1.10"),
        ("dev", "1.9"),
        ("prod", "1.10rc1"),
        ("dev", "1.10.post1"),
        ("prod", "1!0"),
    ):
        content.release(f"emilie/{index}", "shared", version)
        content.release(f"emilie/{index}", "shared", version, kind="sdist")
    page = page_of(content, "emilie/dev")
    assert page.versions == ("1.9", "1.10rc1", "1.10", "1.10.post1", "1!0")
    assert [file.version for file in page.files] == [version for version in page.versions for _ in "ab"]
    assert [file.filename.endswith(".whl") for file in page.files] == [True, False] * 5


def test_statements_concern_the_files_of_their_own_index_wherever_these_are_shown() -> None:
    content = small_content()
    content.release("emilie/prod", "shared", "1.0")
    content.release("emilie/prod", "shared", "2.0")
    content.release("emilie/dev", "shared", "2.0", kind="sdist")
    content.statements("emilie/prod", "shared", yanked={"1.0": "old", "2.0": "", "shared-1.0-py3-none-any.whl": "this"})
    content.statements("emilie/dev", "shared", yanked={"1.0": "not ours to yank"})
    assert {file.filename: file.yanked for file in page_of(content, "emilie/dev").files} == {
        "shared-1.0-py3-none-any.whl": "this",
        "shared-2.0-py3-none-any.whl": "",
        "shared-2.0.tar.gz": None,
    }


def test_the_status_is_that_of_the_first_index_that_states_one() -> None:
    content = small_content()
    content.release("emilie/prod", "shared", "1.0")
    content.statements("emilie/prod", "shared", status="archived", **{"status-reason": "moved"})
    page = page_of(content, "emilie/dev")
    assert page.status is not None
    assert (page.status.status, page.status.reason) == ("archived", "moved")
    content.statements("emilie/dev", "shared", status="active")
    assert getattr(page_of(content, "emilie/dev").status, "status", None) == "active"
    assert getattr(page_of(content, "emilie/prod").status, "status", None) == "archived"


def test_names_are_those_of_all_stages_and_of_no_mirror() -> None:
    content = small_content()
    content.release("emilie/prod", "Zope.Interface", "1.0")
    content.release("emilie/dev", "abc", "1.0")
    snapshot = content.snapshot()
    index = snapshot.index(parsed("emilie/dev"))
    assert index is not None
    assert project_names(resolution_order(snapshot, index)) == ("abc", "zope-interface")
    name = ProjectName("zope-interface")
    assert display_name(steps_of(content, "emilie/dev", name), name) == "Zope.Interface"
    assert display_name(steps_of(content, "emilie/dev", "unknown"), ProjectName("unknown")) == "unknown"


# What hides the mirrors


def with_whitelists(
    *, dev: list[str], prod: list[str], inheritance: str = "intersection", where: str = "prod"
) -> Content:
    content = Content().settings().user("root").mirror("root/pypi").user("emilie")
    content.stage("emilie/dev", bases=["emilie/prod"], mirror_whitelist=dev, mirror_whitelist_inheritance=inheritance)
    content.stage("emilie/prod", bases=["root/pypi"], mirror_whitelist=prod)
    content.release(f"emilie/{where}", "shared", "1.0")
    return content


def test_point_67_a_name_of_ours_hides_the_mirrors_and_another_does_not() -> None:
    content = with_whitelists(dev=[], prod=[])
    assert outcomes(content, "emilie/dev") == {"emilie/dev": "nothing", "emilie/prod": "shown", "root/pypi": "hidden"}
    assert reasons(content, "emilie/dev")["root/pypi"] == (
        "emilie/prod has the project, and mirror_whitelist does not admit it"
    )
    assert outcomes(content, "emilie/dev", "unknown")["root/pypi"] == "asked"
    assert reasons(content, "emilie/dev", "unknown")["root/pypi"] == "no stage has the project"


@pytest.mark.parametrize("where", ["dev", "prod"])
@pytest.mark.parametrize(
    ("dev", "prod", "dev_asks", "prod_asks"),
    [
        ([], ["shared"], False, True),
        (["shared"], [], True, False),
        (["*"], [], True, False),
        ([], ["*"], False, True),
        (["shared"], ["other"], True, False),
        (["other"], ["shared"], False, True),
        (["*"], ["*"], True, True),
        ([], [], False, False),
    ],
)
def test_with_intersection_the_whitelist_of_the_asked_index_alone_counts(
    dev: list[str], prod: list[str], *, dev_asks: bool, prod_asks: bool, where: str
) -> None:
    content = with_whitelists(dev=dev, prod=prod, where=where)
    assert asks_a_mirror(content, "emilie/dev") is dev_asks
    assert asks_a_mirror(content, "emilie/prod") is (prod_asks or where == "dev")


@pytest.mark.parametrize("where", ["dev", "prod"])
@pytest.mark.parametrize(
    ("dev", "prod", "asks"),
    [
        ([], ["shared"], True),
        (["shared"], [], True),
        ([], ["*"], True),
        (["*"], [], True),
        (["other"], ["another"], False),
        ([], [], False),
    ],
)
def test_with_union_any_stage_that_lists_the_name_opens_it(
    dev: list[str], prod: list[str], *, asks: bool, where: str
) -> None:
    content = with_whitelists(dev=dev, prod=prod, inheritance="union", where=where)
    assert asks_a_mirror(content, "emilie/dev") is asks


def test_the_asked_index_alone_says_whether_it_is_union_or_intersection() -> None:
    content = with_whitelists(dev=[], prod=["shared"])
    content.stage("emilie/prod", bases=["root/pypi"], mirror_whitelist=["shared"], mirror_whitelist_inheritance="union")
    assert not asks_a_mirror(content, "emilie/dev")
    content.stage("emilie/dev", bases=["emilie/prod"], mirror_whitelist_inheritance="union")
    assert asks_a_mirror(content, "emilie/dev")


def test_a_project_that_was_admitted_stays_admitted() -> None:
    content = graph(a="b", b="c", c="m1", m1="").stage("emilie/a", bases=["emilie/b"], mirror_whitelist=["shared"])
    for name in "abc":
        content.release(f"emilie/{name}", "shared", f"{ord(name)}")
    assert asks_a_mirror(content, "emilie/a")
    assert reasons(content, "emilie/a")["emilie/m1"] == "mirror_whitelist admits it (emilie/a)"


def test_a_name_is_taken_by_a_folder_without_a_release_and_by_quarantine() -> None:
    content = small_content().statements("emilie/prod", "shared", status="active")
    assert not asks_a_mirror(content, "emilie/dev")
    content.release("emilie/prod", "shared", "1.0")
    content.statements("emilie/prod", "shared", status="quarantined")
    assert outcomes(content, "emilie/dev") == {
        "emilie/dev": "nothing",
        "emilie/prod": "quarantined",
        "root/pypi": "hidden",
    }
    assert not list(files_of(steps_of(content, "emilie/dev")))


def test_point_30_quarantine_of_one_index_leaves_the_files_of_another() -> None:
    content = small_content()
    content.release("emilie/prod", "shared", "1.0")
    content.release("emilie/dev", "shared", "2.0")
    content.statements("emilie/prod", "shared", status="quarantined")
    content.statements("emilie/dev", "shared", status="active")
    assert [file.version for file in page_of(content, "emilie/dev").files] == ["2.0"]
    assert page_of(content, "emilie/prod").files == ()
    assert page_of(content, "emilie/prod").versions == ()


# Reserved names


@pytest.mark.parametrize(
    ("reserved", "name", "is_reserved"),
    [
        (["billing"], "billing", True),
        (["billing"], "billing2", False),
        (["acme-*"], "acme-core", True),
        (["acme-*"], "acme", False),
        (["acme-*"], "acmecore", False),
        (["*"], "anything", True),
        (["a?c"], "abc", True),
        (["a?c"], "abbc", False),
        ([], "billing", False),
    ],
)
def test_a_reserved_name_is_never_asked_of_a_mirror(reserved: list[str], name: str, *, is_reserved: bool) -> None:
    content = small_content(names={"reserved": reserved})
    assert asks_a_mirror(content, "emilie/dev", name) is not is_reserved
    assert asks_a_mirror(content, "root/pypi", name) is not is_reserved
    if is_reserved:
        assert "names.reserved" in reasons(content, "emilie/dev", name)["root/pypi"]


def test_no_whitelist_opens_a_reserved_name() -> None:
    content = small_content(names={"reserved": ["shared"]}).stage(
        "emilie/dev", bases=["root/pypi"], mirror_whitelist=["*", "shared"], mirror_whitelist_inheritance="union"
    )
    content.release("emilie/dev", "shared", "1.0")
    assert outcomes(content, "emilie/dev") == {"emilie/dev": "shown", "root/pypi": "hidden"}


# Several mirrors


def test_the_first_mirror_that_has_a_project_answers_alone() -> None:
    content = graph(a="m1 m2 m3", m1="", m2="", m3="")
    assert set(outcomes(content, "emilie/a").values()) == {"nothing", "asked"}
    assert reasons(content, "emilie/a") == {
        "emilie/a": "it has no such project",
        "emilie/m1": "no stage has the project",
        "emilie/m2": "only where emilie/m1 does not have the project (merge_mirrors is false)",
        "emilie/m3": "only where emilie/m1 does not have the project (merge_mirrors is false)",
    }


def test_mirrors_are_merged_where_the_asked_index_says_so() -> None:
    content = graph(a="m1 m2", b="a", m1="", m2="")
    content.stage("emilie/a", bases=["emilie/m1", "emilie/m2"], merge_mirrors=True)
    assert {reasons(content, "emilie/a")[f"emilie/m{number}"] for number in (1, 2)} == {"no stage has the project"}
    assert "merge_mirrors is false" in reasons(content, "emilie/b")["emilie/m2"], "the asked index decides"


@pytest.mark.parametrize(
    ("mirror", "name", "reason"),
    [
        ({"allow": ["django<5", "Flask"]}, "django", None),
        ({"allow": ["django<5", "Flask"]}, "flask", None),
        ({"allow": ["django<5", "Flask"]}, "requests", "allow does not name it"),
        ({"allow": []}, "django", "allow does not name it"),
        ({"deny": ["django"]}, "django", "deny names it"),
        ({"deny": ["Zope.Interface"]}, "zope-interface", "deny names it"),
        ({"deny": ["django>=5"]}, "django", None),
        ({"deny": ["django[argon2]"]}, "django", None),
        ({"allow": ["django"], "deny": ["django"]}, "django", "deny names it"),
    ],
)
def test_a_curated_mirror_is_asked_for_what_it_may_show(
    mirror: dict[str, list[str]], name: str, reason: str | None
) -> None:
    content = graph(a="m1 m2", m2="").mirror("emilie/m1", **mirror)
    assert outcomes(content, "emilie/a", name)["emilie/m1"] == ("asked" if reason is None else "hidden")
    if reason is not None:
        assert reasons(content, "emilie/a", name)["emilie/m1"] == reason
        assert reasons(content, "emilie/a", name)["emilie/m2"] == "no stage has the project", "it is the first then"


def test_a_mirror_that_is_asked_itself_is_asked() -> None:
    assert outcomes(small_content(), "root/pypi") == {"root/pypi": "asked"}
    assert IndexName(UserName("root"), "pypi") == steps_of(small_content(), "root/pypi")[0].index.name
