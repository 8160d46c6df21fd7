"""Tells one renderer from another: by its own sources, and the libraries that lay out what it shows."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import markupsafe

from gitindex import __version__

_OURS = ("", "facts", "render", "site")
"""Folders whose modules make the bytes of pages."""
_LIBRARIES = ("comrak-", "docutils-", "jinja2-", "markupsafe-", "nh3-", "packaging-", "pygments-", "readme_renderer-")


def fingerprint() -> str:
    """Return what is equal for two renderers that make the same bytes of the same content.

    The version alone would not do: between two releases it stays as it is, while the code changes.
    """
    here = Path(__file__).parent.parent
    digest = hashlib.blake2b(digest_size=12)
    for folder in _OURS:
        _add_sources(digest, os.path.join(here, folder))  # noqa: PTH118 - a hundred files: pathlib takes as long as they do
    installed = os.listdir(Path(markupsafe.__file__).parent.parent)  # noqa: PTH208
    libraries = sorted(name.lower() for name in installed if name.endswith(".dist-info"))
    digest.update("\n".join(name for name in libraries if name.startswith(_LIBRARIES)).encode())
    return f"gitindex {__version__} {digest.hexdigest()}"


def _add_sources(digest: hashlib.blake2b, folder: str) -> None:
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.path, entry.is_dir()) for entry in entries)
    for name, path, is_folder in found:
        if is_folder and name in ("static", "templates"):
            _add_sources(digest, path)
        elif name.endswith((".py", ".html", ".css", ".js")):
            with open(path, "rb") as file:  # noqa: PTH123
                digest.update(name.encode() + b"\0" + hashlib.blake2b(file.read(), digest_size=16).digest())
