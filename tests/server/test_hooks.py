"""The webhook: who is heard, what a call does and does not do, and bodies that are large, slow or in many pieces."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gitindex.errors import CannotRunError, UsageError
from gitindex.git.command import run_git
from gitindex.server import hooks, pulling
from gitindex.server.command import run as serve
from gitindex.server.connection import Patience
from gitindex.server.hooks import read_secret
from tests.peers import serving as process
from tests.peers.serving import WAIT, eventually
from tests.peers.tools import Tools
from tests.repositories import IndexRepository, bare_clone
from tests.server.client import HTML, JSON, Client, Response, Served, serving
from tests.server.sockets import Line, Running, run
from tests.server.test_live import MANY, release
from tests.server.watching import commit_is, status_when

HOOK = "/+hooks/push"
SECRET = b"a secret is no sentence".replace(b" ", b"-")
KEY = bytes(range(32))
SIGNING = b"whsec_" + base64.b64encode(KEY)
BODY = b'{"ref": "refs/heads/main"}'


def hexadecimal(body: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def github(body: bytes, secret: bytes = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hexadecimal(body, secret)}", "X-Hub-Signature": f"sha1={'0' * 40}"}


def standard(body: bytes, key: bytes = KEY, before: bytes = b"msg_1.1700000000.") -> dict[str, str]:
    signature = base64.b64encode(hmac.new(key, before + body, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1a,AAAA v1,{'A' * 43}= v1,{signature}",
    }


async def call(client: Client, headers: dict[str, str], body: bytes = BODY, *, method: str = "POST") -> Response:
    return await client.request(method, HOOK, headers, body=body)


@pytest.fixture
def bare(shop: IndexRepository, tmp_path: Path) -> Path:
    """Return a bare clone, whose remote is the shop."""
    return bare_clone(shop, tmp_path / "bare.git")


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    home = tmp_path / "home"
    home.mkdir()
    return Tools(home)


@pytest.mark.parametrize(
    ("secret", "headers"),
    [
        (SECRET, github(BODY)),
        (SECRET, {"X-Gitea-Signature": hexadecimal(BODY), "X-Hub-Signature-256": f"sha256={hexadecimal(BODY)}"}),
        (SECRET, {"X-Gitea-Signature": hexadecimal(BODY)}),
        (SECRET, {"X-Forgejo-Signature": hexadecimal(BODY).upper()}),
        (SECRET, {"X-Gogs-Signature": hexadecimal(BODY)}),
        (SECRET, {"X-Hub-Signature": f"sha256={hexadecimal(BODY)}"}),
        (SECRET, {"X-Gitlab-Token": SECRET.decode()}),
        (SIGNING, standard(BODY)),
        (SIGNING, {**standard(BODY), "X-Gitlab-Token": "another one"}),
        (SIGNING, {"X-Gitlab-Token": SIGNING.decode()}),
        # Authorization belongs to readers, and is not looked at.
        (SECRET, {**github(BODY), "Authorization": "Bearer nobody"}),
    ],
    ids=range(11),
)
def test_call_of_a_forge_brings_what_was_pushed(
    shop: IndexRepository, bare: Path, tmp_path: Path, secret: bytes, headers: dict[str, str]
) -> None:
    async def check() -> None:
        async with serving(bare, tmp_path / "cache", hook_secret=secret) as client:
            await status_when(client, lambda result: result["remote"]["last_success"] is not None)
            commit = await asyncio.to_thread(release, shop, "100.0")
            answer = await call(client, headers)
            assert (answer.status, answer.body) == (202, b"the branch will be pulled\n")
            await commit_is(client, commit)
            found = await status_when(client, lambda result: result["behind"]["commits"] == 0)
            remote = found["remote"]
            assert (remote["every"], remote["by_hook"], remote["tip"], remote["problem"]) == (None, True, commit, None)
            assert found["counters"]["hooks"] == 1

    asyncio.run(check())


def test_call_that_proves_nothing_is_refused_and_does_nothing(
    shop: IndexRepository, bare: Path, tmp_path: Path
) -> None:
    wrong: list[tuple[int, dict[str, str], bytes]] = [
        (401, {}, BODY),
        (401, {"X-Hub-Signature": f"sha1={hmac.new(SECRET, BODY, hashlib.sha1).hexdigest()}"}, BODY),
        (401, {"X-Hub-Signature-256": hexadecimal(BODY)}, BODY),
        (401, {"Authorization": f"Bearer {SECRET.decode()}"}, BODY),
        (401, {"webhook-signature": "v2,AAAA"}, BODY),
        (403, github(BODY), BODY + b" "),
        (403, github(BODY), b""),
        (403, github(b""), BODY),
        (403, github(BODY, SECRET[:-1]), BODY),
        (403, {"X-Hub-Signature-256": "sha256="}, BODY),
        (403, {"X-Hub-Signature-256": "sha256=\xe9"}, BODY),
        (403, {"X-Gitea-Signature": hexadecimal(BODY)[:-1]}, BODY),
        (403, {"X-Gitlab-Token": ""}, BODY),
        (403, {"X-Gitlab-Token": SECRET.decode().upper()}, BODY),
        (403, {"X-Gitlab-Token": SECRET.decode() + "x"}, BODY),
        (403, {"X-Gitlab-Token": hexadecimal(BODY)}, BODY),
        (403, {**standard(BODY), "webhook-timestamp": "1700000001"}, BODY),
        (403, {**standard(BODY), "webhook-id": ""}, BODY),
        (403, standard(BODY, KEY[:-1]), BODY),
    ]

    async def check() -> None:
        for secret in (SECRET, SIGNING):
            async with serving(bare, tmp_path / secret.decode()[:5], hook_secret=secret) as client:
                found = await status_when(client, lambda result: result["remote"]["tip"] == result["revision"])
                assert client.state.pulling is not None
                before = client.state.pulling.last
                await asyncio.to_thread(release, shop, "100.0" if secret == SECRET else "101.0")
                for status, headers, body in wrong:
                    answer = await call(client, headers, body)
                    assert (answer.status, answer.body.count(b"\n")) == (status, 1), headers
                    assert (status == 401) == (answer.get("www-authenticate") is not None)
                await asyncio.sleep(0.3)
                assert client.state.pulling.last == before
                result = (await client.get("/+status")).json["result"]
                assert (result["revision"], result["counters"]["hooks"]) == (found["revision"], 0)

    asyncio.run(check())


def test_other_methods_are_refused_and_without_a_secret_nothing_is_there(bare: Path, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(bare, tmp_path / "cache", hook_secret=SECRET) as client:
            for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "post"):
                answer = await call(client, github(BODY), method=method)
                assert (answer.status, answer.get("allow")) == (405, "POST"), method
            for path in ("/%2Bhooks/push", "/%2bhooks/push"):
                assert (await client.request("POST", path, github(BODY), body=BODY)).status == 202
            for path in ("/+hooks", "/+hooks/", "/+hooks/pull", "/+hooks/push/", "/@main/+hooks/push", MANY):
                assert (await client.request("POST", path, github(BODY), body=BODY)).status == 405, path
                assert (await client.get(path)).status == (200 if path == MANY else 404), path
        async with serving(bare, tmp_path / "cache", hook_secret=SECRET, base_path="/pypi") as client:
            assert (await client.request("POST", f"/pypi{HOOK}", github(BODY), body=BODY)).status == 202
            assert (await call(client, github(BODY))).status == 405
        for every in (None, 60.0):
            async with serving(bare, tmp_path / "cache", pull_every=every) as client:
                for method in ("GET", "POST", "PUT"):
                    assert (await call(client, github(BODY), method=method)).status == 404, method

    asyncio.run(check())


# How often is fetched


@pytest.fixture
def fetches(bare: Path, tmp_path: Path) -> Callable[[], int]:
    """Return what counts the fetches: the remote's side of them is a script, which waits as long as `hold` is there."""
    log, script, hold = tmp_path / "fetches", tmp_path / "upload-pack", tmp_path / "hold"
    log.touch()
    waiting = f'while [ -e "{hold}" ]; do sleep 0.02; done'
    script.write_text(f'#!/bin/sh\necho >> "{log}"\n{waiting}\nexec git-upload-pack "$@"\n')
    script.chmod(0o755)
    run_git(bare, "config", "remote.origin.uploadpack", str(script))
    return lambda: len(log.read_bytes())


