"""Published index repositories with a guard at a door: hooks of pre-commit, prek or Git where commits are made, and a
pre-receive hook where pushes come in.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.peers.tools import Done, Tools, done
from tests.repositories import UPLOAD_TIME, Content, IndexRepository, make_repository, small_content

ROOT = Path(__file__).parent.parent.parent
MANIFEST = "indexes/emilie/prod/table-print/1.0.json"
RAW_HOOKS = {
    "pre-commit": "exec gitindex validate --staged",
    "pre-merge-commit": "exec gitindex validate --staged",
    "pre-push": "exec gitindex validate --pushed",
}


def released_content() -> Content:
    """Return a repository with one release on a non-volatile index."""
    content = small_content()
    content.release("emilie/prod", "table-print", "1.0")
    return content


class Clone(NamedTuple):
    """A working clone, and the bare repository that it is pushed to."""

    tools: Tools
    repository: IndexRepository
    upstream: Path

    def git(self, *words: str | Path) -> str:
        """Run git in the clone; it must succeed."""
        return done(self.attempt(*words)).strip()

    def attempt(self, *words: str | Path) -> Done:
        """Run git in the clone; whether it succeeds is the caller's to see."""
        return self.tools.run("git", "-C", self.repository.path, *words)

    def commit(self, message: str = "Change", *words: str) -> Done:
        """Try to commit everything that is there."""
        self.git("add", "--all", "--force")
        return self.attempt("commit", "--quiet", "--message", message, *words)

    def release(self, version: str, *, project: str = "table-print", index: str = "emilie/prod") -> str:
        """Write a new release into the working tree, and return the path of its manifest."""
        content = Content()
        content.release(index, project, version)
        self.repository.put(content)
        return f"indexes/{index}/{project}/{version}.json"

    def break_promise(self) -> None:
        """Change a fact of a released file in the working tree."""
        manifest = self.repository.root / MANIFEST
        manifest.write_text(manifest.read_text().replace(UPLOAD_TIME, "2026-11-23T00:00:00Z"))

    def without_hooks(self, message: str = "Past the hooks") -> str:
        """Commit everything that is there past the hooks, and return the commit's id."""
        done(self.commit(message, "--no-verify", "--allow-empty"))
        return self.head()

    def head(self, revision: str = "HEAD") -> str:
        return self.git("rev-parse", revision)

    def tip(self, reference: str = "refs/heads/main") -> str:
        """Return what a reference of the bare repository leads to, empty where there is none."""
        listed = done(self.tools.run("git", "-C", self.upstream, "for-each-ref", "--format=%(objectname)", reference))
        return listed.strip()


def publish(tools: Tools, folder: Path, content: Mapping[str, bytes], *, subfolder: str = "") -> Clone:
    """Make a repository with *content*, push it to a bare one beside it, and return the clone."""
    repository = make_repository(folder / "packages", content, folder=subfolder)
    upstream = folder / "upstream.git"
    done(tools.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", upstream))
    clone = Clone(tools, repository, upstream)
    clone.git("remote", "add", "origin", "../upstream.git")
    clone.git("push", "--quiet", "origin", "main")
    return clone


def copy(clone: Clone, tools: Tools, folder: Path) -> Clone:
    """Copy a clone and its bare repository, for a test to work in."""
    for path in (clone.repository.path, clone.upstream):
        shutil.copytree(path, folder / path.name, symlinks=True)
    repository = IndexRepository(folder / clone.repository.path.name, clone.repository.folder)
    return Clone(tools, repository, folder / clone.upstream.name)


def write_hook(directory: Path, name: str, command: str) -> None:
    """Write a hook of Git; *directory* is the repository's own."""
    hook = directory / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{command}\n")
    hook.chmod(0o755)
