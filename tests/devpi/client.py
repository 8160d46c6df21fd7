"""Devpi's own client, driven by a test, against one server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

PEERS = Path(__file__).parents[2] / ".venv-peers"
DRIVER = Path(__file__).with_name("driver.py")


class Ran(NamedTuple):
    """What came of a command."""

    code: int
    output: str


class DevpiClient:
    """A client with a home of its own."""

    def __init__(self, url: str, process: subprocess.Popen[str], folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._process = process

    def __call__(self, command: str, *arguments: str | Path) -> Ran:
        """Run a command; *arguments* are what may have blanks in it."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        words = [word.replace("URL", self.url) for word in command.split()]
        return _ask(requests, answers, [*words, *map(str, arguments)])

    def ok(self, command: str, *arguments: str | Path) -> str:
        """Run a command that has to succeed, and return what it printed."""
        ran = self(command, *arguments)
        assert ran.code == 0, ran.output
        return ran.output

    def fails(self, command: str, *arguments: str | Path) -> str:
        """Run a command that has to fail, and return what it printed; a traceback is no failure of that kind."""
        ran = self(command, *arguments)
        assert ran.code != 0, ran.output
        assert "Traceback" not in ran.output, ran.output
        return ran.output

    def json(self, path: str) -> Any:
        """Return what `getjson` prints."""
        return json.loads(self.ok(f"getjson {path}"))


def _ask(requests: IO[str], answers: IO[str], words: list[str]) -> Ran:
    requests.write(json.dumps(words) + "\n")
    requests.flush()
    line = answers.readline()
    assert line, f"devpi {' '.join(words)}: the client has ended"
    return Ran(*json.loads(line))


@contextmanager
def devpi_client(url: str, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[DevpiClient]:
    """Start a client whose home is *folder*; `TOOLS` of the *environment* is a folder of more commands."""
    folder.mkdir(parents=True, exist_ok=True)
    more = dict(environment or {})
    tools = [more.pop("TOOLS")] if "TOOLS" in more else []
    path = os.pathsep.join([str(PEERS / "bin"), *tools, os.environ.get("PATH", os.defpath)])
    settings = {
        "HOME": str(folder),
        "PATH": path,
        "LANG": "C.UTF-8",
        "DEVPI_CLIENTDIR": str(folder / "client"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "PYTHONWARNINGS": "ignore",
        "no_proxy": "127.0.0.1",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        **more,
    }
    command = [str(PEERS / "bin" / "python"), str(DRIVER)]
    with subprocess.Popen(
        command, env=settings, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield DevpiClient(url, process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