def test_many_calls_cause_one_fetch_after_the_running_one_and_a_call_again_does_no_harm(
    shop: IndexRepository, bare: Path, tmp_path: Path, fetches: Callable[[], int]
) -> None:
    async def check() -> None:
        hold = tmp_path / "hold"
        hold.touch()
        async with asyncio.timeout(WAIT), serving(bare, tmp_path / "cache", hook_secret=SECRET) as client:
            while fetches() < 1:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.01)
            commit = await asyncio.to_thread(release, shop, "100.0")
            for _ in range(50):
                assert (await call(client, github(BODY))).status == 202
            hold.unlink()
            await commit_is(client, commit)
            await asyncio.sleep(pulling.PAUSE + 1)
            assert fetches() == 2
            begun = time.monotonic()
            for _ in range(5):  # the same call, again and again
                assert (await call(client, github(BODY))).status == 202
                await asyncio.sleep(0.1)
            await asyncio.sleep(pulling.PAUSE + 1)
            assert 3 <= fetches() <= 3 + (time.monotonic() - begun) / pulling.PAUSE
            result = (await client.get("/+status")).json["result"]
            assert (result["revision"], result["counters"]["hooks"]) == (commit, 55)

    asyncio.run(check())


def test_fetches_that_calls_ask_for_begin_a_while_apart(bare: Path, tmp_path: Path) -> None:
    async def check() -> None:
        async with asyncio.timeout(WAIT), serving(bare, tmp_path / "cache", hook_secret=SECRET) as client:
            await status_when(client, lambda result: result["remote"]["last_success"] is not None)
            assert client.state.pulling is not None
            started = [client.state.pulling.last.started]
            while len(started) < 4:
                assert (await call(client, github(BODY))).status == 202
                last = client.state.pulling.last.started
                started += [last] if last != started[-1] else []
                await asyncio.sleep(0.01)
            for before, after in pairwise(started):
                assert pulling.PAUSE - 0.05 < after - before < pulling.PAUSE + 20

    asyncio.run(check())


