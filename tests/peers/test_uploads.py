"""What uploads to PyPI uploads here, as it is: twine, uv, Poetry, PDM, Flit, Hatch; and pip installs it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from uv import find_uv_bin

from gitindex import tokens
from tests.builders import make_sdist, make_wheel
from tests.peers.foreign import peer
from tests.peers.serving import Serving, serving
from tests.peers.tools import Done, Tools, done
from tests.repositories import IndexRepository, bare_clone, make_repository
from tests.server.writing.form import team_content

pytestmark = pytest.mark.peers


class Index(NamedTuple):
    """A server that takes uploads, and the token of a user."""

    running: Serving
    token: str
    repository: IndexRepository
    tools: Tools

    def url(self, index: str) -> str:
        return f"{self.running.url}/{index}/"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("uploads")
    tools, store = Tools(folder), folder / "tokens.json"
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "emilie")
            patch.setenv(f"GIT_{who}_EMAIL", "emilie@example.org")
        made = make_repository(folder / "packages", team_content())
        bare = IndexRepository(bare_clone(made, folder / "bare.git"))
    token = tokens.create(store, "e", ["upload:emilie/*"], expires=None, now=datetime.now(UTC), user="emilie").text
    with serving(tools, bare.path, "--writable", "--tokens", store, "--public", "*") as running:
        yield Index(running, token, bare, tools)


def project(tools: Tools, name: str, backend: str) -> Path:
    """Make a project with a wheel and an sdist in `dist/`, as its tool would have built them."""
    folder = tools.home / name
    (folder / "dist").mkdir(parents=True)
    for filename, data in (make_wheel(name, "1.0"), make_sdist(name, "1.0")):
        (folder / "dist" / filename).write_bytes(data)
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["{backend}"]\nbuild-backend = "{backend.replace("-core", "_core")}.api"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\ndescription = "A demo"\nrequires-python = ">=3.8"\n'
    )
    return folder


Upload = Callable[[Index, Path, str], Done]


def twine(index: Index, folder: Path, to: str) -> Done:
    tools = index.tools.with_environment(TWINE_USERNAME="__token__", TWINE_PASSWORD=index.token)
    files = sorted((folder / "dist").iterdir())
    return tools.run("twine", "upload", "--non-interactive", "--disable-progress-bar", "--repository-url", to, *files)


def uv(index: Index, folder: Path, to: str) -> Done:
    tools = index.tools.with_environment(UV_PUBLISH_TOKEN=index.token)
    return tools.run(find_uv_bin(), "publish", "--publish-url", to, *sorted((folder / "dist").iterdir()))


def poetry(index: Index, folder: Path, to: str) -> Done:
    tools = index.tools.with_environment(
        POETRY_REPOSITORIES_OURS_URL=to,
        POETRY_HTTP_BASIC_OURS_USERNAME="__token__",
        POETRY_HTTP_BASIC_OURS_PASSWORD=index.token,
        POETRY_KEYRING_ENABLED="false",
    )
    return tools.run(peer("poetry"), "-C", folder, "publish", "--repository", "ours", "--no-interaction")


def pdm(index: Index, folder: Path, to: str) -> Done:
    tools = index.tools.with_environment(PDM_PUBLISH_USERNAME="__token__", PDM_PUBLISH_PASSWORD=index.token)
    return tools.run(peer("pdm"), "publish", "--no-build", "-p", folder, "--repository", to)


def flit(index: Index, folder: Path, to: str) -> Done:
    module = folder / f"{folder.name.replace('-', '_')}.py"
    module.write_text('"""A demo."""\n__version__ = "1.0"\n')
    tools = index.tools.with_environment(
        FLIT_INDEX_URL=to, FLIT_USERNAME="__token__", FLIT_PASSWORD=index.token, FLIT_ALLOW_INVALID="1"
    )
    return tools.run(peer("flit"), "-f", folder / "pyproject.toml", "publish")


def hatch(index: Index, folder: Path, to: str) -> Done:
    tools = index.tools.with_environment(
        HATCH_INDEX_REPO=to,
        HATCH_INDEX_USER="__token__",
        HATCH_INDEX_AUTH=index.token,
        HATCH_CONFIG=str(folder / "h.toml"),
    )
    (folder / "h.toml").write_text('mode = "local"\n')
    return tools.run(peer("hatch"), "--no-interactive", "publish", *sorted((folder / "dist").iterdir()))


CLIENTS: dict[str, Upload] = {"twine": twine, "uv": uv, "poetry": poetry, "pdm": pdm, "flit": flit, "hatch": hatch}
BACKENDS = {"flit": "flit-core", "poetry": "poetry-core"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_of_pypi_uploads_and_pip_installs_it(index: Index, client: str) -> None:
    name = f"by-{client}"
    folder = project(index.tools, name, BACKENDS.get(client, "flit-core"))
    done(CLIENTS[client](index, folder, index.url("emilie/dev")))
    listed = index.running.get(f"/emilie/dev/simple/{name}/", Accept="text/html").body.decode()
    stem = name.replace("-", "_")
    assert (f"{stem}-1.0-py3-none-any.whl" in listed, f"{stem}-1.0.tar.gz" in listed) == (True, True)
    target = index.tools.home / f"target-{client}"
    url = index.running.simple("emilie/dev")
    done(index.tools.pip("install", "--target", target, "--no-deps", "--index-url", url, name))
    assert (target / stem).exists() or (target / f"{stem}.py").exists()
    assert f"{stem}-1.0" in index.repository.git("log", "-2", "--format=%s", "main")


@pytest.mark.parametrize("client", ["twine", "uv", "poetry", "pdm", "hatch"])
def test_a_refusal_is_shown_in_our_words(index: Index, client: str) -> None:
    before = index.repository.git("rev-parse", "main")
    folder = project(index.tools, f"no-{client}", BACKENDS.get(client, "flit-core"))
    refused = CLIENTS[client](index, folder, index.url("bob/dev"))
    assert refused.returncode != 0
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "403" in told
    assert "this token may not upload to bob/dev" in told, told
    assert index.repository.git("rev-parse", "main") == before


def test_the_same_again_is_no_error_and_other_bytes_are_refused(index: Index) -> None:
    folder = project(index.tools, "again", "flit-core")
    to = index.url("emilie/prod")
    for client in (twine, uv, twine):
        done(client(index, folder, to))
    (folder / "dist" / make_wheel("again", "1.0")[0]).write_bytes(
        make_wheel("again", "1.0", requires_python=">=3.9")[1]
    )
    refused = twine(index, folder, to)
    assert refused.returncode != 0
    assert "GI205" in refused.stdout + refused.stderr
