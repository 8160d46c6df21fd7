"""GI201 to GI213: what a non-volatile index has released is never removed or changed.

All of them ask the base what was promised, and the head whether it still holds. How a change was made (rename, delete
and add again, another spelling) does not matter: what counts is what stands at its place in the end.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange, ReleaseChange, StoredFile
from gitindex.documents import Unreadable
from gitindex.finding import Severity
from gitindex.model import File, Manifest, Mirror, Settings, Stage
from gitindex.names import IndexName
from gitindex.rules.hints import or_restore, set_key, short, yank
from gitindex.rules.rule import Hit, Rule
from gitindex.rules.stored import is_embedded, naming, releases_of
from gitindex.snapshot import Index
from gitindex.tree import Folder

HISTORY = "GI210"
CONFLICT = "GI213"
_PROMISE = "released files stay: yank them (gitindex yank), or release a new version"


def _kept(change: Change, project: ProjectChange, version: str, path: str) -> str:
    """Say what to do instead of taking away or changing a release, and how to get it back."""
    advice = f"released files stay: yank it ({yank(project.index, project.name, version)}), or release a new version"
    return or_restore(advice, change, path)


def index_is_kept(change: Change, subject: Change) -> Iterator[Hit]:
    """A non-volatile index is not deleted.

    Its files are in lock files that nobody here can see. To close an index, take everybody out of `acl_upload`.
    """
    del subject
    for name in _lost_indexes(change):
        if change.is_frozen(name):
            yield Hit(
                layout.index_path(name),
                f"the non-volatile index {name} is deleted",
                _index_help(change, name),
            )


def _index_help(change: Change, name: IndexName) -> str:
    is_gone = change.head.index_folder(name) is None
    advice = "an index is closed by taking everybody out of acl_upload"
    return or_restore(advice, change, layout.index_folder(name) if is_gone else layout.index_path(name))


def _lost_indexes(change: Change) -> Iterator[IndexName]:
    for name, (before, after) in change.indexes.items():
        was_there = before is not None and before.definition is not None
        if was_there and (after is None or after.definition is None):
            yield name


def project_is_kept(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A project of a non-volatile index is not deleted.

    To say that it is not maintained any more, give it a status: `status = "archived"` in its `project.toml`.
    """
    if _is_project_lost(change, project):
        yield Hit(
            project.path,
            f"the project {project.name} of the non-volatile index {project.index} is deleted",
            or_restore(_PROMISE, change, project.path),
        )


def _is_promised(change: Change, project: ProjectChange) -> bool:
    head = change.head.index(project.index)
    return change.is_frozen(project.index) and head is not None and project.before is not None


def _is_project_lost(change: Change, project: ProjectChange) -> bool:
    if not _is_promised(change, project) or project.before is None:
        return False
    return any(project.before.versions()) and not (project.after and any(project.after.versions()))


