"""The plan of a new index repository."""

from __future__ import annotations

from string import Template

from gitindex import layout
from gitindex.edits.plan import Plan
from gitindex.names import IndexName, UserName

_SETTINGS = Template("""\
# The settings of this index repository. Each key is explained by: gitindex schema
format = 1

[site]
url = "$url"  # where the rendered site is served
title = "$title"

[storage]
url = "files/"  # released files are kept in this repository

[groups]

[policy]
protected_branch = "$branch"

[names]
reserved = []  # names that are ours even before a release exists, such as "acme-*"
""")

_PRE_COMMIT = """\
# pre-commit install: refuses a commit that breaks a promise of an index.
repos:
  - repo: local
    hooks:
      - id: gitindex-validate
        name: gitindex validate
        entry: gitindex validate --staged
        language: system
        pass_filenames: false
        files: ^(indexes/|files/|gitindex\\.toml$)
"""

_ATTRIBUTES = """\
# Released files are bytes that a sha256 was taken of: nothing may convert them.
files/** -text -diff
indexes/** text eol=lf
gitindex.toml text eol=lf
"""

_README = Template("""\
# $title

A Python package index that lives in this Git repository, kept by [gitindex].

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
gitindex render --out site                             # the pages that pip and uv install from
```

[gitindex]: https://gitindex.example.org/
""")


def new_repository(user: UserName, *, email: str, branch: str, title: str, url: str) -> Plan:
    """Plan a repository with a mirror of PyPI and a first user, an admin, who has a dev and a prod index."""
    pypi, prod, dev = IndexName(UserName("root"), "pypi"), IndexName(user, "prod"), IndexName(user, "dev")
    person = (f'email = "{email}"\n' if email else "") + "admin = true\n"
    texts = {
        layout.SETTINGS: _SETTINGS.substitute(url=url, title=title, branch=branch),
        ".pre-commit-config.yaml": _PRE_COMMIT,
        ".gitattributes": _ATTRIBUTES,
        "README.md": _README.substitute(title=title, user=user),
        layout.user_path("root"): 'title = "Mirrors"\n',
        layout.index_path(pypi): 'type = "mirror"\ntitle = "PyPI"\n',
        layout.user_path(user): person,
        layout.index_path(prod): f'type = "stage"\ntitle = "Releases"\nvolatile = false\nbases = ["{pypi}"]\n',
        layout.index_path(dev): f'type = "stage"\ntitle = "Work in progress"\nvolatile = true\nbases = ["{prod}"]\n',
    }
    return Plan({path: text.encode() for path, text in texts.items()}, [f"Create an index repository for {user}"])
