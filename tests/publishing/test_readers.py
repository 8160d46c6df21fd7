"""Readers that never rest, while sites are published and rendered: nothing is missing, empty, or named too early."""

from __future__ import annotations

import multiprocessing
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from gitindex.objects import Objects
from gitindex.output import OutputFolder
from tests.publishing.sites import Site, content
from tests.publishing.stores import crawl, getter, published, site_of
from tests.repositories import Content

TIMES = 100
INDEXES = ("emilie/prod", "emilie/dev", "bob/lab")


def read_on(target: str, ended: Event, answers: Any) -> None:
    """Read all of the site again and again; say how often, and what was wrong."""
    get = getter(target)
    rounds, wrong = 0, []
    while not ended.is_set():
        wrong += crawl(get)[1]
        rounds += 1
    answers.put((rounds, wrong))


def revisions(times: int) -> Iterator[Content]:
    """Yield so many revisions, each another step from what was: releases, new and lost projects, and indexes."""
    chance = random.Random(20261122)  # noqa: S311 - no secret
    now = content()
    number = 0
    for number in range(times):
        now = Content(now)
        index = chance.choice(INDEXES)
        if f"indexes/{index}/index.toml" not in now:
            now.user("bob").stage(index, bases=["emilie/dev"])
        match chance.randrange(5):
            case 0 | 1 | 2:
                now.release(index, f"project-{number % 9}", f"1.{number}")
            case 3:
                now.release(index, f"new-{number}", "1.0", kind="sdist")
            case _:
                lost = sorted(
                    {path.split("/")[3] for path in now if path.startswith(f"indexes/{index}/")} - {"index.toml"}
                )
                for path in [p for p in now if lost and p.startswith(f"indexes/{index}/{lost[0]}/")]:
                    del now[path]
        if number % 20 == 19:
            for path in [path for path in now if path.startswith("indexes/bob/lab/")]:
                del now[path]
        yield now


def slowly(put: Callable[..., None]) -> Callable[..., None]:
    """Return a write that takes as long as one over a network, so that readers come between any two."""

    def put_slowly(*arguments: Any) -> None:
        time.sleep(0.004)
        put(*arguments)

    return put_slowly


def check_readers(places: Sequence[str], work: Callable[[], None]) -> None:
    """Read each place on and on, in a process of its own, while *work* is done, and see that nothing was wrong."""
    spawning = multiprocessing.get_context("spawn")
    ended, answers = spawning.Event(), spawning.Queue()
    readers = [spawning.Process(target=read_on, args=(place, ended, answers), daemon=True) for place in places]
    for reader in readers:
        reader.start()
    try:
        work()
        ended.set()
        told = [answers.get(timeout=60) for _ in readers]
    finally:
        ended.set()
        for reader in readers:
            reader.join(30)
            reader.kill()
    assert [wrong for _, wrong in told] == [[]] * len(readers)
    assert all(rounds > 5 for rounds, _ in told), told


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "s3"])
def test_reader_never_sees_a_broken_link(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    target = f"file://{tmp_path}/published" if kind == "file" else request.getfixturevalue("bucket")
    site = Site(tmp_path)
    site.render(content())
    site.publish(target)
    if kind == "file":
        monkeypatch.setattr(Objects, "put", slowly(Objects.put))

    def publish_on() -> None:
        for now in revisions(TIMES):
            site.render(now)
            site.publish(target, max_delete=1000)

    check_readers([target, target], publish_on)
    assert published(target) == site.files


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Run Python's own web server on a folder."""
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            port = re.search(r" port (\d+) ", line)
            assert port, line
            yield f"http://127.0.0.1:{port[1]}/"
        finally:
            server.kill()


@pytest.mark.slow
def test_reader_never_sees_a_broken_link_of_a_folder_that_is_rendered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the disk, and through a web server; the folder is updated a hundred times."""
    site = Site(tmp_path)
    site.render(content())
    monkeypatch.setattr(OutputFolder, "write", slowly(OutputFolder.write))

    def render_on() -> None:
        for now in revisions(TIMES):
            site.render(now)

    with web_server(site.folder) as url:
        check_readers([f"file://{site.folder}", url], render_on)
    whole = tmp_path / "whole"
    site.commits.render(whole)
    assert site_of(whole) == site.files


def test_crawler_sees_what_is_missing_empty_or_broken_off(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.render(content())
    get = getter(f"file://{site.folder}")
    seen, wrong = crawl(get)
    assert wrong == []
    assert set(site.files) - seen == {"404.html"}
    (site.folder / "emilie/prod/simple/alpha/index.json").unlink()
    (site.folder / "emilie/dev/index.html").write_bytes(b"")
    assert {problem.split()[0] for problem in crawl(get)[1]} == {
        "emilie/prod/simple/alpha/index.json,",
        "emilie/dev/index.html",
    }


PUBLISHER = """
import sys
from pathlib import Path

from gitindex.errors import GitindexError
from gitindex.objects import Objects, read_location
from gitindex.publish import Wanted, publish
from gitindex.publish.folder import read_site

target, folder, revision, holder, times = sys.argv[1:]
wanted = Wanted(Path(folder), read_site(Path(folder)), revision, (), holder)
done = 0
for _ in range(int(times)):
    try:
        publish(Objects(read_location(target)), wanted, may_follow=lambda _: None, full=True, max_delete=1000)
        done += 1
    except GitindexError as error:
        assert "another publish" in str(error), error
print(done)
"""


@pytest.mark.slow
def test_two_who_publish_at_once_do_not_mix(tmp_path: Path, target: str) -> None:
    """Two that publish other sites again and again: what is there in the end is the site of one of them, whole."""
    sites = [Site(tmp_path / name) for name in ("one", "two")]
    sites[0].render(content())
    other = content()
    other.release("emilie/dev", "delta", "3.0")
    sites[1].render(other)
    words = [[target, site.folder, site.commits.last, str(n) * 32, "15"] for n, site in enumerate(sites)]
    both = [
        subprocess.Popen([sys.executable, "-c", PUBLISHER, *map(str, said)], stdout=subprocess.PIPE, text=True)
        for said in words
    ]
    get = getter(target)
    wrong: list[str] = []
    while any(one.poll() is None for one in both):
        if get("index.html") is not None:
            wrong += crawl(get)[1]
        time.sleep(0.05)
    done = [int(one.communicate(timeout=60)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sum(done) > 0
    assert wrong == []
    assert published(target) in [dict(site.files) for site in sites]
