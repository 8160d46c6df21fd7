"""The README of a new index repository: a team's own lines, how a change gets in, and what is left to click."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from string import Template
from types import MappingProxyType

from gitindex.codeowners import Forge
from gitindex.edits.forges import Publishing
from gitindex.names import IndexName, UserName
from gitindex.snippets import Snippet, for_index

SERVED = "http://127.0.0.1:3141/"
"""Where `gitindex serve` is by default."""

_README = Template("""\
# $title

A Python package index that lives in this Git repository, kept by gitindex.

| index | what it is for |
|---|---|
| `$prod` | released packages; nothing in it is ever removed or changed |
| `$dev` | what is being worked on; shows `$prod` too |
| `$pypi` | a mirror: PyPI, for everything that is not here |

## Install from it

$where

$lines

Name one index, and none beside it: a second one is how names get confused. $behind
In a clone, `gitindex install --index $prod -- PROJECT` is pip without any server.$lfs

## Release, promote, yank

`gitindex` is a Python program: `pip install $requirement` puts it into a virtual environment.

```console
# release to dev
gitindex upload dist/* --index $dev $how
# promote to prod: the same bytes
gitindex push PROJECT==VERSION $dev $prod $how
# advise against a release, and leave it where it is
gitindex yank PROJECT==VERSION --index $prod --reason "why" $how
```

$told

## What is checked

`pre-commit install` has each commit and each push checked on your machine (`pip install pre-commit` brings that
program); `gitindex validate` does it at once.
$checks""")
_PULL = Template("""\
`--pr` puts the change on a branch, pushes it and opens the $request; `--commit` commits it here instead.
Whoever is in the ACL of the index may release to it; CODEOWNERS asks them to review.""")
_WHO = Template("""\
Say who you are there, so that the checks know you: `gitindex user modify $user identities+=$forge:LOGIN`, then
   `gitindex codeowners --forge $forge`; commit and push both before the branch is protected.""")
_LFS = """

The files are in Git LFS: install `git-lfs`, and run `git lfs install` once on your machine, before you clone."""
_COMMIT = "`--commit` commits the change here; push it as any other commit."
_REQUESTS = {Forge.GITHUB: "pull request", Forge.GITLAB: "merge request", Forge.GITEA: "pull request"}
_CHECKS = {
    Forge.GITHUB: """\

| workflow | when | what it does |
|---|---|---|
| Validate | pull request | refuses what would break a promise of an index, or is not its author's to change |
| Preview, Comment | pull request | says what pip and uv will see change, and renders that site |
| Automerge | after Validate | merges what only adds releases, by somebody in the ACL; off until it is switched on |
$publish\
| Verify | each night | reads every file and asks the upstreams; what is wrong is in one issue |
""",
    Forge.GITLAB: """\

| job | when | what it does |
|---|---|---|
| validate | merge request | refuses what would break a promise of an index, or is not its author's to change |
| preview | merge request | says what pip and uv will see change, and renders that site |
$publish\
| verify | by a schedule | reads every file and asks the upstreams |
""",
    Forge.GITEA: """\

| job | when | what it does |
|---|---|---|
| Validate | pull request | refuses what would break a promise of an index, or is not its author's to change |
$publish\
| Verify | each night | reads every file and asks the upstreams |
""",
}
_PUBLISHES = {Forge.GITHUB: "Publish", Forge.GITLAB: "pages", Forge.GITEA: "Publish"}


def readme(
    title: str,
    user: UserName,
    url: str,
    forge: Forge | None,
    published: Publishing,
    *,
    branch: str,
    login: str,
    called: bool,
    lfs: bool,
    requirement: str,
) -> str:
    """Return the README; *url* is the site's, empty where it is not known, and *called*: workflows are called."""
    pypi, prod, dev = IndexName(UserName("root"), "pypi"), IndexName(user, "prod"), IndexName(user, "dev")
    site = url.rstrip("/") + "/" if url else SERVED
    where = (
        f"The site is {site}."
        if url
        else f"Where the site will be is not known yet: these lines are for `gitindex serve`, which is at {SERVED}."
    )
    text = _README.substitute(
        title=" ".join(title.split()),
        pypi=pypi,
        prod=prod,
        dev=dev,
        where=where,
        behind=_behind(published),
        requirement=shlex.quote(requirement),
        lfs=_LFS if lfs else "",
        lines="\n\n".join(_lines(site, prod, dev)),
        how="--commit" if forge is None else "--pr",
        told=_COMMIT if forge is None else _PULL.substitute(request=_REQUESTS[forge]),
        checks="" if forge is None else Template(_CHECKS[forge]).substitute(publish=_row(forge, published, branch)),
    )
    if forge is None:
        return text
    steps = [] if login else [_WHO.substitute(user=user, forge=forge)]
    steps += _steps(forge, published, branch, called)
    listed = "".join(f"{number}. {step}\n" for number, step in enumerate(steps, 1))
    return f"{text}\n## Once, in the settings of the repository\n\n{listed}"


