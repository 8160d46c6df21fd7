"""The written site: what is in it, what is left alone, and that nothing else is touched."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree as ET

import html5lib
import pytest
from packaging.version import Version

from gitindex import atomic
from gitindex.errors import CannotRunError, NotThereError
from gitindex.git import Repository
from gitindex.output import MARKER
from gitindex.render.people import STATICS
from gitindex.site import Report, render
from gitindex.site.memory import SiteMemory
from tests.builders import make_wheel
from tests.repositories import DEV, PROD, PYPI, Content, files_below, make_repository, small_content

SITE = "https://packages.example.org/prefix/"


def full_content() -> Content:
    """Return a repository in which everything that a page can show is there."""
    content = small_content(
        site={"url": SITE, "title": "Example packages"}, names={"reserved": ["billing", "acme-*", "demo"]}
    )
    content.release("emilie/prod", "Demo", "1.0", requires_python=">=3.11,<4")
    content.release("emilie/prod", "Demo", "1.0", kind="sdist")
    content.release("emilie/prod", "Demo", "2.0rc1")
    content.release("emilie/dev", "Demo", "1.0", text="dev")
    content.release("emilie/dev", "Demo", "1.10+local.2")
    content.release("emilie/prod", "Zope.Interface", "5.0")
    content.statements("emilie/prod", "demo", yanked={"1.0": "broken"}, status="deprecated")
    content.release("emilie/prod", "secret", "1.0")
    content.statements("emilie/prod", "secret", status="quarantined", **{"status-reason": "malware"})
    content.add_file("emilie/dev", "elsewhere", "1.0", elsewhere())
    content.statements("emilie/dev", "elsewhere", sources=["https://files.example.org/"])
    return content


def elsewhere() -> dict[str, Any]:
    name = "elsewhere-1.0.tar.gz"
    return {"filename": name, "hashes": {"sha256": "a" * 64}, "size": 7, "url": f"https://files.example.org/{name}"}


def pages_below(out: Path) -> dict[str, bytes]:
    """Return the files of a site, less what the folder remembers of its making."""
    return {path: data for path, data in files_below(out).items() if path != MARKER}


def rendered(content: Content, out: Path, **options: Any) -> Report:
    return render(content.snapshot(), out, **options)


def page(out: Path, project: str, index: str = "emilie/dev") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / index / "simple" / project / "index.json").read_bytes())
    return found


def parsed(path: Path) -> ET.Element:
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(path.read_bytes())
    assert isinstance(tree, ET.Element)
    return tree


def listed(out: Path, index: str = "emilie/dev") -> list[str]:
    names: list[dict[str, str]] = json.loads((out / index / "simple/index.json").read_bytes())["projects"]
    return [project["name"] for project in names]


# What is in it


def test_the_site_has_the_pages_of_the_urls_and_nothing_else(tmp_path: Path) -> None:
    report = rendered(full_content(), tmp_path)
    found = {path for path, data in files_below(tmp_path).items() if data != b"folder"}
    names = ("billing", "demo", "secret", "zope-interface")
    expected = {MARKER, "index.html", "404.html", "root/pypi/index.html", *(f"+site/{name}" for name in STATICS)}
    for index, projects in (("emilie/dev", (*names, "elsewhere")), ("emilie/prod", names)):
        expected |= {f"{index}/{name}" for name in ("index.html", "feed.xml", "simple/index.html", "simple/index.json")}
        expected |= {f"{index}/simple/{name}/index.{kind}" for name in projects for kind in ("html", "json")}
        expected |= {f"{index}/project/{name}/index.html" for name in projects if name != "billing"}
    files = {path for path in found if path.startswith("files/")}
    assert found - files == expected
    assert report == Report(len(found) - 1, 0, 0, 5)


def test_files_are_those_that_pages_link_to_with_their_metadata(tmp_path: Path) -> None:
    content = full_content()
    content.release("emilie/prod", "shadowed", "1.0")
    orphan = "files/" + "b" * 2 + "/" + "b" * 62 + "/orphan-1.0.tar.gz"
    content[orphan] = b"nothing names it"
    rendered(content, tmp_path)
    for path, data in content.items():
        if path.startswith("files/") and path != orphan and "/secret-" not in path:
            assert (tmp_path / path).read_bytes() == data
    assert not (tmp_path / orphan).exists()
    assert not list((tmp_path / "files").rglob("secret-*")), "quarantined files are offered nowhere"


def links_of(out: Path) -> Iterator[tuple[str, str]]:
    """Yield the URL of each page and of each thing that it links to."""
    for path in sorted(out.rglob("*")):
        base = urljoin(SITE, path.relative_to(out).as_posix())
        if path.name == "index.html":
            base = base.removesuffix("index.html")
            for element in parsed(path).iter():
                yield from ((base, element.attrib[name]) for name in ("href", "src") if name in element.attrib)
        elif path.name == "index.json":
            yield from ((base, file["url"]) for file in json.loads(path.read_bytes()).get("files", ()))
        elif path.name == "feed.xml":
            feed = ET.fromstring(path.read_bytes())  # noqa: S314 - we made it
            yield from ((base, link.attrib["href"]) for link in feed.iter() if "href" in link.attrib)


def test_the_feed_has_the_newest_releases_of_all_projects_the_newest_first(tmp_path: Path) -> None:
    content = small_content()
    times = {
        f"2026-01-{day:02}T00:00:00{fraction}Z": f"{day}.{len(fraction)}"
        for day in range(1, 31)
        for fraction in ("", ".5")
    }
    for number, (time_, version) in enumerate(times.items()):
        content.release("emilie/prod", f"project-{number % 7}", version, **{"upload-time": time_})
    rendered(content, tmp_path)
    feed = ET.fromstring((tmp_path / "emilie/prod/feed.xml").read_bytes())  # noqa: S314 - we made it
    updated = [element.text for element in feed.iter("{http://www.w3.org/2005/Atom}updated")][1:]
    assert updated == [time_ for time_, _ in sorted(times.items(), key=lambda pair: Version(pair[1]))][:-51:-1]


def test_point_55_every_link_leads_to_a_file_of_the_site(tmp_path: Path) -> None:
    rendered(full_content(), tmp_path)
    seen = set()
    for base, href in links_of(tmp_path):
        url = urljoin(base, href)
        if not url.startswith(SITE):
            assert (
                url == "https://files.example.org/elsewhere-1.0.tar.gz#sha256=" + "a" * 64 or url == elsewhere()["url"]
            )
            continue
        path = unquote(urlsplit(url).path).removeprefix("/prefix/")
        target = tmp_path / path
        assert not path.startswith("/")
        assert (target / "index.html" if url.partition("#")[0].endswith("/") or not path else target).is_file(), (
            base,
            href,
        )
        if not base.endswith("feed.xml"):
            assert urlsplit(href).scheme == "", "links are relative"
        seen.add(path)
    assert {"emilie/dev/project/demo/", "root/pypi/", "+site/style.css"} < seen


def test_points_05_22_28_and_77_what_a_page_says_of_a_file_is_true_of_the_bytes(tmp_path: Path) -> None:
    content = full_content()
    rendered(content, tmp_path)
    for index in ("emilie/dev", "emilie/prod"):
        for project in listed(tmp_path, index):
            for file in page(tmp_path, project, index)["files"]:
                if file["url"].startswith("https://"):
                    continue
                target = (tmp_path / index / "simple" / project / unquote(file["url"])).resolve()
                assert target.name == file["filename"]
                assert file["hashes"] == {"sha256": hashlib.sha256(target.read_bytes()).hexdigest()}
                assert file["size"] == target.stat().st_size


def test_points_10_and_53_metadata_is_promised_where_it_is_there(tmp_path: Path) -> None:
    content = full_content()
    missing = content.stored("emilie/prod", "Demo", "2.0rc1") + ".metadata"
    del content[missing]
    rendered(content, tmp_path)
    promised = {file["filename"]: file.get("core-metadata") for file in page(tmp_path, "demo", "emilie/prod")["files"]}
    wheel = content.stored("emilie/prod", "Demo", "1.0")
    digest = hashlib.sha256((tmp_path / (wheel + ".metadata")).read_bytes()).hexdigest()
    assert promised == {
        "demo-1.0-py3-none-any.whl": {"sha256": digest},
        "demo-1.0.tar.gz": None,
        "demo-2.0rc1-py3-none-any.whl": None,
    }
    assert not (tmp_path / missing).exists()
    html = (tmp_path / "emilie/prod/simple/demo/index.html").read_text()
    assert html.count("data-core-metadata=") == 1


def test_points_02_17_and_18_the_lists_name_the_projects_that_have_pages(tmp_path: Path) -> None:
    rendered(full_content(), tmp_path)
    assert listed(tmp_path) == ["demo", "elsewhere", "zope-interface"]
    assert listed(tmp_path, "emilie/prod") == ["demo", "zope-interface"]
    for index in ("emilie/dev", "emilie/prod"):
        anchors = list(parsed(tmp_path / index / "simple/index.html").iter("a"))
        assert [anchor.text for anchor in anchors] == listed(tmp_path, index)
        for anchor in anchors:
            found = json.loads((tmp_path / index / "simple" / anchor.attrib["href"] / "index.json").read_bytes())
            assert found["name"] == anchor.text


def test_point_20_no_two_versions_of_a_page_are_equal(tmp_path: Path) -> None:
    content = full_content()
    content.release("emilie/dev", "Demo", "2.0.0rc1", kind="sdist")
    rendered(content, tmp_path)
    assert page(tmp_path, "demo")["versions"] == ["1.0", "1.10+local.2", "2.0.0rc1"]


def test_point_30_a_quarantined_project_has_an_empty_page_and_is_not_listed(tmp_path: Path) -> None:
    rendered(full_content(), tmp_path)
    for index in ("emilie/dev", "emilie/prod"):
        found = page(tmp_path, "secret", index)
        assert found["files"] == found["versions"] == []
        assert found["project-status"] == {"status": "quarantined", "reason": "malware"}
        assert not list(parsed(tmp_path / index / "simple/secret/index.html").iter("a"))
        assert "secret" not in listed(tmp_path, index)
        assert "malware" in (tmp_path / index / "project/secret/index.html").read_text()


def test_a_reserved_name_has_an_empty_page_so_that_no_fallback_is_asked(tmp_path: Path) -> None:
    rendered(full_content(), tmp_path)
    for index in ("emilie/dev", "emilie/prod"):
        assert page(tmp_path, "billing", index)["files"] == []
        assert not list(parsed(tmp_path / index / "simple/billing/index.html").iter("a"))
        assert page(tmp_path, "demo", index)["files"], "a reserved name can have releases"
    assert not (tmp_path / "emilie/dev/simple/acme-*").exists()
    assert not (tmp_path / "root/pypi/simple").exists()


def test_a_reserved_name_that_is_not_normalised_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    rendered(small_content(names={"reserved": ["a--b", "c-", "1"]}), tmp_path)
    names = {path.name for path in (tmp_path / "emilie/dev/simple").iterdir() if path.is_dir()}
    assert names == {"a-b", "1"}


def test_point_32_html_and_json_of_a_written_page_link_to_the_same_files(tmp_path: Path) -> None:
    rendered(full_content(), tmp_path)
    for folder in tmp_path.glob("emilie/*/simple/*/"):
        html = [anchor.attrib["href"] for anchor in parsed(folder / "index.html").iter("a")]
        found = json.loads((folder / "index.json").read_bytes())["files"]
        assert html == [f"{file['url']}#sha256={file['hashes']['sha256']}" for file in found]


def test_lines_to_copy_have_no_address_where_the_site_has_none(tmp_path: Path) -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0")
    rendered(content, tmp_path)
    assert "example.org" not in (tmp_path / "emilie/dev/index.html").read_text()
    assert "example.org" not in (tmp_path / "emilie/dev/project/demo/index.html").read_text()
    assert not [path for path, data in files_below(tmp_path).items() if b"extra-index-url" in data]


def test_files_of_another_storage_are_linked_to_and_not_copied(tmp_path: Path) -> None:
    storage = {"url": "s3://bucket/", "public_url": "https://files.example.org/store"}
    content = small_content(storage=storage)
    content.release("emilie/dev", "demo", "1.0")
    stored = content.stored("emilie/dev", "demo", "1.0")
    rendered(content, tmp_path)
    file = page(tmp_path, "demo")["files"][0]
    assert file["url"] == f"https://files.example.org/store/{stored.removeprefix('files/')}"
    assert file["core-metadata"]
    assert not (tmp_path / "files").exists()


def test_an_object_store_without_a_public_address_is_an_error(tmp_path: Path) -> None:
    content = small_content(storage={"url": "s3://bucket/"})
    with pytest.raises(CannotRunError, match="public_url"):
        rendered(content, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_point_11_provenance_is_written_and_stated_where_the_site_has_a_secure_address(tmp_path: Path) -> None:
    document = b'{"version": 1, "attestation_bundles": []}'
    content = small_content(site={"url": SITE})
    content.release("emilie/dev", "demo", "1.0", provenance=hashlib.sha256(document).hexdigest())
    stored = content.stored("emilie/dev", "demo", "1.0")
    content[stored + ".provenance"] = document
    rendered(content, tmp_path)
    assert page(tmp_path, "demo")["files"][0]["provenance"] == f"{SITE}{stored}.provenance"
    assert (tmp_path / (stored + ".provenance")).read_bytes() == document
    content.settings()
    rendered(content, tmp_path)
    assert "provenance" not in page(tmp_path, "demo")["files"][0]
    assert not (tmp_path / (stored + ".provenance")).exists()


def test_a_part_of_the_indexes_is_rendered_and_what_else_was_there_goes(tmp_path: Path) -> None:
    rendered(full_content(), tmp_path)
    report = rendered(full_content(), tmp_path, indexes=[PROD])
    assert sorted(path.name for path in (tmp_path / "emilie").iterdir()) == ["prod"]
    assert not (tmp_path / "root").exists()
    assert report.removed > 0
    rendered(full_content(), tmp_path, indexes=[DEV, PYPI])
    assert page(tmp_path, "demo")["files"]
    assert (tmp_path / "root/pypi/index.html").is_file()
    with pytest.raises(NotThereError, match="emilie/nowhere"):
        rendered(full_content(), tmp_path, indexes=[DEV._replace(name="nowhere")])


def test_progress_is_told_for_every_project(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    rendered(full_content(), tmp_path, progress=lambda done, of: told.append((done, of)))
    assert told == [(number, 5) for number in range(5)]


# Deterministic, and no more written than differs


def test_point_33_the_same_revision_gives_the_same_bytes_in_another_clone_and_time_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "one", full_content(), folder="packages")
    repository.git("clone", "--quiet", str(repository.path), str(tmp_path / "two"))
    render(repository.open().at("HEAD"), tmp_path / "site-1")
    with monkeypatch.context() as elsewhere_on_earth:
        elsewhere_on_earth.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        render(Repository.open(tmp_path / "two/packages").at("HEAD"), tmp_path / "site-2")
    time.tzset()
    assert files_below(tmp_path / "site-1") == files_below(tmp_path / "site-2")


def test_point_33_the_seed_of_hashes_decides_nothing(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "one", full_content())
    for seed in ("1", "2"):
        command = [
            sys.executable,
            "-m",
            "gitindex",
            "-C",
            str(repository.path),
            "render",
            "--out",
            str(tmp_path / seed),
        ]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
    assert files_below(tmp_path / "1") == files_below(tmp_path / "2")


def test_no_page_carries_a_clock_or_the_machine(tmp_path: Path) -> None:
    rendered(full_content(), tmp_path)
    for path, data in files_below(tmp_path).items():
        if not path.startswith("files/"):
            assert str(tmp_path).encode() not in data, path
            assert socket.gethostname().encode() not in data, path
            times = set(re.findall(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ?", data))
            assert times <= {b"2026-11-22T07:25:00Z", b"1970-01-01T00:00:00Z"}, path


def identities(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER
    }


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    first = rendered(full_content(), tmp_path)
    before = identities(tmp_path)
    assert rendered(full_content(), tmp_path) == Report(0, first.written, 0, first.projects)
    assert identities(tmp_path) == before


def test_only_what_a_change_concerns_is_written(tmp_path: Path) -> None:
    content = full_content()
    rendered(content, tmp_path)
    before = identities(tmp_path)
    content.statements("emilie/prod", "zope-interface", yanked={"5.0": "no"})
    rendered(content, tmp_path)
    after = identities(tmp_path)
    assert {path for path in after if after[path] != before.get(path)} == {
        f"emilie/{index}/{path}"
        for index in ("dev", "prod")
        for path in ("simple/zope-interface/index.html", "simple/zope-interface/index.json")
    } | {f"emilie/{index}/project/zope-interface/index.html" for index in ("dev", "prod")} | {
        "emilie/prod/feed.xml",
        "emilie/prod/index.html",  # among its newest releases there is one that is yanked now
    }


def test_what_is_no_longer_produced_is_removed_with_its_folders(tmp_path: Path) -> None:
    content = full_content()
    rendered(content, tmp_path)
    gone = content.stored("emilie/prod", "Zope.Interface", "5.0")
    for path in [path for path in content if "zope" in path]:
        del content[path]
    del content["indexes/root/pypi/index.toml"]
    report = rendered(content, tmp_path)
    assert report.removed == 2 * 3 + 2 + 1
    assert not list(tmp_path.rglob("*zope*"))
    assert not (tmp_path / "root").exists()
    assert not (tmp_path / gone).parent.exists()


def test_a_site_that_was_changed_is_the_same_as_a_new_one(tmp_path: Path) -> None:
    content = full_content()
    rendered(content, tmp_path / "old")
    del content["indexes/emilie/dev/demo/1.0.json"]
    content.release("emilie/dev", "demo", "3.0")
    rendered(content, tmp_path / "old")
    rendered(content, tmp_path / "new")
    assert files_below(tmp_path / "old") == files_below(tmp_path / "new")


# In several processes


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make even small work be split over three processes, and gather how often it was."""
    seen: list[int] = []

    def three(pieces: int) -> int:
        seen.append(pieces)
        return 3

    monkeypatch.setattr("gitindex.site.shares_for", three)
    return seen


