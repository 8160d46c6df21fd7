"""pip, uv, Poetry, PDM and twine against `gitindex serve`: what is ours, now and as it was."""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import html5lib
import pytest
from pypi_simple import ProjectPage, PyPISimple

from tests.builders import make_sdist
from tests.peers.conftest import YANK_REASON
from tests.peers.foreign import peer
from tests.peers.serving import Install, Serving, commit, define, eventually, make, pip, release, serving, target, uv
from tests.peers.tools import Tools, done, installed, wheel

pytestmark = pytest.mark.peers

FIRST = [
    wheel("demo", "1.0", requires=["helper"]),
    make_sdist("demo", "1.0"),
    wheel("helper", "1.0"),
    wheel("Dotted.Name", "1.0"),
    wheel("epochal", "2!0.5"),
    wheel("localized", "1.0+local.1"),
    wheel("needs-new", "1.0", python=">=3.8"),
    wheel("withdrawn", "1.0"),
]
SECOND = [
    wheel("demo", "2.0", requires=["helper"]),
    wheel("needs-new", "2.0", python=">=99"),
    wheel("withdrawn", "1.1"),
]
EVERYTHING = ["demo", "Dotted.Name", "epochal", "localized", "needs.new", "withdrawn"]
INSTALLED = {
    "demo": "2.0",
    "helper": "1.0",
    "Dotted.Name": "1.0",
    "epochal": "2!0.5",
    "localized": "1.0+local.1",
    "needs-new": "1.0",  # 2.0 is for another Python
    "withdrawn": "1.0",  # 1.1 is yanked
}
SHA256 = {name: hashlib.sha256(data).hexdigest() for name, data in (*FIRST, *SECOND)}
THEN = "2026-01-15"
"""A day between the first releases and the second."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with releases of two days."""
    tools = Tools(tmp_path_factory.mktemp("home"))
    repository = make(tools, tools.home / "packages")
    define(repository, "emilie/prod", bases=[])
    release(tools, repository, "emilie/prod", FIRST, "2026-01-01")
    release(tools, repository, "emilie/prod", SECOND, "2026-02-01")
    done(tools.gitindex(repository, "yank", "withdrawn==1.1", "--index", "emilie/prod", "--reason", YANK_REASON))
    commit(tools, repository, "2026-02-02")
    return repository


@pytest.fixture(scope="module")
def shared(repository: Path) -> Iterator[Serving]:
    """Serve the repository to all tests of the module."""
    with serving(Tools(repository.parent), repository) as running:
        yield running


@pytest.fixture
def server(shared: Serving) -> Serving:
    """Return the server with an empty access log."""
    shared.forget()
    return shared


@pytest.fixture(params=[pip, uv], ids=["pip", "uv"])
def install(request: pytest.FixtureRequest) -> Install:
    """Return what installs from a URL: pip, and uv."""
    chosen: Install = request.param
    return chosen


def test_points_36_and_90_everything_installs_as_from_the_rendered_site(
    install: Install, tools: Tools, server: Serving
) -> None:
    done(install(tools, server.simple("emilie/prod"), *EVERYTHING))
    assert target(tools) == INSTALLED
    assert {line.status for line in server.lines()} == {200}


def test_a_devpi_url_installs_the_same(tools: Tools, server: Serving) -> None:
    done(uv(tools, f"{server.url}/emilie/prod/+simple/", "demo"))
    assert target(tools) == {"demo": "2.0", "helper": "1.0"}


def test_point_55_everything_installs_below_a_base_path_and_from_two_workers(
    install: Install, tools: Tools, repository: Path, tmp_path: Path
) -> None:
    options = ["--base-path", "/tools/pypi/", "--workers", "2"]
    with serving(tools, repository, *options, cache=tmp_path / "cache") as running:
        assert running.url.endswith("/tools/pypi")
        done(install(tools, running.simple("emilie/prod"), *EVERYTHING))
        assert target(tools) == INSTALLED
        assert {line.status for line in running.lines()} == {200}
        assert all(line.path.startswith("/tools/pypi/") for line in running.lines())


