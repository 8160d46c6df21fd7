"""GI001 to GI003: documents that can be read, at places that the layout knows, as plain files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange, differing, folder_of
from gitindex.documents import KeyPath, Problem, Unreadable
from gitindex.finding import Severity
from gitindex.model import FORMAT, Settings, Waiver
from gitindex.names import is_owner_name, is_user_name
from gitindex.rules.hints import FIX, on_path, or_restore, quoted
from gitindex.rules.rule import Hit, Rule, Subject
from gitindex.snapshot import Index, Project, Stray
from gitindex.tree import Folder, find

_FACT_PROBLEMS = {"hashes", "size"}


def problems_of(document: object) -> Iterator[tuple[str, Problem]]:
    """Yield path and problem of each thing that keeps a document from being read."""
    if isinstance(document, Unreadable):
        for problem in document.problems:
            yield document.path, problem


def is_about_facts(problem: Problem) -> bool:
    """Tell whether a problem is GI008's: a digest or a size of a file that is missing or of a wrong type."""
    keys = problem.keys
    return len(keys) > 2 and keys[0] == "files" and keys[2] in _FACT_PROBLEMS and "not known" not in problem.message  # noqa: PLR2004


def valid_document(change: Change, subject: Subject) -> Iterator[Hit]:
    """Each document is valid for its schema.

    The schemas are in `schemas/` (print them with `gitindex schema`). JSON and TOML are read strictly: UTF-8 without a
    byte order mark, no unknown key, no key twice in one object, no value of another type, at most 1 MiB. A key that is
    spelled wrong would otherwise be a setting that silently does nothing.
    """
    for document in _documents(change, subject):
        for path, problem in problems_of(document):
            if not is_about_facts(problem) and not problem.message.startswith("is a "):
                yield Hit(path, problem.message, _document_help(change, subject, path, problem), problem.line)
    if isinstance(subject, Change):
        yield from _settings(subject)


def _documents(change: Change, subject: Subject) -> Iterator[object]:
    match subject:
        case Change():
            if change.touches_settings:
                yield change.head.settings_or_problem
            for user in change.changed_users:
                yield change.head.user(user)
        case Index():
            if subject.name in change.changed_definitions:
                yield subject.definition
        case ProjectChange():
            for release in subject.releases:
                yield release.after
            if subject.after:
                yield from map(subject.after.results, subject.tested_versions)
            if subject.after and subject.touches(layout.PROJECT):
                yield subject.after.statements
        case _:
            return


def _document_help(change: Change, subject: Subject, path: str, problem: Problem) -> str:
    is_released = isinstance(subject, ProjectChange) and change.is_released(
        subject.index, subject.name, path.rpartition("/")[2]
    )
    if "byte order mark" in problem.message and not is_released:
        return f"strip it: {FIX}"
    advice = "correct the file; `gitindex schema` prints what it may hold"
    before = _before(change, subject, path)
    # What is as it was, or could not be read before either, is not worth bringing back.
    return advice if before is None or isinstance(before, Unreadable) else or_restore(advice, change, path)


def _before(change: Change, subject: Subject, path: str) -> object:
    """Return what the base has at the place of a document."""
    name = path.rpartition("/")[2]
    match subject:
        case Change():
            return change.base.settings_or_problem if path == layout.SETTINGS else change.base.user(path.split("/")[1])
        case Index():
            index = change.base.index_folder(subject.name)
            return index and index.definition
        case ProjectChange(before=Project() as project):
            if name == layout.PROJECT:
                return project.statements
            if name.endswith(layout.RESULTS_SUFFIX):
                return project.results(name.removesuffix(layout.RESULTS_SUFFIX))
            return project.release(name.removesuffix(layout.MANIFEST_SUFFIX))
        case _:
            return None


def _settings(change: Change) -> Iterator[Hit]:
    from gitindex.rules import SEVERITIES  # noqa: PLC0415 - the list of the rules names this one

    settings = change.head.settings_or_problem
    if not isinstance(settings, Settings):
        return
    path, line_of = layout.SETTINGS, change.head.line_of
    if settings.format != FORMAT:
        message = f"format is {settings.format}, and this gitindex reads format {FORMAT}"
        advice = "use the gitindex that wrote it, or a newer one"
        before = change.base.settings_or_problem
        is_new = isinstance(before, Settings) and before.format != settings.format
        yield Hit(path, message, or_restore(advice, change, path) if is_new else advice, line_of(path, ("format",)))
    for code in settings.policy.ignore if change.touches_settings else ():
        severity = SEVERITIES.get(code)
        if severity is not Severity.WARNING:
            found = "there is no such rule" if severity is None else "it is an error, and errors cannot be ignored"
            yield Hit(
                path,
                f"policy.ignore names {code!r}: {found}",
                "take it out of [policy] ignore",
                line_of(path, ("policy", "ignore")),
            )
    if change.touches_settings:
        yield from _waivers(settings.waivers, line_of)


def _waivers(waivers: Iterable[Waiver], line_of: Callable[[str, KeyPath], int | None]) -> Iterator[Hit]:
    from gitindex.rules import SEVERITIES  # noqa: PLC0415 - the list of the rules names this one
    from gitindex.rules.waivers import CODE  # noqa: PLC0415

    seen = set()
    for place, waiver in enumerate(waivers):
        severity = SEVERITIES.get(waiver.rule)
        if severity is None:
            found = "there is no such rule"
        elif severity is not Severity.WARNING:
            found = "it is an error, and errors cannot be waived"
        elif waiver.rule == CODE:
            found = "it speaks of waivers, and cannot be waived"
        elif (waiver.rule, waiver.path) in seen:
            found = f"another waiver has that rule and the path {waiver.path!r}"
        else:
            seen.add((waiver.rule, waiver.path))
            continue
        message = f"waivers[{place}] names {waiver.rule!r}: {found}"
        yield Hit(layout.SETTINGS, message, "remove it", line_of(layout.SETTINGS, ("waivers", place, "rule")))