def test_points_17_and_33_the_number_of_processes_decides_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    one = rendered(full_content(), tmp_path / "one")
    forks = request.getfixturevalue("forks")
    assert rendered(full_content(), tmp_path / "three") == one
    assert forks == [one.projects]
    assert files_below(tmp_path / "one") == files_below(tmp_path / "three")
    assert rendered(full_content(), tmp_path / "one") == one._replace(written=0, unchanged=one.written)


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("number", range(5))
def test_what_stops_one_of_several_processes_stops_the_rendering(tmp_path: Path, number: int) -> None:
    content = small_content()
    for other in range(5):
        content.release("emilie/prod", f"project-{other}", "1.0")
    stored = content.stored("emilie/prod", f"project-{number}", "1.0")
    content[stored] += b"?"
    with pytest.raises(CannotRunError, match=rf"{re.escape(stored)}: the bytes have the sha256.*validate --all"):
        rendered(content, tmp_path)
    assert not (tmp_path / "index.html").exists(), "lists come after all pages"
    assert not list(tmp_path.rglob(f"{atomic.TEMPORARY_PREFIX}*"))


# Nothing else is touched


@pytest.mark.parametrize("names", [["index.html"], ["a folder/file"], [".hidden"], [".git/config", "README"]], ids=str)
def test_a_folder_that_gitindex_did_not_make_is_refused_and_left_alone(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = files_below(tmp_path, but="")
    with pytest.raises(CannotRunError, match="was not made by gitindex"):
        rendered(full_content(), tmp_path)
    assert files_below(tmp_path, but="") == before


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("mine")
    for out in (tmp_path / "site", tmp_path / "site/below"):
        with pytest.raises(CannotRunError):
            rendered(full_content(), out)
    assert (tmp_path / "site").read_text() == "mine"


def test_the_working_tree_of_git_that_a_site_lies_in_is_kept(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "pages")
    rendered(full_content(), repository.path)
    repository.commit("Publish")
    before = files_below(repository.path, but="")
    rendered(full_content(), repository.path)
    assert files_below(repository.path, but="") == before
    repository.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    rendered(small_content(), tmp_path / "linked")
    assert (tmp_path / "linked/.git").is_file()
    assert not (tmp_path / "linked/emilie/dev/simple/demo").exists()


def test_a_folder_reached_through_a_link_is_written_to_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "site").symlink_to("real")
    rendered(full_content(), tmp_path / "site")
    assert (tmp_path / "site").is_symlink()
    rendered(full_content(), tmp_path / "new")
    assert files_below(tmp_path / "real") == files_below(tmp_path / "new")


