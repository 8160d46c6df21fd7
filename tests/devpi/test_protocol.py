"""Devpi's protocol at its edges: who may see and do what, what nobody may send, and that refused is unchanged."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gitindex import tokens
from tests.builders import make_provenance, make_sdist, make_wheel
from tests.devpi.client import devpi_client
from tests.devpi.conftest import Ours, content, our_door
from tests.devpi.script import TOX
from tests.peers.foreign import peer, pypiserver
from tests.peers.nginx import BLOCKS, nginx
from tests.peers.server import SiteServer
from tests.peers.serving import Got, eventually, get, serving
from tests.peers.tools import Tools, done
from tests.repositories import Content, IndexRepository, make_repository

pytestmark = pytest.mark.peers

JSON = "application/json"


def auth(ours: Ours, user: str) -> str:
    """Return the header in which devpi's client sends a token."""
    return base64.b64encode(f"{user}:{ours.door.passwords[user]}".encode()).decode()


def ask(ours: Ours, method: str, path: str, body: Any = None, user: str | None = "emilie", **headers: str) -> Got:
    """Send a request as devpi's client does."""
    sent = {"Accept": JSON, "Content_Type": JSON, **headers}
    if user is not None:
        sent["X_Devpi_Auth"] = auth(ours, user)
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    return get(f"{ours.server.url}{path}", method, body=data, **sent)


def message(got: Got) -> str:
    """Return what an answer says."""
    assert got.headers["content-type"] == JSON, got
    text: str = json.loads(got.body)["message"]
    return text


def head(repository: IndexRepository) -> str:
    return repository.git("rev-parse", "refs/heads/main")


@pytest.fixture
def filled(ours: Ours, tmp_path: Path) -> Ours:
    """Our server with `emilie/prod`, which keeps, `emilie/dev` above it, and a release in each."""
    ours.login("emilie")
    ours.client.ok("index -c prod volatile=False")
    ours.client.ok("index -c dev bases=emilie/prod")
    for name, data in (make_wheel("pkg", "1.0"), make_sdist("pkg", "1.0", files={"tox.ini": TOX})):
        (tmp_path / name).write_bytes(data)
    ours.client.ok("use emilie/dev")
    ours.client.ok(f"upload {tmp_path}/pkg-1.0-py3-none-any.whl {tmp_path}/pkg-1.0.tar.gz")
    ours.client.ok("push pkg==1.0 emilie/prod")
    return ours


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Ours]:
    """Our server, of which strangers see nothing."""
    made = content()
    made.stage("emilie/secret")
    made.release("emilie/secret", "hidden", "1.0")
    made.statements("emilie/secret", "hosted", sources=["https://files.example.org/"])
    name = made.release("emilie/secret", "hosted", "1.0", url="https://files.example.org/hosted-1.0-py3-none-any.whl")
    assert name.startswith("hosted")
    repository, target = make_repository(tmp_path / "ours" / "packages", made), str(tmp_path / "target")
    with our_door(tmp_path / "ours", repository, PIP_TARGET=target) as door:
        yield door


# Who sees what


def test_strangers_are_told_the_same_whether_or_not_it_is_there(private: Ours) -> None:
    for there, missing in (
        ("/emilie/secret", "/emilie/nothing"),
        ("/emilie/secret/hidden", "/emilie/nothing/hidden"),
        ("/emilie/secret/hidden/1.0", "/emilie/nothing/hidden/1.0"),
        ("/emilie", "/nobody"),
        ("/emilie/secret/+f/123/4567890123456/x-1.0.tar.gz", "/emilie/nothing/+f/123/4567890123456/x-1.0.tar.gz"),
    ):
        one, other = (ask(private, "GET", path, user=None) for path in (there, missing))
        # Of an index devpi's client goes on to the login after a 403 alone.
        assert one.status == (403 if there == "/emilie/secret" else 401)
        assert (one.status, one.body) == (other.status, other.body)
        assert "token" in message(one)