def _behind(published: Publishing) -> str:
    """Return a sentence on what of PyPI there is behind an index."""
    if published.to:
        return "With `gitindex serve`, PyPI stands behind it;\nan object store has what is ours."
    if published.host:
        lock = "`gitindex mirror lock root/pypi --from pylock.toml`"
        return (
            "With `gitindex serve`, PyPI stands behind it;\n"
            f"on Pages it is what the mirror's `allow` names, and {lock} writes that list."
        )
    return "PyPI stands behind it already."


def _lines(site: str, prod: IndexName, dev: IndexName) -> Iterator[str]:
    for index, of in ((prod, "What is released"), (dev, "What is being worked on too")):
        yield f"{of}, from `{index}`:"
        for snippet in for_index(f"{site}{index}/simple/", index):
            if snippet.tool in ("pip", "uv") and snippet.language != "sh":
                yield _block(snippet)


def _block(snippet: Snippet) -> str:
    return f"```{snippet.language}\n# {snippet.title}, for {snippet.tool}\n{snippet.text}\n```"


def _row(forge: Forge, published: Publishing, branch: str) -> str:
    if not any(published) and forge is not Forge.GITEA:
        return ""
    place = published.to or {"github-pages": "GitHub Pages", "gitlab-pages": "GitLab Pages"}.get(published.host)
    what = f"to {place}" if place else "to an object store, once there is one"
    return f"| {_PUBLISHES[forge]} | push to `{branch}` | proves that each promise was kept, and publishes {what} |\n"


def _steps(forge: Forge, published: Publishing, branch: str, called: bool) -> Iterator[str]:  # noqa: FBT001
    match forge:
        case Forge.GITHUB:
            check = "validate / Validate" if called else "Validate"
            yield (
                f"*Rules → Rulesets*: protect `{branch}`: require a pull request, a review from code owners, "
                f"and the status check `{check}`."
            )
            if published.host:
                yield "*Pages*: Source: **GitHub Actions**."
            if published.to:
                yield (
                    "*Environments*: make `gitindex`, for the branch alone, and give it the variables of your cloud: "
                    f"{_CLOUDS[published.to.partition(':')[0]]}."
                )
            yield "*Actions → Variables*, if you want it: `GITINDEX_AUTOMERGE` = `true`."
        case Forge.GITLAB:
            yield f"*Repository → Protected branches*: `{branch}`: nobody may push, and code owners approve (Premium)."
            yield "*Merge requests*: **Pipelines must succeed**."
            yield "*Build → Pipeline schedules*: one each night, for `verify`."
        case Forge.GITEA:
            yield (
                f"*Branches*: protect `{branch}`: no direct pushes, and require the status check "
                "`Index / Validate (pull_request)`."
            )
            target = "" if published.to else "`GITINDEX_TARGET` (such as `s3://packages`), "
            yield (
                f"*Actions → Variables*: {target}`GITINDEX_ACCESS_KEY_ID` and `GITINDEX_ENDPOINT_URL`; "
                "*Secrets*: `GITINDEX_SECRET_ACCESS_KEY`. Then the site is published there."
            )


_CLOUDS: Mapping[str, str] = MappingProxyType(
    {
        "s3": "`GITINDEX_AWS_ROLE` and `GITINDEX_AWS_REGION`",
        "gs": "`GITINDEX_GOOGLE_PROVIDER` and `GITINDEX_GOOGLE_ACCOUNT`",
        "az": "`GITINDEX_AZURE_CLIENT`, `GITINDEX_AZURE_TENANT` and `GITINDEX_AZURE_SUBSCRIPTION`",
    }
)
"""What a workflow is told to be let in without a secret, by the scheme of the target."""