def test_links_in_the_folder_are_not_followed(tmp_path: Path) -> None:
    site, outside = tmp_path / "site", tmp_path / "outside"
    content = full_content()
    rendered(content, site)
    expected = files_below(site)
    outside.mkdir()
    (outside / "index.html").write_text("outside")
    (outside / "demo").mkdir()
    (outside / "demo/index.html").write_text("outside")
    before = files_below(outside)
    for path in ("emilie/dev/simple", "files", "emilie/prod/project/demo"):
        shutil.rmtree(site / path)
        (site / path).symlink_to(outside)
    stored = content.stored("emilie/prod", "Demo", "1.0")
    for path in ("index.html", "emilie/dev/feed.xml", MARKER):
        (site / path).unlink()
        (site / path).symlink_to(outside / "index.html")
    (site / "more").symlink_to(outside)
    (site / "more.html").symlink_to(outside / "index.html")
    (site / "dangling").symlink_to(outside / "nowhere")
    rendered(content, site)
    assert files_below(outside) == before
    assert files_below(site) == expected
    assert (site / stored).is_file()


def test_a_link_in_place_of_a_stored_file_is_replaced_by_the_file(tmp_path: Path) -> None:
    content = full_content()
    rendered(content, tmp_path / "site")
    stored = tmp_path / "site" / content.stored("emilie/prod", "Demo", "1.0")
    data = stored.read_bytes()
    (tmp_path / "outside").write_bytes(b"other bytes")
    stored.unlink()
    stored.symlink_to(tmp_path / "outside")
    rendered(content, tmp_path / "site")
    assert not stored.is_symlink()
    assert stored.read_bytes() == data
    assert (tmp_path / "outside").read_bytes() == b"other bytes"


