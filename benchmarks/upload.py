"""Uploads to `gitindex serve --writable` beside devpi-server: many clients at once, each release a file.

Afterwards nothing may be lost: each file is listed, the history is one line, and `gitindex audit` finds it in order.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median
from typing import NamedTuple

import peers
from measure import day_and_machine, gitindex, memory_folder
from report import markdown, put_section
from servers import Plan, Server, running

SECTION = "Uploads"
OF_DEVPI = "times devpi-server", "aim", "kept"
"""The columns of what is compared with it."""
CLIENTS, RELEASES, PROJECTS = 50, 1_000, 100
BOUNDARY = "b0123456789abcdef"
OURS, DEVPIS = "bench/prod", "root/prod"
"""The index of each: both are non-volatile."""


class Release(NamedTuple):
    """A wheel, and the form that brings it."""

    project: str
    filename: str
    data: bytes

    @property
    def body(self) -> bytes:
        version = self.filename.split("-")[1]
        fields = {
            ":action": "file_upload",
            "protocol_version": "1",
            "metadata_version": "2.1",
            "name": self.project,
            "version": version,
            "filetype": "bdist_wheel",
            "pyversion": "py3",
            "md5_digest": hashlib.md5(self.data, usedforsecurity=False).hexdigest(),
            "sha256_digest": hashlib.sha256(self.data).hexdigest(),
        }
        parts = [
            f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()
        ]
        head = f'Content-Disposition: form-data; name="content"; filename="{self.filename}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + self.data)
        dashes = f"--{BOUNDARY}".encode()
        return b"".join(dashes + b"\r\n" + part + b"\r\n" for part in parts) + dashes + b"--\r\n"


class Measured(NamedTuple):
    """What a load gave."""

    seconds: float
    cpu: float
    """Seconds of the server, all its processes."""
    rss: int
    """Bytes of the server at the end."""
    times: list[float]
    """Seconds of each upload."""
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    def share(self, part: float) -> float:
        return sorted(self.times)[min(int(len(self.times) * part), len(self.times) - 1)]


def releases(count: int, projects: int) -> list[Release]:
    """Make wheels of some kilobytes, of projects in turn."""
    return [_wheel(f"bench-{number % projects}", f"{number // projects}.0", number) for number in range(count)]


def _wheel(project: str, version: str, seed: int) -> Release:
    stem = f"{project.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    members = {
        f"{project.replace('-', '_')}/__init__.py": hashlib.sha512(str(seed).encode()).hexdigest().encode() * 50,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in members.items()]
    members[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return Release(project, f"{stem}-py3-none-any.whl", buffer.getvalue())


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def load(server: Server, index: str, headers: Mapping[str, str], wanted: list[Release], clients: int) -> Measured:
    """Upload all releases to an index, each client one after the other over a connection that it keeps."""
    left: SimpleQueue[bytes] = SimpleQueue()
    for release in wanted:
        left.put(release.body)
    times: list[float] = []
    statuses: dict[int, int] = {}
    lock = threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        while True:
            try:
                body = left.get_nowait()
            except Empty:
                connection.close()
                return
            start = time.perf_counter()
            connection.request("POST", f"/{index}/", body, dict(headers))
            answer = connection.getresponse()
            answer.read()
            took = time.perf_counter() - start
            with lock:
                times.append(took)
                statuses[answer.status] = statuses.get(answer.status, 0) + 1

    threads = [threading.Thread(target=client) for _ in range(clients)]
    cpu, start = server.cpu(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    return Measured(seconds, server.cpu() - cpu, server.rss(), times, statuses)


def ours(folder: Path, wanted: list[Release], clients: int, workers: int) -> Measured:
    """Measure gitindex, and make sure that nothing is lost."""
    repository, store = folder / "packages.git", folder / "tokens.json"
    subprocess.run(gitindex("init", str(folder / "made"), "--user", "bench"), check=True, capture_output=True)
    subprocess.run(["git", "clone", "--quiet", "--bare", folder / "made", repository], check=True)
    words = ("token", "create", "bench", "--user", "bench", "--upload", "*", "--tokens", str(store))
    token = subprocess.run(gitindex(*words), check=True, capture_output=True, text=True).stdout.strip()

    def argv(port: int) -> list[str]:
        options = ("--writable", "--tokens", str(store), "--public", "*", "--cache", str(folder / "cache"))
        return gitindex("-C", str(repository), "serve", "--port", str(port), "--workers", str(workers), *options)

    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Authorization": f"Bearer {token}"}
    with running(Plan("gitindex serve", argv)) as server:
        server.await_answer(f"/{OURS}/simple/")
        measured = load(server, OURS, headers, wanted, clients)
        _check_listed(server, f"/{OURS}/simple/{{}}/", wanted)
    git = ["git", "-C", str(repository)]
    count = subprocess.run([*git, "rev-list", "--count", "HEAD"], check=True, capture_output=True, text=True).stdout
    merges = subprocess.run([*git, "rev-list", "--merges", "HEAD"], check=True, capture_output=True, text=True).stdout
    if int(count) != len(wanted) + 1 or merges:
        raise SystemExit(f"{count.strip()} commits for {len(wanted)} releases")
    subprocess.run(gitindex("-C", str(repository), "audit"), check=True, capture_output=True)
    subprocess.run([*git, "fsck", "--no-dangling"], check=True, capture_output=True)
    return measured


def devpis(folder: Path, wanted: list[Release], clients: int) -> Measured:
    """Measure devpi-server, with the token that its own client logs in for."""
    init = [str(peers.BENCH / "bin/devpi-init"), "--serverdir", str(folder / "devpi"), "--root-passwd", "bench"]
    subprocess.run([*init, "--no-root-pypi"], check=True, capture_output=True)

    def argv(port: int) -> list[str]:
        command = [str(peers.BENCH / "bin/devpi-server"), "--serverdir", str(folder / "devpi")]
        return [*command, "--host", "127.0.0.1", "--port", str(port)]

    with running(Plan("devpi-server", argv)) as server:
        server.await_answer("/+api")
        token = _put(server, "/+login", {"user": "root", "password": "bench"}, {}, method="POST")["result"]["password"]
        auth = {"X-Devpi-Auth": base64.b64encode(f"root:{token}".encode()).decode()}
        _put(server, f"/{DEVPIS}", {"bases": [], "volatile": False}, auth)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **auth}
        measured = load(server, DEVPIS, headers, wanted, clients)
        _check_listed(server, f"/{DEVPIS}/+simple/{{}}/", wanted)
    return measured


def _put(
    server: Server, path: str, value: object, headers: Mapping[str, str], *, method: str = "PUT"
) -> dict[str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    kinds = {"Content-Type": "application/json", "Accept": "application/json", **headers}
    connection.request(method, path, json.dumps(value), kinds)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status not in {200, 201}:
        raise SystemExit(f"{path}: {answer.status} {body[:200]!r}")
    found: dict[str, dict[str, str]] = json.loads(body)
    return found


def _check_listed(server: Server, page: str, wanted: list[Release]) -> None:
    names: dict[str, list[str]] = {}
    for release in wanted:
        names.setdefault(release.project, []).append(release.filename)
    for project, files in names.items():
        text = server.ask(page.format(project), {"Accept": "text/html"}).body.decode()
        if lost := [name for name in files if name not in text]:
            raise SystemExit(f"{server.name} has lost {len(lost)} files of {project}: {lost[0]}")


def rows(measured: Mapping[str, list[Measured]]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table: medians of the runs."""
    yardstick = median(run.rate for run in measured["devpi-server"])
    for name, runs in measured.items():
        rate = median(run.rate for run in runs)
        yield (
            name,
            f"{rate:.0f}",
            f"{median(run.share(0.5) for run in runs) * 1000:.0f}",
            f"{median(run.share(0.99) for run in runs) * 1000:.0f}",
            f"{median(run.cpu / len(run.times) for run in runs) * 1000:.1f}",
            f"{max(run.rss for run in runs) / 1e6:.0f}",
            ", ".join(f"{count} with {status}" for status, count in sorted(runs[-1].statuses.items())),
            f"{rate / yardstick:.1f}",
            *(["", ""] if name == "devpi-server" else ["ahead", "yes" if rate > yardstick else "**no**"]),
        )


