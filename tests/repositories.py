"""Index repositories to test with: their content as values, in memory or in real Git repositories."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pygit2
import tomlkit

from gitindex import layout
from gitindex.git import Repository
from gitindex.names import IndexName, UserName, normalize
from gitindex.snapshot import Snapshot
from gitindex.tree import EMPTY, Overlay, leaf
from tests.builders import make_sdist, make_wheel, metadata

UPLOAD_TIME = "2026-11-22T07:25:00Z"
DEV, PROD, PYPI = (
    IndexName(UserName(user), name) for user, name in (("emilie", "dev"), ("emilie", "prod"), ("root", "pypi"))
)


def toml(values: Mapping[str, Any]) -> bytes:
    return tomlkit.dumps(values).encode()


class Content(dict[str, bytes]):
    """The files of an index repository, by path; the same calls give the same bytes."""

    def settings(self, **tables: Any) -> Content:
        self["gitindex.toml"] = toml({"format": 1, **tables})
        return self

    def user(self, name: str, **values: Any) -> Content:
        self[f"indexes/{name}/user.toml"] = toml(values)
        return self

    def stage(self, name: str, **values: Any) -> Content:
        self[f"indexes/{name}/index.toml"] = toml({"type": "stage", **values})
        return self

    def mirror(self, name: str, **values: Any) -> Content:
        self[f"indexes/{name}/index.toml"] = toml({"type": "mirror", **values})
        return self

    def statements(self, index: str, project: str, **values: Any) -> Content:
        self[f"indexes/{index}/{project}/project.toml"] = toml(values)
        return self

    def release(
        self,
        index: str,
        name: str,
        version: str,
        *,
        kind: str = "wheel",
        text: str = "",
        requires_python: str | None = None,
        extra: str = "",
        **facts: Any,
    ) -> str:
        """Release a sound wheel or sdist, whose bytes depend on *text*, and return its filename.

        *extra* is the end of its metadata: more fields (whole lines), an empty line, a description.
        *facts* are added to the manifest's entry as they are.
        """
        make = make_wheel if kind == "wheel" else make_sdist
        # The builders name the module as wheels do; a file more makes other bytes of the same name.
        members = (
            None if not text else {"pyproject.toml": b"", f"{normalize(name).replace('-', '_')}.py": text.encode()}
        )
        filename, data = make(name, version, requires_python=requires_python, metadata_extra=extra, files=members)
        sha256 = hashlib.sha256(data).hexdigest()
        entry: dict[str, Any] = {
            "filename": filename,
            "hashes": {"sha256": sha256},
            "size": len(data),
            "upload-time": UPLOAD_TIME,
        }
        if requires_python is not None:
            entry["requires-python"] = requires_python
        if kind == "wheel":
            core = metadata(name, version, requires_python, extra)
            entry["core-metadata"] = {"sha256": hashlib.sha256(core).hexdigest()}
            self[layout.stored_path(sha256, filename) + ".metadata"] = core
        self[layout.stored_path(sha256, filename)] = data
        self.add_file(index, name, version, entry | facts)
        return filename

    def add_file(self, index: str, name: str, version: str, entry: Mapping[str, Any]) -> None:
        """Put a file into the manifest of a release, as it is."""
        path = f"indexes/{index}/{normalize(name)}/{version}.json"
        manifest = json.loads(self.get(path, b'{"files": []}'))
        files = [*manifest["files"], dict(entry)]
        self[path] = (json.dumps({"name": name, "version": version, "files": files}, indent=2) + "\n").encode()

    def entry(self, index: str, name: str, version: str, place: int = 0) -> dict[str, Any]:
        """Return the entry of a file in its manifest."""
        found: dict[str, Any] = json.loads(self[f"indexes/{index}/{normalize(name)}/{version}.json"])["files"][place]
        return found

    def stored(self, index: str, name: str, version: str, place: int = 0) -> str:
        """Return the path of a stored file."""
        entry = self.entry(index, name, version, place)
        return layout.stored_path(entry["hashes"]["sha256"], entry["filename"])

    def snapshot(self) -> Snapshot:
        """Return the content as a snapshot in memory."""
        return Snapshot(Overlay(EMPTY, {path: leaf(data) for path, data in self.items()}), None)


def small_content(**settings: Any) -> Content:
    """Return what `gitindex init` would make: a mirror, a non-volatile prod and a volatile dev above it."""
    content = Content().settings(**settings)
    content.user("root").mirror("root/pypi")
    content.user("emilie", email="emilie@example.org", admin=True)
    content.stage("emilie/prod", volatile=False, bases=["root/pypi"])
    return content.stage("emilie/dev", volatile=True, bases=["emilie/prod"])


class IndexRepository:
    """A real Git repository with a working tree; *folder* of it is the index repository."""

    def __init__(self, path: Path, folder: str = "") -> None:
        self.path = path
        self.folder = folder
        self.root = path / folder

    def git(self, *arguments: str, env: Mapping[str, str] | None = None, data: bytes | None = None) -> str:
        """Run git there, and return what it prints; what it cannot do fails the test."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=data,
            capture_output=True,
            check=False,
            env={**os.environ, **(env or {})},
        )
        assert done.returncode == 0, (arguments, done.stderr.decode())
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, path: str, data: bytes | str) -> Path:
        """Write a file of the index repository."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        return target

    def put(self, content: Mapping[str, bytes]) -> None:
        """Write all files of *content*."""
        for path, data in content.items():
            self.write(path, data)

    def commit(self, message: str = "Change") -> str:
        """Commit everything that is there, and return the commit's id."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def open(self) -> Repository:
        return Repository.open(self.root)

    def publish(self) -> None:
        """Say that what is committed is what the protected branch of the remote has."""
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")


def make_repository(path: Path, content: Mapping[str, bytes] | None = None, *, folder: str = "") -> IndexRepository:
    """Make a repository with *content* committed (nothing, and no commit, without)."""
    path.mkdir(parents=True, exist_ok=True)
    repository = IndexRepository(path, folder)
    git = pygit2.init_repository(str(path), initial_head="main")
    if folder:
        (path / "elsewhere.txt").write_text("not part of the index repository\n")
    if content is not None:
        repository.put(content)
        _commit_all(git, [f"{folder}/{name}" if folder else name for name in content])
    return repository


def _commit_all(git: pygit2.Repository, paths: Iterable[str]) -> None:
    """Commit what is there, and *paths* although it be ignored, in this process: most tests begin with it."""
    git.index.add_all()
    for path in paths:
        with contextlib.suppress(UnicodeEncodeError):  # libgit2 takes names that are UTF-8; nothing ignores the others
            if git.path_is_ignored(path):
                git.index.add(path)
    git.index.write()
    name, email = (
        str(os.environ.get(f"GIT_COMMITTER_{what.upper()}") or git.config[f"user.{what}"]) for what in ("name", "email")
    )
    signature = pygit2.Signature(name, email)
    git.create_commit("HEAD", signature, signature, "Start\n", git.index.write_tree(), [])


def bare_clone(repository: IndexRepository, path: Path) -> Path:
    """Clone into a bare repository, and return its path."""
    repository.git("clone", "--quiet", "--bare", str(repository.path), str(path))
    return path


def files_below(folder: Path, *, but: str = ".git") -> dict[str, bytes]:
    """Return path and content of every file below *folder* (of a link: where it leads), to compare before and after."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] == but:
            continue
        if path.is_symlink():
            found[str(relative)] = b"-> " + os.fsencode(path.readlink())
        elif path.is_file():
            found[str(relative)] = path.read_bytes()
        else:
            found[str(relative)] = b"folder"
    return found
