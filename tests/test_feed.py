"""The feed of an index over real histories: updated, rendered whole and served, it is the same."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from gitindex.git import Past
from gitindex.names import IndexName, UserName
from gitindex.site import render
from gitindex.views import FEED_LENGTH
from tests.repositories import IndexRepository, make_repository, small_content
from tests.server.client import Served
from tests.server.watching import PATIENCE

ATOM = "{http://www.w3.org/2005/Atom}"
FEED = "emilie/prod/feed.xml"


class Followed:
    """A repository whose site is updated with each commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = small_content()
        self.repository: IndexRepository = make_repository(path / "index", self.content)
        self.minutes = 0
        self.render("site")

    def render(self, name: str) -> bytes:
        """Render the last commit into a folder, and return the feed."""
        opened = self.repository.open()
        head = opened.head()
        assert head is not None
        render(opened.at(head), self.path / name, past=Past(opened, head))
        return (self.path / name / FEED).read_bytes()

    def commit(self, subject: str = "Change") -> str:
        """Commit what *content* has, a minute after the last commit and after all uploads, and update the site."""
        folder = self.repository.path / "indexes"
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            path.unlink()
        self.repository.put(self.content)
        self.repository.git("add", "--all", "--force")
        self.minutes += 1
        when = f"2026-11-23T10:{self.minutes // 60:02}:{self.minutes % 60:02}Z"
        self.repository.git("commit", "-qm", subject, "--allow-empty", env={"GIT_COMMITTER_DATE": when})
        self.render("site")
        return self.repository.git("rev-parse", "HEAD")

    def titles(self) -> list[str]:
        """Return the titles of the feed, which is the same however it is made."""
        updated, whole = self.render("site"), self.render(f"whole-{self.minutes}")
        assert updated == whole
        root = ET.fromstring(updated)  # noqa: S314 - we made it
        ids = [element.text for element in root.iter(f"{ATOM}id")]
        assert len({*ids}) == len(ids)
        return [str(entry.findtext(f"{ATOM}title")) for entry in root.iter(f"{ATOM}entry")]


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


def push(followed: Followed, version: str) -> None:
    path = f"indexes/emilie/{{}}/table-print/{version}.json"
    followed.content[path.format("prod")] = followed.content[path.format("dev")]


def test_releases_pushes_and_yanks_are_told_the_newest_first(followed: Followed, tmp_path: Path) -> None:
    followed.content.release("emilie/prod", "own", "1.0")
    followed.content.release("emilie/dev", "table-print", "1.0")
    followed.commit()
    assert followed.titles() == ["own 1.0"]
    push(followed, "1.0")
    followed.commit("From emilie/dev, which is secret")
    told = ["table-print 1.0 pushed in emilie/prod", "own 1.0"]
    assert followed.titles() == told
    assert b"secret" not in followed.render("site")
    assert b"emilie/dev" not in followed.render("site")
    followed.content.statements("emilie/prod", "own", yanked={"1.0": "leaks <b>"}, status="deprecated")
    commit = followed.commit()
    assert followed.titles() == ["own 1.0 yanked in emilie/prod", "own is deprecated in emilie/prod", *told]
    assert b"<summary>leaks &lt;b&gt;</summary>" in followed.render("site")
    assert f"log/{commit}/yanked/emilie/prod/own/1.0</id>".encode() in followed.render("site")
    del followed.content["indexes/emilie/prod/own/project.toml"]
    del followed.content["indexes/emilie/prod/table-print/1.0.json"]
    followed.commit()
    assert followed.titles()[:3] == [
        "own 1.0 unyanked in emilie/prod",
        "own is active in emilie/prod",
        "table-print 1.0 removed in emilie/prod",
    ]
    with Served(followed.repository, tmp_path / "cache") as served:
        assert served.get(f"/{FEED}").content == followed.render("site")


