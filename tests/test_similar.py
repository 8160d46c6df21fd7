"""Names that could be taken for one another: what is found quickly is what comparing all with all finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product

import pytest
from hypothesis import given, settings, strategies as st
from rapidfuzz.distance import OSA

from gitindex import similar
from gitindex.names import is_project_name
from gitindex.similar import compared, neighbours, popular_names, similar_names
from tools.popular import OUT, listed, popular

short_names = st.text("ab-", min_size=1, max_size=7).filter(is_project_name)
sets = st.frozensets(short_names, max_size=40)
Compare = Callable[[Iterable[str], Iterable[str]], Iterator[tuple[str, str]]]


@given(sets, sets)
@settings(deadline=None)
def test_both_ways_find_the_pairs_that_are_one_edit_apart(new: frozenset[str], known: frozenset[str]) -> None:
    names = sorted(new | known)
    wanted = {(one, other) for one, other in product(new, names) if OSA.distance(one, other) == 1}
    assert set(neighbours(new, names)) == wanted
    assert set(compared(new, names)) == wanted


@given(sets, sets)
@settings(deadline=None)
def test_names_are_similar_by_one_edit_or_by_hyphens_alone(new: frozenset[str], known: frozenset[str]) -> None:
    found = similar_names(new, known)
    everything = new | known
    for name in new:
        told = set(found.get(name, ()))
        edited = {other for other in everything if OSA.distance(name, other) == 1}
        alike = {other for other in everything - {name} if other.replace("-", "") == name.replace("-", "")}
        assert edited <= told <= edited | alike
        assert bool(alike) <= bool(told), "of those that are alike but for hyphens the first are told"
        assert list(found.get(name, ())) == sorted(told)
    assert found.keys() <= new


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("reqeusts", "requests"),  # two swapped
        ("request", "requests"),  # one less
        ("requestss", "requests"),  # one more
        ("requestz", "requests"),  # another one
        ("erquests", "requests"),
        ("requestst", "requests"),
        ("a-b-c", "abc"),  # hyphens alone, however many
        ("foo-bar", "foobar"),
    ],
)
def test_names_that_are_taken_for_one_another(one: str, other: str) -> None:
    assert similar_names([one], [other]) == {one: (other,)}


@pytest.mark.parametrize(("one", "other"), [("reqeutss", "requests"), ("rquest", "requests"), ("abc", "cba")])
def test_names_that_are_told_apart(one: str, other: str) -> None:
    assert similar_names([one], [other]) == {}


@pytest.mark.parametrize("way", [compared, neighbours])
def test_both_ways_are_used_as_many_names_are_new(way: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    def spy(new: Iterable[str], names: Iterable[str]) -> Iterator[tuple[str, str]]:
        used.append(way)
        return way(new, names)

    monkeypatch.setattr(similar, way.__name__, spy)
    new = [f"project-{number:03}" for number in range(similar.FEW + (way is neighbours))]
    found = similar_names(new, ["project-99"])
    assert used == [way]
    assert found["project-009"] == tuple(
        sorted(name for name in (*new, "project-99") if OSA.distance(name, "project-009") == 1)
    )


def test_names_that_are_alike_but_for_hyphens_are_told_in_a_number_that_does_not_grow() -> None:
    """Thousands of them are no square of thousands."""
    letters = "abcdefghijklm"
    spelled = ["".join(p) for p in product(*(("-" + c, c) for c in letters[1:]))]
    names = ["a" + rest for rest in spelled]
    found = similar_names(names, [])
    assert len(found) == len(names) == 4096
    assert max(map(len, found.values())) <= 2 * len(letters) + 3, "an edit is one hyphen more, less, or moved"


def test_popular_names_are_names_in_normal_form_sorted_and_many() -> None:
    names = popular_names()
    assert all(map(is_project_name, names))
    assert 4900 <= len(names) <= 5000
    assert {"requests", "numpy", "boto3", "packaging"} <= names
    head, _, *lines = OUT.read_text("ascii").splitlines()
    assert lines == sorted(names)
    assert f"{len(names):,}" in head


def test_list_of_popular_names_is_made_from_a_table() -> None:
    table = [
        "name\tversion\trank_among_15000_most_downloaded\tsummary\n",
        'Zope.Interface\t1.0\t3\tsays "hello\n',
        "boto3\t1.0\t1\t\n",
        "unranked\t1.0\t0\t\n",
        "empty\t1.0\t\t\n",
        "rare\t1.0\t5001\t\n",
        "--bad--\t1.0\t7\t\n",
    ]
    assert listed(popular(table), "2026-11").splitlines()[2:] == ["boto3", "zope-interface"]
    assert listed(popular(table), "2026-11").startswith("# The 2 most downloaded projects of PyPI in 2026-11")
