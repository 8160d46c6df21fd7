"""A folder of wheels and sdists as a source."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.importers.reading import as_stated
from gitindex.importers.report import Kind, Report
from gitindex.importers.source import Listed, OneIndex, SourceFile, SourceIndex
from gitindex.names import parse_filename
from gitindex.report.text import printable

_BESIDE = (".metadata", ".asc", ".sig", layout.PROVENANCE_SUFFIX)
"""What lies beside a file and is made of it, or says something of it, and is none itself."""
_ATTESTATION = ".attestation"


class Directory(OneIndex):
    """The files below a folder; links to other folders are not followed."""

    def __init__(self, folder: Path, index: SourceIndex, *, has_times: bool = False) -> None:
        """Look at a folder; *has_times* says that the times of the files are those of their uploads.

        Raises:
            CannotRunError: there is no such folder.

        """
        if not folder.is_dir():
            raise CannotRunError(f"{folder}: there is no such folder", help="name a folder of wheels and sdists")
        self._folder = folder
        super().__init__(index)
        self._has_times = has_times

    @property
    def told(self) -> str:
        return printable(self._folder.resolve().name) or "a folder"

    @property
    def place(self) -> str:
        return str(self._folder.resolve())

    def listed(self, index: SourceIndex, report: Report) -> Listed:
        return Listed(tuple(self._files(index, report)))

    def _files(self, index: SourceIndex, report: Report) -> Iterator[SourceFile]:
        for path in self._paths():
            if path.name.startswith(".") or path.name.endswith(_BESIDE):
                continue
            if path.name.endswith(_ATTESTATION):
                why = "is one attestation, and no provenance document: gitindex upload takes it, with its file"
                report.note(index.name, path.name, why)
            elif parse_filename(path.name) is None and not path.name.endswith((".whl", ".tar.gz")):
                report.note(index.name, ascii(str(path.relative_to(self._folder)))[1:-1], "is no wheel and no sdist")
            elif path.is_symlink() and not path.is_file():
                report.add(Kind.LEFT_OUT, index.name, path.name, "is a link to a file that is not there")
            elif not path.is_file():
                report.note(index.name, path.name, "is no file")
            else:
                time = _time(path) if self._has_times else None
                beside = path.with_name(path.name + layout.PROVENANCE_SUFFIX)
                provenance = beside if beside.is_file() else None
                size = path.stat().st_size
                yield SourceFile(path.name, path, size=size, upload_time=time, provenance=provenance)

    def _paths(self) -> Iterator[Path]:
        def stop(error: OSError) -> None:
            raise CannotRunError(f"{error.filename}: cannot be read: {error.strerror}") from None

        for folder, folders, names in os.walk(self._folder, onerror=stop):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(folder, name) for name in sorted(names))


def _time(path: Path) -> str | None:
    """Return when a file was changed, ``None`` for a time that no calendar has."""
    seconds = int(path.stat().st_mtime)
    try:
        return as_stated(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None
