"""The other makers of static indexes, each with the same projects and files, or as much of them as it takes.

dumb-pypi reads a list with digests and metadata, as `render` reads manifests. piprepo and simple503 look at a folder of
files: piprepo at their names alone, simple503 into each wheel, and it leaves out the sdists.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from measure import Command, in_child
from peers import BENCH, whole

PACKAGES = ("dumb-pypi", "piprepo", "simple503")
DUMB_PYPI = "dumb-pypi"


class Lists(NamedTuple):
    """The files of a repository as lists that dumb-pypi reads: a JSON document on each line."""

    before: Path
    """Without the newest release."""
    after: Path


class Builder(NamedTuple):
    """A program that makes a site, and how it is run."""

    title: str
    full: Command
    """Makes the site without the newest release, afresh."""
    again: Command
    """Makes it right once that release is there."""
    how: str
    """What its second run does, in words."""
    out: Path
    page: Callable[[str], Path]
    """Where the page of a project is."""


def builders(lists: Lists, folder: Path) -> Iterator[Builder]:
    """Yield them all, with their data below *folder*."""
    yield _dumb_pypi(lists, folder / "dumb-pypi")
    yield _dumb_pypi(lists, folder / "dumb-pypi-lean", "--no-per-release-json", "--no-generate-timestamp")
    yield _piprepo(lists, folder / "piprepo")
    yield _simple503(lists, folder / "simple503")
    yield _simple503(lists, folder / "simple503-lean", "--no-extract-metadata")


def _dumb_pypi(lists: Lists, out: Path, *options: str) -> Builder:
    words = [_program("dumb-pypi"), "--packages-url", "https://files.example.org/", "--output-dir", str(out), *options]
    full = Command([*words, "--package-list-json", str(lists.before)], partial(shutil.rmtree, out, ignore_errors=True))
    # A second run over the same two lists does what the first did, so the site need not be put back.
    again = [*words, "--package-list-json", str(lists.after), "--previous-package-list-json", str(lists.before)]
    how = "`--previous-package-list-json`"
    return Builder(_title(DUMB_PYPI, options), full, Command(again), how, out, lambda name: out / "simple" / name)


def _piprepo(lists: Lists, folder: Path) -> Builder:
    in_child(_lay_names, folder, lists.before)
    build = [_program("piprepo"), "build", str(folder)]
    lay = partial(in_child, _lay_names, folder, lists.after)
    full, again = Command(build, partial(in_child, _sweep, folder)), Command(build, lay)
    how = "once more: it has no incremental build"
    return Builder("piprepo, which reads names alone", full, again, how, folder, lambda name: folder / "simple" / name)


def _simple503(lists: Lists, folder: Path, *options: str) -> Builder:
    in_child(_lay_wheels, folder, lists.before)
    build = [_program("simple503"), *options, str(folder)]
    lay = partial(in_child, _lay_wheels, folder, lists.after)
    full, again = Command(build, partial(in_child, _sweep, folder)), Command(build, lay)
    title = f"{_title('simple503', options)}, which reads wheels alone"
    how = "once more: it has no incremental build"
    return Builder(title, full, again, how, folder, lambda name: folder / name)


def _lay_names(folder: Path, listing: Path) -> None:
    folder.mkdir(exist_ok=True)
    for facts in _files(listing):
        (folder / facts["filename"]).touch()


def _lay_wheels(folder: Path, listing: Path) -> None:
    folder.mkdir(exist_ok=True)
    for facts in _files(listing):
        wheel = folder / facts["filename"]
        if wheel.suffix == ".whl" and not wheel.exists():
            wheel.write_bytes(whole(wheel.name, facts.get("requires_python")))


def _program(name: str) -> str:
    return str(BENCH / "bin" / name)


def _title(name: str, options: tuple[str, ...]) -> str:
    return f"{name} `{' '.join(options)}`" if options else name


def _files(listing: Path) -> Iterator[dict[str, Any]]:
    with listing.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _sweep(folder: Path) -> None:
    """Remove from a folder of files what a builder put beside them."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.suffix in (".html", ".metadata"):
            entry.unlink()