def test_workers_fetch_once_for_a_call_and_tell_the_same_of_it(
    shop: IndexRepository, bare: Path, tmp_path: Path, tools: Tools, fetches: Callable[[], int]
) -> None:
    secret = tmp_path / "hook-secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    options: list[str | Path] = ["--workers", "3", "--pull-every", "2", "--hook-secret-file", secret]
    started = time.monotonic()
    with process.serving(tools, bare, *options) as running:

        def statuses() -> list[Any]:
            return [running.status() for _ in range(20)]  # by all workers, most probably

        eventually(lambda: running.status()["remote"]["last_success"] is not None, "nothing is pulled")
        assert 1 <= fetches() <= 1 + (time.monotonic() - started) / 2
        commit = release(shop, "100.0")
        answer = process.get(f"{running.url}{HOOK}", "POST", body=BODY, **github(BODY))
        assert (answer.status, answer.body) == (202, b"the branch will be pulled\n")
        eventually(lambda: {found["revision"] for found in statuses()} == {commit}, "it is not served by all")
        assert fetches() - 2 <= (time.monotonic() - started) / 2
        remotes = [found["remote"] for found in statuses()]
        assert {(remote["tip"], remote["problem"]) for remote in remotes} == {(commit, None)}
        seen = fetches(), time.monotonic()
        time.sleep(5)  # by the clock, from then on; each by itself would make it six
        assert 1 <= fetches() - seen[0] <= (time.monotonic() - seen[1]) / 2 + 1


