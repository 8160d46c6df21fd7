"""Blobs in pieces, however large they are, from a ``git cat-file --batch`` that is kept running.

libgit2 has no stream of a packed object: it inflates all of it into memory.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gitindex.errors import CannotRunError
from gitindex.git.folders import BrokenObjectError

_ARGUMENTS = (
    "--no-replace-objects",  # what is read is what the id is of, as elsewhere
    "-c",
    "core.bigFileThreshold=1m",  # git itself holds smaller ones in memory, and any that is stored as a delta
    "cat-file",
    "--batch",
)


class Blob:
    """A blob that is being read, forward and once."""

    def __init__(self, stream: BinaryIO, size: int, name: str) -> None:
        self.size = size
        """Bytes."""
        self.left = size
        self._stream = stream
        self._name = name

    def read(self, size: int) -> bytes:
        """Return up to *size* bytes, and none at the end.

        Raises:
            CannotRunError: the object is broken.

        """
        data = self._stream.read(min(size, self.left))
        if not data and size and self.left:
            raise BrokenObjectError(self._name, "it ends too early")
        self.left -= len(data)
        return data


class Blobs:
    """Reads blobs one after the other, by a process of its own that is started for the first; for one thread."""

    def __init__(self, git_directory: Path) -> None:
        self._git_directory = git_directory
        self._process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def open(self, object_id: bytes) -> Iterator[Blob]:
        """Open a blob for as long as the context lasts.

        Raises:
            CannotRunError: there is no such blob, or git cannot be started.

        """
        name = object_id.hex()
        reading = self._ask(name)
        header = reading.readline().split()
        if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004 - id, type, size
            self.close()
            raise BrokenObjectError(name, b" ".join(header[1:2]).decode("ascii", "replace") or "git gives no answer")
        blob = Blob(reading, int(header[2]), name)
        try:
            yield blob
        finally:
            # What was not read would come before the next answer.
            if blob.left or reading.read(1) != b"\n":
                self.close()

    def _ask(self, name: str) -> BinaryIO:
        process = self._process = self._process or self._start()
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(name.encode() + b"\n")
            process.stdin.flush()
        except OSError:
            self.close()
            raise BrokenObjectError(name, "git gives no answer") from None
        return process.stdout  # type: ignore[return-value] # a buffered reader

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603
                ["git", f"--git-dir={self._git_directory}", *_ARGUMENTS],  # noqa: S607
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise CannotRunError(f"git cannot be started: {error.strerror}", help="install git") from None

    def close(self) -> None:
        """End the process; the next blob starts another one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            # The context closes the pipes, in which a question may be left, and waits.
            with contextlib.suppress(OSError), process:
                pass
