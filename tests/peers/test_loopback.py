"""What an installer is told by the server that `gitindex install` starts for it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from gitindex.errors import CannotRunError, GitindexError
from gitindex.git import Repository
from gitindex.loopback import serve
from gitindex.model import Mirror
from gitindex.names import IndexName, ProjectName, UserName, parse_index_name
from gitindex.storage import EmbeddedStore
from gitindex.upstream.client import Upstreams
from gitindex.upstream.mirror import Upstream
from tests.peers.conftest import Define, Site
from tests.peers.server import HTML, JSON, SiteServer
from tests.peers.tools import NOWHERE, wheel

pytestmark = pytest.mark.peers

PIP_ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"


class Loopback(NamedTuple):
    """A running server and what it reported."""

    url: str
    problems: list[GitindexError]

    def get(self, path: str, accept: str = PIP_ACCEPT) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers={"Accept": accept}, allow_redirects=False, timeout=10)


Open = Callable[[str], AbstractContextManager[Loopback]]


@pytest.fixture
def open_loopback(stages: Path) -> Open:
    """Return a function that serves an index of the repository."""

    @contextlib.contextmanager
    def opened(name: str) -> Iterator[Loopback]:
        repository = Repository.open(stages)
        snapshot = repository.worktree()
        index = snapshot.index(parse_index_name(name) or IndexName(UserName("no"), "such"))
        assert index is not None
        problems: list[GitindexError] = []
        with serve(snapshot, index, EmbeddedStore(snapshot.root), problems.append) as url:
            yield Loopback(url, problems)

    return opened


def filenames(response: requests.Response) -> list[str]:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == JSON
    return [file["filename"] for file in response.json()["files"]]


def test_points_34_and_36_and_41_the_pages_are_the_renderers_own(open_loopback: Open, shop: Site) -> None:
    page = shop.folder / "emilie/prod/simple/demo"
    with open_loopback("emilie/prod") as server:
        as_json, as_html = server.get("demo/"), server.get("demo/", "text/html")
    assert as_json.content == (page / "index.json").read_bytes()
    assert as_html.content == (page / "index.html").read_bytes()
    assert (as_json.headers["Content-Type"], as_html.headers["Content-Type"]) == (JSON, HTML)
    assert as_json.headers["Vary"] == as_html.headers["Vary"] == "Accept"


def test_points_48_and_52_and_53_files_and_their_metadata_are_those_of_the_page(open_loopback: Open) -> None:
    with open_loopback("emilie/prod") as server:
        (file,) = server.get("helper/").json()["files"]
        url = f"helper/{file['url']}"
        assert server.get(url).content == wheel("helper", "1.0")[1]
        metadata = server.get(f"{url}.metadata").content
        head = requests.head(server.url + url, timeout=10)
    assert hashlib.sha256(metadata).hexdigest() == file["core-metadata"]["sha256"]
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(file["size"]), b"")


def test_points_42_and_43_another_spelling_of_a_project_is_redirected(open_loopback: Open) -> None:
    with open_loopback("emilie/prod") as server:
        answers = [server.get(path) for path in ("dotted-name", "Dotted.Name/", "dotted__name/")]
    assert {(answer.status_code, answer.headers["Location"]) for answer in answers} == {
        (301, "/emilie/prod/simple/dotted-name/")
    }


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..%2F..%2F/",
        "%00/",
        "a%2Fb/",
        "../../../files/",
        "../../../files/..%2Fgitindex.toml",
        "../../../gitindex.toml",
    ],
)
def test_point_56_what_is_no_project_and_no_file_is_not_found(open_loopback: Open, path: str) -> None:
    with open_loopback("emilie/prod") as server:
        assert server.get(path).status_code == 404


def test_point_57_the_port_is_closed_when_the_installer_is_done(open_loopback: Open) -> None:
    with open_loopback("emilie/prod") as server:
        assert server.get("demo/").status_code == 200
    with pytest.raises(requests.ConnectionError):
        server.get("demo/")


def test_point_30_a_quarantined_project_is_there_and_empty(open_loopback: Open) -> None:
    with open_loopback("emilie/prod") as server:
        assert filenames(server.get("contained/")) == []


def test_point_67_a_project_of_ours_and_a_reserved_name_are_never_asked_upstream(
    open_loopback: Open, upstream: SiteServer, define: Define
) -> None:
    with open_loopback(define({"mirror_url": f"{upstream.url}/world/dev/simple/"})) as server:
        ours = filenames(server.get("demo/"))
        assert filenames(server.get("acme-secret/")) == []
        quarantined = filenames(server.get("contained/"))
    assert "demo-9.0-py3-none-any.whl" not in ours
    assert len(ours) == 3
    assert quarantined == []
    assert upstream.log == []


def test_a_name_that_only_the_mirror_has_is_redirected_to_its_page(
    open_loopback: Open, upstream: SiteServer, define: Define
) -> None:
    url = f"{upstream.url}/world/dev/simple"
    with open_loopback(define({"mirror_url": url})) as server:
        answer = server.get("popular/")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{url}/popular/")


def test_point_44_a_name_that_a_filtered_mirror_does_not_show_or_have_is_not_found(
    open_loopback: Open, upstream: SiteServer, define: Define
) -> None:
    url = f"{upstream.url}/world/dev/simple/"
    curated = define({"mirror_url": url, "allow": ["popular"]})
    with open_loopback(curated) as server:
        assert server.get("fresh/").status_code == 404
    assert upstream.log == []
    with open_loopback(define({"mirror_url": url, "mirror_min_age": "7d"})) as server:
        assert server.get("nowhere/").status_code == 404


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({"deny": ["popular<2"]}, ["2.0"]),
        ({"deny": ["Popular >= 2"]}, ["1.0"]),
        ({"allow": ["popular-base", "popular==1.*"]}, ["1.0"]),
        ({"allow": ["popular<2", "popular>=2"]}, ["1.0", "2.0"]),
        ({"allow": ["popular"], "deny": ["popular==2.0"]}, ["1.0"]),
        ({"mirror_min_age": "7d"}, ["1.0", "2.0"]),
        ({"mirror_min_age": "999999999w"}, []),
    ],
)
def test_a_mirror_shows_what_its_filters_leave(
    open_loopback: Open, upstream: SiteServer, define: Define, filters: dict[str, Any], shown: list[str]
) -> None:
    with open_loopback(define({"mirror_url": f"{upstream.url}/world/dev/simple/", **filters})) as server:
        answer = server.get("popular/")
    assert filenames(answer) == [f"popular-{version}-py3-none-any.whl" for version in shown]
    assert answer.json()["versions"] == shown


def test_points_58_and_59_and_61_a_filtered_page_keeps_what_the_upstream_states(
    open_loopback: Open, upstream: SiteServer, define: Define
) -> None:
    url = f"{upstream.url}/world/dev/simple/"
    with open_loopback(define({"mirror_url": url, "mirror_min_age": "1s"})) as server:
        (theirs,) = server.get("popular-base/").json()["files"]
    (stated,) = requests.get(f"{url}popular-base/", headers={"Accept": JSON}, timeout=10).json()["files"]
    assert theirs == stated | {"url": requests.compat.urljoin(f"{url}popular-base/", stated["url"])}


def test_a_filter_of_one_project_leaves_the_others_to_the_upstreams_own_page(
    open_loopback: Open, upstream: SiteServer, define: Define
) -> None:
    mirror = {"deny": ["fresh<2"], "mirror_min_age": "7d", "mirror_min_age_exempt": ["Popular"]}
    with open_loopback(define({"mirror_url": f"{upstream.url}/world/dev/simple/", **mirror})) as server:
        assert server.get("popular/").status_code == 302
        assert filenames(server.get("fresh/")) == []


def test_a_whitelisted_project_has_the_files_of_both_and_a_filename_of_ours_wins(
    open_loopback: Open, upstream: SiteServer, define: Define
) -> None:
    above = define({"mirror_url": f"{upstream.url}/world/dev/simple/"}, mirror_whitelist=["demo"])
    with open_loopback(above) as server:
        page = server.get("demo/")
    assert filenames(page) == [
        "demo-1.0-py3-none-any.whl",
        "demo-1.0.tar.gz",
        "demo-2.0-py3-none-any.whl",
        "demo-9.0-py3-none-any.whl",
    ]
    assert page.json()["versions"] == ["1.0", "2.0", "9.0"]
    ours = hashlib.sha256(wheel("demo", "2.0", requires=["helper"])[1]).hexdigest()
    assert page.json()["files"][2]["hashes"] == {"sha256": ours}


def test_point_45_a_lost_upstream_is_503_and_never_404_and_breaks_nothing_of_ours(
    open_loopback: Open, define: Define
) -> None:
    lost = define({"mirror_url": f"{NOWHERE}/simple/", "mirror_min_age": "7d"}, mirror_whitelist=["demo"])
    with open_loopback(lost) as server:
        assert server.get("popular/").status_code == 503
        assert len(filenames(server.get("helper/"))) == 1
        assert len(filenames(server.get("demo/"))) == 3
    assert [str(problem).split(" (")[0] for problem in server.problems] == [
        f"root/m1: {NOWHERE}/simple/ does not answer for {name} with a page" for name in ("popular", "demo")
    ]


def test_point_45_an_upstream_that_answers_no_page_is_503(open_loopback: Open, define: Define, tmp_path: Path) -> None:
    (tmp_path / "simple" / "popular").mkdir(parents=True)
    (tmp_path / "simple" / "popular" / "index.json").write_text(json.dumps({"meta": {"api-version": "9.0"}}))
    (tmp_path / "simple" / "helpful").mkdir()
    (tmp_path / "simple" / "helpful" / "index.json").write_text("<html>Please log in</html>")
    with (
        SiteServer(tmp_path) as broken,
        open_loopback(define({"mirror_url": f"{broken.url}/simple/", "mirror_min_age": "7d"})) as server,
    ):
        assert server.get("popular/").status_code == 503
        assert server.get("helpful/").status_code == 503


def test_of_two_mirrors_the_first_that_has_a_project_answers_alone(
    open_loopback: Open, upstream: SiteServer, define: Define, tmp_path: Path
) -> None:
    (tmp_path / "simple").mkdir()
    world = {"mirror_url": f"{upstream.url}/world/dev/simple/"}
    with SiteServer(tmp_path) as empty:
        above = define({"mirror_url": f"{empty.url}/simple/"}, world, world | {"deny": ["popular<2"]})
        with open_loopback(above) as server:
            assert len(filenames(server.get("popular/"))) == 2
    assert [request.status for request in empty.log] == [404]
    assert len(upstream.log) == 1


def test_a_filter_that_makes_no_sense_closes_the_project_and_not_the_mirror(
    open_loopback: Open, upstream: SiteServer, define: Define
) -> None:
    above = define({"mirror_url": f"{upstream.url}/world/dev/simple/", "deny": ["popular<<2"]})
    with open_loopback(above) as server:
        assert server.get("popular/").status_code == 503
        assert server.get("fresh/").status_code == 302
    (problem,) = server.problems
    assert problem.message == (
        "indexes/root/m1/index.toml: deny has 'popular<<2', which is no name with version specifiers"
    )


def test_mirror_min_age_counts_from_the_upload_whatever_the_host_negotiates(upstream: SiteServer, world: Site) -> None:
    def shown(server: SiteServer, age: str, now: datetime | None = None) -> list[str]:
        mirror = Mirror(type="mirror", mirror_url=f"{server.url}/world/dev/simple/", mirror_min_age=age)
        shown_mirror = Upstream(IndexName(UserName("root"), "world"), mirror)
        page = Upstreams(None).page(shown_mirror, ProjectName("fresh"))
        assert page is not None
        return [file.version for file in shown_mirror.filters.shown(page, now or datetime.now(UTC)).files]

    assert shown(upstream, "7d") == ["1.0"]
    assert shown(upstream, "7d", datetime.now(UTC) + timedelta(days=8)) == ["1.0", "2.0"]
    with SiteServer(world.folder, negotiates=False) as html_alone:  # our HTML says it, too
        assert shown(html_alone, "7d") == ["1.0"]


def test_an_upstream_that_is_a_mirror_without_an_answer_raises_one_line() -> None:
    mirror = Mirror(type="mirror", mirror_url=f"{NOWHERE}/simple/")
    with pytest.raises(CannotRunError, match=r"^root/world: http://127\.0\.0\.1:9/simple/ does not answer for demo"):
        Upstreams(None).page(Upstream(IndexName(UserName("root"), "world"), mirror), ProjectName("demo"))
