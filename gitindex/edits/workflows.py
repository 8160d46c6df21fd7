"""The workflows of GitHub Actions: written out whole for an index repository, or made to be called by others.

Both are made of the same text (`data/workflows`), so what is called is what `gitindex init` writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

ACTIONS = {
    "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    "actions/create-github-app-token": "1b10c78c7865c340bc4f6099eb2f838309f1e8c3 # v3.1.1",
    "actions/deploy-pages": "cd2ce8fcbc39b97be8ca5fce6e763baed58fa128 # v5.0.0",
    "actions/download-artifact": "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1",
    "actions/setup-python": "5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0",
    "actions/upload-artifact": "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
    "actions/upload-pages-artifact": "fc324d3547104276b827a68afc52ff2a11cc49c9 # v5.0.0",
    "aws-actions/configure-aws-credentials": "e6de054238d6b7531b4efff3b6587d9aade6a06c # v6.2.3",
    "Azure/login": "f5d393ae46f8fde4be8b75f32e3fc50e654ad0ca # v3.0.1",
    "github/codeql-action/upload-sarif": "8aad20d150bbac5944a9f9d289da16a4b0d87c1e # v4.36.2",
    "google-github-actions/auth": "7c6bc770dae815cd3e89ee6cdf493a5fab2cc093 # v3.0.0",
}
"""The actions of others that are used, each at a commit."""


class Input(NamedTuple):
    """What a workflow that is called wants to be told."""

    description: str
    default: str | bool | None = ""
    """``None`` where it has to be given."""


REQUIREMENT = Input("What pip installs gitindex by, such as gitindex==0.1.0.", "gitindex")
FOLDER = Input("The folder of the index repository in the Git repository, where it is not its top.")
_PULLS = "  pull_request:\n"
_AFTER = """\
  # zizmor: ignore[dangerous-triggers] what the pull request has is read as data, and nothing of it is run
  workflow_run:
    workflows: [{}]
    types: [completed]
