"""GI001 to GI003: documents that can be read, at places that the layout knows, as plain files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gitindex import layout
from gitindex.compare import Change, ProjectChange, differing, folder_of
from gitindex.documents import KeyPath, Problem, Unreadable
from gitindex.finding import Severity
from gitindex.model import FORMAT, Settings, Waiver
from gitindex.rules.rule import Hit, Rule, Subject
from gitindex.snapshot import Index, Stray
from gitindex.tree import Folder

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
                yield Hit(
                    path,
                    problem.message,
                    "correct the file; `gitindex schema` prints what it may hold",
                    problem.line,
                )
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
            if subject.after and subject.touches(layout.PROJECT):
                yield subject.after.statements
        case _:
            return


def _settings(change: Change) -> Iterator[Hit]:
    from gitindex.rules import SEVERITIES  # noqa: PLC0415 - the list of the rules names this one

    settings = change.head.settings_or_problem
    if not isinstance(settings, Settings):
        return
    path, line_of = layout.SETTINGS, change.head.line_of
    if settings.format != FORMAT:
        message = f"format is {settings.format}, and this gitindex reads format {FORMAT}"
        yield Hit(path, message, "use the gitindex that wrote it, or a newer one", line_of(path, ("format",)))
    for code in settings.policy.ignore if change.touches_settings else ():
        severity = SEVERITIES.get(code)
        if severity is not Severity.WARNING:
            found = "there is no such rule" if severity is None else "it is an error, and errors cannot be ignored"
            yield Hit(
                path,
                f"policy.ignore names {code!r}: {found}",
                "remove it",
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
    elsewhere in the repository. A folder of a user needs its `user.toml`, a folder of an index its `index.toml`.
    """
    for stray in _strays(change, subject):
        if stray.is_misplaced:
            yield Hit(
                stray.path,
                f"a {stray.kind} with this name has no place here",
                f"here belongs {stray.wanted}; move or remove it",
            )
    if not isinstance(subject, Change):
        return
    for user in change.users:
        if change.head.user_folder(user) is not None and change.head.user(user) is None:
            yield Hit(
                layout.user_folder(user),
                "the folder of a user has no user.toml",
                f"gitindex user create {user}",
            )
    for name, (_, after) in change.indexes.items():
        if after is not None and after.definition is None:
            yield Hit(
                layout.index_folder(name),
                "the folder of an index has no index.toml",
                f"gitindex index create {name}",
            )


def plain_file(change: Change, subject: Subject) -> Iterator[Hit]:
    """Each entry under `indexes/` and `files/` is a plain file or a folder.

    A symlink or a submodule can show another content tomorrow without a change here, and differs between a working tree
    and a bare repository. An executable bit means nothing to an index.
    """
    helps = {
        "executable": "git update-index --chmod=-x",
        "symlink": "put the file itself there",
        "submodule": "put the files themselves there",
    }
    for stray in _strays(change, subject):
        if not stray.is_misplaced:
            command = helps[stray.kind]
            yield Hit(
                stray.path,
                f"is {_article(stray.kind)}, and must be a plain file",
                f"{command} {stray.path}" if command.startswith("git") else command,
            )


def _article(kind: str) -> str:
    return "an executable file" if kind == "executable" else f"a {kind}"


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
