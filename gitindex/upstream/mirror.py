"""A mirror as what it shows: another simple index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitindex.model import Mirror
from gitindex.names import IndexName
from gitindex.upstream.filters import Filters

if TYPE_CHECKING:
    from gitindex.resolve import Step


@dataclass(frozen=True, slots=True)
class Upstream:
    """A mirror and what it shows."""

    name: IndexName
    mirror: Mirror

    @property
    def url(self) -> str:
        """The simple index that is shown, ending in ``/``."""
        if self.mirror.mirror_url is not None:
            return self.mirror.mirror_url.rstrip("/") + "/"
        from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415 - a heavy import, and only for this

        return PYPI_SIMPLE_ENDPOINT

    @property
    def filters(self) -> Filters:
        """What of the upstream is shown."""
        return Filters(self.name, self.mirror)


def asked(steps: Iterable[Step]) -> Iterator[Upstream]:
    """Yield the mirrors that are asked for a project, in the order in which they are."""
    for step in steps:
        definition = step.index.definition
        if step.outcome == "asked" and isinstance(definition, Mirror):
            yield Upstream(step.index.name, definition)
