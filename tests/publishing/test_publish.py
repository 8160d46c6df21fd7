"""Publishing to a folder and to S3: what is uploaded, what is removed, and what is refused."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from gitindex.errors import CannotRunError, UsageError
from gitindex.media import FILES_CACHE, PAGES_CACHE
from gitindex.objects import Headers, Objects, read_location
from gitindex.publish import publish
from gitindex.publish.kinds import headers_of, is_site_path
from gitindex.publish.log import HEADERS, HeldError, Lease, Log
from gitindex.publish.planning import WouldUndoError
from gitindex.publish.record import BadRecordError, data_path, log_path, name_for, shard_count
from gitindex.server import answers
from tests.conftest import Run
from tests.publishing.sites import ME, OTHER, Site, changed, content
from tests.publishing.stores import crawl, getter, published, records, running_s3
from tests.repositories import Content, IndexRepository, make_repository


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.render(content())
    return made


def test_first_publish_brings_all_and_a_record_of_it(site: Site, target: str) -> None:
    report = site.publish(target)
    assert published(target) == site.files
    assert sorted(report.written) == sorted(site.files)
    assert (report.removed, report.unchanged, report.before) == ((), 0, None)
    assert crawl(getter(target))[1] == []
    assert len(records(target)) == 2


def test_second_publish_brings_what_differs_and_removes_what_is_gone(site: Site, target: str) -> None:
    site.publish(target)
    before, first = site.files, str(site.commits.last)
    site.render(changed(content()))
    report = site.publish(target)
    assert published(target) == site.files
    assert set(report.written) == {path for path, data in site.files.items() if before.get(path) != data}
    assert set(report.removed) == before.keys() - site.files.keys() != set()
    assert report.before == first
    assert len(records(target)) == 2  # what older records were made of is gone


def test_publish_of_the_same_writes_nothing_at_all(site: Site, target: str) -> None:
    site.publish(target)
    before = records(target)
    report = site.publish(target)
    assert (report.written, report.removed, report.unchanged) == ((), (), len(site.files))
    assert records(target) == before


def test_another_revision_of_the_same_bytes_is_remembered(site: Site, target: str) -> None:
    site.publish(target)
    site.commits.commit(Content(content() | {"README.md": b"Nothing of the site."}))
    report = site.publish(target)
    assert report.written == ()
    newest, _ = Log(Objects(read_location(target))).newest()
    assert newest is not None
    assert newest.revision == str(site.commits.last)


def test_order_is_files_pages_lists_and_removals_last(site: Site, target: str) -> None:
    site.publish(target)
    site.render(changed(content()))
    report = site.publish(target)
    order = {path: place for place, path in enumerate(report.written)}
    files = [place for path, place in order.items() if path.startswith("files/")]
    new = order["emilie/prod/simple/gamma/index.html"]
    assert max(files) < new < order["emilie/prod/project/gamma/index.html"] < order["emilie/prod/simple/index.html"]
    assert order["bob/lab/simple/alpha/index.html"] < order["bob/lab/index.html"]
    assert order["bob/lab/index.html"] < order["emilie/prod/simple/alpha/index.html"]  # new before changed
    assert order["emilie/prod/simple/alpha/index.html"] < order["emilie/prod/simple/index.html"]
    assert report.written[-1] == "index.html"
    gone = list(report.removed)
    assert gone.index("emilie/dev/project/beta/index.html") < gone.index("emilie/dev/simple/beta/index.html")
    assert gone[-1].startswith("files/")


def test_dry_run_writes_nothing_and_tells_all(site: Site, target: str, tmp_path: Path) -> None:
    report = site.publish(target, dry_run=True)
    assert sorted(report.written) == sorted(site.files)
    assert not (tmp_path / "published").exists()
    site.publish(target)
    before, record = published(target), records(target)
    site.render(changed(content()))
    told = site.publish(target, dry_run=True)
    assert (published(target), records(target)) == (before, record)
    assert site.publish(target)[:2] == told[:2]


def test_objects_have_the_headers_that_the_server_sends(site: Site, bucket: str) -> None:
    site.publish(bucket)
    store = S3Store(read_location(bucket).bucket, prefix=read_location(bucket).prefix)
    wheel = next(path for path in site.files if path.endswith(".whl"))
    sent = {path: obstore.get(store, path).attributes for path in site.files}
    assert sent[wheel] == {"Content-Type": answers.BYTES.decode(), "Cache-Control": answers.FOR_EVER.decode()}
    pages = {"Cache-Control": answers.FOR_PAGES.decode()}
    assert sent["index.html"] == pages | {"Content-Type": answers.HTML.decode()}
    assert sent["emilie/prod/simple/alpha/index.html"] == pages | {"Content-Type": answers.HTML.decode()}
    json_type = "application/vnd.pypi.simple.v1+json"
    assert sent["emilie/prod/simple/index.json"] == pages | {"Content-Type": json_type}
    assert sent["emilie/prod/feed.xml"] == pages | {"Content-Type": answers.ATOM.decode()}
    assert sent["+site/style.css"] == pages | {"Content-Type": answers.STATICS["+site/style.css"].decode()}
    assert sent[wheel + ".metadata"]["Cache-Control"] == FILES_CACHE
    assert headers_of("files/00/11/a.whl.provenance").cache_control == PAGES_CACHE  # it may be added to


def test_headers_that_change_are_a_change(site: Site, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(target)
    monkeypatch.setattr("gitindex.publish.folder.headers_of", lambda _: Headers("text/plain", PAGES_CACHE))
    assert sorted(site.publish(target).written) == sorted(site.files)


def test_full_uploads_what_somebody_else_removed(site: Site, target: str) -> None:
    site.publish(target)
    Objects(read_location(target)).delete(["emilie/prod/simple/alpha/index.html"])
    assert site.publish(target).written == ()
    assert sorted(site.publish(target, full=True).written) == sorted(site.files)
    assert published(target) == site.files


def test_large_record_is_in_parts_and_an_update_touches_few(site: Site, tmp_path: Path) -> None:
    target = f"file://{tmp_path}/large"
    for number in range(2500):
        (site.folder / "+site" / f"{number}.txt").write_text(str(number))
    site.publish(target)
    parts = {path for path in records(target) if "/data/" in path}
    assert len(parts) == shard_count(2500) == 16
    (site.folder / "+site" / "7.txt").write_text("another")
    (site.folder / "+site" / "8.txt").unlink()
    report = site.publish(target)
    assert (report.written, report.removed) == (("+site/7.txt",), ("+site/8.txt",))
    assert report.unchanged == len(site.files) - 1
    assert len({path for path in records(target) if "/data/" in path} - parts) <= 2
    for path in (site.folder / "+site").glob("1*.txt"):
        path.unlink()
    for path in (site.folder / "+site").glob("2*.txt"):
        path.unlink()
    site.publish(target)
    assert published(target) == site.files
    assert shard_count(len(site.files)) == 1


# What is not done


def test_what_no_publish_wrote_is_never_removed(site: Site, target: str) -> None:
    site.publish(target)
    objects = Objects(read_location(target))
    for path in ("files/00/other.txt", "emilie/prod/simple/theirs/index.html", "other.txt"):
        objects.put(path, b"somebody else's", Headers("text/plain", "no-store"))
    site.render(changed(content()))
    site.publish(target)
    assert set(published(target)) - set(site.files) == {
        "files/00/other.txt",
        "emilie/prod/simple/theirs/index.html",
        "other.txt",
    }


def test_place_with_files_of_others_is_refused(site: Site, target: str) -> None:
    objects = Objects(read_location(target))
    objects.put("files/00/11/kept-in-a-storage.whl", b"1", Headers("text/plain", "no-store"))
    objects.put("notes.txt", b"somebody else's", Headers("text/plain", "no-store"))
    with pytest.raises(WouldUndoError, match=r"such as notes\.txt; .*--force"):
        site.publish(target)
    objects.delete(["notes.txt"])
    site.publish(target)  # a storage may lie there
    assert "files/00/11/kept-in-a-storage.whl" in published(target)


def test_pages_of_nonvolatile_indexes_are_removed_only_where_it_is_said(site: Site, target: str) -> None:
    site.publish(target)
    before = published(target)
    after = content()
    for path in [path for path in after if path.startswith("indexes/emilie/prod/alpha/")]:
        del after[path]
    site.render(after)
    with pytest.raises(
        WouldUndoError, match=r"of indexes that are non-volatile: emilie/prod/project/alpha/index\.html"
    ) as refused:
        site.publish(target)
    planned = site.publish(target, dry_run=True)
    assert str(planned.refused) == str(refused.value)
    gone = len(planned.removed)
    assert str(refused.value).endswith(f"--max-delete {gone}")
    assert site.publish(target, max_delete=100, dry_run=True) == planned._replace(refused=None)
    with pytest.raises(WouldUndoError, match=rf"more than --max-delete {gone - 1}:.*--max-delete {gone}"):
        site.publish(target, max_delete=gone - 1)
    with pytest.raises(WouldUndoError):
        site.publish(target, max_delete=0, force=True)
    assert published(target) == before
    site.publish(target, max_delete=gone)
    assert published(target) == site.files


def test_index_that_is_gone_was_nonvolatile_by_the_record(site: Site, target: str) -> None:
    site.publish(target)
    wanted = site.wanted(lasting=())  # a revision in which nothing is non-volatile any more
    files = {path: entry for path, entry in wanted.files.items() if not path.startswith("emilie/prod/")}
    with pytest.raises(WouldUndoError, match="non-volatile"):
        publish(Objects(read_location(target)), wanted._replace(files=files), may_follow=lambda _: None)


# Two at once


def test_publish_waits_for_nobody_and_says_who_is_there(site: Site, target: str) -> None:
    log = Log(Objects(read_location(target)))
    site.publish(target)
    last, held = log.newest()
    lease = log.begin(last, held, OTHER, "a" * 40)
    with pytest.raises(HeldError, match=r"of aaaaaaaaaaaa, is under way there; wait for it"):
        site.publish(target)
    site.publish(target, force=True, full=True)
    with pytest.raises(HeldError, match="another publish has taken over"):
        lease.finish([], [])
    assert published(target) == site.files


def test_own_publish_that_was_broken_off_is_taken_over_at_once(site: Site, target: str) -> None:
    log = Log(Objects(read_location(target)))
    log.begin(None, None, ME, "a" * 40)
    site.publish(target, ME)
    assert published(target) == site.files


def test_of_two_that_begin_one_gets_the_target(site: Site, target: str) -> None:
    site.publish(target)
    log = Log(Objects(read_location(target)))
    last, held = log.newest()
    log.begin(last, held, ME, "a" * 40)
    with pytest.raises(HeldError, match="has just begun"):
        log.begin(last, held, OTHER, "b" * 40)


def test_who_looked_long_ago_does_not_begin_where_others_have_been(site: Site, target: str) -> None:
    site.publish(target)
    log = Log(Objects(read_location(target)))
    old, held = log.newest()
    for text in ("a", "b"):
        site.render(Content(content() | {"README.md": text.encode()}))
        site.publish(target)
    before = records(target)
    with pytest.raises(HeldError, match="has just been here"):
        log.begin(old, held, OTHER, "b" * 40)
    assert records(target) == before


# A record that somebody else wrote


ELSEWHERE = ("../outside", "/etc/passwd", "a//b", "a/../b", "./a", ".host/x", ".gitindex/log/0000000001.json", "a\nb")
NO_PATHS = ("a\\b", "", "a/", "é", "x" * 1001, "a/.git/config", "a#1", "a b", "-x")


@pytest.mark.parametrize("path", [*ELSEWHERE, *NO_PATHS])
def test_path_of_a_record_that_leads_elsewhere_is_refused(site: Site, target: str, path: str) -> None:
    assert not is_site_path(path)
    site.publish(target)
    objects = Objects(read_location(target))
    (name,) = (found for found in records(target) if "/data/" in found)
    part = json.loads(objects.read(name, 1 << 20) or b"")
    part["paths"].append([path, "a" * 64, 1, 0])
    _put_record(objects, json.dumps(part).encode())
    site.render(changed(content()))
    with pytest.raises(BadRecordError, match=r"no path of a site") as raised:
        site.publish(target)
    assert "\n" not in str(raised.value)


def _put_record(objects: Objects, part: bytes) -> None:
    """Put a part into the record as whoever can write there could, with a name that fits."""
    (log,) = (found for found in objects.names(".gitindex/log"))
    document = json.loads(objects.read(log, 1 << 20) or b"")
    document["shards"] = [name_for(1, part)]
    headers = Headers("application/json", "no-store")
    objects.put(data_path(document["shards"][0]), part, headers)
    objects.put(log, json.dumps(document).encode(), headers)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"form": 2}, "newer gitindex"),
        ({"form": None}, "does not have the form"),
        ({"form": True}, "does not have the form"),
        ({"state": "?"}, "does not have the form"),
        ({"shards": ["../../x"]}, "does not have the form"),
        ({"shards": 7}, "does not have the form"),
        ({"shards": ["0000000009-" + "a" * 64]}, "it is missing"),
        ({"expires": "tomorrow"}, "does not have the form"),
        ({"expires": 5}, "does not have the form"),
        ({"revision": "--upload-pack=x"}, "does not have the form"),
        ({"lasting": ["\x1b[31m"]}, "does not have the form"),
        ({"reached": -1}, "does not have the form"),
        ({"more": 1}, "does not have the form"),
    ],
)
def test_document_that_is_none_is_refused(site: Site, tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    target = f"file://{tmp_path}/published"
    site.publish(target)
    document = tmp_path / "published" / log_path(1)
    document.write_text(json.dumps(json.loads(document.read_text()) | change))
    site.render(changed(content()))
    with pytest.raises(CannotRunError, match=problem):
        site.publish(target)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"x" * (5 << 20)])
def test_bytes_that_are_no_document_are_refused(site: Site, tmp_path: Path, data: bytes) -> None:
    target = f"file://{tmp_path}/published"
    site.publish(target)
    (tmp_path / "published" / log_path(1)).write_bytes(data)
    with pytest.raises(CannotRunError):
        site.publish(target)


def test_part_of_a_record_with_other_bytes_than_its_name_says_is_refused(site: Site, tmp_path: Path) -> None:
    target = f"file://{tmp_path}/published"
    site.publish(target)
    (part,) = (tmp_path / "published" / ".gitindex" / "data").iterdir()
    part.write_bytes(part.read_bytes().replace(b"alpha", b"alpho"))
    site.render(changed(content()))
    with pytest.raises(BadRecordError, match="its name says another digest"):
        site.publish(target)


# The command line


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexRepository:
    made = make_repository(tmp_path / "packages", content())
    monkeypatch.chdir(made.root)
    return made


def test_command_publishes_head_and_says_what_it_did(repo: IndexRepository, run: Run, target: str) -> None:
    told = run("publish", "--to", target, "--dry-run")
    assert told.code == 0
    assert "Would upload emilie/prod/index.html" in told.out or "more (all of them: --json)" in told.out
    done = run("publish", "--to", target, "--json")
    assert done.code == 0
    answer = json.loads(done.out)
    assert answer["revision"] == repo.git("rev-parse", "HEAD").strip()
    assert set(answer["written"]) == set(published(target))
    assert crawl(getter(target))[1] == []
    assert "nothing differs" in run("publish", "--to", target).out


def test_dry_run_lists_what_a_publish_would_refuse(repo: IndexRepository, run: Run, target: str) -> None:
    run("publish", "--to", target)
    (repo.root / "indexes/emilie/prod/index.toml").unlink()
    repo.git("rm", "-r", "--quiet", "indexes/emilie/prod/alpha")
    repo.git("commit", "--quiet", "--all", "--message", "Take emilie/prod away")
    told = run("publish", "--to", target, "--dry-run")
    assert told.code == 1
    assert "Would remove emilie/prod/" in told.out
    assert "objects would be removed" in told.err
    answer = json.loads(run("publish", "--to", target, "--dry-run", "--json").out)
    assert answer["refused"].endswith(f"--max-delete {len(answer['removed'])}")
    assert run("publish", "--to", target, "--max-delete", str(len(answer["removed"]))).code == 0


@pytest.mark.usefixtures("repo")
def test_host_that_brings_its_own_sites_is_refused(run: Run, target: str) -> None:
    told = run("publish", "--to", target, "--host", "github-pages")
    assert told.code == 2
    assert "gitindex render --out DIR --host github-pages" in told.err


def test_command_publishes_no_uncommitted_change(repo: IndexRepository, run: Run, tmp_path: Path) -> None:
    run("publish", "--to", f"file://{tmp_path}/published")
    repo.put(changed(content()))
    assert "nothing differs" in run("publish", "--to", f"file://{tmp_path}/published").out


def test_older_or_unknown_revision_does_not_take_the_place_of_a_newer(
    repo: IndexRepository, run: Run, tmp_path: Path, target: str
) -> None:
    first = repo.git("rev-parse", "HEAD").strip()
    repo.write("README.md", "more")
    second = repo.commit()
    assert run("publish", "--to", target).code == 0
    refused = run("publish", "--to", target, "--rev", first)
    assert refused.code == 1
    assert f"{second[:12]} is published there, and {first[:12]} does not come after it" in refused.err
    other = make_repository(tmp_path / "other", content())
    unknown = run("-C", other.root, "publish", "--to", target)
    assert unknown.code == 1
    assert "which this clone does not have" in unknown.err
    assert run("publish", "--to", target, "--rev", first, "--force").code == 0


@pytest.mark.usefixtures("repo")
def test_site_can_be_kept_in_a_folder_of_ones_own(run: Run, tmp_path: Path) -> None:
    target = f"file://{tmp_path}/published"
    assert run("publish", "--to", target, "--site", tmp_path / "mine", "--index", "emilie/prod").code == 0
    assert (tmp_path / "mine" / "emilie" / "prod" / "index.html").is_file()
    assert not (tmp_path / "published" / "emilie" / "dev").exists()


def test_configuration_of_a_host_is_the_operators_and_not_published(
    repo: IndexRepository, run: Run, tmp_path: Path
) -> None:
    assert run("publish", "--to", f"file://{tmp_path}/out", "--host", "nginx", "--site", tmp_path / "mine").code == 0
    assert list((tmp_path / "mine" / ".host").rglob("*.conf"))
    assert not (tmp_path / "out" / ".host").exists()
    assert run("publish", "--to", f"file://{tmp_path}/out", "--host", "none").code == 2
    assert repo.git("status", "--porcelain") == ""


def test_folder_of_the_repository_is_no_target(repo: IndexRepository, run: Run) -> None:
    refused = run("publish", "--to", f"file://{repo.root}/files")
    assert refused.code == 2
    assert "own folders" in refused.err


@pytest.mark.usefixtures("repo")
def test_publish_of_a_folder_twice_at_once_is_refused(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    held = os.open(mine, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    refused = run("publish", "--to", f"file://{tmp_path}/published", "--site", mine)
    os.close(held)
    assert refused.code == 3
    assert "another gitindex of this machine" in refused.err


NO_FOLDERS = ("", "x", "/srv/site", "file://host/x", "file:///", "file:relative", "file:///a/../b")
NO_BUCKETS = ("http://bucket/x", "s3://", "s3:///x", "s3://bu cket", "s3://bucket/../x", "s3://bucket/a//b", "s3://b\n")
NO_PLACES = ("s3://bucket?x=1", "s3://bucket#x", "s3://[", "ftp://bucket", "s3://bucket:80/x")


@pytest.mark.parametrize("url", [*NO_FOLDERS, *NO_BUCKETS, *NO_PLACES])
def test_url_that_names_no_place_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError):
        read_location(url)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as raised:
        read_location("s3://key:hush-hush@bucket/x?secret=hush-hush")
    assert "hush" not in str(raised.value)


def test_place_is_told_as_it_is_written() -> None:
    for url in ("s3://bucket", "s3://bucket/a/b c", "gs://bucket/a", "az://container/x", "file:///srv/a"):
        assert str(read_location(url + "/")) == url


@pytest.mark.usefixtures("repo")
def test_store_that_does_not_do_it_is_one_line(run: Run, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = run("publish", "--to", "s3://no-such-bucket/x")
    assert (missing.code, missing.err) == (
        3,
        "gitindex: s3://no-such-bucket/x: there is no such bucket; create it, or see the name\n",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    unreachable = run("publish", "--to", bucket)
    assert unreachable.code == 3
    assert "cannot be reached" in unreachable.err
    assert "AWS_ENDPOINT_URL" in unreachable.err
    monkeypatch.setenv("AWS_ALLOW_HTTP", "false")
    assert "allow one without TLS: AWS_ALLOW_HTTP=true" in run("publish", "--to", bucket).err
    assert unreachable.err.count("\n") == 1


@pytest.mark.usefixtures("repo")
def test_wrong_credentials_are_one_line_and_never_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_s3(INITIAL_NO_AUTH_ACTION_COUNT="1") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        server.make_bucket("closed")
        refused = run("publish", "--to", "s3://closed")
    assert refused.code == 3
    assert "s3://closed: is not allowed (InvalidAccessKeyId); see AWS_ACCESS_KEY_ID" in refused.err
    assert refused.err.count("\n") == 1
    assert "a-secret-of-tests" not in refused.err
    assert "testing" not in refused.err


@pytest.mark.usefixtures("repo")
def test_folder_that_cannot_be_written_to_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = run("publish", "--to", f"file://{tmp_path}/file/below")
    assert refused.code == 3
    assert refused.err.count("\n") == 1
    assert "file/below" in refused.err


def test_what_a_publish_that_was_broken_off_may_have_written_is_removed_only_where_it_is_said(
    site: Site, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish(target)
    after = content()
    after.release("emilie/prod", "zeta", "1.0")
    site.render(after)
    put = Objects.put

    def failing(self: Objects, path: str, *rest: Any) -> None:
        if path == "emilie/prod/index.html":
            raise CannotRunError("the store is down")
        put(self, path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", failing)
        patch.setattr(Lease, "let_go", lambda _: None)  # as one that is killed: how far it came, nobody knows
        with pytest.raises(CannotRunError, match="the store is down"):
            site.publish(target, jobs=1)
    assert "emilie/prod/simple/zeta/index.html" in published(target)
    site.render(content())
    for most in (None, 0):
        with pytest.raises(WouldUndoError, match="zeta"):
            site.publish(target, force=True, max_delete=most)
    site.publish(target, force=True, max_delete=100)
    assert published(target) == site.files


def test_a_publish_that_was_broken_off_does_not_lose_what_is_nonvolatile(
    site: Site, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish(target)
    after = content()
    after.release("emilie/prod", "zeta", "1.0")
    site.render(after)
    put = Objects.put

    def failing(self: Objects, path: str, *rest: Any) -> None:
        if path.startswith("emilie/"):
            raise CannotRunError("the store is down")
        put(self, path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", failing)
        with pytest.raises(CannotRunError, match="the store is down"):
            site.publish(target)
    gone = content()
    for path in [path for path in gone if path.startswith("indexes/emilie/prod/")]:
        del gone[path]
    gone.stage("emilie/dev", volatile=True, bases=[])
    site.render(gone)
    before = published(target)
    with pytest.raises(WouldUndoError, match="non-volatile"):
        publish(Objects(read_location(target)), site.wanted(lasting=()), may_follow=lambda _: None)
    assert published(target) == before


@pytest.mark.parametrize("expires", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-01-01", 7])
def test_a_time_that_is_none_is_one_line(site: Site, target: str, expires: object) -> None:
    site.publish(target)
    objects = Objects(read_location(target))
    document = json.loads(objects.read(log_path(1), 1 << 20) or b"")
    objects.put(log_path(2), json.dumps(document | {"expires": expires}).encode(), HEADERS)
    with pytest.raises(BadRecordError, match="does not have the form"):
        site.publish(target)
