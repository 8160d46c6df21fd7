"""Where what can be made or fetched again is kept: a folder of the user's for each index repository."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cache_folder(git_directory: Path, folder: str) -> Path:
    """Return a folder of the user's that belongs to this repository alone."""
    root = os.environ.get("XDG_CACHE_HOME") or ""
    base = Path(root) if root.startswith("/") else Path("~/.cache").expanduser()
    key = hashlib.sha256(f"{git_directory.resolve()} {folder}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return base / "gitindex" / key
