"""How much memory libgit2 takes in a process that runs for long."""

from __future__ import annotations

import pygit2

_MIB = 1 << 20


def bound_memory() -> None:
    """Let libgit2 map packs in windows, and keep few objects: by default it maps all of a pack, and keeps 256 MB."""
    pygit2.settings.mwindow_size = 8 * _MIB
    pygit2.settings.mwindow_mapped_limit = 16 * _MIB
    pygit2.settings.cache_max_size(8 * _MIB)
