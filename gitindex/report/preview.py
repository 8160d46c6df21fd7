"""What installers see change, for people at a terminal, for a comment on a pull request, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from gitindex.names import IndexName
from gitindex.pages import Status
from gitindex.preview import IndexDifference, Preview, ProjectDifference, ReleaseDifference, SettingDifference
from gitindex.preview.words import (
    Line,
    Mark,
    headline,
    index_line,
    index_lines,
    listed,
    project_lines,
    setting_line,
)
from gitindex.report.json import json_text
from gitindex.report.markdown import COMMENT_LIMIT, prose
from gitindex.report.text import clipped, count, printable

_RED, _YELLOW, _GREEN, _BOLD, _OFF = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[1m", "\x1b[0m"
_SIGNS: dict[Mark, tuple[str, str]] = {
    "new": ("+", _GREEN),
    "gone": ("-", _RED),
    "changed": ("~", _YELLOW),
    "warning": ("!", _RED),
}
_OPEN = 20
"""As many rows of a table are seen at once; the others are folded away."""
_LONGEST_TEXT = 500
_RESERVED = 400
"""For the frame of what is folded away, and for how much is left out."""


def preview_text(preview: Preview, *, colour: bool = False) -> str:
    """Return the preview for a terminal or a log: a sentence, then the indexes and the projects with their lines."""
    sentence = printable(headline(preview))
    lines = [f"{_BOLD}{sentence}{_OFF}" if colour else sentence]
    if preview.settings:
        lines += ["", *_text_lines("gitindex.toml says otherwise", map(setting_line, preview.settings), colour=colour)]
    for index in preview.indexes:
        whole = index_line(index)
        lines += ["", *_text_lines(f"{whole.subject} {whole.text}", index_lines(index), colour=colour)]
    for project in preview.projects:
        title = f"{project.name}, in {listed(project.indexes)}"
        lines += ["", *_text_lines(title, project_lines(project), colour=colour)]
    return "".join(f"{line}\n" for line in lines)


def _text_lines(title: str, lines: Iterable[Line], *, colour: bool) -> Iterator[str]:
    title = printable(title)
    yield f"{_BOLD}{title}{_OFF}" if colour else title
    for line in lines:
        sign, paint = _SIGNS[line.mark]
        told = printable(f"{line.subject}{'' if not line.subject else _between(line)}{line.text}")
        yield f"  {paint}{sign}{_OFF} {told}" if colour else f"  {sign} {told}"


def _between(line: Line) -> str:
    """Return what stands between a subject and its text: a version is a subject, a key a heading."""
    return " " if line.subject[:1].isdigit() and line.text.startswith(("is ", "has ")) else ": "


# Markdown


def preview_markdown(preview: Preview, *, limit: int = COMMENT_LIMIT) -> str:
    """Return the preview as Markdown of at most *limit* bytes: tables, of which what is long is folded away.

    Where not all of it finds room, it says how much is left out.
    """
    report = f"### gitindex: what installers see\n\n{prose(headline(preview))}\n"
    room = limit - len(report.encode())
    for table in (_index_table(preview), _project_table(preview)):
        if table.rows:
            text = table.laid_out(room)
            report += text
            room -= len(text.encode())
    return report


class _Table:
    """A table, of which as many rows are shown as find room."""

    def __init__(self, title: str, heads: tuple[str, ...], noun: str) -> None:
        self._frame = f"\n#### {title}\n\n"
        self._head = f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}\n"
        self._noun = noun
        self.rows: list[str] = []

    def add(self, *cells: str) -> None:
        self.rows.append(f"| {' | '.join(map(_cell, cells))} |\n")

    def laid_out(self, room: int) -> str:
        """Return the table in at most *room* bytes; empty where there is no room for a single row."""
        room -= _RESERVED + len(self._frame) + 2 * len(self._head)
        shown: list[str] = []
        for row in self.rows:
            room -= len(row.encode())
            if room < 0:
                break
            shown.append(row)
        left_out = len(self.rows) - len(shown)
        text = f"{self._frame}{self._head}{''.join(shown[:_OPEN])}" if shown else ""
        if folded := shown[_OPEN:]:
            title = count(len(folded), f"more {self._noun}")
            text += f"\n<details>\n<summary>{title}</summary>\n\n{self._head}{''.join(folded)}\n</details>\n"
        if left_out:
            text += f"\n{count(left_out, self._noun)} more found no room here: `gitindex diff` prints all.\n"
        return text


def _cell(text: str) -> str:
    # A bar would end the cell, even where it stands in code.
    return prose(clipped(printable(text), _LONGEST_TEXT).replace("|", r"\x7c"))


def _index_table(preview: Preview) -> _Table:
    table = _Table("Indexes", ("Index", "Change", "Inherited by"), "change")
    for setting in preview.settings:
        line = setting_line(setting)
        table.add("gitindex.toml", f"{line.subject}: {line.text}", "all")
    for index in preview.indexes:
        whole, others = index_line(index), listed(index.inherited_by)
        lines = [f"{line.subject}: {line.text}" for line in index_lines(index)]
        if index.kind != "changed" or not lines:
            table.add(whole.subject, whole.text.partition(";")[0], others)
        for told in lines:
            table.add(whole.subject, told, others)
    return table


def _project_table(preview: Preview) -> _Table:
    table = _Table("Projects", ("Project", "Release", "Change", "For users of"), "change")
    rows = [(project, line) for project in preview.projects for line in project_lines(project)]
    # What somebody should look at comes first.
    for project, line in sorted(rows, key=lambda row: row[1].mark != "warning"):
        warning = "warning: " if line.mark == "warning" else ""
        table.add(project.name, line.subject, f"{warning}{line.text}", listed(project.indexes))
    return table


# JSON


def preview_json(preview: Preview) -> str:
    """Return the preview as one JSON object; docs/how-to/diff.md has its shape."""
    value = {
        "base": preview.base,
        "head": preview.head,
        "affected": _names(preview.affected),
        "settings": [*map(_setting_json, preview.settings)],
        "indexes": [*map(_index_json, preview.indexes)],
        "projects": [*map(_project_json, preview.projects)],
    }
    return json.dumps(value, indent=2) + "\n"


def _names(names: Iterable[IndexName]) -> list[str]:
    return [json_text(str(name)) for name in names]


def _setting_json(setting: SettingDifference) -> dict[str, object]:
    return {"key": json_text(setting.key), "before": _value(setting.before), "after": _value(setting.after)}


def _value(value: object) -> object:
    if isinstance(value, tuple):
        return [json_text(str(item)) for item in value]
    return json_text(value) if isinstance(value, str) else value


def _index_json(index: IndexDifference) -> dict[str, object]:
    return {
        "index": json_text(str(index.name)),
        "change": index.kind,
        "settings": [*map(_setting_json, index.settings)],
        "inherited_by": _names(index.inherited_by),
        "projects": index.projects,
        "told": [json_text(f"{line.subject}: {line.text}") for line in index_lines(index)],
    }


def _project_json(project: ProjectDifference) -> dict[str, object]:
    status, mirrors, problem = project.status, project.mirrors, project.problem
    return {
        "project": json_text(project.name),
        "indexes": _names(project.indexes),
        "page": project.page,
        "listed": project.listed,
        "mirrors": mirrors
        and {
            "before": _names(mirrors.before),
            "after": _names(mirrors.after),
            "reason": json_text(mirrors.reason),
            "is_ours": mirrors.is_ours,
        },
        "status": status and {"before": _status_json(status.before), "after": _status_json(status.after)},
        "problem": problem and {"before": _value(problem.before), "after": _value(problem.after)},
        "releases": [*map(_release_json, project.releases)],
    }


def _status_json(status: Status | None) -> dict[str, object] | None:
    return {"status": status.status, "reason": _value(status.reason)} if status is not None else None


def _release_json(release: ReleaseDifference) -> dict[str, object]:
    return {
        "version": json_text(release.version),
        "change": release.kind,
        "index": None if release.origin is None else json_text(str(release.origin)),
        "files": [
            {
                "filename": json_text(file.filename),
                "change": file.kind,
                "facts": list(file.facts),
                "yanked": False if file.yanked is None else json_text(file.yanked) or True,
            }
            for file in release.files
        ],
    }