def test_a_hard_link_to_a_page_is_not_written_through(tmp_path: Path) -> None:
    content = full_content()
    rendered(content, tmp_path / "site")
    os.link(tmp_path / "site/index.html", tmp_path / "copy.html")
    before = (tmp_path / "copy.html").read_bytes()
    content.settings(site={"title": "Another title"})
    rendered(content, tmp_path / "site")
    assert (tmp_path / "copy.html").read_bytes() == before


def test_a_folder_in_place_of_a_page_and_a_page_in_place_of_a_folder_give_way(tmp_path: Path) -> None:
    content = full_content()
    rendered(content, tmp_path)
    expected = files_below(tmp_path)
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html/below").mkdir(parents=True)
    shutil.rmtree(tmp_path / "emilie/prod")
    (tmp_path / "emilie/prod").write_text("a file")
    stored = tmp_path / content.stored("emilie/prod", "Demo", "1.0")
    stored.unlink()
    stored.mkdir(parents=True)
    rendered(content, tmp_path)
    assert files_below(tmp_path) == expected


# The marker, and runs that were cut off


def test_the_marker_says_what_the_site_is_of(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "one", full_content())
    render(repository.open().at("HEAD"), tmp_path / "site")
    memory = SiteMemory(tmp_path / "site" / MARKER)
    made, lists = memory.recall()
    memory.close()
    assert made is not None
    assert made.revision == repository.git("rev-parse", "HEAD")
    assert made.renderer.startswith("gitindex ")
    assert {*lists} == {DEV, PROD}


