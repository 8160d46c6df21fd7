"""The plan of a new index repository."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from string import Template
from typing import NamedTuple

from gitindex import layout
from gitindex.atomic import TEMPORARY_PREFIX
from gitindex.codeowners import Forge
from gitindex.edits.editors import editor_files, schema_files
from gitindex.edits.forges import REQUIREMENT, Publishing, forge_files
from gitindex.edits.plan import Plan
from gitindex.edits.readme import readme
from gitindex.names import IndexName, UserName
from gitindex.snapshot import Snapshot
from gitindex.tree import EMPTY, Overlay

_SETTINGS = Template("""\
# The settings of this index repository. Each key is explained by: gitindex schema
format = 1

[site]
url = $url  # where the rendered site is served
title = $title

[storage]
url = "files/"  # released files are kept in this repository

[groups]

[policy]
protected_branch = $branch

[forge]
$forge
[names]
reserved = []  # names that are ours even before a release exists, such as "acme-*"
""")

_HOOK = Template("""\
# pre-commit install: refuses a commit, a merge or a push that breaks a promise of an index.
default_install_hook_types: [pre-commit, pre-merge-commit, pre-push]
repos:
  - repo: local
    hooks:
      # always_run, and no filter on files: deleted files are in no list that pre-commit makes.
      - id: gitindex-validate
        name: gitindex validate
        entry: ${staged}
        language: system
        stages: [pre-commit, pre-merge-commit]
        pass_filenames: false
        always_run: true
      - id: gitindex-validate-push
        name: gitindex validate (push)
        entry: ${pushed}
        language: system
        stages: [pre-push]
        pass_filenames: false
        always_run: true
""")

PRE_COMMIT = ".pre-commit-config.yaml"


def pre_commit_config(folder: str) -> str:
    """Return the configuration of pre-commit for an index repository in *folder* of a Git repository, or at its top."""
    option = f"-C {shlex.quote(folder)} " if folder else ""
    entries = {name: f"gitindex {option}validate --{name}" for name in ("staged", "pushed")}
    # A JSON string is a YAML string, whatever the name of the folder has in it.
    return _HOOK.substitute({name: json.dumps(entry) if folder else entry for name, entry in entries.items()})


_ATTRIBUTES = """\
# Released files are bytes that a sha256 was taken of: nothing may convert them.
files/** -text -diff
"""
_LFS = """\
# Released files are kept by Git LFS. What says things about them stays in Git, where the rules read it.
files/** filter=lfs diff=lfs merge=lfs -text
files/**/*.metadata -filter -diff -merge -text
files/**/*.provenance -filter -diff -merge -text
"""
_DOCUMENTS = """\
indexes/** text eol=lf
gitindex.toml text eol=lf
"""

_IGNORED = f"""\
# What a killed gitindex leaves half written; the next one that writes beside it removes it.
{TEMPORARY_PREFIX}*
"""


class Wanted(NamedTuple):
    """What is asked of a new repository."""

    user: UserName
    """The first user, an admin."""
    email: str
    branch: str
    title: str
    url: str
    """Where the site will be served; empty: not known."""
    forge: Forge | None
    published: Publishing
    login: str = ""
    """The user's login at the forge."""
    workflows: str = ""
    """Where workflows are called; empty: they are written whole."""
    lfs: bool = False
    folder: str = ""
    """The index repository's folder in the Git repository."""
    requirement: str = REQUIREMENT
    """What pip installs gitindex by, in workflows and for people."""


README = "README.md"
"""What tells people about the repository."""
ABOUT = "PACKAGES.md"
"""Where that is written if there is a README already."""


def new_repository(wanted: Wanted) -> tuple[Plan, Mapping[str, bytes]]:
    """Plan a repository with a mirror of PyPI and a first user who has a dev and a prod index.

    The second is what tools look for at the top of the Git repository alone, by path from there.
    """
    user, forge = wanted.user, wanted.forge
    pypi, prod, dev = IndexName(UserName("root"), "pypi"), IndexName(user, "prod"), IndexName(user, "dev")
    # A JSON string is a TOML string where nothing in it is forbidden there; the settings are read before they are used.
    url, title, branch = map(json.dumps, (wanted.url, wanted.title, wanted.branch))
    kind = "" if forge is None else f'type = "{forge}"  # where pull requests are opened\n'
    person = f"email = {json.dumps(wanted.email)}\n" if wanted.email else ""
    if wanted.login:
        person += f"identities = [{json.dumps(f'{forge}:{wanted.login}')}]\n"
    about = readme(
        wanted.title,
        user,
        wanted.url,
        forge,
        wanted.published,
        branch=wanted.branch,
        login=wanted.login,
        called=bool(wanted.workflows),
        lfs=wanted.lfs,
        requirement=wanted.requirement,
    )
    texts = {
        layout.SETTINGS: _SETTINGS.substitute(url=url, title=title, branch=branch, forge=kind),
        ".gitattributes": (_LFS if wanted.lfs else _ATTRIBUTES) + _DOCUMENTS,
        README: about,
        layout.user_path("root"): 'title = "Mirrors"\n',
        layout.index_path(pypi): 'type = "mirror"\ntitle = "PyPI"\n',
        layout.user_path(user): f"{person}admin = true\n",
        layout.index_path(prod): f'type = "stage"\ntitle = "Releases"\nvolatile = false\nbases = ["{pypi}"]\n',
        layout.index_path(dev): f'type = "stage"\ntitle = "Work in progress"\nvolatile = true\nbases = ["{prod}"]\n',
    }
    plan = Plan({path: text.encode() for path, text in texts.items()}, [f"Create an index repository for {user}"])
    plan.changes |= schema_files()
    beside = {
        PRE_COMMIT: pre_commit_config(wanted.folder).encode(),
        ".gitignore": _IGNORED.encode(),
        **editor_files(wanted.folder),
    }
    if forge is not None:
        made = Snapshot(Overlay(EMPTY, plan.leaves()), None)
        source, folder = wanted.workflows, wanted.folder
        beside |= forge_files(
            made,
            forge,
            wanted.published,
            branch=wanted.branch,
            source=source,
            folder=folder,
            requirement=wanted.requirement,
        )
    return plan, beside
