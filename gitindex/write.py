"""Carries out a plan: validated as the change it would be, files before manifests, committed where that is asked."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from gitindex import atomic, layout
from gitindex.compare import Act, Change
from gitindex.documents import read_manifest
from gitindex.edits.plan import Plan
from gitindex.errors import CannotRunError, RefusedError
from gitindex.finding import Finding, Severity
from gitindex.git import WORKTREE, Author, Repository
from gitindex.model import Manifest
from gitindex.names import parse_index_name
from gitindex.objects import StoredObjects
from gitindex.resolve import documents_behind
from gitindex.rules.hints import without_restore
from gitindex.snapshot import NO_REVISION, Snapshot
from gitindex.tree import Entry, Folder, Overlay, find, leaf
from gitindex.validate import validate

_PIECE = 1 << 20


class Outcome(NamedTuple):
    """What became of a plan."""

    paths: tuple[str, ...]
    """What was written or removed, in the index repository; empty where nothing had to change."""
    warnings: tuple[Finding, ...]
    commit: str | None
    along: tuple[str, ...] = ()
    """What else is committed: the plan needs it, and no commit had it."""


def carry_out(
    repository: Repository,
    worktree: Snapshot,
    plan: Plan,
    *,
    commit: bool = False,
    today: date | None = None,
    actor: str | None = None,
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> Outcome:
    """Write a plan that was made from the *worktree* into it; *today* is the day until which waivers have to last.

    Where it is known, the *actor* (a user, or an identity) has to have the right to what the plan itself does. *beside*
    are files, by path from the top of the Git repository, that are written and committed with it: they are no part of
    the index repository, and no rule knows them.

    Raises:
        RefusedError: the rules refuse what it would make; nothing is written.
        CannotRunError: what the plan changes was changed by a commit since the *worktree* was opened, and nothing is
            written; the disk fails, and what is written already is a file that nothing names yet; or Git refuses the
            commit, and the message says that all is written.

    """
    changes = plan.changes

    def judged(now: Snapshot) -> tuple[list[Finding], tuple[str, ...]]:
        published = repository.origin.published()
        findings = checked(published, now, plan, today, actor) if changes else []
        return findings, _paths_to_commit(repository, now, plan, published) if commit else ()

    try:
        found = judged(worktree)
        _upload(worktree, plan)
    except RefusedError:
        # What came in meanwhile would be undone, and is not in the worktree: it is judged with that.
        if not repository.has_moved(worktree):
            raise
        found = None
    with settled(repository, worktree, plan) as now:
        if now is not worktree or found is None:
            found = judged(now)
            _upload(now, plan)
        findings, paths = found
        put(repository.root, plan)
        put(repository.top, Plan(dict(beside)))
        committed = _commit(repository, paths, plan.summary, beside) if paths else None
    along = tuple(path for path in paths if path not in changes and not path.startswith(f"{layout.FILES}/"))
    return Outcome(tuple(sorted(changes)), tuple(findings), committed, along if committed else ())


def carry_out_addition(
    repository: Repository, worktree: Snapshot, plan: Plan, *, commit: bool, author: Author | None = None
) -> str | None:
    """Write a plan that is known to be in order (:func:`checked`), and return the id of its commit, where there is one.

    It only adds to the *worktree*, so that its commit is judged by what it adds to the last one.

    Raises:
        RefusedError, CannotRunError: as :func:`carry_out` does.

    """
    _upload(worktree, plan)
    with settled(repository, worktree, plan) as now:
        if now is not worktree:
            checked(repository.origin.published(), now, plan, None)
        head = repository.head() if commit else None
        base = repository.at(head) if head is not None else None
        paths = _paths_to_commit(repository, now, plan, base) if commit else ()
        put(repository.root, plan)
        committed = _commit(repository, paths, plan.summary, (), author) if paths else None
        if committed is not None and now is worktree:
            repository.went_on(worktree, committed)
        return committed


def _upload(worktree: Snapshot, plan: Plan) -> None:
    if plan.uploads:
        StoredObjects(worktree.settings.storage.url).keep(plan.uploads)


@contextlib.contextmanager
def settled(repository: Repository, worktree: Snapshot, plan: Plan) -> Iterator[Snapshot]:
    """Let no server change the working tree, and yield it as it is now: the *worktree*, unless one did meanwhile.

    The *plan* was made from the *worktree*, and can be carried out on what is yielded, as far as the rules allow it.

    Raises:
        CannotRunError: what the plan changes is not what it was made from.

    """
    _ = repository.root  # a bare repository has nothing to write to, and is left as it is
    with repository.moving():
        if not repository.has_moved(worktree):
            yield worktree
            return
        now = repository.worktree()
        for path in (*plan.changes, *plan.concerned):
            if not _is_same(find(worktree.root, path), find(now.root, path)):
                raise CannotRunError(
                    f"{path}: was changed by another commit while this was at work",
                    help="nothing was written; run the same command again",
                )
        yield now


def _is_same(one: tuple[Folder, str] | None, other: tuple[Folder, str] | None) -> bool:
    return one is other if one is None or other is None else _entry(one) == _entry(other)


def checked(
    base: Snapshot | None, before: Snapshot, plan: Plan, today: date | None, actor: str | None = None
) -> list[Finding]:
    """Return the warnings about a plan that was made from *before*, as a change of *base*, what is published.

    Where it is known, the *actor* has to have the right to what the plan itself does.

    Raises:
        RefusedError: the rules refuse what it would make.

    """
    findings = _new_findings(base, before, plan, today, actor)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise RefusedError([without_restore(finding) for finding in errors])
    return findings


def checked_together(
    before: Snapshot, plans: Sequence[tuple[Plan, str | None]], today: date | None
) -> list[Finding] | None:
    """Return the warnings about *plans*, each with its actor, that were made from *before*; ``None`` with an error.

    They have to be :func:`independent <places>`. Then each of them is in order by itself, and after the others.
    """
    leaves = {path: found for plan, _ in plans for path, found in plan.leaves().items()}
    change = Change(before, Snapshot(Overlay(before.root, leaves), WORKTREE), today=today)
    acts = []
    for plan, actor in plans:
        own = Change(before, Snapshot(Overlay(before.root, plan.leaves()), WORKTREE))
        acts += [Act(own, change.rights.actor(actor))] if actor is not None else []
    change.acts = tuple(acts)
    findings = validate(change)
    return None if any(finding.severity is Severity.ERROR for finding in findings) else findings


def places(plan: Plan) -> frozenset[str] | None:
    """Return the projects and stored files that a plan adds something to; ``None`` where it does anything else.

    Plans whose places are disjoint are independent: they can be made in any order, and what is wrong with one of them
    is wrong whether the others are there or not.
    """
    found = set()
    for path, change in plan.changes.items():
        if change is None:
            return None
        if path.startswith(f"{layout.FILES}/"):
            found.add(path)
        elif layout.is_manifest(path):
            found.add(path.rpartition("/")[0])
        else:
            return None
    return frozenset(found)


def put(root: Path, plan: Plan) -> None:
    """Write a plan, whose change is known to be in order, below *root*: each file whole or not at all.

    Nobody else may write there meanwhile: what a killed run left half written beside the files is removed.

    Raises:
        CannotRunError: a path leads through a link, or the disk fails.

    """
    changes = plan.changes
    for path, change in changes.items():
        _check_place(root, path)
        if isinstance(change, Path) and not change.is_file():
            raise CannotRunError(f"{change}: is not there any more", help="nothing was written; run it again")
    for folder in {(root / path).parent for path in changes}:
        atomic.tidy(folder)
    # A manifest never names a file that is not there: files come first, and go last.
    for path in sorted(changes, key=lambda path: (path.startswith(layout.INDEXES), path)):
        if (change := changes[path]) is not None:
            _write(root / path, change)
    for path in sorted((path for path in changes if changes[path] is None), reverse=True):
        _remove(root, path)


def is_taken(root: Path, path: str) -> bool:
    """Tell whether the disk has something at a path, or in the way to it, whatever Git sees of it.

    On a file system that takes `Foo` and `foo` for one name, either is taken where the other is.
    """
    place = root
    for name in path.split("/")[:-1]:
        place /= name
        if place.is_symlink() or (os.path.lexists(place) and not place.is_dir()):
            return True
    return os.path.lexists(root / path)


def _commit(
    repository: Repository,
    paths: tuple[str, ...],
    summary: str,
    beside: Collection[str],
    author: Author | None = None,
) -> str | None:
    if beside:
        prefix = f"{repository.folder}/" if repository.folder else ""
        paths = (*(prefix + path for path in paths), *beside)
        repository = Repository.open(repository.top, "")
    try:
        return repository.commit(paths, f"{summary}\n", author)
    except CannotRunError as error:
        # The files are there, and right: what Git has against the commit is the user's to settle.
        message = f"written, and not committed: {error.message}"
        raise CannotRunError(message, help=error.help or "settle it, and run the same command again") from None


def _paths_to_commit(
    repository: Repository, worktree: Snapshot, plan: Plan, published: Snapshot | None
) -> tuple[str, ...]:
    """Return what a commit of the plan holds: its changes, and what these need that is not committed yet.

    Raises:
        RefusedError: what would be committed does not stand alone.

    """
    head = repository.head()
    committed = repository.at(head) if head is not None else NO_REVISION
    leaves = plan.leaves()
    missing = [path for path in _definitions(worktree, plan) if find(committed.root, path) is None]
    for path in (*plan.concerned, *_needed(plan), *missing):
        if path in leaves:
            continue
        here = find(worktree.root, path)
        if here is not None and not _is_same(here, find(committed.root, path)):
            leaves[path] = leaf(here[0].read(here[1]))
    if not leaves:
        return ()
    planned = Snapshot(Overlay(committed.root, leaves), WORKTREE)
    known = {_what(finding) for finding in validate(Change(published, committed))} if head else set()
    errors = [f for f in validate(Change(published, planned)) if f.severity is Severity.ERROR and _what(f) not in known]
    if errors:
        # With all that is in the working tree it is in order: that was seen before.
        alone = "refused as a commit of its own, and nothing was written; first commit what else was changed here"
        raise RefusedError([without_restore(finding) for finding in errors], alone)
    return tuple(sorted(leaves))


def _definitions(worktree: Snapshot, plan: Plan) -> Iterator[str]:
    """Yield the documents that what a plan writes stands on."""
    written = [path for path, change in plan.changes.items() if change is not None]
    if written:
        yield layout.SETTINGS
    planned = Snapshot(Overlay(worktree.root, plan.leaves()), WORKTREE)
    for text in sorted({"/".join(path.split("/")[1:3]) for path in written if path.startswith(f"{layout.INDEXES}/")}):
        name = parse_index_name(text)  # none of a user's own document
        index = None if name is None else planned.index(name)
        if index is not None:
            yield from documents_behind(planned, index)


def _needed(plan: Plan) -> Iterator[str]:
    """Yield the stored files that the manifests of a plan name."""
    for path, change in plan.changes.items():
        if isinstance(change, bytes) and layout.is_manifest(path):
            manifest = read_manifest(path, change)
            for file in manifest.files if isinstance(manifest, Manifest) else ():
                if file.url is None:
                    stored = layout.stored_path(file.hashes.sha256, file.filename)
                    yield from (stored, stored + layout.METADATA_SUFFIX, stored + layout.PROVENANCE_SUFFIX)


def _entry(found: tuple[Folder, str]) -> Entry:
    return found[0].entries()[found[1]]


def _new_findings(
    base: Snapshot | None, worktree: Snapshot, plan: Plan, today: date | None, actor: str | None
) -> list[Finding]:
    """Return what the rules say about the plan, less what they say about the working tree without it."""
    planned = Snapshot(Overlay(worktree.root, plan.leaves()), WORKTREE)
    change = Change(base, planned, today=today)
    if actor is not None:
        change.acts = (Act(Change(worktree, planned), change.rights.actor(actor)),)
    findings = validate(change)
    if any(finding.severity is Severity.ERROR for finding in findings):
        known = {_what(finding) for finding in validate(Change(base, worktree, today=today))}
        findings = [finding for finding in findings if _what(finding) not in known]
    return findings


def _what(finding: Finding) -> tuple[str, str, str]:
    """Return a finding without its line, which moves."""
    return finding.path, finding.code, finding.message


def _check_place(root: Path, path: str) -> None:
    """Refuse a path that leads through a link: what is written must land in the repository."""
    folder = root
    for name in path.split("/")[:-1]:
        folder /= name
        try:
            mode = folder.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise atomic.cannot_write(folder, error) from None
        if not stat.S_ISDIR(mode):
            raise CannotRunError(f"{folder}: is not a folder", help="move it away; nothing was written")


def _write(target: Path, change: bytes | Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise atomic.cannot_write(target.parent, error) from None
    atomic.write(target, [change] if isinstance(change, bytes) else _pieces(change))


def _pieces(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _remove(root: Path, path: str) -> None:
    target = root / path
    try:
        target.unlink(missing_ok=True)
        for folder in target.relative_to(root).parents:
            if folder == Path() or os.listdir(root / folder):  # noqa: PTH208
                break
            (root / folder).rmdir()
    except OSError as error:
        raise atomic.cannot_write(target, error) from None
