"""Wheels as archives (the binary distribution format): which zip files every installer reads in the same way.

Nothing here knows what the metadata means.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from gitindex.facts.archive import (
    CHUNK,
    MAX_MEMBERS,
    Contents,
    UnsoundError,
    check_member_count,
    check_metadata_size,
    is_safe_path,
    largest_unpacked,
    show,
)

if TYPE_CHECKING:
    from _typeshed import SupportsRead

MAX_DIRECTORY = 16 << 20
"""The zip's own directory and RECORD are read whole, so they are at most this large."""

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_RECORD_HASHES = frozenset({"sha256", "sha384", "sha512"})
_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")

_ENCRYPTED = 0x2041
_STREAMED = 0x0008
_UTF8 = 0x0800
_COMPARED_FLAGS = _ENCRYPTED | _STREAMED | _UTF8
_ZIP64_EXTRA = 0x0001
_UNICODE_PATH_EXTRA = 0x7075
_LOCAL = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


class _Capped(io.RawIOBase):
    """A stream that refuses large reads: zipfile reads the directory, whatever size it claims, at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int | None = -1) -> bytes:
        wanted = MAX_DIRECTORY if size is None or size < 0 else size
        if wanted > MAX_DIRECTORY:
            raise UnsoundError(f"has a zip directory of more than {MAX_DIRECTORY:,} bytes")
        return self._stream.read(wanted)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _open(stream: BinaryIO) -> zipfile.ZipFile:
    stream.seek(0)
    return zipfile.ZipFile(_Capped(stream))


def find_member(stream: BinaryIO, pattern: str) -> bytes:
    """Return the one member of a zip whose whole name *pattern* matches; else raise :exc:`UnsoundError`."""
    with _open(stream) as archive:
        found = [info for info in archive.infolist() if re.fullmatch(pattern, info.filename)]
        if len(found) != 1:
            raise UnsoundError(f"has {len(found)} members with metadata, not one")
        return _read(archive, found[0])


def check(stream: BinaryIO, size: int, stem: str | None) -> Contents:
    """Read a whole wheel of *size* bytes whose name starts with *stem* (``{name}-{version}``, ``None`` for any).

    Raises :exc:`UnsoundError` unless all readers of zip files see the same members in it, and RECORD vouches
    for them.
    """
    with _open(stream) as archive:
        members = _check_zip(archive, stream, size)
        dist_info = _check_dist_info(members, stem)
        metadata = _read_named(archive, f"{dist_info}/METADATA")
        _check_wheel_version(_read_named(archive, f"{dist_info}/WHEEL"))
        _check_record(archive, dist_info)
        if f"{dist_info}/entry_points.txt" in archive.NameToInfo:
            _check_entry_points(_read_named(archive, f"{dist_info}/entry_points.txt"))
        return Contents(metadata, frozenset(info.filename for info in members if not info.is_dir()))


def check_zip(stream: BinaryIO, size: int, pattern: str) -> bytes:
    """Read a whole zip of *size* bytes, and return the one member whose whole name *pattern* matches.

    Raises :exc:`UnsoundError` unless all readers of zip files see the same members in it.
    """
    with _open(stream) as archive:
        for info in _check_zip(archive, stream, size):
            for _ in _chunks(archive, info):
                pass
    return find_member(stream, pattern)


def _check_zip(archive: zipfile.ZipFile, stream: BinaryIO, size: int) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    _check_members(members, size)
    _check_layout(stream, members, archive.start_dir)
    _check_end(stream, size, archive.start_dir, len(members))
    _check_no_tar(stream)
    return members


def _read_named(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.NameToInfo.get(name)
    if info is None:
        raise UnsoundError(f"has no {name}")
    return _read(archive, info)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    check_metadata_size(info.filename, info.file_size)
    return b"".join(_chunks(archive, info))


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a member holds; zipfile checks the checksum, and stops at the size in the directory."""
    _check_method(info)
    left = info.file_size
    with archive.open(info) as member:
        while chunk := member.read(CHUNK):
            left -= len(chunk)
            yield chunk
    if left:
        raise UnsoundError(f"has a member that is {left:,} bytes shorter than it says, {show(info.filename)}")


