"""Wheels of what is installed for the tests, so that pip installs from a folder as it does from PyPI."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.pages import ROOT

_OURS = "gitindex"


def fill(folder: Path, *names: str) -> None:
    """Write wheels of distributions that are installed here, and of all that they require."""
    seen: set[str] = set()
    todo = [Requirement(name) for name in names]
    while todo:
        requirement = todo.pop()
        found = distribution(requirement.name)
        for extra in ("", *requirement.extras):
            key = f"{canonicalize_name(found.name)}[{extra}]"
            if key not in seen:
                seen.add(key)
                needs = map(Requirement, found.requires or ())
                todo += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
                if not extra:
                    _write(found, folder)


def _write(found: Distribution, folder: Path) -> None:
    if canonicalize_name(found.name) == _OURS:  # installed from here, and only linked to
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
        return
    start = f"{canonicalize_name(found.name).replace('-', '_')}-{found.version}"
    lines = (found.read_text("WHEEL") or "").splitlines()
    tags = [line.removeprefix("Tag: ").split("-") for line in lines if line.startswith("Tag: ")]
    tag = "-".join(".".join(sorted({each[place] for each in tags})) for place in range(3))
    files = dict(_files(found, start))
    (information,) = {inside.partition("/")[0] for inside in files if inside.endswith(".dist-info/METADATA")}
    record = io.StringIO()
    csv.writer(record).writerows((name, "", "") for name in (*files, f"{information}/RECORD"))
    with zipfile.ZipFile(folder / f"{start}-{tag}.whl", "w") as wheel:
        for inside, path in files.items():
            wheel.write(path, inside)
        wheel.writestr(f"{information}/RECORD", record.getvalue())


def _files(found: Distribution, start: str) -> Iterator[tuple[str, Path]]:
    """Yield the path in the wheel, and on disk, of each file that pip did not make when it installed it."""
    commands = {point.name for point in found.entry_points if point.group.endswith("_scripts")}
    for file in found.files or ():
        path = Path(str(found.locate_file(file)))
        if file.parts[0] != "..":
            if file.suffix != ".pyc" and file.name not in ("RECORD", "INSTALLER", "REQUESTED"):
                yield str(file), path
        elif file.parent.name == "bin" and file.name not in commands:
            yield f"{start}.data/scripts/{file.name}", path
