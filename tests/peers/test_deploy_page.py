"""The unit of docs/how-to/deploy.md is sound for systemd, and its commands and options exist."""

from __future__ import annotations

import configparser
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitindex.cli import command
from gitindex.server import connection, hooks
from gitindex.server.filecache import FileCache
from gitindex.upstream.client import Upstreams
from gitindex.upstream.health import Patience
from tests.peers.nginx import BLOCKS, TEXT, tool

pytestmark = pytest.mark.peers

(UNIT,) = BLOCKS["ini"]


def parsed_unit() -> list[tuple[str, str]]:
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT)
    return parser.items("Service")


def test_the_unit_is_sound_for_systemd(tmp_path: Path) -> None:
    program = tool("systemd-analyze")
    unit = tmp_path / "gitindex.service"
    unit.write_text(UNIT.replace("/opt/gitindex/bin/gitindex", str(Path(sys.executable).with_name("gitindex"))))
    checked = subprocess.run([program, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    # 0.0 is the safest, 10.0 the least safe; it exits with 1 where a unit is above ten times the threshold.
    judging = [program, "security", "--offline=true", "--threshold=25", "--no-pager", str(unit)]
    judged = subprocess.run(judging, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def options_of(words: list[str]) -> None:
    """Assert that the options of a command line exist."""
    found: Any = command()
    while words:
        word = words.pop(0).partition("=")[0]
        if word.startswith("-"):
            option = next((param for param in found.params if word in param.opts), None)
            assert option is not None, f"there is no {word}"
            del words[: 0 if option.is_flag else 1]
        elif hasattr(found, "get_command"):
            found = found.get_command(None, word)
            assert found is not None, f"there is no {word}"


def test_the_options_of_the_page_exist() -> None:
    settings = dict(parsed_unit())
    assert settings["ExecStart"].startswith("/opt/gitindex/bin/gitindex ")
    options_of(shlex.split(settings["ExecStart"])[1:])
    (tokens, pull) = re.findall(r"^# With .*?(--\S+ \S+)$", UNIT, re.MULTILINE)
    options_of(["serve", *tokens.split(), *pull.split()])
    for script in BLOCKS["sh"]:
        for line in re.findall(r"/opt/gitindex/bin/gitindex (.*)", script.replace("\\\n", "").replace("\\n'", "\n")):
            options_of(shlex.split(line))
    serve: Any = command()
    known = {name for param in serve.get_command(None, "serve").params for name in param.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) - {"--mirror"} <= known
    assert {"--page-cache", "--cache-size", "--largest-file"} <= set(re.findall(r"\| `(--[a-z-]+)` \|", TEXT))


def test_scripts_of_the_page_are_sound() -> None:
    assert len(BLOCKS["sh"]) == 4
    for script in BLOCKS["sh"]:
        subprocess.run(["bash", "-n", "-c", script], check=True, timeout=60)


def test_the_hook_of_the_page_is_one(tmp_path: Path) -> None:
    (script,) = [script for script in BLOCKS["sh"] if "pre-receive" in script]
    (tmp_path / "hooks").mkdir()
    making = "\n".join(line for line in script.splitlines() if "hooks/" in line)
    making = making.replace("/srv/gitindex/packages.git", str(tmp_path))
    subprocess.run(["bash", "-ec", making], check=True, timeout=60)
    hook = tmp_path / "hooks/pre-receive"
    assert hook.read_text() == "#!/bin/sh\nexec /opt/gitindex/bin/gitindex pre-receive\n"
    assert os.access(hook, os.X_OK)


def test_the_numbers_of_the_page_are_those_of_the_program() -> None:
    serve: Any = command()
    defaults = {name: param.default for param in serve.get_command(None, "serve").params for name in param.opts}
    bounds = {cells[1].strip(): cells[2].strip() for line in TEXT.splitlines() if len(cells := line.split("|")) == 5}

    def bound(start: str) -> str:
        (found,) = [value for name, value in bounds.items() if name.startswith(start)]
        return found

    assert (bound("memory for pages"), defaults["--page-cache"]) == ("16 MB", "16M")
    assert bound("files of mirrors").startswith("10 GB, ")
    assert defaults["--cache-size"] == "10G"
    assert (bound("one file of a mirror").split(",")[0], defaults["--largest-file"]) == ("4 GB", "4G")
    upstreams = {name: parameter.default for name, parameter in inspect.signature(Upstreams).parameters.items()}
    assert upstreams["largest_cache"] == 1 << 30
    assert bound("pages of mirrors on disk") == "1 GB"
    assert (
        bound("one page of an upstream")
        == f"{upstreams['largest_page'] >> 20} MB, {upstreams['largest_list'] >> 20} MB"
    )
    assert bound("page of an upstream that is down") == f"{upstreams['stale_for'] / 86400:g} days"
    downloads = inspect.signature(FileCache).parameters["downloads"].default
    assert bound("downloads at once") == str(downloads)
    assert bound("connections").startswith(f"{connection.MOST_CONNECTIONS}, or a third ")
    assert bound("head of a request") == f"{connection.LARGEST_HEAD >> 10} KB, within {connection.HEADERS_WITHIN:g} s"
    assert bound("call of a [webhook]") == f"{hooks.LARGEST >> 20} MB, within {hooks.WITHIN:g} s"
    assert bound("connection without a request") == f"{connection.IDLE:g} s"
    assert bound("client that takes nothing") == f"{connection.STALLED:g} s"
    patience = Patience()
    times = f"{patience.connect:g} s, {patience.silence:g} s, {patience.whole:g} s"
    assert bound("upstream: connection") == times
    pauses = f"{patience.pause:g} s to {patience.longest_pause / 60:g} min"
    assert bound("upstream that does not answer") == pauses
    assert bound("end of the process") == f"{connection.STOP_WITHIN} s"

    settings = dict(parsed_unit())
    assert int(settings["TimeoutStopSec"]) > connection.STOP_WITHIN
    assert int(settings["LimitNOFILE"]) >= 3 * connection.MOST_CONNECTIONS + 64
    # A proxy that reuses a connection which the server is about to close gets an error for an answer.
    (kept,) = re.findall(r"keepalive_timeout (\d+)s;", BLOCKS["nginx"][0])
    assert int(kept) < connection.IDLE
    (waits,) = re.findall(r"proxy_read_timeout (\d+)s;", BLOCKS["nginx"][0])
    assert int(waits) > patience.whole
