"""Patterns of paths: which they match, and which of them match nothing in a tree."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st

from gitindex.globs import matches, without_match
from gitindex.tree import EMPTY, Overlay, leaf


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("indexes/emilie/dev/draft", "indexes/emilie/dev/draft"),
        ("indexes/*/dev/draft", "indexes/emilie/dev/draft"),
        ("indexes/emilie/dev/example/1.*.json", "indexes/emilie/dev/example/1.10.json"),
        ("indexes/emilie/dev/example/1.?.json", "indexes/emilie/dev/example/1.0.json"),
        ("**", "indexes/emilie/dev"),
        ("indexes/**", "indexes/emilie/dev/draft/0.1.json"),
        ("indexes/**", "indexes"),
        ("**/draft", "indexes/emilie/dev/draft"),
        ("**/draft", "draft"),
        ("indexes/**/draft/**", "indexes/emilie/dev/draft"),
        ("indexes/**/**/0.1.json", "indexes/emilie/dev/draft/0.1.json"),
        ("**/a/**/a", "a/b/a/c/a"),
        ("in**es/x", "indexes/x"),
    ],
)
def test_pattern_matches(pattern: str, path: str) -> None:
    assert matches(pattern, path)
    assert without_match([pattern, "nothing"], path.split("/", maxsplit=1)[0], _tree(path), deepest=9) == {"nothing"}


def _tree(path: str) -> Overlay:
    _, _, below = path.partition("/")
    return Overlay(EMPTY, {below: leaf(b"")} if below else {"other": leaf(b"")})


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("indexes/emilie/dev", "indexes/emilie/dev/draft"),
        ("indexes/emilie/dev/draft", "indexes/emilie/dev"),
        ("indexes/*", "indexes/emilie/dev"),
        ("indexes/*/draft", "indexes/emilie/dev/draft"),
        ("*", "indexes/emilie"),
        ("indexes/emilie/Dev", "indexes/emilie/dev"),
        ("**/draft", "indexes/emilie/drafts"),
        ("**/x/**", "indexes/emilie"),
        ("indexes/emilie/1.0+*", "indexes/emilie/1.00"),
    ],
)
def test_pattern_does_not_match(pattern: str, path: str) -> None:
    assert not matches(pattern, path)
    top, tree = path.split("/", maxsplit=1)[0], _tree(path)
    is_above = path.startswith(pattern + "/") or matches(pattern, path.rpartition("/")[0])
    assert without_match([pattern], top, tree, deepest=9) == (set() if is_above else {pattern})


segments = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "?", "**"])
patterns = st.lists(segments, min_size=1, max_size=6).map("/".join)
paths = st.lists(st.sampled_from(["a", "b", "ab", "abb", "c"]), min_size=1, max_size=6).map("/".join)


def _as_expression(pattern: str) -> re.Pattern[str]:
    """Return the pattern as a regular expression, the plain way: every path is held to end in a slash."""
    parts = {"**": "(?:[^/]+/)*", "*": "[^/]+/", "a*": "a[^/]*/", "*b": "[^/]*b/", "?": "[^/]/"}
    return re.compile("".join(parts.get(part, part + "/") for part in pattern.split("/")))


@given(patterns, paths)
@settings(deadline=None, max_examples=300)
def test_pattern_matches_as_its_expression_does(pattern: str, path: str) -> None:
    assert matches(pattern, path) == (_as_expression(pattern).fullmatch(path + "/") is not None)


@given(st.lists(patterns, max_size=4), st.lists(paths, max_size=4))
@settings(deadline=None, max_examples=200)
def test_patterns_without_a_match_are_those_that_match_no_path_of_a_tree(asked: list[str], files: list[str]) -> None:
    tree = Overlay(EMPTY, {path: leaf(b"") for path in files})
    present = {"top", *("top/" + path for path in _paths(tree))}
    wanted = {pattern for pattern in asked if not any(matches(pattern, path) for path in present)}
    assert without_match(asked, "top", tree, deepest=9) == wanted


def _paths(folder: Overlay) -> set[str]:
    found = set()
    for name, entry in folder.entries().items():
        found.add(name)
        if entry.kind == "folder":
            inside = folder.folder(name)
            assert isinstance(inside, Overlay)
            found |= {f"{name}/{below}" for below in _paths(inside)}
    return found


@given(st.text("a[]!-*?/^\\\n\udc80", min_size=1), st.text("a[]-/\udc80"))
@settings(deadline=None, max_examples=200)
def test_any_text_is_a_pattern(pattern: str, path: str) -> None:
    assert matches(pattern, path) in (True, False)
    assert without_match([pattern], "top", EMPTY, deepest=9) <= {pattern}


def test_a_pattern_of_many_wildcards_is_matched_at_once() -> None:
    """A regular expression of this form would try every way to split the path."""
    assert not matches("**/a/" * 150 + "b", "/".join("a" * 200))
    assert not matches("*a" * 400 + "b", "a" * 400)


def test_folders_deeper_than_asked_are_not_opened() -> None:
    tree = Overlay(EMPTY, {"a/b/c/d": leaf(b"")})
    assert without_match(["**/c", "**/d"], "top", tree, deepest=2) == {"**/d"}
