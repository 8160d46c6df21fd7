"""Tokens as real pip, uv and twine send them, and the commands of docs/how-to/tokens.md as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gitindex import tokens as store
from gitindex.names import parse_index_name
from gitindex.server.access import CHALLENGE, Access, refusal
from tests.pages import scripts_run_by
from tests.peers.conftest import Site
from tests.peers.doors import ROOT
from tests.peers.server import SiteServer, _Plain
from tests.peers.tools import Tools, done, installed

pytestmark = pytest.mark.peers

TEXT = (ROOT / "docs/how-to/tokens.md").read_text(encoding="utf-8")
CREATE, TAKE, UV, KEYRING, TWINE, LIST, RENEW = scripts_run_by("tests/peers/test_tokens.py", "how-to/tokens.md")


class Guarded(SiteServer):
    """A site of which each request is judged by tokens."""

    def __init__(self, folder: Path, access: Access) -> None:
        super().__init__(folder, negotiates=False)
        log: list[tuple[str, int]] = []
        self.judged, self.folder = log, folder

        class Handler(_Plain):
            def do_GET(self) -> None:  # noqa: N802 - http.server's name
                sent = self.headers.get("Authorization")
                user, _, rest = urlsplit(self.path).path.lstrip("/").partition("/")
                # Released files have no index in their URL: here, whoever is known may have them.
                index = parse_index_name(f"{user}/{rest.partition('/')[0]}") if user != "files" else None
                status = refusal(access.of(None if sent is None else sent.encode("latin-1")), index)
                log.append((self.path, status or 200))
                if status is None:
                    super().do_GET()
                    return
                self.send_response(status)
                if status is HTTPStatus.UNAUTHORIZED:
                    self.send_header("WWW-Authenticate", CHALLENGE.decode())
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:  # noqa: N802
                sent = self.headers.get("Authorization")
                reader = access.of(None if sent is None else sent.encode("latin-1"))
                log.append((self.path, 200 if reader and reader.is_known else 401))
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(405)
                self.send_header("Content-Length", "0")
                self.end_headers()

        folder_name = str(folder)
        self._server.RequestHandlerClass = lambda *args: Handler(*args, directory=folder_name)


@pytest.fixture
def file(tools: Tools) -> Path:
    """The file of the tokens of the tools' user."""
    return tools.home / ".config/gitindex/tokens.json"


@pytest.fixture
def token(tools: Tools) -> str:
    """A token for emilie/prod, as the command line prints it."""
    return done(tools.run("gitindex", "token", "create", "ci", "--read", "emilie/prod")).strip()


@pytest.fixture
def guarded(shop: Site, file: Path, token: str) -> Iterator[Guarded]:
    assert token
    with Guarded(shop.folder, Access(file)) as running:
        yield running


def write_netrc(tools: Tools, token: str) -> None:
    line = re.findall(r"^machine packages.example.org (.*) gitindex_…$", TEXT, re.MULTILINE)[0]
    (tools.home / ".netrc").write_text(f"machine 127.0.0.1 {line} {token}\n")
    (tools.home / ".netrc").chmod(0o600)


def pip(tools: Tools, url: str) -> subprocess.CompletedProcess[str]:
    target = tools.home / "pip"
    return tools.pip("install", "--target", target, "--index-url", url, "demo")


def uv(tools: Tools, url: str) -> subprocess.CompletedProcess[str]:
    target = tools.home / "uv"
    return tools.uv("pip", "install", "--target", target, "--default-index", url, "demo")


def test_pip_and_uv_install_with_a_token_from_netrc_and_not_without(tools: Tools, guarded: Guarded, token: str) -> None:
    url = f"{guarded.url}/emilie/prod/simple/"
    assert pip(tools, url).returncode != 0
    assert uv(tools, url).returncode != 0
    assert {status for _, status in guarded.judged} == {401}
    write_netrc(tools, token)
    done(pip(tools, url))
    done(uv(tools, url))
    for tool in ("pip", "uv"):
        assert installed(tools.home / tool) == {"demo": "2.0", "helper": "1.0"}