def test_commits_that_undo_each_other_are_both_told(followed: Followed, tmp_path: Path) -> None:
    followed.content.release("emilie/prod", "own", "1.0")
    followed.commit()
    with Served(followed.repository, tmp_path / "cache") as served:
        before = served.get(f"/{FEED}")
        for yanked in ({"1.0": "no"}, {}):
            followed.content.statements("emilie/prod", "own", yanked=yanked)
            followed.commit()
        del followed.content["indexes/emilie/prod/own/project.toml"]
        head, patience = followed.commit(), time.monotonic() + PATIENCE
        while served.get("/+status").json["result"]["revision"] != head:
            assert time.monotonic() < patience
            time.sleep(0.02)
        after = served.get(f"/{FEED}")
    assert followed.titles() == ["own 1.0 unyanked in emilie/prod", "own 1.0 yanked in emilie/prod", "own 1.0"]
    assert after.content == followed.render("site")
    assert before.etag != after.etag


def test_feed_ends_after_so_many(followed: Followed) -> None:
    followed.content.release("emilie/prod", "own", "1.0")
    for number in range(FEED_LENGTH + 5):
        followed.content.statements("emilie/prod", "own", yanked={"1.0": f"reason {number}"})
        followed.commit()
    titles = followed.titles()
    assert len(titles) == FEED_LENGTH
    opened = followed.repository.open()
    past, head = Past(opened, opened.head()), str(opened.head())
    events = past.of_index(head, IndexName(UserName("emilie"), "prod"), FEED_LENGTH)
    assert len(events) == FEED_LENGTH
    assert events[0].entry.commit == head


def test_commit_of_many_files_gives_the_same_events(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.0", "2.0", "3.0"):
        followed.content.release("emilie/prod", "own", version)
    followed.commit()
    opened = followed.repository.open()
    past, head, prod = Past(opened, opened.head()), str(opened.head()), IndexName(UserName("emilie"), "prod")
    events = past.of_index(head, prod, FEED_LENGTH)
    assert [event.entry.released for event in events] == [("1.0", "2.0", "3.0")]
    monkeypatch.setattr("gitindex.git.walk.MOST_CHANGES", 1)
    assert past.of_index(head, prod, FEED_LENGTH) == events


def test_without_a_history_the_manifests_say_what_was_released(tmp_path: Path) -> None:
    content = small_content()
    content.release("emilie/prod", "own", "1.0")
    content.statements("emilie/prod", "own", yanked={"1.0": "no"})
    repository = make_repository(tmp_path / "index")
    repository.put(content)
    opened = repository.open()
    render(opened.worktree(), tmp_path / "site", past=Past(opened, opened.head()))
    root = ET.fromstring((tmp_path / "site" / FEED).read_bytes())  # noqa: S314 - we made it
    assert [entry.findtext(f"{ATOM}title") for entry in root.iter(f"{ATOM}entry")] == ["own 1.0"]


def test_clone_that_lacks_old_commits_tells_what_it_has(followed: Followed, tmp_path: Path) -> None:
    followed.content.release("emilie/prod", "own", "1.0")
    followed.commit()
    followed.content.statements("emilie/prod", "own", yanked={"1.0": "no"})
    followed.commit()
    source = f"file://{followed.repository.path}"
    for words, wanted in (
        (["--depth=1"], ["own 1.0"]),
        (["--depth=2"], ["own 1.0 yanked in emilie/prod", "own 1.0"]),
    ):
        clone = IndexRepository(tmp_path / words[0])
        followed.repository.git("clone", "-q", *words, source, str(clone.path))
        opened = clone.open()
        head = opened.head()
        assert head is not None
        render(opened.at(head), tmp_path / "out" / words[0], past=Past(opened, head))
        root = ET.fromstring((tmp_path / "out" / words[0] / FEED).read_bytes())  # noqa: S314 - we made it
        assert [entry.findtext(f"{ATOM}title") for entry in root.iter(f"{ATOM}entry")] == wanted
