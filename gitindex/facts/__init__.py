"""What a distribution's own metadata says: read from a stream of bytes, and hostile until checked.

Nothing here knows Git, indexes or folders; a filename is only a name.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal

from gitindex.errors import DistributionError
from gitindex.facts.archive import CHUNK, UnsoundError
from gitindex.facts.metadata import CoreFacts, CoreMetadata
from gitindex.names import DistributionName, ProjectName, Sha256, normalize, parse_filename

__all__ = ["CoreFacts", "Distribution", "read_archive", "read_core_facts", "read_distribution", "read_metadata"]

_METADATA = r"[^/]+\.dist-info/METADATA"
_PKG_INFO = r"[^/]+/PKG-INFO"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A sound wheel or sdist, and everything that a manifest says about it."""

    filename: str
    kind: Literal["wheel", "sdist"]
    project: ProjectName
    name: str
    """The name as the metadata spells it."""
    version: str
    """Canonical: ``str(Version)``."""
    requires_python: str | None
    metadata: bytes
    """The exact bytes of METADATA or PKG-INFO."""
    sha256: Sha256
    size: int


def read_core_facts(filename: str, stream: BinaryIO) -> CoreFacts:
    """Return what the metadata in a wheel or sdist says, with no judgement on the rest of the file.

    *stream* must be seekable. Old spellings of *filename* and ``.zip`` sdists are read too. Raises
    :exc:`DistributionError` where the archive is broken or has no metadata with a name and a version.
    """
    from gitindex.facts.metadata import read_fields  # noqa: PLC0415

    named = parse_filename(filename)
    with _about(filename):
        if named is None:
            raise _no_distribution_name(filename)
        if filename.endswith(".tar.gz"):
            from gitindex.facts.sdist import find_metadata  # noqa: PLC0415

            return read_fields(find_metadata(stream))
        from gitindex.facts.wheel import find_member  # noqa: PLC0415

        return read_fields(find_member(stream, _METADATA if named.kind == "wheel" else _PKG_INFO))


def read_metadata(filename: str, stream: BinaryIO) -> bytes:
    """Return the exact bytes of the METADATA in a wheel, with no judgement on the rest of the file.

    *stream* must be seekable. Raises :exc:`DistributionError` where there is none.
    """
    from gitindex.facts.wheel import find_member  # noqa: PLC0415

    with _about(filename):
        return find_member(stream, _METADATA)


def read_archive(filename: str, stream: BinaryIO) -> CoreFacts:
    """Return what the metadata in a wheel or sdist says, after all of the file has been read and checked.

    The archive is held to what :func:`read_distribution` demands: every checksum, RECORD, nothing cut off or appended,
    no bomb. How the name is spelled, and whether today's specification takes the metadata, is no question of the bytes:
    releases are older than rules. *stream* must be seekable. Raises :exc:`DistributionError`.
    """
    from gitindex.facts.metadata import read_fields  # noqa: PLC0415

    named = parse_filename(filename)
    with _about(filename):
        if named is None:
            raise _no_distribution_name(filename)
        if filename.endswith(".tar.gz"):
            from gitindex.facts import sdist  # noqa: PLC0415

            return read_fields(sdist.check(stream, None).metadata)
        from gitindex.facts import wheel  # noqa: PLC0415

        size = stream.seek(0, 2)
        if named.kind == "wheel":
            return read_fields(wheel.check(stream, size, None).metadata)
        return read_fields(wheel.check_zip(stream, size, _PKG_INFO))


