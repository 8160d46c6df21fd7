"""What a file of the cache must be, and the check of what comes against it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

from gitindex.download import Sink
from gitindex.errors import DeliveryError

Fetch = Callable[[Sink], None]
"""Downloads a file into a sink, and waits for it; raises what :mod:`gitindex.download` raises, or OSError."""


class Wanted(NamedTuple):
    """A file, and what is known of it."""

    key: tuple[str, ...]
    """Segments of a path. Files that may differ must have different keys: what has this key is served as this file."""
    sha256: str | None
    """Hexadecimal; ``None`` where nobody knows it, and only the length tells a right file."""
    size: int | None
    """Bytes, where known."""


class BrokenFileError(DeliveryError):
    """A file that cannot be sent to its end: what was sent of it must not be taken for the file."""

    is_wrong = True


class WrongFileError(BrokenFileError):
    """What came from upstream is not what was wanted."""


class TooLargeError(WrongFileError):
    """What comes from upstream is larger than a file of the cache may be."""


class Growing(Protocol):
    """Where what was checked goes."""

    def check_going_on(self) -> None:
        """Raise the error with which the download was ended, if it was."""

    def begin(self, size: int | None) -> None:
        """Forget what came: the bytes start, perhaps once more, so many of them where that is known."""

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""


class Intake:
    """Takes what upstream sends, and checks it."""

    def __init__(self, growing: Growing, wanted: Wanted, largest: int) -> None:
        self._growing = growing
        self._wanted = wanted
        self._largest = largest
        self._digest = hashlib.sha256()
        self._received = 0
        self._size = wanted.size
        self._has_begun = False
        self._error: BrokenFileError | None = None

    def begin(self, size: int | None) -> None:
        self._growing.check_going_on()
        self._digest, self._received, self._has_begun = hashlib.sha256(), 0, True
        wanted = self._wanted.size
        if size is not None and wanted is not None and size != wanted:
            self._refuse(WrongFileError(f"upstream sends {size:,} bytes, where its page says {wanted:,}"))
        self._size = wanted if size is None else size
        self._check_limit(self._size or 0)
        self._growing.begin(self._size)

    def add(self, piece: bytes) -> None:
        self._growing.check_going_on()
        self._received += len(piece)
        if self._size is not None and self._received > self._size:
            self._refuse(WrongFileError(f"upstream sends more than the {self._size:,} bytes that it announced"))
        self._check_limit(self._received)
        self._digest.update(piece)
        self._growing.add(piece)

    def check(self) -> int:
        """Return how many bytes came, all of them right.

        Raises:
            BrokenFileError: they are not what was wanted.

        """
        self._growing.check_going_on()
        if self._error is not None:
            raise self._error
        if not self._has_begun or (self._size is not None and self._received != self._size):
            raise WrongFileError(f"upstream sends {self._received:,} bytes instead of {self._size or 0:,}")
        if self._wanted.sha256 is not None and self._digest.hexdigest() != self._wanted.sha256:
            found = self._digest.hexdigest()
            raise WrongFileError(
                f"upstream sends a file with sha256 {found}, where its page says {self._wanted.sha256}"
            )
        return self._received

    def _check_limit(self, size: int) -> None:
        if size > self._largest:
            self._refuse(
                TooLargeError(f"upstream sends {size:,} bytes or more, and a file may have {self._largest:,} bytes")
            )

    def _refuse(self, error: BrokenFileError) -> None:
        self._error = error
        raise error
