"""The pages for people, and what these load. Links are relative, so that a site works under any address.

Nothing here knows how an index is resolved or where a page is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from markupsafe import Markup

from gitindex.names import IndexName, ProjectName
from gitindex.render import policy
from gitindex.render.frames import FRAMES, Frames, filled, hole
from gitindex.render.text import apart, carried, escaped, is_link, is_outside
from gitindex.views import FeedEntry, IndexView, LandingView, ProjectRow

if TYPE_CHECKING:
    from jinja2 import Environment

    from gitindex.snippets import Snippet


_HERE = Path(__file__).parent


def landing(view: LandingView) -> bytes:
    """Return the page at ``/``."""
    indexes = sum(len(cards) for _, _, cards in view.users)
    return laid_out("landing.html", view, root="./", indexes=indexes).encode()


def missing(site_title: str, root: str) -> bytes:
    """Return the page for what is not there; it is shown at any path, so *root* says where the landing page is."""
    return laid_out("missing.html", SimpleNamespace(site_title=site_title), root=root).encode()


def root_of(site_url: str) -> str:
    """Return the path of a site's landing page, as it is known from its URL; ``/`` where that is not stated."""
    path = urlsplit(site_url).path.strip("/")
    return f"/{path}/" if path else "/"


class Rows(NamedTuple):
    """The rows of the page of an index, as they stand on it."""

    letters: tuple[str, ...]
    """A link to each letter that there is: who has no script can jump there."""
    body: str


def rows_of(rows: Mapping[ProjectName, str]) -> Rows:
    """Return the rows of projects in their order, under their letters."""
    letters, parts = [], []
    for start, names in groupby(rows, key=_letter):
        letters.append(f'<a href="#letter-{start}">{"0–9" if start == "0" else start.upper()}</a>\n')  # noqa: RUF001 - from 0 to 9
        parts += [f'<tbody id="letter-{start}">\n', *(rows[name] for name in names), "</tbody>\n"]
    return Rows(tuple(letters), "".join(parts))


def index(view: IndexView, rows: Rows, frames: Frames = FRAMES) -> bytes:
    """Return the page at ``/<user>/<index>/``, with the rows of its projects."""
    shape = {
        "has_newest": bool(view.newest),
        "has_projects": view.projects > 0,
        "has_letters": view.projects > _FEW and len(rows.letters) > 1,
        "has_many": view.projects > _MANY,
    }
    values = {
        "newest": "".join(map(_newest, view.newest)),
        "count": f"{view.projects:,}",
        "letters": "".join(rows.letters),
        "rows": rows.body,
    }
    if view.notice is not None:
        return filled(_index_frame(view, shape, values), values)
    always = replace(view, newest=(), projects=0)
    return filled(frames.get(("index", always, *shape.values()), lambda: _index_frame(always, shape, values)), values)


def _index_frame(view: IndexView, shape: Mapping[str, bool], holes: Iterable[str]) -> str:
    from gitindex.render.graph import graph  # noqa: PLC0415 - most pages have a frame already
    from gitindex.snippets import for_index  # noqa: PLC0415

    return laid_out(
        "index.html",
        view,
        root="../../",
        is_served=view.kind != "mirror" or view.serves_mirror,
        snippets=for_index(view.index_url, view.name),
        graph=graph(view.inherits),
        **shape,
        **{name: hole(name) for name in holes},
    )


def _newest(entry: FeedEntry) -> str:
    link = escaped(entry.link if is_link(entry.link) else "#projects-title")
    project, version, updated = escaped(entry.project), apart(entry.version), escaped(entry.updated or "")
    yanked = f" {badge('yanked')}" if entry.yanked else ""
    time = f' <time datetime="{updated}">{updated[:10]}</time>' if updated else ""
    return f'<li><a href="{link}">{project} <span class="version">{version}</span></a>{yanked}{time}</li>\n'


_FEW = 20
"""So many projects are found without jumping to a letter."""
_MANY = 200
"""So many rows a browser lays out at once; of more, each letter's when it comes into view."""


_ROW = re.compile(r'<tr><th scope="row"><a href="project/([^/"]+)/">.*\n')


def read_rows(page: bytes) -> dict[ProjectName, str]:
    """Return the rows that a page of :func:`index` has, by project, in their order."""
    return {ProjectName(row[1]): row[0] for row in _ROW.finditer(page.decode())}


def with_rows(page: bytes, rows: Mapping[ProjectName, str]) -> Rows | None:
    """Return the rows of a page of :func:`index`, some projects with other ones; ``None`` where it has none of one."""
    above, start, body = page.decode().partition("<tbody")
    body = start + body[: body.rfind("</table>")]
    for name, row in rows.items():
        before, found, after = body.partition(_row_start(name))
        if not found:
            return None
        body = before + row + after[after.index("\n") + 1 :]
    _, _, letters = above.partition(_LETTERS)
    return Rows(tuple(letters[: letters.find("</nav>")].splitlines(keepends=True)), body)


_LETTERS = '<nav class="letters" aria-label="Projects by letter">\n'


def _row_start(name: str) -> str:
    return f'<tr><th scope="row"><a href="project/{name}/">'


def _letter(name: ProjectName) -> str:
    """Return the letter that a name begins with; a digit, which is the only other thing, counts as 0."""
    return name[0] if name[:1].isalpha() and name.isascii() else "0"


STATICS = ("style.css", "script.js", "icon.svg")
"""What these pages load, from the folder ``+site/`` at the root of the site: nothing else."""


@cache
def static(name: str) -> bytes:
    """Return one of :data:`STATICS`."""
    return (_HERE / "static" / name).read_bytes()


@cache
def environment() -> Environment:
    """Return where the templates are, and what they may use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    from gitindex.render.compiled import CompiledTemplates  # noqa: PLC0415

    made = Environment(
        loader=PackageLoader("gitindex", "render/templates"),
        bytecode_cache=CompiledTemplates(str(_HERE / "templates"), __file__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        finalize=_carried_output,
    )
    made.filters["apart"] = _apart
    made.globals.update(link=is_link, outside=is_outside, number=_number, by_tool=_by_tool, policy=policy.IN_PAGE)
    return made


def _carried_output(value: Any) -> Any:
    return value if hasattr(value, "__html__") else carried(str(value))


def _apart(text: object) -> Markup:
    return Markup(apart(str(text)))  # noqa: S704 - it is escaped


def laid_out(template: str, view: object, **parts: object) -> str:
    """Return what a template makes of its parts."""
    return environment().get_template(template).render(view=view, **parts)


def _number(amount: int, one: str, many: str) -> str:
    return f"{amount:,} {one if amount == 1 else many}"


def _by_tool(snippets: Iterable[Snippet]) -> list[tuple[str, list[Snippet]]]:
    """Return lines by their tool, in their order."""
    return [(tool, list(its)) for tool, its in groupby(snippets, key=attrgetter("tool"))]


def project_row(row: ProjectRow) -> str:
    """Return the row of a project on the page of an index: one line, that depends on nothing else."""
    name = escaped(row.name)
    status = badge(row.status) if row.status else ""
    origin = index_link(row.index, "../../") if row.index else ""
    return (
        f"{_row_start(name)}{name}</a></th>"
        f'<td>{apart(row.latest)}</td><td>{status}</td><td class="from">{origin}</td></tr>\n'
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