def version_is_kept(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A version of a non-volatile index is not deleted, nor spelled in another way."""
    if not _is_promised(change, project) or _is_project_lost(change, project) or project.before is None:
        return
    for release in project.releases:
        if release.before is not None and release.after is None:
            path = project.before.manifest_path(release.version)
            yield Hit(
                path,
                f"{project.name} {release.version} is removed from the non-volatile index {project.index}",
                _kept(change, project, release.version, path),
            )


def _kept_releases(change: Change, project: ProjectChange) -> Iterator[tuple[str, ReleaseChange]]:
    if _is_promised(change, project) and project.before is not None:
        for release in project.releases:
            if release.before is not None and release.after is not None:
                yield project.before.manifest_path(release.version), release


def file_is_kept(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A file of a release of a non-volatile index is not removed."""
    for path, release in _kept_releases(change, project):
        if isinstance(release.before, Manifest) and isinstance(release.after, Manifest):
            kept = {file.filename for file in release.after.files}
            for filename in sorted({file.filename for file in release.before.files} - kept):
                message = f"{filename} is removed from the non-volatile index {project.index}"
                yield Hit(path, message, _kept(change, project, release.version, path))


def file_is_unchanged(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A file of a release of a non-volatile index keeps every fact.

    Not its sha256 alone: everything that reaches a page can be in a lock file or a resolver's plan. White space and the
    order of keys and files are no facts. A manifest that was readable stays readable.
    """
    for path, release in _kept_releases(change, project):
        if not isinstance(release.before, Manifest):
            continue
        if isinstance(release.after, Unreadable):
            yield Hit(
                path,
                f"{project.name} {release.version} was readable and is not any more",
                _kept(change, project, release.version, path),
            )
            continue
        assert release.after is not None  # noqa: S101 - kept releases have both sides
        for fact in ("name", "version"):
            old, new = getattr(release.before, fact), getattr(release.after, fact)
            if old != new:
                message = f"{fact} of a released manifest was {old!r}, is now {new!r}"
                help_ = _kept(change, project, release.version, path)
                yield Hit(path, message, help_, change.head.line_of(path, (fact,)))
        yield from _changed_files(change, project, path, release.before, release.after)


def _changed_files(
    change: Change, project: ProjectChange, path: str, before: Manifest, after: Manifest
) -> Iterator[Hit]:
    named: dict[str, tuple[int, File]] = {}
    for place, file in enumerate(after.files):
        named.setdefault(file.filename, (place, file))
    kept = set(after.files)
    for file in before.files:
        if file in kept or file.filename not in named:
            continue
        place, other = named[file.filename]
        for key, old, new in _differing_facts(file, other):
            message = f"{key} of the released file {file.filename} was {old!r}, is now {new!r}"
            help_ = _kept(change, project, before.version, path)
            yield Hit(path, message, help_, change.head.line_of(path, ("files", place, *key.split("."))))


def _differing_facts(before: File, after: File) -> Iterator[tuple[str, object, object]]:
    old, new = before.data(), after.data()
    for key in old:
        if old[key] != new[key]:
            one, other = old[key], new[key]
            if isinstance(one, dict) or isinstance(other, dict):
                yield f"{key}.sha256", one and one["sha256"], other and other["sha256"]
            else:
                yield key, one, other


def promise_is_kept(change: Change, index: Index) -> Iterator[Hit]:
    """A non-volatile index stays non-volatile.

    Otherwise the promise would last until somebody needs it gone: make it volatile today, empty it tomorrow.
    """
    before = change.base.index_folder(index.name)
    if before is None or before.definition is None or before.is_volatile or before.is_mirror or not index.is_volatile:
        return
    if isinstance(before.definition, Unreadable) and change.is_by_admin:
        return
    was = "non-volatile" if isinstance(before.definition, Stage) else "unreadable, and so held to be non-volatile,"
    line = change.head.line_of(index.path, ("volatile",))
    yield Hit(
        index.path,
        f"{index.name} was {was} and is now volatile",
        f"create another index for what may go again; this one stays: {set_key(index.name, 'volatile=false')}",
        line,
    )


def type_is_kept(change: Change, index: Index) -> Iterator[Hit]:
    """An index keeps its type: a stage does not become a mirror, nor a mirror a stage."""
    before = change.base.index_folder(index.name)
    pair = (before.definition if before else None, index.definition)
    match pair:
        case (Stage(), Mirror()) | (Mirror(), Stage()):
            line = change.head.line_of(index.path, ("type",))
            message = f"{index.name} was a {pair[0].type}, is now a {pair[1].type}"
            yield Hit(index.path, message, or_restore("create another index", change, index.path), line)
        case _:
            return


def owner_is_kept(change: Change, subject: Change) -> Iterator[Hit]:
    """A user who owns a non-volatile index is not deleted."""
    for user in subject.changed_users:
        if change.base.user(user) is None or change.head.user(user) is not None:
            continue
        owned = [str(name) for name in change.base.index_names(user) if change.is_frozen(name)]
        if owned:
            message = f"the user {user} is deleted, who owns the non-volatile {', '.join(owned)}"
            path = layout.user_path(user)
            yield Hit(path, message, or_restore("rights are taken away in acl_upload", change, path))


def stored_file_is_kept(change: Change, stored: StoredFile) -> Iterator[Hit]:
    """A stored file that a non-volatile release names is neither deleted nor changed.

    The metadata and provenance beside it count as well. The same content as a Git LFS pointer is the same file. A
    manifest that cannot be read is held to name every file of its release. Once the settings in force (the base's) say
    that files are kept in another storage, those in the repository may go: `gitindex verify` looks after the others.
    """
    if stored.before is None or _is_same(stored):
        return
    if not is_embedded(change.base) and not is_embedded(change.head):
        return
    what = "deleted" if stored.after is None else "changed"
    help_ = or_restore("what a lock file names has to be there", change, stored.path)
    for project, version, _, file in naming(change.base, stored):
        if not change.is_frozen(project.index):
            continue
        if stored.filename != file.filename and not _names_sidecar(file, stored.filename):
            continue
        release = f"{project.name} {version}, released in the non-volatile {project.index}"
        yield Hit(stored.path, f"the stored file of {release}, is {what}", help_)
        return
    for project, version, manifest in releases_of(change.base, stored):
        if isinstance(manifest, Unreadable) and change.is_frozen(project.index) and not change.is_by_admin:
            release = f"{project.name} {version} of the non-volatile {project.index}"
            yield Hit(
                stored.path, f"it may be a file of {release}, whose manifest cannot be read, and is {what}", help_
            )
            return


def _names_sidecar(file: File, filename: str) -> bool:
    if filename.endswith(layout.METADATA_SUFFIX):
        return file.core_metadata is not None
    return file.provenance is not None


def _is_same(stored: StoredFile) -> bool:
    from gitindex.stored import read_digest  # noqa: PLC0415

    if stored.before is None or stored.after is None:
        return False
    return read_digest(*stored.before)[:2] == read_digest(*stored.after)[:2]


def history_is_kept(change: Change, subject: Change) -> Iterator[Hit]:
    """The head comes after the base.

    A rewritten history can drop what was published without a commit that says so.
    """
    del subject
    if change.descends is False:
        message = f"the head {short(change.head)} does not come after the base {short(change.base)}"
        base = short(change.base)
        yield Hit(layout.SETTINGS, message, f"rebase onto it (git rebase {base}), or merge it: git merge {base}")


def unreadable_is_not_repaired_silently(change: Change, subject: Change | ProjectChange) -> Iterator[Hit]:
    """What could not be read in the base of a non-volatile index is changed by an admin alone.

    Nobody can tell what it promised, so a repair could put in other hashes. An admin compares it with the history,
    and names themself with `--actor`. What has the place of a folder (a symlink, a submodule) is unreadable as well:
    once it is removed, what comes next would be taken for new.
    """
    if change.is_by_admin:
        return
    if isinstance(subject, Change):
        yield from _replaced_places(change)
        return
    if not change.is_frozen(subject.index):
        return
    if subject.base_is_unreadable:
        yield _unreadable_hit(change, subject.path)
    for release in subject.releases:
        if isinstance(release.before, Unreadable) and release.after is not None and subject.differs(release.version):
            yield _unreadable_hit(change, layout.manifest_path(subject.index, subject.name, release.version))


def _replaced_places(change: Change) -> Iterator[Hit]:
    base, head = change.base, change.head
    places: list[tuple[str, Folder | None, Folder | None, str]] = [
        (layout.INDEXES, base.root, head.root, layout.INDEXES)
    ]
    places += [(user, base.indexes_folder, head.indexes_folder, layout.user_folder(user)) for user in change.users]
    for name in change.indexes:
        places.append((name.name, base.user_folder(name.user), head.user_folder(name.user), layout.index_folder(name)))
    for entry, before, after, path in places:
        was = before.entries().get(entry) if before else None
        now = after.entries().get(entry) if after else None
        if was and was.kind in ("symlink", "submodule") and (now is None or now.kind == "folder"):
            yield _unreadable_hit(change, path)


def _unreadable_hit(change: Change, path: str) -> Hit:
    advice = "let an admin compare it with the history and do it (gitindex validate --actor ADMIN)"
    return Hit(path, "it could not be read in the base, and is changed", or_restore(advice, change, path))


def format_is_kept(change: Change, subject: Change) -> Iterator[Hit]:
    """`gitindex.toml` is not removed, and its format is not lowered."""
    if change.base.settings_or_problem is None or not subject.touches_settings:
        return
    before, after = change.base.settings_or_problem, change.head.settings_or_problem
    if after is None:
        help_ = or_restore("an index repository has its settings there", change, layout.SETTINGS)
        yield Hit(layout.SETTINGS, f"{layout.SETTINGS} is removed", help_)
    elif isinstance(before, Settings) and isinstance(after, Settings) and after.format < before.format:
        line = change.head.line_of(layout.SETTINGS, ("format",))
        help_ = or_restore("a format is not lowered", change, layout.SETTINGS)
        yield Hit(layout.SETTINGS, f"format was {before.format}, is now {after.format}", help_, line)


def head_can_be_merged(change: Change, subject: Change) -> Iterator[Hit]:
    """The head can be merged into the base without a conflict.

    What would be published is the result of the merge, and nobody knows it before the conflict is resolved. Nothing
    else is checked until then.
    """
    del change
    base = short(subject.base)
    for path in subject.conflicts:
        help_ = f"merge it, resolve the conflict, and commit the merge: git merge {base}"
        yield Hit(path.lstrip("/"), f"the head and {base} both change it, and Git cannot merge the two", help_)


RULES = (
    Rule("GI201", Severity.ERROR, "a non-volatile index deleted", (Change,), index_is_kept),
    Rule(
        "GI202",
        Severity.ERROR,
        "a project of a non-volatile index deleted",
        (ProjectChange,),
        project_is_kept,
    ),
    Rule(
        "GI203",
        Severity.ERROR,
        "a version of a non-volatile index deleted",
        (ProjectChange,),
        version_is_kept,
    ),
    Rule(
        "GI204",
        Severity.ERROR,
        "a file of a release of a non-volatile index removed",
        (ProjectChange,),
        file_is_kept,
    ),
    Rule(
        "GI205",
        Severity.ERROR,
        "a file of a release of a non-volatile index changed: any fact of it",
        (ProjectChange,),
        file_is_unchanged,
    ),
    Rule("GI206", Severity.ERROR, "a non-volatile index made volatile", (Index,), promise_is_kept),
    Rule("GI207", Severity.ERROR, "the type of an index changed", (Index,), type_is_kept),
    Rule("GI208", Severity.ERROR, "a user deleted who owns a non-volatile index", (Change,), owner_is_kept),
    Rule(
        "GI209",
        Severity.ERROR,
        "a stored file deleted or changed that a non-volatile release still names",
        (StoredFile,),
        stored_file_is_kept,
    ),
    Rule(HISTORY, Severity.ERROR, "a head that does not descend from the base", (Change,), history_is_kept),
    Rule(
        "GI211",
        Severity.ERROR,
        "a manifest of a non-volatile index that was unreadable in the base and is changed without an admin",
        (Change, ProjectChange),
        unreadable_is_not_repaired_silently,
    ),
    Rule("GI212", Severity.ERROR, "format lowered, or gitindex.toml removed", (Change,), format_is_kept),
    Rule(
        CONFLICT,
        Severity.ERROR,
        "a head that cannot be merged into the base without a conflict",
        (Change,),
        head_can_be_merged,
    ),
)
