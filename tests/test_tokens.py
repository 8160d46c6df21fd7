"""Tokens: what is kept of them and where, the commands, and two writers at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gitindex import scopes, tokens
from gitindex.errors import CannotRunError, GitindexError, NotThereError, UsageError
from gitindex.names import IndexName, UserName
from tests.conftest import Run
from tests.repositories import IndexRepository, bare_clone
from tests.test_cli import GITINDEX, is_one_line

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOKEN = re.compile(r"gitindex_[a-z2-7]{8}_[a-z2-7]{52}")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A file of tokens that is not there yet, in a folder that is not there either."""
    return tmp_path / "config/tokens.json"


def create(store: Path, name: str, *scopes: str, expires: datetime | None = None) -> tokens.Minted:
    return tokens.create(store, name, scopes or ("read:emilie/prod",), expires=expires, now=NOW)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# The file


def test_created_token_is_kept_as_a_hash_in_a_file_that_is_its_owners_alone(store: Path) -> None:
    previous = os.umask(0)
    try:
        token, text = create(store, "ci", "read:emilie/prod", "read:root/*", "read:emilie/prod")
    finally:
        os.umask(previous)
    assert TOKEN.fullmatch(text)
    assert token.id == text.split("_")[1]
    written = json.loads(store.read_text())
    assert written == {
        "format": 1,
        "tokens": [
            {
                "id": token.id,
                "name": "ci",
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "scopes": ["read:emilie/prod", "read:root/*"],
                "created": "2026-11-24T12:00:00Z",
                "expires": None,
                "user": None,
            }
        ],
    }
    assert text.split("_")[2] not in store.read_text()
    assert (mode(store), mode(store.parent)) == (0o600, 0o700)
    assert {mode(path) for path in store.parent.iterdir()} == {0o600}
    assert tokens.read(store) == (token,)


def test_tokens_and_their_ids_differ(store: Path) -> None:
    made = [create(store, f"token-{number}") for number in range(20)]
    assert len({text for _, text in made}) == len({token.id for token, _ in made}) == 20
    assert tokens.read(store) == tuple(token for token, _ in made)


def test_id_that_is_taken_is_not_given_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = create(store, "first").token
    ids = [first.id, first.id, "aaaaaaaa"]
    monkeypatch.setattr(tokens, "_random", lambda size: ids.pop(0) if size == 5 else "b" * 52)
    assert create(store, "second").token.id == "aaaaaaaa"


def test_name_is_free_again_when_its_token_has_expired_or_is_revoked(store: Path) -> None:
    first = create(store, "ci", expires=NOW + timedelta(seconds=1)).token
    with pytest.raises(
        UsageError, match=rf"^there is a token ci already, with the id {first.id}; .* revoke {first.id}"
    ):
        create(store, "ci")
    later = NOW + timedelta(seconds=1)
    second = tokens.create(store, "ci", ["read:*"], expires=None, now=later).token
    with pytest.raises(UsageError, match=f"^2 tokens are called ci: {first.id}, {second.id}; name the id of one"):
        tokens.revoke(store, "ci")
    assert tokens.revoke(store, second.id) == second
    assert tokens.revoke(store, "ci") == first
    assert tokens.read(store) == ()
    assert json.loads(store.read_text()) == {"format": 1, "tokens": []}


def test_token_that_is_named_like_the_id_of_another_is_not_revoked_for_it(store: Path) -> None:
    first = create(store, "first").token
    second = create(store, first.id).token
    with pytest.raises(UsageError, match=r"^2 tokens are called"):
        tokens.revoke(store, first.id)
    assert tokens.revoke(store, second.id) == second
    assert tokens.revoke(store, first.id) == first


def test_what_is_not_there_is_not_revoked_and_nothing_is_made(store: Path) -> None:
    with pytest.raises(NotThereError, match=r"^ci: no such token; see: gitindex token list"):
        tokens.revoke(store, "ci")
    assert not store.parent.exists()
    create(store, "ci")
    before = store.read_bytes()
    with pytest.raises(NotThereError):
        tokens.revoke(store, "CI")
    assert store.read_bytes() == before


