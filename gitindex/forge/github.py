"""GitHub through its REST API: pull requests, comments that edit themselves, issues of which one is open, merges."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlencode

from gitindex.errors import CannotRunError, MovedError, UsageError
from gitindex.forge.api import Answer, Api, RefusedRequestError, Token, UncertainError
from gitindex.forge.remotes import Place

LIMIT = 65_536
"""Characters of a body."""
NO_TOKEN = "there is no token: GITINDEX_TOKEN, GH_TOKEN and GITHUB_TOKEN are not set, and gh knows none"
Outcome = Literal["created", "updated", "unchanged"]

_VERSION = "2022-11-28"
_PAGE = 100
_MOST_PAGES = 50
_MARKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_VARIABLES = ("GITINDEX_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
_ENTERPRISE_VARIABLES = ("GITINDEX_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
_PUBLIC = "github.com"
_DATA_RESIDENCY = ".ghe.com"


class Made(NamedTuple):
    """A pull request, an issue or a comment, and what was done."""

    number: int
    url: str
    outcome: Outcome


class Merge(NamedTuple):
    """A merge that was done, by us or before."""

    commit: str
    is_new: bool


def compare_url(place: Place, branch: str, source: str, title: str) -> str:
    """Return the page where a pull request of a branch is opened with one click."""
    words = urlencode({"expand": 1, "title": title}, quote_via=quote)
    return f"{place.web}/compare/{quote(branch)}...{quote(source)}?{words}"


def client_for(place: Place) -> GitHub | None:
    """Return a client for the repository at a remote; ``None`` where there is no token.

    What the repository's own files say has no part in it: they must not decide where a token is sent.

    Raises:
        CannotRunError: the API's address is none that a token may be sent to.

    """
    url = os.environ.get("GITHUB_API_URL") or api_url(place)
    found = _token(place.host, is_stated=bool(os.environ.get("GITHUB_API_URL")))
    return None if found is None else GitHub(url, place.path, found)


def client(place: Place | None) -> GitHub:
    """Return a client for the repository that GITHUB_REPOSITORY names, else for the one at the remote.

    Raises:
        UsageError: neither is there.
        CannotRunError: there is no token, or the API's address is none that it may be sent to.

    """
    stated = os.environ.get("GITHUB_REPOSITORY")
    path = stated or (place.path if place is not None else None)
    if path is None:
        raise UsageError("which repository it is about is not known", help="set GITHUB_REPOSITORY to owner/name")
    at = place or Place(f"https://{_PUBLIC}", _PUBLIC, path)
    found = client_for(at._replace(path=path))
    if found is None:
        raise CannotRunError(NO_TOKEN, help="see docs/how-to/pull-requests.md")
    return found


def api_url(place: Place) -> str:
    """Return where the API of a host is: `api.github.com`, `api.NAME.ghe.com`, else `/api/v3` at the host."""
    is_public = place.host == _PUBLIC or place.host.endswith(_DATA_RESIDENCY)
    return f"https://api.{place.host}" if is_public else f"{place.origin}/api/v3"


def _token(host: str, *, is_stated: bool) -> Token | None:
    """Return the token that is meant for a host: those of the public GitHub are sent nowhere else."""
    is_public = is_stated or host == _PUBLIC or host.endswith(_DATA_RESIDENCY)
    for variable in _VARIABLES if is_public else _ENTERPRISE_VARIABLES:
        if value := os.environ.get(variable, "").strip():
            return Token(value, variable)
    if shutil.which("gh") is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603
            ["gh", "auth", "token", "--hostname", host],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    value = said.stdout.strip()
    return Token(value, "gh") if said.returncode == 0 and value else None


class Pull(NamedTuple):
    """An open pull request."""

    number: int
    author: str
    """The login of whoever opened it."""
    target: str
    """The branch that it is to be merged into."""
    is_draft: bool


class GitHub:
    """A repository at GitHub, as the owner of a token sees it."""

    def __init__(self, url: str, path: str, token: Token) -> None:
        if not _REPOSITORY.fullmatch(path):
            raise UsageError(f"{path!r} is no repository at GitHub", help="write it as owner/name")
        accept = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": _VERSION}
        self._api = Api(url, token, accept)
        self._owner = path.partition("/")[0]
        self._root = f"/repos/{path}"
        self._login: str | None = None

    # Pull requests

    def open_pull(self, branch: str, target: str, title: str, body: str) -> Made:
        """Open the pull request of a branch, or bring the one that is open up to date.

        Raises:
            CannotRunError: GitHub does not answer, or refuses.

        """

        def step() -> Made:
            query = {"state": "open", "head": f"{self._owner}:{branch}", "base": target}
            found = [pull for pull in self._listed(f"{self._root}/pulls", query) if _at(pull, "head", "ref") == branch]
            if found:
                return self._updated(f"{self._root}/pulls/{_number(found[0])}", found[0], title=title, body=body)
            value = {"title": title, "head": branch, "base": target, "body": body}
            return _made(self._create(f"{self._root}/pulls", value), "created")

        return self._api.settle(step)

    def pull_of(self, branch: str, expected: str) -> Pull | None:
        """Return the open pull request of a branch (``owner:name``) whose head is the *expected* commit.

        Raises:
            UsageError: that is no branch, or no whole commit id.
            CannotRunError: GitHub does not answer, or refuses.

        """
        owner, _, name = branch.partition(":")
        if not owner or not name:
            raise UsageError(f"{branch!r} names no branch", help="write it as owner:branch")
        _check_commit(expected)
        for found in self._listed(f"{self._root}/pulls", {"state": "open", "head": branch}):
            if (_at(found, "head", "ref"), _at(found, "head", "sha")) == (name, expected):
                login, target = _at(found, "user", "login"), _at(found, "base", "ref")
                return Pull(_number(found), str(login), str(target), is_draft=found.get("draft") is True)
        return None

    def merge(self, number: int, expected: str, method: str, *, target: str | None = None) -> Merge:
        """Merge a pull request whose head is the *expected* commit, into the branch *target* where that is given.

        Raises:
            MovedError: the head is another one, or it goes to another branch by now.
            UsageError: that is no whole commit id.
            CannotRunError: GitHub does not answer, or does not merge it.

        """
        _check_commit(expected)

        def step() -> Merge:
            pull = self._api.ask("GET", f"{self._root}/pulls/{number}").value
            head = _at(pull, "head", "sha")
            if head != expected:
                raise MovedError(f"the head of pull request {number} is {head}, and {expected} was expected")
            goes_to = _at(pull, "base", "ref")
            if target not in (None, goes_to):
                raise MovedError(f"pull request {number} goes to {goes_to} by now, and was judged for {target}")
            if _at(pull, "merged") is True:
                return Merge(str(_at(pull, "merge_commit_sha")), is_new=False)
            value = {"sha": expected, "merge_method": method}
            try:
                answer = self._api.ask("PUT", f"{self._root}/pulls/{number}/merge", value=value)
            except RefusedRequestError as error:
                if error.answer.status == HTTPStatus.CONFLICT:
                    raise MovedError(f"the head of pull request {number} is not {expected} any more") from None
                if error.answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
                    self._refuse_unless_merged(number, error)
                    raise UncertainError(error.message) from None
                raise
            return Merge(str(_at(answer.value, "sha")), is_new=True)

        return self._api.settle(step)

    def _refuse_unless_merged(self, number: int, error: RefusedRequestError) -> None:
        """Raise that a pull request cannot be merged, unless it was: an answer may have been lost on the way."""
        if _at(self._api.ask("GET", f"{self._root}/pulls/{number}").value, "merged") is not True:
            message = f"pull request {number} cannot be merged now: {error.answer.words}"
            raise CannotRunError(message, help="see what it waits for, and run the same command again") from None

    # Comments and issues

    def comment(self, number: int, body: str, marker: str) -> Made:
        """Write the comment of that *marker* on an issue or a pull request, or edit it where it is there.

        Raises:
            CannotRunError: GitHub does not answer, or refuses.

        """
        text = _marked(body, marker)

        def step() -> Made:
            path = f"{self._root}/issues/{number}/comments"
            for found in self._listed(path, {}):
                if self._is_ours(found, marker):
                    return self._updated(f"{self._root}/issues/comments/{_number(found, 'id')}", found, body=text)
            return _made(self._create(path, {"body": text}), "created", "id")

        return self._api.settle(step)

    def open_issue(self, title: str, body: str, marker: str, labels: list[str]) -> Made:
        """Open the issue of that *marker*, or bring the one that is open up to date.

        Raises:
            CannotRunError: GitHub does not answer, or refuses.

        """
        text = _marked(body, marker)

        def step() -> Made:
            found = self._open_issue(marker)
            if found is not None:
                return self._updated(f"{self._root}/issues/{_number(found)}", found, title=title, body=text)
            value = {"title": title, "body": text, "labels": labels}
            return _made(self._create(f"{self._root}/issues", value), "created")

        return self._api.settle(step)

    def close_issue(self, body: str, marker: str) -> Made | None:
        """Comment on the open issue of that *marker*, and close it; ``None`` where none is open.

        Raises:
            CannotRunError: GitHub does not answer, or refuses.

        """
        found = self._open_issue(marker)
        if found is None:
            return None
        number = _number(found)
        if body.strip():
            self.comment(number, body, f"{marker[:57]}-closed")
        value = {"state": "closed", "state_reason": "completed"}
        answer = self._api.ask("PATCH", f"{self._root}/issues/{number}", value=value)
        return _made(answer, "updated")

    def _open_issue(self, marker: str) -> Mapping[str, Any] | None:
        login = self._who()
        query = {"state": "open", **({"creator": login} if login else {})}
        for found in self._listed(f"{self._root}/issues", query):
            if "pull_request" not in found and self._is_ours(found, marker):
                return found
        return None

    def _is_ours(self, found: Mapping[str, Any], marker: str) -> bool:
        """Tell whether something has the marker, and we are who wrote it: anybody can write a marker."""
        body = found.get("body")
        return isinstance(body, str) and body.endswith(_line(marker)) and self._is_us(found)

    def _is_us(self, found: Mapping[str, Any]) -> bool:
        if found.get("user") is None:  # whoever it was is gone
            return False
        if login := self._who():
            return bool(_at(found, "user", "login") == login)
        return bool(_at(found, "user", "type") == "Bot")

    def _who(self) -> str:
        """Return whose token it is; empty for that of an app, such as a workflow's: no user has it."""
        if self._login is None:
            try:
                self._login = str(_at(self._api.ask("GET", "/user").value, "login"))
            except RefusedRequestError as error:
                if error.answer.status != HTTPStatus.FORBIDDEN:
                    raise
                self._login = ""
        return self._login

    def _listed(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Yield what a path lists, page by page."""
        for page in range(1, _MOST_PAGES + 1):
            listed = self._api.ask("GET", path, query={**query, "per_page": _PAGE, "page": page}).value
            if not isinstance(listed, list):
                raise _strange()
            yield from (item for item in listed if isinstance(item, dict))
            if len(listed) < _PAGE:
                return

    def _create(self, path: str, value: Mapping[str, Any]) -> Answer:
        try:
            return self._api.ask("POST", path, value=value, accepted=(HTTPStatus.CREATED,))
        except RefusedRequestError as error:
            if error.answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and "already exists" in error.answer.words:
                raise UncertainError(error.message) from None  # somebody made it between our two questions
            raise

    def _updated(self, path: str, found: Mapping[str, Any], **wanted: str) -> Made:
        number = "number" if "number" in found else "id"
        # GitHub gives the ends of lines back as they came from a form, or from us.
        same = all(str(found.get(key) or "").replace("\r\n", "\n") == value for key, value in wanted.items())
        if same:
            return Made(_number(found, number), _address(found), "unchanged")
        return _made(self._api.ask("PATCH", path, value=wanted), "updated", number)


def _check_commit(text: str) -> None:
    if not _COMMIT.fullmatch(text):
        raise UsageError(f"{text!r} is no whole commit id", help="see: git rev-parse")


def default_marker(title: str) -> str:
    """Return the marker of an issue that has none of its own."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:57] or "issue"


def check_marker(marker: str) -> str:
    """Return a marker that can stand in a comment of HTML.

    Raises:
        UsageError: it cannot.

    """
    if not _MARKER.fullmatch(marker):
        raise UsageError(f"{marker!r} is no marker", help="use letters, digits, dots, hyphens and underscores")
    return marker


def _line(marker: str) -> str:
    return f"<!-- gitindex:{marker} -->"


def _marked(body: str, marker: str) -> str:
    """Return a body that ends with its marker, cut where it is too long; markers in the text count for nothing."""
    line = _line(check_marker(marker))
    text = body.replace("\r\n", "\n").rstrip()
    room = LIMIT - len(line) - 2
    if len(text) > room:
        cut = "\n\n(cut off: it was too long)"
        text = text[: room - len(cut)] + cut
    return f"{text}\n\n{line}"


def _made(answer: Answer, outcome: Outcome, key: str = "number") -> Made:
    return Made(_number(answer.value, key), _address(answer.value), outcome)


def _number(found: Any, key: str = "number") -> int:
    number = _at(found, key)
    if not isinstance(number, int):
        raise _strange()
    return number


def _address(found: Any) -> str:
    url = _at(found, "html_url")
    return url if isinstance(url, str) and re.match("https?://", url) else ""


def _at(found: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(found, dict):
            raise _strange()
        found = found.get(key)
    return found


def _strange() -> CannotRunError:
    return CannotRunError("GitHub answers with something else than was asked for", help="look at GITHUB_API_URL")
