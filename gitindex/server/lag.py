"""How far what is served is behind what is known of its branch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gitindex.errors import GitindexError
from gitindex.git.history import Ahead

if TYPE_CHECKING:
    from gitindex.server.live import Source

_MOST = 10_000
"""Commits that are counted."""


class Lag:
    """Counts commits; its method is called in the thread of the event loop, which does not wait for the disk."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: tuple[tuple[str, frozenset[str]], Ahead | None] | None = None

    async def of(self, served: str, *tips: str | None) -> Ahead | None:
        """Return what the *tips* have and the commit that is *served* has not; ``None`` where that cannot be told."""
        others = frozenset(filter(None, tips)) - {served}
        if not others:
            return Ahead(0, None)
        key = served, others
        if self._known is None or self._known[0] != key or self._known[1] is None:
            found = await asyncio.get_running_loop().run_in_executor(None, self._count, served, others)
            self._known = key, found
        return self._known[1]

    def _count(self, served: str, tips: frozenset[str]) -> Ahead | None:
        try:
            return self._source.open().history.ahead(sorted(tips), served, _MOST)
        except GitindexError:
            return None
