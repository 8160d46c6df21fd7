"""Make an index repository (format 1) of any size, packed as a served one, and dumb-pypi's list of its files.

The same seed gives the same commits. The head commit adds one release to a project of median size. Between it and the
first one there may be a history: releases, some yanks and some merges.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

SIGMA = 1.5
"""Spread of the lognormal number of files per project: half have a few, the largest one has thousands."""
SDIST_SHARE = 0.58
YANKED_SHARE = 0.015
PRE_RELEASE_SHARE = 0.04
FIRST_UPLOAD, LAST_UPLOAD = 1_420_070_400, 1_790_000_000
HEAD_UPLOAD = LAST_UPLOAD + 86_400
REQUIRES_PYTHON = (">=3.8", ">=3.9", ">=3.10", ">=3.8,<4", "!=3.0.*,!=3.1.*,>=2.7", None)
YANK_REASONS = ("broken on Windows", "missing files", 'wrong pin: "a<2"')
INDEX = "indexes/bench/prod"
SETTINGS = {
    "gitindex.toml": """\
format = 1

[site]
url = "https://packages.example.org/"
title = "Benchmark"

[storage]
url = "s3://example-bucket/files/"
public_url = "https://files.example.org/"
""",
    "indexes/root/user.toml": 'email = "root@example.org"\nadmin = true\n',
    "indexes/root/pypi/index.toml": 'type = "mirror"\ntitle = "The public index"\n',
    "indexes/bench/user.toml": 'email = "bench@example.org"\n',
    f"{INDEX}/index.toml": 'type = "stage"\ntitle = "Production"\nvolatile = false\nbases = ["root/pypi"]\n',
}


class Release(NamedTuple):
    """One version of one project: its manifest, and why it is yanked (``None``: it is not)."""

    project: str
    version: str
    files: list[dict[str, Any]]
    yanked: str | None = None

    @property
    def path(self) -> str:
        return f"{INDEX}/{self.project}/{self.version}.json"

    def manifest(self) -> str:
        facts = {"name": self.project, "version": self.version, "files": self.files}
        return json.dumps(facts, indent=2) + "\n"

    def dumb_pypi_lines(self) -> Iterator[str]:
        for file in self.files:
            metadata = file.get("core-metadata")
            upload = datetime.strptime(file["upload-time"], "%Y-%m-%dT%H:%M:%S%z")
            facts = {
                "filename": file["filename"],
                "hash": f"sha256={file['hashes']['sha256']}",
                "requires_python": file.get("requires-python"),
                "upload_timestamp": int(upload.timestamp()),
                "yanked_reason": self.yanked,
                "core_metadata": f"sha256={metadata['sha256']}" if metadata else None,
            }
            yield json.dumps({key: value for key, value in facts.items() if value is not None}) + "\n"


class Counts(NamedTuple):
    """What has been made."""

    projects: int
    releases: int
    files: int
    largest: int
    """Files of the largest project."""
    yanked: int


class FastImport:
    """Commits by way of ``git fast-import``: nothing touches a work tree."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def commit(self, message: str, when: int, *, branch: str = "main", start: str = "", merged: str = "") -> None:
        """Begin a commit on a branch, after the last one there or where *start* is, with *merged* as second parent."""
        committer = f"committer Bench <bench@example.org> {when} +0000"
        lines = [f"commit refs/heads/{branch}", committer, f"data {len(message.encode())}", message]
        named = {"from": start, "merge": merged}
        lines += [f"{word} refs/heads/{name}" for word, name in named.items() if name]
        self._stream.write(("\n".join(lines) + "\n").encode())

    def write(self, path: str, text: str) -> None:
        data = text.encode()
        self._stream.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))


