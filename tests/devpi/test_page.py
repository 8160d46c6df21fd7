"""Each command of `docs/devpi.md`: by devpi's client at a server, and by gitindex in a clone; both come to the same."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.builders import make_sdist, make_wheel
from tests.devpi.client import PEERS, DevpiClient, devpi_client
from tests.devpi.script import TOX
from tests.pages import DOCS
from tests.peers.foreign import peer, pypiserver
from tests.peers.serving import serving
from tests.peers.tools import Tools, done

pytestmark = pytest.mark.peers

_SERVER = re.compile(r"http://(?:localhost|127\.0\.0\.1):3141")
_INSTALLED: dict[str, Callable[[], object]] = {
    "pip install devpi-client": (PEERS / "bin" / "devpi").is_file,
    "pip install gitindex": partial(version, "gitindex"),
}
"""What is installed to run this at all."""
_PROGRAMS = ("devpi ", "git ", "gitindex ", "index-url ", "pip ", "python ", "twine ")
"""How a command begins; `index-url` is a line of `pip.conf`."""
_RUNS_ON = frozenset({"gitindex serve"})
"""What runs beside all of it."""
BACKEND = """import shutil, sys
from pathlib import Path

def _copy(pattern, folder):
    (found,) = Path("prebuilt").glob(pattern)
    return shutil.copy(found, folder) and found.name

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _copy("*.whl", folder)

def build_sdist(folder, config_settings=None):
    return _copy("*.tar.gz", folder)
"""
PYPROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


class Row(NamedTuple):
    """What devpi's documentation says, and what is typed here."""

    theirs: str
    client: str
    clone: str

    @property
    def by_client(self) -> list[str]:
        """The commands at a server."""
        return _commands(self.client) + (_commands(self.theirs) if "the same" in self.client else [])

    @property
    def in_clone(self) -> list[str]:
        """The commands in a clone."""
        return _commands(self.clone)

    def refuses(self, cell: str) -> str | None:
        """Return the rule that refuses a command, where the page says that one does."""
        match = re.search(r"(GI\d{3}) refuses", cell)
        return match[1] if match else None


def _commands(cell: str) -> list[str]:
    return [code for code in re.findall(r"`([^`]+)`", cell) if code.startswith(_PROGRAMS)]