def _check_method(info: zipfile.ZipInfo) -> None:
    if info.compress_type not in _METHODS:
        raise UnsoundError(f"has a member that is neither stored nor deflated, {show(info.filename)}")


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    check_member_count(len(members))
    names: set[str] = set()
    for info in members:
        name = info.orig_filename.removesuffix("/")
        if not is_safe_path(name):
            raise UnsoundError(f"has a member with an unsafe name, {show(name)}")
        if name in names:
            raise UnsoundError(f"has two members of one name, {show(name)}")
        names.add(name)
        _check_method(info)
        if oddity := _oddity(info):
            raise UnsoundError(f"has {oddity}, {show(name)}")
    if sum(info.file_size for info in members) > largest_unpacked(size):
        raise UnsoundError("unpacks to far more than it should: it looks like a zip bomb")


def _oddity(info: zipfile.ZipInfo) -> str | None:
    """Return what makes a member one that readers treat in different ways, or not at all."""
    mode = stat.S_IFMT(info.external_attr >> 16)
    oddities = {
        "an encrypted member": info.flag_bits & _ENCRYPTED,
        "a member with a data descriptor": info.flag_bits & _STREAMED,
        "a member whose name is not marked as UTF-8": not (info.flag_bits & _UTF8 or info.orig_filename.isascii()),
        "a member that is a symlink or special file": mode not in {0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG},
        "a folder with content": info.is_dir() and info.file_size,
        "a member with a comment": info.comment,
    }
    return next((text for text, applies in oddities.items() if applies), None)


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    while len(extra) >= 4:  # noqa: PLR2004 - the header of a field; zip writers pad with less
        identifier, length = struct.unpack_from("<HH", extra)
        if identifier == _UNICODE_PATH_EXTRA or (identifier == _ZIP64_EXTRA and identifier in fields):
            raise UnsoundError("has a member with a second name or size in its extra fields")
        fields[identifier] = extra[4 : 4 + length]
        extra = extra[4 + length :]
    return fields


def _check_layout(stream: BinaryIO, members: list[zipfile.ZipInfo], directory: int) -> None:
    """Refuse members that overlap, gaps between them, and local headers that the directory contradicts.

    Some readers follow the directory and others the local headers; in a wheel they must find the same.
    """
    position = 0
    for info in sorted(members, key=lambda member: member.header_offset):
        if info.header_offset != position:
            raise UnsoundError(f"has bytes that belong to no member before {show(info.filename)}")
        stream.seek(position)
        header = _LOCAL.unpack(_exactly(stream, _LOCAL.size))
        signature, _, flags, method, _, _, checksum, packed, unpacked, name_length, extra_length = header
        name = _exactly(stream, name_length)
        extra = _extra_fields(_exactly(stream, extra_length))
        _extra_fields(info.extra)
        large = io.BytesIO(extra.get(_ZIP64_EXTRA, b""))
        if unpacked == _FULL32:
            (unpacked,) = struct.unpack("<Q", _exactly(large, 8))
        if packed == _FULL32:
            (packed,) = struct.unpack("<Q", _exactly(large, 8))
        local = (signature, flags & _COMPARED_FLAGS, method, checksum, packed, unpacked, name)
        expected_name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "ascii")
        if local != (
            b"PK\x03\x04",
            info.flag_bits & _COMPARED_FLAGS,
            info.compress_type,
            info.CRC,
            info.compress_size,
            info.file_size,
            expected_name,
        ):
            raise UnsoundError(f"has a member whose header and directory entry differ, {show(info.filename)}")
        if method == zipfile.ZIP_STORED and packed != unpacked:
            raise UnsoundError(f"has a stored member of two sizes, {show(info.filename)}")
        position += _LOCAL.size + name_length + extra_length + packed
    if position != directory:
        raise UnsoundError("has bytes between its last member and its directory")