def test_points_10_and_53_what_is_not_kept_is_judged_by_its_metadata_alone(tools: Tools, server: Serving) -> None:
    folder = tools.home / "downloads"
    done(tools.pip("download", "--dest", folder, "--index-url", server.simple("emilie/prod"), "demo"))
    kept = {"demo-2.0-py3-none-any.whl", "helper-1.0-py3-none-any.whl"}
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()} == {
        name: SHA256[name] for name in kept
    }
    assert server.files() == {*kept, *(f"{name}.metadata" for name in kept)}


def test_downloads_pass_the_check_of_twine(tools: Tools, server: Serving) -> None:
    folder = tools.home / "downloads"
    url = server.simple("emilie/prod")
    done(tools.pip("download", "--no-deps", "--dest", folder, "--index-url", url, "demo==1.0", "localized", "epochal"))
    wheels = sorted(folder.iterdir())
    assert len(wheels) == 3
    checked = tools.run(sys.executable, "-m", "twine", "check", *wheels)
    assert done(checked).count("PASSED") == 3, checked.stdout


def test_point_09_a_yanked_release_is_taken_only_where_it_is_pinned(
    install: Install, tools: Tools, server: Serving
) -> None:
    result = install(tools, server.simple("emilie/prod"), "withdrawn==1.1")
    done(result)
    assert target(tools) == {"withdrawn": "1.1"}
    assert YANK_REASON in result.stderr


def test_point_90_pip_index_versions_lists_what_can_be_had(tools: Tools, server: Serving) -> None:
    url = server.simple("emilie/prod")
    listed = json.loads(done(tools.pip("index", "versions", "demo", "--json", "--index-url", url)))
    assert listed["versions"] == ["2.0", "1.0"]
    assert "Available versions: 1.0\n" in done(tools.pip("index", "versions", "withdrawn", "--index-url", url))


def test_point_44_what_is_not_there_is_said_so(install: Install, tools: Tools, server: Serving) -> None:
    result = install(tools, server.simple("emilie/prod"), "demo", "never-heard-of")
    assert result.returncode == 1
    assert "never-heard-of" in result.stderr
    assert ("/emilie/prod/simple/never-heard-of/", 404) in {(line.path, line.status) for line in server.lines()}


def test_point_91_uv_exclude_newer_takes_the_older_release(tools: Tools, server: Serving) -> None:
    (tools.home / "requirements.in").write_text("demo\n")
    there = ["--python", sys.executable, "--default-index", server.simple("emilie/prod")]
    compiled = tools.uv(
        *("pip", "compile", "--exclude-newer", THEN, *there, "--no-header", "--no-annotate", "requirements.in")
    )
    assert done(compiled) == "demo==1.0\nhelper==1.0\n"
    assert "missing an upload date" not in compiled.stderr


def test_point_91_pip_uploaded_prior_to_takes_the_older_release(tools: Tools, server: Serving) -> None:
    done(pip(tools, server.simple("emilie/prod"), "--uploaded-prior-to", f"{THEN}T00:00:00Z", "demo"))
    assert target(tools) == {"demo": "1.0", "helper": "1.0"}


def test_point_90_what_uv_locks_and_exports_pip_installs_by_its_hashes(tools: Tools, server: Serving) -> None:
    url = server.simple("emilie/prod")
    (tools.home / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["demo"]\n'
        f'[[tool.uv.index]]\nname = "ours"\nurl = "{url}"\ndefault = true\n'
    )
    settled = tools.with_environment(UV_NO_CONFIG="0", UV_PYTHON=sys.executable)
    done(settled.uv("lock"))
    packages = {package["name"]: package for package in tomllib.loads((tools.home / "uv.lock").read_text())["package"]}
    assert packages["demo"]["source"] == {"registry": url}
    assert packages["demo"]["wheels"][0]["hash"] == f"sha256:{SHA256['demo-2.0-py3-none-any.whl']}"
    assert packages["demo"]["wheels"][0]["upload-time"] == "2026-02-01T00:00:00Z"
    requirements = tools.home / "requirements.txt"
    done(settled.uv("export", "--frozen", "--quiet", "--no-emit-project", "--output-file", requirements))
    assert SHA256["helper-1.0-py3-none-any.whl"] in requirements.read_text()
    done(pip(tools, url, "--require-hashes", "-r", requirements))
    assert target(tools) == {"demo": "2.0", "helper": "1.0"}

    requirements.write_text(f"helper==1.0 --hash=sha256:{'0' * 64}\n")
    result = pip(tools, url, "--require-hashes", "-r", requirements, "--upgrade")
    assert result.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in result.stderr