def generate(out: Path, *, projects: int, files: int, commits: int = 0, seed: int = 1, bare: bool = False) -> Counts:
    """Make the repository *out* (it must not exist) and the list ``<out>.packages.jsonl``; return their size.

    *commits* are made between the first one, with all those files, and the head; the list does not have what they
    yank. A repository with a work tree also has ``origin/main`` at the commit before the head, as if the head were not
    yet pushed; its tag ``release`` is the head.
    """
    _git(out.parent, "init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []), str(out))
    command = ["git", "fast-import", "--quiet"]
    with (
        Path(f"{out}.packages.jsonl").open("w", encoding="utf-8") as listing,
        subprocess.Popen(command, cwd=out, env=_clean_environment(), stdin=subprocess.PIPE) as importer,
    ):
        assert importer.stdin is not None  # noqa: S101 - for the type checker
        counts = _write_history(
            FastImport(importer.stdin), listing, random.Random(seed), Size(projects, files, commits)
        )
    if importer.returncode:
        raise SystemExit("git fast-import failed")
    _git(out, "update-ref", "-d", "refs/heads/side")
    _git(out, "repack", "-a", "-d", "-f", "--quiet")
    if not bare:
        _git(out, "update-ref", "refs/remotes/origin/main", "main~1")
        _git(out, "tag", "release", "main")
        _git(out, "reset", "--quiet", "--hard", "main")
    return counts


class Size(NamedTuple):
    """How much is to be made."""

    projects: int
    files: int
    """Of the first commit."""
    commits: int
    """Between that and the head."""


def _write_history(importer: FastImport, listing: IO[str], rng: random.Random, size: Size) -> Counts:
    projects, files, commits = size
    sizes = file_counts(rng, projects, files)
    names = project_names(rng, projects)
    median = sizes.index(sorted(sizes)[projects // 2])
    releases = yanked = 0
    newest: Release | None = None
    yanks: dict[str, dict[str, str]] = {}
    last: dict[str, str] = {}

    importer.commit("base", LAST_UPLOAD)
    for path, text in SETTINGS.items():
        importer.write(path, text)
    for number, (name, count) in enumerate(zip(names, sizes, strict=True)):
        made = list(project_releases(rng, name, count))
        for release in made:
            importer.write(release.path, release.manifest())
            listing.writelines(release.dumb_pypi_lines())
        statements = {release.version: release.yanked or "" for release in made if release.yanked is not None}
        if statements:
            _write_yanks(importer, name, statements)
        releases += len(made)
        yanked += len(statements)
        if commits:
            yanks[name], last[name] = statements, made[-1].version
        if number == median:
            newest = made[-1]

    assert newest is not None  # noqa: S101 - for the type checker
    added = list(_write_steps(importer, rng, commits, last, yanks))
    for release in added:
        listing.writelines(release.dumb_pypi_lines())
    releases += len(added)
    files += sum(len(release.files) for release in added)
    major = int(last.get(newest.project, newest.version).partition(".")[0]) + 1
    head = make_release(rng, newest.project, f"{major}.0.0", HEAD_UPLOAD, with_sdist=True)
    importer.commit(f"{head.project} {head.version}", HEAD_UPLOAD)
    importer.write(head.path, head.manifest())
    listing.writelines(head.dumb_pypi_lines())
    return Counts(projects, releases + 1, files + len(head.files), max(sizes), yanked)


MERGE_SHARE = 0.1
"""Of the commits of a history: a branch with a release is merged."""
YANK_STEP_SHARE = 0.05


def _write_steps(
    importer: FastImport,
    rng: random.Random,
    commits: int,
    last: dict[str, str],
    yanks: dict[str, dict[str, str]],
) -> Iterator[Release]:
    """Write a first-parent history of so many commits, and yield the releases in it."""
    names = sorted(last)
    for number in range(commits):
        name, when = rng.choice(names), LAST_UPLOAD + 30 * (number + 1)
        kind = rng.random()
        if kind < YANK_STEP_SHARE:
            yanks[name][last[name]] = rng.choice(YANK_REASONS)
            importer.commit(f"Yank {name} {last[name]}", when)
            _write_yanks(importer, name, yanks[name])
            continue
        last[name] = f"{int(last[name].partition('.')[0]) + 1}.0.0"
        release = make_release(rng, name, last[name], when, with_sdist=rng.random() < SDIST_SHARE)
        message = f"{release.project} {release.version}"
        if kind < YANK_STEP_SHARE + MERGE_SHARE:
            importer.commit(message, when, branch="side", start="main")
            importer.write(release.path, release.manifest())
            importer.commit(f"Merge {message}", when + 1, merged="side")
            importer.write(release.path, release.manifest())  # a merge starts as its first parent
        else:
            importer.commit(message, when)
            importer.write(release.path, release.manifest())
        yield release


def _write_yanks(importer: FastImport, project: str, yanked: dict[str, str]) -> None:
    lines = [f"{json.dumps(version)} = {json.dumps(reason)}\n" for version, reason in yanked.items()]
    importer.write(f"{INDEX}/{project}/project.toml", "[yanked]\n" + "".join(lines))


def file_counts(rng: random.Random, projects: int, files: int) -> list[int]:
    """Return how many files each project has: lognormal, at least one, *files* in all."""
    if not 1 <= projects <= files:
        raise SystemExit(f"{projects} projects cannot have {files} files in all; each has at least one")
    weights = [rng.lognormvariate(0, SIGMA) for _ in range(projects)]
    scale = (files - projects) / sum(weights)
    counts = [1 + int(weight * scale) for weight in weights]
    for _ in range(files - sum(counts)):
        counts[rng.randrange(projects)] += 1
    return counts


def project_names(rng: random.Random, projects: int) -> list[str]:
    """Return sorted names in normal form, long enough that hardly two are one edit apart."""
    names: set[str] = set()
    while len(names) < projects:
        syllables = [rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(4, 7))]
        if rng.random() < 0.5:
            syllables.insert(2, "-")
        names.add("".join(syllables))
    return sorted(names)


def project_releases(rng: random.Random, project: str, files: int) -> Iterator[Release]:
    """Yield releases of a project with *files* files in all, oldest first; the newest one is not yanked."""
    start = rng.randint(FIRST_UPLOAD, LAST_UPLOAD - 1)
    step = (LAST_UPLOAD - start) // files
    version = (0, 1, 0)
    made = 0
    while made < files:
        with_sdist = files - made > 1 and rng.random() < SDIST_SHARE
        suffix = f"rc{rng.randint(1, 3)}" if rng.random() < PRE_RELEASE_SHARE else ""
        spelled = ".".join(map(str, version)) + suffix
        release = make_release(rng, project, spelled, start + step * made, with_sdist=with_sdist)
        made += len(release.files)
        yanked = made < files and rng.random() < YANKED_SHARE
        yield release._replace(yanked=rng.choice(YANK_REASONS)) if yanked else release
        version = _next_version(rng, version)


def _next_version(rng: random.Random, version: tuple[int, int, int]) -> tuple[int, int, int]:
    major, minor, patch = version
    kind = rng.random()
    if kind < 0.03:
        return major + 1, 0, 0
    if kind < 0.3:
        return major, minor + 1, 0
    return major, minor, patch + 1


def make_release(rng: random.Random, project: str, version: str, upload: int, *, with_sdist: bool) -> Release:
    """Return a release of a wheel and, *with_sdist*, an sdist."""
    stem = f"{project.replace('-', '_')}-{version}"
    requires = rng.choice(REQUIRES_PYTHON)
    wheel = _file(rng, f"{stem}-py3-none-any.whl", upload, requires)
    wheel["core-metadata"] = {"sha256": rng.randbytes(32).hex()}
    sdists = [_file(rng, f"{stem}.tar.gz", upload + 7, requires)] if with_sdist else []
    return Release(project, version, [wheel, *sdists])


def _file(rng: random.Random, filename: str, upload: int, requires: str | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "filename": filename,
        "hashes": {"sha256": rng.randbytes(32).hex()},
        "size": int(rng.lognormvariate(11, 1.5)) + 1,
        "upload-time": datetime.fromtimestamp(upload, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if requires is not None:
        facts["requires-python"] = requires
    return facts


def _clean_environment() -> dict[str, str]:
    """Return the environment without Git's own variables and configuration: they would change the result."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, env=_clean_environment(), check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the repository to make; it must not exist")
    parser.add_argument("--projects", type=int, default=5_000)
    parser.add_argument("--files", type=int, default=100_000, help="files in the base commit")
    parser.add_argument("--commits", type=int, default=0, help="first-parent commits between base and head")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bare", action="store_true", help="without a work tree")
    options = parser.parse_args()
    out: Path = options.out.absolute()
    if out.exists():
        parser.error(f"{options.out} exists")
    started = time.perf_counter()
    size = {"projects": options.projects, "files": options.files, "commits": options.commits}
    counts = generate(out, **size, seed=options.seed, bare=options.bare)
    print(
        f"{counts.projects:,} projects, {counts.releases:,} releases ({counts.yanked:,} yanked), "
        f"{counts.files:,} files ({counts.largest:,} in the largest project); "
        f"{time.perf_counter() - started:.1f} s; head {_git(out, 'rev-parse', 'main')}"
    )


if __name__ == "__main__":
    main()
