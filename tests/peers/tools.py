"""Real tools, run where they find nobody's settings and reach nothing but the loopback interface."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from uv import find_uv_bin

from tests.builders import make_wheel

NOWHERE = "http://127.0.0.1:9"
"""Nothing listens there; as everybody's proxy it stops what would leave the loopback interface."""

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Tools:
    """pip, uv, git and gitindex with a home of their own."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is added to the environment."""

    def with_environment(self, **environment: str) -> Tools:
        return Tools(self.home, {**self.environment, **environment})

    def run(self, *command: str | Path) -> Done:
        """Run a command; whether it succeeds is the caller's to see."""
        return subprocess.run(
            list(map(str, command)),
            env=self.environment_of_commands(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def pip(self, *arguments: str | Path) -> Done:
        return self.run(sys.executable, "-m", "pip", *arguments)

    def uv(self, *arguments: str | Path) -> Done:
        return self.run(find_uv_bin(), *arguments)

    def gitindex(self, repository: Path, *arguments: str | Path) -> Done:
        return self.run(sys.executable, "-m", "gitindex", "-C", repository, *arguments)

    def environment_of_commands(self) -> dict[str, str]:
        """Return the whole environment that commands are run in."""
        (self.home / ".gitconfig").write_text("[user]\n\tname = Emilie\n\temail = emilie@example.org\n")
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        coverage = {key: value for key, value in os.environ.items() if key.startswith("COV")}
        return {
            "HOME": str(self.home),
            "PATH": path,
            "LANG": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_NO_COMPILE": "1",
            "PIP_NO_INPUT": "1",
            "PIP_RETRIES": "0",
            "UV_CACHE_DIR": str(self.home / "uv-cache"),
            "UV_HTTP_RETRIES": "0",
            "UV_LINK_MODE": "copy",
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "http_proxy": NOWHERE,
            "https_proxy": NOWHERE,
            "no_proxy": "127.0.0.1",
            **coverage,
            **self.environment,
        }


def done(result: Done) -> str:
    """Return what a command printed on standard output; it must have succeeded."""
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def installed(target: Path) -> dict[str, str]:
    """Return names and versions of what is installed in a folder."""
    return {dist.metadata["Name"]: dist.version for dist in distributions(path=[str(target)])}


def wheel(
    name: str, version: str, *, origin: str = "ours", requires: Iterable[str] = (), python: str | None = None
) -> tuple[str, bytes]:
    """Return a wheel whose module says where it is from."""
    module = name.replace("-", "_").replace(".", "_")
    return make_wheel(
        name,
        version,
        requires_python=python,
        metadata_extra="".join(f"Requires-Dist: {requirement}\n" for requirement in requires),
        files={f"{module}.py": f"ORIGIN = {origin!r}\n".encode()},
    )


def origin(target: Path, module: str) -> str:
    """Return where an installed module of :func:`wheel` is from."""
    return (target / f"{module}.py").read_text().split("'")[1]


def upload(
    tools: Tools, repository: Path, index: str, files: Iterable[tuple[str, bytes]], time: str | None = "2024-01-01"
) -> Done:
    """Release files by the command line, as if at *time* (a date, UTC), or now."""
    folder = repository.with_name(f"{repository.name}-dist")
    folder.mkdir(exist_ok=True)
    paths = []
    for name, data in files:
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    if time is not None:
        epoch = int(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp())
        tools = tools.with_environment(SOURCE_DATE_EPOCH=str(epoch))
    return tools.gitindex(repository, "upload", *paths, "--index", index)