@pytest.mark.parametrize("name", ["", "CI", "a b", "-x", "é", "a\n", "a" * 65, "a/b"])
def test_token_with_a_malformed_name_is_not_made(store: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a token: it must be lower-case"):
        create(store, name)
    assert not store.parent.exists()


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_file_that_others_can_open_is_refused_until_it_is_closed_to_them(store: Path, bits: int) -> None:
    token = create(store, "ci").token
    store.chmod(bits)
    for refused in (lambda: tokens.read(store), lambda: create(store, "other"), lambda: tokens.revoke(store, "ci")):
        with pytest.raises(CannotRunError, match=rf"^{store}: others than its owner .*; run: chmod 600 {store}$"):
            refused()
    store.chmod(0o600)
    assert tokens.read(store) == (token,)


GOOD: dict[str, Any] = {
    "id": "abcdefgh",
    "name": "ci",
    "sha256": "0" * 64,
    "scopes": ["read:emilie/prod"],
    "created": "2026-11-24T12:00:00Z",
    "expires": None,
}


def holding(**changes: Any) -> str:
    return json.dumps({"format": 1, "tokens": [{**GOOD, **changes}]})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("[]", "should be"),
        ("{", "not JSON"),
        ('{"format": 1, "tokens": [], "tokens": []}', "the key 'tokens' stands twice"),
        ('{"format": 2, "tokens": []}', "format: should be 1"),
        ('{"format": 1}', "the key tokens is missing"),
        ('{"format": 1, "tokens": [{}]}', "the key tokens[0].id is missing"),
        (
            holding(scopes=["paint:emilie/dev"]),
            "the scope 'paint:emilie/dev' is of a kind that this gitindex does not",
        ),
        (holding(scopes=["upload:emilie"]), "names no index: write upload:USER/INDEX"),
        (holding(user="Emilie"), "must be the name of a user"),
        (holding(scopes=["read:emilie"]), "the scope 'read:emilie' names no index"),
        (holding(scopes=["read:*/prod"]), "names no index"),
        (holding(scopes=[]), "tokens[0].scopes"),
        (holding(id="ABCDEFGH"), "tokens[0].id"),
        (holding(name="a b"), "tokens[0].name: must be lower-case"),
        (holding(sha256="0"), "tokens[0].sha256"),
        (holding(expires="soon"), "tokens[0].expires"),
        (holding(expires="2026-02-31T00:00:00Z"), "tokens[0].expires"),
        (holding(secret="x"), "the key tokens[0].secret is not known here"),
        (json.dumps({"format": 1, "tokens": [GOOD, GOOD]}), "two tokens have the same id"),
        ("[" * 100_000, "nested too deeply"),
        (" " * (1024 * 1024 + 1), "the file has"),
    ],
)
def test_malformed_file_is_told_in_one_line_and_left_alone(store: Path, text: str, problem: str) -> None:
    store.parent.mkdir()
    store.write_text(text)
    store.chmod(0o600)
    for refused in (lambda: tokens.read(store), lambda: create(store, "other"), lambda: tokens.revoke(store, "ci")):
        with pytest.raises(CannotRunError) as raised:
            refused()
        assert str(raised.value).startswith(str(store))
        assert problem in raised.value.message
        assert "gitindex token create" in raised.value.help
        assert "\n" not in str(raised.value)
    assert store.read_text() == text


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(CannotRunError, match=f"^{path}: is no file"):
            tokens.read(path)
    (tmp_path / "plain").touch()
    with pytest.raises(CannotRunError, match="cannot be read"):
        tokens.read(tmp_path / "plain/tokens.json")
    with pytest.raises(CannotRunError, match="cannot be written"):
        create(tmp_path / "plain/tokens.json", "ci")


