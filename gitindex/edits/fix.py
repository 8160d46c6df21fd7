"""Plans `validate --fix`: what is mechanical is put right, and nothing that is released is touched.

Repairs of one kind are made on top of what the kinds before have left. A repair that would bring an error is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange, ReleaseChange
from gitindex.documents import (
    Unreadable,
    json_values,
    read_definition,
    read_manifest,
    read_settings,
    read_statements,
    read_user,
)
from gitindex.edits import toml
from gitindex.edits.lacking import Store, find_file
from gitindex.edits.manifests import file_data, manifest_bytes
from gitindex.edits.plan import Plan
from gitindex.finding import Severity
from gitindex.model import ProjectStatements
from gitindex.names import (
    IndexName,
    ProjectName,
    UserName,
    is_display_name,
    is_project_name,
    normalize,
    parse_index_name,
    version_key,
)
from gitindex.rules import RULES
from gitindex.rules.files import released_spelling
from gitindex.rules.names import free_folder, free_version
from gitindex.snapshot import Snapshot
from gitindex.tree import Folder, Leaf, Overlay, find, leaf
from gitindex.validate import validate

D = TypeVar("D")

_BOM = b"\xef\xbb\xbf"
_ROUNDS = 5
"""One repair makes another possible, as that of a name does; no chain of them is longer than there are kinds."""
_PLAIN_FILE = [rule for rule in RULES if rule.code == "GI003"]


class Moved(NamedTuple):
    """The content that is at a path, as a plain file."""

    path: str


Content = bytes | Moved | None
"""What is written at a path; ``None`` removes it."""


class Repair(NamedTuple):
    """One thing that is put right."""

    note: str
    changes: Mapping[str, Content]
    renamed: tuple[str, str] | None = None
    """The path that a file or folder had, and the one that it gets."""


class _Tree:
    """What there is, with the repairs that were made so far."""

    def __init__(
        self, before: Snapshot, change_to: Callable[[Snapshot], Change], is_taken: Callable[[str], bool]
    ) -> None:
        self._before = before
        self._change_to = change_to
        self._is_taken = is_taken
        self.changes: dict[str, Content] = {}
        self.notes: list[str] = []
        self.change = change_to(before)

    def is_free(self, path: str) -> bool:
        """Tell whether nothing is at a path, nor hidden from Git there."""
        return find(self.change.head.root, path) is None and not self._is_taken(path)

    def put(self, repairs: Sequence[Repair]) -> bool:
        """Make the repairs that bring no error, and tell whether there were any."""
        known = _errors(self.change) if repairs else frozenset()
        kept = [repair for repair in repairs if not any(self._is_released(path) for path in repair.changes)]
        while kept:
            change = self._change_to(self._with(kept))
            new = _errors(change) - {(code, _renamed(path, kept)) for code, path in known}
            if not new:
                self.changes = self._joined(kept)
                self.notes += [repair.note for repair in kept]
                self.change = change
                return True
            blamed = _to_blame(kept, {path for _, path in new})
            kept = [repair for repair in kept if repair not in blamed]
        return False

    def _is_released(self, path: str) -> bool:
        parts = path.split("/")
        if len(parts) != len(("indexes", "user", "index", "project", "manifest")) or parts[0] != layout.INDEXES:
            return False
        _, user, index, project, name = parts
        return self.change.is_released(IndexName(UserName(user), index), project, name)

    def _joined(self, repairs: Sequence[Repair]) -> dict[str, Content]:
        joined = dict(self.changes)
        for repair in repairs:
            for path, content in repair.changes.items():
                # What was changed before it was moved is moved as it is now.
                is_new = isinstance(content, Moved) and self.changes.get(content.path) is not None
                joined[path] = self.changes[content.path] if isinstance(content, Moved) and is_new else content
        return joined

    def _with(self, repairs: Sequence[Repair]) -> Snapshot:
        root = self._before.root
        leaves = {path: _leaf(root, content) for path, content in self._joined(repairs).items()}
        return Snapshot(Overlay(root, leaves), self._before.name)

    def plan(self, content_at: Callable[[str], bytes | Path]) -> Plan:
        """Return what there is to write; *content_at* gives what is at a path."""
        changes: dict[str, bytes | Path | None] = {}
        for path, content in sorted(self.changes.items()):
            if content is not None or find(self._before.root, path) is not None:
                changes[path] = content_at(content.path) if isinstance(content, Moved) else content
        return Plan(changes, self.notes)


def plan_fixes(
    before: Snapshot,
    change_to: Callable[[Snapshot], Change],
    root: Path | None = None,
    *,
    is_taken: Callable[[str], bool] = lambda _: False,
    clears_modes: bool = True,
) -> Plan:
    """Plan what puts right the mechanical errors of a working tree, which lies at *root*, or of a revision.

    *change_to* makes the change that is validated of a snapshot. *is_taken* tells whether the disk has something at a
    path, *clears_modes* whether the disk says which files are executable. The manifests that the base of a non-volatile
    index has are not touched, and the plan brings no error.
    """
    tree = _Tree(before, change_to, is_taken)
    for _ in range(_ROUNDS):
        # Each kind looks at what the one before has left.
        done = [tree.put(list(repairs(tree))) for repairs in _KINDS if clears_modes or repairs is not _modes]
        if not any(done):
            break
    return tree.plan(lambda path: _content(before.root, path) if root is None else root / path)


def _errors(change: Change) -> frozenset[tuple[str, str]]:
    return frozenset((f.code, f.path) for f in validate(change) if f.severity is Severity.ERROR)


def _renamed(path: str, repairs: Sequence[Repair]) -> str:
    for repair in repairs:
        if repair.renamed is not None:
            old, new = repair.renamed
            if f"{path}/".startswith(f"{old}/"):
                return new + path.removeprefix(old)
    return path


def _to_blame(repairs: Sequence[Repair], paths: set[str]) -> list[Repair]:
    """Return the repairs that errors at *paths* can come from: those of the very files, of their folders, or all."""
    for depth in range(3):
        folders = {path.rsplit("/", depth)[0] for path in paths}
        found = [r for r in repairs if any(path.rsplit("/", depth)[0] in folders for path in r.changes)]
        if found:
            return found
    return list(repairs)


def _leaf(root: Folder, content: Content) -> Leaf | None:
    if not isinstance(content, Moved):
        return None if content is None else leaf(content)
    found = find(root, content.path)
    if found is None:
        return None
    folder, name = found
    return Leaf("file", lambda: folder.read(name), None, lambda: folder.size(name), lambda: folder.open(name))


# Names of folders


def _folders(tree: _Tree) -> Iterator[Repair]:
    """Name the folders of projects in normal form, where nothing stands in the way."""
    claimed: set[str] = set()
    for project in tree.change.projects():
        normal = free_folder(tree.change, project)
        if normal is None or project.after is None:
            continue
        target = layout.project_folder(project.index, normal)
        names = sorted(project.after.folder.entries())
        changes: dict[str, Content] = {f"{project.path}/{name}": None for name in names}
        moved: dict[str, Content] = {f"{target}/{name}": Moved(f"{project.path}/{name}") for name in names}
        if moved and not moved.keys() & claimed and all(map(tree.is_free, moved)):
            claimed |= moved.keys()
            yield Repair(f"Rename {project.path} to {target}", changes | moved, (project.path, target))


# Manifests


def _manifests(tree: _Tree) -> Iterator[Repair]:
    """Name manifests as their versions, fill in what their stored files say, and write them as gitindex does."""
    claimed: set[str] = set()
    store = Store(tree.change)
    for project in tree.change.projects():
        for release in project.releases if project.after else ():
            name = release.version + layout.MANIFEST_SUFFIX
            # Repairs of released manifests are refused in any case; here it saves the reading of all of them.
            if release.after is None or tree.change.is_released(project.index, project.name, name):
                continue
            repair = _manifest(tree, store, project, release)
            if repair is not None and not repair.changes.keys() & claimed:
                claimed |= repair.changes.keys()
                yield repair


def _manifest(tree: _Tree, store: Store, project: ProjectChange, release: ReleaseChange) -> Repair | None:
    path = layout.manifest_path(project.index, project.name, release.version)
    version = free_version(tree.change, project, release.version) or release.version
    target = layout.manifest_path(project.index, project.name, version)
    data = _read(tree.change.head.root, path)
    if data is None or (target != path and not tree.is_free(target)):
        return None
    values = json_values(data.removeprefix(_BOM))
    if not isinstance(values, dict) or not isinstance(values.get("files"), list):
        return None
    is_new = project.differs(release.version)
    fixed = {**values, **_own_names(values, project.name, version)}
    beside: dict[str, bytes] = {}
    if is_new:
        fixed["files"] = [store.completed(entry, beside) for entry in values["files"]]
    written = _written(target, fixed)
    if written is None or not all(map(tree.is_free, beside)):
        return None
    if target == path and (written == data or (not is_new and fixed == values)):
        # The form of what has not changed is nobody's business.
        return Repair(f"Write {min(beside)}", beside) if beside else None
    changes: dict[str, Content] = {target: written, **beside}
    if target == path:
        return Repair(f"Write {path}", changes)
    return Repair(f"Rename {path} to {target}", {path: None, **changes}, (path, target))


def _own_names(values: Mapping[str, Any], project: ProjectName, version: str) -> dict[str, str]:
    """Return name and version of a manifest as its path has them, where they are the same in another spelling."""
    found: dict[str, str] = {}
    name, stated = values.get("name"), values.get("version")
    if isinstance(name, str) and not (is_display_name(name) and normalize(name) == project):
        stripped = name.strip()
        if is_display_name(stripped) and normalize(stripped) == normalize(project):
            found["name"] = stripped
    if isinstance(stated, str) and version_key(stated.strip()) == version_key(version):
        found["version"] = version
    return found


def _written(path: str, values: Mapping[str, Any]) -> bytes | None:
    """Return a manifest in the form that gitindex writes; ``None`` where it is not one."""
    try:
        manifest = read_manifest(path, manifest_bytes(values))
        if isinstance(manifest, Unreadable):
            return None
        return manifest_bytes({**values, "files": [file_data(file) for file in manifest.files]})
    except (KeyError, TypeError, ValueError, RecursionError):  # a key is missing, or half a surrogate is in a string
        return None


# TOML documents


def _statements(tree: _Tree) -> Iterator[Repair]:
    """Spell yanked versions as they are released."""
    for project in tree.change.projects():
        if project.after is not None and project.after.folder.entries().keys() & {layout.PROJECT}:
            path = layout.statements_path(project.index, project.name)
            spellings: dict[str, str] = {}
            statements = project.after.statements
            for key in statements.yanked if isinstance(statements, ProjectStatements) else ():
                spelling = released_spelling(project.after, key)
                if spelling is not None and spelling != key:
                    spellings[key] = spelling
            if project.touches(layout.PROJECT) or spellings:
                yield from _document(tree, path, read_statements, partial(_respell, spellings=spellings))


def _respell(document: Any, spellings: Mapping[str, str]) -> None:
    """Give keys of `[yanked]` their other spelling, with all comments where they are."""
    import tomlkit  # noqa: PLC0415
    from tomlkit.items import Table  # noqa: PLC0415

    yanked = document.get("yanked")
    if (
        not spellings
        or not isinstance(yanked, Table)
        or len({*yanked, *spellings.values()}) != len({*yanked}) + len(spellings)
    ):
        return
    table = tomlkit.table()
    for key, item in yanked.value.body:
        spelling = spellings.get(key.key) if key is not None else None
        table.append(key if spelling is None else tomlkit.key(spelling), item)
    document["yanked"] = table


def _definitions(tree: _Tree) -> Iterator[Repair]:
    """Name each base once, and spell the entries of whitelists as project names are spelled."""
    for name in sorted(tree.change.changed_definitions):
        yield from _document(tree, layout.index_path(name), read_definition, _tidy_definition)


def _tidy_definition(document: Any) -> None:
    bases = document.get("bases", [])
    entries = document.get("mirror_whitelist", [])
    normal = [normalize(entry.strip()) for entry in entries]
    for place in range(len(bases) - 1, -1, -1):
        if parse_index_name(bases[place]) and bases[place] in bases[:place]:
            del bases[place]
    for place in range(len(entries) - 1, -1, -1):
        name = normal[place]
        if entries[place] not in ("*", name) and is_project_name(name):
            if name in normal[:place] or name in entries:
                del entries[place]
            else:
                entries[place] = name


def _settings(tree: _Tree) -> Iterator[Repair]:
    """Clean the settings and the users of what editors put in."""
    if tree.change.touches_settings:
        yield from _document(tree, layout.SETTINGS, read_settings, None)
    for user in tree.change.changed_users:
        yield from _document(tree, layout.user_path(user), read_user, None)


def _document(
    tree: _Tree, path: str, read: Callable[[str, bytes], D | Unreadable], tidy: Callable[[Any], None] | None
) -> Iterator[Repair]:
    """Write a TOML document without byte order mark and CR, and with what *tidy* does to it; comments stay."""
    import tomlkit  # noqa: PLC0415
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    data = _read(tree.change.head.root, path)
    if data is None:
        return
    clean = data.removeprefix(_BOM).replace(b"\r\n", b"\n")
    if isinstance(read(path, clean), Unreadable):
        return
    if tidy is not None:
        try:
            document = tomlkit.parse(clean.decode())
            before = document.unwrap()
            tidy(document)
            if document.unwrap() != before:
                clean = toml.dump(document)
        except (TOMLKitError, ValueError, RecursionError):
            return
    if clean != data and not isinstance(read(path, clean), Unreadable):
        yield Repair(f"Write {path}", {path: clean})


# Modes


def _modes(tree: _Tree) -> Iterator[Repair]:
    """Make executable files plain."""
    for finding in validate(tree.change, rules=_PLAIN_FILE):
        found = find(tree.change.head.root, finding.path)
        if found is not None and found[0].entries()[found[1]].kind == "executable":
            yield Repair(f"Make {finding.path} a plain file", {finding.path: Moved(finding.path)})


_KINDS: Sequence[Callable[[_Tree], Iterator[Repair]]] = (
    _folders,
    _manifests,
    _statements,
    _definitions,
    _settings,
    _modes,
)


def _read(root: Folder, path: str) -> bytes | None:
    found = find_file(root, path)
    return None if found is None or found[0].size(found[1]) > layout.MAX_DOCUMENT else found[0].read(found[1])


def _content(root: Folder, path: str) -> bytes:
    found = find(root, path)
    return b"" if found is None else found[0].read(found[1])
