"""The servers that are compared, each with the same projects and files, or as many of them as it can take."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from measure import ROOT, gitindex, python
from servers import Plan, Server

BENCH = ROOT / ".venv-bench"
"""The virtual environment of the peers: theirs need not be what gitindex stands on."""
PACKAGES = ("devpi-server", "pypiserver", "proxpi", "simple-repository-server", "gunicorn", "granian")
PROGRAMS = ("wrk", "nginx")
FOR_PYPISERVER = 2_000
"""Files; with all of them it does not answer within seconds."""
HERE = Path(__file__).parent
IMPORTS = ("pygit2", "pydantic.main", "pydantic.fields", "pydantic.type_adapter")
"""What reads Git's objects and checks documents."""
OURS, UVICORN, NGINX = "gitindex serve", "bare handler, uvicorn", "nginx, rendered files"
GRANIAN_ASGI, GRANIAN_RSGI = "bare handler, granian (ASGI)", "bare handler, granian (RSGI)"


class Data(NamedTuple):
    """What is served."""

    repository: Path
    files: dict[str, list[str]]
    """The names of the files of each project."""
    large: str
    """The project with some hundred files."""
    median: str


class Peer(NamedTuple):
    """A server with the data in it."""

    plan: Plan
    page: Callable[[str], str]
    """The path of the simple page of a project."""
    prepare: Callable[[Server], object] = bool
    """Puts the data into it, once it runs."""
    gzips: bool = False
    """Whether it sends compressed pages, as far as is known of it."""


