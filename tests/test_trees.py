"""Tree objects: a large one is read piece by piece, and says what it would say if it were read whole."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings, strategies as st

from gitindex.git import trees
from gitindex.git.trees import LargeTrees, MalformedTreeError, Tree
from gitindex.tree import EMPTY, Folder, Leaf, Overlay, leaf
from tests.trees import read_piece_by_piece

MODES = [b"40000", b"100644", b"100755", b"120000", b"160000", b"040000", b"7"]
Entries = dict[bytes, tuple[bytes, bytes]]

# Few letters, and bytes of ids that look like entries, so that much is alike.
names = st.text("ab-.0\xff", min_size=1, max_size=4).map(lambda text: text.encode("latin-1"))
ids = st.sampled_from(
    [bytes(20), b"40000 a\0" + b"a" * 12, b" a\x0040000 b\0" + bytes(9), b"1" * 20, b"\0" * 19 + b"4"]
)
entries = st.dictionaries(names, st.tuples(st.sampled_from(MODES), ids), max_size=12)


def key(entry: tuple[bytes, tuple[bytes, bytes]]) -> bytes:
    return entry[0] + b"/" * (entry[1][0] in (b"40000", b"040000"))


def written(found: list[tuple[bytes, tuple[bytes, bytes]]]) -> bytes:
    return b"".join(b"%s %s\0%s" % (mode, name, object_id) for name, (mode, object_id) in found)


def in_order(found: Entries) -> list[tuple[bytes, tuple[bytes, bytes]]]:
    return sorted(found.items(), key=key)


def piecewise(data: bytes) -> Tree:
    """Open a tree as a large one is."""
    with read_piece_by_piece():
        return Tree(data)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Entries, Entries]:
    """Draw two trees that have most in common."""
    before = draw(entries)
    after = dict(before)
    for name in draw(st.lists(st.sampled_from(sorted(before)), max_size=2)) if before else ():
        after.pop(name, None)
    after |= draw(st.dictionaries(names, st.tuples(st.sampled_from(MODES), ids), max_size=2))
    return before, after


@settings(max_examples=300, deadline=None)
@given(entries, names)
def test_name_looked_for_in_a_large_tree_is_what_reading_it_whole_finds(found: Entries, name: bytes) -> None:
    data = written(in_order(found))
    assert Tree(data).places == found
    assert [piecewise(data).place(one) for one in [*found, name]] == [found.get(one) for one in [*found, name]]


@settings(max_examples=500, deadline=None)
@given(pairs())
def test_two_large_trees_differ_where_they_differ_when_they_are_read_whole(pair: tuple[Entries, Entries]) -> None:
    before, after = (written(in_order(found)) for found in pair)
    expected = {name for name, _ in pair[0].items() ^ pair[1].items()}
    assert piecewise(before).differing(piecewise(after)) == expected
    assert Tree(before).differing(Tree(after)) == expected


@settings(max_examples=300, deadline=None)
@given(pairs(), st.data())
def test_change_that_brings_a_large_tree_out_of_order_is_seen(
    pair: tuple[Entries, Entries], data: st.DataObject
) -> None:
    before, after = in_order(pair[0]), data.draw(st.permutations(in_order(pair[1])))
    if after == sorted(after, key=key):
        return
    with pytest.raises(MalformedTreeError):
        piecewise(written(before)).differing(piecewise(written(list(after))))
    with pytest.raises(MalformedTreeError):
        Tree(written(list(after)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_bytes_that_are_no_tree_are_refused(data: bytes) -> None:
    try:
        found = Tree(data).places
    except MalformedTreeError:
        return
    assert written(list(found.items())) == data


def test_a_name_that_stands_twice_in_a_large_tree_is_seen_when_it_is_looked_for() -> None:
    twice = [(b"a", (b"100644", bytes(20))), (b"a.b", (b"100644", bytes(20))), (b"a", (b"40000", bytes(20)))]
    tree = piecewise(written(twice))
    assert tree.place(b"a.b") == (b"100644", bytes(20))
    with pytest.raises(MalformedTreeError):
        tree.place(b"a")


def test_a_really_large_tree_is_not_read_whole_for_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {b"project-%05d" % n: (b"40000", hashlib.sha1(b"%d" % n).digest()) for n in range(20_000)}  # noqa: S324
    changed = found | {b"project-10000": (b"40000", bytes(20)), b"project-10000-more": (b"40000", bytes(20))}
    before, after = Tree(written(in_order(found))), Tree(written(in_order(changed)))
    monkeypatch.setattr(trees, "_are_in_order", lambda some: len(some) < 10 or pytest.fail("it was read whole"))
    assert before.differing(after) == {b"project-10000", b"project-10000-more"}
    assert before.place(b"project-19999") == found[b"project-19999"]
    assert after.place(b"project-20000") is None


def test_few_large_trees_are_kept_and_no_small_one() -> None:
    kept = LargeTrees()
    small, large = Tree(b""), piecewise(b"")
    kept.keep(b"small", small)
    for number in range(6):
        kept.keep(b"%d" % number, large)
    assert kept.get(b"small") is None
    assert [kept.get(b"%d" % number) is large for number in range(6)] == [False, False, True, True, True, True]


# Overlays


def folder(found: dict[str, Leaf]) -> Folder:
    return Overlay(EMPTY, found)


contents = st.dictionaries(st.sampled_from(["a", "b", "c/x", "c/y", "d/e/f", "d/g"]), st.sampled_from([b"1", b"2"]))
changes = st.dictionaries(
    st.sampled_from(["a", "b", "n", "c/x", "c/y", "c/z", "d/e/f", "d/g", "e/f"]), st.sampled_from([b"1", b"2", None])
)


@settings(max_examples=300, deadline=None)
@given(contents, changes)
def test_overlay_has_the_entries_that_the_changes_make(
    below: dict[str, bytes], changed: dict[str, bytes | None]
) -> None:
    overlay = Overlay(
        folder({path: leaf(data) for path, data in below.items()}),
        {path: None if data is None else leaf(data) for path, data in changed.items()},
    )
    merged = {path: data for path, data in (below | changed).items() if data is not None}
    tops = {path.partition("/")[0]: "folder" if "/" in path else "file" for path in merged}
    assert {name: entry.kind for name, entry in overlay.entries().items()} == tops
    assert len(overlay.entries()) == len(tops)
    assert bool(overlay.entries()) == bool(tops)
    assert [overlay.entries().get(name) is not None for name in "abcden"] == [name in tops for name in "abcden"]
    assert sorted(overlay.entries()) == sorted(tops)


class Known(Overlay):
    """A folder that has an id, as those in Git have."""

    id = b"known"  # type: ignore[assignment]


@settings(max_examples=300, deadline=None)
@given(contents, changes, st.sampled_from((Known, Overlay)))
def test_overlay_differs_from_what_it_lies_on_where_it_changes_something(
    below: dict[str, bytes], changed: dict[str, bytes | None], kind: type[Overlay]
) -> None:
    """Also where that is an overlay itself, of which no id says that it is the same."""
    known = kind(EMPTY, {path: leaf(data)._replace(id=data) for path, data in below.items()})
    overlay = Overlay(
        known, {path: None if data is None else leaf(data)._replace(id=data) for path, data in changed.items()}
    )
    now, then = overlay.entries(), known.entries()
    touched = {path.partition("/")[0] for path in changed}
    unknown = {name for name in touched if name in now and now[name].id is None}
    expected = {name for name in {*now, *then} if now.get(name) != then.get(name)} | unknown
    assert overlay.differing(known) == expected