"""


class Workflow(NamedTuple):
    """A workflow of an index repository, or of the repository of a package."""

    title: str
    on: str
    """When it runs in an index repository; empty for one that is only called. ``$branch`` is the protected one."""
    rights: Mapping[str, str]
    """What its jobs need together, and a caller has to grant."""
    inputs: Mapping[str, Input]
    secrets: tuple[str, ...] = ()


_COMMON = {"requirement": REQUIREMENT, "folder": FOLDER}
_READ = {"contents": "read"}
WORKFLOWS: Mapping[str, Workflow] = MappingProxyType(
    {
        "validate-index": Workflow(
            "Validate",
            # The verdict is on a commit, and counts wherever that is to be merged: so no other branch, which may give
            # other rights, is asked. What changes its target is judged when it is pushed to, or opened anew.
            f"{_PULLS}    branches: [$branch]\n  merge_group:\n",
            {**_READ, "security-events": "write"},
            {**_COMMON, "sarif": Input("Whether findings are shown as code scanning alerts too.", default=False)},
        ),
        "preview-index": Workflow("Preview", _PULLS, _READ, _COMMON),
        "comment-index": Workflow(
            "Comment",
            _AFTER.format("Preview"),
            {**_READ, "pull-requests": "write"},
            _COMMON,
        ),
        "publish-index": Workflow(
            "Publish",
            "  push:\n    branches: [$branch]\n  workflow_dispatch:\n",
            {**_READ, "pages": "write", "id-token": "write"},
            {**_COMMON, "to": Input("The object store to publish to, such as s3://packages; empty: Pages.")},
        ),
        "verify-index": Workflow(
            "Verify",
            '  schedule:\n    - cron: "17 3 * * *"\n  workflow_dispatch:\n',
            {**_READ, "issues": "write"},
            _COMMON,
        ),
        "automerge-index": Workflow(
            "Automerge", _AFTER.format("Validate"), {"contents": "write", "pull-requests": "write"}, _COMMON
        ),
        "release": Workflow(
            "Release",
            "",
            {**_READ, "id-token": "write"},
            {
                **_COMMON,
                "repository": Input("The name of the index repository, of the same owner.", default=None),
                "index": Input("The index that is released to, such as emilie/dev.", default=None),
            },
            ("GITINDEX_APP_KEY",),
        ),
    }
)


def reusable(name: str) -> str:
    """Return a workflow that others call, with what it wants to be told."""
    workflow = WORKFLOWS[name]
    slots = {key: f"${{{{ inputs.{key} }}}}" for key in workflow.inputs}
    slots |= {"sarif": "inputs.sarif", "pages": "inputs.to == ''", "store": "inputs.to != ''"}
    return _filled(name, "on:\n  workflow_call:\n" + "".join(_declared(workflow)), slots)


def whole(name: str, *, branch: str, chosen: frozenset[str] = frozenset(), **values: str) -> str:
    """Return a workflow as it stands in an index repository.

    *branch* is the protected one. *chosen* are the parts that not everybody wants (``sarif``, ``pages``, ``store``),
    and *values* what a caller would tell.
    """
    workflow = WORKFLOWS[name]
    slots = {
        key: json.dumps(values.get(key, wanted.default), ensure_ascii=False)
        for key, wanted in workflow.inputs.items()
        if isinstance(wanted.default, str)
    }
    text = _chosen(name, chosen)
    # What is chosen needs no condition any more.
    text = re.sub(r"^ *if: <<\w+>>\n|<<(?:sarif|pages|store)>> && ", "", text, flags=re.MULTILINE)
    on = workflow.on.replace("$branch", json.dumps(branch, ensure_ascii=False))
    return _put(text, f"on:\n{on}", slots)


def for_gitlab(*, requirement: str, folder: str = "", pages: bool = True) -> str:
    """Return the pipelines of an index repository at GitLab; *pages*: it publishes to Pages."""
    return _put(
        _chosen("gitlab-ci", frozenset({"pages"} if pages else ())), "", _quoted(requirement=requirement, folder=folder)
    )


def for_gitea(*, branch: str, requirement: str, folder: str = "", to: str = "") -> str:
    """Return the workflow of an index repository at Gitea or Forgejo; *branch* is the protected one.

    *to* is the object store that it publishes to; empty: the one that a variable of the repository names, if any does.
    """
    text = _text("gitea")
    if to:
        text = text.replace("        if: vars.GITINDEX_TARGET != ''\n", "").replace(
            "${{ vars.GITINDEX_TARGET }}", "<<to>>"
        )
    return _put(text, "", _quoted(branch=branch, requirement=requirement, folder=folder, to=to))


def caller(name: str, source: str, *, branch: str, **values: str | bool) -> str:
    """Return the few lines that call a workflow of *source*: ``owner/name@commit``, of gitindex's own repository."""
    workflow = WORKFLOWS[name]
    repository, _, revision = source.partition("@")
    on = workflow.on.replace("$branch", json.dumps(branch, ensure_ascii=False))
    rights = "".join(f"      {right}: {level} # what its jobs take\n" for right, level in workflow.rights.items())
    # Of what started it anybody may be the author: no cache may be reached by what is called.
    caches = "    cache-mode: none\n" if "workflow_run:" in workflow.on else ""
    told = {key: value for key, value in values.items() if key in workflow.inputs}
    given = "".join(f"      {key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in told.items())
    return (
        f"name: {workflow.title}\non:\n{on}\npermissions: {{}}\n\njobs:\n  {name.partition('-')[0]}:\n"
        f"    permissions:\n{rights}{caches}"
        f"    uses: {repository}/.github/workflows/{name}.yml@{revision}\n" + (f"    with:\n{given}" if given else "")
    )


def _quoted(**values: str) -> dict[str, str]:
    # A JSON string is a YAML string, whatever it has in it.
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def _declared(workflow: Workflow) -> list[str]:
    lines = ["    inputs:\n"]
    for key, wanted in workflow.inputs.items():
        lines.append(f"      {key}:\n        description: {json.dumps(wanted.description)}\n")
        kind = "boolean" if isinstance(wanted.default, bool) else "string"
        demand = "required: true" if wanted.default is None else f"default: {json.dumps(wanted.default)}"
        lines.append(f"        type: {kind}\n        {demand}\n")
    if workflow.secrets:
        lines.append("    secrets:\n")
        lines += [f"      {secret}:\n        required: true\n" for secret in workflow.secrets]
    return lines


def _text(name: str) -> str:
    return (files("gitindex") / "data" / "workflows" / f"{name}.yml").read_text("utf-8")


def _chosen(name: str, chosen: frozenset[str]) -> str:
    """Return the text of a workflow without the parts that are not chosen."""
    parts = re.compile(r"<<if (\w+)>>\n(.*?)<<end>>\n", re.DOTALL)
    return parts.sub(lambda part: part[2] if part[1] in chosen else "", _text(name))


def _filled(name: str, on: str, slots: Mapping[str, str]) -> str:
    return _put(re.sub(r"^<<(?:if \w+|end)>>\n", "", _text(name), flags=re.MULTILINE), on, slots)


def _put(text: str, on: str, slots: Mapping[str, str]) -> str:
    known = {"on": on, **{action: f"{action}@{commit}" for action, commit in ACTIONS.items()}, **slots}
    return re.sub(r"<<([^<>\n]+)>>", lambda slot: known[slot[1]], text)
