"""The example repository as a site, and its pages as their readers take them in."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gitindex.git import Past, Repository
from gitindex.names import ProjectName
from gitindex.render import people
from gitindex.site import render
from gitindex.views import IndexView, ProjectRow

ROOT = Path(__file__).parent.parent
NODE = ROOT / ".node/node_modules"
ELEMENTS = {
    "html", "head", "meta", "title", "link", "script", "body", "a", "bdi", "header", "nav", "ol", "ul", "li", "main",
    "section", "h1", "h2", "h3", "p", "br", "span", "div", "dl", "dt", "dd", "pre", "code", "strong", "table",
    "caption", "thead", "tbody", "tr", "th", "td", "time", "footer", "aside", "details", "summary", "button", "img",
    "search", "label", "input", "output", "kbd", "fieldset", "legend", "figure", "figcaption", "svg", "desc", "defs",
    "marker", "path", "rect", "circle", "text", "g",
}  # fmt: skip
"""All that pages for people and simple pages are made of, less what a README may bring."""
SVG = "{http://www.w3.org/2000/svg}"
"""What an element of a drawing begins with, as it is parsed."""


def program(name: str, brought_by: str) -> str:
    """Return the path of a program, or skip the test; on a build machine it has to be there."""
    found = shutil.which(name)
    if found is None:
        assert "CI" not in os.environ, f"{name} is missing; {brought_by}"
        pytest.skip(f"{name} is not there; {brought_by}")
    return found


def node_file(path: str) -> Path:
    """Return the path of a file of a Node package, or skip the test; on a build machine it has to be there."""
    found = NODE / path
    if not found.exists():
        assert "CI" not in os.environ, f"{found} is missing; see: make node"
        pytest.skip(f"{path} is not there; it comes with: make node")
    return found


def example_site(out: Path) -> Path:
    """Render the example repository as it stands, and return the folder."""
    repository = Repository.open(ROOT, "example-repo")
    render(repository.worktree(), out, past=Past(repository, repository.head()))
    return out


def pages_of(site: Path) -> list[str]:
    """Return the paths of the pages that people read."""
    paths = (path.relative_to(site) for path in site.rglob("*.html") if "simple" not in path.parts)
    return sorted(path.as_posix().removesuffix("index.html") for path in paths)


def index_of_many(view: IndexView, number: int) -> bytes:
    """Return the page of an index with so many projects."""
    beginnings = ("aero", "bench", "csv", "data", "edge", "flow", "graph", "http", "7zip", "json", "lake", "yaml")
    names = sorted(ProjectName(f"{beginnings[at % 12]}-tool-{at:05}") for at in range(number))
    rows = {name: people.project_row(ProjectRow(name, "1.2.3", "", view.name)) for name in names}
    return people.index(replace(view, projects=number), people.rows_of(rows))
