"""Time travel: pages and files of other commits, by their ids, by tags and branches, and by dates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import pytest

from gitindex import tokens
from tests.repositories import Content, IndexRepository, make_repository
from tests.server.client import HTML, JSON, Response, Served, serving
from tests.server.watching import until

PAGE = "/emilie/dev/simple/demo/"
DATES = ("2026-01-10T12:00:00", "2026-02-10T12:00:00", "2026-03-10T12:00:00")
FOR_EVER = "max-age=365000000, immutable"
SOON = "max-age=0, must-revalidate"


class History(NamedTuple):
    """A repository whose first three commits release 1.0, 2.0 and 3.0 of a project, and a branch beside them."""

    repository: IndexRepository
    commits: tuple[str, str, str]
    side: str


def release(repository: IndexRepository, version: str, date: str) -> str:
    content = Content()
    content.release("emilie/dev", "demo", version, text=f"# {version}")
    repository.put(content)
    repository.git("add", "--all", "--force")
    when = {"GIT_COMMITTER_DATE": f"{date}+00:00", "GIT_AUTHOR_DATE": "2020-01-01T00:00:00+00:00"}
    repository.git("commit", "--quiet", "--message", f"Release {version}", env=when)
    return repository.git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, who: None) -> History:
    del who
    repository = make_repository(tmp_path_factory.mktemp("history") / "packages")
    repository.put(Content().settings().user("emilie", email="emilie@example.org").stage("emilie/dev"))
    first, second, third = (release(repository, f"{at + 1}.0", date) for at, date in enumerate(DATES))
    repository.git("tag", "v1", first)
    repository.git("tag", "-a", "v2", "-m", "two", second)
    repository.git("checkout", "--quiet", "-b", "feature/side", first)
    side = release(repository, "1.5", "2026-01-20T12:00:00")
    repository.git("checkout", "--quiet", "main")
    repository.git("tag", "both", first)
    repository.git("branch", "both", second)
    repository.git("tag", "a-blob", f"{first}:gitindex.toml")
    return History(repository, (first, second, third), side)


@pytest.fixture(scope="module")
def travelled(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(history.repository, tmp_path_factory.mktemp("travelled")) as served:
        yield served


def versions(response: Response) -> list[str]:
    assert response.status == 200
    found: list[str] = response.json["versions"]
    return found


ONE, TWO, THREE, SIDE = ["1.0"], ["1.0", "2.0"], ["1.0", "2.0", "3.0"], ["1.0", "1.5"]


@pytest.mark.parametrize(
    ("revision", "wanted"),
    [
        ("v1", ONE),
        ("v2", TWO),
        ("main", THREE),
        ("HEAD", THREE),
        ("feature%2Fside", SIDE),
        ("refs%2Fheads%2Fmain", THREE),
        ("refs%2Ftags%2Fboth", ONE),
        ("%6dain", THREE),
        ("2026-01-10", ONE),
        ("2026-02-09", ONE),
        ("2026-02-10", TWO),
        ("2026-11-22", THREE),
        ("2026-02-10T11:59:59", ONE),
        ("2026-02-10T12:00:00", TWO),
        ("2026-02-10T12:00:00Z", TWO),
        ("2026-02-10T12:00:00.5Z", TWO),
        ("2026-02-10T11:59:59Z", ONE),
        ("2026-02-10T12:30:00%2B01:00", ONE),
        ("2026-02-10T10:30:00-02:00", TWO),
        ("2026-02-10T12", TWO),
        ("9999-12-31", THREE),
    ],
)
def test_revision_is_served_as_it_was(travelled: Served, revision: str, wanted: list[str]) -> None:
    response = travelled.get(f"/@{revision}{PAGE}", {"Accept": JSON})
    assert versions(response) == wanted
    assert response.cache_control == SOON
    assert travelled.get(f"/%40{revision}{PAGE}", {"Accept": JSON}).body == response.body
    assert travelled.get(f"/@{revision}/emilie/dev/simple/", {"Accept": HTML}).status == 200


def test_whole_id_is_served_for_ever_and_nothing_else_is(travelled: Served, history: History) -> None:
    for commit, wanted in zip((*history.commits, history.side), (ONE, TWO, THREE, SIDE), strict=True):
        for accept in (JSON, HTML):
            for _ in range(2):
                response = travelled.get(f"/@{commit}{PAGE}", {"Accept": accept})
                assert response.cache_control == FOR_EVER
                again = travelled.get(f"/@{commit}{PAGE}", {"Accept": accept, "If-None-Match": response.etag})
                assert (again.status, again.cache_control) == (304, FOR_EVER)
        assert versions(travelled.get(f"/@{commit}{PAGE}", {"Accept": JSON})) == wanted
        short = travelled.get(f"/@{commit[:12]}{PAGE}", {"Accept": JSON})
        assert (versions(short), short.cache_control) == (wanted, SOON)
        assert travelled.get(f"/@{commit}/emilie/dev/simple/nothing/").cache_control == "no-store"
    upper = travelled.get(f"/@{history.commits[0].upper()}{PAGE}", {"Accept": JSON})
    assert upper.cache_control != FOR_EVER


@pytest.mark.parametrize(
    "revision",
    [
        *("nothing", "v3", "0" * 40, "abcdef1", "2026-01-09", "2026-01-10T11:59:59", "0001-01-01", "1999-12-31"),
        *("2026-13-01", "2026-02-30", "2026-1-1", "2026-01-10T25:00", "20260110", "2026-W02", "2026-01-10T"),
        *("v1~0", "v1%5E", "v1%5E%7Bcommit%7D", "HEAD@%7B1%7D", "@%7B-1%7D", ":%2FRelease", "main:gitindex.toml"),
        *("v1..v2", "-v1", "--all", "", "%20", "v1%20", "v1%0a", "a-blob", "both", "refs%2Fheads", "refs"),
        *(".", "v1.lock", "v1%2F", "%2Fv1", "a" * 300),
    ],
)
def test_what_is_no_revision_is_404_in_one_line(travelled: Served, revision: str) -> None:
    for path in (PAGE, "/emilie/dev/simple/"):
        response = travelled.get(f"/@{revision}{path}", {"Accept": JSON})
        assert response.status == 404
        assert response.body.count(b"\n") == 1
        assert response.cache_control == "no-store"


def test_date_before_the_first_commit_is_told_by_its_last_second(travelled: Served) -> None:
    response = travelled.get(f"/@1999-12-31{PAGE}", {"Accept": JSON})
    assert response.body == b"there is no commit as old as 1999-12-31T23:59:59Z; see: git log --first-parent\n"


def test_commit_without_an_index_repository_is_404(travelled: Served, history: History) -> None:
    tree = history.repository.git("mktree", data=b"")
    commit = history.repository.git("commit-tree", "-m", "Nothing", tree)
    assert travelled.get(f"/@{commit}{PAGE}").status == 404


def test_files_of_a_revision_are_there_and_only_its_own(travelled: Served, history: History) -> None:
    first, _, third = history.commits
    page = f"/@{third}{PAGE}"
    files = {file["filename"]: file for file in travelled.get(page, {"Accept": JSON}).json["files"]}
    assert len(files) == 3
    for name, file in files.items():
        url = urljoin(page, file["url"])
        assert url.startswith(f"/@{third}/files/")
        for suffix in ("", ".metadata"):
            response = travelled.get(url + suffix)
            assert (response.status, response.cache_control) == (200, FOR_EVER)
            assert response.body == travelled.get(url.removeprefix(f"/@{third}") + suffix).body
        assert travelled.get(url, {"Range": "bytes=0-3"}).body == travelled.get(url).body[:4]
        assert travelled.get(url.replace(third, first)).status == (200 if "-1.0-" in name else 404)
        assert travelled.get(url.replace(third, "2026-01-10")).status == (200 if "-1.0-" in name else 404)


def test_peoples_pages_and_the_servers_own_are_of_no_other_revision(travelled: Served) -> None:
    for path in (
        "/",
        "/emilie/dev/",
        "/emilie/dev/project/demo/",
        "/emilie/dev/feed.xml",
        "/+status",
        "/+site/style.css",
    ):
        for revision in ("main", "v1", "2026-02-10"):
            assert travelled.get(f"/@{revision}{path}", {"Accept": HTML}).status == 404, path


def test_redirects_of_a_revision_stay_in_it(travelled: Served) -> None:
    for path in (
        "/@v1/emilie/dev/simple/Demo/",
        "/@v1/emilie/dev/simple/demo",
        "/@feature%2Fside/emilie/dev/simple/DEMO",
    ):
        response = travelled.get(path)
        assert response.status == 301
        assert urljoin(path, response.location) == path.partition("/emilie")[0] + PAGE


def test_moving_names_are_followed(history: History, tmp_path: Path) -> None:
    repository = IndexRepository(tmp_path / "clone")
    history.repository.git("clone", "--quiet", str(history.repository.path), str(repository.path))

    async def check() -> None:
        async with serving(repository, tmp_path / "cache") as client:
            page = f"/@moving{PAGE}"
            assert (await client.get(page, {"Accept": JSON})).status == 404
            repository.git("tag", "moving", history.commits[0])
            await until(client, page, lambda answer: answer.status == 200 and versions(answer) == ONE)
            repository.git("tag", "--force", "moving", history.commits[1])
            await until(client, page, lambda answer: versions(answer) == TWO)
            repository.git("tag", "--delete", "moving")
            await until(client, page, lambda answer: answer.status == 404)
            fresh = release(repository, "4.0", "2026-04-10T12:00:00")
            await until(client, f"/@2026-04-10{PAGE}", lambda answer: versions(answer)[-1] == "4.0")
            assert versions(await client.get(f"/@{fresh}{PAGE}", {"Accept": JSON}))[-1] == "4.0"

    asyncio.run(check())


def test_date_is_one_of_what_was_served_and_not_of_a_branch_beside_it(travelled: Served) -> None:
    assert versions(travelled.get(f"/@2026-01-31{PAGE}", {"Accept": JSON})) == ONE


def test_with_tokens_only_what_came_before_the_served_commit_is_there(history: History, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    text = tokens.create(tmp_path / "tokens.json", "ci", ["read:*"], expires=None, now=now).text
    bearer = {"Accept": JSON, "Authorization": f"Bearer {text}"}
    with Served(history.repository, tmp_path / "cache", tokens=tmp_path / "tokens.json") as served:
        for revision in (*history.commits, "v1", "main", "2026-01-10"):
            assert served.get(f"/@{revision}{PAGE}", bearer).status == 200
            assert served.get(f"/@{revision}{PAGE}").status == 401
        hidden = [served.get(f"/@{revision}{PAGE}", bearer) for revision in (history.side, "feature%2Fside")]
        unknown = [served.get(f"/@{revision}{PAGE}", bearer) for revision in ("0" * 40, "feature%2Fnone")]
        for one, other, name in zip(hidden, unknown, (history.side, "feature/side"), strict=True):
            assert one.status == other.status == 404
            assert [key for key, _ in one.fields] == [key for key, _ in other.fields]
            told = other.body.replace(b"0" * 40, name.encode()).replace(b"feature/none", name.encode())
            assert one.body == told
        kept = served.get(f"/@{history.commits[0]}{PAGE}", bearer)
        assert kept.cache_control == f"private, {FOR_EVER}"
        assert "Authorization" in kept.vary
