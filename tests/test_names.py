"""Checked strings: what the short patterns accept, packaging accepts too and reads in the same way."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from xml.sax import saxutils

import pytest
from hypothesis import example, given, settings, strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name, is_normalized_name, parse_sdist_filename, parse_wheel_filename

from gitindex.names import (
    IndexName,
    UserName,
    canonical_version,
    is_display_name,
    is_owner_name,
    is_project_name,
    is_safe_filename,
    is_sha256,
    is_specifier_set,
    is_user_name,
    normalize,
    parse_filename,
    parse_index_name,
    parse_version,
    version_key,
    writes_itself,
)
from gitindex.render.text import carried

WRITERS: list[Callable[[str], str]] = [
    html.escape,
    saxutils.escape,
    carried,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
]


def test_of_text_that_writes_itself_no_format_makes_another() -> None:
    for text in map(chr, [*range(0x300), 0x2028, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x1F600, 0x10FFFF]):
        assert writes_itself(text) == (text.isascii() and all(write(text) == text for write in WRITERS)), repr(text)
        for around in (f"demo{text}", f"{text}demo", f"a{text}b"):
            assert writes_itself(around) == writes_itself(text), repr(around)
    assert writes_itself("")


NAME_LIKE = st.text("abZ019-_. é\n", max_size=12)
PIECE = st.sampled_from(
    ["demo", "Demo", "a.b", "a_b", "a__b", "_a", "a_", "1", "1.0", "v1.0", "1.0.post1", "1_0", "1.0+x.1", "1!2", "0",
     "2b", "py3", "py2.py3", "3py", "none", "any", "cp311", "manylinux_2_17_x86_64.linux", "", ".", "abc", "é", "\n"]
)  # fmt: skip
FILENAME = st.builds(
    lambda pieces, end: "-".join(pieces) + end,
    st.lists(PIECE | NAME_LIKE, min_size=1, max_size=7),
    st.sampled_from([".whl", ".tar.gz", ".zip", ".tgz", ".WHL", "", ".whl\n"]),
)
SOUND = st.builds(
    lambda name, version, rest: f"{name}-{version}{rest}",
    st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._]{0,6}[A-Za-z0-9])?", fullmatch=True),
    st.from_regex(
        r"v?([0-9]!)?[0-9]{1,3}(\.[0-9]{1,2}){0,2}((a|b|rc|c)[0-9])?(\.?post[0-9])?(\+[a-z0-9.]{1,3})?", fullmatch=True
    ),
    st.sampled_from(
        ["-py3-none-any.whl", "-1-py2.py3-none-any.whl", "-3b-cp311-abi3-linux_x86_64.whl", ".tar.gz", ".zip"]
    ),
)
SPECIFIERS = st.lists(
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", " ", "\t", "\n", "\x1c"]),
            st.sampled_from(["==", ">=", "<=", "!=", "~=", "===", ">", "<", "=", "=>", ""]),
            st.sampled_from(["", " ", "\n", "\xa0"]),
            st.sampled_from(
                ["1", "1.2", "3.8.*", "1.*.2", "1a1", "01", "1.0+x", "*", "", "1." * 40 + "0", "9" * 12, "٣"]
            ),
            st.sampled_from(["", " ", "\n"]),
        ),
    )
    | st.text("=<>!~0123456789.*, ab+", max_size=12),
    max_size=3,
).map(",".join)


@given(FILENAME | SOUND | st.text(max_size=30))
@settings(max_examples=200, deadline=None)
@example("foo__bar-1.0-py3-none-any.whl")
@example("_foo-1.0-py3-none-any.whl")
@example("foo-1.0-1.tar.gz")
@example("foo-1.0-abc-py3-none-any.whl")
@example("foo-1.0-py3..py2-none-any.whl")
@example("foo-1.0-py3-none-any.whl\n")
@example("foo-\u0661.0.tar.gz")
def test_point_72_a_filename_that_is_read_is_read_as_packaging_reads_it(filename: str) -> None:
    found = parse_filename(filename)
    if found is None:
        return
    name, version = parse_wheel_filename(filename)[:2] if found.kind == "wheel" else parse_sdist_filename(filename)
    assert (str(found.project), found.version, str(found.version)) == (str(name), version, str(version))
    assert is_normalized_name(found.project)
    assert is_project_name(found.project)
    assert is_safe_filename(filename)
    assert found.kind == ("wheel" if filename.endswith(".whl") else "sdist")


@given(SOUND)
@settings(max_examples=150, deadline=None)
def test_point_72_a_safe_filename_that_packaging_reads_is_read(filename: str) -> None:
    try:
        name, version = (
            parse_wheel_filename(filename)[:2] if filename.endswith(".whl") else parse_sdist_filename(filename)
        )
    except ValueError:
        assert parse_filename(filename) is None
        return
    found = parse_filename(filename)
    assert found is not None
    assert (str(found.project), found.version) == (str(name), version)


@pytest.mark.parametrize(
    "filename",
    ["foo-1.0.tgz", "foo.tar.gz", "foo-1.0-none-any.whl", "foo-1.0-py3-none-any-x-y.whl", "foo-2010i.tar.gz",
     "foo__bar-1.0-py3-none-any.whl", "_foo-1.0-py3-none-any.whl", "foo-1.0_1-py3-none-any.whl",
     "-1.0.tar.gz", ".foo-1.0.tar.gz", "foo_-1.0.tar.gz", "foo-1.0-py3-none-any.WHL", "a/foo-1.0.tar.gz", ""],
)  # fmt: skip
def test_point_72_a_filename_of_no_wheel_or_sdist_is_not_read(filename: str) -> None:
    assert parse_filename(filename) is None


def test_point_72_an_old_build_number_in_an_sdist_name_belongs_to_the_project_name() -> None:
    found = parse_filename("foo-1.0-1.tar.gz")
    assert found is not None
    assert (found.project, str(found.version)) == ("foo-1-0", "1")


@given(SPECIFIERS | st.text(max_size=12))
@settings(max_examples=200, deadline=None)
@example("")
@example(",")
@example(">=3.8,")
@example(">=3.8.*")
@example("~=3")
@example(">=3 .8")
def test_a_specifier_set_is_what_packaging_says_it_is(text: str) -> None:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        assert not is_specifier_set(text)
    else:
        assert is_specifier_set(text)


@given(NAME_LIKE | st.text(max_size=12))
@settings(max_examples=150)
@example("a\n")
@example("\u0131")
@example("\u212a")
@example("a--b")
def test_point_71_names_are_those_of_packaging_in_ascii_and_to_the_very_end(name: str) -> None:
    assert is_project_name(name) == is_normalized_name(name)
    try:
        canonicalize_name(name, validate=True)
    except ValueError:
        assert not is_display_name(name)
    else:
        assert is_display_name(name)
        assert str(normalize(name)) == str(canonicalize_name(name))
        assert is_project_name(normalize(name))


def test_point_71_spellings_of_one_name_collide() -> None:
    spellings = ["a_b", "a.b", "A-B", "a__b", "a-_.b", "A.b"]
    assert {normalize(name) for name in spellings} == {"a-b"}
    assert [name for name in spellings if is_project_name(name)] == []


@pytest.mark.parametrize(
    "spellings",
    [
        ["1.0", "1.0.0", "v1.0", "0!1.0", "01.0", " 1.0 "],
        ["1.0-1", "1.0-r1", "1.0.post1", "1.0.rev1"],
        ["1.0c1", "1.0rc1", "1.0.pre1", "1.0-preview1"],
        ["1.0A1", "1.0a1", "1.0.alpha.1"],
        ["1.0.dev", "1.0.dev0"],
        ["1.0+ubuntu-1", "1.0+ubuntu.1", "1.0+Ubuntu_1"],
    ],
)
def test_point_74_spellings_of_one_version_are_equal(spellings: list[str]) -> None:
    versions = [parse_version(text) for text in spellings]
    assert None not in versions
    assert set(versions) == {versions[0]}


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1.0+x"), ("1.0", "1.0.post0"), ("1.0", "1!1.0"), ("1.0", "1.0.dev0")]
)
def test_point_74_versions_that_only_look_alike_differ(one: str, other: str) -> None:
    assert parse_version(one) is not None
    assert parse_version(one) != parse_version(other)


VERSION = st.from_regex(
    r"v?([01]!)?0?[0-9]{1,2}(\.(0|00|1|10)){0,3}((a|c|rc)[01]?)?((-|\.post)[01])?(\.dev0?)?(\+[a1]([.-][a1])?)?",
    fullmatch=True,
)


@given(VERSION | st.text("0123.", max_size=6), VERSION | st.text("0123.", max_size=6))
@settings(max_examples=150, deadline=None)
@example("1.0", "1.0.0")
@example("0", "0.0")
@example("1" * 30, "0" + "1" * 30)
@example("1" * 5000, "x")
def test_point_74_version_keys_are_equal_exactly_where_versions_are(one: str, other: str) -> None:
    for text in (one, other):
        version = parse_version(text)
        assert canonical_version(text) == (None if version is None else str(version))
        assert version_key(text) == version_key(f"{text}.0" if version and text.replace(".", "").isdigit() else text)
    if parse_version(one) and parse_version(other):
        assert (version_key(one) == version_key(other)) == (parse_version(one) == parse_version(other))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("1.0.0", "1.0.0"), ("v01.0-1", "1.0.post1"), ("1.0C1", "1.0rc1"), ("1.0+A-1", "1.0+a.1"), ("1.0_1", None),
     ("", None), ("x", None), ("1.0\x00", None), ("1" * 5000, None)],
)  # fmt: skip
def test_the_canonical_version_keeps_trailing_zeros(text: str, canonical: str | None) -> None:
    assert canonical_version(text) == canonical


def test_index_names_are_a_user_and_a_name() -> None:
    assert parse_index_name("emilie/prod") == IndexName(UserName("emilie"), "prod")
    assert str(IndexName(UserName("emilie"), "prod")) == "emilie/prod"
    for text in (
        "emilie",
        "emilie/",
        "/prod",
        "emilie/prod/x",
        "Emilie/prod",
        "files/prod",
        "emilie/../x",
        "a/b\n",
        "a/" + "b" * 65,
    ):
        assert parse_index_name(text) is None


def test_owner_names_follow_the_layout() -> None:
    assert [t for t in ("a", "a1", "a.b-c_d", "a" * 64, "files") if not is_owner_name(t)] == []
    assert [t for t in ("", "A", "a..b", "-a", "a-", "a b", "é", "a\n", "a" * 65) if is_owner_name(t)] == []
    assert not is_user_name("files")


def test_a_sha256_is_64_lower_case_hexadecimal_digits() -> None:
    assert is_sha256("0a" * 32)
    assert [
        t for t in ("0A" * 32, "0a" * 31, "0a" * 33, "0g" * 32, "0a" * 32 + "\n", "\u0661" * 64) if is_sha256(t)
    ] == []
