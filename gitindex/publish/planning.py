"""What a publish has to do: from what is there to what shall be. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from gitindex.errors import GitindexError
from gitindex.publish.kinds import kind_of, rank
from gitindex.publish.record import Entry, Step

_SHOWN = 3


class WouldUndoError(GitindexError):
    """A publish that takes away what is there and was not asked to; nothing was written (exit code 1)."""

    exit_code = 1


class Known(NamedTuple):
    """What is known of a target."""

    files: Mapping[str, Entry]
    """What was there for certain."""
    unsure: frozenset[str] = frozenset()
    """Paths that a publish which was broken off may have written or removed since."""


def plan(known: Known, wanted: Mapping[str, Entry], is_there: Callable[[str], bool]) -> list[list[Step]]:
    """Return what is to be done, in groups: each is done before the next begins.

    *is_there* is asked of the pages of indexes of which nothing is sure.
    """
    ranked: defaultdict[int, list[Step]] = defaultdict(list)
    for path, entry in wanted.items():
        before = known.files.get(path)
        if before == entry and path not in known.unsure:
            continue
        is_new = before is None
        if path in known.unsure and kind_of(path) == "index":
            is_new = not is_there(path)
        ranked[rank(path, "new" if is_new else "changed")].append(Step(path, entry))
    for path in (known.files.keys() | known.unsure) - wanted.keys():
        ranked[rank(path, "gone")].append(Step(path, None))
    return [sorted(steps, key=lambda step: step.path) for _, steps in sorted(ranked.items())]


def check_removals(steps: Iterable[Step], lasting: Collection[str], most: int | None) -> None:
    """Refuse to remove too much: more than *most*, or, where that is not given, any page of the *lasting* indexes.

    Raises:
        WouldUndoError: it is too much.

    """
    # What a publish that was broken off may have written counts: readers may have seen it.
    gone = [path for path, entry in steps if entry is None]
    if most is not None:
        if len(gone) > most:
            raise _too_much(gone, f"more than --max-delete {most:,}", len(gone))
        return
    prefixes = tuple(f"{index}/" for index in lasting)
    kept = [path for path in gone if path.startswith(prefixes)] if prefixes else []
    if kept:
        raise _too_much(kept, "of indexes that are non-volatile", len(gone))


def _too_much(paths: list[str], why: str, needed: int) -> WouldUndoError:
    shown = ", ".join(paths[:_SHOWN]) + (", …" if len(paths) > _SHOWN else "")
    return WouldUndoError(
        f"{len(paths):,} objects would be removed, {why}: {shown}",
        help=f"see what with --dry-run; where it is meant: --max-delete {needed}",
    )
