"""What releases require: the Requires-Dist of the metadata that lies in the storage."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.errors import CannotRunError, DistributionError
from gitindex.facts import read_core_facts
from gitindex.facts.archive import MAX_METADATA

if TYPE_CHECKING:
    from gitindex.model import File, Manifest
    from gitindex.storage import Store

_STATED = (2, 2)
"""The metadata version since which an sdist says what is only known once it is built (PEP 643)."""
_METADATA_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_NAME_THEM = "push without --with-dependencies, and name what it requires yourself"


class Requirements:
    """Reads what releases require from a storage."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.notes: dict[str, None] = {}
        """What there is to say of what was read, in order."""

    def __call__(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the Requires-Dist of a release: of all its wheels, or of its sdist where it has none.

        Raises:
            CannotRunError: nobody can tell, since no metadata is here.

        """
        wheels = [file for file in manifest.files if file.filename.endswith(".whl")]
        files = wheels or manifest.files
        here = [file for file in files if file.url is None]
        if not here:
            raise CannotRunError(
                f"{files[0].filename} is hosted elsewhere, and what it requires is not known here", help=_NAME_THEM
            )
        return tuple(dict.fromkeys(line for file in here for line in self._of_file(file)))

    def _of_file(self, file: File) -> list[str]:
        lines, problem = requires_of(file.filename, self._metadata(file))
        if problem:
            self.notes[problem] = None
        return lines

    def _metadata(self, file: File) -> bytes:
        path = layout.stored_path(file.hashes.sha256, file.filename)
        beside = path + layout.METADATA_SUFFIX
        if file.core_metadata is not None and self._store.has(beside) and self._store.size(beside) <= MAX_METADATA:
            with self._store.open(beside, file.core_metadata.sha256) as stream:
                data = stream.read()
            if hashlib.sha256(data).hexdigest() == file.core_metadata.sha256:
                return data
        try:
            with self._store.open(path, file.hashes.sha256) as stream:
                return read_core_facts(file.filename, stream).metadata
        except DistributionError as error:
            raise CannotRunError(f"{error.message}: what it requires cannot be read", help=_NAME_THEM) from None


def requires_of(filename: str, metadata: bytes) -> tuple[list[str], str]:
    """Return the Requires-Dist of a file's metadata, and what there is to say of them, mostly nothing.

    Raises:
        CannotRunError: the metadata cannot be read, or are of an sdist that says that it does not know them.

    """
    from packaging.metadata import parse_email  # noqa: PLC0415 - a heavy import, and only for this

    try:
        raw, unparsed = parse_email(metadata)
    except (ValueError, LookupError, RecursionError, AttributeError, TypeError):  # what the email parser stumbles over
        unparsed = {"requires-dist": []}
    if "requires-dist" in unparsed or "dynamic" in unparsed:
        raise CannotRunError(f"{filename} has garbled metadata: what it requires cannot be read", help=_NAME_THEM)
    lines = raw.get("requires_dist", [])
    if filename.endswith(".whl"):
        return lines, ""
    if "requires-dist" in {field.lower() for field in raw.get("dynamic", [])}:
        raise CannotRunError(f"{filename} says what it requires only when it is built", help=_NAME_THEM)
    version = _METADATA_VERSION.fullmatch(raw.get("metadata_version", ""))
    if version is None or (int(version[1]), int(version[2])) < _STATED:
        return lines, f"{filename} has metadata older than 2.2: it may require more than it says"
    return lines, ""
