"""A cache of files that several processes share, one of which may be killed; and a disk that takes no more."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Timer
from typing import Self

import pytest

from gitindex.server.filecache import HELD_BACK, BrokenFileError, FileCache, Wanted
from tests.server.tap import BOUND, DATA, SHA256, WANTED, Tap, get, no_fetch, read, sending, take

LARGE = 1 << 30
ROOT = Path(__file__).parents[2]


class Other:
    """Another process that opens the file, and takes the steps of its fetch from here."""

    def __init__(self, folder: Path, *, spare: int = 0, largest_write: int | None = None, reads: str = "") -> None:
        command = [sys.executable, "-m", "tests.server.tap", str(folder), str(spare)]
        if largest_write is not None:
            command += [str(largest_write), reads]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._timer = Timer(BOUND, self.process.kill)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self._timer.cancel()

    def tell(self, *steps: str) -> None:
        assert self.process.stdin is not None
        for step in steps:
            self.process.stdin.write(step + "\n")
        self.process.stdin.flush()

    def await_line(self, start: str) -> str:
        """Return the next line that starts so."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith(start):
                return line.rstrip()
        raise AssertionError(f"{start!r} never came: {lines}")

    def await_received(self, size: int) -> None:
        """Wait until it has received as many bytes, or more."""
        while size > 0:
            size -= int(self.await_line("received").split()[1])


def run(folder: Path, scenario: Callable[[FileCache], Awaitable[None]], *, limit: int = LARGE) -> None:
    async def main() -> None:
        cache = FileCache(folder, limit=limit, largest=LARGE)
        try:
            async with asyncio.timeout(BOUND):
                while not cache.statistics().is_counted:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                await scenario(cache)
        finally:
            await cache.close()

    asyncio.run(main())


def parts(folder: Path) -> list[Path]:
    return list((folder / ".parts").iterdir())


def test_a_process_sends_what_another_downloads_while_it_comes(tmp_path: Path) -> None:
    with Other(tmp_path) as other:
        other.await_line("asked")
        other.tell("begin", "add 0 200000")
        other.await_line("opened")

        async def scenario(cache: FileCache) -> None:
            file = await cache.open(WANTED, no_fetch)
            assert file.size == len(DATA)
            pieces = file.pieces()
            assert await take(pieces, 200_000) == DATA[:200_000]
            other.tell("add 200000 500000")
            assert await take(pieces, 300_000 - HELD_BACK) == DATA[200_000:-HELD_BACK]
            assert cache.find(WANTED.key) is None
            other.tell("end")
            assert await take(pieces, HELD_BACK) == DATA[-HELD_BACK:]
            file.close()
            assert await get(cache, WANTED, no_fetch) == DATA
            assert cache.statistics()[:2] == (1, len(DATA))

        run(tmp_path, scenario)
        assert other.await_line("whole") == "whole True"
    assert parts(tmp_path) == []


def test_a_process_downloads_itself_what_another_could_not(tmp_path: Path) -> None:
    with Other(tmp_path) as other:
        other.await_line("asked")

        async def scenario(cache: FileCache) -> None:
            opening = asyncio.ensure_future(get(cache, WANTED, sending(DATA)))
            await asyncio.sleep(0)
            other.tell("fail")
            assert await opening == DATA

        run(tmp_path, scenario)
        assert other.await_line("failed") == "failed UnreachableError the network is down"
    assert parts(tmp_path) == []


def test_after_another_process_starts_anew_only_who_has_its_bytes_is_broken(tmp_path: Path) -> None:
    with Other(tmp_path) as other:
        other.await_line("asked")
        other.tell("begin", "add 0 200000")

        async def scenario(cache: FileCache) -> None:
            begun, fresh = await cache.open(WANTED, no_fetch), await cache.open(WANTED, no_fetch)
            pieces = begun.pieces()
            await anext(pieces)
            other.tell("begin", "add 0 500000", "end")
            with pytest.raises(BrokenFileError, match="starts anew"):
                await take(pieces, len(DATA))
            begun.close()
            assert await read(fresh) == DATA

        run(tmp_path, scenario)
    assert parts(tmp_path) == []


def test_after_a_process_is_killed_in_mid_download_others_go_on_and_nothing_torn_stays(tmp_path: Path) -> None:
    with Other(tmp_path) as other:
        other.await_line("asked")
        other.tell("begin", "add 0 200000")
        other.await_received(200_000)

        async def scenario(cache: FileCache) -> None:
            tap = Tap()
            begun, fresh = await cache.open(WANTED, tap), await cache.open(WANTED, tap)
            pieces = begun.pieces()
            await anext(pieces)
            assert tap.asked == 0
            other.process.kill()
            tap.begin()
            tap.add(DATA)
            tap.end()
            with pytest.raises(BrokenFileError, match="starts anew"):
                await take(pieces, len(DATA))
            begun.close()
            assert await read(fresh) == DATA
            assert tap.asked == 1

        run(tmp_path, scenario)
    assert parts(tmp_path) == []