def _check_end(stream: BinaryIO, size: int, directory: int, count: int) -> None:
    """Refuse comments, trailing data, and an end record that does not say what the directory is."""
    end = size - _END.size
    signature, *disks, here, total, length, offset, comment = _END.unpack(_at(stream, end, _END.size))
    if signature != b"PK\x05\x06" or comment:
        raise UnsoundError("has a comment or other data after its directory")
    said = [(here, _FULL16), (total, _FULL16), (length, _FULL32), (offset, _FULL32)]
    locator = _at(stream, end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    large: list[int] = []
    if locator.startswith(b"PK\x06\x07"):
        end -= _LOCATOR.size + _END64.size
        signature, record_size, _, _, *disks64, a, b, c, d = _END64.unpack(_at(stream, end, _END64.size))
        _, _, where, _ = _LOCATOR.unpack(locator)
        if (signature, record_size, where) != (b"PK\x06\x06", _END64.size - 12, end):
            raise UnsoundError("has a zip64 end record that is not where it should be")
        disks, large = [*disks, *disks64], [a, b, c, d]
    real = [count, count, end - directory, directory]
    small = [want if large and value == full else value for (value, full), want in zip(said, real, strict=True)]
    if any(disks) or small != real or (large or real) != real:
        raise UnsoundError("has an end record that does not agree with its directory")


def _check_no_tar(stream: BinaryIO) -> None:
    import tarfile  # noqa: PLC0415

    try:
        tarfile.TarInfo.frombuf(_at(stream, 0, tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except (tarfile.TarError, UnsoundError):
        return
    raise UnsoundError("is both a zip and a tar file")


def _at(stream: BinaryIO, position: int, length: int) -> bytes:
    stream.seek(position)
    return _exactly(stream, length)


def _exactly(stream: SupportsRead[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise UnsoundError("is a broken archive: it ends too early")
    return data


def _check_dist_info(members: list[zipfile.ZipInfo], stem: str | None) -> str:
    found = {top for info in members if (top := info.filename.partition("/")[0]).endswith(".dist-info")}
    if stem is None:
        if len(found) != 1:
            raise UnsoundError(f"must have one .dist-info folder; it has {len(found)}")
        return found.pop()
    if found != {f"{stem}.dist-info"}:
        have = ", ".join(show(name) for name in sorted(found)[:3]) or "none"
        raise UnsoundError(f"must have one .dist-info folder, {stem}.dist-info; it has {have}")
    return f"{stem}.dist-info"


def _check_wheel_version(data: bytes) -> None:
    from email.parser import HeaderParser  # noqa: PLC0415

    version = HeaderParser().parsestr(data.decode("utf-8")).get("Wheel-Version", "")
    if not re.fullmatch(r"1\.[0-9]{1,4}", version.strip(), re.ASCII):
        raise UnsoundError(f"has a WHEEL file with the Wheel-Version {version[:40]!a}, not 1.x")


def _check_entry_points(data: bytes) -> None:
    import configparser  # noqa: PLC0415

    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names are case-sensitive
    try:
        parser.read_string(data.decode("utf-8"), "entry_points.txt")
    except configparser.Error as error:
        reason = " ".join(str(error).split())[:200]
        raise UnsoundError(f"has an invalid entry_points.txt: {reason!a}") from None


def _check_record(archive: zipfile.ZipFile, dist_info: str) -> None:
    """Refuse a wheel whose RECORD does not list every file with its right hash and size (PEP 427)."""
    unrecorded = {f"{dist_info}/{name}" for name in _UNRECORDED}
    listed = _read_record(archive, f"{dist_info}/RECORD")
    for info in archive.infolist():
        row = listed.pop(info.filename, None)
        if info.is_dir() or info.filename in unrecorded:
            continue
        if row is None:
            raise UnsoundError(f"has a RECORD that does not list {show(info.filename)}")
        digest, size = row
        algorithm, _, wanted = digest.partition("=")
        if algorithm not in _RECORD_HASHES:
            raise UnsoundError(f"has a RECORD without a sha256 (or sha384, sha512) of {show(info.filename)}")
        found = hashlib.new(algorithm)
        for chunk in _chunks(archive, info):
            found.update(chunk)
        value = base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode()
        if wanted.rstrip("=") != value or size not in {"", str(info.file_size)}:
            raise UnsoundError(f"has a RECORD with another hash or size for {show(info.filename)}")
    if surplus := sorted(listed.keys() - unrecorded):
        raise UnsoundError(f"has a RECORD that lists {show(surplus[0])}, which is not in the wheel")


def _read_record(archive: zipfile.ZipFile, name: str) -> dict[str, tuple[str, str]]:
    info = archive.NameToInfo.get(name)
    if info is None:
        raise UnsoundError(f"has no {name}")
    if info.file_size > MAX_DIRECTORY:
        raise UnsoundError(f"has a RECORD of more than {MAX_DIRECTORY:,} bytes")
    text = b"".join(_chunks(archive, info)).decode("utf-8")
    listed: dict[str, tuple[str, str]] = {}
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            if not row:
                continue
            if len(row) != 3 or row[0] in listed or len(listed) > MAX_MEMBERS:  # noqa: PLR2004 - path, hash, size
                raise UnsoundError(f"has a RECORD with a wrong or repeated row, {show(','.join(row))}")
            listed[row[0]] = (row[1], row[2])
    except csv.Error as error:
        raise UnsoundError(f"has a RECORD that is no CSV: {error}") from None
    return listed
