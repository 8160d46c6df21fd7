"""`gitindex import devpi`: a real devpi-server comes in, and the simple pages list the same before and after."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitindex.git import Repository
from gitindex.site import render
from tests.conftest import Run
from tests.importing.devpi import DEMO, DEMO_SDIST, DEMO_TOO, DOTTED, NEWER, Devpi, devpi_server, fill
from tests.importing.shown import digest, entry, released, subjects
from tests.repositories import Content, IndexRepository, files_below, make_repository

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def devpi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devpi]:
    """Return a devpi-server with everything that is brought over; a new one takes a while."""
    with devpi_server(tmp_path_factory.mktemp("devpi")) as running:
        fill(running)
        yield running


@pytest.fixture
def empty(tmp_path: Path) -> IndexRepository:
    """Return a repository with settings and nothing else."""
    return make_repository(tmp_path / "packages", Content().settings())


def simple(repository: IndexRepository, out: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Return what the simple pages of each index list, with sha256, by index and project."""
    render(Repository.open(repository.path).worktree(), out)
    found: dict[str, dict[str, dict[str, str]]] = {}
    for page in sorted(out.glob("*/*/simple/*/index.json")):
        index = page.relative_to(out).parts
        files = json.loads(page.read_text())["files"]
        pages = found.setdefault(f"{index[0]}/{index[1]}", {})
        pages[index[3]] = {file["filename"]: file["hashes"]["sha256"] for file in files}
    return found


def definition(repository: IndexRepository, name: str) -> dict[str, Any]:
    return tomllib.loads((repository.path / f"indexes/{name}/index.toml").read_text())


def test_server_comes_in_whole(run: Run, empty: IndexRepository, devpi: Devpi) -> None:
    done = run("-C", empty.path, "import", "devpi", devpi.url, "--commit", "--json")
    report = json.loads(done.out)
    assert done.code == 1, done.err  # two files are no distributions
    left = {(each["place"], each["what"]): (each["kind"], each["why"]) for each in report["left"]}
    lost = {key: why for key, (kind, why) in left.items() if kind != "note"}
    assert lost == {
        ("emilie/dev", "banana-x.tar.gz"): "is not the name of a wheel or an sdist",
        ("emilie/dev", "broken-1.0-py3-none-any.whl"): (
            "is a broken archive: File is not a zip file; build the file again"
        ),
    }
    assert {key for key, (kind, _) in left.items() if kind == "note"} == {
        ("", "passwords"),
        ("Carla", "user"),
        ("Carla/Mixed", "index"),
        ("bob", "email"),
        ("bob/team", "acl_upload gone"),
        ("emilie", "custom_data"),
        ("emilie/dev", "demo-1.0.doc.zip"),
        ("emilie/prod", "acl_upload :AUTHENTICATED:"),
        ("emilie/prod", "demo-1.0.doc.zip"),
        ("emilie/stable", "custom_data"),
        ("emilie/stable", "volatile"),
    }
    assert subjects(empty)[1:] == [
        f"Import 4 users from {devpi.url}/",
        f"Import root/pypi from {devpi.url}/",
        f"Import 3 files of 2 releases into emilie/prod from {devpi.url}/",
        f"Import 3 files of 2 releases into emilie/dev from {devpi.url}/",
        f"Import 1 file of 1 release into carla/mixed from {devpi.url}/",
        f"Import emilie/stable from {devpi.url}/",
        f"Import 1 file of 1 release into bob/team from {devpi.url}/",
    ]
    assert empty.git("status", "--porcelain") == ""
    assert definition(empty, "root/pypi") == {"type": "mirror", "mirror_url": "https://packages.example.org/simple/"}
    assert definition(empty, "emilie/prod") == {
        "type": "stage",
        "volatile": False,
        "bases": ["root/pypi"],
        "acl_upload": ["emilie", "bob"],
    }
    assert definition(empty, "emilie/dev") == {
        "type": "stage",
        "title": "Where we work",
        "volatile": True,
        "bases": ["emilie/prod"],
        "mirror_whitelist": ["demo"],
    }
    assert definition(empty, "emilie/stable")["volatile"] is True
    assert definition(empty, "bob/team") == {
        "type": "stage",
        "volatile": True,
        "bases": ["emilie/stable"],
    }
    user = tomllib.loads((empty.path / "indexes/emilie/user.toml").read_text())
    assert user == {"email": "emilie@example.org", "title": "Emilie Example"}
    assert run("-C", empty.path, "validate", "--all").code == 0
    assert run("-C", empty.path, "verify").code == 0
    assert run("-C", empty.path, "audit").code == 0


def test_simple_pages_list_the_same_before_and_after(
    run: Run, empty: IndexRepository, devpi: Devpi, tmp_path: Path
) -> None:
    before = {name: devpi.simple(name) for name in ("emilie/prod", "emilie/dev", "emilie/stable", "bob/team")}
    before["carla/mixed"] = devpi.simple("Carla/Mixed")
    for pages in before.values():
        for unsound in ("banana", "broken"):
            pages.pop(unsound, None)
    run("-C", empty.path, "import", "devpi", devpi.url)
    after = {index: pages for index, pages in simple(empty, tmp_path / "site").items() if index != "root/pypi"}
    assert after == before
    assert sum(len(files) for pages in before.values() for files in pages.values()) > 15


