"""A publisher that is killed at any write: no broken link is left, and the next publish makes it whole."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitindex.errors import CannotRunError
from gitindex.objects import Headers, Objects, read_location
from gitindex.publish import Wanted, publish
from gitindex.publish.folder import read_site
from gitindex.publish.log import HEADERS, HeldError, Log
from gitindex.publish.record import Generation, document_bytes, log_path
from tests.publishing.sites import ME, OTHER, Site, changed, content
from tests.publishing.stores import crawl, getter, published, records, site_of
from tests.repositories import Content

PUBLISHER = """
import os, signal, sys
from datetime import timedelta
from itertools import count
from pathlib import Path

from gitindex.objects import Objects, read_location
from gitindex.publish import Wanted, log, publish
from gitindex.publish.folder import read_site

target, folder, revision, holder, jobs, at, when, renewal = sys.argv[1:]
writes, last = count(1), int(at)


def killing(name):
    act = getattr(Objects, name)

    def acted(self, path, *rest):
        is_last = next(writes) == last
        if is_last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if is_last and when == "within" and name == "put" and self.location.folder:
            # What a process leaves that is killed while it writes a file of a folder.
            place = self.location.folder / (path + "#1")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)
        done = act(self, path, *rest)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(Objects, name, acted)


for name in ("put", "create", "delete"):
    killing(name)
log._RENEWAL = timedelta(seconds=int(renewal))
wanted = Wanted(Path(folder), read_site(Path(folder)), revision, ("emilie/prod",), holder)
publish(Objects(read_location(target)), wanted, may_follow=lambda _: None, jobs=int(jobs), max_delete=100)
"""


def killed(site: Site, target: str, at: int, when: str = "after", *, holder: str = ME, says: bool = False) -> bool:
    """Publish in a process that kills itself at its write number *at*; return whether it did.

    With *says*, it says before each write how far it is, and such a saying is a write too.
    """
    words = [target, site.folder, site.commits.last, holder, 3 if says else 1, at, when, -1 if says else 20]
    done = subprocess.run(
        [sys.executable, "-c", PUBLISHER, *map(str, words)], timeout=60, check=False, capture_output=True, text=True
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site, rendered anew with changes of all sorts since `before` was."""
    made = Site(tmp_path)
    made.render(content())
    shutil.copytree(made.folder, tmp_path / "before")
    made.render(changed(content()))
    return made


def put_before(site: Site, target: str) -> None:
    """Publish what the site was before its last rendering."""
    folder = site.folder.parent / "before"
    wanted = Wanted(folder, read_site(folder), "a" * 40, ("emilie/prod",), ME)
    publish(Objects(read_location(target)), wanted, may_follow=lambda _: None)


def check_whole(site: Site, target: str) -> None:
    found = published(target)
    assert found == site.files
    if len(records(target)) > 2:
        site.publish(target, full=True)  # it was killed while it cleaned up: the next one does
    if target.startswith("file:"):
        folder = Path(target.removeprefix("file://"))
        left = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert left == found.keys() | set(records(target))
    assert len(records(target)) == 2


def check_links(site: Site, target: str) -> None:
    """Look at what a publisher left: all that can be reached is there, and is of the old site or of the new one."""
    old, new = site_of(site.folder.parent / "before"), site.files
    get = getter(target)
    if get("index.html") is None:
        return  # the first publish: nothing leads anywhere yet
    seen, wrong = crawl(get)
    assert wrong == []
    assert all(get(path) in {old.get(path), new.get(path)} for path in seen)


def writes_of(site: Site, target: str) -> int:
    """Return how many writes the publish takes: a bound for the kills."""
    return len(site.publish(target, dry_run=True, max_delete=100).written) + 40


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_killed_at_every_write_to_a_folder(site: Site, tmp_path: Path, when: str) -> None:
    start = tmp_path / "start"
    put_before(site, f"file://{start}")
    step = {"before": 3, "within": 3, "after": 1}[when]
    at = 1
    while True:
        place = tmp_path / "target"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(start, place)
        target = f"file://{place}"
        if not killed(site, target, at, when):
            break
        check_links(site, target)
        site.publish(target, ME, max_delete=100)
        check_whole(site, target)
        at += step
    assert at > len(site.publish(f"file://{start}", dry_run=True, max_delete=100).written) > 20
    check_whole(site, target)


