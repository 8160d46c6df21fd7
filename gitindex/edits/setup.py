"""The plan of a new index repository."""

from __future__ import annotations

import json
import shlex
from string import Template

from gitindex import layout
from gitindex.edits.plan import Plan
from gitindex.names import IndexName, UserName

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
indexes/** text eol=lf
gitindex.toml text eol=lf
"""

_README = Template("""\
# $title

A Python package index that lives in this Git repository, kept by gitindex.

| index | what it is for |
|---|---|
| `$user/prod` | released packages; nothing in it is ever removed or changed |
| `$user/dev` | what is being worked on; shows `$user/prod` too |
| `root/pypi` | a mirror: PyPI, for everything that is not here |

```console
gitindex upload dist/* --index $user/dev --commit      # release to dev
gitindex push PROJECT==VERSION $user/dev $user/prod --commit   # promote to prod
gitindex list --index $user/prod
gitindex install --index $user/prod -- PROJECT         # pip install, no server needed
gitindex validate                                      # what a pull request is checked with
gitindex render --out ../site                          # the pages that pip and uv install from
```

`pre-commit install` has each commit and each push checked.
""")


def new_repository(user: UserName, *, email: str, branch: str, title: str, url: str) -> Plan:
    """Plan a repository with a mirror of PyPI and a first user, an admin, who has a dev and a prod index."""
    pypi, prod, dev = IndexName(UserName("root"), "pypi"), IndexName(user, "prod"), IndexName(user, "dev")
    # A JSON string is a TOML string where nothing in it is forbidden there; the settings are read before they are used.
    person = (f"email = {json.dumps(email)}\n" if email else "") + "admin = true\n"
    texts = {
        layout.SETTINGS: _SETTINGS.substitute(url=json.dumps(url), title=json.dumps(title), branch=json.dumps(branch)),
        PRE_COMMIT: pre_commit_config(""),
        ".gitattributes": _ATTRIBUTES,
        "README.md": _README.substitute(title=title, user=user),
        layout.user_path("root"): 'title = "Mirrors"\n',
        layout.index_path(pypi): 'type = "mirror"\ntitle = "PyPI"\n',
        layout.user_path(user): person,
        layout.index_path(prod): f'type = "stage"\ntitle = "Releases"\nvolatile = false\nbases = ["{pypi}"]\n',
        layout.index_path(dev): f'type = "stage"\ntitle = "Work in progress"\nvolatile = true\nbases = ["{prod}"]\n',
    }
    return Plan({path: text.encode() for path, text in texts.items()}, [f"Create an index repository for {user}"])
