"""The cache of files: what it sends while it fills, what it keeps, and what it does when something goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from gitindex.download import DeadLinkError, Downloader, Patience, Sink, UnreachableError
from gitindex.errors import CannotRunError
from gitindex.server.filecache import (
    HELD_BACK,
    PIECE,
    BrokenFileError,
    BusyError,
    FileCache,
    OpenFile,
    TooLargeError,
    Wanted,
    WrongFileError,
)
from gitindex.server.filecache.ledger import Totals
from gitindex.server.filecache.store import FileStore
from tests.hosts import Host
from tests.server.tap import BOUND, DATA, SHA256, WANTED, Tap, get, no_fetch, read, sending, take

LARGE = 1 << 30
WRONG = DATA[:-1] + bytes([DATA[-1] ^ 1])


@pytest.fixture(autouse=True)
def no_descriptor_stays_open() -> Iterator[None]:
    def opened() -> int:
        gc.collect()  # what earlier tests left for it is none of this one's
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    yield
    ends = time.monotonic() + BOUND
    # A thread that was downloading may still be at its end, with its connection.
    while opened() > before and time.monotonic() < ends:
        time.sleep(0.02)
    assert opened() <= before


def run(
    folder: Path,
    scenario: Callable[[FileCache], Awaitable[None]],
    *,
    limit: int = LARGE,
    largest: int = LARGE,
    **more: int,
) -> None:
    """Run a scenario with a cache in *folder*, and close it; no part file may stay.

    What is in the folder is counted first: a count beside what a scenario does may find the same file twice.
    """

    async def main() -> None:
        cache = FileCache(folder, limit=limit, largest=largest, **more)
        try:
            async with asyncio.timeout(BOUND):
                await until(lambda: cache.statistics().is_counted)
                await scenario(cache)
        finally:
            await cache.close()

    asyncio.run(main())
    assert list((folder / ".parts").iterdir()) == []


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that no event tells."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def named(name: str, data: bytes) -> Wanted:
    return Wanted(("pypi", name), hashlib.sha256(data).hexdigest(), len(data))


# What is sent


def test_a_file_is_sent_while_it_comes_but_its_end_only_once_it_is_proven(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        tap.begin(len(DATA))
        tap.add(DATA[:100_000])
        file = await cache.open(WANTED, tap)
        assert file.size == len(DATA)
        pieces = file.pieces()
        assert await take(pieces, 100_000) == DATA[:100_000]
        tap.add(DATA[100_000:])
        sent = await take(pieces, len(DATA) - HELD_BACK - 100_000)
        assert sent == DATA[100_000:-HELD_BACK]
        last = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0)
        assert not last.done()
        assert cache.find(WANTED.key) is None
        tap.end()
        assert await last == DATA[-HELD_BACK:]
        path = cache.find(WANTED.key)
        assert path is not None
        assert path.read_bytes() == DATA
        assert [piece async for piece in pieces] == []
        file.close()

    run(tmp_path, scenario)


def test_a_file_of_unknown_length_is_sent_while_it_comes_and_its_end_is_held_back(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        tap.begin()
        tap.add(DATA)
        file = await cache.open(WANTED._replace(size=None), tap)
        assert file.size is None
        pieces = file.pieces()
        assert await take(pieces, len(DATA) - HELD_BACK) == DATA[:-HELD_BACK]
        tap.end()
        assert await take(pieces, HELD_BACK) == DATA[-HELD_BACK:]
        assert [piece async for piece in pieces] == []
        file.close()

    run(tmp_path, scenario)


@pytest.mark.parametrize("is_kept", [False, True])
def test_parts_of_a_file_are_sent_in_small_pieces(tmp_path: Path, *, is_kept: bool) -> None:
    async def scenario(cache: FileCache) -> None:
        if is_kept:
            await get(cache, WANTED, sending(DATA))
        for start, stop in ((0, None), (0, 0), (0, 1), (7, 100_000), (len(DATA) - 1, None), (len(DATA), None)):
            file = await cache.open(WANTED, sending(DATA))
            assert await read(file, start, stop) == DATA[start:stop]
        file = await cache.open(WANTED, no_fetch)
        sizes = [len(piece) async for piece in file.pieces(0, len(DATA) + 5)]
        assert (max(sizes), sum(sizes)) == (PIECE, len(DATA))
        file.close()

    run(tmp_path, scenario)


def test_a_kept_file_is_sent_without_asking_upstream_also_after_a_restart(tmp_path: Path) -> None:
    async def first(cache: FileCache) -> None:
        assert await get(cache, WANTED, sending(DATA)) == DATA

    async def second(cache: FileCache) -> None:
        assert await get(cache, WANTED, no_fetch) == DATA
        statistics = cache.statistics()
        assert (statistics.files, statistics.bytes, statistics.hits, statistics.misses) == (1, len(DATA), 1, 0)

    run(tmp_path, first)
    run(tmp_path, second)


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        assert await get(cache, named("empty", b""), sending(b"", 0)) == b""
        assert await get(cache, named("empty", b""), no_fetch) == b""

    run(tmp_path, scenario)


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_without_a_hash_the_length_alone_tells_what_is_kept(tmp_path: Path, size: int | None) -> None:
    async def scenario(cache: FileCache) -> None:
        wanted = WANTED._replace(sha256=None, size=size)
        assert await get(cache, wanted, sending(DATA)) == DATA
        await until(lambda: cache.statistics().downloads == 0)
        assert await get(cache, wanted, no_fetch) == DATA

    run(tmp_path, scenario)


# What is wrong


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_a_wrong_file_is_never_sent_to_its_end_nor_kept(tmp_path: Path, size: int | None) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        tap.begin(size)
        tap.add(WRONG)
        file = await cache.open(WANTED._replace(size=size), tap)
        pieces = file.pieces()
        assert await take(pieces, len(DATA) - HELD_BACK) == WRONG[:-HELD_BACK]
        tap.end()
        with pytest.raises(WrongFileError, match=f"sha256 {hashlib.sha256(WRONG).hexdigest()}"):
            await anext(pieces)
        file.close()
        assert cache.find(WANTED.key) is None
        assert cache.statistics().files == 0
        assert await get(cache, WANTED, sending(DATA)) == DATA

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("data", "stated", "words"),
    [
        (b"short", None, "sends 5 bytes instead of 10"),
        (b"rather long", None, "sends more than the 10 bytes"),
        (b"0123456789", 11, "sends 11 bytes, where its page says 10"),
        (b"9876543210", 10, "sends a file with sha256"),
    ],
    ids=["short", "long", "stated", "hash"],
)
def test_a_small_wrong_file_is_an_error_before_its_first_byte(
    tmp_path: Path, data: bytes, stated: int | None, words: str
) -> None:
    async def scenario(cache: FileCache) -> None:
        for _ in range(2):
            with pytest.raises(WrongFileError, match=words):
                await cache.open(named("a", b"0123456789"), sending(data, stated))
            assert cache.find(("pypi", "a")) is None

    run(tmp_path, scenario)


def test_a_file_that_is_cut_off_is_not_kept_even_where_nothing_is_known_but_what_the_server_states(
    tmp_path: Path,
) -> None:
    async def scenario(cache: FileCache) -> None:
        with pytest.raises(WrongFileError, match="sends 1,000 bytes instead of 2,000"):
            await cache.open(Wanted(("a",), None, None), sending(DATA[:1000], 2000))
        assert cache.find(("a",)) is None

    run(tmp_path, scenario)


def test_a_fetch_that_swallows_what_the_sink_raises_gets_nothing_kept(tmp_path: Path) -> None:
    def fetch(sink: Sink) -> None:
        with contextlib.suppress(WrongFileError):
            sink.begin(5)
        sink.begin(None)
        sink.add(b"0123456789")

    async def scenario(cache: FileCache) -> None:
        with pytest.raises(WrongFileError, match="sends 5 bytes"):
            await cache.open(named("a", b"0123456789"), fetch)

    run(tmp_path, scenario)


@pytest.mark.parametrize("stated", [None, len(DATA)])
def test_a_file_that_is_too_large_is_left_at_once(tmp_path: Path, stated: int | None) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        tap.begin(stated)
        tap.add(DATA)
        tap.end()
        with pytest.raises(TooLargeError, match="a file may have 1,000 bytes"):
            await cache.open(WANTED._replace(size=None), tap)

    run(tmp_path, scenario, largest=1000)


def test_an_error_before_the_first_byte_reaches_all_who_wait_and_the_next_asks_again(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        waiting = [asyncio.ensure_future(cache.open(WANTED, tap)) for _ in range(5)]
        await until(lambda: tap.asked == 1)
        tap.fail(DeadLinkError("answers 404"))
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, DeadLinkError)
        assert tap.asked == 1
        assert await get(cache, WANTED, sending(DATA)) == DATA

    run(tmp_path, scenario)


def test_a_download_that_breaks_breaks_what_is_sent_of_it_and_is_not_kept(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        tap.begin(len(DATA))
        tap.add(DATA[:200_000])
        file = await cache.open(WANTED, tap)
        pieces = file.pieces()
        await anext(pieces)
        tap.fail(UnreachableError("the network is down"))
        with pytest.raises(BrokenFileError, match="the download ended: the network is down"):
            await take(pieces, len(DATA))
        file.close()
        assert cache.find(WANTED.key) is None
        assert await get(cache, WANTED, sending(DATA)) == DATA

    run(tmp_path, scenario)


# A download that starts once more


def test_a_second_attempt_breaks_who_has_bytes_of_the_first_and_goes_on_for_others(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        tap.begin(len(DATA))
        tap.add(DATA[:200_000])
        begun, fresh = await cache.open(WANTED, tap), await cache.open(WANTED, tap)
        pieces = begun.pieces()
        await anext(pieces)
        tap.begin(len(DATA))
        tap.add(DATA)
        tap.end()
        with pytest.raises(BrokenFileError, match="starts anew"):
            await take(pieces, len(DATA))
        begun.close()
        assert await read(fresh) == DATA
        assert tap.asked == 1
        assert await get(cache, WANTED, no_fetch) == DATA

    run(tmp_path, scenario)


def test_a_second_attempt_of_another_length_breaks_who_was_told_the_first(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        tap.begin(len(DATA) + 1)
        tap.add(DATA[:200_000])
        wanted = WANTED._replace(size=None)
        told = await cache.open(wanted, tap)
        assert told.size == len(DATA) + 1
        tap.begin(len(DATA))
        tap.add(DATA)
        tap.end()
        await until(lambda: cache.find(WANTED.key) is not None)
        with pytest.raises(BrokenFileError, match="starts anew"):
            await read(told)
        assert await get(cache, wanted, no_fetch) == DATA

    run(tmp_path, scenario)


# Many clients


def test_200_clients_that_ask_at_once_for_one_cold_file_of_20_mb_cause_one_download(tmp_path: Path) -> None:
    data = os.urandom(20_000_000)
    wanted = named("large.whl", data)
    downloader = Downloader(Patience())

    async def client(cache: FileCache, url: str) -> None:
        file = await cache.open(wanted, lambda sink: downloader.fetch(url, sink, len(data) + 1))
        position = 0
        with contextlib.closing(file):
            async for piece in file.pieces():
                assert data.startswith(piece, position)
                position += len(piece)
        assert position == len(data)

    async def scenario(cache: FileCache, host: Host) -> None:
        url = host.on("/large.whl", data)
        await asyncio.gather(*(client(cache, url) for _ in range(200)))
        assert host.paths == ["/large.whl"]
        found = cache.statistics()
        # Who comes when all of it is here already finds it in the cache.
        assert (found.hits + found.misses, found.files) == (200, 1)
        assert found.misses > 0

    with Host() as host:
        run(tmp_path, partial(scenario, host=host))


def test_a_download_goes_on_without_the_client_that_caused_it(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        tap = Tap()
        first = asyncio.ensure_future(cache.open(WANTED, tap))
        second = asyncio.ensure_future(cache.open(WANTED, tap))
        await until(lambda: tap.asked == 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        tap.begin(len(DATA))
        tap.add(DATA[:200_000])
        file = await second
        reading = asyncio.ensure_future(read(await cache.open(WANTED, tap)))
        await asyncio.sleep(0)
        reading.cancel()
        await anext(file.pieces())
        file.close()
        tap.add(DATA[200_000:])
        tap.end()
        await until(lambda: cache.find(WANTED.key) is not None)
        assert await get(cache, WANTED, no_fetch) == DATA

    run(tmp_path, scenario)


def test_so_many_downloads_go_on_at_once_and_so_many_wait(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        taps = [Tap() for _ in range(4)]
        wanted = [named(f"file-{number}", DATA) for number in range(4)]
        opening = [asyncio.ensure_future(cache.open(*pair)) for pair in zip(wanted[:3], taps, strict=False)]
        await until(lambda: taps[0].asked + taps[1].asked == 2)
        with pytest.raises(BusyError, match="1 downloads wait"):
            await cache.open(wanted[3], taps[3])
        assert cache.statistics().downloads == 3
        assert taps[2].asked == 0
        for tap in taps[:3]:
            tap.begin()
            tap.add(DATA)
            tap.end()
        for opened in opening:
            assert await read(await opened) == DATA
        assert [tap.asked for tap in taps] == [1, 1, 1, 0]

    run(tmp_path, scenario, downloads=2, waiting=1)


def test_a_download_that_waits_for_its_turn_does_not_start_once_nobody_wants_it(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        busy, unwanted = Tap(), Tap()
        opening = asyncio.ensure_future(cache.open(WANTED, busy))
        waiting = asyncio.ensure_future(cache.open(named("other", DATA), unwanted))
        await until(lambda: busy.asked == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert cache.statistics().downloads == 1
        busy.begin()
        busy.add(DATA)
        busy.end()
        assert await read(await opening) == DATA
        await until(lambda: cache.statistics().downloads == 0)
        assert unwanted.asked == 0

    run(tmp_path, scenario, downloads=1)


# Limits


def test_what_was_asked_for_longest_ago_goes_first_and_a_restart_does_not_forget_when(tmp_path: Path) -> None:
    async def first(cache: FileCache) -> None:
        for name in "abc":
            await get(cache, named(name, DATA), sending(DATA))
        await get(cache, named("a", DATA), no_fetch)

    async def second(cache: FileCache) -> None:
        await get(cache, named("d", DATA), sending(DATA))
        await until(lambda: cache.statistics().downloads == 0)
        assert [name for name in "abcd" if cache.find(("pypi", name))] == ["a", "c", "d"]
        statistics = cache.statistics()
        assert (statistics.files, statistics.bytes, statistics.evicted) == (3, 3 * len(DATA), 1)

    limit = 3 * len(DATA) + len(DATA) // 2
    run(tmp_path, first, limit=limit)
    run(tmp_path, second, limit=limit)


def test_a_file_that_was_opened_stays_readable_when_it_is_evicted(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        from_download = await cache.open(named("a", DATA), sending(DATA))
        await until(lambda: cache.statistics().downloads == 0)
        from_disk = await cache.open(named("a", DATA), no_fetch)
        await get(cache, named("b", DATA), sending(DATA))
        await until(lambda: cache.find(("pypi", "a")) is None)
        assert await read(from_download) == await read(from_disk) == DATA
        assert await get(cache, named("b", DATA), no_fetch) == DATA

    run(tmp_path, scenario, limit=len(DATA) + 10)


def test_folders_that_are_empty_go_with_their_files(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        await get(cache, Wanted(("x", "y", "z"), SHA256, None), sending(DATA))
        await get(cache, Wanted(("u",), SHA256, None), sending(DATA))
        await until(lambda: cache.statistics().downloads == 0)
        await until(lambda: not (tmp_path / "x").exists())

    run(tmp_path, scenario, limit=len(DATA) + 10)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["u"]


@pytest.mark.parametrize("ledger", [None, b"", b"torn", b"=" + b"\0" * 41])
def test_files_are_counted_where_no_sound_ledger_says_how_many_there_are(tmp_path: Path, ledger: bytes | None) -> None:
    async def first(cache: FileCache) -> None:
        for name in "abc":
            await get(cache, named(name, DATA), sending(DATA))

    async def second(cache: FileCache) -> None:
        assert (cache.statistics().files, cache.statistics().bytes) == (3, 3 * len(DATA))

    run(tmp_path, first)
    (tmp_path / ".ledger").unlink()
    if ledger is not None:
        (tmp_path / ".ledger").write_bytes(ledger)
    run(tmp_path, second)


def test_making_room_waits_for_the_count_that_a_start_begins_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    store = FileStore(tmp_path, 1 << 30, threading.Event())
    old.write_bytes(bytes(1000))
    recount, is_counting, go = store._recount, threading.Event(), threading.Event()

    def slowly() -> Totals:
        is_counting.set()
        assert go.wait(BOUND)
        return recount()

    monkeypatch.setattr(store, "_recount", slowly)
    counting = threading.Thread(target=store.count)
    trimming = threading.Thread(target=store.trim, args=(500,))
    counting.start()
    assert is_counting.wait(BOUND)
    trimming.start()
    trimming.join(0.1)  # without the wait it would be over by now, and have removed nothing
    go.set()
    for thread in (counting, trimming):
        thread.join(BOUND)
    assert not old.exists()


def test_what_somebody_removed_by_hand_does_not_cost_others_their_place(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        for name in "abc":
            await get(cache, named(name, DATA), sending(DATA))
        await until(lambda: cache.statistics().downloads == 0)
        (tmp_path / "pypi" / "c").unlink()
        await get(cache, named("d", DATA), sending(DATA))
        await until(lambda: cache.statistics().downloads == 0)
        assert [name for name in "abcd" if cache.find(("pypi", name))] == ["a", "b", "d"]
        assert (cache.statistics().files, cache.statistics().evicted) == (3, 0)

    run(tmp_path, scenario, limit=3 * len(DATA))


# What is on the disk


def keep(folder: Path, wanted: Wanted = WANTED) -> Path:
    """Have the file kept; return where."""

    async def scenario(cache: FileCache) -> None:
        await get(cache, wanted, sending(DATA))

    run(folder, scenario)
    path = folder.joinpath(*wanted.key)
    ends = time.monotonic() + BOUND
    # A slow disk may take longer to sync than a closing cache waits for it; the mode says that it is done.
    while path.stat().st_mode & 0o777 != 0o400 and time.monotonic() < ends:
        time.sleep(0.01)
    return path


@pytest.mark.parametrize("size", [None, len(DATA)])
@pytest.mark.parametrize("content", [b"", DATA[:1000], bytes(len(DATA))], ids=["empty", "short", "zeros"])
def test_a_kept_file_that_a_lost_disk_tore_is_downloaded_again(
    tmp_path: Path, size: int | None, content: bytes
) -> None:
    path = keep(tmp_path, WANTED._replace(size=size))
    path.chmod(0o600)  # nobody knows that it reached the disk
    path.write_bytes(content)

    async def scenario(cache: FileCache) -> None:
        assert cache.find(WANTED.key) is None
        assert await get(cache, WANTED._replace(size=size), sending(DATA)) == DATA
        assert (cache.statistics().files, cache.statistics().bytes) == (1, len(DATA) * 2 - len(content))

    run(tmp_path, scenario)


def test_a_kept_file_of_the_wrong_length_is_downloaded_again(tmp_path: Path) -> None:
    path = keep(tmp_path)
    os.truncate(path, 1000)
    path.chmod(0o400)

    async def scenario(cache: FileCache) -> None:
        assert await get(cache, WANTED, sending(DATA)) == DATA

    run(tmp_path, scenario)


def test_a_whole_file_that_may_not_have_reached_the_disk_is_read_and_stays(tmp_path: Path) -> None:
    path = keep(tmp_path)
    path.chmod(0o600)

    async def scenario(cache: FileCache) -> None:
        assert await get(cache, WANTED, no_fetch) == DATA
        assert cache.find(WANTED.key) == path

    run(tmp_path, scenario)
    assert path.stat().st_mode & 0o777 == 0o400


def test_a_link_in_the_place_of_a_kept_file_is_not_followed(tmp_path: Path) -> None:
    path = keep(tmp_path / "cache")
    (tmp_path / "secret").write_bytes(DATA)
    (tmp_path / "secret").chmod(0o400)
    path.unlink()
    path.symlink_to(tmp_path / "secret")

    async def scenario(cache: FileCache) -> None:
        assert cache.find(WANTED.key) is None
        tap = Tap()
        tap.fail(UnreachableError("asked"))
        with pytest.raises(UnreachableError, match="asked"):
            await cache.open(WANTED, tap)

    run(tmp_path / "cache", scenario)


def test_what_a_dead_process_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    keep(tmp_path)
    (tmp_path / ".parts" / "0123").write_bytes(b"torn")

    async def scenario(cache: FileCache) -> None:
        assert list((tmp_path / ".parts").iterdir()) == []
        assert await get(cache, WANTED, no_fetch) == DATA

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    "key",
    [
        (),
        ("",),
        (".",),
        ("..",),
        ("a", "../b"),
        ("a/b",),
        ("a\0",),
        (".parts", "a"),
        ("a", ".hidden"),
        ("a" * 256,),
        ("\ud800",),
    ],
)
def test_a_key_that_is_no_path_of_plain_names_is_refused(tmp_path: Path, key: tuple[str, ...]) -> None:
    async def scenario(cache: FileCache) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            await cache.open(Wanted(key, None, None), no_fetch)
        with pytest.raises(ValueError):  # noqa: PT011
            cache.find(key)

    run(tmp_path, scenario)


def test_a_file_where_another_key_has_a_folder_is_sent_and_not_kept(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        await get(cache, WANTED, sending(DATA))
        assert await get(cache, Wanted(WANTED.key[:-1], SHA256, None), sending(DATA)) == DATA
        assert await get(cache, Wanted((*WANTED.key, "below"), SHA256, None), sending(DATA)) == DATA
        statistics = cache.statistics()
        assert (statistics.files, statistics.bytes) == (1, len(DATA))
        assert statistics.problem is not None

    run(tmp_path, scenario)


def test_a_folder_that_is_missing_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    keep(tmp_path / "a" / "cache")
    assert (tmp_path / "a" / "cache").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_goes_while_the_cache_runs_is_made_anew(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        (tmp_path / "cache").rename(tmp_path / "gone")
        assert await get(cache, WANTED, sending(DATA)) == DATA
        assert await get(cache, WANTED, no_fetch) == DATA

    run(tmp_path / "cache", scenario)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotRunError) as raised:
        FileCache(tmp_path / "file" / "cache", limit=LARGE, largest=LARGE)
    assert str(raised.value) == (
        f"{tmp_path}/file/cache: the file cache cannot be written to: Not a directory; "
        "name a folder that the server may write to"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_one_clear_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CannotRunError, match="cannot be written to: Permission denied"):
        FileCache(tmp_path, limit=LARGE, largest=LARGE)


# Closing


def test_closing_ends_what_is_under_way_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        tap, silent = Tap(), Tap()
        tap.begin(len(DATA))
        tap.add(DATA[:200_000])
        file = await cache.open(WANTED, tap)
        pieces = file.pieces()
        await anext(pieces)
        waiting = asyncio.ensure_future(cache.open(named("silent", DATA), silent))
        queued = asyncio.ensure_future(cache.open(named("queued", DATA), no_fetch))
        await until(lambda: silent.asked == 1)
        closing = asyncio.ensure_future(cache.close())
        for opening in (waiting, queued):
            with pytest.raises(CannotRunError, match="the server stops"):
                await opening
        with pytest.raises(BrokenFileError, match="the server stops"):
            await take(pieces, len(DATA))
        assert list((tmp_path / ".parts").iterdir()) == []  # though both threads still wait
        tap.add(DATA[200_000:])
        tap.end()
        silent.end()
        await closing
        with pytest.raises(CannotRunError, match="the server stops"):
            await cache.open(WANTED, no_fetch)
        file.close()

    run(tmp_path, scenario, downloads=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ledger", ".parts", ".sweeping"]


def test_a_fetch_that_ends_after_closing_keeps_nothing(tmp_path: Path) -> None:
    data, go_on, done = b"small", threading.Event(), threading.Event()

    def fetch(sink: Sink) -> None:
        sink.begin(len(data))
        sink.add(data)
        go_on.wait(BOUND)
        done.set()

    async def scenario(cache: FileCache) -> None:
        opening = asyncio.ensure_future(cache.open(named("a", data), fetch))
        await until(lambda: any((tmp_path / ".parts").iterdir()))
        await cache.close()
        with pytest.raises(CannotRunError, match="the server stops"):
            await opening
        go_on.set()
        await until(done.is_set)
        await until(lambda: all(thread.name != "download" for thread in threading.enumerate()))

    run(tmp_path, scenario)
    assert not (tmp_path / "pypi").exists()


def test_an_open_file_is_readable_after_closing_and_not_once_it_is_closed_itself(tmp_path: Path) -> None:
    async def scenario(cache: FileCache) -> None:
        await get(cache, WANTED, sending(DATA))
        file: OpenFile = await cache.open(WANTED, no_fetch)
        await cache.close()
        pieces = file.pieces()
        assert await take(pieces, len(DATA)) == DATA
        file.close()
        file.close()
        with pytest.raises(BrokenFileError, match="was closed"):
            await anext(file.pieces())

    run(tmp_path, scenario)
