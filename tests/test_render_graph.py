"""The drawing of what an index inherits."""

from __future__ import annotations

import re
from itertools import combinations, pairwise, product
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, strategies as st

from gitindex.names import IndexName, UserName
from gitindex.render.graph import MOST, graph
from gitindex.views import Inheritance
from tests.sites import SVG
from tests.strategies import checked


def name(text: str) -> IndexName:
    return IndexName(UserName("emilie"), text)


def inherits(**bases: str) -> list[Inheritance]:
    """Return indexes by their names, each with the names of its bases."""
    return [Inheritance(name(key), "stage", False, tuple(map(name, value.split()))) for key, value in bases.items()]


def drawn(indexes: list[Inheritance]) -> ET.Element:
    return ET.fromstring(str(graph(indexes)).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))  # noqa: S314


def boxes(svg: ET.Element) -> dict[str, tuple[float, float, float, float]]:
    """Return left, top, right and bottom of each index."""
    found = {}
    for node in svg.iter(f"{SVG}g"):
        rect = node.find(f"{SVG}rect")
        texts = [text.text or "" for text in node.iter(f"{SVG}text")]
        assert rect is not None
        left, top, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        found[texts[1]] = (left, top, left + width, top + height)
    return found


def lines(svg: ET.Element) -> list[list[tuple[float, float]]]:
    """Return the points on which each line begins, turns and ends; those that only bend it are left out."""
    found = []
    for path in svg.iter(f"{SVG}path"):
        if path.attrib.get("class") != "edge":
            continue
        points: list[tuple[float, float]] = []
        for letter, text in re.findall(r"([MCV])([^MCV]*)", path.attrib["d"]):
            numbers = [float(number) for number in text.split()]
            points.append((points[-1][0], numbers[0]) if letter == "V" else (numbers[-2], numbers[-1]))
        found.append(points)
    return found


def assert_sound(indexes: list[Inheritance]) -> None:
    svg = drawn(indexes)
    _, _, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    placed = boxes(svg)
    assert len(placed) == len({index.name for index in indexes})
    for left, top, right, bottom in placed.values():
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
    for one, other in combinations(placed.values(), 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1], "they overlap"
    for points in lines(svg):
        assert [y for _, y in points] == sorted(y for _, y in points), "lines lead down"
        straight = [(x, y, end) for (x, y), (other, end) in pairwise(points) if x == other]
        for (x, start, end), (left, top, right, bottom) in product(straight, placed.values()):
            assert not (left < x < right and top < end and bottom > start), "a line goes through an index"


def test_a_chain_goes_down_and_is_numbered_in_its_order() -> None:
    indexes = inherits(dev="prod", prod="pypi", pypi="")
    svg = drawn(indexes)
    placed = boxes(svg)
    tops = [placed[f"emilie/{index}"][1] for index in ("dev", "prod", "pypi")]
    assert tops == sorted(set(tops))
    assert [text.text for text in svg.iter(f"{SVG}text") if text.attrib.get("class") == "place"] == ["1", "2", "3"]
    assert len(lines(svg)) == 2
    assert_sound(indexes)


def test_the_drawing_says_in_words_what_it_shows() -> None:
    svg = drawn(inherits(dev="prod other", prod="pypi", other="", pypi=""))
    assert svg.attrib["role"] == "img"
    ids = {element.attrib["id"] for element in svg.iter() if "id" in element.attrib}
    assert set(svg.attrib["aria-labelledby"].split()) <= ids
    assert svg.findtext(f"{SVG}title") == "What emilie/dev inherits"
    assert svg.findtext(f"{SVG}desc") == (
        "emilie/dev inherits emilie/prod, then emilie/other. emilie/prod inherits emilie/pypi."
    )


def test_an_index_stands_below_all_that_inherit_it_and_lines_pass_beside_the_others() -> None:
    indexes = inherits(top="left base", left="middle", middle="base", base="")
    placed = boxes(drawn(indexes))
    assert placed["emilie/base"][1] == max(top for _, top, _, _ in placed.values())
    (long,) = [points for points in lines(drawn(indexes)) if len(points) > 2]
    inner = [x for x, _ in long[1:-1]]
    for other in ("left", "middle"):
        left, _, right, _ = placed[f"emilie/{other}"]
        assert all(x <= left or x >= right for x in inner)
    assert_sound(indexes)


def test_kinds_are_told_apart() -> None:
    kinds = [
        Inheritance(name("dev"), "stage", True, (name("prod"),)),
        Inheritance(name("prod"), "stage", False, (name("pypi"),)),
        Inheritance(name("pypi"), "mirror", False, ()),
    ]
    assert [node.attrib["class"] for node in drawn(kinds).iter(f"{SVG}g")] == [
        "node volatile", "node kept", "node mirror",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [0, 1, MOST + 1])
def test_nothing_is_drawn_where_there_is_nothing_or_too_much_to_see(number: int) -> None:
    bases = {f"i{at}": f"i{at + 1}" for at in range(number)}
    assert graph(inherits(**bases)) == ""


def test_a_circle_and_a_base_that_is_not_there_are_left_out() -> None:
    svg = drawn(inherits(one="two gone", two="three", three="one two"))
    assert set(boxes(svg)) == {"emilie/one", "emilie/two", "emilie/three"}
    assert len(lines(svg)) == 2


def test_a_long_name_is_cut_and_stays_in_its_box() -> None:
    long = "x" * 100
    placed = boxes(drawn(inherits(dev=long, **{long: ""})))
    (cut,) = [text for text in placed if text.endswith("…")]
    assert len(cut) * 7.9 <= placed[cut][2] - placed[cut][0]


@st.composite
def hierarchies(draw: st.DrawFn) -> list[Inheritance]:
    number = draw(st.integers(2, 9))
    names = [f"i{at}" for at in range(number)]
    bases = {
        key: " ".join(draw(st.lists(st.sampled_from(names[at + 1 :]), unique=True, max_size=3)))
        if at + 1 < number
        else ""
        for at, key in enumerate(names)
    }
    reached, waiting = [], ["i0"]
    while waiting:
        key = waiting.pop(0)
        if key not in reached:
            reached.append(key)
            waiting += bases[key].split()
    return inherits(**{key: bases[key] for key in reached})


@checked
@given(hierarchies())
def test_any_hierarchy_is_drawn_without_overlap(indexes: list[Inheritance]) -> None:
    if len(indexes) > 1:
        assert_sound(indexes)