def test_fetch_that_failed_after_a_call_is_tried_again_by_itself(
    shop: IndexRepository, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "AGAIN", 0.5)
    place, moved = shop.path, tmp_path / "moved"

    async def check() -> None:
        async with serving(bare, tmp_path / "cache", hook_secret=SECRET) as client:
            await status_when(client, lambda result: result["remote"]["last_success"] is not None)
            commit = await asyncio.to_thread(release, shop, "100.0")
            place.rename(moved)
            assert (await call(client, github(BODY))).status == 202
            found = await status_when(client, lambda result: result["remote"]["problem"] is not None)
            assert (found["state"], found["failing"]) == ("degraded", ["fetch"])
            moved.rename(place)
            await commit_is(client, commit)
            found = await status_when(client, lambda result: result["remote"]["problem"] is None)
            assert (found["state"], found["failing"]) == ("serving", [])

    asyncio.run(check())


# Bodies, on sockets


def test_large_body_in_many_pieces_is_read_to_its_end_and_the_connection_goes_on(bare: Path, tmp_path: Path) -> None:
    body = os.urandom(1 << 20) * 20

    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        headers = [f"{name}: {value}" for name, value in github(body).items()]
        await line.ask(HOOK, *headers, f"Content-Length: {len(body)}", method="POST")
        await line.send(body)
        assert (await line.answer()).status == 202
        await line.ask(HOOK, *headers, "Transfer-Encoding: chunked", method="POST")
        for start in range(0, len(body), 1 << 19):
            piece = body[start : start + (1 << 19)]
            await line.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await line.send(b"0\r\n\r\n")
        assert (await line.answer()).status == 202
        await line.ask(MANY)
        assert (await line.answer()).status == 200

    run(bare, tmp_path / "cache", Patience(), check, hook_secret=SECRET)


