"""Copies the files of carried pages into a site, so that it needs no upstream: an air-gapped mirror.

What comes is checked against the page's digest and size before it takes its place, and what is there already stays. The
metadata of a wheel is taken out of the wheel itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gitindex import atomic, layout
from gitindex.carried import Carried
from gitindex.errors import DistributionError
from gitindex.facts import read_metadata
from gitindex.names import Sha256
from gitindex.output import MARKER, OutputFolder
from gitindex.pages import FilePage, ProjectPage, url_of
from gitindex.upstream.carrying import MOST_NAMED, Fetched, Progress
from gitindex.upstream.client import Upstreams
from gitindex.upstream.copying import copy_files

_AGAIN = "run it again: what was copied is not asked for again"


def vendor(fetched: Fetched, upstreams: Upstreams, out: Path, progress: Progress | None = None) -> Fetched:
    """Copy the files of what was fetched into the site at *out*, and return the pages with links to the copies.

    A file without a digest is left out, since nobody could check it; that is noted.

    Raises:
        CannotRunError: a file is not delivered, or is not what the page says, or the disk fails. What was copied until
            then is whole, is linked to by no page, and is not asked for again.

    """
    pages = {id(page): page for each in fetched.carried.pages.values() for page in each.values()}
    files = {_path(file): file for page in pages.values() for file in page.files if file.sha256 is not None}
    places = _places(out, files)
    missing = {path: file for path, file in files.items() if not _is_there(places[path], file)}
    mirrors = {upstream.name: upstream for upstream in fetched.mirrors}
    copy_files(missing, places, mirrors, upstreams, help_=_AGAIN, progress=progress)
    metadata = {path: digest for path in files if (digest := _metadata(places[path])) is not None}
    copied = {key: _linked(page, metadata) for key, page in pages.items()}
    carried = {
        stage: {name: copied[id(page)] for name, page in each.items()} for stage, each in fetched.carried.pages.items()
    }
    paths = frozenset((*files, *(path + layout.METADATA_SUFFIX for path in metadata)))
    return Fetched(Carried(carried, paths), (*fetched.notes, *_notes(pages.values())), fetched.mirrors)


def _path(file: FilePage) -> str:
    return layout.stored_path(str(file.sha256), file.filename)


def _places(out: Path, files: Mapping[str, FilePage]) -> dict[str, Path]:
    """Return where files belong, and make the folders."""
    folder = OutputFolder(out)
    folder.begin()
    try:
        (out / MARKER).touch()
    except OSError as error:
        raise atomic.cannot_write(out / MARKER, error) from None
    return {path: Path(folder.place(path)) for path in files}


def _is_there(place: Path, file: FilePage) -> bool:
    """Tell whether a copy is there: it was checked when it came, and one of no known size is checked again."""
    try:
        if place.is_symlink() or not place.is_file():
            return False
        if file.size is not None:
            return place.stat().st_size == file.size
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _metadata(wheel: Path) -> Sha256 | None:
    """Return the digest of the metadata that lies beside a wheel; it is put there where it is not yet."""
    if wheel.suffix != ".whl":
        return None
    beside = wheel.with_name(wheel.name + layout.METADATA_SUFFIX)
    try:
        if beside.is_symlink() or not beside.is_file():
            with wheel.open("rb") as stream:
                atomic.write(beside, [read_metadata(wheel.name, stream)])
        return Sha256(hashlib.sha256(beside.read_bytes()).hexdigest())
    except DistributionError:  # then no page promises it, and installers read the wheel
        return None
    except OSError as error:
        raise atomic.cannot_write(beside, error) from None


def _linked(page: ProjectPage, metadata: Mapping[str, Sha256]) -> ProjectPage:
    files = tuple(
        file._replace(url=url_of(file.sha256, file.filename), core_metadata=metadata.get(_path(file)))
        for file in page.files
        if file.sha256 is not None
    )
    return ProjectPage(page.name, page.versions, files, page.status)


def _notes(pages: Iterable[ProjectPage]) -> Iterator[str]:
    unchecked = sorted(file.filename for page in pages for file in page.files if file.sha256 is None)
    if unchecked:
        more = len(unchecked) - MOST_NAMED
        named = ", ".join(unchecked[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        yield f"no digest is stated of {named}: what nobody can check is not copied"