@pytest.mark.parametrize("stops_at", [0, 1, 4])
def test_a_run_that_was_cut_off_is_mended_by_the_next(tmp_path: Path, stops_at: int) -> None:
    def stop(done: int, _: int) -> None:
        if done == stops_at:
            raise KeyboardInterrupt

    content = full_content()
    with pytest.raises(KeyboardInterrupt):
        rendered(content, tmp_path / "site", progress=stop)
    (tmp_path / "site/emilie").mkdir(exist_ok=True)
    (tmp_path / f"site/emilie/{atomic.TEMPORARY_PREFIX}0123").write_bytes(b"of a run that was killed")
    rendered(content, tmp_path / "site")
    rendered(content, tmp_path / "new")
    assert files_below(tmp_path / "site") == files_below(tmp_path / "new")


def test_while_a_site_is_written_no_page_links_to_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = full_content()
    rendered(content, tmp_path)
    write = atomic.write

    def checked_write(path: Path | str, *rest: Any) -> None:
        write(path, *rest)
        for base, href in links_of(tmp_path):
            url = urljoin(base, href)
            if url.startswith(SITE) and "/files/" in url:
                assert (tmp_path / unquote(urlsplit(url).path).removeprefix("/prefix/")).is_file(), path
        for index in ("emilie/dev", "emilie/prod"):
            for name in listed(tmp_path, index):
                assert (tmp_path / index / "simple" / name / "index.html").is_file(), path

    for path in [path for path in content if "zope" in path]:
        del content[path]
    content.release("emilie/prod", "new", "1.0")
    content.release("emilie/dev", "demo", "4.0")
    monkeypatch.setattr(atomic, "write", checked_write)
    rendered(content, tmp_path)
    assert "new" in listed(tmp_path)


