"""Build every release under ``src/`` and compose the index repository from them by gitindex's command line.

The same sources give the same bytes: times come from the table below and the build backend is pinned.
``--check`` writes nothing and says what differs from the files that are here.
"""

# ruff: noqa: INP001, S603, T201 - a script: it prints, and runs our own commands

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import tomlkit

HERE: Final = Path(__file__).resolve().parent
COMPOSED: Final = ("gitindex.toml", "indexes", "files")
BACKEND: Final = ("hatchling", "1.33.0")
"""Another version of the backend writes other bytes into the wheels: it names itself there."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release: when it was uploaded, where to, and the index that it was pushed to."""

    uploaded: datetime
    project: str
    version: str
    index: str
    pushed_to: str | None = None

    @property
    def requirement(self) -> str:
        """The words for it on the command line."""
        return f"{self.project}=={self.version}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the clock stands at the upload."""
        return {**os.environ, "SOURCE_DATE_EPOCH": str(int(self.uploaded.timestamp()))}


def _at(month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


DEV: Final = "emilie/dev"
PROD: Final = "emilie/prod"
TEAM: Final = "bob/team"
RELEASES: Final = (
    Release(_at(3, 2, 9, 15), "unit-convert", "0.1.0", DEV, PROD),
    Release(_at(3, 4, 14, 2), "line-endings", "0.1.0", DEV, PROD),
    Release(_at(3, 9, 10, 40), "slug-tools", "0.1.0", DEV, PROD),
    Release(_at(4, 14, 8, 55), "line-endings", "0.1.1", DEV, PROD),
    Release(_at(5, 11, 16, 20), "unit-convert", "0.2.0", DEV, PROD),
    Release(_at(5, 19, 11, 5), "csv-peek", "0.1.0", DEV, PROD),
    Release(_at(6, 23, 9, 30), "slug-tools", "0.2.0", DEV, PROD),
    Release(_at(6, 25, 7, 45), "slug-tools", "0.2.1", DEV, PROD),
    Release(_at(7, 7, 13, 10), "table-print", "0.1.0", TEAM),
    Release(_at(8, 18, 15, 0), "csv-peek", "0.2.0", DEV, PROD),
    Release(_at(9, 15, 9, 0), "table-print", "0.2.0", TEAM),
    Release(_at(10, 27, 12, 25), "unit-convert", "0.3.0", DEV),
    Release(_at(11, 10, 10, 15), "csv-report", "1.0.0", TEAM),
    Release(_at(11, 17, 8, 30), "unit-convert", "0.4.0", DEV),
)


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of testing a release in an environment."""

    release: Release
    index: str
    environment: str
    outcome: str
    duration: float
    ended: datetime


_BY_NAME: Final = {release.requirement: release for release in RELEASES}
TESTS: Final = (
    # It passed when it was released; the test that made it known to be bad came later.
    Tested(_BY_NAME["slug-tools==0.2.0"], PROD, "py313", "passed", 3.1, _at(6, 23, 9, 34)),
    Tested(_BY_NAME["slug-tools==0.2.0"], PROD, "py313", "failed", 3.4, _at(6, 24, 16, 12)),
    Tested(_BY_NAME["table-print==0.2.0"], TEAM, "py313", "passed", 2.2, _at(9, 15, 9, 3)),
    Tested(_BY_NAME["unit-convert==0.4.0"], DEV, "py39", "error", 0.8, _at(11, 17, 8, 41)),
    Tested(_BY_NAME["unit-convert==0.4.0"], DEV, "py39", "passed", 6.9, _at(11, 17, 8, 52)),
    Tested(_BY_NAME["unit-convert==0.4.0"], DEV, "py313", "passed", 4.2, _at(11, 17, 8, 53)),
    Tested(_BY_NAME["unit-convert==0.4.0"], DEV, "py314", "passed", 4.0, _at(11, 17, 8, 54)),
)

SETTINGS: Final = """\
format = 1

[site]
url = "https://packages.example.org/"
title = "Example packages"

[groups]
release-team = ["emilie", "bob"]

[policy]
protected_branch = "main"

[names]
# Ours even before a release exists: never asked of, or answered by, a mirror.
reserved = ["acme-*", "billing"]
"""


def _build(release: Release, work: Path) -> list[Path]:
    """Build the wheel and the sdist of *release* below *work* and return their paths."""
    # Outside of any Git repository: the backend would put that repository's .gitignore into the sdist.
    source = work / "src" / release.project / release.version
    shutil.copytree(
        HERE / "src" / release.project / release.version,
        source,
        ignore=shutil.ignore_patterns("__pycache__", ".*"),
    )
    out = work / "dist" / release.project / release.version
    environment = release.environment
    arguments = ["--outdir", str(out), str(source)]
    name, wanted = BACKEND
    if _installed(name) == wanted:
        arguments.insert(0, "--no-isolation")
    else:
        constraints = work / "constraints.txt"
        constraints.write_text(f"{name}=={wanted}\n", encoding="utf-8")
        environment["PIP_CONSTRAINT"] = str(constraints)
    _run([sys.executable, "-m", "build", *arguments], environment)
    return sorted(out.iterdir())


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, done.stderr, sep="", file=sys.stderr)
        sys.exit(f"build.py: exit code {done.returncode} of: {' '.join(command)}")


def _compose(repository: Path, files: Mapping[Release, list[Path]]) -> None:
    """Write the index repository below the empty folder *repository*."""

    def gitindex(*words: str, at: Release | None = None) -> None:
        _run([sys.executable, "-m", "gitindex", "-C", str(repository), *words], at.environment if at else None)

    (repository / "gitindex.toml").write_text(SETTINGS, encoding="utf-8")
    _run(["git", "init", "--quiet", "--initial-branch=main", str(repository)])

    gitindex("user", "create", "root", "--email", "root@example.org", "--admin")
    gitindex("user", "create", "emilie", "--email", "emilie@example.org")
    gitindex("user", "create", "bob", "--email", "bob@example.org")

    gitindex("index", "create", "root/pypi", "--type", "mirror")
    gitindex(
        *("index", "create", PROD, "--non-volatile", "--base", "root/pypi"),
        *("--title", "What Emilie's team runs", "acl_upload=:release-team"),
    )
    gitindex("index", "create", DEV, "--volatile", "--base", PROD, "--title", "Free to change")
    gitindex(
        *("index", "create", "bob/curated", "--type", "mirror", "--title", "What Bob's team has read"),
        *("allow=click>=8,packaging,rich>=14,tabulate", "mirror_min_age=7d", "mirror_min_age_exempt=packaging"),
    )
    gitindex(
        *("index", "create", TEAM, "--non-volatile", "--base", PROD, "--base", "bob/curated"),
        # A patched tabulate of our own would stand beside upstream's releases, not in their place.
        *("--title", "What Bob's team runs", "mirror_whitelist=tabulate"),
    )

    for release in RELEASES:
        gitindex("upload", *map(str, files[release]), "--index", release.index, at=release)
        if release.pushed_to:
            gitindex("push", release.requirement, release.index, release.pushed_to, at=release)

    # The bad release can't leave prod, so it is yanked there; dev is volatile.
    reason = "unique_slugs may give the same slug twice; use 0.2.1"
    gitindex("yank", "slug-tools==0.2.0", "--index", PROD, "--reason", reason)
    gitindex("remove", "slug-tools==0.2.0", "--index", DEV)
    _record(repository)
    _archive(repository / "indexes" / PROD / "line-endings", "finished: Git's own end-of-line handling does this")


def _record(repository: Path) -> None:
    """Write the results of tests beside the manifests of what was tested, in the order in which the tests ended."""
    results: dict[Path, list[dict[str, object]]] = {}
    for tested in TESTS:
        folder = repository / "indexes" / tested.index / tested.release.project
        manifest = json.loads((folder / f"{tested.release.version}.json").read_text(encoding="utf-8"))
        run = {
            "environment": tested.environment,
            "outcome": tested.outcome,
            "duration": tested.duration,
            "time": f"{tested.ended:%Y-%m-%dT%H:%M:%SZ}",
            "files": sorted(file["hashes"]["sha256"] for file in manifest["files"]),
        }
        results.setdefault(folder / f"{tested.release.version}.tests.json", []).append(run)
    for path, runs in results.items():
        path.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")


def _archive(project: Path, reason: str) -> None:
    """State that a project is archived; there is no command for that, the file is written by hand."""
    path = project / "project.toml"
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    document["status"] = "archived"
    document["status-reason"] = reason
    path.write_text(tomlkit.dumps(document), encoding="utf-8")


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    for name in COMPOSED:
        for path in sorted([root / name, *(root / name).rglob("*")]):
            if path.is_file():
                yield path.relative_to(root).as_posix(), path.read_bytes()


def _differences(composed: Path) -> list[str]:
    old, new = dict(_files(HERE)), dict(_files(composed))
    return [
        f"{'missing' if path not in old else 'left over' if path not in new else 'differs'}: {path}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _replace(composed: Path) -> None:
    for name in COMPOSED:
        target = HERE / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        shutil.move(composed / name, target)


def main() -> int:
    """Run the script; return 1 where ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="example-repo-") as temporary:
        work = Path(temporary)
        files = {release: _build(release, work) for release in RELEASES}
        composed = work / "repository"
        composed.mkdir()
        _compose(composed, files)
        differences = _differences(composed)
        if not options.check:
            _replace(composed)
    count = f"{sum(map(len, files.values()))} files of {len(files)} releases"
    if not options.check:
        print(f"composed {count}; {len(differences)} paths changed")
        return 0
    for difference in differences:
        print(difference)
    if not differences:
        print(f"{count}: as built")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
