"""A preview in words: one line for each thing that differs. Every format tells it in these, and escapes them itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from gitindex.pages import Status
from gitindex.preview.values import (
    FileDifference,
    IndexDifference,
    MirrorsDifference,
    Preview,
    ProjectDifference,
    ReleaseDifference,
    SettingDifference,
    StatusDifference,
    Value,
)

Mark = Literal["new", "gone", "changed", "warning"]
_TOLD = 3
"""Names that a line lists; of more it says how many there are."""


class Line(NamedTuple):
    """One thing that differs."""

    mark: Mark
    subject: str
    """A version, or empty where the line is about the whole."""
    text: str
    """What of it, such as ``is new``: a part of a sentence, with texts that anybody may have written."""


def headline(preview: Preview) -> str:
    """Return what changes, and for whom, in a sentence or two."""
    compared = f"from {_revision(preview.base)} to {_revision(preview.head)}"
    if preview.is_empty:
        return f"Nothing that installers see changes {compared}."
    versions: dict[str, set[tuple[str, str]]] = {}
    for project in preview.projects:
        for release in project.releases:
            versions.setdefault(release.kind, set()).add((project.name, release.version))
    parts = [f"{_count(len(found), 'release')} {_KINDS[kind]}" for kind in _KINDS if (found := versions.get(kind))]
    opened = {project.name for project in preview.projects if _opens(project)}
    others = {project.name for project in preview.projects if not project.releases} - opened
    if opened:
        parts.append(f"{_count(len(opened), 'name')} opened to mirrors")
    if others:
        parts.append(f"{_count(len(others), 'other project')} changed")
    if preview.indexes:
        parts.append(f"{_count(len(preview.indexes), 'index')} changed")
    if preview.settings:
        parts.append(f"{_count(len(preview.settings), 'setting')} changed")
    affected = preview.affected
    whom = f" It concerns the users of {listed(affected)}." if affected else ""
    return f"What installers see changes {compared}: {', '.join(parts)}.{whom}"


def _revision(name: str | None) -> str:
    names = {"worktree": "the working tree", "index": "what is staged", None: "nothing"}
    return names.get(name) or (name or "")[:12]


_KINDS = {
    "new": "new",
    "shown": "now visible",
    "removed": "removed",
    "hidden": "hidden",
    "changed": "changed",
    "yanked": "yanked",
    "unyanked": "no longer yanked",
}


def _opens(project: ProjectDifference) -> bool:
    return project.mirrors is not None and not project.mirrors.before


def setting_line(difference: SettingDifference) -> Line:
    """Return a setting of the repository that says something else."""
    key, before, after = difference
    if key == "names.reserved":
        is_lost = bool(set(_names(before)) - set(_names(after)))
        words = _membership(before, after, "ours without a release", "not reserved any more")
        return Line("warning" if is_lost else "changed", key, words)
    if key.startswith("groups."):
        return Line("changed", key, _membership(before, after, "members", "no members any more"))
    if key.startswith("storage."):
        return Line("changed", key, f"files are downloaded from elsewhere: {_said(before)} → {_said(after)}")
    return Line("changed", key, f"{_said(before)} → {_said(after)}")


def index_line(difference: IndexDifference) -> Line:
    """Return what becomes of an index as a whole."""
    mark: Mark = {"added": "new", "removed": "gone", "changed": "changed"}[difference.kind]  # type: ignore[assignment]
    word = {"added": "is new", "removed": "is removed", "changed": "is defined otherwise"}[difference.kind]
    if difference.kind == "changed" and all(setting.key == "order" for setting in difference.settings):
        word = "inherits otherwise"
    projects = f", with {_count(difference.projects, 'project')}" if difference.projects is not None else ""
    through = f"; inherited by {listed(difference.inherited_by)}" if difference.inherited_by else ""
    return Line(mark, str(difference.name), f"{word}{projects}{through}")


def index_lines(difference: IndexDifference) -> Iterator[Line]:
    """Yield what the definition of an index says otherwise."""
    mirrors = set(map(str, difference.mirrors))
    is_new = difference.kind == "added"
    for key, before, after in difference.settings:
        match key:
            case "volatile":
                yield _promise(key, after=after)
            case "bases":
                if before or after:
                    yield Line("changed", key, _membership(before, after, "inherits from", "no longer from"))
            case "order":
                yield from _order(before, after, mirrors, is_new=is_new)
            case "acl_upload":
                yield Line("changed", key, _membership(before, after, "may release", "may not any more"))
            case "mirror_whitelist":
                opened = set(_names(after)) - set(_names(before))
                words = _membership(before, after, "mirrors may add to", "and no longer to")
                yield Line("warning" if opened else "changed", key, words)
            case "allow" | "deny":
                verb = "shown" if key == "allow" else "refused"
                yield Line("changed", key, _membership(before, after, verb, f"no longer {verb}", nothing="no list"))
            case "problem":
                words = "cannot be read" if after is not None else "can be read now, and could not before"
                yield Line("changed" if after is None else "warning", key, f"the definition {words}: {after or before}")
            case "type" if is_new and after == "stage":
                pass  # most are
            case _ if is_new:
                yield Line("new", key, _said(after))
            case _:
                yield Line("changed", key, f"{_said(before)} → {_said(after)}")


def _promise(key: str, *, after: Value) -> Line:
    if after is None:
        return Line("changed", key, "nobody releases here")
    if after:
        return Line("changed", key, "yes: releases may be replaced or removed")
    return Line("changed", key, "no: nothing that is released there is ever removed or changed")


def _order(before: Value, after: Value, mirrors: set[str], *, is_new: bool) -> Iterator[Line]:
    """Yield what an index looks in otherwise; what only its order says."""
    old, new = _names(before), _names(after)
    for name in new:
        if name not in old and name in mirrors:
            yield Line("warning", "order", f"{name} (a mirror) answers for every name that no stage has")
        elif name not in old and not is_new and old:
            yield Line("new", "order", f"shows what {name} has")
    for name in old:
        if name not in new and new:
            is_mirror = name in mirrors
            text = (
                f"{name} (a mirror) is not asked any more" if is_mirror else f"does not show what {name} has any more"
            )
            yield Line("gone", "order", text)
    if sorted(old) == sorted(new):
        yield Line("changed", "order", f"looks in another order: {', '.join(new)}")


def project_lines(project: ProjectDifference) -> Iterator[Line]:
    """Yield what differs of a project: who answers for it first, then its status, then its releases."""
    if project.problem is not None:
        before, after = project.problem
        if after is not None:
            yield Line("warning", "", f"its page cannot be shown any more: {after}")
        else:
            yield Line("changed", "", f"its page can be shown now, and could not before: {before}")
    if project.mirrors is not None:
        yield _mirrors(project.mirrors)
    if project.status is not None:
        yield _status(project.status)
    if not project.releases and not project.problem:
        if project.page == "added":
            yield Line("new", "", "has a page now, with no release")
        elif project.page == "removed":
            yield Line("gone", "", "has no page any more")
        elif project.listed is not None and not project.status:
            word = "listed now" if project.listed == "added" else "not listed any more"
            yield Line("changed", "", f"{word} among the projects")
    yield from map(release_line, project.releases)


def _mirrors(mirrors: MirrorsDifference) -> Line:
    why = f": {mirrors.reason}" if mirrors.reason else ""
    after = listed(mirrors.after)
    if not mirrors.before:
        if mirrors.is_ours:
            return Line("warning", "", f"{after} may add files to it now{why}")
        return Line("warning", "", f"the name falls open: {after} answers for it now{why}")
    if not mirrors.after:
        gone = listed(mirrors.before)
        if mirrors.is_ours:
            return Line("changed", "", f"it is ours now: {gone} is not asked for it any more{why}")
        return Line("gone", "", f"{gone} does not answer for it any more{why}")
    return Line("warning", "", f"{after} answers for it now, and {listed(mirrors.before)} did{why}")


def _status(status: StatusDifference) -> Line:
    after = status.after
    if after is None or after.status == "active":
        was = status.before.status if status.before else ""
        if was in ("", "active"):
            return Line("changed", "", "its status is stated otherwise")
        return Line("changed", "", f"it is not {was} any more")
    mark: Mark = "gone" if after.status == "quarantined" else "changed"
    hidden = ", and none of its files is offered" if after.status == "quarantined" else ""
    return Line(mark, "", f"it is {after.status}{hidden}{_reason(after)}")


def _reason(status: Status) -> str:
    return f": {status.reason}" if status.reason else ""


def release_line(release: ReleaseDifference) -> Line:
    """Return what becomes of a release."""
    origin = f" from {release.origin}" if release.origin else ""
    files = f" ({_count(len(release.files), 'file')})" if release.files else ""
    still = f", though {release.origin} has it" if release.origin else ""
    match release.kind:
        case "new":
            return Line("new", release.version, f"is new{origin}{files}{_yank(release)}")
        case "shown":
            return Line("new", release.version, f"is visible now{origin}{files}{_yank(release)}")
        case "removed":
            return Line("gone", release.version, f"is removed{origin}{files}")
        case "hidden":
            return Line("gone", release.version, f"is not visible any more{files}{still}")
        case "yanked":
            return Line("gone", release.version, f"is yanked: {_reasons(release)}")
        case "unyanked":
            return Line("new", release.version, "is not yanked any more")
        case "changed":
            told = [_file(file) for file in release.files[:_TOLD]]
            more = [f"{len(release.files) - _TOLD:,} more files"] if len(release.files) > _TOLD else []
            return Line(_file_mark(release), release.version, "; ".join(told + more))


def _reasons(release: ReleaseDifference) -> str:
    return "; ".join(dict.fromkeys(file.yanked or "no reason given" for file in release.files))


def _yank(release: ReleaseDifference) -> str:
    """Return what to say of a release that comes with a yank of all of it."""
    is_yanked = bool(release.files) and all(file.yanked is not None for file in release.files)
    return f", yanked: {_reasons(release)}" if is_yanked else ""


def _file_mark(release: ReleaseDifference) -> Mark:
    is_replaced = any("sha256" in file.facts or file.kind == "removed" for file in release.files)
    return "warning" if is_replaced else "changed"


def _file(file: FileDifference) -> str:
    match file.kind:
        case "added":
            return f"{file.filename} is new"
        case "removed":
            return f"{file.filename} is removed"
        case "yanked":
            return f"{file.filename} is yanked: {file.yanked or 'no reason given'}"
        case "unyanked":
            return f"{file.filename} is not yanked any more"
        case "changed":
            return f"{file.filename} has another {' and '.join(file.facts)}"


def listed(names: Sequence[object], most: int = 2 * _TOLD) -> str:
    """Return names in a row; of more than *most* how many more there are."""
    told = [*map(str, names[:most])]
    if len(names) > most:
        told.append(f"{len(names) - most:,} more")
    *rest, last = told or [""]
    return f"{', '.join(rest)} and {last}" if rest else last


def _names(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _came(words: tuple[str, str], before: Value, after: Value) -> Iterator[tuple[str, list[str]]]:
    old, new = _names(before), _names(after)
    for word, names in zip(words, ([n for n in new if n not in old], [n for n in old if n not in new]), strict=True):
        if names:
            yield word, names


def _membership(before: Value, after: Value, comes: str, goes: str, nothing: str = "nobody") -> str:
    """Return which names came to a list, and which went."""
    parts = [f"{word}{listed(names)}" for word, names in _came((f"{comes}: ", f"{goes}: "), before, after)]
    if (before is None) != (after is None) and nothing == "no list":
        parts.append("everything else is not" if before is None else "and everything, since there is no list any more")
    return "; ".join(parts) or f"{comes}, in this order: {', '.join(_names(after)) or nothing}"


def _said(value: Value) -> str:
    match value:
        case None | "" | ():
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return listed(value)
        case _:
            return str(value)


def _count(number: int, noun: str) -> str:
    plural = "indexes" if noun == "index" else f"{noun}s"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural}"
