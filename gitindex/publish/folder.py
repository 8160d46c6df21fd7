"""The site in its folder: which files it has, and the digest of each, taken once while a file stays as it is."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gitindex.errors import CannotRunError
from gitindex.objects import Headers
from gitindex.publish.kinds import headers_of, is_site_path
from gitindex.publish.record import Entry

MEMORY = ".gitindex-digests"
"""The file with the digests, in the site's folder; nothing at its top that begins with a dot is published."""
_TABLE = "create table if not exists digests (path text primary key, mark text, sha256 text) without rowid"


def read_site(folder: Path) -> dict[str, Entry]:
    """Return what a site in a folder has, by path.

    Raises:
        CannotRunError: it cannot be read, or has what no site of gitindex has.

    """
    try:
        with closing(_open(folder / MEMORY)) as memory:
            known = {path: (mark, sha256) for path, mark, sha256 in memory.execute("select * from digests")}
            files, new = {}, []
            for path, found in _files(str(folder), ""):
                mark = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
                before = known.get(path)
                if before is not None and before[0] == mark:
                    sha256 = before[1]
                else:
                    with open(folder / path, "rb") as file:  # noqa: PTH123
                        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                    new.append((path, mark, sha256))
                files[path] = Entry(sha256, found.st_size, _same(headers_of(path)))
            with memory:
                memory.executemany("replace into digests values (?, ?, ?)", new)
                memory.executemany("delete from digests where path = ?", ((path,) for path in known.keys() - files))
    except OSError as error:
        raise CannotRunError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from None
    except sqlite3.Error as error:
        raise CannotRunError(f"{folder / MEMORY}: cannot be written: {error}", help="see who may write there") from None
    return files


_headers: dict[Headers, Headers] = {}


def _same(headers: Headers) -> Headers:
    """Return equal headers as one object: a site has a million files."""
    return _headers.setdefault(headers, headers)


def _open(path: Path) -> sqlite3.Connection:
    """Open the memory, or make it anew where it is none."""
    for _ in range(2):
        memory = sqlite3.connect(path)
        try:
            memory.execute("pragma synchronous = off")
            memory.execute(_TABLE)
            memory.execute("select path, mark, sha256 from digests limit 1").fetchone()
        except sqlite3.DatabaseError:
            memory.close()
            path.unlink(missing_ok=True)
        else:
            return memory
    raise sqlite3.OperationalError("it is no database of gitindex")


def _files(folder: str, below: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        path = below + entry.name
        if not below and entry.name.startswith("."):
            continue  # what the renderer remembers, and what is a host's or Git's business
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{path}/")
        elif not entry.is_file(follow_symlinks=False) or not is_site_path(path):
            raise CannotRunError(
                f"{entry.path}: is nothing of a site", help="leave the folder to gitindex, or choose an empty one"
            )
        else:
            yield path, entry.stat(follow_symlinks=False)
