"""The folder that pages are kept in: bounded, shared by processes, and of no account when it is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitindex import atomic
from gitindex.names import ProjectName
from gitindex.upstream.cache import FolderStore, MemoryStore, Store
from tests import hosts
from tests.hosts import Host
from tests.upstream.conftest import Open
from tests.upstream.pages import DEMO, Clock, mirror_of, page, sent, wheel

KEYS = [f"{number:064x}"[::-1] for number in range(40)]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_least_recently_used_pages_go_when_there_is_no_room(tmp_path: Path, clock: Clock) -> None:
    limit = 20 * 4096
    store = FolderStore(tmp_path, clock, limit)
    for age, key in enumerate(KEYS[:10]):
        store.write(key, b"x" * 4096)
        os.utime(store._path(key), (1000 + age, 1000 + age))
    assert store.read(KEYS[0]) is not None
    for key in KEYS[10:22]:
        store.write(key, b"x" * 4000)
        assert store.usage().bytes <= limit * 15 // 16
    kept = set(store)
    assert {KEYS[0], *KEYS[10:22]} <= kept, "used last"
    assert not kept & {KEYS[1], KEYS[2], KEYS[3]}
    assert len(store) == store.usage().pages == len(kept)


def test_a_page_that_is_half_of_all_there_is_room_for_is_not_kept(tmp_path: Path, clock: Clock) -> None:
    store = FolderStore(tmp_path, clock, 1 << 20)
    store.write(KEYS[0], bytes(600_000))
    assert store.read(KEYS[0]) is None
    assert files_in(tmp_path) == []


def test_what_a_killed_run_left_behind_is_removed(tmp_path: Path, clock: Clock) -> None:
    store = FolderStore(tmp_path, clock, 1 << 20)
    store.write(KEYS[0], b"one")
    folder = Path(store._path(KEYS[0])).parent
    torn, new = folder / f"{atomic.TEMPORARY_PREFIX}dead-1", folder / f"{atomic.TEMPORARY_PREFIX}live-1"
    for path in (torn, new):
        path.write_bytes(b"half a pa")
    os.utime(torn, (1000, 1000))
    FolderStore(tmp_path, clock, 1 << 20).write(KEYS[1], b"two")
    assert not torn.exists()
    assert new.exists()
    assert len(store) == 2


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_not_there_is_a_key_error(tmp_path: Path, clock: Clock, is_folder: bool) -> None:  # noqa: FBT001
    store: Store = FolderStore(tmp_path, clock, 100) if is_folder else MemoryStore(clock, 100)
    assert store.get(KEYS[0]) is None
    store.write(KEYS[0], b"garbage")
    with pytest.raises(KeyError):
        store[KEYS[0]]
    assert list(store) == ([KEYS[0]] if not is_folder or len(store) else [])


def test_memory_keeps_so_many_bytes_and_the_last_used(clock: Clock) -> None:
    store = MemoryStore(clock, 10)
    for key, data in zip(KEYS, (b"aaaa", b"bbbb", b"cc"), strict=False):
        store.write(key, data)
    assert store.read(KEYS[0]) == b"aaaa"
    store.write(KEYS[3], b"dddd")
    assert list(store) == [KEYS[2], KEYS[0], KEYS[3]]
    assert store.usage() == (3, 10)
    del store[KEYS[0]]
    store.write(KEYS[2], b"c")
    assert store.usage() == (2, 5)


def test_pages_read_in_memory_are_bounded_by_their_files(host: Host, open_upstreams: Open) -> None:
    upstreams = open_upstreams(files_in_memory=10)
    mirror = mirror_of(f"{host.url}/simple/")
    for number in range(20):
        host.on(f"/simple/p{number}/", sent(page(wheel("1.0"), wheel("2.0"), name=f"p{number}")))
        upstreams.page(mirror, ProjectName(f"p{number}"))
    assert len(upstreams._memory._held) == 3
    host.on("/simple/demo/", sent(page(*(wheel(f"1.{number}") for number in range(50)))))
    made = upstreams.page(mirror, DEMO)
    assert made is not None
    assert len(made.files) == 50
    assert len(upstreams._memory._held) == 0
    assert upstreams.page(mirror, DEMO) == made
    assert host.paths.count("/simple/demo/") == 1, "it is on the disk"


ASK = """
import resource, signal, sys
from pathlib import Path
from gitindex.upstream.client import Upstreams
from tests.upstream.pages import DEMO, mirror_of
limit = int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
upstreams = Upstreams(Path(sys.argv[1]))
for _ in range(2):
    page = upstreams.page(mirror_of(sys.argv[2]), DEMO)
    print(len(page.files), page.is_stale, upstreams.usage().pages)
"""


def ask_elsewhere(folder: Path, host: Host, limit: int) -> list[str]:
    """Ask in another process, whose files cannot have more than so many bytes."""
    words = [sys.executable, "-c", ASK, str(folder), f"{host.url}/simple/", str(limit)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2])
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


def test_a_full_disk_stops_no_answer_and_leaves_nothing_behind(host: Host, tmp_path: Path) -> None:
    host.on("/simple/demo/", sent(page(wheel("1.0"))))
    assert ask_elsewhere(tmp_path / "pages", host, 100) == ["1 False 0"] * 2
    assert files_in(tmp_path / "pages") == []
    assert len(host.paths) == 1


def test_processes_share_what_is_kept(host: Host, tmp_path: Path) -> None:
    host.on("/simple/demo/", hosts.content(page(wheel("1.0")), Content_Type="application/json"), hosts.status(500))
    for _ in range(2):
        assert ask_elsewhere(tmp_path / "pages", host, 1 << 20) == ["1 False 1"] * 2
    assert len(host.paths) == 1
