"""What a run has proven so far, on the disk, for the one that goes on after it was interrupted."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Self

from gitindex import __version__

_NAME = "verify.jsonl"
_KEY = 64


class Journal:
    """Files that were read and found right, one JSON line each; lines are only ever added.

    A run that is killed leaves at most its last line torn.
    """

    def __init__(self, descriptor: int, path: Path, folder: str, *, resume: bool) -> None:
        self._descriptor = descriptor
        self._path = path
        header = {"gitindex": __version__, "folder": folder}
        found = _read(descriptor, header) if resume else None
        self._known: dict[str, int] = found[0] if found else {}
        self.resumed = len(self._known)
        """How many files an earlier run has proven."""
        self.added = 0
        os.ftruncate(descriptor, found[1] if found else 0)
        os.lseek(descriptor, 0, os.SEEK_END)
        if found is None:
            self._write(header)

    @classmethod
    def open(cls, git_directory: Path, folder: str, *, resume: bool) -> Self | None:
        """Open the journal of a repository; ``None`` where it cannot be written, or another run is writing to it.

        Without *resume*, or where it is of another version of gitindex, or anything in it is not as we write it, it is
        empty.
        """
        path = git_directory / "gitindex" / _NAME
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(descriptor, path, folder, resume=resume)
        except OSError:
            os.close(descriptor)
            return None

    @property
    def proven(self) -> int:
        """How many files are proven, by this run and the ones that it goes on from."""
        return self.resumed + self.added

    def size_of(self, key: str) -> int | None:
        """Return how many bytes a proven file has; ``None`` where it is not proven."""
        return self._known.get(key)

    def add(self, key: str, size: int) -> None:
        """Say that a file is proven."""
        self._write({"key": key, "size": size})
        self.added += 1

    def _write(self, line: dict[str, Any]) -> None:
        # One write for each line, so that it is with the operating system whatever happens to this process.
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")

    def remove(self) -> None:
        """Remove it from the disk: there is nothing to go on with."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def close(self) -> None:
        """Let another run have it."""
        os.close(self._descriptor)


def key_of(*facts: object) -> str:
    """Return what stands for a file and all that is said of it."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(descriptor: int, header: dict[str, str]) -> tuple[dict[str, int], int] | None:
    """Return what is proven, and where the last whole line ends; ``None`` where it is not as we write it."""
    known: dict[str, int] = {}
    end = 0
    with open(descriptor, "rb", closefd=False) as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                break  # torn
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                return None
            if number == 0:
                if value != header:
                    return None
            elif not _is_entry(value):
                return None
            else:
                known[value["key"]] = value["size"]
            end += len(line)
    return (known, end) if end else None


def _is_entry(value: object) -> bool:
    match value:
        case {"key": str(key), "size": int(size), **rest}:
            return len(key) == _KEY and not isinstance(size, bool) and size >= 0 and not rest
        case _:
            return False