def test_results_of_tests_come_along(run: Run, empty: IndexRepository, devpi: Devpi) -> None:
    run("-C", empty.path, "import", "devpi", devpi.url)
    for index in ("emilie/dev", "emilie/prod"):
        results = json.loads((empty.path / f"indexes/{index}/demo/1.0.tests.json").read_text())
        told = {each["environment"]: (each["outcome"], each["duration"], each["files"]) for each in results}
        assert told == {
            "py311": ("passed", 1.5, [digest(DEMO[1])]),
            "py312": ("failed", 0.0, [digest(DEMO[1])]),
            "docs": ("error", 0.0, [digest(DEMO[1])]),
        }
    assert run("-C", empty.path, "validate", "--worktree").code == 0


def test_same_again_changes_nothing(run: Run, empty: IndexRepository, devpi: Devpi) -> None:
    command = ("-C", empty.path, "import", "devpi", f"{devpi.url}/", "--commit")
    run(*command)
    before = files_below(empty.path, but=".git")
    head = empty.git("rev-parse", "HEAD")
    again = run(*command)
    assert again.code == 1
    assert "emilie/dev: 0 files of 0 releases brought, 3 unchanged\n" in again.out
    assert (empty.git("rev-parse", "HEAD"), files_below(empty.path)) == (head, before)


def test_one_index_comes_with_what_it_inherits_from(run: Run, empty: IndexRepository, devpi: Devpi) -> None:
    done = run("-C", empty.path, "import", "devpi", devpi.url, "--index", "emilie/prod", "--commit")
    assert done.code == 0, done.out
    indexes = sorted(path.parent.relative_to(empty.path / "indexes") for path in empty.path.rglob("index.toml"))
    assert [*map(str, indexes)] == ["emilie/prod", "root/pypi"]
    assert released(empty, "emilie/prod") == {name: digest(data) for name, data in (DEMO, DEMO_SDIST, NEWER)}
    assert definition(empty, "emilie/prod")["acl_upload"] == ["emilie", "bob"]
    users = sorted(path.parent.name for path in empty.path.glob("indexes/*/user.toml"))
    assert users == ["bob", "emilie", "root"]
    unknown = run("-C", empty.path, "import", "devpi", devpi.url, "--index", "emilie/nope")
    assert unknown.code == 1
    assert "emilie/nope: devpi has no such index; it has: " in unknown.err


def test_history_is_by_whom_and_when_it_was(run: Run, empty: IndexRepository, devpi: Devpi) -> None:
    done = run("-C", empty.path, "import", "devpi", devpi.url, "--history")
    assert done.code == 1
    links = devpi.get("/emilie/dev/demo?ignore_bases=")["result"]["1.0"]["+links"]
    year, month, day, hour, minute, second = links[0]["log"][0]["when"]
    time = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    assert entry(empty, "emilie/dev", DEMO[0])["upload-time"] == f"{time}Z"
    assert entry(empty, "emilie/prod", DEMO[0])["upload-time"] == f"{time}Z"
    logged = empty.git("log", "--format=%s|%an <%ae>|%aI").splitlines()
    assert f"Release demo 1.0 to emilie/dev|emilie <emilie@example.org>|{time}+00:00" in logged
    by = {line.split("|")[0]: line.split("|")[1] for line in logged}
    assert by["Release own 1.0 to carla/mixed"] == "carla <carla@example.org>"
    assert by["Release demo 2.0 to emilie/prod"] == "Emilie Example <emilie@example.org>"  # bob has no e-mail
    assert run("-C", empty.path, "audit").code == 0
    assert empty.git("status", "--porcelain") == ""


def test_releases_here_stay_and_other_bytes_are_told(run: Run, tmp_path: Path, devpi: Devpi) -> None:
    content = Content().settings().user("emilie", email="me@example.org").user("root")
    content.stage("emilie/prod", volatile=False, title="Ours")
    content.release("emilie/prod", "demo", "1.0", text="other bytes")
    content.mirror("emilie/dev")
    repository = make_repository(tmp_path / "packages", content)
    done = run("-C", repository.path, "import", "devpi", devpi.url, "--commit")
    assert done.code == 1
    assert f"conflict: emilie/prod: {DEMO[0]}: is released with the sha256 " in done.out
    assert "conflict: emilie/dev: is of another type here" in done.out
    assert "note: emilie/prod: index.toml: is here already, and stays as it is" in done.out
    assert definition(repository, "emilie/prod") == {"type": "stage", "volatile": False, "title": "Ours"}
    assert (repository.path / "indexes/emilie/user.toml").read_bytes() == content["indexes/emilie/user.toml"]
    assert sorted(released(repository, "emilie/prod")) == sorted((DEMO[0], DEMO_SDIST[0], NEWER[0]))
    assert definition(repository, "emilie/stable")["bases"] == []
    assert released(repository, "bob/team") == {DEMO_TOO[0]: digest(DEMO_TOO[1])}
    assert DOTTED[0] not in released(repository, "bob/team")
    assert run("-C", repository.path, "validate", "--all").code == 0
