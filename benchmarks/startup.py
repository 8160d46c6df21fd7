"""What a command costs before it does anything, and the validation of one release beside its imports.

The second must not grow with the repository, so it is measured at several sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from measure import Command, Figures, compare, gitindex, python
from report import Row

HELP_BOUND = 1.2
VALIDATE_BOUND = 1.5
TYPER = "import typer"
LITERAL_IMPORTS = "import typer, pydantic, pygit2"
USED_IMPORTS = "import typer, pygit2; from pydantic import BaseModel, Field, TypeAdapter"
"""``import pydantic`` alone imports almost none of it; these names are what a user of it imports."""
ONE_RELEASE = "validate --base main~1 --head main"


def measure_help(runs: int) -> Iterator[Row]:
    """Compare ``gitindex --help`` with the import of the library that makes it."""
    figures = compare(
        {TYPER: Command(python("-c", TYPER)), "--help": Command(gitindex("--help"))},
        runs,
    )
    yield Row("start", f"`{TYPER}`", figures[TYPER])
    ratio = figures["--help"].cpu / figures[TYPER].cpu
    yield Row(
        "start",
        "`gitindex --help`",
        figures["--help"],
        f"{ratio:.2f} times the import",
        f"{HELP_BOUND} times",
        ratio <= HELP_BOUND,
    )


def measure_one_release(case: str, repository: Path, runs: int) -> Iterator[Row]:
    """Compare the validation of a head commit that adds one release with the bare imports."""
    validations = (ONE_RELEASE, "validate --staged", "validate")
    commands = {code: Command(python("-c", code)) for code in (LITERAL_IMPORTS, USED_IMPORTS)}
    for words in validations:
        commands[words] = Command(gitindex("-C", str(repository), *words.split()))
    figures = compare(commands, runs)

    for code in (LITERAL_IMPORTS, USED_IMPORTS):
        yield Row(case, f"`{code}`", figures[code])
    for words in validations:
        yield _validation(case, words, figures)


def _validation(case: str, words: str, figures: dict[str, Figures]) -> Row:
    cpu = figures[words].cpu
    literal, used = cpu / figures[LITERAL_IMPORTS].cpu, cpu / figures[USED_IMPORTS].cpu
    ratio = f"{literal:.2f} times the first imports, {used:.2f} times the second"
    if words != ONE_RELEASE:
        return Row(case, f"`{words}`", figures[words], ratio)
    return Row(case, f"`{words}`", figures[words], ratio, f"{VALIDATE_BOUND} times", used <= VALIDATE_BOUND)
