"""Runs the steps of a workflow of GitHub Actions here: real commands in a real shell, with what GitHub sets.

Actions of others are not run: what they bring (a clone, the files of an artifact) is put where they would put it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"'[^']*'|&&|\|\||!=|==|!|[()]|[A-Za-z_][\w-]*(?:\.[\w-]+)*|,|\s+")
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False", "==": "==", "!=": "!="}
_FUNCTIONS = ("always", "failure", "success", "hashFiles", "format")

Action = Callable[[Mapping[str, Any], "Job"], None]


class Step(NamedTuple):
    """What came of a step that was run."""

    name: str
    code: int
    out: str


class Job:
    """One job of a workflow: its workspace, and what its expressions see."""

    def __init__(
        self,
        workflow: Mapping[str, Any],
        name: str,
        folder: Path,
        contexts: Mapping[str, Any],
        *,
        actions: Mapping[str, Action],
        environment: Mapping[str, str],
    ) -> None:
        self.definition = workflow["jobs"][name]
        self.workspace = folder / "workspace"
        self.workspace.mkdir(parents=True)
        self.summary = folder / "summary.md"
        self.summary.touch()
        self.contexts = {"steps": {}, **contexts}
        self.actions = dict(actions)
        self._environment = environment
        self.has_failed = False

    @property
    def is_wanted(self) -> bool:
        """Whether the condition of the job holds."""
        return "if" not in self.definition or bool(self.evaluated(str(self.definition["if"])))

    def run(self) -> list[Step]:
        """Run the steps in order, as their conditions say, and return what came of the commands."""
        done = []
        for step in self.definition["steps"]:
            condition = str(step.get("if", "success()"))
            if not re.search(r"\b(always|failure|success)\(\)", condition):
                condition = f"success() && ({condition})"
            if not self.evaluated(condition):
                continue
            if "uses" in step:
                action = step["uses"].partition("@")[0]
                self.actions[action]({key: self.filled(value) for key, value in step.get("with", {}).items()}, self)
                continue
            assert "${{" not in step["run"], "what an event says must not become a part of a script"
            code, out = self._shell(
                step["run"], {key: self.filled(value) for key, value in step.get("env", {}).items()}
            )
            self.has_failed |= code != 0
            done.append(Step(step["name"], code, out))
        return done

    def _shell(self, script: str, environment: Mapping[str, str]) -> tuple[int, str]:
        github = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_WORKSPACE": str(self.workspace),
        }
        finished = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
            cwd=self.workspace,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **github}
            | {**self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return finished.returncode, finished.stdout

    def filled(self, value: Any) -> str:
        """Return a value with its expressions evaluated, as text."""
        return _EXPRESSION.sub(lambda found: _text(self.evaluated(found[1])), _text(value))

    def evaluated(self, expression: str) -> Any:
        """Return what an expression gives; only what our workflows use is known."""
        text = expression.strip().removeprefix("${{").removesuffix("}}")
        pieces, place = [], 0
        while place < len(text):
            token = _TOKEN.match(text, place)
            assert token, f"unknown expression: {text[place:]}"
            pieces.append(self._python(token[0]))
            place = token.end()
        functions = {
            "always": lambda: True,
            "failure": lambda: self.has_failed,
            "success": lambda: not self.has_failed,
            "hashFiles": lambda pattern: "x" if any(self.workspace.glob(pattern)) else "",
        }
        return eval("".join(pieces).strip(), {"__builtins__": {}}, {**functions, "at": self._at})  # noqa: S307

    def _python(self, token: str) -> str:
        if token in _WORDS:
            return _WORDS[token]
        if token in _FUNCTIONS or not re.match(r"[A-Za-z_]", token):
            return token
        return f"at({token!r})"

    def _at(self, path: str) -> Any:
        value: Any = self.contexts
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return "" if value is None else value


def read_workflow(text: str) -> dict[str, Any]:
    """Return a workflow as a value; YAML takes its key `on` for a truth."""
    found = yaml.safe_load(text)
    found["on"] = found.pop(True, found.get("on"))
    assert isinstance(found, dict)
    return found


def checkout(source: Path, default: str, address: str = "") -> Action:
    """Return what checks out *source*: *default*, where a step names no revision; *address* is then its remote."""

    def run(inputs: Mapping[str, Any], job: Job) -> None:
        target = job.workspace / inputs.get("path", "")
        subprocess.run(["git", "init", "--quiet", str(target)], check=True)
        git = ["git", "-C", str(target)]
        subprocess.run([*git, "remote", "add", "origin", str(source)], check=True)
        refs = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        subprocess.run([*git, "fetch", "--quiet", "origin", *refs], check=True)
        subprocess.run([*git, "fetch", "--quiet", "origin", inputs.get("ref") or default], check=True)
        subprocess.run([*git, "checkout", "--quiet", "--force", "FETCH_HEAD"], check=True)
        if address:
            subprocess.run([*git, "remote", "set-url", "origin", address], check=True)

    return run


def artifacts(shelf: Path) -> dict[str, Action]:
    """Return what keeps artifacts on a shelf, and takes them from there."""

    def upload(inputs: Mapping[str, Any], job: Job) -> None:
        source, target = job.workspace / inputs["path"], shelf / inputs.get("name", "pages")
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.mkdir(parents=True)
            shutil.copy2(source, target)

    def download(inputs: Mapping[str, Any], job: Job) -> None:
        shutil.copytree(shelf / inputs["name"], job.workspace / inputs.get("path", ""), dirs_exist_ok=True)

    return {
        "actions/upload-artifact": upload,
        "actions/upload-pages-artifact": upload,
        "actions/download-artifact": download,
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
