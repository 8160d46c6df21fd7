"""GitLab: push options make the merge request, and change it with a later push."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from gitindex.forge.remotes import Place

LIMIT = 56_000
"""Bytes of a description, with room for what is escaped: an option of a push has no more than 65,516."""
_REQUEST = re.compile(r"https?://[^\s]+/merge_requests/[0-9]+(?![^\s])")


def options(branch: str, title: str, body: str) -> list[str]:
    """Return the options of the push that makes a merge request to *branch*, or changes the one that there is."""
    return [
        "merge_request.create",
        f"merge_request.target={branch}",
        f"merge_request.title={_line(title)}",
        f"merge_request.description={_line(body)}",
        "merge_request.remove_source_branch",
    ]


def _line(text: str) -> str:
    r"""Return a text in one line: GitLab makes a new line of each ``\n``.

    One that stands in the text is spelled otherwise: what follows it would be read as a line of its own, and a line
    that starts with a slash as a command of whoever pushes.
    """
    return text.replace("\\n", r"\x0a").replace("\n", "\\n")


def request_url(said: str) -> str | None:
    """Return the address of the merge request from what the server said to a push."""
    found = _REQUEST.search(said)
    return None if found is None else found[0]


def compare_url(place: Place, branch: str, source: str) -> str:
    """Return the page where a merge request of a branch is opened with one click."""
    query = {"merge_request[source_branch]": source, "merge_request[target_branch]": branch}
    return f"{place.web}/-/merge_requests/new?{urlencode(query)}"
