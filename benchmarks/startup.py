"""What a command costs before it does anything, and the validation of one release beside its imports and its peer.

The second must not grow with the repository, so it is measured at several sizes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from measure import ROOT, Command, Figures, compare, gitindex, python
from report import Row

HELP_BOUND = 1.2
VALIDATE_BOUND = 1.5
TYPER = "import typer"
LITERAL_IMPORTS = "import typer, pydantic, pygit2"
USED_IMPORTS = "import typer, pygit2; from pydantic import BaseModel, Field, TypeAdapter"
"""``import pydantic`` alone imports almost none of it; these names are what a user of it imports."""
ONE_RELEASE = "validate --base origin/main --head release"
HOOK = "validate --staged"
WHOLE_TREE = "validate"
PEER = "check-jsonschema"
SCHEMA = "schemas/manifest.schema.json"


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


class OneRelease(NamedTuple):
    """What the validation of one release costs in a repository of some size."""

    case: str
    figures: dict[str, Figures]


def measure_one_release(case: str, repository: Path, runs: int) -> OneRelease:
    """Measure the validation of one release, committed and staged, with the bare imports and its peer, in turns."""
    with _staged_release(repository) as manifest:
        commands = {code: Command(python("-c", code)) for code in (LITERAL_IMPORTS, USED_IMPORTS)}
        for words in (ONE_RELEASE, HOOK, WHOLE_TREE):
            commands[words] = Command(gitindex("-C", str(repository), *words.split()))
        peer = [str(Path(sys.executable).with_name(PEER)), "--schemafile", str(ROOT / SCHEMA), str(manifest)]
        return OneRelease(case, compare(commands | {PEER: Command(peer)}, runs))


@contextmanager
def _staged_release(repository: Path) -> Iterator[Path]:
    """Take the head commit back, with its release staged as before it was committed; give the path of its manifest."""
    _git(repository, "reset", "--quiet", "--soft", "origin/main")
    try:
        yield repository / _git(repository, "diff", "--cached", "--name-only")
    finally:
        _git(repository, "reset", "--quiet", "--soft", "release")


def _git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repository, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def rows_of(sizes: Sequence[OneRelease]) -> Iterator[Row]:
    """Return what was measured, each size beside its imports and its peer, and all beside the smallest."""
    for case, figures in sizes:
        for code in (LITERAL_IMPORTS, USED_IMPORTS):
            yield Row(case, f"`{code}`", figures[code])
        yield _beside_imports(case, ONE_RELEASE, figures)
        yield Row(case, f"`{PEER} --schemafile {SCHEMA} MANIFEST`", figures[PEER])
        yield _beside_peer(case, figures)
        yield _beside_imports(case, WHOLE_TREE, figures)
    for words in (ONE_RELEASE, HOOK):
        yield from _growth(words, sizes)


def _beside_imports(case: str, words: str, figures: dict[str, Figures]) -> Row:
    cpu = figures[words].cpu
    literal, used = cpu / figures[LITERAL_IMPORTS].cpu, cpu / figures[USED_IMPORTS].cpu
    ratio = f"{literal:.2f} times the first imports, {used:.2f} times the second"
    if words != ONE_RELEASE:
        return Row(case, f"`{words}`", figures[words], ratio)
    return Row(case, f"`{words}`", figures[words], ratio, f"{VALIDATE_BOUND} times", used <= VALIDATE_BOUND)


def _beside_peer(case: str, figures: dict[str, Figures]) -> Row:
    ours, peer = figures[HOOK], figures[PEER]
    cpu, wall = ours.cpu / peer.cpu, ours.wall / peer.wall
    ratio = f"{cpu:.2f} times {PEER} in CPU, {wall:.2f} in wall"
    return Row(case, f"`{HOOK}`, as a hook", ours, ratio, "1 times", max(cpu, wall) < 1)


def _growth(words: str, sizes: Sequence[OneRelease]) -> Iterator[Row]:
    """Return how each size stands to the smallest."""
    smallest = sizes[0]
    for case, figures in sizes[1:]:
        cpu = figures[words].cpu / smallest.figures[words].cpu
        wall = figures[words].wall / smallest.figures[words].wall
        ratio = f"grown to {cpu:.2f} times in CPU, {wall:.2f} in wall, from {smallest.case}"
        yield Row(case, f"`{words}`", figures[words], ratio)