# Stored files


def test_point_77_a_stored_file_with_other_bytes_is_never_passed_on(tmp_path: Path) -> None:
    content = full_content()
    rendered(content, tmp_path)
    stored = content.stored("emilie/prod", "Demo", "2.0rc1")
    (tmp_path / stored).unlink()
    before = pages_below(tmp_path)
    content[stored] = content[stored][:-1] + b"?"
    with pytest.raises(CannotRunError, match=rf"{re.escape(stored)}: the bytes have the sha256 .*, and not "):
        rendered(content, tmp_path)
    assert pages_below(tmp_path) == before, "and nothing half written is left"


def test_core_metadata_with_other_bytes_is_never_passed_on(tmp_path: Path) -> None:
    content = full_content()
    content[content.stored("emilie/prod", "Demo", "2.0rc1") + ".metadata"] = b"Name: other\n"
    with pytest.raises(CannotRunError, match="metadata: the bytes have the sha256"):
        rendered(content, tmp_path)


def test_a_stored_file_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    content = full_content()
    stored = content.stored("emilie/prod", "Demo", "1.0")
    del content[stored]
    with pytest.raises(CannotRunError, match=rf"{re.escape(stored)}: the stored file is missing"):
        rendered(content, tmp_path)


def pointer(data: bytes) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(data)}\n".encode()