def test_file_does_not_grow_over_what_can_be_read(store: Path) -> None:
    many = [{**GOOD, "id": f"{number:08x}".translate(str.maketrans("0189", "wxyz"))} for number in range(4500)]
    store.parent.mkdir()
    store.write_text(json.dumps({"format": 1, "tokens": many}))
    store.chmod(0o600)
    assert len(tokens.read(store)) == 4500
    before = store.read_bytes()
    with pytest.raises(CannotRunError, match="revoke the tokens that have expired"):
        create(store, "other")
    assert store.read_bytes() == before


def test_link_to_the_file_stays_a_link(store: Path, tmp_path: Path) -> None:
    create(store, "first")
    link = tmp_path / "link.json"
    link.symlink_to(store)
    create(link, "second")
    assert link.is_symlink()
    assert [token.name for token in tokens.read(store)] == ["first", "second"]


def test_default_file_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = Path.home()
    assert tokens.default_path({}) == home / ".config/gitindex/tokens.json"
    assert tokens.default_path({"XDG_CONFIG_HOME": "relative"}) == home / ".config/gitindex/tokens.json"
    assert tokens.default_path({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/gitindex/tokens.json")
    assert tokens.default_path({"XDG_CONFIG_HOME": "/etc/xdg", "GITINDEX_TOKENS": "x"}) == Path("x")

    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(CannotRunError, match="--tokens"):
        tokens.default_path({})
    assert tokens.default_path({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "gitindex/tokens.json"


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("read:emilie/prod", {"emilie/prod"}),
        ("read:emilie/*", {"emilie/prod", "emilie/dev"}),
        ("read:*", {"emilie/prod", "emilie/dev", "emil/prod", "bob/prod"}),
    ],
)
def test_scope_allows_what_it_names_and_nothing_else(scope: str, allowed: set[str]) -> None:
    names = ["emilie/prod", "emilie/dev", "emil/prod", "bob/prod"]
    indexes = [IndexName(UserName(user), name) for user, name in (text.split("/") for text in names)]
    found = {str(index) for index in indexes if scopes.allows({scope}, scopes.READ, index)}
    assert found == allowed


# The commands


def test_create_prints_the_token_alone_and_what_to_do_with_it_beside(run: Run) -> None:
    made = run("token", "create", "ci", "--read", "emilie/prod", "--read", "root/*")
    assert made.code == 0
    text = made.out.removesuffix("\n")
    assert TOKEN.fullmatch(text)
    assert text not in made.err
    assert made.err.startswith(
        f"The token ci ({text.split('_')[1]}) may read emilie/prod, root/*. It is shown this once"
    )
    assert "login __token__ password TOKEN" in made.err
    listed = run("token", "list")
    assert (listed.code, listed.err) == (0, "")
    assert re.fullmatch(r"[a-z2-7]{8}  ci  -  read emilie/prod, root/\*  \S+Z  never  live\n", listed.out)
    store = Path.home() / ".config/gitindex/tokens.json"
    (token,) = tokens.read(store)
    assert token.name == "ci"
    assert run("token", "revoke", token.id) == (0, f"The token ci ({token.id}) is revoked.\n", "")
    assert tokens.read(store) == ()


def test_json_has_the_token_once_and_never_a_hash(run: Run, store: Path) -> None:
    arguments = ("token", "create", "ci", "--read", "*", "--expires", "90d", "--tokens", store, "--json")
    made = json.loads(run(*arguments).out)
    (token,) = tokens.read(store)
    assert made.pop("token").split("_")[1] == token.id
    assert token.expiry is not None
    assert token.expiry - datetime.fromisoformat(token.created).timestamp() == 90 * 24 * 3600
    listed = run("token", "list", "--tokens", store, "--json")
    assert json.loads(listed.out) == [made]
    assert made == {
        "id": token.id,
        "name": "ci",
        "scopes": ["read:*"],
        "created": token.created,
        "expires": token.expires,
        "user": None,
        "state": "live",
    }
    assert token.sha256 not in listed.out
    revoked = json.loads(run("token", "revoke", "ci", "--tokens", store, "--json").out)
    assert revoked == {"id": token.id, "name": "ci", "state": "revoked"}
    assert run("token", "list", "--tokens", store) == (0, "", "")
    assert run("token", "list", "--tokens", store, "--json").out == "[]\n"


def test_token_that_writes_is_somebodys(run: Run, store: Path) -> None:
    arguments = ("token", "create", "laptop", "--upload", "emilie/*", "--define", "emilie/dev", "--tokens", store)
    refused = run(*arguments)
    assert (refused.code, "a token that writes is somebody's" in refused.err) == (2, True)
    assert run(*arguments, "--user", "E M").code == 2
    made = run(*arguments, "--user", "emilie", "--read", "root/pypi")
    assert "may read root/pypi; upload emilie/*; define emilie/dev. It is shown" in made.err
    (token,) = tokens.read(store)
    assert (token.user, token.scopes) == ("emilie", ("read:root/pypi", "upload:emilie/*", "define:emilie/dev"))
    assert (
        "laptop  emilie  read root/pypi; upload emilie/*; define emilie/dev  "
        in run("token", "list", "--tokens", store).out
    )
    assert run("token", "create", "nothing", "--tokens", store).code == 2


def test_expired_token_is_listed_as_such(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(store, "old", expires=NOW + timedelta(days=1))
    monkeypatch.setenv("GITINDEX_TOKENS", str(store))
    monkeypatch.setattr("time.time", lambda: NOW.timestamp() + 24 * 3600 - 1)
    assert run("token", "list").out.endswith("  2026-11-25T12:00:00Z  live\n")
    monkeypatch.setattr("time.time", lambda: NOW.timestamp() + 24 * 3600)
    assert run("token", "list").out.endswith("  2026-11-25T12:00:00Z  expired\n")


def test_date_is_its_first_moment_in_utc(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", NOW.timestamp)
    for number, (text, expires) in enumerate(
        [
            ("2026-11-25", "2026-11-25T00:00:00Z"),
            ("90s", "2026-11-24T12:01:30Z"),
            ("5m", "2026-11-24T12:05:00Z"),
            ("12h", "2026-11-25T00:00:00Z"),
            ("2w", "2026-12-08T12:00:00Z"),
        ]
    ):
        made = run("token", "create", f"t{number}", "--read", "*", "--expires", text, "--tokens", store, "--json")
        assert json.loads(made.out)["expires"] == expires
    for text in ("2026-11-24", "2020-01-01", "0d"):
        result = run("token", "create", "x", "--read", "*", "--expires", text, "--tokens", store)
        assert (result.code, result.out) == (2, "")
        assert "name a time to come" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        "create",
        "create ci",
        "create CI --read *",
        "create ci --read emilie",
        "create ci --read */prod",
        "create ci --read emilie/prod/",
        "create ci --read upload:emilie/prod",
        "create ci --read * --expires soon",
        "create ci --read * --expires 90",
        "create ci --read * --expires -1d",
        "create ci --read * --expires 999999999w",
        "create ci --read * --expires 2027-02-30",
        "create ci --read * --expires 2027-02-28T00:00",
        "revoke",
    ],
)
def test_wrong_usage_is_exit_code_2_and_makes_no_token(run: Run, store: Path, arguments: str) -> None:
    result = run("token", *arguments.split(), "--tokens", store)
    assert (result.code, result.out) == (2, "")
    assert is_one_line(result.err) or result.err.startswith("Usage: gitindex"), result.err
    assert not store.parent.exists()


def test_token_that_is_not_there_is_exit_code_1(run: Run, store: Path) -> None:
    result = run("token", "revoke", "ci", "--tokens", store)
    assert result == (1, "", "gitindex: ci: no such token; see: gitindex token list\n")


def test_file_that_others_can_open_is_exit_code_3_and_says_what_to_do(run: Run, store: Path) -> None:
    create(store, "ci")
    store.chmod(0o644)
    result = run("token", "list", "--tokens", store)
    assert (result.code, result.out) == (3, "")
    assert is_one_line(result.err)
    assert f"chmod 600 {store}" in result.err


def test_index_that_the_repository_lacks_is_noted_and_given_all_the_same(
    repository: IndexRepository, run: Run, store: Path, tmp_path: Path
) -> None:
    arguments = ("token", "create", "ci", "--tokens", store)
    reads = [word for name in ("emilie/prod", "emilie/nowhere", "bob/*", "emilie/*", "*") for word in ("--read", name)]
    for number, place in enumerate((repository.root, bare_clone(repository, tmp_path / "bare"))):
        result = run("-C", place, "token", "create", f"ci-{number}", *reads, "--tokens", store)
        assert result.code == 0
        notes = [
            line.partition(" is not")[0] for line in result.err.splitlines() if "is not in this repository" in line
        ]
        assert notes == ["emilie/nowhere", "bob/*"]
    assert "is not in this repository" not in run("-C", store.parent, *arguments, *reads).err


def test_no_token_is_put_into_an_index_repository(
    repository: IndexRepository, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = bare_clone(repository, tmp_path / "bare")
    before = sorted(repository.path.rglob("*"))
    link = tmp_path / "link"
    link.symlink_to(repository.root)
    monkeypatch.chdir(repository.root)
    for place, path in (
        (tmp_path, repository.root / "tokens.json"),
        (tmp_path, repository.path / ".git/tokens.json"),
        (tmp_path, repository.root / "new/folder/tokens.json"),
        (tmp_path, link / "tokens.json"),
        (tmp_path, bare / "tokens.json"),
        (repository.root, repository.path / "tokens.json"),
        (repository.root, Path("tokens.json")),
        (bare, bare / "objects/tokens.json"),
    ):
        for command in (["create", "ci", "--read", "*"], ["list"], ["revoke", "ci"]):
            result = run("-C", place, "token", *command, "--tokens", path)
            assert (result.code, result.out) == (2, ""), (place, path)
            assert is_one_line(result.err)
            assert "where tokens never belong" in result.err
    assert sorted(repository.path.rglob("*")) == before


def test_file_in_a_repository_of_something_else_is_taken(run: Run, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert run("-C", tmp_path, "token", "create", "ci", "--read", "*", "--tokens", tmp_path / "t.json").code == 0


def test_writers_at_once_lose_no_token(store: Path) -> None:
    count = 6
    # Each waits until all are there, so that they do meet.
    program = f"""\
import sys
from datetime import UTC, datetime
from pathlib import Path
from gitindex import tokens
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    name = f"t{{sys.argv[1]}}-{{number}}"
    made = tokens.create(Path({str(store)!r}), name, ["read:*"], expires=None, now=datetime.now(UTC))
    print(made.text)
    if number % 2:
        tokens.revoke(Path({str(store)!r}), made.token.id)
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(count)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0] * count
    assert {len(texts) for texts in printed} == {10}
    kept = {text.split("_")[1]: hashlib.sha256(text.encode()).hexdigest() for texts in printed for text in texts[::2]}
    assert {token.id: token.sha256 for token in tokens.read(store)} == kept


def test_two_commands_at_once_both_make_their_token(store: Path) -> None:
    names = ["emilie", "bob", "ci", "deploy"]
    running = [
        subprocess.Popen(
            [*GITINDEX, "token", "create", name, "--read", "*", "--tokens", store],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for name in names
    ]
    assert all(TOKEN.fullmatch(process.communicate(timeout=60)[0].decode().strip()) for process in running)
    assert sorted(token.name for token in tokens.read(store)) == sorted(names)


def test_errors_carry_no_secret(store: Path) -> None:
    text = create(store, "ci").text
    with pytest.raises(GitindexError) as raised:
        create(store, "ci")
    assert text.split("_")[2] not in str(raised.value)