def lacking() -> str:
    """Return what has to be installed before anything can be measured; empty where all is there."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    if programs:
        return f"{' and '.join(programs)} cannot be found: install the packages of that name"
    return not_installed()


def not_installed() -> str:
    """Return what has to be done to have the peers that are Python packages; empty where they are there."""
    return "" if (BENCH / "installed").exists() else "the peers are not installed: make .venv-bench/installed"


def installed(names: Iterable[str]) -> list[str]:
    """Return each with its version."""
    folders = [str(path) for path in BENCH.glob("lib/*/site-packages")]
    found = {item.name: item.version for item in distributions(path=folders)}
    return [f"{name} {found[name]}" for name in names]


def versions() -> str:
    """Return the versions of the servers."""
    nginx = subprocess.run(["nginx", "-v"], check=True, capture_output=True, text=True).stderr.partition("/")[2].split()
    return ", ".join([*installed(PACKAGES), f"nginx {nginx[0]}"])


def read_data(repository: Path) -> Data:
    """Return what a generated repository holds."""
    files = defaultdict(list)
    with Path(f"{repository}.packages.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            filename = json.loads(line)["filename"]
            files[filename.partition("-")[0].replace("_", "-")].append(filename)
    by_size = sorted(files, key=lambda name: len(files[name]))
    large = min(files, key=lambda name: abs(len(files[name]) - 100))
    return Data(repository, dict(files), large, by_size[len(by_size) // 2])


def lay_files(data: Data, folder: Path) -> None:
    """Write all files below ``folder/<project>/``: those of the large project whole, all others empty."""
    for project, names in data.files.items():
        (folder / project).mkdir(parents=True)
        for name in names:
            content = whole(name) if project == data.large else b""
            (folder / project / name).write_bytes(content)


def whole(filename: str, requires_python: str | None = None) -> bytes:
    """Return a wheel or an sdist of no content that says of itself what its name says."""
    out = io.BytesIO()
    name, _, rest = filename.removesuffix(".tar.gz").partition("-")
    version = rest.partition("-")[0]
    requires = f"Requires-Python: {requires_python}\n" if requires_python else ""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}".encode()
    if filename.endswith(".whl"):
        folder = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(out, "w") as wheel:
            wheel.writestr(f"{folder}/METADATA", metadata)
            wheel.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{folder}/RECORD", "")
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as sdist:
            member = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
            member.size = len(metadata)
            sdist.addfile(member, io.BytesIO(metadata))
    return out.getvalue()


def ours(repository: Path, cache: Path) -> Plan:
    """Return `gitindex serve`."""
    serve = gitindex("-C", str(repository), "serve", "--cache", str(cache))
    return Plan(OURS, lambda port: [*serve, "--port", str(port)])


def bare_uvicorn(answers: Path, *modules: str, name: str = UVICORN) -> Plan:
    """Return the bare handler, run by uvicorn as gitindex runs it; the *modules* are imported before."""
    command = [str(HERE / "bare.py")]
    return Plan(name, lambda port: python(*command, str(port), *modules), {"BARE_ANSWERS": str(answers)})


def bare(answers: Path) -> Iterator[Plan]:
    """Yield the bare handlers with what they answer: by uvicorn, and by granian in its two ways."""
    environment = {"BARE_ANSWERS": str(answers)}
    yield bare_uvicorn(answers)
    for name, interface in ((GRANIAN_ASGI, "asgi"), (GRANIAN_RSGI, "rsgi")):
        words = [str(BENCH / "bin" / "granian"), "--interface", interface, "--loop", "uvloop", "--no-ws", "--no-log"]
        yield Plan(name, partial(_granian, [*words, "--working-dir", str(HERE)], f"bare:{interface}"), environment)


def _granian(words: list[str], target: str, port: int) -> list[str]:
    return [*words, "--port", str(port), target]


def nginx(site: Path, folder: Path) -> Plan:
    """Return nginx with a rendered site, choosing the serialisation, and sending `.gz` files where there are any."""
    folder.mkdir()

    def argv(port: int) -> list[str]:
        configuration = folder / "nginx.conf"
        configuration.write_text(_NGINX.format(port=port, site=site, folder=folder, user=_user()), encoding="utf-8")
        return ["nginx", "-c", str(configuration), "-e", str(folder / "errors"), "-p", str(folder)]

    return Plan(NGINX, argv)


def _user() -> str:
    # Its workers would be another user, who may not look into the temporary folder.
    return "user root;" if os.geteuid() == 0 else ""


_NGINX = """\
{user}
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors error;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on; keepalive_requests 1000000000; open_file_cache max=10000; gzip_static on;
  types {{ application/vnd.pypi.simple.v1+json json; text/html html; }}
  map $http_accept $serialisation {{ default html; "~^application/vnd\\.pypi\\.simple\\.v1\\+json" json; }}
  map $uri $logged {{ default 0; ~^/files/ 1; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    root {site};
    access_log {folder}/files.log combined if=$logged;
    location ~ /simple/ {{ index index.$serialisation; add_header Vary "Accept, Accept-Encoding"; }}
  }}
}}
"""


def devpi(data: Data, files: Path, folder: Path) -> Peer:
    """Return devpi-server with the large project alone, uploaded by its own client: in its favour."""
    server_folder, client_folder = folder / "server", folder / "client"
    init = [str(BENCH / "bin" / "devpi-init"), "--serverdir", str(server_folder), "--root-passwd", "bench"]
    subprocess.run([*init, "--no-root-pypi"], check=True, capture_output=True)

    def argv(port: int) -> list[str]:
        command = [str(BENCH / "bin" / "devpi-server"), "--serverdir", str(server_folder)]
        return [*command, "--host", "127.0.0.1", "--port", str(port)]

    def prepare(server: Server) -> None:
        server.await_answer("/+api")
        commands = (
            ("use", server.url),
            ("login", "root", "--password", "bench"),
            ("index", "-c", "prod", "bases=", "volatile=True"),
            ("use", "root/prod"),
            ("upload", "--from-dir", str(files / data.large)),
        )
        for name, *words in commands:
            client = [str(BENCH / "bin" / "devpi"), name, "--clientdir", str(client_folder)]
            subprocess.run([*client, *words], check=True, capture_output=True, cwd=folder, timeout=300)

    return Peer(Plan("devpi-server", argv), "/root/prod/+simple/{}/".format, prepare)


def pypiserver(data: Data, files: Path, folder: Path) -> Peer:
    """Return pypiserver with its cache, run by gunicorn, with some of the files."""
    left = FOR_PYPISERVER
    for project in (data.large, *(name for name in data.files if name != data.large)):
        if left < len(data.files[project]):
            break
        left -= len(data.files[project])
        shutil.copytree(files / project, folder, dirs_exist_ok=True)
    command = [str(BENCH / "bin" / "pypi-server"), "run", "--backend", "cached-dir", "--server", "gunicorn"]
    command += ["--interface", "127.0.0.1", "--disable-fallback"]
    return Peer(Plan("pypiserver", lambda port: [*command, "--port", str(port), str(folder)]), "/simple/{}/".format)


def proxpi(upstream: str, folder: Path) -> Peer:
    """Return proxpi in front of a simple index, its cache warm once a page was asked for."""
    command = [str(BENCH / "bin" / "gunicorn"), "--workers", "1", "--threads", "2", "proxpi.server:app"]
    environment = {"PROXPI_INDEX_URL": upstream, "PROXPI_CACHE_DIR": str(folder)}
    plan = Plan("proxpi", lambda port: [*command, "--bind", f"127.0.0.1:{port}"], environment)
    return Peer(plan, "/index/{}/".format, gzips=True)


def simple_repository_server(files: Path) -> Peer:
    """Return simple-repository-server with all files."""
    command = [str(BENCH / "bin" / "simple-repository-server"), "--host", "127.0.0.1"]
    plan = Plan("simple-repository-server", lambda port: [*command, "--port", str(port), str(files)])
    return Peer(plan, "/simple/{}/".format)
