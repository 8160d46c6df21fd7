"""What of a command's outcome is compared between two servers, and where servers differ in every answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.devpi.client import Ran

THEIRS = {
    "acl_toxresult_upload": "who may release may record results: a result can be what lets a release in",
    "created": "when a user came to be is in the history, `gitindex log`",
    "metadata_version": "the metadata of a release is told where one version is asked for, not for all of them",
    "modified": "as `created`",
    "who": "who uploaded a file is in the history; devpi's log has it beside each file",
}
"""Keys of devpi's documents that ours have not, or not filled, each with its reason."""
OURS = {
    "basename": "the filename, as it is written: devpi's clients take it out of the URL",
    "index": "which index has the file, as `gitindex show` tells it",
    "size": "PEP 700",
    "upload-time": "PEP 700",
}
"""Keys of our documents that devpi's have not."""
_STATUS = re.compile(r"(?P<status>[45]\d\d) [A-Z].*")
_FAIL = re.compile(r"(?P<status>[45]\d\d) FAIL .*")
_NOISE = (
    re.compile(r".*: no config file exists"),
    re.compile(r"Warning: insecure http host, .*"),
    re.compile(r"supported features: .*"),
    re.compile(r"logged in .*"),
    re.compile(r"always-set-cfg: .*"),
)


def essence(ran: Ran) -> tuple[int, list[str]]:
    """Return the exit code, and what was printed without wording: of a refusal the status alone."""
    if ran.output.lstrip().startswith("{"):
        return ran.code, json.dumps(_pruned(json.loads(ran.output)), indent=1, sort_keys=True).splitlines()
    lines: list[str] = []
    for line in ran.output.splitlines():
        if match := _STATUS.fullmatch(line) or _FAIL.fullmatch(line):
            # What follows says why, in each server's own words.
            return ran.code, [*lines, f"status {match['status']}"]
        key = re.match(r"  ([a-z_]+)=", line)
        if not (key and key[1] in {**THEIRS, **OURS}) and not any(noise.fullmatch(line) for noise in _NOISE):
            lines.append(line)
    return ran.code, lines


def keys_of(ran: Ran) -> set[str]:
    """Return the keys of the document, or of the table, that a command printed."""
    if ran.output.lstrip().startswith("{"):
        return set(_keys(json.loads(ran.output)))
    return set(re.findall(r"^  ([a-z_]+)=", ran.output, re.MULTILINE))


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in _keys(inner))]
    return [key for inner in value for key in _keys(inner)] if isinstance(value, list) else []


def _pruned(value: Any) -> Any:
    """Return a document without the keys that are known to differ, without times, and without what is empty."""
    if isinstance(value, dict):
        pruned = {key: _pruned(inner) for key, inner in value.items() if key not in {**THEIRS, **OURS}}
        return {key: "…" if key == "when" else inner for key, inner in pruned.items() if inner not in ("", [], None)}
    return [_pruned(inner) for inner in value] if isinstance(value, list) else value


def without_places(ran: Ran, url: str, places: dict[str, Path | str]) -> Ran:
    """Return an outcome without what differs from run to run: addresses, digests, times, folders."""
    text = ran.output
    for name, place in sorted(places.items(), key=lambda pair: -len(str(pair[1]))):
        text = text.replace(str(place), name)
    text = text.replace(url, "URL").replace(url.removeprefix("http://"), "HOST")
    for pattern, instead in (
        (r"\+f/[0-9a-f]{3}/[0-9a-f]{13}/", "+f/…/"),
        (r"\b[0-9a-f]{64}\b", "SHA256"),
        (r"\.toxresult-\d{14}-\d+", ".toxresult-…"),
        (r"\d+\.\d\d hours", "… hours"),
        (r"\(\d+\.\d\d.*seconds\)", "(… seconds)"),
        (r"\S*/devpi-(?:test-)?[a-z0-9_]{8}\b", "WORKDIR"),
    ):
        text = re.sub(pattern, instead, text)
    return Ran(ran.code, text)