def test_a_day_gives_what_it_gave(install: Install, tools: Tools, server: Serving) -> None:
    done(install(tools, server.simple("emilie/prod", at=THEN), "demo", "withdrawn"))
    assert target(tools) == {"demo": "1.0", "helper": "1.0", "withdrawn": "1.0"}
    pages = [line.path for line in server.lines() if "/simple/" in line.path]
    assert pages
    assert all(path.startswith(f"/@{THEN}/emilie/prod/simple/") for path in pages)


def test_a_commit_gives_what_it_gave_and_a_day_before_all_of_them_nothing(
    tools: Tools, server: Serving, repository: Path
) -> None:
    first = done(tools.run("git", "-C", repository, "rev-list", "--reverse", "main")).split()[1]
    done(uv(tools, server.simple("emilie/prod", at=first), "demo"))
    assert target(tools) == {"demo": "1.0", "helper": "1.0"}
    assert uv(tools, server.simple("emilie/prod", at="2025-06-01"), "demo", "--reinstall").returncode != 0


def test_poetry_locks_by_our_hashes_and_installs(tools: Tools, server: Serving) -> None:
    url = server.simple("emilie/prod")
    (tools.home / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["demo>=1", "needs-new"]\n'
        f'[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "ours"\nurl = "{url}"\n'
    )
    settled = tools.with_environment(
        POETRY_VIRTUALENVS_IN_PROJECT="true",
        POETRY_NO_INTERACTION="1",
        POETRY_KEYRING_ENABLED="false",
        POETRY_VIRTUALENVS_OPTIONS_NO_PIP="true",
        VIRTUALENV_NO_PERIODIC_UPDATE="1",
    )
    done(settled.run(peer("poetry"), "install"))
    lock = tomllib.loads((tools.home / "poetry.lock").read_text())
    files = {file["file"]: file["hash"] for package in lock["package"] for file in package["files"]}
    assert files["demo-2.0-py3-none-any.whl"] == f"sha256:{SHA256['demo-2.0-py3-none-any.whl']}"
    (site_packages,) = (tools.home / ".venv/lib").glob("python3*/site-packages")
    assert installed(site_packages).items() >= {"demo": "2.0", "helper": "1.0", "needs-new": "1.0"}.items()


def test_pdm_locks_by_our_hashes_and_installs(tools: Tools, server: Serving) -> None:
    url = server.simple("emilie/prod")
    (tools.home / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["demo>=1", "needs-new"]\n'
        f'[tool.pdm]\ndistribution = false\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{url}"\n'
    )
    settled = tools.with_environment(PDM_CHECK_UPDATE="0", PDM_NON_INTERACTIVE="1", PDM_USE_VENV="0")
    done(settled.run(peer("pdm"), "use", "--first", sys.executable))
    done(settled.run(peer("pdm"), "install"))
    lock = tomllib.loads((tools.home / "pdm.lock").read_text())
    files = {file["file"]: file["hash"] for package in lock["package"] for file in package["files"]}
    assert files["demo-2.0-py3-none-any.whl"] == f"sha256:{SHA256['demo-2.0-py3-none-any.whl']}"
    (library,) = (tools.home / "__pypackages__").glob("*/lib")
    assert installed(library) == {"demo": "2.0", "helper": "1.0", "needs-new": "1.0"}


def test_a_commit_that_comes_while_it_runs_is_installed(tools: Tools, repository: Path, tmp_path: Path) -> None:
    bare = tmp_path / "packages.git"
    clone = tmp_path / "clone"
    done(tools.run("git", "clone", "--quiet", "--bare", repository, bare))
    done(tools.run("git", "clone", "--quiet", bare, clone))
    with serving(tools, bare) as running:
        url = running.simple("emilie/prod")
        done(uv(tools, url, "demo"))
        release(tools, clone, "emilie/prod", [wheel("demo", "3.0", requires=["helper"])], "2026-03-01")
        done(tools.run("git", "-C", clone, "push", "--quiet"))
        pushed = done(tools.run("git", "-C", clone, "rev-parse", "HEAD")).strip()
        eventually(lambda: running.status()["revision"] == pushed, "the pushed commit is not served")
        done(uv(tools, url, "demo", "--upgrade"))  # without --refresh: uv asks whether its page is still right
        assert target(tools)["demo"] == "3.0"


