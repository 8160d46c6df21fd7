"""Who gets what of a server with tokens: statuses that leak no names, files, lists, and what caches are told."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import pytest

from gitindex import tokens
from gitindex.model import Mirror
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.server.live import Refused
from gitindex.upstream.mirror import Upstream
from gitindex.upstream.pages import UpstreamError
from tests.repositories import Content, make_repository
from tests.server.client import HTML, JSON, Response, Served, basic, serving

PUBLIC, TEAM, SECRET, MIRROR = "bob/public", "emilie/team", "emilie/secret", "zoe/mirror"


def private_content() -> Content:
    content = Content().settings().user("emilie", email="emilie@example.org").user("bob", email="bob@example.org")
    content.user("zoe", email="zoe@example.org")
    content.stage(PUBLIC).stage(TEAM, bases=[PUBLIC]).stage(SECRET, bases=[TEAM]).stage("zoe/own").mirror(MIRROR)
    content.release(PUBLIC, "open", "1.0", text="# open")
    content.release(TEAM, "ours", "1.0", text="# ours")
    content.release(TEAM, "ours", "1.0", kind="sdist", text="# ours")
    content.release(SECRET, "hidden", "1.0", text="# hidden")
    return content


class Door(NamedTuple):
    """A server with tokens, and who comes to it."""

    served: Served
    content: Content
    team: dict[str, str]
    """Headers of a token for `emilie/team`."""
    everything: dict[str, str]
    expired: dict[str, str]
    revoked: dict[str, str]

    def get(self, path: str, who: dict[str, str] | None = None, accept: str = JSON) -> Response:
        return self.served.get(path, {"Accept": accept, **(who or {})})


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, who: None) -> Iterator[Door]:
    del who
    folder = tmp_path_factory.mktemp("private")
    store, now = folder / "tokens.json", datetime.now(UTC)
    made = {
        name: basic(tokens.create(store, name, [scope], expires=None, now=now).text)
        for name, scope in (("team", f"read:{TEAM}"), ("everything", "read:*"), ("revoked", "read:*"))
    }
    day = timedelta(days=1)
    made["expired"] = basic(tokens.create(store, "expired", ["read:*"], expires=now - day, now=now - 2 * day).text)
    tokens.revoke(store, "revoked")
    content = private_content()
    repository = make_repository(folder / "packages", content)
    with Served(repository, folder / "cache", tokens=store, public=(PUBLIC,)) as served:
        yield Door(served, content, **made)


def paths_of(index: str, project: str) -> tuple[str, ...]:
    return (
        f"/{index}/",
        f"/{index}/feed.xml",
        f"/{index}/simple/",
        f"/{index}/+simple/",
        f"/{index}/simple/{project}/",
        f"/{index}/simple/{project}/index.json",
        f"/{index}/simple/unknown/",
        f"/{index}/project/{project}/",
        f"/@main/{index}/simple/{project}/",
        f"/@nothing/{index}/simple/{project}/",
    )


def test_index_is_open_to_those_who_may_read_it(door: Door) -> None:
    for index, project, readers in (
        (PUBLIC, "open", ({}, door.team, door.everything)),
        (TEAM, "ours", (door.team, door.everything)),
        (TEAM, "open", (door.team, door.everything)),  # with all that it inherits
        (SECRET, "hidden", (door.everything,)),
        (SECRET, "ours", (door.everything,)),
    ):
        for who in readers:
            assert door.get(f"/{index}/simple/{project}/", who).status == 200
            assert door.get(f"/{index}/simple/", who).status == 200
            assert door.get(f"/{index}/", who, HTML).status == 200
            assert door.get(f"/{index}/simple/nothing/", who).status == 404


def test_point_54_stranger_is_asked_for_a_token_and_told_nothing(door: Door) -> None:
    for path, other in zip(paths_of(SECRET, "hidden"), paths_of("nobody/nothing", "nothing"), strict=True):
        for accept in (JSON, HTML, "text/plain"):
            there, missing = door.get(path, accept=accept), door.get(other, accept=accept)
            assert there.status == 401
            assert there == missing
            assert there.www_authenticate.startswith("Basic realm=")
            assert there.cache_control.endswith("no-store")
            assert door.get(path, {"If-None-Match": "*"}, accept) == there
            assert door.get(path, {"Range": "bytes=0-0", "Accept-Encoding": "gzip"}, accept) == there


def test_point_54_token_for_another_index_is_refused_the_same_whether_or_not_it_is_there(door: Door) -> None:
    for path, other in zip(paths_of(SECRET, "hidden"), paths_of("nobody/nothing", "nothing"), strict=True):
        for accept in (JSON, HTML, "text/plain"):
            there, missing = door.get(path, door.team, accept), door.get(other, door.team, accept)
            assert there.status == 403
            assert there == missing
            assert b"secret" not in there.body


def test_point_54_token_that_is_none_is_401_everywhere_and_always_the_same(door: Door) -> None:
    good = door.team["Authorization"]
    headers = [
        door.expired,
        door.revoked,
        basic("gitindex_abcdefgh_" + "a" * 52),
        basic(""),
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Digest x"},
        {"Authorization": good + "x"},
        {"Authorization": "Bearer " + "x" * 10_000},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
    ]
    paths = ("/", "/+status", "/+metrics", "/+changelog", f"/{PUBLIC}/simple/open/", f"/{TEAM}/simple/ours/")
    for path in (*paths, "/nobody/nothing/simple/", "/files/aa/" + "b" * 62 + "/x-1.0.tar.gz"):
        answers = [door.get(path, header) for header in headers]
        assert {answer.status for answer in answers} == {401}, path
        assert len(set(answers)) == 1


def test_several_authorization_headers_are_nobodys(door: Door) -> None:
    one, other = door.team["Authorization"], door.everything["Authorization"]
    for values in ((one, other), (one, one), (other, ""), ("", other), (other, "Basic x"), (one, one, one)):
        headers = [("Accept", JSON), *(("Authorization", value) for value in values)]
        for path in (f"/{TEAM}/simple/ours/", f"/{PUBLIC}/simple/open/", "/+status"):
            assert door.served.get(path, headers).status == 401


def test_file_is_for_readers_of_an_index_that_shows_it(door: Door) -> None:
    nowhere = f"/files/aa/{'b' * 62}/hidden-1.0-py3-none-any.whl"
    for index, project, readers, others in (
        (PUBLIC, "open", ({}, door.team, door.everything), ()),
        (TEAM, "ours", (door.team, door.everything), ({},)),
        (SECRET, "hidden", (door.everything,), ({}, door.team)),
    ):
        path = "/" + door.content.stored(index, project, "1.0")
        for suffix in ("", ".metadata"):
            for who in readers:
                for _ in range(2):
                    answer = door.get(path + suffix, who)
                    assert (answer.status, answer.body) == (200, door.content[path.lstrip("/") + suffix])
                    assert answer.cache_control.startswith("private, ") == bool(who)
                    assert answer.vary == "Authorization"
                    assert answer.vary == "Authorization"
                assert door.get(path + suffix, {"Range": "bytes=0-3", **who}).status == 206
            for who in others:
                # Even now that it was sent to somebody else.
                refused = [door.get(path + suffix, who), door.get(nowhere + suffix, who)]
                assert refused[0].status in {401, 404}
                assert refused[0] == refused[1]
                for more in ({"If-None-Match": "*"}, {"Range": "bytes=0-3"}):
                    assert door.get(path + suffix, {**who, **more}).status == refused[0].status


def test_landing_page_and_devpis_root_show_what_may_be_read(door: Door) -> None:
    for who, shown, hidden in (
        ({}, {PUBLIC}, {TEAM, SECRET, "zoe"}),
        (door.team, {PUBLIC, TEAM}, {SECRET, "zoe/own", MIRROR}),
        (door.everything, {PUBLIC, TEAM, SECRET, "zoe/own", MIRROR}, set()),
    ):
        page = door.get("/", who, HTML).body.decode()
        assert all(f'href="{name}/"' in page for name in shown)
        assert not any(name in page for name in hidden)
        root = door.get("/", who, "application/json")
        assert (root.status, root.content_type) == (200, "application/json")
        names = {f"{user}/{index}" for user, values in root.json["result"].items() for index in values["indexes"]}
        assert names == shown
        if not who:
            assert set(root.json["result"]) == {"bob"}
        assert not any(name.encode() in root.body for name in hidden if "/" not in name or not who)


def test_stranger_learns_of_status_and_changes_no_more_than_of_what_is_public(door: Door) -> None:
    status = door.get("/+status").json["result"]
    assert set(status) == {"state", "version"}
    assert set(door.get("/+status", door.team).json["result"]) > {"revision", "counters", "workers"}
    assert door.get("/+metrics").status == 401
    assert door.get("/+metrics", door.team).status == 200
    for who, wanted in (({}, {PUBLIC}), (door.team, {PUBLIC, TEAM}), (door.everything, {PUBLIC, TEAM, SECRET})):
        (commit,) = door.get("/+changelog", who).json["result"]
        assert {touched["index"] for touched in commit["touched"]} == wanted
        # A subject may name any index that the commit touches, and this one touches all of them.
        assert (commit["author"] is None) is (commit["subject"] is None) is (who != door.everything)
        assert {event.get("index") for event in commit["events"]} - {None} >= wanted
        assert any("index" not in event for event in commit["events"]) is (who == door.everything)


def test_push_from_an_index_that_may_not_be_read_is_a_release(tmp_path: Path) -> None:
    store, now = tmp_path / "tokens.json", datetime.now(UTC)
    team = basic(tokens.create(store, "team", [f"read:{TEAM}"], expires=None, now=now).text)
    everything = basic(tokens.create(store, "everything", ["read:*"], expires=None, now=now).text)
    content = private_content()
    repository = make_repository(tmp_path / "packages", content)
    manifest = content[f"indexes/{SECRET}/hidden/1.0.json"]
    repository.put({f"indexes/{TEAM}/hidden/1.0.json": manifest})
    repository.commit("Push it")
    with Served(repository, tmp_path / "cache", tokens=store) as served:
        for who, kind in ((team, "released"), (everything, "pushed")):
            answer = served.get("/+changelog?limit=1", who)
            (event,) = answer.json["result"][0]["events"]
            assert event["kind"] == kind
            assert event.get("from", []) == ([SECRET] if kind == "pushed" else [])
            assert (SECRET.encode() in answer.body) is (kind == "pushed")


def test_page_of_one_reader_has_not_the_tag_of_anothers(door: Door) -> None:
    pages = [door.get("/", who, HTML) for who in ({}, door.team, door.everything)]
    assert len({page.body for page in pages}) == len({page.etag for page in pages}) == 3
    other = door.get("/", {"If-None-Match": pages[2].etag, **door.team}, HTML)
    assert (other.status, other.body) == (200, pages[1].body)


def test_stranger_learns_of_no_revision_by_asking_for_what_belongs_to_the_server(tmp_path: Path) -> None:
    store = tmp_path / "tokens.json"
    tokens.create(store, "ci", ["read:*"], expires=None, now=datetime.now(UTC))
    repository = make_repository(tmp_path / "packages", private_content())
    with Served(repository, tmp_path / "cache", tokens=store) as served:
        for name in ("+status", "+api", "+metrics", "+changelog", "+site/style.css", ""):
            there, missing = (served.get(f"/@{revision}/{name}") for revision in ("main", "nothing"))
            assert there.status == 401
            assert there == missing


def test_where_to_log_in_is_told_to_all_and_what_is_there_to_nobody_who_may_not_read_it(door: Door) -> None:
    def api(index: str, who: dict[str, str]) -> tuple[int, dict[str, Any]]:
        answer = door.get(f"/{index}/+api", who, "application/json")
        return answer.status, json.loads(answer.body.replace(index.encode(), b"INDEX"))["result"]

    nobody = {"Authorization": "Basic " + "x" * 40}
    for who, status in ((door.expired, "expired"), (door.revoked, "expired"), (nobody, "expired"), ({}, "noauth")):
        for index in (SECRET, MIRROR, "nobody/nothing"):
            found, result = api(index, who)
            assert (found, result["authstatus"]) == (200, [status, "", []])
            assert (found, result) == api("nobody/other", who), index
    assert api(SECRET, door.team) == api(MIRROR, door.team) == api("nobody/nothing", door.team)
    assert api(TEAM, door.team)[1]["authstatus"] == ["ok", "__token__", []]
    assert "pypisubmit" in api(TEAM, door.team)[1]
    assert "pypisubmit" not in api(MIRROR, door.everything)[1]
    assert door.get("/nobody/nothing/+api", door.everything, "application/json").status == 404


def test_token_of_some_indexes_is_not_told_the_names_of_others(tmp_path: Path) -> None:
    async def check() -> None:
        store, now = tmp_path / "tokens.json", datetime.now(UTC)
        team = basic(tokens.create(store, "team", [f"read:{TEAM}"], expires=None, now=now).text)
        everything = basic(tokens.create(store, "everything", ["read:*"], expires=None, now=now).text)
        repository = make_repository(tmp_path / "packages", private_content().mirror("zoe/hidden-mirror"))
        repository.put(Content().stage(SECRET, bases=[TEAM], title="Other"))
        repository.commit(f"Change {SECRET}")
        extra = Content()
        extra.release(TEAM, "ours", "2.0", text="# new")
        repository.put(extra)
        good = repository.commit("Release ours 2.0")
        async with serving(repository, tmp_path / "cache", tokens=store) as client:
            state = client.state
            hidden = IndexName(UserName("zoe"), "hidden-mirror")
            upstream = Upstream(hidden, Mirror(type="mirror", mirror_url="http://127.0.0.1:9/simple/"))
            with pytest.raises(UpstreamError):
                await asyncio.to_thread(state.mirrors.upstreams.page, upstream, ProjectName("demo"))
            state.live.refused = Refused(good, now, ({"message": f"{SECRET} is broken"},), f"{SECRET} cannot be read")

            async def told(path: str, who: dict[str, str]) -> bytes:
                return (await client.get(path, {"Accept": JSON, **who})).body

            for path in ("/+status", "/+metrics", "/+changelog"):
                for word in (SECRET, "hidden"):
                    assert word.encode() not in await told(path, team), path
            assert SECRET.encode() in await told("/+status", everything)
            assert b"hidden-mirror" in await told("/+status", everything)
            assert b"hidden-mirror" in await told("/+metrics", everything)
            commits = json.loads(await told("/+changelog", team))["result"]
            assert [commit["subject"] for commit in commits] == ["Release ours 2.0", None, None]

    asyncio.run(check())


def test_answers_are_private_for_who_is_known_and_vary_with_who_asks(door: Door) -> None:
    for who, path, accept in (
        (door.team, f"/{TEAM}/simple/ours/", JSON),
        (door.team, f"/{TEAM}/simple/ours/", HTML),
        (door.team, f"/{TEAM}/simple/", JSON),
        (door.team, f"/{TEAM}/", HTML),
        (door.team, f"/{TEAM}/feed.xml", HTML),
        (door.team, f"/{TEAM}/project/ours/", HTML),
        ({}, f"/{PUBLIC}/simple/open/", JSON),
        ({}, "/", HTML),
        ({}, "/", "application/json"),
        (door.team, "/", "application/json"),
    ):
        for _ in range(2):
            answer = door.get(path, who, accept)
            assert answer.status == 200
            if "no-store" not in answer.cache_control:
                # What strangers get is for all strangers, and a proxy may keep it for them.
                assert ("private" in answer.cache_control) == bool(who), path
            assert "no-store" in answer.cache_control or "Authorization" in answer.vary, path
            if answer.get("etag"):
                again = door.get(path, {"If-None-Match": answer.etag, **who}, accept)
                assert (again.status, again.cache_control, again.vary) == (304, answer.cache_control, answer.vary)


def test_answer_of_one_reader_is_never_that_of_another(door: Door) -> None:
    """Each asks after the others have: what is kept for one must not be found by the next."""
    for _ in range(3):
        for who, wanted in ((door.everything, 200), ({}, 401), (door.team, 403)):
            for path in (f"/{SECRET}/simple/hidden/", f"/{SECRET}/"):
                assert door.get(path, who, HTML).status == wanted
        pages = {door.get("/", who, HTML).body for who in (door.everything, {}, door.team)}
        assert len(pages) == 3


def test_redirects_say_nothing_of_what_is_there(door: Door) -> None:
    for index in (SECRET, "nobody/nothing"):
        for end in ("", "/simple", "/simple/Some.Name/", "/simple/x"):
            answer = door.get(f"/{index}{end}")
            assert answer.status in {301, 401}
    one, other = (door.get(f"/{index}/simple/Some.Name/") for index in (SECRET, "nobody/nothing"))
    assert one == other


def test_stranger_sees_nothing_where_nothing_is_public(tmp_path: Path) -> None:
    store = tmp_path / "tokens.json"
    tokens.create(store, "ci", ["read:*"], expires=None, now=datetime.now(UTC))
    content = private_content()
    repository = make_repository(tmp_path / "packages", content)
    with Served(repository, tmp_path / "cache", tokens=store) as served:
        assert served.get("/", {"Accept": HTML}).status == 401
        assert served.get("/+changelog").status == 401
        root = served.get("/", {"Accept": "application/json"})
        assert root.status == 401 or root.json["result"] == {}
        assert served.get("/+site/style.css").status == 200
        path = content.stored(PUBLIC, "open", "1.0")
        assert served.get(urljoin("/", path)).status == 401
        assert set(served.get("/+status").json["result"]) == {"state", "version"}


def test_redirect_to_a_private_file_is_not_for_caches_that_others_share(tmp_path: Path) -> None:
    store = tmp_path / "tokens.json"
    token = basic(tokens.create(store, "ci", ["read:*"], expires=None, now=datetime.now(UTC)).text)
    storage = {"url": "s3://packages/files", "public_url": "https://files.example.org/x"}
    content = private_content().settings(storage=storage)
    repository = make_repository(
        tmp_path / "packages", {path: data for path, data in content.items() if not path.startswith("files/")}
    )
    with Served(repository, tmp_path / "cache", tokens=store) as served:
        answer = served.get("/" + content.stored(SECRET, "hidden", "1.0"), token)
        assert answer.status == 302
        assert answer.cache_control.startswith("private, ")


def test_stranger_gets_nothing_that_was_kept_for_a_token_of_what_is_public(tmp_path: Path) -> None:
    store = tmp_path / "tokens.json"
    token = basic(tokens.create(store, "ci", [f"read:{PUBLIC}"], expires=None, now=datetime.now(UTC)).text)
    repository = make_repository(tmp_path / "packages", private_content())
    with Served(repository, tmp_path / "cache", tokens=store, public=(PUBLIC,)) as served:
        for accept in ("application/json", HTML):
            known = served.get("/", {"Accept": accept, **token})
            stranger = served.get("/", {"Accept": accept})
            assert known.cache_control.startswith("private, ") or known.cache_control.endswith("no-store")
            assert b"zoe" not in stranger.body
            assert "private" not in stranger.cache_control
