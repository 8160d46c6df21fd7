"""Point 68: what an upstream is asked with goes to its own server, and to nobody else."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests import hosts
from tests.hosts import Answer, Host
from tests.server.client import Response, Served
from tests.server.fallback.mirrored import ASKS_HTML, ASKS_JSON, DEMO, PROD, Serve, their_wheel, world
from tests.upstream.pages import page, projects, sent

USER, PASSWORD = "emilie-reads", "hunter2-is-secret"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (USER, PASSWORD, BASIC)


@pytest.fixture
def other() -> Iterator[Host]:
    with Host() as started:
        yield started


@pytest.fixture
def login(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "GITINDEX_MIRROR_ROOT_WORLD_"
    for part, value in (("URL", f"{host.url}/"), ("USERNAME", USER), ("PASSWORD", PASSWORD)):
        monkeypatch.setenv(prefix + part, value)


def locked(then: Answer) -> Answer:
    """Answer who has the password, and echo what others, and they too, send."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent_ = handler.headers.get("Authorization", "")
        (then if sent_ == f"Basic {BASIC}" else hosts.status(401, WWW_Authenticate="Basic", X_Echo=sent_))(handler)

    return answer


def echoes(code: int) -> Answer:
    """Fail, and say in the body and the headers what was sent."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent_ = handler.headers.get("Authorization", "").encode()
        body = b"you sent " + sent_ + base64.b64decode(sent_.removeprefix(b"Basic "))
        handler.send_response(code, body.decode())
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("X-Echo", body.decode())
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def sends(host: Host) -> set[str | None]:
    """Return what a host was sent to know who asks."""
    return {request.headers.get("Authorization") for request in host.requests}


def told(answers: list[Response], server: Served, cache: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Return all that anybody might read."""
    answers = [*answers, *(server.get(path) for path in ("/+status", "/+metrics", "/+changelog"))]
    text = "".join(f"{answer.fields}{answer.content.decode('latin-1')}" for answer in answers)
    kept = "".join(path.read_bytes().decode("latin-1") for path in sorted(cache.rglob("*")) if path.is_file())
    return text + kept + caplog.text


@pytest.mark.usefixtures("login")
def test_point_68_a_password_reaches_the_mirrors_own_server_and_nothing_that_is_told(
    host: Host, other: Host, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    here, there, led = their_wheel("demo", "1.0"), their_wheel("demo", "2.0"), their_wheel("demo", "3.0")
    entries = (here.entry(), there.entry(url=f"{other.url}{there.path}"), led.entry())
    host.on("/simple/demo/", locked(sent(page(*entries))))
    host.on("/simple/", locked(sent(projects("demo"))))
    host.on(here.path, locked(hosts.content(here.data)))
    other.on(there.path, there.data)
    host.on(led.path, locked(hosts.redirect(f"{other.url}{led.path}")))
    other.on(led.path, led.data)
    server = serve(world(host))
    answers = [
        server.get(path, form) for path in (PROD, DEMO, "/root/world/simple/") for form in (ASKS_JSON, ASKS_HTML)
    ]
    assert [answer.status for answer in answers] == [200] * 6
    for file in (here, there, led):
        answers.append(server.get(file.url("demo")))
        assert answers[-1].body == file.data
    assert sends(host) == {f"Basic {BASIC}"}
    assert sends(other) == {None}
    text = told(answers, server, tmp_path / "cache", caplog)
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.usefixtures("login")
def test_point_68_a_page_that_leads_elsewhere_is_asked_for_there_without_the_password(
    host: Host, other: Host, serve: Serve
) -> None:
    host.on("/simple/demo/", locked(hosts.redirect(f"{other.url}/demo/")))
    other.on("/demo/", sent(page(their_wheel("demo").entry())))
    assert serve(world(host)).get(PROD, ASKS_JSON).status == 200
    assert sends(host) == {f"Basic {BASIC}"}
    assert sends(other) == {None}


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("code", [400, 401, 403, 407, 500, 503])
def test_point_68_what_an_upstream_echoes_of_the_password_is_told_to_nobody(
    host: Host, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    caplog.set_level(logging.DEBUG, "gitindex")
    wheel = their_wheel("demo")
    host.on("/simple/demo/", locked(sent(page(wheel.entry()))))
    host.on("/simple/other/", echoes(code))
    host.on(wheel.path, echoes(code))
    server = serve(world(host))
    paths = (PROD, PROD.replace("demo", "other"), wheel.url("demo"))
    answers = [server.get(path) for path in paths]
    assert [answer.status for answer in answers] == [200, 503, 503]
    text = told(answers, server, tmp_path / "cache", caplog)
    assert not [secret for secret in SECRETS if secret in text]


def test_point_68_credentials_in_a_mirror_url_are_told_to_nobody(
    host: Host, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host.on("/simple/demo/", sent(page(their_wheel("demo").entry())))
    server = serve(world(f"http://{USER}:{PASSWORD}@{host.netloc}/simple/"))
    answers = [server.get(path) for path in (PROD, DEMO, "/root/world/simple/")]
    assert {answer.status for answer in answers} <= {404, 503}
    text = told(answers, server, tmp_path / "cache", caplog)
    assert not [secret for secret in SECRETS if secret in text]
    assert sends(host) <= {None}


@pytest.mark.usefixtures("login")
def test_point_68_a_mirror_that_a_commit_points_elsewhere_does_not_take_the_password_along(
    other: Host, serve: Serve
) -> None:
    other.on("/simple/demo/", sent(page()))
    assert serve(world(other)).get(PROD).status == 200
    assert sends(other) == {None}


@pytest.mark.parametrize(
    "target", ["ftp://files.example.org/x", "file:///etc/passwd", "http://files.example.org/x", "gopher://x/"]
)
def test_a_file_that_leads_to_another_scheme_is_refused(host: Host, serve: Serve, target: str) -> None:
    wheel = their_wheel("demo")
    host.on("/simple/demo/", sent(page(wheel.entry())))
    host.on(wheel.path, hosts.redirect(target), hosts.content(wheel.data))
    server = serve(world(host))
    answer = server.get(wheel.url("demo"))
    assert answer.status == 502
    assert b"not https" in answer.body
    assert b"root:" not in answer.body
    assert server.get(wheel.url("demo")).body == wheel.data
