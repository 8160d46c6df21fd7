"""A file of the embedded store as it lies in a tree: its content, or the Git LFS pointer that stands for it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitindex.tree import Folder

_POINTER = re.compile(
    rb"version https://git-lfs\.[a-z.]+/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n"
)
_PIECE = 1 << 20
MAX_POINTER = 1024
"""Bytes; the Git LFS specification keeps pointers below that."""


class Digest(NamedTuple):
    """What a stored file is."""

    sha256: str
    size: int
    """Bytes."""
    is_pointer: bool
    """Whether only the Git LFS pointer is here, not the content."""


def read_digest(folder: Folder, name: str) -> Digest:
    """Return sha256 and size of a stored file, from its content or from the pointer that stands for it."""
    size = folder.size(name)
    if pointer := _pointer(folder, name, size):
        return pointer
    with folder.open(name) as stream:
        digest = hashlib.sha256()
        while piece := stream.read(_PIECE):
            digest.update(piece)
        return Digest(digest.hexdigest(), size, is_pointer=False)


def read_size(folder: Folder, name: str) -> int:
    """Return the size in bytes of a stored file, from its content or from the pointer that stands for it."""
    size = folder.size(name)
    pointer = _pointer(folder, name, size)
    return pointer.size if pointer else size


def is_pointer(folder: Folder, name: str) -> bool:
    """Tell whether only a Git LFS pointer is here."""
    return _pointer(folder, name, folder.size(name)) is not None


def _pointer(folder: Folder, name: str, size: int) -> Digest | None:
    return read_pointer(folder.read(name)) if size <= MAX_POINTER else None


def read_pointer(content: bytes) -> Digest | None:
    """Return what a Git LFS pointer says, ``None`` where *content* is none."""
    match = _POINTER.fullmatch(content)
    return Digest(match[1].decode(), int(match[2]), is_pointer=True) if match else None