def test_a_start_after_a_kill_removes_what_is_torn_and_keeps_what_is_whole(tmp_path: Path) -> None:
    whole = Wanted(("whole",), SHA256, len(DATA))

    async def before(cache: FileCache) -> None:
        await get(cache, whole, sending(DATA))

    async def after(cache: FileCache) -> None:
        assert parts(tmp_path) == []
        assert await get(cache, whole, no_fetch) == DATA
        assert cache.find(WANTED.key) is None
        assert await get(cache, WANTED, sending(DATA)) == DATA

    run(tmp_path, before)
    with Other(tmp_path) as other:
        other.await_line("asked")
        other.tell("begin", "add 0 200000")
        other.await_received(200_000)
        other.process.kill()
        other.process.wait()
    assert [part.stat().st_size for part in parts(tmp_path)] == [200_000]
    run(tmp_path, after)


def test_a_start_leaves_alone_what_a_living_process_downloads(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        assert cache.statistics().files == 0

    with Other(tmp_path) as other:
        other.await_line("asked")
        other.tell("begin", "add 0 200000")
        other.await_line("did add")
        run(tmp_path, scenario)
        other.tell("add 200000 500000", "end")
        assert other.await_line("whole") == "whole True"
    assert parts(tmp_path) == []


def test_a_file_that_the_disk_does_not_take_is_sent_and_not_kept(tmp_path: Path) -> None:
    with Other(tmp_path, spare=LARGE, largest_write=100_000) as other:
        other.await_line("asked")
        other.tell("begin", "add 0 200000")
        other.await_received(200_000)
        assert parts(tmp_path) == []  # no other process waits for what will not be written
        other.tell("add 200000 500000", "end")
        assert other.await_line("whole") == "whole False"
        assert other.await_line("problem") == "problem the disk of the file cache refuses: File too large"
    assert not tmp_path.joinpath(*WANTED.key).exists()


def test_a_second_attempt_is_sent_too_where_the_disk_takes_none(tmp_path: Path) -> None:
    with Other(tmp_path, spare=1_000_000, largest_write=1000, reads="late") as other:
        other.await_line("asked")
        other.tell("begin", "add 0 60000", "begin", "add 0 440000", "add 440000 500000", "end")
        assert other.await_line("whole") == "whole False"


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [(["begin", "add 0 500000"], "failed CannotRunError"), (["begin", "add 0 200000", "add 200000 500000"], "broken")],
    ids=["before the first byte", "after it"],
)
def test_where_disk_and_memory_are_used_up_the_answer_fails_cleanly(
    tmp_path: Path, steps: list[str], outcome: str
) -> None:
    with Other(tmp_path, spare=0, largest_write=250_000) as other:
        other.await_line("asked")
        other.tell(*steps[:2])
        if outcome == "broken":
            other.await_received(200_000)
        other.tell(*steps[2:], "end")
        assert "make room on that disk" in other.await_line(outcome)
        assert other.await_line("problem") == "problem the disk of the file cache refuses: File too large"
    assert parts(tmp_path) == []


ON_A_SMALL_DISK = """
set -eu
disk=$1 python=$2
download() { printf 'begin\\nadd 0 300000\\nadd 300000 500000\\nend\\n' | "$python" -m tests.server.tap "$1" 1000000; }
mount -t tmpfs -o size=1m tmpfs "$disk"
mkdir -p "$disk/cache/pypi"
head -c 400000 /dev/zero > "$disk/cache/pypi/old"
head -c 300000 /dev/zero > "$disk/others"
download "$disk/cache"
ls "$disk/cache/pypi" || true
download "$disk/cache"
ls "$disk/cache/pypi/a"
head -c 2000000 /dev/zero >> "$disk/others" 2> /dev/null || true
download "$disk/new"
"""


def _can_mount() -> bool:
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and not subprocess.run(
            [unshare, "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"], check=False, capture_output=True, timeout=BOUND
        ).returncode
    )


@pytest.mark.skipif(not _can_mount(), reason="no small disk can be mounted here")
def test_on_a_full_disk_old_files_make_room_for_the_next_and_clients_get_theirs(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", tmp_path, sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    lines = [line for line in done.stdout.splitlines() if line.split()[0] not in {"asked", "did", "opened", "received"}]
    full = "problem the disk of the file cache refuses: No space left on device"
    assert lines == ["whole False", full, "whole True", "problem None", "a-1.whl", "whole False", full]
