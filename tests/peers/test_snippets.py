"""The lines that people copy from a page, and those that `gitindex config` prints, run as they stand."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from uv import find_uv_bin

from gitindex.names import IndexName, ProjectName, UserName
from gitindex.snippets import UNKNOWN_URL, Snippet, for_index, for_project, for_uploads
from tests.peers.foreign import peer
from tests.peers.server import SiteServer
from tests.peers.tools import Tools, done, installed

pytestmark = pytest.mark.peers

PROD = IndexName(UserName("emilie"), "prod")
DEMO = ProjectName("demo")
PYPROJECT = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n'


@pytest.fixture
def simple(server: SiteServer) -> str:
    return f"{server.url}/emilie/prod/simple/"


@pytest.fixture
def there(tools: Tools) -> Tools:
    """Return tools of which none looks further than the folder of its project."""
    return tools.with_environment(
        POETRY_VIRTUALENVS_IN_PROJECT="true",
        POETRY_NO_INTERACTION="1",
        POETRY_KEYRING_ENABLED="false",
        POETRY_VIRTUALENVS_OPTIONS_NO_PIP="true",
        VIRTUALENV_NO_PERIODIC_UPDATE="1",
        PDM_CHECK_UPDATE="0",
        PDM_NON_INTERACTIVE="1",
        PDM_USE_VENV="0",
        PIP_TARGET=str(tools.home / "target"),
    )


def of(tool: str, snippets: tuple[Snippet, ...], *, file: bool = False) -> str:
    (text,) = (s.text for s in snippets if s.tool == tool and (s.title != "command line") == file)
    return text


def run(tools: Tools, text: str) -> None:
    """Run lines as a shell would that has the tools on its path."""
    paths: dict[str, list[str | Path]] = {"pip": [sys.executable, "-m", "pip"], "uv": [find_uv_bin()]}
    for line in text.splitlines():
        tool, *arguments = shlex.split(line)
        done(tools.run(*(paths.get(tool) or [peer(tool)]), *arguments))


def site_packages(tools: Tools) -> Path:
    (folder,) = (tools.home / ".venv/lib").glob("python3*/site-packages")
    return folder


@pytest.mark.parametrize("version", ["1.0", None])
def test_pip_installs_a_project_by_its_line(there: Tools, simple: str, version: str | None) -> None:
    run(there, of("pip", for_project(simple, PROD, DEMO, version)))
    assert installed(there.home / "target") == {"demo": version or "2.0", "helper": "1.0"}


def test_versions_with_an_epoch_or_a_local_part_are_quoted_for_the_shell(there: Tools, simple: str) -> None:
    for name, version in [("epochal", "2!0.5"), ("localized", "1.0+local.1")]:
        run(there, of("pip", for_project(simple, PROD, ProjectName(name), version)))
    assert installed(there.home / "target") == {"epochal": "2!0.5", "localized": "1.0+local.1"}


def test_pip_installs_by_its_line_for_an_index_and_by_its_file(there: Tools, simple: str) -> None:
    run(there, of("pip", for_index(simple, PROD)).replace("NAME", "helper"))
    assert installed(there.home / "target") == {"helper": "1.0"}
    file = there.home / "pip.conf"
    file.write_text(of("pip", for_index(simple, PROD), file=True))
    run(there.with_environment(PIP_CONFIG_FILE=str(file)), "pip install demo")
    assert installed(there.home / "target") == {"demo": "2.0", "helper": "1.0"}


def test_uv_adds_a_project_by_its_line_and_keeps_the_index_as_its_only_one(there: Tools, simple: str) -> None:
    pyproject = there.home / "pyproject.toml"
    pyproject.write_text(PYPROJECT)
    there = there.with_environment(UV_NO_CONFIG="0")
    run(there, of("uv", for_project(simple, PROD, DEMO, "1.0")))
    assert installed(site_packages(there)).items() >= {"demo": "1.0", "helper": "1.0"}.items()
    written = tomllib.loads(pyproject.read_text())
    assert written["project"]["dependencies"] == ["demo==1.0"]
    lines = tomllib.loads(of("uv", for_index(simple, PROD), file=True))
    assert written["tool"]["uv"]["index"] == lines["tool"]["uv"]["index"]


def test_uv_syncs_by_its_lines_for_an_index(there: Tools, simple: str) -> None:
    lines = of("uv", for_index(simple, PROD), file=True)
    (there.home / "pyproject.toml").write_text(f'{PYPROJECT}dependencies = ["demo"]\n{lines}\n')
    run(there.with_environment(UV_NO_CONFIG="0"), "uv sync")
    assert installed(site_packages(there)).items() >= {"demo": "2.0", "helper": "1.0"}.items()


def test_poetry_adds_a_project_by_its_lines_and_writes_those_of_the_index(there: Tools, simple: str) -> None:
    pyproject = there.home / "pyproject.toml"
    pyproject.write_text(f"{PYPROJECT}[tool.poetry]\npackage-mode = false\n")
    run(there, of("poetry", for_project(simple, PROD, DEMO, "1.0")))
    assert installed(site_packages(there)).items() >= {"demo": "1.0", "helper": "1.0"}.items()
    sources = tomllib.loads(pyproject.read_text())["tool"]["poetry"]["source"]
    assert sources == tomllib.loads(of("poetry", for_index(simple, PROD), file=True))["tool"]["poetry"]["source"]


def test_pdm_adds_a_project_by_its_lines(there: Tools, simple: str) -> None:
    (there.home / "pyproject.toml").write_text(f"{PYPROJECT}[tool.pdm]\ndistribution = false\n")
    done(there.run(peer("pdm"), "use", "--first", sys.executable))
    run(there, of("pdm", for_project(simple, PROD, DEMO, "1.0")))
    (library,) = (there.home / "__pypackages__").glob("*/lib")
    assert installed(library) == {"demo": "1.0", "helper": "1.0"}


def test_pdm_installs_by_its_lines_for_an_index(there: Tools, simple: str) -> None:
    lines = of("pdm", for_index(simple, PROD), file=True)
    own = f'{PYPROJECT}dependencies = ["demo"]\n[tool.pdm]\ndistribution = false\n{lines}\n'
    (there.home / "pyproject.toml").write_text(own)
    done(there.run(peer("pdm"), "use", "--first", sys.executable))
    run(there, "pdm install")
    (library,) = (there.home / "__pypackages__").glob("*/lib")
    assert installed(library) == {"demo": "2.0", "helper": "1.0"}


def test_the_lines_of_pylock_write_a_lock_that_pip_and_uv_install(there: Tools, simple: str) -> None:
    lock = there.home / "pylock.toml"
    run(there, of("pylock", for_project(simple, PROD, DEMO, "1.0")))
    packages = tomllib.loads(lock.read_text())["packages"]
    assert {package["name"]: package["version"] for package in packages} == {"demo": "1.0", "helper": "1.0"}
    assert all(wheel["hashes"]["sha256"] for package in packages for wheel in package["wheels"])
    run(there, "uv pip install --target synced -r pylock.toml")
    assert installed(there.home / "synced") == {"demo": "1.0", "helper": "1.0"}
    run(there, "pip install -r pylock.toml")
    assert installed(there.home / "target") == {"demo": "1.0", "helper": "1.0"}

    lock.unlink()
    (there.home / "requirements.txt").write_text("helper\n")
    run(there, of("pylock", for_index(simple, PROD)))
    (only,) = tomllib.loads(lock.read_text())["packages"]
    assert (only["name"], only["version"]) == ("helper", "1.0")


@pytest.mark.parametrize("tool", ["pip", "uv", "poetry", "pdm", "pylock", "twine"])
def test_config_prints_the_same_lines(tools: Tools, stages: Path, tool: str) -> None:
    url = "https://packages.example.org/emilie/prod/"
    snippets = (*for_index(f"{url}simple/", PROD), for_uploads(url, PROD))
    printed = done(tools.gitindex(stages, "config", tool, "--index", "emilie/prod"))
    told = json.loads(done(tools.gitindex(stages, "config", tool, "--index", "emilie/prod", "--json")))
    lines = of(tool, snippets, file=tool != "pylock")
    assert told["lines"] == lines
    assert printed == f"# {told['file']}\n{lines}\n"


@pytest.mark.parametrize("url", ["", "https://packages.example.org/a b/'\"$(id)\\/simple/"])
def test_lines_are_quoted_and_name_one_index(url: str) -> None:
    address = url or UNKNOWN_URL
    snippets = [*for_index(url, PROD), *for_project(url, PROD, DEMO, "1!2 $(id)")]
    assert len(snippets) == 11
    for snippet in snippets:
        assert "extra" not in snippet.text
        if snippet.language == "toml":
            (source,) = next(iter(tomllib.loads(snippet.text)["tool"].values())).popitem()[1]
            assert source["url"] == address
        elif snippet.language == "sh":
            words = [word for line in snippet.text.splitlines() for word in shlex.split(line)]
            assert address in {word.removeprefix("emilie-prod=") for word in words}
            assert {"demo==1!2 $(id)", "NAME", "requirements.txt"} & set(words)
