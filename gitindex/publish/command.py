"""`gitindex publish`, whole: its options, declared once, and what it does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from gitindex import atomic, layout
from gitindex.cachefolder import cache_folder
from gitindex.carried import NOTHING
from gitindex.errors import NotThereError, UsageError
from gitindex.git import Past, Repository
from gitindex.hosts import HOSTS
from gitindex.model import Stage
from gitindex.objects import Location, Objects, StoredObjects, read_location
from gitindex.publish import JOBS, Report, Wanted, publish
from gitindex.publish.folder import read_site
from gitindex.publish.planning import WouldUndoError
from gitindex.rendering import alone, carried_by, check_place, check_storage, index_name, of_host, storage_of
from gitindex.report.progress import progress_of
from gitindex.report.text import count, printable
from gitindex.site import render
from gitindex.sizes import human_size
from gitindex.snapshot import Snapshot
from gitindex.words import Option

OPTIONS = (
    Option(
        "to",
        "--to",
        "Where to: s3://bucket/folder, gs://bucket/folder, az://container/folder or file:///folder.",
        "URL",
        is_required=True,
        variable="GITINDEX_PUBLISH_TO",
    ),
    Option("rev", "--rev", "The revision; by default HEAD.", "REV"),
    Option("index", "--index", "Only this index; may be given several times.", "USER/INDEX", is_repeated=True),
    Option(
        "host",
        "--host",
        "Publish what this host needs too: nginx, apache, caddy, cloudflare, github-pages, gitlab-pages, netlify, s3 "
        "or vercel.",
        "NAME",
    ),
    Option("carry", "--carry", "Publish the pages of what mirrors allow too."),
    Option("vendor_files", "--vendor-files", "Publish what mirrors allow too, pages and files."),
    Option(
        "cache",
        "--cache",
        "The folder for pages of upstreams; by default one of the user's cache folder.",
        "DIR",
        Path,
        variable="GITINDEX_CACHE",
    ),
    Option("site", "--site", "The folder to render to; by default one in your cache.", "DIR", Path),
    Option("max_delete", "--max-delete", "How many objects may be removed.", "NUMBER", int, least=0),
    Option("force", "--force", "Publish whatever is there, and whoever is publishing."),
    Option("full", "--full", "Render and upload everything, whatever is remembered."),
    Option("dry_run", "--dry-run", "Say what would be done, and do nothing."),
    Option("jobs", "--jobs", "How many requests at the same time.", "NUMBER", int, JOBS, 1, 256),
    Option("as_json", "--json", "Answer in JSON."),
)
_SHOWN = 20
_TOKEN = re.compile(r"[0-9a-f]{32}")


def run(
    directory: Path,
    folder: str | None,
    *,
    to: str,
    rev: str | None = None,
    index: list[str] | None = None,
    host: str | None = None,
    carry: bool = False,
    vendor_files: bool = False,
    cache: Path | None = None,
    site: Path | None = None,
    max_delete: int | None = None,
    force: bool = False,
    full: bool = False,
    dry_run: bool = False,
    jobs: int = JOBS,
    as_json: bool = False,
) -> int:
    """Render the site of a revision and bring it to its target, say what was done, and return the exit code.

    Raises:
        UsageError: the options make no sense.
        WouldUndoError: it would undo what is published.
        CannotRunError: the content cannot be shown, or the target cannot be written to.
        NotThereError: a revision or an index is not there.

    """
    location = read_location(to)
    repository = Repository.open(directory, folder)
    revision = repository.commit_id(rev or "HEAD")
    snapshot = repository.at(revision)
    names = [index_name(name) for name in index or ()]
    extras, notes = of_host(snapshot, names, host, None)
    if host is not None and HOSTS[host].carries:
        raise UsageError(
            f"{host} is no object store, and brings its sites by a workflow of its own",
            help=f"render the folder for it: gitindex render --out DIR --host {host}",
        )
    if location.folder is not None:
        check_place(repository, location.folder)
    state = _state_folder(repository, location)
    out = site if site is not None else state / "site"
    check_place(repository, out)
    check_storage(snapshot, out)
    _check_apart(location, out)
    with alone(state, str(location)), alone(out, str(out)):
        carried = NOTHING
        if carry or vendor_files:
            place = cache or cache_folder(repository.git_directory, repository.folder)
            carried, said = carried_by(snapshot, names, out, place, copies=vendor_files)
            notes = (*notes, *said)
        past = Past(repository, revision)
        lfs = repository.git_directory / "lfs" / "objects"
        with progress_of("projects") as progress:
            render(
                snapshot,
                out,
                indexes=names,
                lfs_objects=lfs,
                progress=progress,
                extras=extras,
                carried=carried,
                past=past,
                storage=storage_of(snapshot),
                full=full,
            )
        wanted = Wanted(
            out, read_site(out), revision, _lasting(snapshot), _holder(state), _has_storage(snapshot, location)
        )
        with progress_of("objects") as progress:
            report = publish(
                Objects(location),
                wanted,
                may_follow=lambda there: _check_follows(repository, revision, there),
                max_delete=max_delete,
                force=force,
                full=full,
                dry_run=dry_run,
                jobs=jobs,
                progress=progress,
            )
    if as_json:
        facts = {**report._asdict(), "refused": str(report.refused) if report.refused else None}
        answer = {"to": str(location), "revision": revision, "dry_run": dry_run, **facts, "notes": notes}
        print(json.dumps(answer, indent=2))
    else:
        for line in _told(report, str(location), revision, dry_run=dry_run):
            print(printable(line))
        for note in notes:
            print(printable(f"note: {note}"))
    if report.refused is not None:
        raise report.refused
    return 0


def _told(report: Report, to: str, revision: str, *, dry_run: bool) -> Iterator[str]:
    if not report.written and not report.removed:
        yield f"{to} has the site of {revision[:12]}, and nothing differs."
        return
    if dry_run:
        for word, paths in (("upload", report.written), ("remove", report.removed)):
            yield from (f"Would {word} {path}" for path in paths[:_SHOWN])
            if len(paths) > _SHOWN:
                yield f"Would {word} {count(len(paths) - _SHOWN, 'object')} more (all of them: --json)"
    sent = (
        f"{count(len(report.written), 'object')} ({human_size(report.bytes)}) {'to upload' if dry_run else 'uploaded'}"
    )
    rest = f"{report.unchanged:,} as they were, {len(report.removed):,} {'to remove' if dry_run else 'removed'}"
    resumed = " It goes on with a publish that was broken off." if report.resumed else ""
    yield f"{revision[:12]} in {to}: {sent}, {rest}.{resumed}"


def _has_storage(snapshot: Snapshot, location: Location) -> bool:
    """Tell whether the storage of the repository is where the stored files of the target belong."""
    storage = snapshot.settings.storage
    if storage.is_embedded:
        return False
    there, files = StoredObjects(storage.url).location, location.below(layout.FILES)
    if there.folder is not None and files.folder is not None:
        return there.folder.resolve() == files.folder.resolve()
    return there == files


def _check_apart(location: Location, out: Path) -> None:
    """Refuse a site that is rendered into its own target, or around it: what is published is no part of it."""
    if location.folder is None:
        return
    site, target = out.resolve(), location.folder.resolve()
    if site.is_relative_to(target) or target.is_relative_to(site):
        raise UsageError(f"{out} and {location} lie in one another", help="choose another folder with --site")


def _lasting(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the non-volatile indexes of a snapshot."""
    opened = ((name, snapshot.index(name)) for name in snapshot.index_names())
    definitions = ((name, found.definition) for name, found in opened if found is not None)
    return tuple(str(name) for name, what in definitions if isinstance(what, Stage) and not what.volatile)


def _check_follows(repository: Repository, revision: str, there: str) -> None:
    """Refuse to take the place of a revision that this one does not come after: someone would be undone."""
    if there == revision:
        return
    try:
        follows = repository.descends(revision, there)
    except NotThereError:
        raise WouldUndoError(
            f"{there[:12]} is published there, which this clone does not have",
            help="fetch it (git fetch; a shallow clone: git fetch --unshallow), or publish all the same with --force",
        ) from None
    if not follows:
        raise WouldUndoError(
            f"{there[:12]} is published there, and {revision[:12]} does not come after it",
            help="publish a newer revision, or this one all the same with --force",
        )


def _state_folder(repository: Repository, location: Location) -> Path:
    """Return a folder of the user's that belongs to this repository and target alone."""
    key = hashlib.sha256(str(location).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return cache_folder(repository.git_directory, repository.folder) / "publish" / key


def _holder(state: Path) -> str:
    """Return the name under which this folder publishes: by it, it knows a publish of its own that was broken off."""
    path = state / "holder"
    with contextlib.suppress(OSError, ValueError):
        known = path.read_text()
        if _TOKEN.fullmatch(known):
            return known
    made = secrets.token_hex(16)
    atomic.write(path, [made.encode()], mode=0o600)
    return made
