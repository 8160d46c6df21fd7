"""What is served is, byte for byte, what `render` writes: over the example repository and over generated ones."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from html5lib import HTMLParser
from hypothesis import given, settings, strategies as st
from packaging.version import Version

from gitindex import layout
from gitindex.git import Past, Repository
from gitindex.model import Mirror
from gitindex.site import render
from tests.repositories import Content, IndexRepository, make_repository, small_content
from tests.server.client import HTML, JSON, PIP, Served
from tests.server.conftest import shop_content
from tests.strategies import hostile_texts, project_names, specifiers, versions

NOWHERE = "http://127.0.0.1:1/simple/"
"""An upstream that is down: what is ours is served all the same."""
EXAMPLE = Path(__file__).parents[2] / "example-repo"


def rendered(repository: Repository, out: Path) -> dict[str, bytes]:
    """Return the files of the site by their paths."""
    head = repository.head()
    assert head is not None
    render(repository.at(head), out, past=Past(repository, head))
    files = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    return {path: data for path, data in files.items() if not path.startswith(".")}


def asked(path: str) -> Iterator[tuple[str, str]]:
    """Yield the URLs of a file of the site, with the Accept headers that it answers."""
    folder, _, name = path.rpartition("/")
    page = f"/{folder}/" if folder else "/"
    match name:
        case "index.html":
            yield page, HTML
            yield page, "*/*"
        case "index.json":
            yield page, JSON
            yield page, PIP
            yield f"/{path}", "*/*"
        case _:
            yield f"/{path}", "*/*"
    if "/simple/" in page:
        yield page.replace("/simple/", "/+simple/", 1), JSON if name == "index.json" else HTML


def compare(served: Served, site: dict[str, bytes], exceptions: set[str]) -> None:
    """Ask for all of a site, twice: made, and from memory."""
    compare_missing(served, site["404.html"])
    for path, data in site.items():
        for url, accept in asked(path) if path != "404.html" else ():
            for encoding in ("identity", "gzip", "identity"):
                response = served.get(url, {"Accept": accept, "Accept-Encoding": encoding})
                assert response.status == 200, (path, url)
                assert path in exceptions or response.content == data, (path, url)


def compare_missing(served: Served, page: bytes) -> None:
    """Ask for what is not there: the site's links lead to its root from anywhere, the server's from where one asked."""
    (root,) = set(re.findall(rb'(?:href|src)="([^"#]*)\+site/', page))
    assert root.startswith(b"/")
    assert root.endswith(b"/")
    for url, own in (("/nothing", b"./"), ("/404.html", b"./"), ("/nobody/nothing/", b"../../")):
        response = served.get(url, {"Accept": HTML})
        assert response.status == 404
        assert response.body == re.sub(rb'(href|src)="' + re.escape(root), rb'\1="' + own, page)


def mirror_pages(repository: Repository) -> set[str]:
    """Return the one exception: the server has simple pages of a mirror, and its page says so."""
    head = repository.head()
    assert head is not None
    snapshot = repository.at(head)
    found = ((name, snapshot.index(name)) for name in snapshot.index_names())
    return {f"{name}/index.html" for name, index in found if index and isinstance(index.definition, Mirror)}


def checked(repository: IndexRepository, folder: Path) -> dict[str, bytes]:
    """Compare the server of a repository with its site, and return that."""
    opened = repository.open()
    site = rendered(opened, folder / "site")
    exceptions = mirror_pages(opened)
    assert exceptions <= set(site)
    with Served(repository, folder / "cache") as served:
        compare(served, site, exceptions)
    return site


def test_example_repository_is_served_as_it_is_rendered(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("src"))
    repository = make_repository(tmp_path / "example")
    repository.commit("Start")
    site = checked(repository, tmp_path)
    names = {path.rpartition("/")[2].rpartition(".")[2] for path in site}
    assert {"html", "json", "xml", "css", "whl", "gz", "metadata"} <= names


def test_repository_with_all_there_is_is_served_as_it_is_rendered(tmp_path: Path) -> None:
    content = shop_content()
    content.settings(
        site={"title": "A & <b>", "url": "https://packages.example.org/x"}, names={"reserved": ["acme-*", "billing"]}
    )
    content.user("root").mirror("root/pypi", title="<M>", mirror_url=NOWHERE).stage(
        "root/all", bases=["emilie/dev", "root/pypi"]
    )
    content.stage("emilie/closed", bases=["root/all"], mirror_whitelist=["other"])
    content.release("root/all", "foo-bar", "1.0.post1", requires_python=">=3.9,<4")
    content.statements("emilie/dev", "many", status="deprecated", yanked={"3.0": "<&\"'>"})
    content.release("emilie/dev", "sick", "1.0")
    content.statements("emilie/dev", "sick", status="quarantined")
    content.release("emilie/dev", "plus", "1.0+a.b", kind="sdist")
    needs = "Requires-Dist: many\nRequires-Dist: far; extra == 'x'\n"
    readme = "Description-Content-Type: text/markdown\n\n# *Read* me\n"
    content.release("emilie/dev", "told", "1.0", kind="sdist", extra=needs + readme)
    sha256 = content.entry("emilie/dev", "told", "1.0")["hashes"]["sha256"]
    run = {"environment": "py", "outcome": "failed", "duration": 1, "time": "2026-11-22T08:00:00Z", "files": [sha256]}
    content["indexes/emilie/dev/told/1.0.tests.json"] = json.dumps([run]).encode()
    provenance = b'{"version": 1, "attestation_bundles": []}'
    content.release("emilie/dev", "proven", "1.0", provenance=hashlib.sha256(provenance).hexdigest())
    content[content.stored("emilie/dev", "proven", "1.0") + layout.PROVENANCE_SUFFIX] = provenance
    del content[content.stored("emilie/dev", "many", "7.0") + layout.METADATA_SUFFIX]
    site = checked(make_repository(tmp_path / "packages", content), tmp_path)
    assert any(path.endswith(".provenance") for path in site)
    assert "root/all/simple/foo-bar/index.json" in site
    assert "emilie/dev/simple/billing/index.json" in site


def test_index_repository_in_a_folder_of_a_larger_one_is_served_as_it_is_rendered(tmp_path: Path) -> None:
    checked(make_repository(tmp_path / "mono", shop_content(), folder="tools/packages"), tmp_path)


_indexes = ("emilie/dev", "emilie/prod", "bob/team")
_texts = hostile_texts.filter(lambda text: not any(0xD800 <= ord(character) < 0xE000 for character in text)).map(
    lambda text: "".join(character for character in text if character.isprintable())
)


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """Draw a repository that validates: stages above one another, releases, statements."""
    content = small_content(
        site={"title": draw(_texts)}, names={"reserved": draw(st.sampled_from([[], ["acme-*", "x"]]))}
    )
    content.mirror("root/pypi", mirror_url=NOWHERE).user("bob").stage(
        "bob/team",
        title=draw(_texts),
        description=draw(_texts),
        bases=draw(st.permutations(["emilie/prod", "emilie/dev"]).map(lambda bases: list(bases[:1]))),
        mirror_whitelist=draw(st.sampled_from([[], ["*"], ["a"]])),
    )
    for project in draw(st.lists(project_names, max_size=3, unique=True)):
        for index in draw(st.sets(st.sampled_from(_indexes), min_size=1)):
            spelled = {Version(version): version for version in sorted(draw(st.sets(versions, max_size=2)))}
            for version in map(str, spelled):
                content.release(
                    index,
                    project,
                    version,
                    kind=draw(st.sampled_from(["wheel", "sdist"])),
                    text=draw(st.sampled_from(["", "# more"])),
                    requires_python=draw(st.none() | specifiers.map(str.strip)),
                )
                if draw(st.booleans()):
                    content.statements(index, project, yanked={version: draw(_texts)})
            if draw(st.booleans()) and f"indexes/{index}/{project}/project.toml" not in content and spelled:
                marker = draw(st.sampled_from(["archived", "deprecated", "quarantined", "active"]))
                content.statements(index, project, status=marker)
    return content


@settings(max_examples=25, deadline=None)
@given(content=contents())
def test_whatever_validates_is_served_as_it_is_rendered(content: Content) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = make_repository(Path(folder) / "packages", content)
        checked(repository, Path(folder))


def test_page_of_a_mirror_leads_to_its_simple_pages_in_the_server_and_not_in_the_site(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", small_content())
    site = rendered(repository.open(), tmp_path / "site")
    with Served(repository, tmp_path / "cache") as served:
        page = served.get("/root/pypi/", {"Accept": HTML}).body
    assert "simple/" in _links(page)
    assert "simple/" not in _links(site["root/pypi/index.html"])
    assert "root/pypi/simple/index.html" not in site


def _links(page: bytes) -> set[str]:
    root = HTMLParser(namespaceHTMLElements=False).parse(page, transport_encoding="utf-8")
    return {link for element in root.iter() if isinstance(element.tag, str) and (link := element.attrib.get("href"))}


@pytest.mark.parametrize("path", ["emilie/dev/simple/many/index.json", "emilie/dev/simple/index.html"])
def test_page_of_another_commit_is_the_page_that_its_site_has(shop: IndexRepository, tmp_path: Path, path: str) -> None:
    site = rendered(shop.open(), tmp_path / "site")
    old = shop.git("rev-parse", "HEAD")
    content = Content()
    content.release("emilie/dev", "many", "99.0")
    content.release("emilie/dev", "new", "1.0")
    shop.put(content)
    new = shop.commit()
    now = rendered(shop.open(), tmp_path / "site")
    assert now[path] != site[path]
    url, accept = next(asked(path))
    with Served(shop, tmp_path / "cache") as served:
        assert served.get(f"/@{old}{url}", {"Accept": accept}).body == site[path]
        assert served.get(f"/@{new}{url}", {"Accept": accept}).body == now[path]
