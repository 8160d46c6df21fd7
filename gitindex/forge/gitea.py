"""Gitea and Forgejo: a push to `refs/for/` makes the pull request (AGit), and one more of its topic changes it."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

from gitindex.forge.remotes import Place

LIMIT = 45_000
"""Bytes of a description: as base64 they are a third more, and an option of a push has no more than 65,516."""
SAME = "new commit is same with old commit"
"""How the server refuses what it has already."""
_REQUEST = re.compile(r"https?://[^\s]+/pulls/[0-9]+(?![^\s])")


def options(topic: str, title: str, body: str) -> list[str]:
    """Return the options of the push that makes a pull request, or changes the one of that topic."""
    return [f"topic={topic}", f"title={title}", f"description={_line(body)}", "force-push=true"]


def _line(text: str) -> str:
    """Return a text of several lines as one."""
    return f"{{base64}}{base64.b64encode(text.encode()).decode()}"


def request_url(said: str) -> str | None:
    """Return the address of the pull request from what the server said to a push."""
    found = _REQUEST.search(said)
    return None if found is None else found[0]


def compare_url(place: Place, branch: str, source: str) -> str:
    """Return the page where a pull request of a branch is opened with one click."""
    return f"{place.web}/compare/{quote(branch)}...{quote(source)}"
