"""GitHub's API on the loopback interface: it keeps state, and each request and answer is what GitHub describes."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.forge.openapi import Operation, github
from tests.hosts import CalmHTTPServer

TOKEN = "test-token-0123456789"
APP_TOKEN = "app-token-0123456789"
"""The token of a workflow: it is no user's."""
REPOSITORY = "emilie/packages"


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}
    is_cut: bool = False
    """Whether it is done, and the answer is lost on the way."""


class GitHubServer:
    """The state of one repository, and what is asked of it."""

    def __init__(self, remote: Path | None) -> None:
        self.remote = remote
        self.pulls: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.merges: list[Mapping[str, Any]] = []
        """What was asked for, of merges that were done."""
        self.users = {TOKEN: ("emilie", "User"), APP_TOKEN: ("github-actions[bot]", "Bot")}
        self.faults: list[Callable[[str, str], Reply | None]] = []
        """Asked first; one that answers is asked no more."""
        self.asked: list[tuple[str, str]] = []
        self.problems: list[str] = []
        """What GitHub does not describe so."""
        self.url = ""
        self._numbers = 0

    def skip_to(self, number: int) -> None:
        """Let this be the number of what is opened next."""
        self._numbers = number - 1

    def answer(self, method: str, target: str, token: str, body: Any) -> Reply:
        url = urlsplit(target)
        path = url.path
        self.asked.append((method, path))
        for fault in list(self.faults):
            if (reply := fault(method, path)) is not None:
                self.faults.remove(fault)
                if reply.is_cut:
                    self._checked(method, path, url.query, token, body)
                return reply
        return self._checked(method, path, url.query, token, body)

    def _checked(self, method: str, path: str, query: str, token: str, body: Any) -> Reply:
        operation = github().operation(method, path)
        if operation is None:
            self.problems.append(f"{method} {path} is not described")
            return Reply(404, _error("Not Found"))
        self.problems += [f"{method} {path}: {p}" for p in github().request_problems(operation, query, body)]
        if token not in self.users:
            return Reply(401, _error("Bad credentials"))
        if operation.variables and f"{operation.variables['owner']}/{operation.variables['repo']}" != REPOSITORY:
            return Reply(404, _error("Not Found"))
        reply = self._do(method, operation, parse_qs(query), self.users[token], body)
        found = github().answer_problems(operation, reply.status, reply.body)
        self.problems += [f"{method} {path} answered {reply.status}: {p}" for p in found]
        return reply

    def _do(
        self, method: str, operation: Operation, query: Mapping[str, list[str]], user: tuple[str, str], body: Any
    ) -> Reply:
        template = operation.template.removeprefix("/repos/{owner}/{repo}")
        number = next((int(v) for k, v in operation.variables.items() if k not in ("owner", "repo")), 0)
        if template == "/user":
            return self._who(user)
        if template.startswith("/pulls"):
            return self._do_pulls(method, number, query, user, body)
        if "comments" in template:
            return self._do_comments(method, number, query, user, body)
        return self._do_issues(method, number, query, user, body)

    def _who(self, user: tuple[str, str]) -> Reply:
        if user[1] == "Bot":
            return Reply(403, _error("Resource not accessible by integration"))
        name = "private-user-response-with-public-and-private-profile-information"
        return Reply(200, {**github().example(name), "login": user[0], "user_view_type": "private"})

    def _do_pulls(
        self, method: str, number: int, query: Mapping[str, list[str]], user: tuple[str, str], body: Any
    ) -> Reply:
        if method == "PUT":
            return self._merge(self._pull(number), body)
        if number:
            pull = self._pull(number)
            pull.update(body or {})
            return Reply(200, pull)
        if method == "POST":
            return self._open_pull(user, body)
        head, base = query["head"][0], query.get("base", [None])[0]
        found = [
            self._pull(pull["number"])
            for pull in self.pulls
            if pull["state"] == "open"
            and f"{REPOSITORY.partition('/')[0]}:{pull['head']['ref']}" == head
            and base in (None, pull["base"]["ref"])
        ]
        return Reply(200, [self._listed_pull(pull) for pull in found])

    def _do_issues(
        self, method: str, number: int, query: Mapping[str, list[str]], user: tuple[str, str], body: Any
    ) -> Reply:
        if method == "PATCH":
            issue = next(issue for issue in self.issues if issue["number"] == number)
            issue.update(body)
            return Reply(200, issue)
        if method == "POST":
            return Reply(201, self._open_issue(user, body))
        chosen = [
            issue
            for issue in self.issues
            if issue["state"] == query["state"][0]
            and query.get("creator", [issue["user"]["login"]])[0] == issue["user"]["login"]
        ]
        return Reply(200, _page(chosen, query))

    def _open_issue(self, user: tuple[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
        issue: dict[str, Any] = github().example("issue")
        labels = [{**issue["labels"][0], "name": name} for name in body.get("labels", [])]
        issue.update(title=body["title"], body=body["body"], labels=labels, state="open", number=self._next())
        issue.pop("pull_request", None)
        issue["html_url"] = f"https://github.com/{REPOSITORY}/issues/{issue['number']}"
        issue["user"].update(login=user[0], type=user[1])
        self.issues.append(issue)
        return issue

    def _do_comments(
        self, method: str, number: int, query: Mapping[str, list[str]], user: tuple[str, str], body: Any
    ) -> Reply:
        if method == "PATCH":
            comment = next(c for c in self.comments if c["id"] == number)
            comment.update(body)
            return Reply(200, comment)
        if method == "POST":
            return Reply(201, self.add_comment(number, user, body["body"]))
        return Reply(200, _page([c for c in self.comments if c["issue_url"].endswith(f"/{number}")], query))

    def add_comment(self, number: int, user: tuple[str, str], body: str) -> dict[str, Any]:
        comment: dict[str, Any] = github().example("issue-comment")
        comment.update(id=self._next(), body=body, html_url=f"https://github.com/{REPOSITORY}/pull/{number}#c")
        comment["issue_url"] = f"https://api.github.com/repos/{REPOSITORY}/issues/{number}"
        comment["user"].update(login=user[0], type=user[1])
        self.comments.append(comment)
        return comment

    def _open_pull(self, user: tuple[str, str], body: Mapping[str, Any]) -> Reply:
        head = self._git("rev-parse", "--verify", "--quiet", f"refs/heads/{body['head']}")
        if not head:
            return Reply(422, _invalid("head", "invalid"))
        if any(p["state"] == "open" and p["head"]["ref"] == body["head"] for p in self.pulls):
            message = f"A pull request already exists for emilie:{body['head']}."
            return Reply(422, _invalid("base", "custom", message))
        pull = github().example("pull-request")
        pull.update(number=self._next(), title=body["title"], body=body["body"], state="open", requested_teams=[])
        pull.update(merged=False, merged_at=None, html_url=f"https://github.com/{REPOSITORY}/pull/{pull['number']}")
        pull["user"].update(login=user[0], type=user[1])
        pull["head"]["ref"], pull["base"]["ref"] = body["head"], body["base"]
        self.pulls.append(pull)
        return Reply(201, self._pull(pull["number"]))

    def _pull(self, number: int) -> dict[str, Any]:
        pull = next(pull for pull in self.pulls if pull["number"] == number)
        pull["head"]["sha"] = self._git("rev-parse", f"refs/heads/{pull['head']['ref']}")
        return pull

    def _listed_pull(self, pull: Mapping[str, Any]) -> dict[str, Any]:
        listed: dict[str, Any] = github().example("pull-request-simple-items")[0]
        return {**{key: pull.get(key, value) for key, value in listed.items()}, "requested_teams": []}

    def _merge(self, pull: dict[str, Any], body: Mapping[str, Any]) -> Reply:
        if pull["merged"]:
            return Reply(405, _error("Pull Request is not mergeable"))
        if body["sha"] != pull["head"]["sha"]:
            return Reply(409, _error("Head branch was modified. Review and try the merge again."))
        self._git("update-ref", f"refs/heads/{pull['base']['ref']}", pull["head"]["sha"])
        self.merges.append(body)
        pull.update(merged=True, state="closed", merge_commit_sha=pull["head"]["sha"])
        return Reply(200, {"merged": True, "message": "Pull Request successfully merged", "sha": pull["head"]["sha"]})

    def _git(self, *arguments: str) -> str:
        assert self.remote is not None
        done = subprocess.run(["git", *arguments], cwd=self.remote, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers


def fault(method: str, end: str, reply: Reply) -> Callable[[str, str], Reply | None]:
    """Return what answers the next request of that method whose path has that end."""
    return lambda asked, path: reply if asked == method and path.endswith(end) else None


@contextmanager
def github_server(remote: Path | None) -> Iterator[GitHubServer]:
    """Serve the API of a repository, whose branches are those of *remote*; skip the test without the description."""
    github()
    state = GitHubServer(remote)
    server = CalmHTTPServer(("127.0.0.1", 0), partial(_Handler, state))
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _page(values: list[dict[str, Any]], query: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    size, page = int(query["per_page"][0]), int(query["page"][0])
    return values[size * (page - 1) : size * page]


def _error(message: str) -> dict[str, Any]:
    return {"message": message, "documentation_url": "https://docs.github.com/rest"}


def _invalid(field: str, code: str, message: str = "") -> dict[str, Any]:
    error = {"resource": "PullRequest", "field": field, "code": code, **({"message": message} if message else {})}
    return {**_error("Validation Failed"), "errors": [error]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, state: GitHubServer, *arguments: object) -> None:
        self.state = state
        super().__init__(*arguments)  # type: ignore[arg-type] # what the server passes on

    def _answer(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            for name, wanted in (("Accept", "application/vnd.github+json"), ("X-GitHub-Api-Version", "2022-11-28")):
                assert self.headers.get(name) == wanted, name
            assert self.headers["User-Agent"].startswith("gitindex/")
            reply = self.state.answer(self.command, self.path, token, json.loads(data) if data else None)
        except Exception as error:  # noqa: BLE001 - the test is to fail, not this thread
            self.state.problems.append(f"{self.command} {self.path}: {error!r}")
            reply = Reply(404, _error("Not Found"))
        if reply.is_cut:
            self.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the output of the tests clean."""
