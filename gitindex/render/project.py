"""The page of a project for people: what its releases hold, what they say of themselves, what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from gitindex.names import IndexName, ProjectName, is_project_name
from gitindex.pages import FilePage, Status
from gitindex.render.frames import FRAMES, Frames, filled, hole
from gitindex.render.machine import offered
from gitindex.render.people import badge, environment, index_link, laid_out
from gitindex.render.text import apart, carried, escaped, is_link, is_secure
from gitindex.sizes import human_size
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


def project(view: ProjectView, frames: Frames = FRAMES) -> bytes:
    """Return the page at ``/<user>/<index>/project/<project>/``.

    Raises:
        CannotRunError: its README cannot be rendered, since what renders it cannot be started.

    """
    described = view.described
    sections = list(_sections(view))
    body = [_contents(sections)] if len(sections) > 1 else []
    body += [html for *_, html in sections]
    banner = _banner(view.page.status)
    version = f' <span class="version">{apart(view.latest)}</span>' if view.latest else ""
    values = {
        "name": escaped(view.page.name),
        "display_name": escaped(view.display_name),
        "heading": apart(view.display_name),
        "version": version,
        "lead": f'<p class="lead">{escaped(described.summary)}</p>\n' if described and described.summary else "",
        "banner": _part("banner", banner) if banner else "",
        "install": _install(view, frames),
        "body": "".join(body),
        "about": _about(view, frames),
    }
    if view.notice is not None:
        return filled(_frame(view.site_title, view.index, view.notice), values)
    # The template is laid out once for an index, not once for each of its projects: that halves the cost of a page.
    key = ("project", view.site_title, view.index)
    return filled(frames.get(key, lambda: _frame(view.site_title, view.index, None)), values)


def _frame(site_title: str, index: IndexName, notice: Notice | None) -> str:
    names = ("heading", "version", "lead", "banner", "install", "body", "about")
    view = SimpleNamespace(
        site_title=site_title, index=index, name=hole("name"), display_name=hole("display_name"), notice=notice
    )
    return laid_out("project.html", view=view, root=_ROOT, **{name: hole(name) for name in names})


def _part(name: str, *values: Any) -> str:
    return str(getattr(environment().get_template("project_parts.html").module, name)(*values))


_STAND_IN = ProjectName("stand-in-for-the-name")


def _install(view: ProjectView, frames: Frames) -> str:
    """Return the lines by which each tool installs it; none where there is nothing that anybody should install."""
    url, index, name = view.index_url, view.index, view.page.name
    if not view.latest or not view.page.files:
        return ""
    if is_project_name(name) and _STAND_IN not in url:
        return frames.get(("install", url, index), lambda: _lines(url, index, _STAND_IN)).replace(_STAND_IN, name)
    return _lines(url, index, name)


def _lines(index_url: str, index: IndexName, project: ProjectName) -> str:
    from gitindex.snippets import for_project  # noqa: PLC0415 - most pages have a frame already

    return _part("install", for_project(index_url, index, project, None), bool(index_url))


def _about(view: ProjectView, frames: Frames) -> str:
    tests = _newest_of_each(view.tested.get(view.latest, ())) if view.latest else ()
    if view.described is None and not tests:
        return frames.get("about", _nothing_but_a_name).replace(_STAND_IN, escaped(view.page.name))
    return _part("about", view, view.described, tests)


def _nothing_but_a_name() -> str:
    return _part("about", SimpleNamespace(page=SimpleNamespace(name=_STAND_IN)), None, ())


def _contents(sections: Iterable[tuple[str, str, int, str]]) -> str:
    """Return links to the sections of a page."""
    rows = []
    for anchor, title, count, _ in sections:
        aside = f' <span class="aside">{count}</span>' if count else ""
        rows.append(f'<li><a href="#{anchor}">{title}{aside}</a></li>\n')
    return f'<nav class="contents" aria-label="On this page">\n<ul>\n{"".join(rows)}</ul>\n</nav>\n'


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
    listed = releases or ["<p>No release is offered here.</p>\n"]
    yield "releases", "Releases", len(releases), _section("releases", "Releases", *listed)
    if described is not None and described.dependencies:
        count = sum(len(needs) for _, needs in described.dependencies)
        yield "dependencies", "Dependencies", count, _part("dependencies", described.dependencies, view.here)
    if view.history:
        entries = map(_history_entry, view.history)
        yield "history", "History", 0, _section("history", "History", '<ol class="history">\n', *entries, "</ol>\n")


def _section(anchor: str, title: str, *content: str) -> str:
    heading = f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{title}</h2>\n'
    return "".join((heading, *content, "</section>\n"))


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
    is_plain = view.page.is_plain
    for version, its_files in reversed(releases.items()):
        start, body = _release_frame(version, is_open=version == shown or version in marks)
        badges = f" {badge('latest')}" if version == view.latest else ""
        if version in marks:
            mark, word = marks[version]
            badges += f' <span class="badge change-{escaped(mark)}">{escaped(word)}</span>'
        runs = view.tested.get(version, ()) if view.tested else ()
        if its_files:
            yield _release(start + badges, body, its_files, runs, view.attested, is_plain=is_plain)
        else:
            yield f'{start}{badges} <span class="aside">no files</span></summary>\n{body}</div>\n</details>\n'


def _release(
    heading: str,
    body: str,
    its_files: list[FilePage],
    runs: tuple[RunOfTests, ...],
    attested: Mapping[str, str],
    *,
    is_plain: bool,
) -> str:
    """Return one release: what all its files share stands above them, the rest beside the file.

    *heading* and *body* are how it begins, and how what it holds begins.
    """
    first = its_files[0]
    index, yanked, newest = first.index, first.yanked, first.upload_time or ""
    shares_origin = shares_yank = True
    for file in its_files[1:]:
        shares_origin = shares_origin and file.index == index
        shares_yank = shares_yank and file.yanked == yanked
        newest = max(newest, file.upload_time or "")
    note = ""
    if not shares_yank:
        heading += ' <span class="badge yanked">partly yanked</span>'
    elif yanked is not None:
        heading += f" {badge('yanked')}"
        note = _yank_note(yanked)
    if runs:
        heading += f" {_tests_badge(runs)}"
    if shares_origin:
        note = f'<p class="aside">From {index_link(index, _ROOT)}</p>\n{note}'
    day = f"{newest[:10] if is_plain else escaped(newest[:10])} · " if newest else ""
    count = "1 file" if len(its_files) == 1 else f"{len(its_files)} files"
    rows = [
        _file_row(file, attested, is_plain=is_plain, shows_origin=not shares_origin, shows_yank=not shares_yank)
        for file in its_files
    ]
    return (
        f'{heading} <span class="aside">{day}{count}</span></summary>\n{body}{note}<ul class="files">\n{"".join(rows)}'
        f"</ul>\n{_tests(runs) if runs else ''}</div>\n</details>\n"
    )


@lru_cache(maxsize=4096)
def _release_frame(version: str, *, is_open: bool) -> tuple[str, str]:
    """Return how a release begins, and how what it holds begins."""
    start = f'<details class="release"{" open" if is_open else ""}>\n<summary>'
    if not version:
        return f"{start}Other files", '<div class="release-body">\n'
    # A browser opens what a fragment leads into; where the id is the element's own, it would stay closed.
    body = f'<div class="release-body" id="{_anchor(version)}">\n'
    return f'{start}<span class="version">{apart(version)}</span>', body


def _file_row(
    file: FilePage, attested: Mapping[str, str], *, is_plain: bool, shows_origin: bool, shows_yank: bool
) -> str:
    filename, _, index, url, sha256, size, time, python, _, yanked, provenance = file
    name = filename if is_plain else escaped(filename)
    shown = filename if is_plain else apart(filename)
    if is_plain or is_link(url):
        line = f'<a href="{url if is_plain else escaped(url)}">{shown}</a>'
    else:
        line = f"<span>{shown}</span>"
    facts = f" · {human_size(size)}" if size is not None else ""
    if time:
        facts += f' · <time datetime="{time}">{time[:10]}</time>' if is_plain else f" · {_day(time)}"
    if python:
        facts += f" · {_python(python)}"
    if provenance and is_secure(provenance):
        # Whoever releases a file writes what lies beside it, and no signature was checked for the page.
        named = f" that names {apart(attested[filename])}" if filename in attested else ""
        facts += f' · <a href="{escaped(provenance)}">provenance</a>{named}'
    if shows_origin:
        facts += f" · from {index_link(index, _ROOT)}"
    line += f' <span class="aside">{facts[3:]}</span>'
    if sha256 is not None:
        line += f'<span class="hash"><code data-copy="sha256 of {name}">{sha256}</code></span>'
    if shows_yank and yanked is not None:
        line += _yank_note(yanked, with_badge=True)
    return f"<li>{line}</li>\n"


@lru_cache(maxsize=4096)
def _anchor(version: str) -> str:
    """Return the id of a release on the page of its project, which a feed links to."""
    return escaped(quote(carried(version), safe="!+"))


@lru_cache(maxsize=4096)
def _python(specifiers: str) -> str:
    """Return specifiers such that a line may break between them."""
    return f"Python {apart(', '.join(part.strip() for part in specifiers.split(',')))}"


def _day(time: str) -> str:
    return f'<time datetime="{escaped(time)}">{escaped(time[:10])}</time>'


def _yank_note(reason: str, *, with_badge: bool = False) -> str:
    start = f"{badge('yanked')} " if with_badge else "<strong>Yanked.</strong> "
    return f'<p class="yank text">{start}{apart(reason)}</p>\n'


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
        f'<li>{badge(run.outcome)} <span class="environment">{apart(run.environment)}</span>'
        f' <span class="aside">{" · ".join(facts)}</span></li>\n'
    )


def _history_entry(entry: HistoryEntry) -> str:
    done = [
        f"{what} {', '.join(map(apart, versions))}"
        for what, versions in (("released", entry.released), ("changed", entry.changed), ("removed", entry.removed))
        if versions
    ]
    if entry.stated:
        done.append("stated yanks or status")
    text = ", ".join(done)
    return (
        f"<li>{_day(entry.time)} <span>{apart(entry.author)} {text} in {index_link(entry.index, _ROOT)}</span>"
        f' <code class="aside">{escaped(entry.commit[:10])}</code></li>\n'
    )
