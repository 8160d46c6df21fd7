"""Names that are easily taken for one another: one edit apart, or the same but for hyphens.

An edit is an insertion, a deletion, a substitution or a transposition of neighbours (optimal string alignment).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

FEW = 20
"""Names up to which each is compared with all others; more are found by what they have in common."""
_MOST = 3
"""Names told that are the same but for hyphens: there can be as many as there are places for one."""

_Pair = tuple[str, str]


@cache
def popular_names() -> frozenset[str]:
    """Return the names of the most downloaded projects of PyPI, in normal form; `data/popular.txt` says as of when."""
    text = (Path(__file__).parent / "data" / "popular.txt").read_text("ascii")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def similar_names(new: Iterable[str], known: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for the *new* names those of *known* and *new* that could be taken for them, sorted; only where there are.

    The time grows with the number of names, whichever they are.
    """
    added = frozenset(new)
    everything = added.union(known)
    pairs = (compared if len(added) <= FEW else neighbours)(added, everything)
    found: dict[str, set[str]] = defaultdict(set)
    for one, other in (*pairs, *_same_but_for_hyphens(added, everything)):
        found[one].add(other)
    return {name: tuple(sorted(others)) for name, others in sorted(found.items())}


def compared(new: Iterable[str], names: Iterable[str]) -> Iterator[_Pair]:
    """Yield each of the *new* names with each of *names* that is one edit away: by comparing all."""
    from rapidfuzz.distance import OSA  # noqa: PLC0415 - few changes bring a new name
    from rapidfuzz.process import extract  # noqa: PLC0415

    listed = list(names)
    for name in new:
        for other, distance, _ in extract(name, listed, scorer=OSA.distance, score_cutoff=1, limit=None):
            if distance == 1:
                yield name, other


def neighbours(new: Iterable[str], names: Iterable[str]) -> Iterator[_Pair]:
    """Yield what :func:`compared` yields, in time that does not grow with the product of the two.

    Names of which one is the other less a character; names that are equal with two neighbours swapped; names that are
    equal less one character at the same place. Of the last there are at most as many as there are characters.
    """
    by_length: dict[int, set[str]] = defaultdict(set)
    for name in names:
        by_length[len(name)].add(name)
    wanted = frozenset(new)
    for length, group in sorted(by_length.items()):
        shorter = by_length.get(length - 1, set())
        for place in range(length):
            alike: dict[str, list[str]] = defaultdict(list)
            for name in group:
                rest = name[:place] + name[place + 1 :]
                alike[rest].append(name)
                if rest in shorter:
                    yield from _pairs_with_new((rest, name), wanted)
                swapped = name[:place] + name[place + 1 : place + 2] + name[place] + name[place + 2 :]
                if swapped != name and swapped in group and name in wanted:
                    yield name, swapped
            for bucket in alike.values():
                if len(bucket) > 1:
                    yield from _pairs_with_new(bucket, wanted)


def _pairs_with_new(names: Iterable[str], wanted: frozenset[str]) -> Iterator[_Pair]:
    listed = tuple(names)
    for one in listed:
        if one in wanted:
            yield from ((one, other) for other in listed if other is not one)


def _same_but_for_hyphens(new: frozenset[str], names: Iterable[str]) -> Iterator[_Pair]:
    alike: dict[str, list[str]] = {name.replace("-", ""): [] for name in new}
    for name in names:
        bare = name.replace("-", "")
        if bare in alike:
            alike[bare].append(name)
    for bucket in alike.values():
        bucket.sort()
        for name in filter(new.__contains__, bucket):
            yield from ((name, other) for other in islice((o for o in bucket if o != name), _MOST))
