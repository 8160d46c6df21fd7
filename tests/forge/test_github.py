"""GitHub: pull requests that `--pr` opens, comments, issues and merges, and all that can go wrong on the way."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gitindex.errors import CannotRunError, MovedError, UsageError
from gitindex.forge import api
from gitindex.forge.github import GitHub, api_url, client_for
from gitindex.forge.remotes import Kind, Place, forge_of, read_remote, shown_at
from gitindex.model import Forge, Settings
from tests.builders import make_wheel
from tests.conftest import Run
from tests.forge.github import APP_TOKEN, REPOSITORY, TOKEN, GitHubServer, Reply, fault, github_server
from tests.repositories import IndexRepository

PULLS = f"/repos/{REPOSITORY}/pulls"
BRANCH = "gitindex/create-user-bob"


def proposed(run: Run, *words: str | Path) -> dict[str, Any]:
    done = run(*words, "--pr", "--json")
    assert done.code == 0, done.err
    told: dict[str, Any] = json.loads(done.out)
    return told


def a_wheel(folder: Path) -> Path:
    name, data = make_wheel("demo", "1.0")
    (folder / name).write_bytes(data)
    return folder / name


# Pull requests


def test_a_pull_request_is_opened(
    clone: IndexRepository, remote: IndexRepository, github: GitHubServer, run: Run, tmp_path: Path
) -> None:
    file = a_wheel(tmp_path)
    done = run("upload", file, "--index", "emilie/dev", "--pr")
    assert done.code == 0, done.err
    assert done.out == (
        "Upload demo-1.0-py3-none-any.whl to emilie/dev\nPull request: https://github.com/emilie/packages/pull/1\n"
    )
    assert done.err.startswith("Pushed gitindex/upload-demo-1.0-to-emilie-dev-")
    (pull,) = github.pulls
    assert pull["title"] == "Upload demo-1.0-py3-none-any.whl to emilie/dev"
    assert pull["base"]["ref"] == "main"
    sha256 = subprocess.run(["sha256sum", str(file)], capture_output=True, text=True, check=True).stdout.split()[0]
    assert f"| new | `demo-1.0-py3-none-any.whl` | {file.stat().st_size:,} | `{sha256}` |" in pull["body"]
    assert "### gitindex: what installers see" in pull["body"]
    assert len(pull["body"]) < 65_536
    # What the body tells of the change is what `gitindex diff` tells of the branch.
    clone.git("fetch", "--quiet", str(remote.path), pull["head"]["ref"])
    assert run("diff", "main", "FETCH_HEAD", "--format", "markdown").out in pull["body"]


def test_the_same_again_asks_for_nothing_new(github: GitHubServer, run: Run) -> None:
    first = proposed(run, "user", "create", "bob")
    assert (first["request"], first["pushed"]) == ("created", True)
    github.asked.clear()
    again = proposed(run, "user", "create", "bob")
    assert again == {**first, "request": "unchanged", "pushed": False}
    assert github.asked == [("GET", PULLS)]


def test_a_title_and_a_body_that_somebody_changed_are_brought_up_to_date(github: GitHubServer, run: Run) -> None:
    proposed(run, "user", "create", "bob")
    body = github.pulls[0]["body"]
    github.pulls[0].update(title="Other words", body=body.replace("\n", "\r\n"))
    assert proposed(run, "user", "create", "bob")["request"] == "updated"
    assert (github.pulls[0]["title"], github.pulls[0]["body"]) == ("Create user bob", body)
    assert len(github.pulls) == 1


def test_one_that_was_closed_is_opened_anew(github: GitHubServer, run: Run) -> None:
    proposed(run, "user", "create", "bob")
    github.pulls[0]["state"] = "closed"
    again = proposed(run, "user", "create", "bob")
    assert (again["request"], again["pushed"], again["url"][-1]) == ("created", False, "2")


def test_killed_between_the_push_and_the_request(
    clone: IndexRepository, remote: IndexRepository, github: GitHubServer, run: Run
) -> None:
    """A run that hangs at the API is killed; the next one opens the request of what was pushed."""

    def hang(*_: str) -> Reply | None:
        time.sleep(30)
        return None

    github.faults.append(hang)
    words = [sys.executable, "-m", "gitindex", "user", "create", "bob", "--pr"]
    process = subprocess.Popen(words, cwd=clone.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while not github.asked:
        assert time.monotonic() < end
        time.sleep(0.02)
    process.kill()
    process.wait()
    github.faults.clear()
    assert remote.git("rev-parse", BRANCH)
    assert github.pulls == []
    told = proposed(run, "user", "create", "bob")
    assert (told["pushed"], told["request"]) == (False, "created")
    assert sorted((clone.path / ".git").glob("gitindex-*")) == []


def test_an_answer_that_is_lost_makes_no_second_request(github: GitHubServer, run: Run) -> None:
    github.faults.append(fault("POST", "/pulls", Reply(201, is_cut=True)))
    assert proposed(run, "user", "create", "bob")["request"] == "unchanged"
    assert len(github.pulls) == 1


def test_one_that_was_opened_meanwhile_is_taken(github: GitHubServer, run: Run) -> None:
    def race(method: str, *_: str) -> Reply | None:
        """Let somebody open it just before us."""
        if method == "POST":
            github.faults.remove(race)
            github.answer("POST", PULLS, TOKEN, {"title": "x", "head": BRANCH, "base": "main", "body": "y"})
        return None

    github.faults.append(race)
    assert proposed(run, "user", "create", "bob")["request"] == "updated"
    assert [pull["title"] for pull in github.pulls] == ["Create user bob"]
    assert github.asked.count(("POST", PULLS)) == 2


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_forge_that_is_ill_is_asked_again(status: int, github: GitHubServer, run: Run) -> None:
    github.faults += [fault("GET", "/pulls", Reply(status, b"<html>sorry</html>"))] * 2
    github.faults.append(fault("POST", "/pulls", Reply(status, b"")))
    assert proposed(run, "user", "create", "bob")["request"] == "created"
    assert len(github.pulls) == 1


@pytest.mark.usefixtures("remote")
def test_a_forge_that_stays_ill(github: GitHubServer, run: Run) -> None:
    github.faults += [fault("GET", "/pulls", Reply(502, b""))] * 3
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert done.err == (
        f"gitindex: {BRANCH} is pushed, and its pull request is not opened: 127.0.0.1 answers 502; "
        "run the same command again later\n"
    )
    assert proposed(run, "user", "create", "bob")["request"] == "created"


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (429, {"Retry-After": "1"}, ""),
        (403, {"Retry-After": "1"}, "You have exceeded a secondary rate limit."),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, "API rate limit exceeded"),
    ],
)
def test_a_limit_is_waited_for(
    status: int, headers: dict[str, str], message: str, github: GitHubServer, run: Run
) -> None:
    github.faults.append(fault("POST", "/pulls", Reply(status, {"message": message}, headers)))
    started = time.monotonic()
    assert proposed(run, "user", "create", "bob")["request"] == "created"
    assert 1 <= time.monotonic() - started < 10
    assert github.asked.count(("POST", PULLS)) == 2


def test_a_limit_that_lasts_is_not_waited_for(github: GitHubServer, run: Run) -> None:
    github.faults.append(fault("GET", "/pulls", Reply(429, {"message": "no"}, {"Retry-After": "3600"})))
    started = time.monotonic()
    done = run("user", "create", "bob", "--pr")
    assert time.monotonic() - started < 5
    assert (done.code, "limits how much is asked, and asks to wait for 3,600 seconds" in done.err) == (3, True)


def test_without_a_token_there_is_a_link(
    remote: IndexRepository, github: GitHubServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GH_TOKEN")
    done = run("user", "create", "bob", "--pr")
    assert done.code == 0
    link = f"https://github.com/emilie/packages/compare/main...{BRANCH}?expand=1&title=Create%20user%20bob"
    assert done.out == f"Create user bob\nOpen it: {link}\n"
    assert "there is no token" in done.err
    assert github.asked == []
    assert remote.git("rev-parse", BRANCH)


@pytest.mark.usefixtures("github")
def test_gh_knows_a_token(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GH_TOKEN")
    (tmp_path / "bin/gh").write_text(f'#!/bin/sh\n[ "$*" = "auth token --hostname 127.0.0.1" ] && echo {TOKEN}\n')
    assert proposed(run, "user", "create", "bob")["request"] == "created"


@pytest.mark.parametrize("token", ["wrong-token", "two words", "é"])
@pytest.mark.usefixtures("github")
def test_a_token_that_is_not_taken(token: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITINDEX_TOKEN", token)
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert done.err.count("\n") == 1
    assert "the token of GITINDEX_TOKEN" in done.err
    assert token not in done.err
    assert TOKEN not in done.err


def test_a_token_that_may_not(github: GitHubServer, run: Run) -> None:
    refusal = Reply(403, {"message": "Resource not accessible by personal access token\n\x1b[2J"})
    github.faults.append(fault("POST", "/pulls", refusal))
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert "does not allow that with the token of GH_TOKEN: Resource not accessible" in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(404, {"message": "Not Found"}), "shows no such repository or number to the token of GH_TOKEN"),
        (Reply(301, {"message": "Moved"}, {"Location": "https://evil.example.org/"}), "is elsewhere now"),
        (Reply(422, {"message": "Not valid", "errors": [{"message": "x\ny"}, "z", 3]}), "422: Not valid: x y: z"),
        (Reply(200, {"not": "a list"}), "answers with something else"),
        (Reply(200, [{"head": {"ref": BRANCH}, "number": "1"}]), "answers with something else"),
        (Reply(200, [{"head": 7}]), "answers with something else"),
    ],
)  # fmt: skip
def test_what_else_a_forge_answers(reply: Reply, words: str, github: GitHubServer, run: Run) -> None:
    github.faults.append(fault("GET", "/pulls", reply))
    done = run("user", "create", "bob", "--pr")
    assert (done.code, words in done.err) == (3, True), done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"\xff"])
def test_an_answer_that_is_no_json(body: bytes, github: GitHubServer, run: Run) -> None:
    github.faults += [fault("GET", "/pulls", Reply(200, body))] * 3
    done = run("user", "create", "bob", "--pr")
    assert (done.code, "something that is no JSON" in done.err) == (3, True)


def test_an_answer_without_end(github: GitHubServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_LIMIT", 1000)
    github.faults += [fault("GET", "/pulls", Reply(200, b" " * 2000))] * 3
    done = run("user", "create", "bob", "--pr")
    assert (done.code, "answers with more than 1,000 bytes" in done.err) == (3, True)


@pytest.mark.usefixtures("github", "clone")
def test_a_proxy_that_does_not_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "https://api.example.org")
    monkeypatch.setenv("https_proxy", "http://emilie:very-secret@127.0.0.1:9")
    done = run("user", "create", "bob", "--pr")
    assert done.code == 3
    assert "api.example.org cannot be asked: the proxy does not answer, or refuses" in done.err
    assert "secret" not in done.err


@pytest.mark.usefixtures("clone")
def test_credentials_are_never_told(github: GitHubServer, run: Run) -> None:
    done = run("user", "create", "bob", "--pr")
    listed = run("user", "create", "bob", "--pr", "--json")
    for text in (done.out, done.err, listed.out, listed.err, json.dumps(github.pulls)):
        assert "secret" not in text
        assert TOKEN not in text


def test_hostile_names_are_shown_as_they_are(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    from markdown_it import MarkdownIt

    reason = "</details><script>alert(1)</script> @bob fixes #1 `x` | y\n/merge ![](https://evil.example.org/)"
    proposed(run, "upload", a_wheel(tmp_path), "--index", "emilie/dev")
    branch = github.pulls[0]["head"]["ref"]
    head = subprocess.run(
        ["git", "rev-parse", branch], cwd=github.remote, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert run("forge", "merge", "--number", "1", "--expect-head", head).code == 0
    told = proposed(run, "yank", "demo==1.0", "--index", "emilie/dev", "--reason", reason)
    pull = github.pulls[1]
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(pull["body"])
    assert "<script>" not in html
    assert "<img" not in html
    assert not any(line.startswith("/") for line in pull["body"].splitlines())
    assert pull["title"] == "Yank demo 1.0 in emilie/dev"
    assert told["branch"] == "gitindex/yank-demo-1.0-in-emilie-dev"


def test_a_long_change_is_cut(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    files = []
    for number in range(120):
        name, data = make_wheel(f"a-very-long-name-of-a-project-{number}-" + "x" * 100, "1.0")
        (tmp_path / name).write_bytes(data)
        files.append(tmp_path / name)
    proposed(run, "upload", *files, "--index", "emilie/dev")
    (pull,) = github.pulls
    assert 5_000 < len(pull["body"].encode()) <= 65_536
    assert pull["title"].endswith("and 119 more")


# Where the API is, and who gets a token


@pytest.mark.parametrize(
    ("url", "place", "where"),
    [
        ("https://github.com/emilie/packages.git", "https://github.com/emilie/packages", "https://api.github.com"),
        ("https://u:p@github.com/emilie/packages", "https://github.com/emilie/packages", "https://api.github.com"),
        ("git@github.com:emilie/packages.git", "https://github.com/emilie/packages", "https://api.github.com"),
        ("ssh://git@ssh.github.com:443/emilie/packages", "https://github.com/emilie/packages", "https://api.github.com"),
        ("git@acme.ghe.com:emilie/packages", "https://acme.ghe.com/emilie/packages", "https://api.acme.ghe.com"),
        ("ssh://git@git.example.org:2222/a/b.git/", "https://git.example.org/a/b", "https://git.example.org/api/v3"),
        ("https://git.example.org:8443/a/b", "https://git.example.org:8443/a/b", "https://git.example.org:8443/api/v3"),
        ("HTTPS://GIT.Example.ORG/a/b%20c", "https://git.example.org/a/b%20c", "https://git.example.org/api/v3"),
    ],
)  # fmt: skip
def test_a_remote_tells_where_its_forge_is(url: str, place: str, where: str) -> None:
    found = read_remote(url)
    assert found is not None
    assert (found.web, api_url(found)) == (place, where)


@pytest.mark.parametrize(
    "url",
    [
        "/srv/git/a.git",
        "../a.git",
        "file:///srv/git/a.git",
        "git://example.org/a/b",
        "https://host",
        "a:b",
        "http://[",
        "https://x:99999/a/b",
        "-oProxyCommand=x:a/b",
        "https:///a/b",
        "",
        "ext::sh -c id",
    ],
)
def test_what_is_at_no_forge(url: str) -> None:
    assert read_remote(url) is None


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("github.com", Kind.GITHUB),
        ("gitlab.example.org", Kind.GITLAB),
        ("codeberg.org", Kind.GITEA),
        ("forgejo.example.org", Kind.GITEA),
        ("git.example.org", None),
    ],
)
def test_the_name_of_the_host_tells_the_forge(host: str, kind: Kind | None) -> None:
    place = read_remote(f"https://{host}/a/b")
    assert forge_of(place, Settings(format=1)) is kind
    stated = Settings(format=1, forge=Forge(type="gitea", url="https://x.example.org/g/"))
    assert forge_of(place, stated) is Kind.GITEA
    assert forge_of(None, stated) is Kind.GITEA
    shown = shown_at(place, stated)
    assert shown is not None
    assert shown.web == "https://x.example.org/g/a/b"


def test_a_token_of_the_public_github_is_sent_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "public")
    monkeypatch.setenv("GITHUB_TOKEN", "public")
    elsewhere = Place("https://git.example.org", "git.example.org", "a/b")
    assert client_for(elsewhere) is None
    assert client_for(Place("https://github.com", "github.com", "a/b")) is not None
    monkeypatch.setenv("GH_ENTERPRISE_TOKEN", "theirs")
    assert client_for(elsewhere) is not None


def test_a_token_is_sent_over_https_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITINDEX_TOKEN", "x")
    with pytest.raises(CannotRunError, match="which is not https"):
        client_for(Place("http://git.example.org", "git.example.org", "a/b"))


def test_a_token_does_not_show() -> None:
    assert "hush" not in repr(api.Token("hush", "GH_TOKEN"))


@pytest.mark.parametrize("path", ["a", "a/b/c", "a/b?x", "../b c", ""])
def test_a_path_that_is_no_repository(path: str) -> None:
    with pytest.raises(UsageError):
        GitHub("https://api.github.com", path, api.Token("x", "x"))


# Comments


def comment(run: Run, tmp_path: Path, text: str, *more: str) -> tuple[int, str]:
    (tmp_path / "body.md").write_text(text)
    done = run("forge", "comment", "--number", "7", "--body-file", tmp_path / "body.md", *more)
    return done.code, done.out + done.err


def test_a_comment_edits_itself(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    assert comment(run, tmp_path, "# One\n") == (0, "Comment created: https://github.com/emilie/packages/pull/7#c\n")
    assert comment(run, tmp_path, "# Two\n")[1].startswith("Comment updated: ")
    assert comment(run, tmp_path, "# Two\n")[1].startswith("Comment unchanged: ")
    assert [found["body"] for found in github.comments] == ["# Two\n\n<!-- gitindex:comment -->"]
    comment(run, tmp_path, "Another", "--marker", "other")
    assert [found["body"].splitlines()[0] for found in github.comments] == ["# Two", "Another"]


def test_a_marker_that_somebody_else_wrote_counts_for_nothing(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    theirs = github.add_comment(7, ("mallory", "User"), "Mine\n\n<!-- gitindex:comment -->")
    quoted = github.add_comment(7, ("emilie", "User"), "See <!-- gitindex:comment --> here")
    github.add_comment(7, ("gone", "User"), "Gone\n\n<!-- gitindex:comment -->")["user"] = None
    for _ in range(150):
        github.add_comment(7, ("bob", "User"), "Chatter")
    assert comment(run, tmp_path, "Ours")[1].startswith("Comment created")
    assert comment(run, tmp_path, "Ours, again")[1].startswith("Comment updated")
    assert theirs["body"].startswith("Mine")
    assert quoted["body"].startswith("See")
    assert github.comments[-1]["body"].startswith("Ours, again")


def test_a_workflow_knows_its_comments(
    github: GitHubServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_TOKEN", APP_TOKEN)
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
    monkeypatch.chdir(tmp_path)  # no repository is needed
    github.add_comment(7, ("mallory", "User"), "Mine\n\n<!-- gitindex:comment -->")
    assert comment(run, tmp_path, "One")[1].startswith("Comment created")
    assert comment(run, tmp_path, "Two")[1].startswith("Comment updated")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--number", "7"], "say what to tell"),
        (["--number", "7", "--preview"], "what to preview is not known"),
        (["--number", "7", "--preview", "--body-file", "x"], "say what to tell"),
        (["--branch", "emilie:x", "--preview"], "say what to comment on"),
    ],
)
def test_what_a_comment_is_to_say_is_said_once(words: list[str], problem: str, github: GitHubServer, run: Run) -> None:
    done = run("forge", "comment", *words)
    assert (done.code, problem in done.err) == (2, True)
    assert github.asked == []


def test_a_comment_that_is_too_long_is_cut(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    comment(run, tmp_path, "é" * 70_000)
    (found,) = github.comments
    assert len(found["body"]) == 65_536
    assert found["body"].endswith("(cut off: it was too long)\n\n<!-- gitindex:comment -->")


@pytest.mark.parametrize(
    ("data", "more"),
    [(b"\xff", []), (b"x" * 1_100_000, []), (b"x", ["--marker", "--> x"]), (b"x", ["--number", "0"])],
)
def test_a_comment_that_cannot_be_written(
    data: bytes, more: list[str], github: GitHubServer, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "body.md").write_bytes(data)
    words = ["forge", "comment", "--number", "7", "--body-file", str(tmp_path / "body.md"), *more]
    assert run(*words).code == 2
    assert github.comments == []


def test_which_repository_is_not_known(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert comment(run, tmp_path, "x")[0] == 3
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
    monkeypatch.setenv("GITHUB_API_URL", "https://api.example.org")
    code, said = comment(run, tmp_path, "x")
    assert (code, "there is no token" in said) == (3, True)


# Issues


def issue(run: Run, tmp_path: Path, text: str, *more: str) -> str:
    (tmp_path / "body.md").write_text(text)
    done = run("forge", "issue", "--title", "Upstream: gone", "--body-file", tmp_path / "body.md", *more)
    assert done.code == 0, done.err
    return done.out


def test_an_issue_is_open_once_and_closed_when_all_is_well(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    assert issue(run, tmp_path, "One is gone", "--close") == "No such issue is open.\n"
    told = issue(run, tmp_path, "One is gone", "--label", "upstream", "--label", "bug")
    assert told == "Issue 1 created: https://github.com/emilie/packages/issues/1\n"
    assert issue(run, tmp_path, "Two are gone").startswith("Issue 1 updated")
    assert issue(run, tmp_path, "Two are gone").startswith("Issue 1 unchanged")
    (found,) = github.issues
    assert [label["name"] for label in found["labels"]] == ["upstream", "bug"]
    assert found["body"] == "Two are gone\n\n<!-- gitindex:upstream-gone -->"
    assert issue(run, tmp_path, "All are back", "--close").startswith("Issue 1 closed")
    assert (found["state"], found["state_reason"]) == ("closed", "completed")
    assert [c["body"].splitlines()[0] for c in github.comments] == ["All are back"]
    assert issue(run, tmp_path, "Gone again").startswith("Issue 3 created")


def test_closing_twice_comments_once(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    issue(run, tmp_path, "One is gone")
    github.faults.append(fault("PATCH", "/issues/1", Reply(422, {"message": "no"})))
    assert run("forge", "issue", "--title", "Upstream: gone", "--body-file", tmp_path / "body.md", "--close").code == 3
    issue(run, tmp_path, "Back", "--close")
    assert [c["body"].splitlines()[0] for c in github.comments] == ["Back"]


@pytest.mark.usefixtures("monkeypatch")
def test_an_issue_of_somebody_else_is_left_alone(github: GitHubServer, run: Run, tmp_path: Path) -> None:
    issue(run, tmp_path, "One is gone")
    github.users[TOKEN] = ("bob", "User")
    assert issue(run, tmp_path, "Two are gone").startswith("Issue 2 created")
    assert github.issues[0]["body"].startswith("One is gone")


# Merges


def test_what_was_judged_is_merged_once(remote: IndexRepository, github: GitHubServer, run: Run) -> None:
    head = proposed(run, "user", "create", "bob")["commit"]
    words = ["forge", "merge", "--number", "1", "--expect-head", head]
    done = run(*words)
    assert (done.code, done.out) == (0, f"Pull request 1 merged: {head}\n")
    assert remote.git("rev-parse", "main") == head
    assert run(*words).out == f"Pull request 1 was merged already: {head}\n"
    assert github.asked.count(("PUT", f"{PULLS}/1/merge")) == 1


def test_another_head_is_not_merged(remote: IndexRepository, github: GitHubServer, run: Run) -> None:
    head = proposed(run, "user", "create", "bob")["commit"]
    other = remote.git("rev-parse", "main")
    done = run("forge", "merge", "--number", "1", "--expect-head", other)
    assert done.code == 1
    assert done.err.startswith(f"gitindex: the head of pull request 1 is {head}, and {other} was expected")
    # It moves between the question and the merge: GitHub itself compares.
    github.faults.append(fault("PUT", "/merge", Reply(409, {"message": "Head branch was modified."})))
    done = run("forge", "merge", "--number", "1", "--expect-head", head)
    assert (done.code, "any more" in done.err) == (1, True)
    assert remote.git("rev-parse", "main") == other


def test_what_goes_elsewhere_by_now_is_not_merged(remote: IndexRepository, github: GitHubServer, run: Run) -> None:
    head = proposed(run, "user", "create", "bob")["commit"]
    client = GitHub(github.url, REPOSITORY, api.Token(TOKEN, "the test"))
    github.pulls[0]["base"]["ref"] = "lax"
    with pytest.raises(MovedError, match="goes to lax by now, and was judged for main"):
        client.merge(1, head, "merge", target="main")
    assert remote.git("rev-parse", "main") != head
    assert ("PUT", f"{PULLS}/1/merge") not in github.asked


def test_a_merge_whose_answer_is_lost(github: GitHubServer, run: Run) -> None:
    head = proposed(run, "user", "create", "bob")["commit"]
    github.faults.append(fault("PUT", "/merge", Reply(200, is_cut=True)))
    done = run("forge", "merge", "--number", "1", "--expect-head", head, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"number": 1, "commit": head, "outcome": "unchanged"}


def test_what_cannot_be_merged(github: GitHubServer, run: Run) -> None:
    head = proposed(run, "user", "create", "bob")["commit"]
    github.faults.append(fault("PUT", "/merge", Reply(405, {"message": "Required status check is expected."})))
    done = run("forge", "merge", "--number", "1", "--expect-head", head, "--method", "squash")
    assert done.code == 3
    assert "pull request 1 cannot be merged now: Required status check is expected." in done.err
    assert run("forge", "merge", "--number", "1", "--expect-head", head[:12]).code == 2


# The server of these tests


@pytest.mark.usefixtures("tmp_path")
def test_the_server_notices_what_github_does_not_describe() -> None:
    with github_server(None) as server:
        made = {"title": 3, "head": "x", "base": "main", "bogus": True}
        for method, path, body in itertools.chain(
            [("POST", PULLS, made), ("GET", f"{PULLS}?bogus=1", None), ("GET", "/repos/a/b/elsewhere", None)]
        ):
            server.answer(method, path, "nobody", body)
        assert server.problems == [
            f"POST {PULLS}: title: 3 is not of type 'string'",
            f"POST {PULLS}: unknown key bogus",
            f"GET {PULLS}: unknown parameter bogus",
            "GET /repos/a/b/elsewhere is not described",
        ]
    assert os.environ.get("GITHUB_API_URL") is None
