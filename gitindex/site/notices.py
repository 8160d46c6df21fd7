"""What the pages for people say in a preview: on each page that a change alters, and on the landing page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gitindex.names import IndexName, ProjectName
from gitindex.preview import Preview, ProjectDifference
from gitindex.preview.words import Line, headline, index_line, index_lines, project_lines, release_line, setting_line
from gitindex.views import Notice, NoticeLine

_MOST = 100
"""Lines of a notice."""
_TOLD = 3
"""Things that one line tells of a project."""
_WORDS = {
    "new": "new",
    "shown": "now visible",
    "changed": "changed",
    "yanked": "now yanked",
    "unyanked": "no longer yanked",
}


class Notices:
    """The notices of a preview, by page."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        self._projects: dict[tuple[IndexName, ProjectName], ProjectDifference] = {
            (index, project.name): project for project in preview.projects for index in project.indexes
        }

    def of_project(self, index: IndexName, name: ProjectName) -> Notice | None:
        """Return that of a project's page; ``None`` where the change does not touch it."""
        project = self._projects.get((index, name))
        if project is None:
            return None
        marks: dict[str, tuple[str, str]] = {
            release.version: (release_line(release).mark, _WORDS[release.kind])
            for release in project.releases
            if release.kind in _WORDS
        }
        lines = [NoticeLine(*line) for line in project_lines(project)]
        return _notice("This page is changed.", lines, marks)

    def of_index(self, index: IndexName, has_page: Callable[[str], bool]) -> Notice | None:
        """Return that of an index's page; *has_page* tells whether a page for people is in the site."""
        lines: list[NoticeLine] = []
        for difference in self._preview.indexes:
            if difference.name == index:
                lines += map(_line, (index_line(difference), *index_lines(difference)))
            elif index in difference.inherited_by:
                lines.append(_line(index_line(difference)))
        for project in self._preview.of(index):
            lines.append(_project_line(project, [index], has_page))
        return _notice("What installers see of this index changes.", lines) if lines else None

    def of_all(self, indexes: Iterable[IndexName], has_page: Callable[[str], bool]) -> Notice:
        """Return that of the landing page, with links to the pages that are changed."""
        shown = set(indexes)
        lines = [_line(setting_line(setting)) for setting in self._preview.settings]
        for difference in self._preview.indexes:
            link = ((str(difference.name), f"{difference.name}/"),) if has_page(f"{difference.name}/") else ()
            lines.append(_line(index_line(difference), link))
        for project in self._preview.projects:
            places = [index for index in project.indexes if index in shown]
            if places:
                lines.append(_project_line(project, places, has_page, from_top=True))
        return _notice(headline(self._preview), lines)


def _line(line: Line, links: tuple[tuple[str, str], ...] = ()) -> NoticeLine:
    return NoticeLine(line.mark, line.subject, line.text, links)


def _project_line(
    project: ProjectDifference,
    places: Sequence[IndexName],
    has_page: Callable[[str], bool],
    *,
    from_top: bool = False,
) -> NoticeLine:
    """Return a project in one line: the first things that differ, and where it is seen."""
    lines = list(project_lines(project))
    told = "; ".join(f"{line.subject} {line.text}".strip() for line in lines[:_TOLD])
    more = f"; and {len(lines) - _TOLD:,} more" if len(lines) > _TOLD else ""
    links = []
    for place in places:
        page = f"{place}/project/{project.name}/"
        if has_page(page):
            links.append((str(place) if from_top else "see its page", page if from_top else page.split("/", 2)[2]))
    mark = "warning" if any(line.mark == "warning" for line in lines) else lines[0].mark
    return NoticeLine(mark, project.name, f"{told}{more}", tuple(links))


def _notice(title: str, lines: Sequence[NoticeLine], marks: dict[str, tuple[str, str]] | None = None) -> Notice:
    # What somebody should look at comes first.
    lines = sorted(lines, key=lambda line: line.mark != "warning")
    return Notice(title, tuple(lines[:_MOST]), max(0, len(lines) - _MOST), marks or {})
