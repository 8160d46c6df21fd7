"""Reads the plain words of a command whose options are a table, without Typer: its import takes long.

Help, completion and whatever is wrong are Typer's, which has its options from the same table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple


class Option(NamedTuple):
    """An option of a command."""

    name: str
    flag: str
    help: str
    metavar: str = ""
    """What its value is called; empty for a switch."""
    kind: type[str | int | float | Path | StrEnum] = str
    """What its value is."""
    default: Any = None
    """Of a switch it is False, of an enumeration its first member."""
    least: float | None = None
    most: float | None = None
    """What a number must be at least, and at most."""
    is_repeated: bool = False
    """Whether it may be given several times; its value is then a list."""
    is_pair: bool = False
    """Whether it takes two words; its value is then both of them."""
    is_required: bool = False
    variable: str = ""
    """The environment variable that is used where it is not given."""

    @property
    def choices(self) -> type[StrEnum] | None:
        """What it may be, where it is one of several words."""
        return self.kind if issubclass(self.kind, StrEnum) else None

    def read(self, text: str) -> Any:
        """Return the value that a word of the command line means.

        Raises:
            ValueError: it means none.

        """
        value: Any = self.kind(text)
        if self.least is not None and not self.least <= value:
            raise ValueError(text)
        if self.most is not None and not value <= self.most:
            raise ValueError(text)
        return value


class Words(NamedTuple):
    """What a command line asks for."""

    directory: Path
    folder: str | None
    values: Mapping[str, Any]
    """The options that were given, by name."""


def read_words(
    command: str, options: Sequence[Option], words: Sequence[str], environment: Mapping[str, str]
) -> Words | None:
    """Read the words of a command line; ``None`` where they are not plainly this command with its options."""
    variables = {"GITINDEX_DIRECTORY", *(option.variable for option in options if option.variable)}
    if variables & environment.keys() or any(name.startswith("_GITINDEX_COMPLETE") for name in environment):
        return None
    places = {"-C": "directory", "--directory": "directory", "--folder": "folder"}
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == command:
            values = _read_options(options, rest)
            return None if values is None else Words(Path(given.get("directory", "")), given.get("folder"), values)
        value = next(rest, None)
        if word not in places or value is None:
            return None
        given[places[word]] = value
    return None


def _read_options(options: Sequence[Option], words: Iterator[str]) -> dict[str, Any] | None:
    known = {option.flag: option for option in options}
    values: dict[str, Any] = {}
    for word in words:
        flag, equals, value = word.partition("=")
        option = known.get(flag)
        if option is None or (equals and not option.metavar):
            return None
        if not option.metavar:
            values[option.name] = True
            continue
        if option.is_pair:
            pair = None if equals else (next(words, ""), next(words, ""))
            if pair is None or not all(pair) or any(each.startswith("-") for each in pair):
                return None
            values[option.name] = pair
            continue
        found = value if equals else next(words, None)
        # A lone dash is a value: standard output.
        if found is None or (found.startswith("-") and found != "-"):
            return None
        try:
            read = option.read(found)
        except (ValueError, OverflowError):
            return None
        values[option.name] = [*values.get(option.name, []), read] if option.is_repeated else read
    if any(option.is_required and option.name not in values for option in options):
        return None
    return values