def test_body_may_be_announced_and_waits_until_it_is_wanted(bare: Path, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        headers = [f"{name}: {value}" for name, value in github(BODY).items()]
        await line.ask(HOOK, *headers, f"Content-Length: {len(BODY)}", "Expect: 100-continue", method="POST")
        assert await line.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await line.send(BODY)
        assert (await line.answer()).status == 202
        # One that proves nothing is not asked for its body.
        await line.ask(HOOK, f"Content-Length: {len(BODY)}", "Expect: 100-continue", method="POST")
        assert (await line.answer()).status == 401

    run(bare, tmp_path / "cache", Patience(), check, hook_secret=SECRET)


def test_calls_in_a_row_on_a_connection_each_have_their_own_body(bare: Path, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        bodies = [b"%d" % number * (number * 1000) for number in range(20)]
        sent = b"GET /emilie/dev/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz"
        for body in bodies:
            sent += b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % (HOOK.encode(), len(body))
            sent += b"X-Gitea-Signature: %s\r\n\r\n" % hexadecimal(body).encode() + body
        await line.send(sent)
        assert (await line.answer()).status == 200
        assert [(await line.answer()).status for _ in bodies] == [202] * len(bodies)

    run(bare, tmp_path / "cache", Patience(), check, hook_secret=SECRET)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_that_is_too_large_is_refused_before_it_is_read(bare: Path, tmp_path: Path, *, is_chunked: bool) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {hooks.LARGEST + 1}"
        await line.ask(HOOK, f"X-Gitlab-Token: {SECRET.decode()}", length, method="POST")
        if is_chunked:
            piece = b"%x\r\n%b\r\n" % (1 << 20, bytes(1 << 20))
            for _ in range(26):
                await line.send(piece)
        answer = await line.answer()
        assert (answer.status, answer.body) == (413, b"the body is larger than 26,214,400 bytes\n")
        assert at.state.counters.totals()["hooks"] == 0
        other = await Line.open(at.port)
        await other.ask(HOOK, "Content-Length: " + "9" * 400, method="POST")
        assert (await other.answer()).status in {400, 401}

    run(bare, tmp_path / "cache", Patience(), check, hook_secret=SECRET)


def test_body_that_drips_is_not_waited_for_and_others_are_heard(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "WITHIN", 1.0)

    async def check(at: Running) -> None:
        lines = [await Line.open(at.port) for _ in range(50)]
        for line in lines:
            await line.ask(HOOK, *[f"{k}: {v}" for k, v in github(BODY).items()], "Content-Length: 26", method="POST")

        async def drip(line: Line) -> None:
            for _ in range(8):
                await line.send(b"x")
                await asyncio.sleep(0.1)

        dripping = [asyncio.create_task(drip(line)) for line in lines]
        other = await Line.open(at.port)
        await other.ask(HOOK, f"X-Gitlab-Token: {SECRET.decode()}", method="POST")
        assert (await other.answer()).status == 202
        for line in lines:
            answer = await line.answer()
            assert (answer.status, answer.body) == (408, b"the body did not come to its end in 1 seconds\n")
            assert await line.is_closed() == b""
        await asyncio.gather(*dripping)

    run(bare, tmp_path / "cache", Patience(), check, hook_secret=SECRET)


def test_caller_who_goes_before_the_end_is_not_heard(bare: Path, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        for _ in range(20):
            line = await Line.open(at.port)
            await line.ask(HOOK, f"X-Gitlab-Token: {SECRET.decode()}", "Content-Length: 26", method="POST")
            await line.send(BODY[:-1])
            await line.close()
        await at.lets_go()
        assert at.state.counters.totals()["hooks"] == 0

    run(bare, tmp_path / "cache", Patience(), check, hook_secret=SECRET)


def test_bodies_that_nobody_takes_are_not_kept(bare: Path, tmp_path: Path) -> None:
    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        await line.ask(MANY, "Content-Length: 20000000", method="POST")
        assert (await line.answer()).status == 405
        await line.send(bytes(20_000_000))
        (connection,) = at.server.server_state.connections
        assert len(connection.cycle.body) <= 1 << 18  # type: ignore[union-attr]
        await line.ask(MANY)
        assert (await line.answer()).status == 200

    run(bare, tmp_path / "cache", Patience(), check, hook_secret=SECRET)


# The file of the secret


def test_secret_is_the_one_line_of_a_file_that_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "hook-secret"
    path.write_bytes(SECRET + b"\n")
    for mode in (0o640, 0o604, 0o620, 0o644, 0o601):
        path.chmod(mode)
        with pytest.raises(CannotRunError, match=r"others than its owner may .* the secret in it.*chmod 600"):
            read_secret(path)
    path.chmod(0o600)
    assert read_secret(path) == SECRET
    for data in (
        b"",
        b"\n",
        b"short\n",
        SECRET + b"\n" + SECRET,
        b"with a blank in between",
        b"x" * 4097,
        b"\xff" * 20,
    ):
        path.write_bytes(data)
        with pytest.raises(CannotRunError, match=r"16 to 4096 ASCII characters .*openssl rand -hex 32"):
            read_secret(path)
    with pytest.raises(CannotRunError, match="is no file"):
        read_secret(tmp_path)
    with pytest.raises(CannotRunError, match=r"cannot be read: No such file"):
        read_secret(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(CannotRunError, match="is no file"):
        read_secret(tmp_path / "pipe")


def test_secret_in_the_repository_or_without_a_remote_is_refused_at_the_start(
    shop: IndexRepository, tmp_path: Path
) -> None:
    inside, outside = shop.path / "hook-secret", tmp_path / "hook-secret"
    for path in (inside, outside):
        path.write_bytes(SECRET)
        path.chmod(0o600)
    with pytest.raises(UsageError, match=r"lies in the repository .*, where secrets never belong"):
        serve(shop.path, None, port=0, cache=tmp_path / "cache", hook_secret_file=inside)
    with pytest.raises(CannotRunError, match="there is no remote origin to pull from"):
        serve(shop.path, None, port=0, cache=tmp_path / "cache", hook_secret_file=outside)


def test_secret_is_told_nowhere(bare: Path, tmp_path: Path) -> None:
    with Served(bare, tmp_path / "cache", hook_secret=SECRET) as served:
        for path in ("/+status", "/+metrics", "/+api", HOOK, "/"):
            for accept in (HTML, JSON):
                assert SECRET not in served.get(path, {"Accept": accept}).body
        assert repr(SECRET) not in repr(served.client.state.options)
