"""Who may read what: what headers mean, hostile ones included, and what happens while the file of tokens changes."""

from __future__ import annotations

import base64
import hmac
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from gitindex import tokens
from gitindex.errors import CannotRunError, UsageError
from gitindex.names import IndexName, UserName
from gitindex.server import access
from gitindex.server.access import MAX_HEADER, Access, Reader, refusal, sent_token

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PROD, DEV, PYPI = (
    IndexName(UserName(user), name) for user, name in (("emilie", "prod"), ("emilie", "dev"), ("root", "pypi"))
)
TEXT = b"gitindex_abcdefgh_" + b"a" * 52


def basic(user: bytes, password: bytes) -> bytes:
    return b"Basic " + base64.b64encode(user + b":" + password)


class World:
    """A file of tokens, an access by it, and the clocks that it sees."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW.timestamp()
        self.ticks = 1000.0
        self.first = self.create("first", "read:emilie/prod")

    def create(self, name: str, *scopes: str, expires: datetime | None = None) -> bytes:
        return tokens.create(self.path, name, scopes, expires=expires, now=NOW).text.encode()

    def access(self, *public: str) -> Access:
        return Access(self.path, public, clock=lambda: self.now, ticks=lambda: self.ticks)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "tokens.json")


def known(of: Access, text: bytes) -> bool:
    return of.of(basic(b"__token__", text)) is not None


# Who is who


def test_token_is_known_as_a_password_as_a_user_and_as_bearer(world: World) -> None:
    of = world.access()
    identifier = world.first.split(b"_")[1].decode()
    wanted = Reader(is_known=True, name=identifier, scopes=frozenset({"read:emilie/prod"}))
    for header in (
        basic(b"__token__", world.first),
        basic(b"", world.first),
        basic("élodie".encode(), world.first),
        basic(world.first, b""),
        b"bearer " + world.first,
        b"Bearer   " + world.first,
        basic(b"__token__", world.first).replace(b"Basic", b"bAsIc"),
    ):
        for _ in range(2):  # found, and remembered
            assert of.of(header) == wanted


def test_reader_may_read_what_the_token_names_and_what_is_public(world: World) -> None:
    reader = world.access("root/*").of(basic(b"x", world.first))
    assert reader is not None
    assert [reader.may_read(index) for index in (PROD, DEV, PYPI)] == [True, False, True]
    assert hash(reader.scopes)


def test_nobody_reads_what_is_public_and_no_more(world: World) -> None:
    for public, wanted in (
        ((), [False, False, False]),
        (("root/pypi",), [False, False, True]),
        (("emilie/*",), [True, True, False]),
        (("*",), [True, True, True]),
    ):
        reader = world.access(*public).of(None)
        assert reader is not None
        assert (reader.is_known, reader.name) == (False, "")
        assert [reader.may_read(index) for index in (PROD, DEV, PYPI)] == wanted


def test_open_access_lets_everybody_read_everything_whatever_they_send() -> None:
    of = Access.open_to_all()
    for header in (None, b"", b"Basic !", basic(b"a", b"b")):
        reader = of.of(header)
        assert reader is not None
        assert (reader.is_known, reader.name, reader.may_read(PROD)) == (True, "", True)
        assert refusal(reader, PROD) is refusal(reader, None) is None


def test_pattern_that_names_no_index_is_refused_at_the_start(world: World) -> None:
    with pytest.raises(UsageError, match="'emilie' names no index"):
        world.access("emilie")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1] + (b"a" if text[-1:] != b"a" else b"q"),
        lambda text: text.replace(text.split(b"_")[1], b"aaaaaaaa"),
        lambda text: text.upper(),
        lambda text: text + b"\n",
        lambda text: text + b"\0",
        lambda text: b"\t" + text,
        lambda text: text[:-1],
        lambda text: text.split(b"_")[2],
        lambda text: b":" + text,
        lambda _: b"",
    ],
)
def test_token_that_differs_in_anything_is_wrong(world: World, change: object) -> None:
    assert callable(change)
    of = world.access("*")
    wrong = change(world.first)
    for _ in range(2):
        assert of.of(basic(b"__token__", wrong)) is None
        assert of.of(b"Bearer " + wrong) is None
    assert known(of, world.first)


def test_hash_from_the_file_is_no_token(world: World) -> None:
    (kept,) = tokens.read(world.path)
    of = world.access()
    assert not known(of, kept.sha256.encode())
    assert not known(of, f"gitindex_{kept.id}_{kept.sha256[:52]}".encode())


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Basic",
        b"Basic ",
        b" Basic eDp5",
        b"Basic\teDp5",
        b"Basic eDp5 eDp5",
        b"Basic eDp",
        b"Basic e:p5",
        b"Basic \xff\xfe",
        b"Basic =",
        b"Basic " + base64.b64encode(TEXT + b":" + TEXT)[:-2] + b"==",
        b"Basic " + base64.b64encode(b"\xff\xfe:\xff"),
        b"Basic " + base64.b64encode(b"\0:\0" + TEXT),
        b"Basic " + base64.b64encode(b":" * 1000),
        b"Digest " + TEXT,
        b"Negotiate " + base64.b64encode(b"x:" + TEXT),
        b"Bearer " + base64.b64encode(b"x:" + TEXT),
        b"Bearer\0" + TEXT,
        b"Basic " + b"A" * 10_000_000,
        b" " * 10_000_000,
        b"B" * 10_000_000,
    ],
    ids=lambda header: header[:20].decode("latin-1").encode("unicode_escape").decode(),
)
def test_hostile_header_is_wrong_and_nothing_more(world: World, header: bytes) -> None:
    assert sent_token(header) is None
    assert world.access("*").of(header) is None


@given(st.binary(max_size=300))
def test_no_header_is_taken_for_a_token_by_chance(header: bytes) -> None:
    for prefix in (b"", b"Basic ", b"Bearer ", b"Basic " + base64.b64encode(header)):
        assert sent_token(prefix + header) is None


@given(
    st.binary(max_size=1000).filter(lambda user: b":" not in user),
    st.sampled_from(["Basic", "BASIC", "basic", "bASIc"]),
    st.integers(1, 20),
)
def test_token_is_found_behind_any_user_name(user: bytes, scheme: str, blanks: int) -> None:
    value = base64.b64encode(user + b":" + TEXT)
    assert sent_token(scheme.encode() + b" " * blanks + value) == TEXT


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_first_colon_parts_user_and_password(user: bytes, password: bytes) -> None:
    found = sent_token(basic(user, password))
    _, _, rest = (user + b":" + password).partition(b":")
    assert found == (rest if tokens.id_of(rest) else None)


def test_largest_header_is_read_and_a_larger_one_is_not() -> None:
    room = MAX_HEADER - len(b"Bearer ") - len(TEXT)
    assert sent_token(b"Bearer" + b" " * (room + 1) + TEXT) == TEXT
    assert sent_token(b"Bearer" + b" " * (room + 2) + TEXT) is None


def test_unknown_id_is_compared_as_a_known_one_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    right = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return right(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    of = world.access()
    for text in (TEXT, world.first[:-1] + b"b", world.first):
        of.of(basic(b"x", text))
    assert len(compared) == 3
    assert {len(digest) for pair in compared for digest in pair} == {32}


def test_what_is_remembered_is_bounded_and_of_right_headers_alone(world: World) -> None:
    of = world.access()
    remembered = of._state._remembered
    for number in range(access.MAX_REMEMBERED + 10):
        assert of.of(basic(b"%d" % number, TEXT)) is None
    assert not remembered
    for number in range(access.MAX_REMEMBERED + 10):
        header = basic(b"%d" % number, world.first)
        assert of.of(header) is of.of(header) is not None
        assert len(remembered) <= access.MAX_REMEMBERED
    assert len(remembered) == 10
    assert all(world.first not in key for key in remembered)


# Time


def test_token_is_refused_from_the_moment_it_expires_on(world: World) -> None:
    text = world.create("short", "read:*", expires=NOW + timedelta(hours=1))
    of = world.access()
    world.now += 3599.999
    assert known(of, text)
    world.now += 0.001
    assert not known(of, text)
    assert known(of, world.first)
    world.now -= 1
    assert known(of, text)


# A file that changes


def test_change_of_the_file_is_seen_within_a_second_and_looked_for_no_more_often(world: World) -> None:
    of = world.access()
    second = world.create("second", "read:root/pypi")
    world.ticks += 0.999
    assert not known(of, second)
    world.ticks += 0.001
    assert known(of, second)
    assert known(of, world.first)
    tokens.revoke(world.path, "first")
    world.ticks += 0.999
    assert known(of, world.first)
    world.ticks += 0.001
    assert not known(of, world.first)
    assert known(of, second)


def test_unchanged_file_is_not_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    of = world.access()
    read: list[Path] = []
    looked: list[object] = []
    stat = os.stat

    def noted(path: Path) -> object:
        looked.append(path)
        return stat(path)

    monkeypatch.setattr(tokens, "read", read.append)
    monkeypatch.setattr(os, "stat", noted)
    for _ in range(100):
        world.ticks += 0.1
        assert known(of, world.first)
    assert not read
    assert 9 <= len(looked) <= 10


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What is logged, each with its level."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.getMessage()}")

    logger = logging.getLogger("gitindex.server")
    handler = Handler()
    logger.addHandler(handler)
    with caplog.at_level(logging.INFO, "gitindex.server"):
        yield lines
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("damage", "mend", "problem"),
    [
        (
            lambda path: path.write_text(path.read_text() + "x"),
            lambda path: path.write_text(path.read_text()[:-1]),
            "not JSON",
        ),
        (lambda path: path.chmod(0o644), lambda path: path.chmod(0o600), "chmod 600"),
        (
            lambda path: (path.rename(path.with_suffix(".old")), path.mkdir()),
            lambda path: (path.rmdir(), path.with_suffix(".old").rename(path)),
            "is no file",
        ),
        (
            lambda path: (path.rename(path.with_suffix(".old")), path.symlink_to(path.name)),
            lambda path: (path.unlink(), path.with_suffix(".old").rename(path)),
            "cannot be read",
        ),
    ],
    ids=["malformed", "mode", "folder", "loop"],
)
def test_file_that_cannot_be_read_any_more_leaves_the_tokens_valid_and_is_told_once(
    world: World, told: list[str], damage: object, mend: object, problem: str
) -> None:
    assert callable(damage)
    assert callable(mend)
    short = world.create("short", "read:*", expires=NOW + timedelta(hours=1))
    of = world.access()
    damage(world.path)
    for _ in range(3):
        world.ticks += 1
        assert known(of, world.first)
    (line,) = told
    assert line.startswith(f"ERROR {world.path}")
    assert problem in line
    assert "the tokens that were read before are the valid ones" in line
    world.now += 3600
    assert not known(of, short)
    mend(world.path)
    tokens_before = tokens.read(world.path)
    world.ticks += 1
    assert known(of, world.first)
    assert told[1:] == [f"INFO {world.path}: the tokens were read again"]
    assert len(tokens_before) == 2
    tokens.revoke(world.path, "first")
    world.ticks += 1
    assert not known(of, world.first)


def test_file_that_is_removed_takes_all_tokens_with_it(world: World, told: list[str]) -> None:
    of = world.access("root/pypi")
    world.path.unlink()
    for _ in range(3):
        world.ticks += 1
        assert not known(of, world.first)
    assert told == [f"WARNING {world.path}: the file is gone, and with it all tokens"]
    nobody = of.of(None)
    assert nobody is not None
    assert nobody.may_read(PYPI)
    again = world.create("again", "read:*")
    world.ticks += 1
    assert known(of, again)


def test_access_does_not_start_without_its_file_or_with_a_malformed_one(world: World) -> None:
    world.path.write_text("{")
    with pytest.raises(CannotRunError, match="not JSON"):
        world.access()
    world.path.unlink()
    with pytest.raises(CannotRunError, match=r"no such file of tokens; .* gitindex token create"):
        world.access()


# The decision


def test_decision_is_401_for_strangers_403_for_the_wrong_token_and_tells_no_name(world: World) -> None:
    of = world.access("root/pypi")
    nobody, first, wrong = of.of(None), of.of(basic(b"x", world.first)), of.of(b"Basic x")
    nowhere = IndexName(UserName("emilie"), "nowhere")
    asked = (PROD, DEV, nowhere, PYPI, None)
    assert [refusal(nobody, index) for index in asked] == [401, 401, 401, None, None]
    assert [refusal(first, index) for index in asked] == [None, 403, 403, None, None]
    assert [refusal(wrong, index) for index in asked] == [401] * 5


def test_nobody_gets_what_belongs_to_no_index_where_nothing_is_public(world: World) -> None:
    of = world.access()
    assert refusal(of.of(None), None) == HTTPStatus.UNAUTHORIZED
    assert refusal(of.of(basic(b"x", world.first)), None) is None
