"""The index repository that the edits start from: small, sound, with something for each kind of edit."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import NamedTuple

from gitindex import layout
from tests.builders import make_provenance
from tests.mutants.destructive import pointer
from tests.repositories import Content
from tests.trees import PLAIN, Files, Node

VARIANTS = ("embedded", "external", "moved")
"""Where stored files are kept: in the repository, elsewhere, or elsewhere with those of before still here."""


class Start(NamedTuple):
    """What is published at first: the states of main, and what only Git LFS pointers stand for."""

    states: tuple[Files, ...]
    known: dict[str, bytes]


@cache
def start(variant: str) -> Start:
    """Return the states of a main branch whose files are kept as *variant* says."""
    content = _content()
    known = {hashlib.sha256(data).hexdigest(): data for path, data in content.items() if path.startswith("files/")}
    _hand_over_to_lfs(content, content.stored("emilie/prod", "Gamma.Ray", "1.0"))
    if variant != "embedded":
        content["gitindex.toml"] += b'\n[storage]\nurl = "s3://bucket/files"\n'
    files = Files({path.encode(): Node(PLAIN, data) for path, data in sorted(content.items())})
    if variant == "external":
        files.remove(b"files")
    first = Files(files)
    first.remove(b"indexes/bob/sandbox")
    first.remove(b"README.md")
    second = Files(first)
    second[b"README.md"] = files[b"README.md"]
    return Start((first, second, files), known)


def _content() -> Content:
    content = Content().settings(groups={"team": ["emilie", "bob"]})
    content["README.md"] = b"Packages\n"
    content.user("root").mirror("root/pypi")
    content.user("emilie", email="emilie@example.org", admin=True)
    content.user("bob", title="Bob")
    content.user("carol")
    content.stage("emilie/prod", volatile=False, bases=["root/pypi"], acl_upload=["emilie", ":team"])
    content.stage("emilie/dev", volatile=True, bases=["emilie/prod"])
    content.stage("bob/stable", volatile=False, bases=["emilie/prod"])
    content.stage("emilie/gate", volatile=False, require_tests=["py313"])
    content.stage("bob/sandbox", bases=["bob/stable", "root/pypi"])
    content.release("emilie/prod", "alpha", "1.0", requires_python=">=3.9")
    content.release("emilie/prod", "alpha", "1.0", kind="sdist", requires_python=">=3.9")
    content.release("emilie/prod", "alpha", "1.1", text="next")
    content.release("emilie/prod", "alpha", "2.0rc1", kind="sdist")
    content.release("emilie/prod", "Beta_Two", "3.1")
    content.release("emilie/prod", "Gamma.Ray", "1.0")
    content.statements("emilie/prod", "alpha", status="deprecated", yanked={"1.1": "broken"})
    _add_hosted(content)
    content.release("bob/stable", "delta", "0.1", text="signed")
    _add_provenance(content, "bob/stable", "delta", "0.1")
    content["indexes/bob/stable/alpha/1.0.json"] = content["indexes/emilie/prod/alpha/1.0.json"]
    _in_another_form(content, "indexes/bob/stable/alpha/1.0.json")
    content.release("emilie/gate", "alpha", "1.0", requires_python=">=3.9")
    _add_results(content, "emilie/gate", "alpha", "1.0")
    _add_results(content, "emilie/prod", "alpha", "1.1")
    content.release("emilie/dev", "alpha", "2.0", text="dev")
    content.release("emilie/dev", "draft", "0.1")
    content.statements("emilie/dev", "draft", yanked={"0.1": ""})
    content.release("bob/sandbox", "toy", "0.1", kind="sdist")
    return content


def _add_hosted(content: Content) -> None:
    source = "https://files.example.org/hosted/"
    content.statements("emilie/prod", "hosted", sources=[source])
    for version in ("1.0", "1.1"):
        filename = f"hosted-{version}.tar.gz"
        digest = hashlib.sha256(filename.encode()).hexdigest()
        entry = {"filename": filename, "hashes": {"sha256": digest}, "size": 9, "url": source + filename}
        content.add_file("emilie/prod", "hosted", version, entry)


def _add_results(content: Content, index: str, name: str, version: str) -> None:
    digest = content.entry(index, name, version)["hashes"]["sha256"]
    runs = [
        {"environment": "py313", "outcome": outcome, "duration": 3.5, "time": f"2026-11-22T0{hour}:00:00Z"}
        for hour, outcome in ((7, "failed"), (8, "error"), (9, "passed"), (9, "passed"))
    ]
    lines = json.dumps([run | {"files": [digest]} for run in runs], indent=2)
    content[f"indexes/{index}/{name}/{version}.tests.json"] = f"{lines}\n".encode()


def _add_provenance(content: Content, index: str, name: str, version: str) -> None:
    entry = content.entry(index, name, version)
    document = make_provenance(entry["filename"], entry["hashes"]["sha256"])
    content[content.stored(index, name, version) + layout.PROVENANCE_SUFFIX] = document
    path = f"indexes/{index}/{name}/{version}.json"
    manifest = json.loads(content[path])
    manifest["files"][0]["provenance"] = hashlib.sha256(document).hexdigest()
    content[path] = (json.dumps(manifest, indent=2) + "\n").encode()


def _hand_over_to_lfs(content: Content, path: str) -> None:
    content[path] = pointer("".join(path.split("/")[1:3]), len(content[path]))


def _in_another_form(content: Content, path: str) -> None:
    content[path] = json.dumps(json.loads(content[path]), sort_keys=True).replace("/", "\\/").encode()
