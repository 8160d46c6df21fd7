"""`gitindex render`, whole: its options, declared once, and what it does. It knows no Typer, so it starts at once."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gitindex import atomic, layout
from gitindex.cachefolder import cache_folder
from gitindex.carried import NOTHING, Carried
from gitindex.errors import CannotRunError, UsageError
from gitindex.git import Past, Repository
from gitindex.names import IndexName, parse_index_name
from gitindex.objects import StoredObjects
from gitindex.output import MARKER
from gitindex.report.progress import progress_of
from gitindex.report.text import count, printable
from gitindex.site import Report, render
from gitindex.snapshot import Snapshot
from gitindex.words import Option

if TYPE_CHECKING:
    from gitindex.hosts import Host
    from gitindex.hosts.rules import Limits
    from gitindex.site.notices import Notices

OPTIONS = (
    Option(
        "out",
        "--out",
        "The folder to write to: empty, or made by gitindex.",
        "DIR",
        Path,
        is_required=True,
    ),
    Option("rev", "--rev", "The revision; by default the working tree.", "REV"),
    Option("index", "--index", "Only this index; may be given several times.", "USER/INDEX", is_repeated=True),
    Option(
        "host",
        "--host",
        "Write what this host needs too: nginx, apache, caddy, cloudflare, github-pages, gitlab-pages, netlify, s3 "
        "or vercel.",
        "NAME",
    ),
    Option("fallback", "--fallback", "How the host falls back to a mirror: redirect (the default) or proxy.", "HOW"),
    Option(
        "carry",
        "--carry",
        "Write the pages of what mirrors allow into the site, as github-pages always has them.",
    ),
    Option(
        "vendor_files",
        "--vendor-files",
        "Copy what mirrors allow into the site, pages and files, so that it needs no upstream.",
    ),
    Option(
        "cache",
        "--cache",
        "The folder for pages of upstreams; by default one of the user's cache folder.",
        "DIR",
        Path,
        variable="GITINDEX_CACHE",
    ),
    Option("full", "--full", "Render everything, whatever the folder remembers."),
    Option(
        "preview",
        "--preview",
        "Render HEAD, and mark on the pages for people what changes since BASE.",
        "BASE HEAD",
        is_pair=True,
    ),
    Option("as_json", "--json", "Answer in JSON."),
)


def run(
    directory: Path,
    folder: str | None,
    *,
    out: Path,
    rev: str | None = None,
    index: list[str] | None = None,
    host: str | None = None,
    fallback: str | None = None,
    carry: bool = False,
    vendor_files: bool = False,
    cache: Path | None = None,
    full: bool = False,
    preview: tuple[str, str] | None = None,
    as_json: bool = False,
) -> int:
    """Write the site, say what was done, and return the exit code.

    Raises:
        UsageError: the options make no sense.
        CannotRunError: the content cannot be shown, or the folder cannot be written to.
        NotThereError: a revision or an index is not there.

    """
    repository = Repository.open(directory, folder)
    if preview is not None and rev is not None:
        raise UsageError("--preview and --rev exclude each other", help="the second word of --preview is the revision")
    base, rev = (repository.at(preview[0]), preview[1]) if preview is not None else (None, rev)
    is_revision = rev is not None or repository.is_bare
    snapshot = repository.at(rev or "HEAD") if is_revision else repository.worktree()
    _ = snapshot.settings
    names = [index_name(name) for name in index or ()]
    check_place(repository, out)
    check_storage(snapshot, out)
    extras, notes = of_host(snapshot, names, host, fallback)
    with alone(out, str(out)):
        carried = NOTHING
        if carry or vendor_files or (host is not None and _hosts()[host].carries):
            place = cache or cache_folder(repository.git_directory, repository.folder)
            carried, said = carried_by(snapshot, names, out, place, copies=vendor_files)
            notes = (*notes, *said)
        lfs = repository.git_directory / "lfs" / "objects"
        past = Past(repository, snapshot.name if is_revision else repository.head())
        with progress_of("projects") as progress:
            notices = _notices(base, snapshot) if base is not None else None
            report = render(
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
                notices=notices,
            )
    if host is not None and (limits := _hosts()[host].limits) is not None:
        notes = (*notes, *_beyond(out, host, limits))
    if as_json:
        since = {"preview_of": base.name} if base is not None else {}
        print(json.dumps({"revision": snapshot.name, **since, **report._asdict(), "notes": notes}, indent=2))
    else:
        print(printable(_told(report, out)))
        for note in notes:
            print(printable(f"note: {note}"))
    return 0


def _notices(base: Snapshot, head: Snapshot) -> Notices:
    from gitindex.preview import preview
    from gitindex.site.notices import Notices

    return Notices(preview(base, head))


def of_host(
    snapshot: Snapshot, wanted: Collection[IndexName], name: str | None, fallback: str | None
) -> tuple[Mapping[str, bytes], Sequence[str]]:
    """Return the files that a host needs, by path in the site, and what it cannot do.

    Raises:
        UsageError: there is no such host, or it does not fall back in this way.
        CannotRunError: a user has the name of one of its files, or something cannot stand in a configuration.

    """
    if name is None:
        if fallback is not None:
            raise UsageError("--fallback says how a host falls back", help="say which one with --host")
        return {}, ()
    from gitindex.hosts import host_site

    host = _hosts().get(name)
    if host is None:
        raise UsageError(f"{name!r} is no host that gitindex knows", help=f"take one of: {', '.join(_hosts())}")
    if fallback not in (None, "redirect", "proxy"):
        raise UsageError(f"{fallback!r} is no way to fall back", help="take redirect or proxy")
    is_proxy = fallback == "proxy"
    if is_proxy and host.cannot_proxy is None:
        raise UsageError(f"{name} can be no proxy", help="leave out --fallback")
    site = host_site(snapshot, wanted, is_proxy=is_proxy)
    files = host.files(site)
    for path in files:
        if snapshot.user_folder(path.partition("/")[0]) is not None:
            raise CannotRunError(f"{path}: {name} needs this file, and a user has its name", help="rename the user")
    notes = (
        *host.cannot,
        *(host.cannot_proxy or () if is_proxy else ()),
        *host.notes(site),
        *(() if host.carries else site.notes),
    )
    return files, notes


def _hosts() -> Mapping[str, Host]:
    from gitindex.hosts import HOSTS

    return HOSTS


def _beyond(out: Path, host: str, limits: Limits) -> Iterator[str]:
    """Yield what of the site the host will not take."""
    sizes = {path: path.stat().st_size for path in out.rglob("*") if path.is_file() and path.name != MARKER}
    if limits.files is not None and len(sizes) > limits.files:
        yield f"the site has {len(sizes):,} files, and {host} takes {limits.files:,}"
    if limits.whole is not None and sum(sizes.values()) > limits.whole:
        yield f"the site has {sum(sizes.values()):,} bytes, and {host} takes {limits.whole:,}"
    largest = max(sizes, key=lambda path: sizes[path])
    if limits.largest is not None and sizes[largest] > limits.largest:
        name = largest.relative_to(out)
        yield f"{name} has {sizes[largest]:,} bytes, and {host} takes files of {limits.largest:,}: keep it elsewhere"


def carried_by(
    snapshot: Snapshot, wanted: Collection[IndexName], out: Path, cache: Path, *, copies: bool
) -> tuple[Carried, tuple[str, ...]]:
    """Return what mirrors have for the site, with *copies* of its files in it, and what there is to say of it.

    Raises:
        CannotRunError: an upstream does not answer, or a file is not what it says.

    """
    from datetime import UTC, datetime

    from gitindex.download import Patience
    from gitindex.upstream.carrying import fetch
    from gitindex.upstream.client import Upstreams
    from gitindex.upstream.vendoring import vendor

    upstreams = Upstreams(cache / "pages", file_patience=Patience())
    try:
        with progress_of("pages of mirrors") as progress:
            fetched = fetch(snapshot, wanted, upstreams, datetime.now(UTC), progress)
        if copies:
            with progress_of("files of mirrors") as progress:
                fetched = vendor(fetched, upstreams, out, progress)
    finally:
        upstreams.close()
    return fetched.carried, fetched.notes


def _told(report: Report, out: Path) -> str:
    if report.since is not None and not report.projects and not report.written:
        return f"{out} is the site of {report.since[:12]}, and nothing differs."
    done = f"{count(report.written, 'file')} written, {report.unchanged:,} as they were, {report.removed:,} removed"
    if report.since is not None:
        return f"{count(report.projects, 'project')} in {out} looked at again, since {report.since[:12]}: {done}."
    return f"{count(report.projects, 'project')} in {out}: {done}."


def storage_of(snapshot: Snapshot) -> StoredObjects | None:
    """Return the storage whose files no public URL gives; ``None`` where there is no need to read it."""
    storage = snapshot.settings.storage
    return None if storage.is_embedded or storage.public_url else StoredObjects(storage.url)


def index_name(text: str) -> IndexName:
    """Return the index that an option names."""
    name = parse_index_name(text.strip("/"))
    if name is None:
        raise UsageError(
            f"{text!r} is no name of an index", help="write it as user/name in lower case, such as emilie/prod"
        )
    return name


def check_place(repository: Repository, out: Path) -> None:
    """Refuse a folder that is the repository's own, or has it in it.

    The site would be taken for releases, or for Git's objects; and a rendering removes what is not its own.
    """
    target = out.resolve()
    whole = (repository.git_directory if repository.is_bare else repository.root).resolve()
    if target in whole.parents and whole != target / ".git":
        raise UsageError(f"{out} has the repository in it", help="choose another one with --out")
    own = [repository.git_directory]
    if not repository.is_bare:
        own += [repository.root / name for name in (layout.INDEXES, layout.FILES)]
    if any(target.is_relative_to(folder.resolve()) for folder in own):
        raise UsageError(f"{out} lies in the repository's own folders", help="choose another one with --out")


def check_storage(snapshot: Snapshot, out: Path) -> None:
    """Refuse a folder that has the storage in it: a rendering removes the files that no page of it links to."""
    storage = snapshot.settings.storage
    folder = None if storage.is_embedded else StoredObjects(storage.url).folder
    if folder is not None and folder.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            f"{out} has the storage of {layout.SETTINGS} in it ({storage.url}), whose files would be removed",
            help="choose another folder; gitindex publish takes one with the storage in its files/",
        )


@contextlib.contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Have a folder for this process alone; the kernel lets go of it when the process ends, however it does.

    It is made where it is not there, and left where something is in it then.

    Raises:
        CannotRunError: another process has it, or it cannot be made.

    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileExistsError:
        raise CannotRunError(f"{folder}: is not a folder", help="choose another one") from None
    except OSError as error:
        raise atomic.cannot_write(folder, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{what}: another gitindex of this machine is writing to it"
            raise CannotRunError(message, help="run it again when that has ended") from None
        except OSError as error:
            raise atomic.cannot_write(folder, error) from None
        yield
    finally:
        os.close(descriptor)
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()
