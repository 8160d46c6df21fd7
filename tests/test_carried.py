"""What mirrors have, carried in a site: fetched as `serve` would, joined, updated, and copied."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from gitindex import layout
from gitindex.carried import Carried
from gitindex.names import IndexName, ProjectName, Sha256, UserName, parse_index_name
from gitindex.pages import FilePage, ProjectPage
from tests import hosts
from tests.builders import make_wheel, metadata
from tests.conftest import Run
from tests.hosts import Host
from tests.repositories import IndexRepository, files_below, make_repository, small_content
from tests.test_site_update import STAGES, Commits, anew, site, start, touch
from tests.upstream.pages import JSON, page as upstream_page, sent

PYPI = IndexName(UserName("root"), "pypi")


def theirs(name: str, *versions: str, size: int | None = 7) -> ProjectPage:
    def file(version: str) -> FilePage:
        filename = f"{name}-{version}.tar.gz"
        return FilePage(filename, version, PYPI, f"https://f.example.org/{filename}", Sha256("a" * 64), size)

    return ProjectPage(ProjectName(name), versions, tuple(map(file, versions)))


def carried(pages: dict[str, dict[str, ProjectPage]], *files: str) -> Carried:
    named = {
        parse_index_name(stage): {ProjectName(n): page for n, page in each.items()} for stage, each in pages.items()
    }
    return Carried({stage: each for stage, each in named.items() if stage is not None}, frozenset(files))


def names_in(out: Path, index: str) -> list[str]:
    return [project["name"] for project in json.loads((out / index / "simple/index.json").read_text())["projects"]]


# The site


def test_carried_pages_are_listed_and_joined_with_ours(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "git")
    commits.commit(start())
    out = tmp_path / "site"
    pages = {"emilie/dev": {"django": theirs("django", "5.0"), "beta": theirs("beta", "9.0")}}
    commits.render(out, carried=carried(pages))
    assert names_in(out, "emilie/dev") == ["alpha", "beta", "django"]
    assert names_in(out, "emilie/prod") == ["alpha", "beta"]
    assert json.loads((out / "emilie/dev/simple/django/index.json").read_text())["versions"] == ["5.0"]
    assert json.loads((out / "emilie/dev/simple/beta/index.json").read_text())["versions"] == ["1.0", "1.1", "9.0"]
    assert (
        "https://f.example.org/django-5.0.tar.gz#sha256=" in (out / "emilie/dev/simple/django/index.html").read_text()
    )
    assert not (out / "emilie/dev/project/django").exists()


def test_an_update_looks_at_what_mirrors_have_anew_and_at_nothing_else(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "git")
    commits.commit(start())
    out = tmp_path / "site"
    pages = {"emilie/dev": {"django": theirs("django", "5.0"), "flask": theirs("flask", "1.0")}}
    commits.render(out, carried=carried(pages))
    assert commits.render(out, carried=carried(pages)).written == 0
    pages["emilie/dev"]["django"] = theirs("django", "5.0", "5.1")
    report = commits.render(out, carried=carried(pages))
    assert (report.since, report.projects, report.written) == (str(commits.last), 1, 2)
    del pages["emilie/dev"]["flask"]
    report = commits.render(out, carried=carried(pages))
    assert (report.projects, report.removed) == (1, 2)
    assert names_in(out, "emilie/dev") == ["alpha", "beta", "django"]
    assert site(out) == anew(commits, tmp_path / "full", carried=carried(pages))
    commits.render(out)
    assert site(out) == anew(commits, tmp_path / "full")


def test_a_page_whose_mirror_states_no_size_is_html_alone(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "git")
    commits.commit(start())
    out = tmp_path / "site"
    for size in (7, None):
        found = carried({"emilie/dev": {"django": theirs("django", "5.0", size=size)}})
        commits.render(out, carried=found)
        assert (out / "emilie/dev/simple/django/index.html").is_file()
        assert (out / "emilie/dev/simple/django/index.json").is_file() is (size is not None)
        assert site(out) == anew(commits, tmp_path / "full", carried=found)


def test_copies_stay_while_a_page_has_them(tmp_path: Path) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    commits.commit(content)
    out, copy = tmp_path / "site", layout.stored_path("a" * 64, "django-5.0.tar.gz")
    shared = content.stored("emilie/dev", "beta", "1.1")
    pages = {"emilie/dev": {"django": theirs("django", "5.0")}}
    commits.render(out)
    (out / copy).parent.mkdir(parents=True)
    (out / copy).write_bytes(b"7 bytes")
    commits.render(out, carried=carried(pages, copy, shared))
    commits.render(out, carried=carried(pages, copy, shared), full=True)
    assert (out / copy).is_file()
    del content["indexes/emilie/dev/beta/1.1.json"]
    commits.commit(content)
    commits.render(out, carried=carried(pages, copy, shared))
    assert (out / shared).is_file()
    commits.render(out, carried=carried(pages))
    assert not (out / copy).exists()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.integers(2, 6))
def test_an_update_gives_what_a_full_rendering_gives_whatever_mirrors_have(
    tmp_path: Path, seed: int, steps: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - hypothesis draws the seed
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    commits, content = Commits(folder / "git"), start()
    commits.commit(content)
    for _ in range(steps):
        for _ in range(draw.choice((0, 1, 2))):
            touch(content, draw)
        commits.commit(content)
        pages: dict[str, dict[str, ProjectPage]] = {}
        for name in draw.sample(["alpha", "beta", "django", "flask", "omega"], draw.randrange(5)):
            one = theirs(name, *draw.choice((["1.0"], ["1.0", "9.0"], [])), size=draw.choice((7, 7, None)))
            for stage in draw.sample(STAGES, draw.randrange(3)):
                pages.setdefault(stage, {})[name] = one
        commits.render(folder / "site", carried=carried(pages))
        assert site(folder / "site") == anew(commits, folder / "full", carried=carried(pages))


# Fetched from an upstream


@pytest.fixture
def upstream() -> Any:
    with Host() as host:
        yield host


def etag_of(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()}"'


def offer(host: Host, name: str, *versions: str, **stated: Any) -> list[dict[str, Any]]:
    """Let the upstream have wheels of a project; *stated* is what its page says of each beside the usual."""
    files = []
    for version in versions:
        filename, data = make_wheel(name, version)
        known = {
            "filename": filename,
            "url": host.on(f"/files/{filename}", data),
            "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
            "size": len(data),
            "upload-time": "2020-01-01T00:00:00Z",
            "core-metadata": {"sha256": "0" * 64},
        }
        files.append({key: value for key, value in {**known, **stated}.items() if value is not None})
    data = upstream_page(*files, name=name)
    host.on(f"/simple/{name}/", hosts.validated(data, etag_of(data), Content_Type=JSON))
    return files


def curated(tmp_path: Path, host: Host, *allow: str, **more: Any) -> IndexRepository:
    content = small_content(names={"reserved": ["acme-*"]})
    content.mirror("root/pypi", mirror_url=f"{host.url}/simple/", allow=list(allow), mirror_cache_expiry=0, **more)
    content.release("emilie/prod", "billing", "1.0")
    return make_repository(tmp_path / "repository", content)


def rendered(run: Run, repository: IndexRepository, out: Path, *arguments: str) -> dict[str, Any]:
    result = run("-C", str(repository.path), "render", "--out", str(out), "--json", *arguments)
    assert result.code == 0, result
    answer: dict[str, Any] = json.loads(result.out)
    return answer


def versions(out: Path, index: str, name: str) -> list[str]:
    found: list[str] = json.loads((out / index / "simple" / name / "index.json").read_text())["versions"]
    return found


def test_github_pages_carries_what_the_mirror_allows_and_asks_for_nothing_of_ours(
    run: Run, tmp_path: Path, upstream: Host
) -> None:
    for name in ("django", "billing", "acme-secret", "flask", "young"):
        offer(upstream, name, "1.0", "2.0")
    offer(upstream, "young", "1.0", **{"upload-time": "2999-01-01T00:00:00Z"})
    repository = curated(
        tmp_path,
        upstream,
        "django<2",
        "billing",
        "acme-secret",
        "young",
        "gone",
        "flask",
        deny=["flask"],
        mirror_min_age="7d",
    )
    out = tmp_path / "site"
    answer = rendered(run, repository, out, "--host", "github-pages")
    assert versions(out, "emilie/prod", "django") == versions(out, "emilie/dev", "django") == ["1.0"]
    assert versions(out, "emilie/prod", "billing") == ["1.0"]
    assert names_in(out, "emilie/dev") == ["billing", "django", "young"]
    assert "nothing is shown of young" in " ".join(answer["notes"])
    assert "no upstream has gone" in " ".join(answer["notes"])
    assert sorted(upstream.paths) == ["/simple/django/", "/simple/gone/", "/simple/young/"]
    assert (out / ".nojekyll").is_file()
    html = (out / "emilie/prod/simple/django/index.html").read_text()
    assert f'href="{upstream.url}/files/django-1.0-py3-none-any.whl#sha256=' in html
    assert 'data-core-metadata="sha256=0000' in html


def test_pages_that_did_not_change_are_not_sent_again_nor_written(run: Run, tmp_path: Path, upstream: Host) -> None:
    offer(upstream, "django", "1.0")
    repository, out = curated(tmp_path, upstream, "django"), tmp_path / "site"
    rendered(run, repository, out, "--host", "github-pages")
    assert rendered(run, repository, out, "--host", "github-pages")["written"] == 0
    assert "If-None-Match" in upstream.requests[-1].headers
    offer(upstream, "django", "1.0", "1.1")
    assert rendered(run, repository, out, "--host", "github-pages")["written"] == 4


@pytest.mark.parametrize("answer", [hosts.status(503), hosts.status(403), sent(b"nonsense")])
def test_upstream_that_does_not_answer_leaves_the_site_as_it_was(
    run: Run, tmp_path: Path, upstream: Host, answer: hosts.Answer
) -> None:
    offer(upstream, "django", "1.0")
    upstream.on("/simple/flask/", answer)
    repository, out = curated(tmp_path, upstream, "django", "flask"), tmp_path / "site"
    result = run("-C", str(repository.path), "render", "--out", str(out), "--host", "github-pages")
    assert result.code == 3
    assert "root/pypi" in result.err
    assert result.err.count("\n") == 1
    assert not out.exists()


def test_mirror_without_a_list_is_passed_over_and_told(run: Run, tmp_path: Path, upstream: Host) -> None:
    content = small_content()
    content.mirror("root/pypi", mirror_url=f"{upstream.url}/simple/").mirror(
        "root/two", mirror_url=f"{upstream.url}/two/", allow=["django"]
    )
    content.stage("emilie/dev", bases=["emilie/prod", "root/two"])
    content.stage("bob/dev", bases=["root/two", "root/pypi"]).user("bob")
    upstream.on("/two/django/", sent(upstream_page(name="django")))
    repository, out = make_repository(tmp_path / "repository", content), tmp_path / "site"
    notes = rendered(run, repository, out, "--host", "github-pages")["notes"]
    assert any("root/pypi has no list of what it allows" in note for note in notes)
    assert names_in(out, "bob/dev") == ["django"]
    assert upstream.paths == ["/two/django/"]
    # Breadth first: emilie/dev meets root/two before root/pypi, which is a base of its base.
    assert names_in(out, "emilie/dev") == ["django"]


def test_the_first_of_two_mirrors_answers_alone_unless_they_are_merged(
    run: Run, tmp_path: Path, upstream: Host
) -> None:
    content = small_content()
    for number in (1, 2):
        content.mirror(f"root/m{number}", mirror_url=f"{upstream.url}/m{number}/", allow=["django", "second"])
        file = {"filename": f"django-{number}.0.tar.gz", "url": f"{upstream.url}/x/django-{number}.0.tar.gz"}
        upstream.on(f"/m{number}/django/", sent(upstream_page({**file, "hashes": {}, "size": 1})))
    upstream.on("/m2/second/", sent(upstream_page(name="second")))
    content.stage("emilie/one", bases=["root/m1", "root/m2"])
    content.stage("emilie/both", bases=["root/m1", "root/m2"], merge_mirrors=True)
    for number in (1, 2):
        file = {"filename": f"django-{number}.0.tar.gz", "url": f"{upstream.url}/x/django-{number}.0.tar.gz"}
        upstream.on(f"/m{number}/django/", sent(upstream_page({**file, "hashes": {}, "size": 1}, name="django")))
    repository, out = make_repository(tmp_path / "repository", content), tmp_path / "site"
    rendered(run, repository, out, "--host", "github-pages")
    assert versions(out, "emilie/one", "django") == ["1.0"]
    assert versions(out, "emilie/both", "django") == ["1.0", "2.0"]
    assert names_in(out, "emilie/one") == ["django", "second"]


# Copied


def test_copies_are_checked_linked_and_not_fetched_again(run: Run, tmp_path: Path, upstream: Host) -> None:
    offer(upstream, "django", "1.0", "1.0+local.1")
    repository, out = curated(tmp_path, upstream, "django"), tmp_path / "site"
    rendered(run, repository, out, "--vendor-files")
    page = json.loads((out / "emilie/prod/simple/django/index.json").read_text())
    for file in page["files"]:
        copy = (out / "emilie/prod/simple/django" / file["url"].replace("%2B", "+")).resolve()
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == file["hashes"]["sha256"]
        beside = copy.with_name(f"{copy.name}.metadata").read_bytes()
        assert beside == metadata("django", copy.name.split("-")[1])
        assert file["core-metadata"] == {"sha256": hashlib.sha256(beside).hexdigest()}
    before, asked_for = files_below(out), len(upstream.requests)
    assert rendered(run, repository, out, "--vendor-files")["written"] == 0
    assert files_below(out) == before
    assert upstream.paths[asked_for:] == ["/simple/django/"]
    rendered(run, repository, out, "--vendor-files", "--full")
    assert [path for path in upstream.paths[asked_for:] if path.startswith("/files/")] == []
    offer(upstream, "django", "1.0+local.1")
    rendered(run, repository, out, "--vendor-files")
    assert sorted(path.name for path in (out / "files").rglob("django*")) == [
        "django-1.0+local.1-py3-none-any.whl",
        "django-1.0+local.1-py3-none-any.whl.metadata",
    ]


def test_publish_brings_what_mirrors_allow(run: Run, tmp_path: Path, upstream: Host) -> None:
    offer(upstream, "django", "1.0")
    repository, target = curated(tmp_path, upstream, "django"), tmp_path / "target"
    publish = ("-C", str(repository.path), "publish", "--to", f"file://{target}", "--json")
    assert run(*publish, "--carry").code == 0
    page = json.loads((target / "emilie/prod/simple/django/index.json").read_text())
    assert page["files"][0]["url"].startswith(upstream.url)
    assert run(*publish, "--vendor-files").code == 0
    page = json.loads((target / "emilie/prod/simple/django/index.json").read_text())
    copy = (target / "emilie/prod/simple/django" / page["files"][0]["url"]).resolve()
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == page["files"][0]["hashes"]["sha256"]
    gone = run(*publish)
    assert gone.code == 1
    assert "of indexes that are non-volatile: emilie/prod/simple/django/index.html" in gone.err


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"size": 3}, "has more bytes than the 3 that the page states"),
        ({"size": 10**6}, "has fewer bytes than the 1,000,000 that the page states"),
        ({"hashes": {"sha256": "0" * 64}}, "the page states 0000"),
        ({"hashes": {"sha256": "0" * 64}, "size": None}, "the page states 0000"),
    ],
)
def test_a_copy_that_is_not_what_the_page_says_stops_the_rendering(
    run: Run, tmp_path: Path, upstream: Host, stated: dict[str, Any], message: str
) -> None:
    offer(upstream, "django", "1.0", **stated)
    repository, out = curated(tmp_path, upstream, "django"), tmp_path / "site"
    result = run("-C", str(repository.path), "render", "--out", str(out), "--vendor-files")
    assert result.code == 3
    assert message in result.err
    assert result.err.count("\n") == 1
    assert [path.name for path in out.rglob("*") if path.is_file()] == [".gitindex-site"]


def test_copies_that_came_before_another_failed_are_taken_over(run: Run, tmp_path: Path, upstream: Host) -> None:
    offer(upstream, "django", "1.0")
    offer(upstream, "flask", "1.0")
    repository, out = curated(tmp_path, upstream, "django", "flask"), tmp_path / "site"
    good = upstream._answers["/files/flask-1.0-py3-none-any.whl"]
    upstream.on("/files/flask-1.0-py3-none-any.whl", hosts.status(404))
    result = run("-C", str(repository.path), "render", "--out", str(out), "--vendor-files")
    assert (result.code, "flask-1.0-py3-none-any.whl: root/pypi: " in result.err) == (3, True)
    assert not list(out.glob("*/*/simple"))
    upstream.on("/files/flask-1.0-py3-none-any.whl", *good)
    rendered(run, repository, out, "--vendor-files")
    assert names_in(out, "emilie/prod") == ["billing", "django", "flask"]


def test_a_file_without_a_digest_is_not_copied_and_told(run: Run, tmp_path: Path, upstream: Host) -> None:
    offer(upstream, "django", "1.0", hashes={})
    repository, out = curated(tmp_path, upstream, "django"), tmp_path / "site"
    notes = rendered(run, repository, out, "--vendor-files")["notes"]
    assert any("no digest is stated of django-1.0-py3-none-any.whl" in note for note in notes)
    assert json.loads((out / "emilie/prod/simple/django/index.json").read_text())["files"] == []
    assert not any(path.startswith("/files/") for path in upstream.paths)


def test_a_wheel_without_metadata_promises_none(run: Run, tmp_path: Path, upstream: Host) -> None:
    data = b"no wheel at all"
    (file,) = offer(upstream, "django", "1.0", hashes={"sha256": hashlib.sha256(data).hexdigest()}, size=len(data))
    upstream.on(f"/files/{file['filename']}", data)
    repository, out = curated(tmp_path, upstream, "django"), tmp_path / "site"
    rendered(run, repository, out, "--vendor-files")
    (shown,) = json.loads((out / "emilie/prod/simple/django/index.json").read_text())["files"]
    assert "core-metadata" not in shown


def test_links_in_the_folder_are_not_followed(run: Run, tmp_path: Path, upstream: Host) -> None:
    (file,) = offer(upstream, "django", "1.0")
    repository, out = curated(tmp_path, upstream, "django"), tmp_path / "site"
    rendered(run, repository, out)
    outside = tmp_path / "outside"
    outside.mkdir()
    sha256 = file["hashes"]["sha256"]
    shutil.rmtree(out / "files" / sha256[:2], ignore_errors=True)
    (out / "files" / sha256[:2]).symlink_to(outside)
    rendered(run, repository, out, "--vendor-files")
    assert list(outside.iterdir()) == []
    assert (out / layout.stored_path(sha256, file["filename"])).is_file()
