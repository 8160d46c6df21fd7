"""The walk in the README does what it says: its commands are run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def steps() -> list[tuple[str, str]]:
    """Return the commands of the console blocks, each with the output that is shown for it (mostly none)."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


@pytest.mark.peers
def test_readme_walk_runs_as_it_stands(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    for file in (ROOT / "example-repo" / "files").glob("*/*/table_print-0.2.0*"):
        if file.suffix != ".metadata":
            shutil.copy(file, dist)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": sys.prefix,
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "PIP_NO_CACHE_DIR": "1",
    }
    identity = ("user.name", "Emilie"), ("user.email", "emilie@example.org")
    for key, value in identity:
        subprocess.run(["git", "config", "--global", key, value], env=environment, check=True)
    walk = steps()
    folder = tmp_path
    for command, shown in walk:
        if command.startswith("cd "):
            folder /= command[3:]
            continue
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == (1 if "refused" in shown else 0), f"{command}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        if shown:
            assert done.stdout + done.stderr == shown
    assert len(walk) > 15
    assert (tmp_path / "here" / "table_print").is_dir()
    assert (tmp_path / "site" / "emilie" / "prod" / "simple" / "table-print" / "index.html").is_file()
