"""The tables of docs/reference/urls.md hold for a rendered site and for a running server."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.pages import DOCS
from tests.peers.server import SiteServer
from tests.peers.serving import Serving, get as ask, serving
from tests.peers.tools import Tools, done, upload, wheel

pytestmark = pytest.mark.peers

TEXT = (DOCS / "reference/urls.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table whose first heading is this, without the marks of code."""
    rows = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert rows is not None
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]


ROWS = table("URL")


class There(NamedTuple):
    """A site and a server of one repository, and what stands for the placeholders of the page."""

    site: Path
    server: Serving
    values: dict[str, str]

    def fill(self, url: str) -> str:
        values = dict(self.values)
        if "<mirror>" in url:
            values.update(
                {"<project>": "idna", "<filename>": self.values["<mirrored>"], "<sha256>": self.values["<sha>"]}
            )
        for name, value in values.items():
            url = url.replace(name, value)
        assert "<" not in url
        return url


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    folder = tmp_path_factory.mktemp("urls")
    tools = Tools(folder)

    def make(name: str, file: tuple[str, bytes]) -> Path:
        repository = folder / name
        done(tools.run(sys.executable, "-m", "gitindex", "init", repository, "--user", "emilie"))
        done(upload(tools, repository, "emilie/prod", [file]))
        done(tools.run("git", "-C", repository, "add", "."))
        done(tools.run("git", "-C", repository, "commit", "--quiet", "--message", "Release"))
        done(tools.gitindex(repository, "render", "--out", folder / f"{name}-site"))
        return repository

    def digest(name: str) -> str:
        (path,) = (folder / f"{name}-site" / "files").glob("*/*/*.whl")
        return path.parent.parent.name + path.parent.name

    mirrored = wheel("idna", "3.7")
    make("upstream", mirrored)
    ours = wheel("table-print", "1.0")
    repository = make("packages", ours)
    with SiteServer(folder / "upstream-site") as upstream:
        url = f"mirror_url={upstream.url}/emilie/prod/simple/"
        done(tools.gitindex(repository, "index", "modify", "root/pypi", url, "--commit"))
        with serving(tools, repository) as server:
            assert server.get("/root/pypi/simple/idna/").status == 200
            values = {
                "<user>/<mirror>": "root/pypi",
                "<user>": "emilie",
                "<index>": "prod",
                "<rev>": done(tools.run("git", "-C", repository, "rev-parse", "HEAD")).strip(),
                "<sha256[0:2]>": digest("packages")[:2],
                "<sha256[2:]>": digest("packages")[2:],
                "<project>": "table-print",
                "<filename>": ours[0],
                "<mirrored>": mirrored[0],
                "<sha>": digest("upstream"),
            }
            yield There(folder / "packages-site", server, values)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_url_of_the_page_is_in_the_site_and_the_server_as_it_says(row: list[str], there: There) -> None:
    url, path, in_server, kind, about = row
    assert about
    url = there.fill(url)
    asked = f"{url.lstrip('/')}index.html" if url.endswith("/") else url.lstrip("/")
    assert (there.site / asked).is_file() == (path != "no")
    assert path == "no" or there.fill(path) == asked
    assert in_server == "yes"
    got = there.server.get(url, Accept="text/html, */*;q=0.5")
    assert got.status == 200
    assert got.headers["content-type"].partition(";")[0] == kind


def test_every_file_of_the_site_has_its_row(there: There) -> None:
    rows = {there.fill(row[1]) for row in ROWS if row[1] != "no"}
    made = {path.relative_to(there.site).as_posix() for path in there.site.rglob("*") if path.is_file()}
    others = {"404.html", "+site/icon.svg", "+site/script.js"}
    of_ours = {path for path in made if not path.startswith((".", "emilie/dev/", "root/"))}
    assert of_ours - rows - others == set()
    assert rows <= made


@pytest.mark.parametrize(("accept", "kind"), table("`Accept`"))
def test_a_simple_page_comes_as_it_is_asked_for(accept: str, kind: str, there: There) -> None:
    headers = {} if accept == "none" else {"Accept": accept}
    got = there.server.get("/emilie/prod/simple/table-print/", **headers)
    assert (got.status, got.headers["content-type"].partition(";")[0]) == (200, kind)


def test_the_root_in_json_is_devpis(there: There) -> None:
    got = there.server.get("/", Accept="application/json")
    assert got.headers["content-type"].startswith("application/json")
    assert b'"emilie"' in got.body


@pytest.mark.parametrize("row", table("`POST` to"), ids=lambda row: row[0])
def test_what_can_be_sent_has_to_be_switched_on(row: list[str], there: There) -> None:
    url, status, _, _ = row
    assert str(ask(f"{there.server.url}{there.fill(url)}", "POST").status) == status


def test_other_answers_are_what_the_page_says(there: There) -> None:
    said = dict(table("what is asked for"))
    get = there.server.get
    assert said["a folder without its slash, `/emilie/prod/simple"][:3] == str(get("/emilie/prod/simple").status)
    assert said["a name in another spelling, `/emilie/prod/simple/Table_Print/"][:3] == str(
        get("/emilie/prod/simple/Table_Print/").status
    )
    assert said["a project that neither the index nor a mirror has"] == str(get("/emilie/prod/simple/nobody/").status)
    deleted = ask(f"{there.server.url}/emilie/prod/simple/", "DELETE")
    assert said["a method other than `GET` and `HEAD`, anywhere else than above"] == str(deleted.status)
    assert len(said) == 5
    assert get("/emilie/prod/simple/").headers["cache-control"] == "max-age=0, must-revalidate"
    assert "immutable" in get(there.fill("/files/<sha256[0:2]>/<sha256[2:]>/<filename>")).headers["cache-control"]
