"""What two folders become together, path by path, without renames."""

from __future__ import annotations

import pytest

from gitindex.threeway import together
from gitindex.tree import EMPTY, Folder, Leaf, Overlay, leaf

Files = dict[str, str]


def folder(files: Files) -> Folder:
    """Return a folder with the files; equal content has an equal id, as in Git."""
    leaves = {path: Leaf("file", lambda text=text: text.encode(), text) for path, text in files.items()}  # type: ignore[misc]
    return Overlay(EMPTY, leaves)


@pytest.mark.parametrize(
    ("base", "one", "other", "taken"),
    [
        ({}, {}, {"a/b": "new"}, {"a/b": "new"}),
        ({"a/b": "old"}, {"a/b": "old"}, {"a/b": "new"}, {"a/b": "new"}),
        ({"a/b": "old"}, {"a/b": "old"}, {}, {"a/b": None}),
        ({"a/b": "old"}, {"a/b": "new"}, {"a/b": "old"}, {}),
        ({"a/b": "old"}, {"a/b": "new"}, {"a/b": "new"}, {}),
        ({"a/b": "old"}, {"a/c": "old"}, {"a/b": "old", "d/e/f": "x"}, {"d/e/f": "x"}),
    ],
)
def test_what_one_side_alone_changed_is_as_that_side_has_it(
    base: Files, one: Files, other: Files, taken: dict[str, str | None]
) -> None:
    found = together([folder(base)], folder(one), folder(other))
    assert {path: change and change.read().decode() for path, change in found.taken.items()} == taken
    assert (found.mixed, found.undecided) == ((), ())


def test_file_that_both_changed_is_for_whoever_merges_lines() -> None:
    found = together([folder({"a": "old"})], folder({"a": "one"}), folder({"a": "other"}))
    assert found == ({}, ("a",), ())


@pytest.mark.parametrize(
    ("base", "one", "other", "path"),
    [
        ({"a/b": "old"}, {}, {"a/b": "new"}, "a/b"),
        ({"a/b": "old"}, {"a/b": "new"}, {}, "a/b"),
        ({}, {"a/b": "one"}, {"a/b": "other"}, "a/b"),
        ({"a": "old"}, {"a/b": "one"}, {"a": "new"}, "a"),
        ({"a": "old"}, {"a": "old"}, {"a/b": "new"}, "a"),
    ],
    ids=["deleted and changed", "changed and deleted", "added twice", "folder and file", "file becomes a folder"],
)
def test_what_nobody_can_tell_is_said(base: Files, one: Files, other: Files, path: str) -> None:
    assert together([folder(base)], folder(one), folder(other)) == ({}, (), (path,))


def test_link_that_both_changed_has_no_lines_to_merge() -> None:
    sides = [Overlay(EMPTY, {"a": leaf(text, "symlink")}) for text in (b"old", b"one", b"other")]
    assert together(sides[:1], *sides[1:]).undecided == ("a",)


def test_folders_that_come_from_nothing_share_nothing() -> None:
    assert together([], folder({"a": "one"}), folder({"a": "other"})).undecided == ("a",)


def test_of_two_bases_both_have_to_agree() -> None:
    bases = [folder({"a": "old", "b": "old"}), folder({"a": "older", "b": "old"})]
    found = together(bases, folder({"a": "old", "b": "old"}), folder({"a": "new", "b": "new"}))
    assert (set(found.taken), found.mixed) == ({"b"}, ("a",))
