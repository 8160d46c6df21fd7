"""What is sent slowly, by many, or by who is no longer known; and reading goes on beside all of it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitindex import tokens
from gitindex.server.connection import Patience
from gitindex.server.state import State
from tests.builders import make_wheel
from tests.peers.serving import WAIT
from tests.repositories import IndexRepository
from tests.server.client import JSON, basic, serving
from tests.server.sockets import Line, Running, run
from tests.server.writing.form import BOUNDARY, Uploads, log, taking, told, unchanged, upload_form

WHEEL = make_wheel("demo", "1.0")
PATIENT = Patience()


@pytest.fixture
def head(store: Path) -> bytes:
    """Return the head of an upload, but for its length and what else it may say."""
    now = datetime.now(UTC)
    expires = now + timedelta(days=1)
    token = tokens.create(store, "e", ["upload:*", "define:*"], expires=expires, now=now, user="emilie").text
    fields = {"Host": "x", **basic(token), "Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    return b"POST /emilie/dev/ HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()).encode()


async def begun(state: State) -> None:
    """Wait until something that is sent is on the disk."""
    async with asyncio.timeout(WAIT):
        while not any(state.uploads.iterdir()):  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_token_has_to_be_good_when_all_is_there(team: IndexRepository, store: Path, head: bytes, how: str) -> None:
    body = upload_form(*make_wheel("demo", "1.0", files={"demo/data.bin": os.urandom(600_000)}))

    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        await line.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-50])
        await begun(at.state)
        if how == "revoked":
            tokens.revoke(store, "e")
            at.state.access._looked = 0.0
        else:
            at.state.access._clock = (datetime.now(UTC) + timedelta(days=2)).timestamp
        await line.send(body[-50:])
        answer = await line.answer()
        assert (answer.status, b"revoked or has expired" in answer.body) == (403, True)

    unchanged(team, lambda: run(team.path, store.parent / "cache", PATIENT, check, is_writable=True, tokens=store))


def test_the_reason_is_told_behind_a_go_on_too(team: IndexRepository, store: Path, head: bytes) -> None:
    body = upload_form("readme.txt", b"hello")

    async def check(at: Running) -> None:
        line = await Line.open(at.port)
        await line.send(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert await line.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await line.send(body)
        assert (await line.answer()).head.startswith(b"HTTP/1.1 400 readme.txt: is not the name of a wheel")

    run(team.path, store.parent / "cache", PATIENT, check, is_writable=True, tokens=store)


def test_half_bodies_of_many_keep_nobody_else_waiting_and_leave_nothing(
    team: IndexRepository, store: Path, head: bytes
) -> None:
    body = upload_form(*make_wheel("half", "1.0", files={"half/data.bin": os.urandom(600_000)}))

    async def check(at: Running) -> None:
        lines = [await Line.open(at.port) for _ in range(100)]
        for line in lines:
            await line.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:500_000])
        for _ in range(500):
            if len([*at.state.uploads.iterdir()]) == len(lines):
                break
            await asyncio.sleep(0.02)
        line = await Line.open(at.port)
        whole = upload_form(*WHEEL)
        await line.send(head + b"Content-Length: %d\r\n\r\n" % len(whole) + whole)
        assert (await line.answer()).status == 200
        for line in lines:
            await line.close()
        for _ in range(500):
            if not [*at.state.uploads.iterdir()]:
                return
            await asyncio.sleep(0.02)
        raise AssertionError([*at.state.uploads.iterdir()])

    run(team.path, store.parent / "cache", PATIENT, check, is_writable=True, tokens=store, public=("*",))
    assert len(log(team)) == 2


def test_files_are_given_while_all_who_write_wait(team: IndexRepository) -> None:
    large = make_wheel("large", "1.0", files={"large/data.bin": os.urandom(3 << 20)})
    released = threading.Event()

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*large)).status == 200
        state = uploads.client.state
        busy = [*(state.uploading, state.elsewhere, state.writer._keeping)]
        waiting = [threads.submit(released.wait, 60) for threads in busy for _ in range(50)]
        sha256 = hashlib.sha256(large[1]).hexdigest()
        try:
            async with asyncio.timeout(20):
                got = await uploads.client.get(f"/files/{sha256[:2]}/{sha256[2:]}/{large[0]}")
        finally:
            released.set()
        assert got.body == large[1]
        assert all(done.result() for done in waiting)

    told(team, story)


def test_the_loop_goes_on_while_a_large_file_is_committed(team: IndexRepository) -> None:
    large = make_wheel("large", "1.0", files={"large/data.bin": os.urandom(24 << 20)})
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - begun)

    async def story(uploads: Uploads) -> None:
        target = uploads.client.state.uploads / "given"
        target.write_bytes(large[1])
        commits = uploads.client.state.options.source.open().commits
        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.05)
        loop, base = asyncio.get_running_loop(), uploads.client.state.live.commit
        started = time.monotonic()
        await loop.run_in_executor(None, commits.keep, "files/x", target, base)
        took = time.monotonic() - started
        await asyncio.sleep(0.05)
        watching.cancel()
        target.unlink()
        # pygit2 would hold it for seconds: that long does it compress.
        assert longest < took / 2

    told(team, story)


def test_what_another_process_made_is_served_before_it_is_told_of(team: IndexRepository, tmp_path: Path) -> None:
    other_folder = tmp_path / "other"
    other_folder.mkdir()

    async def story(uploads: Uploads) -> None:
        async with taking(team, other_folder) as other:
            for version in range(5):
                wheel = make_wheel("demo", f"{version}.0")
                assert (await uploads.upload(*wheel)).status == 200
                assert (await other.upload(*wheel)).body.startswith(b"Unchanged")
                page = await other.client.get("/emilie/dev/simple/demo/", {"Accept": JSON})
                assert wheel[0] in [file["filename"] for file in page.json["files"]]

    told(team, story)


def test_who_went_back_to_an_older_commit_looks_at_the_branch_again(team: IndexRepository, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(team, tmp_path / "cache") as client:
            state, old = client.state, client.state.live.commit
            team.write("notes.txt", "mine")
            newest = team.commit("By hand")
            for _ in range(1000):
                if state.live.commit == newest:
                    break
                await asyncio.sleep(0.02)
            assert state.live.commit == newest
            # As when it was pushed between the moment an upload was committed, and the one it was served.
            await state._advance(old)
            state.live.written(old)
            for _ in range(1000):
                if state.live.commit == newest:
                    return
                await asyncio.sleep(0.02)
            raise AssertionError(state.live.commit)

    asyncio.run(story())


def test_what_a_killed_server_left_is_removed_after_a_day(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        state = uploads.client.state
        file, folder, new = state.uploads / "file", state.uploads / "folder", state.uploads / "new"
        file.touch()
        (folder / "in").mkdir(parents=True)
        new.touch()
        for path in (file, folder):
            os.utime(path, (0, 0))
        assert state._tidying is not None
        state._tidying.cancel()
        state._removed -= 7200
        state._go_on_tallying()
        assert [*state.uploads.iterdir()] == [new]
        new.unlink()

    told(team, story)


def test_a_broken_form_fills_no_log(team: IndexRepository, caplog: pytest.LogCaptureFixture) -> None:
    async def story(uploads: Uploads) -> None:
        assert (await uploads.send(b"--" + BOUNDARY + b"\r\n@: x\r\n\r\n")).status == 400

    with caplog.at_level(logging.WARNING):
        told(team, story)
    assert not caplog.records