def known_place(change: Change, subject: Subject) -> Iterator[Hit]:
    """Each path under `indexes/` and `files/` is part of the layout.

    A file that nothing reads looks like a release, a setting or a yank that is in force, and is not. Keep other files
    elsewhere in the repository. A folder of a user needs its `user.toml`, a folder of an index its `index.toml`, and
    results of tests the manifest of their version.
    """
    for stray in _strays(change, subject):
        if stray.is_misplaced:
            yield Hit(
                stray.path,
                f"a {stray.kind} with this name has no place here",
                _out_of_place(change, stray, f"here belongs {stray.wanted}; move it elsewhere"),
            )
    if isinstance(subject, ProjectChange):
        yield from _results_of_nothing(change, subject)
    if not isinstance(subject, Change):
        return
    for user in change.users:
        if change.head.user_folder(user) is not None and change.head.user(user) is None:
            advice = f"create the user: gitindex user create {user}" if is_user_name(user) else "give it one"
            yield Hit(
                layout.user_folder(user),
                "the folder of a user has no user.toml",
                or_restore(advice, change, layout.user_path(user)),
            )
    for name, (_, after) in change.indexes.items():
        if after is not None and after.definition is None:
            is_creatable = is_user_name(name.user) and is_owner_name(name.name) and change.head.user(name.user)
            advice = f"create the index: gitindex index create {name}" if is_creatable else "give it one"
            yield Hit(
                layout.index_folder(name),
                "the folder of an index has no index.toml",
                or_restore(advice, change, layout.index_path(name)),
            )


def _results_of_nothing(change: Change, project: ProjectChange) -> Iterator[Hit]:
    entries = project.after.folder.entries() if project.after else {}
    for version in sorted({*project.versions, *project.tested_versions}):
        name, manifest = version + layout.RESULTS_SUFFIX, version + layout.MANIFEST_SUFFIX
        if name in entries and manifest not in entries:
            path = f"{project.path}/{name}"
            message = f"these are results of tests, and there is no {manifest} that they could be of"
            yield Hit(path, message, f"name it as the manifest, or remove it: {on_path('git rm -rf', path)}")


def plain_file(change: Change, subject: Subject) -> Iterator[Hit]:
    """Each entry under `indexes/` and `files/` is a plain file or a folder.

    A symlink or a submodule can show another content tomorrow without a change here, and differs between a working tree
    and a bare repository. An executable bit means nothing to an index.
    """
    for stray in _strays(change, subject):
        if not stray.is_misplaced:
            what = "an executable file" if stray.kind == "executable" else f"a {stray.kind}"
            yield Hit(stray.path, f"is {what}, and must be a plain file", _plain_help(change, stray))


def _plain_help(change: Change, stray: Stray) -> str:
    if stray.kind == "executable":
        # The one is for the working tree, the other for what is staged (and for file systems that know no such bit).
        return f"chmod -x {quoted(stray.path)} && {on_path('git add --chmod=-x', stray.path)}"
    advice = "put the file itself there" if stray.kind == "symlink" else "put the files themselves there"
    return _out_of_place(change, stray, advice)


def _out_of_place(change: Change, stray: Stray, advice: str) -> str:
    """Return *advice*, and how to get what was in its place, or else to get rid of it."""
    was = find(change.base.root, stray.path)
    if was is not None and was[0].entries()[was[1]].kind != stray.kind:
        return or_restore(advice, change, stray.path)
    return f"{advice}, or remove it: {on_path('git rm -rf', stray.path)}"


def _strays(change: Change, subject: Subject) -> Iterator[Stray]:
    match subject:
        case Change():
            base, head = change.base, change.head
            yield from _that_differ(change, base.root, head.root, (s for s in head.root_strays() if "/" not in s.path))
            yield from _that_differ(
                change, base.indexes_folder, head.indexes_folder, (s for s in head.root_strays() if "/" in s.path)
            )
            for user in change.users:
                yield from _that_differ(change, base.user_folder(user), head.user_folder(user), head.user_strays(user))
            for before, after in change.indexes.values():
                if after is not None:
                    names = None if change.everything else differing(folder_of(before), after.folder)
                    yield from after.strays(names)
            yield from change.stored_strays
        case ProjectChange():
            for stray in subject.after.strays if subject.after else ():
                if subject.touches(stray.path.rpartition("/")[2]):
                    yield stray
        case _:
            return


def _that_differ(
    change: Change, before: Folder | None, after: Folder | None, strays: Iterable[Stray]
) -> Iterator[Stray]:
    found = list(strays)
    if found and not change.everything:
        names = set(differing(before, after))
        found = [stray for stray in found if stray.path.rpartition("/")[2] in names]
    yield from found


RULES = (
    Rule(
        "GI001",
        Severity.ERROR,
        "a file that is not valid for its schema",
        (Change, Index, ProjectChange),
        valid_document,
    ),
    Rule(
        "GI002",
        Severity.ERROR,
        "a path under indexes/ or files/ that is not part of the layout",
        (Change, ProjectChange),
        known_place,
    ),
    Rule(
        "GI003",
        Severity.ERROR,
        "a symlink, submodule or executable file under indexes/ or files/",
        (Change, ProjectChange),
        plain_file,
    ),
)
