"""What a forge is given in a new index repository: workflows, CODEOWNERS, a form for pull requests; and the host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from gitindex import __version__
from gitindex.codeowners import Forge, block, codeowners
from gitindex.edits.workflows import WORKFLOWS, caller, for_gitea, for_gitlab, whole
from gitindex.errors import UsageError
from gitindex.snapshot import Snapshot

REQUIREMENT = f"gitindex=={__version__}"
NONE = "none"
_PAGES = {Forge.GITHUB: "github-pages", Forge.GITLAB: "gitlab-pages"}
_REQUIRED = re.compile(r"[A-Za-z0-9](?:[ -#%-~]*[!-#%-~])?", re.ASCII)
"""No option of pip, one line, and no ``$``, which a forge would read."""
_NAMES = {Forge.GITHUB: "GitHub", Forge.GITLAB: "GitLab", Forge.GITEA: "Gitea"}
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+@[0-9a-f]{40}")
_STORE = "--publish-to s3://BUCKET (or gs://, az://)"
_TEMPLATES = {
    Forge.GITHUB: ".github/pull_request_template.md",
    Forge.GITLAB: ".gitlab/merge_request_templates/Default.md",
    Forge.GITEA: ".gitea/pull_request_template.md",
}
_FORM = """\
<!-- The checks say what this changes for pip and uv, and refuse what would break a promise of an index. -->

What is released, promoted or yanked, and why:

- [ ] It was made by a command of `gitindex`, or `gitindex validate` has nothing to say.
- [ ] A release is what its tag was built from, and its tests passed.
"""


class Publishing(NamedTuple):
    """Where workflows publish to; nowhere, where both are empty."""

    host: str = ""
    to: str = ""
    """The URL of an object store."""


def publishing(forge: Forge | None, host: str | None, to: str) -> Publishing:
    """Return where the workflows of a forge publish to: the *host* or the object store that is asked for, or its Pages.

    Raises:
        UsageError: its workflows cannot publish there; it says what they can.

    """
    if forge is None:
        if to or host not in (None, NONE):
            help_ = "take one with --forge, or render for a host yourself: gitindex render --host NAME --out DIR"
            raise UsageError("without a forge there is no workflow that publishes", help=help_)
        return Publishing()
    if to.startswith("file:"):
        raise UsageError("no workflow reaches a folder of this machine", help=f"take {_STORE}")
    pages, name = _PAGES.get(forge), _NAMES[forge]
    store = _STORE if forge is not Forge.GITLAB else ""
    if to and not store:
        raise UsageError(
            f"{name}'s pipeline publishes to no object store", help=f"take --host {pages}, or --host {NONE}"
        )
    if to and host not in (None, NONE):
        raise UsageError("--host and --publish-to exclude each other", help="one site is published to one place")
    if to or host == NONE:
        return Publishing(to=to)
    if host in (None, pages):
        return Publishing(host=pages or "")
    able = " or ".join(filter(None, (pages and f"--host {pages}", store)))
    raise UsageError(
        f"{name}'s workflows cannot publish to {host}",
        help=f"take {able}; or --host {NONE}, and render for it yourself: gitindex render --host {host} --out DIR",
    )


def check_source(source: str, forge: Forge | None) -> None:
    """Refuse what cannot be called: a *source* of workflows that is no commit of a repository at GitHub.

    Raises:
        UsageError: it is none.

    """
    if not _SOURCE.fullmatch(source):
        help_ = "write it as OWNER/NAME@ and a whole commit id, 40 hexadecimal digits in lower case"
        raise UsageError(f"{source!r} is no repository of workflows at a commit", help=help_)
    if forge is not Forge.GITHUB:
        raise UsageError(
            "only GitHub's workflows can call others", help="leave --workflows out: they are written whole"
        )


def check_requirement(requirement: str) -> None:
    """Refuse what pip would not take for something to install.

    Raises:
        UsageError: it is none.

    """
    if not _REQUIRED.fullmatch(requirement):
        raise UsageError(
            f"{requirement!r} is nothing that pip installs",
            help=f"write it as {REQUIREMENT}, or as git+https://HOST/PATH@REVISION; nothing was written",
        )


def forge_files(
    snapshot: Snapshot,
    forge: Forge,
    published: Publishing,
    *,
    branch: str,
    source: str = "",
    folder: str = "",
    requirement: str = REQUIREMENT,
) -> Mapping[str, bytes]:
    """Return what a forge is given, by path from the top of the Git repository.

    *source* is where workflows are called; empty: they are written whole. *folder* is the index repository's, and pip
    installs gitindex by *requirement*.
    """
    owners = block(codeowners(snapshot, forge, folder), forge)
    match forge:
        case Forge.GITHUB:
            found = _github(published, branch, source, folder, requirement)
        case Forge.GITLAB:
            has_pages = bool(published.host)
            found = {".gitlab-ci.yml": for_gitlab(requirement=requirement, folder=folder, pages=has_pages)}
        case Forge.GITEA:
            text = for_gitea(branch=branch, requirement=requirement, folder=folder, to=published.to)
            found = {".gitea/workflows/index.yml": text}
    texts = {**found, forge.path: owners, _TEMPLATES[forge]: _FORM}
    return {path: text.encode() for path, text in texts.items()}


def places_of(path: str) -> tuple[str, ...]:
    """Return where else a forge looks for what *path* is, itself first.

    The first that it finds is the one that counts: a second would put it out of force, or never be read.
    """
    folder, _, name = path.rpartition("/")
    if name == "CODEOWNERS":
        return (path, name, f"docs/{name}")
    if name == "pull_request_template.md":
        names = (name, "PULL_REQUEST_TEMPLATE.md", "PULL_REQUEST_TEMPLATE")
        return tuple(f"{place}{name}" for name in names for place in (f"{folder}/", "", "docs/"))
    return (path,)


def _github(published: Publishing, branch: str, source: str, folder: str, requirement: str) -> dict[str, str]:
    parts = frozenset({"store"} if published.to else {"pages"})
    values = {key: value for key, value in (("folder", folder), ("to", published.to)) if value}
    texts = {}
    for name, workflow in WORKFLOWS.items():
        if not workflow.on or (name == "publish-index" and not any(published)):
            continue
        texts[f".github/workflows/{name}.yml"] = (
            caller(name, source, branch=branch, requirement=requirement, **values)
            if source
            else whole(name, branch=branch, chosen=parts, requirement=requirement, **values)
        )
    return texts