def test_token_of_another_index_gets_no_file_and_no_result(private: Ours) -> None:
    def path_of(project: str) -> str:
        found = json.loads(ask(private, "GET", f"/emilie/secret/{project}").body)
        return str(urlsplit(found["result"]["1.0"]["+links"][0]["href"]).path)

    file, hosted = path_of("hidden"), path_of("hosted")
    elsewhere = ask(private, "GET", hosted, Accept="*/*")
    assert (elsewhere.status, elsewhere.headers["location"][:27]) == (302, "https://files.example.org/h")
    report = {"testenvs": {"unit": {"test": [{"retcode": 0}]}}}
    result = f"/{json.loads(ask(private, 'POST', file, report).body)['result']}"
    store, now = private.repository.root.parent / "tokens.json", datetime.now(UTC)
    token = tokens.create(store, "narrow", ["read:bob/*"], expires=None, now=now).text
    narrow = base64.b64encode(f"__token__:{token}".encode()).decode()
    sent = {"user": "__token__", "password": token}
    assert ask(private, "POST", "/+login", sent, user=None).status == 200  # and with that the token is known
    for path in (file, result, hosted):
        assert ask(private, "GET", path).status == 200
        assert ask(private, "GET", path, user=None).status == 401
        for accept in (JSON, "*/*"):
            there = ask(private, "GET", path, user=None, X_Devpi_Auth=narrow, Accept=accept)
            missing = path.replace("hidden", "nothing").replace("hosted", "nothing")
            other = ask(private, "GET", missing, user=None, X_Devpi_Auth=narrow, Accept=accept)
            assert (there.status, there.body) == (404, other.body), (path, accept)
    for path in ("/emilie/secret", "/emilie/secret/hidden", "/emilie/secret/hidden/1.0"):
        there, other = (
            ask(private, "GET", asked, user=None, X_Devpi_Auth=narrow)
            for asked in (path, path.replace("secret", "nothing"))
        )
        assert (there.status, there.body) == (403, other.body)
    users = json.loads(ask(private, "GET", "/", user=None, X_Devpi_Auth=narrow).body)["result"]
    assert set(users) == {"bob"}
    assert "email" not in users["bob"]


def test_api_leads_strangers_to_the_login_and_tells_nothing_else(private: Ours) -> None:
    found, missing = (ask(private, "GET", f"/emilie/{name}/+api", user=None) for name in ("secret", "nothing"))
    assert (found.status, missing.status) == (200, 200)
    assert found.body.replace(b"secret", b"nothing") == missing.body
    result = json.loads(found.body)["result"]
    assert result["login"] == f"{private.server.url}/+login"
    assert result["authstatus"] == ["noauth", "", []]
    assert found.headers["x-devpi-api-version"] == "2"


def test_client_logs_in_where_nothing_is_public_and_works(private: Ours) -> None:
    private.client.ok("use URL/emilie/secret")
    assert "devpi login USER" in private.client.fails("list")
    private.login("emilie")
    assert private.client.ok("list").split() == ["hidden", "hosted"]
    assert "emilie/secret" in private.client.ok("use -l")
    assert private.client.json("/emilie/secret/hidden/1.0")["type"] == "versiondata"
    assert "Successfully installed hidden-1.0" in private.client.ok("install hidden")


def test_client_forgets_a_token_that_is_none_any_more(private: Ours) -> None:
    client = private.client
    client.ok("use URL/emilie/secret")
    private.login("bob")
    assert "logged in as bob" in client.ok("use")
    tokens.revoke(private.repository.root.parent / "tokens.json", "bob")
    eventually(lambda: ask(private, "GET", "/emilie", user="bob").status == 401, "the token is not forgotten")
    got = ask(private, "GET", "/emilie", user="bob")
    assert got.headers["location"] == "/+login"
    assert "revoked" in message(got)
    assert "not logged in" in client.ok("use")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"user": "emilie", "password": "x"}, 401),
        ({"user": "emilie"}, 400),
        ({"user": 1, "password": []}, 400),
        ([], 400),
        (b"no json", 400),
        (b"", 400),
        (b"[" * 10_000, 400),
        (b'"' + b"x" * (2 << 20) + b'"', 413),
    ],
)
def test_login_takes_no_nonsense(ours: Ours, sent: Any, status: int) -> None:
    got = ask(ours, "POST", "/+login", sent, user=None)
    assert got.status == status
    assert message(got)


def test_token_logs_in_its_own_user_alone(ours: Ours) -> None:
    sent = {"user": "bob", "password": ours.door.passwords["emilie"]}
    got = ask(ours, "POST", "/+login", sent, user=None)
    assert got.status == 401
    assert message(got) == "user 'bob' could not be authenticated: that token is for emilie"
    got = ask(ours, "POST", "/+login", {**sent, "user": "emilie"}, user=None)
    assert json.loads(got.body)["result"]["password"] == sent["password"]
    assert json.loads(got.body)["type"] == "proxyauth"


# What is sent