@pytest.mark.slow
def test_first_publish_killed_again_and_again(site: Site, tmp_path: Path) -> None:
    target = f"file://{tmp_path}/target"
    kills = 0
    while killed(site, target, 22, says=True):
        kills += 1
        check_links(site, target)
    assert kills > 3
    check_whole(site, target)


@pytest.mark.slow
def test_killed_at_many_writes_to_s3(site: Site, bucket: str) -> None:
    killings = 0
    for at in range(1, writes_of(site, bucket), 8):
        target = f"{bucket}/{at}"
        put_before(site, target)
        killings += killed(site, target, at)
        check_links(site, target)
        site.publish(target, ME, max_delete=100)
        check_whole(site, target)
    assert killings > 4


def test_another_one_goes_on_where_the_first_was_killed(site: Site, target: str) -> None:
    put_before(site, target)
    assert killed(site, target, 25, holder=OTHER)
    with pytest.raises(HeldError, match="is under way"):
        site.publish(target, ME, max_delete=100)
    report = site.publish(target, ME, max_delete=100, force=True)
    assert report.resumed
    check_whole(site, target)


def test_what_was_done_for_certain_is_not_done_again(site: Site, target: str) -> None:
    put_before(site, target)
    planned = site.publish(target, dry_run=True, max_delete=100).written
    assert killed(site, target, 40, says=True)
    rest = site.publish(target, ME, max_delete=100).written
    assert 0 < len(rest) < len(planned)
    assert set(rest) <= set(planned)


def test_killed_publish_holds_the_target_until_it_expires(site: Site, target: str) -> None:
    objects = Objects(read_location(target))
    put_before(site, target)
    last, _ = Log(objects).newest()
    assert last is not None
    gone = Generation(last.number + 1, "begun", OTHER, datetime.now(UTC) + timedelta(seconds=60), "b" * 40)
    objects.create(log_path(gone.number), document_bytes(gone), HEADERS)
    with pytest.raises(HeldError):
        site.publish(target, max_delete=100)
    over = gone._replace(expires=datetime.now(UTC) - timedelta(seconds=1))
    objects.put(log_path(gone.number), document_bytes(over), HEADERS)
    site.publish(target, max_delete=100)
    check_whole(site, target)


def test_another_revision_may_follow_a_publish_that_was_killed(site: Site, target: str) -> None:
    put_before(site, target)
    for at in (20, 40, 55):
        killed(site, target, at)
        site.render(Content(changed(content())).stage(f"bob/lab{at}"))
        check_links_of_any(target)
    site.render(content())  # back to what was, and so all that came in between has to go
    site.publish(target, max_delete=1000)
    check_whole(site, target)


def check_links_of_any(target: str) -> None:
    assert crawl(getter(target))[1] == []


def test_publish_that_fails_lets_go_of_the_target(site: Site, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Objects.put
    calls: Counter[str] = Counter()

    def failing(self: Objects, path: str, source: bytes | Path, headers: Headers) -> None:
        calls["puts"] += 1
        if path.startswith("emilie/") and calls["puts"] > 10:
            raise CannotRunError("the network is gone")
        put(self, path, source, headers)

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "put", failing)
        with pytest.raises(CannotRunError, match="network is gone"):
            site.publish(target, OTHER)
    last, _ = Log(Objects(read_location(target))).newest()
    assert last is not None
    assert last.expires < datetime.now(UTC) + timedelta(seconds=20)


def test_site_that_changes_while_it_is_published_is_noticed(site: Site, target: str) -> None:
    wanted = site.wanted()
    (site.folder / "emilie" / "prod" / "index.html").write_text("another")
    with pytest.raises(CannotRunError, match="was changed while it was published"):
        publish(Objects(read_location(target)), wanted, may_follow=lambda _: None)
    site.publish(target)
    assert published(target) == site.files
