"""The page of a project for people: what its releases hold, what they say of themselves, what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from gitindex.names import IndexName, ProjectName, is_project_name
from gitindex.pages import FilePage, Status
from gitindex.render.machine import offered
from gitindex.render.people import HOLE, badge, environment, hole, index_link, laid_out
from gitindex.render.text import carried, escaped, escaped_often, is_link, is_secure
from gitindex.sizes import human_size
from gitindex.snippets import for_project
from gitindex.views import HistoryEntry, Notice, ProjectView, RunOfTests

if TYPE_CHECKING:
    from gitindex.facts.described import Described

_ROOT = "../../../../"


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


def project(view: ProjectView) -> bytes:
    """Return the page at ``/<user>/<index>/project/<project>/``.

    Raises:
        CannotRunError: its README cannot be rendered, since what renders it cannot be started.

    """
    described = view.described
    sections = list(_sections(view))
    contents = [(anchor, title, count) for anchor, title, count, _ in sections]
    body = [_part("contents", contents)] if len(sections) > 1 else []
    body += [html for *_, html in sections]
    banner = _banner(view.page.status)
    version = f' <span class="version">{escaped(view.latest)}</span>' if view.latest else ""
    values = {
        "name": escaped(view.page.name),
        "display_name": escaped(view.display_name),
        "version": version,
        "lead": f'<p class="lead">{escaped(described.summary)}</p>\n' if described and described.summary else "",
        "banner": _part("banner", banner) if banner else "",
        "install": _install(view),
        "body": "".join(body),
        "about": _about(view),
    }
    frame = _frame(view.site_title, view.index) if view.notice is None else _framed(view, view.notice)
    return "".join([values[part] if at % 2 else part for at, part in enumerate(frame)]).encode()


@lru_cache(maxsize=64)
def _frame(site_title: str, index: IndexName) -> tuple[str, ...]:
    """Return the page of a project with holes: text and names of holes in turn.

    The template is laid out once for an index, not once for each of its projects: that halves the cost of a page.
    """
    return _framed(SimpleNamespace(site_title=site_title, index=index), None)


def _framed(of: Any, notice: Notice | None) -> tuple[str, ...]:
    names = ("version", "lead", "banner", "install", "body", "about")
    view = SimpleNamespace(
        site_title=of.site_title,
        index=of.index,
        name=hole("name"),
        display_name=hole("display_name"),
        notice=notice,
    )
    html = laid_out("project.html", view=view, root=_ROOT, **{name: hole(name) for name in names})
    return tuple(HOLE.split(html.decode()))


def _part(name: str, *values: Any) -> str:
    return str(getattr(environment().get_template("project_parts.html").module, name)(*values))


_STAND_IN = ProjectName("stand-in-for-the-name")


def _install(view: ProjectView) -> str:
    """Return the lines by which each tool installs it; none where there is nothing that anybody should install."""
    if not view.latest or not view.page.files:
        return ""
    if is_project_name(view.page.name) and _STAND_IN not in view.index_url:
        return _install_frame(view.index_url, view.index).replace(_STAND_IN, view.page.name)
    return _part("install", for_project(view.index_url, view.index, view.page.name, None), bool(view.index_url))


@lru_cache(maxsize=64)
def _install_frame(index_url: str, index: IndexName) -> str:
    return _part("install", for_project(index_url, index, _STAND_IN, None), bool(index_url))


def _about(view: ProjectView) -> str:
    tests = _newest_of_each(view.tested.get(view.latest, ())) if view.latest else ()
    if view.described is None and not tests:
        return _about_frame().replace(_STAND_IN, escaped(view.page.name))
    return _part("about", view, view.described, tests)


@lru_cache(maxsize=1)
def _about_frame() -> str:
    return _part("about", SimpleNamespace(page=SimpleNamespace(name=_STAND_IN)), None, ())


def _newest_of_each(runs: Iterable[RunOfTests]) -> list[RunOfTests]:
    """Return the newest result of each environment, sorted by environment."""
    newest: dict[str, RunOfTests] = {}
    for run in runs:
        newest.setdefault(run.environment, run)
    return [newest[environment] for environment in sorted(newest)]


def _sections(view: ProjectView) -> Iterator[tuple[str, str, int, str]]:
    """Yield the sections of the page: anchor, title, how many things are in it, HTML."""
    described = view.described
    if described is not None and described.description:
        yield "description", "Description", 0, _description(described)
    releases = list(_releases(view))
    listed = "".join(releases) if releases else "<p>No release is offered here.</p>\n"
    yield "releases", "Releases", len(releases), _section("releases", "Releases", listed)
    if described is not None and described.dependencies:
        count = sum(len(needs) for _, needs in described.dependencies)
        yield "dependencies", "Dependencies", count, _part("dependencies", described.dependencies, view.here)
    if view.history:
        entries = "".join(map(_history_entry, view.history))
        yield "history", "History", 0, _section("history", "History", f'<ol class="history">\n{entries}</ol>\n')


def _section(anchor: str, title: str, content: str) -> str:
    return f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{title}</h2>\n{content}</section>\n'


def _description(described: Described) -> str:
    from gitindex.render.readme import readme  # noqa: PLC0415 - many sites have no README at all

    return _part("description", readme(described.description, described.content_type), described.is_cut)


def _banner(status: Status | None) -> Banner | None:
    if status is None or status.status not in _MEANINGS:
        return None
    return Banner(status.status, *_MEANINGS[status.status], status.reason or "")


# Releases: a page has many of them, so their HTML is made of fragments, and not by a template


def _releases(view: ProjectView) -> Iterable[str]:
    """Yield the releases, the newest first; a version that has no file here is named all the same."""
    files = offered(view.page)
    # What an upstream has of no known version comes last.
    unknown: dict[str, list[FilePage]] = {} if all(file.version for file in files) else {"": []}
    releases = unknown | {version: [] for version in view.page.versions}
    for file in files:
        releases.setdefault(file.version, []).append(file)
    shown = view.latest or next(reversed(releases), "")
    marks = view.notice.marks if view.notice is not None else {}
    for version, its_files in reversed(releases.items()):
        runs = view.tested.get(version, ()) if view.tested else ()
        is_latest, is_open = version == view.latest, version == shown or version in marks
        yield _release(version, its_files, runs, is_latest=is_latest, is_open=is_open, mark=marks.get(version))


def _release(
    version: str,
    its_files: list[FilePage],
    runs: tuple[RunOfTests, ...],
    *,
    is_latest: bool,
    is_open: bool,
    mark: tuple[str, str] | None,
) -> str:
    """Return one release: what all its files share stands above them, the rest beside the file."""
    start, heading = _release_heading(version, is_open=is_open)
    if is_latest:
        heading += f" {badge('latest')}"
    if mark is not None:
        heading += f' <span class="badge change-{escaped(mark[0])}">{escaped(mark[1])}</span>'
    if not its_files:
        return f'{start[0]}{heading} <span class="aside">no files</span></summary>\n{start[1]}</div>\n</details>\n'
    first = its_files[0]
    shares_origin = shares_yank = True
    for file in its_files:
        shares_origin = shares_origin and (file.index is first.index or file.index == first.index)
        shares_yank = shares_yank and file.yanked == first.yanked
    note = ""
    if shares_yank and first.yanked is not None:
        heading += f" {badge('yanked')}"
        note = _yank_note(first.yanked)
    elif not shares_yank:
        heading += ' <span class="badge yanked">partly yanked</span>'
    if runs:
        heading += f" {_tests_badge(runs)}"
    count = "1 file" if len(its_files) == 1 else f"{len(its_files)} files"
    day = max((file.upload_time for file in its_files if file.upload_time), default="")[:10]
    heading += f' <span class="aside">{escaped_often(day)}{" · " if day else ""}{count}</span>'
    if shares_origin:
        note = f'<p class="aside">From {index_link(first.index, _ROOT)}</p>\n{note}'
    rows = "".join([_file_row(file, shows_origin=not shares_origin, shows_yank=not shares_yank) for file in its_files])
    tests = _tests(runs) if runs else ""
    return (
        f'{start[0]}{heading}</summary>\n{start[1]}{note}<ul class="files">\n{rows}</ul>\n{tests}</div>\n</details>\n'
    )


@lru_cache(maxsize=4096)
def _release_heading(version: str, *, is_open: bool) -> tuple[tuple[str, str], str]:
    start = f'<details class="release"{" open" if is_open else ""}>\n<summary>'
    if not version:
        return (start, '<div class="release-body">\n'), "Other files"
    # A browser opens what a fragment leads into; where the id is the element's own, it would stay closed.
    body = f'<div class="release-body" id="{_anchor(version)}">\n'
    return (start, body), f'<span class="version">{escaped(version)}</span>'


def _file_row(file: FilePage, *, shows_origin: bool, shows_yank: bool) -> str:
    url = escaped(file.url)
    name = file.filename if url is file.url and url.endswith(file.filename) else escaped(file.filename)
    line = f'<a href="{url}">{name}</a>' if is_link(file.url) else f"<span>{name}</span>"
    facts = [
        fact
        for fact in (
            "" if file.size is None else human_size(file.size),
            _day(file.upload_time),
            _python(file.requires_python),
        )
        if fact
    ]
    if file.provenance and is_secure(file.provenance):
        facts.append(f'<a href="{escaped(file.provenance)}">provenance</a>')
    if shows_origin:
        facts.append(f"from {index_link(file.index, _ROOT)}")
    line += f' <span class="aside">{" · ".join(facts)}</span>'
    if file.sha256 is not None:
        line += f'<span class="hash"><code data-copy="sha256 of {name}">{file.sha256}</code></span>'
    if shows_yank and file.yanked is not None:
        line += _yank_note(file.yanked, with_badge=True)
    return f"<li>{line}</li>\n"


@lru_cache(maxsize=4096)
def _anchor(version: str) -> str:
    """Return the id of a release on the page of its project, which a feed links to."""
    return escaped(quote(carried(version), safe="!+"))


@lru_cache(maxsize=4096)
def _python(specifiers: str | None) -> str:
    """Return specifiers such that a line may break between them."""
    return f"Python {escaped(', '.join(part.strip() for part in specifiers.split(',')))}" if specifiers else ""


@lru_cache(maxsize=4096)
def _day(time: str | None) -> str:
    return f'<time datetime="{escaped(time)}">{escaped(time[:10])}</time>' if time else ""


def _yank_note(reason: str, *, with_badge: bool = False) -> str:
    start = f"{badge('yanked')} " if with_badge else "<strong>Yanked.</strong> "
    return f'<p class="yank text">{start}{escaped(reason)}</p>\n'


def _tests_badge(runs: tuple[RunOfTests, ...]) -> str:
    newest = _newest_of_each(runs)
    if all(run.outcome == "passed" for run in newest):
        return '<span class="badge passed">tests passed</span>'
    return '<span class="badge failed">tests not passed</span>'


def _tests(runs: tuple[RunOfTests, ...]) -> str:
    rows = "".join(map(_test_row, runs))
    return f'<p class="aside">Tests, newest first</p>\n<ul class="runs">\n{rows}</ul>\n'


def _test_row(run: RunOfTests) -> str:
    if run.outcome == "unreadable":
        return f"<li>The results in {index_link(run.index, _ROOT)} cannot be read.</li>\n"
    facts = [f"{run.duration:,.1f} s", _day(run.time), f"recorded in {index_link(run.index, _ROOT)}"]
    return (
        f'<li>{badge(run.outcome)} <span class="environment">{escaped(run.environment)}</span>'
        f' <span class="aside">{" · ".join(facts)}</span></li>\n'
    )


def _history_entry(entry: HistoryEntry) -> str:
    done = [
        f"{what} {', '.join(map(escaped, versions))}"
        for what, versions in (("released", entry.released), ("changed", entry.changed), ("removed", entry.removed))
        if versions
    ]
    if entry.stated:
        done.append("stated yanks or status")
    text = ", ".join(done)
    return (
        f"<li>{_day(entry.time)} <span>{escaped(entry.author)} {text} in {index_link(entry.index, _ROOT)}</span>"
        f' <code class="aside">{escaped(entry.commit[:10])}</code></li>\n'
    )