def rows() -> list[Row]:
    """Return the rows of the page that have commands."""
    text = (DOCS / "devpi.md").read_text(encoding="utf-8")
    found = []
    for table in re.findall(r"^\| devpi's documentation \|.*?\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE):
        found += [Row(*(cell.strip() for cell in line.strip("|\n").split(" | "))) for line in table.splitlines()]
    return found


class Walk(NamedTuple):
    """What the rows came to."""

    of_server: dict[str, Any]
    of_clone: dict[str, Any]


def project(folder: Path) -> Path:
    """Write the sources of `example`, which need nothing to be built."""
    name, wheel = make_wheel("example", "1.0")
    inside = {"tox.ini": TOX, "backend.py": BACKEND.encode(), "pyproject.toml": PYPROJECT.encode()}
    sdist = make_sdist("example", "1.0", files={**inside, f"prebuilt/{name}": wheel})
    for path, data in {**inside, f"prebuilt/{name}": wheel, f"prebuilt/{sdist[0]}": sdist[1]}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def shown(tools: Tools, repository: Path, user: str) -> Any:
    """Return what a repository says of a user and of all their projects, without times."""
    config = json.loads(done(tools.gitindex(repository, "show", user)))["result"]
    for index in config["indexes"]:
        name = f"{user}/{index}"
        listed = json.loads(done(tools.gitindex(repository, "list", "--index", name, "--json")))
        config["indexes"][index]["projects"] = listed["projects"]
        for one in listed["projects"]:
            files = done(tools.gitindex(repository, "list", one["name"], "--index", name, "--json"))
            one["files"] = json.loads(files)["files"]
    config.pop("email", None)
    return config


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[Walk]:
    """Run all rows, both ways."""
    peer("devpi")
    base = tmp_path_factory.mktemp("page")
    with ExitStack() as stack:
        server = AtServer(base / "server", upstream, stack)
        clone = InClone(base / "clone", upstream, stack)
        for row in rows():
            server.take(row)
            clone.take(row)
        users = ("emilie", "testuser", "sophie")
        yield Walk(
            {user: shown(server.tools, server.repository, user) for user in users},
            {user: shown(clone.tools, clone.repository, user) for user in users},
        )


class AtServer:
    """Devpi's client at a server."""

    def __init__(self, base: Path, upstream: str, stack: ExitStack) -> None:
        base.mkdir()
        self.tools = Tools(base)
        self.repository = base / "packages"
        done(self.tools.run("gitindex", "init", self.repository, "--user", "emilie"))
        settings = ("index", "modify", "root/pypi", f"mirror_url={upstream}", "--commit")
        done(self.tools.gitindex(self.repository, *settings))
        self._store = base / "tokens.json"
        self._tokens = {"$ADMIN": self._token("admin", "emilie", "*", "*")}
        other = stack.enter_context(pypiserver(base / "other", {}))
        posted = other.simple.removesuffix("simple/")
        options = ("--writable", "--public", "*", "--push-to", posted, "--tokens", self._store)
        self.url = stack.enter_context(serving(self.tools, self.repository, *options)).url
        environment = {"PIP_TARGET": str(base / "target"), "TOOLS": str(Path(sys.executable).parent)}
        self._client = stack.enter_context(devpi_client(self.url, base / "client", environment))
        pypirc = f"[distutils]\nindex-servers = testrun\n[testrun]\nrepository = {posted}\nusername = x\npassword = y\n"
        (base / "client" / ".pypirc").write_text(pypirc)
        self._client("cd", project(base / "example"))
        self._log = other.log

    def _token(self, name: str, user: str, upload: str, define: str) -> str:
        made = self.tools.run(
            *("gitindex", "token", "create", name, "--user", user, "--read", "*", "--upload", upload),
            *("--define", define, "--tokens", self._store),
        )
        return done(made).strip()

    def take(self, row: Row) -> None:
        for command in row.by_client:
            self._run(row, _SERVER.sub(self.url, command))

    def _run(self, row: Row, command: str) -> None:
        if command in _INSTALLED:
            assert _INSTALLED[command]()
            return
        if "$TOKEN" in command:
            self._tokens["$TOKEN"] = self._token("laptop", "testuser", "testuser/*", "testuser/*")
        for name, value in self._tokens.items():
            command = command.replace(name, value)
        if command.startswith("devpi "):
            _judge(row, row.client, *self._client(command.removeprefix("devpi ")))
        else:
            self._pip(command)
        if "pypi:testrun" in command:
            assert "POST" in self._log()

    def _pip(self, command: str) -> None:
        environment = {"PIP_TARGET": str(self.tools.home / "target")}
        if command.startswith("index-url"):
            (self.tools.home / "pip.conf").write_text(f"[global]\n{command}\n")
            environment["PIP_CONFIG_FILE"] = str(self.tools.home / "pip.conf")
            command = "pip install --upgrade simplejson"
        assert command.startswith("pip install "), command
        done(self.tools.with_environment(**environment).pip(*shlex.split(command)[1:]))


class InClone:
    """gitindex in a clone."""

    def __init__(self, base: Path, upstream: str, stack: ExitStack) -> None:
        base.mkdir()
        self._upstream = upstream
        self.repository = base / "packages"
        other = stack.enter_context(pypiserver(base / "other", {}))
        active = {"GITINDEX_TOKENS": str(base / "tokens.json"), "VIRTUAL_ENV": str(base / "environment")}
        self.tools = Tools(base, active)
        done(self.tools.run(sys.executable, "-m", "venv", base / "environment"))
        posted = other.simple.removesuffix("simple/")
        pypirc = f"[distutils]\nindex-servers = testrun\n[testrun]\nrepository = {posted}\nusername = x\npassword = y\n"
        (base / ".pypirc").write_text(pypirc)
        self._example = project(base / "example")

    def take(self, row: Row) -> None:
        for command in row.in_clone:
            self._run(row, command)

    def _run(self, row: Row, command: str) -> None:
        if command in _INSTALLED:
            assert _INSTALLED[command]()
        elif command in _RUNS_ON:
            done(self.tools.run("gitindex", "serve", "--help"))
        elif command.startswith("gitindex init ") and self.repository.exists():
            pass  # as another quick start has done
        else:
            result = subprocess.run(
                ["bash", "-c", command],
                env=self.tools.environment_of_commands(),
                cwd=self._folder(command),
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            _judge(row, row.clone, result.returncode, result.stdout + result.stderr)
        if command.startswith("gitindex init "):
            settings = ("index", "modify", "root/pypi", f"mirror_url={self._upstream}", "--commit")
            self.tools.gitindex(self.repository, *settings)

    def _folder(self, command: str) -> Path:
        if command.startswith(("python ", "gitindex -C ../packages ")):
            return self._example
        return self.repository.parent if command.startswith("gitindex init ") else self.repository


def _judge(row: Row, cell: str, code: int, output: str) -> None:
    told = f"{row}\n{output}"
    assert "Traceback" not in output, told
    rule = row.refuses(cell)
    assert (code != 0) == (rule is not None), told
    assert rule is None or rule in output, told


def test_every_row_works_both_ways_and_comes_to_the_same(walk: Walk) -> None:
    assert walk.of_server == walk.of_clone
    (released,) = walk.of_server["testuser"]["indexes"]["staging"]["projects"]
    assert [file["filename"] for file in released["files"]] == ["example-1.0-py3-none-any.whl", "example-1.0.tar.gz"]
    assert walk.of_server["sophie"]["indexes"]["dev"]["bases"] == ["sophie/prod", "emilie/dev"]


def test_the_page_has_every_command_of_devpis_quick_starts() -> None:
    said = " ".join(row.theirs for row in rows())
    for command in (
        *("devpi-init", "devpi-gen-config", "devpi use", "devpi user -c", "devpi login", "devpi index -c"),
        *("devpi install", "devpi upload", "devpi test", "devpi list", "devpi push", "devpi index testuser/dev"),
        *("devpi getjson", "devpi index -m", "devpi-server --start", "devpi-server --status", "devpi-server --stop"),
        *("devpi-server --log", "pip install -i"),
    ):
        assert command in said, command
    assert len(rows()) > 30


def test_client_is_the_real_one(tmp_path: Path) -> None:
    peer("devpi")
    with devpi_client("http://127.0.0.1:9", tmp_path) as client:
        assert isinstance(client, DevpiClient)
        assert "could not connect" in client.fails("use URL")