def read_distribution(filename: str, stream: BinaryIO) -> Distribution:
    """Return the facts of a wheel or sdist that any index would take.

    *stream* must be seekable; it is read whole, in pieces. Refused is what PyPI's upload refuses in a file
    (names: PEP 427 and PEP 625; archives; core metadata), not what its policy does: local versions and any
    platform are welcome. Raises :exc:`DistributionError`.
    """
    from gitindex.facts.metadata import validate  # noqa: PLC0415

    with _about(filename):
        named = _check_filename(filename)
        sha256, size = _digest(stream)
        stem = _stem(named.project, str(named.version))
        if named.kind == "wheel":
            from gitindex.facts import wheel  # noqa: PLC0415

            contents, licenses = wheel.check(stream, size, stem), f"{stem}.dist-info/licenses"
        else:
            from gitindex.facts import sdist  # noqa: PLC0415

            contents, licenses = sdist.check(stream, stem), stem
        metadata = validate(contents.metadata)
        _check_agreement(filename, named, metadata)
        for path in metadata.license_files:
            if f"{licenses}/{path}" not in contents.names:
                raise UnsoundError(f"has no {licenses}/{path}, which its License-File field names")
        return Distribution(
            filename=filename,
            kind=named.kind,
            project=named.project,
            name=metadata.name,
            version=metadata.version,
            requires_python=metadata.requires_python,
            metadata=contents.metadata,
            sha256=sha256,
            size=size,
        )


@contextmanager
def _about(filename: str) -> Iterator[None]:
    """Turn what reading a file of that name raises into :exc:`DistributionError`; errors of the disk pass."""
    shown = filename if filename.isprintable() and len(filename) <= 255 else ascii(filename[:255])  # noqa: PLR2004
    try:
        yield
    except UnsoundError as error:
        raise DistributionError(shown, error.problem, help=error.help) from None
    except Exception as error:
        if not _says_that_the_archive_is_broken(error):
            raise
        reason = ascii(" ".join(str(error).split())[:200]).strip("'\"") or type(error).__name__
        raise DistributionError(shown, f"is a broken archive: {reason}", help="build the file again") from None


def _says_that_the_archive_is_broken(error: Exception) -> bool:
    import lzma  # noqa: PLC0415
    import struct  # noqa: PLC0415
    import tarfile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    if isinstance(error, OSError):
        # gzip's own errors have no number, and a seek to where an archive lies about gives EINVAL.
        return error.errno in {None, errno.EINVAL}
    return isinstance(
        error,
        (
            zipfile.BadZipFile,
            zipfile.LargeZipFile,
            tarfile.TarError,
            zlib.error,
            lzma.LZMAError,
            struct.error,
            EOFError,
            LookupError,
            OverflowError,
            RuntimeError,  # with NotImplementedError and RecursionError
            ValueError,  # with UnicodeError
        ),
    )


def _no_distribution_name(filename: str) -> UnsoundError:
    if filename.endswith(".whl"):
        stem, _, label = filename.removesuffix(".whl").rpartition("-")
        if label not in {"", "any"} and parse_filename(f"{stem}.whl"):
            return UnsoundError("is a wheel variant (PEP 825, a draft)", help="build it without the label")
    return UnsoundError(
        "is not the name of a wheel or an sdist",
        help="name it {name}-{version}-{python}-{abi}-{platform}.whl or {name}-{version}.tar.gz",
    )


def _check_filename(filename: str) -> DistributionName:
    named = parse_filename(filename)
    if named is None:
        raise _no_distribution_name(filename)
    if not filename.endswith((".whl", ".tar.gz")):
        raise UnsoundError("is an sdist that is not .tar.gz (PEP 625)", help="build it as .tar.gz")
    expected = _expected_name(filename, named, str(named.version))
    if filename != expected:
        raise UnsoundError("is not in normal form (PEP 427, PEP 625)", help=f"the name should be {expected}")
    return named


def _stem(project: ProjectName, version: str) -> str:
    return f"{project.replace('-', '_')}-{version}"


def _expected_name(filename: str, named: DistributionName, version: str) -> str:
    start = _stem(named.project, version)
    if named.kind == "sdist":
        return f"{start}.tar.gz"
    return "-".join([start, *filename.split("-")[2:]])


def _check_agreement(filename: str, named: DistributionName, metadata: CoreMetadata) -> None:
    if normalize(metadata.name) != named.project:
        raise UnsoundError(f"has metadata that names the project {metadata.name}")
    if metadata.version != str(named.version):
        expected = _expected_name(filename, named, metadata.version)
        problem = f"has metadata with version {metadata.version}"
        raise UnsoundError(problem, help=f"the name should be {expected}")


def _digest(stream: BinaryIO) -> tuple[Sha256, int]:
    digest, size = hashlib.sha256(), 0
    stream.seek(0)
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return Sha256(digest.hexdigest()), size
