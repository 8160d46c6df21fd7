"""The pages for people, and their stylesheet. Links are relative, so that a site works under any address.

Nothing here knows how an index is resolved or where a page is written.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from gitindex.names import IndexName, ProjectName
from gitindex.pages import FilePage, Status
from gitindex.render.machine import offered
from gitindex.render.text import carried, escaped, escaped_often, is_link, is_secure
from gitindex.views import IndexView, LandingView, ProjectRow, ProjectView

if TYPE_CHECKING:
    from jinja2 import Environment


class Banner(NamedTuple):
    """What a project page says about the project's status (PEP 792)."""

    marker: str
    title: str
    meaning: str
    reason: str


_MEANINGS = {
    "archived": ("Archived.", "No further releases are to be expected."),
    "deprecated": ("Deprecated.", "Its owners advise against using it."),
    "quarantined": ("Quarantined.", "It is considered unsafe, so its files are not offered."),
}
_UNKNOWN_URL = "URL"
"""Stands where the settings do not say where the site is served; the pages explain it."""


def landing(view: LandingView) -> bytes:
    """Return the page at ``/``."""
    return _page("landing.html", view, root="./")


def index(view: IndexView, rows: Mapping[ProjectName, str]) -> bytes:
    """Return the page at ``/<user>/<index>/``, with the rows of its projects in their order."""
    return _page(
        "index.html",
        view,
        root="../../",
        is_served=view.kind != "mirror" or view.serves_mirror,
        pip=_pip_line(view.index_url, "NAME"),
        uv=_uv_lines(view.name, view.index_url),
        rows=Markup("".join(rows.values())),  # noqa: S704 - made of escaped fragments
    )


_ROW = re.compile(r'<tr><th scope="row"><a href="project/([^/"]+)/">.*\n')


def read_rows(page: bytes) -> dict[ProjectName, str]:
    """Return the rows that a page of :func:`index` has, by project, in their order."""
    return {ProjectName(row[1]): row[0] for row in _ROW.finditer(page.decode())}


def project(view: ProjectView) -> bytes:
    """Return the page at ``/<user>/<index>/project/<project>/``."""
    rows = "".join(_releases(view))
    banner = _banner(view.page.status)
    if rows and view.latest and banner is None:
        pip = escaped(_pip_line(view.index_url, view.page.name))
        name, title = escaped(view.page.name), escaped(view.display_name)
        values = {"name": name, "display_name": title, "latest": escaped(view.latest), "pip": pip, "rows": rows}
        shell = _project_shell(view.site_title, view.index, has_url=bool(view.index_url))
        return "".join([values[part] if at % 2 else part for at, part in enumerate(shell)]).encode()
    return _page(
        "project.html",
        view,
        root="../../../../",
        banner=banner,
        pip=_pip_line(view.index_url, view.page.name),
        rows=Markup(rows),  # noqa: S704 - made of escaped fragments
    )


@lru_cache(maxsize=64)
def _project_shell(site_title: str, index: IndexName, *, has_url: bool) -> tuple[str, ...]:
    """Return the page of an ordinary project with holes: text and names of holes in turn.

    The template is laid out once for an index, not once for each of its projects: that halves the cost of a page.
    """
    page = SimpleNamespace(name=_hole("name"))
    view = SimpleNamespace(
        site_title=site_title,
        index=index,
        index_url=has_url,
        page=page,
        display_name=_hole("display_name"),
        latest=_hole("latest"),
    )
    html = _page("project.html", view, root="../../../../", banner=None, pip=_hole("pip"), rows=_hole("rows"))
    return tuple(_HOLE.split(html.decode()))


_HOLE = re.compile("\0([a-z_]+)\0")


def _hole(name: str) -> Markup:
    return Markup(f"\0{name}\0")  # noqa: S704 - no text that is carried has a NUL


@cache
def stylesheet() -> bytes:
    """Return the stylesheet of these pages, which link to it as ``/+site/style.css``."""
    return files(__package__).joinpath("static", "style.css").read_bytes()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    from gitindex.render.compiled import CompiledTemplates  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("gitindex", "render/templates"),
        bytecode_cache=CompiledTemplates(str(files(__package__).joinpath("templates")), __file__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        finalize=_carried_output,
    )
    environment.globals["link"] = is_link
    return environment


def _carried_output(value: Any) -> Any:
    return value if hasattr(value, "__html__") else carried(str(value))


def _page(template: str, view: object, **parts: object) -> bytes:
    return _environment().get_template(template).render(view=view, **parts).encode()


def _pip_line(index_url: str, name: str) -> str:
    return f"pip install --index-url {shlex.quote(index_url or _UNKNOWN_URL)} {shlex.quote(name)}"


def _uv_lines(name: IndexName, index_url: str) -> str:
    # A JSON string is a TOML string once nothing is left in it that TOML forbids.
    url = json.dumps(carried(index_url or _UNKNOWN_URL), ensure_ascii=False)
    return f'[[tool.uv.index]]\nname = "{name.user}-{name.name}"\nurl = {url}\ndefault = true'