def measure(parent: Path | None, clients: int, count: int, runs: int) -> str:
    """Measure in a temporary folder below *parent*, and return what the results say of it."""
    wanted = releases(count, min(PROJECTS, count))
    cases: dict[str, Callable[[Path], Measured]] = {
        "devpi-server": lambda folder: devpis(folder, wanted, clients),
        "gitindex serve": lambda folder: ours(folder, wanted, clients, 1),
        "gitindex serve, 2 workers": lambda folder: ours(folder, wanted, clients, 2),
    }
    measured: dict[str, list[Measured]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            print(f"{name} ...", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
                measured[name].append(case(Path(folder)))
    columns = (
        "server",
        "uploads/s",
        "median ms",
        "p99 ms",
        "CPU ms each",
        "RSS MB",
        "answers",
        "times devpi-server",
        "aim",
        "kept",
    )
    average = sum(len(release.data) for release in wanted) // count
    text = (
        f"{day_and_machine()}. Repositories on {'a tmpfs' if parent else 'a disk'}. "
        f"{clients} clients upload {count:,} releases of {min(PROJECTS, count)} projects, {average:,} bytes each, into "
        f"one repository; medians of {runs}. Afterwards every file is listed, the history of gitindex is one line of a "
        f"commit each, and `gitindex audit` and `git fsck` find it in order. {peers.versions()}.\n\n"
    )
    return text + markdown(columns, rows(measured))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--releases", type=int, default=RELEASES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the table in results.md")
    options = parser.parse_args()
    text = measure(memory_folder(), options.clients, options.releases, options.runs)
    print(text)
    if options.write:
        put_section(SECTION, text)


if __name__ == "__main__":
    main()
