"""The commands of docs/how-to/deploy.md and docs/how-to/replicate.md that set up a machine, on one to themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.pages import scripts_run_by
from tests.peers.doors import Clone, publish, released_content
from tests.peers.machine import Machine, make_machine
from tests.peers.tools import Tools, done

pytestmark = pytest.mark.peers

TEST = "tests/peers/test_machine.py"
INSTALL, RECEIVE, CLONE, TOKENS = scripts_run_by(TEST, "how-to/deploy.md")
(READER,) = scripts_run_by(TEST, "how-to/replicate.md")
FORGE = "https://git.example.org/packages.git"


@pytest.fixture
def machine(tmp_path: Path, tools: Tools) -> Machine:
    return make_machine(tmp_path / "root", tools)


@pytest.fixture
def forge(tmp_path: Path, tools: Tools) -> Clone:
    """A clone, and the bare repository that stands for the one at the forge."""
    return publish(tools, tmp_path, released_content())


def at(forge: Clone, script: str) -> str:
    assert FORGE in script
    return script.replace(FORGE, str(forge.upstream))


def test_server_is_installed_and_takes_pushes(machine: Machine, forge: Clone, wheels: Path) -> None:
    offline = f"export PIP_NO_INDEX=1 PIP_FIND_LINKS={wheels}\n"
    done(machine.run(offline + INSTALL))
    (user,) = [
        line for line in (machine.folder / "etc/passwd").read_text().splitlines() if line.startswith("gitindex:")
    ]
    assert user.split(":")[5:] == ["/srv/gitindex", "/usr/bin/git-shell"]
    assert done(machine.run("/opt/gitindex/bin/gitindex --version")).startswith("gitindex ")

    done(machine.run(RECEIVE))
    packages = machine.folder / "srv/gitindex/packages.git"
    push = f"git -C {forge.repository.path} push /srv/gitindex/packages.git"
    done(machine.run(f"{push} main"))
    forge.break_promise()
    broken = forge.without_hooks()
    refused = machine.run(f"{push} main")
    assert (refused.returncode, "GI2" in refused.stderr) == (1, True), refused
    assert broken not in done(machine.tools.run("git", "-C", packages, "for-each-ref"))

    shown = done(machine.run(TOKENS))
    assert shown.startswith("gitindex_")
    tokens = machine.folder / "var/lib/gitindex/tokens.json"
    assert (tokens.stat().st_mode & 0o777, tokens.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "read:emilie/prod" in json.loads(tokens.read_text())["tokens"][0]["scopes"]

    # The other way to bring commits there: a clone.
    shutil.rmtree(packages)
    done(machine.run(at(forge, CLONE)))
    told = done(machine.run("/opt/gitindex/bin/gitindex -C /srv/gitindex/packages.git list --index emilie/prod"))
    assert told == "table-print  emilie/prod\n"


def test_reader_is_set_up(machine: Machine, forge: Clone) -> None:
    (account,) = [line for line in INSTALL.splitlines() if line.startswith("useradd ")]
    (machine.tools.home / "hook-secret").write_text("0123\n")
    done(machine.run(f"{account}\n{at(forge, READER)}"))
    packages, secret = machine.folder / "srv/gitindex/packages.git", machine.folder / "var/lib/gitindex/hook-secret"
    assert done(machine.tools.run("git", "-C", packages, "rev-parse", "main")).strip() == forge.tip()
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("0123\n", 0o600)
    assert secret.parent.stat().st_mode & 0o777 == 0o700


def test_machine_changes_nothing_outside(machine: Machine) -> None:
    done(machine.run("useradd --system somebody; touch /srv/here /opt/here /var/lib/here /etc/here"))
    assert "somebody" in (machine.folder / "etc/passwd").read_text()
    assert "somebody" not in Path("/etc/passwd").read_text()
    for place in ("etc", "opt", "srv", "var/lib"):
        assert (machine.folder / place / "here").exists()
        assert not Path("/", place, "here").exists()
