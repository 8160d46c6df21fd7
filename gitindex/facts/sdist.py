"""Sdists as archives (the source distribution format, PEP 625): gzipped tars that unpack into one folder.

Nothing here knows what the metadata means.
"""

from __future__ import annotations

import gzip
import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from gitindex.facts.archive import (
    CHUNK,
    Contents,
    UnsoundError,
    check_member_count,
    check_metadata_size,
    is_safe_path,
    largest_unpacked,
    show,
)

_MAX_HEADER = 1 << 20
_MAX_GLOBAL_HEADERS = 100
_LONG_NUMBER = re.compile(rb"[0-9]{64}")
_END_BLOCK = bytes(tarfile.BLOCKSIZE)
_FILES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
_LINKS = frozenset({tarfile.SYMTYPE, tarfile.LNKTYPE})


class _Tape:
    """Unpacked bytes that are read once, forward, and not without end.

    Tarfile reads headers through :meth:`read`; a header that claims a huge size, or that leads backwards (and
    so into a loop), stops here. What members hold is read through :meth:`data`.
    """

    def __init__(self, stream: BinaryIO) -> None:
        size = stream.seek(0, 2)
        stream.seek(0)
        self._unpacked = gzip.GzipFile(fileobj=stream, mode="rb")
        self._largest = largest_unpacked(size)
        self._position = 0
        self.last_header = b""

    def data(self, size: int) -> bytes:
        """Return up to *size* bytes."""
        data = self._unpacked.read(size)
        self._position += len(data)
        if self._position > self._largest:
            raise UnsoundError("unpacks to far more than it should: it looks like a gzip bomb")
        return data

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise UnsoundError(f"has a tar header of more than {_MAX_HEADER:,} bytes")
        self.last_header = self.data(size)
        if _LONG_NUMBER.search(self.last_header):
            # Tarfile before Python 3.11.10 takes quadratic time over such (CVE-2024-6232).
            raise UnsoundError("has a tar header with an absurdly long number")
        return self.last_header

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise UnsoundError("has a tar header that leads backwards")
        while self._position < position and self.data(min(CHUNK, position - self._position)):
            pass
        return self._position


def _members(tape: _Tape) -> Iterator[tarfile.TarInfo]:
    """Yield the members; each must be read, if at all, before the next is asked for."""
    archive = tarfile.TarFile(fileobj=cast("BinaryIO", tape), mode="r", encoding="utf-8", errors="strict")
    count = 0
    while (member := archive.next()) is not None:
        count += 1
        check_member_count(count)
        if len(archive.pax_headers) > _MAX_GLOBAL_HEADERS:
            raise UnsoundError(f"has more than {_MAX_GLOBAL_HEADERS} global tar headers")
        archive.members = []  # type: ignore[attr-defined]  # it would keep every one
        yield member


def _read(tape: _Tape, member: tarfile.TarInfo) -> bytes:
    check_metadata_size(member.name, member.size)
    data = tape.data(member.size)
    if len(data) != member.size:
        raise UnsoundError("is a broken archive: it ends too early")
    return data


def find_metadata(stream: BinaryIO) -> bytes:
    """Return the first PKG-INFO at the top of an sdist; raise :exc:`UnsoundError` where there is none."""
    tape = _Tape(stream)
    for member in _members(tape):
        if member.name.count("/") == 1 and member.name.endswith("/PKG-INFO") and _is_plain_file(member):
            return _read(tape, member)
    raise UnsoundError("has no PKG-INFO in its top folder")


def check(stream: BinaryIO, stem: str | None) -> Contents:
    """Read a whole sdist that must unpack into the folder *stem* (``{name}-{version}``), ``None`` for any one folder.

    Raises :exc:`UnsoundError` unless it has a PKG-INFO there and nothing that reaches outside.
    """
    _check_no_zip(stream)
    tape = _Tape(stream)
    metadata: bytes | None = None
    names: dict[str, bytes] = {}
    for member in _members(tape):
        stem = member.name.partition("/")[0] if stem is None else stem
        _check_member(member, stem)
        if member.name in names and {member.type, names[member.name]} != {tarfile.DIRTYPE}:
            raise UnsoundError(f"has two members of one name, {show(member.name)}")
        names[member.name] = member.type
        if member.name == f"{stem}/PKG-INFO":
            if not _is_plain_file(member):
                raise UnsoundError("has a PKG-INFO that is not a file")
            metadata = _read(tape, member)
    _check_end(tape)
    _check_nothing_below_links(names)
    if metadata is None:
        raise UnsoundError("has no PKG-INFO" if stem is None else f"has no {stem}/PKG-INFO")
    return Contents(metadata, frozenset(name for name, kind in names.items() if kind != tarfile.DIRTYPE))


def _is_plain_file(member: tarfile.TarInfo) -> bool:
    return member.type in _FILES and not member.issparse()


def _check_member(member: tarfile.TarInfo, stem: str) -> None:
    name = member.name
    if not is_safe_path(name):
        raise UnsoundError(f"has a member with an unsafe name, {show(name)}")
    if name != stem and not name.startswith(f"{stem}/"):
        raise UnsoundError(f"must unpack into one folder, {stem}; it has {show(name)}")
    if name == stem and not member.isdir():
        raise UnsoundError(f"must unpack into a folder {stem}, which is something else in it")
    if member.size < 0:
        raise UnsoundError(f"has a member of a negative size, {show(name)}")
    if member.type in _LINKS:
        _check_link(member, stem)
    elif not (member.isdir() or _is_plain_file(member)):
        raise UnsoundError(f"has a member that is no plain file, folder or link, {show(name)}")


def _check_link(member: tarfile.TarInfo, stem: str) -> None:
    """Refuse a link that could lead out of the top folder, through other links too."""
    segments = member.linkname.removesuffix("/").split("/")
    ups = 0
    if member.issym():
        while ups < len(segments) and segments[ups] == "..":
            ups += 1
        # Only leading ".." are followed: the folder that a later one starts from may itself be a link.
        outside = ups > member.name.count("/") - 1
        rest = [segment for segment in segments[ups:] if segment != "."]
    else:
        outside = segments[0] != stem or len(segments) == 1
        rest = segments
    if outside or (rest and not is_safe_path("/".join(rest))):
        raise UnsoundError(f"has a link to outside or nowhere, {show(member.name)} to {show(member.linkname)}")


def _check_nothing_below_links(names: dict[str, bytes]) -> None:
    links = {name for name, kind in names.items() if kind == tarfile.SYMTYPE}
    if not links:
        return
    for name in names:
        parent = name.rpartition("/")[0]
        while parent:
            if parent in links:
                raise UnsoundError(f"has a member behind a symlink, {show(name)}")
            parent = parent.rpartition("/")[0]


def _check_end(tape: _Tape) -> None:
    """Refuse what some readers ignore: no end marker (the file is cut off), or data after it."""
    if tape.last_header != _END_BLOCK:
        raise UnsoundError("is a broken archive: it has no end marker, or a broken header")
    while rest := tape.data(CHUNK):
        if rest.strip(b"\0"):
            raise UnsoundError("has data after the end of its tar file")


def _check_no_zip(stream: BinaryIO) -> None:
    import zipfile  # noqa: PLC0415

    stream.seek(0)
    if zipfile.is_zipfile(stream):
        raise UnsoundError("is both a zip and a tar file")
