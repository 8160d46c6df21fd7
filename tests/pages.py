"""The commands of the documentation, run as they stand there, page by page, each page in a folder of its own.

What a page is run with:

- a block of `console` has commands, each after `$ `, and below some of them what they print. It is compared; `…` stands
  for anything in a line, and on a line of its own for any lines;
- a block of `sh` is one script;
- `<!-- run first` and lines of shell until `-->` prepare what the page takes for granted;
- `<!-- run after` and such lines look at what came of a block that shows no output;
- `<!-- run beside -->` before a block says that its one command runs on, as in another terminal, until the page ends;
- `<!-- run by tests/…: reason -->` leaves the next block to another test, which takes it by `scripts_run_by`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GENERATED = ("reference/commands.md", "reference/formats.md", "reference/rules.md")
"""Pages that programs write: they show no commands to run."""
PORT = "127.0.0.1:3141"
"""Where pages serve; a test serves at a free port instead."""
_PART = re.compile(
    r"^<!-- run (?:first|after)\n(?P<hidden>.*?)^-->$"
    r"|^<!-- (?P<beside>run beside) -->$"
    r"|^<!-- run by (?P<test>tests/\S+): .+? -->$"
    r"|^(?P<indent> *)(?P<fence>```+)(?P<language>[^\n]*)\n(?P<block>.*?)^(?P=indent)(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Step:
    """Something to run, and what the page says that it prints; with *beside*, it runs on while others do."""

    command: str
    shown: str = ""
    is_beside: bool = False


@dataclass
class Page:
    """A page: what is run of it, what other tests run, and the languages of its blocks with their text."""

    steps: list[Step] = field(default_factory=list)
    elsewhere: list[tuple[str, str]] = field(default_factory=list)
    """The path of a test, and the block that it runs, as a script."""
    blocks: list[tuple[str, str]] = field(default_factory=list)


def read_page(text: str) -> Page:
    """Return what is to be run of a page.

    Raises:
        ValueError: a marker stands before no block of commands.

    """
    page = Page()
    marker: re.Match[str] | None = None
    for part in _PART.finditer(text):
        if part["hidden"] is not None:
            page.steps.append(Step(f"set -e\n{part['hidden']}"))
        elif part["fence"] is None:
            if marker is not None:
                raise ValueError(f"two markers, and no block between them: {marker[0]}")
            marker = part
        else:
            language, block = part["language"].strip(), part["block"]
            page.blocks.append((language, block))
            if language in ("console", "sh"):
                _take(page, marker, language, block)
                marker = None
            elif marker is not None:
                raise ValueError(f"no block of commands follows: {marker[0]}")
    if marker is not None:
        raise ValueError(f"no block follows: {marker[0]}")
    return page


def scripts_run_by(test: str, page: str) -> list[str]:
    """Return the blocks of a page that it says a test runs, as scripts; *test* is its path, *page* one below docs/."""
    found = read_page((DOCS / page).read_text(encoding="utf-8")).elsewhere
    return [script for who, script in found if who == test]


def _take(page: Page, marker: re.Match[str] | None, language: str, block: str) -> None:
    if marker and marker["test"]:
        script = block if language == "sh" else "".join(f"{step.command}\n" for step in steps_of(block))
        page.elsewhere.append((marker["test"], script))
        return
    steps = list(steps_of(block)) if language == "console" else [Step(f"set -e\n{block}")]
    if marker:  # it runs beside
        (step,) = steps
        steps = [Step(step.command, step.shown, is_beside=True)]
    page.steps += steps


def steps_of(block: str) -> Iterator[Step]:
    """Yield the commands of a console, each with what is shown below it; a command may be continued by ``\\``.

    Raises:
        ValueError: the block does not begin with a command.

    """
    command, shown, is_open = "", "", False
    for line in block.splitlines():
        if is_open:
            command += f"\n{line}"
        elif line.startswith("$ "):
            if command:
                yield Step(command, shown)
            command, shown = line[2:], ""
        elif command:
            shown += f"{line}\n"
        else:
            raise ValueError(f"no command, and nothing that one printed: {line}")
        heredoc = re.search(r"<<\s*'?(\w+)'?", command)
        is_open = (line.endswith("\\") and not shown) or bool(
            heredoc and not shown and not command.endswith(f"\n{heredoc[1]}")
        )
    if command:
        yield Step(command, shown)


def fails(shown: str) -> bool:
    """Whether a command that prints this ends with an exit code other than 0."""
    return re.search(r"^(gitindex|Refused|error|ERROR|fatal): ", shown, re.MULTILINE) is not None


def matches(shown: str, printed: str) -> bool:
    """Whether what was printed is what is shown."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", ".*?") + r"[ \t]*\n"
        for line in shown.splitlines()
    )
    return re.fullmatch(pattern, printed if printed.endswith("\n") else f"{printed}\n") is not None


