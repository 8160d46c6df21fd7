"""Large files: the rate beside nginx and bare handlers, and many clients at once for one that no cache has yet."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import subprocess
import zipfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import bare
import peers
from load import Load, crowd, medians, put_load
from measure import ROOT, gitindex
from servers import NoAnswerError, Plan, Server, running

SIZE = 20_000_000
"""Bytes of the content of the wheel; it does not compress."""
CLIENTS = 4
CROWD = 200
PROJECT = "ballast"
GRANIAN_FILES = {peers.GRANIAN_ASGI: " by path", peers.GRANIAN_RSGI: " by path", peers.UVICORN: " in 1 MB chunks"}


class Rush(NamedTuple):
    """Many clients at once."""

    seconds: float
    """Until all of them had the whole file."""
    cpu: float
    """Seconds of the server."""
    rss: int
    """Resident bytes of the server then."""
    downloads: int | None = None
    """How often the upstream was asked for the file, where there is one."""


class Files(NamedTuple):
    """What was measured."""

    loads: dict[str, Load]
    rushes: dict[str, Rush]


def measure_files(folder: Path, runs: int, seconds: float) -> Files:
    """Release a large wheel, and serve it by our server and its yardsticks; then mirror it."""
    wheel = _wheel(folder / f"{PROJECT}-1.0-py3-none-any.whl")
    size = wheel.stat().st_size
    repository = folder / "team"
    _run(gitindex("-C", str(folder), "init", str(repository), "--user", "emilie"))
    _run(gitindex("-C", str(repository), "upload", "--index", "emilie/prod", "--commit", str(wheel)))
    site = folder / "site"
    _run(gitindex("-C", str(repository), "render", "--rev", "HEAD", "--out", str(site)))
    path = "/" + next(path for path in site.rglob("*.whl")).relative_to(site).as_posix()
    answers = folder / "answers.json"
    headers = [("content-type", "application/octet-stream"), ("content-length", str(size))]
    bare.write_answers(answers, {path: (200, headers, b"", str(wheel))})
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        plans = [
            peers.ours(repository, folder / "cache"),
            peers.nginx(site, folder / "nginx"),
            *(plan._replace(name=plan.name + GRANIAN_FILES[plan.name]) for plan in peers.bare(answers)),
        ]
        for plan in plans:
            server = servers[plan.name] = stack.enter_context(running(plan))
            server.await_answer(path)
            if len(server.ask(path).body) != size:
                raise NoAnswerError(f"{plan.name}: {path}: not the file")
        samples = defaultdict(list)
        for _ in range(runs):
            for name, server in servers.items():
                samples[name].append(put_load(server, path, {}, clients=CLIENTS, seconds=seconds))
        loads = {name: medians(found) for name, found in samples.items()}
        rushes = {name: _rush(server, path, size) for name, server in servers.items()}
        upstream = servers[peers.NGINX]
        log = folder / "nginx" / "files.log"
        mirrored = _mirror(folder / "mirror", f"{upstream.url}/emilie/prod/simple/")
        with running(mirrored) as server:
            server.await_answer("/root/upstream/simple/")
            before = len(log.read_bytes().splitlines())
            place = f"/root/upstream/files/{PROJECT}/{path.split('/')[2]}{path.split('/')[3]}/{wheel.name}"
            rush = _rush(server, place, size)
            downloads = len(log.read_bytes().splitlines()) - before
            rushes["`gitindex serve`, a mirror's file that it does not have yet"] = rush._replace(downloads=downloads)
    return Files(loads, rushes)


def _rush(server: Server, path: str, size: int) -> Rush:
    before = server.cpu()
    found = crowd(server, path, CROWD, size)
    return Rush(found.seconds, server.cpu() - before, server.rss())


def _wheel(path: Path) -> Path:
    name, version = path.name.split("-")[:2]
    folder = f"{name}-{version}.dist-info"
    members = {
        f"{name}/ballast.bin": random.Random(1).randbytes(SIZE),
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{member},sha256={_record_hash(data)},{len(data)}\n" for member, data in members.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for member, data in members.items():
            wheel.writestr(member, data)
        wheel.writestr(f"{folder}/RECORD", "".join([*lines, f"{folder}/RECORD,,\n"]))
    return path


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _mirror(repository: Path, upstream: str) -> Plan:
    """Return our server with a mirror of another one."""
    _run(gitindex("-C", str(repository.parent), "init", str(repository), "--user", "bob"))
    create = ["index", "create", "root/upstream", "--type", "mirror", "--mirror-url", upstream, "--commit"]
    _run(gitindex("-C", str(repository), *create))
    return peers.ours(repository, repository.with_name("mirror-cache"))


def _run(argv: list[str]) -> None:
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Emilie"), ("EMAIL", "emilie@example.org"))
    }
    done = subprocess.run(argv, check=False, cwd=ROOT, env=os.environ | identity, capture_output=True, text=True)
    if done.returncode:
        raise NoAnswerError(f"{' '.join(argv)}: {done.stderr.strip()}")
