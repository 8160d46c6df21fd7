"""The bases of an index as a small drawing (SVG), from the index at the top down to what it inherits last."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from gitindex.names import IndexName
from gitindex.render.text import escaped
from gitindex.views import Inheritance

MOST = 24
"""Indexes that are drawn; more of them are a list only."""
_HEIGHT = 34
_DOWN = 64
"""From the top of one layer to that of the next."""
_APART = 18
_LETTER = 7.9
"""Of the monospaced font of the stylesheet at 13 pixels, with room to spare."""
_LONGEST = 30
_LANE = 10.0
"""Width that a line takes which passes a layer."""

_ARROW = (
    '<marker id="graph-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker>'
)


class _Slot(NamedTuple):
    """A place in a layer: of an index, or of a line that passes on its way to a deeper layer."""

    layer: int
    name: IndexName
    above: IndexName | None = None
    """Where the line comes from; ``None`` for the index itself."""


class _Box(NamedTuple):
    left: float
    top: float
    width: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def graph(indexes: Sequence[Inheritance]) -> Markup:
    """Return the drawing of what the first of *indexes* inherits; the others are those that it reaches, in their order.

    Nothing is drawn where it inherits nothing, and where there are too many to be seen.
    """
    if not 1 < len(indexes) <= MOST:
        return Markup()
    edges = _edges({index.name: index for index in indexes})
    depth = _depths(indexes[0].name, edges)
    boxes, wide = _places(_layers(depth, edges))
    high = max(depth.values()) * _DOWN + _HEIGHT
    drawn = [(place, index) for place, index in enumerate(indexes, 1) if index.name in depth]
    size = f'viewBox="-2 -2 {wide + 4:.0f} {high + 4}" width="{wide + 4:.0f}" height="{high + 4}"'
    lines = [
        f'<svg class="graph" role="img" aria-labelledby="graph-title graph-text" {size}>',
        f'<title id="graph-title">What {escaped(str(indexes[0].name))} inherits</title>',
        f'<desc id="graph-text">{escaped(_told(indexes))}</desc>',
        f"<defs>{_ARROW}</defs>",
        *(_line(above, below, depth, boxes) for above, below in edges),
        *(_node(index, place, boxes[_Slot(depth[index.name], index.name)]) for place, index in drawn),
        "</svg>",
    ]
    return Markup("\n".join(lines))  # noqa: S704 - made of escaped fragments


def _told(indexes: Sequence[Inheritance]) -> str:
    sentences = [f"{i.name} inherits {', then '.join(map(str, i.bases))}." for i in indexes if i.bases]
    return " ".join(sentences)


def _edges(indexes: dict[IndexName, Inheritance]) -> list[tuple[IndexName, IndexName]]:
    """Return who inherits whom, such that no index comes before all that inherit it; what closes a circle is left out.

    A repository with a circle does not validate, and has pages all the same.
    """
    finished: list[IndexName] = []
    open_: set[IndexName] = set()
    kept: list[tuple[IndexName, IndexName]] = []

    def visit(name: IndexName) -> None:
        open_.add(name)
        for base in dict.fromkeys(indexes[name].bases):
            if base in indexes and base not in open_:
                kept.append((name, base))
                if base not in finished:
                    visit(base)
        open_.discard(name)
        finished.append(name)

    visit(next(iter(indexes)))
    rank = {name: place for place, name in enumerate(reversed(finished))}
    return sorted(kept, key=lambda edge: rank[edge[0]])


def _depths(first: IndexName, edges: Sequence[tuple[IndexName, IndexName]]) -> dict[IndexName, int]:
    """Return the layer of each index: below all that inherit it."""
    depth = {first: 0}
    for above, below in edges:
        depth[below] = max(depth.get(below, 0), depth[above] + 1)
    return depth


def _layers(depth: dict[IndexName, int], edges: Sequence[tuple[IndexName, IndexName]]) -> list[list[_Slot]]:
    """Return the slots of each layer, left to right, such that few lines cross."""
    layers: list[list[_Slot]] = [[] for _ in range(max(depth.values()) + 1)]
    for name, layer in depth.items():
        layers[layer].append(_Slot(layer, name))
    uppers: dict[_Slot, list[_Slot]] = {}
    for above, below in edges:
        upper = _Slot(depth[above], above)
        for layer in range(depth[above] + 1, depth[below]):
            lane = _Slot(layer, below, above)
            layers[layer].append(lane)
            uppers[lane] = [upper]
            upper = lane
        uppers.setdefault(_Slot(depth[below], below), []).append(upper)
    for above_layer, layer_slots in pairwise(layers):
        places = {slot: place for place, slot in enumerate(above_layer)}
        wanted = {slot: sum(places[upper] for upper in uppers[slot]) / len(uppers[slot]) for slot in layer_slots}
        layer_slots.sort(key=wanted.__getitem__)
    return layers


def _places(layers: Sequence[Sequence[_Slot]]) -> tuple[dict[_Slot, _Box], float]:
    widths = {slot: _LANE if slot.above else _width(slot.name) for layer in layers for slot in layer}
    spans = [sum(widths[slot] for slot in layer) + _APART * (len(layer) - 1) for layer in layers]
    whole = max(spans)
    boxes = {}
    for row, layer in enumerate(layers):
        left = (whole - spans[row]) / 2
        for slot in layer:
            boxes[slot] = _Box(left, row * _DOWN, widths[slot])
            left += widths[slot] + _APART
    return boxes, whole


def _shown(name: IndexName) -> str:
    text = str(name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _width(name: IndexName) -> float:
    return round(len(_shown(name)) * _LETTER + 46, 1)


def _line(above: IndexName, below: IndexName, depth: dict[IndexName, int], boxes: dict[_Slot, _Box]) -> str:
    """Return the line from an index to one that it inherits, by way of its lanes in the layers between."""
    x, y = boxes[_Slot(depth[above], above)].middle, float(depth[above] * _DOWN + _HEIGHT)
    path = [f"M{x:.1f} {y:.1f}"]
    for layer in range(depth[above] + 1, depth[below] + 1):
        is_end = layer == depth[below]
        to = boxes[_Slot(layer, below, None if is_end else above)].middle
        row = layer * _DOWN - (2 if is_end else 0)
        path.append(f"C{x:.1f} {y + 16:.1f} {to:.1f} {row - 16:.1f} {to:.1f} {row:.1f}")
        x, y = to, float(row + _HEIGHT)
        if not is_end:
            path.append(f"V{y:.1f}")
    return f'<path class="edge" marker-end="url(#graph-arrow)" d="{"".join(path)}"/>'


def _node(index: Inheritance, place: int, box: _Box) -> str:
    kind = "mirror" if index.kind == "mirror" else "volatile" if index.volatile else "kept"
    top, middle = box.top, box.top + _HEIGHT / 2
    return (
        f'<g class="node {kind}"><rect x="{box.left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{_HEIGHT}"'
        f' rx="8"/><circle cx="{box.left + 19:.1f}" cy="{middle:.1f}" r="9"/>'
        f'<text class="place" x="{box.left + 19:.1f}" y="{middle + 4:.1f}">{place}</text>'
        f'<text x="{box.left + 36:.1f}" y="{middle + 4.5:.1f}">{escaped(_shown(index.name))}</text></g>'
    )
