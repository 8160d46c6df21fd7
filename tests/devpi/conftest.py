"""Both servers with the same users, and an upstream behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from gitindex import tokens
from tests.builders import make_wheel
from tests.devpi.client import DevpiClient, devpi_client
from tests.devpi.servers import devpi_server, init_devpi
from tests.peers.foreign import peer
from tests.peers.server import SiteServer
from tests.peers.serving import Serving, serving
from tests.peers.tools import Tools
from tests.repositories import Content, IndexRepository, make_repository

ROOT = "secret-of-root"


class Door(NamedTuple):
    """A client at a server, and what each user logs in with."""

    client: DevpiClient
    passwords: Mapping[str, str]


class Ours(NamedTuple):
    """Our server, its repository, and a client."""

    door: Door
    server: Serving
    repository: IndexRepository

    @property
    def client(self) -> DevpiClient:
        return self.door.client

    def login(self, user: str) -> None:
        """Let the client go on as a user."""
        self.client.ok(f"login {user} --password {self.door.passwords[user]}")


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve what stands for PyPI, and return the URL of its simple index."""
    folder = tmp_path_factory.mktemp("upstream")
    (folder / "files").mkdir()
    links = []
    for project in ("upstreamed", "pytest", "simplejson"):
        name, data = make_wheel(project, "1.0")
        (folder / "files" / name).write_bytes(data)
        page = folder / "simple" / project / "index.html"
        page.parent.mkdir(parents=True)
        page.write_text(_page(f'<a href="/files/{name}#sha256={sha256(data).hexdigest()}">{name}</a>'))
        links.append(f'<a href="/simple/{project}/">{project}</a>')
    (folder / "simple" / "index.html").write_text(_page("<br>".join(links)))
    with SiteServer(folder, negotiates=False) as server:
        yield f"{server.url}/simple/"


def _page(body: str) -> str:
    return f"<!DOCTYPE html><html><body>{body}</body></html>"


def content() -> Content:
    """Return a repository with three users, of whom one has an index."""
    made = Content().settings(site={"title": "Devpi's"})
    made.user("root", admin=True)
    made.user("emilie", email="emilie@example.org")
    made.user("bob", email="bob@example.org")
    made.stage("bob/dev")
    return made


@contextmanager
def our_door(folder: Path, repository: IndexRepository, *options: str, **environment: str) -> Iterator[Ours]:
    """Serve a repository writable, and start a client at it."""
    peer("devpi")
    store = folder / "tokens.json"
    passwords = {}
    for user in ("root", "emilie", "bob"):
        scopes = ["read:*", "upload:*", "define:*"]
        made = tokens.create(store, user, scopes, expires=None, now=datetime.now(UTC), user=user)
        passwords[user] = made.text
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        running = stack.enter_context(
            serving(Tools(home), repository.root, "--writable", "--tokens", store, *options, cache=folder / "cache")
        )
        client = stack.enter_context(devpi_client(running.url, folder / "client", environment))
        yield Ours(Door(client, passwords), running, repository)


@contextmanager
def their_door(folder: Path, **environment: str) -> Iterator[Door]:
    """Start a devpi-server with the same users, and a client at it."""
    peer("devpi-server")
    init_devpi(folder / "server", ROOT, home=folder)
    running = devpi_server(folder / "server", folder / "server.log", home=folder)
    with running as url, devpi_client(url, folder / "client", environment) as client:
        client.ok("use URL")
        client.ok(f"login root --password {ROOT}")
        for user in ("emilie", "bob"):
            client.ok(f"user -c {user} password=secret-of-{user} email={user}@example.org")
        client.ok("index -c bob/dev")
        client.ok("logoff")
        yield Door(client, {"root": ROOT, "emilie": "secret-of-emilie", "bob": "secret-of-bob"})


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ours]:
    """Our server, with the client at it."""
    with our_door(tmp_path / "ours", make_repository(tmp_path / "ours" / "packages", content())) as door:
        door.client.ok("use URL")
        yield door