def test_uv_installs_with_a_token_from_the_environment(tools: Tools, guarded: Guarded, token: str) -> None:
    url = f"emilie-prod={guarded.url}/emilie/prod/simple/"
    install = f"uv pip install --target {tools.home / 'uv'} --default-index {url} demo"
    done(tools.with_environment(TOKEN=token).run("bash", "-euc", f"{UV}{install}"))
    assert installed(tools.home / "uv") == {"demo": "2.0", "helper": "1.0"}


BACKEND = """\
import json
from pathlib import Path
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 1
    file = Path.home() / "keyring.json"

    def get_password(self, service, username):
        return json.loads(self.file.read_text()).get(f"{service} {username}")

    def set_password(self, service, username, password):
        self.file.write_text(json.dumps({f"{service} {username}": password}))
"""
"""Of the real `keyring`: there is no desktop here to keep passwords."""


def test_pip_and_uv_install_with_a_token_from_the_keyring(tools: Tools, guarded: Guarded, token: str) -> None:
    (tools.home / "homely.py").write_text(BACKEND)
    # pip looks for it everywhere but beside itself.
    elsewhere = tools.home / "bin"
    elsewhere.mkdir()
    (elsewhere / "keyring").symlink_to(Path(sys.executable).with_name("keyring"))
    tools = tools.with_environment(PYTHONPATH=str(tools.home), PYTHON_KEYRING_BACKEND="homely.Keyring")
    tools = tools.with_environment(PATH=os.pathsep.join([str(elsewhere), tools.environment_of_commands()["PATH"]]))
    host = guarded.url.removeprefix("http://")
    script = KEYRING.replace("packages.example.org", host).replace("https:", "http:")
    script = script.replace("keyring set", f"printf '%s' {token} | keyring set")
    for tool in ("python -m pip", "uv pip"):
        target = tools.home / tool.partition(" ")[0]
        done(tools.run("bash", "-ec", f"{script}\n{tool} install --target {target} demo"))
        assert installed(target) == {"demo": "2.0", "helper": "1.0"}


def test_wrong_index_is_refused_to_pip_and_uv_and_a_revoked_token_too(
    tools: Tools, guarded: Guarded, token: str, file: Path
) -> None:
    write_netrc(tools, token)
    for tool in (pip, uv):
        assert tool(tools, f"{guarded.url}/emilie/dev/simple/").returncode != 0
    assert ("/emilie/dev/simple/demo/", 403) in guarded.judged
    store.revoke(file, "ci")
    guarded.judged.clear()
    with Guarded(guarded.folder, Access(file)) as again:
        for tool in (pip, uv):
            assert tool(tools, f"{again.url}/emilie/prod/simple/").returncode != 0
        assert {status for _, status in again.judged} == {401}


def test_twine_sends_a_token_that_is_known(tools: Tools, guarded: Guarded, token: str, shop: Site) -> None:
    wheel = next((shop.folder / "files").rglob("demo-1.0-*.whl"))
    send = f"twine upload --non-interactive --disable-progress-bar --repository-url {guarded.url}/ {wheel}"
    tools.with_environment(TOKEN=token).run("bash", "-euc", f"{TWINE}{send}")
    assert guarded.judged == [("/", 200)]


def test_commands_of_the_page_run_as_they_stand(tools: Tools, file: Path) -> None:
    done(tools.run("bash", "-euc", f'{CREATE}{TAKE}{LIST}{RENEW}printf %s "$TOKEN" > token'))
    (laptop, second) = store.read(file)
    assert (laptop.name, laptop.scopes) == ("laptop-of-bob", ("read:emilie/*", "read:root/pypi"))
    assert second.name == "ci-2"
    text = (tools.home / "token").read_bytes()
    assert store.digest_of(text).hex() == laptop.sha256
