"""`gitindex export devpi`: a real devpi-server takes what is written, and lists the same files with the same hashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.importing.devpi import Devpi, devpi_server, fill
from tests.importing.shown import digest
from tests.importing.test_devpi import definition, simple
from tests.repositories import Content, IndexRepository, files_below, make_repository, small_content

pytestmark = pytest.mark.peers


@pytest.fixture
def content() -> Content:
    content = small_content(groups={"team": ["emilie", "bob"]}, names={"reserved": ["acme-*"]})
    content.user("bob", identities=["github:bob"])
    content.mirror("root/pypi", mirror_url="https://packages.example.org/simple/", allow=["demo"])
    content.stage("emilie/prod", volatile=False, bases=["root/pypi"], acl_upload=[":team"], require_tests=["py"])
    content.stage("emilie/dev", bases=["emilie/prod"], mirror_whitelist=["demo"], title="Where we work")
    fields = "Summary: it is\nKeywords: a,b\nProject-URL: Home, https://example.org\n\nDescribed.\n"
    content.release("emilie/prod", "Demo.Thing", "1.0", requires_python=">=3.9", extra=fields)
    content.release("emilie/prod", "Demo.Thing", "1.0", kind="sdist", requires_python=">=3.9")
    content.release("emilie/prod", "Demo.Thing", "1.1")
    content.release("emilie/dev", "local", "1.0+a.b")
    content.release("emilie/dev", "bad", "1.0")
    content.statements("emilie/prod", "demo-thing", yanked={"1.1": "slow"}, status="deprecated")
    content.statements("emilie/dev", "bad", status="quarantined")
    return content


@pytest.fixture
def filled(tmp_path: Path, content: Content) -> IndexRepository:
    return make_repository(tmp_path / "packages", content)


def notes(out: str) -> set[str]:
    return {" ".join(filter(None, (each["kind"], each["place"], each["what"]))) for each in json.loads(out)["left"]}


def test_devpi_server_takes_what_is_written(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    done = run("-C", filled.path, "export", "devpi", tmp_path / "export", "--json")
    assert done.code == 0, done.err
    assert notes(done.out) == {
        "note passwords",
        "note names.reserved",
        "note bob identities",
        "note root/pypi allow",
        "note emilie/prod acl_upload :team",
        "note emilie/prod require_tests",
        "note emilie/prod demo-thing",
        "note emilie/prod demo-thing 1.1",
        "note emilie/dev bad",
    }
    with devpi_server(tmp_path / "devpi", imported=tmp_path / "export") as devpi:
        users = devpi.get("/")["result"]
        there = {index: devpi.simple(index) for index in ("emilie/prod", "emilie/dev")}
        version = devpi.get("/emilie/prod/demo-thing/1.0?ignore_bases=")["result"]
    here = simple(filled, tmp_path / "site")
    del here["emilie/dev"]["bad"]
    assert there == {index: here[index] for index in there}
    assert (version["name"], version["summary"], version["requires_python"]) == ("Demo.Thing", "it is", ">=3.9")
    assert (version["keywords"], version["project_urls"]) == ("a,b", ["Home, https://example.org"])
    assert version["+links"][0]["log"][0]["when"] == [2026, 11, 22, 7, 25, 0]
    assert {name: sorted(user["indexes"]) for name, user in users.items() if user.get("indexes")} == {
        "emilie": ["dev", "prod"],
        "root": ["pypi"],
    }
    assert "bob" in users
    prod = users["emilie"]["indexes"]["prod"]
    assert (prod["volatile"], prod["bases"], prod["acl_upload"]) == (False, ["root/pypi"], ["emilie", "bob"])
    assert users["root"]["indexes"]["pypi"]["mirror_url"] == "https://packages.example.org/simple/"


def test_there_and_back_again(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", Content().settings())
    with devpi_server(tmp_path / "first") as devpi:
        fill(devpi)
        before = _listed(devpi)
        run("-C", repository.path, "import", "devpi", devpi.url, "--commit")
    assert run("-C", repository.path, "export", "devpi", tmp_path / "export").code == 0
    with devpi_server(tmp_path / "second", imported=tmp_path / "export") as devpi:
        after = _listed(devpi, mixed="carla/mixed")
        again = make_repository(tmp_path / "again", Content().settings())
        assert run("-C", again.path, "import", "devpi", devpi.url, "--commit").code == 0
    assert after == before
    assert sum(map(len, after["emilie/prod"].values())) == 3
    for name in ("emilie/prod", "emilie/dev", "bob/team", "carla/mixed", "root/pypi"):
        assert definition(again, name) == definition(repository, name)
    for index in ("emilie/prod", "emilie/dev"):
        results = [_results(each, f"{index}/demo/1.0") for each in (repository, again)]
        assert results[0] == results[1]
        assert len(results[0]) == 3
    trees = [[path for path in files_below(each.root) if path.startswith("files/")] for each in (repository, again)]
    assert trees[0] == trees[1]


def _results(repository: IndexRepository, release: str) -> list[dict[str, Any]]:
    """Return what came of testing a release, without the digest of a log that is written anew."""
    listed = json.loads((repository.path / f"indexes/{release}.tests.json").read_text())
    return sorted(({**run, "log": ""} for run in listed), key=lambda run: str(run["environment"]))


def _listed(devpi: Devpi, mixed: str = "Carla/Mixed") -> dict[str, Any]:
    """Return what the simple pages of each index list, without what is no distribution."""
    indexes = {name: name for name in ("emilie/prod", "emilie/dev", "emilie/stable", "bob/team")} | {"mixed": mixed}
    pages = {name: devpi.simple(index) for name, index in indexes.items()}
    return {
        name: {project: files for project, files in listed.items() if project not in {"banana", "broken"}}
        for name, listed in pages.items()
    }


def test_only_what_is_asked_for_and_its_bases(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    out = tmp_path / "export"
    done = run("-C", filled.path, "export", "devpi", out, "--index", "emilie/prod")
    assert done.code == 0
    assert done.out.startswith("emilie/prod: 3 files\nroot/pypi: 0 files\n")
    assert sorted(json.loads((out / "dataindex.json").read_text())["indexes"]) == ["emilie/prod", "root/pypi"]
    assert not (out / "emilie/dev").exists()


def test_export_that_is_there_stays(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    out = tmp_path / "export"
    run("-C", filled.path, "export", "devpi", out)
    before = files_below(out)
    done = run("-C", filled.path, "export", "devpi", out)
    assert (done.code, files_below(out)) == (1, before)
    assert f"{out}: an export is there already" in done.err
    (out / "dataindex.json").unlink()  # as if it had been broken off
    assert run("-C", filled.path, "export", "devpi", out).code == 0
    assert files_below(out) == before


def test_file_that_was_changed_is_in_no_export(
    run: Run, filled: IndexRepository, content: Content, tmp_path: Path
) -> None:
    filled.write(content.stored("emilie/prod", "Demo.Thing", "1.1"), b"changed")
    done = run("-C", filled.path, "export", "devpi", tmp_path / "export")
    assert done.code == 3
    assert "the bytes have the sha256" in done.err
    assert not (tmp_path / "export/dataindex.json").exists()
    assert digest(b"changed") not in {digest(data) for data in files_below(tmp_path / "export").values()}
