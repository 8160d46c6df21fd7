"""Frames: what templates give where pages differ in nothing but holes. Each is laid out once, and filled in for a page.

Jinja2 takes longer to import than a page to fill in, so whoever makes pages may keep their frames for another time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache

from markupsafe import Markup

_HOLE = re.compile("\0([a-z_]+)\0")
"""What :func:`hole` leaves on a page."""
_MOST = 512
"""Frames that are held; each index has a few."""


class Frames:
    """Frames by what they depend on, beside the renderer; *recall* gives the text of one that was kept."""

    def __init__(self, recall: Callable[[str], str | None] = lambda _: None) -> None:
        self._recall = recall
        self._held: dict[Hashable, str] = {}
        self.made: dict[str, str] = {}
        """Those that were laid out here."""

    def get(self, key: Hashable, lay_out: Callable[[], str]) -> str:
        """Return the frame of a *key*, whose ``repr`` says all that it depends on."""
        if key not in self._held:
            if len(self._held) >= _MOST:
                self._held.clear()
                self.made.clear()
            name = repr(key)
            text = self._recall(name)
            if text is None:
                text = self.made[name] = lay_out()
            self._held[key] = text
        return self._held[key]


FRAMES = Frames()
"""Those of a process that keeps none."""


def hole(name: str) -> Markup:
    """Return a place on a page that is filled in later: no text that is carried has a NUL."""
    return Markup(f"\0{name}\0")  # noqa: S704


@lru_cache(maxsize=64)
def _parts(frame: str) -> tuple[str, ...]:
    """Return text and names of holes in turn."""
    return tuple(_HOLE.split(frame))


def filled(frame: str, values: Mapping[str, str]) -> bytes:
    """Return a frame with its holes filled in."""
    return "".join([values[part] if at % 2 else part for at, part in enumerate(_parts(frame))]).encode()