def _banner(status: Status | None) -> Banner | None:
    if status is None or status.status not in _MEANINGS:
        return None
    return Banner(status.status, *_MEANINGS[status.status], status.reason or "")


def project_row(row: ProjectRow) -> str:
    """Return the row of a project on the page of an index: one line, that depends on nothing else."""
    name = escaped(row.name)
    status = _badge(row.status) if row.status else ""
    origin = _index_link(row.index, "../../") if row.index else ""
    return (
        f'<tr><th scope="row"><a href="project/{name}/">{name}</a></th>'
        f'<td>{escaped(row.latest)}</td><td>{status}</td><td class="from">{origin}</td></tr>\n'
    )


def _releases(view: ProjectView) -> Iterable[str]:
    """Yield the releases, the newest first; a version that has no file here is named all the same."""
    files = offered(view.page)
    # What an upstream has of no known version comes last.
    unknown: dict[str, list[FilePage]] = {} if all(file.version for file in files) else {"": []}
    releases = unknown | {version: [] for version in view.page.versions}
    for file in files:
        releases.setdefault(file.version, []).append(file)
    for version, its_files in reversed(releases.items()):
        yield _release(version, its_files, is_latest=version == view.latest)


def _release(version: str, its_files: list[FilePage], *, is_latest: bool) -> str:
    """Return one release: what all its files share stands in its heading, the rest beside the file."""
    anchor, heading = _release_heading(version)
    if is_latest:
        heading += f" {_badge('latest')}"
    if not its_files:
        return f'{anchor}{heading} <span class="aside">no files</span></th></tr>\n</tbody>\n'
    first = its_files[0]
    shares_origin = shares_yank = True
    for file in its_files:
        shares_origin = shares_origin and (file.index is first.index or file.index == first.index)
        shares_yank = shares_yank and file.yanked == first.yanked
    if shares_origin:
        heading += f' <span class="aside">from {_index_link(first.index, "../../../../")}</span>'
    if shares_yank and first.yanked is not None:
        heading += _yank_note(first.yanked)
    rows = "".join([_file_row(file, shows_origin=not shares_origin, shows_yank=not shares_yank) for file in its_files])
    return f"{anchor}{heading}</th></tr>\n{rows}</tbody>\n"


@lru_cache(maxsize=4096)
def _release_heading(version: str) -> tuple[str, str]:
    if not version:
        return '<tbody>\n<tr><th colspan="4" scope="rowgroup">', "Other files"
    anchor = _anchor(version)
    start = f'<tbody id="{anchor}">\n<tr><th colspan="4" scope="rowgroup">'
    return start, f'<a href="#{anchor}">{escaped(version)}</a>'


def _file_row(file: FilePage, *, shows_origin: bool, shows_yank: bool) -> str:
    url = escaped(file.url)
    name = file.filename if url is file.url and url.endswith(file.filename) else escaped(file.filename)
    cell = f'<a href="{url}">{name}</a>' if is_link(file.url) else name
    if shows_origin:
        cell += f' <span class="aside">from {_index_link(file.index, "../../../../")}</span>'
    if file.provenance and is_secure(file.provenance):
        cell += f' <a class="aside" href="{escaped(file.provenance)}">provenance</a>'
    if shows_yank and file.yanked is not None:
        cell += _yank_note(file.yanked)
    digest = f"<code>{file.sha256}</code>" if file.sha256 is not None else ""
    time = file.upload_time
    when = f'<time datetime="{escaped(time)}">{escaped_often(time[:10])}</time>' if time else ""
    return (
        f'<tr><th scope="row">{cell}{digest}</th><td>{_human_size(file.size)}</td>'
        f'<td>{when}</td><td class="python">{_python(file.requires_python or "")}</td></tr>\n'
    )


@lru_cache(maxsize=4096)
def _anchor(version: str) -> str:
    """Return the id of a release on the page of its project, which a feed links to."""
    return escaped(quote(carried(version), safe="!+"))


@lru_cache(maxsize=4096)
def _python(specifiers: str) -> str:
    """Return specifiers such that a line may break between them."""
    return escaped(", ".join(part.strip() for part in specifiers.split(",")))


@lru_cache
def _badge(word: str) -> str:
    word = escaped(word)
    return f'<span class="badge {word}">{word}</span>'


def _yank_note(reason: str) -> str:
    return f'<p class="text">{_badge("yanked")} {escaped(reason)}</p>'


@lru_cache
def _index_link(name: IndexName, root: str) -> str:
    text = escaped(str(name))
    return f'<a href="{root}{text}/">{text}</a>'


def _human_size(size: int | None) -> str:
    if size is None:
        return ""
    if size < 1000:  # noqa: PLR2004 - decimal units, as package indexes show them
        return f"{size} B"
    amount = size / 1000
    for unit in ("kB", "MB", "GB"):
        if amount < 999.95:  # noqa: PLR2004 - what rounds to 1000.0 belongs to the next unit
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
