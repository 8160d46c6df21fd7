"""The commands of docs/how-to/migrate-from-devpi.md that need a devpi-server, for one on the loopback interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.importing.devpi import Devpi, devpi_server, fill
from tests.importing.shown import released
from tests.pages import Step, Terminal, scripts_run_by
from tests.peers.foreign import peer
from tests.peers.tools import Tools
from tests.repositories import IndexRepository
from tests.sites import program

pytestmark = pytest.mark.peers

TEST = "tests/importing/test_migration_page.py"
BRING, TUNNEL, EXPORT, BACK = scripts_run_by(TEST, "how-to/migrate-from-devpi.md")


def test_devpi_server_is_brought_over_and_back(tmp_path: Path) -> None:
    place = tmp_path / "devpi"
    tools = Tools(tmp_path).with_environment(VIRTUAL_ENV=sys.prefix, DEVPI=str(peer("devpi-server").parent))
    with Terminal(tmp_path, tools.environment_of_commands()) as terminal:
        terminal.run(Step('export PATH="$PATH:$DEVPI"; gitindex init packages --user emilie; cd packages'))
        with devpi_server(place) as devpi:
            fill(devpi)
            _import(terminal, BRING, "https://devpi.example.org/", devpi)
            _import(terminal, TUNNEL.splitlines()[-1], "http://127.0.0.1:3141/", devpi)
            before = devpi.simple("emilie/prod")
        repository = IndexRepository(tmp_path / "packages")
        assert len(released(repository, "emilie/prod")) == 3
        assert "broken-1.0-py3-none-any.whl" in (tmp_path / "import.md").read_text()
        terminal.run(Step("gitindex export devpi ../for-devpi"))
        for script in (EXPORT, BACK):
            terminal.run(Step(script.strip().replace("~/.devpi", str(place))))
    assert (tmp_path / "old-export/dataindex.json").is_file()
    with devpi_server(tmp_path / "devpi/another-place", data=place / "another") as devpi:
        assert devpi.simple("emilie/prod") == before


def _import(terminal: Terminal, script: str, url: str, devpi: Devpi) -> None:
    """Run a command of the page; two of the files are no distributions, so that it says that something is left out."""
    assert url in script
    terminal.run(Step(f"{script.strip().replace(url, devpi.url)} || test $? = 1"))


def test_tunnel_is_a_command_that_ssh_understands() -> None:
    command = TUNNEL.splitlines()[0].removesuffix(" &").split()
    program(command[0], "it comes with Debian's openssh-client")
    done = subprocess.run([command[0], "-G", *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "localforward 3141 [127.0.0.1]:3141" in done.stdout