NONSENSE = [
    ("PUT", "/new", b"no json", 400, "could not decode json"),
    ("PUT", "/new", [], 400, "wanted an object"),
    ("PUT", "/new", {"email": 1}, 400, "email must be a text"),
    ("PUT", "/new", {"colour": "red"}, 400, "Unknown keys in user config"),
    ("PUT", "/New", {"password": ""}, 400, "username 'New' contains characters that aren"),
    ("PUT", "/a%20b", {}, 400, "username 'a b' contains characters that aren"),
    ("PUT", "/%C3%BC", {}, 400, "username 'ü' contains characters that aren't"),
    ("PUT", "/emilie/" + "x" * 65, {}, 400, "indexname 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("PUT", "/nobody/index", {}, 404, "no user 'nobody'"),
    ("PUT", "/emilie/new", b"{", 400, "could not decode json"),
    ("PUT", "/emilie/new", "text", 400, "wanted an object"),
    ("PUT", "/emilie/new", {"bases": {"a": 1}}, 400, "bases must be a text, a number, true or fals"),
    ("PUT", "/emilie/new", {"bases": [1]}, 400, "bases must be a text, a number, true or fals"),
    ("PUT", "/emilie/new", {"bases": "../../etc"}, 400, "GI101"),
    (
        "PUT",
        "/emilie/new",
        {"type": "mirror", "mirror_url": "file:///etc/passwd"},
        400,
        "mirror_url: must be an http or htt",
    ),
    (
        "PUT",
        "/emilie/new",
        {"type": "mirror", "mirror_url": "http://user:pass@example.org/"},
        400,
        "mirror_url: must have no credentia",
    ),
    ("PUT", "/emilie/new", {"acl_upload": "nobody"}, 400, "GI107"),
    ("PUT", "/emilie/new", {"type": 1}, 400, "unknown index type '1'"),
    ("PATCH", "/emilie/prod", ["volatile"], 400, "'volatile' is no setting"),
    ("PATCH", "/emilie/prod", ["=x"], 400, "'' cannot be set here"),
    ("PATCH", "/emilie/prod", [1], 400, "wanted a list"),
    ("PATCH", "/emilie/prod", {"volatile": None}, 400, "volatile is '', and must be true or false"),
    ("PATCH", "/emilie/prod", ["acl_upload-=zed"], 400, "acl_upload does not have 'zed'"),
    ("PATCH", "/emilie/nothing", ["title=x"], 404, "The stage emilie/nothing could not be found."),
    ("PATCH", "/emilie", {"admin": True}, 400, "Unknown keys in user config"),
    ("PATCH", "/emilie", {"identities": ["github:mallory"]}, 400, "Unknown keys in user config"),
    ("POST", "/emilie/dev", b"", 400, "could not decode json"),
    ("POST", "/emilie/dev", [], 400, "wanted an object"),
    ("POST", "/emilie/dev", {}, 400, "None is no name of a project"),
    ("POST", "/emilie/dev", {"name": "pkg"}, 400, "a version is needed"),
    ("POST", "/emilie/dev", {"name": "pkg", "version": "1.0"}, 400, "targetindex not in format user/index"),
    (
        "POST",
        "/emilie/dev",
        {"name": "pkg", "version": "1.0", "targetindex": 1},
        400,
        "targetindex not in format user/index",
    ),
    (
        "POST",
        "/emilie/dev",
        {"name": "pkg", "version": "1.0", "targetindex": "../.."},
        400,
        "targetindex not in format user/index",
    ),
    (
        "POST",
        "/emilie/dev",
        {"name": "pkg", "version": "1.0", "targetindex": "emilie/dev"},
        400,
        "emilie/dev is both source and target",
    ),
    (
        "POST",
        "/emilie/dev",
        {"name": "../x", "version": "1.0", "targetindex": "emilie/prod"},
        400,
        "'../x' is no name of a project",
    ),
    (
        "POST",
        "/emilie/dev",
        {"name": "pkg", "version": "no version", "targetindex": "emilie/prod"},
        400,
        "'no version' is no version",
    ),
    (
        "POST",
        "/emilie/dev",
        {"name": "pkg", "version": "1.0", "targetindex": "emilie/prod", "foo": 1},
        400,
        "unknown additional options",
    ),
    (
        "POST",
        "/emilie/dev",
        {"name": "pkg", "version": "1.0", "no_docs": True, "only_docs": True},
        400,
        "can't use 'no_docs' and 'only_docs' together",
    ),
    (
        "POST",
        "/emilie/dev",
        {"name": "pkg", "version": "1.0", "posturl": "http://127.0.0.1:1/", "username": "x"},
        403,
        "this server pushes to no such server",
    ),
    (
        "POST",
        "/emilie/dev",
        {"name": "pkg", "version": "1.0", "posturl": ["http://127.0.0.1:1/"]},
        400,
        "posturl, username and password must be texts",
    ),
    ("DELETE", "/emilie/prod/pkg/1.0?force=", None, 403, "GI202"),
    ("DELETE", "/emilie/prod/pkg?force=", None, 403, "GI202"),
    ("DELETE", "/emilie/dev/pkg/9.9", None, 404, "emilie/dev has no pkg 9.9"),
    ("DELETE", "/emilie/dev/nothing", None, 404, "emilie/dev itself has no project nothing"),
    ("DELETE", "/emilie/dev/+f/123/4567890123456/pkg-1.0.tar.gz", None, 404, "no such file"),
    ("DELETE", "/nobody", None, 404, "nobody"),
    ("DELETE", "/No+Name", None, 404, "no user 'No+Name'"),
    ("POST", "/emilie/dev/+f/123/4567890123456/pkg-1.0.tar.gz", {"testenvs": {}}, 404, "no such file"),
]


def test_nonsense_is_refused_in_one_line_and_changes_nothing(filled: Ours) -> None:
    before = head(filled.repository)
    for method, path, body, status, words in NONSENSE:
        got = ask(filled, method, path, body)
        assert (got.status, words in message(got)) == (status, True), (method, path, body, got)
        assert "Traceback" not in message(got)
    assert head(filled.repository) == before
    assert not any("unexpected" in line for line in filled.server.said)


TITLES = ['a"\nvolatile = false\nb = "', "'" * 3 + "\n", "\x00\x1b[2J", "\u202e", "=,;"]


@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_a_title_whatever_is_in_it(filled: Ours, title: str) -> None:
    for method, path, sent in (
        ("PUT", "/emilie/new", {"title": title}),
        ("PATCH", "/emilie/new", {"title": f"{title}2"}),
        ("PATCH", "/emilie", {"title": title}),
    ):
        got = ask(filled, method, path, sent)
        assert got.status in {200, 400}, got
        found = json.loads(ask(filled, "GET", path).body).get("result", {})
        if got.status == 200:
            assert found["title"] == sent["title"].strip()
        assert found.get("volatile") is not False
    here = Tools(filled.repository.root.parent / "home")
    done(here.gitindex(filled.repository.root, "validate", "--all"))


def test_who_may_not_changes_nothing_whatever_is_asked(filled: Ours) -> None:
    before = head(filled.repository)
    digest = json.loads(ask(filled, "GET", "/emilie/dev/pkg").body)["result"]["1.0"]["+links"][0]["href"]
    file = urlsplit(digest).path
    asked = [
        ("PUT", "/emilie/mine", {}),
        ("PATCH", "/emilie/dev", ["title=Mine"]),
        ("DELETE", "/emilie/dev", None),
        ("PATCH", "/emilie", {"title": "Mine"}),
        ("DELETE", "/emilie", None),
        ("PUT", "/mallory", {"password": "x"}),
        ("DELETE", "/emilie/dev/pkg", None),
        ("DELETE", "/emilie/dev/pkg/1.0", None),
        ("DELETE", file, None),
        ("POST", file, {"testenvs": {"py": {"test": [{"retcode": 0}]}}}),
        ("POST", "/emilie/dev", {"name": "pkg", "version": "1.0", "targetindex": "emilie/prod"}),
    ]
    for method, path, body in asked:
        for user, status in ((None, 401), ("bob", 403)):
            got = ask(filled, method, path, body, user=user)
            assert got.status == status, (method, path, user, got)
            assert message(got)
    assert head(filled.repository) == before


def test_server_that_only_reads_says_so(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", content())
    (tmp_path / "home").mkdir()
    with serving(Tools(tmp_path / "home"), repository.root) as server:
        got = get(f"{server.url}/emilie/dev", "PUT", body=b"{}", Accept=JSON, Content_Type=JSON)
        assert (got.status, got.headers["allow"]) == (405, "GET, HEAD")
        assert "--writable" in message(got)
        assert json.loads(server.get("/+api", Accept=JSON).body)["result"]["authstatus"] == ["noauth", "", []]


def test_push_is_a_method_at_the_start_of_a_request_alone(filled: Ours) -> None:
    url = urlsplit(filled.server.url)
    form = (
        b'--b\r\nContent-Disposition: form-data; name=":action"\r\n\r\n',
        b"PUSH /emilie/dev HTTP/1.1\r\n--b--\r\n",
    )
    body = json.dumps({"name": "pkg", "version": "1.0", "targetindex": "emilie/prod"}).encode()

    def head_of(start: bytes, kind: bytes, size: int) -> bytes:
        who = auth(filled, "emilie").encode()
        lines = [start, b"Host: x", b"X-Devpi-Auth: " + who, b"Content-Type: " + kind, b"Content-Length: %d" % size]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=20) as wire:
        wire.sendall(head_of(b"PUSH /emilie/dev HTTP/1.1", b"application/json", len(body)) + body)
        assert b'"actionlog"' in _answer(wire)
        # The same connection again; and what looks like one in a body is a body.
        kind = b"multipart/form-data; boundary=b"
        wire.sendall(head_of(b"POST /emilie/dev/ HTTP/1.1", kind, sum(map(len, form))) + form[0])
        time.sleep(0.3)  # so that it comes by itself
        wire.sendall(form[1])
        assert b"the action 'PUSH /emilie/dev HTTP/1.1' is not known" in _answer(wire)
        wire.sendall(head_of(b"PUSH /emilie/dev HTTP/1.1", b"application/json", len(body)) + body)
        assert b'"actionlog"' in _answer(wire)


def _answer(wire: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += wire.recv(65536)
    first, _, rest = data.partition(b"\r\n\r\n")
    size = int(first.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(rest) < size:
        rest += wire.recv(65536)
    return rest


def link_of(ours: Ours, **headers: str) -> str:
    """Return the link of a file, as one gets it who sends these headers."""
    got = ask(ours, "GET", "/emilie/dev/pkg", **headers)
    assert got.status == 200, got
    link: str = json.loads(got.body)["result"]["1.0"]["+links"][0]["href"]
    return link.partition("/emilie/dev/+f/")[0]


def test_links_lead_where_the_client_is_or_the_proxy_or_the_settings_say(filled: Ours) -> None:
    assert link_of(filled) == filled.server.url
    assert link_of(filled, Host="packages.example.org") == "http://packages.example.org"
    assert link_of(filled, X_Outside_URL="https://p.example.org/pypi/") == "https://p.example.org/pypi"
    for host in ("evil.example.org/x", "a b", "x@y", '"><script>', "a:b:c"):
        got = ask(filled, "GET", "/emilie/dev/pkg", Host=host)
        assert got.status != 200 or link_of(filled, Host=host) == "", host
    for url in ("javascript:alert(1)", "https://x@y/", "https://a b/", 'https://a/"><script>', "ftp://a/"):
        assert link_of(filled, X_Outside_URL=url) == filled.server.url, url
    settings = Content().settings(site={"url": "https://packages.example.org/"})
    filled.repository.put(settings)
    filled.repository.commit("Say where it is")
    eventually(lambda: link_of(filled, Host="gitindex") == "https://packages.example.org", "it is not served")
    assert link_of(filled) == filled.server.url  # who is on this machine


def test_client_works_through_nginx(tmp_path: Path) -> None:
    made = content()
    made.stage("emilie/dev")
    made.release("emilie/dev", "pkg", "1.0")
    repository = make_repository(tmp_path / "ours" / "packages", made)
    replaced = {"    client_max_body_size 1k;\n": BLOCKS["nginx"][1]}
    with ExitStack() as stack:
        ours = stack.enter_context(our_door(tmp_path / "ours", repository))
        proxy = stack.enter_context(nginx(tmp_path / "nginx", ours.server.url, **replaced))
        trusted = {"REQUESTS_CA_BUNDLE": str(proxy.certificate)}
        client = stack.enter_context(devpi_client(proxy.url, tmp_path / "client", trusted))
        client.ok("use URL/emilie/dev")
        client.ok(f"login emilie --password {ours.door.passwords['emilie']}")
        client.ok("index -c more bases=emilie/dev")
        name, data = make_wheel("pkg", "2.0")
        (tmp_path / name).write_bytes(data)
        client.ok(f"upload {tmp_path / name}")
        assert "200 register pkg 2.0 -> emilie/more" in client.ok("push pkg==2.0 emilie/more")
        assert client.ok("list pkg==2.0").startswith(f"{proxy.url}/emilie/dev/+f/")
        client.ok("remove pkg==2.0 -y")
        assert "2.0" not in client.ok("list pkg").replace("/emilie/more/", "")


# What is recorded


def test_result_of_tox_opens_the_gate_of_an_index_that_wants_one(filled: Ours) -> None:
    client = filled.client
    client.ok("index -c gated")
    assert ask(filled, "PATCH", "/emilie/gated", ["require_tests=unit"]).status == 200
    refused = client.fails("push pkg==1.0 emilie/gated")
    assert "GI305" in refused
    links = json.loads(ask(filled, "GET", "/emilie/dev/pkg").body)["result"]["1.0"]["+links"]
    report = {"testenvs": {"unit": {"setup": [{"retcode": 0}], "test": [{"retcode": 0}]}}}
    for link in links:
        got = ask(filled, "POST", urlsplit(link["href"]).path, report)
        assert got.status == 200
        answer = json.loads(got.body)
        assert answer["type"] == "toxresultpath"
        assert ask(filled, "GET", f"/{answer['result']}").status == 200
    client.ok("push pkg==1.0 emilie/gated")
    recorded = json.loads(filled.repository.git("show", "HEAD:indexes/emilie/dev/pkg/1.0.tests.json"))
    assert [run["outcome"] for run in recorded] == ["passed", "passed"]


def test_results_are_listed_with_their_file_and_can_be_read(filled: Ours) -> None:
    links = json.loads(ask(filled, "GET", "/emilie/dev/pkg").body)["result"]["1.0"]["+links"]
    file = next(link for link in links if link["href"].endswith(".tar.gz"))
    report = {"testenvs": {"unit": {"test": [{"retcode": "1"}]}, "docs": {"test": [{"retcode": 0}]}, ".pkg": {}}}
    assert ask(filled, "POST", urlsplit(file["href"]).path, report).status == 200
    links = json.loads(ask(filled, "GET", "/emilie/dev/pkg").body)["result"]["1.0"]["+links"]
    results = [link for link in links if link["rel"] == "toxresult"]
    assert {link["for_href"] for link in results} == {file["href"]}
    told = [json.loads(ask(filled, "GET", urlsplit(link["href"]).path).body)["testenvs"] for link in results]
    assert [next(iter(envs)) for envs in told] == ["unit", "docs"]
    assert told[0]["unit"]["test"][0]["retcode"] == "1"
    gone = results[0]["href"].replace("toxresult-2", "toxresult-1")
    assert ask(filled, "GET", urlsplit(gone).path).status == 404


def test_a_file_goes_by_its_url_and_the_release_with_the_last(filled: Ours) -> None:
    client = filled.client
    files = client.ok("list pkg").split()[:2]
    client.ok(f"remove -y {files[0]}")
    assert len([line for line in client.ok("list pkg").split() if "/emilie/dev/" in line]) == 1
    client.ok(f"remove -y {files[1]}")
    assert not [line for line in client.ok("list pkg").split() if "/emilie/dev/" in line]
    assert "403" in client.fails(f"remove -y --force {files[0].replace('/dev/', '/prod/')}")
    assert filled.repository.git("ls-tree", "HEAD", "indexes/emilie/dev/").count("pkg") == 0


def test_changes_that_come_at_once_are_all_made(filled: Ours) -> None:
    def change(number: int) -> int:
        return ask(filled, "PUT", f"/emilie/index-{number}", {"title": str(number)}).status

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(change, range(24))) == {200}
    result = json.loads(ask(filled, "GET", "/emilie").body)["result"]
    assert sum(name.startswith("index-") for name in result["indexes"]) == 24
    here = Tools(filled.repository.root.parent / "home")
    done(here.gitindex(filled.repository.root, "validate", "--all"))
    done(here.gitindex(filled.repository.root, "audit"))


def test_changes_may_be_proposals(tmp_path: Path) -> None:
    made = content()
    made.stage("emilie/dev")
    made.stage("emilie/prod", volatile=False)
    made.release("emilie/dev", "pkg", "1.0")
    repository = make_repository(tmp_path / "ours" / "packages", made)
    remote = tmp_path / "remote.git"
    repository.git("clone", "--quiet", "--bare", str(repository.root), str(remote))
    repository.git("remote", "add", "origin", str(remote))
    repository.git("fetch", "--quiet", "origin")
    before = head(repository)
    with our_door(tmp_path / "ours", repository, "--via", "pull-request") as ours:
        client = ours.client
        client.ok("use URL")
        ours.login("emilie")
        client.ok("use emilie/dev")
        assert "200 proposed pkg 1.0 -> emilie/prod" in client.ok("push pkg==1.0 emilie/prod")
        name, data = make_wheel("pkg", "2.0")
        (tmp_path / name).write_bytes(data)
        client.ok(f"upload {tmp_path / name}")
        assert "proposed" in client("index -c more").output
        assert "proposed" in client("remove -y pkg==1.0").output
    assert head(repository) == before
    branches = repository.git("ls-remote", "--heads", str(remote)).splitlines()
    assert len(branches) == 5
    assert sum("gitindex/" in branch for branch in branches) == 4


# Other servers


def upstream_page(folder: Path, *files: tuple[str, bytes]) -> None:
    """Let an upstream have files of `pkg`."""
    links = []
    for name, data in files:
        (folder / name).write_bytes(data)
        links.append(f'<a href="/{name}#sha256={hashlib.sha256(data).hexdigest()}">{name}</a>')
    page = folder / "simple" / "pkg" / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")


def test_refresh_asks_an_upstream_before_it_is_due(tmp_path: Path) -> None:
    folder = tmp_path / "upstream"
    folder.mkdir()
    upstream_page(folder, make_wheel("pkg", "1.0"))
    with SiteServer(folder, negotiates=False) as upstream:
        made = content()
        made.mirror("root/pypi", mirror_url=f"{upstream.url}/simple/")
        made.stage("emilie/dev", bases=["root/pypi"])
        repository = make_repository(tmp_path / "ours" / "packages", made)
        with our_door(tmp_path / "ours", repository, "--public", "*") as ours:
            client = ours.client
            client.ok("use URL/emilie/dev")

            def shown() -> tuple[int, int]:
                page = ours.server.get("/emilie/dev/simple/pkg/").body
                return page.count(b".whl</a>"), len(client.ok("list pkg").split())

            assert shown() == (1, 1)
            upstream_page(folder, make_wheel("pkg", "1.0"), make_wheel("pkg", "2.0"))
            assert shown() == (1, 1)
            time.sleep(1.1)  # an upstream is not asked twice in a moment
            assert "Couldn't" not in client.ok("refresh pkg")
            assert shown() == (2, 2)
            assert "404" in client.fails("refresh --index emilie/nothing pkg")


def test_push_from_a_mirror_asks_it_once_and_before_others_wait(tmp_path: Path) -> None:
    folder = tmp_path / "upstream"
    folder.mkdir()
    wheel, sdist = make_wheel("pkg", "1.0"), make_sdist("pkg", "1.0")
    upstream_page(folder, wheel, sdist)
    provenance = make_provenance(wheel[0], hashlib.sha256(wheel[1]).hexdigest())
    (folder / "attested").write_bytes(provenance)
    with SiteServer(folder, negotiates=False) as upstream:
        page, links = folder / "simple/pkg/index.html", iter(("attested", "nothing"))
        page.write_text(
            re.sub("<a ", lambda _: f'<a data-provenance="{upstream.url}/{next(links)}" ', page.read_text())
        )
        made = content()
        made.mirror("root/pypi", mirror_url=f"{upstream.url}/simple/", mirror_cache_expiry=0)
        made.stage("emilie/prod", volatile=False)
        repository = make_repository(tmp_path / "ours" / "packages", made)
        with our_door(tmp_path / "ours", repository) as ours:
            wanted = {"name": "pkg", "version": "1.0", "targetindex": "emilie/prod"}
            done_ = ask(ours, "POST", "/root/pypi", wanted)
            assert done_.status == 200
            assert [action[1] for action in json.loads(done_.body)["result"]] == [
                "register",
                *2 * ["store_releasefile"],
            ]
            asked = [request.path for request in upstream.log]
            assert asked.count("/simple/pkg/") == 1
            assert sorted(path for path in asked if path != "/simple/pkg/") == [
                "/attested",
                "/nothing",  # it is not there, and nobody asks again while others wait
                "/pkg-1.0-py3-none-any.whl",
                "/pkg-1.0.tar.gz",
            ]
            manifest = json.loads(repository.git("show", "main:indexes/emilie/prod/pkg/1.0.json"))
            digests = [file.get("provenance") for file in manifest["files"]]
            assert digests == [hashlib.sha256(provenance).hexdigest(), None]
            before = head(repository)
            assert ask(ours, "POST", "/root/pypi", wanted).status == 200  # it is there
            assert ask(ours, "POST", "/root/pypi", {**wanted, "version": "2.0"}).status == 404
            assert head(repository) == before
            assert not [*(tmp_path / "ours" / "cache" / "uploads").glob("*")]


def test_outage_of_an_upstream_is_told_and_nothing_is_taken_for_gone(tmp_path: Path) -> None:
    made = content()
    made.mirror("root/pypi", mirror_url="http://127.0.0.1:9/simple/")
    made.stage("emilie/dev", bases=["root/pypi"])
    made.release("emilie/dev", "ours", "1.0")
    with our_door(tmp_path / "ours", make_repository(tmp_path / "ours" / "packages", made), "--public", "*") as ours:
        got = ask(ours, "GET", "/emilie/dev/theirs")
        assert got.status == 503
        assert "does not answer" in message(got)
        assert ask(ours, "GET", "/emilie/dev/ours").status == 200
        assert ask(ours, "GET", "/root/pypi?no_projects=").status == 200
        before = head(ours.repository)
        wanted = {"name": "theirs", "version": "1.0", "targetindex": "emilie/dev"}
        assert ask(ours, "POST", "/root/pypi", wanted).status == 503
        assert head(ours.repository) == before


@pytest.mark.parametrize("is_allowed", [True, False])
def test_release_goes_to_another_server_where_the_operator_allows_it(tmp_path: Path, *, is_allowed: bool) -> None:
    peer("devpi")
    made = content()
    made.stage("emilie/dev")
    made.release("emilie/dev", "pkg", "1.0")
    made.release("emilie/dev", "pkg", "1.0", kind="sdist")
    with pypiserver(tmp_path / "other", {}) as other:
        url = other.simple.removesuffix("simple/")
        options = ["--push-to", url] if is_allowed else []
        repository = make_repository(tmp_path / "ours" / "packages", made)
        with our_door(tmp_path / "ours", repository, *options) as ours:
            pypirc = f"[distutils]\nindex-servers = there\n[there]\nrepository = {url}\nusername = x\npassword = y\n"
            (ours.client.folder / ".pypirc").write_text(pypirc)
            ours.client.ok("use URL")
            ours.login("emilie")
            ours.client.ok("use emilie/dev")
            if is_allowed:
                assert ours.client.ok("push pkg==1.0 pypi:there").count("200 upload") == 2
                page = get(f"{other.simple}pkg/").body
                assert b"pkg-1.0-py3-none-any.whl" in page
                assert b"pkg-1.0.tar.gz" in page
                # It is there, and the other one says so.
                assert "409" in ours.client.fails("push pkg==1.0 pypi:there")
            else:
                assert "--push-to" in ours.client.fails("push pkg==1.0 pypi:there")
                assert "POST" not in other.log()


def test_everything_works_below_a_path(tmp_path: Path) -> None:
    made = content()
    made.stage("emilie/dev")
    made.release("emilie/dev", "pkg", "1.0")
    repository = make_repository(tmp_path / "ours" / "packages", made)
    with our_door(tmp_path / "ours", repository, "--base-path", "/tools/pypi", "--public", "*") as ours:
        client = ours.client
        client.ok("use URL/emilie/dev")
        ours.login("emilie")
        assert client.ok("list pkg").strip().startswith(f"{ours.server.url}/emilie/dev/+f/")
        name, data = make_wheel("pkg", "2.0")
        (tmp_path / name).write_bytes(data)
        client.ok(f"upload {tmp_path / name}")
        client.ok("index -c more bases=emilie/dev")
        client.ok("push pkg==2.0 emilie/more")
        (link,) = [line for line in client.ok("list pkg==2.0").split() if line]
        assert get(link).body == data


def test_what_reads_a_devpi_server_reads_ours(filled: Ours, tmp_path: Path) -> None:
    """The importer asks devpi-server for what is there, by the same protocol."""
    assert ask(filled, "PATCH", "/emilie/dev", ["title=Work"]).status == 200
    links = json.loads(ask(filled, "GET", "/emilie/dev/pkg").body)["result"]["1.0"]["+links"]
    report = {"testenvs": {"unit": {"test": [{"retcode": 0}]}}}
    assert ask(filled, "POST", urlsplit(links[0]["href"]).path, report).status == 200
    home = filled.repository.root.parent / "home"
    copy = tmp_path / "copy"
    tools = Tools(home)
    netrc = home / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login emilie password {filled.door.passwords['emilie']}\n")
    netrc.chmod(0o600)
    done(tools.run("gitindex", "init", copy, "--user", "somebody"))
    told = tools.gitindex(copy, "import", "devpi", filled.server.url)
    assert told.returncode == 0, told.stdout + told.stderr
    for index in ("emilie/prod", "emilie/dev"):
        one, other = (
            json.loads(done(tools.gitindex(repository, "list", "pkg", "--index", index, "--json")))["files"]
            for repository in (filled.repository.root, copy)
        )
        assert one == other
