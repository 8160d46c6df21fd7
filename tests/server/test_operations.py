"""What operators and programs ask of a server: status, metrics, API, changelog, and its access log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gitindex import __version__, tokens
from gitindex.errors import CannotRunError
from gitindex.server.log import AccessLog
from tests.repositories import Content, IndexRepository, make_repository
from tests.server.client import JSON, Served
from tests.server.test_live import MANY, PROD, broken, release

COMBINED = re.compile(
    r'(?P<client>\S+) - (?P<reader>\S+) \[(?P<time>[^]]+)\] "(?P<method>\S+) (?P<target>\S+) HTTP/(?P<version>[0-9.]+)"'
    r' (?P<status>[0-9]{3}) (?P<size>[0-9]+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)


def metrics_of(served: Served) -> dict[tuple[str, ...], float]:
    """Return the values by the names of the metrics and the values of their labels."""
    text = served.get("/+metrics").body.decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


def test_status_says_what_is_served_since_when_and_how(shop: IndexRepository, tmp_path: Path) -> None:
    started = datetime.now(UTC).replace(microsecond=0)
    with Served(shop, tmp_path / "cache", page_cache=1 << 20, file_cache=1 << 30) as served:
        for path in (MANY, MANY, PROD, "/unknown", "/emilie/dev"):
            served.get(path)
        response = served.get("/+status")
        assert response.content_type == "application/json"
        assert response.cache_control == "no-store"
        found = response.json
        assert found["type"] == "status"
        result = found["result"]
        assert result["state"] == "serving"
        assert result["version"] == __version__
        assert result["revision"] == shop.git("rev-parse", "refs/heads/main")
        assert result["reference"] == "refs/heads/main"
        assert result["refused"] is result["remote"] is None
        assert started <= datetime.fromisoformat(result["started"]) <= datetime.now(UTC)
        assert started <= datetime.fromisoformat(result["since"]) <= datetime.now(UTC)
        assert 0 <= result["uptime"] < 3600
        counters = result["counters"]
        assert (counters["status_200"], counters["status_404"], counters["status_301"]) == (3, 1, 1)
        assert counters["page_hits"] == 1
        assert counters["page_misses"] >= 2
        assert result["page_cache"]["answers"] >= 2
        assert 0 < result["page_cache"]["bytes"] < result["page_cache"]["limit"] == 1 << 20
        assert (result["file_cache"]["files"], result["file_cache"]["limit"]) == (0, 1 << 30)
        assert result["upstreams"] == {}
        assert result["workers"] == 1


def test_memory_for_pages_is_bounded(shop: IndexRepository, tmp_path: Path) -> None:
    limit = 50_000
    with Served(shop, tmp_path / "cache", page_cache=limit) as served:
        for number in range(200):
            served.get(f"/emilie/dev/simple/unknown-{number}/")
            served.get(MANY, {"Accept": JSON})
            served.get(f"{MANY}?{number}")
            cache = served.get("/+status").json["result"]["page_cache"]
            assert cache["bytes"] <= limit
        assert cache["answers"] < 100


def test_metrics_are_read_by_prometheus_own_parser_and_count(served: Served) -> None:
    before = metrics_of(served)
    for path in (MANY, MANY, "/unknown"):
        served.get(path)
    served.request("POST", MANY)
    after = metrics_of(served)
    ok, missing, refused = (("gitindex_requests_total", status) for status in ("200", "404", "405"))
    assert after[ok] - before[ok] == 3  # and the metrics themselves, that were asked for before
    assert after[missing] - before.get(missing, 0) == 1
    assert after[refused] - before.get(refused, 0) == 1
    assert after["gitindex_page_hits_total",] > before["gitindex_page_hits_total",]
    assert after["gitindex_bytes_sent_total",] > before["gitindex_bytes_sent_total",]
    assert after["gitindex_uptime_seconds",] >= before["gitindex_uptime_seconds",] >= 0
    assert after["gitindex_revision_refused",] == 0
    revision = served.get("/+status").json["result"]["revision"]
    assert after["gitindex_revision_info", revision] == 1


def test_changelog_tells_the_newest_commits_and_what_each_released(shop: IndexRepository, tmp_path: Path) -> None:
    first = shop.git("rev-parse", "HEAD")
    second = release(shop, "100.0")
    third = release(shop, "1.2", "emilie/prod", "foo-bar")
    with Served(shop, tmp_path / "cache") as served:
        answer = served.get("/+changelog").json
        assert answer["type"] == "changelog"
        newest, middle, oldest = answer["result"]
        assert [commit["commit"] for commit in answer["result"]] == [third, second, first]
        assert newest["touched"] == [{"index": "emilie/prod", "project": "foo-bar", "versions": ["1.2"]}]
        assert middle["touched"] == [{"index": "emilie/dev", "project": "many", "versions": ["100.0"]}]
        assert len(oldest["touched"]) == 3
        assert newest["events"] == [
            {"kind": "released", "index": "emilie/prod", "project": "foo-bar", "version": "1.2"}
        ]
        assert "more" not in oldest
        assert [event["kind"] for event in oldest["events"]].count("index-created") == 2
        assert (newest["author"], newest["subject"]) == ("Emilie Example", "Release foo-bar 1.2")
        assert datetime.fromisoformat(newest["time"]) <= datetime.now(UTC)
        for query, wanted in (
            ("limit=1", [third]),
            (f"after={first}", [third, second]),
            (f"after={third}", []),
            (f"after={second}&limit=100", [third]),
            ("limit=100&other=1", [third, second, first]),
        ):
            commits = [commit["commit"] for commit in served.get(f"/+changelog?{query}").json["result"]]
            assert commits == wanted, query
        for query in ("limit=0", "limit=101", "limit=-1", "limit=x", "limit=1e3", "limit=%c2%b2", "limit=" + "9" * 900):
            assert served.get(f"/+changelog?{query}").status == 400, query
        for query in ("after=main", "after=-1", f"after={first[:12]}", "after=%00", f"after={first}%0a"):
            assert served.get(f"/+changelog?{query}").status == 400, query
        assert served.get("/+changelog?" + "&".join(["limit=1"] * 50)).status == 400


def test_changelog_ends_where_the_served_commit_is(shop: IndexRepository, tmp_path: Path) -> None:
    with Served(shop, tmp_path / "cache") as served:
        served.client.state.live.stop()
        good = shop.git("rev-parse", "HEAD")
        broken(shop)
        assert [commit["commit"] for commit in served.get("/+changelog").json["result"]] == [good]


# The access log


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AccessLog]:
    found = AccessLog(str(tmp_path / "access.log"))
    yield found
    found.close()


def lines_of(path: Path) -> list[re.Match[str]]:
    found = []
    for line in path.read_text("utf-8").splitlines():
        match = COMBINED.fullmatch(line)
        assert match is not None, line
        found.append(match)
    return found


def test_access_log_has_a_line_for_each_request_in_the_combined_log_format(
    shop: IndexRepository, tmp_path: Path, log: AccessLog
) -> None:
    path = "/" + str(next(shop.path.glob("files/*/*/foo_bar-1.0.tar.gz")).relative_to(shop.path))
    with Served(shop, tmp_path / "cache", log=log) as served:
        tag = served.get(MANY).etag
        asked = [
            ("GET", MANY, {"If-None-Match": tag}, 304),
            ("HEAD", MANY, {}, 200),
            ("GET", path, {}, 200),
            ("GET", path, {"Range": "bytes=0-9"}, 206),
            ("HEAD", path, {"Range": "bytes=0-9"}, None),
            ("GET", path, {"Range": "bytes=99999999-"}, 416),
            ("GET", "/unknown?a=b", {"Referer": "https://example.org/", "User-Agent": "pip/26.3 {}"}, 404),
            ("POST", "/", {}, 405),
            ("GET", "/%", {}, 400),
            ("GET", "/emilie/dev", {}, 301),
            ("GET", "/+status", {}, 200),
        ]
        sizes = [len(served.request(method, target, headers).body) for method, target, headers, _ in asked]
    first, *lines = lines_of(tmp_path / "access.log")
    assert (first["method"], first["target"], first["status"], first["reader"]) == ("GET", MANY, "200", "-")
    assert len(lines) == len(asked)
    for line, (method, target, headers, status), size in zip(lines, asked, sizes, strict=True):
        assert (line["method"], line["target"], line["version"]) == (method, target, "1.1")
        assert status is None or int(line["status"]) == status
        assert line["size"] == (str(size) if size else "-")
        assert (line["client"], line["referer"]) == ("127.0.0.1", headers.get("Referer", "-"))
        assert line["agent"] == headers.get("User-Agent", "-")
        datetime.strptime(line["time"], "%d/%b/%Y:%H:%M:%S %z")


@pytest.mark.parametrize("text", ['" 200 1 "-" "forged', "a\\", "tab\there", "\x1b[2J", "é", "x" * 60_000, '\\"'])
def test_what_a_client_sends_stays_within_its_line(
    shop: IndexRepository, tmp_path: Path, log: AccessLog, text: str
) -> None:
    target = text.replace(" ", "+").encode("latin-1")  # a blank ends the target of a request
    with Served(shop, tmp_path / "cache", log=log) as served:
        served.get(b"/" + target + b"?" + target, {"User-Agent": text, "Referer": text})
    (line,) = lines_of(tmp_path / "access.log")
    assert line["status"] in {"400", "404"}
    assert line[0].isascii()
    assert len(line[0]) < 15_000


def test_log_names_the_reader_by_the_id_of_the_token_and_never_shows_the_token(
    shop: IndexRepository, tmp_path: Path, log: AccessLog
) -> None:
    store = tmp_path / "tokens.json"
    token, text = tokens.create(store, "ci", ["read:emilie/dev"], expires=None, now=datetime.now(UTC))
    with Served(shop, tmp_path / "cache", log=log, tokens=store) as served:
        for path in (MANY, MANY, PROD, "/+status"):
            served.get(path, {"Authorization": f"Bearer {text}"})
        served.get(MANY)
        served.get(MANY, {"Authorization": f"Bearer {text}x"})
    assert [(line["reader"], line["status"]) for line in lines_of(tmp_path / "access.log")] == [
        (token.id, "200"),
        (token.id, "200"),
        (token.id, "403"),
        (token.id, "200"),
        ("-", "401"),
        ("-", "401"),
    ]
    assert text not in (tmp_path / "access.log").read_text()


def test_log_that_cannot_be_opened_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="cannot be written"):
        AccessLog(str(tmp_path / "nowhere/access.log"))


def test_log_on_a_full_disk_stops_no_answer_and_is_told_once(
    shop: IndexRepository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(AccessLog("/dev/full")) as log, Served(shop, tmp_path / "cache", log=log) as served:
        for path in (MANY, MANY, "/unknown", PROD):
            assert served.get(path).status in {200, 404}
    assert [record.getMessage() for record in caplog.records] == ["/dev/full: lines are lost: No space left on device"]


def test_feed_and_status_of_a_repository_without_a_release(tmp_path: Path) -> None:
    content = Content().settings().user("emilie", email="emilie@example.org").stage("emilie/dev")
    with Served(make_repository(tmp_path / "packages", content), tmp_path / "cache") as served:
        assert served.get("/emilie/dev/simple/", {"Accept": JSON}).json["projects"] == []
        for path in ("/", "/emilie/dev/", "/emilie/dev/feed.xml", "/+changelog"):
            assert served.get(path).status == 200