def test_content_that_git_lfs_has_fetched_is_found_from_every_working_tree(tmp_path: Path) -> None:
    content = full_content()
    stored = content.stored("emilie/prod", "Demo", "1.0")
    data = content[stored]
    content[stored] = pointer(data)
    repository = make_repository(tmp_path / "one", content)
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    site = tmp_path / "site"
    for top in (repository.path, tmp_path / "linked"):
        opened = Repository.open(top)
        lfs = opened.git_directory / "lfs" / "objects"
        with pytest.raises(CannotRunError, match=r"only the Git LFS pointer is here.*git lfs pull"):
            render(opened.worktree(), site, lfs_objects=lfs)
    digest = hashlib.sha256(data).hexdigest()
    fetched = repository.path / f".git/lfs/objects/{digest[:2]}/{digest[2:4]}/{digest}"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(data)
    for top in (repository.path, tmp_path / "linked"):
        opened = Repository.open(top)
        render(opened.worktree(), site, lfs_objects=opened.git_directory / "lfs" / "objects")
        assert (site / stored).read_bytes() == data
        shutil.rmtree(site)
    fetched.write_bytes(data + b"?")
    with pytest.raises(CannotRunError, match="the bytes have the sha256"):
        render(repository.open().worktree(), site, lfs_objects=repository.path / ".git/lfs/objects")


def test_a_wheel_that_looks_like_a_pointer_is_not_taken_for_one(tmp_path: Path) -> None:
    content = small_content()
    name, data = make_wheel("demo", "1.0", files={"demo.py": pointer(b"x")})
    content.release("emilie/dev", "demo", "1.0")
    digest = hashlib.sha256(data).hexdigest()
    stored = f"files/{digest[:2]}/{digest[2:]}/{name}"
    content[stored] = data
    del content["indexes/emilie/dev/demo/1.0.json"]
    content.add_file("emilie/dev", "demo", "1.0", {"filename": name, "hashes": {"sha256": digest}, "size": len(data)})
    rendered(content, tmp_path)
    assert (tmp_path / stored).read_bytes() == data