def free_port() -> int:
    """Return a port of the loopback interface that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Terminal:
    """A shell in which one step after the other is run; folder and exported variables last from step to step."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._state = folder / ".state"
        self._folder = folder
        self._environment = dict(environment)
        self._port = free_port()
        self._beside: list[subprocess.Popen[str]] = []
        self._served: Path | None = None
        """The repository of the server that runs beside."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._beside:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def run(self, step: Step) -> None:
        """Run a step.

        Raises:
            AssertionError: it ends otherwise than the page says, or prints something else.

        """
        command, shown = self._here(step.command), self._here(step.shown)
        if step.is_beside:
            self._begin(re.sub(r"^(gitindex (?:\S+ )*?serve)\b", rf"\1 --port {self._port}", command))
            return
        state = f'. {self._state}.env; cd "$(cat {self._state}.folder)"\n' if self._knows_state() else ""
        after = f"\ncode=$?; export -p > {self._state}.env; pwd > {self._state}.folder; exit $code"
        trap = f"trap 'code=$?; export -p > {self._state}.env; pwd > {self._state}.folder; exit $code' EXIT\n"
        script = f"{state}{trap}{command}" if command.startswith("set -e") else f"{state}{command}{after}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        told = f"$ {command}\n{done.stdout}"
        assert "Traceback (most recent call last)" not in done.stdout, told
        assert bool(done.returncode) == fails(shown), f"exit code {done.returncode}\n{told}"
        assert not shown or matches(shown, done.stdout), f"{told}\nis not what the page shows:\n{shown}"
        if re.search(r"--commit\b|^git (commit|merge|pull|revert)\b", command, re.MULTILINE):
            self._let_follow()

    def _let_follow(self) -> None:
        """Wait until the server has the newest commit: a shell may be quicker than both."""
        if self._served is None:
            return
        words = ["git", "-C", str(self._served), "rev-parse", "HEAD"]
        head = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with urlopen(f"http://127.0.0.1:{self._port}/+status", timeout=30) as answer:
                if json.load(answer)["result"]["revision"] == head:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the server does not get to {head}")

    def _knows_state(self) -> bool:
        return self._state.with_suffix(".folder").exists()

    def _here(self, text: str) -> str:
        return text.replace(PORT, f"127.0.0.1:{self._port}")

    def _begin(self, command: str) -> None:
        state = f'. {self._state}.env; cd "$(cat {self._state}.folder)"\n' if self._knows_state() else ""
        process = subprocess.Popen(
            ["bash", "-c", f"{state}exec {command}"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._beside.append(process)
        folder = self._state.with_suffix(".folder")
        if " serve" in command and folder.is_file():
            where = re.search(r" -C (\S+)", command)
            self._served = Path(folder.read_text().strip(), where[1] if where else "")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            assert process.poll() is None, f"$ {command}\nhas ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"$ {command}\ndoes not listen")


def pages() -> list[str]:
    """Return the pages of the documentation, by their paths below docs/."""
    return sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def build_site(folder: Path) -> Path:
    """Build the documentation as a site below *folder*, and return where it is."""
    shutil.copytree(DOCS, folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    built = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "build" / "docs"