def test_a_commit_on_the_forge_is_installed_when_it_was_pulled(tools: Tools, repository: Path, tmp_path: Path) -> None:
    forge = tmp_path / "forge.git"
    clone = tmp_path / "clone"
    mirror = tmp_path / "packages.git"
    done(tools.run("git", "clone", "--quiet", "--bare", repository, forge))
    done(tools.run("git", "clone", "--quiet", forge, clone))
    done(tools.run("git", "clone", "--quiet", "--bare", forge, mirror))
    with serving(tools, mirror, "--pull-every", "1") as running:
        release(tools, clone, "emilie/prod", [wheel("demo", "3.0", requires=["helper"])], "2026-03-01")
        done(tools.run("git", "-C", clone, "push", "--quiet"))
        pushed = done(tools.run("git", "-C", clone, "rev-parse", "HEAD")).strip()
        eventually(lambda: running.status()["revision"] == pushed, "the pushed commit is not served")
        done(uv(tools, running.simple("emilie/prod"), "demo"))
        assert target(tools)["demo"] == "3.0"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def token(tools: Tools, token_file: Path) -> str:
    """A token for `emilie/prod`."""
    return done(tools.run("gitindex", "token", "create", "ci", "--read", "emilie/prod", "--tokens", token_file)).strip()


@pytest.fixture
def guarded(tools: Tools, repository: Path, token_file: Path, token: str, tmp_path: Path) -> Iterator[Serving]:
    """Serve the repository to those who have a token."""
    assert token
    with serving(tools, repository, "--tokens", token_file, cache=tmp_path / "cache") as running:
        yield running


def with_token(url: str, token: str) -> str:
    return url.replace("http://", f"http://__token__:{token}@")


def test_point_54_a_token_installs_by_netrc_and_in_the_url_and_without_one_nothing_does(
    tools: Tools, guarded: Serving, token: str
) -> None:
    url = guarded.simple("emilie/prod")
    for install in (pip, uv):
        assert install(tools, url, "demo").returncode != 0
    assert {line.status for line in guarded.lines()} == {401}
    for number, install in enumerate((pip, uv)):
        inside = Tools(tools.home / f"url{number}")
        inside.home.mkdir()
        done(install(inside, with_token(url, token), "demo"))
        assert target(inside) == {"demo": "2.0", "helper": "1.0"}
    netrc = tools.home / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login __token__ password {token}\n")
    netrc.chmod(0o600)
    for number, install in enumerate((pip, uv)):
        inside = Tools(tools.home / f"netrc{number}", {"NETRC": str(netrc)})
        inside.home.mkdir()
        done(install(inside, url, "demo"))
        assert target(inside) == {"demo": "2.0", "helper": "1.0"}
    readers = {line.reader for line in guarded.lines() if line.status == 200}
    assert readers == {token.split("_")[1]}
    assert token not in guarded.access_log.read_text()


def test_point_54_a_token_of_another_index_is_refused_and_pip_and_uv_say_so(
    install: Install, tools: Tools, guarded: Serving, token: str
) -> None:
    for index in ("emilie/dev", "emilie/nowhere"):
        guarded.forget()
        assert install(tools, with_token(guarded.simple(index), token), "demo").returncode != 0
        assert {line.status for line in guarded.lines()} == {403}


def test_point_89_parsers_of_others_read_every_page(server: Serving) -> None:
    with PyPISimple(server.simple("emilie/prod")) as client:
        projects = client.get_index_page().projects
        assert len(projects) == 7
        for accept in ("application/vnd.pypi.simple.v1+json", "text/html"):
            for project in projects:
                page: ProjectPage = client.get_project_page(project, accept=accept)
                assert page.repository_version == "1.4"
                assert {file.filename: file.digests["sha256"] for file in page.packages} == {
                    file.filename: SHA256[file.filename] for file in page.packages
                }
                assert all(file.size and file.upload_time for file in page.packages if "json" in accept)
    parser = html5lib.HTMLParser(strict=True)
    for path in ("", *(f"{project}/" for project in projects)):
        for accept in ("text/html", "application/vnd.pypi.simple.v1+html"):
            got = server.get(f"/emilie/prod/simple/{path}", Accept=accept)
            assert parser.parse(got.body) is not None
