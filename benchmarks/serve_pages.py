"""Load on the page of a project: `gitindex serve` among its peers, the bare handlers and nginx, taking turns."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import bare
import peers
from load import Load, medians, put_load
from measure import gitindex
from peers import OURS, Data, Peer
from servers import NoAnswerError, Server, running

PIP = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
"""What pip says that it takes: JSON where there is any."""
CLIENTS = (16, 64)
PAGES_ASKED = 5_000


class Case(NamedTuple):
    """A way to ask for a page."""

    title: str
    headers: Mapping[str, str]
    is_median: bool = False
    status: int = 200
    for_all: bool = True
    """Whether every server is asked so; else those that answer from memory or from files, and who is known to."""


CASES = {
    "pip": Case("100 files, as pip asks", {"Accept": PIP}),
    "html": Case("100 files, HTML", {"Accept": "text/html"}),
    "gzip": Case("100 files, as pip asks, gzip", {"Accept": PIP, "Accept-Encoding": "gzip"}, for_all=False),
    "304": Case("100 files, as pip asks, unchanged", {"Accept": PIP}, status=304, for_all=False),
    "median": Case("median project, as pip asks", {"Accept": PIP}, is_median=True, for_all=False),
}


class Memory(NamedTuple):
    """Resident bytes of our server, all its processes."""

    started: int
    loaded: int
    """After the load."""
    asked: int
    """After many different pages, the lists, and the page of the index for people where it is not too long."""


class Pages(NamedTuple):
    """What was measured."""

    loads: dict[tuple[str, int], dict[str, Load]]
    """By case and number of clients, then by server."""
    rss: dict[str, int]
    """Of each server after the load."""
    memory: Memory
    answers: Path
    """What the bare handlers answer."""


def measure_pages(data: Data, folder: Path, runs: int, seconds: float) -> Pages:
    """Start all servers, and put load on one at a time; the medians of *runs* rounds count."""
    site, files = folder / "site", folder / "files"
    render = gitindex("-C", str(data.repository), "render", "--rev", "HEAD", "--out", str(site))
    subprocess.run(render, check=True, capture_output=True)
    page = "/bench/prod/simple/{}/".format
    large = site / page(data.large)[1:] / "index.json"
    Path(f"{large}.gz").write_bytes(gzip.compress(large.read_bytes(), 6))
    peers.lay_files(data, files)
    with ExitStack() as stack:
        server = stack.enter_context(running(peers.ours(data.repository, folder / "cache")))
        server.await_answer(page(data.large))
        started = server.settled_rss()
        asked = _Asked(data)
        asked.add(server, Peer(peers.ours(data.repository, folder), page, gzips=True), is_plain=False)
        answers = folder / "answers.json"
        _prepare_bare(asked, server, page, answers)
        for plan in peers.bare(answers):
            asked.add(stack.enter_context(running(plan)), Peer(plan, page), is_plain=False)
        plan = peers.nginx(site, folder / "nginx")
        upstream = stack.enter_context(running(plan))
        asked.add(upstream, Peer(plan, page), is_plain=False)
        for peer in (
            peers.proxpi(f"{upstream.url}/bench/prod/simple/", folder / "proxpi"),
            peers.pypiserver(data, files, _made(folder / "pypiserver")),
            peers.simple_repository_server(files),
            peers.devpi(data, files, _made(folder / "devpi")),
        ):
            running_peer = stack.enter_context(running(peer.plan))
            peer.prepare(running_peer)
            asked.add(running_peer, peer, is_plain=True)
        loads = asked.rounds(runs, seconds)
        rss = {name: server.rss() for name, server in asked.servers.items()}
        memory = Memory(started, rss[OURS], rss_after_much(server, data))
    shutil.rmtree(files)
    shutil.rmtree(site)
    return Pages(loads, rss, memory, answers)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


class _Asked:
    """The servers, with what each is asked."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self.servers: dict[str, Server] = {}
        self._paths: dict[tuple[str, str], str] = {}
        self._headers: dict[tuple[str, str], dict[str, str]] = {}

    def project(self, case: Case) -> str:
        return self._data.median if case.is_median else self._data.large

    def add(self, server: Server, peer: Peer, *, is_plain: bool) -> None:
        """Add a server that runs; each case that it is asked is tried once, and what it answers is looked at."""
        self.servers[server.name] = server
        for name, case in CASES.items():
            if is_plain and not (case.for_all or (name == "gzip" and peer.gzips)):
                continue
            is_bare = server.name in {peers.UVICORN, peers.GRANIAN_ASGI, peers.GRANIAN_RSGI}
            path = f"/{name}" if is_bare else peer.page(self.project(case))
            headers = dict(case.headers)
            server.await_answer("/pip" if is_bare else path, headers)
            if case.status == 304:
                headers["If-None-Match"] = server.ask("/pip" if is_bare else path, headers).headers["etag"]
            self._paths[server.name, name], self._headers[server.name, name] = path, headers
            self._check(server, name, case)

    def _check(self, server: Server, name: str, case: Case) -> None:
        path = self._paths[server.name, name]
        answer = server.ask(path, self._headers[server.name, name])
        is_gzipped = answer.headers.get("content-encoding") == "gzip"
        text = (gzip.decompress(answer.body) if is_gzipped else answer.body).decode()
        lacks = (
            [] if case.status == 304 else [file for file in self._data.files[self.project(case)] if file not in text]
        )
        if answer.status != case.status or is_gzipped != (name == "gzip") or lacks:
            raise NoAnswerError(f"{server.name}: {path} ({case.title}): {answer.status}, without {lacks[:2]}")

    def rounds(self, runs: int, seconds: float) -> dict[tuple[str, int], dict[str, Load]]:
        samples: dict[tuple[str, int], dict[str, list[Load]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(runs):
            for name, case in CASES.items():
                for clients in CLIENTS if case.for_all else CLIENTS[:1]:
                    for server in self.servers.values():
                        if (path := self._paths.get((server.name, name))) is None:
                            continue
                        headers = self._headers[server.name, name]
                        found = put_load(server, path, headers, clients=clients, seconds=seconds)
                        samples[name, clients][server.name].append(found)
        return {
            key: {server: medians(loads) for server, loads in by_server.items()} for key, by_server in samples.items()
        }


_ADDED_BY_SERVERS = frozenset({"date", "server", "transfer-encoding", "connection"})


def _prepare_bare(asked: _Asked, server: Server, page: object, answers: Path) -> None:
    """Write down what our server answers in each case, for the bare handlers to answer the same."""
    assert callable(page)  # noqa: S101
    prepared = {}
    for name, case in CASES.items():
        path, headers = page(asked.project(case)), dict(case.headers)
        if case.status == 304:
            headers["If-None-Match"] = server.ask(path, headers).headers["etag"]
        answer = server.ask(path, headers)
        kept = [(key, value) for key, value in answer.headers.items() if key not in _ADDED_BY_SERVERS]
        prepared[f"/{name}"] = (answer.status, kept, answer.body, "")
    bare.write_answers(answers, prepared)


def rss_after_much(server: Server, data: Data) -> int:
    """Return the resident bytes after everything that is large, and many different pages, was asked for once."""
    names = list(data.files)[:PAGES_ASKED]
    for at, name in enumerate(names):
        server.ask(f"/bench/prod/simple/{name}/", {"Accept": PIP if at % 2 else "text/html"})
    # The page for people lists all projects, and reads every manifest for it: of a million files not once in a minute.
    of_people = ["/bench/prod/"] if len(data.files) <= PAGES_ASKED else []
    for path in ("/bench/prod/simple/", *of_people):
        for accept in (PIP, "text/html"):
            server.ask(path, {"Accept": accept})
    return server.rss()
