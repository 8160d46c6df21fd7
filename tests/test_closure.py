"""The closure of what is required, against a search through all ways."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import pytest
from hypothesis import example, given, settings, strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from gitindex.closure import Taken, closure
from gitindex.errors import CannotRunError, ConflictError, NotThereError
from gitindex.names import ProjectName
from gitindex.required import requires_of

ROOT = "app"
PROJECTS = ("lib", "base", "tool", "deep")
VERSIONS = ("1.0", "2.0", "3.0")
Releases = Mapping[tuple[str, str], Sequence[str]]
"""What releases require, by project and version."""


class Held:
    """Releases of an index, and of the target."""

    def __init__(self, held: Releases, shown: Releases) -> None:
        self._held, self._shown = held, shown

    def held(self, project: ProjectName) -> dict[Version, str]:
        return {Version(version): version for name, version in self._held if name == project}

    def shown(self, project: ProjectName) -> dict[Version, str]:
        return {Version(version): version for name, version in self._shown if name == project}

    def is_elsewhere(self, project: ProjectName) -> bool:
        return project == "numbers"

    def requires(self, project: ProjectName, version: str, *, is_shown: bool) -> Sequence[str]:
        return (self._shown if is_shown else self._held)[project, version]

    def advice(self, project: ProjectName) -> str:
        return f"release {project}"


def taken(held: Releases, shown: Releases) -> tuple[Taken, ...] | None:
    """Return what is taken along with app 1.0; ``None`` where nothing fits together."""
    try:
        return closure(ProjectName(ROOT), Version("1.0"), (), Held(held, shown), "emilie/dev")
    except (ConflictError, NotThereError):
        return None


def ways(releases: Releases) -> Iterator[dict[str, str]]:
    """Yield each choice of versions in which app 1.0 can be installed, by trying all."""
    there = {name: [version for known, version in releases if known == name] for name in PROJECTS}
    for versions in product(*([None, *there[name]] for name in PROJECTS)):
        chosen = {ROOT: "1.0"} | {name: v for name, v in zip(PROJECTS, versions, strict=True) if v is not None}
        if all(
            requirement.name == "numbers"
            or (requirement.name in chosen and requirement.specifier.contains(chosen[requirement.name]))
            for name, version in chosen.items()
            for requirement in map(Requirement, releases[name, version])
        ):
            yield chosen


requirement = st.builds(
    lambda name, sign, version: name if sign is None else f"{name}{sign}{version}",
    st.sampled_from((*PROJECTS, ROOT, "numbers")),
    st.sampled_from((None, "==", "<", ">=", "!=")),
    st.sampled_from(VERSIONS),
)
required = st.lists(requirement, max_size=3)
releases = st.dictionaries(st.tuples(st.sampled_from(PROJECTS), st.sampled_from(VERSIONS)), required, max_size=9)


# Circles, in which a resolver may give up too soon, or have left what nothing leads to.
@example(
    held={},
    shown={
        ("base", "1.0"): [],
        ("base", "3.0"): ["lib"],
        ("lib", "1.0"): ["tool"],
        ("tool", "1.0"): ["base==2.0"],
    },
    root=["base"],
)
@example(
    held={("lib", "1.0"): ["base==1.0"], ("base", "1.0"): [], ("base", "2.0"): ["lib"]},
    shown={},
    root=["base"],
)
@example(
    held={},
    shown={
        ("tool", "1.0"): [],
        ("base", "1.0"): ["tool==1.0"],
        ("tool", "2.0"): ["lib"],
        ("lib", "1.0"): ["lib", "base"],
    },
    root=["tool"],
)
@given(held=releases, shown=releases, root=required)
@settings(max_examples=150, deadline=None)
def test_target_alone_gives_what_index_and_target_together_gave(
    held: dict[tuple[str, str], list[str]], shown: dict[tuple[str, str], list[str]], root: list[str]
) -> None:
    both = {**held, **shown, (ROOT, "1.0"): root}
    found = taken({**held, (ROOT, "1.0"): root}, shown)
    assert (found is None) == (not any(ways(both)))
    if found is not None:
        assert all((each.project, each.version) in held and each.because for each in found)
        assert not any((each.project, each.version) in shown for each in found)
        pushed = {(str(each.project), each.version): held[each.project, each.version] for each in found}
        assert any(ways({**pushed, **shown, (ROOT, "1.0"): root}))


def test_nothing_is_taken_twice_and_the_newest_first() -> None:
    held = {
        (ROOT, "1.0"): ["lib", "tool"],
        **{("lib", version): ["base"] for version in VERSIONS},
        **{("tool", version): ["base<3"] for version in VERSIONS},
        **{("base", version): [] for version in VERSIONS},
    }
    found = taken(held, {})
    assert found == (
        Taken(ProjectName("base"), "2.0", ("lib 3.0", "tool 3.0")),
        Taken(ProjectName("lib"), "3.0", ("app 1.0",)),
        Taken(ProjectName("tool"), "3.0", ("app 1.0",)),
    )


def test_an_epoch_a_local_version_and_another_spelling_are_versions() -> None:
    held: dict[tuple[str, str], list[str]] = {("lib", "1!0.5"): [], ("lib", "9.0"): []}
    assert taken({**held, (ROOT, "1.0"): ["LIB>=1!0"]}, {}) == (Taken(ProjectName("lib"), "1!0.5", ("app 1.0",)),)
    assert taken({(ROOT, "1.0"): ["lib==1.0"], ("lib", "1.0+local.1"): []}, {}) == (
        Taken(ProjectName("lib"), "1.0+local.1", ("app 1.0",)),
    )


@pytest.mark.parametrize("depth", [200])
def test_a_long_chain_is_followed_to_its_end(depth: int) -> None:
    held: dict[tuple[str, str], list[str]] = {(ROOT, "1.0"): ["p0"]}
    held |= {(f"p{number}", "1.0"): [f"p{number + 1}"] for number in range(depth)}
    held[f"p{depth}", "1.0"] = []
    found = taken(held, {})
    assert found is not None
    assert len(found) == depth + 1


def test_a_conflict_of_many_versions_is_found_soon_and_told_in_short() -> None:
    held: dict[tuple[str, str], list[str]] = {(ROOT, "1.0"): ["above", "between", "corner"], ("base", "1.0"): []}
    for number in range(100):
        held |= {("above", f"{number}"): ["base<2"], ("between", f"{number}"): [], ("corner", f"{number}"): ["base>1"]}
    held["base", "2.0"] = []
    started = time.process_time()
    with pytest.raises(ConflictError) as caught:
        closure(ProjectName(ROOT), Version("1.0"), (), Held(held, {}), "emilie/dev")
    assert str(caught.value).startswith("above 0 requires base<2, and corner 99 requires base>1: no version fits")
    assert time.process_time() - started < 20  # 10,000 pairs; with `between` there are 100 times as many ways


def test_a_conflict_of_many_wishes_names_some() -> None:
    held: dict[tuple[str, str], list[str]] = {(ROOT, "1.0"): ["left", "right"]}
    for number in range(20):
        held |= {("left", f"{number}"): [f"base=={number}"], ("right", f"{number}"): [f"base=={number + 50}"]}
        held |= {("base", f"{number}"): [], ("base", f"{number + 50}"): []}
    with pytest.raises(ConflictError, match="and 16 more do: no version fits"):
        closure(ProjectName(ROOT), Version("1.0"), (), Held(held, {}), "emilie/dev")


@pytest.mark.parametrize(
    "held",
    [
        {(ROOT, "1.0"): [f"lib>=0.{number}" for number in range(50_000)], ("lib", "1.0"): []},
        {(ROOT, "1.0"): [f"p{number}" for number in range(1000)]}
        | {(f"p{number}", "1.0"): ["lib"] for number in range(1000)},
    ],
    ids=["lines", "projects"],
)
def test_what_is_too_much_ends_in_one_line(held: Releases) -> None:
    with pytest.raises(CannotRunError, match=r"^app 1\.0: what it requires is too much to try"):
        taken(held, {})


def test_more_ways_than_can_be_tried_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitindex.closure._MOST_TRIALS", 20)
    held: dict[tuple[str, str], list[str]] = {
        (ROOT, "1.0"): ["left", "right"],
        ("base", "1.0"): [],
        ("base", "2.0"): [],
    }
    for number in range(10):
        held |= {("left", f"{number}"): ["base<2"], ("right", f"{number}"): ["base>1"]}
    with pytest.raises(CannotRunError, match="too much to try"):
        taken(held, {})


@pytest.mark.parametrize(
    "line",
    [
        "lib ==",
        "lib==" + "1" * 5000,
        "lib; " + "(" * 3000,
        "lib; " + "(" * 1500 + 'extra == "a"' + ")" * 1500,
        "",
        "[x]",
    ],
    ids=len,
)
def test_requirement_that_is_none_ends_in_one_line(line: str) -> None:
    with pytest.raises(CannotRunError, match="which is no requirement") as caught:
        taken({(ROOT, "1.0"): [line]}, {})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "line", ["lib===what-is-that", "lib @ https://files.example.org/lib.whl", 'lib; "a" in extra and extra == "x"']
)
def test_odd_requirements_are_read(line: str) -> None:
    assert taken({(ROOT, "1.0"): [line]}, {}) in ((), None)


@pytest.mark.parametrize(
    "field",
    [
        b"Requires-Dist: caf\xe9",
        b"Dynamic: caf\xe9",
        b"Requires-Dist: =?utf-8?b?\xff?=",
    ],
)
@pytest.mark.parametrize("filename", ["lib-1.0-py3-none-any.whl", "lib-1.0.tar.gz"])
def test_garbled_metadata_do_not_count_as_none(filename: str, field: bytes) -> None:
    data = b"Metadata-Version: 2.2\nName: lib\nVersion: 1.0\nRequires-Dist: base\n"
    assert requires_of(filename, data) == (["base"], "")
    assert requires_of(filename, data + b"Author: caf\xe9\n") == (["base"], "")
    with pytest.raises(CannotRunError, match=f"^{filename} has garbled metadata"):
        requires_of(filename, data + field + b"\n")


@pytest.mark.parametrize("version", ["1.0", "2.1", "", "2.\u00b2", "9" * 5000, "9" * 5000 + ".1", "2"])
def test_metadata_of_an_sdist_from_before_it_says_what_it_knows(version: str) -> None:
    data = f"Metadata-Version: {version}\nName: lib\nVersion: 1.0\nRequires-Dist: base\n".encode()
    assert requires_of("lib-1.0-py3-none-any.whl", data) == (["base"], "")
    lines, note = requires_of("lib-1.0.tar.gz", data)
    assert (lines, "it may require more than it says" in note) == (["base"], True)
