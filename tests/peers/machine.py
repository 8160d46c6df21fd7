"""A machine to itself: scripts that set up servers are run as root, and change no folder but a temporary one.

They run in namespaces of their own (`unshare`), in which whoever runs the tests is root, /etc, /opt, /srv and /var/lib
are new, and the only user id is 0. So `useradd` gives that to whoever it makes, and `runuser` has nobody to become.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.nginx import tool
from tests.peers.tools import Done, Tools

PLACES = ("etc", "opt", "srv", "var/lib")
_OWN = (".pwd.lock", "passwd", "group", "shadow", "gshadow", "subuid", "subgid")
_IN = """\
set -e
for place in {places}; do
    mount --rbind "/$place" "{folder}/machine/$place"
    mount --rbind "{folder}/$place" "/$place"
done
exec bash -euo pipefail -c "$1"
"""
_USERADD = """\
#!/bin/sh
exec {useradd} --uid 0 --gid 0 --non-unique --no-log-init "$@"
"""
_RUNUSER = """\
#!/bin/sh
test "$1" = -u && test "$(id -u "$2")" = 0 && test "$3" = -- && shift 3 && exec "$@"
"""
_UNSHARE = ("--user", "--map-root-user", "--mount", "--propagation", "private")


@dataclass(frozen=True)
class Machine:
    """The new folders are those of the machine's names below *folder*."""

    folder: Path
    tools: Tools

    def run(self, script: str) -> Done:
        """Run a script as root; whether it succeeds is the caller's to see."""
        inside = _IN.format(places=" ".join(PLACES), folder=self.folder)
        return self.tools.run(tool("unshare"), *_UNSHARE, "bash", "-c", inside, "bash", script)


def make_machine(folder: Path, tools: Tools) -> Machine:
    """Make a machine below a folder; skip the test where nobody but root may have namespaces."""
    tried = subprocess.run([tool("unshare"), *_UNSHARE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        assert "GITHUB_ACTIONS" not in os.environ, tried.stderr  # a container of another CI may forbid them
        pytest.skip(f"there are no namespaces: {tried.stderr.strip()}")
    old = folder / "machine"
    for place in PLACES:
        (old / place).mkdir(parents=True)
        new = folder / place
        new.mkdir(parents=True)
        # What was there, such as a Python below /opt, stays where it is; accounts are written anew.
        for path in Path("/", place).iterdir():
            if place != "etc" or path.name.rstrip("-") not in _OWN:
                (new / path.name).symlink_to(old / place / path.name)
    for name in ("passwd", "group"):
        shutil.copy(Path("/etc", name), folder / "etc")
    bin_ = folder / "bin"
    bin_.mkdir()
    for name, text in (("useradd", _USERADD.format(useradd=tool("useradd"))), ("runuser", _RUNUSER)):
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    paths = os.pathsep.join([str(bin_), tools.environment_of_commands()["PATH"], "/usr/sbin"])
    return Machine(folder, tools.with_environment(PATH=paths))
