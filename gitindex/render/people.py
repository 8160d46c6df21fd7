"""The pages for people, and their stylesheet. Links are relative, so that a site works under any address.

Nothing here knows how an index is resolved or where a page is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gitindex.names import IndexName, ProjectName
from gitindex.render.text import carried, escaped, is_link, is_outside
from gitindex.snippets import for_index
from gitindex.views import IndexView, LandingView, ProjectRow

if TYPE_CHECKING:
    from jinja2 import Environment


def landing(view: LandingView) -> bytes:
    """Return the page at ``/``."""
    return laid_out("landing.html", view, root="./")


def index(view: IndexView, rows: Mapping[ProjectName, str]) -> bytes:
    """Return the page at ``/<user>/<index>/``, with the rows of its projects in their order."""
    return laid_out(
        "index.html",
        view,
        root="../../",
        is_served=view.kind != "mirror" or view.serves_mirror,
        snippets=for_index(view.index_url, view.name),
        rows=Markup("".join(rows.values())),  # noqa: S704 - made of escaped fragments
    )


_ROW = re.compile(r'<tr><th scope="row"><a href="project/([^/"]+)/">.*\n')


def read_rows(page: bytes) -> dict[ProjectName, str]:
    """Return the rows that a page of :func:`index` has, by project, in their order."""
    return {ProjectName(row[1]): row[0] for row in _ROW.finditer(page.decode())}


HOLE = re.compile("\0([a-z_]+)\0")
"""What :func:`hole` leaves on a page."""


def hole(name: str) -> Markup:
    """Return a place on a page that is filled in later: no text that is carried has a NUL."""
    return Markup(f"\0{name}\0")  # noqa: S704


@cache
def stylesheet() -> bytes:
    """Return the stylesheet of these pages, which link to it as ``/+site/style.css``."""
    return files(__package__).joinpath("static", "style.css").read_bytes()


@cache
def environment() -> Environment:
    """Return where the templates are, and what they may use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    made = Environment(
        loader=PackageLoader("gitindex", "render/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        finalize=_carried_output,
    )
    made.globals["link"] = is_link
    made.globals["outside"] = is_outside
    return made


def _carried_output(value: Any) -> Any:
    return value if hasattr(value, "__html__") else carried(str(value))


def laid_out(template: str, view: object, **parts: object) -> bytes:
    """Return a template with its holes filled."""
    return environment().get_template(template).render(view=view, **parts).encode()


def project_row(row: ProjectRow) -> str:
    """Return the row of a project on the page of an index: one line, that depends on nothing else."""
    name = escaped(row.name)
    status = badge(row.status) if row.status else ""
    origin = index_link(row.index, "../../") if row.index else ""
    return (
        f'<tr><th scope="row"><a href="project/{name}/">{name}</a></th>'
        f'<td>{escaped(row.latest)}</td><td>{status}</td><td class="from">{origin}</td></tr>\n'
    )


@lru_cache
def badge(word: str) -> str:
    """Return a word as a badge."""
    word = escaped(word)
    return f'<span class="badge {word}">{word}</span>'


@lru_cache
def index_link(name: IndexName, root: str) -> str:
    """Return a link to the page of an index."""
    text = escaped(str(name))
    return f'<a href="{root}{text}/">{text}</a>'
